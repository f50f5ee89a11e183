"Make kept outputs small: `python .ci/shrink.py NB [COLOURS]` gives pictures a palette, keeps the last state of progress bars, and drops widgets, which show nothing without a kernel."
import base64, io, json, re, sys
from pathlib import Path
from PIL import Image

def picture(data, colours):
    img, buf = Image.open(io.BytesIO(base64.b64decode(data))).convert('RGB'), io.BytesIO()
    img.quantize(colours, dither=Image.Dither.NONE).save(buf, 'PNG', optimize=True)
    return min(data, base64.b64encode(buf.getvalue()).decode(), key=len)

def last_state(text):
    "What a terminal shows in the end: a carriage return starts the line again; bars that are done are gone"
    lines = [o.rstrip().rsplit('\r', 1)[-1] for o in text.split('\n')]
    return '\n'.join(o for o in lines if o.strip(' \u2588') and not re.search(r'\d+%\||\d% \[', o))

def shrunk(outputs, colours):
    for o in outputs:
        data = o.get('data', {})
        if 'application/vnd.jupyter.widget-view+json' in data: continue
        if 'image/png' in data: data['image/png'] = picture(''.join(data['image/png']), colours)
        if 'text' in o and not (text := last_state(''.join(o['text']))): continue
        if 'text' in o: o['text'] = text.splitlines(True)
        if data or o['output_type'] == 'stream': yield o

def main(nb, colours=96):
    doc = json.loads((path := Path(nb)).read_text(encoding='utf-8'))
    for c in doc['cells']:
        if c['cell_type'] == 'code': c['outputs'] = list(shrunk(c['outputs'], int(colours)))
    path.write_text(json.dumps(doc, indent=1, ensure_ascii=False) + '\n', encoding='utf-8')
    print(f"{nb}: {path.stat().st_size/1e6:.2f} MB")

if __name__ == '__main__': main(*sys.argv[1:])
