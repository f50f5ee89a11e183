"The moving picture of the README: `python .ci/picture.py RUN [DRIVE DRIVE]` plays test drives of the world through a run, and writes nbs/images/watch.webp and watch.png."
import itertools, sys
import numpy as np
from PIL import Image
from nbdev.config import get_config
from sim_nb.stream import SimStream
from sim_nb.watch import REPLAY_S, replay, watch_frames
from sim_nb.world import WorldDataset

TEST, WIDTH, EVERY, STILL = 'world:test:episodes=10', 280, 2, 60  # pixels of one drive; of ten pictures a second every second one

def played(run, drive, ds):
    r = replay(run, ds, drive)
    return list(watch_frames(r.frames(), r.decisions, WIDTH, r.threshold))[::EVERY]

def main(run, *drives):
    ds, stream, out = WorldDataset(TEST), SimStream(run, deadline_s=REPLAY_S), get_config().nbs_path/'images'
    shows = [played(stream, d, ds) for d in map(int, drives or (0, 5))]
    n, gap = min(map(len, shows)), np.full((shows[0][0].shape[0], 8, 3), 255, np.uint8)
    pics = [Image.fromarray(np.hstack([shows[0][i], *itertools.chain.from_iterable((gap, s[i]) for s in shows[1:])])) for i in range(n)]
    pics[0].save(out/'watch.webp', save_all=True, append_images=pics[1:], duration=100*EVERY, loop=0, quality=60, method=6)
    pics[STILL].quantize(128).save(out/'watch.png', optimize=True)
    print(f"{n} pictures of {pics[0].size}: {(out/'watch.webp').stat().st_size/1e6:.2f} MB; still {(out/'watch.png').stat().st_size/1e6:.2f} MB")

if __name__ == '__main__': main(*sys.argv[1:])
