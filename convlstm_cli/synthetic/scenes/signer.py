"""A person who stands before a still room and moves arms and hands, as signers and speakers do."""

import numpy as np
from numpy.typing import NDArray

from convlstm_cli.synthetic.canvas import Canvas, Clip, Image, Mask, Random, cover
from convlstm_cli.synthetic.paths import reach, wander
from convlstm_cli.synthetic.scenes.shapes import still
from convlstm_cli.synthetic.textures import colour, texture
from convlstm_cli.video.opencv import cv2

SUBPIXEL = 4
"""Bits of the fractions of a pixel with which OpenCV draws."""

Point = NDArray[np.float64]
"""(x, y)."""


def render(random: Random, canvas: Canvas) -> Clip:
    """Both arms go from pose to pose and rest between; head and trunk sway a little."""
    clip = still(canvas, texture(random, canvas.height, canvas.width, canvas.channels))
    tall = canvas.side * random.uniform(0.75, 1.5)
    neck = canvas.centre * (random.uniform(0.7, 1.3), 0) + (0, canvas.side * random.uniform(0.15, 0.45))
    clothes = texture(random, canvas.height, canvas.width, canvas.channels)
    skin, hair = colour(random, canvas.channels), colour(random, canvas.channels)
    swaying = tall * float(np.exp(random.uniform(np.log(0.0003), np.log(0.006)))) * (random.random() < 0.6)
    sway, nod = wander(random, canvas.frames, swaying), wander(random, canvas.frames, swaying)
    brisk = int(random.integers(3, 10))
    arms = [_Arm(random, canvas.frames, tall, side, brisk) for side in (-1, 1)]
    sleeves = random.random() < 0.6
    # The trunk stands still but for its sway, so it is drawn once and moved only where it sways.
    for index, frame in enumerate(clip):
        at = neck + sway[index]
        trunk = _trunk(canvas, at, tall)
        cover(frame, clothes, trunk)
        _head(frame, at + nod[index], tall, skin, hair)
        for arm in arms:
            shoulder, elbow, hand = arm.joints(at, index)
            _limb(frame, clothes, [shoulder, elbow], 0.085 * tall)
            lower: Image | NDArray[np.float32] = clothes * np.float32(0.9) if sleeves else skin
            _limb(frame, lower, [elbow, hand], 0.062 * tall)
            _limb(frame, skin, arm.fingers(hand, elbow, index), 0.05 * tall)
    return clip


class _Arm:
    """One arm: the angles of shoulder and elbow over time, from which the joints follow."""

    def __init__(self, random: Random, frames: int, tall: float, side: int, brisk: int) -> None:
        self._tall, self._side = tall, side
        if random.random() < 0.2:  # hangs
            self._upper = reach(random, frames, 1.3, 1.5, pause=0.9)
            self._lower = reach(random, frames, 1.3, 1.6, pause=0.9)
        else:
            self._upper = reach(random, frames, 0.7, 1.6, least=brisk)
            self._lower = reach(random, frames, -1.7, 1.5, least=brisk)
        self._reach = reach(random, frames, 0.55, 1.0, least=brisk)
        self._wrist = reach(random, frames, -0.9, 0.9, least=brisk)

    def joints(self, neck: Point, index: int) -> tuple[Point, Point, Point]:
        """Shoulder, elbow and hand at a step; angles count from the horizontal outwards, downwards positive."""
        shoulder = neck + self._tall * np.array([self._side * 0.17, 0.05])
        upper, lower = self._upper[index], self._lower[index]
        elbow = shoulder + 0.26 * self._tall * np.array([self._side * np.cos(upper), np.sin(upper)])
        # A raised forearm leans inwards, before the trunk.
        inwards = -self._side if lower < 1.0 else self._side * 0.3
        along = np.array([inwards * abs(np.cos(lower)), np.sin(lower)])
        return shoulder, elbow, elbow + 0.24 * self._tall * self._reach[index] * along

    def fingers(self, hand: Point, elbow: Point, index: int) -> list[Point]:
        """From the hand to where the fingers end."""
        along = (hand - elbow) / max(float(np.linalg.norm(hand - elbow)), 1e-6)
        cos, sin = np.cos(self._wrist[index]), np.sin(self._wrist[index])
        turned = np.array([cos * along[0] - sin * along[1], sin * along[0] + cos * along[1]])
        return [hand, hand + 0.07 * self._tall * turned]


def _limb(frame: Image, paint: Image | NDArray[np.float32], points: list[Point], thick: float) -> None:
    """A thick rounded line in a texture (H, W, C) or a colour (C,)."""
    stacked = np.stack(points)
    margin = thick / 2 + 2
    low = np.maximum(np.floor(stacked.min(axis=0) - margin), 0).astype(int)
    high = np.minimum(np.ceil(stacked.max(axis=0) + margin), frame.shape[1::-1]).astype(int)
    if (low >= high).any():
        return
    mask = np.zeros((high[1] - low[1], high[0] - low[0]), np.uint8)
    corners = np.round((stacked - low) * 2**SUBPIXEL).astype(int)
    cv2.line(
        mask, tuple(map(int, corners[0])), tuple(map(int, corners[1])), 255, max(1, round(thick)), cv2.LINE_AA, SUBPIXEL
    )
    part = (slice(low[1], high[1]), slice(low[0], high[0]))
    inside = paint[part] if paint.ndim == 3 else np.broadcast_to(paint, (*mask.shape, len(paint)))
    cover(frame[part], inside, mask.astype(np.float32) / np.float32(255))


def _trunk(canvas: Canvas, neck: Point, tall: float) -> Mask:
    """Shoulders, chest and hips, (H, W)."""
    mask = np.zeros((canvas.height, canvas.width), np.uint8)
    outline = np.array([[-0.05, -0.02], [0.05, -0.02], [0.2, 0.06], [0.17, 0.4], [0.19, 1.5], [-0.19, 1.5]])
    outline = np.concatenate((outline, [[-0.17, 0.4], [-0.2, 0.06]]))
    points = np.round((neck + outline * tall) * 2**SUBPIXEL).astype(np.int32)
    cv2.fillPoly(mask, [points], 255, cv2.LINE_AA, SUBPIXEL)
    return mask.astype(np.float32) / np.float32(255)


def _head(frame: Image, neck: Point, tall: float, skin: NDArray[np.float32], hair: NDArray[np.float32]) -> None:
    """A face and the hair above it."""
    face = neck - (0, 0.12 * tall)
    _limb(frame, skin, [neck, neck - (0, 0.05 * tall)], 0.09 * tall)
    for low, paint, thick in ((-0.02, hair, 0.18), (0.025, skin, 0.14)):
        ends = [face + np.array([0.0, (low + half) * tall]) for half in (-0.02, 0.02)]
        _limb(frame, paint, ends, thick * tall)
