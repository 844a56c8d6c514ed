"""Muon: what its update is, that gates know nothing of each other, and that it goes on as if never interrupted."""

import copy
import io
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from convlstm_cli.errors import UsageError
from convlstm_cli.nn import EncoderForecaster, ForecasterConfig
from convlstm_cli.training.muon import COEFFICIENTS, GATES, STEPS, Muon, orthogonalised, parameter_groups

SMALL = ForecasterConfig(8, 8, 1, hidden=(4, 3), patch_size=4, input_frames=3, horizon=2)


def network() -> EncoderForecaster:
    torch.manual_seed(0)
    return EncoderForecaster(SMALL)


def learn(model: EncoderForecaster, optimizer: Muon, steps: int, seed: int = 0) -> None:
    random = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        clips = torch.rand(2, 5, 1, 8, 8, generator=random)
        optimizer.zero_grad()
        (model(clips[:, :3], 2) - clips[:, 3:]).square().mean().backward()
        optimizer.step()


def reference(kernel: np.ndarray, gradients: list[np.ndarray], rate: float, momentum: float) -> np.ndarray:
    """The update rule of Jordan et al. 2024 in float64, each gate by itself."""
    a, b, c = COEFFICIENTS
    kernel, buffer = kernel.astype(np.float64), np.zeros(kernel.shape)
    for gradient in gradients:
        buffer = momentum * buffer + (1 - momentum) * gradient
        ahead = momentum * buffer + (1 - momentum) * gradient
        for gate in range(GATES):
            rows = slice(gate * len(kernel) // GATES, (gate + 1) * len(kernel) // GATES)
            x = ahead[rows].reshape(len(kernel) // GATES, -1)
            scale = math.sqrt(max(1.0, x.shape[0] / x.shape[1]))
            x = x / (np.linalg.norm(x) + 1e-7)
            for _ in range(STEPS):
                square = x @ x.T
                x = a * x + (b * square + c * square @ square) @ x
            kernel[rows] -= rate * scale * x.reshape(kernel[rows].shape)
    return kernel


@pytest.mark.parametrize("shape", [(8, 5, 3, 3), (64, 1, 3, 3), (12, 2, 1, 1)])
@pytest.mark.parametrize("lr_as_tensor", [False, True])
def test_a_kernel_moves_as_the_rule_says(shape: tuple[int, ...], lr_as_tensor: bool) -> None:
    random = torch.Generator().manual_seed(1)
    parameter = nn.Parameter(torch.randn(shape, generator=random, dtype=torch.float64))
    before = parameter.detach().numpy().copy()
    gradients = [torch.randn(shape, generator=random, dtype=torch.float64) for _ in range(3)]
    group = {"params": [parameter], "kind": "muon", "lr": 0.02, "gates": GATES}
    optimizer = Muon([group], lr_as_tensor=lr_as_tensor)
    for gradient in gradients:
        parameter.grad = gradient.clone()
        optimizer.step()
    expected = reference(before, [gradient.numpy() for gradient in gradients], 0.02, 0.95)
    np.testing.assert_allclose(parameter.detach().numpy(), expected, rtol=1e-6, atol=1e-8)


@settings(deadline=None, max_examples=30)
@given(rows=st.integers(1, 12), columns=st.integers(1, 40), seed=st.integers(0, 1000), size=st.floats(1e-3, 1e3))
def test_an_update_is_nearly_orthogonal_whatever_the_gradients_size(
    rows: int, columns: int, seed: int, size: float
) -> None:
    matrices = torch.randn(3, rows, columns, generator=torch.Generator().manual_seed(seed)) * size
    small = torch.linalg.svdvals(matrices)
    values = torch.linalg.svdvals(orthogonalised(matrices))
    assert values.max() < 1.3
    # Directions of which there is next to nothing take more steps to be brought up.
    there = small > 0.05 * small.amax(dim=1, keepdim=True)
    assert values[there].min() > 0.3


def test_a_gates_update_does_not_depend_on_the_other_gates() -> None:
    random = torch.Generator().manual_seed(2)
    gradient = torch.randn(8, 3, 3, 3, generator=random)
    moved = []
    for scale in (1.0, 100.0):
        parameter = nn.Parameter(torch.zeros(8, 3, 3, 3))
        parameter.grad = gradient.clone()
        parameter.grad[2:] *= scale
        Muon([{"params": [parameter], "kind": "muon", "lr": 0.02, "gates": GATES}]).step()
        moved.append(parameter.detach()[:2].clone())
    assert torch.equal(*moved)


def test_tensors_of_one_shape_move_as_they_do_alone() -> None:
    """They are multiplied together, which must not mix them up."""
    random = torch.Generator().manual_seed(3)
    starts = [torch.randn(8, 3, 3, 3, generator=random) for _ in range(3)]
    slopes = [torch.randn(8, 3, 3, 3, generator=random) for _ in range(3)]

    def moved(places: list[int]) -> list[Tensor]:
        parameters = [nn.Parameter(starts[place].clone()) for place in places]
        for parameter, place in zip(parameters, places, strict=True):
            parameter.grad = slopes[place].clone()
        Muon([{"params": parameters, "kind": "muon", "lr": 0.02, "gates": GATES}]).step()
        return [parameter.detach() for parameter in parameters]

    together = moved([0, 1, 2])
    for place in range(3):
        torch.testing.assert_close(together[place], moved([place])[0])


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("lr_as_tensor", [False, True])
def test_the_rest_moves_as_torchs_adamw(weight_decay: float, lr_as_tensor: bool) -> None:
    random = torch.Generator().manual_seed(4)
    ours = [nn.Parameter(torch.randn(5, generator=random)), nn.Parameter(torch.randn(2, 3, generator=random))]
    theirs = copy.deepcopy(ours)
    group: dict[str, Any] = {"params": ours, "lr": 0.01, "weight_decay": weight_decay}
    optimizer = Muon([group], lr_as_tensor=lr_as_tensor)
    expected = torch.optim.AdamW(theirs, lr=0.01, weight_decay=weight_decay)
    for _ in range(5):
        for one, other in zip(ours, theirs, strict=True):
            one.grad = torch.randn(one.shape, generator=random)
            other.grad = one.grad.clone()
        optimizer.step()
        expected.step()
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("lr_as_tensor", [False, True])
def test_what_is_interrupted_goes_on_to_the_very_same_weights(lr_as_tensor: bool) -> None:
    straight = network()
    optimizer = Muon(parameter_groups(straight), lr_as_tensor=lr_as_tensor)
    learn(straight, optimizer, 3)
    file = io.BytesIO()
    torch.save({"network": straight.state_dict(), "optimizer": optimizer.state_dict()}, file)
    learn(straight, optimizer, 3, seed=1)

    file.seek(0)
    state = torch.load(file, weights_only=True)
    resumed = network()
    resumed.load_state_dict(state["network"])
    other = Muon(parameter_groups(resumed), lr_as_tensor=lr_as_tensor)
    other.load_state_dict(state["optimizer"])
    learn(resumed, other, 3, seed=1)
    for name, value in resumed.state_dict().items():
        assert torch.equal(value, straight.state_dict()[name]), name


def test_kernels_of_the_layers_are_muons_and_every_parameter_is_someones() -> None:
    model = network()
    groups = parameter_groups(model, weight_decay=0.1)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    found = [names.pop(id(parameter)) for group in groups for parameter in group["params"]]
    assert not names
    kernels = [name for name in found if name.endswith(("weight_ih", "weight_hh"))]
    assert found[: len(groups[0]["params"])] == kernels
    assert [group.get("weight_decay", 0.0) for group in groups] == [0.0, 0.1, 0.0]


def test_it_learns() -> None:
    model = network()
    clips = torch.rand(2, 5, 1, 8, 8, generator=torch.Generator().manual_seed(5))
    optimizer = Muon(parameter_groups(model))

    def loss() -> Tensor:
        optimizer.zero_grad()
        found: Tensor = (model(clips[:, :3], 2) - clips[:, 3:]).square().mean()
        found.backward()  # type: ignore[no-untyped-call]
        return found

    first = loss().item()
    for _ in range(60):
        loss()
        optimizer.step()
    assert loss().item() < 0.9 * first


@pytest.mark.parametrize("lr_as_tensor", [False, True])
def test_the_rate_is_a_share_of_the_first_one(lr_as_tensor: bool) -> None:
    optimizer = Muon(parameter_groups(network()), lr_as_tensor=lr_as_tensor)
    optimizer.set_rate(0.5)
    optimizer.set_rate(0.25)
    assert [round(float(group["lr"]), 6) for group in optimizer.param_groups] == [0.005, 0.00075, 0.00075]


def test_a_parameter_without_a_gradient_stays() -> None:
    parameters = [nn.Parameter(torch.ones(4, 2)), nn.Parameter(torch.ones(4, 2))]
    parameters[0].grad = torch.ones(4, 2)
    Muon([{"params": parameters, "kind": "muon", "gates": 2}]).step()
    assert not torch.equal(parameters[0], torch.ones(4, 2))
    assert torch.equal(parameters[1], torch.ones(4, 2))


@pytest.mark.parametrize(
    "group", [{"kind": "sgd"}, {"kind": "muon", "gates": 3}], ids=["an unknown kind", "gates that do not divide"]
)
def test_what_it_cannot_move_is_refused(group: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Muon([{"params": [nn.Parameter(torch.ones(4, 2))], **group}])
