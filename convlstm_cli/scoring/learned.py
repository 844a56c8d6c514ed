"""Frames of other videos that a run learned from all the same: the same moments, or the same group."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from convlstm_cli.paths import resolved
from convlstm_cli.runs import prints
from convlstm_cli.runs.run import Run
from convlstm_cli.video.leaks.groups import AUTO, group_of
from convlstm_cli.video.leaks.overlaps import overlaps_between
from convlstm_cli.video.library import Library, Video


@dataclass(frozen=True)
class Finding:
    """Frames of a video that a run may not be scored on."""

    video: str
    start: int
    """Position in the source of the first such frame, from 0."""
    stop: int
    """Position after the last."""
    text: str
    """Why, for people."""


def content_learned(run: Run, library: Library, videos: Sequence[Video]) -> Iterator[Finding]:
    """Frames that show moments which the run was trained on or chose its best epoch by.

    All frames that lie beside those of a training video are meant, also still ones between the moments that agree.
    Raises RunError where the run's prints are damaged.
    """
    parts = prints.read(run)
    if not parts:
        return
    learned = {f"{number}": part for number, (_, part) in enumerate(parts)}
    found = {f"/{video.name}": library.prints(video.name) for video in videos}
    for overlap in overlaps_between(learned, found):
        name, other = overlap.second.removeprefix("/"), parts[int(overlap.first)][0]
        start = max(0, -overlap.shift)
        stop = min(len(found[overlap.second]), len(learned[overlap.first]) - overlap.shift)
        text = f"{name}: {stop - start} frames show moments of {other}, which {run.name} learned from"
        yield Finding(name, start, stop, text)


def group_learned(run: Run, videos: Sequence[Video]) -> Iterator[Finding]:
    """Videos of groups that the run was trained on or chose its best epoch by.

    Groups that were found in names rather than asked for count only in the folders that the run was trained on, because
    the same name elsewhere may be chance.
    """
    data = run.config["data"]
    pattern = data["split"].get("group_by")
    if pattern is None:
        return
    parts = [*data["split"]["train"], *data["split"]["validation"]]
    learned = {group_of(part["video"], pattern) for part in parts}
    folders = (
        []
        if data["settings"].get("group_by", AUTO) != AUTO
        else [resolved(Path(each)) for each in data["settings"]["folders"]]
    )
    for video in videos:
        group = group_of(video.name, pattern)
        inside = not folders or any(resolved(video.path).is_relative_to(folder) for folder in folders)
        if group is not None and group in learned and inside:
            text = f"{video.name}: is of the group {group}, which {run.name} learned from"
            yield Finding(video.name, 0, video.source_frames, text)
