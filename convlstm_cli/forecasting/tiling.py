"""Forecasts at the size of the source: of whole frames where they fit in memory, else of overlapping tiles.

Sides are extended to a multiple of the patch size by repeating the last row and column, and cut off again. Tiles are
of one size, lie on whole patches and are blended where they overlap, with weights that sum to 1.

What is held in memory, beside the network and the frames that are read and given:

    whole       the states of the whole frame, and what computes a chunk of it
    in step     the states of all tiles, and what computes a chunk of one: `chunk` frames of every tile, in turn
    one by one  the states of one tile, and what computes a chunk of it: all frames of a tile, then of the next; their
                weighted sums wait in a file of 4 bytes for each value of the forecast, mapped into memory, so that
                the system takes back what it needs
"""

import bisect
import functools
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from convlstm_cli.compute.device import Compute
from convlstm_cli.compute.meta import Allocated
from convlstm_cli.errors import UsageError
from convlstm_cli.files import reserve
from convlstm_cli.forecasting.inference import forecast_chunks, to_float
from convlstm_cli.nn.config import ForecasterConfig
from convlstm_cli.nn.forecaster import EncoderForecaster
from convlstm_cli.nn.motion import FRAMES as MOTION_FRAMES
from convlstm_cli.nn.motion import Advection

LEAST_OVERLAP = 32
"""Pixels that tiles overlap by, unless asked otherwise or `default_overlap` is more."""
OVERLAP_REACHES = 12
"""Of the widest kernel's reach, which is how far one step carries what it sees. In forecasts of 10 frames at patch size
4 and kernels of 3, an overlap of 48 pixels left differences to the untiled forecast a tenth of those with 32."""
SHARE = 0.7
"""Of the free memory that may be planned with: what convolutions work in, and the writers, are not counted."""
FRAME_COPIES = 40
"""Float copies of a frame that finding its motion takes; scoring it takes fewer, most of them for SSIM."""


class Span(NamedTuple):
    """A tile along one axis."""

    start: int
    stop: int
    """In pixels; the last one may end beyond the frame, where its last row or column is repeated."""
    weights: Tensor
    """(pixels of the span that lie in the frame,) float32; those of all spans sum to 1 at every pixel."""


