"""The metrics: what each keeps of a clip, how clips are pooled, and what tables, charts and files call it.

A metric is one entry of `METRICS`, or of `EVENT_METRICS` if it counts how often values reach a threshold. JSON, tables,
charts, reports and intervals read these two registries, and nothing else lists the names.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from convlstm_cli.registry import Registry
from convlstm_cli.video.values import BYTES, ValueRange, unit_power

Rows = NDArray[np.float64]
"""(clips, lead times)."""
Bounds = tuple[float, float]
"""Least and largest value that a metric can take; infinite where there is none."""

VALID = "valid"
"""The column of the shares of a frame's pixels that have a truth."""

UNBOUNDED: Bounds = (-math.inf, math.inf)


@dataclass(frozen=True)
class Column:
    """A number that is kept of every clip at every lead time. Metrics may share one."""

    name: str
    measure: Callable[[Tensor, Tensor, Tensor | None], Tensor]
    """Maps forecast and truth, both (B, T, C, H, W) float32 in [0, 1], to (B, T). A column of an event metric gets
    booleans instead: which values reach the threshold. Where the third, bool, is False there is no truth, and both are
    0; what is a mean over the pixels of a frame counts these as 0. None is True everywhere."""
    power: int = 0
    """Power of the values' unit in which it is kept."""


@dataclass(frozen=True)
class Kept:
    """What is kept of some clips, for metrics to pool."""

    columns: Mapping[str, Rows]
    frame_values: int
    """Values of a frame: channels x height x width."""
    span: float = 1.0
    """`ValueRange.scored_span` of the values."""

    def means(self, column: str) -> list[float]:
        """Mean over the pixels with a truth of all clips, by lead time; NaN where there is none."""
        pairs = zip(self.columns[column].sum(axis=0), self.columns[VALID].sum(axis=0), strict=True)
        return [_ratio(over, under) for over, under in pairs]

    def total(self, columns: Sequence[str]) -> Rows:
        """The sum of several columns, clip by clip."""
        return np.asarray(np.sum([self.columns[name] for name in columns], axis=0))


@dataclass(frozen=True)
class Pooling:
    """How what is kept of clips becomes a metric; NaN where it is undefined."""

    by_lead_time: Callable[[Kept], list[float]]
    overall: Callable[[Kept], float]
    """Over all lead times."""


def averaged(column: str) -> Pooling:
    """The mean over clips, and over lead times."""
    return Pooling(lambda kept: kept.means(column), lambda kept: known_mean(kept.means(column)))


def summed(column: str) -> Pooling:
    """The sum over the values of a frame of what the column has the mean of; the mean over clips and lead times."""

    def sums(kept: Kept) -> list[float]:
        return [value * kept.frame_values for value in kept.means(column)]

    return Pooling(sums, lambda kept: known_mean(sums(kept)))


def peak_ratio(column: str) -> Pooling:
    """The peak signal-to-noise ratio of the range of values, from the mean squared errors in a column."""

    def ratio(kept: Kept, mse: float) -> float:
        return psnr(mse / kept.span**2)

    return Pooling(
        lambda kept: [ratio(kept, mse) for mse in kept.means(column)],
        lambda kept: ratio(kept, known_mean(kept.means(column))),
    )


def quotient(above: Sequence[str], below: Sequence[str]) -> Pooling:
    """The sum of the columns `above` over that of `below`, each summed over clips and lead times first."""

    def by_lead_time(kept: Kept) -> list[float]:
        pairs = zip(kept.total(above).sum(axis=0), kept.total(below).sum(axis=0), strict=True)
        return [_ratio(over, under) for over, under in pairs]

    def overall(kept: Kept) -> float:
        return _ratio(kept.total(above).sum(), kept.total(below).sum())

    return Pooling(by_lead_time, overall)


