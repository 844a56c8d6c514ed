"""The videos of a folder: which can be used, which cannot and why, and all frames at the model's size."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from convlstm_cli.errors import DependencyError, InputError
from convlstm_cli.files import sweep
from convlstm_cli.paths import cache_folder
from convlstm_cli.video.cache import decode_once
from convlstm_cli.video.cache_entry import Entry, map_frames, read_prints, read_ranks
from convlstm_cli.video.colour import Frame
from convlstm_cli.video.config import Pace
from convlstm_cli.video.geometry import FrameGeometry
from convlstm_cli.video.guides import Guide
from convlstm_cli.video.leaks.prints import Prints
from convlstm_cli.video.natural import first_few
from convlstm_cli.video.ranks import Ranks
from convlstm_cli.video.readers.checks import cut_off
from convlstm_cli.video.readers.kinds import unread_kinds
from convlstm_cli.video.search import Note, aggregated, find_videos
from convlstm_cli.video.split import Segment, Split, split
from convlstm_cli.video.timeline import Piece, Timeline, timeline_of
from convlstm_cli.video.values import ValueRange

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

MOST_LOOKED_AT = 10_000
"""Files whose kinds are counted where a folder holds no video."""

OnVideo = Callable[[str, int, int], None]
"""Called before a video is decoded, with its name, its position (the first is 1) and the number of videos."""


@dataclass(frozen=True)
class Video:
    """A video that can be used."""

    name: str
    """Its path below the folder that was given, with forward slashes, printable; unique in a library."""
    path: Path
    frames: int
    """Steps of its timeline: frames that decode, without those that are left out for an even step."""
    source_height: int
    source_width: int
    fps: float | None
    """Frames per second that the source declares, or else those of its times; None where it has neither."""
    channels: int
    """1 if no frame has colour, else as many as frames have."""
    declared_frames: int | None
    """Number of frames that the source declares; None where it declares none or an absurd one."""
    source_frames: int
    """Frames that decode."""
    seconds: float | None
    """Time from the first frame to the last; None where the source has no times."""
    step: float | None
    """Seconds from one step to the next; None where the source has no times."""
    pieces: tuple[Piece, ...]
    """First step, from 0, and the step after the last of each stretch without a gap."""
    start: str | None
    """Date and time of the first frame in ISO 8601; None where the source has none."""
    notes: tuple[str, ...]
    """What people should know of how it is read and where it is cut, a clause each."""
    dtype: str = "uint8"
    """Type of its pixels, one of `values.TYPES`."""
    unit: str = ""
    """Unit of its values; empty where it declares none."""


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
    timelines: Mapping[str, Timeline]
    """Which decoded frames are the steps of each video, by name."""
    geometry: FrameGeometry
    """How frames were brought to one size."""
    notes: tuple[Note, ...] = ()
    """What files and images were taken for, where that is not plain."""
    guides: Mapping[int | str, Mapping[str, tuple[Path, Entry]]] = field(default_factory=dict)
    """Where the cache has the channels that are read and not forecast: by channel, and then by the video's name."""

    def of_guide(self, channel: int | str) -> "Library":
        """The same videos with one such channel in place of those that are forecast."""
        entries = self.guides[channel]
        videos = tuple(
            replace(video, channels=entry.channels, dtype=entry.dtype, unit=entry.unit)
            for video, (_, entry) in ((video, entries[video.name]) for video in self.videos)
        )
        return replace(self, videos=videos, entries=entries, guides={})

    @property
    def channels(self) -> int:
        """1 if every video is grey, 3 if some are RGB, or what all have. Raises InputError where they differ."""
        counts = {entry.channels for _, entry in self.entries.values()}
        if len(counts) > 1 and counts != {1, 3}:
            alike = {count: [video.name for video in self.videos if video.channels == count] for count in counts}
            groups = (
                f"{count} in {len(names)} video{'s' * (len(names) > 1)} ({first_few(names)})"
                for count, names in sorted(alike.items())
            )
            raise InputError(
                f"numbers of channels differ: {'; '.join(groups)}. Give videos of one number, or take as many of each "
                "with --channels, such as --channels 0."
            )
        return max(counts)

    def digest(self, name: str) -> str:
        """Hash of all frames of a video; equal for two videos only if they show the same frames."""
        return self.entries[name][1].digest

    def cut_off(self) -> list[Problem]:
        """Warnings about videos that are used and have far fewer frames than they declare."""
        warnings = ((video.path, _cut_off(video)) for video in self.videos)
        return [Problem(path, warning) for path, warning in warnings if warning is not None]

    def remarks(self) -> list[str]:
        """Lines for people: which videos may be cut off, and what files were taken for, where that is not plain."""
        return [*(f"{each.path}: {each.reason}" for each in self.cut_off()), *aggregated(self.notes)]

    def clip(self, name: str, start: int, stop: int) -> Frame:
        """The frames of the steps `start` to `stop` of a video, read-only (T, H, W, C); C as `frames` has it.

        A memory map where every frame is a step. Raises InputError if the cache was deleted since.
        """
        taken = self.timelines[name].taken[start:stop]
        frames = self.frames(name)
        return frames[taken.start : taken.stop] if isinstance(taken, range) else frames[list(taken)]

    def source(self, segment: Segment) -> tuple[int, int]:
        """Positions in the source of the first frame of a segment, and after its last one."""
        return self.timelines[segment.video].source(segment.start, segment.stop)

    def frames(self, name: str) -> Frame:
        """All decoded frames of a video, whether steps or not, a read-only memory map (T, H, W, C) of its type.

        C is that of the video. Raises InputError if the cache was deleted since the videos were indexed.
        """
        return map_frames(*self.entries[name])

    def declared_range(self, name: str) -> ValueRange | None:
        """The range of values that a video declares, or that its type does; None where it is not known."""
        return self.entries[name][1].known_range

    def inside(self, name: str) -> float | None:
        """Share of a video's values that lie in the range that it declares; None where it declares none."""
        return self.entries[name][1].inside

    def range_in(self, name: str, values: ValueRange) -> ValueRange:
        """The range of a video that becomes [0, 1] where `values` is the range of a training.

        Pictures of any depth show the same by their declared ranges. Raises InputError where other numbers would have
        to be taken for those of 8-bit pictures.
        """
        if not values.is_bytes or self.entries[name][1].dtype == "uint8":
            return values
        declared = self.declared_range(name)
        if declared is None:
            raise InputError(
                f"{name}: holds values of type {self.entries[name][1].dtype} that declare no range, and the "
                "training is one of 8-bit pictures; leave it out, or train with --range LOW,HIGH on values that are "
                "all in one unit."
            )
        return declared

    def missing(self, name: str) -> float | None:
        """The value of a video's integers that stands for no data; None where there is none."""
        return self.entries[name][1].missing

    def has_missing(self, name: str) -> bool:
        """Whether any pixel of a video has no value, in a channel that is forecast or in another that is read."""
        return any(entries[name][1].has_missing for entries in (self.entries, *self.guides.values()))

    def content(self, name: str) -> tuple[slice, slice]:
        """Rows and columns of a video's decoded frames that are no padding."""
        entry = self.entries[name][1]
        return self.geometry.content(entry.source_height, entry.source_width)

    def prints(self, name: str) -> Prints:
        """The prints of all decoded frames of a video, (T, CELLS). Raises InputError as `frames` does."""
        return read_prints(*self.entries[name])

    def ranks(self, segment: Segment) -> Ranks:
        """The values of the source at the steps of a segment by rank, (T, C, COLUMNS); T is 0 with a known range.

        Raises InputError as `frames` does.
        """
        ranks = read_ranks(*self.entries[segment.video])
        return ranks[list(self.timelines[segment.video].taken[segment.start : segment.stop])] if len(ranks) else ranks


