"""What the guard works with of one input: the frames for the simple forecasts, and those of its check."""

import torch
from torch import Tensor

from convlstm_cli.compute.device import Compute
from convlstm_cli.forecasting.prepared import Prepared
from convlstm_cli.scoring.guarded import shrunk
from convlstm_cli.video.tensors import to_read


def guard_inputs(prepared: Prepared, compute: Compute) -> Tensor:
    """The input frames from which the simple forecasts start, (1, T, C, H, W) in [0, 1].

    At the source's size they are on the CPU, where whole frames fit if tiles are needed; else on the device.
    """
    native = prepared.conversion.geometry is None
    return to_read(prepared.frames, torch.device("cpu") if native else compute.device)


def checked_inputs(inputs: Tensor, prepared: Prepared, compute: Compute) -> Tensor:
    """The frames of `guard_inputs` on which a forecast is checked, on the device.

    At the source's size they are smaller, because the check asks for a few numbers only.
    """
    if prepared.conversion.geometry is not None:
        return inputs
    return shrunk(inputs, prepared.networks.models).to(compute.device)
