"""Small discs under a microscope that tremble about where they are, drift, or sink."""

import numpy as np

from convlstm_cli.synthetic.camera import grain
from convlstm_cli.synthetic.canvas import Canvas, Clip, Random
from convlstm_cli.synthetic.paths import velocity, wander
from convlstm_cli.synthetic.scenes.shapes import still
from convlstm_cli.synthetic.sprites import Sprite, light
from convlstm_cli.synthetic.textures import texture


def render(random: Random, canvas: Canvas) -> Clip:
    """Up to sixty alike discs in focus or out of it, each with a random walk of its own."""
    clip = still(canvas, texture(random, canvas.height, canvas.width, canvas.channels, random.uniform(0, 0.15)))
    strength = float(np.exp(random.uniform(np.log(0.01), np.log(0.8)))) * (1 if random.random() < 0.5 else -1)
    radius = canvas.side * random.uniform(0.008, 0.05)
    bead = _bead(radius, canvas.channels, strength, ring=random.random() < 0.5)
    trembling = canvas.side * float(np.exp(random.uniform(np.log(0.0002), np.log(0.02))))
    stream = velocity(random, canvas.side, 0.3) if random.random() < 0.4 else np.zeros(2)
    for _ in range(int(random.integers(3, 40))):
        way = canvas.place(random, -0.05) + wander(random, canvas.frames, trembling, random.uniform(0, 0.6))
        way = way + np.arange(canvas.frames)[:, None] * stream
        for frame, at in zip(clip, way, strict=True):
            bead.draw(frame, at)
    if random.random() < 0.4:
        clip += grain(random, clip.shape, abs(strength) * random.uniform(0, 0.08))
    return clip


def _bead(radius: float, channels: int, strength: float, *, ring: bool) -> Sprite:
    """A soft disc, with a dark or bright ring about it where it is out of focus."""
    size = 2 * int(3 * radius) + 7
    profile = light(size, 2 * radius)
    if ring:
        profile = np.clip(light(size, 3 * radius) - profile * np.float32(0.9), 0, 1)
    value = 1.0 if strength > 0 else 0.0
    return Sprite(np.full((size, size, channels), value, np.float32), profile * np.float32(min(abs(strength), 1.0)))
