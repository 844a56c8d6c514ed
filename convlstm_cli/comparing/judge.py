"""Judges the trained arms of a comparison: scores, differences, anatomy and verdict, and the files that hold them."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from convlstm_cli.comparing.anatomy.examination import examine
from convlstm_cli.comparing.anatomy.weights import Load
from convlstm_cli.comparing.arm_summary import per_clip, summarise_arm
from convlstm_cli.comparing.case import Case, as_json
from convlstm_cli.comparing.cautions import cautions
from convlstm_cli.comparing.clip_table import write_clip_table
from convlstm_cli.comparing.scored import Scored, score_runs
from convlstm_cli.comparing.shown_clips import shown_clips
from convlstm_cli.comparing.statistics.significance import compare_arms
from convlstm_cli.comparing.variation import Variation, peepholes_in_words
from convlstm_cli.comparing.verdict import verdict
from convlstm_cli.compute.device import Compute
from convlstm_cli.compute.versions import versions
from convlstm_cli.errors import Interrupted
from convlstm_cli.files import write_text
from convlstm_cli.progress import Progress
from convlstm_cli.reporting.comparison_page import write_comparison_report
from convlstm_cli.runs.comparisons import SUMMARY
from convlstm_cli.runs.run import Run
from convlstm_cli.scoring.anatomy_result import Anatomy
from convlstm_cli.scoring.bootstrap import difference_interval
from convlstm_cli.scoring.comparison_result import ComparisonSummary, Difference, VideoSummary
from convlstm_cli.scoring.formulae import finite
from convlstm_cli.scoring.metrics import definitions
from convlstm_cli.video.painting import Painter

Errors = Mapping[str, NDArray[np.float64]]
"""MSE of each arm, (seeds, clips, lead times)."""


def judge(
    case: Case, compute: Compute, progress: Progress, should_stop: Callable[[], bool], again: str
) -> ComparisonSummary:
    """Scores every run on the test clips, and writes summary.json, metrics.csv and report.html.

    Raises:
        OutputError: a file cannot be written.
        Interrupted: when asked to stop, with `again`, which says how to go on.
    """

    def on_part(done: int, total: int) -> None:
        progress.validating(done, total)
        if should_stop():
            raise Interrupted(f"interrupted while scoring; {again}")

    scored = score_runs(case, compute, on_part)
    mse = {arm: per_clip(of_seeds, "mse") for arm, of_seeds in scored.arms.items()}
    loaders = {arm.name: [_loader(run, compute) for run in arm.runs] for arm in case.arms}
    intact = {arm: values.mean(axis=(1, 2)).tolist() for arm, values in mse.items()}
    anatomy = examine(loaders, case.clips, compute, case.batch_size, intact, on_part, case.input_frames)
    summary = _summarise(case, scored, mse, anatomy, compute)
    write_clip_table(case.folder / "metrics.csv", case, scored)
    painter = Painter(case.clips.values, case.colormap)
    write_comparison_report(case.folder, summary, shown_clips(case, mse, compute), painter)
    # Last, since it says that the comparison is finished.
    write_text(case.folder / SUMMARY, json.dumps(summary.to_dict(), indent=2, allow_nan=False) + "\n")
    progress.finished()
    return summary


def _summarise(case: Case, scored: Scored, mse: Errors, anatomy: Anatomy, compute: Compute) -> ComparisonSummary:
    reference = case.arms[0].name
    channels, (height, width) = case.clips.channels, case.clips[0].shape[2:]
    arms = [summarise_arm(arm, case, scored.arms[arm.name]) for arm in case.arms]
    baselines = {name: scores.pooled() for name, scores in scored.baselines.items()}
    differences = _differences(mse, reference, case.videos)
    return ComparisonSummary(
        folder=str(case.final_folder),
        kind=case.kind,
        match=case.match,
        settings=as_json(case.settings),
        reference=reference,
        seeds=list(case.seeds),
        input_frames=case.input_frames,
        horizon=case.horizon,
        height=height,
        width=width,
        channels=channels,
        videos=_videos(case),
        clips=len(case.videos),
        arms=arms,
        baselines=baselines,
        differences=differences,
        verdict=verdict(reference, differences, _in_words(case), extended=case.extended),
        anatomy=anatomy,
        warnings=[*case.warnings, *cautions(arms, baselines["persistence"])],
        definitions=definitions(case.clips.values),
        compute={"device": str(compute.device), "precision": compute.precision},
        versions=versions(),
    )


def _differences(mse: Errors, reference: str, videos: Sequence[str]) -> dict[str, Difference]:
    """Every other arm against the reference, with the interval that is about the same trainings on other videos."""
    found = {}
    for name, difference in compare_arms(mse, reference, videos).items():
        ends = difference_interval(mse[name], mse[reference], videos)
        finite_ends = None if ends is None else (finite(ends[0]), finite(ends[1]))
        found[name] = replace(difference, interval_of_these_trainings=finite_ends)
    return found


def _videos(case: Case) -> list[VideoSummary]:
    names = case.videos
    return [
        VideoSummary(video.name, str(video.path), names.count(video.name))
        for video in case.clips.library.videos
        if video.name in names
    ]


def _in_words(case: Case) -> Mapping[str, str]:
    """What sentences call the arms that differ in one option, and those that are named after their peepholes."""
    vary = case.settings.get("compare", {}).get("vary")
    if vary is not None:
        return Variation.read(vary).in_words
    kinds = tuple(arm.name for arm in case.arms if arm.name == arm.model.peephole)
    return peepholes_in_words(kinds)


def _loader(run: Run, compute: Compute) -> Load:
    return lambda: run.load_model(compute.device)
