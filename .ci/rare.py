"""The runs and measures behind nbs/tutorials/rover_rare.json, made again.

    python .ci/rare.py --runs RUNS --train TRAIN --val VAL                  # all parts
    python .ci/rare.py --runs RUNS --train TRAIN --val VAL --parts ahead

Each run is plain `sim_train`, in a folder of its own below RUNS; one that is finished there is not trained again. A part replaces its own keys of the JSON
and leaves all others: `replica`, `left_out` but for its rows of scikit-learn, `crossfit`, `best_by` and `tried` are of a replica of the recipe on a GPU.
"""
import argparse, json, sys, warnings
from pathlib import Path
import numpy as np, torch
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, f1_score, precision_recall_curve
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sim_nb.cache import open_split
from sim_nb.checkpoint import RunFolder, read_checkpoint
from sim_nb.config import load_config, override
from sim_nb.data import highest_ahead, make_dl
from sim_nb.inference import SimV0Inference, window_times
from sim_nb.metrics import alarm_threshold, recall_at
from sim_nb.rare import drive_interval, rare_metrics
from sim_nb.timehead import SPEED, _nats, choose_shares, fuse, log_softmax, share_losses
from sim_nb.train import train
from sim_nb.vision import load_encoder

PAGE = Path(__file__).resolve().parents[1]/'nbs/tutorials/rover_rare.json'
KINDS = dict(rover=[], none=['model.llm_name_or_path=none'], llm=['model.llm_name_or_path=smollm2-135m'], world=[], worldnone=['model.llm_name_or_path=none'])
EVENTS = ('events', 'event_recall', 'median_lead_s', 'event_recall_0.5s_before', 'event_recall_1s_before', 'event_recall_1.5s_before', 'false_alarms_per_hour')

def run_of(a, kind, look, seed):
    "A finished run; it is trained where it is not there"
    out, words = a.runs/f'{kind}_la{look}_{seed}', [f'training.seed={seed}', f'data.look_ahead_s={look}.0', *KINDS[kind]]
    if kind.startswith('world'): name, words = 'quickstart', ['data.test_split_path=null', *words]
    else: name, words = 'rover_lerobot', [f'data.train_split_path={a.train}', f'data.val_split_path={a.val}', *words]
    run = RunFolder(out)
    if not (run.last.exists() and 'alarm' in read_checkpoint(run.last)['metadata']): train(load_config(name, [*words, f'output.output_dir={out}']), resume=run.used)
    return run

def windows(a, kind, split):
    "All windows of a split, one at each frame, with cached features"
    cfg = load_config('quickstart') if kind.startswith('world') else load_config('rover_lerobot', [f'data.train_split_path={a.train}', f'data.val_split_path={a.val}'])
    cfg = override(cfg, {'data.dataset_kwargs': {}})
    return open_split(cfg, split, load_encoder(cfg.model.vision_encoder_name, cfg.model.vision_features))

def answers(run, ds):
    "What the last epoch of a run says, see `answers_of`"
    return answers_of(SimV0Inference(run.last).model, ds)

@torch.inference_mode()
def answers_of(model, ds):
    "Log probabilities of the risk: raw, of the time head alone, of both; and the action"
    rows = []
    for x, _ in make_dl(ds, 256):
        out, head = model(x), model.time_head
        time = head.log_probs(head.log_seconds(model.last_features(x), x['telemetry'][:, SPEED])) if head is not None else out['risk_logits']
        rows.append([o.double().numpy() for o in (out['risk_logits'], time, model.fused(out, x)['risk_logits'], out['action_logits'])])
    raw, time, both, action = map(np.concatenate, zip(*rows))
    return dict(raw=log_softmax(raw), time=time, both=log_softmax(both), act=action.argmax(1), shares=[number(head.share), number(head.share_below)] if head is not None else [0., 0.])

def one_share(o, y):
    "Both joined with one share for everything, the best on these windows"
    def loss(f):
        below = np.logaddexp.reduce(f[:, :3], axis=1)
        return -f[np.arange(len(y)), y].mean() - 4*np.where(y == 3, f[:, 3], below).mean()
    return min((fuse(o['time'], o['raw'], s/20) for s in range(21)), key=loss)

def score(logp): return logp[:, 3] - np.logaddexp.reduce(logp[:, :3], axis=1)

def measured(logp, y, act=None, true_act=None):
    k = y >= 0
    s, y_, p = score(logp)[k], y[k], logp.argmax(1)[k]
    out = dict(ap=average_precision_score(y_ == 3, s), **{f'r{b}': recall_at(s, y_, b/100) for b in (2, 5, 10)}, f1=f1_score(y_, p, average='macro', labels=range(4)))
    return out | ({} if act is None else dict(act=float((act == true_act)[true_act >= 0].mean())))

