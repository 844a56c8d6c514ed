"""Light that changes on a scene: it wavers, a beam wanders, it is switched; or the whole scene is replaced."""

import numpy as np

from convlstm_cli.synthetic.canvas import Canvas, Clip, Random
from convlstm_cli.synthetic.paths import reach, track
from convlstm_cli.synthetic.scenes.shapes import add_thing, still
from convlstm_cli.synthetic.textures import texture


def render_flicker(random: Random, canvas: Canvas) -> Clip:
    """A lamp of uneven brightness, or a beam that wanders over a still scene."""
    clip = _scene(random, canvas)
    if random.random() < 0.5:
        levels = reach(random, canvas.frames, 0.5, 1.3, least=3) + random.normal(0, 0.02, canvas.frames)
        return np.asarray(clip * levels[:, None, None, None], np.float32)
    rows, columns = np.arange(canvas.height)[:, None], np.arange(canvas.width)[None, :]
    way = canvas.place(random) + track(random, canvas.frames, canvas.side, 1.5)
    wide, dark = canvas.side * random.uniform(0.15, 0.6), random.uniform(0.2, 0.9)
    for frame, (x, y) in zip(clip, way, strict=True):
        beam = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * wide**2))
        frame *= (dark + (1.3 - dark) * beam).astype(np.float32)[..., None]
    return clip


def render_cut(random: Random, canvas: Canvas) -> Clip:
    """At a random frame the brightness jumps or another scene begins."""
    clip = _scene(random, canvas)
    at = int(random.integers(0, canvas.frames))
    if random.random() < 0.6:
        clip[at:] = clip[at:] * np.float32(random.uniform(0.3, 1.5)) + np.float32(random.uniform(-0.2, 0.2))
    else:
        clip[at:] = _scene(random, canvas)[at:]
    return clip


def _scene(random: Random, canvas: Canvas) -> Clip:
    """A still picture, before which up to two things move."""
    clip = still(canvas, texture(random, canvas.height, canvas.width, canvas.channels))
    for _ in range(int(random.integers(0, 3))):
        add_thing(random, canvas, clip)
    return clip
