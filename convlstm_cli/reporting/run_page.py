"""The HTML report of a run: its test scores, its learning curves, a validation clip and its settings."""

from pathlib import Path
from typing import Any

from markupsafe import Markup

from convlstm_cli.reporting.line_charts import Line, curves_chart
from convlstm_cli.reporting.page import lead_chart, legend, score_group, unit_of, write_page
from convlstm_cli.reporting.pictures import data_uri
from convlstm_cli.reporting.styles import system_labels, system_styles
from convlstm_cli.runs.run import SAMPLES, Run
from convlstm_cli.scoring.baselines import BASELINES
from convlstm_cli.scoring.evaluation import recorded_systems
from convlstm_cli.scoring.metrics import METRICS
from convlstm_cli.scoring.systems import MODEL

CURVES = ("persistence", MODEL)
"""Systems whose validation MSE is drawn, the model in front."""


def write_run_report(run: Run) -> Path:
    """Writes report.html of a run from its metrics.jsonl, test.json and samples. Returns the file's path."""
    history, test = run.read_metrics(), run.read_test()
    systems = recorded_systems(test) if test else {}
    labels, styles = system_labels(), system_styles()
    brief = [metric for metric in METRICS.values() if metric.brief]
    return write_page(
        run.folder,
        "run.html",
        run=run,
        test=test,
        systems=systems,
        values=run.values,
        unit=METRICS["mse"].unit(unit_of(systems)),
        others=[
            (BASELINES[name].phrase, systems[name]) for name in BASELINES if name in systems and name not in CURVES
        ],
        legend=legend(labels, {name: styles[name] for name in systems}),
        leads=[lead_chart(systems, metric) for metric in brief if metric.panel] if test else [],
        groups=[score_group(systems, metric, labels) for metric in brief] if test else [],
        curves_legend=legend(labels, {name: styles[name] for name in reversed(CURVES)}),
        curves=_curves(history) if history else None,
        samples=[(epoch, data_uri("png", path.read_bytes())) for epoch, path in _samples(run)],
    )


def _samples(run: Run) -> list[tuple[int, Path]]:
    """The first and the last picture of a validation clip, each with its epoch."""
    files = (run.folder / SAMPLES).glob("epoch_*.png")
    pictures = {int(path.stem[6:]): path for path in files if path.stem[6:].isdecimal() and path.is_file()}
    return [(epoch, pictures[epoch]) for epoch in sorted({min(pictures), max(pictures)})] if pictures else []


def _curves(history: list[dict[str, Any]]) -> Markup:
    unit = history[0]["validation"][MODEL]["unit"]
    epochs, styles = [row["epoch"] for row in history], system_styles()
    lines = [
        Line([row["validation"][name]["mean"]["mse"] for row in history], styles[name], at=epochs) for name in CURVES
    ]
    heading = f"validation {METRICS['mse'].label(unit)}"
    return Markup(curves_chart("validation MSE after each epoch", lines, "epoch", heading))
