"""Inference: a network's forecast of clips, whole or in pieces, in evaluation mode and the chosen precision."""

import contextlib
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from convlstm_cli.compute.device import Compute
from convlstm_cli.nn.forecaster import EncoderForecaster
from convlstm_cli.nn.motion import Advection


def forecast_members(
    models: Sequence[EncoderForecaster], frames: Tensor, horizon: int, compute: Compute, future: Tensor | None = None
) -> Tensor:
    """The forecast of every model, (M, B, horizon, C, H, W); each reads as many last frames as it was trained with.

    `frames` are (B, T, C, H, W) in [0, 1], the channels that are forecast first, then further inputs, then a mask if
    pixels are missing, which only networks that read one see. `future` is as in `EncoderForecaster.forward`.
    """
    return torch.stack(
        [forecast_clip(model, frames[:, -model.config.input_frames :], horizon, compute, future) for model in models]
    )


def forecast_clip(
    model: EncoderForecaster, frames: Tensor, horizon: int, compute: Compute, future: Tensor | None = None
) -> Tensor:
    """The next `horizon` frames, (B, horizon, C, H, W) float32 in [0, 1], from frames as `forecast_members` takes them.

    The model's mode is left as it was.
    """
    with _inferring(model, compute):
        forecast: Tensor = model(frames[:, :, : model.config.read_channels], horizon, future=future)
        return forecast.float()


def forecast_chunks(
    model: EncoderForecaster,
    frames: Tensor,
    horizon: int,
    chunk: int,
    compute: Compute,
    advection: Advection | None = None,
    future: Tensor | None = None,
) -> Iterator[Tensor]:
    """The forecast of `forecast_clip` in pieces of up to `chunk` frames, each computed when it is asked for.

    `advection` belongs to frames that are a window of larger ones; see `EncoderForecaster.stream`.
    """
    pieces = model.stream(
        frames[:, :, : model.config.read_channels], horizon, chunk=chunk, advection=advection, future=future
    )
    del frames, advection, future  # the stream frees them when it has read them
    while True:
        # Entered for each piece: a generator that waits inside the block would leave its caller in this mode.
        with _inferring(model, compute):
            piece = next(pieces, None)
            if piece is None:
                return
            piece = piece.float()
        yield piece


@contextlib.contextmanager
def _inferring(model: EncoderForecaster, compute: Compute) -> Iterator[None]:
    """Evaluation mode and the chosen precision without gradients; the model's mode is as it was afterwards."""
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode(), compute.autocast():
            yield
    finally:
        model.train(was_training)
