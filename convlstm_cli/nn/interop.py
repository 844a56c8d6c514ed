"""Weights from and to the cells of other systems; `scripts/verify-peers` checks each of them.

| system | functions | kernels | gates | peepholes |
| --- | --- | --- | --- | --- |
| ConvLSTM2D of Keras 2 and 3 | from_keras, to_keras | (k, k, in, 4F), (k, k, F, 4F) | i, f, c, o | none |
| PeepholeLSTMCell | from_keras_peephole, to_keras_peephole | (in, 4F), (F, 4F) | i, f, c, o | channel |
| TensorFlow v1 LSTMCell | from_tf1, to_tf1 | (in + F, 4F) | i, j, f, o | channel or none |
| ndrplz ConvLSTM_pytorch | from_ndrplz, to_ndrplz | (4F, in + F, k, k) | i, f, o, g | none |

PeepholeLSTMCell is that of tensorflow_addons.rnn and tf.keras.experimental. F is the number of hidden channels; c
and j are other names of the candidate g. A `from_` function takes arrays as their system hands them out and
returns a `ConvLSTM` of the same dtype that computes the same; a `to_` function returns the arrays and the options
that the other cell is made with. Arrays are copied, never shared. Dense cells are ConvLSTMs with 1x1 kernels:
they read (B, T, in, 1, 1), or images position by position.

Dropout, regularisers and Gers' rule act in training only and are not converted. All functions raise UsageError for
arrays or options that the other system cannot express.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from convlstm_cli.errors import UsageError
from convlstm_cli.nn.config import GateActivation
from convlstm_cli.nn.layer import ConvLSTM, Padding

Array = npt.NDArray[Any] | Tensor

# Orders of the gates, in our letters; Keras has the same order.
OURS = "ifgo"
TF1 = "igfo"
NDRPLZ = "ifog"


# Keras ConvLSTM2D


def from_keras(weights: Sequence[Array], config: Mapping[str, Any], *, keras_version: str) -> ConvLSTM:
    """A `ConvLSTM` that computes what a Keras `ConvLSTM2D` layer computes.

    Args:
        weights: `layer.get_weights()`: kernel (k, k, in, 4F), recurrent_kernel (k, k, F, 4F) and, with
            use_bias, bias (4F,). Both values of `data_format` have the same; ours reads (B, T, C, H, W) always.
        config: `layer.get_config()`; `padding` and `recurrent_activation` must be there, because the defaults
            ("valid", and sigmoid only since Keras 3) are not what most people expect.
        keras_version: `keras.__version__`; hard_sigmoid is x/6 + 0.5 in Keras 3 and 0.2x + 0.5 before.

    Raises:
        UsageError: strides or dilation other than 1, another activation than tanh, another recurrent
            activation than sigmoid or hard_sigmoid, `go_backwards`, an even kernel, or arrays that do not fit
            together.
    """
    gate_activation = _keras_gates(config, keras_version)
    padding = config.get("padding")
    if padding not in ("same", "valid"):
        raise UsageError(f"ConvLSTM2D's padding is {padding!r}; config must say 'same' or 'valid'.")
    for option in ("strides", "dilation_rate"):
        if not np.all(np.equal(config.get(option, 1), 1)):
            raise UsageError(f"ConvLSTM2D has {option} {config[option]}; a ConvLSTM here steps by 1 only.")
    if config.get("go_backwards", False):
        raise UsageError("ConvLSTM2D has go_backwards=True; read it with go_backwards=False and flip the frames.")

    kernel, recurrent_kernel, bias = _keras_arrays("ConvLSTM2D", weights, ndim=4)
    made: dict[str, Any] = {"kernel_size": tuple(kernel.shape[:2]), "filters": recurrent_kernel.shape[2]}
    for option, found in made.items():
        if not np.all(np.equal(config.get(option, found), found)):
            raise UsageError(f"ConvLSTM2D's arrays have {option} {found}, but config says {config[option]}.")
    return _build(
        weight_ih=kernel.permute(3, 2, 0, 1),
        weight_hh=recurrent_kernel.permute(3, 2, 0, 1),
        bias=bias,
        padding=padding,
        gate_activation=gate_activation,
    )


def to_keras(layer: ConvLSTM, *, keras_version: str) -> tuple[list[npt.NDArray[Any]], dict[str, Any]]:
    """`weights` for `ConvLSTM2D(**config).set_weights(weights)`, and that config.

    Raises:
        UsageError: peepholes, a cell clip, another recurrent kernel size than the input's, no input, or the
            hard_sigmoid of another Keras version.
    """
    weight_ih = _expressible("ConvLSTM2D", layer)
    _demand(
        "ConvLSTM2D",
        (layer.peephole == "none", f"it has no peepholes, and this layer has {layer.peephole!r} ones"),
        (layer.recurrent_kernel_size == layer.kernel_size, "its two kernels have the same size"),
    )
    config = {
        "filters": layer.hidden_channels,
        "kernel_size": layer.kernel_size,
        "padding": layer.padding,
        "recurrent_activation": _keras_gate_name(layer, keras_version),
    }
    arrays = (weight_ih.permute(2, 3, 1, 0), layer.weight_hh.permute(2, 3, 1, 0), layer.bias)
    return [_numpy(array) for array in arrays], config


# PeepholeLSTMCell of tensorflow-addons and tf.keras.experimental


def from_keras_peephole(weights: Sequence[Array], config: Mapping[str, Any]) -> ConvLSTM:
    """A `ConvLSTM` with 1x1 kernels that computes what a `PeepholeLSTMCell` computes.

    Args:
        weights: `cell.get_weights()`: kernel (in, 4F), recurrent_kernel (F, 4F), with use_bias bias (4F,),
            then the peepholes of the input, forget and output gate, each (F,).
        config: `cell.get_config()`; `recurrent_activation` must be there, since it is sigmoid by default in
            tensorflow-addons and hard_sigmoid (0.2x + 0.5, both build on Keras 2) in tf.keras.experimental.

    Raises:
        UsageError: an activation that a ConvLSTM does not have, or arrays that do not fit together.
    """
    gate_activation = _keras_gates(config, keras_version="2")
    if len(weights) not in (5, 6):
        raise UsageError(f"PeepholeLSTMCell has 6 arrays, or 5 without bias, not {len(weights)}.")
    kernel, recurrent_kernel, bias = _keras_arrays("PeepholeLSTMCell", weights[:-3], ndim=2)
    return _build(
        weight_ih=kernel.T,
        weight_hh=recurrent_kernel.T,
        bias=bias,
        peepholes=[_tensor(peephole) for peephole in weights[-3:]],
        gate_activation=gate_activation,
    )


def to_keras_peephole(layer: ConvLSTM) -> tuple[list[npt.NDArray[Any]], dict[str, Any]]:
    """`weights` for the `set_weights` of a built `PeepholeLSTMCell(**config)`, and that config.

    Raises:
        UsageError: kernels other than 1x1, no peepholes or `full` ones, a cell clip, no input, or Keras 3's
            hard_sigmoid.
    """
    weight_ih = _dense("PeepholeLSTMCell", layer)
    peepholes = _channel_peepholes(layer)
    _demand("PeepholeLSTMCell", (bool(peepholes), "it has peepholes, and this layer none; use LSTMCell"))
    config = {
        "units": layer.hidden_channels,
        "recurrent_activation": _keras_gate_name(layer, keras_version="2"),
    }
    arrays = (weight_ih.T, layer.weight_hh[:, :, 0, 0].T, layer.bias, *peepholes)
    return [_numpy(array) for array in arrays], config


# TensorFlow v1 LSTMCell


def from_tf1(variables: Mapping[str, Array], *, forget_bias: float = 1.0, cell_clip: float | None = None) -> ConvLSTM:
    """A `ConvLSTM` with 1x1 kernels that computes what a `tf.compat.v1.nn.rnn_cell.LSTMCell` computes.

    Args:
        variables: the cell's variables by the last part of their names: `kernel` (in + F, 4F), `bias` (4F,)
            and, with use_peepholes, `w_i_diag`, `w_f_diag` and `w_o_diag`, each (F,).
        forget_bias: what the cell was made with. It adds this at run time and does not store it; here it
            becomes part of the bias.
        cell_clip: what the cell was made with.

    Its state is (c, h); ours is (h, c).

    Raises:
        UsageError: a projection (`num_proj`), or arrays that are missing or do not fit together.
    """
    projections = [name for name in variables if name.startswith("projection")]
    if projections:
        raise UsageError(f"LSTMCell has num_proj ({projections[0]}); a ConvLSTM has no projection.")
    diagonals = [f"w_{gate}_diag" for gate in "ifo" if f"w_{gate}_diag" in variables]
    missing = {"kernel", "bias"} - variables.keys()
    if missing or len(diagonals) not in (0, 3):
        raise UsageError(
            f"LSTMCell's variables are {', '.join(sorted(variables)) or 'none'}; expected kernel and bias, "
            "and with use_peepholes also w_i_diag, w_f_diag and w_o_diag."
        )
    kernel, bias = _tensor(variables["kernel"]), _tensor(variables["bias"])
    if kernel.ndim != 2 or kernel.shape[1] % 4 or kernel.shape[0] <= kernel.shape[1] // 4:
        raise UsageError(f"LSTMCell's kernel has shape {tuple(kernel.shape)}; expected (in + F, 4 * F).")
    hidden = kernel.shape[1] // 4
    _expect("LSTMCell's bias", bias, (4 * hidden,))

    bias = _regate(bias, TF1, OURS)
    bias[hidden : 2 * hidden] += forget_bias
    weight = _regate(kernel.T, TF1, OURS)  # (4F, in + F)
    return _build(
        weight_ih=weight[:, :-hidden],
        weight_hh=weight[:, -hidden:],
        bias=bias,
        peepholes=[_tensor(variables[name]) for name in diagonals],
        cell_clip=cell_clip,
    )


def to_tf1(layer: ConvLSTM, *, forget_bias: float = 1.0) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
    """The variables of `LSTMCell(**options)` by the last part of their names, and those options.

    `forget_bias` is taken off the stored bias, since the cell adds it at run time.

    Raises:
        UsageError: kernels other than 1x1, `full` peepholes, no input, or a hard_sigmoid.
    """
    weight_ih = _dense("LSTMCell", layer, clip=True)
    _demand("LSTMCell", (layer.rules.gate_activation == "sigmoid", "its gates are sigmoids"))
    peepholes = _channel_peepholes(layer)

    kernel = _regate(torch.cat([weight_ih, layer.weight_hh[:, :, 0, 0]], dim=1), OURS, TF1).T
    bias = layer.bias.detach().clone()
    bias[layer.hidden_channels : 2 * layer.hidden_channels] -= forget_bias
    variables = {"kernel": kernel, "bias": _regate(bias, OURS, TF1)}
    variables |= {f"w_{gate}_diag": peephole for gate, peephole in zip("ifo", peepholes, strict=False)}
    options = {
        "num_units": layer.hidden_channels,
        "use_peepholes": bool(peepholes),
        "cell_clip": layer.rules.cell_clip,
        "forget_bias": forget_bias,
    }
    return {name: _numpy(array) for name, array in variables.items()}, options


# ndrplz ConvLSTM_pytorch


def from_ndrplz(state_dict: Mapping[str, Array]) -> list[ConvLSTM]:
    """The layers of an ndrplz `ConvLSTM` as one `ConvLSTM` each, the first layer first.

    `state_dict` holds `cell_list.N.conv.weight` (4F, in + F, k, k), one convolution over x and h concatenated,
    and with bias `cell_list.N.conv.bias` (4F,). A prefix before `cell_list` and other keys are ignored, so the state
    dict of a model that contains the network works too.

    Raises:
        UsageError: no such keys, two networks, a gap in the numbering, or arrays that do not fit together.
    """
    keys: dict[int, str] = {}
    for key in state_dict:
        match = re.fullmatch(r"(?:.*\.)?cell_list\.(\d+)\.conv\.weight", key)
        if match:
            index = int(match[1])
            if index in keys:
                raise UsageError(f"two networks in one state dict: {keys[index]} and {key}; pass one of them.")
            keys[index] = key
    if sorted(keys) != list(range(len(keys))) or not keys:
        raise UsageError(
            "expected the keys cell_list.0.conv.weight, cell_list.1.conv.weight and so on; "
            f"found {', '.join(keys.values()) or 'none of them'}."
        )

    layers = []
    for index in range(len(keys)):
        key = keys[index]
        weight = _tensor(state_dict[key])
        if weight.ndim != 4 or weight.shape[0] % 4 or weight.shape[1] <= weight.shape[0] // 4:
            raise UsageError(f"{key} has shape {tuple(weight.shape)}; expected (4 * F, in + F, k, k).")
        hidden = weight.shape[0] // 4
        bias_key = key.removesuffix("weight") + "bias"
        bias = None
        if bias_key in state_dict:
            bias = _tensor(state_dict[bias_key])
            _expect(bias_key, bias, (4 * hidden,))
            bias = _regate(bias, NDRPLZ, OURS)
        weight = _regate(weight, NDRPLZ, OURS)
        layers.append(_build(weight_ih=weight[:, :-hidden], weight_hh=weight[:, -hidden:], bias=bias))
    return layers


def to_ndrplz(layers: Iterable[ConvLSTM]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """A state dict for ndrplz' `ConvLSTM(**options)`, and those options; `layers` as they are stacked.

    Raises:
        UsageError: peepholes, hard_sigmoid gates, padding "valid", a cell clip, another recurrent kernel size
            than the input's, no input, or layers that do not fit on each other.
    """
    system = "ndrplz' ConvLSTM"
    stack = list(layers)
    _demand(system, (bool(stack), "it has at least one layer"))
    state_dict = {}
    for index, layer in enumerate(stack):
        weight_ih = _expressible(system, layer)
        _demand(
            system,
            (layer.peephole == "none", f"it has no peepholes, and layer {index} has {layer.peephole!r} ones"),
            (layer.rules.gate_activation == "sigmoid", "its gates are sigmoids"),
            (layer.padding == "same" or layer.kernel_size == (1, 1), "its padding is 'same'"),
            (layer.recurrent_kernel_size == layer.kernel_size, "one kernel reads input and hidden state"),
            (
                index == 0 or layer.in_channels == stack[index - 1].hidden_channels,
                f"layer {index} reads {layer.in_channels} channels, not those of the layer below it",
            ),
        )
        weight = torch.cat([weight_ih, layer.weight_hh.detach()], dim=1)
        state_dict[f"cell_list.{index}.conv.weight"] = _regate(weight, OURS, NDRPLZ)
        state_dict[f"cell_list.{index}.conv.bias"] = _regate(layer.bias.detach(), OURS, NDRPLZ)
    options = {
        "input_dim": stack[0].in_channels,
        "hidden_dim": [layer.hidden_channels for layer in stack],
        "kernel_size": [layer.kernel_size for layer in stack],
        "num_layers": len(stack),
    }
    return state_dict, options


# What the systems share


def _keras_gates(config: Mapping[str, Any], keras_version: str) -> GateActivation:
    """Our name of the gates' activation in a Keras config, whose other activation must be tanh."""
    if config.get("activation", "tanh") != "tanh":
        raise UsageError(f"activation is {config['activation']!r}; a ConvLSTM has 'tanh' only.")
    recurrent = config.get("recurrent_activation")
    if recurrent == "sigmoid":
        return "sigmoid"
    if recurrent == "hard_sigmoid":
        return _hard_sigmoid(keras_version)
    raise UsageError(f"recurrent_activation is {recurrent!r}; config must say 'sigmoid' or 'hard_sigmoid'.")


