"""Which frames are for training, for validation and for the test. No moment is in two of them."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from convlstm_cli.errors import InputError
from convlstm_cli.video.leaks.components import Bond, Component, components
from convlstm_cli.video.leaks.groups import NO_GROUPS, Groups
from convlstm_cli.video.leaks.overlaps import Overlap
from convlstm_cli.video.segments import HasFrames, Segment, Split, segments_of
from convlstm_cli.video.time_split import Recording, in_three, in_two

__all__ = ["HasFrames", "Segment", "Split", "segments_of", "split"]

SHOWN = 4
"""Videos of a component that a message names."""


def split(
    videos: Sequence[HasFrames],
    clip_frames: int,
    *,
    validation: float = 0.15,
    test: float = 0.15,
    seed: int,
    overlaps: Sequence[Overlap | Bond] = (),
    groups: Groups = NO_GROUPS,
) -> Split:
    """Splits by video where there are three or more, and by time otherwise.

    Videos that show the same moments (`overlaps`) or are of one group count as one here. Three or more: `validation`
    and `test` are shares of the videos, one at least, drawn from each folder in proportion. Two: one trains and the
    other is validation, then test. One: train, then validation, then test, shares of its time. Clips of one recording
    are divided by the moments that they show. Between parts of one recording up to `clip_frames` frames are left out,
    so that what is forecast in one part does not go on in the next. No segment spans a gap between a video's pieces.

    Groups that were found rather than asked for are given up, which the split says, where fewer than three are apart.

    Depends on nothing but the videos' names, their pieces, what belongs together and the seed, in any order.
    Raises InputError where the videos are too short, with the number of frames that it takes, where groups that were
    asked for leave fewer than three that are apart, or where what belongs together cannot be divided in time.
    """
    for video in videos:
        if not segments_of(video, 0, video.frames, clip_frames):
            raise _too_short(video, clip_frames, "")
    if not videos:
        raise InputError("There is no video to split.")
    found = components([video.name for video in videos], overlaps, groups.of)
    note = ""
    if len(found) < 3 and groups.of and not groups.automatic:
        sets = "; ".join(map(_named, found))
        raise InputError(
            f"--group-by leaves {len(found)} set{'s' * (len(found) > 1)} of videos that belong together ({sets}), and "
            "three are needed to "
            "train, validate and test on; add videos of other groups, or give another --group-by."
        )
    if len(found) < 3 and groups.of:
        note = "; the groups that names suggest are not kept together, since fewer than three are apart"
        found, groups = components([video.name for video in videos], overlaps, {}), NO_GROUPS
    drawn = _Drawing(videos, clip_frames, validation, test, seed)
    if len(found) >= 3:
        result = drawn.by_video(found)
        if len(found) < len(videos):
            how = f"by video, {len(videos)} videos in {len(found)} sets that each stay together"
            result = replace(result, how=how)
    elif len(found) == 2:
        result = drawn.two(found)
    else:
        result = drawn.by_time(found[0])
    return replace(result, how=result.how + note, group_by=groups.pattern)


class _Drawing:
    """The videos by name, and how they are to be split."""

    def __init__(
        self, videos: Sequence[HasFrames], clip_frames: int, validation: float, test: float, seed: int
    ) -> None:
        self.videos: Mapping[str, HasFrames] = {video.name: video for video in videos}
        self.clip_frames, self.validation, self.test, self.seed = clip_frames, validation, test, seed

    def by_video(self, found: Sequence[Component]) -> Split:
        order = self._spread_folders(found)
        count = len(self.videos)
        tested, validated = max(1, round(self.test * count)), max(1, round(self.validation * count))
        while tested + validated >= count:
            tested, validated = (tested - 1, validated) if tested > validated else (tested, validated - 1)
        in_test, rest = _take(order, tested, leave=2)
        in_validation, rest = _take(rest, validated, leave=1)
        return Split(
            train=self._whole(rest),
            validation=self._whole(in_validation),
            test=self._whole(in_test),
            how="by video",
        )

    def two(self, found: Sequence[Component]) -> Split:
        one, other = sorted(found, key=self._lot)
        for held_out, trained in ((one, other), (other, one)):
            recording = self._recording(held_out)
            spans = in_two(recording, self.clip_frames, self.validation, self.test) if recording else None
            if recording and spans:
                return Split(
                    train=self._whole([trained]),
                    validation=recording.during(spans[0], self.clip_frames),
                    test=recording.during(spans[1], self.clip_frames),
                    how=f"{_named(trained)} trains, {_named(held_out)} is validation and then test",
                )
        alone = [self.videos[each.videos[0]] for each in found if len(each.videos) == 1]
        if len(alone) == 2:
            raise _too_short(max(alone, key=lambda video: video.frames), 2 * self.clip_frames, ", or add a third video")
        raise _inseparable(found)

    def by_time(self, component: Component) -> Split:
        recording = self._recording(component)
        result = in_three(recording, self.clip_frames, self.validation, self.test) if recording else None
        if recording is None or result is None:
            if len(component.videos) == 1:
                raise _too_short(self.videos[component.videos[0]], 3 * self.clip_frames, ", or add videos")
            raise _inseparable([component])
        gap, spans = result
        train, validation, test = (recording.during(span, self.clip_frames) for span in spans)
        how = f"by time, with {gap} frames left out between the parts"
        if len(component.videos) > 1:
            how = f"{how}, since all {len(component.videos)} videos are of one recording"
        return Split(train, validation, test, how)

    def _recording(self, component: Component) -> Recording | None:
        return Recording.of(component, [self.videos[name] for name in component.videos], self.clip_frames)

    def _whole(self, found: Sequence[Component]) -> tuple[Segment, ...]:
        """All frames of the videos, in segments of a clip at least."""
        return tuple(
            segment
            for component in found
            for name in component.videos
            for segment in segments_of(self.videos[name], 0, self.videos[name].frames, self.clip_frames)
        )

    def _spread_folders(self, found: Sequence[Component]) -> list[Component]:
        """The components shuffled so that any run of them holds each folder about in proportion."""
        folders: dict[PurePosixPath, list[Component]] = defaultdict(list)
        for component in sorted(found, key=self._lot):
            folders[PurePosixPath(component.videos[0]).parent].append(component)
        ranked = [
            ((rank + 0.5) / len(members), self._lot(component), component)
            for members in folders.values()
            for rank, component in enumerate(members)
        ]
        return [component for _, _, component in sorted(ranked, key=lambda entry: entry[:2])]

    def _lot(self, component: Component) -> bytes:
        """What a shuffle sorts by. A hash, so that one more video does not change the order of the others."""
        return hashlib.sha256(f"{self.seed}/{component.videos[0]}".encode()).digest()


def _take(order: Sequence[Component], videos: int, leave: int) -> tuple[list[Component], list[Component]]:
    """Components of about so many videos from the front, one at least, and the others, of which `leave` stay."""
    taken: list[Component] = []
    missing = videos
    for component in order:
        if missing <= 0 or len(order) - len(taken) <= leave:
            break
        if len(component.videos) < 2 * missing:  # nearer to the number with it than without
            taken.append(component)
            missing -= len(component.videos)
    if not taken:
        taken.append(min(order, key=lambda component: len(component.videos)))
    return taken, [component for component in order if component not in taken]


def _named(component: Component) -> str:
    """The videos of a component for people."""
    names = component.videos
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{', '.join(names[:SHOWN])}{more}"


def _inseparable(found: Sequence[Component]) -> InputError:
    joined = "; ".join(_named(component) for component in found if len(component.videos) > 1)
    return InputError(
        f"The videos cannot be split so that no moment is both trained on and tested: {joined} belong together, since "
        "they show the same moments, and cannot be divided along one timeline. Add videos of other recordings, leave "
        "out copies and edited versions, or lower --input-frames or --frames; --group-by none splits views of one "
        "scene by video."
    )


def _too_short(video: HasFrames, needed: int, otherwise: str) -> InputError:
    pieces = f" in {len(video.pieces)} pieces" if len(video.pieces) > 1 else ""
    return InputError(
        f"{video.name}: has {video.frames} frames{pieces}, and {needed} are needed to train, validate and test on; "
        f"lower --input-frames or --frames{otherwise}."
    )
