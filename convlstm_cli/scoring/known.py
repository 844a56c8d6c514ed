"""Scores of a forecast whose truth is known, beside those of copying the last frame."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from convlstm_cli.runs.record import build
from convlstm_cli.scoring.baselines import BASELINES
from convlstm_cli.scoring.formulae import finite, known_mean, skill, spread_skill
from convlstm_cli.scoring.members.fair_crps import fair_crps
from convlstm_cli.scoring.scores import PooledScores, Scores, Values, score
from convlstm_cli.scoring.systems import MODEL
from convlstm_cli.video.values import BYTES, ValueRange

PERSISTENCE = "persistence"
"""Name of the baseline's scores in files."""


@dataclass(frozen=True)
class SpreadSkill:
    """The spread-skill ratio of an ensemble; None where it has no finite value."""

    by_lead_time: Values
    mean: float | None
    """Over all lead times."""


@dataclass(frozen=True)
class MembersCrps:
    """The fair continuous ranked probability score of members, in the unit of the values; None where it has none."""

    by_lead_time: Values
    mean: float | None
    """Over all lead times."""


@dataclass(frozen=True)
class KnownScores:
    """Scores of one forecast at the size that the network works at; of an ensemble, scores of its mean."""

    skill: float | None
    """1 - MSE / MSE of persistence, over all lead times."""
    model: PooledScores
    persistence: PooledScores
    spread_skill: SpreadSkill | None = None
    """For an ensemble only."""
    crps: MembersCrps | None = None
    """For members only; that of a single forecast is its MAE."""

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "KnownScores":
        """Reads what `to_dict` gave. Raises ValueError for anything else."""
        return build(cls, content)

    @property
    def systems(self) -> dict[str, PooledScores]:
        """The scores of the model and of persistence, by their names in files."""
        return {MODEL: self.model, PERSISTENCE: self.persistence}

    @property
    def lead_times(self) -> int:
        """Number of frames that are scored."""
        return len(self.model.mse)

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds them; `spread_skill` and `crps` only for an ensemble and for members."""
        content = {"skill": self.skill, **{name: scores.to_dict() for name, scores in self.systems.items()}}
        beside = {"spread_skill": self.spread_skill, "crps": self.crps}
        return content | {name: asdict(each) for name, each in beside.items() if each is not None}


class KnownFuture:
    """Scores a forecast as it is computed, against the frames that are known to have followed."""

    def __init__(self, last: Tensor, members: int, values: ValueRange = BYTES) -> None:
        """`last` is the last input frame, (1, 1, C, H, W); `members` is the number of an ensemble.

        `values` is the range that is [0, 1] for them, in whose unit the scores are. The values of `last` and of the
        truth may lie outside of it; those of a forecast do not.
        """
        self._last = last
        self._members, self._values = members, values
        self._variance: list[float] = []  # mean over the pixels of each lead time, in [0, 1]
        self._error: list[float] = []  # that of the squared error, in [0, 1]
        self._crps: list[float] = []  # that of the score of members, in the unit
        self._model, self._persistence = Scores(values=values), Scores(values=values)

    def add(self, forecast: Tensor, truth: Tensor, spread: Tensor | None, there: Tensor | None = None) -> None:
        """Scores the lead times that follow.

        Args:
            forecast: (1, m, C, H, W) in [0, 1].
            truth: (1, n, C, H, W), n at most m; the first n lead times are scored.
            spread: standard deviation over the members of an ensemble, like `forecast`.
            there: where there is a truth, bool like `truth`; None is everywhere.
        """
        truth, there = truth.to(forecast.device), None if there is None else there.to(forecast.device)
        copied = BASELINES[PERSISTENCE].forecast(self._last.to(forecast.device), 1)
        # One after another, since SSIM takes two dozen times the memory of its arguments.
        for lead in range(truth.shape[1]):
            at = slice(lead, lead + 1)
            counted = None if there is None else there[:, at]
            found = score(forecast[:, at], truth[:, at], counted, self._values)
            self._model.extend(found)
            self._persistence.extend(score(copied, truth[:, at], counted, self._values))
            if spread is not None:
                squares = spread[:, at].square()
                self._variance.append(float(squares.mean() if counted is None else squares[counted].mean()))
                # The spread of a logarithmic range has no unit, so the error beside it has none either.
                shares = score(forecast[:, at], truth[:, at], counted) if self._values.log else found
                self._error.append(shares.mean_mse / shares.values.scored_span**2)

    def add_members(self, bands: Iterable[tuple[slice, Tensor]], truth: Tensor, there: Tensor | None = None) -> None:
        """Scores the members at the next lead time.

        Args:
            bands: rows, and the members in these, (N, C, h, W) in [0, 1]; all rows of the frame in turn.
            truth: (C, H, W).
            there: where there is a truth, bool like `truth`; None is everywhere.
        """
        total = count = 0.0
        for rows, members in bands:
            known = truth[:, rows].to(members.device)
            score = fair_crps(self._values.linear(members), self._values.linear(known))
            if there is not None:
                score = score[there[:, rows].to(members.device)]
            total, count = total + float(score.double().sum()), count + score.numel()
        self._crps.append(self._values.scored_span * total / count if count else math.nan)

    def scores(self) -> KnownScores:
        """Scores of all lead times so far, one at least."""
        return KnownScores(
            finite(skill(self._model.mean_mse, self._persistence.mean_mse)),
            self._model.pooled(),
            self._persistence.pooled(),
            self._spread_skill() if self._variance else None,
            MembersCrps([finite(each) for each in self._crps], finite(known_mean(self._crps))) if self._crps else None,
        )

    def _spread_skill(self) -> SpreadSkill:
        errors, members = self._error, self._members
        pairs = [*zip(self._variance, errors, strict=True), (known_mean(self._variance), known_mean(errors))]
        *by_lead, overall = (finite(spread_skill(variance, error, members)) for variance, error in pairs)
        return SpreadSkill(by_lead, overall)
