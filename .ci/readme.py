"README.md from nbs/index.ipynb, as Quarto would write it. `python .ci/readme.py [--check]`; --check only compares."
import re, sys, tempfile
from pathlib import Path
import pypandoc
from nbdev.config import get_config
from nbdev.processors import FilterDefaults
from execnb.nbio import read_nb, write_nb

def front_matter_to_title(nb):
    "The raw front matter becomes the title and the subtitle of a Markdown page"
    raw = next(c for c in nb.cells if c.cell_type == 'raw')
    get = lambda k: (re.search(rf'^{k}: *(.*(?:\n  .*)*)', raw.source, re.M) or ['', ''])[1]
    title, lead = (re.sub(r'\s+', ' ', get(k)).strip().strip("'\"").replace("''", "'") for k in ('title', 'description'))
    raw.cell_type, raw.source = 'markdown', f'# {title}\n\n{lead}' if lead else f'# {title}'

def readme():
    cfg = get_config()
    nb = read_nb(cfg.nbs_path / cfg.readme_nb)
    FilterDefaults()(nb)
    front_matter_to_title(nb)
    for c in nb.cells:  # pandoc wants every field of the format
        c.setdefault('metadata', {})
        for o in c.get('outputs', []):
            if o['output_type'] == 'execute_result': o.setdefault('execution_count', None)
            if o['output_type'] in ('execute_result', 'display_data'): o.setdefault('metadata', {})
    with tempfile.TemporaryDirectory() as tmp:
        staged = Path(tmp) / 'index.ipynb'
        write_nb(nb, staged)
        text = pypandoc.convert_file(str(staged), 'gfm', format='ipynb-raw_html+raw_markdown',
                                     extra_args=['--wrap=preserve', f'--extract-media={tmp}'])
        if re.search(r'!\[[^\]]*\]\(' + re.escape(tmp), text):
            sys.exit('readme: index.ipynb has a figure in an output; save it under nbs/images and link it instead')
    text = re.sub(r'\[(`[^`]+`)\]\(/[^)]*\)', r'\1', text)  # nbdev's links into the site lead nowhere from a README
    text = re.sub(r'</?div[^>]*>\n*', '', text)
    return absolute(text, cfg).strip() + '\n'

def absolute(text, cfg):
    "Links to pages and pictures lead to the repository, so that they work on GitHub and on PyPI; each must exist"
    home = cfg.git_url.replace('https://github.com/', '')
    def link(m):
        path = f'nbs/{m[1]}'
        if not (cfg.config_path / path).exists(): sys.exit(f'readme: {path} is linked and does not exist')
        picture = path.endswith(('.svg', '.png', '.gif', '.webp', '.jpg'))
        return f'](https://raw.githubusercontent.com/{home}/{cfg.branch}/{path})' if picture else f']({cfg.git_url}/blob/{cfg.branch}/{path})'
    return re.sub(r'\]\((?!https?:|#)([^)#]+)\)', link, text)

if __name__ == '__main__':
    path = get_config().config_path / 'README.md'
    made = readme()
    if '--check' not in sys.argv[1:]: path.write_text(made, encoding='utf-8')
    elif path.read_text(encoding='utf-8') != made: sys.exit('readme: README.md is not in step with nbs/index.ipynb; run `python .ci/readme.py`')
    print('readme: in step with nbs/index.ipynb')
