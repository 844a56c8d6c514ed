"""Spectra of forecasts and of the truth: whether members are as textured, and flicker no more, than what they forecast.

The power at a wavelength is the radially averaged one (Ruzanski and Chandrasekar 2011, IEEE Trans. Geosci. Remote Sens.
49, 2296-2307), which pysteps' `rapsd` computes too: the squared amplitudes of the Fourier transform of a frame,
averaged over the rings of whole wavenumbers k around the origin,

    P(k) = mean over |kappa| in [k - 1/2, k + 1/2) of |F(w x)(kappa)|^2 / sum w^2,       k = 1 ... L / 2

with L the frame's longer side and kappa in cycles per L pixels, so that the wavelength is L / k pixels. The temporal
spectrum is the same of each pixel over the lead times, averaged over the pixels; its periods are T / k frames. All is
of the values as the network has them, in [0, 1].

The window w is that of Hann, without which the step from one edge to the opposite one would be seen as texture. Where
pixels have no truth it is 0, for the truth and for every forecast; frames and clips that miss more than half are left
out. The mean under the window is subtracted first.

The powers are pooled over clips, members and channels before they are divided: a mean of ratios would be one of the
clips that have no texture.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from convlstm_cli.scoring.formulae import finite

TRUTH = "truth"
"""Name of the truth among systems."""
RESOLVED = 4.0
"""Wavelength in pixels above which members have to be as textured as the truth: below, frames hold little but noise of
the camera and of compression."""
LEAST_SEEN = 0.5
"""Share of the pixels that have to have a truth."""
ROUNDING = 1e-12
"""Power of the truth that float32 leaves of a frame without texture: nothing is compared with it."""
LEAST_STEPS = 4
"""Lead times that a temporal spectrum takes."""

Power = NDArray[np.float64]
Ends = tuple[float, float]
"""The least and the largest of some ratios; NaN where there are none."""

SPECTRA_DEFINITIONS = {
    "spectra": "power of values in [0, 1] under a Hann window, mean over clips, members and channels: by wavelength in "
    "pixels, averaged over directions (Ruzanski & Chandrasekar 2011), and by period in frames, averaged over pixels; "
    "the ends of ratios to the truth's power are those above 4 pixels at any lead time, and at any period"
}
"""What the spectra are, by their name in files."""


@dataclass(frozen=True)
class Spectrum:
    """Mean powers of one system."""

    by_lead_time: list[list[float]]
    """The radially averaged power of each lead time, by wavelength; NaN where nothing was measured."""
    temporal: list[float]
    """By period; empty for fewer than `LEAST_STEPS` lead times."""

    def to_dict(self) -> dict[str, object]:
        """As JSON holds it."""
        return {
            "by_lead_time": [[finite(power) for power in powers] for powers in self.by_lead_time],
            "temporal": [finite(power) for power in self.temporal],
        }


@dataclass(frozen=True)
class PooledSpectra:
    """Spectra of several systems and of the truth on the same clips."""

    wavelengths: tuple[float, ...]
    """In pixels, the longest first."""
    periods: tuple[float, ...]
    """In frames, the longest first."""
    systems: dict[str, Spectrum]
    """By their names in files, `TRUTH` among them."""

    def ratio(self, system: str) -> list[list[float]]:
        """Power of a system over that of the truth, by lead time and wavelength; NaN where the truth has none."""
        pairs = zip(self.systems[system].by_lead_time, self.systems[TRUTH].by_lead_time, strict=True)
        return [_divided(own, true) for own, true in pairs]

    def temporal_ratio(self, system: str) -> list[float]:
        """Power of a system's changes over lead times over that of the truth's, by period."""
        return _divided(self.systems[system].temporal, self.systems[TRUTH].temporal)

    def ends(self, system: str) -> Ends:
        """The least and the largest `ratio` at wavelengths above `RESOLVED` pixels and any lead time."""
        resolved = sum(wavelength > RESOLVED for wavelength in self.wavelengths)
        return _ends([ratio for ratios in self.ratio(system) for ratio in ratios[:resolved]])

    def temporal_ends(self, system: str) -> Ends:
        """The least and the largest `temporal_ratio`."""
        return _ends(self.temporal_ratio(system))

    def to_dict(self) -> dict[str, object]:
        """As JSON holds it."""
        others = [name for name in self.systems if name != TRUTH]
        return {
            "wavelengths": list(self.wavelengths),
            "periods": list(self.periods),
            "power": {name: spectrum.to_dict() for name, spectrum in self.systems.items()},
            "ratio_ends": {
                name: {
                    "above_wavelength": RESOLVED,
                    "by_lead_time": [finite(end) for end in self.ends(name)],
                    "temporal": [finite(end) for end in self.temporal_ends(name)],
                }
                for name in others
            },
        }


class Spectra:
    """Adds up the powers of systems and of the truth over batches."""

    def __init__(self) -> None:
        self._size = (0, 0, 0)
        self._power: dict[str, tuple[Power, Power]] = {}
        """Sums of each system: by lead time and wavenumber, and by frequency in time."""
        self._frames: Power = np.zeros(1)
        """How many channels of frames were added, by lead time."""
        self._clips: Power = np.zeros(1)

    def add(self, members: Mapping[str, Tensor], truth: Tensor, valid: Tensor | None = None) -> None:
        """Adds a batch, of the same T, H and W every time.

        Args:
            members: the members of each system by its name, (N, B, T, C, H, W) in [0, 1]; 1 of a single forecast.
            truth: (B, T, C, H, W) in [0, 1], with any finite value where it is not valid.
            valid: which pixels have a truth, bool, of the truth's shape; None for all.
        """
        clips, steps, channels, *sides = truth.shape
        self._size = steps, sides[0], sides[1]
        seen = torch.ones_like(truth[:1, :1]) if valid is None else valid.to(truth)  # (B or 1, T or 1, C, H, W)
        always = seen.amin(dim=1, keepdim=True)
        frames_count = _enough(seen).expand(clips, steps, channels)
        clips_count = _enough(always)[:, 0].expand(clips, channels)
        self._frames = self._frames + frames_count.sum(dim=(0, 2)).cpu().double().numpy()  # (T,)
        self._clips = self._clips + clips_count.sum().cpu().double().numpy()
        for name, forecasts in (*members.items(), (TRUTH, truth[None])):
            spatial, temporal = self._power.get(name, (np.zeros(1), np.zeros(1)))
            for forecast in forecasts.float():  # one member at a time, since transforms take twice its memory
                radial = (radial_power(forecast, seen) * frames_count[..., None]).sum(dim=(0, 2))  # (T, K)
                spatial = spatial + radial.cpu().double().numpy() / len(forecasts)
                changes = (temporal_power(forecast, always) * clips_count[..., None]).sum(dim=(0, 1))
                temporal = temporal + changes.cpu().double().numpy() / len(forecasts)
            self._power[name] = spatial, temporal

    def pooled(self) -> PooledSpectra:
        """The mean powers of what was added, a batch at least."""
        steps, *sides = self._size
        longest = max(sides)
        timed = steps >= LEAST_STEPS
        return PooledSpectra(
            tuple(longest / k for k in range(1, longest // 2 + 1)),
            tuple(steps / k for k in range(1, steps // 2 + 1)) if timed else (),
            {
                name: Spectrum(
                    _means(spatial, self._frames[:, None]).tolist(),
                    _means(temporal, self._clips).tolist() if timed else [],
                )
                for name, (spatial, temporal) in self._power.items()
            },
        )


def radial_power(frames: Tensor, seen: Tensor | None = None) -> Tensor:
    """Radially averaged power of frames (..., H, W) by wavenumber from 1 to half the longer side, (..., K).

    `seen`, which broadcasts to the frames, is 0 where nothing counts and 1 elsewhere; None is 1.
    """
    height, width = frames.shape[-2:]
    window = _hann(height, frames)[:, None] * _hann(width, frames)
    windowed, energy = _windowed(frames, window if seen is None else window * seen, (-2, -1))
    power: Tensor = torch.fft.fft2(windowed).abs().square()
    longest = max(height, width)
    rows, columns = (torch.fft.fftfreq(side, 1 / longest, device=frames.device) for side in (height, width))
    ring = (rows[:, None].square() + columns.square()).sqrt().round().long().flatten()  # (H W,)
    count = longest // 2
    kept = (ring >= 1) & (ring <= count)
    totals = power.new_zeros(*power.shape[:-2], count)
    totals.index_add_(-1, ring[kept] - 1, power.flatten(-2)[..., kept])
    sizes = torch.bincount(ring[kept] - 1, minlength=count)
    return totals / (sizes * energy[..., 0])


def temporal_power(frames: Tensor, seen: Tensor | None = None) -> Tensor:
    """Power of the changes of clips (B, T, C, H, W) over time, averaged over pixels, by frequency: (B, C, T // 2).

    Frequencies are 1 to T // 2 cycles in T frames. `seen`, (B or 1, 1, C, H, W), says which pixels count.
    """
    steps = frames.shape[1]
    window = _hann(steps, frames)[:, None, None, None]
    windowed, energy = _windowed(frames, window, (-4,))
    power: Tensor = torch.fft.rfft(windowed, dim=1).abs().square()[:, 1:] / energy  # (B, T // 2, C, H, W)
    if seen is None:
        return power.mean(dim=(-2, -1)).mT
    total = (power * seen).sum(dim=(-2, -1)) / seen.sum(dim=(-2, -1)).clamp(min=1.0)
    return total.mT


def _hann(length: int, like: Tensor) -> Tensor:
    """Hann's window, whose ends are not 0, so that one of a single value exists."""
    places = (torch.arange(length, device=like.device, dtype=like.dtype) + 0.5) / length
    return (math.pi * places).sin().square()


def _windowed(values: Tensor, window: Tensor, dims: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Values without their mean under the window, times it; and the energy of the window, at least tiny."""
    tiny = torch.finfo(window.dtype).tiny
    mean = (values * window).sum(dims, keepdim=True) / window.sum(dims, keepdim=True).clamp(min=tiny)
    return (values - mean) * window, window.square().sum(dims, keepdim=True).clamp(min=tiny)


def _enough(seen: Tensor) -> Tensor:
    """Which frames (B, T, C, H, W) have enough pixels that count, (B, T, C) bool."""
    return seen.mean(dim=(-2, -1)) >= LEAST_SEEN


def _means(total: Power, count: Power) -> Power:
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)


def _divided(own: list[float], true: list[float]) -> list[float]:
    return [one / other if other > ROUNDING else math.nan for one, other in zip(own, true, strict=True)]


def _ends(ratios: list[float]) -> Ends:
    known = [ratio for ratio in ratios if not math.isnan(ratio)]
    return (min(known), max(known)) if known else (math.nan, math.nan)
