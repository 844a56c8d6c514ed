"""Layers that let through what is behind: glass, smoke, fog and shadows."""

import numpy as np

from convlstm_cli.synthetic.canvas import Canvas, Clip, Random, cover, warp
from convlstm_cli.synthetic.paths import track
from convlstm_cli.synthetic.scenes.shapes import add_thing, still
from convlstm_cli.synthetic.textures import colour, noise, texture
from convlstm_cli.video.opencv import cv2


def render(random: Random, canvas: Canvas) -> Clip:
    """One or two layers of uneven density in one colour or a texture drift over a still picture."""
    clip = still(canvas, texture(random, canvas.height, canvas.width, canvas.channels))
    if random.random() < 0.3:
        add_thing(random, canvas, clip)
    height, width = 2 * canvas.height, 2 * canvas.width
    for _ in range(int(random.integers(1, 3))):
        scale = canvas.side * random.uniform(0.1, 0.6)
        field = noise(random, height, width, scale) + 0.4 * noise(random, height, width, scale / 3)
        share = np.clip((field - random.uniform(-0.6, 0.6)) * random.uniform(0.3, 1.5), 0, 1)
        density = np.asarray(share * random.uniform(0.2, 0.9), np.float32)
        paint = (
            texture(random, canvas.height, canvas.width, canvas.channels)
            if random.random() < 0.3
            else np.broadcast_to(colour(random, canvas.channels), (canvas.height, canvas.width, canvas.channels))
        )
        way = track(random, canvas.frames, canvas.side, 1.5) - (canvas.width / 2, canvas.height / 2)
        for index, frame in enumerate(clip):
            matrix = np.array([[1.0, 0.0, way[index][0]], [0.0, 1.0, way[index][1]]])
            cover(frame, paint, warp(density, matrix, canvas.height, canvas.width, cv2.BORDER_REFLECT_101))
    return clip
