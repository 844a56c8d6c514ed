"""ConvLSTM1D, 2D and 3D of Keras 2 and 3, and the names of activations in Keras."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from convlstm_cli.errors import UsageError
from convlstm_cli.nn.activations import ACTIVATIONS
from convlstm_cli.nn.interop.arrays import Array, demand, expect, numpy, tensor
from convlstm_cli.nn.interop.building import bias_of, build, expressible, one_kernel_size, without_peepholes
from convlstm_cli.nn.layer import ConvLSTM
from convlstm_cli.nn.sequences import DataFormat

OTHER_NAMES = {"swish": "silu", "hard_swish": "hard_silu"}
"""Second names of activations in Keras."""
HARD_SIGMOIDS = {"2": "hard_sigmoid_keras2", "3": "hard_sigmoid_keras3"}
"""Our names of Keras' "hard_sigmoid", by its major version."""


def from_keras(
    weights: Sequence[Array],
    config: Mapping[str, Any],
    *,
    keras_version: str,
    data_format: DataFormat = "channels_first",
) -> ConvLSTM:
    """A `ConvLSTM` that computes what a Keras `ConvLSTM1D`, `ConvLSTM2D` or `ConvLSTM3D` layer computes.

    Args:
        weights: `layer.get_weights()`: kernel (*k, in, 4F), recurrent_kernel (*k, F, 4F) and, with use_bias, bias
            (4F,), where *k are one, two or three sides. They are the same for both values of its `data_format`.
        config: `layer.get_config()`; `padding` and `recurrent_activation` must be there, because the defaults
            ("valid", and sigmoid only since Keras 3) are not what most people expect. `return_sequences`,
            `return_state` and `stateful` have no place in a ConvLSTM, which always returns both and keeps no state.
        keras_version: `keras.__version__`; hard_sigmoid is x/6 + 0.5 in Keras 3 and 0.2x + 0.5 before.
        data_format: order of the axes of the ConvLSTM: (B, T, C, *size), or (B, T, *size, C) for "channels_last",
            which is Keras' default.

    Raises:
        UsageError: an activation that a ConvLSTM does not have by name, or arrays that do not fit together.
    """
    kernel, recurrent_kernel, bias = check_arrays("ConvLSTM", weights)
    sides = kernel.ndim - 2
    name = f"ConvLSTM{sides}D"
    padding = config.get("padding")
    if padding not in ("same", "valid"):
        raise UsageError(f"{name}'s padding is {padding!r}; config must say 'same' or 'valid'.")
    made: dict[str, Any] = {"kernel_size": tuple(kernel.shape[:-2]), "filters": recurrent_kernel.shape[-2]}
    for option, found in made.items():
        if not np.all(np.equal(config.get(option, found), found)):
            raise UsageError(f"{name}'s arrays have {option} {found}, but config says {config[option]}.")
    turned = (sides + 1, sides, *range(sides))
    return build(
        weight_ih=kernel.permute(turned),
        weight_hh=recurrent_kernel.permute(turned),
        bias=bias,
        padding=padding,
        stride=_sides(config.get("strides", 1), sides),
        dilation=_sides(config.get("dilation_rate", 1), sides),
        dropout=config.get("dropout", 0.0),
        recurrent_dropout=config.get("recurrent_dropout", 0.0),
        go_backwards=config.get("go_backwards", False),
        data_format=data_format,
        **activation_names(config, keras_version),
    )


def to_keras(layer: ConvLSTM, *, keras_version: str) -> tuple[list[npt.NDArray[Any]], dict[str, Any]]:
    """`weights` for `ConvLSTM2D(**config).set_weights(weights)` (1D or 3D for such a layer), and that config.

    Raises:
        UsageError: peepholes, layer normalisation, zoneout, a cell clip, padding per side, another recurrent kernel
            size than the input's, no input, or the hard_sigmoid of another Keras version.
    """
    sides = layer.dimensions
    name = f"ConvLSTM{sides}D"
    may = ("gate_activation", "activation", "padding", "stride", "dilation", "go_backwards")
    weight_ih = expressible(name, layer, may)
    without_peepholes(name, layer)
    one_kernel_size(name, layer)
    demand(name, (isinstance(layer.padding, str), "its padding is 'same' or 'valid'"))
    config = {
        "filters": layer.hidden_channels,
        "kernel_size": layer.kernel_size,
        "strides": layer.stride,
        "dilation_rate": layer.dilation,
        "padding": layer.padding,
        "use_bias": layer.bias is not None,
        "dropout": layer.dropout,
        "recurrent_dropout": layer.recurrent_dropout,
        "go_backwards": layer.go_backwards,
        **keras_names(layer, keras_version),
    }
    turned = (*range(2, sides + 2), 1, 0)
    arrays = [weight_ih.permute(turned), layer.weight_hh.permute(turned)]
    if layer.bias is not None:
        arrays.append(bias_of(layer))
    return [numpy(array) for array in arrays], config


