"""The HTML report of a comparison: differences, lead times, learning curves, forecasts, and what peepholes do."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from markupsafe import Markup
from torch import Tensor

from convlstm_cli.reporting.bar_charts import Bars, dotted_bars, quantile_bars, two_sided_bars
from convlstm_cli.reporting.films import film
from convlstm_cli.reporting.forest_chart import forest_chart
from convlstm_cli.reporting.heat_map import heat_map
from convlstm_cli.reporting.line_charts import Line, curves_chart, line_chart
from convlstm_cli.reporting.numbers import interval, percent
from convlstm_cli.reporting.page import LEAD_TIME, lead_chart, legend, scale, score_group, title, write_page
from convlstm_cli.reporting.pictures import data_uri, encode
from convlstm_cli.reporting.styles import Style, arm_styles, system_headings, system_labels, system_styles
from convlstm_cli.scoring.anatomy_result import Anatomy, KnockOut, PeepholeWeights, Saturation
from convlstm_cli.scoring.comparison_result import ArmSummary, ComparisonSummary
from convlstm_cli.scoring.metrics import METRICS
from convlstm_cli.video.painting import Painter

QUANTILES = ("0", "0.05", "0.25", "0.5", "0.75", "0.95", "1")
GATES = {"i": "input gate", "f": "forget gate", "o": "output gate", "g": "candidate"}
KNOCKED_OUT = {"i": "W_ci", "f": "W_cf", "o": "W_co", "all": "all three"}
"""What peepholes are called that are set to zero, by their gate."""

Row = TypeVar("Row", Saturation, PeepholeWeights, KnockOut)
Value = TypeVar("Value", bound=Hashable)
Entry = TypeVar("Entry")


@dataclass(frozen=True)
class ComparedClip:
    """A test clip with the baselines and every arm."""

    video: str
    first_frame: int
    """Number of the first frame of the input, from 1."""
    rows: dict[str, Tensor]
    """input, truth, persistence, optical_flow and every arm by its name: (T, C, H, W) in [0, 1] on the CPU, with NaN
    where pixels are missing."""


def write_comparison_report(
    folder: Path,
    summary: ComparisonSummary,
    clips: Sequence[ComparedClip],
    painter: Painter = Painter(),  # noqa: B008 - frozen
) -> Path:
    """Writes report.html of a comparison.

    Args:
        folder: is there already.
        summary: what the comparison found.
        clips: are shown as films, in this order.
        painter: draws their frames; those of 8-bit pictures if not given.

    Raises OutputError where the system refuses.
    """
    names = [arm.name for arm in summary.arms]
    styles = arm_styles(names)
    labels = {**system_labels(), **{name: name for name in names}}
    baselines = {name: system_styles()[name] for name in summary.baselines}
    systems = {**summary.baselines, **{arm.name: arm.scores for arm in summary.arms}}
    intervals: dict[str, dict[str, Any]] = {arm.name: dict(arm.intervals or {}) for arm in summary.arms}
    return write_page(
        folder,
        "comparison.html",
        summary=summary,
        name=Path(summary.folder).name,
        legend=legend(labels, styles | baselines),
        arms_legend=legend(labels, styles),
        forest=_forest(summary, styles),
        leads=[lead_chart(systems, METRICS[metric], styles | baselines, intervals) for metric in ("mse", "ssim")],
        differences=_difference_chart(summary, styles),
        groups=[
            score_group(systems, METRICS[metric], labels, intervals=intervals) for metric in ("mse", "ssim", "psnr")
        ],
        curves=_seed_curves(summary.arms, styles),
        films=[film(title(clip), clip.rows, system_headings(), painter) for clip in clips],
        scale=scale([clip.rows for clip in clips], painter),
        anatomy=_anatomy(summary.anatomy, styles),
        settings=[
            *summary.settings.items(),
            ("seeds", {"seeds": ", ".join(map(str, summary.seeds))}),
            ("computed on", summary.compute),
            ("versions", summary.versions),
        ],
    )


def _forest(summary: ComparisonSummary, styles: Mapping[str, Style]) -> Markup:
    rows, words = {}, []
    for name, found in summary.differences.items():
        ends = found.relative_interval
        rows[name] = Line([found.relative], styles[name], interval=None if ends is None else [ends])
        words.append(f"{name} {percent(found.relative)}, {interval(ends, percent)}")
    alt = f"Test MSE relative to {summary.reference}, with 95 % intervals: {'; '.join(words)}"
    return Markup(forest_chart(alt, rows, "difference in test MSE (left is better)"))


def _difference_chart(summary: ComparisonSummary, styles: Mapping[str, Style]) -> Markup:
    lines = [
        Line(
            [lead.relative for lead in found.by_lead_time],
            styles[name],
            interval=[lead.relative_interval for lead in found.by_lead_time],
            solid=[lead.outcome != "undetectable" for lead in found.by_lead_time],
        )
        for name, found in summary.differences.items()
    ]
    alt = f"difference in MSE relative to {summary.reference} by lead time; the numbers are in a table"
    return Markup(line_chart(alt, lines, LEAD_TIME, "difference in MSE", zero="line", percent=True))


def _seed_curves(arms: Sequence[ArmSummary], styles: Mapping[str, Style]) -> Markup:
    lines = [
        Line(
            [epoch.validation_mse for epoch in run.history],
            styles[arm.name],
            at=[epoch.steps for epoch in run.history],
            width=0.9,
        )
        for arm in arms
        for run in arm.runs
        if run.history
    ]
    heading = f"validation {METRICS['mse'].label(arms[0].scores.unit)}"
    return Markup(curves_chart("validation MSE of every run against its steps", lines, "steps", heading))


def _anatomy(anatomy: Anatomy, styles: Mapping[str, Style]) -> dict[str, Any]:
    """What the template's section about peepholes shows."""
    return {
        "conclusions": anatomy.conclusions,
        "gates": GATES,
        "knocked_out": KNOCKED_OUT,
        "rows": anatomy,
        "knock_out": _knock_out_chart(anatomy.knock_out, styles) if anatomy.knock_out else None,
        "peepholes": _gate_charts(
            anatomy.peepholes, styles, quantile_bars, "weight", lambda row: [row.quantiles[key] for key in QUANTILES]
        ),
        "saturation": _gate_charts(
            anatomy.saturation,
            styles,
            two_sided_bars,
            "closed (left), open (right)",
            lambda row: (row.closed, row.open),
        ),
        **_maps(anatomy.peepholes),
    }


