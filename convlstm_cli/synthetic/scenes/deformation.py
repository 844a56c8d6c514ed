"""A picture that bends, waves or is stretched, as cloth, water or a face."""

import numpy as np

from convlstm_cli.synthetic.canvas import Canvas, Clip, Random, remap
from convlstm_cli.synthetic.scenes.shapes import still
from convlstm_cli.synthetic.textures import noise, texture


def render(random: Random, canvas: Canvas) -> Clip:
    """Two patterns of displacement that swing in turn; half the time in a part of the picture only."""
    height, width = canvas.height, canvas.width
    picture = texture(random, height, width, canvas.channels)
    clip = still(canvas, picture)
    scale = canvas.side * random.uniform(0.15, 0.8)
    size = canvas.side * float(np.exp(random.uniform(np.log(0.005), np.log(0.08))))
    first, second = (
        np.stack([noise(random, height, width, scale) for _ in range(2)], axis=-1) * size for _ in range(2)
    )
    if random.random() < 0.5:
        part = np.clip(noise(random, height, width, canvas.side * 0.5) * 3, 0, 1)[..., None]
        first, second = first * part, second * part
    period, phase = random.uniform(8, 80), random.uniform(0, 2 * np.pi)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    for index in range(canvas.frames):
        angle = 2 * np.pi * index / period + phase
        away = (first * np.cos(angle) + second * np.sin(angle)).astype(np.float32)
        clip[index] = remap(picture, x + away[..., 0], y + away[..., 1])
    return clip
