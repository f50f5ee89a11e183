"Build the docs site without Quarto: nbdev prepares the notebooks, smalldocs makes the pages. `python .ci/docs.py` writes `_docs/`."
import functools, re, shutil, sys
from pathlib import Path
from smalldocs.cli import main as smalldocs
from nbdev.config import get_config
from nbdev.quarto import refresh_quarto_yml
from nbdev.serve import proc_nbs

@functools.cache
def headings(page): return set(re.findall(r'\bid="([^"]+)"', page.read_text(encoding='utf-8')))

PRIVATE = re.compile(r'<li><a href="#[^"]*"[^>]*>(?:\w+\.)*_(?!_)\w*(?:\.\w+)*</a></li>')

def mend(page, text):
    """Headings that Markdown turned bold (`__repr__`) get their underscores back; nbdev's link to a name without a heading leads to its page.
    In a signature a link is a link, not Markdown, and a default of None is no type; private names are not in the contents"""
    up = '../'*(len(page.relative_to(get_config().doc_path).parts) - 1)
    def link(m):
        target = page.parent / m[1]
        return m[0] if target.exists() and m[2] in headings(target) else f'<a href="{m[1]}"><code>'
    def named(m):
        target = get_config().doc_path / m[2]
        return f'<a href="{up}{m[2]}#{m[3]}">{m[1]}</a>' if target.exists() and m[3] in headings(target) else m[1]
    def signature(m): return re.sub(r'\[`([^`<]+)`\]\(/([\w./-]+\.html)#([^)]+)\)', named, m[0]).replace(':NoneType<', '<')
    text = re.sub(r'(<h\d[^>]*>[^<]*)<strong>(\w+)</strong>', r'\1__\2__', text)
    text = re.sub(r'<pre class="sourceCode[\s\S]*?</pre>', signature, text)
    text = re.sub(r'<nav id="TOC"[\s\S]*?</nav>', lambda m: PRIVATE.sub('', m[0]).replace('<ul></ul>', ''), text)
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

def blemishes(site):
    "Raw Markdown or `NoneType` in a signature, private names in the contents"
    for page in sorted(site.rglob('*.html')):
        text = page.read_text(encoding='utf-8')
        for pre in re.findall(r'<pre class="sourceCode[\s\S]*?</pre>', text):
            if found := re.search(r'\]\(/[\w./-]+\.html|:NoneType', pre): yield f'{page.relative_to(site)}: {found[0]!r} in a signature'
        for toc in re.findall(r'<nav id="TOC"[\s\S]*?</nav>', text):
            if found := PRIVATE.search(toc): yield f'{page.relative_to(site)}: a private name in the contents, {found[0]}'

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
    bad += list(blemishes(cfg.doc_path))
    print(*bad, sep='\n')
    if bad or not (cfg.doc_path / 'index.html').exists(): sys.exit(f'docs: {len(bad)} broken links or blemishes, or no index page')
    want = len(list(cfg.nbs_path.rglob('[!.]*.ipynb')))
    if len(pages) < want: sys.exit(f'docs: {want} notebooks but only {len(pages)} pages')
    print(f'docs: {len(pages)} pages, no broken link')

if __name__ == '__main__': build()
