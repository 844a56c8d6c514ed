"""The forecasts of one or several networks in pieces, at their own size or, in tiles, at the source's."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from convlstm_cli.compute import device
from convlstm_cli.compute.device import Compute
from convlstm_cli.compute.memory import is_out_of_memory
from convlstm_cli.errors import InputError
from convlstm_cli.forecasting.config import MIN_TILE, PredictConfig
from convlstm_cli.forecasting.inference import forecast_chunks
from convlstm_cli.forecasting.members import PIXELS, TOGETHER, Batch, MembersFile
from convlstm_cli.forecasting.tiling import plan
from convlstm_cli.forecasting.tiling.forecast import forecast_tiles
from convlstm_cli.forecasting.tiling.memory import members_that_fit
from convlstm_cli.forecasting.tiling.plan import Tiling
from convlstm_cli.nn.forecaster import EncoderForecaster
from convlstm_cli.progress import Progress
from convlstm_cli.settings import MIN_SIDE
from convlstm_cli.video.tensors import to_float, to_read

CHUNK = 8
"""Frames computed at a time: few for memory, enough to lose no time between chunks."""


def plan_tilings(
    source: Path,
    models: Sequence[EncoderForecaster],
    frames: Tensor,
    config: PredictConfig,
    compute: Compute,
    progress: Progress,
) -> list[Tiling]:
    """Chooses the tiles in which each network forecasts `frames` (1, T, C, H, W) of the source's size.

    Raises InputError for frames that are too small, and UsageError for tiles that --tile cannot have.
    """
    height, width = frames.shape[-2:]
    if min(height, width) < MIN_SIDE:
        raise InputError(
            f"{source}: is {height}x{width} pixels; --native-size needs {MIN_SIDE} at least, so leave it out."
        )
    memory = _free_for_each(models, compute)
    tilings = [
        plan.choose(
            model.config,
            height,
            width,
            min(frames.shape[1], model.config.input_frames),
            CHUNK,
            tile=config.tile,
            overlap=config.tile_overlap,
            memory=memory,
        )
        for model in models
    ]
    largest = max(tilings, key=lambda each: each.count)
    if config.tile == "auto" and largest.count > 1:
        height, width = largest.size
        progress.note(f"{source}: is computed in {largest.count} tiles of {height}x{width} pixels, to fit into memory.")
    return tilings


def open_streams(
    models: Sequence[EncoderForecaster],
    frames: Tensor,
    horizon: int,
    compute: Compute,
    tilings: Sequence[Tiling] | None,
    folder: Path,
    future: Tensor | None = None,
) -> list[Iterator[Tensor]]:
    """The forecast of each network, in pieces (1, n, C, H, W) float32 in [0, 1], computed as they are asked for.

    `frames` are (1, T, C, H, W) of `clip_tensor`; each network reads the last ones. `future` are the inputs that are
    known for the frames to forecast, (1, horizon, known, H, W) of `clip_tensor`. Tiles may need a file in `folder`.
    """
    return [
        _stream(
            model,
            frames,
            horizon,
            compute,
            None if tilings is None else tilings[index],
            folder / f".tiles-{index}",
            future,
        )
        for index, model in enumerate(models)
    ]


def compute_members(
    file: MembersFile,
    batches: Sequence[Batch],
    models: Sequence[EncoderForecaster],
    frames: Tensor,
    compute: Compute,
    tilings: Sequence[Tiling] | None,
    folder: Path,
    future: Tensor | None = None,
) -> None:
    """Computes all members of a forecast into their file, one batch after another; arguments as for `open_streams`."""
    for batch in batches:
        tiling = None if tilings is None else tilings[batch.model]
        if tiling is not None and tiling.count > 1 and batch.seeds:
            # In step, every tile would hold the noise of the whole frame for each member.
            tiling = replace(tiling, one_by_one=True)
        model, spool, first = models[batch.model], folder / ".tiles", 0
        for piece in _stream(model, frames, file.horizon, compute, tiling, spool, future, batch.seeds):
            file.put(batch.members, first, piece)
            first += piece.shape[1]


def members_together(
    models: Sequence[EncoderForecaster], frames: Tensor, compute: Compute, tilings: Sequence[Tiling] | None
) -> list[int]:
    """How many members of a forecast of `frames` (1, T, C, H, W) each network computes together, so that they fit."""
    frame = frames.shape[-2], frames.shape[-1]
    sizes = [frame] * len(models) if tilings is None else [each.size for each in tilings]
    most = [max(1, min(TOGETHER, PIXELS // (height * width))) for height, width in sizes]
    free = device.free_memory(compute.device)
    if free is None:
        return most
    return [
        members_that_fit(
            model.config,
            size,
            frame,
            min(frames.shape[1], model.config.input_frames),
            CHUNK,
            most=count,
            memory=int(plan.SHARE * free),
        )
        for model, size, count in zip(models, sizes, most, strict=True)
    ]


def _stream(
    model: EncoderForecaster,
    frames: Tensor,
    horizon: int,
    compute: Compute,
    tiling: Tiling | None,
    spool: Path,
    future: Tensor | None,
    seeds: Sequence[int] = (),
) -> Iterator[Tensor]:
    """The forecast of one network, or with seeds that of its members, (M, n, C, H, W)."""
    seen = frames[:, -model.config.input_frames :]
    if tiling is not None:
        return forecast_tiles(model, seen, horizon, CHUNK, compute, tiling, spool, future, seeds)
    ahead = None if future is None else to_float(future, compute.device)
    return forecast_chunks(model, to_read(seen, compute.device), horizon, CHUNK, compute, future=ahead, seeds=seeds)


@contextlib.contextmanager
def naming_a_smaller_tile(
    source: Path,
    models: Sequence[EncoderForecaster],
    tilings: Sequence[Tiling] | None,
    config: PredictConfig,
    compute: Compute,
) -> Iterator[None]:
    """Turns an out-of-memory error of tiled forecasts into an InputError that names the --tile to try."""
    try:
        yield
    except Exception as error:
        if tilings is None or not is_out_of_memory(error):
            raise
        memory = _free_for_each(models, compute)
        side = min(
            plan.smaller(tiling, model.config, model.config.input_frames, CHUNK, memory)
            for tiling, model in zip(tilings, models, strict=True)
        )
        height, width = max((tiling.size for tiling in tilings), key=max)
        tried = f"{source}: takes more memory than there is, computed {height}x{width} pixels at a time"
        if side < max(MIN_TILE, *(model.config.patch_size for model in models)):
            instead = "leave --native-size out" if config.native_size else "give a size, such as --size 64"
            raise InputError(f"{tried}; {instead}.") from error
        raise InputError(f"{tried}; try {'' if config.native_size else '--native-size '}--tile {side}.") from error


def _free_for_each(models: Sequence[EncoderForecaster], compute: Compute) -> int | None:
    """Bytes that are free for each of the networks, which hold their states at the same time; None if not known."""
    free = device.free_memory(compute.device)
    return None if free is None else free // len(models)
