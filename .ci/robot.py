"""A folder for a robot, and drives that PyTorch decided.

`python .ci/robot.py FOLDER` makes FOLDER from a small model, and FOLDER.jsonl, a drive that PyTorch decided.
`python .ci/robot.py FOLDER --run RUN --data DRIVES [--python BARE]` exports a trained run instead, decides every drive of
DRIVES in PyTorch, and replays each with FOLDER/sim_rover.py, in fp32 and with 8-bit weights, by the interpreter BARE:
one whose environment holds numpy and onnxruntime only. The exit code is 1 where a decision in fp32 comes out otherwise.
"""
import argparse, subprocess, sys
from pathlib import Path
import numpy as np, torch
from sim_nb.checkpoint import save_checkpoint
from sim_nb.data import TelemetryStats
from sim_nb.inference import SimV0Inference
from sim_nb.model import SimV0Model, TimeToRisk
from sim_nb.place import fit_place
from sim_nb.rover import export_rover, record_pushes
from sim_nb.timehead import TimeHead
from sim_nb.vision import load_encoder

def checkpoint(folder):
    "A model with random weights and everything that a checkpoint may carry"
    torch.manual_seed(0)
    rng, enc = np.random.default_rng(0), load_encoder('random:mobilenetv3_small_050')
    plain = TelemetryStats(np.zeros(8), np.ones(8))
    model = SimV0Model('random:gpt2:layers=2,d=64,heads=2', dv=enc.dv, F=8, K=4, skip=True, telemetry_stats=plain)
    model.time_head = TimeToRisk.of(TimeHead(rng.normal(size=enc.dv)/9, .5, 4., share=.3))
    here = rng.normal(0, .1, (300, enc.dv)) + np.eye(enc.dv)[0]
    facts = dict(vision_encoder_name=enc.name, vision_features=enc.features, vision_fingerprint=enc.fingerprint,
                 frame_spacing_s=.1, alarm=dict(threshold=.3, budget=.05),
                 place=fit_place(here, here, np.arange(300)//10, dims=8, dt=.2).to_dict())
    return save_checkpoint(folder, model, None, 1, {}, model.get_metadata() | facts, 'best')

def replayed(python, folder, log, precision):
    "Exit code and last line of a replay"
    words = [python, f'{folder}/sim_rover.py', '--replay', str(log), '--precision', precision]
    o = subprocess.run(words, capture_output=True, text=True, env={'PATH': '/usr/bin:/bin'}, cwd=folder)
    return o.returncode, (o.stdout.splitlines() or o.stderr.splitlines())[-1]

def whole_drives(folder, run, data, python):
    "Every drive of a dataset, in PyTorch and on the robot; how many came out otherwise in fp32"
    inf, off = SimV0Inference(run), 0
    ds = inf.opened.open_data(data)
    export_rover(inf, folder, ds)
    for e in np.unique(ds.episodes):
        log = record_pushes(inf, f'{folder}.{e}.jsonl', ds, n=None, episode=int(e))
        for precision in ('fp32', 'int8'):
            code, said = replayed(python, folder, log, precision)
            print(f'drive {e}, {precision}: {said}', flush=True)
            off += precision == 'fp32' and code != 0
        for o in (log, log.with_suffix('.rgb')): o.unlink()
    return off

def main():
    p = argparse.ArgumentParser('.ci/robot.py', description=__doc__.splitlines()[0])
    p.add_argument('folder')
    p.add_argument('--run', help='a trained run instead of the small model')
    p.add_argument('--data', help='drives to decide, with --run')
    p.add_argument('--python', default=sys.executable, help='of the robot; default: this one')
    a = p.parse_args()
    if a.run: return int(whole_drives(str(Path(a.folder).absolute()), a.run, a.data, a.python) > 0)
    ckpt = checkpoint(f'{a.folder}_run')
    export_rover(ckpt, a.folder, precision='fp32')
    print(record_pushes(SimV0Inference(ckpt), f'{a.folder}.jsonl', n=300))

if __name__ == '__main__': sys.exit(main())
