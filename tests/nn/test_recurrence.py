"""The fast sequence, held to `cell_step` in float64: values and every gradient, for every way it can be computed."""

import copy
import functools
import gc
import weakref
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch._prims_common import suggest_memory_format
from torch.utils._python_dispatch import TorchDispatchMode

from convlstm_cli.nn import ConvLSTM, recurrence, winograd
from convlstm_cli.nn import convolution as convolutions
from convlstm_cli.nn.autocast import autocast
from convlstm_cli.nn.cell import CellRules
from convlstm_cli.nn.config import GateActivation, Peephole
from convlstm_cli.nn.fast import plan as plans
from convlstm_cli.nn.fast.forward import ForwardPass
from convlstm_cli.nn.fast.inputs import Inputs as SequenceInputs
from convlstm_cli.nn.gates import choice
from convlstm_cli.nn.gates.eager import EagerGates

KINDS = get_args(Peephole)
ACTIVATIONS = get_args(GateActivation)


def make(
    in_channels: int, hidden: int, size: tuple[int, int], kernel: Any = 3, seed: int = 0, **options: Any
) -> ConvLSTM:
    """A layer whose peepholes and biases are not zero."""
    torch.manual_seed(seed)
    options = {"image_size": size, "peephole_init": "uniform", **options}
    layer = ConvLSTM(in_channels, hidden, kernel, **options)
    assert layer.bias is not None
    torch.nn.init.normal_(layer.bias)
    return layer


def run(layer: ConvLSTM, x: Tensor | None, state: Any, steps: int | None, weigh: int) -> dict[str, Tensor]:
    """Results and gradients of a weighted sum of them; `weigh` is the seed of the weights."""
    generator = torch.Generator().manual_seed(weigh)
    tensors = {"x": x, "h_0": state and state[0], "c_0": state and state[1]}
    leaves = {name: t.detach().clone().requires_grad_() for name, t in tensors.items() if t is not None}
    given_state = (leaves["h_0"], leaves["c_0"]) if "h_0" in leaves else None
    outputs, (h, c) = layer(leaves.get("x"), given_state, steps=steps)
    found = {"outputs": outputs, "h": h, "c": c}
    loss: Any = 0.0
    for result in found.values():
        factors = torch.randn(result.shape, generator=generator, dtype=torch.float64).to(result.device)
        loss = loss + (result.double() * factors).sum()
    wanted = {**leaves, **dict(layer.named_parameters())}
    gradients = torch.autograd.grad(loss, list(wanted.values()))
    found |= {f"gradient to {name}": gradient for name, gradient in zip(wanted, gradients, strict=True)}
    return {name: tensor.detach() for name, tensor in found.items()}


def check(layer: ConvLSTM, x: Tensor | None, state: Any = None, steps: int | None = None) -> None:
    """That the fast sequence in the layer's precision is `cell_step` in float64, to rounding.

    2e-6 of the norm in float32, or three times what `cell_step` itself is off in float32: where terms of a gradient
    cancel, or near the kinks of a hard sigmoid, both are off by more.
    """
    compare(layer, run(layer, x, state, steps, 3), *run_equations(layer, x, state, steps))


