"""Results as tables and lines for the terminal; `console.py` prints them."""

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

from convlstm_cli.cli.member_views import member_tables
from convlstm_cli.cli.notes import noted
from convlstm_cli.cli.tables import plain_table
from convlstm_cli.files import printable, quoted
from convlstm_cli.reporting.numbers import figure, interval, number, percent, size, times
from convlstm_cli.reporting.styles import system_headings
from convlstm_cli.reporting.wording import decimals, evaluation_verdict, ranges, worse_leads
from convlstm_cli.scoring import bootstrap
from convlstm_cli.scoring.baselines import BASELINES
from convlstm_cli.scoring.evaluation import recorded_systems
from convlstm_cli.scoring.metrics import EVENT_METRICS, METRICS, Metric
from convlstm_cli.scoring.result import EvaluationReport
from convlstm_cli.scoring.scores import PooledEvents, PooledScores
from convlstm_cli.video.colour import colour_name
from convlstm_cli.video.natural import first_few
from convlstm_cli.video.rates import rate_in_words
from convlstm_cli.video.readers.base import cut_off
from convlstm_cli.video.values import in_unit
from convlstm_cli.weights import MEMBERS

if TYPE_CHECKING:
    from convlstm_cli.cli.inspection import DataFacts, RunFacts, TrainingPlan, VideoFacts, WeightsFacts
    from convlstm_cli.export import Export
    from convlstm_cli.forecasting.record import GuardRecord
    from convlstm_cli.predict import Forecast
    from convlstm_cli.runs.comparisons import UnfinishedComparison
    from convlstm_cli.scoring.comparison_result import ComparisonSummary

LEADS = 20
"""Lead times that an evaluation's tables show at most."""
COLUMNS = 8
"""Columns of scores that fit a terminal side by side."""

PIECES = 5
"""Pieces of a video whose lengths are shown."""

View = tuple[RenderableType, ...]


def test_view(test: dict[str, Any]) -> View:
    """Scores on the test videos by lead time, beside every baseline that there is."""
    systems = recorded_systems(test)
    columns = _columns(systems)
    both = dict(list(columns.items())[:2])
    others = [metric for metric in METRICS.values() if metric.brief and metric.name != "mse"]
    return _score_table(columns, METRICS["mse"]), "", _score_table(both, *others), *_verdicts(systems)


def forecast_line(forecast: "Forecast") -> str:
    """One line for one forecast."""
    count = f"{forecast.frames} frame{'s' * (forecast.frames != 1)}"
    line = f"{forecast.source}: {count} after frame {forecast.last_input_frame}, in {forecast.folder}"
    if forecast.guard is not None:
        line += f"\n  {_mixed(forecast.guard, forecast.frames)}"
    if forecast.members is not None:
        seed = "" if forecast.members.seed is None else f", seed {forecast.members.seed}"
        line += f"\n  the mean of {forecast.members.count} members{seed}"
        if forecast.members.past_errors is not None:
            line += f", each with {forecast.members.past_errors:.0%} of an error that they made on the input frames"
    if forecast.scores is None:
        return line
    known = forecast.scores.lead_times
    which = "native" if forecast.native_size else "the model's"
    line = f"{line}\n  of the {known} that are known, at {which} size: {_verdicts(forecast.scores.systems)[0]}"
    if forecast.scores.spread_skill is not None:
        ratio = number(forecast.scores.spread_skill.mean, 2, "∞")
        line += f"\n  spread-skill ratio {ratio} (1: members differ by as much as they are wrong)"
    if forecast.scores.crps is not None:
        crps, mae = (number(each, 4) for each in (forecast.scores.crps.mean, forecast.scores.persistence.mean["mae"]))
        line += f"\n  CRPS of the members {crps} (copying the last frame: {mae})"
    return line


def _mixed(guard: "GuardRecord", frames: int) -> str:
    """What the guard has mixed into a forecast, in a few words."""
    shares = guard.shares(frames)
    others = [f"{shares[name]:.0%} {each.phrase}" for name, each in BASELINES.items() if shares[name] >= 0.005]
    if not others:
        return "not mixed: the network did best on the input frames"
    return f"mixed with {', '.join(others)}, by how each did on the input frames"


