import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from convlstm_cli.compute.device import choose
from convlstm_cli.nn import EncoderForecaster, ForecasterConfig
from convlstm_cli.runs import checkpoint
from convlstm_cli.runs.checkpoint import Checkpoint
from convlstm_cli.runs.state import State
from convlstm_cli.training.config import TrainConfig
from convlstm_cli.training.optimisers import OPTIMISERS
from convlstm_cli.training.step import TrainStep

MODEL = ForecasterConfig(16, 16, 1, hidden=(2,), kernel_size=1, input_frames=2, horizon=1)


def saved(optimizer: str = "adamw") -> dict[str, Any]:
    step = TrainStep(MODEL, TrainConfig(optimizer=optimizer), choose("cpu"), None)
    step(torch.rand(1, 3, 1, 16, 16))
    return Checkpoint(State(steps=1, position=1, seconds=1.0), step.state_dict()).to_plain()


def written(tmp_path: Path, content: Any) -> Path:
    torch.save(content, tmp_path / "resume.pt")
    return tmp_path / "resume.pt"


@pytest.mark.parametrize("optimizer", list(OPTIMISERS))
def test_what_is_saved_is_accepted_and_goes_on(tmp_path: Path, optimizer: str) -> None:
    loaded = checkpoint.load(written(tmp_path, saved(optimizer)), MODEL)
    step = TrainStep(MODEL, TrainConfig(optimizer=optimizer), choose("cpu"), None)
    step.load_state_dict(loaded.step)
    step(torch.rand(1, 3, 1, 16, 16))


def put(*way: Any, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(content: dict[str, Any]) -> None:
        *above, last = way
        inner: Any = content
        for key in above:
            inner = inner[key]
        inner[last] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        put("state", "epoch", value=2**40),
        put("state", "steps", value=-1),
        put("state", "seconds", value=float("nan")),
        put("state", "best_epoch", value=3),
        put("state", "history", value=[{}]),
        put("step", "network", "head.conv.bias", value=torch.zeros(1)),
        put("step", "network", "head.conv.bias", value=torch.zeros(1).expand(10**9)),
        put("step", "network", "added", value=torch.zeros(1)),
        put("step", "average", "module.head.conv.bias", value=torch.zeros(64).double()),
        put("step", "average", "n_averaged", value=torch.tensor(-9)),
        put("step", "optimizer", "param_groups", 0, "lr", value=float("inf")),
        put("step", "scaler", value=None),
        put("step", value=[]),
    ],
)
def test_what_no_training_saves_is_refused(tmp_path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    content = saved()
    change(content)
    with pytest.raises(ValueError, match=r".+"):
        checkpoint.load(written(tmp_path, content), MODEL)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("exp_avg", torch.zeros(3)),
        ("exp_avg_sq", None),
        ("exp_avg_sq", -1.0),
        ("step", torch.tensor(-1.0)),
        ("step", torch.tensor(float("nan"))),
    ],
)
def test_an_optimiser_of_other_parameters_is_refused(name: str, value: Any) -> None:
    step = TrainStep(MODEL, TrainConfig(), choose("cpu"), None)
    content = copy.deepcopy(saved()["step"])
    moments = content["optimizer"]["state"][0]
    moments[name] = torch.full_like(moments[name], value) if isinstance(value, float) else value
    with pytest.raises(ValueError, match="the optimiser's"):
        step.load_state_dict(content)


def test_a_network_is_known_by_names_and_shapes() -> None:
    shapes = {name: list(tensor.shape) for name, tensor in EncoderForecaster(MODEL).state_dict().items()}
    checkpoint.check_shapes(shapes, MODEL)
    with pytest.raises(ValueError, match=r"head\.conv\.bias has the shape \[9\]"):
        checkpoint.check_shapes({**shapes, "head.conv.bias": [9]}, MODEL)
    with pytest.raises(ValueError, match="the network has no more"):
        checkpoint.check_shapes({**shapes, "more": [9]}, MODEL)
    del shapes["head.conv.bias"]
    with pytest.raises(ValueError, match=r"there is no head\.conv\.bias"):
        checkpoint.check_shapes(shapes, MODEL)
