import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from convlstm_cli.compute.device import choose
from convlstm_cli.errors import UsageError
from convlstm_cli.nn import ForecasterConfig
from convlstm_cli.runs.checkpoint import Checkpoint, check_moments
from convlstm_cli.runs.moments import Moment
from convlstm_cli.runs.run import Run
from convlstm_cli.runs.state import State
from convlstm_cli.training.config import TrainConfig
from convlstm_cli.training.optimisers import OPTIMISERS, Optimiser, Rates, decayed_and_free
from convlstm_cli.training.step import TrainStep

MODEL = ForecasterConfig(16, 16, 1, hidden=(2,), kernel_size=1, input_frames=2, horizon=1)


def clips() -> torch.Tensor:
    return torch.rand(2, 3, 1, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", OPTIMISERS)
def test_what_an_optimiser_keeps_is_what_it_declares(name: str) -> None:
    step = TrainStep(MODEL, TrainConfig(optimizer=name), choose("cpu"), None)
    step(clips())
    assert step.optimizer.state
    check_moments(step.optimizer, OPTIMISERS[name].moments)
    for moments in step.optimizer.state.values():
        moments["more"] = torch.zeros(())
    with pytest.raises(ValueError, match="another kind"):
        check_moments(step.optimizer, OPTIMISERS[name].moments)


def test_another_optimisers_moments_are_refused() -> None:
    saved = TrainStep(MODEL, TrainConfig(), choose("cpu"), None)
    saved(clips())
    other = TrainStep(MODEL, TrainConfig(optimizer="rmsprop"), choose("cpu"), None)
    with pytest.raises(ValueError, match="another kind"):
        other.load_state_dict(saved.state_dict())


def test_the_kernels_rate_with_muon_is_in_a_fixed_ratio_to_that_of_all_else() -> None:
    for config, rate in ((TrainConfig(), 3e-3), (TrainConfig(learning_rate=1e-3), 1e-3)):
        groups = TrainStep(MODEL, config, choose("cpu"), None).optimizer.param_groups
        assert [group["kind"] for group in groups] == ["muon", "adamw", "adamw"]
        assert [group["lr"] for group in groups] == pytest.approx([rate * 0.02 / 3e-3, rate, rate])


def momentum(network: nn.Module, config: Rates) -> torch.optim.Optimizer:
    groups = decayed_and_free(network, config.weight_decay)
    groups[1]["lr"] = 0.1 * config.learning_rate
    return torch.optim.SGD(groups, lr=config.learning_rate, momentum=0.9)


def test_an_optimiser_is_added_in_one_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Options, training, each group's rate, and the validation of a checkpoint read the registry."""
    with pytest.raises(UsageError, match="--optimizer is 'momentum'; choose one of muon, adamw, rmsprop"):
        TrainConfig(optimizer="momentum")
    kept = {"momentum_buffer": Moment()}
    added = Optimiser("momentum", "gradients with momentum", momentum, lambda _group: kept)
    monkeypatch.setitem(OPTIMISERS._entries, "momentum", added)
    config = TrainConfig(optimizer="momentum", learning_rate=0.1)
    step = TrainStep(MODEL, config, choose("cpu"), None)
    step(clips(), rate=0.5)
    assert [group["lr"] for group in step.optimizer.param_groups] == pytest.approx([0.05, 0.005])
    run = Run(tmp_path, {"model": {"height": 16, "width": 16, "channels": 1, "hidden": [2], "kernel_size": 1}})
    run.config["model"] |= {"input_frames": 2, "horizon": 1}
    run.save_resume(Checkpoint(State(steps=1, position=1), step.state_dict()))
    saved = run.load_resume()
    assert saved is not None
    again = TrainStep(MODEL, config, choose("cpu"), None)
    again.load_state_dict(saved.step)
    assert again(clips()) == step(clips())
    for name, value in step.network.state_dict().items():
        assert torch.equal(again.network.state_dict()[name], value)


LEFT_OUT = """
import sys
import torch
from convlstm_cli.nn import ForecasterConfig
from convlstm_cli.nn.forecaster import parameter_count
from convlstm_cli.training.optimisers import leave_out_compiler
leave_out_compiler()
optimizer = torch.optim.AdamW([torch.zeros(2, requires_grad=True)])
optimizer.zero_grad()
optimizer.load_state_dict(optimizer.state_dict())
assert parameter_count(ForecasterConfig(16, 16, 1, hidden=(2,))) > 0
import convlstm_cli.train
print(*sorted({"torch._dynamo", "sympy", "matplotlib"} & set(sys.modules)))
"""


def test_a_training_begins_without_what_it_does_not_need_or_needs_at_its_end() -> None:
    """What torch compiles with, and what draws charts."""
    done = subprocess.run([sys.executable, "-c", LEFT_OUT], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"
