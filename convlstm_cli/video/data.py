"""From folders of videos to the clips of training, validation and test."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from convlstm_cli.errors import InputError
from convlstm_cli.paths import resolved
from convlstm_cli.video.clips import ClipDataset
from convlstm_cli.video.config import DataConfig
from convlstm_cli.video.geometry import FrameGeometry
from convlstm_cli.video.guides import Guide, asked_guides, guides_of
from convlstm_cli.video.leaks.components import Bond
from convlstm_cli.video.leaks.groups import AUTO, NO_GROUPS, Groups, find_groups
from convlstm_cli.video.leaks.overlaps import Overlap, describe, find_overlaps
from convlstm_cli.video.leaks.prints import CELLS, Prints
from convlstm_cli.video.leaks.views import describe_views, find_views
from convlstm_cli.video.library import Library, OnVideo, Segment, Split, Video, index, split
from convlstm_cli.video.rates import check_one_rate, common_step
from convlstm_cli.video.value_choice import choose_range, notes_on
from convlstm_cli.video.values import BYTES, ValueRange

Subset = Literal["train", "validation", "test"]
SUBSETS: tuple[Subset, ...] = ("train", "validation", "test")


@dataclass(frozen=True)
class VideoData:
    """Videos, decoded once, and which of their frames are for what."""

    config: DataConfig
    library: Library
    split: Split
    channels: int
    """Channels of the frames that the model sees."""
    input_frames: int
    """Frames that a clip gives the model."""
    horizon: int
    """Frames of a clip that are to be forecast."""
    overlaps: tuple[Overlap, ...] = ()
    """Stretches of the videos that show the same moments, in frames of their sources; none where the split is a
    recorded one."""
    values: ValueRange = BYTES
    """The range of values that becomes [0, 1]."""
    guides: tuple[Guide, ...] = ()
    """Channels that are read and not forecast, those that are known for the frames to forecast last."""
    groups: Groups = NO_GROUPS
    """Groups that the names show; none where the split is a recorded one."""
    views: tuple[Bond, ...] = ()
    """Videos that are views of one scene by their names; none where the split is a recorded one."""

    def clips(self, subset: Subset) -> ClipDataset:
        """The clips of a subset; those of validation and test score every frame at most once."""
        stride = self.config.stride if subset == "train" else self.horizon
        return ClipDataset(
            self.library,
            getattr(self.split, subset),
            self.input_frames + self.horizon,
            stride=stride,
            channels=self.channels,
            values=self.values,
            guides=self.guides,
        )

    @property
    def has_missing(self) -> bool:
        """Whether videos that are trained on have missing pixels."""
        return any(self.library.has_missing(segment.video) for segment in self.split.train)

    def value_notes(self) -> list[str]:
        """What people should know of the range of values, a clause each; nothing of one that was given or declared."""
        return notes_on(self.library, self.split.train, self.values) if self.config.value_range is None else []

    @property
    def missing(self) -> float | None:
        """The value that stands for no data in the videos that are trained on; None without one that is common."""
        found = {self.library.missing(segment.video) for segment in self.split.train}
        return found.pop() if len(found) == 1 else None

    @property
    def step(self) -> float | None:
        """Seconds from one frame to the next in training; None where they are unknown."""
        trained = {segment.video for segment in self.split.train}
        return common_step((video for video in self.library.videos if video.name in trained), self.config.pace)

    def to_dict(self) -> dict[str, Any]:
        """What config.json says of the data: settings, step, split, and what could not be used."""
        return {
            "settings": asdict(self.config),
            "channels": self.channels,
            "values": self.values.to_dict(),
            "missing": self.missing,
            "guides": [guide.to_dict() for guide in self.guides],
            "step": self.step,
            "split": {
                "how": self.split.how,
                "group_by": self.split.group_by,
                **{name: self._segments(name) for name in SUBSETS},
            },
            "problems": [{"path": str(p.path), "reason": p.reason} for p in self.library.problems],
        }

    def learned_prints(self) -> Prints:
        """The prints of all frames that are trained on or choose the best epoch, (N, CELLS), in the split's order.

        Of each segment all frames of the source, whether steps or not.
        """
        prints = [
            self.library.prints(segment.video)[slice(*self.library.source(segment))]
            for segment in (*self.split.train, *self.split.validation)
        ]
        return np.concatenate(prints) if prints else np.zeros((0, CELLS), np.uint8)

    def kept_together(self) -> list[str]:
        """What the split keeps together and why, a line each, for people."""
        groups = [] if self.split.group_by is None else [self.groups.describe()]
        uses = Counter(name for subset in SUBSETS for name in {each.video for each in getattr(self.split, subset)})
        return (
            groups
            + describe_views(self.views)
            + describe(self.overlaps, {name for name, count in uses.items() if count > 1})
        )

    def _segments(self, subset: Subset) -> list[dict[str, Any]]:
        videos = {video.name: video for video in self.library.videos}
        return [self._entry(segment, videos[segment.video]) for segment in getattr(self.split, subset)]

    def _entry(self, segment: Segment, video: Video) -> dict[str, Any]:
        source_start, source_stop = self.library.source(segment)
        return {
            **vars(segment),
            "source_start": source_start,
            "source_stop": source_stop,
            "path": str(resolved(video.path)),
            "frames": video.frames,
            "digest": self.library.digest(video.name),
        }


def prepare(
    config: DataConfig,
    input_frames: int,
    horizon: int,
    on_progress: OnVideo | None = None,
    *,
    one_rate: bool = True,
) -> VideoData:
    """Finds and decodes the videos and splits them.

    Decoded frames are kept in the cache, so that a later call with the same settings decodes nothing.

    Args:
        config: which videos, at which size, and how they are split.
        input_frames: frames that a network will read, at least 1.
        horizon: frames that it will forecast from these, at least 1. A clip has `input_frames + horizon` frames.
        on_progress: is called before each video with its name, its position from 1 and the number of videos.
        one_rate: whether videos with other frame rates than the others are an error.

    Raises:
        InputError: no video can be used, the videos are too short for the split, or their frame rates differ.
        OutputError: the cache cannot be written.
    """
    clip_frames = input_frames + horizon
    library = _index(config, clip_frames, on_progress)
    if one_rate:
        check_one_rate(library.videos, config.pace)
    names = [video.name for video in library.videos]
    groups = find_groups(names, config.group_by)
    overlaps = find_overlaps({name: library.prints(name) for name in names})
    views = find_views(library.videos) if config.group_by == AUTO else []
    views_of = {frozenset((bond.first, bond.second)) for bond in views}
    bonds = [_in_steps(each, library) for each in overlaps if frozenset((each.first, each.second)) not in views_of]
    parts = split(
        library.videos,
        clip_frames,
        validation=config.validation,
        test=config.test,
        seed=config.split_seed,
        overlaps=[*bonds, *views],
        groups=groups,
    )
    channels = {"grey": 1, "rgb": 3}.get(config.colour, library.channels)
    return VideoData(
        config=config,
        library=library,
        split=parts,
        channels=channels,
        input_frames=input_frames,
        horizon=horizon,
        overlaps=overlaps,
        values=choose_range(library, parts.train, config.value_range, channels=channels, log=config.log),
        guides=tuple(
            replace(guide, values=choose_range(library.of_guide(guide.channel), parts.train))
            for guide in asked_guides(config)
        ),
        groups=groups,
        views=tuple(views),
    )


def restore(
    record: dict[str, Any],
    input_frames: int,
    horizon: int,
    on_progress: OnVideo | None = None,
    needed: Sequence[Subset] = SUBSETS,
) -> VideoData:
    """The data of a run, from what its config.json says, with the very split that it was trained with.

    Args:
        record: `data` of the run's config.json, as `VideoData.to_dict` gave it.
        input_frames, horizon, on_progress: as for `prepare`.
        needed: subsets whose videos have to be there unchanged.

    Raises:
        InputError: a video of the `needed` subsets is gone or shows other frames.
        OutputError: the cache cannot be written.
    """
    config = DataConfig(**record["settings"])
    library = _index(config, input_frames + horizon, on_progress)
    videos = {video.name: video for video in library.videos}
    segments: dict[str, tuple[Segment, ...]] = {}
    for name in SUBSETS:
        for entry in record["split"][name]:
            video = videos.get(entry["video"])
            found = None if video is None else library.digest(video.name)
            same = video is not None and found == entry["digest"] and _same_frames(library, video, entry)
            if not same and name in needed:
                now = "is gone or cannot be used" if found is None else "shows other frames"
                raise InputError(
                    f"{entry['path']}: {now} since the run began; put it back as it was, or start a new run."
                )
        segments[name] = tuple(Segment(e["video"], e["start"], e["stop"]) for e in record["split"][name])
    return VideoData(
        config=config,
        library=library,
        split=Split(how=record["split"]["how"], group_by=record["split"].get("group_by"), **segments),
        channels=record["channels"],
        values=ValueRange.from_dict(record["values"]) if "values" in record else BYTES,
        guides=guides_of(record),
        input_frames=input_frames,
        horizon=horizon,
    )


def _same_frames(library: Library, video: Video, entry: dict[str, Any]) -> bool:
    """Whether the steps of a recorded part still mean the same frames of their video: its times may have changed."""
    if entry["stop"] > video.frames:
        return False
    recorded = entry["source_start"], entry["source_stop"]
    return library.timelines[video.name].source(entry["start"], entry["stop"]) == recorded


def _in_steps(overlap: Overlap, library: Library) -> Overlap | Bond:
    """An overlap of source frames as a bond of the steps of the two videos."""
    first, second = library.timelines[overlap.first], library.timelines[overlap.second]
    if all(isinstance(each.taken, range) for each in (first, second)):
        return overlap
    steps = {frame: step for step, frame in enumerate(second.taken)}
    shared = range(*first.steps(overlap.start, overlap.start + overlap.frames))
    partners = [(step, steps.get(first.taken[step] - overlap.shift)) for step in shared]
    shifts = {None if partner is None else step - partner for step, partner in partners}
    return Bond(overlap.first, overlap.second, shifts.pop() if len(shifts) == 1 else None)


def _index(config: DataConfig, clip_frames: int, on_progress: OnVideo | None) -> Library:
    geometry = FrameGeometry(config.height, config.width, config.fit)
    return index(
        config.folders,
        geometry,
        min_frames=clip_frames,
        pace=config.pace,
        missing=config.missing,
        channels=config.channels,
        guides=asked_guides(config),
        on_progress=on_progress,
    )
