"""Things that move before a background that stands still, or nearly."""

import numpy as np

from convlstm_cli.synthetic.canvas import Canvas, Clip, Image, Random
from convlstm_cli.synthetic.paths import bounce, spin, track, zoom
from convlstm_cli.synthetic.sprites import sprite
from convlstm_cli.synthetic.textures import texture


def render(random: Random, canvas: Canvas) -> Clip:
    """Up to seven things that go their ways, some of them reflected at the edges."""
    background = texture(random, canvas.height, canvas.width, canvas.channels)
    clip = still(canvas, background)
    for _ in range(int(random.choice([1, 2, 3, 4, 7], p=[0.3, 0.3, 0.2, 0.12, 0.08]))):
        add_thing(random, canvas, clip)
    return clip


def still(canvas: Canvas, background: Image) -> Clip:
    """A clip that shows nothing but a background (H, W, C)."""
    return np.repeat(background[None], canvas.frames, axis=0)


def add_thing(random: Random, canvas: Canvas, clip: Clip, pace: float = 1.6, largest: float = 0.5) -> None:
    """Draws one moving thing into a clip."""
    thing = sprite(random, canvas.side, canvas.channels, largest=largest)
    positions = canvas.place(random, -0.05) + track(random, canvas.frames, canvas.side, pace)
    if random.random() < 0.4:
        positions = bounce(positions, np.zeros(2), np.array([canvas.width, canvas.height], float))
    angles, zooms = spin(random, canvas.frames), zoom(random, canvas.frames)
    fade = random.normal(0, 0.03) if random.random() < 0.12 else 0.0
    for index, frame in enumerate(clip):
        opacity = float(np.clip(1 + fade * index, 0, 1))
        thing.draw(frame, positions[index], angles[index], zooms[index], opacity)