def index(
    paths: Sequence[str | Path],
    geometry: FrameGeometry,
    *,
    cache_dir: Path | None = None,
    min_frames: int = 1,
    missing: float | None = None,
    channels: tuple[int | str, ...] | None = None,
    guides: Sequence[Guide] = (),
    pace: Pace = Pace(),  # noqa: B008 - frozen
    on_progress: OnVideo | None = None,
) -> Library:
    """Decodes every video below `paths` to the geometry's size, once: later calls find it in `cache_dir`.

    Broken videos, those all of whose pixels are missing, those without `min_frames` frames on end at the step of
    `pace`, and those whose frames are all the same as an earlier video's become problems and stop nothing. `missing`
    and `channels` are as for `decode_once`; `guides` are channels that are read and not forecast, which a video must
    have.

    Raises:
        InputError: a path that is not there, or no video that can be used.
        OutputError: a cache that cannot be written.
    """
    videos: list[Video] = []
    problems: list[Problem] = []
    entries: dict[str, tuple[Path, Entry]] = {}
    entries_of_guides: dict[int | str, dict[str, tuple[Path, Entry]]] = {guide.channel: {} for guide in guides}
    timelines: dict[str, Timeline] = {}
    first_names: dict[str, str] = {}
    found = find_videos(paths)
    cache_dir = cache_dir or cache_folder()
    sweep(cache_dir)
    for position, (name, path) in enumerate(found.videos, start=1):
        if on_progress is not None:
            on_progress(name, position, len(found.videos))
        try:
            decoded = _decoded(path, geometry, cache_dir, missing, channels, guides, pace)
        except (InputError, DependencyError) as error:
            problems.append(Problem(path, str(error).removeprefix(f"{path}: ")))
            continue
        (location, entry), timeline = decoded.entry, decoded.timeline
        reason = _why_unusable(entry, timeline, min_frames)
        if reason is None and (first_name := first_names.setdefault(entry.digest, name)) != name:
            reason = f"shows the same frames as {first_name}."
        if reason is not None:
            problems.append(Problem(path, reason))
            continue
        entries[name] = location, replace(entry, times=None, numbers=None)  # the timeline has what is needed of them
        for channel, (place, each) in decoded.guides.items():
            entries_of_guides[channel][name] = place, replace(each, times=None, numbers=None)
        timelines[name] = timeline
        videos.append(_video(name, path, entry, timeline, min_frames))
    if not videos:
        raise InputError(_nothing_usable(paths, [*problems, *(Problem(*note) for note in found.notes)]))
    return Library(tuple(videos), tuple(problems), entries, timelines, geometry, found.notes, entries_of_guides)


