"""The HTML report of an evaluation: what its skills say, scores by lead time, the worst and the best clips."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from markupsafe import Markup

from convlstm_cli.compute.versions import versions
from convlstm_cli.reporting.films import film
from convlstm_cli.reporting.line_charts import Line, line_chart
from convlstm_cli.reporting.members_section import members_section
from convlstm_cli.reporting.page import (
    LEAD_TIME,
    ScoreGroup,
    lead_chart,
    legend,
    scale,
    score_group,
    title,
    unit_of,
    write_page,
)
from convlstm_cli.reporting.spectra_section import spectra_section
from convlstm_cli.reporting.styles import system_headings, system_labels, system_styles
from convlstm_cli.reporting.wording import evaluation_verdict, ranges, worse_leads
from convlstm_cli.scoring import bootstrap
from convlstm_cli.scoring.baselines import BASELINES
from convlstm_cli.scoring.bootstrap import Skill
from convlstm_cli.scoring.formulae import finite
from convlstm_cli.scoring.metrics import EVENT_METRICS, METRICS
from convlstm_cli.scoring.result import EvaluationReport
from convlstm_cli.scoring.scores import PooledScores
from convlstm_cli.video.colour import colour_name


def write_evaluation_report(folder: Path, report: EvaluationReport) -> Path:
    """Writes report.html of an evaluation into a folder that exists. Returns the file's path."""
    systems, labels, styles = report.evaluation.pooled(), system_labels(), system_styles()
    model = report.evaluation.model
    channels, height, width = report.frame_shape
    headings = system_headings()
    return write_page(
        folder,
        "evaluation.html",
        report=report,
        height=height,
        width=width,
        colour="colour" if channels == 3 else colour_name(channels),
        level=bootstrap.LEVEL,
        resamples=bootstrap.RESAMPLES,
        verdict=evaluation_verdict(report),
        members=None if report.members is None else members_section(report.members),
        spectra=None if report.spectra is None else spectra_section(report.spectra),
        legend=legend(labels, {name: styles[name] for name in systems}),
        leads=[lead_chart(systems, metric) for metric in METRICS.values() if metric.panel]
        + [_skill_chart(report.skills)],
        skills=[
            (BASELINES[name].phrase, skill, ranges(worse_leads(model.mse, report.evaluation.baselines[name].mse)))
            for name, skill in report.skills.items()
        ],
        groups=_groups(systems, labels),
        films={
            which: [(film(title(clip), clip.rows, headings, report.painter), clip) for clip in clips]
            for which, clips in (("worst", report.worst), ("best", report.best))
        },
        scale=scale([clip.rows for clip in (*report.worst, *report.best)], report.painter),
        videos=[{"video": each.name, "path": each.path, "clips": report.clips_of(each)} for each in report.videos],
        settings=[
            (
                "runs",
                {
                    "runs": ", ".join(str(run.folder) for run in report.runs),
                    "folders": ", ".join(report.folders) or "the runs' own test videos",
                },
            ),
            ("options", asdict(report.config)),
            ("computed on", {"device": report.compute.device, "precision": report.compute.precision}),
            ("versions", versions()),
        ],
        definitions=report.definitions,
        unit=METRICS["mse"].unit(report.values.unit),
    )


def _groups(systems: Mapping[str, PooledScores], labels: Mapping[str, str]) -> list[ScoreGroup]:
    """A table for each metric, and for each threshold of each event metric."""
    groups = [score_group(systems, metric, labels) for metric in METRICS.values() if metric.tabulated]
    for at_threshold in zip(*(scores.events for scores in systems.values()), strict=True):
        events = dict(zip(systems, at_threshold, strict=True))
        for metric in EVENT_METRICS.values():
            if metric.tabulated:
                heading = f"{metric.heading} of at least {at_threshold[0].threshold:g} {unit_of(systems)}".rstrip()
                groups.append(score_group(events, metric, labels, heading=heading))
    return groups


def _skill_chart(skills: Mapping[str, Skill]) -> Markup:
    styles = system_styles()
    lines = []
    for name, skill in skills.items():
        by_lead = skill.interval_by_lead_time
        ends = None if by_lead is None else [[finite(low), finite(high)] for low, high in by_lead]
        lines.append(Line([finite(value) for value in skill.by_lead_time], styles[name], interval=ends))
    return Markup(line_chart("skill by lead time", lines, LEAD_TIME, "skill against each", zero="line"))
