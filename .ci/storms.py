"""Storms: seeded faults of many kinds, injected into fresh copies of good inputs, and what the package makes of each.

    python .ci/storms.py --seed 0 --faults 1500 --json nbs/tutorials/storms.json   # the long storm
    python .ci/storms.py --short                                                   # a fault of each quick kind
    python .ci/storms.py --seed 0 --case videos:17                                 # one fault again, with its traceback

Each fault is one forked process with a folder of its own. It ends in one of

    refused    an error of the package that names a file or a field
    finished   the job is done and its result is the right one (every frame, reading and label carries its number)
    denied     whole input was refused
    silent     the job is done and its result is wrong
    unnamed    somebody else's traceback, or an error that names neither file nor field
    lost       something that was written before is gone or damaged
    executed   a stranger's code ran
    hung       more than 20 s longer than the undamaged job, on a machine that does nothing else
    broken     the storm itself has a mistake

The promise is that only the first two occur.
"""
import argparse, contextlib, dis, hashlib, importlib, io, json, logging, math, os, re, resource, shutil, signal, stat
import sys, tempfile, time, traceback, warnings, zipfile, zlib
from configparser import ConfigParser
from fractions import Fraction
from pathlib import Path
import numpy as np

ENV = dict(HF_HUB_OFFLINE='1', OMP_NUM_THREADS='1', MPLBACKEND='agg', TOKENIZERS_PARALLELISM='false',
           SIM_TRACEBACK='1')  # of the jobs; the last one shows whose exception it was
ROOT = Path(__file__).resolve().parents[1]
PACKAGE = str(ROOT/'sim_nb')
sys.path.insert(0, str(ROOT))
OUTCOMES = ('refused', 'finished', 'denied', 'silent', 'unnamed', 'lost', 'executed', 'hung', 'broken')
GOOD = ('refused', 'finished')
CHANNELS = ['ax', 'ay', 'az', 'gx', 'gy', 'gz', 'v', 'w']
F, K, N, FPS, SIZE = 4, 2, 20, 10, (32, 48)  # frames per window, tokens; rows per drive, frames per second, pixels
LIMIT_S, MEMORY = 20, 12 << 30
ENCODER, LLM = 'random:test_vit@32x32', 'random:gpt2:layers=1,d=32,heads=1'
CAM = 'observation.images.front'

class Wrong(Exception): "The job is done and its result is wrong"
class Lost(Exception): "Something that was written before is gone or damaged"

KINDS = {}

def kind(
    what,           # in words, for the table
    share=1.,       # of the faults, beside the other kinds
    limit=LIMIT_S,  # seconds
    needs='',       # of the good inputs beside the drives: run, dummy, features, export, kernels
):
    "Register a function `case -> None` as a kind of fault"
    def add(f):
        KINDS[f.__name__] = f
        f.what, f.share, f.limit, f.needs = what, share, limit, set(needs.split())
        return f
    return add

# ---- the package, by working names ----

def api(name, *modules):
    "A name of the package, wherever it lives"
    for o in modules:
        if (ROOT/f'sim_nb/{o}.py').exists() and hasattr(m := importlib.import_module(f'sim_nb.{o}'), name):
            return getattr(m, name)
    raise ImportError(f'no {name} in {modules}')

def commands():
    "name -> function, as the console scripts have it"
    ini = ConfigParser(delimiters=['=']); ini.read(ROOT/'settings.ini')
    return dict(o.strip().split('=', 1) for o in ini['DEFAULT']['console_scripts'].splitlines())

def command(name, *args):
    "Run a command of the package in this process"
    mod, _, f = commands()[name].partition(':')
    return getattr(importlib.import_module(mod), f)([str(o) for o in args])

def drives(path, **kw): return api('Drives', 'drives', 'lerobot')(str(path), **{'F': F, **kw})

# ---- good inputs: every frame, reading and label carries its number ----