def export_view(export: "Export") -> View:
    """A line for each format: its largest difference from the forecast of the network."""
    return tuple(
        f"{name}: {'not run here' if difference is None else f'differs from the network by at most {difference:.1e}'}"
        for name, difference in export.differences.items()
    )


def evaluation_view(report: EvaluationReport) -> View:
    """Scores by lead time beside every baseline, skills with their intervals, and what they say in words."""
    columns = _columns(report.evaluation.pooled())
    leads = _shown_leads(report.evaluation.model.lead_times)
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
        tables += [_score_table(columns, *shown[first : first + beside], leads=leads), ""]
    for at_threshold in zip(*(scores.events for scores in columns.values()), strict=True):
        tables += [_event_table(dict(zip(columns, at_threshold, strict=True)), leads, report.values.unit), ""]
    if report.members is not None:
        tables += [*member_tables(report.members, leads), ""]
    return line, "", *tables, _skill_table(report), "", *evaluation_verdict(report), "", *_definitions(report)


def _columns(systems: Mapping[str, PooledScores]) -> dict[str, PooledScores]:
    """Scores by the headings of their columns."""
    headings = system_headings()
    return {headings[name]: scores for name, scores in systems.items()}


def _shown_leads(leads: int) -> list[int]:
    """At most `LEADS` of the lead times, from 0, evenly spread, with the first and the last."""
    shown = min(leads, LEADS)
    return sorted({round(step * (leads - 1) / max(1, shown - 1)) for step in range(shown)})


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


def comparison_view(summary: "ComparisonSummary") -> View:
    """The verdict, the differences it rests on, the arms with their costs, and the MSE by lead time."""
    scored = len(summary.videos)
    line = (
        f"{summary.clips} test clip{'s' * (summary.clips != 1)} of {scored} video{'s' * (scored != 1)}, "
        f"seeds {', '.join(map(str, summary.seeds))}, {summary.horizon} lead times"
    )
    columns = {arm.name: arm.scores for arm in summary.arms}
    columns[BASELINES["persistence"].heading] = summary.baselines["persistence"]
    leads = _shown_leads(summary.horizon)
    costs = _cost_table(summary, decimals(METRICS["mse"], columns.values()))
    tables: list[RenderableType] = [_score_table(columns, METRICS["mse"], leads=leads), "", costs, ""]
    warnings = [f"Note: {warning}" for warning in summary.warnings]
    sentences = [*summary.verdict, *warnings, *summary.anatomy.conclusions]
    return line, "", *tables, _difference_table(summary), "", *sentences


def _cost_table(summary: "ComparisonSummary", digits: int) -> Table:
    """What each arm costs and reaches."""
    heading = f"test {METRICS['mse'].label(summary.baselines['persistence'].unit)}"
    table = plain_table("arm", "parameters", "step", "steps", heading, "of copying", "of its seeds")
    reference = summary.baselines["persistence"].mean_mse
    for arm in summary.arms:
        of_seeds = [run.mse for run in arm.runs]
        table.add_row(
            escape(arm.name),
            f"{arm.parameters:,}",
            "-" if arm.step_seconds is None else f"{arm.step_seconds * 1e3:.0f} ms",
            str(arm.steps),
            number(arm.scores.mean_mse, digits),
            f"{arm.scores.mean_mse / reference:.3f}" if reference else "",
            f"{min(of_seeds):.{digits}f} to {max(of_seeds):.{digits}f}" if len(of_seeds) > 1 else "one seed",
        )
    return table


def _difference_table(summary: "ComparisonSummary") -> Table:
    """How each arm differs from the reference over all lead times."""
    table = plain_table(
        f"against {escape(summary.reference)}", "difference", "95% interval", "p", "p (Holm)", "d", "seeds better"
    )
    for name, difference in summary.differences.items():
        ends = difference.relative_interval
        table.add_row(
            escape(name),
            percent(difference.relative),
            "none" if ends is None else interval(ends, percent),
            number(difference.p, 3),
            number(difference.p_holm, 3),
            number(difference.effect_size, 2),
            f"{difference.seeds_better} of {difference.seeds}",
        )
    return table