def _keras_gate_name(layer: ConvLSTM, keras_version: str) -> str:
    """The Keras name of a layer's gate activation."""
    activation = layer.rules.gate_activation
    if activation == "sigmoid":
        return "sigmoid"
    if activation != _hard_sigmoid(keras_version):
        raise UsageError(f"this layer's gates are {activation}; Keras {keras_version}'s hard_sigmoid is another.")
    return "hard_sigmoid"


def _hard_sigmoid(keras_version: str) -> GateActivation:
    major = keras_version.partition(".")[0]
    if not major.isdecimal():
        raise UsageError(f"keras_version is {keras_version!r}; give keras.__version__, such as '3.5.0'.")
    return "hard_sigmoid_keras3" if int(major) >= 3 else "hard_sigmoid_keras2"


def _keras_arrays(name: str, weights: Sequence[Array], ndim: int) -> tuple[Tensor, Tensor, Tensor | None]:
    """kernel (..., in, 4F), recurrent_kernel (..., F, 4F) and bias (4F,) of a Keras cell, checked."""
    if len(weights) not in (2, 3):
        raise UsageError(f"{name} has a kernel, a recurrent kernel and perhaps a bias, not {len(weights)} arrays.")
    kernel, recurrent_kernel, *rest = (_tensor(array) for array in weights)
    if kernel.ndim != ndim or kernel.shape[-1] % 4:
        shape = "(k, k, in, 4 * F)" if ndim == 4 else "(in, 4 * F)"
        raise UsageError(f"{name}'s kernel has shape {tuple(kernel.shape)}; expected {shape}.")
    gates = kernel.shape[-1]
    _expect(f"{name}'s recurrent kernel", recurrent_kernel, (*kernel.shape[:-2], gates // 4, gates))
    if rest:
        _expect(f"{name}'s bias", rest[0], (gates,))
    return kernel, recurrent_kernel, rest[0] if rest else None


def _build(
    *,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias: Tensor | None,
    peepholes: Sequence[Tensor] = (),
    padding: Padding = "same",
    gate_activation: GateActivation = "sigmoid",
    cell_clip: float | None = None,
) -> ConvLSTM:
    """A layer with copies of these values: gates i, f, g, o, weights (4F, in[, k, k]), peepholes (F,)."""
    if weight_ih.ndim == 2:
        weight_ih, weight_hh = weight_ih[:, :, None, None], weight_hh[:, :, None, None]
    hidden = weight_hh.shape[1]
    values = {
        "weight_ih": weight_ih,
        "weight_hh": weight_hh,
        "bias": weight_hh.new_zeros(4 * hidden) if bias is None else bias,
    }
    for gate, peephole in zip("ifo", peepholes, strict=False):
        _expect(f"the peephole of gate {gate}", peephole, (hidden,))
        values[f"peephole_{gate}"] = peephole[:, None, None]
    with torch.device("meta"):  # no initial values are needed, and the random state must not change
        layer = ConvLSTM(
            weight_ih.shape[1],
            hidden,
            (weight_ih.shape[2], weight_ih.shape[3]),
            (weight_hh.shape[2], weight_hh.shape[3]),
            peephole="channel" if peepholes else "none",
            gate_activation=gate_activation,
            cell_clip=cell_clip,
            padding=padding,
        )
    copies = {
        name: value.to(weight_ih.dtype).clone(memory_format=torch.contiguous_format) for name, value in values.items()
    }
    layer.load_state_dict(copies, assign=True)
    return layer


def _expressible(system: str, layer: ConvLSTM, *, clip: bool = False) -> Tensor:
    """weight_ih of a layer that has an input and, unless `clip`, no cell clip."""
    _demand(
        system,
        (layer.in_channels > 0, "it always reads an input"),
        (clip or layer.rules.cell_clip is None, "it has no cell clip"),
    )
    assert layer.weight_ih is not None
    return layer.weight_ih.detach()


def _dense(system: str, layer: ConvLSTM, *, clip: bool = False) -> Tensor:
    """weight_ih as (4F, in) of a layer whose kernels are 1x1."""
    weight_ih = _expressible(system, layer, clip=clip)
    _demand(
        system,
        (layer.kernel_size == layer.recurrent_kernel_size == (1, 1), "it is dense, so kernels must be 1x1"),
        (layer.peephole != "full", "its peepholes are per channel, not 'full'"),
    )
    return weight_ih[:, :, 0, 0]


def _channel_peepholes(layer: ConvLSTM) -> list[Tensor]:
    """The peepholes of gates i, f and o, each (F,), or an empty list."""
    peepholes = layer.weights.peepholes
    return [] if peepholes is None else [peephole[:, 0, 0] for peephole in peepholes]


def _demand(system: str, *limits: tuple[bool, str]) -> None:
    """Raises UsageError with the first limit of `system` that does not hold for a layer."""
    for holds, limit in limits:
        if not holds:
            raise UsageError(f"{system} cannot hold this ConvLSTM: {limit}.")


def _expect(name: str, array: Tensor, shape: tuple[int, ...]) -> None:
    if tuple(array.shape) != shape:
        raise UsageError(f"{name} has shape {tuple(array.shape)}; expected {shape}.")


def _regate(gates: Tensor, source: str, target: str) -> Tensor:
    """A copy whose blocks along the first axis are in the order `target`, given in the order `source`."""
    blocks = dict(zip(source, gates.chunk(4), strict=True))
    return torch.cat([blocks[gate] for gate in target])


def _tensor(array: Array) -> Tensor:
    """The array as a tensor; numpy's are copied, since torch takes neither read-only nor reversed ones."""
    tensor = array.detach() if isinstance(array, Tensor) else torch.from_numpy(np.array(array))
    if not tensor.is_floating_point():
        raise UsageError(f"an array holds {tensor.dtype}; weights are floating-point numbers.")
    return tensor


def _numpy(tensor: Tensor) -> npt.NDArray[Any]:
    """A copy as numpy, which has no bfloat16 and gets float32 for it."""
    tensor = tensor.detach()
    if tensor.dtype == torch.bfloat16:
        tensor = tensor.float()
    array: npt.NDArray[Any] = tensor.numpy(force=True).copy()
    return array
