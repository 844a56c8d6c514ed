"""Where run folders are: the path of a new one, and the one that was written to last."""

from pathlib import Path

from convlstm_cli.errors import OutputError, UsageError
from convlstm_cli.files import PARTIAL
from convlstm_cli.lock import LOCK
from convlstm_cli.paths import numbered

RUNS = Path("runs")
"""Folder of new runs, in which the newest run is looked for."""


def check_free(folder: Path) -> None:
    """Raises OutputError if a new run cannot be `folder`, because something is there."""
    if folder.exists() and not (folder.is_dir() and all(_is_left(path) for path in folder.iterdir())):
        raise OutputError(f"{folder}: is there already; add --resume to go on with it, or choose another -o.")


def _is_left(path: Path) -> bool:
    """Whether a path may be left by a process that was killed before it made a run."""
    return path.name.startswith(PARTIAL) or path.name == LOCK


def new_folder(source: str | Path, kind: str = "") -> Path:
    """The path of a new run folder: runs/NAME-1, runs/NAME-2 and so on, named after the videos' folder."""
    stem = Path(source).resolve().name.replace("*", "").replace("?", "") or "run"  # of a pattern of images
    if kind:
        stem = f"{kind}-{stem}"
    return numbered(RUNS, stem)


def newest() -> Path:
    """The run folder under runs/ that was written to last, which a training continues.

    Raises UsageError if there is none.
    """
    found = last_written(trained=False)
    if found is None:
        raise UsageError(f"there is no run under {RUNS.resolve()} to continue; give a FOLDER, or name a run with -o.")
    return found


def last_written(*, trained: bool) -> Path | None:
    """The run folder under runs/ that was written to last; with `trained`, one that has weights; None without one."""
    marker = "model.safetensors" if trained else "resume.pt"
    found = [path for path in RUNS.glob(f"*/{marker}") if (path.parent / "config.json").exists()]
    return max(found, key=lambda path: path.stat().st_mtime).parent if found else None
