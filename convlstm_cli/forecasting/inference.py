"""Inference: a network's forecast of clips, whole or in pieces, in evaluation mode and the chosen precision."""

import contextlib
import threading
import weakref
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from convlstm_cli.compute import graphs
from convlstm_cli.compute.device import Compute
from convlstm_cli.compute.graphs import Captured
from convlstm_cli.compute.transfer import send
from convlstm_cli.nn.forecaster import EncoderForecaster
from convlstm_cli.nn.motion import Advection
from convlstm_cli.nn.noise import Drawn, GivenNoise, Noise, View

SEEDS = 1_000_003
"""Distance between the seeds of the members of one seed and those of the next."""
SMALL = 1 << 22
"""Most values of the frames that are read and forecast, and of the hidden states at a step, of a forecast that is
captured: above, computing takes longer than launching, and a graph keeps its memory."""

_captured: weakref.WeakKeyDictionary[EncoderForecaster, dict[Compute, Captured]] = weakref.WeakKeyDictionary()
"""The captured forecasts of each network, while there is one."""
_one_at_a_time = threading.Lock()
"""Held while a captured forecast is made and copied: the next one overwrites it."""


def member_seed(seed: int, member: int) -> int:
    """The seed of a member, from 0, of an ensemble with a seed."""
    return seed * SEEDS + member


def forecast_members(
    models: Sequence[EncoderForecaster],
    frames: Tensor,
    horizon: int,
    compute: Compute,
    future: Tensor | None = None,
    *,
    members: int = 0,
    seed: int = 0,
) -> Tensor:
    """The forecast of every model, (M, B, horizon, C, H, W); each reads as many last frames as it was trained with.

    With `members` there are so many forecasts, which the models, whose networks read noise, make in turn: member i is
    of model i modulo their number and of the seed `member_seed(seed, i)`.

    `frames` are (B, T, C, H, W) in [0, 1], the channels that are forecast first, then further inputs, then a mask if
    pixels are missing, which only networks that read one see. `future` is as in `EncoderForecaster.forward`.
    """
    seen = [frames[:, -model.config.input_frames :] for model in models]
    if not members:
        each = [forecast_clip(*pair, horizon, compute, future) for pair in zip(models, seen, strict=True)]
        return torch.stack(each)
    found: dict[int, Tensor] = {}
    for number, model in enumerate(models):
        mine = range(number, members, len(models))
        if seeds := [member_seed(seed, member) for member in mine]:
            found |= dict(zip(mine, _forecast(model, seen[number], horizon, compute, future, seeds), strict=True))
    return torch.stack([found[member] for member in range(members)])


def forecast_clip(
    model: EncoderForecaster, frames: Tensor, horizon: int, compute: Compute, future: Tensor | None = None
) -> Tensor:
    """The next `horizon` frames, (B, horizon, C, H, W) float32 in [0, 1], from frames as `forecast_members` takes them.

    The model's mode is left as it was.
    """
    return _forecast(model, frames, horizon, compute, future)


def forecast_chunks(
    model: EncoderForecaster,
    frames: Tensor,
    horizon: int,
    chunk: int,
    compute: Compute,
    advection: Advection | None = None,
    future: Tensor | None = None,
    seeds: Sequence[int] = (),
    view: View | None = None,
) -> Iterator[Tensor]:
    """The forecast of `forecast_clip` in pieces of up to `chunk` frames, each computed when it is asked for.

    On a GPU, a forecast that is small enough to be captured is computed as a whole.

    `advection` and `view` belong to frames that are a window of larger ones, `seeds` to members; see
    `EncoderForecaster.stream`.
    """
    is_whole = advection is None and (view is None or not seeds)
    if is_whole and _is_captured(model, frames, horizon, max(1, len(seeds))):
        forecast = _forecast(model, frames, horizon, compute, future, seeds)
        yield from torch.split(forecast.flatten(0, 1) if seeds else forecast, chunk, dim=1)
        return
    pieces = model.stream(
        frames[:, :, : model.config.read_channels],
        horizon,
        chunk=chunk,
        advection=advection,
        future=future,
        seeds=seeds,
        view=view,
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


def _forecast(
    model: EncoderForecaster,
    frames: Tensor,
    horizon: int,
    compute: Compute,
    future: Tensor | None,
    seeds: Sequence[int] = (),
) -> Tensor:
    """`forecast_clip`, or with seeds the members of these, (M, B, horizon, C, H, W)."""
    read = frames[:, :, : model.config.read_channels]
    with _inferring(model, compute):
        if not _is_captured(model, read, horizon, max(1, len(seeds))):
            found = model.members(read, horizon, seeds, future=future) if seeds else model(read, horizon, future=future)
            return found.float()
        drawn: Sequence[Tensor | None] = (None, None, None)
        if seeds:
            size = read.shape[-2], read.shape[-1]
            noise = Noise.of(seeds).drawn(len(read), size, model.config.patch_size, horizon)
            drawn = [send(each, read.device) for each in noise]
        # Where the weights lie is part of what is captured: a network may be moved.
        places = tuple(tensor.data_ptr() for tensor in (*model.parameters(), *model.buffers()))
        with _one_at_a_time:
            captured = _captured_forecast(model, compute)
            return captured([read, future, *drawn], horizon, len(seeds), places).clone()


def _is_captured(model: EncoderForecaster, frames: Tensor, horizon: int, members: int) -> bool:
    """Whether the forecast of clips is one that a device may capture, where the same shape comes again."""
    if graphs.why_not(frames.device) is not None:
        return False
    clips, steps, channels, height, width = frames.shape
    pixels = members * clips * height * width
    hidden = pixels * sum(model.config.hidden) // model.config.patch_size**2
    return max(pixels * channels * (steps + horizon), hidden) <= SMALL


def _captured_forecast(model: EncoderForecaster, compute: Compute) -> Captured:
    """The forecast of a network in evaluation mode, captured.

    It is a function of the frames, the future and what was drawn for members, their number, the horizon and places.
    """
    of_model = _captured.setdefault(model, {})
    if compute not in of_model:
        known = weakref.ref(model)  # else the network would be kept by what it is the key of

        def forecast(
            frames: Tensor,
            future: Tensor | None,
            carried: Tensor | None,
            grid: Tensor | None,
            pixels: Tensor | None,
            horizon: int,
            members: int,
            _places: tuple[int, ...],
        ) -> Tensor:
            network = known()
            assert network is not None
            drawn = Drawn.of(carried, grid, pixels)
            noise = None if drawn is None else GivenNoise(members, drawn)
            found: Tensor = network(frames, horizon, future=future, noise=noise)
            return found.float()

        of_model[compute] = Captured(forecast, compute.device)
    return of_model[compute]


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
