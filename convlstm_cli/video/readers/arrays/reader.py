"""What the readers of arrays have in common: which array of a file is read, as which axes and as how many videos."""

import contextlib
import re
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from convlstm_cli.errors import DependencyError, InputError
from convlstm_cli.paths import printable
from convlstm_cli.video.readers.arrays.layout import Layout, guessed_layout, is_layout, named_layout
from convlstm_cli.video.readers.arrays.likeness import by_content
from convlstm_cli.video.readers.arrays.stored import Stored, frames_of
from convlstm_cli.video.readers.checks import check_pixels, reading
from convlstm_cli.video.readers.parts import MARK, part_path, split_part
from convlstm_cli.video.readers.reader import Contents, Reader
from convlstm_cli.video.readers.stack import Stack
from convlstm_cli.video.readers.unpacked import PACKED, is_packed, unpack_gzip
from convlstm_cli.video.readers.video_reader import Arrays, VideoReader
from convlstm_cli.video.sequences.names import split_suffix

AXES = "axes="
"""Begins the part of a path that gives the axes of an array, such as `FILE.npy::axes=NTHW`."""
LISTED = 5
"""Arrays of a file that a message lists."""
SMALLEST = 5
"""Rows and columns that frames have at least, for one array of several to be chosen by itself."""
_NUMBER = re.compile(r"\d+", re.ASCII)


class ArrayFile(Protocol):
    """An open file of arrays."""

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Shape of each array of numbers, by name; the only one of a format without names has the name ''.

        Of arrays that are equally large, the first is read unless the path names another.
        """

    def stored(self, name: str) -> Stored:
        """An array of the file. The file stays open until the array is closed."""

    def close(self) -> None:
        """Closes the file, unless an array was taken, which closes it then."""


Opener = Callable[[Path, Path], ArrayFile]
"""Opens a file, which may be an unpacked copy, and names the second path in messages.