def macro_f1(y, named):
    "As `f1_score` over the four classes; quick, for many draws"
    k = y >= 0
    c = np.bincount(4*y[k] + named[k], minlength=16).reshape(4, 4)
    return float((2*c.diagonal()/np.maximum(c.sum(0) + c.sum(1), 1)).mean())

def number(x): return None if x is None else round(float(x), 4)
def spread(v):
    v = [x for x in v if x is not None]
    return [number(np.mean(v)) if v else None, number(np.std(v, ddof=1)) if len(v) > 1 else None]
def row(name, runs): return dict(model=name, n=len(runs), **{k: spread([r[k] for r in runs]) for k in runs[0]})

def intervals(logp, act, y, true_act, drives):
    "Of 95 % over drives, of one seed"
    q = lambda f: [number(o) for o in drive_interval(f, drives, n=400)]
    return dict(ap=q(lambda i, _: average_precision_score(y[i] == 3, score(logp)[i]) if (y[i] == 3).any() else None), r10=q(lambda i, _: recall_at(score(logp)[i], y[i], .1)),
                f1=q(lambda i, _: macro_f1(y[i], logp[i].argmax(1))), act=q(lambda i, _: (act[i] == true_act[i]).mean()))

def of_sklearn(name, x, tel, fit):
    "Model and input of a baseline: the last frame's features and the telemetry"
    scaled = lambda m: make_pipeline(StandardScaler(), m)
    if name == 'telemetry, logistic': return scaled(LogisticRegression(max_iter=1000, tol=1e-3)), tel
    if name == 'boosted trees': return HistGradientBoostingClassifier(max_iter=60, random_state=0), np.hstack([tel, PCA(48, random_state=0, svd_solver='covariance_eigh').fit(x[fit]).transform(x)]).astype(np.float32)
    return scaled(MLPClassifier((64,), alpha=1., early_stopping=True, max_iter=30, random_state=0)), np.hstack([tel, x])

SKLEARN = ('telemetry, logistic', 'boosted trees', 'MLP')

def baseline(name, x, tel, y, fit, judged):
    model, z = of_sklearn(name, x, tel, fit)
    model.fit(z[fit], y[fit])
    p = np.full((judged.sum(), max(4, y.max() + 1)), 1e-12)
    p[:, model.classes_] += model.predict_proba(z[judged])
    return log_softmax(np.log(p))

