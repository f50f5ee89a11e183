"""The drives of the page on accidents: python .ci/accidents.py RUN --out nbs/tutorials/accidents.json

Scenes 0 to 299 of seed 77, a careless driver: without a guard, with the oracle, with the guard. The number is fixed beforehand.
What is done is kept beside --out after every ten drives, and a second call resumes there.
"""
import argparse
from pathlib import Path
from sim_nb.closed_loop import LATENCY_MS, drives, keep_drives, read_drives, report

def slim(row):
    "What the page needs of a drive"
    return {**row, 'held': row['held'], 'codes': {k: v for k, v in row['codes'].items() if k != 'ok'}}

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('run', help='folder of a run')
    p.add_argument('--name', default='the recipe quickstart', help='what the page calls it')
    p.add_argument('--episodes', type=int, default=300)
    p.add_argument('--seed', type=int, default=77)
    p.add_argument('--out', required=True)
    p.add_argument('--workers', type=int, default=0, help='processes (default 0: this one)')
    a = p.parse_args()
    part = Path(f'{a.out}.part')
    done = read_drives(part)[0] if part.exists() else dict(none=[], oracle=[], guard=[])
    facts = dict(seed=a.seed, driver='careless', seconds=25., latency_ms=LATENCY_MS, weather='clear', checkpoint=a.name,
                 backend='int8', encoder='onnx', planned=a.episodes)
    for guard, rows in done.items():
        while len(rows) < a.episodes:
            rows += map(slim, drives(guard, range(len(rows), min(len(rows) + 10, a.episodes)), a.run, a.workers, seed=a.seed))
            keep_drives(part, done, **facts)
            print(guard, len(rows), 'of', a.episodes, flush=True)
    print(report(done))
    keep_drives(a.out, done, **facts)
    part.unlink()

if __name__ == '__main__': main()
