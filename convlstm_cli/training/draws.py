"""The random numbers of optimiser steps, which follow from the seed and the number of the step alone."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from convlstm_cli.nn.config import ForecasterConfig
from convlstm_cli.nn.dropout import draw_channels
from convlstm_cli.nn.noise import Noise

FED, DROPPED = 500_000, 750_000
"""Offsets between the seeds of scheduled sampling, and of dropout, and those of `augment`; all count steps."""

Part = tuple[Sequence[int], int]
"""The clips of a batch that a process computes: their positions, and the number of clips of the whole batch."""


@dataclass(frozen=True)
class Draws:
    """What one step draws, on the CPU; a training that goes on draws what it would have drawn.

    Each draw is made for the whole batch, of which the process takes its part.
    """

    seed: int
    """Seed of the training."""
    step: int
    """Number of the step."""

    def teacher_forced(self, part: Part, horizon: int, feeding: float) -> Tensor | None:
        """Where true frames are read, (B, horizon) bool, with probability `feeding`; None for 0."""
        if not feeding:
            return None
        positions, count = part
        draws = torch.rand(count, horizon, generator=self._generator(FED))[list(positions) or [0]]
        return draws < feeding

    def dropout(self, part: Part, model: ForecasterConfig) -> Tensor | None:
        """The factors of dropout, (B, model.between_layers); None where nothing is dropped."""
        if not model.dropout:
            return None
        positions, count = part
        factors = draw_channels(model.dropout, count, model.between_layers, self._generator(DROPPED))
        return factors[list(positions) or [0]]

    def noise(self, part: Part, members: int) -> Noise | None:
        """The noise of the members of each clip, after none for the forecast without noise; None without members."""
        if not members:
            return None
        clips = list(part[0]) or [0]
        generators: list[torch.Generator | None] = [None] * len(clips)
        for member in range(members):
            generators += [torch.Generator().manual_seed(_drawn(self.seed, self.step, member, clip)) for clip in clips]
        return Noise(generators, members + 1)

    def _generator(self, offset: int) -> torch.Generator:
        return torch.Generator().manual_seed(self.seed * 1_000_003 + self.step + offset)


def _drawn(*numbers: int) -> int:
    """A seed that follows from some numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)
