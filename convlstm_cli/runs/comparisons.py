"""A comparison's folder on disk, for what reads it without comparing: its record and its runs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from convlstm_cli.errors import ConvLSTMError, RunError, UsageError
from convlstm_cli.files import write_text
from convlstm_cli.runs import record
from convlstm_cli.runs.folders import RUNS
from convlstm_cli.runs.run import Run

RECORD = "comparison.json"
"""The file that makes a folder a comparison."""
SUMMARY = "summary.json"


def write_recorded(folder: Path, arms: Mapping[str, Sequence[Run]], seeds: Sequence[int]) -> None:
    """Writes the comparison.json of a comparison of existing runs."""
    content = {
        "kind": "recorded",
        "seeds": list(seeds),
        "runs": {name: [str(run.folder.resolve()) for run in runs] for name, runs in arms.items()},
    }
    write_text(folder / RECORD, json.dumps(content, indent=2) + "\n")


def is_comparison(folder: Path) -> bool:
    """Whether a folder holds a comparison, finished or not."""
    return (folder / RECORD).is_file()


def read_record(folder: Path) -> dict[str, Any]:
    """What comparison.json holds. Raises RunError if it is not there or damaged."""
    try:
        return record.read(folder / RECORD, record.as_object)
    except FileNotFoundError:
        raise RunError(f"{folder}: is no comparison; `convlstm compare FOLDER` makes one under {RUNS}/.") from None


def run_folders(folder: Path) -> list[Path]:
    """The runs of a comparison that have begun, arm by arm.

    Raises RunError where comparison.json is damaged, or an existing run that it compares is gone.
    """
    content = read_record(folder)
    with record.damaged(folder / RECORD, "restore it from a copy"):
        runs = record.build(dict[str, list[str]], content["runs"])
        named = [folder / name for names in runs.values() for name in names]
        if content.get("kind") != "recorded" and any(
            ".." in Path(name).parts or Path(name).is_absolute() for names in runs.values() for name in names
        ):
            raise ValueError("it names runs of other folders")
    begun = [path for path in named if (path / "config.json").is_file()]
    if content.get("kind") == "recorded" and begun != named:
        gone = next(path for path in named if path not in begun)
        raise RunError(f"{folder}: compares {gone}, which is gone; put it back, or name the runs that are left.")
    return begun


@dataclass(frozen=True)
class UnfinishedComparison:
    """How far a comparison is that has no result yet."""

    comparison: str
    """Its folder."""
    kind: str | None
    """`trained` or `recorded`."""
    runs: int
    """Runs that it will have."""
    begun: int
    finished: int

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def unfinished(folder: Path) -> UnfinishedComparison:
    """How far a comparison is. Raises RunError where comparison.json is damaged, or an existing run is gone."""
    content, begun = read_record(folder), run_folders(folder)
    return UnfinishedComparison(
        comparison=str(folder),
        kind=content.get("kind"),
        runs=sum(map(len, content["runs"].values())),
        begun=len(begun),
        finished=sum((run / "test.json").is_file() for run in begun),
    )


def newest() -> Path:
    """The comparison under runs/ that was begun last. Raises UsageError if there is none that trains."""
    found = [path.parent for path in RUNS.glob(f"*/{RECORD}") if _trains(path.parent)]
    if not found:
        raise UsageError(f"there is no comparison under {RUNS.resolve()}; begin one first, or name one with -o.")
    return max(found, key=lambda folder: (folder / RECORD).stat().st_mtime)


def _trains(folder: Path) -> bool:
    try:
        return read_record(folder).get("kind") == "trained"
    except ConvLSTMError:
        return False
