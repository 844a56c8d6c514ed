"""Weights of one network as those of another, which forecasts the same: other channels, peepholes, mask or noise."""

from collections.abc import Mapping

import torch
from torch import Tensor

from convlstm_cli.errors import UsageError
from convlstm_cli.nn.config import NOISE_GRID, NOISE_LEADS, NOISE_PIXELS, REFINED_FEATURES, ForecasterConfig
from convlstm_cli.nn.kinds import FORECASTERS, HEADS, PEEPHOLES
from convlstm_cli.settings import flag_of

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
    _check_alike(source, model, peepholes=peepholes)
    fitting = {
        name: _adapted(name, value, source, model)
        for name, value in weights.items()
        if peepholes or ".peephole_" not in name
    }
    _adapt_forecaster_input(fitting, source, model)
    return fitting


def _check_alike(source: ForecasterConfig, model: ForecasterConfig, *, peepholes: bool) -> None:
    """Raises UsageError, without a full stop, where weights cannot be adapted."""
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


def _adapt_forecaster_input(weights: dict[str, Tensor], source: ForecasterConfig, model: ForecasterConfig) -> None:
    """Adds the input kernel of the second stack where only `model` has one, and removes it where only `source` has.

    So it does with the normalisation of that kernel's output and with the amplitudes of noise.
    """
    if not model.noise:
        weights.pop("noise_scale", None)
    elif not source.noise:
        weights["noise_scale"] = torch.ones(NOISE_LEADS)
    first, norm = "forecaster.0.weight_ih", "forecaster.0.norm_ih"
    if first in weights:
        if weights[first].shape[1] == 0:  # the source read nothing but noise
            for name in (first, f"{norm}.weight", f"{norm}.bias"):
                weights.pop(name, None)
    elif model.known or model.noise:
        side, channels = model.kernel_size, model.known * model.patch_size**2
        zeros = torch.zeros(weights["forecaster.0.weight_hh"].shape[0], channels, side, side)
        weights[first] = _with_noise(zeros, NOISE_GRID * model.noise)
        if model.layer_norm:
            like = weights["forecaster.0.norm_hh.weight"]
            weights |= {f"{norm}.weight": torch.ones_like(like), f"{norm}.bias": torch.zeros_like(like)}


def _adapted(name: str, value: Tensor, source: ForecasterConfig, model: ForecasterConfig) -> Tensor:
    """One parameter for a network with other channels or peepholes."""
    of, to, patch = source.channels, model.channels, model.patch_size**2
    if ".peephole_" in name and model.peephole == "full":
        return value.expand(-1, *model.grid).contiguous()
    if name == "forecaster.0.weight_ih":
        value, noise = _split(value, NOISE_GRID * source.noise)
        value = _adapted_input(name, value, source, model)
        return _with_noise(value, NOISE_GRID * model.noise, noise)
    if name == "encoder.0.weight_ih":
        return _adapted_input(name, value, source, model)
    if name == "head.refinement.see.weight":
        value, noise = _split(value, NOISE_PIXELS * source.noise)
        if of != to:
            shown = REFINED_FEATURES + of * len(source.known_frames)
            features, known, past = value[:, :REFINED_FEATURES], value[:, REFINED_FEATURES:shown], value[:, shown:]
            value = torch.cat((features, _reading(known, of, to, 1), past), dim=1)
        return _with_noise(value, NOISE_PIXELS * model.noise, noise)
    if of == to:
        return value
    if name.startswith("head.refinement.say."):
        return _writing(value, of, to, 1)
    if name.startswith("head.conv.") and not HEADS[model.head].refines:
        return _writing(value, of, to, patch)
    return value


def _adapted_input(name: str, value: Tensor, source: ForecasterConfig, model: ForecasterConfig) -> Tensor:
    """The kernel of the first layer of a stack for other channels, without its part for noise."""
    of, to, patch = source.channels, model.channels, model.patch_size**2
    read = of * patch if name.startswith("encoder") or FORECASTERS[model.forecaster].reads else 0
    frames, others = value[:, :read], value[:, read:]
    if of != to and read:
        frames = _reading(frames, of, to, patch)
    if name.startswith("encoder"):
        inputs, mask = others[:, : source.inputs * patch], others[:, source.inputs * patch :]
        inputs, mask = _with_inputs(inputs, model.inputs * patch), _with_inputs(mask, model.mask * patch)
        return torch.cat((frames, inputs, mask), dim=1)
    return torch.cat((frames, _with_inputs(others, model.known * patch)), dim=1)


def _split(weight: Tensor, noise: int) -> tuple[Tensor, Tensor]:
    """A kernel (out, in, k, k) without its last `noise` inputs, and these."""
    return weight[:, : weight.shape[1] - noise], weight[:, weight.shape[1] - noise :]


def _with_noise(weight: Tensor, noise: int, learned: Tensor | None = None) -> Tensor:
    """A kernel (out, in, k, k) with so many inputs for noise behind it: the learned ones, or drawn ones."""
    if learned is None or learned.shape[1] != noise:
        shape = weight.shape[0], noise, *weight.shape[2:]
        learned = NOISE_WEIGHT * torch.randn(shape, generator=torch.Generator().manual_seed(0))
    return torch.cat((weight, learned.to(weight)), dim=1)


def _with_inputs(weight: Tensor, channels: int) -> Tensor:
    """A kernel (out, n, k, k) as it is, or of zeros for so many channels where it reads none."""
    return weight if weight.shape[1] else weight.new_zeros(weight.shape[0], channels, *weight.shape[2:])


def _reading(weight: Tensor, of: int, to: int, size: int) -> Tensor:
    """A kernel (out, n * of * size, k, k) that reads n frames, each channel in `size` parts, for `to` channels.

    Where all channels are alike it reads the same.
    """
    out, _, *kernel = weight.shape
    parts = weight.reshape(out, -1, of, size, *kernel).sum(dim=2, keepdim=True) / to
    return parts.expand(-1, -1, to, -1, -1, -1).flatten(1, 3).contiguous()


def _writing(value: Tensor, of: int, to: int, size: int) -> Tensor:
    """A kernel or bias (of * size + others, ...) whose first parts are the channels of a frame, for `to` channels."""
    frame, others = value[: of * size], value[of * size :]
    frame = frame.reshape(of, size, *value.shape[1:]).mean(dim=0, keepdim=True)
    return torch.cat((frame.expand(to, *frame.shape[1:]).flatten(0, 1), others))


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
