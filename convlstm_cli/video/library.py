"""The videos of a folder: which can be used, which cannot and why, and all frames at the model's size."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from convlstm_cli.errors import InputError
from convlstm_cli.files import cache_folder, sweep
from convlstm_cli.video.cache import Entry, decode_once, map_frames, read_prints
from convlstm_cli.video.colour import Frame
from convlstm_cli.video.geometry import FrameGeometry
from convlstm_cli.video.leaks.prints import Prints
from convlstm_cli.video.readers.base import cut_off
from convlstm_cli.video.search import Note, find_videos
from convlstm_cli.video.split import Segment, Split, split

__all__ = [
    "Library",
    "OnVideo",
    "Problem",
    "Segment",
    "Split",
    "Video",
    "index",
    "split",
]

MOST_LISTED = 20
"""Problems that the message lists where no video can be used."""

OnVideo = Callable[[str, int, int], None]
"""Called before a video is decoded, with its name, its position (the first is 1) and the number of videos."""


@dataclass(frozen=True)
class Video:
    """A video that can be used."""

    name: str
    """Its path below the folder that was given, with forward slashes, printable; unique in a library."""
    path: Path
    frames: int
    """Frames that decode."""
    source_height: int
    source_width: int
    fps: float | None
    """Frames per second; None where the source has none."""
    grey: bool
    """Whether no frame has colour."""
    declared_frames: int | None
    """Number of frames that the source declares; None where it declares none or an absurd one."""

    @property
    def pieces(self) -> tuple[tuple[int, int], ...]:
        """Stretches of frames without a gap in time."""
        return ((0, self.frames),)


@dataclass(frozen=True)
class Problem:
    """A video that cannot be used, or only in part, and why."""

    path: Path
    reason: str


@dataclass(frozen=True)
class Library:
    """Videos decoded to one size. Holds no open files, so it can be pickled."""

    videos: tuple[Video, ...]
    problems: tuple[Problem, ...]
    entries: Mapping[str, tuple[Path, Entry]]
    """Where the cache has each video, by name."""
    notes: tuple[Note, ...] = ()
    """What files and images were taken for, where that is not plain, and how videos were read."""

    @property
    def channels(self) -> int:
        """1 if every video is grey, else 3."""
        return 1 if all(video.grey for video in self.videos) else 3

    def digest(self, name: str) -> str:
        """Hash of all frames of a video; equal for two videos only if they show the same frames."""
        return self.entries[name][1].digest

    def cut_off(self) -> list[Problem]:
        """Warnings about videos that are used and have far fewer frames than they declare."""
        warnings = ((video.path, cut_off(video.frames, video.declared_frames)) for video in self.videos)
        return [Problem(path, warning) for path, warning in warnings if warning is not None]

    def frames(self, name: str) -> Frame:
        """All frames of a video, a read-only memory map (T, H, W, C) uint8, C = 1 if the video is grey, else 3.

        Raises InputError if the cache was deleted since the videos were indexed.
        """
        return map_frames(*self.entries[name])

    def prints(self, name: str) -> Prints:
        """The prints of all frames of a video, (T, CELLS). Raises InputError as `frames` does."""
        return read_prints(*self.entries[name])


def index(
    paths: Sequence[str | Path],
    geometry: FrameGeometry,
    *,
    cache_dir: Path | None = None,
    min_frames: int = 1,
    on_progress: OnVideo | None = None,
) -> Library:
    """Decodes every video below `paths` to the geometry's size, once: later calls find it in `cache_dir`.

    Broken videos, those with fewer than `min_frames` frames, and those whose frames are all the same as an earlier
    video's become problems and stop nothing.

    Raises:
        InputError: a path that is not there, or no video that can be used.
        OutputError: a cache that cannot be written.
    """
    videos: list[Video] = []
    problems: list[Problem] = []
    entries: dict[str, tuple[Path, Entry]] = {}
    first_names: dict[str, str] = {}
    found = find_videos(paths)
    cache_dir = cache_dir or cache_folder()
    sweep(cache_dir)
    for position, (name, path) in enumerate(found.videos, start=1):
        if on_progress is not None:
            on_progress(name, position, len(found.videos))
        try:
            location, entry = decode_once(path, geometry, cache_dir)
        except InputError as error:
            problems.append(Problem(path, str(error).removeprefix(f"{path}: ")))
            continue
        if entry.frames < min_frames:
            problems.append(Problem(path, f"has {entry.frames} of the {min_frames} frames that a clip takes."))
            continue
        first_name = first_names.setdefault(entry.digest, name)
        if first_name != name:
            problems.append(Problem(path, f"shows the same frames as {first_name}."))
            continue
        entries[name] = location, entry
        videos.append(
            Video(
                name=name,
                path=path,
                frames=entry.frames,
                source_height=entry.source_height,
                source_width=entry.source_width,
                fps=entry.fps,
                grey=entry.channels == 1,
                declared_frames=entry.declared_frames,
            )
        )
    if not videos:
        raise InputError(_nothing_usable(paths, [*problems, *(Problem(*note) for note in found.notes)]))
    read = [Note(video.path, note) for video in videos for note in entries[video.name][1].notes]
    return Library(tuple(videos), tuple(problems), entries, (*found.notes, *read))


def _nothing_usable(paths: Sequence[str | Path], problems: list[Problem]) -> str:
    where = ", ".join(map(str, paths))
    if not problems:
        return f"{where}: holds no videos; give a folder of video files, image folders or .npy arrays."
    reasons = "".join(f"\n  {problem.path}: {problem.reason}" for problem in problems[:MOST_LISTED])
    more = f"\n  and {len(problems) - MOST_LISTED} more" if len(problems) > MOST_LISTED else ""
    return f"{where}: holds no video that can be used:{reasons}{more}"