@dataclass(frozen=True)
class Metric:
    """A metric: how it is measured, and how it is shown."""

    name: str
    """In files."""
    heading: str
    """Above columns and beside axes."""
    decimals: int
    definition: str
    """One sentence: formula, what it is a mean of, source; `define` adds the unit."""
    columns: tuple[Column, ...]
    pooling: Pooling
    bounds: Bounds = UNBOUNDED
    """For values in [0, 1]. Intervals end within them, and a chart's axis begins at a lower bound of 0."""
    power: int = 0
    """Power of the values' unit: 1 for an error, 2 for a squared one, 0 for a number without a unit."""
    smaller_is_better: bool = False
    missing: str = "-"
    """What a table shows where there is no finite value."""
    tabulated: bool = True
    """Whether tables show it, by lead time; otherwise it is in files, and in the totals of an event metric."""
    brief: bool = False
    """Whether the short summaries show it too: after a training, and of a comparison."""
    panel: str = ""
    """Title of its chart by lead time; empty for none."""
    ideal: float | None = None
    """Value that its chart marks with a line."""

    def unit(self, unit: str) -> str:
        """The unit of the metric, given that of the values; empty for none."""
        return unit_power(unit, self.power)

    def label(self, unit: str) -> str:
        """The heading with the unit, such as `MSE (mm/h)²`."""
        return f"{self.heading} {self.unit(unit)}".rstrip()

    def bounds_of(self, values: ValueRange) -> Bounds:
        """The bounds for values of a range."""
        scale = values.scored_span**self.power
        return self.bounds[0] * scale, self.bounds[1] * scale

    def define(self, values: ValueRange) -> str:
        """The definition with the unit, for values of a range."""
        if not self.power:
            return self.definition
        if values.as_shares:
            return f"{self.definition}; values in [0, 1]"
        if values.bands:
            return (
                f"{self.definition}; of shares of the range of each channel, without a unit, values {values.describe()}"
            )
        return f"{self.definition}; {f'in {self.unit(values.unit)}, ' * bool(values.unit)}values {values.describe()}"


def psnr(mse: float) -> float:
    """Peak signal-to-noise ratio in dB of a mean squared error of values in [0, 1].

    Infinite for 0, and NaN for NaN, where there is no truth.
    """
    return -10.0 * math.log10(mse) if mse > 0 else math.nan if math.isnan(mse) else math.inf


def skill(mse: float, reference: float) -> float:
    """1 - MSE / MSE of the reference: 1 is perfect, 0 as good as the reference, negative worse."""
    if reference > 0:
        return 1.0 - mse / reference
    return 0.0 if mse == 0 else -math.inf


def spread_skill(variance: float, mse: float, members: int) -> float:
    """The spread-skill ratio of an ensemble, corrected for its size (Fortin et al. 2014, J. Hydrometeorol. 15).

        sqrt((M + 1) / M) * sqrt(mean variance) / sqrt(mean squared error of the ensemble's mean)

    It is 1 where the members differ from each other as the truth differs from them. Below 1 the members agree more
    than they are right. Both means are over the same pixels and clips.

    Args:
        variance: mean of the unbiased variance over the members.
        mse: mean squared error of the mean of the members.
        members: M, at least 2.

    Returns the ratio; infinite where the mean is exact and the members differ, NaN where both are 0.
    """
    if mse > 0:
        return math.sqrt((members + 1) / members * variance / mse)
    return math.inf if variance > 0 else math.nan


def mean(values: Sequence[float]) -> float:
    """Arithmetic mean."""
    return math.fsum(values) / len(values)


def known_mean(by_lead_time: Sequence[float]) -> float:
    """Arithmetic mean of the lead times at which there is a truth; NaN where there is none at all."""
    known = [value for value in by_lead_time if not math.isnan(value)]
    return mean(known) if known else math.nan


def finite(value: float) -> float | None:
    """`value`, or None where JSON has no number for it."""
    return float(value) if math.isfinite(value) else None


def _ratio(above: float, below: float) -> float:
    return above / below if below > 0 else math.nan


def _squared_error(forecast: Tensor, truth: Tensor, _valid: Tensor | None) -> Tensor:
    return (forecast - truth).square().mean(dim=(2, 3, 4))


def _absolute_error(forecast: Tensor, truth: Tensor, _valid: Tensor | None) -> Tensor:
    return (forecast - truth).abs().mean(dim=(2, 3, 4))


def _error(forecast: Tensor, truth: Tensor, _valid: Tensor | None) -> Tensor:
    return (forecast - truth).mean(dim=(2, 3, 4))


