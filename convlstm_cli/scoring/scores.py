"""How good the forecasts of one system are, by lead time.

`Scores` keeps a few numbers of every clip and pools them when they are read, so that any division into batches gives
the same and a bootstrap can draw clips again. `PooledScores` is what is left of them in files and tables.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from convlstm_cli.scoring.formulae import finite
from convlstm_cli.scoring.measuring import event_column, measure
from convlstm_cli.scoring.metrics import EVENT_METRICS, METRICS, Metric, columns_of
from convlstm_cli.scoring.pooling import VALID, Kept, Rows
from convlstm_cli.video.values import BYTES, ValueRange

Values = list[float | None]
"""By lead time; None where a metric is infinite or undefined."""


@dataclass(frozen=True)
class PooledEvents:
    """The event metrics of one threshold, pooled over clips, by their names."""

    threshold: float
    by_lead_time: dict[str, Values]
    mean: dict[str, float | None]

    def to_dict(self) -> dict[str, object]:
        """As JSON holds it."""
        return {"threshold": self.threshold, "by_lead_time": self.by_lead_time, "mean": self.mean}


@dataclass(frozen=True)
class PooledScores:
    """The metrics of one system, pooled over clips, by their names."""

    clips: int
    by_lead_time: dict[str, Values]
    """The first is one frame ahead."""
    mean: dict[str, float | None]
    """Over all lead times."""
    events: tuple[PooledEvents, ...] = ()
    """One for each threshold."""
    unit: str = ""
    """Unit of the values; empty for values in [0, 1] and for those whose unit is not known."""

    @property
    def mse(self) -> list[float]:
        """Mean squared error by lead time; NaN where it is not finite."""
        return [float("nan") if value is None else value for value in self.by_lead_time["mse"]]

    @property
    def mean_mse(self) -> float:
        """Mean squared error over all lead times; NaN where it is not finite."""
        value = self.mean["mse"]
        return float("nan") if value is None else value

    def to_dict(self) -> dict[str, object]:
        """As JSON holds it; `events` only where there are thresholds."""
        content: dict[str, object] = {
            "clips": self.clips,
            "unit": self.unit,
            "by_lead_time": self.by_lead_time,
            "mean": self.mean,
        }
        if self.events:
            content["events"] = [events.to_dict() for events in self.events]
        return content

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "PooledScores":
        """What `to_dict` gave. Raises KeyError or TypeError where it is something else."""
        events = tuple(PooledEvents(**events) for events in content.get("events", ()))
        return cls(content["clips"], content["by_lead_time"], content["mean"], events, content.get("unit", ""))


class Scores:
    """Scores of clips by lead time; the first lead time is one frame ahead.

    Errors, and the `thresholds` of the event metrics, are in the unit of `values`: of 8-bit pictures without a unit in
    [0, 1].
    """

    def __init__(self, thresholds: Sequence[float] = (), values: ValueRange = BYTES) -> None:
        self.thresholds, self.values = tuple(thresholds), values
        self.frame_values = 0
        """Values of a frame: channels x height x width."""
        self._batches: list[dict[str, Rows]] = []

    def add(self, forecast: Tensor, truth: Tensor, valid: Tensor | None = None) -> None:
        """Adds a batch; all are (B, T, C, H, W), on any device, with the same T every time.

        Forecast and truth are in the network's [0, 1]; `valid`, bool, says where there is a truth, None everywhere.
        """
        self.frame_values = truth[0, 0].numel()
        self._batches.append(measure(forecast, truth, self.thresholds, valid, self.values))

    def extend(self, later: "Scores") -> None:
        """Appends the scores of the same clips at the lead times that follow."""
        self.frame_values = later.frame_values
        mine, others = self._table(), later._table()
        self._batches = [
            {name: np.concatenate((mine[name], rows), axis=1) if mine else rows for name, rows in others.items()}
        ]

    @classmethod
    def pool(cls, parts: Sequence["Scores"]) -> "Scores":
        """All clips of several scores of the same lead times as one."""
        pooled = cls(parts[0].thresholds, parts[0].values)
        pooled.frame_values = parts[0].frame_values
        pooled._batches = [batch for part in parts for batch in part._batches]
        return pooled

    @classmethod
    def in_turn(cls, parts: Sequence["Scores"]) -> "Scores":
        """Scores of clips that were dealt out in turn, in their order again: the first clip of each part, and so on."""
        filled = [part for part in parts if part.clips]
        dealt = cls.pool(filled)
        [table] = dealt._batches = [{name: rows.copy() for name, rows in dealt._table().items()}]
        for name, rows in table.items():
            for position, part in enumerate(filled):
                rows[position :: len(parts)] = part._table()[name]
        return dealt

    @property
    def clips(self) -> int:
        """Number of clips."""
        return sum(len(batch["mse"]) for batch in self._batches)

    @property
    def lead_times(self) -> int:
        """Number of lead times, 0 before the first batch."""
        return self._table()["mse"].shape[1] if self._batches else 0

    def per_clip(self, column: str) -> Rows:
        """A column of the metrics (`mse`, `mae`, `bias`, `ssim`, `gradient` or `true_gradient`): (clips, lead times).

        A mean over the pixels of a frame that have a truth; NaN where none has.
        """
        rows, known = self._table()[column], self._table()[VALID]
        return np.asarray(np.divide(rows, known, out=np.full_like(rows, np.nan), where=known > 0))

    def weighted(self, column: str) -> Rows:
        """What each clip adds to a column's pooled mean, (clips, lead times): the mean over the clips is that mean.

        Frames weigh by how many of their pixels have a truth; 0 at a lead time at which no frame has any.
        """
        rows, known = self._table()[column], self._table()[VALID].mean(axis=0)
        return np.asarray(np.divide(rows, known, out=np.zeros_like(rows), where=known > 0))

    @property
    def has_truth(self) -> NDArray[np.bool_]:
        """Which clips have a pixel with a truth, (clips,)."""
        return np.asarray(self._table()[VALID].any(axis=1))

    def counts(self, threshold: float) -> dict[str, Rows]:
        """The columns of the event metrics (hits, misses, false alarms), in values of a frame: (clips, lead times)."""
        position = self.thresholds.index(threshold)
        return {name: self._table()[event_column(name, position)] for name in columns_of(EVENT_METRICS)}

    def of_clip(self, position: int) -> dict[str, list[float]]:
        """Every metric of one clip by lead time; infinite or NaN where it has no number."""
        kept = self._keep({name: rows[position, None] for name, rows in self._table().items()})
        return {name: metric.pooling.by_lead_time(kept) for name, metric in METRICS.items()}

    def by_lead_time(self, metric: str) -> list[float]:
        """A metric pooled over clips; infinite or NaN where it has no number."""
        return METRICS[metric].pooling.by_lead_time(self._kept)

    def overall(self, metric: str) -> float:
        """A metric pooled over clips and lead times; infinite or NaN where it has no number."""
        return METRICS[metric].pooling.overall(self._kept)

    @property
    def mse(self) -> list[float]:
        """Mean squared error by lead time."""
        return self.by_lead_time("mse")

    @property
    def mean_mse(self) -> float:
        """Mean squared error over all lead times."""
        return self.overall("mse")

    def pooled(self) -> PooledScores:
        """All metrics by lead time and over all lead times."""
        events = []
        for threshold in self.thresholds:
            kept = self._keep(self.counts(threshold))
            events.append(PooledEvents(threshold, *_pooled(EVENT_METRICS, kept)))
        return PooledScores(self.clips, *_pooled(METRICS, self._kept), tuple(events), self.values.unit)

    def to_dict(self) -> dict[str, object]:
        """All scores by lead time and their means, as JSON holds them (null where there is no number)."""
        return self.pooled().to_dict()

    @property
    def _kept(self) -> Kept:
        return self._keep(self._table())

    def _keep(self, columns: Mapping[str, Rows]) -> Kept:
        return Kept(columns, self.frame_values, self.values.scored_span)

    def _table(self) -> dict[str, Rows]:
        """All batches as one; empty before the first."""
        if len(self._batches) > 1:
            names = self._batches[0]
            self._batches = [{name: np.concatenate([batch[name] for batch in self._batches]) for name in names}]
        return self._batches[0] if self._batches else {}


def score(forecast: Tensor, truth: Tensor, valid: Tensor | None = None, values: ValueRange = BYTES) -> Scores:
    """Scores of one batch (B, T, C, H, W) in the network's [0, 1] of a range of values, where they are valid."""
    scores = Scores(values=values)
    scores.add(forecast, truth, valid)
    return scores


def _pooled(metrics: Mapping[str, Metric], kept: Kept) -> tuple[dict[str, Values], dict[str, float | None]]:
    """Every metric by lead time, and over all lead times."""
    by_lead_time, means = {}, {}
    for name, metric in metrics.items():
        by_lead_time[name] = [finite(value) for value in metric.pooling.by_lead_time(kept)]
        means[name] = finite(metric.pooling.overall(kept))
    return by_lead_time, means
