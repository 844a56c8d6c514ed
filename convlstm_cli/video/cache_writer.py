"""Decodes a video into the files of an entry of the cache."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from convlstm_cli.video.cache_entry import Entry, EntryFiles, colour_channels
from convlstm_cli.video.colour import Frame, is_grey, to_channels
from convlstm_cli.video.geometry import FrameGeometry
from convlstm_cli.video.leaks.prints import print_of
from convlstm_cli.video.missing import StandingApart, filled, gone, mark
from convlstm_cli.video.ranks import COLUMNS, ranks_of_frame
from convlstm_cli.video.readers import open_video
from convlstm_cli.video.readers.video_reader import VideoReader
from convlstm_cli.video.values import known, range_declared


def decode_into(
    files: EntryFiles,
    source: Path,
    geometry: FrameGeometry,
    fingerprint: str,
    missing: float | None,
    select: Callable[[VideoReader], None],
) -> Entry:
    """Decodes a video into the files of an entry, and gives the entry.

    `select` chooses the channels, `missing` is the value for no data in place of the declared one. Raises InputError.
    """
    with (
        open_video(source) as video,
        files.frames.open("w+b") as frames,
        files.prints.open("wb") as prints,
        files.ranks.open("wb") as ranks,
    ):
        select(video)
        decoded = _Decoded(video, geometry, video.missing if missing is None else missing)
        stored = StoredFrames(frames)
        for frame in video:
            decoded.add(frame, stored, prints, ranks)
        if stored.grey and not stored.narrow:
            frames.flush()
            with files.frames.open("rb") as wide:
                frames.seek(0)
                _drop_colour(wide, frames, geometry, decoded.dtype)
                frames.truncate()
    return decoded.entry(fingerprint, grey=stored.grey)


class _Decoded:
    """What is found out about a video, frame by frame."""

    def __init__(self, video: VideoReader, geometry: FrameGeometry, missing: float | None) -> None:
        self._video, self._geometry, self._missing = video, geometry, missing
        self._apart = StandingApart() if missing is None else None
        self._digest = hashlib.sha256()
        self._frames, self._channels, self._times = 0, 3, list[float]()
        self._known = self._inside = 0  # values of the source
        self._has_missing = False
        self.dtype: np.dtype[Any] = np.dtype(np.uint8)

    def add(self, frame: Frame, stored: "StoredFrames", prints: BinaryIO, ranks: BinaryIO) -> None:
        """Writes the next frame (H, W, C) of the source at the model's size, its print and its values by rank."""
        video, missing = self._video, self._missing
        if self._apart is not None:
            self._apart.add(frame)
        marked, self.dtype = mark(frame, missing), frame.dtype
        fitted = self._geometry.fit_frame(marked, missing)
        self._channels = colour_channels(fitted.shape[2])
        if range_declared(video.declared_range, self.dtype.name) is None:
            # Of the source, whose extremes a mean over its pixels does not reach.
            values = ranks_of_frame(marked, missing)
            ranks.write(np.broadcast_to(values, (self._channels, COLUMNS)).tobytes())
        self._count(known(marked, missing))
        whole = to_channels(fitted, self._channels)
        self._digest.update(whole.tobytes())
        stored.add(fitted, whole, grey=is_grey(fitted, video.grey_tolerance))
        holes = gone(fitted, missing)
        self._has_missing = self._has_missing or holes is not None
        prints.write(print_of(fitted if holes is None else filled(fitted, holes)).tobytes())
        self._frames += 1
        if video.time is not None:
            self._times.append(video.time)

    def _count(self, values: NDArray[Any]) -> None:
        """Counts values of the source, and those in the range that it declares."""
        self._known += values.size
        if self._video.declared_range is not None:
            low, high = self._video.declared_range
            self._inside += int(np.count_nonzero((values >= low) & (values <= high)))

    def entry(self, fingerprint: str, *, grey: bool) -> Entry:
        """The entry, once all frames have been added; `grey` says whether none has colour."""
        video, apart = self._video, self._apart
        return Entry(
            fingerprint=fingerprint,
            digest=self._digest.hexdigest(),
            frames=self._frames,
            height=self._geometry.height,
            width=self._geometry.width,
            channels=1 if grey else self._channels,
            source_height=video.height,
            source_width=video.width,
            fps=video.fps,
            declared_frames=video.declared_frames,
            times=tuple(self._times) if len(self._times) == self._frames else None,
            numbers=None if video.numbers is None else tuple(video.numbers),
            start=None if video.start is None else video.start.isoformat(),
            notes=(*video.notes, *([note] if apart is not None and (note := apart.note()) is not None else [])),
            dtype=self.dtype.name,
            unit=video.unit,
            declared_range=video.declared_range,
            missing=self._missing,
            has_missing=self._has_missing,
            has_values=self._known > 0,
            inside=None if video.declared_range is None else self._inside / max(self._known, 1),
        )


class StoredFrames:
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
