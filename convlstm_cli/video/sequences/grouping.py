"""The images of a folder as the videos that they are the frames of."""

import dataclasses
import functools
import itertools
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from convlstm_cli.paths import unique
from convlstm_cli.video.natural import natsorted
from convlstm_cli.video.sequences.companions import HeaderOf, choose_formats, goes_with, is_smaller, kind_of, words
from convlstm_cli.video.sequences.names import ParsedName, split_suffix
from convlstm_cli.video.sequences.readings import read_names
from convlstm_cli.video.sequences.result import Grouping, ImageSequence, LeftOut
from convlstm_cli.video.sequences.timing import sequence_of

STRAY = "which are in no series of numbered images"
NO_SERIES = "the names show no numbering, so the images are in the order of their names"
REPEATED = "several of its images have one number, and are in the order of their names"

FEW = 10
"""Images without numbering of which fewer than this, beside videos, are no video."""
_ENDS = (
    re.compile(r"(?P<frame>.+?)[-_. ]?(?P<word>[^\W\d_]+)"),
    re.compile(r"(?P<word>[^\W\d_]+)[-_. ]?(?P<frame>.+)"),
)
"""A stem with a word added behind, or in front."""


@dataclass(frozen=True)
class Group:
    """Images that belong together by their names, in order."""

    files: tuple[ParsedName, ...]
    pattern: str
    is_numbered: bool = True
    """Whether the order is that of numbers, and not of names."""

    @functools.cached_property
    def words(self) -> set[str]:
        """The words of the first name."""
        return words(self.files[0].stem)

    @functools.cached_property
    def values(self) -> set[tuple[int | float, ...]]:
        """The numbers of each name that are not the same in all."""
        rows = [tuple(slot.value for slot in file.slots) for file in self.files]
        if len({len(row) for row in rows}) != 1:
            return set(rows)
        varying = [position for position, column in enumerate(zip(*rows, strict=True)) if len(set(column)) > 1]
        return {tuple(row[position] for position in varying) for row in rows}


def group(names: Sequence[str], header_of: HeaderOf, beside: Iterable[str] = ()) -> Grouping:
    """Groups the images of one folder.

    Args:
        names: file names of images, each a single page.
        header_of: reads the header of one of them; called for a few where names do not decide.
        beside: stems of the videos in the same folder, whose pictures are thumbnails.
    """
    videos = {stem.casefold() for stem in beside}
    names, thumbnails = _thumbnails(names, videos)
    names, formats = _one_format(names, header_of)
    groups = [Group(tuple(files), pattern_of(files)) for files in read_names(names)]
    groups, companions = _companions(groups, header_of)
    groups, strays = _strays(groups, has_videos=bool(videos))
    sequences: dict[str, ImageSequence] = {}
    for each in natsorted(map(_sequence, groups), key=lambda each: each.pattern):
        pattern = unique(each.pattern, sequences.__contains__)
        sequences[pattern] = dataclasses.replace(each, pattern=pattern)
    return Grouping(tuple(sequences.values()), (*thumbnails, *formats, *companions, *strays))


def as_one(names: Sequence[str], pattern: str, header_of: HeaderOf) -> ImageSequence:
    """The images whose names a pattern matches as one video, whatever their names say."""
    names, _ = _one_format(names, header_of)
    series = read_names(names)
    if len(series) == 1:
        return sequence_of(series[0], pattern)
    return ImageSequence(pattern, tuple(natsorted(sorted(names))))


def pattern_of(files: Sequence[ParsedName]) -> str:
    """The names of files of one skeleton with `*` for the numbers that differ."""
    first = files[0]
    if len(files) == 1:
        return first.name
    if any(file.skeleton != first.skeleton for file in files):
        return _common([file.name for file in files])
    pieces, end = [], 0
    for position, slot in enumerate(first.slots):
        text = first.stem[slot.start : slot.stop]
        same = all(file.stem[file.slots[position].start : file.slots[position].stop] == text for file in files)
        pieces += [first.stem[end : slot.start], text if same else "*"]
        end = slot.stop
    pieces.append(first.stem[end:])
    stem = "".join(pieces)
    while "##" in stem or "**" in stem:  # checksums
        stem = stem.replace("##", "#").replace("**", "*")
    stem = stem.replace("#", "*")
    suffixes = {split_suffix(file.name)[1] for file in files}
    pattern = stem + (suffixes.pop() if len(suffixes) == 1 else ".*")
    return pattern if "*" in pattern else _common([file.name for file in files])


def _common(names: Sequence[str]) -> str:
    """The names with `*` for what lies between the beginning and the end that they share."""
    begin = _beginning(names)
    end = _beginning([name[len(begin) :][::-1] for name in names])[::-1]
    return f"{begin}*{end}"


def _beginning(names: Sequence[str]) -> str:
    first, last = min(names), max(names)
    same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    return "".join(letter for letter, _ in same)


def _sequence(each: Group) -> ImageSequence:
    if len(each.files) > 1 and (not each.is_numbered or each.values == {()}):
        return ImageSequence(each.pattern, tuple(file.name for file in each.files), notes=(NO_SERIES,))
    found = sequence_of(each.files, each.pattern)
    return dataclasses.replace(found, notes=(*found.notes, REPEATED)) if len(each.values) < len(each.files) else found