def unfinished_view(found: "UnfinishedComparison") -> View:
    """How far a comparison is."""
    facts = dataclasses.asdict(found)
    del facts["kind"]
    return (
        facts_table(facts),
        "",
        f"not finished; go on with convlstm compare -o {quoted(Path(found.comparison))} --resume",
    )


def plan_view(plan: "TrainingPlan") -> View:
    """What training would do."""
    batch, frames, channels, height, width = plan.batch_shape
    facts = facts_table(
        {
            "a batch": f"{batch} clips of {frames} frames, {channels} x {height} x {width}",
            "parameters": f"{plan.parameters:,}",
            "expected memory": f"{size(plan.expected_memory)} for a training step, beside the libraries",
            "training": plan.start,
        }
    )
    videos = dataclasses.replace(plan.data, notes=())  # preparing them has shown these
    return *data_view(videos), "", facts, "", "nothing was trained (--dry-run)"


def data_view(data: "DataFacts") -> View:
    """Videos, clips and problems of a folder."""
    table = plain_table("video", "frames", "size", "rate", "colour", left=1)
    for video in data.videos:
        frame = f"{video.source_width}x{video.source_height}"
        pieces = "" if len(video.pieces) == 1 else f" in {len(video.pieces)} pieces"
        rate = "" if video.fps is None else rate_in_words(1 / video.fps)
        table.add_row(escape(video.name), f"{video.frames}{pieces}", frame, rate, colour_name(video.channels))
    clips = ", ".join(f"{count} {subset}" for subset, count in data.clips.items())
    lines = [f"{len(data.videos)} usable videos, {data.frames} frames; clips: {clips}; split {data.split}"]
    if not data.values.is_bytes:
        types = " and ".join(sorted({video.dtype for video in data.videos}))
        lines.append(f"values {data.values.describe()} ({types}) become 0 to 1 for the network")
    lines += [guide.describe() for guide in data.guides]
    lines += data.kept_together
    lines += [] if data.rates is None else [data.rates]
    lines += noted(data.videos)
    lines += [f"not used: {problem.path}: {problem.reason}" for problem in data.problems]
    return table, "", *lines, *data.notes


def video_view(video: "VideoFacts") -> View:
    """What one video holds."""
    lacking = cut_off(video.frames, video.declared_frames, video.times[-1] if video.times else None, video.fps)
    declared = "" if lacking is None else f" (the file declares {video.declared_frames})"
    reason = "" if video.decoder_reason is None else f", since it {video.decoder_reason}"
    facts = {
        "path": video.path,
        "kind": video.kind if video.decoder is None else f"{video.kind}, decoded by {video.decoder}{reason}",
        "frames": f"{video.frames}{declared}",
        "rate": "unknown" if video.fps is None else rate_in_words(1 / video.fps),
    }
    if video.start is not None:
        facts["start"] = video.start
    if len(pieces := video.timeline.pieces) > 1:
        longest = sorted((stop - start for start, stop in pieces), reverse=True)[:PIECES]
        facts["pieces"] = f"{len(pieces)}, the longest of {', '.join(map(str, longest))} frames"
    if video.dtype != "uint8" or video.missing:
        held = "" if video.values is None else f", {in_unit(video.values, video.unit)}"
        facts["values"] = f"{video.dtype}{held}{f', {video.missing:.0%} missing' if video.missing else ''}"
    named = f" ({', '.join(map(escape, video.channel_names))})" if video.channel_names else ""
    facts |= {"colour": f"{video.colour}{named}", "size": f"{video.width}x{video.height}"}
    return facts_table(facts), *video.notes


def run_view(run: "RunFacts") -> View:
    """A run's network, state and test scores."""
    facts: dict[str, object] = {
        "run": run.folder,
        "parameters": f"{run.parameters:,}",
        "epochs": len(run.history),
        **{name: value for name, value in vars(run.model).items() if value is not None},
        "values": "as they come" if run.values is None else run.values.describe(),
    }
    for subset in ("train", "validation", "test"):
        facts[subset] = first_few({segment["video"] for segment in run.split[subset]})
    if run.test is None:
        facts["training"] = f"not finished; go on with convlstm train -o {quoted(run.folder)} --resume"
        return (facts_table(facts),)
    return facts_table(facts), "", *test_view(run.test)


