"Run notebooks in a real JupyterLab, in a headless browser; a cell that ends in an error, or too few pictures, is a failure."
import os, json, shutil, socket, subprocess, sys, tempfile, time, urllib.request
from pathlib import Path
from playwright.sync_api import sync_playwright
from nbdev.config import get_config

FLAGS = '--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync'
LAB = ('--no-browser --allow-root --ip=127.0.0.1 --IdentityProvider.token= --LabApp.expose_app_in_browser=True '
       '--ServerApp.disable_check_xsrf=True --LabApp.news_url=None --LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate')

def browser():
    "Path of a Chromium or Chrome that is installed"
    found = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)
    return found or sys.exit('lab: no Chromium found; install one (Debian: apt-get install chromium)')

def free_port():
    with socket.socket() as s: s.bind(('127.0.0.1', 0)); return s.getsockname()[1]

def wait_for(url, seconds=60):
    for _ in range(seconds * 2):
        try: return urllib.request.urlopen(url)
        except OSError: time.sleep(0.5)
    sys.exit('lab: the server did not start')

def code_cells(nb): return [c for c in json.loads(nb.read_text(encoding='utf-8'))['cells'] if c['cell_type'] == 'code']
def saved_cells(nb):
    "The same, while JupyterLab saves; None when it has not written the end of the file yet"
    try: return code_cells(nb)
    except json.JSONDecodeError: return None
def failed(cells): return [o for c in cells for o in c['outputs'] if o['output_type'] == 'error']
def done(cells): return all(c['execution_count'] for c in cells)
def pictures(cells): return sum('image/png' in o.get('data', {}) for c in cells for o in c['outputs'])

IDLE = '.jp-Notebook-ExecutionIndicator[data-status="idle"]'
NOTEBOOKS = {'index.ipynb': 0, 'tutorials/explore.ipynb': 8}  # page -> pictures that a reader must see there

def run_all(url, nb, file, seconds=600):
    "Open the notebook `nb` (at `file`), run all its cells and save until every cell has run or one has failed"
    with sync_playwright() as p:
        chromium = p.chromium.launch(executable_path=browser(), args=FLAGS.split())
        page = chromium.new_page()
        page.goto(f'{url}/lab/tree/{nb}?reset')
        page.wait_for_function("window.jupyterapp && document.querySelector('.jp-Notebook .jp-Cell')", timeout=60000)
        page.wait_for_function("/Python/.test(document.querySelector('.jp-Toolbar-kernelName')?.textContent)", timeout=60000)
        page.wait_for_selector(IDLE, timeout=60000)
        command = lambda name: page.evaluate(f"() => {{ window.jupyterapp.commands.execute('{name}'); }}")
        command('notebook:run-all-cells')
        end = time.time() + seconds
        while time.time() < end and not ((cells := saved_cells(file)) and (done(cells) or failed(cells))):
            time.sleep(1)
            if page.query_selector(IDLE): command('docmanager:save')  # not under a cell that reads the notebook
        chromium.close()

def cleared(file):
    "A notebook without its outputs"
    for c in (doc := json.loads(file.read_text(encoding='utf-8')))['cells']:
        if c['cell_type'] == 'code': c.update(outputs=[], execution_count=None)
    file.write_text(json.dumps(doc), encoding='utf-8')

def judged(nb, file, want):
    "Complain about what did not run"
    cells = code_cells(file)
    for e in (errors := failed(cells)): print(e['ename'], e['evalue'])
    if errors or not done(cells): sys.exit(f'lab: {nb}: {len(errors)} cells failed, or not all {len(cells)} cells ran')
    if pictures(cells) < want: sys.exit(f'lab: {nb}: {pictures(cells)} pictures, expected {want} or more')
    print(f'lab: {nb}: {len(cells)} cells ran, none failed, {pictures(cells)} pictures')

def main():
    with tempfile.TemporaryDirectory() as tmp:
        shutil.copytree(get_config().nbs_path, tmp, dirs_exist_ok=True, ignore=shutil.ignore_patterns('[0-9]*', '_*'))
        url = f'http://127.0.0.1:{(port := free_port())}'
        lab = subprocess.Popen([sys.executable, '-m', 'jupyterlab', f'--port={port}', f'--ServerApp.root_dir={tmp}', *LAB.split()],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               env={k: v for k, v in os.environ.items() if k != 'MPLBACKEND'})  # figures are shown, as to a user
        try:
            wait_for(url + '/api')
            for nb, want in NOTEBOOKS.items():
                cleared(file := Path(tmp)/nb)
                run_all(url, nb, file)
                judged(nb, file, want)
        finally:
            lab.kill()
            lab.wait()

if __name__ == '__main__': main()
