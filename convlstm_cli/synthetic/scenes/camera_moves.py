"""A picture under a camera that moves, turns and zooms, or shakes."""

import numpy as np

from convlstm_cli.synthetic.canvas import Canvas, Clip, Random, similarity, warp
from convlstm_cli.synthetic.paths import Track, spin, track, wander, zoom
from convlstm_cli.synthetic.scenes.shapes import add_thing
from convlstm_cli.synthetic.textures import texture
from convlstm_cli.video.opencv import cv2


def render(random: Random, canvas: Canvas) -> Clip:
    """A pan, with a turn or a zoom now and then."""
    shifts = track(random, canvas.frames, canvas.side, 1.5)
    angles, zooms = spin(random, canvas.frames, 0.35), zoom(random, canvas.frames, 0.45)
    clip = _seen(random, canvas, shifts, angles, zooms)
    for _ in range(int(random.choice([0, 1, 2], p=[0.6, 0.25, 0.15]))):
        add_thing(random, canvas, clip)
    return clip


def render_shake(random: Random, canvas: Canvas) -> Clip:
    """A camera in a hand: it trembles about where it looks, or wanders off."""
    size = canvas.side * float(np.exp(random.uniform(np.log(0.001), np.log(0.02))))
    jitter = wander(random, canvas.frames, size, random.uniform(0, 0.9))
    if random.random() < 0.6:
        jitter = random.normal(0, size, (canvas.frames, 2)) + 0.1 * jitter
    angles = random.normal(0, 0.004, canvas.frames) * (random.random() < 0.5)
    clip = _seen(random, canvas, jitter, angles, np.ones(canvas.frames))
    for _ in range(int(random.integers(0, 3))):
        add_thing(random, canvas, clip)
    return clip


def _seen(random: Random, canvas: Canvas, shifts: Track, angles: Track, zooms: Track) -> Clip:
    """A texture larger than the frame as the camera sees it at each step."""
    height, width = 2 * canvas.height, 2 * canvas.width
    picture = texture(random, height, width, canvas.channels)
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    clip = canvas.empty()
    for index in range(canvas.frames):
        matrix = similarity(middle, canvas.centre + shifts[index], angles[index], zooms[index])
        clip[index] = warp(picture, matrix, canvas.height, canvas.width, cv2.BORDER_REFLECT_101)
    return clip