def activation_names(config: Mapping[str, Any], keras_version: str) -> dict[str, Any]:
    """`activation` and `gate_activation` of a ConvLSTM for those of a Keras config, which must name the second."""
    if not config.get("recurrent_activation"):
        raise UsageError(f"recurrent_activation is {config.get('recurrent_activation')!r}; config must name it.")
    return {
        "activation": _our_name("activation", config.get("activation", "tanh"), keras_version),
        "gate_activation": _our_name("recurrent_activation", config["recurrent_activation"], keras_version),
    }


def keras_names(layer: ConvLSTM, keras_version: str) -> dict[str, str]:
    """`activation` and `recurrent_activation` of a Keras cell for those of a layer."""
    return {
        "activation": _keras_name("activation", layer.activation, keras_version),
        "recurrent_activation": _keras_name("gate_activation", layer.gate_activation, keras_version),
    }


def check_arrays(name: str, weights: Sequence[Array], dense: bool = False) -> tuple[Tensor, Tensor, Tensor | None]:
    """kernel (..., in, 4F), recurrent_kernel (..., F, 4F) and bias (4F,) of a Keras cell, checked."""
    if len(weights) not in (2, 3):
        raise UsageError(f"{name} has a kernel, a recurrent kernel and perhaps a bias, not {len(weights)} arrays.")
    names = ("kernel", "recurrent kernel", "bias")
    kernel, recurrent_kernel, *rest = (
        tensor(f"{name}'s {part}", array) for part, array in zip(names, weights, strict=False)
    )
    if kernel.ndim not in ((2,) if dense else (3, 4, 5)) or kernel.shape[-1] % 4:
        shape = "(in, 4 * F)" if dense else "(k, in, 4 * F), with one, two or three k"
        raise UsageError(f"{name}'s kernel has shape {tuple(kernel.shape)}; expected {shape}.")
    gates = kernel.shape[-1]
    expect(f"{name}'s recurrent kernel", recurrent_kernel, (*kernel.shape[:-2], gates // 4, gates))
    if rest:
        expect(f"{name}'s bias", rest[0], (gates,))
    return kernel, recurrent_kernel, rest[0] if rest else None


def _sides(value: int | Sequence[int], sides: int) -> tuple[int, ...]:
    return (value,) * sides if isinstance(value, int) else tuple(value)


def _our_name(option: str, name: Any, keras_version: str) -> str:
    if name is None:  # Keras' word for no activation
        return "linear"
    if name == "hard_sigmoid":
        return _hard_sigmoid(keras_version)
    ours = OTHER_NAMES.get(name, name) if isinstance(name, str) else ""
    if ours not in ACTIVATIONS:
        raise UsageError(f"{option} is {name!r}; a ConvLSTM has {', '.join(ACTIVATIONS)} by name.")
    return ours


def _keras_name(option: str, activation: Any, keras_version: str) -> str:
    if activation in HARD_SIGMOIDS.values():
        if activation != _hard_sigmoid(keras_version):
            raise UsageError(
                f"this layer's {option} is {activation}; the hard_sigmoid of Keras {keras_version} is another."
            )
        return "hard_sigmoid"
    if not isinstance(activation, str):
        raise UsageError(f"this layer's {option} is a function; only one with a name can be given to Keras.")
    return activation


def _hard_sigmoid(keras_version: str) -> str:
    major = keras_version.partition(".")[0]
    if not major.isdecimal():
        raise UsageError(f"keras_version is {keras_version!r}; give keras.__version__, such as '3.5.0'.")
    return HARD_SIGMOIDS["3" if int(major) >= 3 else "2"]
