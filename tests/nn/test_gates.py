"""Which implementation of the gate arithmetic computes where, and the compiled one against torch operations."""

import itertools
from types import SimpleNamespace
from typing import Any, Literal, get_args

import pytest
import torch
from gate_examples import check_same, guarded, make_example, run
from torch import Tensor

from convlstm_cli.nn import ConvLSTM, c_kernels
from convlstm_cli.nn import layer as layers
from convlstm_cli.nn.cell import PAPER, CellRules
from convlstm_cli.nn.config import GateActivation, Peephole
from convlstm_cli.nn.gates import choice, protocol
from convlstm_cli.nn.gates.eager import EagerGates
from convlstm_cli.nn.gates.native import SOURCES, NativeGates
from convlstm_cli.nn.kinds import PEEPHOLES, PeepholeKind

KINDS = get_args(Peephole)
ACTIVATIONS = get_args(GateActivation)
CPU = torch.device("cpu")


@pytest.fixture
def needs_kernels() -> None:
    try:
        c_kernels.load(SOURCES[torch.float32])
    except c_kernels.NotAvailable as reason:
        pytest.skip(f"no compiled kernels here: {reason}")


@pytest.fixture
def forget_choices() -> Any:
    """The choice is made anew within a test, and again after it."""
    choice.why_no_kernel.cache_clear()
    yield
    choice.why_no_kernel.cache_clear()


# By device


def fail(*_: object) -> Any:
    raise AssertionError("a kernel was asked for")


