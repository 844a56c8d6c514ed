"""Rain as a radar sees it: fields above a threshold that drift, grow and decay.

Fine structure lives shorter than coarse (Venugopal et al. 1999). Each scale of a field forgets at a rate of its own, as
in the cascade of S-PROG (Seed 2003): it is an autoregressive process of first order, whose change cannot be foreseen,
or, in some clips, a steady turn between two independent fields, whose change can. What a radar measures of it is
speckled, and its frames do not lie exactly on each other.
"""

import numpy as np

from convlstm_cli.synthetic.canvas import Canvas, Clip, Mask, Random, blurred, remap
from convlstm_cli.synthetic.flows import displacements, uneven_flow
from convlstm_cli.synthetic.paths import speed
from convlstm_cli.synthetic.textures import Grey, coloured, grains_of, noise, spread, stretched
from convlstm_cli.video.opencv import cv2

MARGIN = 0.3
"""Width of the field beyond each edge, in shares of the frame's shorter side; beyond it the field is mirrored."""
STEADY = 0.3
"""Share of the clips whose fields change steadily."""
RIMS = 0.06
"""Probability that the rim of a radar's range is seen. Were it frequent, a network would learn that the slow edge of a
field of rain stands still as a rim does."""


def render(random: Random, canvas: Canvas) -> Clip:
    """A field of rain in an uneven wind, sometimes seen through the rim of a radar's range."""
    pad = int(MARGIN * canvas.side)
    height, width = canvas.height + 2 * pad, canvas.width + 2 * pad
    fields = _evolving(random, canvas, height, width)
    trend = random.normal(0, 0.012) if random.random() < 0.6 else 0.0
    local = noise(random, height, width, canvas.side * random.uniform(0.2, 0.7)) * random.uniform(0, 0.02)
    threshold = np.quantile(fields[0], random.uniform(0.15, 0.9))
    flow = uneven_flow(random, height, width, canvas.side, 1.2)
    rows, columns = slice(pad, pad + canvas.height), slice(pad, pad + canvas.width)
    y, x = np.mgrid[rows, columns].astype(np.float32)
    gain = 1 / max(float(np.quantile(fields[0], 0.995)) - float(threshold), 0.05)
    gain *= random.uniform(0.25, 1.0)
    floor = random.uniform(0, 0.25) * (random.random() < 0.5)  # what is above the threshold begins with a step
    power = float(np.exp(random.uniform(-0.7, 0.5)))
    seen = _range(random, canvas) if random.random() < RIMS else None
    levels = int(random.integers(6, 120)) if random.random() < 0.4 else 0
    clip = canvas.empty()
    speckle = random.uniform(0, 0.15) * (random.random() < 0.6)
    unsteady = canvas.scale * random.uniform(0, 0.25) * (random.random() < 0.5)
    for index, away in enumerate(displacements(flow, canvas.frames)):
        field = fields[index] + local * np.float32(index) if trend or index else fields[index]
        off_x, off_y = random.normal(0, unsteady, 2).astype(np.float32)
        moved = remap(field, x + away[rows, columns, 0] + off_x, y + away[rows, columns, 1] + off_y, cv2.INTER_CUBIC)
        rate = np.clip((moved - np.float32(threshold - trend * index)) * np.float32(gain), 0, None)
        rate = np.clip(rate**power + np.float32(floor) * (rate > 0), 0, 1)
        if speckle:
            rate = np.clip(rate * (1 + np.float32(speckle) * random.standard_normal(rate.shape, np.float32)), 0, 1)
        if levels:
            rate = np.round(rate * levels) / np.float32(levels)
        clip[index] = (rate if seen is None else rate * seen)[..., None]
    return _painted(random, canvas, clip)


def render_showers(random: Random, canvas: Canvas) -> Clip:
    """Soft ellipses that drift with a wind that turns, each of which grows and fades."""
    count = int(random.integers(15, 90))
    wide = 2.2 * np.array([canvas.width, canvas.height])
    heading, pace = random.uniform(0, 2 * np.pi), speed(random, canvas.side, 2.5)
    turn = random.normal(0, 0.02)
    centres = random.uniform(-wide / 2, wide / 2, (count, 2))
    radii = canvas.side * np.exp(random.uniform(np.log(0.03), np.log(0.15), count))
    stretch, headings = random.uniform(1, 2.2, count), random.uniform(0, np.pi, count)
    peaks, lives = random.uniform(-10, canvas.frames + 10, count), random.uniform(4, 30, count)
    heights = random.uniform(0.3, 1.1, count)
    velocity = pace * np.array([np.cos(heading), np.sin(heading)])
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    rows, columns = np.mgrid[: canvas.height, : canvas.width].astype(np.float32)
    threshold = random.uniform(0, 0.3)
    clip = canvas.empty()
    for index in range(canvas.frames):
        field = np.zeros((canvas.height, canvas.width), np.float32)
        strengths = heights * np.exp(-0.5 * ((index - peaks) / lives) ** 2)
        for number in range(count):
            _add_shower(
                field,
                centres[number] + (canvas.width / 2, canvas.height / 2),
                (radii[number] * stretch[number], radii[number]),
                headings[number] + turn * index,
                strengths[number],
                (rows, columns),
            )
        clip[index] = np.clip((field - threshold) / (1 - threshold), 0, 1)[..., None]
        centres = centres @ rotation.T + velocity
    return _painted(random, canvas, clip)


