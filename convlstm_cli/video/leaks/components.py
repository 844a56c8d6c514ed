"""Videos that belong together, because they show the same moments or are of one group."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from convlstm_cli.video.leaks.overlaps import Overlap


@dataclass(frozen=True)
class Bond:
    """Two videos that show the same moments, in steps of their timelines."""

    first: str
    second: str
    shift: int | None
    """Step `i` of `first` is step `i - shift` of `second`; None where they share no step, or not evenly."""


@dataclass(frozen=True)
class Component:
    """Videos that have to stand on one side of a split, or be divided along one timeline."""

    videos: tuple[str, ...]
    """Their names, in order."""
    offsets: Mapping[str, int] | None
    """Position of each video's first frame on the timeline of the one recording that all are cut from; None where they
    are not all cut from one."""


def components(names: Iterable[str], overlaps: Sequence[Overlap | Bond], groups: Mapping[str, str]) -> list[Component]:
    """The videos by what belongs together, each in exactly one component, in the order of their names.

    `groups` has the group of each video that is in one. A video that repeats itself is no other component for that.
    """
    shifts: dict[str, dict[str, set[int | None]]] = defaultdict(lambda: defaultdict(set))
    for overlap in overlaps:
        if overlap.first != overlap.second:
            shifts[overlap.first][overlap.second].add(overlap.shift)
            shifts[overlap.second][overlap.first].add(None if overlap.shift is None else -overlap.shift)
    members: dict[str, list[str]] = defaultdict(list)
    ordered = sorted(names)
    for name in ordered:
        if name in groups:
            members[groups[name]].append(name)
    found, seen = [], set[str]()
    for name in ordered:
        if name in seen:
            continue
        recording = _recording(name, shifts)
        together, waiting = set[str](), [name]
        while waiting:
            each = waiting.pop()
            if each not in together:
                together.add(each)
                waiting += [*shifts[each], *(members.pop(groups[each], []) if each in groups else [])]
        seen |= together
        one = recording if recording is not None and recording.keys() == together else None
        found.append(Component(tuple(sorted(together)), one))
    return found


def _recording(first: str, shifts: Mapping[str, Mapping[str, set[int | None]]]) -> dict[str, int] | None:
    """The offsets of all videos that are connected with `first` by overlaps; None where they contradict each other."""
    offsets, waiting = {first: 0}, [first]
    while waiting:
        one = waiting.pop()
        for other, between in shifts[one].items():
            shift, *others = between
            if others or shift is None:
                return None
            offset = offsets[one] + shift
            if other not in offsets:
                offsets[other] = offset
                waiting.append(other)
            elif offsets[other] != offset:
                return None
    return offsets
