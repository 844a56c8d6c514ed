"""Videos decoded once, at the model's size, into files that are mapped into memory.

An entry is four files in one folder: KEY.frames, the bytes of an array (T, H, W, C) of the source's type, KEY.prints,
the prints of its frames (`leaks/prints.py`), KEY.ranks, the values of the source's frames by rank where their range has
to be chosen (`ranks.py`), and KEY.json, what is known about the video. The key names the source's path and the
geometry, so a source that has changed is decoded again into its old entry.
"""

import functools
import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self

import msgspec
import numpy as np

from convlstm_cli.errors import OutputError
from convlstm_cli.files import replacing, resolved, write_text, writing
from convlstm_cli.video.colour import Frame, is_grey, to_channels
from convlstm_cli.video.geometry import FrameGeometry
from convlstm_cli.video.leaks.prints import CELLS, Prints, print_of
from convlstm_cli.video.missing import StandingApart, filled, gone, mark
from convlstm_cli.video.ranks import COLUMNS, Ranks, ranks_of_frame
from convlstm_cli.video.readers import open_video, source_files
from convlstm_cli.video.readers.base import VideoReader, reading
from convlstm_cli.video.values import ValueRange, known, range_declared

LAYOUT = 11
"""Version of the entries. A higher one makes older entries be decoded again."""


@dataclass(frozen=True)
class Entry:
    """A decoded video in the cache."""

    fingerprint: str
    """Changes with the sizes and times of the source's files."""
    digest: str
    """Hash of all frames at the model's size; equal for two videos only if they show the same frames."""
    frames: int
    height: int
    width: int
    channels: int
    """1 if no frame has colour, else as many as frames have."""
    source_height: int
    source_width: int
    fps: float | None
    declared_frames: int | None
    times: tuple[float, ...] | None
    """Seconds from the first frame to each; None where the source has no times."""
    numbers: tuple[float, ...] | None
    """What the frames' files are numbered, less the first number; None where they have no numbers."""
    start: str | None
    """Date and time of the first frame in ISO 8601; None where the source has none."""
    notes: tuple[str, ...]
    """What people should know of how the video was read, a clause each."""
    dtype: str
    """Type of the pixels, one of `values.TYPES`."""
    unit: str
    """Unit of the values that the source declares; empty where it declares none."""
    declared_range: tuple[float, float] | None
    """Least and largest value that the source declares; None where it declares none."""
    missing: float | None
    """The value that stands for no data, given or declared; None where there is none. Floats have NaN in its place."""
    has_missing: bool
    """Whether any pixel at the model's size has no value."""
    has_values: bool
    """Whether any pixel of the source has a value."""
    inside: float | None
    """Share of its values that lie in the range that it declares; None where it declares none."""

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(T, H, W, C)"""
        return self.frames, self.height, self.width, self.channels

    @property
    def ranks_shape(self) -> tuple[int, int, int]:
        """(T, C, COLUMNS), C as in the source's frames and 3 where these have 1 or 3; T is 0 with a known range."""
        return self.frames * (self.known_range is None), _wide(self.channels), COLUMNS

    @property
    def known_range(self) -> ValueRange | None:
        """The range of values that the video declares, or that its type does; None where it has to be chosen."""
        return range_declared(self.declared_range, self.dtype, self.unit)

    @classmethod
    def load(cls, path: Path) -> Self | None:
        """Reads an entry from its .json; None if that is missing or unusable, or some of its frames are missing."""
        try:
            entry = msgspec.json.decode(path.read_bytes(), type=cls)
            pixels = entry.frames * entry.height * entry.width * entry.channels
            whole = data_file(path).stat().st_size == pixels * np.dtype(entry.dtype).itemsize
            whole = whole and prints_file(path).stat().st_size == entry.frames * CELLS
            return entry if whole and ranks_file(path).stat().st_size == 8 * math.prod(entry.ranks_shape) else None
        except (OSError, TypeError, ValueError):
            return None


def data_file(path: Path) -> Path:
    """The file that holds an entry's frames, given that of its .json."""
    return path.with_suffix(".frames")


def prints_file(path: Path) -> Path:
    """The file that holds the prints of an entry's frames, given that of its .json."""
    return path.with_suffix(".prints")


