"""Results as tables and lines for the terminal; `console.py` prints them."""

from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

from convlstm_cli.files import printable
from convlstm_cli.reporting.wording import (
    IN_WORDS,
    MORE_METRICS,
    decimals,
    evaluation_verdict,
    ranges,
    worse_leads,
)

if TYPE_CHECKING:
    from convlstm_cli.export import Export
    from convlstm_cli.predict import Forecast

BASELINES = {"persistence": "copying", "linear_trend": "trend", "optical_flow": "flow"}
"""What the baselines are called above columns."""
LEADS = 20
"""Lead times that an evaluation's tables show at most."""

View = tuple[RenderableType, ...]


def test_view(test: dict[str, Any]) -> View:
    """Scores on the test videos by lead time, beside every baseline that there is."""
    columns = _systems(test)
    both = {name: columns[name] for name in ("forecast", "copying")}
    return _score_table(columns, "mse"), "", _score_table(both, "psnr", "ssim"), *_verdicts(test)


def forecast_line(forecast: "Forecast") -> str:
    """One line for one forecast."""
    line = f"{forecast.source}: {forecast.frames} frames after frame {forecast.last_input_frame}, in {forecast.folder}"
    if forecast.scores is None:
        return line
    known = len(forecast.scores["model"]["by_lead_time"]["mse"])
    size = "native" if forecast.native_size else "the model's"
    line = f"{line}\n  of the {known} that are known, at {size} size: {_verdicts(forecast.scores)[0]}"
    if "spread_skill" in forecast.scores:
        ratio = _number(forecast.scores["spread_skill"]["mean"], 2)
        line += f"\n  spread-skill ratio {ratio} (1: the runs differ by as much as they are wrong)"
    return line


def export_view(export: "Export") -> View:
    """A line for each format: how exactly it forecasts what the network does."""
    return tuple(
        f"{name}: {'not run here' if difference is None else f'differs from the network by at most {difference:.1e}'}"
        for name, difference in export.differences.items()
    )


def evaluation_view(result: dict[str, Any]) -> View:
    """Scores by lead time beside every baseline, skills with their intervals, and what they say in words."""
    columns = _systems(result)
    leads = _shown_leads(len(result["model"]["by_lead_time"]["mse"]))
    scored = len(result["videos"])
    clips = f"{result['clips']} clip{'s' * (result['clips'] != 1)} of {scored} video{'s' * (scored != 1)}"
    lines = [
        f"{clips}, at {result['height']}x{result['width']} pixels in {'grey' if result['channels'] == 1 else 'colour'}"
    ]
    tables: list[RenderableType] = []
    for metrics in (("mse", "mse_sum"), ("mae", "psnr"), ("ssim", "sharpness")):
        tables += [_score_table(columns, *metrics, leads=leads), ""]
    for position in range(len(result["settings"]["thresholds"])):
        events = {name: scores["events"][position] for name, scores in columns.items()}
        tables += [_event_table(events, leads), ""]
    if result["spread_skill"] is not None:
        tables += [_spread_table(result["spread_skill"], leads), ""]
    return *lines, "", *tables, _skill_table(result), "", *evaluation_verdict(result), "", *_definitions(result)


