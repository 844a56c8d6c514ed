"""Scenes in which next to nothing moves: a slow drift, small things that creep, and the sensor's noise."""

import numpy as np

from convlstm_cli.synthetic.camera import grain
from convlstm_cli.synthetic.canvas import Canvas, Clip, Random, warp
from convlstm_cli.synthetic.paths import wander
from convlstm_cli.synthetic.scenes.shapes import add_thing, still
from convlstm_cli.synthetic.textures import texture
from convlstm_cli.video.opencv import cv2


def render(random: Random, canvas: Canvas) -> Clip:
    """A background of low contrast, which half the time drifts or trembles by parts of a pixel."""
    contrast = float(np.exp(random.uniform(np.log(0.02), np.log(0.8))))
    background = texture(random, canvas.height, canvas.width, canvas.channels, contrast)
    clip = still(canvas, background)
    if random.random() < 0.5:
        drift = np.arange(canvas.frames)[:, None] * random.normal(0, 0.02, 2)
        if random.random() < 0.4:
            drift = drift + wander(random, canvas.frames, 0.05, 0.5)
        for index, (x, y) in enumerate(drift):
            matrix = np.array([[1.0, 0.0, x], [0.0, 1.0, y]])
            clip[index] = warp(background, matrix, canvas.height, canvas.width, cv2.BORDER_REFLECT_101)
    for _ in range(int(random.integers(0, 4))):
        add_thing(random, canvas, clip, pace=0.15, largest=0.15)
    if random.random() < 0.5:
        clip += grain(random, clip.shape, contrast * float(np.exp(random.uniform(np.log(0.003), np.log(0.1)))))
    return clip