def _structural_similarity(forecast: Tensor, truth: Tensor, valid: Tensor | None) -> Tensor:
    # It imports matplotlib, which takes longer than most forecasts, and a forecast without truth needs neither.
    from torchmetrics.functional.image import structural_similarity_index_measure

    found = structural_similarity_index_measure(
        forecast.flatten(0, 1),
        truth.flatten(0, 1),
        data_range=1.0,
        reduction="none",
        return_full_image=valid is not None,
    )
    if valid is None:
        assert isinstance(found, Tensor)
        return found.view(truth.shape[:2])
    return (found[1].view(truth.shape) * valid).mean(dim=(2, 3, 4))


def _gradient(frames: Tensor, valid: Tensor | None) -> Tensor:
    """Mean length of the gradient of each frame, (B, T, C, H, W) to (B, T); 0 next to a pixel without truth."""
    right = frames[..., :-1, 1:] - frames[..., :-1, :-1]
    down = frames[..., 1:, :-1] - frames[..., :-1, :-1]
    length = (right.square() + down.square()).sqrt()
    if valid is not None:
        length = length * (valid[..., :-1, 1:] & valid[..., 1:, :-1] & valid[..., :-1, :-1])
    return length.mean(dim=(2, 3, 4))


def _share(valid: Tensor) -> Tensor:
    """The share of each frame's pixels that have a truth, (B, T)."""
    return valid.float().mean(dim=(2, 3, 4))


def _count(events: Tensor) -> Tensor:
    return events.sum(dim=(2, 3, 4))


_MSE = Column("mse", _squared_error, power=2)
_MAE = Column("mae", _absolute_error, power=1)
_BIAS = Column("bias", _error, power=1)
_GRADIENTS = (
    Column("gradient", lambda forecast, _, valid: _gradient(forecast, valid)),
    Column("true_gradient", lambda _, truth, valid: _gradient(truth, valid)),
)
_EVENTS = (
    Column("hits", lambda expected, happened, _: _count(expected & happened)),
    Column("misses", lambda expected, happened, _: _count(~expected & happened)),
    Column("false_alarms", lambda expected, happened, _: _count(expected & ~happened)),
)

METRICS = Registry(
    "metric",
    (
        Metric(
            "mse",
            "MSE",
            5,
            "squared error, mean over clips, channels and pixels",
            (_MSE,),
            averaged("mse"),
            bounds=(0.0, 1.0),
            power=2,
            smaller_is_better=True,
            brief=True,
            panel="MSE per pixel",
        ),
        Metric(
            "mse_sum",
            "MSE sum",
            1,
            "squared error, sum over the channels and pixels of a frame, mean over clips",
            (_MSE,),
            summed("mse"),
            bounds=(0.0, math.inf),
            power=2,
            smaller_is_better=True,
        ),
        Metric(
            "mae",
            "MAE",
            5,
            "absolute error, mean over clips, channels and pixels",
            (_MAE,),
            averaged("mae"),
            bounds=(0.0, 1.0),
            power=1,
            smaller_is_better=True,
        ),
        Metric(
            "mae_sum",
            "MAE sum",
            1,
            "absolute error, sum over the channels and pixels of a frame, mean over clips",
            (_MAE,),
            summed("mae"),
            bounds=(0.0, math.inf),
            power=1,
            smaller_is_better=True,
            tabulated=False,
        ),
        Metric(
            "bias",
            "bias",
            5,
            "forecast less truth, mean over clips, channels and pixels: positive where the forecast is too high",
            (_BIAS,),
            averaged("bias"),
            bounds=(-1.0, 1.0),
            power=1,
        ),
        Metric(
            "psnr",
            "PSNR dB",
            2,
            "10 log10(R² / MSE) in dB, of the MSE pooled over clips, with R the range of the values (1 for values in "
            "[0, 1]); null where the forecast is exact",
            (_MSE,),
            peak_ratio("mse"),
            bounds=(0.0, math.inf),
            missing="∞",
            brief=True,
        ),
        Metric(
            "ssim",
            "SSIM",
            3,
            "Wang et al. 2004 as torchmetrics computes it: Gaussian window 11x11 with σ = 1.5, K1 = 0.01, K2 = 0.03, "
            "values in [0, 1] of their range; mean over frames",
            (Column("ssim", _structural_similarity),),
            averaged("ssim"),
            bounds=(-1.0, 1.0),
            brief=True,
            panel="SSIM",
        ),
        Metric(
            "sharpness",
            "sharpness",
            3,
            "mean length of the gradient (differences of neighbouring pixels) of the forecast over that of the "
            "truth: 1 is as sharp, below 1 is blur (noise counts as sharp); null where the truth is flat",
            _GRADIENTS,
            quotient(("gradient",), ("true_gradient",)),
            bounds=(0.0, math.inf),
            panel="sharpness (1 as the truth, below blur)",
            ideal=1.0,
        ),
    ),
)
"""Metrics of a forecast, in the order in which files and tables show them."""