def _systems(result: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The scores of the model and of every baseline that there is, by the headings of their columns."""
    return {"forecast": result["model"]} | {
        heading: result[name] for name, heading in BASELINES.items() if name in result
    }


def _shown_leads(leads: int) -> list[int]:
    """At most `LEADS` of the lead times, from 0, evenly spread, with the first and the last."""
    shown = min(leads, LEADS)
    return sorted({round(step * (leads - 1) / max(1, shown - 1)) for step in range(shown)})


def _event_table(events: dict[str, dict[str, Any]], leads: list[int]) -> Table:
    """CSI by lead time, and all three scores over all of them, of reaching one threshold."""
    threshold = next(iter(events.values()))["threshold"]
    table = _table(f"at least\n{threshold:g}", *(f"CSI\n{name}" for name in events))
    for lead in leads:
        values = (scores["by_lead_time"]["csi"][lead] for scores in events.values())
        table.add_row(str(lead + 1), *(_number(value, 3, missing="-") for value in values))
    for metric in ("csi", "pod", "far"):
        values = (scores["mean"][metric] for scores in events.values())
        table.add_row(f"all {metric.upper()}", *(_number(value, 3, missing="-") for value in values), style="bold")
    return table


def _spread_table(spread: dict[str, Any], leads: list[int]) -> Table:
    """How far an ensemble's members lie apart, beside how wrong their mean is."""
    table = _table(
        "frames\nahead", f"spread of {spread['members']} members over error\n(1 is reliable, less overconfident)"
    )
    for lead in leads:
        table.add_row(str(lead + 1), _number(spread["by_lead_time"][lead], 2, missing="-"))
    return table


def _skill_table(result: dict[str, Any]) -> Table:
    """Skill against each baseline with its interval, and where the forecast is worse."""
    level = f"{result['interval']['level']:.0%} interval"
    table = _table("against", "skill", level, "MSE in times of it", "worse at lead times")
    for name, skill in result["skill_against"].items():
        ends = skill["interval"]
        mse, reference = result["model"]["mean"]["mse"], result[name]["mean"]["mse"]
        table.add_row(
            IN_WORDS[name],
            _number(skill["mean"], 3, missing="-∞"),
            "none" if ends is None else " to ".join(_number(end, 3, missing="-∞") for end in ends),
            f"{mse / reference:.3f}" if reference else "",
            ranges(worse_leads(result, name)) or "none",
        )
    return table


def _definitions(result: dict[str, Any]) -> list[str]:
    """What the columns are, in lines that fit a terminal."""
    values = result["channels"] * result["height"] * result["width"]
    lines = [
        "Values lie in [0, 1]. MSE and MAE are means over pixels and channels; MSE sum is over the",
        f"{values} values of a frame, as papers on video prediction print it. PSNR is of the mean MSE.",
        "SSIM: Wang et al. 2004, as torchmetrics has it: Gaussian window 11x11, σ = 1.5, data range 1.",
        "Sharpness: mean gradient of the forecast over that of the truth; blur lowers it, noise raises it.",
        "Skill is 1 - MSE / MSE of the baseline; its interval is a bootstrap over videos "
        f"({result['interval']['resamples']} draws).",
    ]
    if result["settings"]["thresholds"]:
        lines.append("CSI, POD and FAR are of values at or above the threshold, counts pooled over clips.")
    return lines


def comparison_view(summary: dict[str, Any]) -> View:
    """The verdict, the differences it rests on, the arms with their costs, and the MSE by lead time."""
    arms = summary["arms"]
    copying = summary["baselines"]["persistence"]
    columns = {arm["name"]: arm["scores"] for arm in arms} | {"copying": copying}
    costs = _table("arm", "parameters", "step", "steps", "test MSE", "of copying", "of its seeds")
    digits = decimals("mse", columns)
    for arm in arms:
        mse, reference = arm["scores"]["mean"]["mse"], copying["mean"]["mse"]
        of_seeds = [run["mse"] for run in arm["runs"]]
        costs.add_row(
            escape(arm["name"]),
            f"{arm['parameters']:,}",
            "-" if arm["step_seconds"] is None else f"{arm['step_seconds'] * 1e3:.0f} ms",
            str(arm["steps"]),
            _number(mse, digits),
            f"{mse / reference:.3f}" if reference else "",
            f"{min(of_seeds):.{digits}f} to {max(of_seeds):.{digits}f}" if len(of_seeds) > 1 else "one seed",
        )
    scored = len(summary["videos"])
    lines = [
        f"{summary['clips']} test clip{'s' * (summary['clips'] != 1)} of {scored} video{'s' * (scored != 1)}, "
        f"seeds {', '.join(map(str, summary['seeds']))}, {summary['horizon']} lead times"
    ]
    leads = _shown_leads(summary["horizon"])
    tables = [_score_table(columns, "mse", leads=leads), "", costs, "", _difference_table(summary)]
    warnings = [f"Note: {warning}" for warning in summary["warnings"]]
    return *lines, "", *tables, "", *summary["verdict"], *warnings, *_anatomy_lines(summary)


def _difference_table(summary: dict[str, Any]) -> Table:
    table = _table(
        f"against {escape(summary['reference'])}", "difference", "95% interval", "p", "p (Holm)", "d", "seeds better"
    )
    for name, difference in summary["differences"].items():
        ends = difference["relative_interval"]
        table.add_row(
            escape(name),
            _percent(difference["relative"]),
            "none" if ends is None else f"{_percent(ends[0])} to {_percent(ends[1])}",
            _number(difference["p"], 3, missing="-"),
            _number(difference["p_holm"], 3, missing="-"),
            _number(difference["effect_size"], 2, missing="-"),
            f"{difference['seeds_better']} of {difference['seeds']}",
        )
    return table


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:+.2f} %"


def _anatomy_lines(summary: dict[str, Any]) -> list[str]:
    return list((summary["anatomy"] or {}).get("conclusions", ()))


def unfinished_view(found: dict[str, Any]) -> View:
    """How far a comparison is."""
    facts = {name: found[name] for name in ("comparison", "runs", "begun", "finished")}
    return facts_table(facts), "", f"not finished; go on with convlstm compare -o {found['comparison']} --resume"


