"""Videos decoded once, at the model's size, into the entries of a folder (`cache_entry.py`).

The key of an entry names the source's path and the geometry, so a source that has changed is decoded again into its old
entry.
"""

import functools
import hashlib
import json
from dataclasses import asdict
from pathlib import Path

from convlstm_cli.errors import OutputError
from convlstm_cli.files import replacing, write_text, writing
from convlstm_cli.paths import resolved
from convlstm_cli.video.cache_entry import Entry, EntryFiles
from convlstm_cli.video.cache_writer import decode_into
from convlstm_cli.video.geometry import FrameGeometry
from convlstm_cli.video.readers import source_files
from convlstm_cli.video.readers.checks import reading
from convlstm_cli.video.readers.video_reader import VideoReader

LAYOUT = 12
"""Version of the entries. A higher one makes older entries be decoded again."""


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
            frames, prints, ranks = (replacing(file, durable=False) for file in EntryFiles.of(path))
            with frames as partial, prints as printed, ranks as ranked:
                files = EntryFiles(partial, printed, ranked)
                entry = decode_into(files, source, geometry, fingerprint, missing, select)
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