@dataclass(frozen=True)
class Tiling:
    """How frames are cut into tiles: every span of rows with every span of columns."""

    rows: tuple[Span, ...]
    columns: tuple[Span, ...]
    one_by_one: bool = False
    """Whether each tile is forecast to the end before the next is begun."""

    @property
    def count(self) -> int:
        """Number of tiles."""
        return len(self.rows) * len(self.columns)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of each tile in pixels."""
        return self.rows[0].stop - self.rows[0].start, self.columns[0].stop - self.columns[0].start

    def __iter__(self) -> Iterator[tuple[Span, Span]]:
        return itertools.product(self.rows, self.columns)


def cut(height: int, width: int, tile: int | None, overlap: int, patch: int) -> Tiling:
    """Frames of `height` x `width` in tiles of at most `tile` pixels a side; None is a single tile.

    `tile` and `overlap` are multiples of `patch`, `overlap` at most half of `tile`. Tiles are as small as their number
    allows, and neighbours overlap by at least `overlap` pixels.
    """
    return Tiling(_spans(height, tile, overlap, patch), _spans(width, tile, overlap, patch))


def choose(
    config: ForecasterConfig,
    height: int,
    width: int,
    input_frames: int,
    chunk: int,
    *,
    tile: int | Literal["auto"] = "auto",
    overlap: int | None = None,
    memory: int | None = None,
) -> Tiling:
    """How to forecast frames of `height` x `width` pixels in `memory` bytes; None is any amount.

    Args:
        config: the network.
        height: of the frames, any number.
        width: the same.
        input_frames: frames that are read.
        chunk: frames that are computed at a time.
        tile: side of a tile in pixels; auto is the whole frame if that fits, else the largest tile that does.
        overlap: pixels that neighbours overlap by, or more; None is `default_overlap`, at most half a tile.
        memory: bytes that are free.

    Raises UsageError for an overlap of more than half a tile, or a tile smaller than a patch.
    """
    patch = config.patch_size
    shared = default_overlap(config) if overlap is None else math.ceil(overlap / patch) * patch
    budget = None
    if memory is not None:
        frames = height * width * config.channels * (input_frames + 4 * (2 * chunk + FRAME_COPIES))
        budget = SHARE * memory - frames

    def fits(tiling: Tiling, *, one_by_one: bool) -> bool:
        if budget is None:
            return True
        held, working = inference_memory(config, *tiling.size, input_frames, chunk)
        return held * (1 if one_by_one else tiling.count) + working <= budget

    if tile != "auto":
        side = tile // patch * patch
        if not side:
            raise UsageError(f"--tile is {tile}; it must be at least the network's patch of {patch} pixels.")
        most = side // 2 // patch * patch
        if overlap is not None and shared > most:
            raise UsageError(
                f"--tile-overlap is {overlap} and tiles have {side} pixels a side; give at most half of that, {most}."
            )
        tiling = cut(height, width, side, min(shared, most), patch)
        return replace(tiling, one_by_one=not fits(tiling, one_by_one=False))
    whole = cut(height, width, None, 0, patch)
    if fits(whole, one_by_one=False):
        return whole
    tilings = [cut(height, width, side, shared, patch) for side in _sides(max(whole.size), shared, patch)]
    # Sought by halves, since each count takes a while; what does not fit alone does not fit with others either.
    first = bisect.bisect_left(tilings, True, key=lambda tiling: fits(tiling, one_by_one=True))
    for tiling in tilings[first:]:
        if fits(tiling, one_by_one=False):
            return tiling
        if tiling.count * inference_memory(config, *tiling.size, input_frames, chunk)[0] > (budget or 0):
            break  # smaller ones overlap more, so together they hold no less
    if not tilings:
        return whole
    return replace(tilings[min(first, len(tilings) - 1)], one_by_one=True)


def smaller(tiling: Tiling, config: ForecasterConfig, input_frames: int, chunk: int, memory: int | None) -> int:
    """The side in pixels of a tile that takes half the memory that one of this tiling takes, or less.

    It fits into half of `memory` bytes (None is any amount), as far as there are such tiles: the estimate was too low
    for a tiling that has failed.
    """
    patch = config.patch_size
    side = int(max(tiling.size) / math.sqrt(2)) // patch * patch
    if memory is None:
        return side
    height, width = tiling.rows[-1].stop, tiling.columns[-1].stop
    fitting = choose(config, height, width, input_frames, chunk, memory=memory // 2)
    return min(side, max(fitting.size))


def default_overlap(config: ForecasterConfig) -> int:
    """Pixels by which tiles overlap unless asked otherwise, a multiple of the patch size."""
    reach = max(config.kernel_size, config.recurrent_kernel) // 2 * config.patch_size
    return math.ceil(max(LEAST_OVERLAP, OVERLAP_REACHES * reach) / config.patch_size) * config.patch_size


@functools.lru_cache(maxsize=256)
def inference_memory(
    config: ForecasterConfig, height: int, width: int, input_frames: int, chunk: int
) -> tuple[int, int]:
    """Bytes that forecasting frames of one size holds from one chunk to the next, and what a chunk takes beside them.

    Counted by running the network on torch's meta device, which computes shapes and allocates nothing. `height` and
    `width` are multiples of the patch size. The weights are not in it.
    """
    with torch.device("meta"), torch.no_grad():
        network = EncoderForecaster(config).eval()
        with Allocated() as allocated:
            frames = torch.empty(1, input_frames, config.channels, height, width)
            pieces = network.stream(frames, 2 * chunk, chunk=chunk)
            del frames
            next(pieces)
            held = allocated.now
            next(pieces)
    return held, allocated.peak - held


def forecast_tiles(
    model: EncoderForecaster,
    clip: Tensor,
    horizon: int,
    chunk: int,
    compute: Compute,
    tiling: Tiling,
    spool: Path,
) -> Iterator[Tensor]:
    """The frames that follow, in pieces of up to `chunk`, as `evaluate.forecast_chunks` gives them.

    Args:
        clip: (B, T, C, H, W) uint8, of the size that `tiling` was made for.
        spool: a file that is not there; written and removed where tiles are forecast one by one.

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
    streams = list(_streams(model, clip, horizon, chunk, compute, tiling))
    batch, _, channels, height, width = clip.shape
    for first in range(0, horizon, chunk):
        total = torch.zeros(batch, min(chunk, horizon - first), channels, height, width)
        for tile, stream in zip(tiling, streams, strict=True):
            _blend(total, next(stream), *tile)
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
    batch, _, channels, height, width = clip.shape
    shape = batch, horizon, channels, height, width
    reserve(spool, 4 * math.prod(shape))
    total = np.memmap(spool, np.float32, "r+", shape=shape)
    try:
        for tile, stream in zip(tiling, _streams(model, clip, horizon, chunk, compute, tiling), strict=True):
            first = 0
            for piece in stream:
                _blend(torch.from_numpy(total[:, first : first + piece.shape[1]]), piece, *tile)
                first += piece.shape[1]
        for first in range(0, horizon, chunk):
            # A copy, so that nothing that is kept of a piece keeps the file.
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


