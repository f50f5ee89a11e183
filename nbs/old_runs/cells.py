# Cells that prove that old runs keep loading; made for the rooms `inference` (predictions) and `train` (resume). Working folder: nbs/.

# %% in both rooms (an import stands alone in its cell)
import shutil, tempfile
from pathlib import Path
from fastcore.xtras import working_directory
from safetensors.torch import load_file

# %% in both rooms: a hidden or visible helper
def old_run(commit, tmp):
    "A copy of a stopped run of an earlier commit, beside the LLM that its config names"
    for o in (commit, 'llm'): shutil.copytree(Path('old_runs')/o, Path(tmp)/(o if o == 'llm' else '.'), dirs_exist_ok=True)
    return Path(tmp)

# %% inference: predictions of a checkpoint are those of the commit that wrote it
# Classes are equal; numbers agree to 1e-5: the products are fp32, and their last bits (1e-7 of numbers near 1) depend on the
# processor and on the number of threads.
from sim_nb.files import read_jsonl

for commit in ('701167b', 'c703e90'):
    with tempfile.TemporaryDirectory() as tmp, working_directory(old_run(commit, tmp)):
        got, want = list(SimV0Inference('run').predict_data('dummy:test:24', probabilities=True)), read_jsonl('predictions.jsonl')
    assert len(got) == len(want) == 24 and len({o['risk'] for o in want}) > 2
    for a, b in zip(got, want):
        test_eq({k: a[k] for k in ('risk', 'reason', 'action', 'sample_id')}, {k: b[k] for k in ('risk', 'reason', 'action', 'sample_id')})
        test_close(a['confidence'], b['confidence'], 1e-5)
        for k, p in b.get('probabilities', {}).items(): test_close(list(a['probabilities'][k].values()), list(p.values()), 1e-5)

# %% train: a stopped run of an earlier commit resumes to the weights that this commit would have given it
# 24 steps of AdamW carry the last bits of fp32 (1e-7 at the most, on six processor settings); the epoch itself moves the weights by more than 1e-2.
for commit in ('701167b', 'c703e90'):
    with tempfile.TemporaryDirectory() as tmp, working_directory(old_run(commit, tmp)):
        before, want = read_checkpoint('run', 'last'), load_file('resumed.safetensors')
        main(['--resume', 'run'])
        after = read_checkpoint('run', 'last')
    far = lambda a, b: max((a[k] - b[k]).abs().max().item() for k in want)
    test_eq((before['epoch'], after['epoch'], set(after['model_state_dict'])), (2, 3, set(want)))
    assert far(after['model_state_dict'], want) < 1e-5 and far(before['model_state_dict'], want) > 1e-2
