"""What all kinds of exported programs have in common, and the check that one forecasts what the network does."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from convlstm_cli.nn.forecaster import EncoderForecaster

Files = TypeVar("Files")
"""A dataclass: the entry of a kind of program in the manifest."""

RunProgram = Callable[[Tensor, int], Tensor]
"""Maps frames (B, T, C, H, W) in [0, 1] and a horizon to the forecast (B, horizon, C, H, W)."""

FRAMES, HORIZON, FORECAST = "frames", "horizon", "forecast"
"""Names of the inputs and the output of a program."""


class Program(ABC, Generic[Files]):
    """A kind of exported programs: writes the network as one, and runs what was written."""

    writing: ClassVar[str]
    """What is noted while it is written."""
    not_run: ClassVar[str] = ""
    """What is noted where there is nothing to run it with."""

    def check_installed(self) -> None:
        """Raises DependencyError where a library that writing takes is missing."""

    @abstractmethod
    def write(self, network: EncoderForecaster, folder: Path) -> Files:
        """Writes a network in evaluation mode, on the CPU, into a folder, and returns what the manifest says of it."""

    @abstractmethod
    def load(self, folder: Path, files: Files) -> RunProgram | None:
        """Loads what `write` wrote into a folder, to run it on the CPU; None where there is nothing to run it with."""


def largest_difference(run: RunProgram, network: EncoderForecaster) -> float:
    """The largest difference of a pixel in [0, 1] between the forecasts of a program and of the network.

    Infinite where a forecast is not finite.
    """
    largest = 0.0
    with torch.no_grad():
        for frames, horizon in _trials(network):
            difference = (run(frames, horizon) - network(frames, horizon)).abs().max()
            largest = max(largest, float(difference.nan_to_num(nan=torch.inf)))
    return largest


def _trials(network: EncoderForecaster) -> Iterator[tuple[Tensor, int]]:
    """Frames and horizons to compare with: batches and horizons that no program is recorded with."""
    config = network.config
    generator = torch.Generator().manual_seed(0)
    shape = config.input_frames, config.read_channels
    coarse = torch.rand(1, config.read_channels, 4, 4, generator=generator)
    shapes = F.interpolate(coarse, size=(config.height, config.width), mode="bicubic", align_corners=False).clamp(0, 1)
    moving = torch.stack([shapes.roll((t, 2 * t), dims=(2, 3)) for t in range(config.input_frames)], dim=1)
    noise = torch.rand(1, *shape, config.height, config.width, generator=generator)
    flat = torch.full_like(noise, 0.5)
    yield moving, config.horizon + 3
    yield torch.cat((moving.flip(1), noise, flat)), 2
