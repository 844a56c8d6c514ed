"""Which frames are known to be normal: videos that are named, or else those that a run did not learn from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from convlstm_cli.errors import InputError
from convlstm_cli.forecasting.inputs import find_inputs
from convlstm_cli.paths import resolved
from convlstm_cli.progress import Progress
from convlstm_cli.runs.run import Run

LEAST = 20
"""Fewest normal frames with a score."""
SHARE = 4
"""Part of a video, one in so many of its frames, that counts as normal where nothing else is known."""
UNKNOWN = 500
"""Frames of that part where the video does not say how many it has."""
SUBSETS = ("validation", "test")
"""Training videos are left out: what a network learned from surprises it less than other normal frames."""


@dataclass(frozen=True)
class NormalVideo:
    """Frames of a video that are normal."""

    path: Path
    first: int = 1
    """Number of the first of them, from 1."""
    last: int | None = None
    """Number of the last; None for that of the video."""


def named(paths: Sequence[str | Path], progress: Progress) -> tuple[NormalVideo, ...]:
    """The videos behind paths. Raises InputError for one that holds none."""
    found = find_inputs(paths, progress)
    for source in found:
        if isinstance(source, tuple):
            raise source[1]
    return tuple(NormalVideo(source) for source in found if isinstance(source, Path))


def of_run(run: Run, watched: Path) -> tuple[NormalVideo, ...]:
    """The validation and test frames of a run, of videos that are still there and are not the one that is watched."""
    split = run.config["data"].get("split", {})
    return tuple(_held_out(split, watched))


def _held_out(split: dict[str, list[dict[str, object]]], watched: Path) -> Iterator[NormalVideo]:
    for subset in SUBSETS:
        for entry in split.get(subset, ()):
            path = Path(str(entry["path"]))
            if path.exists() and resolved(path) != resolved(watched):
                yield NormalVideo(path, int(str(entry["source_start"])) + 1, int(str(entry["source_stop"])))


def first_part(declared: int | None) -> int:
    """Frames with a score at the beginning of a video that count as normal, by the frames that it declares."""
    return UNKNOWN if declared is None else max(LEAST, declared // SHARE)


def too_few(where: str, found: int) -> InputError:
    """The error for normal frames that are too few."""
    return InputError(
        f"{where}: has {found} normal frames that can be forecast, and {LEAST} are needed to say what is unusual; give "
        "--normal FOLDER with more videos of normal behaviour."
    )
