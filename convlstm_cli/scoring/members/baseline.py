"""What a baseline with members is: a probabilistic forecast that needs no training, which an ensemble has to beat."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from convlstm_cli.video.values import ValueRange


class Draw(Protocol):
    """Draws members of the forecasts of some clips."""

    def __call__(self, frames: Tensor, horizon: int, count: int, seed: int, *, values: ValueRange) -> Tensor:
        """The members, (N, B, horizon, C, H, W) float32 in [0, 1] on the device of `frames`.

        A clip's members depend on its frames and the seed alone, never on the other clips of the batch; member i is
        the same whatever `count` is.

        Args:
            frames: what is seen of the clips, (B, T, C, H, W) in [0, 1], T at least 1, without gaps.
            horizon: lead times, at least 1.
            count: N, the number of members, at least 1.
            seed: seed of the draws.
            values: the range that is [0, 1], for baselines that work in the unit of the values.
        """
        ...


@dataclass(frozen=True)
class EnsembleBaseline:
    """A baseline with members, and what it is called."""

    name: str
    """In files, and in `--baseline`."""
    label: str
    """In legends of charts."""
    phrase: str
    """In sentences."""
    heading: str
    """Above columns of tables: one short word."""
    members: Draw
    on_request: bool = False
    """Whether it is scored only where `--baseline` names it, because it needs an optional package or much time."""
    check: Callable[[], None] | None = None
    """Raises DependencyError, before anything is computed, where its package is missing."""
