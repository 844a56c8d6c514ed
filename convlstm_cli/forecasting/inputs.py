"""The inputs of a prediction: the videos behind paths, and the name of each one's folder."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from convlstm_cli.errors import ConvLSTMError, InputError
from convlstm_cli.paths import unique
from convlstm_cli.progress import Progress
from convlstm_cli.video.readers.folders import is_pattern
from convlstm_cli.video.readers.parts import split_part
from convlstm_cli.video.search import Note, aggregated, find_videos
from convlstm_cli.video.sequences.names import split_suffix

LONGEST_NAME = 150
"""Bytes of the name of a forecast's folder. A system allows 255, of which numbers and suffixes take some."""
_DISLIKED = re.compile(r'[<>:"/\\|?*=.]+')
"""Characters that some file systems refuse in names, and those that end a stem."""

Unusable = tuple[Path, ConvLSTMError]
"""An input that cannot be used, and why."""


def find_inputs(inputs: Sequence[str | Path], progress: Progress) -> list[Path | Unusable]:
    """The videos behind paths, each once; a path that cannot be used stands beside its error.

    Notes to `progress` say what files and images were taken for, where that is not plain.
    """
    sources: list[Path | Unusable] = []
    notes: list[Note] = []
    for entry in map(Path, inputs):
        try:
            found = find_videos([entry])
            if not found.videos:
                why = next((note.text for note in found.notes if note.path == entry), "holds no videos")
                raise InputError(f"{entry}: {why}; give videos, image folders, .npy arrays or folders of them.")
            notes += found.notes
            sources += [video.path for video in found.videos]
        except ConvLSTMError as error:
            sources.append((entry, error))
    for line in aggregated(notes):
        progress.note(line)
    return list(dict.fromkeys(sources))


def path_of(source: Path | Unusable) -> Path:
    """The path of an input, usable or not."""
    return source if isinstance(source, Path) else source[0]


def output_names(sources: Sequence[Path]) -> dict[Path, str]:
    """A folder name for each video: its stem, with the suffix and then a number where several share the stem."""
    stems = Counter(map(_key, sources))
    names: dict[Path, str] = {}
    taken: set[str] = set()
    for source in sources:
        name = _stem(source) if stems[_key(source)] == 1 else _name(source).replace(".", "_")
        name = "".join(letter if letter.isprintable() else "_" for letter in name)
        name = name.encode()[:LONGEST_NAME].decode(errors="ignore")  # UTF-8 only, since OpenCV opens no other names
        names[source] = unique(name, lambda candidate: candidate.casefold() in taken)
        taken.add(names[source].casefold())
    return names


def _key(source: Path) -> str:
    """Equal for two stems that a file system without capitals takes for one."""
    return _stem(source).casefold()


def _stem(source: Path) -> str:
    return Path(_name(source)).stem or "video"


def _name(source: Path) -> str:
    """The last part of a path; for "." and "..", which have none, that of the folder that they mean.

    Without the `*` and `?` of a pattern, and the folder's where nothing else is left. Parts of a file follow its stem.
    """
    file, parts = split_part(source)
    if parts:
        stem, suffix = split_suffix(file.name)
        return f"{stem}-{_DISLIKED.sub('-', '-'.join(parts)).strip('-')}{suffix}"
    if source.name in ("", ".."):
        return source.resolve().name
    if not is_pattern(source):
        return source.name
    stem, suffix = (part.replace("*", "").replace("?", "") for part in split_suffix(source.name))
    return f"{stem.strip(' _-.') or source.parent.resolve().name}{suffix}"
