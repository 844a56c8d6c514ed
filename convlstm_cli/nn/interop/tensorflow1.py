"""LSTMCell of TensorFlow v1: dense, one kernel over input and hidden state, with or without peepholes per channel."""

from collections.abc import Mapping
from typing import Any

import numpy.typing as npt
import torch

from convlstm_cli.errors import UsageError
from convlstm_cli.nn.interop.arrays import OURS, Array, expect, numpy, regate, tensor
from convlstm_cli.nn.interop.building import bias_of, build, channel_peepholes, dense
from convlstm_cli.nn.layer import ConvLSTM

GATES = "igfo"
"""The order of the gates in its arrays; it calls our g j."""


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
    kernel, bias = tensor("LSTMCell's kernel", variables["kernel"]), tensor("LSTMCell's bias", variables["bias"])
    if kernel.ndim != 2 or kernel.shape[1] % 4 or kernel.shape[0] <= kernel.shape[1] // 4:
        raise UsageError(f"LSTMCell's kernel has shape {tuple(kernel.shape)}; expected (in + F, 4 * F).")
    hidden = kernel.shape[1] // 4
    expect("LSTMCell's bias", bias, (4 * hidden,))

    bias = regate(bias, GATES, OURS)
    bias[hidden : 2 * hidden] += forget_bias
    weight = regate(kernel.T, GATES, OURS)  # (4F, in + F)
    return build(
        weight_ih=weight[:, :-hidden],
        weight_hh=weight[:, -hidden:],
        bias=bias,
        peepholes=[tensor(f"LSTMCell's {name}", variables[name]) for name in diagonals],
        cell_clip=cell_clip,
    )


def to_tf1(layer: ConvLSTM, *, forget_bias: float = 1.0) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
    """The variables of `LSTMCell(**options)` by the last part of their names, and those options.

    `forget_bias` is taken off the stored bias, since the cell adds it at run time.

    Raises:
        UsageError: kernels other than 1x1, `full` peepholes, no input, or other activations than σ and tanh.
    """
    weight_ih, weight_hh = dense("LSTMCell", layer, ("cell_clip",))
    peepholes = channel_peepholes(layer)

    kernel = regate(torch.cat([weight_ih, weight_hh], dim=1), OURS, GATES).T
    bias = bias_of(layer)
    bias[layer.hidden_channels : 2 * layer.hidden_channels] -= forget_bias
    variables = {"kernel": kernel, "bias": regate(bias, OURS, GATES)}
    variables |= {f"w_{gate}_diag": peephole for gate, peephole in zip("ifo", peepholes, strict=False)}
    options = {
        "num_units": layer.hidden_channels,
        "use_peepholes": bool(peepholes),
        "cell_clip": layer.cell_clip,
        "forget_bias": forget_bias,
    }
    return {name: numpy(array) for name, array in variables.items()}, options
