"""The noise that lets one network forecast many members: each member is one possible future of a clip.

A network that reads noise is given random fields beside what it knows, and a training that compares its members with
the truth (`training/crps.py`) teaches it what each of them may stand for. They are standard normal at each place:

    grid fields    one value a position of the hidden states, for the second stack: white, smoothed over 1.2 and over 3
                   positions, and the same everywhere; each of these once anew at every lead time, and once for all
    pixel field    one value a pixel, for the head at full resolution: white, anew at every lead time
    carried        two fields of pixels, smoothed over 1 and 4 pixels, drawn once and moved on along the motion as the
                   last frame is, for both: so what is made up moves with what is seen, as in STEPS (Bowler et al. 2006)

A member follows from its seed and the size of the whole frame. The fields of a lead time do not depend on how many lead
times are computed at once, on which other members there are, or on the window of the frame that is seen.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from convlstm_cli.nn.config import NOISE_CARRIED, NOISE_GRID, NOISE_PIXELS
from convlstm_cli.nn.motion import blur

GRID_SIGMAS = (0.0, 1.2, 3.0, math.inf)
"""σ in positions of the smoothing of grid fields; infinite for one value everywhere."""
CARRIED_SIGMAS = (1.0, 4.0)
"""σ in pixels of the smoothing of carried fields."""


class View(NamedTuple):
    """A window of a frame."""

    height: int
    """Height of the whole frame in pixels."""
    width: int
    """Width of the whole frame in pixels."""
    top: int = 0
    """Row of the frame where the window begins."""
    left: int = 0


class Fields(NamedTuple):
    """What a network reads at some lead times, for N rows of a batch."""

    grid: Tensor
    """(N, T, NOISE_GRID, h, w)."""
    pixels: Tensor
    """(N, T, NOISE_PIXELS, H, W)."""

    @classmethod
    def none(cls, like: Tensor, patch: int) -> "Fields":
        """Fields of zero for frames (N, T, C, H, W), which give the forecast without noise."""
        rows, steps, _, height, width = like.shape
        grid = like.new_zeros(rows, steps, NOISE_GRID, height // patch, width // patch)
        return cls(grid, like.new_zeros(rows, steps, NOISE_PIXELS, height, width))


class Drawn(NamedTuple):
    """All random numbers that a forecast reads, drawn before it, for N rows: standard normal fields of whole frames."""

    carried: Tensor
    """(N, NOISE_CARRIED, H, W)."""
    grid: Tensor
    """The fields of T lead times that are not carried: those that hold for all, then those of each, (N, T, 8, h, w)."""
    pixels: Tensor
    """(N, T, 1, H, W)."""

    @classmethod
    def of(cls, carried: Tensor | None, grid: Tensor | None, pixels: Tensor | None) -> "Drawn | None":
        """From what may or may not be there; None unless all is."""
        return None if carried is None or grid is None or pixels is None else cls(carried, grid, pixels)


class Noise:
    """The noise of some members of a batch of clips, drawn lead time by lead time; for one forecast.

    Rows are those of all clips for the first member, then for the second, and so on.
    """

    def __init__(
        self, generators: Sequence[torch.Generator | None], members: int | None = None, view: View | None = None
    ) -> None:
        """One generator of random numbers on the CPU for each row, or for each member, which all clips then share.

        Args:
            generators: in the order of the rows; None is the forecast without noise.
            members: number of members; None is one for each generator.
            view: the window that the frames are; None for whole frames.
        """
        self.members = len(generators) if members is None else members
        """Number of members."""
        self._generators, self._view = generators, view
        self._still: list[Tensor] = []
        self._device = torch.device("cpu")
        self._grid = self._pixels = (0, 0)
        self._batch = 1
        self._lead = 0

    @classmethod
    def of(cls, seeds: Sequence[int], view: View | None = None) -> "Noise":
        """The noise of members by their seeds; all clips of a batch get the same."""
        return cls([torch.Generator().manual_seed(seed) for seed in seeds], view=view)

    def begin(self, frames: Tensor, patch: int) -> Tensor:
        """Draws what holds for all lead times; gives the carried fields of the whole frame, (N, NOISE_CARRIED, H, W).

        `frames` are (B, T, C, h, w), of the whole frame or of the view; `patch` is the network's patch size.
        """
        self._device = frames.device
        return self._begin(frames.shape[0], (frames.shape[-2], frames.shape[-1]), patch)

    def drawn(self, clips: int, size: tuple[int, int], patch: int, steps: int) -> Drawn:
        """All that a forecast of so many steps reads of this noise, for a batch of whole frames of this size.

        It lies on the CPU. Given to the forecast as `GivenNoise`, it is the noise that this would have been.
        """
        carried = self._begin(clips, size, patch)
        return Drawn(carried, *self._next(steps))

    def _begin(self, clips: int, size: tuple[int, int], patch: int) -> Tensor:
        height, width = size
        view = self._view or View(height, width)
        self._batch = clips
        self._pixels, self._grid = (view.height, view.width), (-(-view.height // patch), -(-view.width // patch))
        self._rows = _span(view.top, height, view.height), _span(view.left, width, view.width)
        self._places = tuple(
            _span(first // patch, side // patch, most)
            for first, side, most in ((view.top, height, self._grid[0]), (view.left, width, self._grid[1]))
        )
        self._lead = 0
        self._still = [self._draw(sigma, self._grid) for sigma in GRID_SIGMAS]
        carried = torch.cat([self._draw(sigma, self._pixels) for sigma in CARRIED_SIGMAS], dim=1)
        return self._to_rows(carried)

    def fields(self, carried: Tensor, patch: int, scale: Tensor | None = None) -> Fields:
        """The fields of the next lead times.

        Args:
            carried: what the carried fields are there in the view, (N, T, NOISE_CARRIED, H, W).
            patch: the network's patch size.
            scale: amplitude of the noise by lead time, (NOISE_LEADS,), the last one for all later ones; None for 1.
        """
        grid, pixels = self._next(carried.shape[1])
        pooled = F.avg_pool2d(carried.flatten(0, 1), patch)
        pooled = pooled.view(*carried.shape[:3], *pooled.shape[-2:])
        grid = torch.cat((grid, pooled), dim=2)
        pixels = torch.cat((pixels, carried), dim=2)
        first, self._lead = self._lead, self._lead + carried.shape[1]
        if scale is None:
            return Fields(grid, pixels)
        leads = torch.arange(first, self._lead, device=scale.device).clamp(max=len(scale) - 1)
        amplitude = scale[leads].to(grid.device).view(1, -1, 1, 1, 1)
        return Fields(grid * amplitude, pixels * amplitude)

    def _next(self, steps: int) -> tuple[Tensor, Tensor]:
        """The fields of the next lead times that are not carried, as `Drawn` has them."""
        grids, pixels = [], []
        for _ in range(steps):
            anew = [self._draw(sigma, self._grid) for sigma in GRID_SIGMAS]
            grid = torch.cat([field.expand(-1, -1, *self._grid) for field in (*self._still, *anew)], dim=1)
            # A whole frame is taken as it is: to gather all of its pixels takes as long as to draw them.
            grids.append(grid if self._view is None else grid[..., self._places[0][:, None], self._places[1]])
            pixels.append(self.seen(self._draw(0.0, self._pixels)))
        return self._to_rows(torch.stack(grids, dim=1)), self._to_rows(torch.stack(pixels, dim=1))

    def seen(self, fields: Tensor) -> Tensor:
        """The part in the view of fields of pixels of the whole frame, (..., H, W)."""
        return fields if self._view is None else fields[..., self._rows[0][:, None], self._rows[1]]

    def _draw(self, sigma: float, size: tuple[int, int]) -> Tensor:
        """A standard normal field of each generator, smoothed: (generators, 1, *size) on the CPU."""
        everywhere = math.isinf(sigma)
        margin = 0 if everywhere else _radius(sigma)
        height, width = (1, 1) if everywhere else (size[0] + 2 * margin, size[1] + 2 * margin)
        drawn = torch.empty(len(self._generators), 1, height, width)
        for field, generator in zip(drawn, self._generators, strict=True):
            if generator is None:
                field.zero_()
            else:
                field.normal_(generator=generator)
        if everywhere or not margin:
            return drawn
        smooth = blur(drawn, sigma) / _kept(sigma)
        return smooth[..., margin : margin + size[0], margin : margin + size[1]]

    def _to_rows(self, fields: Tensor) -> Tensor:
        """Fields of each generator, for each row of the batch, on its device."""
        shared = self.members * self._batch // len(fields)
        return (fields.repeat_interleave(shared, dim=0) if shared > 1 else fields).to(self._device)


class GivenNoise(Noise):
    """Noise that was drawn before, of whole frames: a forecast with it asks the CPU nothing, and may be captured."""

    def __init__(self, members: int, drawn: Drawn) -> None:
        """`drawn` lies on the device of the forecast, and has at least as many lead times."""
        super().__init__((), members)  # without a view
        self._drawn = drawn

    def begin(self, frames: Tensor, patch: int) -> Tensor:  # noqa: ARG002
        self._lead = 0
        return self._drawn.carried

    def _next(self, steps: int) -> tuple[Tensor, Tensor]:
        _, grid, pixels = (each[:, self._lead : self._lead + steps] for each in self._drawn)
        return grid, pixels


def _radius(sigma: float) -> int:
    """Pixels to each side that `motion.blur` reads."""
    return int(2.5 * sigma + 0.5) if sigma else 0


def _kept(sigma: float) -> float:
    """Standard deviation of white noise under `motion.blur`."""
    kernel = [math.exp(-0.5 * (offset / sigma) ** 2) for offset in range(-_radius(sigma), _radius(sigma) + 1)]
    return sum((weight / sum(kernel)) ** 2 for weight in kernel)


def _span(first: int, count: int, most: int) -> Tensor:
    """Places of a window along an axis; beyond the frame its edge is repeated."""
    return torch.arange(first, first + count).clamp(0, most - 1)


assert len(GRID_SIGMAS) * 2 + len(CARRIED_SIGMAS) == NOISE_GRID
assert len(CARRIED_SIGMAS) == NOISE_CARRIED
assert NOISE_PIXELS == 1 + NOISE_CARRIED
