"""The metrics: what each keeps of a clip, how clips are pooled, and what tables, charts and files call it.

A metric is one entry of `METRICS`, or of `EVENT_METRICS` if it counts how often values reach a threshold. JSON, tables,
charts, reports and intervals read these two registries, and nothing else lists the names.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from convlstm_cli.registry import Registry
from convlstm_cli.scoring.columns import BIAS, EVENTS, GRADIENTS, MAE, MSE, SSIM, Column
from convlstm_cli.scoring.pooling import Pooling, averaged, peak_ratio, quotient, summed
from convlstm_cli.video.values import BYTES, ValueRange, unit_power

Bounds = tuple[float, float]
"""Least and largest value that a metric can take; infinite where there is none."""

UNBOUNDED: Bounds = (-math.inf, math.inf)


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


METRICS = Registry(
    "metric",
    (
        Metric(
            "mse",
            "MSE",
            5,
            "squared error, mean over clips, channels and pixels",
            (MSE,),
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
            (MSE,),
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
            (MAE,),
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
            (MAE,),
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
            (BIAS,),
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
            (MSE,),
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
            (SSIM,),
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
            GRADIENTS,
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
            EVENTS,
            quotient(("hits",), ("hits", "misses", "false_alarms")),
            bounds=(0.0, 1.0),
        ),
        Metric(
            "pod",
            "POD",
            3,
            "probability of detection, hits / (hits + misses), pooled likewise",
            EVENTS,
            quotient(("hits",), ("hits", "misses")),
            bounds=(0.0, 1.0),
            tabulated=False,
        ),
        Metric(
            "far",
            "FAR",
            3,
            "false alarm ratio, false alarms / (hits + false alarms), pooled likewise",
            EVENTS,
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
