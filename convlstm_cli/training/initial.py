"""Where a training starts: from drawn weights, or from shipped ones, a run's or a file's, adapted to the network."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from convlstm_cli.errors import RunError, UsageError, first_line
from convlstm_cli.nn.config import NOISE_GRID, NOISE_LEADS, NOISE_PIXELS, REFINED_FEATURES, ForecasterConfig
from convlstm_cli.nn.kinds import FORECASTERS, HEADS, PEEPHOLES, Peephole
from convlstm_cli.runs.checkpoint import check_shapes
from convlstm_cli.runs.run import Run
from convlstm_cli.runs.weights import read_weights
from convlstm_cli.settings import flag_of
from convlstm_cli.training.config import AUTO_INIT, FRESH
from convlstm_cli.weights import MEMBERS, NAME
from convlstm_cli.weights.pretrained import CHANNELS, is_pretrained, model_of, weights_of

ALIKE = (
    "hidden",
    "kernel_size",
    "recurrent_kernel",
    "dilation",
    "patch_size",
    "forecaster",
    "head",
    "gate_activation",
    "layer_norm",
)
"""What a network must have in common with the weights that it starts from."""
NOISE_WEIGHT = 0.03
"""Standard deviation of the weights of noise in a network that is made of one without: enough for members to differ,
and too little to disturb the forecast."""


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


def adapted(
    weights: Mapping[str, Tensor], source: ForecasterConfig, model: ForecasterConfig, *, peepholes: bool = True
) -> dict[str, Tensor]:
    """The weights of the network `source` as those of the network `model`, which then forecasts the same.

    The number of channels may differ: a network for colour that is made of one for grey forecasts grey frames as that
    does; one for grey that is made of one for colour forecasts the mean of what that would forecast, before σ. So may
    the kind of peepholes, where those per channel become the same value at each position. A network that reads a
    mask, channels that are not forecast, or noise, may be made of one that does not; it learns to heed them. One that
    reads no noise may be made of one that does, and forecasts what that does without noise.

    Raises UsageError, without a full stop, where they differ in anything else.
    """
    for name in ALIKE:
        theirs, ours = getattr(source, name), getattr(model, name)
        if theirs != ours:
            flag = flag_of(ForecasterConfig, "recurrent_kernel_size" if name == "recurrent_kernel" else name)
            raise UsageError(f"{flag} of the weights is {_plain(theirs)} and of this network {_plain(ours)}")
    if source.inputs and (source.inputs, source.known) != (model.inputs, model.known):
        raise UsageError(
            f"the weights read {source.inputs} channels that are not forecast, {source.known} of them known ahead, and "
            f"this network {model.inputs}, {model.known} of them"
        )
    if source.mask and not model.mask:
        raise UsageError(
            "the weights are of a network that reads which pixels are missing, and no video has such pixels"
        )
    if model.layer_norm and source.grid != model.grid:
        raise UsageError(
            f"the weights have --layer-norm for --size {source.height}x{source.width}, and this network is for "
            f"{model.height}x{model.width}"
        )
    kinds = source.peephole, model.peephole
    same_size = source.grid == model.grid or not PEEPHOLES[source.peephole].fixes_size
    if peepholes and not (kinds == ("channel", "full") or (kinds[0] == kinds[1] and same_size)):
        different = f"--size {source.height}x{source.width}" if kinds[0] == kinds[1] else f"--peephole {kinds[0]}"
        raise UsageError(f"the weights have peepholes of {different}, which this network has not")
    fitting = {
        name: _adapted(name, value, source, model)
        for name, value in weights.items()
        if peepholes or ".peephole_" not in name
    }
    if not model.noise:
        fitting.pop("noise_scale", None)
    elif not source.noise:
        fitting["noise_scale"] = torch.ones(NOISE_LEADS)
    if fitting.get(first := "forecaster.0.weight_ih", torch.ones(1, 1)).shape[1] == 0:  # it read noise alone
        for name in (first, "forecaster.0.norm_ih.weight", "forecaster.0.norm_ih.bias"):
            fitting.pop(name, None)
    if first not in weights and (model.known or model.noise):  # it read nothing
        side, channels = model.kernel_size, model.known * model.patch_size**2
        fitting[first] = _noisy(
            torch.zeros(weights["forecaster.0.weight_hh"].shape[0], channels, side, side), NOISE_GRID * model.noise
        )
        if model.layer_norm:
            like = weights["forecaster.0.norm_hh.weight"]
            fitting |= {
                "forecaster.0.norm_ih.weight": torch.ones_like(like),
                "forecaster.0.norm_ih.bias": torch.zeros_like(like),
            }
    return fitting


def _adapted(name: str, value: Tensor, source: ForecasterConfig, model: ForecasterConfig) -> Tensor:
    """One parameter for a network with other channels or peepholes."""
    of, to, patch = source.channels, model.channels, model.patch_size**2
    if ".peephole_" in name and model.peephole == "full":
        return value.expand(-1, *model.grid).contiguous()
    if name == "forecaster.0.weight_ih":
        value, noise = _split(value, NOISE_GRID * source.noise)
        value = _adapted_input(name, value, source, model)
        return _noisy(value, NOISE_GRID * model.noise, noise)
    if name == "encoder.0.weight_ih":
        return _adapted_input(name, value, source, model)
    if name == "head.refinement.see.weight":
        value, noise = _split(value, NOISE_PIXELS * source.noise)
        if of != to:
            shown = REFINED_FEATURES + of * len(source.known_frames)
            features, known, past = value[:, :REFINED_FEATURES], value[:, REFINED_FEATURES:shown], value[:, shown:]
            value = torch.cat((features, _reads(known, of, to, 1), past), dim=1)
        return _noisy(value, NOISE_PIXELS * model.noise, noise)
    if of == to:
        return value
    if name.startswith("head.refinement.say."):
        return _writes(value, of, to, 1)
    if name.startswith("head.conv.") and not HEADS[model.head].refines:
        return _writes(value, of, to, patch)
    return value


def _adapted_input(name: str, value: Tensor, source: ForecasterConfig, model: ForecasterConfig) -> Tensor:
    """The kernel of the first layer of a stack for other channels, without its part for noise."""
    of, to, patch = source.channels, model.channels, model.patch_size**2
    fed = of * patch if name.startswith("encoder") or FORECASTERS[model.forecaster].reads else 0
    frames, others = value[:, :fed], value[:, fed:]
    if of != to and fed:
        frames = _reads(frames, of, to, patch)
    if name.startswith("encoder"):
        inputs, mask = others[:, : source.inputs * patch], others[:, source.inputs * patch :]
        inputs, mask = _widened(inputs, model.inputs * patch), _widened(mask, model.mask * patch)
        return torch.cat((frames, inputs, mask), dim=1)
    return torch.cat((frames, _widened(others, model.known * patch)), dim=1)


def _split(weight: Tensor, noise: int) -> tuple[Tensor, Tensor]:
    """A kernel (out, in, k, k) without its last `noise` inputs, and these."""
    return weight[:, : weight.shape[1] - noise], weight[:, weight.shape[1] - noise :]


def _noisy(weight: Tensor, noise: int, learned: Tensor | None = None) -> Tensor:
    """A kernel (out, in, k, k) with so many inputs for noise behind it: the learned ones, or drawn ones."""
    if learned is None or learned.shape[1] != noise:
        shape = weight.shape[0], noise, *weight.shape[2:]
        learned = NOISE_WEIGHT * torch.randn(shape, generator=torch.Generator().manual_seed(0))
    return torch.cat((weight, learned.to(weight)), dim=1)


def _widened(weight: Tensor, channels: int) -> Tensor:
    """A kernel (out, n, k, k) as it is, or of zeros for so many channels where it reads none."""
    return weight if weight.shape[1] else weight.new_zeros(weight.shape[0], channels, *weight.shape[2:])


def _reads(weight: Tensor, of: int, to: int, size: int) -> Tensor:
    """A kernel (out, n * of * size, k, k) that reads n frames, each channel in `size` parts, for `to` channels.

    Where all channels are alike it reads the same.
    """
    out, _, *kernel = weight.shape
    parts = weight.reshape(out, -1, of, size, *kernel).sum(dim=2, keepdim=True) / to
    return parts.expand(-1, -1, to, -1, -1, -1).flatten(1, 3).contiguous()


def _writes(value: Tensor, of: int, to: int, size: int) -> Tensor:
    """A kernel or bias (of * size + others, ...) whose first parts are the channels of a frame, for `to` channels."""
    frame, others = value[: of * size], value[of * size :]
    frame = frame.reshape(of, size, *value.shape[1:]).mean(dim=0, keepdim=True)
    return torch.cat((frame.expand(to, *frame.shape[1:]).flatten(0, 1), others))


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


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
