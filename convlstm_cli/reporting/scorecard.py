"""An evaluation on disk.

evaluation.json       all results, with the definition of each metric
scores.csv            a row for each clip, lead time and system
members.csv           likewise of scores of members, where there are any
by_lead_time.png      MSE, SSIM and sharpness of the forecast, guarded or not, and of every baseline
worst.png, best.png   the clips with the highest and lowest MSE relative to copying the last frame
report.html           all results as a page in one file, which opens without a network
"""

import csv
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from convlstm_cli.files import creating_folder
from convlstm_cli.reporting.drawing import settle
from convlstm_cli.reporting.evaluation_page import write_evaluation_report
from convlstm_cli.reporting.line_charts import MARKED
from convlstm_cli.reporting.numbers import figure, times
from convlstm_cli.reporting.page import LEAD_TIME, title, unit_of
from convlstm_cli.reporting.pictures import Image, strip, with_bar, write_image
from convlstm_cli.reporting.styles import system_labels, system_styles
from convlstm_cli.scoring.baselines import BASELINES
from convlstm_cli.scoring.formulae import finite
from convlstm_cli.scoring.members.ensemble_scores import EnsembleScores
from convlstm_cli.scoring.members.member_scores import PER_CLIP
from convlstm_cli.scoring.metrics import EVENT_METRICS, METRICS, Metric, columns_of
from convlstm_cli.scoring.result import EvaluationReport, ShownClip
from convlstm_cli.scoring.scores import PooledScores
from convlstm_cli.scoring.systems import MODEL
from convlstm_cli.video.painting import Painter

RECORD = "evaluation.json"
"""The file that identifies a folder as an evaluation."""
DPI = 130
"""Pixels per inch of the plot."""


def write_scorecard(report: EvaluationReport, folder: Path) -> None:
    """Writes all files of an evaluation into a new folder, whole or not at all.

    Raises OutputError where `folder` exists already or cannot be written.
    """
    text = json.dumps(report.to_dict(), indent=2, allow_nan=False) + "\n"
    with creating_folder(folder) as partial:
        (partial / RECORD).write_text(text, encoding="utf-8")
        with (partial / "scores.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(_rows(report))
        if report.evaluation.ensemble is not None:
            with (partial / "members.csv").open("w", encoding="utf-8", newline="") as file:
                csv.writer(file).writerows(_member_rows(report, report.evaluation.ensemble))
        _plot(report.evaluation.pooled()).savefig(partial / "by_lead_time.png", dpi=DPI)
        for name, clips in (("worst.png", report.worst), ("best.png", report.best)):
            write_image(partial / name, _picture(clips, report.painter, METRICS["mse"].unit(report.values.unit)))
        write_evaluation_report(partial, report)


def _rows(report: EvaluationReport) -> Iterator[list[object]]:
    """The lines of scores.csv, the header first. Frame numbers and lead times count from 1."""
    thresholds, systems = report.config.thresholds, report.evaluation.systems
    events = [f"{name}_{threshold:g}" for threshold in thresholds for name in columns_of(EVENT_METRICS)]
    yield ["video", "first_frame", "lead_time", "frame", "system", *METRICS, *events]
    counts = {
        name: [column for threshold in thresholds for column in scores.counts(threshold).values()]
        for name, scores in systems.items()
    }
    for clip, (video, start) in enumerate(report.clips):
        metrics = {name: scores.of_clip(clip) for name, scores in systems.items()}
        for lead in range(report.evaluation.model.lead_times):
            for name in systems:
                yield [
                    *(video, start + 1, lead + 1, start + report.input_frames + lead + 1, name),
                    *(finite(values[lead]) for values in metrics[name].values()),
                    *(int(column[clip, lead]) for column in counts[name]),
                ]


def _member_rows(report: EvaluationReport, ensemble: EnsembleScores) -> Iterator[list[object]]:
    """The lines of members.csv, the header first. Frame numbers and lead times count from 1."""
    yield ["video", "first_frame", "lead_time", "frame", "system", "count", *PER_CLIP]
    columns = {name: [scores.per_clip(each) for each in PER_CLIP] for name, scores in ensemble.systems.items()}
    for clip, (video, start) in enumerate(report.clips):
        for lead in range(report.evaluation.model.lead_times):
            for name, scores in ensemble.systems.items():
                yield [
                    *(video, start + 1, lead + 1, start + report.input_frames + lead + 1, name, scores.members),
                    *(finite(column[clip, lead]) for column in columns[name]),
                ]


def _plot(systems: Mapping[str, PooledScores]) -> Figure:
    """A panel for each metric that has one, with a line for each system."""
    shown = [metric for metric in METRICS.values() if metric.panel]
    figure = Figure(figsize=(4 * len(shown), 3.8), layout="constrained")
    panels = figure.subplots(1, len(shown), squeeze=False)[0]
    for axes, metric in zip(panels, shown, strict=True):
        _plot_metric(axes, metric, systems)
    lines, labels = panels[0].get_legend_handles_labels()
    figure.legend(lines, labels, loc="outside lower center", ncols=len(lines), frameon=False)
    settle(figure, FigureCanvasAgg, DPI)
    return figure


def _plot_metric(axes: Axes, metric: Metric, systems: Mapping[str, PooledScores]) -> None:
    labels, styles = system_labels(), system_styles()
    for name, scores in systems.items():
        # NaN leaves a gap, such as for the sharpness of flat frames.
        values = [math.nan if value is None else value for value in scores.by_lead_time[metric.name]]
        axes.plot(
            range(1, len(values) + 1),
            values,
            color=styles[name].colour,
            dashes=styles[name].dashes or (None, None),
            linewidth=2.2 if name == MODEL else 1.4,
            marker="." if len(values) <= MARKED else None,
            zorder=3 if name == MODEL else 2,
            label=labels[name],
        )
    if metric.bounds[0] == 0:
        axes.set_ylim(bottom=0)
    if metric.ideal is not None:
        axes.axhline(metric.ideal, color="#999999", linewidth=0.8, linestyle=":")
    unit = metric.unit(unit_of(systems))
    axes.set_title(f"{metric.panel}, {unit}" if unit else metric.panel, fontsize=11)
    axes.set_xlabel(LEAD_TIME)
    axes.spines[["top", "right"]].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _picture(clips: Sequence[ShownClip], painter: Painter, unit: str) -> Image:
    """The clips below each other, each with its input, truth, forecast and every baseline; `unit` is of the MSE."""
    labels = system_labels()
    rows = [{labels.get(name, name): frames for name, frames in clip.rows.items()} for clip in clips]
    strips = [strip(each, painter, _title(clip, unit)) for each, clip in zip(rows, clips, strict=True)]
    return with_bar(strips, rows, painter)


def _title(clip: ShownClip, unit: str) -> str:
    copying = BASELINES["persistence"].phrase
    ratio = (
        f"{times(clip.mse / clip.persistence_mse)} that of {copying}" if clip.persistence_mse else f"{copying} is exact"
    )
    return f"{title(clip)}: MSE {figure(clip.mse, unit)}, {ratio}"
