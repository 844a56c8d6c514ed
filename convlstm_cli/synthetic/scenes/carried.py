"""A texture that an uneven flow carries along: clouds, water, smoke, crowds from afar."""

import numpy as np

from convlstm_cli.synthetic.canvas import Canvas, Clip, Random, remap
from convlstm_cli.synthetic.flows import displacements, uneven_flow
from convlstm_cli.synthetic.textures import noise, texture

MARGIN = 0.4
"""As in `rain.py`."""


def render(random: Random, canvas: Canvas) -> Clip:
    """The texture brightens and darkens in places that move along with it."""
    pad = int(MARGIN * canvas.side)
    height, width = canvas.height + 2 * pad, canvas.width + 2 * pad
    image = texture(random, height, width, canvas.channels)
    flow = uneven_flow(random, height, width, canvas.side, 1.4)
    strength = random.uniform(0, 0.03) * (random.random() < 0.6)
    change = (noise(random, height, width, canvas.side * random.uniform(0.15, 0.6)) * strength)[..., None]
    rows, columns = slice(pad, pad + canvas.height), slice(pad, pad + canvas.width)
    y, x = np.mgrid[rows, columns].astype(np.float32)
    clip = canvas.empty()
    for index, away in enumerate(displacements(flow, canvas.frames)):
        grown = image * (1 + change * np.float32(index)) if strength else image
        clip[index] = remap(grown, x + away[rows, columns, 0], y + away[rows, columns, 1])
    return clip