Raises InputError, or DependencyError where a library is missing.
"""


class _Wanted(NamedTuple):
    """What a path asks for."""

    array: str | None
    axes: str | None
    sequence: int | None


@dataclass(frozen=True)
class _Chosen:
    """The array that a path names, or the one that is taken."""

    name: str
    layout: Layout
    shape: tuple[int, ...]
    stored: Stored
    names: tuple[str, ...]
    """Names of all arrays of the file that may be frames."""
    sequence: int | None
    choice: str | None
    """Which array of several was taken, a clause, where the path names none."""
    taken: str | None
    """What it is taken for, a clause, where that is not plain."""

    @property
    def note(self) -> str | None:
        """What people should know of both; None where there is nothing."""
        return "; ".join(filter(None, (self.choice, self.taken))) or None

    @property
    def sequences(self) -> int:
        return self.layout.size(self.shape, "N")

    @property
    def frames(self) -> int:
        return self.layout.size(self.shape, "T")


def array_reader(
    name: str,
    doc: str,
    suffixes: frozenset[str],
    opener: Opener,
    *,
    is_store: Callable[[Path], bool] | None = None,
    files: Callable[[Path], list[Path]] = lambda file: [file],
    position: Callable[[Path], float] | None = None,
) -> Reader:
    """The reader of a format of arrays.

    Args:
        name: its name, and the kind of its videos.
        doc: what it reads, in a few words.
        suffixes: suffixes of its files, which may be gzip-compressed too.
        opener: opens one of them.
        is_store: whether a folder is one of them.
        files: the files of one of them.
        position: where a file of one frame stands in a sequence, if the file says so.
    """

    def open_array(path: Path) -> VideoReader:
        chosen = _choose(path, opener)
        file = split_part(path).file
        if chosen.sequence is None and chosen.sequences > 1:
            chosen.stored.close()
            raise InputError(
                f"{path}: {chosen.note}; give one of them, such as {printable(str(part_path(path, '0')))!r}."
            )
        height, width = (chosen.layout.size(chosen.shape, letter) for letter in "HW")
        check_pixels(path, height, width)
        stored = chosen.stored

        def stacked(names: Sequence[str]) -> Stack:
            return Stack(names, lambda other: open_array(_beside(path, other, opener)))

        plain = file != path or chosen.sequences > 1
        choice, taken = (None, None) if plain else (chosen.choice, chosen.taken)
        frames = frames_of(stored, chosen.layout, chosen.sequence or 0, path)
        return VideoReader(
            path,
            name,
            frames,
            chosen.frames,
            start=stored.start,
            notes=list(filter(None, (choice, taken, stored.note))),
            unit=stored.unit,
            missing=stored.missing,
            declared_range=stored.declared_range,
            facts=lambda: stored.facts().laid_out(chosen.layout.axes, stored.shape, chosen.sequence or 0),
            arrays=Arrays(chosen.name, chosen.names, choice, stacked),
        )

    def contents(path: Path) -> Contents:
        with _chosen(path, opener) as chosen:
            if chosen.sequence is not None or chosen.sequences == 1:
                return Contents((path,))
            return Contents(tuple(part_path(path, str(number)) for number in range(chosen.sequences)), chosen.note)

    def is_still(path: Path) -> bool:
        with contextlib.suppress(InputError, DependencyError), _chosen(path, opener) as chosen:
            return chosen.sequences == chosen.frames == 1
        return False

    return Reader(
        name,
        doc,
        suffixes if is_store is not None else suffixes | {f"{suffix}{PACKED}" for suffix in suffixes},
        open_array,
        is_film=False,
        files=lambda path: files(split_part(path).file),
        contents=contents,
        is_still=is_still,
        is_store=is_store,
        position=position,
    )


@contextlib.contextmanager
def _chosen(path: Path, opener: Opener) -> Iterator[_Chosen]:
    chosen = _choose(path, opener)
    try:
        yield chosen
    finally:
        chosen.stored.close()


def _choose(path: Path, opener: Opener) -> _Chosen:
    """The array that is read. Raises InputError where there is none, or the path asks for what is not there."""
    file, names = split_part(path)
    with reading(path):
        if not stat.S_ISREG(mode := file.stat().st_mode) and not stat.S_ISDIR(mode):  # a FIFO would wait for ever
            raise InputError(f"{path}: is neither a file nor a folder.")
    packed = is_packed(file) and file.is_file()
    unpacked = unpack_gzip(file, split_suffix(file.name)[1][: -len(PACKED)]) if packed else file
    opened = opener(unpacked, file)
    try:
        shapes = opened.shapes
        wanted = _wanted(names, shapes, path)
        name, choice = (wanted.array, None) if wanted.array is not None else _largest(shapes, path)
        stored = opened.stored(name)
    except BaseException:
        opened.close()
        raise
    try:
        layout = _layout(stored, wanted.axes, path)
        if wanted.axes is None and layout.doubt is not None and layout.size(stored.shape, "N") > 1:
            status = file.stat()
            layout = by_content(stored, layout, path, (file, status.st_size, status.st_mtime_ns, name))
        sequences = layout.size(stored.shape, "N")
        if wanted.sequence is not None and wanted.sequence >= sequences:
            raise InputError(f"{path}: has no video {wanted.sequence}; the array has {sequences}, counted from 0.")
        taken = _taken_for(stored, layout, path, plain=wanted.axes is not None)
    except BaseException:
        stored.close()
        raise
    return _Chosen(
        name,
        layout,
        stored.shape,
        stored,
        tuple(filter(None, shapes)),
        wanted.sequence,
        choice,
        taken,
    )


def _beside(path: Path, other: str, opener: Opener) -> Path:
    """The path of another array of a path's file: with the same axes, and of the same sequence where it has several."""
    file, names = split_part(path)
    axes = [name for name in names if name.lower().startswith(AXES)]
    sequence = [name for name in names if _NUMBER.fullmatch(name)]
    if sequence:
        with _chosen(part_path(file, other), opener) as chosen:
            sequence, axes = (sequence, axes) if chosen.sequences > 1 else ([], [])
    return part_path(file, other, *sequence, *axes)


