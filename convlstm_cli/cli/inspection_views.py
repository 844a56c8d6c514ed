"""What `convlstm inspect` found, on the terminal."""

import dataclasses
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from convlstm_cli.cli.notes import noted
from convlstm_cli.cli.score_tables import View, scores_view
from convlstm_cli.cli.tables import facts_table, plain_table
from convlstm_cli.paths import quoted
from convlstm_cli.reporting.numbers import number, size
from convlstm_cli.video.colour import colour_name
from convlstm_cli.video.natural import first_few
from convlstm_cli.video.rates import rate_in_words
from convlstm_cli.video.readers.checks import cut_off
from convlstm_cli.video.values import in_unit
from convlstm_cli.weights import MEMBERS

if TYPE_CHECKING:
    from convlstm_cli.cli.inspected import DataFacts, RunFacts, TrainingPlan, VideoFacts, WeightsFacts

PIECES = 5
"""Pieces of a video whose lengths are shown."""


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
    return facts_table(facts), "", *scores_view(run.test)


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