def _blend(total: Tensor, piece: Tensor, rows: Span, columns: Span) -> None:
    """Adds a tile's piece (B, n, C, h, w), weighted, to frames (B, n, C, H, W) on the CPU."""
    weights = rows.weights[:, None] * columns.weights  # (h, w)
    height, width = weights.shape
    part = total[..., rows.start : rows.start + height, columns.start : columns.start + width]
    part += piece[..., :height, :width].cpu() * weights


def _spans(length: int, tile: int | None, overlap: int, patch: int) -> tuple[Span, ...]:
    """An axis of `length` pixels in spans of at most `tile` pixels."""
    whole = math.ceil(length / patch) * patch
    count = 1 if tile is None else max(1, math.ceil((whole - overlap) / (tile - overlap)))
    size = math.ceil((whole + (count - 1) * overlap) / count / patch) * patch
    # On whole patches and the last one at the end; with sizes rounded up, rounding down leaves enough overlap.
    starts = [index * (whole - size) // max(1, count - 1) // patch * patch for index in range(count)]
    profiles = torch.zeros(count, length, dtype=torch.float64)
    for index, start in enumerate(starts):
        before = starts[index - 1] + size - start if index else 0
        after = start + size - starts[index + 1] if index + 1 < count else 0
        profile = _profile(size, before, after)[: length - start]
        profiles[index, start : start + len(profile)] = profile
    profiles /= profiles.sum(dim=0)
    return tuple(
        Span(start, start + size, profile[start : start + size].float())
        for start, profile in zip(starts, profiles, strict=True)
    )


def _profile(size: int, before: int, after: int) -> Tensor:
    """The weight of each pixel of a span of `size` that overlaps its neighbours by so many pixels, (size,) float64.

    It rises over the middle half of an overlap as a squared sine. The outer quarter has none: there the network
    sees the zeros beyond the tile's edge.
    """
    pixels = torch.arange(size, dtype=torch.float64) + 0.5
    profile = torch.ones(size, dtype=torch.float64)
    for overlap, distance in ((before, pixels), (after, size - pixels)):
        if overlap:
            rise = ((distance - overlap / 4) / (overlap / 2)).clamp(0.0, 1.0)
            profile *= torch.sin(rise * math.pi / 2) ** 2
    return profile


def _sides(longer: int, overlap: int, patch: int) -> Iterator[int]:
    """Sides of tiles that cut the longer side of a frame in two, three and so on; none is below two overlaps."""
    for count in itertools.count(2):
        side = math.ceil((longer + (count - 1) * overlap) / count / patch) * patch
        if side < max(2 * overlap, LEAST_OVERLAP):
            return
        yield side
