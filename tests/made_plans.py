"""Small plans of comparisons, and what tests ask about the trainings that are made of them."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from helpers import data_record, moving_square

from convlstm_cli.comparing.case import Case, TrainedArm
from convlstm_cli.comparing.config import CompareConfig
from convlstm_cli.comparing.plan import Arm, Plan
from convlstm_cli.nn import ForecasterConfig
from convlstm_cli.nn.config import Peephole
from convlstm_cli.progress import Progress
from convlstm_cli.runs.run import Run
from convlstm_cli.train import train
from convlstm_cli.training.config import TrainConfig
from convlstm_cli.video.config import DataConfig
from convlstm_cli.video.data import VideoData, prepare

MODEL = ForecasterConfig(
    32, 32, 1, hidden=(4,), kernel_size=3, input_frames=4, horizon=3, forecaster="unconditioned", head="sigmoid"
)
"""Without motion, which takes most of the time of a small network."""
TRAINING = TrainConfig(
    init="none",
    learning_rate=3e-3,
    max_steps=3,
    batch_size=4,
    epoch_steps=2,
    patience=0,
    device="cpu",
    augment=("hflip",),
)
KINDS: tuple[Peephole, ...] = ("none", "channel")
CPU = torch.device("cpu")


class Shelf:
    """Runs that are trained for two steps on eight small videos, each once for all test files."""

    def __init__(self, root: Path) -> None:
        self.videos = root / "videos"
        self._root = root
        if not self.videos.exists():
            self.videos.mkdir(parents=True)
            for index in range(8):
                np.save(self.videos / f"square{index}.npy", moving_square(14, seed=index))

    def data(self, **settings: object) -> VideoData:
        """The videos, brought to 32x32 unless `settings` differ."""
        config = {"height": 32, "width": 32, **settings}
        return prepare(DataConfig((str(self.videos),), **config), 4, 3)  # type: ignore[arg-type]

    def run(self, name: str, data: VideoData | None = None, model: ForecasterConfig = MODEL, **training: object) -> Run:
        """The run of this name, trained where it is not there yet."""
        folder = self._root / name
        if not folder.exists():
            config = dataclasses.replace(TRAINING, max_steps=2, patience=15, augment=())
            train(data or self.data(), model, dataclasses.replace(config, **training), folder)  # type: ignore[arg-type]
        return Run.open(folder)


def made_case(shelf: Shelf, folder: Path) -> Case:
    """Two arms with two seeds each, scored on clips of two videos, to be judged in a folder that is made."""
    none = dataclasses.replace(MODEL, peephole="none")
    folder.mkdir()
    return Case(
        folder=folder,
        final_folder=folder.with_name("final"),
        arms=(
            TrainedArm("none", (shelf.run("none-0", model=none), shelf.run("none-1", model=none, seed=1)), 0.25),
            TrainedArm("mine", (shelf.run("channel-0"), shelf.run("channel-1", seed=1))),
        ),
        seeds=(0, 1),
        clips=shelf.data(test=0.3).clips("test"),
        input_frames=4,
        batch_size=2,
        kind="trained",
        match="steps",
        settings={"data": {"folders": ("a", "b")}},
        warnings=("known before",),
    )


class Heard(Progress):
    """Keeps what is reported."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.shares: list[float] = []

    def note(self, message: str) -> None:
        self.notes.append(message)

    def comparing(self, done: float, total: int, name: str) -> None:
        assert name
        self.shares.append(done / total)


def plan_of(data: VideoData, folder: Path, training: TrainConfig = TRAINING, **compare: object) -> Plan:
    """A plan of two arms and two seeds, written to its folder."""
    plan = plan_with(folder, dataclasses.asdict(data.config), data.to_dict(), training, **compare)
    plan.write()
    return plan


def plan_with(
    folder: Path,
    data_settings: dict[str, Any] | None = None,
    data: dict[str, Any] | None = None,
    training: TrainConfig = TRAINING,
    **compare: object,
) -> Plan:
    """A plan of two arms and two seeds; of videos that are nowhere unless they are given."""
    arms = tuple(Arm(kind, dataclasses.replace(MODEL, peephole=kind), training) for kind in KINDS)
    settings = {
        "data": data_settings or dataclasses.asdict(DataConfig(("/x",), 32, 32)),
        "model": dataclasses.asdict(MODEL),
        "training": dataclasses.asdict(training),
        "compare": dataclasses.asdict(CompareConfig(KINDS, seeds=2, **compare)),  # type: ignore[arg-type]
    }
    return Plan(folder, arms, (0, 1), data or data_record(32, 32), settings)


def weights(plan: Plan) -> Iterator[dict[str, torch.Tensor]]:
    return (Run.open(plan.run_folder(trial)).load_model(CPU).state_dict() for trial in plan.trials())


def assert_same(one: Plan, other: Plan) -> None:
    for ours, others in zip(weights(one), weights(other), strict=True):
        assert ours.keys() == others.keys()
        assert all(torch.equal(ours[name], others[name]) for name in ours)