def _add_shower(
    field: Grey,
    centre: "np.typing.NDArray[np.float64]",
    radii: tuple[float, float],
    angle: float,
    strength: float,
    grid: tuple[Grey, Grey],
) -> None:
    """Adds a Gaussian ellipse to a field, as far as it can be seen in it."""
    reach = 3 * max(radii)
    left, top = (max(int(at - reach), 0) for at in centre)
    right, bottom = int(centre[0] + reach) + 1, int(centre[1] + reach) + 1
    if strength < 0.01 or right <= left or bottom <= top or left >= field.shape[1] or top >= field.shape[0]:
        return
    part = (slice(top, bottom), slice(left, right))
    y, x = grid[0][part] - np.float32(centre[1]), grid[1][part] - np.float32(centre[0])
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    along, across = (cos * x + sin * y) / np.float32(radii[0]), (cos * y - sin * x) / np.float32(radii[1])
    field[part] += np.float32(strength) * np.exp(np.float32(-0.5) * (along**2 + across**2))


def _evolving(random: Random, canvas: Canvas, height: int, width: int) -> Clip:
    """A field of several scales at each step as it is without wind, (T, height, width)."""
    smallest = canvas.scale * float(np.exp(random.uniform(np.log(0.6), np.log(3.0))))
    scales = [smallest * 2.2**octave for octave in range(5) if smallest * 2.2**octave < canvas.side]
    fall = random.uniform(0.0, 0.9)
    slower = random.uniform(0.6, 1.2)
    if random.random() < STEADY:
        change = float(np.exp(random.uniform(np.log(0.002), np.log(0.1))))  # of the finest scale, radians a step
        process = _turning
    else:
        change = float(np.exp(random.uniform(np.log(0.003), np.log(0.2))))  # share that it forgets in a step
        process = _forgetting
    total = np.zeros((canvas.frames, height, width), np.float32)
    for scale in scales:
        rate = change * (scales[0] / scale) ** slower
        total += np.float32((scale / scales[-1]) ** fall) * process(random, canvas.frames, height, width, scale, rate)
    return total


def _turning(random: Random, frames: int, height: int, width: int, scale: float, rate: float) -> Clip:
    """A field (T, height, width) of grains of `scale` pixels that turns into another one by `rate` radians a step."""
    one, other = (noise(random, height, width, scale) for _ in range(2))
    angles = (np.arange(frames) * rate).astype(np.float32)[:, None, None]
    return np.asarray(np.cos(angles) * one + np.sin(angles) * other, np.float32)


def _forgetting(random: Random, frames: int, height: int, width: int, scale: float, rate: float) -> Clip:
    """A field (T, height, width) of grains of `scale` pixels that keeps exp(-rate) of itself from step to step."""
    kept = np.float32(np.exp(-rate))
    new = np.sqrt(1 - kept * kept)
    grains = grains_of(random, height, width, scale)
    fields = np.empty((frames, height, width), np.float32)
    for field in fields:
        field[:] = spread(grains, height, width)
        grains = kept * grains + new * grains_of(random, height, width, scale)
    return fields


def _range(random: Random, canvas: Canvas) -> Mask:
    """What radars reach, (H, W): the union of discs, or all on one side of a line; nothing is seen beyond."""
    mask = np.zeros((canvas.height, canvas.width), np.uint8)
    for _ in range(int(random.integers(1, 4))):
        centre = canvas.place(random)
        cv2.circle(mask, tuple(map(int, centre)), int(canvas.side * random.uniform(0.4, 1.0)), 255, -1)
    return mask.astype(np.float32) / np.float32(255)


def _painted(random: Random, canvas: Canvas, clip: Clip) -> Clip:
    """Rain in one channel as it is; in several, also in colours or over a map."""
    if canvas.channels == 1 or random.random() < 0.3:
        return clip
    ground = coloured(random, stretched(noise(random, canvas.height, canvas.width, 12.0)), canvas.channels, 0.2)
    ground = blurred(ground, 1.0) * np.float32(random.random() < 0.5)
    low, high = random.uniform(0, 1, (2, canvas.channels)).astype(np.float32)
    paint = low + (high - low) * clip
    opaque = np.clip(clip * np.float32(4), 0, 1)
    return np.asarray(ground + opaque * (paint - ground), np.float32)
