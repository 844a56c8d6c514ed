"""Where a training starts: from drawn weights, or from shipped ones, those of a run or of a file."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

from safetensors import SafetensorError, safe_open
from torch import Tensor

from convlstm_cli.errors import RunError, UsageError, first_line
from convlstm_cli.nn.config import ForecasterConfig
from convlstm_cli.nn.kinds import Peephole
from convlstm_cli.runs.checkpoint import check_shapes
from convlstm_cli.runs.run import Run
from convlstm_cli.runs.weights import read_weights
from convlstm_cli.training.adapting import adapted
from convlstm_cli.training.config import AUTO_INIT, FRESH
from convlstm_cli.weights import MEMBERS, NAME
from convlstm_cli.weights.pretrained import CHANNELS, is_pretrained, model_of, weights_of


@dataclass(frozen=True)
class Start:
    """Where a training starts from."""

    init: str
    """What `--init` stands for, as the run records it: `none`, `pretrained`, or an absolute path."""
    weights: dict[str, Tensor] | None
    """By the names of the network's parameters; None where they are drawn."""
    text: str
    """What it starts from, and why, in a few words."""


def start(init: str, model: ForecasterConfig, *, peepholes: bool = True) -> Start:
    """Where `--init` lets a network start.

    Args:
        init: `auto`, `none`, `pretrained`, a run folder or a safetensors file.
        model: the network.
        peepholes: whether the peepholes are taken over too; if not, they are missing from the weights.

    Raises UsageError for weights that do not fit the network, or are not there, unless `init` is `auto`; RunError for
    damaged ones.
    """
    if init == FRESH:
        return Start(FRESH, None, "starts from drawn weights")
    try:
        source, weights = _given(NAME if init == AUTO_INIT else init, model)
        fitting = adapted(weights, source, model, peepholes=peepholes)
    except UsageError as error:
        if init != AUTO_INIT:
            raise UsageError(f"--init {init}: {error}") from error
        return Start(FRESH, None, f"starts from drawn weights, as {error}")
    if init == AUTO_INIT or is_pretrained(Path(init)):
        return Start(NAME, fitting, f"starts from the shipped weights; --init {FRESH} draws them instead")
    return Start(str(Path(init).absolute()), fitting, f"starts from {init}")


def check_there(init: str) -> None:
    """Raises UsageError for weights to start from that are not there, and RunError for damaged ones or no run.

    It reads no weights, and needs no network, whose channels are known when the videos are decoded.
    """
    path = Path(init)
    if init in (AUTO_INIT, FRESH) or is_pretrained(path):
        return
    if path.is_dir():
        Run.open(path)
        return
    try:
        _shapes(path)
    except UsageError as error:
        raise UsageError(f"--init {init}: {error}") from error


def _given(init: str, model: ForecasterConfig) -> tuple[ForecasterConfig, Mapping[str, Tensor]]:
    """The weights that `init` names, and their network."""
    path = Path(init)
    if is_pretrained(path):
        name = next((name for name, channels in CHANNELS.items() if channels == model.channels), "grey")
        name += MEMBERS * model.noise
        return model_of(name), weights_of(name)
    if path.is_dir():
        run = Run.open(path)
        return run.model_config, run.load_weights()
    source = _network_of(path, model)
    return source, read_weights(path, source, "give another --init")


def _network_of(path: Path, model: ForecasterConfig) -> ForecasterConfig:
    """The network whose weights a file holds: the given one, or with other channels, further inputs, peepholes, mask or
    noise.

    Raises UsageError where it is none of these, or the file is not there; RunError where it is damaged.
    """
    shapes, reason = _shapes(path), ""
    channels, masks = dict.fromkeys((model.channels, 1, 3)), dict.fromkeys((model.mask, False, True))
    inputs, noises = dict.fromkeys(((model.inputs, model.known), (0, 0))), dict.fromkeys((model.noise, False, True))
    kinds = itertools.product(channels, masks, get_args(Peephole), inputs, noises)
    for count, mask, peephole, (read, known), noise in kinds:
        source = replace(model, channels=count, mask=mask, peephole=peephole, inputs=read, known=known, noise=noise)
        try:
            check_shapes(shapes, source)
        except ValueError as error:
            reason = reason or str(error)
        else:
            return source
    raise UsageError(f"the weights are of another network ({reason})")


def _shapes(path: Path) -> dict[str, list[int]]:
    """The shape of each tensor in a safetensors file. Raises UsageError where it is not there, RunError for another."""
    if not path.is_file():
        raise UsageError(f"it is not there; give {NAME}, {FRESH}, a run folder or a file of weights (safetensors)")
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise RunError(f"{path}: cannot be read ({first_line(error)}); give another --init.") from error
