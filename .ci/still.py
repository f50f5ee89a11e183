"""The still of the split screen, in nbs/images/side_by_side.jpg: `python .ci/still.py RUN SCENE SECOND SECOND`.

It drives a scene without and with a guard. README's is scene 69 at 4.0 and 4.5 s.
"""
import sys
import numpy as np
from PIL import Image
from nbdev.config import get_config
from sim_nb.closed_loop import film_sides
from sim_nb.watch import side_by_side
from sim_nb.world import FPS

WIDTH = 340  # pixels of one side

def main(run, scene, *moments):
    pics = list(side_by_side(film_sides(int(scene), 'guard', run, seconds=float(max(moments, key=float)) + 1), WIDTH))
    rows = [pics[round(float(o)*FPS)] for o in moments]
    gap = np.full((8, rows[0].shape[1], 3), 255, np.uint8)
    image = Image.fromarray(np.vstack([o for r in rows for o in (r, gap)][:-1]))
    path = get_config().nbs_path/'images'/'side_by_side.jpg'
    image.save(path, quality=78, optimize=True)
    print(f'{image.size}: {path.stat().st_size/1e3:.0f} kB')

if __name__ == '__main__': main(*sys.argv[1:])
