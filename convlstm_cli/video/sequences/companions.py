"""What stands beside the frames of a video: masks, previews, second formats."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

COMPANIONS = {
    "masks": "mask masks matte trimap alpha roi rois",
    "labels": "label labels seg segm segmentation segmentations gt groundtruth truth annot annotation annotations "
    "annotated instance instances instanceids labelids trainids semantic semantics panoptic contour contours track "
    "bbox boxes landmarks keypoints",
    "previews": "thumb thumbs thumbnail thumbnails preview previews poster icon small lowres cover",
    "overlays": "overlay overlays heatmap heatmaps vis visualisation visualization debug plot",
    "copies": "copy kopie copie copia backup bak duplicate dup",
    "maps of another kind": "depth disp disparity flow normal normals edge edges confidence conf uncertainty",
}
"""Words of the names of images that accompany frames, by what the images are."""
KINDS = {word: kind for kind, words in COMPANIONS.items() for word in words.split()}
CERTAIN = frozenset(
    word
    for word in KINDS
    if word.startswith(("annot", "ground", "instance", "label", "mask", "segm", "semantic", "thumb", "train", "trimap"))
) | {"gt", "panoptic", "preview", "previews", "seg"}
"""Words that mean the same whatever stands beside them; water_flow and race_track may be frames."""
NEUTRAL = frozenset({"color", "colour", "frame", "frames", "image", "images", "img", "man", "rgb"})
"""Words that the names of frames and of what goes with them have beside their own."""
BESIDE_FOLDERS = frozenset(word for kind in ("masks", "labels", "previews") for word in COMPANIONS[kind].split()) - {
    "alpha",
    "track",
    "small",
    "cover",
    "truth",
    "roi",
    "rois",
}
"""Words of the names of folders of which each image accompanies a frame in another folder."""

_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_LETTERS = re.compile(r"[^\W\d_]+")
LOSSLESS = (".tif", ".tiff", ".png", ".bmp", ".dib", ".ppm", ".pnm", ".pgm", ".pbm", ".ras", ".sr", ".jp2", ".webp")
"""Suffixes of image formats, those that most likely hold the original first; all others lose detail."""


class Header(NamedTuple):
    """What the header of an image says."""

    width: int
    height: int
    colours: bool
    """Whether it has three channels or more that are not a palette's."""


HeaderOf = Callable[[str], Header | None]
"""Reads the header of the image with a file name; None where it cannot be read."""


def words(name: str) -> set[str]:
    """The words of a name in lower case; labelIds is label and ids, and labelids too."""
    whole = {word.casefold() for word in _LETTERS.findall(name)}
    return whole | {word.casefold() for word in _LETTERS.findall(_CAMEL.sub(" ", name))}


def kind_of(found: Iterable[str]) -> str | None:
    """What images with these words in their names are; None where they may be frames."""
    kinds = {KINDS[word] for word in found if word in KINDS}
    return next((kind for kind in COMPANIONS if kind in kinds), None)


def goes_with(found: set[str], frames: set[str]) -> bool:
    """Whether images with the words `found` in their names may accompany those with the words `frames`."""
    kinds = found & KINDS.keys()
    if kinds & CERTAIN:
        return True
    # Of img_1_normal and img_1_over neither goes with the other.
    are_siblings = bool(found & frames) and not frames <= found | NEUTRAL
    return bool(kinds) and found - kinds <= frames | NEUTRAL and not are_siblings


def is_beside(folder: str) -> bool:
    """Whether a folder's name says that its images accompany those of another folder."""
    return not BESIDE_FOLDERS.isdisjoint(words(folder))


def is_smaller(header: Header | None, other: Header | None) -> bool:
    """Whether an image has fewer pixels than another along both sides."""
    return header is not None and other is not None and header.width < other.width and header.height < other.height


def choose_formats(names: Sequence[str], suffixes: Sequence[str], header_of: HeaderOf) -> tuple[list[int], str]:
    """The positions of the names to take, among names that share their stems, and why the others are not taken.

    `names` are stems in lower case, and `suffixes` theirs. A format that has every stem wins over one that lacks some.
    Of two, the larger images win, then those in colour (the others may be masks), then the format that loses no detail.
    """
    by_stem: dict[str, list[int]] = defaultdict(list)
    for position, name in enumerate(names):
        by_stem[name].append(position)
    if len(by_stem) == len(names):
        return list(range(len(names))), ""
    counts = Counter(suffixes)
    twins = next(positions for positions in by_stem.values() if len(positions) > 1)
    headers = {suffixes[each]: header_of(names[each] + suffixes[each]) for each in twins}

    def rank(position: int) -> tuple[int, int, bool, int]:
        suffix = suffixes[position]
        header = headers.get(suffix)
        pixels = 0 if header is None else header.width * header.height
        order = LOSSLESS.index(suffix) if suffix in LOSSLESS else len(LOSSLESS)
        return -counts[suffix], -pixels, not (header is not None and header.colours), order

    taken = [min(positions, key=rank) for positions in by_stem.values()]
    if len(counts) == 1:
        return taken, "whose names differ from those that are taken in upper and lower case only"
    formats = ", ".join(sorted({suffixes[each] for each in taken}))
    return taken, f"which have the names of {formats} images that are taken"
