"""Held-out frames: those that a run neither was trained on nor chose its best epoch by."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from convlstm_cli.errors import InputError, UsageError
from convlstm_cli.progress import Progress
from convlstm_cli.runs.run import Run
from convlstm_cli.scoring.learned import Finding, content_learned, group_learned
from convlstm_cli.video.data import SUBSETS, restore
from convlstm_cli.video.library import Library, Segment, Video, index
from convlstm_cli.video.rates import rate_in_words
from convlstm_cli.video.search import Note, aggregated
from convlstm_cli.video.split import segments_of
from convlstm_cli.video.timeline import same_rate

Stretch = tuple[int, int]
"""Position of the first frame, from 0, and that after the last."""

SHOWN = 10
"""Videos of which the reason is shown why they are left out."""


@dataclass(frozen=True)
class HeldOut:
    """Frames that a set of runs may be scored on."""

    library: Library
    segments: tuple[Segment, ...]
    left_out: tuple[str, ...]
    """Videos without such a frame."""
    cut: tuple[str, ...]
    """Videos with such frames and others."""
    reasons: tuple[str, ...] = ()
    """For people: which videos a run knows by other names or other frames, and by what."""


def own_test(runs: Sequence[Run], progress: Progress) -> HeldOut:
    """The test frames of the first run that no other run was trained on.

    Raises UsageError where the first run has no test videos, and InputError where one is missing or shows other frames,
    or no frame is left.
    """
    if not runs[0].config["data"]["split"]["test"]:
        raise UsageError(f"{runs[0].name}: has no test videos of its own; name a FOLDER of videos to score it on.")
    model = runs[0].model_config
    data = restore(runs[0].config["data"], model.input_frames, model.horizon, progress.indexing, ("test",))
    tested = {segment.video for segment in data.split.test}
    videos = [video for video in data.library.videos if video.name in tested]
    found = _held_out(runs, data.library, videos, model.clip_frames)
    if not found.segments:
        raise InputError(
            f"{runs[0].folder}: its test videos trained another of the runs, or chose its best epoch, so there is none "
            "to score all of them on; name a FOLDER of other videos, or train with one --split-seed."
        )
    return found


def of_folders(runs: Sequence[Run], folders: Sequence[str | Path], clip_frames: int, progress: Progress) -> HeldOut:
    """All frames below the folders, except those that a run was trained on or chose its best epoch by.

    A video of a run is recognised by its path or, under any name, by its frames; only its test frames are left. Of
    other videos, frames are left out that show moments which a run learned from (compressed again, cut, at another
    size), and so are videos of a group that it learned from. Videos that cannot be used or are shorter than
    `clip_frames` become notes to `progress`, and so do the reasons. Raises InputError where no frame is left, and
    RunError where a run's record of what it learned from is damaged.
    """
    first = runs[0]
    library = index(
        folders,
        first.geometry,
        min_frames=clip_frames,
        pace=first.pace,
        missing=first.missing,
        channels=first.chosen_channels,
        guides=first.guides,
        on_progress=progress.indexing,
    )
    _note_rates(first, library, progress)
    for problem in library.problems:
        progress.note(f"not used: {problem.path}: {problem.reason}")
    for line in [*library.remarks(), *_doubts(first, library)]:
        progress.note(line)
    found = _held_out(runs, library, library.videos, clip_frames)
    for reason in found.reasons[:SHOWN]:
        progress.note(reason)
    if len(found.reasons) > SHOWN:
        progress.note(
            f"and {len(found.reasons) - SHOWN} more videos that share moments or a group with training videos"
        )
    names = ", ".join(run.name for run in runs)
    if not found.segments:
        raise InputError(
            f"{', '.join(map(str, folders))}: holds no frame to score {names} on, because it was trained on all "
            f"{len(library.videos)} videos or chose its best epoch by them; give others, or leave FOLDER out to score "
            "its test videos."
        )
    if found.left_out:
        progress.note(
            f"{len(found.left_out)} of {len(library.videos)} videos are left out, because {names} was trained on them "
            "or chose its best epoch by them"
        )
    if found.cut:
        progress.note(
            f"of {len(found.cut)} videos only the frames are scored that {names} did not learn from: "
            f"{', '.join(found.cut)}"
        )
    return found


def _doubts(run: Run, library: Library) -> list[str]:
    """Lines about videos whose values may not be those of a run's training."""
    found = ((video, run.values and run.values.doubt(video.unit, video.dtype)) for video in library.videos)
    return aggregated([Note(video.path, doubt) for video, doubt in found if doubt])


def _note_rates(run: Run, library: Library, progress: Progress) -> None:
    """Notes videos of another frame rate than that of a run's training."""
    trained = run.step
    if trained is None or run.pace.every == "frame":
        return
    others = [video for video in library.videos if video.step is not None and not same_rate(video.step, trained)]
    if others and others[0].step is not None:
        progress.note(
            f"{len(others)} of {len(library.videos)} videos have another frame rate than the training of {run.name} "
            f"({rate_in_words(trained)}), such as {others[0].name} ({rate_in_words(others[0].step)})"
        )


def _held_out(runs: Sequence[Run], library: Library, videos: Sequence[Video], clip_frames: int) -> HeldOut:
    left: dict[str, list[Stretch]] = {video.name: [(0, video.source_frames)] for video in videos}
    reasons: list[str] = []
    for run in runs:
        unknown = []
        for video in videos:
            recorded = _recorded(run, video, library.digest(video.name))
            if recorded is None:
                unknown.append(video)
            else:
                left[video.name] = _both(left[video.name], recorded)
        for finding in (*group_learned(run, unknown), *content_learned(run, library, unknown)):
            left[finding.video] = _without(left[finding.video], finding)
            reasons.append(finding.text)
    steps = {
        video.name: [library.timelines[video.name].steps(*stretch) for stretch in left[video.name]] for video in videos
    }
    segments = {
        video.name: [each for stretch in steps[video.name] for each in segments_of(video, *stretch, clip_frames)]
        for video in videos
    }
    return HeldOut(
        library,
        tuple(segment for found in segments.values() for segment in found),
        left_out=tuple(name for name, found in segments.items() if not found),
        cut=tuple(
            video.name
            for video in videos
            if segments[video.name] and sum(stop - start for start, stop in steps[video.name]) < video.frames
        ),
        reasons=tuple(reasons),
    )


def _recorded(run: Run, video: Video, digest: str) -> list[Stretch] | None:
    """The test frames of a video that the run's split has, as positions in the source.

    None where it has no video of that path or content.
    """
    path = str(video.path.resolve())
    split = run.config["data"]["split"]
    entries = [(subset, entry) for subset in SUBSETS for entry in split[subset]]
    known = [known for known in entries if known[1]["digest"] == digest]
    # A file whose frames have changed may still hold the old ones, as a growing recording does.
    known = known or [known for known in entries if known[1]["path"] == path]
    if not known:
        return None
    return sorted((entry["source_start"], entry["source_stop"]) for subset, entry in known if subset == "test")


def _both(some: list[Stretch], others: list[Stretch]) -> list[Stretch]:
    """The frames that are in both lists."""
    pairs = ((max(a, c), min(b, d)) for a, b in some for c, d in others)
    return [(start, stop) for start, stop in pairs if start < stop]


def _without(stretches: list[Stretch], finding: Finding) -> list[Stretch]:
    """What is left of stretches beside the frames of a finding."""
    return _both(stretches, [(0, finding.start), (finding.stop, max((stop for _, stop in stretches), default=0))])