def _knock_out_chart(rows: Sequence[KnockOut], styles: Mapping[str, Style]) -> Markup:
    labels = [KNOCKED_OUT[gate] for gate in _distinct(row.gate for row in rows)]
    bars = _bars(
        rows, lambda row: row.gate, styles, lambda row: None if row.relative is None else (row.relative, row.by_seed)
    )
    words = "; ".join(f"{row.arm} without {KNOCKED_OUT[row.gate]} {percent(row.relative)}" for row in rows)
    return Markup(dotted_bars(f"Rise of the test MSE without peepholes: {words}", labels, bars, "rise of test MSE"))


def _gate_charts(
    rows: Sequence[Row],
    styles: Mapping[str, Style],
    draw: Callable[[str, Sequence[str], Sequence[Bars[Sequence[float]]], str, float], str],
    x_label: str,
    entry: Callable[[Row], Sequence[float]],
) -> list[tuple[str, Markup]]:
    """A chart for each gate, with a row for each layer and a bar for each arm, all on one scale."""
    charts = []
    reach = max((abs(value) for row in rows for value in entry(row)), default=0.0) or 0.01
    for gate in _distinct(row.gate for row in rows):
        mine = [row for row in rows if row.gate == gate]
        alt = f"{GATES[gate]}, {x_label} by layer; the numbers are in a table"
        bars = _bars(mine, _layer, styles, entry)
        charts.append((gate, Markup(draw(alt, _distinct(map(_layer, mine)), bars, x_label, reach))))
    return charts


def _layer(row: Saturation | PeepholeWeights | KnockOut) -> str:
    assert not isinstance(row, KnockOut)  # which is about all layers
    return row.layer


def _bars(
    rows: Sequence[Row], key: Callable[[Row], str], styles: Mapping[str, Style], entry: Callable[[Row], Entry | None]
) -> list[Bars[Entry]]:
    """For each arm its entries in the order in which the values of `key` come first."""
    keys = _distinct(map(key, rows))
    found = {(row.arm, key(row)): entry(row) for row in rows}
    return [Bars(styles[arm], [found.get((arm, each)) for each in keys]) for arm in _distinct(row.arm for row in rows)]


def _maps(peepholes: Sequence[PeepholeWeights]) -> dict[str, Any]:
    """The maps of full peepholes, all on one symmetric scale."""
    mapped = [(row, row.map) for row in peepholes if row.map is not None]
    limit = max((abs(value) for _, rows in mapped for line in rows for value in line), default=0.0) or 1.0
    pictures = {
        (row.arm, row.layer, row.gate): data_uri("webp", encode(heat_map(values, limit), ".webp"))
        for row, values in mapped
    }
    gates = _distinct(row.gate for row, _ in mapped)
    scale = [[limit * (step - 50) / 50 for step in range(101)]]
    return {
        "maps": [
            {
                "arm": arm,
                "gates": gates,
                "rows": [
                    (layer, [(gate, pictures.get((arm, layer, gate))) for gate in gates])
                    for layer in _distinct(row.layer for row, _ in mapped if row.arm == arm)
                ],
            }
            for arm in _distinct(row.arm for row, _ in mapped)
        ],
        "limit": limit,
        "scale": data_uri("webp", encode(heat_map(scale, limit), ".webp")),
    }


def _distinct(values: Iterable[Value]) -> list[Value]:
    """The values, each once, in the order in which they come first."""
    return list(dict.fromkeys(values))
