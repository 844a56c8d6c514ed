"""Tables of scores by lead time, and what they say in a line, for several views."""

from collections.abc import Mapping
from typing import Any

from rich.console import RenderableType
from rich.table import Table

from convlstm_cli.cli.tables import plain_table
from convlstm_cli.reporting.numbers import figure, number, times
from convlstm_cli.reporting.styles import system_headings
from convlstm_cli.reporting.wording import decimals
from convlstm_cli.scoring.baselines import BASELINES
from convlstm_cli.scoring.evaluation import recorded_systems
from convlstm_cli.scoring.metrics import METRICS, Metric
from convlstm_cli.scoring.scores import PooledScores

LEADS = 20
"""Lead times that an evaluation's tables show at most."""

View = tuple[RenderableType, ...]


def scores_view(test: dict[str, Any]) -> View:
    """Scores on the test videos by lead time, beside every baseline that there is."""
    systems = recorded_systems(test)
    columns = by_heading(systems)
    both = dict(list(columns.items())[:2])
    others = [metric for metric in METRICS.values() if metric.brief and metric.name != "mse"]
    return score_table(columns, METRICS["mse"]), "", score_table(both, *others), *mse_lines(systems)


def by_heading(systems: Mapping[str, PooledScores]) -> dict[str, PooledScores]:
    """Scores by the headings of their columns."""
    headings = system_headings()
    return {headings[name]: scores for name, scores in systems.items()}


def shown_leads(leads: int) -> list[int]:
    """At most `LEADS` of the lead times, from 0, evenly spread, with the first and the last."""
    shown = min(leads, LEADS)
    return sorted({round(step * (leads - 1) / max(1, shown - 1)) for step in range(shown)})


def score_table(columns: Mapping[str, PooledScores], *metrics: Metric, leads: list[int] | None = None) -> Table:
    """Metrics by lead time, side by side for each column; only `leads` (from 0) are shown where they are given."""
    cells = [(metric, scores) for metric in metrics for scores in columns.values()]
    some = next(iter(columns.values()))
    heads = (
        f"{metric.heading}\n{unit}\n{name}" if (unit := metric.unit(some.unit)) else f"{metric.heading}\n{name}"
        for metric in metrics
        for name in columns
    )
    table = plain_table("frames\nahead", *heads)
    leads = leads or list(range(len(some.mse)))
    digits = {metric.name: decimals(metric, columns.values()) for metric in metrics}

    def cell(value: float | None, metric: Metric) -> str:
        return number(value, digits[metric.name], metric.missing)

    for lead in leads:
        values = (cell(scores.by_lead_time[metric.name][lead], metric) for metric, scores in cells)
        table.add_row(str(lead + 1), *values)
    table.add_row("mean", *(cell(scores.mean[metric.name], metric) for metric, scores in cells), style="bold")
    return table


def mse_lines(systems: Mapping[str, PooledScores]) -> list[str]:
    """The model's MSE beside that of every baseline that there is, copying the last frame first."""
    mse, unit = systems["model"].mean_mse, METRICS["mse"].unit(systems["model"].unit)
    shown = figure(mse, unit)
    lines = []
    for name, baseline in BASELINES.items():
        if name not in systems:
            continue
        reference = systems[name].mean_mse
        if reference:
            worse = ": WORSE than that" if mse > reference else ""
            against = figure(reference, unit)
            lines.append(f"MSE {shown}, {times(mse / reference)} that of {baseline.phrase} ({against}){worse}")
        else:
            lines.append(f"MSE {shown}; {baseline.phrase} is exact here.")
    return lines