def run_equations(
    layer: ConvLSTM, x: Tensor | None, state: Any, steps: int | None
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """What `run` gives by `cell_step`, in the layer's precision and in float64."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recurrence, "make_plan", lambda *_: None)
        plain = run(layer, x, state, steps, 3)
        wide = None if state is None else tuple(t.double() for t in state)
        return plain, run(copy.deepcopy(layer).double(), None if x is None else x.double(), wide, steps, 3)


def compare(layer: ConvLSTM, ours: dict[str, Tensor], plain: dict[str, Tensor], exact: dict[str, Tensor]) -> None:
    """The comparison that `check` makes."""
    assert ours.keys() == exact.keys()
    bound = 2e-6 if layer.weight_hh.dtype == torch.float32 else 1e-10
    if layer.weight_hh.dtype == torch.float32 and 5 in (*layer.kernel_size, *layer.recurrent_kernel_size):
        bound = 4e-6  # tiles for 5x5 kernels; 2e-6 holds for most draws
    if layer.weight_hh.dtype == torch.float32 and layer.rules != CellRules(
        padding=layer.rules.padding, peephole=layer.rules.peephole
    ):
        bound = 1e-4  # a value that rounding takes over a kink has another gradient; float64 meets none, to 1e-10
    for name, expected in exact.items():
        size = expected.norm().clamp(min=0.01)
        error, usual = ((results[name].double() - expected).norm() / size for results in (ours, plain))
        assert error < max(bound, 3 * usual), f"{name}: relative error {error:.1e}; of cell_step {usual:.1e}"


SHAPES = st.fixed_dictionaries(
    {
        "in_channels": st.sampled_from([0, 1, 3, 16]),
        "hidden": st.sampled_from([1, 3, 5, 16, 48]),
        "batch": st.integers(1, 3),
        "steps": st.integers(1, 4),
        "size": st.tuples(st.integers(1, 11), st.integers(1, 11)),
        "kernel": st.sampled_from([1, 3, 5, (1, 5), (5, 3)]),
        "recurrent": st.sampled_from([1, 3, 5, (3, 1)]),
    }
)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(
    shape=SHAPES,
    peephole=st.sampled_from(KINDS),
    activation=st.sampled_from(ACTIVATIONS),
    cell_clip=st.sampled_from([None, 0.3]),
    detach=st.booleans(),
    with_state=st.booleans(),
    valid=st.booleans(),
    strided=st.booleans(),
    checkpoint_every=st.sampled_from([None, 1, 2, 3]),
    double=st.booleans(),
    native_kernels=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_the_sequence_is_the_equations(
    shape: dict[str, Any],
    peephole: Peephole,
    activation: GateActivation,
    cell_clip: float | None,
    detach: bool,
    with_state: bool,
    valid: bool,
    strided: bool,
    checkpoint_every: int | None,
    double: bool,
    native_kernels: bool,
    seed: int,
) -> None:
    in_channels, (height, width) = shape["in_channels"], shape["size"]
    kernel = shape["kernel"] if isinstance(shape["kernel"], tuple) else (shape["kernel"],) * 2
    valid = valid and in_channels > 0 and height >= kernel[0] and width >= kernel[1]
    size = (height - kernel[0] + 1, width - kernel[1] + 1) if valid else (height, width)
    layer = make(
        in_channels,
        shape["hidden"],
        size,
        shape["kernel"],
        seed,
        recurrent_kernel_size=shape["recurrent"],
        peephole=peephole,
        gate_activation=activation,
        cell_clip=cell_clip,
        detach_peepholes=detach,
        padding="valid" if valid else "same",
        checkpoint_every=checkpoint_every,
    )
    dtype = torch.float64 if double else torch.float32
    layer.to(dtype)
    x = None
    if in_channels:
        x = torch.randn(shape["batch"], 2 * shape["steps"], in_channels, height, width, dtype=dtype)[:, ::2]
        x = x if strided else x.contiguous()
    state = None
    if with_state or x is None:
        state = tuple(torch.randn(shape["batch"], shape["hidden"], *size, dtype=dtype) for _ in range(2))
    with pytest.MonkeyPatch.context() as patch:
        if not native_kernels:
            without_kernels(patch)
        check(layer, x, state, None if x is not None else shape["steps"])


def without_kernels(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(choice, "why_no_kernel", lambda *_: "switched off")
    patch.setattr(winograd, "why_not", lambda: "switched off")


def channels_together(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(plans, "_channels_last", lambda *_: True)
    patch.setattr(winograd, "why_not", lambda: "switched off")


def without_packed_weights(patch: pytest.MonkeyPatch) -> None:
    channels_together(patch)
    patch.setattr(convolutions, "can_pack", lambda _dtype: False)


def fused(patch: pytest.MonkeyPatch) -> None:
    """As on a GPU: the gate arithmetic adds the convolutions and the bias."""
    without_packed_weights(patch)
    without_kernels(patch)
    patch.setattr(EagerGates, "fuses", True)


PATHS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "as chosen": lambda _patch: None,
    "without compiled kernels": without_kernels,
    "positions together": lambda patch: patch.setattr(plans, "_channels_last", lambda *_: False),
    "channels together": channels_together,
    "without packed weights": without_packed_weights,
    "sums in the gate arithmetic": fused,
    "blocks of one step": lambda patch: patch.setattr(plans, "BLOCK_BYTES", {"cpu": 1}),
}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("peephole", KINDS)
@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.usefixtures("two_threads")
def test_every_path_is_the_equations(
    path: str, peephole: Peephole, kernel: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = known_cases(kernel, peephole)
    PATHS[path](monkeypatch)
    for layer, inputs, plain, exact in cases:
        compare(layer, run(layer, *inputs, 3), plain, exact)


Inputs = tuple[Tensor | None, tuple[Tensor, Tensor] | None, int | None]
"""Frames, state and number of steps."""


@functools.cache
def known_cases(kernel: int, peephole: Peephole) -> list[tuple[ConvLSTM, Inputs, dict[str, Tensor], dict[str, Tensor]]]:
    """Layers with frames, with a state, with both, and what the equations give: once for all paths."""
    layer = make(3, 64, (11, 14), kernel, peephole=peephole)
    state = torch.randn(2, 64, 11, 14), torch.randn(2, 64, 11, 14)
    without_frames = make(0, 64, (11, 14), kernel, peephole=peephole)
    cases: list[tuple[ConvLSTM, Inputs]] = [
        (layer, (torch.randn(2, 3, 3, 11, 14), None, None)),
        (layer, (torch.randn(2, 3, 3, 11, 14), state, None)),
        (without_frames, (None, state, 3)),
    ]
    return [(each, inputs, *run_equations(each, *inputs)) for each, inputs in cases]


@pytest.mark.parametrize(
    "context",
    [torch.inference_mode, lambda: torch.device("meta"), lambda: torch.autocast("cpu"), torch.enable_grad],
    ids=["inference", "meta", "autocast", "grad"],
)
def test_the_first_use_may_be_anywhere(context: Callable[[], Any]) -> None:
    """What is tried once, and then remembered, is tried the same in whatever context that happens."""
    x = torch.randn(1, 2, 16, 9, 30)
    layer = make(16, 16, (9, 30))
    for tried in (choice.why_no_kernel, winograd.why_not, convolutions.can_pack):
        tried.cache_clear()
    expected = [tried() for tried in (winograd.why_not, lambda: convolutions.can_pack(torch.float32))]
    for tried in (choice.why_no_kernel, winograd.why_not, convolutions.can_pack):
        tried.cache_clear()
    torch.set_default_dtype(torch.float64)
    try:
        with context():
            layer(x)
    finally:
        torch.set_default_dtype(torch.float32)
    assert [tried() for tried in (winograd.why_not, lambda: convolutions.can_pack(torch.float32))] == expected
    check(layer, x)


@pytest.mark.parametrize("peephole", KINDS)
@pytest.mark.parametrize("checkpoint_every", [None, 2])
def test_gradcheck(peephole: Peephole, checkpoint_every: int | None) -> None:
    layer = make(2, 2, (3, 2), peephole=peephole, checkpoint_every=checkpoint_every, cell_clip=2.0).double()
    x = torch.randn(1, 3, 2, 3, 2, dtype=torch.float64, requires_grad=True)
    state = [torch.randn(1, 2, 3, 2, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    names = [name for name, _ in layer.named_parameters()]

    def call(x: Tensor, h: Tensor, c: Tensor, *parameters: Tensor) -> Any:
        outputs, last = torch.func.functional_call(layer, dict(zip(names, parameters, strict=True)), (x, (h, c)))
        return outputs, *last

    inputs = (x, *state, *layer.parameters())
    assert torch.autograd.gradcheck(call, inputs)
    if peephole == "full" and checkpoint_every is None:  # the others differ in nothing that this goes through
        assert torch.autograd.gradgradcheck(call, inputs, atol=1e-4, fast_mode=True)


def test_gradients_of_gradients_where_the_state_was_passed_on() -> None:
    layer = make(1, 2, (3, 2)).double()
    x = torch.randn(1, 4, 1, 3, 2, dtype=torch.float64, requires_grad=True)

    def call(x: Tensor) -> Tensor:
        _, state = layer(x[:, :2])
        outputs: Tensor = layer(x[:, 2:], state)[0]
        return outputs

    assert torch.autograd.gradgradcheck(call, (x,), atol=1e-4)
    loss = call(x).square().sum()
    parameters = list(layer.parameters())
    once = torch.autograd.grad(loss, parameters, retain_graph=True)
    for one, other in zip(once, torch.autograd.grad(loss, parameters, create_graph=True), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("checkpoint_every", [None, 2])
@pytest.mark.parametrize("hidden", [5, 32])
def test_hooks_on_saved_tensors_may_change_their_order(hidden: int, checkpoint_every: int | None) -> None:
    layer = make(3, hidden, (10, 9), checkpoint_every=checkpoint_every)
    x = torch.randn(2, 4, 3, 10, 9)
    layer(x)[0].square().sum().backward()
    expected = [p.grad.clone() for p in layer.parameters() if p.grad is not None]
    layer.zero_grad()
    reorder = lambda t: t.clone(memory_format=torch.contiguous_format)  # noqa: E731
    with torch.autograd.graph.saved_tensors_hooks(reorder, lambda t: t):
        loss = layer(x)[0].square().sum()
    loss.backward()
    for parameter, wanted in zip(layer.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, wanted)


@pytest.mark.parametrize("channels", [1, 4, 5])
@pytest.mark.parametrize("given_state", [False, True])
@pytest.mark.parametrize("kernel", [3, 5])
def test_an_input_of_few_channels_is_convolved_with_h(kernel: int, given_state: bool, channels: int) -> None:
    layer, draws = make(channels, 32, (9, 12), kernel), torch.Generator().manual_seed(channels)
    x = torch.randn(2, 3, channels, 9, 12, generator=draws)
    state = tuple(torch.randn(2, 32, 9, 12, generator=draws) for _ in range(2)) if given_state else None
    check(layer, x, state)
    fast = winograd.why_not() is None
    assert layer.bias is not None
    plan = plans.make_plan(x, None, layer.weights, 3, (2, 32, 9, 12), None)
    inputs = SequenceInputs(x, None, None, layer.weight_ih, layer.weight_hh, layer.bias, None, None, None)
    assert plan is not None
    assert (ForwardPass(inputs, layer.rules, plan).joined is not None) == (fast and channels <= 4)


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_without_gradients_nothing_is_kept(context: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    kept = []
    forward = ForwardPass.forward

    def spy(*arguments: Any, **options: Any) -> Any:
        kept.append(options["keep"])
        return forward(*arguments, **options)

    monkeypatch.setattr(ForwardPass, "forward", spy)
    layer = make(2, 4, (5, 6))
    with context():
        layer(torch.randn(2, 3, 2, 5, 6))
    layer(torch.randn(2, 3, 2, 5, 6))
    assert kept == [False, True]


def test_a_graph_that_is_retained_gives_the_same_gradient_again() -> None:
    layer = make(2, 4, (5, 6))
    loss = layer(torch.randn(2, 3, 2, 5, 6))[0].square().sum()
    first = torch.autograd.grad(loss, list(layer.parameters()), retain_graph=True)
    for one, other in zip(first, torch.autograd.grad(loss, list(layer.parameters())), strict=True):
        assert torch.equal(one, other)
    with pytest.raises(RuntimeError, match="second time"):
        torch.autograd.grad(loss, list(layer.parameters()))


def test_outputs_may_be_changed_in_place_unless_the_backward_needs_them() -> None:
    layer = make(2, 4, (5, 6))
    x = torch.randn(2, 3, 2, 5, 6)
    with torch.no_grad():
        layer(x)[0].zero_()
    outputs, (h, _) = layer(x)
    h.mul_(2.0)
    h.sum().backward()
    outputs, _ = layer(x)
    outputs.zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        outputs.sum().backward()


def test_nothing_is_left_when_results_are_gone() -> None:
    layer = make(2, 4, (5, 6))
    outputs, _ = layer(torch.randn(2, 3, 2, 5, 6))
    node = outputs.grad_fn.next_functions[0][0]
    assert "SequenceFunction" in type(node).__name__
    gone = weakref.ref(node)
    gc.disable()
    try:
        del outputs, node, _
        assert gone() is None
    finally:
        gc.enable()


def test_only_what_is_needed_gets_a_gradient() -> None:
    layer = make(2, 4, (5, 6))
    layer.weight_hh.requires_grad_(False)
    layer(torch.randn(2, 3, 2, 5, 6))[1][0].sum().backward()
    assert layer.weight_hh.grad is None
    assert layer.bias is not None
    assert layer.bias.grad is not None
    with torch.no_grad():
        assert layer(torch.randn(2, 3, 2, 5, 6))[0].grad_fn is None


@pytest.mark.parametrize("path", [lambda _patch: None, fused], ids=["as chosen", "fused"])
def test_checkpointing_changes_no_bit(
    path: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    path(monkeypatch)
    x = torch.randn(2, 7, 2, 5, 6)
    results = []
    for every in (None, 1, 3, 100):
        layer = make(2, 16, (5, 6), checkpoint_every=every)
        outputs, _ = layer(x)
        outputs.square().sum().backward()
        results.append([outputs.detach(), *(p.grad for p in layer.parameters())])
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-5)
        assert torch.equal(results[0][0], other[0])


def test_checkpointing_keeps_the_gates_of_one_segment() -> None:
    """What a graph of T steps holds grows by h alone (and c, once a segment), and not by the gates."""

    def kept(steps: int, every: int | None) -> int:
        layer, total = make(1, 8, (8, 8), checkpoint_every=every), 0

        def count(tensor: Tensor) -> Tensor:
            nonlocal total
            total += tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            layer(torch.randn(1, steps, 1, 8, 8))
        return total

    state = 8 * 8 * 8
    assert kept(64, None) - kept(32, None) == pytest.approx(32 * 6 * state, rel=0.1)
    assert kept(64, 8) - kept(32, 8) < 32 * 1.5 * state


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("peephole", KINDS)
@pytest.mark.parametrize("path", ["as chosen", "without compiled kernels", "sums in the gate arithmetic"])
def test_autocast_keeps_the_cell_state_in_float32(
    dtype: torch.dtype, peephole: Peephole, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    PATHS[path](monkeypatch)
    layer = make(2, 16, (6, 7), peephole=peephole)
    x = torch.randn(2, 5, 2, 6, 7)
    expected, (h, c) = layer(x)
    expected.square().mean().backward()
    exact = [p.grad.clone() for p in layer.parameters() if p.grad is not None]
    layer.zero_grad()
    with torch.autocast("cpu", dtype=dtype):
        outputs, state = layer(x)
        more, _ = layer(x, state)
    assert (outputs.dtype, state[0].dtype, state[1].dtype) == (dtype, dtype, torch.float32)
    assert more.dtype == dtype
    outputs.float().square().mean().backward()
    tolerance = 0.03 if dtype == torch.bfloat16 else 0.01
    pairs = [(outputs, expected), (state[0], h), (state[1], c)]
    pairs += [(p.grad, gradient) for p, gradient in zip(layer.parameters(), exact, strict=True)]
    for got, wanted in pairs:
        assert (got.float() - wanted).norm() < tolerance * wanted.norm()
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in layer.parameters())


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # forward-mode gradients' own call
def test_what_torch_must_see_goes_step_by_step() -> None:
    layer = make(2, 4, (5, 6))
    x = torch.randn(2, 3, 2, 5, 6)
    jacobian = torch.func.jacrev(lambda x: layer(x)[0].sum(dim=(1, 2, 3, 4)))(x)
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(layer(x)[0].sum(), x)
    torch.testing.assert_close(jacobian.sum(dim=0), gradient)
    tangent = torch.func.jvp(lambda x: layer(x)[0].sum(), (x,), (torch.ones_like(x),))[1]
    torch.testing.assert_close(tangent, gradient.sum())


class Convolutions(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Collects what convolutions and their gradients are given."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.given: list[list[Tensor]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (torch.ops.aten.convolution.default, torch.ops.aten.convolution_backward.default):
            self.given.append([each for each in args[:3] if isinstance(each, Tensor) and each.ndim == 4])
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("channels", [1, 3])
def test_on_a_gpu_all_that_convolutions_are_given_says_that_channels_lie_together(
    channels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its strides: torch reorders whatever does not, and gradients when frames do not. Meta stands for a GPU."""
    monkeypatch.setattr(plans, "_channels_last", lambda *_: True)
    x = torch.zeros(2, 3, channels, 5, 6, device="meta", requires_grad=True)
    with Convolutions() as seen:
        outputs, _ = make(channels, 4, (5, 6)).to("meta")(x)
        outputs.sum().backward()
    orders = [[suggest_memory_format(each) for each in given] for given in seen.given]
    assert {len(each) for each in orders} == {2, 3}
    assert all(order == torch.channels_last for each in orders for order in each)


@pytest.mark.parametrize(("device", "fast"), [("cpu", True), ("meta", True), ("mps", False), ("xpu", False)])
def test_the_fast_way_is_for_devices_by_name(device: str, fast: bool) -> None:
    """Whatever is not named goes step by step, and no autocast is switched where there is none."""
    there = "meta" if device == "meta" else "cpu"
    weights: Any = ConvLSTM(2, 4).to(there).weights
    x: Any = torch.zeros(1, 3, 2, 5, 6, device=there)
    if device not in ("cpu", "meta"):  # such a tensor cannot be had here
        weights = weights._replace(weight_hh=SimpleNamespace(device=torch.device(device), dtype=torch.float32))
    plan = plans.make_plan(x, None, weights, 3, (1, 4, 5, 6), None)
    assert (plan is not None) == fast
    with autocast(torch.device(device), None):
        assert not torch.is_autocast_enabled("cpu")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("peephole", KINDS)
@pytest.mark.parametrize("channels", [0, 1, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_on_cuda(dtype: torch.dtype, channels: int, peephole: Peephole, monkeypatch: pytest.MonkeyPatch) -> None:
    """Values and gradients against the equations in float64 on the CPU; the state is given and x needs a gradient."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    layer = make(channels, 16, (9, 10), peephole=peephole)
    x = torch.randn(2, 5, channels, 9, 10) if channels else None
    state = torch.randn(2, 16, 9, 10), torch.randn(2, 16, 9, 10)
    steps = None if channels else 5
    _, exact = run_equations(layer, x, state, steps)
    on_gpu = None if x is None else x.cuda()
    with torch.autocast("cuda", dtype=dtype, enabled=dtype != torch.float32):
        found = run(layer.cuda(), on_gpu, tuple(part.cuda() for part in state), steps, 3)
    tolerance = 1e-5 if dtype == torch.float32 else 0.03
    for name, expected in exact.items():
        error = (found[name].cpu().double() - expected).norm() / expected.norm().clamp(min=0.01)
        assert error < tolerance, name
