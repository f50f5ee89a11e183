"A room imports only rooms with a lower number: `python .ci/rooms.py` reads all imports of `sim_nb/`."
import ast, json, re, sys
from pathlib import Path

floor = {}  # module -> number of its notebook, e.g. (6, 'a')
for nb in sorted(Path('nbs').glob('[0-9]*.ipynb')):
    number = re.match(r'(\d+)([a-z]?)_', nb.name)
    source = '\n'.join(''.join(c['source']) for c in json.loads(nb.read_text())['cells'])
    name = re.search(r'^#\| default_exp (\w+)', source, re.M)
    if name: floor[name[1]] = int(number[1]), number[2]

up = []
for module, own in floor.items():
    for node in ast.walk(ast.parse(Path(f'sim_nb/{module}.py').read_text())):
        if not isinstance(node, ast.ImportFrom): continue
        path = (node.module or '') if not node.level else '.'.join(o for o in ('sim_nb', node.module) if o)
        if path == 'sim_nb': names = [a.name for a in node.names]
        else: names = [path.split('.')[1]] if path.startswith('sim_nb.') else []
        up += [f'{module} (line {node.lineno}) imports {o}' for o in names if o in floor and floor[o] > own]
if up: sys.exit('an arrow runs upwards:\n' + '\n'.join(up))
print(f'rooms: {len(floor)}, no arrow runs upwards')
