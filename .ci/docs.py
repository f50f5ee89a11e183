"Build the docs site without Quarto: nbdev prepares the notebooks, smalldocs makes the pages. `python .ci/docs.py` writes `_docs/`."
import re, shutil, sys
from pathlib import Path
from smalldocs.cli import main as smalldocs
from nbdev.config import get_config
from nbdev.quarto import refresh_quarto_yml
from nbdev.serve import proc_nbs

def headings(page): return set(re.findall(r'\bid="([^"]+)"', page.read_text(encoding='utf-8')))

def mend(page, text):
    "Headings that Markdown turned bold (`__repr__`) get their underscores back; nbdev's link to a name without a heading leads to its page"
    def link(m):
        target = page.parent / m[1]
        return m[0] if target.exists() and m[2] in headings(target) else f'<a href="{m[1]}"><code>'
    text = re.sub(r'(<h\d[^>]*>[^<]*)<strong>(\w+)</strong>', r'\1__\2__', text)
    return re.sub(r'<a href="([\w./-]+\.html)#([^"]+)"><code>', link, text)

def name_pages(staged):
    "Quarto names a page by its `output-file`; smalldocs by the notebook, so the staged notebooks take those names"
    names = {}
    for nb in sorted(staged.rglob('*.ipynb')):
        if m := re.search(r'output-file: ([\w-]+)\.html', nb.read_text(encoding='utf-8')): names[nb.name] = m[1] + '.ipynb'
    for f in [*staged.rglob('*.ipynb'), staged / 'sidebar.yml']:
        text = f.read_text(encoding='utf-8')
        for old, new in names.items(): text = text.replace(old, new)
        f.write_text(text, encoding='utf-8')
        if f.name in names: f.rename(f.with_name(names[f.name]))

def broken_links(site):
    "Every local link or picture of every page that leads nowhere"
    for page in sorted(site.rglob('*.html')):
        text = page.read_text(encoding='utf-8')
        ids = set(re.findall(r'\bid="([^"]+)"', text))
        for link in re.findall(r'(?:href|src)="([^"]*)"', text):
            if re.match(r'[a-z]+:|//|$', link): continue
            path, _, anchor = link.partition('#')
            target = (page.parent / path.split('?')[0]) if path else page
            if target.is_dir(): target /= 'index.html'
            if not target.exists(): yield f'{page.relative_to(site)}: broken link {link}'
            elif anchor and target.suffix == '.html':
                there = ids if target == page else set(re.findall(r'\bid="([^"]+)"', target.read_text(encoding='utf-8')))
                if anchor not in there: yield f'{page.relative_to(site)}: broken link {link} (no such heading)'

def build():
    cfg = get_config()
    shutil.copyfile(cfg.config_path / '_quarto.yml', cfg.nbs_path / '_quarto.yml')  # nbdev reads it there; CI checks that both are one
    refresh_quarto_yml()
    shutil.rmtree(cfg.config_path / '_proc', ignore_errors=True)
    staged = proc_nbs(n_workers=2)
    name_pages(staged)
    if smalldocs(['render', '--quiet', str(staged)]): sys.exit('docs: smalldocs reported an error')
    made = next(p for p in (staged / cfg.doc_path.name, staged / '_site') if p.exists())
    shutil.rmtree(cfg.doc_path, ignore_errors=True)
    shutil.move(made, cfg.doc_path)
    pages = sorted(cfg.doc_path.rglob('*.html'))
    for p in pages: p.write_text(mend(p, p.read_text(encoding='utf-8')), encoding='utf-8')
    bad = list(broken_links(cfg.doc_path))
    print(*bad, sep='\n')
    if bad or not (cfg.doc_path / 'index.html').exists(): sys.exit(f'docs: {len(bad)} broken links or no index page')
    want = len(list(cfg.nbs_path.rglob('[!.]*.ipynb')))
    if len(pages) < want: sys.exit(f'docs: {want} notebooks but only {len(pages)} pages')
    print(f'docs: {len(pages)} pages, no broken link')

if __name__ == '__main__': build()
