"""The equations of one step: against loops over plain floats, and their gradients against finite differences."""

from typing import get_args

import pytest
import reference
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from convlstm_cli.nn.activations import GATE_ACTIVATIONS
from convlstm_cli.nn.cell import CellRules, CellWeights, Peepholes, cell_step, cell_values
from convlstm_cli.nn.config import GateActivation, Peephole

KINDS = get_args(Peephole)
ACTIVATIONS = get_args(GateActivation)


def make(
    peephole: str,
    *,
    in_channels: int = 2,
    hidden: int = 2,
    kernel: tuple[int, int] = (3, 3),
    recurrent: tuple[int, int] = (3, 3),
    size: tuple[int, int] = (2, 3),
    batch: int = 1,
    valid: bool = False,
    seed: int = 0,
) -> tuple[Tensor | None, Tensor, Tensor, CellWeights]:
    """x, h, c and weights in float64, drawn from a seed; `size` is that of the state."""
    random = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=torch.float64, generator=random)

    grow = [k - 1 if valid else 0 for k in kernel]
    x = draw(batch, in_channels, size[0] + grow[0], size[1] + grow[1]) if in_channels else None
    h, c = draw(batch, hidden, *size), draw(batch, hidden, *size)
    shape = {"none": (), "channel": (hidden, 1, 1), "full": (hidden, *size)}[peephole]
    weights = CellWeights(
        draw(4 * hidden, in_channels, *kernel) if in_channels else None,
        draw(4 * hidden, hidden, *recurrent),
        draw(4 * hidden),
        Peepholes(draw(*shape), draw(*shape), draw(*shape)) if shape else None,
    )
    return x, h, c, weights


def as_lists(weights: CellWeights, size: tuple[int, int]) -> reference.Weights:
    """Weights for the reference, whose peepholes are always one per position."""
    peepholes = None
    if weights.peepholes is not None:
        i, f, o = (p.expand(-1, *size).tolist() for p in weights.peepholes)
        peepholes = i, f, o
    assert weights.bias is not None
    x = None if weights.weight_ih is None else weights.weight_ih.tolist()
    return reference.Weights(x, weights.weight_hh.tolist(), weights.bias.tolist(), peepholes)


odd = st.sampled_from([1, 3, 5])