def ranks_file(path: Path) -> Path:
    """The file that holds the values of an entry's frames by rank, given that of its .json."""
    return path.with_suffix(".ranks")


def map_frames(path: Path, entry: Entry) -> Frame:
    """The frames of an entry, (T, H, W, C), read from disk as they are used.

    Raises InputError if they were deleted since.
    """
    with reading(data_file(path)):
        return np.memmap(data_file(path), entry.dtype, mode="r", shape=entry.shape)


def read_prints(path: Path, entry: Entry) -> Prints:
    """The prints of an entry's frames, (T, CELLS). Raises InputError if they were deleted since."""
    with reading(prints_file(path)):
        return np.fromfile(prints_file(path), np.uint8).reshape(entry.frames, CELLS)


def read_ranks(path: Path, entry: Entry) -> Ranks:
    """The values of the source's frames by rank, `ranks_shape`. Raises InputError if they were deleted since."""
    with reading(ranks_file(path)):
        return np.fromfile(ranks_file(path), np.float64).reshape(entry.ranks_shape)


def decode_once(
    source: Path,
    geometry: FrameGeometry,
    folder: Path,
    missing: float | None = None,
    channels: tuple[int | str, ...] | None = None,
    *,
    without: tuple[int | str, ...] = (),
    flag: str = "--channels",
) -> tuple[Path, Entry]:
    """Returns a video's entry in `folder` and its .json; decodes the video if it is new or has changed.

    `missing` is the value that stands for no data, whatever the source declares; None is what it declares. `channels`
    are those that are kept, by their positions from 0 or their names; None keeps all but those of
    `without`. `flag` is the option that names them, for messages.

    Raises InputError for a video that cannot be used, and OutputError where the cache cannot be written.
    """
    fingerprint = fingerprint_of(source)  # first, since it raises InputError where there is nothing
    key = json.dumps([LAYOUT, str(resolved(source)), vars(geometry), missing, channels, without])
    select = functools.partial(VideoReader.select, channels=channels, without=without, flag=flag)
    path = folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"
    entry = Entry.load(path)
    if entry is None or entry.fingerprint != fingerprint:
        try:
            # An entry without its .json is ignored, so a kill in here leaves no frames under another video's name.
            with writing(path):
                path.unlink(missing_ok=True)
            # Not brought to disk, which would take longer than decoding a short video: a loss of power leaves files
            # shorter than `Entry.load` expects, and the video is decoded again.
            frames, prints, ranks = (
                replacing(file(path), durable=False) for file in (data_file, prints_file, ranks_file)
            )
            with frames as partial, prints as printed, ranks as ranked:
                entry = _decode(source, geometry, (partial, printed, ranked), fingerprint, missing, select)
            write_text(path, json.dumps(asdict(entry)), durable=False)
        except OutputError as error:
            raise OutputError(
                f"{folder}: decoded videos cannot be kept here ({error.__cause__ or error}); free some space, or set "
                "CONVLSTM_CACHE to another folder."
            ) from error
    return path, entry


def fingerprint_of(source: Path) -> str:
    """A hash that changes with the size or time of any file of the source. Raises InputError."""
    with reading(source):
        files = source_files(source)
    states = []
    for file in files:
        with reading(file):
            states.append((file.name, file.stat().st_size, file.stat().st_mtime_ns))
    return hashlib.sha256(json.dumps(states).encode()).hexdigest()


