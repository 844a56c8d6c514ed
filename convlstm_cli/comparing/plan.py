"""A comparison on disk.

    comparison.json     what is compared: arms, seeds, how they are matched; written first
    seed-0/none/ ...    a run folder for each training of each arm
    summary.json        what was found
    metrics.csv         a row for each seed, arm, clip and lead time
    report.html         all of it as a page

A comparison of existing runs holds no run folders: comparison.json says where they are.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from convlstm_cli.comparing.config import CompareConfig
from convlstm_cli.errors import RunError, UsageError
from convlstm_cli.files import write_text
from convlstm_cli.nn.config import ForecasterConfig
from convlstm_cli.runs.comparisons import RECORD, SUMMARY, read_record
from convlstm_cli.runs.record import build, damaged
from convlstm_cli.runs.records import DataRecord
from convlstm_cli.training.config import AUTO_BATCH, TrainConfig
from convlstm_cli.video.config import DataConfig


@dataclass(frozen=True)
class Arm:
    """One thing that is compared: a network and its training, repeated with every seed."""

    name: str
    model: ForecasterConfig
    training: TrainConfig
    """In a plan its only limit is `max_steps`."""
    step_seconds: float | None = None
    """Median time of an optimiser step, measured in turn with the other arms."""

    def __post_init__(self) -> None:
        # It becomes the name of a folder.
        if not self.name or self.name in (".", "..") or set(self.name) & set("/\\\0"):
            raise ValueError(f"{self.name!r} cannot be the name of an arm")


@dataclass(frozen=True)
class Trial:
    """One training: an arm with a seed."""

    arm: Arm
    seed: int

    def __str__(self) -> str:
        return f"{self.arm.name}, seed {self.seed}"


@dataclass(frozen=True)
class Plan:
    """What comparison.json holds about a comparison that trains."""

    folder: Path
    arms: tuple[Arm, ...]
    """The first is what the others are compared with."""
    seeds: tuple[int, ...]
    data: dict[str, Any]
    """`VideoData.to_dict`."""
    settings: dict[str, dict[str, Any]]
    """What was asked for, before anything was matched: `data`, `model`, `training` and `compare`."""
    extended: bool = False
    """Whether seeds were added after a result was known, which makes the p values smaller than they should be."""

    def write(self) -> None:
        """Writes comparison.json. Raises OutputError where the system refuses."""
        content = {
            "kind": "trained",
            "arms": [asdict(arm) for arm in self.arms],
            "seeds": self.seeds,
            "runs": {
                arm.name: [str(self.run_folder(Trial(arm, seed)).relative_to(self.folder)) for seed in self.seeds]
                for arm in self.arms
            },
            "extended": self.extended,
            "settings": self.settings,
            "data": self.data,
        }
        write_text(self.folder / RECORD, json.dumps(content, indent=2, allow_nan=False) + "\n")

    @classmethod
    def read(cls, folder: Path) -> "Plan":
        """Reads comparison.json. Raises RunError if it is damaged, or of a comparison of existing runs."""
        record = read_record(folder)
        if record.get("kind") != "trained":
            raise RunError(f"{folder}: compares existing runs, so there is nothing to train or to go on with.")
        # Damage is found here, not in the middle of a command.
        with damaged(folder / RECORD, "restore it from a copy"):
            arms = build(tuple[Arm, ...], record["arms"])
            seeds = build(tuple[int, ...], record["seeds"])
            if not arms or not seeds or min(seeds) < 0 or len({arm.name for arm in arms}) < len(arms):
                raise ValueError("its arms or seeds are none, or not different")
            data = build(DataRecord, record["data"])
            for arm in arms:
                model = arm.model
                if arm.training.batch_size == AUTO_BATCH:
                    raise ValueError(f"the batch_size of {arm.name} is not settled")
                data.check_clips(model.clip_frames)
                if (data.settings.height, data.settings.width, data.channels) != (
                    model.height,
                    model.width,
                    model.channels,
                ):
                    raise ValueError(f"the frames are not those of the network of {arm.name}")
            settings = record["settings"]
            # With all that is left at the defaults, and lists for tuples, as it is written.
            settings = {
                "data": asdict(build(DataConfig, settings["data"])),
                "model": asdict(build(ForecasterConfig, settings["model"])),
                "training": asdict(build(TrainConfig, settings["training"])),
                "compare": asdict(build(CompareConfig, settings["compare"])),
            }
            settings, recorded = json.loads(json.dumps([settings, asdict(data)]))
            return cls(folder, arms, seeds, recorded, settings, build(bool, record["extended"]))

    @property
    def compare(self) -> CompareConfig:
        """How the arms are compared."""
        return CompareConfig(**self.settings["compare"])

    def trials(self) -> Iterator[Trial]:
        """All trainings, seed by seed, so that an interruption leaves whole pairs."""
        for seed in self.seeds:
            for arm in self.arms:
                yield Trial(arm, seed)

    def run_folder(self, trial: Trial) -> Path:
        """The run folder of a training."""
        return self.folder / f"seed-{trial.seed}" / trial.arm.name

    def with_seeds(self, count: int) -> "Plan":
        """The plan with so many seeds. Raises UsageError for fewer than it has."""
        if count < len(self.seeds):
            raise UsageError(
                f"--seeds is {count} and {self.folder} has {len(self.seeds)} already; seeds can only be added."
            )
        seeds = tuple(range(self.seeds[0], self.seeds[0] + count))
        looked = seeds != self.seeds and (self.folder / SUMMARY).exists()
        settings = {**self.settings, "compare": {**self.settings["compare"], "seeds": count}}
        return replace(self, seeds=seeds, settings=settings, extended=self.extended or looked)
