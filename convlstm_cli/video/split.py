"""Which frames are for training, for validation and for the test. No frame is in two of them."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Protocol

from convlstm_cli.errors import InputError


class HasFrames(Protocol):
    """What a split has to know of a video."""

    @property
    def name(self) -> str: ...
    @property
    def frames(self) -> int: ...


@dataclass(frozen=True)
class Segment:
    """Consecutive frames of a video."""

    video: str
    """Name of the video."""
    start: int
    """Position of the first frame, from 0."""
    stop: int
    """Position after the last frame."""


@dataclass(frozen=True)
class Split:
    """What every frame is for. Each subset has a segment at least, and each segment holds a clip at least."""

    train: tuple[Segment, ...]
    validation: tuple[Segment, ...]
    test: tuple[Segment, ...]
    how: str
    """How the videos were split, for people."""


def split(
    videos: Sequence[HasFrames], clip_frames: int, *, validation: float = 0.15, test: float = 0.15, seed: int
) -> Split:
    """Splits by video where there are three or more, and by time otherwise.

    Three or more: `validation` and `test` are shares of the videos, one at least, drawn from each folder in
    proportion. Two: one trains and the other is validation, then test. One: train, then validation, then test,
    shares of its frames. Between parts of one video up to `clip_frames` frames are left out, so that what is
    forecast in one part does not go on in the next.

    Depends on nothing but the videos' names, their numbers of frames and the seed, in any order.
    Raises InputError where the videos are too short, with the number of frames that it takes.
    """
    for video in videos:
        if video.frames < clip_frames:
            raise _too_short(video, clip_frames, "")
    if len(videos) >= 3:
        return _by_video(videos, validation, test, seed)
    if len(videos) == 2:
        return _two_videos(videos, clip_frames, validation, test, seed)
    if len(videos) == 1:
        return _by_time(videos[0], clip_frames, validation, test)
    raise InputError("There is no video to split.")


def _by_video(videos: Sequence[HasFrames], validation: float, test: float, seed: int) -> Split:
    order = _spread_folders(videos, seed)
    tested = max(1, round(test * len(order)))
    validated = max(1, round(validation * len(order)))
    while tested + validated >= len(order):
        tested, validated = (tested - 1, validated) if tested > validated else (tested, validated - 1)
    segments = [Segment(video.name, 0, video.frames) for video in order]
    return Split(
        train=tuple(segments[tested + validated :]),
        validation=tuple(segments[tested : tested + validated]),
        test=tuple(segments[:tested]),
        how="by video",
    )


def _spread_folders(videos: Sequence[HasFrames], seed: int) -> list[HasFrames]:
    """The videos shuffled so that any run of them holds each folder about in proportion."""
    folders: dict[PurePosixPath, list[HasFrames]] = defaultdict(list)
    for video in sorted(videos, key=lambda video: _lot(video, seed)):
        folders[PurePosixPath(video.name).parent].append(video)
    ranked = [
        ((rank + 0.5) / len(members), _lot(video, seed), video)
        for members in folders.values()
        for rank, video in enumerate(members)
    ]
    return [video for _, _, video in sorted(ranked, key=lambda entry: entry[:2])]


def _lot(video: HasFrames, seed: int) -> bytes:
    """What a shuffle sorts by. A hash, so that one more video does not change the order of the others."""
    return hashlib.sha256(f"{seed}/{video.name}".encode()).digest()


def _two_videos(videos: Sequence[HasFrames], clip_frames: int, validation: float, test: float, seed: int) -> Split:
    held_out, trained = sorted(videos, key=lambda video: _lot(video, seed))
    if held_out.frames < 2 * clip_frames:
        held_out, trained = trained, held_out
    spare = held_out.frames - 2 * clip_frames
    if spare < 0:
        raise _too_short(max(videos, key=lambda video: video.frames), 2 * clip_frames, ", or add a third video")
    gap = min(clip_frames, spare // 2)
    share = validation / (validation + test)
    validated = clip_frames + round(share * (spare - gap))
    return Split(
        train=(Segment(trained.name, 0, trained.frames),),
        validation=(Segment(held_out.name, 0, validated),),
        test=(Segment(held_out.name, validated + gap, held_out.frames),),
        how=f"{trained.name} trains, {held_out.name} is validation and then test",
    )


def _by_time(video: HasFrames, clip_frames: int, validation: float, test: float) -> Split:
    spare = video.frames - 3 * clip_frames
    if spare < 0:
        raise _too_short(video, 3 * clip_frames, ", or add videos")
    # Of the frames that are not needed for a clip in each part, at most half go to the two gaps.
    gap = min(clip_frames, spare // 4)
    kept = video.frames - 2 * gap
    validated = min(max(clip_frames, round(validation * kept)), kept - 2 * clip_frames)
    tested = min(max(clip_frames, round(test * kept)), kept - clip_frames - validated)
    trained = kept - validated - tested
    return Split(
        train=(Segment(video.name, 0, trained),),
        validation=(Segment(video.name, trained + gap, trained + gap + validated),),
        test=(Segment(video.name, video.frames - tested, video.frames),),
        how=f"by time, with {gap} frames left out between the parts",
    )


def _too_short(video: HasFrames, needed: int, otherwise: str) -> InputError:
    return InputError(
        f"{video.name}: has {video.frames} frames, and {needed} are needed to train, validate and test on; "
        f"lower --input-frames or --frames{otherwise}."
    )