@pytest.mark.usefixtures("forget_choices")
@pytest.mark.parametrize("device", ["meta", "mps", "xpu", "hpu", "privateuseone"])
def test_no_kernel_is_tried_on_a_device_without_one(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, kernel in choice.KERNELS.items():
        monkeypatch.setitem(choice.KERNELS, name, kernel._replace(load=fail))
    there = torch.device(device)
    assert choice.why_no_kernel(torch.float32, there) == f"none for {device} devices"
    c: Any = SimpleNamespace(dtype=torch.float32, device=there)
    assert isinstance(choice.choose(None, PAPER, torch.float32, c, channels_last=True), EagerGates)


@pytest.mark.usefixtures("forget_choices")
def test_counting_on_the_meta_device_runs_no_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel on meta tensors, whose pointers are null, takes the CUDA context with it."""
    for name, kernel in choice.KERNELS.items():
        monkeypatch.setitem(choice.KERNELS, name, kernel._replace(load=fail))
    with torch.device("meta"):
        outputs, (h, c) = ConvLSTM(2, 3)(torch.zeros(2, 4, 2, 5, 6))
    outputs.sum().backward()
    assert {outputs.device.type, h.device.type, c.device.type} == {"meta"}
    assert outputs.shape == (2, 4, 3, 5, 6)


@pytest.mark.usefixtures("forget_choices")
def test_cuda_asks_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def missing(dtype: torch.dtype) -> Any:
        asked.append(dtype)
        raise c_kernels.NotAvailable("Triton is not installed")

    monkeypatch.setitem(choice.KERNELS, "cuda", choice.KERNELS["cuda"]._replace(load=missing))
    cuda = torch.device("cuda")
    assert choice.why_no_kernel(torch.bfloat16, cuda) == "Triton is not installed"
    assert choice.why_no_kernel(torch.float64, cuda) == "none for torch.float64"
    assert asked == [torch.bfloat16]


@pytest.mark.usefixtures("forget_choices", "needs_kernels")
def test_compiled_kernels_are_used_where_there_is_a_compiler() -> None:
    for dtype in (torch.float32, torch.bfloat16):
        assert choice.why_no_kernel(dtype, CPU) is None
        chosen = choice.choose(None, PAPER, dtype, torch.zeros(1, 2, 3, 3), channels_last=True)
        assert isinstance(chosen, NativeGates)


def test_a_kind_of_peephole_that_kernels_do_not_know_is_computed_by_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kind added to the table works at once, in every place."""
    kind = PeepholeKind("one weight per row", lambda hidden, size: (hidden, size[0], 1), fixes_size=True)
    monkeypatch.setitem(PEEPHOLES, "row", kind)
    monkeypatch.setattr(layers, "Peephole", Literal["none", "channel", "full", "row"])
    torch.manual_seed(0)
    layer = ConvLSTM(2, 3, peephole="row", image_size=(4, 5), peephole_init="uniform")  # type: ignore[arg-type]
    assert layer.peephole_i is not None
    assert layer.peephole_i.shape == (3, 4, 1)
    full = ConvLSTM(2, 3, peephole="full", image_size=(4, 5))
    full.load_state_dict(
        {name: p.expand(3, 4, 5) if name.startswith("peephole") else p for name, p in layer.state_dict().items()}
    )
    x = torch.randn(2, 3, 2, 4, 5)
    for one, other in zip((layer(x), full(x)), (full(x), layer(x)), strict=True):
        torch.testing.assert_close(one, other)
    layer(x)[0].sum().backward()
    full(x)[0].sum().backward()
    assert full.peephole_i is not None
    assert full.peephole_i.grad is not None
    torch.testing.assert_close(layer.peephole_i.grad, full.peephole_i.grad.sum(dim=2, keepdim=True))


def test_kernels_number_every_kind_of_peephole() -> None:
    assert {"none": protocol.NO_PEEPHOLE, **protocol.KERNEL_PEEPHOLES} == {"none": 0, "channel": 1, "full": 2}
    assert {"none", *protocol.KERNEL_PEEPHOLES} == set(KINDS)


# The self-test


class Faulty(EagerGates):
    """Wrong in one result, and only under some rules."""

    fault = ""
    where: Any = None

    def __init__(self, peepholes: Any, rules: CellRules, _dtype: Any, _c: Any, *, channels_last: bool) -> None:
        super().__init__(peepholes, rules)
        self._wrong = self.where(rules, channels_last)

    def forward(self, gates: Tensor, c_before: Tensor, c: Tensor, h: Tensor, **options: Any) -> None:
        super().forward(gates, c_before, c, h, **options)
        if self._wrong and self.fault == "h":
            h[0, 0, 0, 0] += 1.0

    def sums(self) -> Any:
        sums = super().sums()
        if self._wrong and self.fault == "gradient to W_co" and sums.peepholes is not None:
            sums.peepholes.o[-1] += 1.0
        return sums


CASES = [
    ("h", lambda rules, _last: rules.gate_activation == "hard_sigmoid_keras2"),
    ("h", lambda rules, last: rules.peephole == "none" and not last),
    ("h", lambda rules, _last: rules.cell_clip is not None),
    ("gradient to W_co", lambda rules, _last: rules.peephole == "full"),
    ("gradient to W_co", lambda rules, _last: rules.detach_peepholes),
]


@pytest.mark.usefixtures("forget_choices")
@pytest.mark.parametrize("left_out", ["more", "bias", "c_kept"])
def test_a_fault_in_what_only_a_kernel_fuses_is_found(left_out: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Fused(EagerGates):
        fuses = True
        faulty = False

        def __init__(self, peepholes: Any, rules: CellRules, *_: object, **_order: object) -> None:
            super().__init__(peepholes, rules)

        def forward(self, gates: Tensor, c_before: Tensor, c: Tensor, h: Tensor, **options: Any) -> None:
            if self.faulty and left_out in options:
                options[left_out] = None
            super().forward(gates, c_before, c, h, **options)

    monkeypatch.setitem(choice.KERNELS, "cpu", choice.KERNELS["cpu"]._replace(load=lambda _dtype: Fused))
    for Fused.faulty in (False, True):
        choice.why_no_kernel.cache_clear()
        assert (choice.why_no_kernel(torch.bfloat16, CPU) is None) == (not Fused.faulty)


@pytest.mark.parametrize(("fault", "where"), CASES)
@pytest.mark.usefixtures("forget_choices")
def test_a_fault_is_found_before_the_case_is_used(fault: str, where: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel: Any = type("Kernel", (Faulty,), {"fault": fault, "where": staticmethod(where)})
    monkeypatch.setitem(choice.KERNELS, "cpu", choice.KERNELS["cpu"]._replace(load=lambda _dtype: kernel))
    found = 0
    for kind, activation, clip, detach, last in itertools.product(
        KINDS, ACTIVATIONS, (None, 7.0), (False, True), (False, True)
    ):
        rules = CellRules(activation, cell_clip=clip, detach_peepholes=detach, peephole=kind)
        example = make_example(rules, torch.float32, (1, 2, 3, 3), channels_last=last)
        chosen = choice.choose(example.peepholes, rules, torch.float32, example.c_before, channels_last=last)
        wrong = where(rules, last) and (fault == "h" or kind != "none")
        assert isinstance(chosen, kernel) == (not wrong)
        found += wrong
    assert found


@pytest.mark.usefixtures("forget_choices")
def test_what_a_compiler_raises_is_a_reason_and_want_of_memory_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(error: Exception) -> None:
        def load(_dtype: torch.dtype) -> Any:
            raise error

        monkeypatch.setitem(choice.KERNELS, "cuda", choice.KERNELS["cuda"]._replace(load=load))
        choice.why_no_kernel.cache_clear()

    cuda = torch.device("cuda")
    breaks(ValueError("no such instruction\nand more"))
    assert choice.why_no_kernel(torch.float32, cuda) == "its self-test failed: no such instruction"
    breaks(ValueError())
    assert choice.why_no_kernel(torch.float32, cuda) == "its self-test failed: ValueError"
    breaks(torch.OutOfMemoryError("full"))
    with pytest.raises(torch.OutOfMemoryError):
        choice.why_no_kernel(torch.float32, cuda)


# The compiled kernel


def compare(
    rules: CellRules,
    dtype: torch.dtype,
    size: tuple[int, int, int, int],
    *,
    channels_last: bool,
) -> None:
    example = make_example(rules, dtype, size, channels_last=channels_last)
    theirs = run(EagerGates(example.peepholes, rules), example)
    with guarded() as guard:
        gates = NativeGates(example.peepholes, rules, dtype, example.c_before, channels_last=channels_last)
        ours = run(gates, example, theirs["activated gates"], guard)
    check_same(ours, theirs)


@pytest.mark.usefixtures("needs_kernels")
@pytest.mark.parametrize("channels_last", [True, False])
@pytest.mark.parametrize("peephole", KINDS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(("clip", "detach"), [(None, False), (0.5, True), (0.5, False)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_compiled_kernel_computes_what_torch_does(
    activation: GateActivation,
    peephole: Peephole,
    clip: float | None,
    detach: bool,
    dtype: torch.dtype,
    channels_last: bool,
) -> None:
    rules = CellRules(activation, cell_clip=clip, detach_peepholes=detach, peephole=peephole)
    compare(rules, dtype, (2, 20, 3, 7), channels_last=channels_last)


@pytest.mark.usefixtures("needs_kernels", "two_threads")
@pytest.mark.parametrize("channels_last", [True, False])
@pytest.mark.parametrize("size", [(1, 1, 1, 1), (3, 3, 17, 2), (2, 40, 1, 5), (1, 64, 9, 9), (5, 150, 2, 2)])
@pytest.mark.parametrize("peephole", KINDS)
def test_the_compiled_kernel_at_any_size(
    peephole: Peephole, size: tuple[int, int, int, int], channels_last: bool
) -> None:
    compare(CellRules(peephole=peephole), torch.float32, size, channels_last=channels_last)


def test_the_guards_see_a_write_outside_and_a_place_left_out() -> None:
    rules = CellRules()
    example = make_example(rules, torch.float32, (1, 2, 3, 3), channels_last=True)

    class Careless(EagerGates):
        offset = 0

        def forward(self, gates: Tensor, c_before: Tensor, c: Tensor, h: Tensor, **options: Any) -> None:
            before = h.flatten()[-1].clone()
            super().forward(gates, c_before, c, h, **options)
            if self.offset:
                h.as_strided((1,), (1,), h.storage_offset() + self.offset).zero_()
            else:
                h.as_strided((1,), (1,), h.storage_offset() + 3).fill_(before)

    gates = Careless(example.peepholes, rules)
    with pytest.raises(AssertionError, match="h was not written everywhere"), guarded() as guard:
        run(gates, example, None, guard)
    for offset in (-1, 18):
        gates = Careless(example.peepholes, rules)
        gates.offset = offset
        with pytest.raises(AssertionError, match="wrote outside"), guarded() as guard:
            run(gates, example, None, guard)