def weights_view(found: "WeightsFacts") -> View:
    """The cards of the shipped weights, one after another, each with its figures on videos it was not trained on."""
    lines: list[Any] = []
    for name, card in found.cards.items():
        training, progress = card["training"], card["progress"]
        members = name.endswith(MEMBERS)
        facts: dict[str, object] = {
            "weights": f"pretrained, for {name.removesuffix(MEMBERS)} frames of any size{', --members' * members}",
            "parameters": f"{found.parameters[name]:,}",
            "trained": f"{progress['clips']:,} clips of made-up motion (generator {card['generator']}, seed "
            f"{training['seed']}), {progress['steps']:,} steps, {progress['seconds'] / 3600:.1f} hours, loss "
            f"{'almost fair CRPS of members' if members else training['loss']}",
            "machine": card["machine"],
            "convlstm": card["versions"]["convlstm"],
            **card["model"],
        }
        lines += [facts_table(facts), ""]
        if rows := card.get("zero_shot"):
            table = plain_table(
                "videos", "clips", "MSE of flow's", "MAE of flow's", "MSE of copying's", "SSIM", "flow's SSIM"
            )
            for row in rows:
                ratios = (row["mse"], row["mae"], row["mse_copying"], *row["ssim"][:2])
                table.add_row(escape(row["folder"]), str(row["clips"]), *(number(value, 3) for value in ratios))
            lines += [table, ""]
        if rows := card.get("members"):
            table = plain_table("20 members of", "CRPS of flow's", "of copying's", "spread over error", "MSE of flow's")
            for row in rows:
                spread = f"{number(min(row['spread_skill']), 2)} to {number(max(row['spread_skill']), 2)}"
                crps = (number(row["crps"], 3), number(row["crps_copying"], 3))
                table.add_row(escape(row["folder"]), *crps, spread, number(row["mse"], 3))
            lines += [table, ""]
    return tuple(lines[:-1])


def facts_table(facts: Mapping[str, object]) -> Table:
    """Names and values, one pair on each line."""
    table = Table(box=None, show_header=False)
    for name, value in facts.items():
        table.add_row(name.replace("_", " "), escape(printable(str(value))))
    return table


def _score_table(columns: Mapping[str, PooledScores], *metrics: Metric, leads: list[int] | None = None) -> Table:
    """Metrics by lead time, side by side for each column; only `leads` (from 0) are shown where they are given."""
    cells = [(metric, scores) for metric in metrics for scores in columns.values()]
    some = next(iter(columns.values()))
    heads = (
        f"{metric.heading}\n{unit}\n{name}" if (unit := metric.unit(some.unit)) else f"{metric.heading}\n{name}"
        for metric in metrics
        for name in columns
    )
    table = plain_table("frames\nahead", *heads)
    leads = leads or list(range(len(some.mse)))
    digits = {metric.name: decimals(metric, columns.values()) for metric in metrics}

    def cell(value: float | None, metric: Metric) -> str:
        return number(value, digits[metric.name], metric.missing)

    for lead in leads:
        values = (cell(scores.by_lead_time[metric.name][lead], metric) for metric, scores in cells)
        table.add_row(str(lead + 1), *values)
    table.add_row("mean", *(cell(scores.mean[metric.name], metric) for metric, scores in cells), style="bold")
    return table


def _verdicts(systems: Mapping[str, PooledScores]) -> list[str]:
    """The model's MSE beside that of every baseline that there is, copying the last frame first."""
    mse, unit = systems["model"].mean_mse, METRICS["mse"].unit(systems["model"].unit)
    shown = figure(mse, unit)
    lines = []
    for name, baseline in BASELINES.items():
        if name not in systems:
            continue
        reference = systems[name].mean_mse
        if reference:
            worse = ": WORSE than that" if mse > reference else ""
            against = figure(reference, unit)
            lines.append(f"MSE {shown}, {times(mse / reference)} that of {baseline.phrase} ({against}){worse}")
        else:
            lines.append(f"MSE {shown}; {baseline.phrase} is exact here.")
    return lines