def _thumbnails(names: Sequence[str], videos: set[str]) -> tuple[list[str], list[LeftOut]]:
    """Leaves out images that are named like a video beside them, with or without a word such as thumb."""
    found = [name for name in names if _owner(name) in videos or split_suffix(name)[0].casefold() in videos]
    if not found:
        return list(names), []
    taken = set(found)
    left = LeftOut(_suffixes(found), tuple(found), "which are pictures of the videos of these names")
    return [name for name in names if name not in taken], [left]


def _owner(name: str) -> str:
    """The stem of the video that an image's name may add a word or a suffix to."""
    stem = split_suffix(name)[0]
    head, _, last = stem.replace("-", "_").rpartition("_")
    if head and kind_of([last.casefold()]) == "previews":
        return stem[: len(head)].casefold()
    return split_suffix(stem)[0].casefold()


def _one_format(names: Sequence[str], header_of: HeaderOf) -> tuple[list[str], list[LeftOut]]:
    """Leaves out all but one of the formats in which there is an image of one stem."""
    split = [split_suffix(name) for name in names]
    by_lower = {stem.casefold() + suffix.lower(): stem + suffix for stem, suffix in split}
    stems = [stem.casefold() for stem, _ in split]
    if len(set(stems)) == len(stems):
        return list(names), []
    suffixes = [suffix.lower() for _, suffix in split]
    positions, reason = choose_formats(stems, suffixes, lambda name: header_of(by_lower[name]))
    taken = set(positions)
    left = [name for position, name in enumerate(names) if position not in taken]
    return [names[position] for position in positions], [LeftOut(_suffixes(left), tuple(left), reason)]


def _suffixes(names: Iterable[str]) -> str:
    suffixes = {split_suffix(name)[1] for name in names}
    return "*" + (suffixes.pop() if len(suffixes) == 1 else "")


def _companions(groups: list[Group], header_of: HeaderOf) -> tuple[list[Group], list[LeftOut]]:
    """Leaves out groups that accompany another one, by a word of their names or as smaller copies."""
    plain = [each for each in groups if kind_of(each.words) is None and len(each.files) > 1]
    if not plain:
        return groups, []
    kept: list[Group] = []
    found: dict[tuple[str, str, str], list[ParsedName]] = defaultdict(list)
    for each in groups:
        frames, kind = _accompanied(each, plain, header_of), kind_of(each.words) or "smaller copies"
        if frames is None:
            kept.append(each)
        else:
            found[each.files[0].skeleton, kind, frames.files[0].skeleton] += each.files
    left_out = []
    for (_, kind, skeleton), files in found.items():
        frames_of = [file for each in plain if each.files[0].skeleton == skeleton for file in each.files]
        names = tuple(file.name for file in files)
        left_out.append(LeftOut(pattern_of(files), names, f"{kind} that go with {pattern_of(frames_of)}"))
    return kept, left_out


def _accompanied(each: Group, plain: Sequence[Group], header_of: HeaderOf) -> Group | None:
    """The frames that a group goes with, which have at least half of its numbers; None where there are none."""
    is_companion = kind_of(each.words) is not None
    if is_companion:
        fitting = (other for other in plain if goes_with(each.words, other.words))
    else:
        fitting = (other for other in plain if other.words < each.words)
    frames = next((other for other in fitting if 2 * len(each.values & other.values) >= len(each.values)), None)
    if is_companion:
        return max(plain, key=lambda other: len(other.files)) if frames is None and len(each.files) == 1 else frames
    return frames if frames is not None and _is_preview(each, frames, header_of) else None


def _is_preview(each: Group, frames: Group, header_of: HeaderOf) -> bool:
    """Whether a group has smaller images than the frames."""
    return len(each.files) > 1 and is_smaller(header_of(each.files[0].name), header_of(frames.files[0].name))


def _strays(groups: list[Group], *, has_videos: bool) -> tuple[list[Group], list[LeftOut]]:
    """Leaves out single images beside series; where there are more of them, all images are one series by name."""
    singles = [each for each in groups if len(each.files) == 1]
    series = [each for each in groups if len(each.files) > 1]
    if not singles or (len(groups) == 1 and not has_videos):
        return groups, []
    if len(singles) < sum(len(each.files) for each in series) or (has_videos and len(singles) < FEW):
        files = [each.files[0] for each in singles]
        names = tuple(file.name for file in files)
        return series, [LeftOut(_common(names) if len(names) > 1 else names[0], names, STRAY)]
    by_name = {file.name: file for each in groups for file in each.files}
    beside = _named_after_others(list(by_name))
    ranked = tuple(by_name[name] for name in natsorted(sorted(by_name)) if name not in set(beside))
    left_out = [LeftOut(_common(beside), tuple(beside), "masks, labels or previews of the others")] if beside else []
    return [Group(ranked, "*", is_numbered=False)], left_out


def _named_after_others(names: Sequence[str]) -> list[str]:
    """The names that are another's with a word for what accompanies frames, such as cat_mask.png beside cat.png."""
    stems = {split_suffix(name)[0].casefold() for name in names}
    found = []
    for name in names:
        stem = split_suffix(name)[0].casefold()
        parts = [match for end in _ENDS if (match := end.fullmatch(stem)) is not None]
        if any(kind_of([part["word"]]) is not None and part["frame"] in stems for part in parts):
            found.append(name)
    return found
