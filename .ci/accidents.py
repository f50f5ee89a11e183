"""The drives of the page on accidents: python .ci/accidents.py RUN --out nbs/tutorials/accidents.json

Scenes 0 to 299 of a seed, a careless driver: without a guard, with the oracle, with the guard; and the first hundred with a guard that watches and never
holds back, for its alarm. The numbers are fixed beforehand.
What is done is kept beside --out after every ten drives, and a second call resumes there.
"""
import argparse
from pathlib import Path
from sim_nb.closed_loop import LATENCY_MS, drives, keep_drives, read_drives, report
from sim_nb.policy import TABLE

ONLY_WATCH = tuple(r for r in TABLE if r.doubt == 'bad_command')

def slim(row, guard):
    "What the page needs of a drive"
    left_out = () if guard in ('guard', 'watch') else ('alarms', 'high')
    return {k: v for k, v in row.items() if k not in left_out} | dict(codes={k: v for k, v in row['codes'].items() if k != 'ok'})

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
    done = dict(none=[], guard=[], oracle=[], watch=[]) | (read_drives(part)[0] if part.exists() else {})
    facts = dict(seed=a.seed, driver='careless', seconds=25., latency_ms=LATENCY_MS, weather='clear', checkpoint=a.name,
                 backend='int8', encoder='onnx', planned=a.episodes)
    for guard, rows in done.items():
        n = min(100, a.episodes) if guard == 'watch' else a.episodes
        name, kw = ('guard', dict(table=ONLY_WATCH)) if guard == 'watch' else (guard, {})
        while len(rows) < n:
            rows += [slim(r, guard) for r in drives(name, range(len(rows), min(len(rows) + 10, n)), a.run, a.workers, seed=a.seed, **kw)]
            keep_drives(part, done, **facts)
            print(guard, len(rows), 'of', n, flush=True)
    print(report({k: v for k, v in done.items() if k != 'watch'}))
    keep_drives(a.out, done, **facts)
    part.unlink()

if __name__ == '__main__': main()