def _decode(
    source: Path,
    geometry: FrameGeometry,
    files: tuple[Path, Path, Path],
    fingerprint: str,
    missing: float | None,
    select: Callable[[VideoReader], None],
) -> Entry:
    """Decodes a video into files of frames, with one channel if none has colour, of prints and of values by rank."""
    partial, prints, ranks = files
    frames, digest, dtype = 0, hashlib.sha256(), np.dtype(np.uint8)
    times: list[float] = []
    kept, has_missing, counted, inside = 3, False, 0, 0
    with (
        open_video(source) as video,
        partial.open("w+b") as file,
        prints.open("wb") as printed,
        ranks.open("wb") as ranked,
    ):
        stored = _Stored(file)
        select(video)
        missing = video.missing if missing is None else missing
        apart = StandingApart() if missing is None else None
        for frame in video:
            if apart is not None:
                apart.add(frame)
            marked, dtype = mark(frame, missing), frame.dtype
            fitted = geometry.fit_frame(marked, missing)
            kept = _wide(fitted.shape[2])
            if range_declared(video.declared_range, dtype.name) is None:
                # Of the source, whose extremes a mean over its pixels does not reach.
                values = ranks_of_frame(marked, missing)
                ranked.write(np.broadcast_to(values, (kept, COLUMNS)).tobytes())
            found = known(marked, missing)
            counted += found.size
            if video.declared_range is not None:
                inside += int(np.count_nonzero((found >= video.declared_range[0]) & (found <= video.declared_range[1])))
            whole = to_channels(fitted, kept)
            digest.update(whole.tobytes())
            stored.add(fitted, whole, grey=is_grey(fitted, video.grey_tolerance))
            holes = gone(fitted, missing)
            has_missing = has_missing or holes is not None
            printed.write(print_of(fitted if holes is None else filled(fitted, holes)).tobytes())
            frames += 1
            if video.time is not None:
                times.append(video.time)
        if stored.grey and not stored.narrow:
            file.flush()
            with partial.open("rb") as wide:
                file.seek(0)
                _drop_colour(wide, file, geometry, dtype)
                file.truncate()
    return Entry(
        fingerprint=fingerprint,
        digest=digest.hexdigest(),
        frames=frames,
        height=geometry.height,
        width=geometry.width,
        channels=1 if stored.grey else kept,
        source_height=video.height,
        source_width=video.width,
        fps=video.fps,
        declared_frames=video.declared_frames,
        times=tuple(times) if len(times) == frames else None,
        numbers=None if video.numbers is None else tuple(video.numbers),
        start=None if video.start is None else video.start.isoformat(),
        notes=(*video.notes, *([note] if apart is not None and (note := apart.note()) is not None else [])),
        dtype=dtype.name,
        unit=video.unit,
        declared_range=video.declared_range,
        missing=missing,
        has_missing=has_missing,
        has_values=counted > 0,
        inside=None if video.declared_range is None else inside / max(counted, 1),
    )


def _wide(channels: int) -> int:
    """Channels of a frame whose video has frames in colour: a video can have grey ones and RGB ones."""
    return 3 if channels in (1, 3) else channels


class _Stored:
    """The frames of an entry while they are decoded, (T, H, W, C): one channel as long as all frames have one."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._frames = file, 0
        self.grey = True
        """Whether no frame so far has colour."""
        self.narrow = True
        """Whether every frame so far has one channel, and so is stored."""

    def add(self, frame: Frame, whole: Frame, *, grey: bool) -> None:
        """Writes the next frame (H, W, C), given also as it is in colour and whether it is grey."""
        self.grey = self.grey and grey
        if self.narrow and frame.shape[2] != 1:
            self.narrow = False
            self._widen(frame.shape[:2], whole)
        self._file.write((frame if self.narrow else whole).tobytes())
        self._frames += 1

    def _widen(self, size: tuple[int, ...], like: Frame) -> None:
        """Repeats the channel of all frames so far, from the last on, so that none is overwritten before it is read."""
        one, whole = like[..., :1].nbytes, like.nbytes
        for position in reversed(range(self._frames)):
            self._file.seek(position * one)
            frame = np.frombuffer(self._file.read(one), like.dtype).reshape(*size, 1)
            self._file.seek(position * whole)
            self._file.write(to_channels(frame, like.shape[2]).tobytes())
        self._file.seek(self._frames * whole)


def _drop_colour(wide: BinaryIO, narrow: BinaryIO, geometry: FrameGeometry, dtype: np.dtype[Any]) -> None:
    """Writes RGB frames as grey ones. Both may be the same file: reading stays ahead of writing."""
    shape = geometry.height, geometry.width, 3
    while content := wide.read(geometry.height * geometry.width * 3 * dtype.itemsize):
        narrow.write(to_channels(np.frombuffer(content, dtype).reshape(shape), 1).tobytes())