def _wanted(names: tuple[str, ...], shapes: Mapping[str, tuple[int, ...]], path: Path) -> _Wanted:
    array, axes, sequence = None, None, None
    for name in names:
        if name.lower().startswith(AXES):
            axes = name[len(AXES) :].upper()
        elif name.strip("/") in shapes and array is None:
            array = name.strip("/")
        elif _NUMBER.fullmatch(name):
            sequence = int(name)
        else:
            raise InputError(f"{path}: the file holds no {printable(name)!r}; {_listing(shapes)}.")
    return _Wanted(array, axes, sequence)


def _largest(shapes: Mapping[str, tuple[int, ...]], path: Path) -> tuple[str, str | None]:
    """The name of the largest array that may be frames, and a clause about the others."""
    fitting = {name: shape for name, shape in shapes.items() if guessed_layout(shape) is not None}
    large = {name: shape for name, shape in fitting.items() if sum(size >= SMALLEST for size in shape) >= 2}
    videos = {name: shape for name, shape in large.items() if len(shape) > 2}
    candidates = videos or large or fitting
    if not candidates:
        raise InputError(
            f"{path}: {_listing(shapes)}; a video is (time, row, column), or that with an axis of channels or "
            "sequences."
        )
    name = max(candidates, key=lambda each: np.prod(candidates[each], dtype=float))
    others = [each for each in candidates if each != name]
    if not others:
        return name, None
    # Without the name of the file, so that the notes of many such files are one line.
    example = printable(str(part_path(Path("FILE"), others[0])))
    alike = any(candidates[other] == candidates[name] for other in others)
    which = f"{'one' if alike else 'the largest'} of {len(candidates)} arrays"
    return name, f"{printable(name)} is read, {which}; name another as {example!r}"


def _layout(stored: Stored, axes: str | None, path: Path) -> Layout:
    if axes is not None:
        if not is_layout(axes, stored.shape):
            raise InputError(
                f"{path}: {AXES}{printable(axes)} does not fit the shape {stored.shape}; give a letter for each axis: "
                "N sequence, T time, C channel, H row, W column, _ for an axis of one entry."
            )
        return Layout(axes)
    named = None if stored.dims is None else named_layout(stored.dims, stored.shape)
    layout = named or guessed_layout(stored.shape)
    if layout is None:
        raise InputError(
            f"{path}: has the shape {stored.shape}; a video is (time, row, column), or that with an axis of channels "
            "or sequences."
        )
    return layout


def _taken_for(stored: Stored, layout: Layout, path: Path, *, plain: bool) -> str | None:
    """What an array is taken for, a clause; None where that is plain."""
    sequences, frames = layout.size(stored.shape, "N"), layout.size(stored.shape, "T")
    if sequences == 1 and (layout.doubt is None or plain):
        return None
    videos = "one video" if sequences == 1 else f"{sequences} videos"
    taken = f"{stored.shape} is taken for {videos} of {frames} frames, {layout.words}"
    if layout.doubt is None or plain:
        return taken
    swapped = layout.axes.translate(str.maketrans("NT", "TN")) if sequences > 1 else "THW"
    other = f"{printable(split_part(path).file.name)}{MARK}{AXES}{swapped}"
    return f"{taken}, since {layout.doubt}; give {other!r} to say otherwise"


def _listing(shapes: Mapping[str, tuple[int, ...]]) -> str:
    """What a file holds, the largest first, a clause."""
    by_size = sorted(shapes.items(), key=lambda each: -np.prod(each[1], dtype=float))
    named = [f"{printable(name)} {shape}".strip() for name, shape in by_size[:LISTED]]
    more = f" and {len(shapes) - LISTED} more" if len(shapes) > LISTED else ""
    return f"it holds {', '.join(named)}{more}" if named else "it holds no array of numbers"
