"""Ensembles: several runs as one forecast, the mean of their forecasts, and how far these lie apart."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from convlstm_cli.errors import UsageError
from convlstm_cli.forecasting.finished import network_digest
from convlstm_cli.nn.forecaster import EncoderForecaster
from convlstm_cli.runs.agreement import first_difference
from convlstm_cli.runs.comparisons import is_comparison, run_folders
from convlstm_cli.runs.run import Run
from convlstm_cli.weights.pretrained import Pretrained, is_pretrained

LONGEST_NAME = 100
"""Letters of the name of an ensemble's forecasts."""


@dataclass(frozen=True)
class Networks:
    """The networks that make one forecast together, each with its run; there may be only one."""

    runs: tuple[Run, ...]
    models: tuple[EncoderForecaster, ...]

    @classmethod
    def load(cls, runs: Sequence[Run], device: torch.device) -> "Networks":
        """Loads the networks of runs that agree (`check_members`). Raises RunError for a run without usable weights."""
        return cls(tuple(runs), tuple(run.load_model(device) for run in runs))

    def __len__(self) -> int:
        return len(self.runs)

    @property
    def name(self) -> str:
        """What messages call them."""
        return self.runs[0].name if len(self) == 1 else "the ensemble"

    @property
    def input_frames(self) -> int:
        """Frames that are read: as many as the longest training had."""
        return max(model.config.input_frames for model in self.models)

    @property
    def horizon(self) -> int:
        """Frames that are forecast unless --frames is given: as many as the shortest training had."""
        return min(model.config.horizon for model in self.models)

    @property
    def channels(self) -> int:
        """Channels of the frames."""
        return self.models[0].config.channels


@dataclass(frozen=True)
class NetworksByColour:
    """The networks for grey sources and those for sources in colour.

    They are the same where runs have one network; the shipped weights have one for each.
    """

    grey: Networks
    colour: Networks

    @classmethod
    def load(cls, runs: Sequence[Run], device: torch.device) -> "NetworksByColour":
        """Loads the networks of runs that agree (`check_members`). Raises RunError for a run without usable weights."""
        grey, colour = [run.for_channels(1) for run in runs], [run.for_channels(3) for run in runs]
        networks = Networks.load(grey, device)
        same = all(one is other for one, other in zip(grey, colour, strict=True))
        return cls(networks, networks if same else Networks.load(colour, device))

    def of(self, *, grey: bool) -> Networks:
        """The networks for a source."""
        return self.grey if grey else self.colour

    def digests(self) -> list[str]:
        """Digests of all that a forecast depends on in the networks, in their order."""
        every = (self.grey,) if self.grey is self.colour else (self.grey, self.colour)
        return [
            network_digest(run, model)
            for networks in every
            for run, model in zip(networks.runs, networks.models, strict=True)
        ]


def open_members(paths: Iterable[Path]) -> list[Run]:
    """Opens run folders, and all runs of comparison folders; each run once.

    The shipped weights take their channels and size from the run folders beside them. Raises RunError for a folder that
    is neither a run nor a comparison.
    """
    paths = list(paths)
    folders: dict[str, Path] = {}
    for path in (path for path in paths if not is_pretrained(path)):
        for folder in run_folders(path) if is_comparison(path) else [path]:
            folders.setdefault(os.path.realpath(folder), folder)  # Path.resolve raises for links to each other
    runs = [Run.open(folder) for folder in folders.values()]
    if not any(map(is_pretrained, paths)):
        return runs
    return [*runs, Pretrained.beside(runs[0]) if runs else Pretrained()]


def name_of(paths: Sequence[Path]) -> str:
    """A name for the forecasts of an ensemble: those of its folders, or of the first where they are too long."""
    first, *others = (path.resolve().name for path in paths)
    name = "+".join((first, *others))
    return name if len(name) <= LONGEST_NAME else f"{first}+{len(others)}-more"


def check_members(runs: Sequence[Run], *, native_size: bool = False) -> None:
    """Raises UsageError unless there are at least two runs, and all forecast the same pixels.

    They must agree in the size of frames, in how frames are fitted to it, in grey or colour, in the step that videos
    are brought to, and in the range of values. At `native_size` frames are not fitted, so the first two may differ. The
    number of input frames, layers and peepholes may differ.
    """
    if len(runs) < 2:
        raise UsageError(
            f"the ensemble has {'a single run' if runs else 'no run'}; the spread needs at least two, "
            "such as trainings with different --seed."
        )
    traits = ("frames in", "--input-only", "--every", "--range", *(() if native_size else ("--size", "--fit")))
    if (difference := first_difference(runs, traits)) is not None:
        raise UsageError(f"no ensemble: {difference}; name runs that agree in it.")


def lockstep(streams: Sequence[Iterator[Tensor]]) -> Iterator[tuple[Tensor, Tensor]]:
    """The mean of several forecasts and their standard deviation at each pixel, piece by piece.

    Args:
        streams: the forecast of each member, in pieces (B, n, C, H, W) in [0, 1] of the same shapes; at least two.
            Each is read to its end.

    Yields:
        Two (B, n, C, H, W): the mean, and the square root of the unbiased variance over the members. Besides these, one
        piece of one member is held at any time (Welford 1962).
    """
    if len(streams) < 2:
        raise UsageError(f"a spread needs at least two forecasts, not {len(streams)}.")
    first, *others = streams
    for piece in first:
        mean, squares = piece.clone(), torch.zeros_like(piece)
        for count, stream in enumerate(others, start=2):
            value = next(stream).to(mean.device)
            change = value - mean
            mean += change / count
            squares += change * (value - mean)
        yield mean, squares.div_(len(streams) - 1).sqrt_()
    for stream in others:  # which also lets each of them clean up
        if next(stream, None) is not None:
            raise ValueError("the forecasts of an ensemble have different lengths")
