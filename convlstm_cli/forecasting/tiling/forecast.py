"""Forecasts of frames in tiles: each tile is cut out, forecast and blended into the frame."""

import math
from collections.abc import Generator, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from convlstm_cli.compute.device import Compute
from convlstm_cli.files import reserve
from convlstm_cli.forecasting.inference import forecast_chunks
from convlstm_cli.forecasting.tiling.blend import add_tile
from convlstm_cli.forecasting.tiling.plan import Span, Tiling
from convlstm_cli.nn.forecaster import EncoderForecaster
from convlstm_cli.nn.motion import FRAMES as MOTION_FRAMES
from convlstm_cli.nn.motion import Advection
from convlstm_cli.video.tensors import to_float


def forecast_tiles(
    model: EncoderForecaster,
    clip: Tensor,
    horizon: int,
    chunk: int,
    compute: Compute,
    tiling: Tiling,
    spool: Path,
) -> Generator[Tensor, None, None]:
    """Forecasts the frames after a clip, in pieces of up to `chunk` frames, as `inference.forecast_chunks` does.

    Args:
        clip: (B, T, C, H, W) uint8, of the size that `tiling` was made for.
        spool: a file that does not exist; written and removed where tiles are forecast one by one.

    Yields (B, n, C, H, W) float32 in [0, 1]: on the device for a single tile, else on the CPU.

    Raises OutputError where there is no room for the spool.
    """
    if tiling.count == 1:
        [(rows, columns)] = tiling
        height, width = clip.shape[-2:]
        for piece in forecast_chunks(model, _cut_out(clip, rows, columns, compute), horizon, chunk, compute):
            yield piece[..., :height, :width]
    elif tiling.one_by_one:
        yield from _one_by_one(model, clip, horizon, chunk, compute, tiling, spool)
    else:
        yield from _in_step(model, clip, horizon, chunk, compute, tiling)


def _in_step(
    model: EncoderForecaster, clip: Tensor, horizon: int, chunk: int, compute: Compute, tiling: Tiling
) -> Iterator[Tensor]:
    """Computes `chunk` frames of every tile, then the next `chunk`."""
    streams = list(_streams(model, clip, horizon, chunk, compute, tiling))
    batch, _, channels, height, width = clip.shape
    for first in range(0, horizon, chunk):
        total = torch.zeros(batch, min(chunk, horizon - first), channels, height, width)
        for (rows, columns), stream in zip(tiling, streams, strict=True):
            _add(total, next(stream), rows, columns)
        yield total.clamp_(0.0, 1.0)  # weights sum to 1 but for rounding


def _one_by_one(
    model: EncoderForecaster,
    clip: Tensor,
    horizon: int,
    chunk: int,
    compute: Compute,
    tiling: Tiling,
    spool: Path,
) -> Iterator[Tensor]:
    """Computes all frames of a tile, then of the next; their weighted sums wait in the file `spool`."""
    batch, _, channels, height, width = clip.shape
    shape = batch, horizon, channels, height, width
    reserve(spool, 4 * math.prod(shape))
    total = np.memmap(spool, np.float32, "r+", shape=shape)
    try:
        for (rows, columns), stream in zip(tiling, _streams(model, clip, horizon, chunk, compute, tiling), strict=True):
            first = 0
            for piece in stream:
                _add(torch.from_numpy(total[:, first : first + piece.shape[1]]), piece, rows, columns)
                first += piece.shape[1]
        for first in range(0, horizon, chunk):
            # A copy, so that no piece that a caller keeps holds the file open.
            yield torch.from_numpy(total[:, first : first + chunk].copy()).clamp_(0.0, 1.0)
    finally:
        del total  # Windows removes no file that is mapped
        spool.unlink(missing_ok=True)


def _streams(
    model: EncoderForecaster, clip: Tensor, horizon: int, chunk: int, compute: Compute, tiling: Tiling
) -> Iterator[Iterator[Tensor]]:
    """The forecast of each tile, in pieces (B, n, C, h, w)."""
    advection = None
    if model.config.forecaster == "advected":
        # Found and read on the whole frame: what moves into a tile comes from far beyond its edge.
        with torch.inference_mode():
            advection = Advection.of(to_float(clip[:, -MOTION_FRAMES:], compute.device))
    for rows, columns in tiling:
        window = None
        if advection is not None:
            size = rows.stop - rows.start, columns.stop - columns.start
            window = advection.window(rows.start, columns.start, *size)
        yield forecast_chunks(model, _cut_out(clip, rows, columns, compute), horizon, chunk, compute, window)


def _cut_out(clip: Tensor, rows: Span, columns: Span, compute: Compute) -> Tensor:
    """A tile of uint8 frames as the network takes it, (B, T, C, h, w); beyond the frame its edge is repeated."""
    height, width = clip.shape[-2:]
    row = torch.arange(rows.start, rows.stop).clamp(max=height - 1)
    column = torch.arange(columns.start, columns.stop).clamp(max=width - 1)
    return to_float(clip[..., row[:, None], column], compute.device)


def _add(total: Tensor, piece: Tensor, rows: Span, columns: Span) -> None:
    """Blends a tile's piece (B, n, C, h, w) into frames (B, n, C, H, W)."""
    add_tile(total, piece, rows.start, columns.start, rows.weights, columns.weights)
