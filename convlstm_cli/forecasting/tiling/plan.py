"""Which tiles frames are forecast in: how large they are, how they overlap, and whether all are held at once."""

import bisect
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from torch import Tensor

from convlstm_cli.errors import UsageError
from convlstm_cli.forecasting.tiling import blend
from convlstm_cli.forecasting.tiling.memory import certain_memory, inference_memory
from convlstm_cli.nn.config import ForecasterConfig

LEAST_OVERLAP = 32
"""Pixels that tiles overlap by, unless --tile-overlap is given or `default_overlap` is more."""
OVERLAP_REACHES = 12
"""Overlap in reaches of the widest kernel, which is how far information travels in one step. In forecasts of 10 frames
at patch size 4 and kernels of 3, an overlap of 48 pixels left differences to the untiled forecast a tenth of those
with 32."""
SHARE = 0.7
"""Share of the free memory that is planned with: the workspace of convolutions and the writers are not counted."""
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
    """Whether each tile is forecast to the end before the next one begins."""

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


@dataclass(frozen=True)
class Budget:
    """What a network's forecasts of tiles may take."""

    config: ForecasterConfig
    input_frames: int
    """Frames that are read."""
    chunk: int
    """Frames that are computed at a time."""
    bytes: float | None
    """For states and computation; None is any amount."""

    @classmethod
    def of(
        cls, config: ForecasterConfig, height: int, width: int, input_frames: int, chunk: int, memory: int | None
    ) -> "Budget":
        """What is left of `memory` free bytes beside frames of `height` x `width` pixels."""
        if memory is None:
            return cls(config, input_frames, chunk, None)
        frames = height * width * config.read_channels * (input_frames + 4 * (2 * chunk + FRAME_COPIES))
        return cls(config, input_frames, chunk, SHARE * memory - frames)

    def fits_in_step(self, tiling: Tiling) -> bool:
        """Whether all tiles fit at once."""
        return self._fits(tiling, tiling.count)

    def fits_alone(self, tiling: Tiling) -> bool:
        """Whether one tile fits."""
        return self._fits(tiling, 1)

    def fits_states(self, tiling: Tiling) -> bool:
        """Whether the states of all tiles fit at once."""
        return self.bytes is None or tiling.count * self._memory(tiling)[0] <= self.bytes

    def _fits(self, tiling: Tiling, tiles: int) -> bool:
        if self.bytes is None:
            return True
        if tiles * certain_memory(self.config, *tiling.size, self.input_frames, self.chunk) <= self.bytes:
            return True  # without counting, which would take longer than most forecasts
        held, working = self._memory(tiling)
        return held * tiles + working <= self.bytes

    def _memory(self, tiling: Tiling) -> tuple[int, int]:
        return inference_memory(self.config, *tiling.size, self.input_frames, self.chunk)


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
    """Chooses how to forecast frames of `height` x `width` pixels in `memory` bytes; None is any amount.

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
    budget = Budget.of(config, height, width, input_frames, chunk, memory)
    patch = config.patch_size
    if tile != "auto":
        tiling = _of_given_size(config, height, width, tile, overlap)
        return replace(tiling, one_by_one=not budget.fits_in_step(tiling))
    whole = cut(height, width, None, 0, patch)
    if budget.fits_in_step(whole):
        return whole
    shared = default_overlap(config) if overlap is None else math.ceil(overlap / patch) * patch
    return _largest(
        [cut(height, width, side, shared, patch) for side in _sides(max(whole.size), shared, patch)], budget, whole
    )


def cut(height: int, width: int, tile: int | None, overlap: int, patch: int) -> Tiling:
    """Cuts frames of `height` x `width` into tiles of at most `tile` pixels a side; None is a single tile.

    `tile` and `overlap` are multiples of `patch`, `overlap` at most half of `tile`. Tiles are as small as their number
    allows, and neighbours overlap by at least `overlap` pixels.
    """
    return Tiling(_spans(height, tile, overlap, patch), _spans(width, tile, overlap, patch))


def smaller(tiling: Tiling, config: ForecasterConfig, input_frames: int, chunk: int, memory: int | None) -> int:
    """The side in pixels of a tile that takes at most half the memory of a tile of this tiling.

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
    """Pixels by which tiles overlap where --tile-overlap is not given, a multiple of the patch size."""
    reach = max(config.kernel_size, config.recurrent_kernel) // 2 * config.patch_size
    return math.ceil(max(LEAST_OVERLAP, OVERLAP_REACHES * reach) / config.patch_size) * config.patch_size


def _of_given_size(config: ForecasterConfig, height: int, width: int, tile: int, overlap: int | None) -> Tiling:
    """Tiles of the side that --tile gives, rounded down to whole patches."""
    patch = config.patch_size
    side = tile // patch * patch
    if not side:
        raise UsageError(f"--tile is {tile}; it must be at least the network's patch of {patch} pixels.")
    shared = default_overlap(config) if overlap is None else math.ceil(overlap / patch) * patch
    most = side // 2 // patch * patch
    if overlap is not None and shared > most:
        raise UsageError(
            f"--tile-overlap is {overlap} and tiles have {side} pixels a side; give at most half of that, {most}."
        )
    return cut(height, width, side, min(shared, most), patch)


def _largest(tilings: list[Tiling], budget: Budget, whole: Tiling) -> Tiling:
    """The largest tiles that fit all at once, or else one by one; `tilings` come with their tiles in falling size.

    Returns the smallest tiles where none fit, in the hope that the estimate is too high, and the whole frame where
    there are no smaller ones.
    """
    if not tilings:
        return whole
    # A binary search, since each size takes a while to count; tiles that do not fit alone do not fit together either.
    first = bisect.bisect_left(tilings, True, key=budget.fits_alone)
    for tiling in tilings[first:]:
        if budget.fits_in_step(tiling):
            return tiling
        if not budget.fits_states(tiling):
            break  # smaller tiles overlap more, so together they hold no less
    return replace(tilings[min(first, len(tilings) - 1)], one_by_one=True)


def _spans(length: int, tile: int | None, overlap: int, patch: int) -> tuple[Span, ...]:
    """Cuts an axis of `length` pixels into spans of at most `tile` pixels."""
    whole = math.ceil(length / patch) * patch
    count = 1 if tile is None else max(1, math.ceil((whole - overlap) / (tile - overlap)))
    size = math.ceil((whole + (count - 1) * overlap) / count / patch) * patch
    # On whole patches and the last one at the end; with sizes rounded up, rounding down leaves enough overlap.
    starts = [index * (whole - size) // max(1, count - 1) // patch * patch for index in range(count)]
    return tuple(
        Span(start, start + size, weights)
        for start, weights in zip(starts, blend.weights(starts, size, length), strict=True)
    )


def _sides(longer: int, overlap: int, patch: int) -> Iterator[int]:
    """Sides of tiles that cut the longer side of a frame in two, three and so on; none is below two overlaps."""
    for count in itertools.count(2):
        side = math.ceil((longer + (count - 1) * overlap) / count / patch) * patch
        if side < max(2 * overlap, LEAST_OVERLAP):
            return
        yield side
