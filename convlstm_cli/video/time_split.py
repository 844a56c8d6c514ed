"""Recordings divided in time, each frame of each clip of them by the moment that it shows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from convlstm_cli.video.leaks.components import Component
from convlstm_cli.video.segments import HasFrames, Segment

Span = tuple[int, int]
"""The first moment of a part of a timeline, and that after the last."""


@dataclass(frozen=True)
class Strip:
    """Consecutive frames of a video on the timeline of a recording."""

    video: str
    start: int
    """Moment of the first frame."""
    stop: int
    """Moment after the last frame."""
    offset: int
    """Moment of the video's frame 0."""


@dataclass(frozen=True)
class Recording:
    """The timeline that one or more videos are cut from, and their frames on it."""

    strips: tuple[Strip, ...]

    @classmethod
    def of(cls, component: Component, videos: Sequence[HasFrames], clip_frames: int) -> "Recording | None":
        """The recording of a component; None where its videos are not cut from one. Its moments count from 0."""
        if component.offsets is None:
            return None
        first = min(component.offsets.values())
        strips = [
            Strip(video.name, offset + start, offset + stop, offset)
            for video in sorted(videos, key=lambda video: video.name)
            for offset in [component.offsets[video.name] - first]
            for start, stop in video.pieces
            if stop - start >= clip_frames
        ]
        return cls(tuple(strips))

    @property
    def stop(self) -> int:
        """The moment after the last."""
        return max(strip.stop for strip in self.strips)

    def during(self, span: Span, clip_frames: int) -> tuple[Segment, ...]:
        """The frames that show moments of a span, in segments of a clip at least."""
        found = []
        for strip in self.strips:
            start, stop = max(span[0], strip.start), min(span[1], strip.stop)
            if stop - start >= clip_frames:
                found.append(Segment(strip.video, start - strip.offset, stop - strip.offset))
        return tuple(found)

    def ends(self, clip_frames: int) -> Span:
        """The earliest end of a span that begins at 0 and holds a clip, and the latest start of one till the end."""
        earliest = min(strip.start for strip in self.strips) + clip_frames
        return earliest, max(strip.stop for strip in self.strips) - clip_frames


def in_three(recording: Recording, clip_frames: int, validation: float, test: float) -> tuple[int, list[Span]] | None:
    """The moments left out between parts, and the spans of train, validation and test; None where it is too short.

    The parts are shares of the time, as nearly as each of them can hold a clip.
    """
    spare = recording.stop - 3 * clip_frames
    if spare < 0:
        return None
    earliest, latest = recording.ends(clip_frames)
    # Of the frames that are not needed for a clip in each part, at most half go to the two gaps.
    for gap in _gaps(min(clip_frames, spare // 4)):
        kept = recording.stop - 2 * gap
        validated = min(max(clip_frames, round(validation * kept)), kept - 2 * clip_frames)
        tested = min(max(clip_frames, round(test * kept)), kept - clip_frames - validated)
        start = kept - validated - tested + gap
        options = []
        for strip in recording.strips:
            begun = max(earliest + gap, min(start, strip.stop - clip_frames, latest - gap - clip_frames))
            least = max(begun, strip.start) + clip_frames
            if least <= min(strip.stop, latest - gap):
                ended = min(max(begun + validated, least), latest - gap)
                options.append((abs(begun - start) + abs(ended - begun - validated), begun, ended))
        if options:
            _, begun, ended = min(options)
            return gap, [(0, begun - gap), (begun, ended), (ended + gap, recording.stop)]
    return None


def in_two(recording: Recording, clip_frames: int, validation: float, test: float) -> list[Span] | None:
    """The spans of validation and test, by their shares; None where the recording is too short."""
    spare = recording.stop - 2 * clip_frames
    if spare < 0:
        return None
    earliest, latest = recording.ends(clip_frames)
    for gap in _gaps(min(clip_frames, spare // 2)):
        validated = clip_frames + round(validation / (validation + test) * (spare - gap))
        ended = min(max(validated, earliest), latest - gap)
        if ended >= earliest:
            return [(0, ended), (ended + gap, recording.stop)]
    return None


def _gaps(wanted: int) -> Iterator[int]:
    """The moments to leave out between parts, fewer each time that they are too many."""
    while wanted:
        yield wanted
        wanted //= 2
    yield 0
