"""Layers at several depths, the nearer the faster, as from a train."""

import numpy as np

from convlstm_cli.synthetic.canvas import Canvas, Clip, Mask, Random, cover, warp
from convlstm_cli.synthetic.paths import track
from convlstm_cli.synthetic.textures import noise, texture
from convlstm_cli.video.opencv import cv2


def render(random: Random, canvas: Canvas) -> Clip:
    """Two to four layers with holes; the farthest stands still half the time."""
    layers = int(random.integers(2, 5))
    way = track(random, canvas.frames, canvas.side, 2.0)
    depths = np.sort(random.uniform(0.0, 1.0, layers))
    if random.random() < 0.5:
        depths[0] = 0.0
    height, width = int(1.5 * canvas.height), int(1.5 * canvas.width)
    start = np.array([(canvas.width - width) / 2, (canvas.height - height) / 2])
    clip = canvas.empty()
    for layer, depth in enumerate(depths):
        picture = texture(random, height, width, canvas.channels)
        mask = _holes(random, height, width, canvas.side) if layer else None
        for index, frame in enumerate(clip):
            shift = start + depth * way[index]
            matrix = np.array([[1.0, 0.0, shift[0]], [0.0, 1.0, shift[1]]])
            seen = warp(picture, matrix, canvas.height, canvas.width, cv2.BORDER_REFLECT_101)
            if mask is None:
                frame[:] = seen
            else:
                cover(frame, seen, warp(mask, matrix, canvas.height, canvas.width, cv2.BORDER_REFLECT_101))
    return clip


def _holes(random: Random, height: int, width: int, side: int) -> Mask:
    """A layer's outline, (height, width): islands with an edge of a few pixels, or bars."""
    if random.random() < 0.3:
        period = side * random.uniform(0.3, 1.0)
        places = np.arange(width, dtype=np.float32) + np.float32(random.uniform(0, period))
        bars = np.clip((np.mod(places, period) / period - random.uniform(0.4, 0.8)) * period, 0, 1)
        bars *= np.clip((1 - np.mod(places, period) / period) * period, 0, 1)
        return np.repeat(bars[None].astype(np.float32), height, axis=0)
    field = noise(random, height, width, side * random.uniform(0.2, 0.6))
    return np.asarray(np.clip((field - random.uniform(0, 0.9)) * 8, 0, 1), np.float32)
