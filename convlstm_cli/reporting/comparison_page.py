"""The HTML report of a comparison: differences, lead times, learning curves, forecasts, and what peepholes do."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup
from torch import Tensor

from convlstm_cli.reporting.charts import (
    Bars,
    Line,
    curves_chart,
    dotted_bars,
    forest_chart,
    heat_map,
    line_chart,
    quantile_bars,
    two_sided_bars,
)
from convlstm_cli.reporting.films import film
from convlstm_cli.reporting.numbers import interval, percent
from convlstm_cli.reporting.page import LEAD_TIME, lead_chart, legend, score_group, title, write_page
from convlstm_cli.reporting.pictures import data_uri, encode
from convlstm_cli.reporting.styles import Style, arm_styles, system_headings, system_labels, system_styles
from convlstm_cli.scoring.metrics import METRICS
from convlstm_cli.scoring.scores import PooledScores

QUANTILES = ("0", "0.05", "0.25", "0.5", "0.75", "0.95", "1")
GATES = {"i": "input gate", "f": "forget gate", "o": "output gate", "g": "candidate"}
KNOCKED_OUT = {"i": "W_ci", "f": "W_cf", "o": "W_co", "all": "all three"}


@dataclass(frozen=True)
class ComparedClip:
    """A test clip with the baselines and every arm."""

    video: str
    first_frame: int
    """Number of the first frame of the input, from 1."""
    rows: dict[str, Tensor]
    """input, truth, persistence, optical_flow and every arm by its name: (T, C, H, W) in [0, 1] on the CPU."""


def write_comparison_report(folder: Path, summary: dict[str, Any], clips: Sequence[ComparedClip]) -> Path:
    """Writes report.html of a comparison into `folder`.

    Args:
        folder: is there already.
        summary: what summary.json holds.
        clips: are shown as films, in this order.
    """
    arms = {arm["name"]: arm for arm in summary["arms"]}
    styles = arm_styles(list(arms))
    labels = {**system_labels(), **{name: name for name in arms}}
    baselines = {name: system_styles()[name] for name in summary["baselines"]}
    scores = {**summary["baselines"], **{name: arm["scores"] for name, arm in arms.items()}}
    systems = {name: PooledScores.from_dict(of_system) for name, of_system in scores.items()}
    intervals = {name: arm["intervals"] or {} for name, arm in arms.items()}
    return write_page(
        folder,
        "comparison.html",
        summary=summary,
        name=Path(summary["folder"]).name,
        legend=legend(labels, styles | baselines),
        arms_legend=legend(labels, styles),
        forest=_forest(summary, styles),
        leads=[lead_chart(systems, METRICS[metric], styles | baselines, intervals) for metric in ("mse", "ssim")],
        differences=_difference_chart(summary, styles),
        groups=[
            score_group(systems, METRICS[metric], labels, intervals=intervals) for metric in ("mse", "ssim", "psnr")
        ],
        curves=_seed_curves(summary["arms"], styles),
        films=[film(title(clip), clip.rows, system_headings()) for clip in clips],
        anatomy=_anatomy(summary["anatomy"], styles) if summary["anatomy"] else None,
        settings=[
            *summary["settings"].items(),
            ("seeds", {"seeds": ", ".join(map(str, summary["seeds"]))}),
            ("computed on", summary["compute"]),
            ("versions", summary["versions"]),
        ],
    )


def _forest(summary: dict[str, Any], styles: Mapping[str, Style]) -> Markup:
    rows, words = {}, []
    for name, found in summary["differences"].items():
        ends = found["relative_interval"]
        rows[name] = Line([found["relative"]], styles[name], interval=None if ends is None else [ends])
        words.append(f"{name} {percent(found['relative'])}, {interval(ends, percent)}")
    reference = summary["reference"]
    alt = f"Test MSE relative to {reference}, with 95 % intervals: {'; '.join(words)}"
    return Markup(forest_chart(alt, rows, "difference in test MSE (left is better)"))


def _difference_chart(summary: dict[str, Any], styles: Mapping[str, Style]) -> Markup:
    lines = []
    for name, found in summary["differences"].items():
        leads = found["by_lead_time"]
        lines.append(
            Line(
                [lead["relative"] for lead in leads],
                styles[name],
                interval=[lead["relative_interval"] for lead in leads],
                solid=[lead["outcome"] != "undetectable" for lead in leads],
            )
        )
    alt = f"difference in MSE relative to {summary['reference']} by lead time; the numbers are in a table"
    return Markup(line_chart(alt, lines, LEAD_TIME, "difference in MSE", zero="line", percent=True))


def _seed_curves(arms: list[dict[str, Any]], styles: Mapping[str, Style]) -> Markup:
    lines = [
        Line(
            [row["validation_mse"] for row in run["history"]],
            styles[arm["name"]],
            at=[row["steps"] for row in run["history"]],
            width=0.9,
        )
        for arm in arms
        for run in arm["runs"]
        if run["history"]
    ]
    return Markup(curves_chart("validation MSE of every run against its steps", lines, "steps", "validation MSE"))


def _anatomy(anatomy: dict[str, Any], styles: Mapping[str, Style]) -> dict[str, Any]:
    """What the template's section of that name shows."""
    saturation, peepholes, knock_out = anatomy["saturation"], anatomy["peepholes"], anatomy["knock_out"]
    return {
        "conclusions": anatomy.get("conclusions", []),
        "gates": GATES,
        "knocked_out": KNOCKED_OUT,
        "rows": anatomy,
        "knock_out": _knock_out_chart(knock_out, styles) if knock_out else None,
        "peepholes": _gate_charts(
            peepholes, styles, quantile_bars, "weight", lambda row: [row["quantiles"][key] for key in QUANTILES]
        ),
        "saturation": _gate_charts(
            saturation, styles, two_sided_bars, "closed (left), open (right)", lambda row: (row["closed"], row["open"])
        ),
        **_maps(peepholes),
    }