def recordings(a):
    "Training windows with their mirror images, then validation: last features, telemetry, risk, action, is it validation, is it a mirror image, driver"
    tr, va = (windows(a, 'rover', k) for k in ('train', 'val'))
    last = lambda ds: np.asarray(ds.feats)[np.asarray(ds.rows)[:, -1]].astype(np.float32)
    cat = lambda f: np.concatenate([f(tr), f(va)])
    val = np.arange(len(tr) + len(va)) >= len(tr)
    driver = np.where(val, 2 + (cat(lambda d: d.episodes) > 0), cat(lambda d: d.episodes) >= 13)  # two drivers in each: episodes 0 to 12, 13 and 14; 0, 1 to 5
    return dict(x=cat(last), tel=cat(lambda d: d.telemetry), risk=cat(lambda d: d.labels['risk_id']), action=cat(lambda d: d.labels['action_id']), val=val,
                mirrored=~val & (np.arange(len(val)) >= len(tr)//2), driver=driver)

def curve(logp, y):
    "Recall and precision of high, at each hundredth of recall"
    p, r, _ = precision_recall_curve(y == 3, score(logp))
    k = np.unique(np.round(r, 2), return_index=True)[1]
    return [[round(float(v), 3) for v in o[k]] for o in (r, p)]

def part_real(a):
    "The SIM on the recordings, the last of ten epochs; the other rows stay"
    va = windows(a, 'rover', 'val')
    y, ya, drives = np.asarray(va.labels['risk_id']), np.asarray(va.labels['action_id']), np.asarray(va.episodes)
    o = [answers(run_of(a, 'rover', 0, s), va) for s in a.seeds]
    how = {'SIM, raw': lambda r: r['raw'], 'SIM, one share': lambda r: one_share(r, y), 'SIM and time head': lambda r: r['both']}
    real = [row(name, [measured(f(r), y, r['act'], ya) for r in o]) for name, f in how.items()]
    found = {k: how[k](o[0]) for k in ('SIM, raw', 'SIM and time head')}
    s, own = score(o[0]['both']), drives == 4
    sure = lambda v: round(float(1/(1 + np.exp(-v))), 4)
    drive = dict(seconds=[round(i/10, 1) for i in range(int(own.sum()))], p_high=[sure(v) for v in s[own]], risk=y[own].tolist(), threshold=sure(alarm_threshold(s, y)))
    return dict(real=real + [r for r in kept('real') if r['model'] not in how], shares=[r['shares'] for r in o], drive=drive,
                intervals={k: intervals(l, o[0]['act'], y, ya, drives) for k, l in found.items()} | {k: v for k, v in kept('intervals').items() if k not in found},
                pr={k: curve(l, y) for k, l in found.items()} | {k: v for k, v in kept('pr').items() if k not in found})

def part_sklearn(a):
    "The rows of scikit-learn on the recordings"
    d, drives = recordings(a), np.asarray(windows(a, 'rover', 'val').episodes)
    y, ya, rows, iv, pr = d['risk'][d['val']], d['action'][d['val']], {}, {}, {}
    for name in a.models:
        risk, act = (baseline(name, d['x'], d['tel'], d[k], ~d['val'], d['val']) for k in ('risk', 'action'))
        risk, act = risk[:, :4], act.argmax(1)
        rows[name], iv[name], pr[name] = row(name, [measured(risk, y, act, ya)]), intervals(risk, act, y, ya, drives), curve(risk, y)
    return dict(real=[rows.get(r['model'], r) for r in kept('real')], intervals=kept('intervals') | iv, pr=kept('pr') | pr)

def kept(key): return json.loads(PAGE.read_text())[key]

def part_llm(a, label, kind):
    "Two rows beside those of `part_real`"
    va = windows(a, 'rover', 'val')
    y, ya, o = np.asarray(va.labels['risk_id']), np.asarray(va.labels['action_id']), [answers(run_of(a, kind, 0, s), va) for s in a.seeds]
    rows = [row(f'{label}, {how}', [measured(r[k], y, r['act'], ya) for r in o]) for how, k in (('raw', 'raw'), ('and time head', 'both'))]
    return dict(real=[r for r in kept('real') if label not in r['model']] + rows)

def far(y, drives, seconds, near=1.5):
    "Risk without the windows up to 1.5 s before an event: an alarm there is none too early, and no false one"
    out = np.array(y)
    for d in np.unique(drives):
        i = np.flatnonzero(drives == d)
        out[i[(highest_ahead(y[i], seconds[i], near) == 3) & (y[i] != 3)]] = -100
    return out

def ahead_rows(a, kind, ds, seeds, budgets):
    "Lead times of runs whose target looks 0, 1 and 2 s ahead, raw and with the time head; the budget is a share of the windows `far` from an event"
    y, (drives, seconds), rows = np.asarray(ds.labels['risk_id']), window_times(ds), []
    calm = far(y, drives, seconds)
    for look in (0, 1, 2):
        o = [answers(run_of(a, kind, look, s), ds) for s in seeds]
        for model, k in (('SIM, raw', 'raw'), ('SIM and time head', 'both')):
            for b in budgets:
                r = [rare_metrics(score(v[k]), y, drives, seconds, threshold=alarm_threshold(score(v[k]), calm, b)) for v in o]
                rows.append(dict(look_ahead_s=look, model=model, n=len(o), budget=b, ap=spread([v['risk_high_ap'] for v in r]), f1=spread([measured(v[k], y)['f1'] for v in o]), **{q: spread([v[q] for v in r]) for q in EVENTS[1:]}))
    return rows, int(r[0]['events'])

def part_ahead(a):
    rows, events = ahead_rows(a, 'rover', windows(a, 'rover', 'val'), a.seeds, (.05, .1))
    return dict(ahead=rows, ahead_events=events)

@torch.inference_mode()
def heads_f1(run, ds):
    "Macro F1 of each head, and their mean, with the time head"
    model, named = SimV0Inference(run.last).model, []
    for x, _ in make_dl(ds, 256): named.append({k: v.argmax(1).numpy() for k, v in model.fused(model(x), x).items() if k.endswith('_logits')})
    f1 = {}
    for k in ('risk', 'reason', 'action'):
        y, p = np.asarray(ds.labels[f'{k}_id']), np.concatenate([o[f'{k}_logits'] for o in named])
        f1[k] = float(f1_score(y[y >= 0], p[y >= 0], average='macro'))
    return f1 | dict(mean=float(np.mean(list(f1.values()))))

def part_world_heads(a):
    "All three heads on the windows of the recipe, as in rover_world.json"
    cfg = load_config('quickstart')
    ds = open_split(cfg, 'test', load_encoder(cfg.model.vision_encoder_name, cfg.model.vision_features))
    o = [heads_f1(run_of(a, 'world', 0, s), ds) for s in a.world_seeds]
    return dict(world_heads=dict(windows=len(ds), **row('SIM and time head', o)))

def part_world(a, label='SIM', kind='world'):
    "Every window of the test drives, one at each frame"
    ds = windows(a, kind, 'test')
    y, ya, (drives, seconds) = np.asarray(ds.labels['risk_id']), np.asarray(ds.labels['action_id']), window_times(ds)
    o, new = [answers(run_of(a, kind, 0, s), ds) for s in a.world_seeds], dict(world=[], world_lead=[], world_r2={})
    for name, k in ((f'{label}, raw', 'raw'), ('SIM and time head' if kind == 'world' else f'{label}, and time head', 'both')):
        new['world'].append(row(name, [measured(v[k], y, v['act'], ya) for v in o]))
        mean = lambda i, _: np.mean([recall_at(score(v[k])[i], y[i], .02) for v in o]) if (y[i] == 3).any() else None
        new['world_r2'][name] = [number(v) for v in drive_interval(mean, drives, n=400)]
        r = [rare_metrics(score(v[k]), y, drives, seconds, budget=.02) for v in o]
        new['world_lead'].append(dict(model=name, n=len(o), **{q: spread([v[q] for v in r]) for q in EVENTS[1:]}))
    gain = lambda i, _: np.mean([macro_f1(y[i], v['both'].argmax(1)[i]) - macro_f1(y[i], v['raw'].argmax(1)[i]) for v in o])
    if kind == 'world': return new | dict(world_f1_gain=[number(v) for v in drive_interval(gain, drives, n=400)])
    return {k: kept(k) | v if isinstance(v, dict) else [r for r in kept(k) if label not in r['model']] + v for k, v in new.items()}

def part_world_ahead(a):
    rows, events = ahead_rows(a, 'world', windows(a, 'world', 'test'), a.seeds, (.02, .05, .1))
    return dict(world_ahead=rows, world_events=events)

def likeliest(cost, gain=.01): return 0. if cost.min() >= (1 - gain)*cost[0] else cost.argmin()/20

def by_rules(o, y, drives):
    "Shares on high and below it that each rule would choose on these windows"
    k = y >= 0
    o, y, drives = {n: np.asarray(o[n])[k] for n in ('raw', 'time')}, y[k], drives[k]
    nats = [np.array(c) for c in zip(*(_nats(fuse(o['time'], o['raw'], s/20), y) for s in range(21)))]  # high or not, which below: [21, N]
    means = [c.mean(1) for c in nats]
    alike = lambda c, g: np.mean([c[:, g == v].mean(1) for v in np.unique(g)], 0)
    f1 = lambda a, b: macro_f1(y, fuse(o['time'], o['raw'], a, None, b).argmax(1))
    a, b = map(likeliest, means)
    one, rows = likeliest(sum(means)), share_losses(o['time'], o['raw'], y, drives=drives)
    return {'the SIM alone': (0., 0.), 'likeliest': (a, b), 'likeliest, one share': (one, one),
            'likeliest, classes alike': (likeliest(alike(nats[0], y == 3)), likeliest(alike(nats[1][:, y < 3], y[y < 3]))),
            'likeliest; below by macro F1': (a, max((s/20 for s in range(21)), key=lambda s: f1(a, s))),
            'likeliest; below 0 where macro F1 falls': (a, b if f1(a, b) >= f1(a, 0.) else 0.), 'likeliest; below 0': (a, 0.),
            'likeliest; below one error': choose_shares(rows), 'one error': choose_shares(rows, agreed=('high', 'below'))}

def rule_rows(found, judged):
    "Rows of rules that were chosen in `found` (shares of each run) and are judged on other windows or the same"
    mixed = lambda d, s: fuse(d['time'], d['raw'], s[0], None, s[1])
    return [dict(rule=k, shares=[list(map(number, f[k])) for f in found], **{q: v for q, v in row('', [measured(mixed(d, f[k]), y) for f, (d, y) in zip(found, judged)]).items() if q != 'model'}) for k in found[0]]

def crossed(o, y, drives):
    "Log probabilities by rule, where the shares of a drive are chosen on all others"
    out = {}
    for d in np.unique(drives):
        i = drives == d
        for k, (a, b) in by_rules({n: o[n][~i] for n in ('raw', 'time')}, y[~i], drives[~i]).items():
            out.setdefault(k, np.empty_like(o['raw']))[i] = fuse(o['time'][i], o['raw'][i], a, None, b)
    return out

def part_rules(a):
    "How the shares could be chosen: on the recordings, and on the world, where 120 fresh drives judge what 30 drives chose"
    va = windows(a, 'rover', 'val')
    y, drives, o = np.asarray(va.labels['risk_id']), np.asarray(va.episodes), [answers(run_of(a, 'rover', 0, s), va) for s in a.seeds]
    crosses = [crossed(v, y, drives) for v in o]
    new = dict(recordings=rule_rows([by_rules(v, y, drives) for v in o], [(v, y) for v in o]),
               crossfitted=[dict(rule=k, **{q: v for q, v in row('', [measured(c[k], y) for c in crosses]).items() if q != 'model'}) for k in crosses[0]])
    cfg = load_config('quickstart')
    encoder, runs = load_encoder(cfg.model.vision_encoder_name, cfg.model.vision_features), [run_of(a, 'world', 0, s) for s in a.world_seeds]
    chosen = open_split(cfg, 'val', encoder)
    found = [by_rules(answers(r, chosen), np.asarray(chosen.labels['risk_id']), np.asarray(chosen.episodes)) for r in runs]
    more = open_split(override(cfg, {'data.dataset_kwargs': {}, 'data.val_split_path': 'world:val:episodes=150'}), 'val', encoder)
    for name, ds, keep in (('fresh', more, np.asarray(more.episodes) >= 30), ('test', windows(a, 'world', 'test'), slice(None))):
        y, drives = np.asarray(ds.labels['risk_id'])[keep], np.asarray(ds.episodes)[keep]
        o = [{k: v[keep] for k, v in answers(r, ds).items() if k in ('raw', 'time')} for r in runs]
        new[name] = rule_rows(found, [(v, y) for v in o])
        named = {k: [(fuse(v['time'], v['raw'], f[k][0], None, f[k][1]).argmax(1), v['raw'].argmax(1)) for v, f in zip(o, found)] for k in ('likeliest', 'likeliest; below one error', 'one error')}
        for r in new[name]:
            if r['rule'] in named: r['f1_gain'] = [number(v) for v in drive_interval(lambda i, _: np.mean([macro_f1(y[i], p[i]) - macro_f1(y[i], q[i]) for p, q in named[r['rule']]]), drives, n=400)]
    return dict(rules=new)

def part_left_out(a):
    "The rows of scikit-learn; those of the SIM stay"
    d, old = recordings(a), kept('left_out')
    rows = []
    for n in range(4):
        judged = (d['driver'] == n) & ~d['mirrored']
        rows += [o for o in old if o['driver'] == f'driver {n + 1}' and o['row']['model'] not in a.models]
        for name in a.models:
            l = baseline(name, d['x'], d['tel'], d['risk'], d['driver'] != n, judged)
            rows.append(dict(driver=f'driver {n + 1}', high=int((d['risk'][judged] == 3).sum()), row=row(name, [measured(l[:, :4], d['risk'][judged])])))
    return dict(left_out=rows)

PARTS = dict(real=part_real, sklearn=part_sklearn, none=lambda a: part_llm(a, 'without an LLM', 'none'), pretrained=lambda a: part_llm(a, 'pretrained LLM', 'llm'), ahead=part_ahead, world=part_world, world_heads=part_world_heads, world_none=lambda a: part_world(a, 'without an LLM', 'worldnone'), world_ahead=part_world_ahead, rules=part_rules, left_out=part_left_out)

if __name__ == '__main__':
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--runs', type=Path, required=True, help='folder of the runs')
    p.add_argument('--train', help='recordings to train on'); p.add_argument('--val', help='recordings to validate on')
    p.add_argument('--parts', nargs='+', choices=PARTS, default=list(PARTS))
    p.add_argument('--seeds', type=int, nargs='+', default=[42, 43, 44], help='of all parts but those of the world')
    p.add_argument('--world-seeds', type=int, nargs='+', default=[42, 43, 44, 45, 46], help='of the parts world, world_none')
    p.add_argument('--models', nargs='+', choices=SKLEARN, default=list(SKLEARN), help='of the parts sklearn, left_out')
    a = p.parse_args()
    warnings.simplefilter('ignore')
    for name in a.parts:
        new = PARTS[name](a)
        PAGE.write_text(json.dumps(json.loads(PAGE.read_text()) | new) + '\n')
        print(f"{name}: {', '.join(new)} written into {PAGE.name}", flush=True)