@settings(max_examples=40, deadline=None)  # the loops are slow
@given(
    peephole=st.sampled_from(KINDS),
    gate_activation=st.sampled_from(ACTIVATIONS),
    in_channels=st.integers(0, 2),
    hidden=st.integers(1, 2),
    kernel=st.tuples(odd, odd),
    recurrent=st.tuples(odd, odd),
    size=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    valid=st.booleans(),
    cell_clip=st.sampled_from([None, 0.5]),
    seed=st.integers(0, 2**31),
)
def test_step_is_the_equations(
    peephole: str,
    gate_activation: GateActivation,
    in_channels: int,
    hidden: int,
    kernel: tuple[int, int],
    recurrent: tuple[int, int],
    size: tuple[int, int],
    valid: bool,
    cell_clip: float | None,
    seed: int,
) -> None:
    x, h, c, weights = make(
        peephole,
        in_channels=in_channels,
        hidden=hidden,
        kernel=kernel,
        recurrent=recurrent,
        size=size,
        batch=2,
        valid=valid,
        seed=seed,
    )
    rules = CellRules(gate_activation, "valid" if valid else "same", cell_clip)
    new_h, new_c = cell_step(x, h, c, weights, rules)
    for item in range(2):
        expected_h, expected_c = reference.step(
            None if x is None else x[item].tolist(),
            h[item].tolist(),
            c[item].tolist(),
            as_lists(weights, size),
            gate_activation=gate_activation,
            padded=not valid,
            cell_clip=cell_clip or float("inf"),
        )
        torch.testing.assert_close(new_h[item].tolist(), expected_h, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(new_c[item].tolist(), expected_c, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("gate_activation", ACTIVATIONS)
@pytest.mark.parametrize("peephole", KINDS)
def test_values_are_those_on_the_way(peephole: str, gate_activation: GateActivation) -> None:
    """Without convolutions the gates follow from biases and peepholes alone."""
    x, h, c, weights = make(peephole, in_channels=0)
    rules = CellRules(gate_activation, cell_clip=0.5)
    still = weights._replace(weight_hh=torch.zeros_like(weights.weight_hh))
    values = cell_values(x, h, c, still, rules)
    sigma = GATE_ACTIVATIONS[gate_activation]
    assert still.bias is not None
    i, f, g, o = still.bias.view(4, 1, -1, 1, 1)
    p = still.peepholes or Peepholes(*[torch.zeros(1)] * 3)
    torch.testing.assert_close(values.i, sigma(i + p.i * c))
    torch.testing.assert_close(values.f, sigma(f + p.f * c))
    torch.testing.assert_close(values.g, torch.tanh(g).expand_as(c))
    torch.testing.assert_close(values.c, (values.f * c + values.i * values.g).clamp(-0.5, 0.5))
    torch.testing.assert_close(values.o, sigma(o + p.o * values.c).expand_as(c))
    torch.testing.assert_close(values.h, values.o * torch.tanh(values.c))
    for one, other in zip(cell_step(x, h, c, still, rules), (values.h, values.c), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(
    ("name", "slope", "edge"),
    [("hard_sigmoid_keras3", 1 / 6, 3.0), ("hard_sigmoid_keras2", 0.2, 2.5)],
)
def test_hard_sigmoids_are_told_apart(name: str, slope: float, edge: float) -> None:
    sigma = GATE_ACTIVATIONS[name]
    z = torch.tensor([-9.0, -edge, -1.0, 0.0, 1.0, edge, 9.0], dtype=torch.float64)
    expected = torch.tensor([0.0, 0.0, 0.5 - slope, 0.5, 0.5 + slope, 1.0, 1.0], dtype=torch.float64)
    torch.testing.assert_close(sigma(z), expected)


def test_every_gate_activation_has_a_function() -> None:
    assert tuple(GATE_ACTIVATIONS) == ACTIVATIONS


@pytest.mark.parametrize("cell_clip", [None, 0.5])
@pytest.mark.parametrize("gate_activation", ACTIVATIONS)
@pytest.mark.parametrize("peephole", KINDS)
def test_gradients_of_everything(peephole: str, gate_activation: GateActivation, cell_clip: float | None) -> None:
    """Two steps, so that gradients flow through h and c. A random draw is nowhere near the kinks."""
    x, h, c, weights = make(peephole, hidden=1, kernel=(1, 3), recurrent=(3, 1), size=(2, 2), batch=2)
    peepholes = weights.peepholes or ()
    rules = CellRules(gate_activation, cell_clip=cell_clip)

    def two_steps(
        x: Tensor, h: Tensor, c: Tensor, ih: Tensor, hh: Tensor, bias: Tensor, *p: Tensor
    ) -> tuple[Tensor, ...]:
        weights = CellWeights(ih, hh, bias, Peepholes(*p) if p else None)
        return cell_step(x, *cell_step(x, h, c, weights, rules), weights, rules)

    tensors = (x, h, c, weights.weight_ih, weights.weight_hh, weights.bias, *peepholes)
    leaves = [0.5 * tensor.detach() for tensor in tensors]
    assert torch.autograd.gradcheck(two_steps, [leaf.requires_grad_() for leaf in leaves])


@pytest.mark.parametrize("gate_activation", ACTIVATIONS)
@pytest.mark.parametrize("peephole", ["channel", "full"])
def test_gers_rule_holds_what_the_peepholes_see_constant(peephole: str, gate_activation: GateActivation) -> None:
    """With the rule, the gradient to c is that of equations whose peepholes look at constants; h and c are the same."""
    x, h, c, weights = make(peephole)
    assert x is not None
    c.requires_grad_()
    free = cell_step(x, h, c, weights, CellRules(gate_activation))
    ruled = cell_step(x, h, c, weights, CellRules(gate_activation, detach_peepholes=True))
    for one, other in zip(free, ruled, strict=True):
        assert torch.equal(one, other)

    factors = torch.linspace(-1.0, 1.0, c.numel(), dtype=torch.float64).reshape(c.shape)
    gradients = [torch.autograd.grad((new_h * factors + new_c).sum(), c)[0] for new_h, new_c in (free, ruled)]
    constants = c[0].tolist(), ruled[1][0].tolist()

    def loss(index: int, change: float, seen: tuple[reference.Images, reference.Images] | None) -> float:
        moved = c.detach().clone()
        moved.view(-1)[index] += change
        new_h, new_c = reference.step(
            x[0].tolist(),
            h[0].tolist(),
            moved[0].tolist(),
            as_lists(weights, (2, 3)),
            gate_activation=gate_activation,
            seen=seen,
        )
        return float(
            (torch.tensor(new_h, dtype=torch.float64) * factors[0]).sum()
            + torch.tensor(new_c, dtype=torch.float64).sum()
        )

    for gradient, seen in zip(gradients, (None, constants), strict=True):
        numeric = [(loss(i, 1e-4, seen) - loss(i, -1e-4, seen)) / 2e-4 for i in range(c.numel())]
        expected = torch.tensor(numeric, dtype=torch.float64).reshape(c.shape)
        torch.testing.assert_close(gradient, expected, rtol=1e-6, atol=1e-6)
    assert not torch.allclose(gradients[0], gradients[1])


def test_gers_rule_leaves_the_peepholes_their_gradient() -> None:
    x, h, c, weights = make("channel")
    assert weights.peepholes is not None
    peepholes = [p.requires_grad_() for p in weights.peepholes]
    per_rule = [
        torch.autograd.grad(cell_step(x, h, c, weights, CellRules(detach_peepholes=rule))[0].sum(), peepholes)
        for rule in (False, True)
    ]
    for ruled in per_rule[1]:
        assert ruled.abs().min() > 0
    # Nothing that the rule cuts lies between the output gate's peephole and the output.
    assert torch.equal(per_rule[0][2], per_rule[1][2])
