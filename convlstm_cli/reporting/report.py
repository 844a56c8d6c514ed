"""The HTML reports of a run, an evaluation and a comparison: each is one file that opens without a network.

The templates share `base.html` (the look, and the script that plays films) and `macros.html`. Numbers that a page
shows are those of the JSON files beside it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from jinja2 import Environment, PackageLoader
from markupsafe import Markup
from torch import Tensor

from convlstm_cli.files import write_text
from convlstm_cli.reporting.charts import (
    LABELS,
    STYLES,
    Bars,
    Line,
    Style,
    arm_styles,
    curves_chart,
    dotted_bars,
    forest_chart,
    heat_map,
    line_chart,
    quantile_bars,
    swatch,
    two_sided_bars,
)
from convlstm_cli.reporting.films import FRAME_SECONDS, SIDE, film
from convlstm_cli.reporting.pictures import data_uri, encode
from convlstm_cli.reporting.wording import (
    IN_WORDS,
    MORE_METRICS,
    decimals,
    evaluation_verdict,
    ranges,
    size,
    worse_leads,
)
from convlstm_cli.runs.run import SAMPLES, Run

REPORT = "report.html"
LEAD_TIME = "lead time in frames"
FILM_LABELS = LABELS | {"persistence": "copying"}
"""Short enough for above a frame."""
QUANTILES = ("0", "0.05", "0.25", "0.5", "0.75", "0.95", "1")
GATES = {"i": "input gate", "f": "forget gate", "o": "output gate", "g": "candidate"}
KNOCKED_OUT = {"i": "W_ci", "f": "W_cf", "o": "W_co", "all": "all three"}


class Clip(Protocol):
    """What is shown of a clip."""

    @property
    def video(self) -> str:
        """Name of its video."""

    @property
    def first_frame(self) -> int:
        """Number of the first frame of the input, from 1."""

    @property
    def rows(self) -> dict[str, Tensor]:
        """input, truth and forecasts, each (T, C, H, W) in [0, 1] on the CPU."""


@dataclass(frozen=True)
class ComparedClip:
    """A test clip with the baselines and every arm."""

    video: str
    first_frame: int
    """Number of the first frame of the input, from 1."""
    rows: dict[str, Tensor]
    """input, truth, persistence, optical_flow and every arm by its name: (T, C, H, W) in [0, 1] on the CPU."""


def write_run_report(run: Run) -> Path:
    """Writes report.html of a run that has been tested."""
    history, test = run.read_metrics(), run.read_test()
    samples = (run.folder / SAMPLES).glob("epoch_*.png")
    pictures = {int(path.stem[6:]): path for path in samples if path.stem[6:].isdecimal() and path.is_file()}
    shown = sorted({min(pictures), max(pictures)}) if pictures else []
    systems = {name: test[name] for name in LABELS if name in test} if test else {}
    return _write(
        run.folder,
        "run.html",
        run=run,
        test=test,
        baselines=[(name, words) for name, words in IN_WORDS.items() if name in systems],
        legend=_legend(LABELS, {name: STYLES[name] for name in systems}),
        leads=[_lead_chart(systems, metric) for metric in ("mse", "ssim")] if test else [],
        groups=[_group(systems, metric, LABELS) for metric in ("mse", "psnr", "ssim")] if test else [],
        curves_legend=_legend(LABELS, {name: STYLES[name] for name in ("model", "persistence")}),
        curves=_run_curves(history) if history else None,
        samples=[(epoch, data_uri("png", pictures[epoch].read_bytes())) for epoch in shown],
    )


def write_evaluation_report(folder: Path, content: dict[str, Any], worst: Sequence[Clip], best: Sequence[Clip]) -> Path:
    """Writes report.html of an evaluation into `folder`.

    Args:
        folder: is there already.
        content: what evaluation.json holds.
        worst: the clips of `content["worst"]`, in that order, with the rows of their pictures.
        best: likewise.
    """
    systems = {name: content[name] for name in LABELS}
    thresholds = content["settings"]["thresholds"]
    groups = [_group(systems, metric, LABELS) for metric in MORE_METRICS if metric != "csi"]
    for position, threshold in enumerate(thresholds):
        events = {name: scores["events"][position] for name, scores in systems.items()}
        groups += [_group(events, "csi", LABELS, heading=f"CSI of at least {threshold:g}")]
    return _write(
        folder,
        "evaluation.html",
        content=content,
        name=", ".join(Path(run).name for run in content["runs"]),
        verdict=evaluation_verdict(content),
        legend=_legend(LABELS, {name: STYLES[name] for name in systems}),
        leads=[_lead_chart(systems, metric) for metric in ("mse", "ssim", "sharpness")] + [_skill_chart(content)],
        skills=[
            {"against": IN_WORDS[name], "worse": ranges(worse_leads(content, name)), **skill}
            for name, skill in content["skill_against"].items()
        ],
        groups=groups,
        films={
            which: [
                (film(_title(clip), clip.rows, FILM_LABELS), facts)
                for clip, facts in zip(clips, content[which], strict=True)
            ]
            for which, clips in (("worst", worst), ("best", best))
        },
    )


def write_comparison_report(folder: Path, summary: dict[str, Any], clips: Sequence[ComparedClip]) -> Path:
    """Writes report.html of a comparison into `folder`.

    Args:
        folder: is there already.
        summary: what summary.json holds.
        clips: are shown as films, in this order.
    """
    arms = {arm["name"]: arm for arm in summary["arms"]}
    styles = arm_styles(list(arms))
    labels = {**LABELS, **{name: name for name in arms}}
    baselines = {name: STYLES[name] for name in summary["baselines"]}
    systems = {**summary["baselines"], **{name: arm["scores"] for name, arm in arms.items()}}
    intervals = {name: arm["intervals"] or {} for name, arm in arms.items()}
    return _write(
        folder,
        "comparison.html",
        summary=summary,
        name=Path(summary["folder"]).name,
        legend=_legend(labels, styles | baselines),
        arms_legend=_legend(labels, styles),
        forest=_forest(summary, styles),
        leads=[_lead_chart(systems, metric, styles | baselines, intervals) for metric in ("mse", "ssim")],
        differences=_difference_chart(summary, styles),
        groups=[_group(systems, metric, labels, intervals=intervals) for metric in ("mse", "ssim", "psnr")],
        curves=_seed_curves(summary["arms"], styles),
        films=[film(_title(clip), clip.rows, FILM_LABELS) for clip in clips],
        anatomy=_anatomy(summary["anatomy"], styles) if summary["anatomy"] else None,
        settings=[
            *summary["settings"].items(),
            ("seeds", {"seeds": ", ".join(map(str, summary["seeds"]))}),
            ("computed on", summary["compute"]),
            ("versions", summary["versions"]),
        ],
    )


def _write(folder: Path, template: str, **content: Any) -> Path:
    environment = Environment(
        loader=PackageLoader("convlstm_cli.reporting"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= FILTERS
    environment.globals |= {"frame_seconds": FRAME_SECONDS, "frame_side": SIDE}
    path = folder / REPORT
    write_text(path, environment.get_template(template).render(content))
    return path


def _title(clip: Clip) -> str:
    return f"{clip.video} from frame {clip.first_frame}"


def _legend(labels: Mapping[str, str], styles: Mapping[str, Style]) -> list[tuple[str, Markup]]:
    """Names with a piece of their line each."""
    return [(labels[name], Markup(swatch(style))) for name, style in styles.items()]


def _group(
    systems: Mapping[str, dict[str, Any]],
    metric: str,
    labels: Mapping[str, str],
    *,
    heading: str = "",
    intervals: Mapping[str, dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """A metric of every system by lead time, as the template's table takes it."""
    return {
        "heading": heading or MORE_METRICS[metric][0],
        "digits": decimals(metric, dict(systems)),
        "missing": "∞" if metric == "psnr" else "-",
        "columns": [
            {
                "label": labels[name],
                "values": scores["by_lead_time"][metric],
                "mean": scores["mean"][metric],
                "intervals": (intervals or {}).get(name, {}).get(metric),
            }
            for name, scores in systems.items()
        ],
    }


