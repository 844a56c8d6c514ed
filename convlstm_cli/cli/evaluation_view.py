"""An evaluation on the terminal."""

import math
from collections.abc import Mapping

from rich.console import RenderableType
from rich.table import Table

from convlstm_cli.cli.member_views import member_tables
from convlstm_cli.cli.score_tables import View, by_heading, score_table, shown_leads
from convlstm_cli.cli.tables import plain_table
from convlstm_cli.reporting.numbers import interval, number
from convlstm_cli.reporting.wording import evaluation_verdict, ranges, worse_leads
from convlstm_cli.scoring import bootstrap
from convlstm_cli.scoring.baselines import BASELINES
from convlstm_cli.scoring.metrics import EVENT_METRICS, METRICS
from convlstm_cli.scoring.result import EvaluationReport
from convlstm_cli.scoring.scores import PooledEvents
from convlstm_cli.video.colour import colour_name

COLUMNS = 8
"""Columns of scores that fit a terminal side by side."""


def evaluation_view(report: EvaluationReport) -> View:
    """Scores by lead time beside every baseline, skills with their intervals, and what they say in words."""
    columns = by_heading(report.evaluation.pooled())
    leads = shown_leads(report.evaluation.model.lead_times)
    scored, clips = len(report.videos), len(report.clips)
    channels, height, width = report.frame_shape
    line = (
        f"{clips} clip{'s' * (clips != 1)} of {scored} video{'s' * (scored != 1)}, at {height}x{width} pixels in "
        f"{'colour' if channels == 3 else colour_name(channels)}"
    )
    tables: list[RenderableType] = []
    shown = [metric for metric in METRICS.values() if metric.tabulated]
    beside = max(1, COLUMNS // len(columns))
    for first in range(0, len(shown), beside):
        tables += [score_table(columns, *shown[first : first + beside], leads=leads), ""]
    for at_threshold in zip(*(scores.events for scores in columns.values()), strict=True):
        tables += [_event_table(dict(zip(columns, at_threshold, strict=True)), leads, report.values.unit), ""]
    if report.members is not None:
        tables += [*member_tables(report.members, leads), ""]
    return line, "", *tables, _skill_table(report), "", *evaluation_verdict(report), "", *_definitions(report)


def _event_table(events: Mapping[str, PooledEvents], leads: list[int], unit: str) -> Table:
    """Scores of reaching one threshold in `unit`: by lead time what is tabulated, and all over all lead times."""
    threshold = next(iter(events.values())).threshold
    shown = [metric for metric in EVENT_METRICS.values() if metric.tabulated]
    heads = (f"{metric.heading}\n{name}" for metric in shown for name in events)
    table = plain_table(f"at least\n{threshold:g} {unit}".rstrip(), *heads)
    for lead in leads:
        values = (
            number(scores.by_lead_time[metric.name][lead], metric.decimals, metric.missing)
            for metric in shown
            for scores in events.values()
        )
        table.add_row(str(lead + 1), *values)
    for metric in EVENT_METRICS.values():
        means = (number(scores.mean[metric.name], metric.decimals, metric.missing) for scores in events.values())
        table.add_row(f"all {metric.heading}", *means, style="bold")
    return table


def _skill_table(report: EvaluationReport) -> Table:
    """Skill against each baseline with its interval, and where the forecast is worse."""
    table = plain_table(
        "against", "skill", f"{bootstrap.LEVEL:.0%} interval", "MSE in times of it", "worse at lead times"
    )
    model = report.evaluation.model
    for name, skill in report.skills.items():
        baseline = report.evaluation.baselines[name]
        table.add_row(
            BASELINES[name].phrase,
            number(skill.mean, 3, "−∞"),
            "none" if skill.interval is None else interval(skill.interval, number, 3, "−∞"),
            number(model.mean_mse / baseline.mean_mse, 3) if baseline.mean_mse else "",
            ranges(worse_leads(model.mse, baseline.mse)) or "none",
        )
    return table


def _definitions(report: EvaluationReport) -> list[str]:
    """What the columns are, in lines that fit a terminal."""
    of_frame, values = math.prod(report.frame_shape), report.values
    errors = "in shares of these ranges" if values.bands else "in their unit"
    scale = "lie in [0, 1]" if values.as_shares else f"are {values.describe()}, and errors {errors}"
    lines = [
        f"Values {scale}. MSE, MAE and bias are means over pixels and channels; MSE sum is over the",
        f"{of_frame} values of a frame, as papers on video prediction print it. PSNR is of the mean MSE.",
        "SSIM: Wang et al. 2004, as torchmetrics has it: Gaussian window 11x11, σ = 1.5, of values in [0, 1].",
        "Sharpness: mean gradient of the forecast over that of the truth; blur lowers it, noise raises it.",
        "Skill is 1 - MSE / MSE of the baseline; its interval is a bootstrap over videos "
        f"({bootstrap.RESAMPLES} draws).",
    ]
    if report.config.thresholds:
        lines.append("CSI, POD and FAR are of values at or above the threshold, counts pooled over clips.")
    return lines
