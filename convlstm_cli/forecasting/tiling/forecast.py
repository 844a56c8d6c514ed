"""Forecasts of frames in tiles: each tile is cut out, forecast and blended into the frame."""

import math
from collections.abc import Generator, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from convlstm_cli.compute.device import Compute
from convlstm_cli.files import reserve
from convlstm_cli.forecasting.inference import forecast_chunks
from convlstm_cli.forecasting.tiling.blend import add_tile
from convlstm_cli.forecasting.tiling.plan import Span, Tiling
from convlstm_cli.nn.config import LOOKBACKS
from convlstm_cli.nn.forecaster import EncoderForecaster
from convlstm_cli.nn.motion import SEARCHES
from convlstm_cli.nn.noise import View
from convlstm_cli.video.tensors import to_float, to_read


def forecast_tiles(
    model: EncoderForecaster,
    clip: Tensor,
    horizon: int,
    chunk: int,
    compute: Compute,
    tiling: Tiling,
    spool: Path,
    future: Tensor | None = None,
    seeds: Sequence[int] = (),
) -> Generator[Tensor, None, None]:
    """Forecasts the frames after a clip, in pieces of up to `chunk` frames, as `inference.forecast_chunks` does.

    The noise of members is that of the whole frame, of which each tile sees its window, so no seam shows.

    Args:
        clip: (B, T, C, H, W) of `clip_tensor`, of the size that `tiling` was made for.
        spool: a file that does not exist; written and removed where tiles are forecast one by one.
        future: the inputs that are known for the frames to forecast, (B, horizon, known, H, W) of `clip_tensor`.
        seeds: of members, for one clip; none for the forecast without noise.

    Yields (B, n, C, H, W), or with seeds (M, n, C, H, W), float32 in [0, 1]: on the device for a single tile, else on
    the CPU.

    Raises OutputError where there is no room for the spool.
    """
    streams = _streams(model, clip, horizon, chunk, compute, tiling, future, seeds)
    if tiling.count == 1:
        height, width = clip.shape[-2:]
        for piece in next(streams):
            yield piece[..., :height, :width]
        return
    shape = len(seeds) or clip.shape[0], horizon, model.config.channels, *clip.shape[3:]
    if tiling.one_by_one:
        yield from _one_by_one(streams, shape, chunk, tiling, spool)
    else:
        yield from _in_step(streams, shape, chunk, tiling)


def _in_step(
    streams: Iterable[Iterator[Tensor]], shape: tuple[int, ...], chunk: int, tiling: Tiling
) -> Iterator[Tensor]:
    """Computes `chunk` frames of every tile, then the next `chunk`; `shape` is that of the forecast."""
    streams = list(streams)
    batch, horizon, *frame = shape
    for first in range(0, horizon, chunk):
        total = torch.zeros(batch, min(chunk, horizon - first), *frame)
        for (rows, columns), stream in zip(tiling, streams, strict=True):
            _add(total, next(stream), rows, columns)
        yield total.clamp_(0.0, 1.0)  # weights sum to 1 but for rounding


def _one_by_one(
    streams: Iterable[Iterator[Tensor]], shape: tuple[int, ...], chunk: int, tiling: Tiling, spool: Path
) -> Iterator[Tensor]:
    """Computes all frames of a tile, then of the next; their weighted sums wait in the file `spool`.

    `shape` is that of the forecast.
    """
    reserve(spool, 4 * math.prod(shape))
    total = np.memmap(spool, np.float32, "r+", shape=shape)
    try:
        for (rows, columns), stream in zip(tiling, streams, strict=True):
            first = 0
            for piece in stream:
                _add(torch.from_numpy(total[:, first : first + piece.shape[1]]), piece, rows, columns)
                first += piece.shape[1]
        for first in range(0, shape[1], chunk):
            # A copy, so that no piece that a caller keeps holds the file open.
            yield torch.from_numpy(total[:, first : first + chunk].copy()).clamp_(0.0, 1.0)
    finally:
        del total  # Windows removes no file that is mapped
        spool.unlink(missing_ok=True)


def _streams(
    model: EncoderForecaster,
    clip: Tensor,
    horizon: int,
    chunk: int,
    compute: Compute,
    tiling: Tiling,
    future: Tensor | None,
    seeds: Sequence[int],
) -> Iterator[Iterator[Tensor]]:
    """The forecast of each tile, in pieces (B, n, C, h, w)."""
    advection = None
    motions = model.config.motions
    if motions and (tiling.count > 1 or seeds):
        # Found and read on the whole frame: what moves into a tile comes from far beyond its edge. The noise of members
        # is carried along by it, and is that of the frame without the rows and columns that extend it.
        with torch.inference_mode():
            last = clip[:, -max(1 + max(LOOKBACKS), *(SEARCHES[motion].frames for motion in motions)) :]
            advection = model.advection(to_float(model.target_channels(last), compute.device))
    height, width = clip.shape[-2:]
    for rows, columns in tiling:
        window = None
        if advection is not None:
            size = rows.stop - rows.start, columns.stop - columns.start
            window = advection.window(rows.start, columns.start, *size)
        ahead = _cut_ahead(future, rows, columns, compute)
        view = View(height, width, rows.start, columns.start) if seeds else None
        yield forecast_chunks(
            model, _cut_out(clip, rows, columns, compute), horizon, chunk, compute, window, ahead, seeds, view
        )


def _cut_out(clip: Tensor, rows: Span, columns: Span, compute: Compute) -> Tensor:
    """A tile of a clip as the network reads it, (B, T, C, h, w); beyond the frame its edge is repeated."""
    return to_read(_tile(clip, rows, columns), compute.device)


def _cut_ahead(future: Tensor | None, rows: Span, columns: Span, compute: Compute) -> Tensor | None:
    """A tile of the inputs that are known for the frames to forecast."""
    return None if future is None else to_float(_tile(future, rows, columns), compute.device)


def _tile(clip: Tensor, rows: Span, columns: Span) -> Tensor:
    height, width = clip.shape[-2:]
    row = torch.arange(rows.start, rows.stop).clamp(max=height - 1)
    column = torch.arange(columns.start, columns.stop).clamp(max=width - 1)
    return clip[..., row[:, None], column]


def _add(total: Tensor, piece: Tensor, rows: Span, columns: Span) -> None:
    """Blends a tile's piece (B, n, C, h, w) into frames (B, n, C, H, W)."""
    add_tile(total, piece, rows.start, columns.start, rows.weights, columns.weights)