def code(n, h=SIZE[0], w=SIZE[1]):
    "A picture that shows the 16 bits of a number as 4 x 4 blocks"
    b = np.array([(n >> i) & 1 for i in range(16)], np.uint8).reshape(4, 4)*215 + 20
    x = np.kron(b, np.ones((-(-h//4), -(-w//4)), np.uint8))[:h, :w]
    return np.repeat(x[..., None], 3, 2)

def read_code(x):
    "The number in a picture of any size"
    h, w = x.shape[:2]
    return sum(int(int(x[int((i//4+.5)*h/4), int((i % 4+.5)*w/4), 0]) > 127) << i for i in range(16))

def state(e, n=N):
    "Telemetry float32 [n, 8] of drive `e`; no two rows are equal"
    i = np.arange(n)
    rows = [.1*e + .01*i, .5 + 0*i, 9.8 + .001*i, 0*i, .1*np.sin(i), .02*i, 1 + .02*i, .03*i]
    return np.stack(rows, 1).astype(np.float32)

def labels(i): return dict(risk_id=i % 4, reason_id=i//2 % 4, action_id=i % 6)

def numbers(e, n=N): return [100*e + i + 1 for i in range(n)]

def encode(path, frames, fps=FPS, codec='libx264', pts=None, tb=None, pix='yuv420p', opts=None):
    "Write a video; `pts` in units of `tb` when the frames are not evenly spaced"
    import av
    path = Path(path); path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), 'w') as out:
        st = out.add_stream(codec, rate=Fraction(str(fps)).limit_denominator(100000))
        st.height, st.width, st.pix_fmt = *frames[0].shape[:2], pix
        st.codec_context.options = opts or dict(g='2', crf='18', bf='0', threads='1')
        st.codec_context.thread_count = 1
        if tb: st.codec_context.time_base = st.time_base = tb
        for i, x in enumerate(frames):
            f = av.VideoFrame.from_ndarray(np.ascontiguousarray(x), format='rgb24')
            if pts is not None: f.pts, f.time_base = int(pts[i]), tb
            out.mux(st.encode(f))
        out.mux(st.encode())
    return path

def columns(e, n=N, first=0):
    "The columns of a LeRobot drive"
    i = np.arange(n)
    return {'observation.state': state(e, n), **labels(i), 'timestamp': (i/FPS).astype(np.float32), 'frame_index': i,
            'episode_index': np.full(n, e), 'index': i + first, 'task_index': 0*i}

def table(cols):
    "Columns as an arrow table; vectors have a fixed size"
    import pyarrow as pa
    def one(x):
        if isinstance(x, (pa.Array, pa.ChunkedArray)): return x
        x = np.asarray(x)
        return pa.array(x) if x.ndim == 1 else pa.FixedSizeListArray.from_arrays(pa.array(x.ravel()), x.shape[1])
    return pa.table({k: one(v) for k, v in cols.items()})

def features(**more):
    vec = dict(dtype='float32', shape=[8], names=CHANNELS)
    ints = {k: dict(dtype='int64', shape=[1], names=None) for k in
            ('risk_id', 'reason_id', 'action_id', 'frame_index', 'episode_index', 'index', 'task_index')}
    return {CAM: dict(dtype='video', shape=[*SIZE, 3], names=['height', 'width', 'channels']), 'observation.state': vec,
            'timestamp': dict(dtype='float32', shape=[1], names=None), **ints, **more}

V3 = dict(data_path='data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet',
          video_path='videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4')
V2 = dict(data_path='data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet',
          video_path='videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4')
DATA3, VIDEO3 = 'data/chunk-000/file-000.parquet', f'videos/{CAM}/chunk-000/file-000.mp4'
EPISODES3 = 'meta/episodes/chunk-000/file-000.parquet'

def info(version, drives):
    return dict(codebase_version=version, robot_type='rover', total_episodes=drives, total_frames=drives*N,
        total_tasks=1,
                chunks_size=1000, fps=FPS, splits={'train': f'0:{drives}'}, features=features(),
                **(V3 if version == 'v3.0' else V2))

def write_json(path, o): path.parent.mkdir(parents=True, exist_ok=True); path.write_text(json.dumps(o))

# As `LeRobotWriter` writes: without checksums, a flipped bit that turns 9.8 into 8.8 is a reading like any other,
# and no reader could know.
SUMS = dict(write_page_checksum=True)

def lerobot3(root, n=2):
    "A LeRobot v3.0 dataset: all drives in one parquet file and one video"
    import pyarrow as pa, pyarrow.parquet as pq
    for o in (DATA3, EPISODES3): (root/o).parent.mkdir(parents=True)
    pq.write_table(pa.concat_tables([table(columns(e, first=e*N)) for e in range(n)]), root/DATA3, **SUMS)
    v = f'videos/{CAM}/'
    pq.write_table(pa.Table.from_pylist([{
        'episode_index': e, 'tasks': ['drive'], 'length': N, 'data/chunk_index': 0, 'data/file_index': 0,
        'dataset_from_index': e*N, 'dataset_to_index': (e+1)*N, v+'chunk_index': 0, v+'file_index': 0,
        v+'from_timestamp': e*N/FPS, v+'to_timestamp': (e+1)*N/FPS} for e in range(n)]), root/EPISODES3)
    pq.write_table(pa.table({'task_index': [0], '__index_level_0__': ['drive']}), root/'meta/tasks.parquet')
    write_json(root/'meta/info.json', info('v3.0', n)); write_json(root/'meta/stats.json', {})
    encode(root/VIDEO3, [code(k) for e in range(n) for k in numbers(e)])

def lerobot2(root, n=2):
    "A LeRobot v2.1 dataset: a parquet file and a video for each drive"
    import pyarrow.parquet as pq
    (root/'data/chunk-000').mkdir(parents=True)
    for e in range(n):
        pq.write_table(table(columns(e, first=e*N)), root/f'data/chunk-000/episode_{e:06d}.parquet', **SUMS)
        encode(root/f'videos/chunk-000/{CAM}/episode_{e:06d}.mp4', [code(k) for k in numbers(e)])
    write_json(root/'meta/info.json', info('v2.1', n))
    lines = [json.dumps(dict(episode_index=e, tasks=['drive'], length=N)) for e in range(n)]
    (root/'meta/episodes.jsonl').write_text('\n'.join(lines) + '\n')
    (root/'meta/tasks.jsonl').write_text(json.dumps(dict(task_index=0, task='drive')) + '\n')

HEAD = ['timestamp', 'frame', *CHANNELS, 'risk_id', 'reason_id', 'action_id']

def csv_rows(e, n=N, ext='png'):
    "The lines of a frames.csv, as texts"
    return [[f'{i/FPS:.3f}', f'{i:05d}.{ext}', *(f'{float(v):.6f}' for v in s), *map(str, labels(i).values())]
            for i, s in enumerate(state(e, n))]

def write_csv(path, head, rows, sep=',', eol='\n', enc='utf-8'):
    with open(path, 'w', encoding=enc, newline='', errors='replace') as f: f.write(eol.join(sep.join(r)
        for r in [head, *rows]) + eol)

def pictures(root, n=2, ext='png'):
    "Folders of pictures, each with a frames.csv"
    from PIL import Image
    for e in range(n):
        d = root/f'drive{e}'; d.mkdir(parents=True)
        for i, k in enumerate(numbers(e)): Image.fromarray(code(k)).save(d/f'{i:05d}.{ext}')
        write_csv(d/'frames.csv', HEAD, csv_rows(e, ext=ext))

CLASS = 'sim_nb.lerobot.Drives'

def run_settings(**more):
    "The settings of the good run, for --set"
    o = {'model.llm_name_or_path': LLM, 'model.d': 32, 'model.dv': 64, 'model.F': F, 'model.K': K,
        'model.frozen_dtype': 'fp32',
         'model.vision_encoder_name': ENCODER, 'data.dataset_class_path': CLASS, 'data.dataset_kwargs.F': F,
         'data.train_split_path': 'lerobot3', 'data.val_split_path': 'pictures', 'data.batch_size': 8,
         'training.epochs': 3,
         'training.device': 'cpu', 'output.output_dir': 'run', **more}
    return [f'{k}={v}' for k, v in o.items()]

DUMMY = {'data.dataset_class_path': 'sim_nb.data.DummySimDataset', 'data.train_split_path': 'dummy:train:32',
         'data.val_split_path': 'dummy:val:16', 'data.dataset_kwargs.dv': 64, 'model.vision_encoder_name': 'null'}

def build(home, parts):
    "Everything good that is needed: drives in three layouts, a run, its predictions, features, an export, kernels"
    home.mkdir(parents=True); os.chdir(home)
    os.environ['SIM_NB_CACHE'] = str(home/'spare')
    lerobot3(home/'lerobot3'); lerobot2(home/'lerobot2'); pictures(home/'pictures')
    times = {}
    def timed(name, f):
        t = time.time(); f(); times[name] = time.time() - t
    if parts & {'run', 'export', 'kernels'}:
        command('sim_train', '--config', 'sim_v0', '--set', *run_settings())
        command('sim_predict', '--checkpoint', 'run', '--data', 'lerobot3', '--out', 'predictions.jsonl')
    if 'dummy' in parts:
        o = run_settings(**DUMMY, **{'output.output_dir': 'dummy'})
        timed('train', lambda: command('sim_train', '--config', 'sim_v0', '--set', *o))
    if 'features' in parts:
        os.environ['SIM_NB_CACHE'] = str(home/'fresh')
        timed('cache', lambda: np.save(home/'features.npy', np.asarray(cached(drives('lerobot3'))._table)))
    if 'export' in parts:
        command('sim_export', '--checkpoint', 'run', '--out', 'export', '--precision', 'fp32')
    if 'kernels' in parts:
        os.environ['SIM_NB_CACHE'] = str(home/'kernel_cache')
        write_json(home/'fast.json', fast_logits(home/'run'))
    write_json(home/'times.json', times)

def cached(ds, **kw): return api('cached_dataset', 'cache', 'vision')(ds, ENCODER, progress=False, **kw)

def fast_logits(run):
    "What the compiled kernel, which is kept in the cache, answers to seeded inputs"
    import torch
    inf, g = api('SimV0Inference', 'inference')(run, backend='int8'), np.random.default_rng(0)
    draw = lambda *n: torch.from_numpy(g.normal(size=n).astype(np.float32))
    return inf.predict(dict(vis_feats=draw(3, F, 64), telemetry=draw(3, 8)), probabilities=True)

# ---- one case ----

class Case:
    "One fault: a folder, a source of chance, what may be damaged, and what must hold"
    def __init__(self, name, n, seed, good, folder):
        self.name, self.n, self.seed, self.good, self.dir = name, n, seed, Path(good), Path(folder)
        self.rng = np.random.default_rng([seed, zlib.crc32(name.encode()), n])
        self.what, self.names, self.kept, self.whole, self.refusal = '', [], {}, False, None
        self.canary = self.dir/'canary'

    def pick(self, variants):
        "The next of some variants, so that every one of them occurs; a name, or a key of a dict"
        keys = list(variants)
        k = keys[self.n % len(keys)]
        self.what = f'{self.what} {k}'.strip()
        (self.canary.parent/'what').write_text(self.what)
        return variants[k] if isinstance(variants, dict) else k

    def copy(self, what, to=None):
        "A fresh copy of something good"
        src, dst = self.good/what, self.dir/(to or what)
        dst.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if src.is_dir() else shutil.copy)(src, dst)
        self.names.append(dst.name)
        return dst

    def keep(self, *paths):
        "Files that must stay as they are"
        for p in map(Path, paths):
            for o in ([p] if p.is_file() else sorted(x for x in p.rglob('*')
                if x.is_file())): self.kept[str(o)] = digest(o)

    def flip(self, path, least=1, most=8):
        "Flip some bits of a file"
        b = bytearray(path.read_bytes())
        for i in self.rng.integers(0, len(b),
            self.rng.integers(least, most + 1)): b[i] ^= 1 << int(self.rng.integers(8))
        path.write_bytes(b)
        self.names.append(path.name)

    def mangle(self, path):
        "Cut, fill, repeat or replace the bytes of a file"
        b = path.read_bytes(); n = len(b)
        k = int(self.rng.integers(1, n))
        a, z = sorted(int(o) for o in self.rng.integers(0, n, 2))
        b = self.pick({'cut': b[:k], 'cut near the end': b[:max(n - int(self.rng.integers(1, 200)), 0)], 'empty': b'',
            'zeros at the end': b[:k] + bytes(n - k), 'zeros in the middle': b[:a] + bytes(z - a) + b[z:],
            'begins late': b[k:],
            'bytes missing': b[:a] + b[z:], 'random': self.rng.bytes(n), 'text': b'<html>404 not found</html>',
            'bytes inserted': b[:k] + self.rng.bytes(16) + b[k:], 'bytes exchanged': b[:a] + b[a:z][::-1] + b[z:]})
        path.write_bytes(b)
        self.names.append(path.name)

    # -- jobs with the right answer beside them --

    def predict(self, checkpoint, data=None, *more):
        "`sim_predict`; its lines are those of the undamaged model"
        data = data or self.good/'lerobot3'
        command('sim_predict', '--checkpoint', checkpoint, '--data', data, '--out', 'out.jsonl', *more)
        same_predictions(lines('out.jsonl'), lines(self.good/'predictions.jsonl'))

    def open(self, root, check=True, **kw):
        "Open drives and compare all of them with the truth; `sim_check` sees what the reader refuses"
        self.names.append(Path(root).name)
        error = None
        try:
            ds = drives(root, **kw)
            verify(ds, self)
        except (Wrong, Lost): raise
        except Exception as e: error = e
        if check: self.check(root, error)
        if error: raise error

    def check(self, root, error=None, finds=False):
        "`sim_check` ends without a traceback and names what the reader refuses; `finds`: there is something to find"
        said = io.StringIO()
        try:
            with contextlib.redirect_stdout(said): command('sim_check', '--data', root, '--F', F)
        except SystemExit as e:
            if e.code in (1, 2): return
        if finds and ' 0 warnings' in said.getvalue().splitlines()[-1]: raise Wrong('sim_check finds nothing')
        if error is not None and judge(error,
            self)[0] == 'refused': raise Wrong(f'sim_check finds nothing where the reader refuses: {error}')

def lines(path): return [json.loads(o) for o in Path(path).read_text().splitlines()]

def digest(p): return hashlib.sha256(Path(p).read_bytes()).hexdigest()

def same(a, b, tol=1e-5):
    "Plain data, equal but for rounding"
    if isinstance(a, dict): return isinstance(b, dict) and set(a) == set(b) and all(same(a[k], b[k], tol) for k in a)
    if isinstance(a, (list, tuple)): return isinstance(b, (list, tuple)) and len(a) == len(b) and all(same(x, y, tol)
        for x, y in zip(a, b))
    if isinstance(a, float) or isinstance(b, float): return abs(a - b) <= tol
    return a == b

def same_predictions(got, want):
    if len(got) != len(want): raise Wrong(f'{len(got)} predictions, {len(want)} are right')
    keys = ('risk', 'reason', 'action', 'confidence', 'probabilities')
    for i, (a, b) in enumerate(zip(got, want)):
        if not same({k: a.get(k) for k in keys}, {k: b.get(k) for k in keys}):
            raise Wrong(f'prediction {i} is {a}, {b} is right')

def verify(ds, c=None, skipped=None):
    "Windows of drives against the truth: readings, labels, pictures, and that none is missing without a word"
    truth = {tuple(np.round(s, 3)): (e, i) for e in range(2) for i, s in enumerate(state(e))}
    said, whole = bool(c and c.said), 2*(N - F + 1)
    for w in range(len(ds)):
        t = np.asarray(ds.telemetry[w])
        at = truth.get(tuple(np.round(t.astype(np.float32), 3)))
        if at is None and any(re.search(rf'\b{o}\b', m) for m in c.said for o,
            v in zip(CHANNELS, t) if abs(v) > .2) if c else False: continue  # a warning names the channel
        if at is None: raise Wrong(f'the telemetry of window {w} is {t.tolist()}: no row of the drives')
        e, i = at
        for k, v in labels(i).items():
            y = int(ds.labels[k][w])
            if y == v or y == -100 and said: continue
            raise Wrong(f'{k} of window {w} (drive {e}, row {i}) is {y}, {v} is right')
        want = numbers(e)[i-F+1:i+1] if i >= F - 1 else []
        got = [read_code(x) for x in ds.read_frames(ds.rows[w])]
        if got != want: raise Wrong(f'window {w} (drive {e}, row {i}) shows {got}, {want} is right')
    if ds.sample_ids is not None and len(set(ds.sample_ids)) < len(ds): raise Wrong('two windows have one sample_id')
    if len(ds) < whole and not said: raise Wrong(f'{len(ds)} windows, {whole} are right, and no word about it')
    if len(ds) > whole: raise Wrong(f'{len(ds)} windows, {whole} are right')

# ---- outcomes ----

def by_us(e):
    "Was this exception raised by a `raise` of the package?"
    if type(e).__module__.startswith('sim_nb'): return True
    tb = e.__traceback__
    while tb.tb_next: tb = tb.tb_next
    f = tb.tb_frame.f_code
    if not f.co_filename.startswith(PACKAGE): return False
    return dis.opname[f.co_code[tb.tb_lasti]] in ('RAISE_VARARGS', 'RERAISE')

def in_package(e):
    return any(o.filename.startswith(PACKAGE) for o in traceback.extract_tb(e.__traceback__))

def named(text, c):
    "Does a sentence name the file or the field?"
    return any(o.lower() in text.lower() for o in c.names)

def judge(e, c):
    "(outcome, sentence) of an exception"
    text = f'{type(e).__name__}: {e}'
    if isinstance(e, Wrong): return 'silent', str(e)
    if isinstance(e, Lost): return 'lost', str(e)
    if isinstance(e, SystemExit):
        if e.code in (0, None): return 'finished', ''
        said = (c.dir/'stderr').read_text(errors='replace').strip()
        last = said.splitlines()[-1] if said else ''
        if e.code == 2: return ('refused' if 'error:' in last and 'Traceback' not in said
            and named(last, c) else 'unnamed'), last
        return ('refused' if e.code == 1 else 'unnamed'), f'exit code {e.code}: {last}'
    if not in_package(e): return 'broken', text
    kinds = (ValueError, OSError, KeyError, FloatingPointError)  # what the commands turn into one line and exit code 2
    ours = by_us(e) or isinstance(e, OSError) and e.errno is not None
    if isinstance(e, KeyError) and ' ' not in str(e.args[0] if e.args else ''): ours = False
    if not (ours and isinstance(e, kinds)): return 'unnamed', text
    disk = isinstance(e, OSError) and e.errno in (27, 28)  # file too large, no space left
    return ('refused' if disk or named(str(e), c) else 'unnamed'), text

class Said(logging.Handler):
    def __init__(self, to): super().__init__(logging.WARNING); self.to = to
    def emit(self, r): self.to.append(r.getMessage())

def attempt(c):
    "Run one case in this process: outcome and sentence, and the traceback"
    c.said = []
    log = logging.getLogger('sim_nb'); log.addHandler(Said(c.said))
    tb = ''
    with warnings.catch_warnings():
        warnings.showwarning = lambda m, *a, **k: c.said.append(str(m)) if 'sim_nb' in str(a) else None
        try: KINDS[c.name](c); out, why = 'finished', ''
        except BaseException as e:
            tb = traceback.format_exc()
            out, why = judge(e, c)
    if out == 'refused' and c.whole: out = 'denied'
    if c.refusal and out == 'finished': out, why = 'silent', f'must be refused: {c.refusal}'
    return out, why, tb

def lost(c):
    "A kept file that is gone or changed"
    return next((f'{Path(p).name} is ' + ('changed' if Path(p).is_file() else 'gone') for p, h in c.kept.items()
                 if not Path(p).is_file() or digest(p) != h), None)

def run_case(name, n, seed, good, show=False):
    "One case in a forked process: dict with kind, n, what, outcome, why, s"
    folder = tempfile.mkdtemp(prefix='storm_')
    t0 = time.time()
    pid = os.fork()
    if pid == 0:
        try: _child(name, n, seed, good, folder, show)
        finally: os._exit(0)
    try: return _wait(pid, name, n, folder, t0)
    finally:
        with contextlib.suppress(OSError): os.killpg(pid, signal.SIGKILL)
        for p, _, _ in os.walk(folder): os.chmod(p, 0o700)
        shutil.rmtree(folder, ignore_errors=True)

def _child(name, n, seed, good, folder, show):
    os.setsid()
    import multiprocessing
    multiprocessing.current_process()._config['daemon'] = False  # a job may have workers of its own
    if not show:
        for fd, o in ((1, 'stdout'), (2, 'stderr')): os.dup2(os.open(f'{folder}/{o}', os.O_WRONLY | os.O_CREAT), fd)
    else: open(f'{folder}/stderr', 'w').close()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY)); resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    work = Path(folder)/'work'; work.mkdir()
    os.chdir(work)
    os.environ['SIM_NB_CACHE'] = str(work/'cache')
    c = Case(name, n, seed, good, folder)
    c.dir = work; c.canary = Path(folder)/'canary'
    (work/'stderr').symlink_to('../stderr')
    os.environ['STORM_CANARY'] = str(c.canary)
    out, why, tb = attempt(c)
    sys.stdout.flush(); sys.stderr.flush()
    if show: print(tb, file=sys.stderr)
    if o := lost(c): out, why = 'lost', f'{o}; {why}'
    res = dict(what=c.what, outcome=out, why=why[:600].replace(str(good), 'GOOD').replace(str(work), 'WORK'),
        tb=tb[-3000:])
    tmp = Path(folder)/'result.tmp'
    tmp.write_text(json.dumps(res)); os.replace(tmp, Path(folder)/'result.json')

def _wait(pid, name, n, folder, t0):
    busy = max(1, os.getloadavg()[0]/os.cpu_count())  # others share the machine
    limit = KINDS[name].limit*busy
    while (r := os.waitpid(pid, os.WNOHANG))[0] == 0 and time.time() - t0 < limit: time.sleep(.004)
    res = dict(kind=name, n=n, what='', outcome='', why='', tb='')
    out = Path(folder)/'result.json'
    if r[0] == 0:
        os.killpg(pid, signal.SIGKILL); os.waitpid(pid, 0)
        said = Path(folder)/'what'
        res |= dict(what=said.read_text() if said.exists() else '', outcome='hung', why=f'more than {limit:.0f} s')
    elif out.exists(): res |= json.loads(out.read_text())
    else: res |= dict(outcome='unnamed', why=f'the process ended with {signal.Signals(os.WTERMSIG(r[1])).name}'
        if os.WIFSIGNALED(r[1]) else 'the process ended')
    if (Path(folder)/'canary').exists(): res |= dict(outcome='executed', why=f"a stranger's code ran; {res['why']}")
    return res | dict(s=round(time.time() - t0, 2))

# ---- kinds: a stranger's file ----

CODE = "open(__import__('os').environ['STORM_CANARY'], 'w').write('ran')\n"

def read_pt(p):
    import torch
    return torch.load(p, map_location='cpu', weights_only=True)

def write_pt(o, p):
    import torch
    torch.save(o, p)

@kind('bits flipped in a checkpoint', needs='run')
def checkpoint_flips(c):
    p = c.copy('run/checkpoints/best.pt', 'best.pt')
    c.flip(p, 1, c.pick({'one': 1, 'few': 8, 'many': 200}))
    c.predict(p)

@kind('a checkpoint cut, filled or mixed up', needs='run')
def checkpoint_cuts(c):
    p = c.copy('run/checkpoints/best.pt', 'best.pt')
    c.mangle(p)
    c.predict(p)

HUGE = 10**9

def _weight(f, key='task_token'):
    "Change a weight of a checkpoint"
    def change(o): o['model_state_dict'][key] = f(o['model_state_dict'][key])
    return change

METADATA = {  # what happens to the metadata; a key is set, or a function is called with the checkpoint
    'F huge': dict(F=HUGE), 'K and F huge': dict(K=HUGE, F=HUGE), 'd huge': dict(d=HUGE), 'dv huge': dict(dv=HUGE),
    'd text': dict(d='16'),
    'dv None': dict(dv=None), 'K zero': dict(K=0), 'F negative': dict(F=-4), 'F float': dict(F=4.5),
    'F true': dict(F=True), 'K list': dict(K=[2]),
    'two million layers': dict(llm_name_or_path='random:gpt2:layers=2000000,d=16,heads=2'),
    'wide llm': dict(llm_name_or_path='random:gpt2:layers=1,d=1000000,heads=2'),
    'huge heads': dict(llm_name_or_path='random:gpt2:layers=1,d=16,heads=16000000000'),
    'llm number': dict(llm_name_or_path=7), 'llm None': dict(llm_name_or_path=None),
    'llm folder that is not there': dict(llm_name_or_path='../../nowhere/llm'),
    'llm layers text': dict(llm_layers='1'), 'llm layers huge': dict(llm_layers=HUGE),
    'bands huge': dict(telemetry_bands=HUGE), 'bands text': dict(telemetry_bands='2'),
    'head width huge': dict(head_width=10**12), 'pooling unknown': dict(pooling='sum'),
    'pooling list': dict(pooling=['mean']), 'dropout text': dict(dropout='a lot'), 'dropout 2': dict(dropout=2.),
    'frozen dtype unknown': dict(frozen_dtype='fp1'),
    'frozen dtype list': dict(frozen_dtype=[]), 'skip text': dict(skip='yes'),
    'encoder number': dict(vision_encoder_name=3), 'encoder unknown': dict(vision_encoder_name='no_such'),
    'encoder size huge': dict(vision_encoder_name='random:test_vit@9999999x9999999'),
    'encoder fingerprint': dict(vision_fingerprint='0'*64), 'encoder fingerprint number': dict(vision_fingerprint=0),
    'features number': dict(vision_features=5), 'llm fingerprint': dict(llm_fingerprint='0'*64),
    'llm fingerprint list': dict(llm_fingerprint=['a']),
    'format text': dict(format_version='1'), 'format 2': dict(format_version=2),
    'format None': dict(format_version=None), 'spacing text': dict(frame_spacing_s='0.1'),
    'spacing negative': dict(frame_spacing_s=-1.), 'spacing nan': dict(frame_spacing_s=float('nan')),
    'stats text': dict(telemetry_stats='none'), 'stats short': dict(telemetry_stats=dict(mean=[0.], std=[1.])),
    'stats list': dict(telemetry_stats=[1, 2]), 'stats of text': dict(telemetry_stats=dict(mean=['a']*8, std=['b']*8)),
    'label maps list': dict(label_maps=['none', 'low']), 'label maps text': dict(label_maps='risk'),
    'label maps of numbers': dict(label_maps=dict(risk=5)),
    'labels exchanged': lambda o: o['metadata']['label_maps']['risk'].update({'0': 'high', '3': 'none'}),
    'a label too many': lambda o: o['metadata']['label_maps']['risk'].update({'4': 'extreme'}),
    'data text': dict(data='lerobot3'), 'data list': dict(data=[1]),
    'data without class': dict(data=dict(dataset_kwargs={})),
    'class number': dict(data=dict(dataset_class_path=5, dataset_kwargs={})),
    'kwargs list': dict(data=dict(dataset_class_path=CLASS, dataset_kwargs=[1])),
    'kwargs unknown': dict(data=dict(dataset_class_path=CLASS, dataset_kwargs=dict(colour=1))),
    'kwargs F huge': dict(data=dict(dataset_class_path=CLASS, dataset_kwargs=dict(F=HUGE))),
    'kwargs F text': dict(data=dict(dataset_class_path=CLASS, dataset_kwargs=dict(F='4'))),
    'kwargs image size huge': dict(data=dict(dataset_class_path=CLASS, dataset_kwargs=dict(F=F, image_size=HUGE))),
    'batch size huge': dict(data=dict(dataset_class_path=CLASS, dataset_kwargs=dict(F=F), batch_size=10**15)),
    'batch size text': dict(data=dict(dataset_class_path=CLASS, dataset_kwargs=dict(F=F), batch_size='8')),
    'batch size 0': dict(data=dict(dataset_class_path=CLASS, dataset_kwargs=dict(F=F), batch_size=0)),
    'calibration text': dict(calibration='yes'), 'calibration list': dict(calibration=[1]),
    'calibration without temperatures': dict(calibration=dict(a=1)),
    'calibration of text': dict(calibration=dict(temperatures='hot', certificate=5, guarantee=[])),
    'temperature nan': dict(calibration=dict(temperatures=dict(risk=float('nan')), certificate={}, guarantee='')),
    'metadata list': lambda o: o.update(metadata=[1]), 'metadata None': lambda o: o.update(metadata=None),
    'epoch text': lambda o: o.update(epoch='three'), 'metrics list': lambda o: o.update(metrics=[1]),
    'weights list': lambda o: o.update(model_state_dict=[1]), 'weights empty': lambda o: o.update(model_state_dict={}),
    'number keys': lambda o: o['metadata'].update({5: 6}),
    'a weight is text': lambda o: o['model_state_dict'].update({'task_token': 'x'}),
    'a weight is missing': lambda o: o['model_state_dict'].pop('task_token'),
    'a weight is nan': lambda o: o['model_state_dict']['task_token'].fill_(float('nan')),
    'a weight of another type': _weight(lambda w: w.long()),
    'a weight is complex': _weight(lambda w: w + 1j),
    'a weight is bool': lambda o: o['model_state_dict'].update(task_token=o['model_state_dict']['task_token'] > 0),
    'a weight is scalar': lambda o: o['model_state_dict'].update(task_token=o['model_state_dict']['task_token'].sum()),
    'a weight in half': _weight(lambda w: w.half(), 'heads.heads.risk.weight'),
    'a weight is sparse': _weight(lambda w: w.to_sparse()),
    'a weight is expanded': _weight(lambda w: w.flatten()[:1].expand(1 << 34)),
    'a weight too many': lambda o: o['model_state_dict'].update(more=__import__('torch').zeros(1)),
    'another dict': lambda o: (o.clear(), o.update(a=1)),
    'statistics negative': lambda o: o['model_state_dict']['telemetry_mlp.0.std'].mul_(-1),
    'statistics zero': lambda o: o['model_state_dict']['telemetry_mlp.0.std'].zero_(),
    'metadata deep': lambda o: o['metadata'].update(deep=deep(200)),
    'calibration None': dict(calibration=None), 'calibration seen': dict(calibration=dict(temperatures={},
        certificate=dict(threshold=.3), guarantee='', data=dict(seen=5))),
    'calibration for a number': dict(calibration=dict(temperatures={}, certificate=dict(threshold=.3), guarantee='',
        arithmetic=5)),
    'alarm text': dict(alarm='often'), 'alarm list': dict(alarm=[.3]), 'alarm None': dict(alarm=None),
    'alarm at text': dict(alarm=dict(threshold='.3')), 'alarm at nan': dict(alarm=dict(threshold=float('nan'))),
    'alarm at 3': dict(alarm=dict(threshold=3.)), 'time head text': dict(time_head='off'),
    'time head None': dict(time_head=None), 'time head share': dict(time_head=dict(share=float('nan'))),
    'encoder size large': dict(vision_encoder_name='random:test_vit@9984x9984'),
    'encoder size odd': dict(vision_encoder_name='random:test_vit@33x33'),
}

def deep(n):
    o = 1
    for _ in range(n): o = [o]
    return o

@kind('checkpoint metadata and weights of wrong types and sizes', 2.1, needs='run')
def checkpoint_metadata(c):
    p = c.copy('run/checkpoints/best.pt', 'best.pt')
    o = read_pt(p)
    change = c.pick(METADATA)
    c.names += [LLM, ENCODER, 'label_maps', 'labels', 'telemetry statistics']
    if callable(change): change(o)
    else: o['metadata'].update(change); c.names += [*change,
        *(str(v) for v in change.values() if isinstance(v, (str, int)) and len(str(v)) > 3)]
    write_pt(o, p)
    c.predict(p)

class _Bomb:
    def __init__(self, f, *args): self.f, self.args = f, args
    def __reduce__(self): return self.f, self.args

@kind('code inside or beside a file: pickles, class paths, modules, LLM folders, archives that grow', needs='run')
def strangers(c):
    "The canary is a file that the code would write"
    p = c.copy('run/checkpoints/best.pt', 'best.pt')
    o = read_pt(p)
    for name in ('gift', 'modeling_gift', 'configuration_gift',
        'kernels'): Path(f'{name}.py').write_text(CODE + 'class Data: pass\n')
    for name in ('torch', 'sim_nb', 'gift_package'):
        Path(name).mkdir(); Path(name, '__init__.py').write_text(CODE + 'class Data: pass\n')
    def class_path(path, data=None):
        def f():
            o['metadata']['data']['dataset_class_path'] = path; write_pt(o, p); c.predict(p, data)
        return f
    def pickled(*args):
        def f():
            import pickle
            p.write_bytes(pickle.dumps(_Bomb(*args))); c.predict(p)
        return f
    def in_archive():
        import pickle
        with zipfile.ZipFile(p) as z: parts = {k: z.read(k) for k in z.namelist()}
        with zipfile.ZipFile(p, 'w') as z:
            for k, v in parts.items(): z.writestr(k, pickle.dumps(_Bomb(exec, CODE)) if k.endswith('data.pkl') else v)
        c.predict(p)
    def grown(parts, size):
        def f():
            with zipfile.ZipFile(p) as z: own = {k: z.read(k) for k in z.namelist()}
            with zipfile.ZipFile(p, 'w', zipfile.ZIP_DEFLATED) as z:
                for k, v in own.items():
                    if parts not in k: z.writestr(k, v); continue
                    with z.open(k, 'w', force_zip64=True) as g:
                        g.write(v)
                        for _ in range(size >> 24): g.write(bytes(1 << 24))
            c.predict(p)
        return f
    def folder(weights='model.safetensors', **config):
        def f():
            import torch
            from transformers import AutoModel
            from sim_nb.llm import random_config
            net = AutoModel.from_config(random_config(LLM)); net.save_pretrained('llm')
            for name in ('modeling_gift', 'configuration_gift'):
                Path(f'llm/{name}.py').write_text(CODE + 'class Data: pass\n')
            cfg = json.loads(Path('llm/config.json').read_text()) | config
            Path('llm/config.json').write_text(json.dumps(cfg))
            if weights != 'model.safetensors':
                Path('llm/model.safetensors').unlink(); torch.save(_Bomb(exec, CODE), Path('llm')/weights)
            o['metadata'].update(llm_name_or_path='llm', llm_fingerprint=None); write_pt(o, p)
            c.names += ['llm']
            command('sim_predict', '--checkpoint', p, '--data', c.good/'lerobot3', '--out', 'out.jsonl')
        return f
    kinds = {
        'class path to a module beside': class_path('gift.Data'),
        'class path to a package beside': class_path('gift_package.Data'),
        'class path to another library': class_path('subprocess.Popen', c.canary),
        'class path to a function': class_path('os.system'), 'class path to a builtin': class_path('builtins.list'),
        'class path to one of ours that is no dataset': class_path('sim_nb.config.SimConfig'),
        'class path through ours': class_path('sim_nb.lerobot.Path'),
        'class path with dots': class_path('..gift.Data'), 'class path to a file': class_path('./gift.py'),
        'pickle': pickled(exec, CODE), 'pickle that imports': pickled(__import__, 'gift'),
        'pickle that evaluates': pickled(eval, CODE.strip()), 'pickle in the archive': in_archive,
        'archive grows in the pickle': grown('data.pkl', 4 << 30),
        'archive grows in a tensor': grown('data/0', 4 << 30),
        'archive grows in the version': grown('version', 1 << 30),
        'llm with auto_map': folder(auto_map=dict(AutoConfig='configuration_gift.Data',
        AutoModel='modeling_gift.Data'), model_type='gift'),
        'llm with auto_map of a known type': folder(auto_map=dict(AutoConfig='configuration_gift.Data',
        AutoModel='modeling_gift.Data')),
        'llm with pickled weights': folder('pytorch_model.bin'),
        'llm with kernels': folder(attn_implementation='kernels-community/flash-attn',
        _attn_implementation='gift/kernels'),
        'llm with layers huge': folder(n_layer=2_000_000),
        'llm with a quantizer': folder(quantization_config=dict(quant_method='gift')),
        'llm with types of its own': folder(dtype='gift.Data'),
        'llm with a class': folder(architectures=['Gift'], model_type=['gpt2'])}
    run = c.pick(kinds)
    c.names += ['gift', 'subprocess', 'os.system', 'builtins', 'SimConfig', 'dataset_class_path', 'Path']
    run()

def _nested(n): return 'a: ' + '['*n + ']'*n + '\n'

def _anchors(n):
    "Nine times nine times ... nine items in a few lines"
    name, nine = (lambda i: chr(97 + i)), lambda o: '[' + ','.join([o]*9) + ']'
    lines = [f'a: &a {nine("x")}', *(f'{name(i+1)}: &{name(i+1)} {nine("*" + name(i))}' for i in range(n))]
    return '\n'.join(lines) + '\n'

CONFIGS = {  # text of the file, or {key: value}; then None: must be refused, 'any': may be read, 'train': may train
    'deep lists': (_nested(3000), None), 'deep maps': (''.join('  '*i + f'k{i}:\n' for i in range(400)), None),
    'deep flow': ('a: ' + '{b: '*900 + '}'*900, None),
    'anchors that grow': (_anchors(9), None),
    'an anchor in itself': ('data: &a\n  dataset_kwargs: *a\n', None),
    'tag with code': ('data: !!python/object/apply:os.system ["touch canary"]\n', None),
    'two documents': ('data: {}\n---\nmodel: {}\n', None),
    'tabs': ('data:\n\tbatch_size: 3\n', None), 'a list': ('[1, 2]\n', None), 'a number': ('7\n', None),
    'empty': ('', None), 'only comments': ('# nothing\n', None), 'binary': ('\x00\x01\x02', None),
    'a key twice': ('data:\n  batch_size: 3\n  batch_size: 4\n', None), 'number keys': ('1: 2\n', None),
    'section is text': ('data: yes\n', None), 'section is a list': ('model: [1]\n', None),
    'a key is a list': ('data:\n  [a, b]: 3\n', None),
    'unknown section': ({'modle.d': 16}, None), 'unknown key': ({'model.dd': 16}, None),
    'misspelt': ({'training.epoch': 3}, None), 'text for a number': ({'data.batch_size': 'many'}, None),
    'float for an int': ({'model.F': 4.5}, None),
    'bool for an int': ({'model.K': True}, None), 'list for an int': ({'model.d': [16]}, None),
    'map for text': ({'model.llm_name_or_path': {'a': 1}}, None), 'text for bool': ({'training.amp': 'maybe'}, None),
    'zero': ({'data.batch_size': 0}, None), 'negative': ({'training.epochs': -1}, None),
    'nan': ({'training.lr': float('nan')}, None), 'infinite': ({'training.lr': float('inf')}, None),
    'K over F': ({'model.K': 9, 'model.F': 4}, None),
    'null': ({'model.F': None}, None), 'choice': ({'training.schedule': 'cosine'}, None),
    'dropout': ({'model.dropout': 1.5}, None), 'seed': ({'training.seed': -1}, None),
    'huge seed': ({'training.seed': 10**30}, None),
    'text number': ({'training.lr': '1e-3'}, 'any'), 'float that is whole': ({'model.F': 8.0}, 'any'),
    'path that is a number': ({'data.train_split_path': 5}, 'any'),
    'date': ({'output.output_dir': '2026-01-01'}, 'any'),
    'F huge': ({'model.F': HUGE, 'data.dataset_kwargs.F': HUGE}, 'train'), 'd huge': ({'model.d': HUGE}, 'train'),
    'dv huge': ({'model.dv': HUGE, 'data.dataset_kwargs.dv': HUGE}, 'train'),
    'K and F huge': ({'model.K': HUGE, 'model.F': HUGE}, 'train'),
    'layers huge': ({'model.llm_name_or_path': 'random:gpt2:layers=2000000,d=16,heads=2'}, 'train'),
    'head width huge': ({'model.head_width': 10**12}, 'train'),
    'llm layers huge': ({'model.llm_layers': 10**9}, 'train'), 'batch huge': ({'data.batch_size': 10**15}, 'train'),
    'workers negative': ({'data.num_workers': -1}, None), 'epochs huge': ({'training.epochs': 10**15}, 'train'),
    'lr huge': ({'training.lr': 1e300}, 'train'),
    'dataset huge': ({'data.train_split_path': 'dummy:train:99999999999'}, 'train'),
    'llm unknown': ({'model.llm_name_or_path': 'random:gtp2'}, 'train'),
    'class unknown': ({'data.dataset_class_path': 'sim_nb.data.Dummy'}, 'train'),
    'class is a function': ({'data.dataset_class_path': 'os.system'}, 'train'),
    'class is no dataset': ({'data.dataset_class_path': 'collections.OrderedDict'}, 'train'),
    'kwargs unknown': ({'data.dataset_kwargs.colour': 3}, 'train'),
    'kwargs a list': ({'data.dataset_kwargs': [1]}, 'train'),
    'split that is not there': ({'data.val_split_path': 'dummy:night'}, 'train'),
    'device unknown': ({'training.device': 'abacus'}, 'train'),
    'output is a file': ({'output.output_dir': 'config.yaml'}, 'train'), 'good': ({}, 'train'),
}

@kind('configs: deep, of wrong types, with unknown keys and huge numbers', 1.3)
def configs(c):
    import yaml
    change, must = c.pick(CONFIGS)
    c.whole = c.what == 'good'
    base = dict(data=dict(dataset_class_path=DUMMY['data.dataset_class_path'], train_split_path='dummy:train:16',
        val_split_path='dummy:val:8', batch_size=8, dataset_kwargs=dict(dv=8)),
                model=dict(llm_name_or_path=LLM, dv=8, d=32), training=dict(epochs=2, device='cpu'),
                output=dict(output_dir='run'))
    c.names += ['config.yaml', 'loss']
    if isinstance(change, dict):
        for k, v in change.items():
            o, *_, last = base, *k.split('.')
            for part in k.split('.')[:-1]: o = o.setdefault(part, {})
            o[last] = v
            c.names += [k, last, *([str(v)] if len(str(v)) > 3 else [])]
        text = yaml.safe_dump(base)
    else: text = yaml.safe_dump({k: v for k,
        v in base.items() if k != 'data'}) + change if self_contained(change) else change
    Path('config.yaml').write_text(text)
    cfg = api('load_config', 'config')('config.yaml')
    if must is None: raise Wrong('the config is taken as it is')
    if must == 'any': return
    command('sim_train', '--config', 'config.yaml', '--stop-after', 1)
    if read_pt('run/checkpoints/last.pt')['epoch'] != 1: raise Wrong('no epoch was trained')

def self_contained(text): return False

# ---- kinds: drives ----

def _set(**kw): return lambda i: i.update(kw)
def _pop(*ks): return lambda i: [i.pop(k) for k in ks]
def _feature(k, **kw): return lambda i: i['features'][k].update(kw)

INFO = {
    'fps 0': _set(fps=0), 'fps text': _set(fps='10'), 'fps null': _set(fps=None), 'fps twice': _set(fps=20),
    'fps half': _set(fps=5), 'fps true': _set(fps=True), 'fps list': _set(fps=[10]), 'fps nan': _set(fps=float('nan')),
    'fps 1e9': _set(fps=1e9),
    'fps missing': _pop('fps'), 'version': _set(codebase_version='v9'),
    'version of the other layout': _set(codebase_version='v2.1'), 'version number': _set(codebase_version=3),
    'version missing': _pop('codebase_version'),
    'episodes more': _set(total_episodes=3), 'episodes fewer': _set(total_episodes=1),
    'episodes huge': _set(total_episodes=10**12), 'episodes text': _set(total_episodes='2'),
    'episodes negative': _set(total_episodes=-2), 'episodes true': _set(total_episodes=True),
    'frames more': _set(total_frames=41), 'frames text': _set(total_frames='40'), 'no features': _set(features={}),
    'features list': _set(features=[]), 'features missing': _pop('features'),
    'feature null': lambda i: i['features'].update(x=None),
    'feature text': lambda i: i['features'].update(x='float32'),
    'feature without type': lambda i: i['features'].update(x={}), 'camera missing': lambda i: i['features'].pop(CAM),
    'two cameras': lambda i: i['features'].update({CAM + '2': i['features'][CAM]}),
    'camera is image': _feature(CAM, dtype='image'), 'camera size': _feature(CAM, shape=[480, 640, 3]),
    'state missing': lambda i: i['features'].pop('observation.state'),
    'names missing': _feature('observation.state', names=None),
    'names short': _feature('observation.state', names=CHANNELS[:7]),
    'names exchanged': _feature('observation.state', names=CHANNELS[::-1]),
    'names twice': _feature('observation.state', names=CHANNELS[:7] + ['ax']),
    'names numbers': _feature('observation.state', names=list(range(8))),
    'names nested': _feature('observation.state', names=dict(axes=CHANNELS)),
    'names text': _feature('observation.state', names='axayazgxgygzvw'),
    'shape': _feature('observation.state', shape=[7]), 'shape text': _feature('observation.state', shape='8'),
    'shape huge': _feature('observation.state', shape=[10**12]),
    'shape null': _feature('observation.state', shape=None), 'shape of a label': _feature('risk_id', shape=[4]),
    'label is text': _feature('risk_id', dtype='string'), 'label dtype float': _feature('risk_id', dtype='float32'),
    'data path missing': _pop('data_path'), 'data path null': _set(data_path=None),
    'data path number': _set(data_path=5),
    'video path missing': _pop('video_path'), 'video path null': _set(video_path=None),
    'video path elsewhere': _set(video_path='../../{video_key}.mp4'),
    'video path absolute': _set(video_path='/etc/{video_key}'),
    'data path with code': _set(data_path='{chunk_index.__class__}'),
    'data path wide': _set(data_path='{chunk_index:9999999999}'),
    'data path with a field': _set(data_path='data/{robot}.parquet'),
    'data path open': _set(data_path='data/{chunk_index'), 'data path of one file': _set(data_path=DATA3),
    'video path of one file': _set(video_path=VIDEO3), 'chunks 0': _set(chunks_size=0),
    'chunks null': _set(chunks_size=None), 'chunks text': _set(chunks_size='1000'),
    'chunks negative': _set(chunks_size=-1),
    'a list': 'a list', 'null': 'null', 'broken': 'broken', 'latin-1': 'latin-1', 'a bom': 'a bom',
    'a number that is huge': 'big', 'deep': 'deep', 'a key twice': 'twice', 'missing': 'missing', 'a folder': 'folder',
    'good': lambda i: None,
}

@kind('info.json of a LeRobot dataset', 1.5)
def lerobot_info(c):
    root = c.copy(c.rng.choice(['lerobot3', 'lerobot2']))
    p = root/'meta/info.json'; i = json.loads(p.read_text())
    change = c.pick(INFO)
    c.names += ['info.json', 'camera']
    if callable(change): change(i); p.write_text(json.dumps(i))
    else:
        text = json.dumps(i)
        p.write_bytes({'a list': b'[1]', 'null': b'null', 'broken': text[:-9].encode(),
            'latin-1': text.replace('rover', 'r\xf6ver').encode('latin-1'), 'a bom': b'\xef\xbb\xbf' + text.encode(),
            'big': text.replace('"fps": 10', '"fps": 1' + '0'*5000).encode(),
                       'deep': text[:-1].encode() + b', "x": ' + b'['*100000 + b']'*100000 + b'}',
                       'twice': text[:-1].encode() + b', "fps": 20}', 'missing': b'', 'folder': b''}[change])
        if change in ('missing', 'folder'): p.unlink()
        if change == 'folder': p.mkdir()
    c.whole = c.what == 'good'
    if c.what == 'names exchanged': return c.check(root, finds=True)  # the reader cannot know, the audit misses gravity
    c.open(root)

def _swap(x, i, j): x = np.array(x); x[[i, j]] = x[[j, i]]; return x

FROM = f'videos/{CAM}/from_timestamp'

EPISODES = {  # of meta/episodes, rows of dicts; some only exist in one of the two layouts
    'length more': lambda r: r[0].update(length=N + 1), 'length less': lambda r: r[1].update(length=N - 1),
    'length 0': lambda r: r[0].update(length=0), 'length negative': lambda r: r[0].update(length=-N),
    'length text': lambda r: [o.update(length=str(N)) for o in r],
    'length float': lambda r: [o.update(length=float(N)) for o in r],
    'length null': lambda r: r[0].update(length=None), 'length huge': lambda r: r[0].update(length=10**15),
    'length half': lambda r: [o.update(length=N + .5) for o in r],
    'index twice': lambda r: r[1].update(episode_index=0),
    'index gap': lambda r: r[1].update(episode_index=5), 'index negative': lambda r: r[0].update(episode_index=-1),
    'index text': lambda r: [o.update(episode_index=str(o['episode_index'])) for o in r],
    'index float': lambda r: [o.update(episode_index=float(o['episode_index'])) for o in r],
    'index bool': lambda r: [o.update(episode_index=bool(o['episode_index'])) for o in r],
    'order': lambda r: r.reverse(), 'one missing': lambda r: r.pop(), 'one twice': lambda r: r.append(dict(r[0])),
    'none': lambda r: r.clear(), 'tasks null': lambda r: r[0].update(tasks=None),
    'tasks text': lambda r: [o.update(tasks='drive') for o in r],
    'tasks number': lambda r: [o.update(tasks=5) for o in r],
    'task with U+2028': lambda r: [o.update(tasks=['to\u2028the door']) for o in r],
    'from_timestamp late': lambda r: r[1].update({f'videos/{CAM}/from_timestamp': 2.3}),
    'from_timestamp text': lambda r: [o.update({FROM: str(o.get(FROM))}) for o in r],
    'from_timestamp null': lambda r: r[1].update({FROM: None}),
    'from_timestamp nan': lambda r: r[1].update({FROM: float('nan')}),
    'from_timestamp negative': lambda r: r[0].update({f'videos/{CAM}/from_timestamp': -1.}),
    'chunk float': lambda r: [o.update({'data/chunk_index': 0.}) for o in r],
    'chunk text': lambda r: [o.update({'data/chunk_index': '0'}) for o in r],
    'chunk negative': lambda r: r[0].update({'data/chunk_index': -1}),
    'chunk missing': lambda r: [o.pop('data/chunk_index', 0) for o in r],
    'file other': lambda r: r[1].update({'data/file_index': 1}),
    'from_index': lambda r: r[1].update(dataset_from_index=0),
    'indices exchanged': lambda r: r[0].update(dataset_from_index=N, dataset_to_index=0), 'good': lambda r: None,
    'bytes': 'bytes', 'latin-1': 'latin-1', 'no newline': 'no newline', 'cut': 'cut',
}

@kind('lists of episodes')
def lerobot_episodes(c):
    import pyarrow as pa, pyarrow.parquet as pq
    change = c.pick(EPISODES)
    good = lines(c.good/'lerobot2/meta/episodes.jsonl')
    if callable(change): change(rows := [dict(o) for o in good])
    keys = 'episode_index', 'tasks', 'length'  # what v2 has
    only_v3 = callable(change) and c.what != 'good' and [{k: o.get(k) for k in keys} for o in rows] == good
    only_v2 = c.what in ('latin-1', 'no newline')
    root = c.copy('lerobot3' if only_v3 else 'lerobot2' if only_v2 else c.rng.choice(['lerobot3', 'lerobot2']))
    v3 = root.name == 'lerobot3'
    p = root/(EPISODES3 if v3 else 'meta/episodes.jsonl')
    rows = pq.read_table(p).to_pylist() if v3 else good
    c.names += [p.name, 'info.json', 'file-000']
    if callable(change):
        change(rows)
        if v3: pq.write_table(pa.Table.from_pylist(rows) if rows else pq.read_table(p).slice(0, 0), p)
        else: p.write_text(''.join(json.dumps({k: v for k, v in o.items() if '/' not in k}, ensure_ascii=False) + '\n'
                                   for o in rows), encoding='utf-8')
    elif change == 'bytes': c.flip(p)
    elif change == 'cut': p.write_bytes(p.read_bytes()[:-int(c.rng.integers(1, 60))])
    elif change == 'latin-1': p.write_bytes(p.read_text().replace('drive', 'fahr f\xfcr mich').encode('latin-1'))
    else: p.write_text(p.read_text().rstrip())
    c.whole = c.what in ('good', 'no newline', 'task with U+2028', 'order')
    c.open(root)

def _row(cols, keep): return {k: v[keep] for k, v in cols.items()}

def rows_faults(c):
    "name -> function of the columns of one drive: the columns with a fault"
    r = int(c.rng.integers(2, N - 2)); ch = int(c.rng.integers(8)); i = np.arange(N)
    def tel(v, dtype=np.float32):
        def f(o): s = o['observation.state'].astype(dtype); s[r, ch] = v; return {**o, 'observation.state': s}
        return f
    def time(g, dtype=np.float64): return lambda o: {**o,
        'timestamp': g(o['timestamp'].astype(np.float64)).astype(dtype)}
    def put(k, g): return lambda o: {**o, k: g(o[k])}
    def late(t): t[r:] += 3; return t
    return {
        'dropped': lambda o: _row(o, i != r), 'dropped and counted': lambda o: _row(o, i != r),
        'first dropped': lambda o: _row(o, i > 0), 'last dropped': lambda o: _row(o, i < N - 1),
        'doubled': lambda o: _row(o, np.r_[i, r]), 'doubled in place': lambda o: _row(o, np.sort(np.r_[i, r])),
        'doubled over the next': lambda o: _row(o, np.where(i == r + 1, r, i)),
        'swapped': lambda o: _row(o, _swap(i, r, r + 1)), 'reversed': lambda o: _row(o, i[::-1]),
        'shuffled': lambda o: _row(o, c.rng.permutation(N)), 'telemetry swapped': put('observation.state', lambda s: s),
        'nan': tel(np.nan), 'inf': tel(-np.inf), '1e30': tel(1e30, np.float64),
        '1e39 in float64': tel(1e39, np.float64), '-1e6': tel(-1e6),
        'channel in mm': lambda o: {**o, 'observation.state': o['observation.state'] * np.where(np.arange(8) == 6,
        1000, 1).astype(np.float32)},
        'channel in degrees': lambda o: {**o,
        'observation.state': o['observation.state'] * np.where(np.isin(np.arange(8), (3, 4, 5, 7)), 57.3,
        1).astype(np.float32)}, 'channel in g': lambda o: {**o,
        'observation.state': o['observation.state'] / np.where(np.arange(8) < 3, 9.80665, 1).astype(np.float32)},
        'ms': time(lambda t: t*1e3), 'us': time(lambda t: t*1e6), 'ns': time(lambda t: t*1e9),
        'minutes': time(lambda t: t/60), 'wall clock': time(lambda t: t + 1.7e9),
        'wall clock in float32': time(lambda t: t + 1.7e9, np.float32),
        'wall clock in ms': time(lambda t: (t + 1.7e9)*1e3),
        'one time late': time(lambda t: np.where(i == r, t + .04, t)), 'a gap': time(late),
        'a gap at wall clock': time(lambda t: late(t) + 1.7e9),
        'jitter': time(lambda t: t + np.r_[0, c.rng.uniform(-.01, .01, N - 1)]), 'drift': time(lambda t: t*1.04),
        'twice as slow': time(lambda t: t*2), 'time twice': time(lambda t: np.where(i == r, t[r-1], t)),
        'time back': time(lambda t: np.where(i == r, t[0], t)),
        'time nan': time(lambda t: np.where(i == r, np.nan, t)),
        'time inf': time(lambda t: np.where(i == N - 1, np.inf, t)), 'times 0': time(lambda t: 0*t),
        'times negative': time(lambda t: t - 5), 'offset': time(lambda t: t + 5),
        'times text': lambda o: {**o, 'timestamp': np.array([str(t) for t in o['timestamp']])},
        'times int': put('timestamp', lambda t: (10*t).astype(int)),
        'time missing': lambda o: {k: v for k, v in o.items() if k != 'timestamp'},
        'state missing': lambda o: {k: v for k, v in o.items() if k != 'observation.state'},
        'state of 7': put('observation.state', lambda s: s[:, :7]),
        'state of 9': put('observation.state', lambda s: np.hstack([s, s[:, :1]])),
        'state text': put('observation.state', lambda s: np.array([str(o) for o in s])),
        'episode other': lambda o: {**o, 'episode_index': np.where(i == r, 1 - o['episode_index'],
        o['episode_index'])}, 'episode 9': lambda o: {**o, 'episode_index': np.where(i == r, 9, o['episode_index'])},
        'episode float': put('episode_index', lambda x: x.astype(float)),
        'episode half': put('episode_index', lambda x: x + .5),
        'frame_index swapped': put('frame_index', lambda x: _swap(x, r, r + 1)),
        'frame_index from 1': put('frame_index', lambda x: x + 1), 'frame_index 0': put('frame_index', lambda x: 0*x),
        'frame_index text': put('frame_index', lambda x: np.array([f'f{o}' for o in x])),
        'frame_index float nan': put('frame_index', lambda x: np.where(i == r, np.nan, x)),
        'frame_index twice as fast': put('frame_index', lambda x: 2*x), 'good': lambda o: o,
        'weight negative': lambda o: {**o, 'weight': np.where(i == r, -1., 1.)},
        'weight nan': lambda o: {**o, 'weight': np.where(i == r, np.nan, 1.)},
        'weight text': lambda o: {**o, 'weight': np.array(['a']*N)},
        'float64 state': put('observation.state', lambda s: s.astype(float)),
    }

@kind('rows of a parquet file: lost, doubled, exchanged, in other units', 2)
def lerobot_rows(c):
    import pyarrow as pa, pyarrow.parquet as pq
    root = c.copy(c.rng.choice(['lerobot3', 'lerobot2']))
    v3, e = root.name == 'lerobot3', int(c.rng.integers(2))
    change = c.pick(rows_faults(c))
    both = [columns(k, first=k*N) for k in range(2)]
    both[e] = change(both[e])
    other = c.what in ('times text', 'time missing', 'state missing', 'state of 7', 'state of 9', 'state text',
        'frame_index text', 'episode half', 'weight text', 'weight negative', 'weight nan')
    if other or v3 and len({k: str(np.asarray(v).dtype) for k,
        v in both[e].items()}) != 0: both[1-e] = change(both[1-e]) if other else both[1-e]
    for k in both[e]:  # one file has one type per column
        if k in both[1-e]: both[1-e][k] = np.asarray(both[1-e][k]).astype(np.asarray(both[e][k]).dtype)
    if c.what == 'dropped and counted': _count_less(root, e)
    if v3: pq.write_table(pa.concat_tables([table(o) for o in both]), root/DATA3)
    else:
        for k, o in enumerate(both): pq.write_table(table(o), root/f'data/chunk-000/episode_{k:06d}.parquet')
    c.names += ['file-000', 'episode_0', 'info.json', 'timestamp', 'observation.state', *CHANNELS, 'ep000', 'ep001',
        f'episode {e}']
    c.whole = c.what in ('good', 'wall clock', 'jitter', 'offset')
    if c.what == 'channel in g': return c.check(root, finds=True)  # no limit is passed: only the audit can know
    c.open(root, on_drop='skip' if c.rng.random() < .3 else 'error')

def _count_less(root, e):
    "The metadata of a dataset whose drive `e` has a row less"
    import pyarrow as pa, pyarrow.parquet as pq
    i = json.loads((root/'meta/info.json').read_text())
    write_json(root/'meta/info.json', i | dict(total_frames=i['total_frames'] - 1))
    if root.name == 'lerobot3':
        r = pq.read_table(root/EPISODES3).to_pylist()
        r[e]['length'] -= 1
        for k in range(e, 2):
            r[k]['dataset_to_index'] -= 1
            if k > e: r[k]['dataset_from_index'] -= 1
        pq.write_table(pa.Table.from_pylist(r), root/EPISODES3)
    else:
        r = lines(root/'meta/episodes.jsonl'); r[e]['length'] -= 1
        (root/'meta/episodes.jsonl').write_text(''.join(json.dumps(o) + '\n' for o in r))

@kind('parquet files, byte by byte')
def parquet_bytes(c):
    root = c.copy(c.rng.choice(['lerobot3', 'lerobot2']))
    p = sorted((root/'data').rglob('*.parquet'))[0]
    if c.n % 2: c.flip(p)
    else: c.mangle(p)
    c.names += [p.name]
    c.open(root)

@kind('videos: cut, with holes, at another rate, of lost frames', 2)
def videos(c):
    import av
    root = c.copy(c.rng.choice(['lerobot3', 'lerobot2']))
    e = int(c.rng.integers(2))
    p = root/VIDEO3 if root.name == 'lerobot3' else root/f'videos/chunk-000/{CAM}/episode_{e:06d}.mp4'
    own = [k for d in ((0, 1) if root.name == 'lerobot3' else (e,)) for k in numbers(d)]
    n = len(own); r = int(c.rng.integers(1, n - 1)); ms = Fraction(1, 1000)
    pics = lambda ks: [code(k) for k in ks]
    without = lambda *rs: [i for i in range(n) if i not in rs]
    timed = lambda ks, t: lambda: encode(p, pics([own[i] for i in ks]), pts=[int(o) for o in t], tb=ms)
    def rotated():
        import subprocess
        encode(p, [np.ascontiguousarray(np.rot90(code(k), 2)) for k in own])
        b = p.read_bytes(); unit = (0x10000).to_bytes(4, 'big'); minus = (0x100000000 - 0x10000).to_bytes(4, 'big')
        one = unit + bytes(4)*3 + unit + bytes(4)*3 + (0x40000000).to_bytes(4, 'big')
        at = [m.start() for m in re.finditer(re.escape(one), b)]
        turned = minus + bytes(12) + minus + bytes(4) + (SIZE[1] << 16).to_bytes(4,
            'big') + (SIZE[0] << 16).to_bytes(4, 'big') + (0x40000000).to_bytes(4, 'big')
        i = at[-1]  # that of the track; the film has one too
        p.write_bytes(b[:i] + turned + b[i+36:])
    def first_lost(): encode(p, pics(own[1:]), pts=[100*i for i in range(1, n)], tb=ms)
    run = c.pick({
        'cut': lambda: c.mangle(p), 'flipped': lambda: c.flip(p, 1, 40), 'missing': p.unlink,
        'empty': lambda: p.write_bytes(b''),
        'twice the rate': lambda: encode(p, pics(own), fps=20), 'half the rate': lambda: encode(p, pics(own), fps=5),
        'rate 9': lambda: encode(p, pics(own), fps=9), 'a frame lost in the middle': timed(without(r),
        [100*i for i in without(r)]), 'a frame lost, times close up': lambda: encode(p,
        pics([own[i] for i in without(r)])),
        'first frame lost': timed(without(0), [100*i for i in without(0)]),
        'last frame lost': timed(without(n-1), [100*i for i in without(n-1)]),
        'two frames lost': timed(without(1, r + 0), [100*i for i in without(1, r)]),
        'a frame twice': timed(sorted([*range(n), r]), np.sort(np.r_[np.arange(n)*100, r*100 + 50])),
        'a frame late': timed(range(n), [100*i + 70*(i == r) for i in range(n)]),
        'all late': timed(range(n), [100*i + 1000 for i in range(n)]),
        'a hole': timed(range(n), [100*i + 2000*(i >= r) for i in range(n)]),
        'variable rate': timed(range(n), np.r_[0, np.cumsum(c.rng.integers(20, 180, n - 1))]),
        'lost frame, lost row': 'lost', 'lost frame, row lost elsewhere': 'elsewhere',
        'too long': lambda: encode(p, pics(own + own[-1:])), 'one frame': lambda: encode(p, pics(own[:1])),
        'other size': lambda: encode(p, [code(k, 64, 96) for k in own]),
        'long gop': lambda: encode(p, pics(own), opts=dict(g='50', crf='18', bf='3', threads='1')),
        'mpeg4': lambda: encode(p, pics(own), codec='mpeg4', opts={}),
        'yuv444': lambda: encode(p, pics(own), pix='yuv444p'), 'turned by its matrix': rotated,
        'a picture': lambda: p.write_bytes((c.good/'pictures/drive0/00000.png').read_bytes()),
        'only sound': lambda: _sound(p), 'good': lambda: None, 'a folder': lambda: (p.unlink(), p.mkdir()),
        'a text': lambda: p.write_text('version https://git-lfs.github.com/spec/v1\n')})
    c.names += [p.name, 'file-000', 'episode_0', 'info.json', 'ep000', 'ep001', 'timestamp']
    skip = c.rng.random() < .5 and c.what != 'a frame lost, times close up'  # nobody can know which
    if run in ('lost', 'elsewhere'): _lose(c, root, p, own, e, run == 'elsewhere')
    else: run()
    c.whole = c.what in ('good', 'long gop', 'mpeg4', 'yuv444')
    c.open(root, on_drop='skip' if skip else 'error')

def _lose(c, root, p, own, e, elsewhere):
    "A frame and a row are lost, the counts are right"
    import pyarrow as pa, pyarrow.parquet as pq
    r = int(c.rng.integers(2, 8)); q = int(c.rng.integers(11, 18)) if elsewhere else r
    first = e*N if len(own) > N else 0
    keep = [i for i in range(len(own)) if i != first + r]
    encode(p, [code(own[i]) for i in keep], pts=[100*i for i in keep], tb=Fraction(1, 1000))
    both = [columns(k, first=k*N) for k in range(2)]
    both[e] = _row(both[e], np.arange(N) != q)
    _count_less(root, e)
    if root.name == 'lerobot3': pq.write_table(pa.concat_tables([table(o) for o in both]), root/DATA3)
    else: pq.write_table(table(both[e]), root/f'data/chunk-000/episode_{e:06d}.parquet')

def _sound(p):
    import av
    with av.open(str(p), 'w') as out:
        st = out.add_stream('aac', rate=16000, layout='mono')
        f = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format='fltp', layout='mono'); f.rate = 16000
        out.mux(st.encode(f)); out.mux(st.encode())

@kind('folders of pictures: names, orientation, depth, damage, sizes', 1.5)
def picture_folders(c):
    from PIL import Image
    root = c.copy('pictures'); e = int(c.rng.integers(2)); d = root/f'drive{e}'
    r = int(c.rng.integers(1, N - 1)); one = d/f'{r:05d}.png'
    def every(save, ext='png', keep_csv=False):
        def f():
            for i, k in enumerate(numbers(e)):
                (d/f'{i:05d}.png').unlink(); save(code(k), d/f'{i:05d}.{ext}')
            if ext != 'png': write_csv(d/'frames.csv', HEAD, csv_rows(e, ext=ext))
        return f
    def no_column(name):
        def f():
            for i in range(N): os.rename(d/f'{i:05d}.png', d/f'.{i}.tmp')
            for i in range(N): os.rename(d/f'.{i}.tmp', d/name(i))
            write_csv(d/'frames.csv', [HEAD[0], *HEAD[2:]], [[o[0], *o[2:]] for o in csv_rows(e)])
        return f
    def exif(o):
        turn = {2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90,
            8: Image.Transpose.ROTATE_270}[o]
        def save(x, q):
            x = Image.fromarray(x).transpose(turn); ex = Image.Exif(); ex[0x112] = o
            x.save(q, quality=95, exif=ex)
        return save
    as_mode = lambda mode, ext='png', **kw: every(lambda x, q: Image.fromarray(x).convert(mode).save(q, **kw), ext)
    depth = lambda dtype, k: every(lambda x, q: Image.fromarray((x[..., 0].astype(dtype)*k)).save(q))
    def header(size):
        "A png that says it is huge"
        import struct
        b = bytearray(one.read_bytes()); b[16:24] = struct.pack('>II', size, size); b[29:33] = struct.pack('>I',
            zlib.crc32(bytes(b[12:29]))); one.write_bytes(b)
    run = c.pick({
        'unpadded names without a column': no_column(lambda i: f'{i}.png'),
        'names with a date without a column': no_column(lambda i: f'cam_2026-01-0{1+i//10}_{i % 10}.png'),
        'names around 10 without a column': no_column(lambda i: f'frame{i+95}.png'),
        'padded names without a column': no_column(lambda i: f'{i:03d}.png'),
        'names of two kinds without a column': no_column(lambda i: f'{i:02d}.png' if i < 10 else f'b{i:02d}.PNG'),
        'negative names without a column': no_column(lambda i: f'{i-10}.png'),
        'hex names without a column': no_column(lambda i: f'{i:x}.png'),
        'times as names without a column': no_column(lambda i: f'{9.5+i/10:.1f}.png'),
        'exif 3': every(exif(3), 'jpg'), 'exif 6': every(exif(6), 'jpg'), 'exif 8': every(exif(8), 'jpg'),
        'exif 2': every(exif(2), 'jpg'), 'exif in a png': every(exif(3)), 'grey 16': depth(np.uint16, 257),
        'grey 8': as_mode('L'), 'colour 16': every(_png16), 'one bit': every(lambda x,
        q: Image.fromarray(x[..., 0] > 127).save(q)), 'palette': as_mode('P'), 'alpha': as_mode('RGBA'),
        'grey alpha': as_mode('LA'),
        'cmyk jpeg': as_mode('CMYK', 'jpg', quality=95), 'grey jpeg': as_mode('L', 'jpg', quality=95),
        'jpeg': as_mode('RGB', 'jpg', quality=95), 'progressive jpeg': as_mode('RGB', 'jpg', quality=95,
        progressive=True), 'floats': every(lambda x, q: Image.fromarray(x[..., 0].astype(np.float32)).save(q,
        format='TIFF')),
        'one grey 16': lambda: Image.fromarray(code(numbers(e)[r])[..., 0].astype(np.uint16)*257).save(one),
        'animated': lambda: Image.fromarray(code(numbers(e)[r])).save(one, format='GIF', save_all=True,
        append_images=[Image.fromarray(code(7))]),
        'cut': lambda: one.write_bytes(one.read_bytes()[:int(c.rng.integers(1, 90))]), 'flipped': lambda: c.flip(one),
        'empty': lambda: one.write_bytes(b''), 'text': lambda: one.write_text('not a picture'), 'missing': one.unlink,
        'a folder': lambda: (one.unlink(), one.mkdir()), 'a dead link': lambda: (one.unlink(),
        one.symlink_to('nowhere.png')),
        'a link in a circle': lambda: (one.unlink(), one.symlink_to(one.name)),
        'a pipe': lambda: (one.unlink(), os.mkfifo(one)), 'another size': lambda: Image.fromarray(code(numbers(e)[r],
        64, 96)).save(one), 'all of another size': every(lambda x,
        q: Image.fromarray(np.kron(x, np.ones((2, 2, 1), np.uint8))).save(q)),
        'odd size': every(lambda x, q: Image.fromarray(np.pad(x, ((0, 1), (0, 1), (0, 0)), 'edge')).save(q)),
        'one pixel': lambda: Image.fromarray(np.zeros((1, 1, 3), np.uint8)).save(one),
        'huge in its header': lambda: header(60000), 'larger in its header': lambda: header(9000),
        'all huge in their header': lambda: [header(30000) for one in [one]],
        'cut jpeg': lambda: (every(lambda x, q: Image.fromarray(x).save(q, quality=95), 'jpg')(),
        _cut(d/f'{r:05d}.jpg', c)), 'flipped jpeg': lambda: (every(lambda x, q: Image.fromarray(x).save(q, quality=95),
        'jpg')(), c.flip(d/f'{r:05d}.jpg')),
        'more pictures': lambda: Image.fromarray(code(5)).save(d/'99999.png'),
        'more pictures without a column': lambda: (no_column(lambda i: f'{i:05d}.png')(),
        Image.fromarray(code(5)).save(d/'00007b.png')), 'named twice': lambda: _csv(d, e,
        lambda rows: rows[r].__setitem__(1, rows[r-1][1])), 'outside': lambda: _csv(d, e,
        lambda rows: rows[r].__setitem__(1, '../drive0/00000.png')), 'good': lambda: None})
    c.names += [one.stem, 'frames.csv', f'drive{e}', 'image_size', *(o.name for o in d.glob('*'))]
    run()
    c.names += [o.name for o in d.glob('*')]
    c.whole = c.what in ('good', 'grey 8', 'palette', 'alpha', 'jpeg', 'more pictures', 'padded names without a column')
    kw = dict(image_size=SIZE) if c.rng.random() < .2 and c.what != 'one pixel' else {}
    if c.what == 'named twice': return c.check(root, finds=True)
    c.open(root, **kw)

def _png16(x, q):
    "A colour png of 16 bits, which Pillow does not write"
    import struct
    h, w = x.shape[:2]
    part = lambda k, b: struct.pack('>I', len(b)) + k + b + struct.pack('>I', zlib.crc32(k + b))
    rows = (x.astype('>u2')*257).astype('>u2')
    raw = b''.join(b'\0' + r.tobytes() for r in rows)
    Path(q).write_bytes(b'\x89PNG\r\n\x1a\n' + part(b'IHDR',
        struct.pack('>IIBBBBB', w, h, 16, 2, 0, 0, 0)) + part(b'IDAT', zlib.compress(raw)) + part(b'IEND', b''))

def _cut(p, c): b = p.read_bytes(); p.write_bytes(b[:int(c.rng.integers(len(b)//3, len(b) - 2))])

def _csv(d, e, change, **kw):
    rows = csv_rows(e); change(rows); write_csv(d/'frames.csv', HEAD, rows, **kw)

@kind('dialects and defects of CSV', 1.5)
def csv_dialects(c):
    root = c.copy('pictures'); e = int(c.rng.integers(2)); d = root/f'drive{e}'; p = d/'frames.csv'
    r = int(c.rng.integers(1, N - 1)); rows = csv_rows(e); text = p.read_text()
    def cells(f): return lambda: write_csv(p, HEAD, [[f(i, j, o) for j, o in enumerate(row)] for i,
        row in enumerate(rows)])
    def one(j, v): return cells(lambda i, k, o: v if (i, k) == (r, j) else o)
    def head(f, **kw): return lambda: write_csv(p, [f(o) for o in HEAD], rows, **kw)
    comma = lambda i, j, o: o.replace('.', ',') if j != 1 else o
    def line(f): return lambda: p.write_text('\n'.join(f(text.rstrip('\n').split('\n'))) + '\n')
    run = c.pick({
        'semicolons': lambda: write_csv(p, HEAD, rows, ';'), 'tabs': lambda: write_csv(p, HEAD, rows, '\t'),
        'bars': lambda: write_csv(p, HEAD, rows, '|'), 'blanks': lambda: write_csv(p, HEAD, rows, ' '),
        'semicolons and decimal commas': lambda: write_csv(p, HEAD,
        [[comma(0, j, o) for j, o in enumerate(row)] for row in rows], ';'),
        'decimal commas': cells(comma), 'decimal commas in quotes': cells(lambda i, j, o: f'"{comma(i, j, o)}"'),
        'capitals': head(str.capitalize), 'upper': head(str.upper), 'blanks in the header': head(lambda o: f' {o} '),
        'quotes': head(lambda o: f'"{o}"'), 'units in the header': head(lambda o: f'{o} [SI]'),
        'no header': lambda: write_csv(p, rows[0], rows[1:]),
        'header twice': lambda: write_csv(p, HEAD, [HEAD, *rows]),
        'a column twice': lambda: write_csv(p, [*HEAD, 'v'], [[*o, '0.5'] for o in rows]),
        'a label twice': lambda: write_csv(p, [*HEAD, 'risk_id'], [[*o, '3'] for o in rows]),
        'time twice': lambda: write_csv(p, [*HEAD, 'timestamp'], [[*o, str(2*i)] for i, o in enumerate(rows)]),
        'names twice but for case': lambda: write_csv(p, [*HEAD, 'V'], [[*o, '0.5'] for o in rows]),
        'utf-16': lambda: p.write_bytes(text.encode('utf-16')),
        'latin-1': lambda: p.write_bytes(text.replace('w,', 'w\xfc,', 1).encode('latin-1')),
        'a bom': lambda: p.write_bytes(b'\xef\xbb\xbf' + text.encode()),
        'crlf': lambda: write_csv(p, HEAD, rows, eol='\r\n'), 'cr': lambda: write_csv(p, HEAD, rows, eol='\r'),
        'nul': one(5, '1\x002'), 'a form feed': one(5, '1\x0c'),
        'empty lines': lambda: write_csv(p, HEAD, rows, eol='\n\n'),
        'comments': line(lambda o: [o[0], '# made by hand', *o[1:]]),
        'a line cut': line(lambda o: [*o[:r], o[r][:9], *o[r+1:]]),
        'last line cut': line(lambda o: [*o[:-1], o[-1][:-3]]),
        'one field less': line(lambda o: [*o[:r], o[r].rpartition(',')[0], *o[r+1:]]),
        'one field more': line(lambda o: [*o[:r], o[r] + ',7', *o[r+1:]]),
        'a trailing comma': line(lambda o: [x + ',' for x in o]), 'a quote that stays open': one(5, '"1'),
        'a line twice': line(lambda o: [*o[:r+1], o[r], *o[r+1:]]),
        'a line dropped': line(lambda o: [x for i, x in enumerate(o) if i != r]),
        'lines exchanged': line(lambda o: [*o[:r], o[r+1], o[r], *o[r+2:]]),
        'lines reversed': line(lambda o: [o[0], *o[:0:-1]]), 'empty': lambda: p.write_text(''),
        'only a header': lambda: write_csv(p, HEAD, []),
        'one line': lambda: write_csv(p, HEAD, rows[:1]), 'missing': p.unlink,
        'a folder': lambda: (p.unlink(), p.mkdir()), 'backslashes': cells(lambda i, j, o: '.\\' + o if j == 1 else o),
        'a path': cells(lambda i, j, o: './' + o if j == 1 else o), 'a field of a megabyte': one(5, '1' + '0'*1000000),
        'nan': one(2 + c.n % 8, 'nan'), 'inf': one(2, '-inf'), 'no number': one(3, 'n/a'), 'nothing': one(4, ''),
        '1e30': one(8, '1e30'), '1e999': one(8, '1e999'),
        'thousands': one(2, '1 000'), 'underscores': one(8, '1_0'),
        'other digits': cells(lambda i, j, o: o.translate({48 + k: 0x660 + k for k in range(10)}) if j == 8 else o),
        'hex': one(2, '0x1'), 'a unit': one(8, '1.2 m/s'), 'a date': one(0, '2026-01-01'),
        'dates': cells(lambda i, j, o: f'2026-01-01T00:00:{float(o):06.3f}' if j == 0 else o),
        'ms': cells(lambda i, j, o: str(float(o)*1000) if j == 0 else o),
        'us': cells(lambda i, j, o: str(float(o)*1e6) if j == 0 else o),
        'wall clock': cells(lambda i, j, o: f'{float(o) + 1.7e9:.3f}' if j == 0 else o),
        'wall clock and a gap': cells(lambda i, j, o: f'{float(o) + 1.7e9 + 3*(i >= r):.3f}' if j == 0 else o),
        'wall clock and a drop': cells(lambda i, j, o: f'{float(o) + 1.7e9 + .1*(i >= r):.3f}' if j == 0 else o),
        'other rate': cells(lambda i, j, o: f'{2*float(o):.3f}' if j == 0 else o),
        'a time twice': cells(lambda i, j, o: rows[i-1][0] if (i, j) == (r, 0) else o), 'time back': one(0, '0.0'),
        'a gap': cells(lambda i, j, o: f'{float(o) + 2*(i >= r):.3f}' if j == 0 else o),
        'a channel missing': lambda: write_csv(p, [o for o in HEAD if o != 'v'],
        [[o for j, o in enumerate(x) if j != 8] for x in rows]),
        'time missing': lambda: write_csv(p, HEAD[1:], [o[1:] for o in rows]),
        'frame missing': lambda: write_csv(p, [HEAD[0], *HEAD[2:]], [[o[0], *o[2:]] for o in rows]),
        'the header of another': head(lambda o: o + '_'), 'good': lambda: None, 'bytes': lambda: c.flip(p)})
    c.names += ['frames.csv', f'drive{e}']
    run()
    c.whole = c.what in ('good', 'a bom', 'crlf', 'quotes', 'wall clock')
    c.open(root, on_drop='skip' if c.rng.random() < .3 else 'error')

@kind('label columns: two, of bools, misspelt, of words', 1.5)
def label_columns(c):
    import pyarrow as pa, pyarrow.parquet as pq
    from sim_nb.labels import RISKS
    i = np.arange(N); y = labels(i)['risk_id']
    words = np.array(RISKS)[y]
    faults = {  # name -> (columns instead of risk_id, must be refused)
        'bool': (dict(risk_id=y > 1), 1), 'bool named risk': (dict(risk=y > 1), 1),
        'bool as text': (dict(risk=np.where(y > 1, 'True', 'False')), 1),
        'yes and no': (dict(risk=np.where(y > 1, 'yes', 'no')), 1),
        'two that disagree': (dict(risk_id=y, risk=(y + 1) % 4), 1),
        'two that disagree in a row': (dict(risk_id=y, risk=np.where(i == 9, (y + 1) % 4, y)), 1),
        'two that agree': (dict(risk_id=y, risk=y), 0), 'words and numbers that agree': (dict(risk_id=y, risk=words),
        0), 'words and numbers that disagree': (dict(risk_id=y, risk=words[::-1]), 1), 'misspelt': (dict(rsk_id=y), 0),
        'capitals': (dict(Risk_ID=y), 0), 'another name': (dict(hazard=y), 0), 'words': (dict(risk=words), 0),
        'words in risk_id': (dict(risk_id=words), 0),
        'words in capitals': (dict(risk=np.char.upper(words)), 0),
        'words with blanks': (dict(risk=np.char.add(words, ' ')), 0),
        'unknown word': (dict(risk=np.where(i == 9, 'severe', words)), 1),
        'word of another head': (dict(risk=np.where(i == 9, 'obstacle', words)), 1),
        'numbers as text': (dict(risk_id=y.astype(str)), 0), 'floats': (dict(risk_id=y.astype(float)), 0),
        'half': (dict(risk_id=np.where(i == 9, 1.5, y)), 1),
        'nearly': (dict(risk_id=np.where(i == 9, y + 1e-4, y)), 1),
        'nan': (dict(risk_id=np.where(i == 9, np.nan, y)), 0), 'minus one': (dict(risk_id=np.where(i == 9, -1, y)), 1),
        'four': (dict(risk_id=np.where(i == 9, 4, y)), 1), '255': (dict(risk_id=np.where(i == 9, 255,
        y).astype(np.uint8)), 1), 'huge': (dict(risk_id=np.where(i == 9, 2**62, y)), 1),
        '-100': (dict(risk_id=np.where(i == 9, -100, y)), 0),
        'from 1': (dict(risk_id=y + 1), 1), 'probabilities': (dict(risk=y/3), 1), 'percent': (dict(risk=y*33), 1),
        'missing': (dict(), 0), 'one hot': (dict(risk_id=np.eye(4, dtype=np.int64)[y]), 1),
        'a letter': (dict(risk=np.array(list('nlmh'))[y]), 1), 'good': (dict(risk_id=y), 0),
        'dates': (dict(risk=(np.datetime64('2026-01-01') + y)), 1),
        'intervention': (dict(risk_id=y, intervention=y > 2), 0),
    }
    cols, refuse = c.pick(faults)
    ignored = c.what in ('misspelt', 'another name', 'missing', 'Risk_ID')
    said = c.what in ('nan', '-100')
    if c.rng.random() < .5 and np.ndim(next(iter(cols.values()), 0)) < 2:  # in folders of pictures
        root = c.copy('pictures')
        head = [o for o in HEAD if o != 'risk_id'] + list(cols)
        text = lambda v: '' if isinstance(v, float) and np.isnan(v) else str(v.item() if hasattr(v, 'item') else v)
        for e in range(2): write_csv(root/f'drive{e}/frames.csv', head,
            [[*(o for j, o in enumerate(row) if HEAD[j] != 'risk_id'), *(text(v[k]) for v in cols.values())] for k,
            row in enumerate(csv_rows(e))])
        c.names += ['frames.csv']
    else:
        root = c.copy('lerobot3')
        full = lambda e: {**{k: v for k, v in columns(e, first=e*N).items() if k != 'risk_id'}, **cols}
        pq.write_table(pa.concat_tables([table(full(e)) for e in range(2)]), root/DATA3)
        p = root/'meta/info.json'; o = json.loads(p.read_text()); o['features'].pop('risk_id')
        kinds = {'U': 'string', 'b': 'bool', 'f': 'float64', 'i': 'int64', 'u': 'uint8', 'M': 'string'}
        for k, v in cols.items(): o['features'][k] = dict(dtype=kinds[v.dtype.kind],
            shape=[v.shape[1] if v.ndim == 2 else 1], names=None)
        p.write_text(json.dumps(o)); c.names += ['file-000', 'info.json']
    c.names += [f'{k}' for k in cols]
    if refuse: c.refusal = 'the labels are ambiguous, or no classes'
    c.whole = c.what in ('good', 'words', 'two that agree', 'intervention')
    if not said and not ignored: return c.open(root)
    ds = drives(root)  # labels that are missing stay missing, and a head without any is a warning
    want = np.full(N, -100) if ignored else np.where(i == 9, -100, y)
    t0 = {tuple(np.round(s, 3)): k for e in range(2) for k, s in enumerate(state(e))}
    for w in range(len(ds)):
        k = t0[tuple(np.round(np.asarray(ds.telemetry[w]), 3))]
        got = ds.labels['risk_id'][w]
        if got == want[k] or ignored and got == y[k]: continue
        raise Wrong(f'risk_id of row {k} is {got}, {want[k]} is right')
    c.check(root)

# ---- kinds: live ----

_streams = {}

def stream(c, **kw):
    "A stream over the good run, made once per server"
    key = str(c.good), *sorted(kw.items())
    if key not in _streams: _streams[key] = api('SimStream', 'stream')(str(c.good/'run'), deadline_s=60, **kw)
    s = _streams[key]; s.reset()
    return s

def prepare(name, good):
    "What the server of a kind makes once, before it forks"
    if name in ('pushes', 'stream_faults'):
        c = Case(name, 0, 0, good, '/nowhere')
        stream(c)

_OWN = object()

def live(s, i, frame=_OWN, t=None, tel=None, e=0, **kw):
    "Push row `i` of a drive"
    x = np.repeat(np.repeat(code(numbers(e, 200)[i]), 2, 0), 2, 1) if frame is _OWN else frame
    return s.push(x, state(e, 200)[i].tolist() if tel is None else tel, i/FPS if t is None else t, **kw)

def good_stream(s, first=0, n=F + 2):
    out = [live(s, first + i) for i in range(n)]
    return out

FORWARD = ('continue', 'turn_left', 'turn_right')

def decided(s, d, what):
    "A decision is complete and agrees with the table; a code that is not ok never goes forward"
    if not isinstance(d, dict) or not api('valid', 'stream')(d): raise Wrong(f'{what}: no valid decision: {d}')
    if d['code'] != 'ok' and d['action'] in FORWARD: raise Wrong(f"{what}: code {d['code']} and action {d['action']}")
    return d

class _Hostile:
    def __getattr__(self, k): raise RuntimeError(f'no {k}')
    def __float__(self): raise MemoryError('no')
    def __array__(self, *a, **k): raise ZeroDivisionError('no')
    def __len__(self): raise OSError('no')
    def __iter__(self): raise KeyError('no')
    def __repr__(self): raise RecursionError('no')

def _circle():
    x = [1.]*8; x[3] = x
    return x

FRAME_SHAPE = (2*SIZE[0], 2*SIZE[1], 3)
FRAMES = dict(
    none=lambda g: None, text=lambda g: 'frame', bytes_=lambda g: b'\0'*9, number=lambda g: 5,
    list_=lambda g: [[1, 2], [3, 4]], hostile=lambda g: _Hostile(), float_=lambda g: g.random(FRAME_SHAPE),
    int_=lambda g: g.integers(0, 255, FRAME_SHAPE), bool_=lambda g: g.random(FRAME_SHAPE) > .5,
    int8=lambda g: g.integers(-99, 99, FRAME_SHAPE).astype(np.int8),
    grey=lambda g: np.zeros(FRAME_SHAPE[:2], np.uint8), four=lambda g: np.zeros((*FRAME_SHAPE[:2], 4), np.uint8),
    first=lambda g: np.zeros((3, *FRAME_SHAPE[:2]), np.uint8), batch=lambda g: np.zeros((1, *FRAME_SHAPE), np.uint8),
    small=lambda g: np.zeros((8, 8, 3), np.uint8), empty=lambda g: np.zeros((0, 0, 3), np.uint8),
    huge=lambda g: np.zeros((20000, 20000, 3), np.uint8),
    object_=lambda g: np.full(FRAME_SHAPE, None), structured=lambda g: np.zeros(FRAME_SHAPE[:2], 'u1,u1,u1'),
    masked=lambda g: np.ma.masked_array(g.integers(0, 255, FRAME_SHAPE).astype(np.uint8), g.random(FRAME_SHAPE) > .5),
    tensor=lambda g: __import__('torch').zeros(FRAME_SHAPE, dtype=__import__('torch').uint8),
    dates=lambda g: np.zeros(FRAME_SHAPE, 'M8[s]'), scalar=lambda g: np.uint8(3),
    array0=lambda g: np.array(7, np.uint8))
READINGS = dict(
    none=lambda g: None, text=lambda g: 'abcdefgh', digits=lambda g: '12345678', bytes_=lambda g: b'12345678',
    bytes_list=lambda g: [b'1']*8, text_list=lambda g: ['1.0']*8, hostile=lambda g: _Hostile(),
    hostiles=lambda g: [_Hostile()]*8, dates=lambda g: np.full(8, np.datetime64('2026-01-01')),
    spans=lambda g: np.full(8, np.timedelta64(1, 's')),
    masked=lambda g: np.ma.masked_array(np.ones(8, np.float32), [0, 0, 1, 0, 0, 0, 0, 0]),
    complex_=lambda g: np.ones(8) + 1j, bools=lambda g: np.ones(8, bool), bool_list=lambda g: [True]*8,
    nan=lambda g: [0, 0, 9.8, 0, 0, 0, np.nan, 0], inf=lambda g: [0, 0, np.inf, 0, 0, 0, 1, 0],
    huge=lambda g: [0, 0, 9.8, 0, 0, 0, 1e30, 0], huge_int=lambda g: [0, 0, 9, 0, 0, 0, 10**400, 0],
    beyond=lambda g: [0, 0, 9.8, 0, 0, 0, 1e4, 0],
    seven=lambda g: [0.]*7, nine=lambda g: [0.]*9, nested=lambda g: [[0.]*4]*2, ragged=lambda g: [[0.], [1., 2.]],
    circle=lambda g: _circle(), none_inside=lambda g: [None]*8, dict_=lambda g: dict(ax=1),
    set_=lambda g: {1, 2, 3, 4, 5, 6, 7, 8}, generator=lambda g: (x for x in range(8)),
    object_=lambda g: np.array([None]*8), empty=lambda g: [], structured=lambda g: np.zeros(8, 'f4,f4'),
    matrix=lambda g: np.zeros((8, 8)))
TIMES = dict(none=lambda i: None, nan=lambda i: float('nan'), inf=lambda i: float('inf'),
    minus=lambda i: -float('inf'), text=lambda i: '1.0', bytes_=lambda i: b'1', bool_=lambda i: True,
    list_=lambda i: [i/FPS], hostile=lambda i: _Hostile(), huge=lambda i: 10**400, complex_=lambda i: 1j,
    array=lambda i: np.array([1., 2.]), date=lambda i: np.datetime64('2026-01-01'), back=lambda i: -5.,
    same=lambda i: (i - 1)/FPS, far=lambda i: i/FPS + 1e9)

@kind('pushes of wrong types, shapes and values', 2, needs='run')
def pushes(c):
    s, g = stream(c), c.rng
    good_stream(s, 0, F + 2)
    part = ('frame', 'reading', 'time', 'now', 'telemetry_t', 'all')[c.n % 6]
    i = F + 2
    pick = lambda d: list(d)[int(g.integers(len(d)))]
    turn = lambda d: list(d)[c.n//6 % len(d)]
    kf, kr, kt = (pick if part == 'all' else turn)(FRAMES), (pick if part == 'all' else turn)(READINGS), pick(TIMES)
    names = dict(frame=kf, reading=kr, time=kt, now=kt, telemetry_t=kt, all=f'{kf}, {kr}, {kt}')
    c.what = f'{part}: {names[part]}'
    args = {}
    if part in ('frame', 'all'): args['frame'] = FRAMES[kf](g)
    if part in ('reading', 'all'): args['tel'] = READINGS[kr](g)
    if part in ('time', 'all'): args['t'] = TIMES[kt](i)
    if part in ('now', 'telemetry_t'): args[part] = TIMES[kt](i)
    x = code(numbers(0, 200)[i]); x = np.repeat(np.repeat(x, 2, 0), 2, 1)
    frame = args['frame'] if 'frame' in args else x
    tel = args['tel'] if 'tel' in args else state(0, 200)[i].tolist()
    t = args['t'] if 't' in args else i/FPS
    d = decided(s, s.push(frame, tel, t, **{k: v for k, v in args.items() if k in ('now', 'telemetry_t')}), c.what)
    fine = (part == 'now' and kt in ('none', 'same', 'far') or part == 'telemetry_t' and kt in ('none', 'same'))
    fine |= part == 'reading' and kr in ('bools', 'bool_list', 'nested')  # eight numbers, in a way
    if d['code'] == 'ok' and not fine: raise Wrong(f'{c.what}: code ok')
    json.dumps(d)
    if part == 'time' and kt in ('far', 'back'): return
    s.decide(i/FPS + .01); s.stats()
    _recovers(s, c, i + 1)

def _recovers(s, c, first):
    "After good frames the stream decides as one that never saw the fault"
    for k in range(F + 1): d = decided(s, live(s, first + k, t=50 + k/FPS), 'afterwards')
    s.reset()
    for k in range(F + 1): want = live(s, first + k, t=50 + k/FPS)
    if d['code'] != 'ok' or not same({k: d[k] for k in ('risk', 'action', 'confidence')},
        {k: want[k] for k in ('risk', 'action', 'confidence')}): raise Wrong(f'afterwards {d}, {want} is right')

@kind('a camera that freezes, is blind or too fast; a sensor that is stuck; several threads', needs='run')
def stream_faults(c):
    s, g = stream(c), c.rng
    big = lambda x: np.repeat(np.repeat(x, 2, 0), 2, 1)
    n, at = 40, F + int(g.integers(2, 6))
    def run(frame=None, tel=None, t=None, **kw):
        return [decided(s, live(s, i, frame=frame(i) if frame and i >= at else _OWN,
            tel=tel(i) if tel and i >= at else None, t=t(i) if t else None, **{k: v(i) for k, v in kw.items()}),
            c.what) for i in range(n)]
    def bad(**kw):
        def f():
            d = run(**kw)[-1]
            if d['code'] == 'ok': raise Wrong(f"{c.what} for {n - at} frames: code ok, action {d['action']}")
        return f
    def threads():
        import threading
        out, errors = [], []
        def work(k):
            for i in range(12):
                try: out.append(decided(s, live(s, i, t=i/FPS + k*1e-4), c.what))
                except Exception as e: errors.append(e)
        ts = [threading.Thread(target=work, args=(k,)) for k in range(4)]
        [o.start() for o in ts]; [o.join(15) for o in ts]
        if errors: raise errors[0]
        counted = sum(s.stats()['codes'].values())
        if len(out) != 48 or counted != 48: raise Wrong(f'48 pushes, {len(out)} decisions, {counted} counted')
        if len(s.ring) > F: raise Wrong('the ring is too long')
    def inference_mode():
        import torch
        new = api('SimStream', 'stream')(str(c.good/'run'), deadline_s=60)
        with torch.inference_mode(): first = [live(new, i) for i in range(F + 1)][-1]
        d = [live(new, i) for i in range(F + 1, F + 3)][-1]
        if (first['code'], d['code']) != ('ok', 'ok'): raise Wrong(f'{first} and {d}')
    def mutated():
        "The caller fills one buffer again and again"
        buf = np.zeros(FRAME_SHAPE, np.uint8); a = []
        for i in range(F + 3): buf[:] = big(code(numbers(0, 200)[i])); a.append(live(s, i, frame=buf)); buf[:] = 0
        s.reset(); b = good_stream(s, 0, F + 3)
        a, b = ([o['confidence'] for o in ds if o['code'] == 'ok'] for ds in (a, b))
        if not same(a, b): raise Wrong('a buffer that is used again changes decisions')
    def rate(k):
        def f():
            d = run(t=lambda i: i/FPS*k)[-1]
            if d['code'] == 'ok': raise Wrong(f'{c.what}: code ok')
        return f
    still = big(code(77))
    def one_pixel(i): x = still.copy(); x.flat[i] = 9; return x
    noisy = lambda x: np.clip(x.astype(int) + g.integers(-1, 2, x.shape), 0, 255).astype(np.uint8)
    c.pick({
        'frozen camera': bad(frame=lambda i: still),
        'frozen camera, but for noise in a pixel': bad(frame=one_pixel),
        'black': bad(frame=lambda i: np.zeros(FRAME_SHAPE, np.uint8)),
        'black with noise': bad(frame=lambda i: noisy(np.ones(FRAME_SHAPE, np.uint8))),
        'white': bad(frame=lambda i: np.full(FRAME_SHAPE, 255, np.uint8)),
        'grey': bad(frame=lambda i: np.full(FRAME_SHAPE, 128, np.uint8)),
        'stuck sensors': bad(tel=lambda i: state(0, 200)[5].tolist()),
        'stuck sensors, first at wall clock': bad(tel=lambda i: state(0, 200)[5].tolist(), t=lambda i: 1.7e9 + i/FPS),
        'frames too old': bad(now=lambda i: i/FPS + 3), 'readings too old': bad(telemetry_t=lambda i: i/FPS - 2),
        'frames from tomorrow': bad(now=lambda i: i/FPS - 9),
        'threads': threads, 'first used under inference_mode': inference_mode, 'a buffer used again': mutated,
        'three times too fast': rate(1/3), 'three times too slow': rate(2.4),
        'no frames': bad(frame=lambda i: None if i % 2 else still),
        'nan now and then': lambda: [decided(s, live(s, i, tel=[np.nan]*8 if i % 3 else None), c.what)
        for i in range(n)], 'good': lambda: _all_ok(run(), c),
        'good at wall clock': lambda: _all_ok(run(t=lambda i: 1.7e9 + i/FPS), c)})()

def _all_ok(ds, c):
    if any(o['code'] != 'ok' for o in ds[F-1:]): raise Wrong(f"good frames give {[o['code'] for o in ds]}")

# ---- kinds: what the package has written ----

def exported(folder):
    g = np.random.default_rng(0)
    m = api('OnnxSim', 'runtime')(folder)
    return m.predict(g.normal(size=(3, F, 64)).astype(np.float32), g.normal(size=(3, 8)).astype(np.float32))

MANIFEST = {
    'labels exchanged': lambda o: o['labels']['risk'].update({'0': 'high', '3': 'none'}),
    'labels missing': lambda o: o.pop('labels'), 'labels text': lambda o: o.update(labels='risk'),
    'a label missing': lambda o: o['labels']['action'].pop('0'), 'F other': lambda o: o.update(F=F + 1),
    'F huge': lambda o: o.update(F=HUGE), 'F text': lambda o: o.update(F='4'), 'dv other': lambda o: o.update(dv=63),
    'dv None': lambda o: o.update(dv=None),
    'format': lambda o: o.update(format=9), 'format text': lambda o: o.update(format='1'),
    'files missing': lambda o: o.pop('files'), 'files empty': lambda o: o.update(files={}),
    'files list': lambda o: o.update(files=[1]), 'a hash other': lambda o: o['files'].update({'model.onnx': '0'*64}),
    'a hash number': lambda o: o['files'].update({'model.onnx': 0}),
    'calibration planted': lambda o: o.update(calibration=dict(temperatures=dict(risk=9., reason=9., action=9.,
    confidence=9.), certificate=dict(threshold=.01), guarantee='all is well')),
    'calibration text': lambda o: o.update(calibration='yes'), 'calibration list': lambda o: o.update(calibration=[1]),
    'temperature text': lambda o: o.update(calibration=dict(temperatures=dict(risk='hot'), certificate={},
    guarantee='')), 'threshold other': lambda o: o.update(calibration=dict(temperatures={},
    certificate=dict(threshold=.99), guarantee='x')), 'spacing text': lambda o: o.update(frame_spacing_s='fast'),
    'epoch text': lambda o: o.update(epoch='x'), 'a list': 'a list', 'null': 'null', 'cut': 'cut', 'binary': 'binary',
    'deep': 'deep', 'missing': 'missing',
    'inputs exchanged': lambda o: o.update(inputs={}), 'outputs missing': lambda o: o.pop('outputs'),
    'outputs exchanged': lambda o: o['outputs']['risk_logits'].update(classes=['high', 'medium', 'low', 'none']),
    'limits': lambda o: o['inputs']['telemetry']['channels'][6].update(limit=1e9),
    'a path outside': lambda o: o['files'].update({'../../x': '0'*64}), 'good': lambda o: None}

@kind('exports: model.json changed, graphs damaged, half an export', needs='export')
def exports(c):
    d = c.copy('export'); p = d/'model.json'; text = p.read_text(); o = json.loads(text)
    graph = d/'model.onnx'
    change = c.pick({**MANIFEST, 'graph flipped': 'graph', 'graph cut': 'graph', 'graph missing': 'graph',
        'graph of another': 'graph', 'labels.json changed': 'labels', 'data beside the graph': 'graph',
        'graph a folder': 'graph', 'graph flipped often': 'graph'})
    c.names += ['model.json', 'model.onnx', 'labels.json', 'vis_feats', 'telemetry']
    if callable(change): change(o); p.write_text(json.dumps(o))
    elif change == 'graph':
        {'graph flipped': lambda: c.flip(graph), 'graph flipped often': lambda: c.flip(graph, 100, 900),
            'graph cut': lambda: c.mangle(graph), 'graph missing': graph.unlink,
            'graph of another': lambda: graph.write_bytes(graph.read_bytes() + b'\0'),
            'graph a folder': lambda: (graph.unlink(), graph.mkdir()),
         'data beside the graph': lambda: [x.write_bytes(x.read_bytes()[:-4])
         for x in d.glob('*.data')]}[c.what.split(' cut ')[0] if c.what in ('graph cut',) else c.what]()
    elif change == 'labels': (d/'labels.json').write_text('{}')
    else: p.write_bytes({'a list': b'[1]', 'null': b'null', 'cut': text[:len(text)//2].encode(),
        'binary': c.rng.bytes(99), 'deep': b'['*100000 + b']'*100000,
        'missing': b''}[change]); p.unlink() if change == 'missing' else None
    c.whole = c.what == 'good'
    got, want = exported(d), exported(c.good/'export')
    if not same(got, want): raise Wrong(f'{got[0]}, {want[0]} is right')
    if c.what in ('threshold other', 'calibration planted'): raise Wrong('a calibration that nobody certified is used')

@kind('feature caches: cut, flipped, half-written, killed between files', 1.2, needs='features')
def feature_caches(c):
    x = drives(c.good/'lerobot3')
    want = np.load(c.good/'features.npy')
    check = lambda f: None if np.allclose(np.asarray(f._table), want,
        atol=1e-3) else (_ for _ in ()).throw(Wrong('the features are not those of the frames'))
    check(cached(x))
    [folder] = [o.parent for o in Path('cache').rglob('cache.json')]
    npy, js = folder/'features.npy', folder/'cache.json'
    s = json.loads(js.read_text())
    def put(**kw): return lambda: js.write_text(json.dumps({**s, **kw}))
    part = folder/'features.part.npy'
    c.names += [npy.name, js.name, folder.name]
    c.pick({
        'features cut': lambda: c.mangle(npy), 'features flipped': lambda: c.flip(npy, 1, 30),
        'features exchanged': lambda: np.save(npy, want[::-1].astype(np.float16)),
        'features zero': lambda: np.save(npy, 0*want.astype(np.float16)),
        'features of another type': lambda: np.save(npy, want.astype(np.float32)),
        'features of objects': lambda: np.save(npy, np.array([_Bomb(exec, CODE)], object), allow_pickle=True),
        'features missing': npy.unlink, 'json missing': js.unlink, 'json cut': lambda: c.mangle(js),
        'json empty': lambda: js.write_text(''), 'json a list': lambda: js.write_text('[1]'),
        'json flipped': lambda: c.flip(js), 'half done': lambda: (os.rename(npy, part), put(done=20)()),
        'half done and wrong': lambda: (np.save(part, 0*want.astype(np.float16)), npy.unlink(), put(done=20)()),
        'done too many': put(done=41), 'done text': put(done='all'),
        'done negative': put(done=-4), 'part cut': lambda: (os.rename(npy, part), c.mangle(part), put(done=20)()),
        'both': lambda: shutil.copy(npy, part), 'killed before the json': lambda: (js.unlink(), os.rename(npy, part)),
        'killed before the rename': lambda: os.rename(npy, part),
        'temporary left': lambda: (folder/'cache.tmp').write_text('{'),
        'another encoder': put(encoder=dict(name='other')), 'a link': lambda: (shutil.copy(npy, 'else.npy'),
        npy.unlink(), npy.symlink_to(Path('else.npy').resolve())),
        'lock left': lambda: (folder/'lock').write_text('1'),
        'folder instead of features': lambda: (npy.unlink(), npy.mkdir()), 'good': lambda: None})()
    c.whole = c.what in ('good', 'features missing', 'json missing', 'killed before the json',
        'killed before the rename', 'temporary left', 'lock left', 'half done')
    check(cached(x))

@kind('compiled kernels and cached graphs: cut, flipped, of somebody else', .3, 60, needs='kernels')
def kernels(c):
    cache = c.copy('kernel_cache', 'cache')
    files = [o for o in sorted(cache.rglob('*')) if o.is_file() and o.suffix in ('.so', '.onnx')]
    if not files: raise RuntimeError('no compiled kernel was kept')
    for o in files: c.mangle(o) if c.n % 2 else c.flip(o, 1, 40)
    got, want = fast_logits(c.good/'run'), json.loads((c.good/'fast.json').read_text())
    if not same(got, want): raise Wrong(f'{got[0]}, {want[0]} is right')

# ---- kinds: nothing is lost ----

def _nobody():
    "Leave root, who may write everywhere"
    if os.getuid() == 0:
        for p in [Path.cwd(), Path.cwd().parent]: os.chmod(p, 0o777)
        os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)

@kind('outputs: pipes, links, folders, places that cannot be written', 1.2, needs='run')
def outputs(c):
    data, run = c.good/'lerobot3', c.good/'run'
    want = lines(c.good/'predictions.jsonl')
    jobs = dict(predict=('out.jsonl', lambda o: command('sim_predict', '--checkpoint', run, '--data', data, '--out',
        o)),
                check=('out.json', lambda o: _ends(lambda: command('sim_check', '--data', data, '--no-frames', '--out',
                o))),
                page=('out.html', lambda o: _ends(lambda: command('sim_check', '--data', data, '--no-frames', '--out',
                o))),
                config=('out.yaml', lambda o: api('save_config', 'config')(api('load_config', 'config')('sim_v0'), o)))
    job = list(jobs)[c.n//14 % len(jobs)]
    name, do = jobs[job]
    p = Path(name); other = Path(f'there/{name}'); other.parent.mkdir()
    c.names += [name, 'there', 'deep']
    what = c.pick(('pipe', 'link', 'dead link', 'link to a link', 'link to a pipe', 'folder', 'link to a folder',
        'below a file', 'read-only folder', 'read-only file', 'earlier file', 'long name', 'name with a line end',
        'new folder'))
    c.what = f'{job}, {what}'
    old = b'old' * 9
    def holds(q):
        b = Path(q).read_bytes()
        if job == 'predict': same_predictions([json.loads(o) for o in b.decode().splitlines()], want)
        elif len(b) < 40 or old in b: raise Wrong(f'{q} holds {b[:40]}')
    def kind_of(q): return stat.S_IFMT(os.lstat(q).st_mode)
    def piped(q):
        import threading
        got = []
        def listen():
            with open(q, 'rb') as f: got.append(f.read())
        th = threading.Thread(target=listen, daemon=True); th.start()
        do(p)
        th.join(5)
        if kind_of(q) != stat.S_IFIFO: raise Lost(f'{q} was a pipe and is none')
        if not got: raise Wrong('nothing came through the pipe')
        Path('got').write_bytes(got[0]); holds('got')
    def linked(q, target):
        if kind_of(q) != stat.S_IFLNK: raise Lost(f'{q} was a link and is none')
        if not Path(target).exists(): raise Wrong(f'{target} was not written')
    if what == 'pipe': os.mkfifo(p); return piped(p)
    if what == 'link to a pipe': os.mkfifo(other); p.symlink_to(other); piped(other); return linked(p, other)
    elif what in ('link', 'dead link', 'link to a link'):
        if what != 'dead link': other.write_bytes(old)
        if what == 'link to a link': Path('middle').symlink_to(other); p.symlink_to('middle')
        else: p.symlink_to(other)
        do(p); linked(p, other)
        return holds(other)
    c.refusal = 'it cannot be written'
    if what == 'folder': p.mkdir(); (p/'precious').write_bytes(old); c.keep(p/'precious')
    elif what == 'link to a folder':
        other.mkdir(); (other/'precious').write_bytes(old); p.symlink_to(other); c.keep(other/'precious')
    elif what == 'below a file':
        Path('there/file').write_bytes(old); c.keep('there/file'); p = Path(f'there/file/{name}')
    elif what == 'read-only folder': p = Path(f'there/{name}'); os.chmod('there', 0o555); _nobody()
    elif what == 'long name': p = Path('x'*300 + p.suffix); c.names += ['xxx']
    else:
        c.refusal = None
        if what == 'earlier file': p.write_bytes(old)
        elif what == 'read-only file': p.write_bytes(old); os.chmod(p, 0o444)
        elif what == 'name with a line end': p = Path(f'a\nb{p.suffix}')
        else: p = Path(f'deep/er/{name}')
    do(p)
    if what == 'link to a folder': linked(p, other)
    if not c.refusal: holds(p)

def _ends(f):
    try: f()
    except SystemExit as e:
        if e.code not in (0, 1, None): raise

def _disk(size):
    "A small disk in this process, or a limit on the size of files"
    import ctypes
    d = Path('disk'); d.mkdir()
    libc = ctypes.CDLL(None, use_errno=True)
    if os.getuid() == 0 and hasattr(libc, 'unshare') and libc.unshare(0x20000) == 0 and libc.mount(b'none', b'/', None,
        0x44000, None) == 0 \
            and libc.mount(b'tmpfs', str(d).encode(), b'tmpfs', 0,
                f'size={max(size >> 12, 1) << 12}'.encode()) == 0: return d, True
    return d, False

@kind('a full disk', 1., needs='run dummy features export')
def full_disk(c):
    "Whatever fits is written, whatever does not is an error that says so, and what was there stays"
    job = c.pick(('predict', 'train', 'resume', 'checkpoint', 'cache', 'config', 'dataset', 'export'))
    need = dict(predict=30_000, train=180_000, resume=120_000, checkpoint=60_000, cache=12_000, config=4096*2,
        dataset=60_000, export=900_000)[job]
    size = int(need*c.rng.uniform(.05, 1.3))
    d, real = _disk(size)
    c.what += f', {size} bytes'
    c.names += ['disk', 'space', 'File too large']
    earlier = d/'earlier'; 
    try: earlier.write_text('precious'); c.keep(earlier)
    except OSError: return
    if not real: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    try: _fill(c, job, d)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,)*2) if not real else None
        if o := lost(c): raise Lost(o)
        c.kept = {}

def _fill(c, job, d):
    if job == 'predict':
        command('sim_predict', '--checkpoint', c.good/'run', '--data', c.good/'lerobot3', '--out',
            d/'out.jsonl'); same_predictions(lines(d/'out.jsonl'), lines(c.good/'predictions.jsonl'))
    elif job in ('train', 'resume'):
        if job == 'train': args = '--config', 'sim_v0', '--stop-after', 1, '--set', *run_settings(**DUMMY,
            **{'output.output_dir': d/'run'})
        else:
            try: shutil.copytree(c.good/'dummy', d/'run'); args = '--resume', d/'run', '--set', 'training.epochs=4'
            except (OSError, shutil.Error): return
        try: command('sim_train', *args)
        finally:
            for p in (d/'run/checkpoints').glob('*.pt'): _readable(p)
        if read_pt(d/'run/checkpoints/last.pt')['epoch'] != (1
            if job == 'train' else 4): raise Wrong('an epoch is missing')
    elif job == 'checkpoint':
        p = d/'checkpoints/best.pt'
        try: p.parent.mkdir(); shutil.copy(c.good/'run/checkpoints/best.pt', p); c.keep(p)
        except OSError: return
        import torch
        o = read_pt(p)
        api('save_checkpoint', 'checkpoint')(d, torch.nn.Linear(50, 100), None, 1, {}, o['metadata'],
            'new'); _readable(d/'checkpoints/new.pt')
    elif job == 'cache':
        f = cached(drives(c.good/'lerobot3'), cache_dir=d/'features')
        if not np.allclose(np.asarray(f._table), np.load(c.good/'features.npy'),
            atol=1e-3): raise Wrong('the features are not those of the frames')
    elif job == 'config':
        api('save_config', 'config')(api('load_config', 'config')('sim_v0'), d/'config.yaml'); api('load_config',
            'config')(d/'config.yaml')
    elif job == 'dataset':
        with api('LeRobotWriter', 'lerobot')(d/'new', FPS, SIZE) as w:
            for e in range(2): w.add_episode([code(k) for k in numbers(e)],
                {'observation.state': state(e), 'action': np.zeros((N, 2)), **labels(np.arange(N))})
        verify(drives(d/'new'))
    else:
        with _quick_export(c):
            try: shutil.copytree(c.good/'export', d/'export')
            except (OSError, shutil.Error): return
            try: api('export', 'export')(str(c.good/'run'), d/'export', precision='fp32')
            finally:
                if not same(exported(d/'export'), exported(c.good/'export')): raise Lost('the earlier export')

def _readable(p):
    try: api('read_checkpoint', 'checkpoint')(p)
    except ValueError as e: raise Lost(f'{p.name} was written and cannot be read: {e}') from None

@contextlib.contextmanager
def _quick_export(c):
    "Exports take the graph that is there: to trace one takes seconds"
    mod = importlib.import_module('sim_nb.export')
    own = getattr(mod, 'export_graph', None)
    if own is not None: mod.export_graph = lambda model, path: [shutil.copy(o, Path(path).parent)
        for o in (c.good/'export').glob('model.onnx*')] and Path(path)
    try: yield
    finally:
        if own is not None: mod.export_graph = own

def _killed(c, job, seconds):
    "Run a job in a process that is killed at a time, or at a step on the disk, drawn by chance; say which"
    step = c.rng.random() < .6
    k, after = int(c.rng.integers(1, 14)), float(c.rng.uniform(0, 1.1*seconds))
    pid = os.fork()
    if pid == 0:
        if step: _die_at(k)
        try: job()
        except BaseException: traceback.print_exc()
        finally: os._exit(0)
    t0 = time.time()
    while (r := os.waitpid(pid, os.WNOHANG))[0] == 0:
        if not step and time.time() - t0 > after: os.kill(pid, signal.SIGKILL); r = os.waitpid(pid, 0); break
        time.sleep(.002)
    return f'killed at step {k}' if step else f'killed after {after:.2f} s', os.WIFSIGNALED(r[1])

def _die_at(k):
    "The process kills itself at the k-th call that changes a folder"
    left = [k]
    for name in ('replace', 'rename', 'unlink', 'remove', 'mkdir', 'rmdir', 'fsync'):
        own = getattr(os, name)
        def f(*a, own=own, **kw):
            left[0] -= 1
            if left[0] <= 0: os.kill(os.getpid(), signal.SIGKILL)
            return own(*a, **kw)
        setattr(os, name, f)

@kind('kills in training, and on', .5, 60, needs='dummy')
def kills_train(c):
    t = json.loads((c.good/'times.json').read_text())['train']
    start = '--config', 'sim_v0', '--set', *run_settings(**DUMMY, **{'output.output_dir': 'run'})
    api('sim_learner', 'learner')  # imports are not part of the job
    for _ in range(1 + c.n % 3):
        used = api('RunFolder', 'checkpoint')('run').used
        how, died = _killed(c, lambda: command('sim_train', *(('--resume', 'run') if used else start)), t)
        c.what += f' {how};'
        for p in sorted(Path('run').rglob('*.pt')):
            if not p.name.startswith('.'): _readable(p)
    used = api('RunFolder', 'checkpoint')('run').used
    done = Path('run/checkpoints/last.pt').exists() and read_pt('run/checkpoints/last.pt')['epoch'] == 3
    command('sim_train', *(('--resume', 'run') if used else start))
    got, want = (read_pt(o/'checkpoints/last.pt') for o in (Path('run'), c.good/'dummy'))
    far = max(float((a.float() - want['model_state_dict'][k].float()).abs().max()) for k,
        a in got['model_state_dict'].items())
    if got['epoch'] != 3 or far > 1e-6:
        raise Wrong(f"epoch {got['epoch']}, weights {far:g} away from those of a run that was not killed")
    for k in ('train', 'val'):
        if [o['epoch'] for o in lines(f'run/metrics/{k}_metrics.jsonl')] != [1, 2,
            3]: raise Wrong(f'{k}_metrics.jsonl lacks epochs')

@kind('kills while features are cached, and on', .8, 40, needs='features')
def kills_cache(c):
    t = json.loads((c.good/'times.json').read_text())['cache']
    for _ in range(1 + c.n % 3): c.what += f" {_killed(c, lambda: cached(drives(c.good/'lerobot3'), bs=4), t)[0]};"
    f = cached(drives(c.good/'lerobot3'))
    if not np.allclose(np.asarray(f._table), np.load(c.good/'features.npy'),
        atol=1e-3): raise Wrong('the features are not those of the frames')

@kind('kills while a model is exported, and on', .4, 60, needs='export')
def kills_export(c):
    earlier = c.n % 2
    if earlier: c.copy('export')
    c.names += ['export']
    with _quick_export(c):
        job = lambda: api('export', 'export')(str(c.good/'run'), 'export', precision='fp32')
        c.what, _ = _killed(c, job, 2.)
        if earlier or Path('export').exists():
            try: ok = same(exported('export'), exported(c.good/'export'))
            except Exception as e: raise Lost(f'an earlier export; {type(e).__name__}: {e}') from None
            if not ok: raise Lost('the export answers otherwise')
        job()
    if not same(exported('export'), exported(c.good/'export')): raise Wrong('the export answers otherwise')
    if left := [o.name for o in Path().iterdir() if o.name.startswith('.export')]: raise Wrong(f'left over: {left}')

@kind('kills while outputs are written, and on', .6, 40, needs='run')
def kills_output(c):
    Path('out.jsonl').write_text((c.good/'predictions.jsonl').read_text()); old = digest('out.jsonl')
    job = lambda: command('sim_predict', '--checkpoint', c.good/'run', '--data', c.good/'pictures', '--out',
        'out.jsonl')
    c.what, _ = _killed(c, job, .5)
    if digest('out.jsonl') != old and len(lines('out.jsonl')) != 2*(N - F + 1): raise Lost('half a file')
    job()
    if len(lines('out.jsonl')) != 2*(N - F + 1): raise Wrong('lines are missing')
    if left := [o.name for o in Path().iterdir() if o.name.startswith('.out')]: c.what += f' left over: {left}'

@kind('paths that were relative, and a run that has moved', .6, 60, needs='run')
def moved(c):
    Path('a').mkdir(); Path('b').mkdir(); here = Path.cwd()
    for o in ('lerobot3', 'pictures'): shutil.copytree(c.good/o, here/'a'/o)
    os.chdir(here/'a')
    what = c.pick(('resumed from elsewhere', 'the folder was renamed', 'the data was moved',
        'predicted from elsewhere', 'init from elsewhere', 'the data is another', 'the run was copied'))
    command('sim_train', '--config', 'sim_v0', '--stop-after', 1, '--set', *run_settings())
    c.names += ['lerobot3', 'pictures', 'train_split_path', 'data']
    run = here/'a/run'
    if what == 'the data was moved': os.rename('lerobot3',
        here/'b/other'); os.chdir(here/'b'); args = '--resume', run, '--set', f'data.train_split_path={here}/b/other'
    elif what == 'the folder was renamed': os.chdir(here); os.rename('a',
        'c'); run = here/'c/run'; os.chdir(here/'c'); args = '--resume', 'run'
    elif what == 'the run was copied': os.chdir(here/'b'); shutil.copytree(run,
        'run'); args = '--resume', 'run'; run = here/'b/run'
    elif what == 'the data is another':
        shutil.rmtree('lerobot3'); shutil.copytree('pictures', 'lerobot3'); shutil.rmtree('lerobot3/drive0')
        args = '--resume', 'run'
        c.refusal = 'the training data is another'
    else: os.chdir(here/'b'); args = '--resume', run
    if what == 'predicted from elsewhere': return command('sim_predict', '--checkpoint', run, '--data',
        '../a/lerobot3', '--out', 'o.jsonl')
    c.whole = what != 'the data is another'
    if what == 'init from elsewhere':
        return command('sim_train', '--config', 'sim_v0', '--init-from', run, '--set',
            *run_settings(**{'data.train_split_path': '../a/lerobot3', 'data.val_split_path': '../a/pictures',
            'training.epochs': 1}))
    command('sim_train', *args)
    if read_pt(run/'checkpoints/last.pt')['epoch'] != 3: raise Wrong('the run did not end')
    want, got = (read_pt(o/'checkpoints/last.pt')['model_state_dict'] for o in (c.good/'run', run))
    if (far := max(float((want[k] - got[k]).abs().max())
        for k in want)) > 1e-6: raise Wrong(f'weights {far:g} away from those of a run that stayed')

# ---- the storm ----

def plan(faults, kinds=None):
    "(kind, number) of so many faults, by the shares of the kinds"
    names = list(kinds or KINDS)
    for o in names:
        if o not in KINDS: raise SystemExit(f'unknown kind {o!r}: expected one of {list(KINDS)}')
    total = sum(KINDS[o].share for o in names)
    return [(o, i) for o in names for i in range(math.ceil(faults*KINDS[o].share/total))]

_good = {}

def warm(good):
    "Import what the jobs need, and know the good inputs"
    os.environ.update(ENV)
    import torch
    torch.set_num_threads(1)
    for o in ('train', 'inference', 'stream', 'export', 'check', 'cache', 'drives', 'lerobot'):
        if (ROOT/f'sim_nb/{o}.py').exists(): importlib.import_module(f'sim_nb.{o}')
    alien = [o for o in (getattr(m, '__file__', None) for k, m in list(sys.modules.items()) if k.startswith('sim_nb'))
             if o and not o.startswith(PACKAGE)]
    if alien: raise SystemExit(f'this storm is for {PACKAGE}, but {alien[0]} is imported')
    _good['at'] = good

def serve(job):
    "Some cases of one kind, in a server that forks for each"
    name, ns, seed = job
    prepare(name, _good['at'])
    return [run_case(name, n, seed, _good['at']) for n in ns]

def inputs(home, kinds):
    "Build the good inputs that some kinds need, in a process of their own"
    parts = set().union(*(KINDS[k].needs for k in kinds))
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.dup2(os.open(home.parent/'build.log', os.O_WRONLY | os.O_CREAT), 1)
            build(home, parts); code = 0
        except BaseException: traceback.print_exc()
        finally: os._exit(code)
    if os.waitpid(pid, 0)[1]:
        raise SystemExit('the good inputs could not be built:\n' + (home.parent/'build.log').read_text()[-2000:])
    for p in (home.parent, home): os.chmod(p, 0o755)

def short_plan(seed, each=1):
    "A fault of every kind that takes no time"
    rng = np.random.default_rng(seed)
    quick = [k for k, f in KINDS.items() if f.needs <= {'run', 'features'} and f.limit == LIMIT_S]
    return [(k, int(n)) for k in quick for n in sorted(rng.choice(99, each, replace=False))]

def storm(faults=1500, seed=0, kinds=None, workers=2, say=None, cases=None):
    "Inject faults; a list of dicts with kind, n, what, outcome, why and seconds"
    from multiprocessing import get_context
    cases = cases or plan(faults, kinds)
    with tempfile.TemporaryDirectory(prefix='storms_') as tmp:
        good = Path(tmp)/'good'
        warm(good)
        inputs(good, {k for k, _ in cases})
        jobs = [(k, ns[i:i+8], seed) for k in dict.fromkeys(k for k, _ in cases)
            for ns in [[n for o, n in cases if o == k]] for i in range(0, len(ns), 8)]
        out = []
        with get_context('fork').Pool(workers) as pool:
            for res in pool.imap_unordered(serve, jobs):
                out += res
                if say: say(out, len(cases))
    return sorted(out, key=lambda o: (list(KINDS).index(o['kind']), o['n']))

def rows(results):
    "One row per kind: how many faults, and how they ended"
    return [dict(kind=k, what=KINDS[k].what, faults=len(rs),
        **{o: sum(r['outcome'] == o for r in rs) for o in OUTCOMES})
            for k in KINDS if (rs := [r for r in results if r['kind'] == k])]

def bad(results): return [o for o in results if o['outcome'] not in GOOD]

def text_table(rs):
    "Rows as aligned text"
    keys = ['kind', 'faults', *OUTCOMES]
    cols = {k: [k, *(str(r[k]) for r in rs), str(sum(r[k] for r in rs)) if k != 'kind' else 'all'] for k in keys}
    width = {k: max(map(len, v)) for k, v in cols.items()}
    return '\n'.join('  '.join(cols[k][i].ljust(width[k]) if k == 'kind' else cols[k][i].rjust(width[k])
        for k in keys) for i in range(len(rs) + 2))

# ---- Hypothesis ----

def properties(n, seed, good, only):
    "A property test of samples, configs, metadata or pushes: how it ended"
    from hypothesis import HealthCheck, Phase, given, seed as with_seed, settings, strategies as st
    import torch
    c = Case('hypothesis', 0, seed, good, Path.cwd()); c.said = []; c.names = ['']  # any name will do
    scalar = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9), st.binary(max_size=9))
    tree = st.recursive(scalar, lambda o: st.one_of(st.lists(o, max_size=4),
        st.dictionaries(st.text(max_size=9), o, max_size=4)), max_leaves=12)
    def refused(f, *args):
        "Right, or an error of the package, within the limit"
        signal.alarm(LIMIT_S)
        try: return f(*args)
        except Exception as e:
            if judge(e, c)[0] != 'refused': raise
        finally: signal.alarm(0)
    def slow(*args): raise TimeoutError(f'more than {LIMIT_S} s')
    signal.signal(signal.SIGALRM, slow)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    number = st.one_of(st.floats(width=32), st.integers(-5, 9), st.just(10**30))
    def sample(frames, telemetry, ids, mask):
        collate = api('collate_fn', 'data')
        o = dict(vis_feats=frames, telemetry=telemetry, risk_id=ids, reason_id=0, action_id=0)
        if mask is not None: o['telemetry_mask'] = mask
        got = refused(collate, [o, o])
        if got is not None:
            x = (got[0] if isinstance(got, tuple) else got)['telemetry']
            assert tuple(x.shape) == (2, 8)
    tensors = st.lists(st.floats(width=32), max_size=9).map(lambda o: torch.tensor(o, dtype=torch.float32))
    feats = st.one_of(st.just(torch.zeros(F, 64)), tree, tensors)
    cfgs = st.dictionaries(st.sampled_from(['data', 'model', 'training', 'output', 'run', 'more']),
        st.one_of(tree, st.dictionaries(st.sampled_from(
        ['F', 'K', 'd', 'dv', 'batch_size', 'epochs', 'lr', 'seed', 'llm_name_or_path', 'dataset_class_path',
        'dataset_kwargs', 'dropout', 'amp', 'schedule', 'output_dir']), tree)))
    def config(o):
        import yaml
        Path('h.yaml').write_text(yaml.safe_dump(o), encoding='utf-8')
        refused(api('load_config', 'config'), 'h.yaml')
    keys = st.sampled_from(['F', 'K', 'd', 'dv', 'telemetry_stats', 'label_maps', 'calibration', 'data',
        'frame_spacing_s', 'format_version', 'llm_fingerprint', 'pooling', 'skip', 'frozen_dtype', 'vision_features',
        'head_width', 'alarm', 'time_head'])
    ckpt = read_pt(good/'run/checkpoints/best.pt')
    def metadata(change):
        write_pt({**ckpt, 'metadata': {**ckpt['metadata'], **change}}, 'h.pt')
        refused(api('SimV0Inference', 'inference'), 'h.pt')
    plain_tree = st.recursive(st.one_of(st.none(), st.booleans(), st.integers(-2**60, 2**60), st.floats(),
        st.text(max_size=9)), lambda o: st.one_of(st.lists(o, max_size=4),
        st.dictionaries(st.text(max_size=9), o, max_size=4)), max_leaves=9)
    arrays = st.tuples(st.sampled_from(['u1', 'i8', 'f4', 'f8', '?', 'M8[s]', 'S3', 'U2', 'O', 'c8']),
        st.lists(st.integers(0, 5), max_size=4)).map(lambda o: np.zeros(o[1], o[0]))
    s = stream(c)
    def push(moves):
        s.reset()
        for frame, tel, t, now in moves: decided(s, s.push(frame, tel, t, now), 'push')
        s.decide(1.); s.stats()
    frames = st.one_of(st.just(np.zeros(FRAME_SHAPE, np.uint8)), arrays, tree)
    readings = st.one_of(st.just([0.]*8), st.lists(number, max_size=9), arrays, tree)
    times = st.one_of(st.floats(), number, tree)
    tests = dict(samples=given(feats, st.one_of(tensors, tree), st.one_of(st.integers(-101, 5), tree),
        st.one_of(st.none(), tree))(sample), configs=given(cfgs)(config),
                 metadata=given(st.dictionaries(keys, plain_tree, min_size=1, max_size=2))(metadata),
                 pushes=given(st.lists(st.tuples(frames, readings, times, st.one_of(st.none(), times)),
                 max_size=7))(push))
    f = with_seed(seed)(settings(max_examples=n, database=None, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck))(tests[only]))
    try: f()
    except BaseException as e:
        return '; '.join(f"{type(o).__name__}: {str(o)[:300]} {' '.join(getattr(o, '__notes__', []))[:500]}"
            for o in getattr(e, 'exceptions', [e]))
    return 'held'

PROPERTIES = 'samples', 'configs', 'metadata', 'pushes'

def hypothesis_storm(n, seed=0):
    "The property tests in a forked process"
    with tempfile.TemporaryDirectory(prefix='storms_') as tmp:
        good = Path(tmp)/'good'; warm(good); inputs(good, {'pushes'})
        return {k: _property(k, n, seed, good, Path(tmp)/k) for k in PROPERTIES}

def _property(k, n, seed, good, work):
    pid = os.fork()
    if pid == 0:
        try:
            work.mkdir(); os.chdir(work); os.environ['SIM_NB_CACHE'] = str(work/'cache')
            logging.getLogger('sim_nb').setLevel(logging.CRITICAL)
            res = properties(n, seed, good, k)
            Path('result').write_text(res)
        except BaseException: traceback.print_exc()
        finally: os._exit(0)
    t0 = time.time()
    limit = (LIMIT_S*4 + n)*max(1, os.getloadavg()[0]/os.cpu_count())
    while (r := os.waitpid(pid, os.WNOHANG))[0] == 0 and time.time() - t0 < limit: time.sleep(.02)
    if r[0] == 0: os.kill(pid, signal.SIGKILL); os.waitpid(pid, 0)
    return (work/'result').read_text() if (work/'result').exists() else f'did not end within {time.time() - t0:.0f} s'

def commit():
    import subprocess
    return subprocess.run(['git', 'rev-parse', '--short', 'HEAD'], cwd=ROOT, capture_output=True,
        text=True).stdout.strip()

def main(args=None):
    p = argparse.ArgumentParser('storms', description='Inject seeded faults and count how they end.')
    p.add_argument('--seed', type=int, default=0)
    p.add_argument('--faults', type=int, default=1500)
    p.add_argument('--kinds', nargs='+', help='only these')
    p.add_argument('--case', help='KIND:NUMBER, one fault with its traceback')
    p.add_argument('--json', help='file for the counts, and for what did not hold')
    p.add_argument('--short', action='store_true', help='a fault of each quick kind')
    p.add_argument('--hypothesis', type=int, metavar='N', default=0, help='examples of each property test, too')
    p.add_argument('--workers', type=int, default=2)
    a = p.parse_args(args)
    if a.case: raise SystemExit(one_case(a.case, a.seed))
    t0, res, held, at = time.time(), [], {}, commit()
    from sim_nb.cli import Meter
    meter = Meter(what='storm', unit='faults')
    def say(out, n):
        meter.total = n
        meter.update(len(out) - meter.done)
    if a.short: res = storm(seed=a.seed, workers=a.workers, say=say, cases=short_plan(a.seed))
    elif a.faults: res = storm(a.faults, a.seed, a.kinds, a.workers, say)
    if a.hypothesis: held = hypothesis_storm(a.hypothesis, a.seed)
    took = round(time.time() - t0)
    meter.close()
    if res: print(text_table(rows(res)))
    for r in bad(res): print(f"{r['outcome']}: {r['kind']}:{r['n']} {r['what']}: {r['why'][:300]}")
    if res: print(f'{len(res)} faults of {len(rows(res))} kinds, seed {a.seed}')
    for k, v in held.items(): print(f'{a.hypothesis} examples of {k}: {v}')
    if a.json: Path(a.json).write_text(json.dumps(report(res, held, a.seed, a.hypothesis, took, at), indent=1) + '\n')
    raise SystemExit(bool(bad(res)) or any(v != 'held' for v in held.values()))

def one_case(case, seed):
    "One fault, with its traceback; the exit code"
    k, _, n = case.partition(':')
    with tempfile.TemporaryDirectory(prefix='storms_') as tmp:
        good = Path(tmp)/'good'; warm(good); inputs(good, {k}); prepare(k, good)
        r = run_case(k, int(n), seed, good, show=True)
    print(f"{k}:{n} {r['what']}: {r['outcome']}: {r['why']}")
    return r['outcome'] not in GOOD

def report(results, held, seed, examples, seconds, at):
    "What the page shows, as plain data"
    return dict(seed=seed, faults=len(results), commit=at, seconds=seconds, kinds=rows(results),
                bad=[{k: r[k] for k in ('kind', 'n', 'what', 'outcome', 'why')} for r in bad(results)],
                properties=held, examples=examples)

if __name__ == '__main__': main()
