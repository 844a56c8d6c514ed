"""Results as tables and lines for the terminal; `console.py` prints them."""

from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from convlstm_cli.predict import Forecast

METRICS = {"mse": ("MSE", 5), "psnr": ("PSNR dB", 2), "ssim": ("SSIM", 3)}
"""Heading and decimals of each metric."""

View = tuple[RenderableType, ...]


def test_view(test: dict[str, Any]) -> View:
    """Scores on the test videos by lead time, beside copying the last frame."""
    columns = {"forecast": test["model"], "copying": test["persistence"]}
    return _score_table(columns, *METRICS), _verdict(test["model"], test["persistence"])


def forecast_line(forecast: "Forecast") -> str:
    """One line for one forecast."""
    line = f"{forecast.source}: {forecast.frames} frames after frame {forecast.last_input_frame}, in {forecast.folder}"
    if forecast.scores is None:
        return line
    model, copying = forecast.scores["model"], forecast.scores["persistence"]
    known = len(model["by_lead_time"]["mse"])
    size = "native" if forecast.native_size else "the model's"
    line = f"{line}\n  of the {known} that are known, at {size} size: {_verdict(model, copying)}"
    if "spread_skill" in forecast.scores:
        ratio = _number(forecast.scores["spread_skill"]["mean"], 2)
        line += f"\n  spread-skill ratio {ratio} (1: the runs differ by as much as they are wrong)"
    return line


def comparison_view(comparison: dict[str, Any]) -> View:
    """Scores of every arm by lead time, their costs, and what can be said."""
    arms = comparison["arms"]
    columns = {arm["peephole"]: arm["test"] for arm in arms} | {"copying": comparison["persistence"]}
    costs = _table("arm", "parameters", "step", "steps", "test MSE", "of copying")
    for arm in arms:
        mse, copying = arm["test"]["mean"]["mse"], comparison["persistence"]["mean"]["mse"]
        costs.add_row(
            arm["peephole"],
            f"{arm['parameters']:,}",
            f"{arm['step_seconds'] * 1e3:.0f} ms",
            str(arm["steps"]),
            _number(mse, 5),
            f"{mse / copying:.3f}" if copying else "",
        )
    # One metric below the other: side by side, three arms are too wide for a terminal.
    tables = [part for metric in METRICS for part in (_score_table(columns, metric), "")]
    return *tables, costs, "", _arms_verdict(arms)


def _arms_verdict(arms: list[dict[str, Any]]) -> str:
    best, second, *_ = sorted(arms, key=lambda arm: float(arm["test"]["mean"]["mse"]))
    lowest, next_lowest = best["test"]["mean"]["mse"], second["test"]["mean"]["mse"]
    gap = 1 - lowest / next_lowest if next_lowest else 0.0
    if gap < 0.001:
        found = f"{best['peephole']} and {second['peephole']} are within 0.1 % of each other in test MSE."
    else:
        found = f"{best['peephole']} has the lowest test MSE, {gap:.1%} below {second['peephole']}."
    clips = best["test"]["clips"]
    tested = f"one seed and {clips} test clip{'s' * (clips != 1)}"
    return f"{found} This is {tested}: another seed may order the arms otherwise."


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
        table.add_row(name.replace("_", " "), escape(str(value)))
    return table


def _score_table(columns: dict[str, dict[str, Any]], *metrics: str) -> Table:
    """Metrics by lead time, side by side for each entry as `Scores.to_dict` gives it."""
    cells = [(metric, scores) for metric in metrics for scores in columns.values()]
    table = _table("frames\nahead", *(f"{METRICS[metric][0]}\n{name}" for metric in metrics for name in columns))
    for lead in range(len(next(iter(columns.values()))["by_lead_time"]["mse"])):
        row = (_number(scores["by_lead_time"][metric][lead], METRICS[metric][1]) for metric, scores in cells)
        table.add_row(str(lead + 1), *row)
    means = (_number(scores["mean"][metric], METRICS[metric][1]) for metric, scores in cells)
    table.add_row("mean", *means, style="bold")
    return table


def _verdict(model: dict[str, Any], copying: dict[str, Any]) -> str:
    mse, reference = model["mean"]["mse"], copying["mean"]["mse"]
    if not reference:
        return f"MSE {mse:.5f}; copying the last frame is exact here."
    return f"MSE {mse:.5f}, {mse / reference:.2f} times that of copying the last frame ({reference:.5f})"


def _table(*headings: str, left: int = 1) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for index, heading in enumerate(headings):
        table.add_column(heading, justify="left" if index < left else "right")
    return table


def _number(value: float | None, digits: int) -> str:
    return "∞" if value is None else f"{value:.{digits}f}"


def _size(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
