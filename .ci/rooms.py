"""A room imports only rooms with a lower number: `python .ci/rooms.py` reads every import of `sim_nb/`.

The first digit of a notebook's number is its floor. Imports are seen in every form: `import`, `from`, relative,
`importlib.import_module`, and names of rooms in texts such as 'sim_nb.backends.OnnxPath' or 'train:main'. Docstrings and
the table of names that moved (`MOVED`, in `labels`) are no arrows. A name that begins with `_` stays in its room. A line of
an exported cell has at most 120 characters; `__all__` and the module's docstring, which nbdev writes, are not held to it.

One exception: the texts of `cli` name the rooms that do the work of its commands ('train:main'), which are imported only
when somebody asks for one. There each text must name something that exists.
"""
import ast, json, re, sys, tempfile
from functools import lru_cache
from pathlib import Path

NAME = re.compile(r'(\d)(\d)_(\w+)\.ipynb')
ROOM = re.compile(r'\bsim_nb\.([a-z]\w*)(?:\.(\w+))?')
DOOR = re.compile(r'([a-z]\w*):([a-z]\w*)')  # room:function, the whole text
LIVE = 60                                     # the live floor stands on the whole house: guard, watch, closed loop
DOORS = 'cli'                                 # the room whose texts name the work of the commands
WIDTH = 120                                   # characters of a line

def rooms(nbs):
    "Module -> number of its notebook, and what is wrong with the names"
    found, wrong = {}, []
    for p in sorted(nbs.glob('[0-9]*.ipynb')):
        m = NAME.fullmatch(p.name)
        if not m: wrong.append(f'{p.name}: expected FN_name.ipynb, a floor and a place on it'); continue
        source = '\n'.join(''.join(c['source']) for c in json.loads(p.read_text(encoding='utf-8'))['cells'])
        exp = re.search(r'^#\|\s*default_exp (\w+)', source, re.M)
        if exp and exp[1].strip('_') != m[3]: wrong.append(f'{p.name} writes {exp[1]}.py: the names should be one')
        if exp: found[exp[1]] = int(m[1] + m[2])
    if len(set(found.values())) < len(found): wrong.append('two rooms have one number')
    return found, wrong

def docstrings(tree):
    "Texts that only explain: a statement of its own"
    return {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}

def texts(tree):
    "(line, room, name) for every room that a text names"
    said = docstrings(tree)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str) or id(node) in said: continue
        door = DOOR.fullmatch(node.value)
        for room, name in [door.groups()] if door else ROOM.findall(node.value): yield node.lineno, room, name

def defined(path):
    "The names at the top of a module, those included that it imports"
    names = set()
    for node in ast.parse(path.read_text(encoding='utf-8')).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)): names.add(node.name)
        elif isinstance(node, ast.ImportFrom): names |= {o.asname or o.name for o in node.names}
    return names

def doors(path, known):
    "What is wrong with the texts of `cli`"
    tree = ast.parse(path.read_text(encoding='utf-8'))
    work = [(n.lineno, *n.args[1].value.split(':')) for n in ast.walk(tree)
            if isinstance(n, ast.Call) and getattr(n.func, 'id', '') == 'Command']
    if not work: yield f'{path.stem}: no Command was found'
    for line, room, name in dict.fromkeys(work + [o for o in texts(tree) if o[1] in known]):
        if room not in known or name and name not in defined(path.with_name(f'{room}.py')):
            yield f'{path.stem} (line {line}) names {room}:{name}, which does not exist'

