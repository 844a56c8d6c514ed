"""Cars on the lanes of a road under a fixed camera, in perspective or from above."""

import numpy as np

from convlstm_cli.synthetic.canvas import Canvas, Clip, Random
from convlstm_cli.synthetic.paths import speed
from convlstm_cli.synthetic.scenes.shapes import still
from convlstm_cli.synthetic.sprites import Sprite
from convlstm_cli.synthetic.textures import colour, texture
from convlstm_cli.video.opencv import cv2


def render(random: Random, canvas: Canvas) -> Clip:
    """Each lane has a speed and a heading of its own; what is far away is small and slow."""
    clip = still(canvas, texture(random, canvas.height, canvas.width, canvas.channels, random.uniform(0.1, 0.6)))
    depth = random.uniform(0, 0.85) if random.random() < 0.7 else 0.0
    heading = random.uniform(0, 2 * np.pi)
    along = np.array([np.cos(heading), np.sin(heading)])
    across = np.array([-along[1], along[0]])
    lanes = int(random.integers(1, 6))
    wide = canvas.side * random.uniform(0.05, 0.22)
    first = canvas.place(random, 0.2) - across * wide * (lanes - 1) / 2
    for lane in range(lanes):
        forwards = 1 if lane * 2 < lanes else -1
        pace = forwards * speed(random, canvas.side, 2.5)
        for _ in range(int(random.integers(1, 4))):
            car = _car(random, canvas.channels, wide * random.uniform(0.5, 0.9), heading)
            place = random.uniform(-1.2, 1.2) * canvas.side
            pull = random.normal(0, 0.02) * pace if random.random() < 0.3 else 0.0
            for index, frame in enumerate(clip):
                far = place + pace * index + pull * index**2 / 2
                # The vanishing point lies ahead: distances shrink as 1 / (1 + distance).
                near = 1 / max(1 + depth * far / canvas.side, 0.25)
                at = first + across * wide * lane * near + along * far * near
                car.draw(frame, at, 0.0, near)
    return clip


def _car(random: Random, channels: int, wide: float, heading: float) -> Sprite:
    """A box with a roof, windows and perhaps a shadow or lights, turned along its heading."""
    long = wide * random.uniform(1.0, 2.6)
    size = 2 * int(max(long, wide) * 0.8) + 9
    body, roof, spot = colour(random, channels), colour(random, channels), colour(random, channels)
    mask = np.zeros((size, size), np.uint8)
    top = np.zeros((size, size), np.uint8)
    lamp = np.zeros((size, size), np.uint8)
    degrees, middle = float(np.degrees(heading)), (size / 2, size / 2)
    for box, share in ((mask, 1.0), (top, 0.55)):
        corners = cv2.boxPoints((middle, (long * share, wide * share), degrees))
        cv2.fillPoly(box, [np.round(corners * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    lamp_at = np.array(middle) + 0.42 * long * np.array([np.cos(heading), np.sin(heading)])
    cv2.circle(lamp, tuple(map(int, lamp_at)), max(1, int(wide * 0.15)), 255, -1, cv2.LINE_AA)
    image = np.broadcast_to(body, (size, size, channels)).copy()
    for part, paint in ((top, roof), (lamp, spot)):
        image += (part.astype(np.float32) / np.float32(255))[..., None] * (paint - image)
    return Sprite(image, mask.astype(np.float32) / np.float32(255))
