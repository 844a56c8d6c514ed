"""Soft bodies that crawl, change their shape, light up and divide, as cells in a dish."""

import numpy as np
from numpy.typing import NDArray

from convlstm_cli.synthetic.canvas import Canvas, Clip, Random, blurred
from convlstm_cli.synthetic.paths import track, wander
from convlstm_cli.synthetic.scenes.shapes import still
from convlstm_cli.synthetic.textures import colour, texture
from convlstm_cli.video.opencv import cv2

CORNERS = 24
"""Points of the outline of a cell."""
WAVES = 4
"""Harmonics of the outline: a circle and so many waves on it, which change slowly."""


def render(random: Random, canvas: Canvas) -> Clip:
    """Up to a dozen cells, filled or as outlines, on a ground of little contrast."""
    clip = still(canvas, texture(random, canvas.height, canvas.width, canvas.channels, random.uniform(0, 0.25)))
    outlines = [_outline(random, canvas) for _ in range(int(random.integers(1, 13)))]
    inside, edge = colour(random, canvas.channels), colour(random, canvas.channels)
    opacity, soft = random.uniform(0.2, 1.0), random.uniform(0, 2.0)
    thickness = int(random.integers(1, 4)) * (random.random() < 0.6)
    for index, frame in enumerate(clip):
        mask, border = np.zeros((2, canvas.height, canvas.width), np.uint8)
        for outline in outlines:
            points = np.round(outline[index] * 16).astype(np.int32)
            cv2.fillPoly(mask, [points], 255, cv2.LINE_AA, 4)
            if thickness:
                cv2.polylines(border, [points], True, 255, thickness, cv2.LINE_AA, 4)
        for part, paint, strength in ((mask, inside, opacity), (border, edge, 1.0)):
            cover = blurred(part.astype(np.float32), soft)[..., None] * np.float32(strength / 255)
            frame += cover * (paint - frame)
    return clip


def _outline(random: Random, canvas: Canvas) -> NDArray[np.float64]:
    """The corners of a cell at each step, (T, CORNERS, 2)."""
    times = np.arange(canvas.frames)[:, None, None]
    around = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False)[:, None]
    waves = np.arange(1, WAVES + 1)
    phases = random.uniform(0, 2 * np.pi, WAVES) + times * random.normal(0, 0.06, WAVES)
    heights = random.normal(0, 0.12, WAVES) / np.sqrt(waves)
    radius = canvas.side * float(np.exp(random.uniform(np.log(0.03), np.log(0.22))))
    growth = np.exp(times[:, :, 0] * random.normal(0, 0.006))
    radii = radius * growth * (1 + (heights * np.cos(waves * around + phases)).sum(axis=2))  # (T, CORNERS)
    centre = canvas.place(random) + track(random, canvas.frames, canvas.side, 0.6)
    centre = centre + wander(random, canvas.frames, canvas.side * 0.002)
    ways = np.stack((np.cos(around[:, 0]), np.sin(around[:, 0])), axis=1)
    return np.asarray(centre[:, None] + radii[..., None] * ways, np.float64)
