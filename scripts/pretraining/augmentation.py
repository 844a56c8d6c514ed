"""Random changes of clips on the device that motion does not depend on."""

import numpy as np
import torch
from torch import Tensor

FASTER = 0.15
"""Probability of every second frame, where a clip is long enough."""


def augment(clips: Tensor, frames: int, random: np.random.Generator, generator: torch.Generator) -> Tensor:
    """A piece of `frames` frames of clips (B, T, C, H, W) uint8, changed at random; float32 in [0, 1].

    Of the whole batch: where it begins, every second frame, time reversed, mirrored, transposed. Of each clip:
    inverted, and its values in a part of 0...1. `random` and `generator` (of the device) decide.
    """
    step = 2 if 2 * frames <= clips.shape[1] and random.random() < FASTER else 1
    first = int(random.integers(clips.shape[1] - step * frames + 1))
    piece = clips[:, first : first + step * frames : step]
    axes = [axis for axis, chance in ((1, 0.25), (3, 0.5), (4, 0.5)) if random.random() < chance]
    if axes:
        piece = piece.flip(axes)
    if piece.shape[-1] == piece.shape[-2] and random.random() < 0.5:
        piece = piece.transpose(-1, -2)
    values = piece.float() / 255.0
    draws = torch.rand(5, len(clips), 1, 1, 1, 1, generator=generator, device=clips.device)
    inverted = (draws[0] < 0.2).float()
    values = values + inverted * (1.0 - 2.0 * values)
    gain = 1.0 - (draws[1] < 0.4).float() * draws[2] * 0.7
    offset = (1.0 - gain) * draws[3] * (draws[4] < 0.7).float()
    return values * gain + offset
