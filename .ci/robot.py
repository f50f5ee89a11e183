"A folder for a robot from a small model, and a drive that PyTorch decided: `python .ci/robot.py FOLDER` writes FOLDER and FOLDER.jsonl"
import sys
import numpy as np, torch
from sim_nb.checkpoint import save_checkpoint
from sim_nb.data import TelemetryStats
from sim_nb.place import fit_place
from sim_nb.inference import SimV0Inference
from sim_nb.model import SimV0Model, TimeToRisk
from sim_nb.rover import export_rover, record_pushes
from sim_nb.timehead import TimeHead
from sim_nb.vision import load_encoder

def checkpoint(folder):
    "A model with random weights and everything that a checkpoint may carry"
    torch.manual_seed(0)
    rng, enc = np.random.default_rng(0), load_encoder('random:mobilenetv3_small_050')
    model = SimV0Model('random:gpt2:layers=2,d=64,heads=2', dv=enc.dv, F=8, K=4, skip=True, telemetry_stats=TelemetryStats(np.zeros(8), np.ones(8)))
    model.time_head = TimeToRisk.of(TimeHead(rng.normal(size=enc.dv)/9, .5, 4., share=.3))
    here = rng.normal(0, .1, (300, enc.dv)) + np.eye(enc.dv)[0]
    facts = dict(vision_encoder_name=enc.name, vision_features=enc.features, vision_fingerprint=enc.fingerprint, frame_spacing_s=.1,
                 alarm=dict(threshold=.3, budget=.05), place=fit_place(here, here, np.arange(300)//10, dims=8).to_dict())
    return save_checkpoint(folder, model, None, 1, {}, model.get_metadata() | facts, 'best')

def main(folder):
    ckpt = checkpoint(f'{folder}_run')
    export_rover(ckpt, folder, precision='fp32')
    print(record_pushes(SimV0Inference(ckpt), f'{folder}.jsonl', n=300))

if __name__ == '__main__': main(sys.argv[1])