def _cut_off(video: Video) -> str | None:
    return cut_off(video.source_frames, video.declared_frames, video.seconds, video.fps)


class _Decoded(NamedTuple):
    """A video in the cache."""

    entry: tuple[Path, Entry]
    guides: dict[int | str, tuple[Path, Entry]]
    """The entry of each of its channels that are read and not forecast."""
    timeline: Timeline


def _decoded(
    path: Path,
    geometry: FrameGeometry,
    cache_dir: Path,
    missing: float | None,
    channels: tuple[int | str, ...] | None,
    guides: Sequence[Guide],
    pace: Pace,
) -> _Decoded:
    """A video and its guides, decoded at most once, and its steps in time. Raises as `decode_once` does."""
    without = tuple(guide.channel for guide in guides)
    location, entry = decode_once(path, geometry, cache_dir, missing, channels, without=without)
    beside = {
        guide.channel: decode_once(path, geometry, cache_dir, missing, (guide.channel,), flag=guide.flag)
        for guide in guides
    }
    return _Decoded((location, entry), beside, timeline_of(entry.frames, entry.times, entry.numbers, pace=pace))


def _why_unusable(entry: Entry, timeline: Timeline, min_frames: int) -> str | None:
    """Why no clip of `min_frames` frames can be taken from a video, in words; None where one can."""
    if (reason := _too_short(entry.frames, timeline, min_frames)) is not None:
        return reason
    return None if entry.has_values else "has no value: all of its pixels are missing; leave it out."


def _too_short(frames: int, timeline: Timeline, min_frames: int) -> str | None:
    """Why a video holds no clip of `min_frames` frames; None where it does."""
    longest = max(stop - start for start, stop in timeline.pieces)
    if longest >= min_frames:
        return None
    if frames < min_frames:
        return f"has {frames} of the {min_frames} frames that a clip takes."
    return (
        f"has at most {longest} frames on end of the {min_frames} that a clip takes: {'; '.join(timeline.notes)}; give "
        "--every frame or a larger --max-gap to go on over that."
    )


def _video(name: str, path: Path, entry: Entry, timeline: Timeline, min_frames: int) -> Video:
    alone = sum(stop - start for start, stop in timeline.pieces if stop - start < min_frames)
    short = f"{alone} of its {len(timeline.taken)} frames stand in pieces shorter than a clip and are left out"
    return Video(
        name=name,
        path=path,
        frames=len(timeline.taken),
        source_height=entry.source_height,
        source_width=entry.source_width,
        fps=entry.fps or (1 / timeline.step if timeline.step else None),
        channels=entry.channels,
        declared_frames=entry.declared_frames,
        source_frames=entry.frames,
        seconds=entry.times[-1] if entry.times else None,
        step=timeline.step,
        pieces=timeline.pieces,
        start=entry.start,
        notes=(*entry.notes, *timeline.notes, *([short] if alone else [])),
        dtype=entry.dtype,
        unit=entry.unit,
    )


def _nothing_usable(paths: Sequence[str | Path], problems: list[Problem]) -> str:
    where = ", ".join(map(str, paths))
    if not problems:
        # Only where nothing is found, and no more than so many files, since every folder below is read once more.
        below = (file for path in map(Path, paths) if path.is_dir() for file in path.rglob("*"))
        if held := unread_kinds(islice(below, MOST_LOOKED_AT)):
            return f"{where}: holds {held}."
        return f"{where}: holds no videos; give a folder of video files, image folders or .npy arrays."
    reasons = "".join(f"\n  {problem.path}: {problem.reason}" for problem in problems[:MOST_LISTED])
    more = f"\n  and {len(problems) - MOST_LISTED} more" if len(problems) > MOST_LISTED else ""
    return f"{where}: holds no video that can be used:{reasons}{more}"