def plan_view(plan: dict[str, Any]) -> View:
    """What training would do."""
    batch, frames, channels, height, width = plan["batch_shape"]
    facts = facts_table(
        {
            "a batch": f"{batch} clips of {frames} frames, {channels} x {height} x {width}",
            "parameters": f"{plan['parameters']:,}",
            "expected memory": f"{_size(plan['expected_memory'])} for a training step, beside the libraries",
        }
    )
    return *data_view(plan), "", facts, "", "nothing was trained (--dry-run)"


def data_view(data: dict[str, Any]) -> View:
    """Videos, clips and problems of a folder."""
    table = _table("video", "frames", "size", "fps", "colour", left=1)
    for video in data["videos"]:
        size = f"{video['source_width']}x{video['source_height']}"
        fps = "" if video["fps"] is None else f"{video['fps']:g}"
        table.add_row(escape(video["name"]), str(video["frames"]), size, fps, "grey" if video["grey"] else "rgb")
    clips = ", ".join(f"{count} {subset}" for subset, count in data["clips"].items())
    lines = [f"{len(data['videos'])} usable videos, {data['frames']} frames; clips: {clips}; split {data['split']}"]
    lines += [f"not used: {problem['path']}: {problem['reason']}" for problem in data["problems"]]
    return table, "", *lines


def video_view(video: dict[str, Any]) -> View:
    """What one video holds."""
    facts = dict(video)
    if facts["declared_frames"] in (None, facts["frames"]):
        del facts["declared_frames"]
    else:
        facts["frames"] = f"{facts['frames']} (the file declares {facts.pop('declared_frames')})"
    facts["size"] = f"{facts.pop('width')}x{facts.pop('height')}"
    facts["fps"] = "unknown" if facts["fps"] is None else f"{facts['fps']:g}"
    return (facts_table(facts),)


def run_view(run: dict[str, Any]) -> View:
    """A run's network, state and test scores."""
    facts: dict[str, object] = {
        "run": run["run"],
        "parameters": f"{run['parameters']:,}",
        "epochs": run["epochs"],
    }
    facts |= run["model"]
    for subset in ("train", "validation", "test"):
        facts[subset] = (
            f"{len(run['split'][subset])} videos"
            if subset == "train"
            else ", ".join(segment["video"] for segment in run["split"][subset])
        )
    if run["test"] is None:
        facts["training"] = f"not finished; go on with convlstm train -o {run['run']} --resume"
        return (facts_table(facts),)
    return facts_table(facts), "", *test_view(run["test"])


def facts_table(facts: dict[str, Any]) -> Table:
    """Names and values, a pair a line."""
    table = Table(box=None, show_header=False)
    for name, value in facts.items():
        table.add_row(name.replace("_", " "), escape(printable(str(value))))
    return table


def _score_table(columns: dict[str, dict[str, Any]], *metrics: str, leads: list[int] | None = None) -> Table:
    """Metrics by lead time, side by side for each entry as `Scores.to_dict` gives it; `leads` (from 0) are shown."""
    cells = [(metric, scores) for metric in metrics for scores in columns.values()]
    heads = (f"{MORE_METRICS[metric][0]}\n{name}" for metric in metrics for name in columns)
    table = _table("frames\nahead", *heads)
    leads = leads or list(range(len(next(iter(columns.values()))["by_lead_time"]["mse"])))
    digits = {metric: decimals(metric, columns) for metric in metrics}

    def cell(value: float | None, metric: str) -> str:
        return _number(value, digits[metric], missing="∞" if metric == "psnr" else "-")

    for lead in leads:
        table.add_row(str(lead + 1), *(cell(scores["by_lead_time"][metric][lead], metric) for metric, scores in cells))
    table.add_row("mean", *(cell(scores["mean"][metric], metric) for metric, scores in cells), style="bold")
    return table


def _verdicts(scores: dict[str, Any]) -> list[str]:
    """The model's MSE beside that of every baseline that there is, copying the last frame first."""
    mse = scores["model"]["mean"]["mse"]
    lines = []
    for name, words in IN_WORDS.items():
        if name not in scores:
            continue
        reference = scores[name]["mean"]["mse"]
        if reference:
            worse = ": WORSE than that" if mse > reference else ""
            lines.append(f"MSE {mse:.5f}, {mse / reference:.2f} times that of {words} ({reference:.5f}){worse}")
        else:
            lines.append(f"MSE {mse:.5f}; {words} is exact here.")
    return lines


def _table(*headings: str, left: int = 1) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for index, heading in enumerate(headings):
        table.add_column(heading, justify="left" if index < left else "right")
    return table


def _number(value: float | None, digits: int, *, missing: str = "∞") -> str:
    return missing if value is None else f"{value:.{digits}f}"


def _size(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
