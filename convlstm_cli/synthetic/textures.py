"""Procedural textures: what things and backgrounds look like.

A grey pattern comes from a bank that is drawn once per process, each item by a seed of its own, so that what a clip
shows depends on the clip's seed alone. A texture is a piece of a pattern, cut out, turned, and coloured.
"""

import functools
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from convlstm_cli.synthetic.canvas import Image, Random, blurred
from convlstm_cli.video.opencv import cv2

Grey = NDArray[np.float32]
"""(H, W), 0...1."""

BANK = 320
"""Patterns. Each takes 64 KiB of memory once it is drawn."""
SIDE = 256
"""Side of a pattern, in pixels."""


def noise(random: Random, height: int, width: int, scale: float) -> Grey:
    """A smooth Gaussian random field of zero mean and about unit variance, whose grains are `scale` pixels."""
    return spread(grains_of(random, height, width, scale), height, width)


def grains_of(random: Random, height: int, width: int, scale: float) -> Grey:
    """The independent values from which a field of height x width pixels is interpolated, one for each grain."""
    rows, columns = max(2, int(height / scale) + 2), max(2, int(width / scale) + 2)
    return random.standard_normal((rows, columns), np.float32)


def spread(grains: Grey, height: int, width: int) -> Grey:
    """A field that is interpolated from its grains."""
    return np.asarray(cv2.resize(grains, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)


def stretched(field: Grey) -> Grey:
    """A field brought to 0...1."""
    low, high = float(field.min()), float(field.max())
    return (field - np.float32(low)) * np.float32(1 / (high - low + 1e-6))


def texture(random: Random, height: int, width: int, channels: int, contrast: float | None = None) -> Image:
    """A random texture, (height, width, channels); `contrast` is about the range of its values, random if None."""
    pattern = _bank(int(random.integers(BANK)))
    # Log-uniform: coarse pieces of few edges are as frequent as fine ones.
    share = float(np.exp(random.uniform(np.log(0.2), 0.0)))
    side = max(8, int(SIDE * share))
    top, left = random.integers(0, SIDE - side + 1, 2)
    piece = pattern[top : top + side, left : left + side]
    turn = int(random.integers(8))
    piece = np.rot90(piece, turn % 4)
    piece = np.ascontiguousarray(piece.T if turn >= 4 else piece)
    smooth = cv2.INTER_AREA if side > height else cv2.INTER_LINEAR
    grey = np.asarray(cv2.resize(piece, (width, height), interpolation=smooth), np.float32)
    return coloured(random, grey / np.float32(255), channels, contrast)


def coloured(random: Random, grey: Grey, channels: int, contrast: float | None = None) -> Image:
    """A grey picture between two random colours, (H, W, channels)."""
    if contrast is None:
        contrast = float(random.uniform(0.1, 1.0))
    span = contrast * (1 if random.random() < 0.5 else -1)
    low = random.uniform(max(0.0, -span), min(1.0, 1.0 - span))
    tints = random.normal(0.0, 0.12, (2, channels)) if channels > 1 else np.zeros((2, 1))
    first, second = np.clip(low + tints[0], 0, 1), np.clip(low + span + tints[1], 0, 1)
    return np.asarray(grey[..., None] * (second - first) + first, np.float32)


def colour(random: Random, channels: int) -> NDArray[np.float32]:
    """A random colour, (channels,), more often grey than gaudy."""
    tint = random.normal(0.0, 0.15, channels) if channels > 1 else 0.0
    return np.asarray(np.clip(random.uniform(0, 1) + tint, 0, 1) * np.ones(channels), np.float32)


def surface(random: Random, height: int, width: int, channels: int) -> Image:
    """What a thing is covered with: a texture or, as often, one colour."""
    if random.random() < 0.5:
        return texture(random, height, width, channels)
    return np.broadcast_to(colour(random, channels), (height, width, channels)).copy()


@functools.lru_cache(maxsize=BANK)
def _bank(index: int) -> NDArray[np.uint8]:
    """Pattern number `index`, (SIDE, SIDE)."""
    random = np.random.default_rng([7001, index])
    pattern = stretched(_PATTERNS[index % len(_PATTERNS)](random))
    if random.random() < 0.3:  # lit unevenly
        light = 1 + 0.35 * noise(random, SIDE, SIDE, SIDE / 2)
        pattern = np.clip(pattern * np.clip(light, 0.2, 1.8), 0, 1)
    return np.asarray(np.round(pattern * 255), np.uint8)


def _fractal(random: Random) -> Grey:
    """Noise whose power falls with frequency, as that of clouds and ground does."""
    fall = random.uniform(0.5, 1.3)
    scales = [3.0 * 2.0**octave for octave in range(7)]
    return np.asarray(np.sum([noise(random, SIDE, SIDE, scale) * scale**fall for scale in scales], axis=0), np.float32)


def _leaves(random: Random) -> Grey:
    """Things of all sizes that hide one another (the dead leaves model): edges as in photographs."""
    image = np.full((SIDE, SIDE), random.integers(256), np.uint8)
    for _ in range(int(random.integers(60, 400))):
        radius = float(np.clip(4.0 / random.uniform(0.02, 1.0), 4, 110))
        x, y = random.uniform(0, SIDE, 2)
        if random.random() < 0.5:
            axes = (int(radius), int(radius * random.uniform(0.3, 1.0)) + 1)
            box = ((x, y), (2 * axes[0], 2 * axes[1]), float(random.uniform(0, 180)))
            cv2.ellipse(image, box, int(random.integers(256)), -1, cv2.LINE_AA)
        else:
            angles = np.sort(random.uniform(0, 2 * np.pi, int(random.integers(3, 7))))
            corners = np.stack((x + radius * np.cos(angles), y + radius * np.sin(angles)), axis=1)
            cv2.fillPoly(image, [corners.astype(np.int32)], int(random.integers(256)), cv2.LINE_AA)
    grain = noise(random, SIDE, SIDE, 2.0) * random.uniform(0, 20)
    return blurred(np.asarray(image + grain, np.float32), random.uniform(0, 1.5))


def _room(random: Random) -> Grey:
    """Large walls and doors, lit from one side."""
    image = np.full((SIDE, SIDE), random.integers(80, 230), np.uint8)
    for _ in range(int(random.integers(3, 14))):
        x, y = random.integers(-40, SIDE, 2)
        wide, high = random.integers(8, 140, 2)
        lean = int(random.integers(-12, 13))
        corners = np.array([[x, y], [x + wide, y + lean], [x + wide, y + high + lean], [x, y + high]], np.int32)
        cv2.fillPoly(image, [corners], int(random.integers(256)), cv2.LINE_AA)
    ramp = np.linspace(0, random.normal(0, 60), SIDE)
    lit = image + (ramp[:, None] if random.random() < 0.5 else ramp[None, :])
    return blurred(np.asarray(lit, np.float32), random.uniform(0, 1.2))


def _weave(random: Random) -> Grey:
    """Stripes, checks and waves."""
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    total = np.zeros((SIDE, SIDE), np.float32)
    for _ in range(int(random.integers(1, 4))):
        angle, period = random.uniform(0, np.pi), float(np.exp(random.uniform(np.log(8), np.log(90))))
        phase = (x * np.cos(angle) + y * np.sin(angle)) * (2 * np.pi / period) + noise(random, SIDE, SIDE, 60) * (
            random.uniform(0, 2)
        )
        wave = np.sin(phase)
        total += wave if random.random() < 0.5 else np.clip(wave * 6, -1, 1)
    return np.asarray(total, np.float32)


def _cells(random: Random) -> Grey:
    """Patches around random points with seams between them: stones, scales, tissue."""
    points = np.full((SIDE, SIDE), 255, np.uint8)
    count = int(random.integers(20, 260))
    points[random.integers(0, SIDE, count), random.integers(0, SIDE, count)] = 0
    far, labels = cv2.distanceTransformWithLabels(points, cv2.DIST_L2, 5)
    tones = random.uniform(0, 1, int(labels.max()) + 1).astype(np.float32)
    far = far / (far.max() + 1e-6)
    return np.asarray(tones[labels] * random.uniform(0, 1) - far * random.uniform(-1, 1), np.float32)


def _writing(random: Random) -> Grey:
    """Lines of letters."""
    image = np.full((SIDE, SIDE), int(random.integers(128)), np.uint8)
    scale = float(random.uniform(0.4, 1.6))
    ink = int(image[0, 0]) + int(random.integers(60, 128))
    for row in range(10, SIDE + 30, int(34 * scale)):
        text = "".join(map(chr, random.integers(33, 123, 30)))
        at = (int(random.integers(-20, 5)), row)
        cv2.putText(image, text, at, int(random.integers(0, 4)), scale, ink, int(random.integers(1, 4)), cv2.LINE_AA)
    return blurred(np.asarray(image, np.float32), random.uniform(0, 1.2))


def _blobs(random: Random) -> Grey:
    """Soft lights on dark ground."""
    fine, coarse = random.uniform(4, 16), random.uniform(16, 60)
    field = noise(random, SIDE, SIDE, fine) * 0.6 + noise(random, SIDE, SIDE, coarse)
    return np.asarray(np.clip(field - random.uniform(-0.5, 1.0), 0, None), np.float32)


def _gradient(random: Random) -> Grey:
    """A slope of brightness with a little grain, as walls and skies have."""
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32) / SIDE
    angle = random.uniform(0, 2 * np.pi)
    slope = x * np.cos(angle) + y * np.sin(angle)
    return np.asarray(slope + noise(random, SIDE, SIDE, 3.0) * random.uniform(0, 0.05), np.float32)


_PATTERNS: tuple[Callable[[Random], Grey], ...] = (
    _fractal,
    _leaves,
    _room,
    _leaves,
    _weave,
    _cells,
    _leaves,
    _writing,
    _blobs,
    _gradient,
)
"""Taken in turn by the items of the bank; what is here more often is more frequent."""