def imports(path, known):
    "(line, room) for every room that a module names in an import or in a text"
    tree = ast.parse(path.read_text(encoding='utf-8'))
    if path.stem != DOORS:
        yield from ((line, room) for line, room, _ in texts(tree) if room in known and room != path.stem)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import): names = [o.name for o in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = '.'.join(o for o in ('sim_nb' if node.level else '', node.module or '') if o)
            names = [base] + [f'{base}.{o.name}' for o in node.names]
        else: continue
        for o in names:
            m = ROOM.match(o)
            if m and m[1] in known and m[1] != path.stem: yield node.lineno, m[1]

def private(path, known):
    "(line, room.name) for every name of another room that begins with `_`"
    tree, rooms = ast.parse(path.read_text(encoding='utf-8')), {}
    own = lambda name: name.startswith('_') and not name.startswith('__')
    for node in ast.walk(tree):
        if not isinstance(node, (ast.Import, ast.ImportFrom)): continue
        base = 'sim_nb.' if getattr(node, 'level', 0) else ''
        if getattr(node, 'module', None): base += f'{node.module}.'
        for o in node.names:
            m = ROOM.fullmatch(base + o.name)
            if not m or m[1] not in known or m[1] == path.stem: continue
            if m[2] and own(m[2]): yield node.lineno, f'{m[1]}.{m[2]}'
            elif not m[2]: rooms[o.asname or (o.name if isinstance(node, ast.Import) else m[1])] = m[1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and own(node.attr) and (room := rooms.get(ast.unparse(node.value))):
            yield node.lineno, f'{room}.{node.attr}'

def long_lines(path):
    "(line, its length) in exported cells; what stands above the first of them is nbdev's"
    cell = False
    for i, o in enumerate(path.read_text(encoding='utf-8').splitlines(), 1):
        if o.startswith('# %% '): cell = not o.startswith('# %% auto')
        elif cell and len(o) > WIDTH: yield i, len(o)

def depth(arrows):
    "The longest chain of imports, the lowest room first; a circle is an error"
    @lru_cache(None)
    def chain(m, above=()):
        if m in above: raise SystemExit(f"a circle: {' -> '.join((*above, m))}")
        return max((chain(o, (*above, m)) for o in sorted(arrows[m])), key=len, default=()) + (m,)
    return max((chain(m) for m in arrows), key=len)

def check(root='.', most=8):
    "The words of what is wrong, or of what is right"
    root = Path(root)
    number, wrong = rooms(root/'nbs')
    if not number: raise SystemExit(f'no rooms in {root/"nbs"}: nothing was checked')
    if DOORS in number: wrong += doors(root/f'sim_nb/{DOORS}.py', number)
    arrows = {m: {} for m in number}
    for m in number:
        for line, o in imports(root/f'sim_nb/{m}.py', number): arrows[m].setdefault(o, line)
    wrong += [f'{m} (line {line}) imports {o}: {number[o]} is not below {number[m]}'
              for m, os in arrows.items() for o, line in os.items() if number[o] >= number[m]]
    for m in number:
        path = root/f'sim_nb/{m}.py'
        wrong += [f'{m} (line {i}) takes {o}, which is private: give it a public name and a docstring'
                  for i, o in private(path, number)]
        wrong += [f'{m} (line {i}) has {n} characters, at most {WIDTH}' for i, n in long_lines(path)]
    if wrong: raise SystemExit('\n'.join(wrong))
    below = {m for m in number if m != 'all' and number[m] < LIVE}  # `all` is a list of names, no floor
    longest = depth({m: frozenset(os) for m, os in arrows.items() if m in below})
    if len(longest) > most: raise SystemExit(f"{len(longest)} floors of imports, at most {most}: {' <- '.join(longest)}")
    return (f"rooms: {len(number)}, no arrow runs upwards, no circle, no private name leaves its room, "
            f"{len(longest)} floors of imports ({' <- '.join(longest)})")

LONG = 'x'*200
SOUND = {'low': f'"{LONG}"\n# %% auto 0\n__all__ = ["{LONG}"]\n# %% a\ndef name(): return 1\ndef _own(): return 2\n',
         'high': '# %% a\nfrom .low import name\nfrom . import low\nlow.name()\n'}
PLANTED = {  # a room with one fault -> what is said of it
    'low': {**dict.fromkeys((
        'from .high import name', 'import sim_nb.high', 'from sim_nb import high', "room = 'sim_nb.high'",
        "import importlib; importlib.import_module('sim_nb.high')"), 'low (line 7) imports high: 20 is not below 10'),
            f'x = "{LONG}"': 'low (line 7) has 206 characters, at most 120'},
    'high': dict.fromkeys((
        'from .low import name, _own', 'if True: from sim_nb.low import _own', 'low._own()',
        'import sim_nb.low as other; other._own()', 'import sim_nb.low; sim_nb.low._own()'),
        'high (line 5) takes low._own, which is private')}

def planted():
    "Every rule sees a fault that is planted into a house of two rooms, and nothing where there is none"
    def said(**more):
        with tempfile.TemporaryDirectory() as d:
            for o in ('nbs', 'sim_nb'): (Path(d)/o).mkdir()
            for room, number in dict(low=10, high=20).items():
                nb = dict(cells=[dict(source=f'#| default_exp {room}')])
                (Path(d)/f'nbs/{number}_{room}.ipynb').write_text(json.dumps(nb), encoding='utf-8')
                (Path(d)/f'sim_nb/{room}.py').write_text(SOUND[room] + more.get(room, ''), encoding='utf-8')
            try: return check(d)
            except SystemExit as e: return str(e)
    if not said().startswith('rooms: 2, no arrow'): raise SystemExit(f'a sound house is refused: {said()}')
    for room, faults in PLANTED.items():
        for fault, words in faults.items():
            if words not in (o := said(**{room: fault})): raise SystemExit(f'{fault!r} in {room} was not seen: {o}')

if __name__ == '__main__':
    planted()
    print(check(*sys.argv[1:2]))