def _lead_chart(
    systems: Mapping[str, dict[str, Any]],
    metric: str,
    styles: Mapping[str, Style] = STYLES,
    intervals: Mapping[str, dict[str, Any]] | None = None,
) -> Markup:
    """A metric by lead time, the systems that come first below the others."""
    lines = [
        Line(
            scores["by_lead_time"][metric],
            styles[name],
            interval=(intervals or {}).get(name, {}).get(metric),
            width=1.2 if name in IN_WORDS else 1.8,
        )
        for name, scores in sorted(systems.items(), key=lambda item: item[0] not in IN_WORDS)
    ]
    heading = MORE_METRICS[metric][0]
    zero = "" if metric == "ssim" else "bottom"
    return Markup(
        line_chart(f"{heading} by lead time; the numbers are in a table", lines, LEAD_TIME, heading, zero=zero)
    )


def _run_curves(history: list[dict[str, Any]]) -> Markup:
    epochs = [row["epoch"] for row in history]
    lines = [
        Line([row["validation"][name]["mean"]["mse"] for row in history], STYLES[name], at=epochs)
        for name in ("persistence", "model")
    ]
    return Markup(curves_chart("validation MSE after each epoch", lines, "epoch", "validation MSE"))


def _skill_chart(content: dict[str, Any]) -> Markup:
    lines = [
        Line(skill["by_lead_time"], STYLES[name], interval=skill["interval_by_lead_time"])
        for name, skill in content["skill_against"].items()
    ]
    return Markup(line_chart("skill by lead time", lines, LEAD_TIME, "skill against each", zero="line"))


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


def number(value: float | None, digits: int = 5, missing: str = "-") -> str:
    """With a true minus sign."""
    return missing if value is None else f"{value:.{digits}f}".replace("-", "−")


def percent(value: float | None, digits: int = 2) -> str:
    """A share as a signed percentage."""
    return "-" if value is None else f"{100 * value:+.{digits}f} %".replace("-", "−")


def share(value: float | None, digits: int = 1) -> str:
    """A share as a percentage without a sign."""
    return "-" if value is None else f"{100 * value:.{digits}f} %"


def interval(ends: Sequence[float | None] | None, form: Callable[..., str] = number, *args: Any) -> str:
    """Both ends, each in the form given."""
    return "no interval" if ends is None else f"{form(ends[0], *args)} to {form(ends[1], *args)}"


def chance(value: float | None) -> str:
    """A p value."""
    if value is None:
        return "-"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def duration(value: float | None) -> str:
    """Seconds."""
    if value is None:
        return "-"
    if value < 1:
        return f"{1000 * value:.0f} ms"
    return f"{value:.1f} s" if value < 120 else f"{value / 60:.1f} min"


def total(rows: Iterable[Mapping[str, float | None]], key: str) -> float | None:
    """The sum of an entry; None where one is missing."""
    values = [row[key] for row in rows]
    return None if None in values else sum(value for value in values if value is not None)


FILTERS: dict[str, Callable[..., Any]] = {
    "number": number,
    "percent": percent,
    "share": share,
    "percents": lambda ends: interval(ends, percent),
    "ends": lambda ends, *form: interval(ends, number, *form),
    "total": total,
    "chance": chance,
    "size": size,
    "duration": duration,
}
