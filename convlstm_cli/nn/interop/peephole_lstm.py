"""PeepholeLSTMCell of tensorflow_addons.rnn and tf.keras.experimental: dense, with peepholes per channel."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy.typing as npt

from convlstm_cli.errors import UsageError
from convlstm_cli.nn.interop.arrays import Array, demand, numpy, tensor
from convlstm_cli.nn.interop.building import bias_of, build, channel_peepholes, dense
from convlstm_cli.nn.interop.keras import activation_names, check_arrays, keras_names
from convlstm_cli.nn.layer import ConvLSTM

NAME = "PeepholeLSTMCell"


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
    options = activation_names(config, keras_version="2")
    if len(weights) not in (5, 6):
        raise UsageError(f"{NAME} has 6 arrays, or 5 without bias, not {len(weights)}.")
    kernel, recurrent_kernel, bias = check_arrays(NAME, weights[:-3], dense=True)
    return build(
        weight_ih=kernel.T,
        weight_hh=recurrent_kernel.T,
        bias=bias,
        peepholes=[
            tensor(f"the peephole of gate {gate}", peephole) for gate, peephole in zip("ifo", weights[-3:], strict=True)
        ],
        **options,
    )


def to_keras_peephole(layer: ConvLSTM) -> tuple[list[npt.NDArray[Any]], dict[str, Any]]:
    """`weights` for the `set_weights` of a built `PeepholeLSTMCell(**config)`, and that config.

    Raises:
        UsageError: kernels other than 1x1, no peepholes or `full` ones, a cell clip, no input, or Keras 3's
            hard_sigmoid.
    """
    weight_ih, weight_hh = dense(NAME, layer, ("gate_activation", "activation"))
    peepholes = channel_peepholes(layer)
    demand(NAME, (bool(peepholes), "it has peepholes, and this layer none; use LSTMCell"))
    config = {"units": layer.hidden_channels, **keras_names(layer, keras_version="2")}
    arrays = (weight_ih.T, weight_hh.T, bias_of(layer), *peepholes)
    return [numpy(array) for array in arrays], config
