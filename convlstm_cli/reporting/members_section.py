"""The part of an evaluation's page on members: their accuracy, calibration and reliability, in charts and tables."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from convlstm_cli.reporting.line_charts import Line, Zero, line_chart, rank_chart, reliability_diagram
from convlstm_cli.reporting.members_wording import score_digits
from convlstm_cli.reporting.page import LEAD_TIME, ScoreColumn, ScoreGroup, legend
from convlstm_cli.reporting.styles import system_labels, system_styles
from convlstm_cli.scoring.formulae import finite
from convlstm_cli.scoring.members.exceedance import PooledExceedance
from convlstm_cli.scoring.members.member_scores import PooledMembers, Ranks, listed
from convlstm_cli.scoring.systems import MEMBERS

Systems = Mapping[str, PooledMembers]


@dataclass(frozen=True)
class MembersSection:
    """What the page shows of the scores of members."""

    count: int
    """Members of a clip."""
    legend: list[tuple[str, Markup]]
    charts: list[tuple[Markup, str]]
    """Each with its caption."""
    groups: list[ScoreGroup]
    """Tables by lead time."""
    ranks: dict[str, Ranks]
    """By the labels of systems with several members."""
    diagrams: list[tuple[str, PooledExceedance]]
    """The numbers of the members' reliability diagrams, each with its threshold in words."""


def members_section(systems: Systems) -> MembersSection:
    """The part on members, from the scores of systems by their names, `MEMBERS` among them."""
    labels, styles = system_labels(), system_styles()
    ensembles = {name: scores for name, scores in systems.items() if scores.ranks is not None}
    unit = systems[MEMBERS].unit
    reached = [f"{each.threshold:g} {unit}".rstrip() for each in systems[MEMBERS].exceedance]
    return MembersSection(
        systems[MEMBERS].members,
        legend(labels, {name: styles[name] for name in systems}),
        _charts(systems, ensembles, reached),
        _groups(systems, ensembles, reached),
        {labels[name]: scores.ranks for name, scores in ensembles.items() if scores.ranks is not None},
        list(zip(reached, systems[MEMBERS].exceedance, strict=True)),
    )


def _charts(systems: Systems, ensembles: Systems, reached: Sequence[str]) -> list[tuple[Markup, str]]:
    unit = systems[MEMBERS].unit
    found = [
        (
            _by_lead_time(systems, lambda scores: scores.crps, "CRPS", unit, zero="bottom"),
            "CRPS; of a single forecast its mean absolute error",
        ),
        (
            _by_lead_time(ensembles, lambda scores: scores.spread_skill or [], "spread over error", "", ideal=1.0),
            "spread over error: 1 is reliable, less is overconfident",
        ),
        (_rank_chart(ensembles), "share of the truths with a number of members below; even is reliable"),
    ]
    for position, threshold in enumerate(reached):
        found.append(
            (
                _reliability(ensembles, position, threshold),
                f"at least {threshold}: how often it happened by the share of members that said so",
            )
        )
    return found


def _by_lead_time(
    systems: Systems,
    values: Callable[[PooledMembers], Sequence[float]],
    what: str,
    unit: str,
    *,
    zero: Zero = "",
    ideal: float | None = None,
) -> Markup:
    styles = system_styles()
    # From the back to the front: members last.
    lines = [
        Line(listed(values(scores)), styles[name], width=1.8 if name == MEMBERS else 1.2)
        for name, scores in reversed(list(systems.items()))
    ]
    alt = f"{what} by lead time; the numbers are in a table"
    return Markup(line_chart(alt, lines, LEAD_TIME, f"{what} {unit}".rstrip(), zero=zero, ideal=ideal))


def _rank_chart(ensembles: Systems) -> Markup:
    styles = system_styles()
    own, *others = (
        Line(listed(scores.ranks.frequencies), styles[name], at=range(scores.members + 1))
        for name, scores in ensembles.items()
        if scores.ranks is not None
    )
    alt = "rank histogram; the numbers are in evaluation.json"
    return Markup(rank_chart(alt, own, others, "members below the truth", "share of pixels"))


def _reliability(ensembles: Systems, position: int, threshold: str) -> Markup:
    styles = system_styles()
    lines = []
    for name, scores in reversed(list(ensembles.items())):
        bins = scores.exceedance[position].bins
        lines.append(
            Line(
                [each.frequency for each in bins],
                styles[name],
                at=[each.probability for each in bins],
                width=1.8 if name == MEMBERS else 1.2,
            )
        )
    alt = f"reliability diagram of at least {threshold}; the numbers are in a table"
    return Markup(reliability_diagram(alt, lines, "share of members", "observed frequency"))


def _groups(systems: Systems, ensembles: Systems, reached: Sequence[str]) -> list[ScoreGroup]:
    unit = systems[MEMBERS].unit
    digits = score_digits(scores.mean_crps for scores in systems.values())
    found = [
        _group(f"CRPS {unit}".rstrip(), systems, lambda scores: (scores.crps, scores.mean_crps), digits),
        _group(f"energy score {unit}".rstrip(), systems, lambda scores: (scores.energy, scores.mean_energy), digits),
        _group("spread over error", ensembles, lambda scores: (scores.spread_skill or [], scores.mean_spread_skill), 2),
    ]
    for position, threshold in enumerate(reached):
        found.append(
            _group(
                f"Brier score of at least {threshold}",
                systems,
                lambda scores, at=position: (scores.exceedance[at].brier, scores.exceedance[at].mean),  # type: ignore[misc]
                4,
            )
        )
    return found


def _group(
    heading: str,
    systems: Systems,
    score: Callable[[PooledMembers], tuple[Sequence[float], float | None]],
    digits: int,
) -> ScoreGroup:
    labels = system_labels()
    columns = []
    for name, scores in systems.items():
        by_lead_time, overall = score(scores)
        columns.append(
            ScoreColumn(labels[name], listed(by_lead_time), None if overall is None else finite(overall), None)
        )
    return ScoreGroup(heading, digits, "-", tuple(columns))
