"""Digits and shapes on a dark ground that bounce off its walls and pass through each other."""

import numpy as np

from convlstm_cli.synthetic.canvas import Canvas, Clip, Random, similarity, warp
from convlstm_cli.synthetic.paths import bounce, spin, velocity
from convlstm_cli.synthetic.sprites import digit, sprite
from convlstm_cli.video.opencv import cv2


def render(random: Random, canvas: Canvas) -> Clip:
    """One to four things of constant speed; where they overlap, the brighter one is seen."""
    clip = canvas.empty()
    bright = random.uniform(0.5, 1.0) if random.random() < 0.4 else 1.0
    for _ in range(int(random.choice([1, 2, 3, 4], p=[0.2, 0.5, 0.2, 0.1]))):
        if random.random() < 0.75:
            mask = digit(random, int(canvas.side * random.uniform(0.25, 0.55)))
        else:
            mask = sprite(random, canvas.side, 1, largest=0.5).mask
        left, top, wide, high = cv2.boundingRect((mask > 0.5).astype(np.uint8))
        middle = np.array([left + (wide - 1) / 2, top + (high - 1) / 2])
        half = np.minimum((wide / 2, high / 2), canvas.centre)
        walls = half, np.array([canvas.width, canvas.height]) - half
        steps = np.arange(canvas.frames)[:, None] * velocity(random, canvas.side, 3.0)
        way = bounce(random.uniform(*walls) + steps, *walls)
        angles = spin(random, canvas.frames, often=0.1)
        paint = random.uniform(0.4, 1.0, canvas.channels) if canvas.channels > 1 else np.ones(1)
        for index, frame in enumerate(clip):
            matrix = similarity(middle, way[index], angles[index])
            seen = warp(mask, matrix, canvas.height, canvas.width, cv2.BORDER_CONSTANT)
            np.maximum(frame, seen[..., None] * (paint * bright).astype(np.float32), out=frame)
    return clip
