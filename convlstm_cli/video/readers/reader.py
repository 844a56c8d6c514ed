"""A way of reading videos: what an entry of the registry says."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from convlstm_cli.video.readers.video_reader import VideoReader


class Contents(NamedTuple):
    """The videos of a file."""

    videos: tuple[Path, ...]
    """The file itself, or its parts as `parts.part_path` names them."""
    note: str | None = None
    """What the file was taken for, a clause that begins with what it holds; None where that is plain."""


def _itself(path: Path) -> list[Path]:
    return [path]


@dataclass(frozen=True)
class Reader:
    """A way of reading videos; an entry of READERS."""

    name: str
    """The kind of a video, as `convlstm inspect` shows it."""
    doc: str
    """What it reads, in a few words."""
    suffixes: frozenset[str]
    """Suffixes of the files that it reads, in lower case and with their dot."""
    open: Callable[[Path], VideoReader]
    """Opens a path, which exists and may be read. Raises InputError."""
    single_frames: bool = False
    """Whether a file is a single frame. A search of folders then takes the folder for the video, not the file."""
    is_film: bool = True
    """Whether its videos are films, which play at the rate of their times; frames of others may be hours apart."""
    files: Callable[[Path], list[Path]] = _itself
    """Lists the files whose content makes up the video at a path. Raises InputError."""
    contents: Callable[[Path], Contents] | None = None
    """Lists the videos of a file or of a part of it; None where a file is one video. Raises InputError."""
    is_still: Callable[[Path], bool] | None = None
    """Whether a file holds a single frame, so that it may be one of a sequence; None where it never does."""
    position: Callable[[Path], float] | None = None
    """Where a file of one frame stands in a sequence; None where its name says so. Raises InputError."""
    is_store: Callable[[Path], bool] | None = None
    """Whether a folder is one of its files; None where none is."""
