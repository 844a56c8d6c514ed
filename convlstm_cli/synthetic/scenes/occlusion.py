"""Things that pass behind others and come out again."""

from convlstm_cli.synthetic.canvas import Canvas, Clip, Random
from convlstm_cli.synthetic.scenes.shapes import add_thing, still
from convlstm_cli.synthetic.sprites import sprite
from convlstm_cli.synthetic.textures import texture


def render(random: Random, canvas: Canvas) -> Clip:
    """Some things move, then others that stand still are drawn over them."""
    clip = still(canvas, texture(random, canvas.height, canvas.width, canvas.channels))
    for _ in range(int(random.integers(1, 4))):
        add_thing(random, canvas, clip, pace=2.5, largest=0.4)
    for _ in range(int(random.integers(1, 4))):
        thing = sprite(random, canvas.side, canvas.channels, largest=0.6)
        at, angle = canvas.place(random), float(random.uniform(0, 6))
        for frame in clip:
            thing.draw(frame, at, angle)
    return clip