EVENT_METRICS = Registry(
    "event metric",
    (
        Metric(
            "csi",
            "CSI",
            3,
            "critical success index, hits / (hits + misses + false alarms), of values at or above the threshold; "
            "counts pooled over clips, null where undefined",
            _EVENTS,
            quotient(("hits",), ("hits", "misses", "false_alarms")),
            bounds=(0.0, 1.0),
        ),
        Metric(
            "pod",
            "POD",
            3,
            "probability of detection, hits / (hits + misses), pooled likewise",
            _EVENTS,
            quotient(("hits",), ("hits", "misses")),
            bounds=(0.0, 1.0),
            tabulated=False,
        ),
        Metric(
            "far",
            "FAR",
            3,
            "false alarm ratio, false alarms / (hits + false alarms), pooled likewise",
            _EVENTS,
            quotient(("false_alarms",), ("hits", "false_alarms")),
            bounds=(0.0, 1.0),
            smaller_is_better=True,
            tabulated=False,
        ),
    ),
)
"""Metrics of reaching a threshold, of each of `EvaluateConfig.thresholds`."""


def columns_of(metrics: Mapping[str, Metric]) -> dict[str, Column]:
    """The columns that metrics are made from, by name, each once."""
    return {column.name: column for metric in metrics.values() for column in metric.columns}


def definitions(values: ValueRange = BYTES) -> dict[str, str]:
    """The definition of every metric of values of a range by its name, and of the means of files."""
    metrics = {**METRICS, **EVENT_METRICS}
    return {name: metric.define(values) for name, metric in metrics.items()} | {
        "mean": "all lead times pooled as clips are"
    }


@torch.no_grad()
def measure(
    forecast: Tensor,
    truth: Tensor,
    thresholds: Sequence[float] = (),
    valid: Tensor | None = None,
    values: ValueRange = BYTES,
) -> dict[str, Rows]:
    """All columns of a batch, each (B, T), from forecast and truth (B, T, C, H, W) in [0, 1] on any device.

    [0, 1] is that of the network, for values of the range `values`; errors are those of the values in their unit, and
    so are the thresholds. The columns of the event metrics are named after the position of their threshold: `hits_0`.
    Where `valid`, bool, is False there is no truth, and nothing counts.
    """
    forecast, truth = forecast.float(), truth.float()
    share = torch.ones(truth.shape[:2])
    if valid is not None:
        forecast, truth, share = forecast * valid, truth * valid, _share(valid)
    kept = {VALID: share}
    powers = {VALID: 0}
    linear = values.linear(forecast), values.linear(truth)
    for name, column in columns_of(METRICS).items():
        kept[name], powers[name] = column.measure(*linear, valid), column.power
    for position, threshold in enumerate(thresholds):
        least = values.least_share(threshold)
        expected, happened = forecast >= least, truth >= least
        if valid is not None:
            expected, happened = expected & valid, happened & valid
        for name, column in columns_of(EVENT_METRICS).items():
            kept[event_column(name, position)] = column.measure(expected, happened, valid)
    # float64 on the CPU, because MPS has none. Copied, since what torch allocates, kept for long between large tensors
    # that come and go, leaves holes in the memory that nothing fits into: 36 KB a clip.
    rows = {name: column.cpu().double().numpy().copy() for name, column in kept.items()}
    return {name: row * values.scored_span ** powers.get(name, 0) for name, row in rows.items()}


def event_column(name: str, position: int) -> str:
    """The name of an event metric's column for the threshold at a position."""
    return f"{name}_{position}"
