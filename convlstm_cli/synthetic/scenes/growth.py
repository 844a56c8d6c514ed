"""Things that grow, shrink, fade in and out, or change their tone where they are."""

import numpy as np

from convlstm_cli.synthetic.canvas import Canvas, Clip, Random
from convlstm_cli.synthetic.paths import reach, spin, track
from convlstm_cli.synthetic.scenes.shapes import still
from convlstm_cli.synthetic.sprites import sprite
from convlstm_cli.synthetic.textures import texture


def render(random: Random, canvas: Canvas) -> Clip:
    """One to six things whose size and opacity go their own ways."""
    clip = still(canvas, texture(random, canvas.height, canvas.width, canvas.channels))
    for _ in range(int(random.integers(1, 7))):
        thing = sprite(random, canvas.side, canvas.channels, largest=0.5)
        way = canvas.place(random) + track(random, canvas.frames, canvas.side, 0.3)
        steady = random.random() < 0.5
        sizes = (
            np.exp(np.clip(np.arange(canvas.frames) * random.normal(0, 0.03), -1.1, 1.1))
            if steady
            else reach(random, canvas.frames, 0.5, 1.6, least=6)
        )
        opacities = reach(random, canvas.frames, 0.0, 1.0, least=6) if random.random() < 0.5 else np.ones(canvas.frames)
        angles = spin(random, canvas.frames, 0.2)
        for index, frame in enumerate(clip):
            thing.draw(frame, way[index], angles[index], sizes[index], float(opacities[index]))
    return clip
