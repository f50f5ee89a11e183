"""What a whole first run costs, in core-seconds by phase: `python .ci/first.py FILE NAME [COMMAND...]` runs `sim_train` in an empty cache, or another command
such as `env PYTHONPATH=CLONE python -m sim_nb.train --config quickstart`, and keeps the row NAME in the JSON file FILE. Only for a quiet machine: on a busy one
threads that wait for each other count as work."""
import json, os, pty, subprocess, sys, tempfile, termios, threading, time
from pathlib import Path
import psutil

AFTER = {'judging on': 'judging', 'fitting the time': 'head', 'sim_train begins': 'start', 'data: ': 'training'}  # a line that begins a phase
DURING = {'drives:': 'world', 'featu': 'features', 'epoch ': 'training', 'best epoch': 'training', 'time to risk': 'head', 'simpler models:': 'judging'}

class Cores:
    "CPU time of a process and of everything that it started"
    def __init__(self, pid): self.pid, self.seen = pid, {}
    def __call__(self):
        try: tree = [(me := psutil.Process(self.pid)), *me.children(recursive=True)]
        except psutil.Error: tree = []
        for o in tree:
            try: c = o.cpu_times(); self.seen[o.pid, o.create_time()] = c.user + c.system
            except psutil.Error: pass
        return sum(self.seen.values())

def phases(lines):
    "Core-seconds by phase of (core-seconds so far, line)"
    total, at, last = {}, 'start', 0.
    for c, line in lines:
        said = next((v for k, v in DURING.items() if k in line), at)
        if at == 'judging' and said in ('world', 'features'): said = f'{said} of the test drives'
        total[said] = total.get(said, 0) + c - last
        at, last = next((v for k, v in AFTER.items() if line.startswith(k)), said.removesuffix(' of the test drives') if at != 'judging' else at), c
    return {k: round(v, 1) for k, v in total.items()}

def steps(terminal):
    "Lines of a terminal; each step of a bar is one"
    try:
        for line in open(terminal, newline=None, errors='replace'):  # universal newlines
            if line.strip(): yield line.rstrip()
    except OSError: pass  # the end of a terminal, on Linux

def main(file, name, *command):
    with tempfile.TemporaryDirectory() as tmp:
        env = os.environ | dict(SIM_NB_CACHE=f'{tmp}/cache', PYTHONUNBUFFERED='1')
        ours, theirs = pty.openpty()  # on a terminal bars move often, so that each second falls to its phase
        termios.tcsetwinsize(theirs, (24, 80))  # one without a size shows no bars
        t, p = time.time(), subprocess.Popen(command or ['sim_train'], cwd=tmp, env=env, stdout=theirs, stderr=theirs)
        os.close(theirs)
        cores, lines = Cores(p.pid), []
        threading.Thread(target=lambda: [time.sleep(.3) for _ in iter(lambda: p.poll() is None and cores() >= 0, False)], daemon=True).start()
        for line in steps(ours):
            lines.append((cores(), line))
            print(f'{time.time() - t:7.1f} s {lines[-1][0]:8.1f} core-s | {line[:150]}', flush=True)
        lines.append((cores(), ''))
        if p.wait(): raise SystemExit(f'{name}: exit code {p.returncode}')
    rows = json.loads(Path(file).read_text()) if Path(file).exists() else []
    rows = [r for r in rows if r['name'] != name] + [dict(name=name, seconds=round(time.time() - t, 1), phases=phases(lines))]
    Path(file).write_text(json.dumps(rows, indent=1) + '\n')
    print(rows[-1])

if __name__ == '__main__': main(*sys.argv[1:])
