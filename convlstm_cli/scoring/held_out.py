"""Held-out frames: those that a run neither was trained on nor chose its best epoch by."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from convlstm_cli.errors import InputError, UsageError
from convlstm_cli.progress import Progress
from convlstm_cli.runs.run import Run
from convlstm_cli.video.data import SUBSETS, restore
from convlstm_cli.video.library import Library, Segment, Video, index

Stretch = tuple[int, int]
"""Position of the first frame, from 0, and that after the last."""


@dataclass(frozen=True)
class HeldOut:
    """Frames that a set of runs may be scored on."""

    library: Library
    segments: tuple[Segment, ...]
    left_out: tuple[str, ...]
    """Videos without such a frame."""
    cut: tuple[str, ...]
    """Videos with such frames and others."""


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
    found = _held_out(runs, data.library, [video for video in data.library.videos if video.name in tested])
    if not found.segments:
        raise InputError(
            f"{runs[0].folder}: its test videos trained another of the runs, or chose its best epoch, so there is none "
            "to score all of them on; name a FOLDER of other videos, or train with one --split-seed."
        )
    return found


def of_folders(runs: Sequence[Run], folders: Sequence[str | Path], clip_frames: int, progress: Progress) -> HeldOut:
    """All frames below the folders, except those that a run was trained on or chose its best epoch by.

    A video of a run is recognised by its path or, under any name, by its frames; only its test frames are left. A copy
    that decodes to other frames (compressed again, or cut) is not recognised. Videos that cannot be used or are shorter
    than `clip_frames` become notes to `progress`. Raises InputError where no frame is left.
    """
    library = index(folders, runs[0].geometry, min_frames=clip_frames, on_progress=progress.indexing)
    for problem in library.problems:
        progress.note(f"not used: {problem.path}: {problem.reason}")
    for problem in library.cut_off():
        progress.note(f"{problem.path}: {problem.reason}")
    found = _held_out(runs, library, library.videos)
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
            f"of {len(found.cut)} videos only the frames that were kept for the test are scored: {', '.join(found.cut)}"
        )
    return found


def _held_out(runs: Sequence[Run], library: Library, videos: Sequence[Video]) -> HeldOut:
    segments: list[Segment] = []
    left_out, cut = [], []
    for video in videos:
        left: list[Stretch] = [(0, video.frames)]
        for run in runs:
            left = _both(left, _allowed(run, video, library.digest(video.name)))
        segments += [Segment(video.name, start, stop) for start, stop in left]
        if not left:
            left_out.append(video.name)
        elif left != [(0, video.frames)]:
            cut.append(video.name)
    return HeldOut(library, tuple(segments), tuple(left_out), tuple(cut))


def _allowed(run: Run, video: Video, digest: str) -> list[Stretch]:
    """The whole video where the run does not know it, otherwise its test frames."""
    path = str(video.path.resolve())
    split = run.config["data"]["split"]
    entries = [(subset, entry) for subset in SUBSETS for entry in split[subset]]
    known = [known for known in entries if known[1]["digest"] == digest]
    # A file whose frames have changed may still hold the old ones, as a growing recording does.
    known = known or [known for known in entries if known[1]["path"] == path]
    if not known:
        return [(0, video.frames)]
    return sorted((entry["start"], entry["stop"]) for subset, entry in known if subset == "test")


def _both(some: list[Stretch], others: list[Stretch]) -> list[Stretch]:
    """The frames that are in both lists."""
    pairs = ((max(a, c), min(b, d)) for a, b in some for c, d in others)
    return [(start, stop) for start, stop in pairs if start < stop]
