"""How things move over time: speeds, and tracks of positions, angles and sizes."""

import numpy as np
from numpy.typing import NDArray

from convlstm_cli.synthetic.canvas import Random

Track = NDArray[np.float64]
"""(T, 2): how far something is, as x and y in pixels, from where it began; or (T,) of one quantity."""

FASTEST = 0.25
"""Speed in shares of the frame's shorter side a step."""
MEDIAN, SPREAD = 0.010, 1.15
"""Parameters of the log-normal distribution of speeds, in the same unit: most are slow, a few very fast."""
STILL = 0.12
"""Probability of no motion at all."""


def speed(random: Random, side: int, pace: float = 1.0) -> float:
    """A speed in pixels a step, 0 to a quarter of `side`, heavy-tailed; `pace` multiplies the median."""
    if random.random() < STILL:
        return 0.0
    return float(side * min(FASTEST, MEDIAN * pace * np.exp(SPREAD * random.standard_normal())))


def velocity(random: Random, side: int, pace: float = 1.0) -> NDArray[np.float64]:
    """A velocity (x, y) of a random heading."""
    angle = random.uniform(0, 2 * np.pi)
    return speed(random, side, pace) * np.array([np.cos(angle), np.sin(angle)])


def track(random: Random, frames: int, side: int, pace: float = 1.0) -> Track:
    """Where something goes: straight on, in an arc, speeding up, stopping and starting, or to and fro."""
    steps = np.broadcast_to(velocity(random, side, pace), (frames, 2)).copy()
    steps[0] = 0.0
    manner = random.random()
    times = np.arange(frames)
    if manner < 0.15:  # in an arc
        angles = times * random.normal(0, 0.06)
        cos, sin = np.cos(angles), np.sin(angles)
        steps = np.stack((cos * steps[:, 0] - sin * steps[:, 1], sin * steps[:, 0] + cos * steps[:, 1]), axis=1)
    elif manner < 0.27:  # faster or slower
        steps *= np.clip(1 + times * random.normal(0, 0.06), 0, 3)[:, None]
    elif manner < 0.39:  # stops, or starts, or both
        begin, end = np.sort(random.integers(0, frames + 1, 2))
        moving = (times >= begin) & (times < end) if random.random() < 0.5 else (times < begin) | (times >= end)
        steps *= moving[:, None]
    elif manner < 0.5:  # to and fro
        period, phase = random.uniform(8, 50), random.uniform(0, 2 * np.pi)
        steps *= np.sin(2 * np.pi * times / period + phase)[:, None] * 1.5
    return np.asarray(np.cumsum(_limited(steps, side), axis=0), np.float64)


def wander(random: Random, frames: int, size: float, memory: float = 0.8) -> Track:
    """A random walk whose steps of about `size` pixels are alike from one to the next as `memory` says."""
    steps = random.standard_normal((frames, 2)) * size * np.sqrt(1 - memory**2)
    for index in range(1, frames):
        steps[index] += memory * steps[index - 1]
    steps[0] = 0.0
    return np.asarray(np.cumsum(steps, axis=0), np.float64)


def bounce(positions: Track, low: NDArray[np.float64], high: NDArray[np.float64]) -> Track:
    """Positions (T, 2) reflected at the walls between `low` and `high`, each (2,)."""
    span = np.maximum(high - low, 1e-9)
    folded = np.mod(positions - low, 2 * span)
    reflected: Track = low + np.where(folded > span, 2 * span - folded, folded)
    return reflected


def spin(random: Random, frames: int, often: float = 0.4, most: float = 0.2) -> Track:
    """Angles (T,) in radians of something that turns with the probability `often`, by up to `most` a step."""
    rate = random.laplace(0, 0.025) if random.random() < often else 0.0
    return np.arange(frames, dtype=np.float64) * float(np.clip(rate, -most, most))


def zoom(random: Random, frames: int, often: float = 0.35) -> Track:
    """Factors (T,) of size of something that comes nearer or goes away with the probability `often`, 1/3...3."""
    rate = random.laplace(0, 0.01) if random.random() < often else 0.0
    return np.asarray(np.exp(np.clip(np.arange(frames) * rate, -np.log(3), np.log(3))), np.float64)


def reach(random: Random, frames: int, low: float, high: float, pause: float = 0.35, least: int = 4) -> Track:
    """A quantity (T,) that goes smoothly from one random value to the next and rests at some of them.

    The way between two values is that of the least jerk (Flash and Hogan 1985), as arms move.
    """
    values = np.empty(frames)
    at, now = -int(random.integers(0, 2 * least)), float(random.uniform(low, high))
    while at < frames:
        length = int(random.integers(least, 4 * least))
        goal = now if random.random() < pause else float(random.uniform(low, high))
        t = np.arange(1, length + 1) / length
        way = now + (goal - now) * (10 * t**3 - 15 * t**4 + 6 * t**5)
        begin, end = max(at, 0), min(at + length, frames)
        if end > begin:
            values[begin:end] = way[begin - at : end - at]
        at, now = at + length, goal
    return values


def _limited(steps: Track, side: int) -> Track:
    """Steps (T, 2) none of which is longer than the fastest speed."""
    lengths = np.linalg.norm(steps, axis=1, keepdims=True)
    shorter: Track = steps * np.minimum(1.0, FASTEST * side / np.maximum(lengths, 1e-9))
    return shorter
