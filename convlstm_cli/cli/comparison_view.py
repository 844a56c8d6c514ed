"""A comparison on the terminal, finished or not."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

from convlstm_cli.cli.score_tables import View, score_table, shown_leads
from convlstm_cli.cli.tables import facts_table, plain_table
from convlstm_cli.paths import quoted
from convlstm_cli.reporting.numbers import interval, number, percent
from convlstm_cli.reporting.wording import decimals
from convlstm_cli.scoring.baselines import BASELINES
from convlstm_cli.scoring.metrics import METRICS

if TYPE_CHECKING:
    from convlstm_cli.runs.comparisons import UnfinishedComparison
    from convlstm_cli.scoring.comparison_result import ComparisonSummary


def comparison_view(summary: "ComparisonSummary") -> View:
    """The verdict, the differences it rests on, the arms with their costs, and the MSE by lead time."""
    scored = len(summary.videos)
    line = (
        f"{summary.clips} test clip{'s' * (summary.clips != 1)} of {scored} video{'s' * (scored != 1)}, "
        f"seeds {', '.join(map(str, summary.seeds))}, {summary.horizon} lead times"
    )
    columns = {arm.name: arm.scores for arm in summary.arms}
    columns[BASELINES["persistence"].heading] = summary.baselines["persistence"]
    leads = shown_leads(summary.horizon)
    costs = _cost_table(summary, decimals(METRICS["mse"], columns.values()))
    tables: list[RenderableType] = [score_table(columns, METRICS["mse"], leads=leads), "", costs, ""]
    warnings = [f"Note: {warning}" for warning in summary.warnings]
    sentences = [*summary.verdict, *warnings, *summary.anatomy.conclusions]
    return line, "", *tables, _difference_table(summary), "", *sentences


def _cost_table(summary: "ComparisonSummary", digits: int) -> Table:
    """What each arm costs and reaches."""
    heading = f"test {METRICS['mse'].label(summary.baselines['persistence'].unit)}"
    table = plain_table("arm", "parameters", "step", "steps", heading, "of copying", "of its seeds")
    reference = summary.baselines["persistence"].mean_mse
    for arm in summary.arms:
        of_seeds = [run.mse for run in arm.runs]
        table.add_row(
            escape(arm.name),
            f"{arm.parameters:,}",
            "-" if arm.step_seconds is None else f"{arm.step_seconds * 1e3:.0f} ms",
            str(arm.steps),
            number(arm.scores.mean_mse, digits),
            f"{arm.scores.mean_mse / reference:.3f}" if reference else "",
            f"{min(of_seeds):.{digits}f} to {max(of_seeds):.{digits}f}" if len(of_seeds) > 1 else "one seed",
        )
    return table


def _difference_table(summary: "ComparisonSummary") -> Table:
    """How each arm differs from the reference over all lead times."""
    table = plain_table(
        f"against {escape(summary.reference)}", "difference", "95% interval", "p", "p (Holm)", "d", "seeds better"
    )
    for name, difference in summary.differences.items():
        ends = difference.relative_interval
        table.add_row(
            escape(name),
            percent(difference.relative),
            "none" if ends is None else interval(ends, percent),
            number(difference.p, 3),
            number(difference.p_holm, 3),
            number(difference.effect_size, 2),
            f"{difference.seeds_better} of {difference.seeds}",
        )
    return table


def unfinished_view(found: "UnfinishedComparison") -> View:
    """How far a comparison is."""
    facts = dataclasses.asdict(found)
    del facts["kind"]
    return (
        facts_table(facts),
        "",
        f"not finished; go on with convlstm compare -o {quoted(Path(found.comparison))} --resume",
    )
