"""An evaluation on disk.

evaluation.json     everything, with the definition of each metric
scores.csv          a row for each clip, lead time and system
by_lead_time.png    MSE, SSIM and sharpness of the forecast and of every baseline
worst.png, best.png the clips with the highest and lowest MSE relative to copying the last frame
report.html         all of it, to look at, in one file that opens without a network
"""

import csv
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from convlstm_cli.files import creating_folder, numbered
from convlstm_cli.reporting.charts import LABELS, STYLES
from convlstm_cli.reporting.pictures import Image, strip, write_image
from convlstm_cli.reporting.report import write_evaluation_report
from convlstm_cli.scoring.metrics import Scores, finite, psnr
from convlstm_cli.scoring.result import EvaluationReport, ShownClip

RECORD = "evaluation.json"
"""The file that makes a folder an evaluation."""


def free_folder(run: Path) -> Path:
    """A path inside a run folder that is not taken: evaluation-1, evaluation-2 and so on."""
    return numbered(run, "evaluation")


def write_scorecard(report: EvaluationReport, folder: Path) -> None:
    """Writes all files into a new folder, whole or not at all.

    Raises OutputError if there is something at `folder`, or it cannot be written.
    """
    content = report.to_dict()
    with creating_folder(folder) as partial:
        (partial / RECORD).write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")
        with (partial / "scores.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(_rows(report))
        _plot(content).savefig(partial / "by_lead_time.png", dpi=130)
        for name, clips in (("worst.png", report.worst), ("best.png", report.best)):
            write_image(partial / name, _picture(clips))
        write_evaluation_report(partial, content, report.worst, report.best)


def _rows(report: EvaluationReport) -> Iterator[list[object]]:
    """The lines of scores.csv, the first with their names. Frame numbers count from 1, lead times too."""
    thresholds = report.config.thresholds
    events = [f"{count}_{threshold:g}" for threshold in thresholds for count in ("hits", "misses", "false_alarms")]
    yield [
        *("video", "first_frame", "lead_time", "frame", "system"),
        *("mse", "mse_sum", "mae", "mae_sum", "psnr", "ssim", "sharpness", *events),
    ]
    systems = {"model": report.evaluation.model, **report.evaluation.baselines}
    tables = {name: _clip_scores(scores) for name, scores in systems.items()}
    for clip, (video, start) in enumerate(report.clips):
        for lead in range(len(report.evaluation.model.mse)):
            for name, (columns, values) in tables.items():
                mse, mae, ssim, gradient, true_gradient = (column[clip, lead] for column in columns)
                yield [
                    *(video, start + 1, lead + 1, start + report.input_frames + lead + 1, name),
                    *(mse, mse * values, mae, mae * values, finite(psnr(mse)), ssim),
                    gradient / true_gradient if true_gradient > 0 else None,
                    *(
                        int(rows[clip, lead])
                        for threshold in thresholds
                        for rows in systems[name].counts(threshold).values()
                    ),
                ]


def _clip_scores(scores: Scores) -> tuple[list[Any], int]:
    """Columns of what is kept of each clip, and the values of a frame."""
    names = ("mse", "mae", "ssim", "gradient", "true_gradient")
    return [scores.per_clip(name) for name in names], scores.frame_values


def _plot(content: dict[str, Any]) -> Figure:
    figure = Figure(figsize=(12, 3.8), layout="constrained")
    titles = {"mse": "MSE per pixel", "ssim": "SSIM", "sharpness": "sharpness (1 as the truth, below blur)"}
    panels = figure.subplots(1, len(titles))
    lines = {}
    for axes, (metric, title) in zip(panels, titles.items(), strict=True):
        for name, label in LABELS.items():
            # A gap where there is no number, such as the sharpness of flat frames.
            values = [math.nan if v is None else v for v in content[name]["by_lead_time"][metric]]
            width = 2.2 if name == "model" else 1.4
            [line] = axes.plot(
                range(1, len(values) + 1),
                values,
                color=STYLES[name].colour,
                dashes=STYLES[name].dashes or (None, None),
                linewidth=width,
                marker="." if len(values) <= 30 else None,
                zorder=3 if name == "model" else 2,
            )
            lines[label] = line
        if metric != "ssim":
            axes.set_ylim(bottom=0)
        if metric == "sharpness":
            axes.axhline(1, color="#999999", linewidth=0.8, linestyle=":")
        axes.set_title(title, fontsize=11)
        axes.set_xlabel("lead time in frames")
        axes.spines[["top", "right"]].set_visible(False)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.legend(lines.values(), lines, loc="outside lower center", ncols=len(lines), frameon=False)
    return figure


def _picture(clips: tuple[ShownClip, ...]) -> Image:
    """The clips below each other: input, truth, forecast and every baseline."""
    pictures = []
    for clip in clips:
        ratio = (
            f"{clip.mse / clip.persistence_mse:.2f} times that of copying the last frame"
            if clip.persistence_mse
            else "copying the last frame is exact"
        )
        title = f"{clip.video} from frame {clip.first_frame}: MSE {clip.mse:.5f}, {ratio}"
        pictures.append(strip({LABELS.get(name, name): frames for name, frames in clip.rows.items()}, title))
    return np.vstack(pictures)