def _knock_out_chart(rows: list[dict[str, Any]], styles: Mapping[str, Style]) -> Markup:
    labels = [KNOCKED_OUT[gate] for gate in _distinct(rows, "gate")]
    bars = _bars(
        rows, "gate", styles, lambda row: None if row["relative"] is None else (row["relative"], row["by_seed"])
    )
    words = "; ".join(f"{row['arm']} without {KNOCKED_OUT[row['gate']]} {percent(row['relative'])}" for row in rows)
    return Markup(dotted_bars(f"Rise of the test MSE without peepholes: {words}", labels, bars, "rise of test MSE"))


def _gate_charts(
    rows: list[dict[str, Any]],
    styles: Mapping[str, Style],
    draw: Callable[[str, Sequence[str], Sequence[Bars], str, float], str],
    x_label: str,
    entry: Callable[[dict[str, Any]], Any],
) -> list[tuple[str, Markup]]:
    """A chart for each gate, with a row for each layer and a bar for each arm, all on one scale."""
    charts = []
    reach = max((abs(value) for row in rows for value in entry(row)), default=0.0) or 0.01
    for gate in _distinct(rows, "gate"):
        mine = [row for row in rows if row["gate"] == gate]
        alt = f"{GATES[gate]}, {x_label} by layer; the numbers are in a table"
        bars = _bars(mine, "layer", styles, entry)
        charts.append((gate, Markup(draw(alt, _distinct(mine, "layer"), bars, x_label, reach))))
    return charts


def _bars(
    rows: list[dict[str, Any]], by: str, styles: Mapping[str, Style], entry: Callable[[dict[str, Any]], Any]
) -> list[Bars]:
    """For each arm its entries in the order in which the values of `by` come first."""
    keys = _distinct(rows, by)
    found = {(row["arm"], row[by]): entry(row) for row in rows}
    return [Bars(styles[arm], [found.get((arm, key)) for key in keys]) for arm in _distinct(rows, "arm")]


def _maps(peepholes: list[dict[str, Any]]) -> dict[str, Any]:
    """The maps of full peepholes, all on one symmetric scale."""
    mapped = [row for row in peepholes if row["map"] is not None]
    limit = max((abs(value) for row in mapped for line in row["map"] for value in line), default=0.0) or 1.0
    pictures = {
        (row["arm"], row["layer"], row["gate"]): data_uri("webp", encode(heat_map(row["map"], limit), ".webp"))
        for row in mapped
    }
    scale = [[limit * (step - 50) / 50 for step in range(101)]]
    return {
        "maps": [
            {
                "arm": arm,
                "gates": _distinct(mapped, "gate"),
                "rows": [
                    (layer, [(gate, pictures.get((arm, layer, gate))) for gate in _distinct(mapped, "gate")])
                    for layer in _distinct((row for row in mapped if row["arm"] == arm), "layer")
                ],
            }
            for arm in _distinct(mapped, "arm")
        ],
        "limit": limit,
        "scale": data_uri("webp", encode(heat_map(scale, limit), ".webp")),
    }


def _distinct(rows: Iterable[dict[str, Any]], key: str) -> list[str]:
    """The values of a key, in the order in which they come first."""
    return list(dict.fromkeys(row[key] for row in rows))
