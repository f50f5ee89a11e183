"""A room imports only rooms with a lower number: `python .ci/rooms.py` reads every import of `sim_nb/`.

The first digit of a notebook's number is its floor. Imports are seen in every form: `import`, `from`, relative,
`importlib.import_module`, and names of rooms in texts such as 'sim_nb.backends.OnnxPath' or 'train:main'. Docstrings and
the table of names that moved (`MOVED`, in `labels`) are no arrows.

One exception: the texts of `cli` name the rooms that do the work of its commands ('train:main'), which are imported only
when somebody asks for one. There each text must name something that exists.
"""
import ast, json, re, sys
from functools import lru_cache
from pathlib import Path

NAME = re.compile(r'(\d)(\d)_(\w+)\.ipynb')
ROOM = re.compile(r'\bsim_nb\.([a-z]\w*)(?:\.(\w+))?')
DOOR = re.compile(r'([a-z]\w*):([a-z]\w*)')  # room:function, the whole text
LIVE = 60                                     # the rooms of the live floor stand on the whole house: guard, watch, closed loop
DOORS = 'cli'                                 # the room whose texts name the work of the commands

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
    if path.stem != DOORS: yield from ((line, room) for line, room, _ in texts(tree) if room in known and room != path.stem)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import): names = [o.name for o in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = '.'.join(o for o in ('sim_nb' if node.level else '', node.module or '') if o)
            names = [base] + [f'{base}.{o.name}' for o in node.names]
        else: continue
        for o in names:
            m = ROOM.match(o)
            if m and m[1] in known and m[1] != path.stem: yield node.lineno, m[1]

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
    if wrong: raise SystemExit('\n'.join(wrong))
    below = {m for m in number if m != 'all' and number[m] < LIVE}  # `all` is a list of names, no floor
    longest = depth({m: frozenset(os) for m, os in arrows.items() if m in below})
    if len(longest) > most: raise SystemExit(f"{len(longest)} floors of imports, at most {most}: {' <- '.join(longest)}")
    print(f"rooms: {len(number)}, no arrow runs upwards, no circle, {len(longest)} floors of imports "
          f"({' <- '.join(longest)})")

if __name__ == '__main__': check(*sys.argv[1:2])
