"""`TritonGates` against `EagerGates`: in Triton's interpreter where there is no GPU, on the GPU where there is one."""

import importlib.util
import itertools
import sys
from typing import get_args

import pytest
import torch
from torch import Tensor

from convlstm_cli.nn.cell import PAPER, CellRules, Peepholes
from convlstm_cli.nn.config import GateActivation, Peephole
from convlstm_cli.nn.gates import EagerGates, Gates

if importlib.util.find_spec("triton") is None:
    pytest.skip("Triton is not installed", allow_module_level=True)
INTERPRETED = not torch.cuda.is_available()
if INTERPRETED and "triton" in sys.modules:
    pytest.skip("Triton is loaded already, without its interpreter", allow_module_level=True)
with pytest.MonkeyPatch.context() as environment:
    if INTERPRETED:  # looked up where a function is decorated
        environment.setenv("TRITON_INTERPRET", "1")
    import triton
    import triton.language as tl

    from convlstm_cli.nn import triton_gates
    from convlstm_cli.nn.triton_gates import TritonGates, tile

    @triton.jit
    def squash(x, tanh, sigma, COUNT: tl.constexpr):  # type: ignore[no-untyped-def]
        at = tl.arange(0, COUNT)
        value = tl.load(x + at)
        tl.store(tanh + at, triton_gates._tanh(value))
        tl.store(sigma + at, triton_gates._sigma(value, 0.0))


KINDS: tuple[Peephole, ...] = get_args(Peephole)
ACTIVATIONS: tuple[GateActivation, ...] = get_args(GateActivation)
DEVICES = [
    pytest.param("cpu", marks=pytest.mark.skipif(not INTERPRETED, reason="Triton compiles for the GPU here")),
    pytest.param("cuda", marks=(pytest.mark.gpu, pytest.mark.skipif(INTERPRETED, reason="no CUDA device here"))),
]
on_each_device = pytest.mark.parametrize("device", DEVICES)


@pytest.fixture(autouse=True)
def _interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Triton loads the rest of itself when a kernel first runs; other tests shall not see the setting."""
    if INTERPRETED:
        monkeypatch.setenv("TRITON_INTERPRET", "1")


def compare(
    device: str,
    kind: str = "channel",
    rules: CellRules = PAPER,
    dtype: torch.dtype = torch.float32,
    size: tuple[int, int, int, int] = (2, 20, 3, 7),
    last: bool = True,
) -> None:
    """Two steps forward, the second without keeping its gates and over its own cell state, and two backward."""
    batch, hidden, height, width = size
    generator = torch.Generator().manual_seed(0)
    order = torch.channels_last if last else torch.contiguous_format

    def draw(channels: int, of: torch.dtype = dtype) -> Tensor:
        values = 2.0 * torch.randn(batch, channels, height, width, generator=generator)
        return values.to(device, of).contiguous(memory_format=order)

    peepholes = None
    if kind != "none":
        shape = (hidden, height, width) if kind == "full" else (hidden, 1, 1)
        peepholes = Peepholes(*torch.randn(3, *shape, generator=generator).to(device))
    before, first, second = draw(4 * hidden), draw(hidden, torch.float32), draw(4 * hidden)
    grad_h, more, grad_c = draw(hidden), draw(hidden), draw(hidden, torch.float32)
    given = before, first, second, grad_h, more, grad_c

    def results(gates: Gates, activated: Tensor | None = None) -> list[Tensor]:
        inside, c_before, again, dh, dh_more, dc = (t.clone(memory_format=torch.preserve_format) for t in given)
        c, h, h_after, out = (torch.empty_like(t) for t in (c_before, dh, dh, inside))
        gates.forward(inside, c_before, c, h, keep=True)
        after = c.clone(memory_format=torch.preserve_format)
        gates.forward(again, after, after, h_after, keep=False)
        seen = inside if activated is None else activated
        gates.backward(seen, c_before, c, (dh, dh_more), dc, out)
        part = out.clone()
        gates.backward(seen, c_before, c, (dh_more, dh_more), dc, out)
        sums = gates.sums()
        assert torch.equal(c_before, first)
        return [inside, c, h, after, h_after, dc, part, out, sums.bias, *(sums.peepholes or ())]

    theirs = results(EagerGates(peepholes, rules))
    # From the same activated gates, because near 1 a unit in the last place of bfloat16 is much of their derivative.
    ours = results(TritonGates(peepholes, rules, dtype, first, channels_last=last), theirs[0])
    for one, other in zip(ours, theirs, strict=True):
        assert one.dtype == other.dtype
        # The arithmetic is that of float32. One unit in the last place of what is stored, for the interpreter cuts
        # bfloat16 off where a GPU rounds.
        unit = torch.finfo(one.dtype).eps if one.dtype != torch.float32 else 0.0
        torch.testing.assert_close(one, other, rtol=1e-5 + unit, atol=1e-5)


@on_each_device
@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("rules", [(None, False), (0.5, True), (0.5, False)])
def test_it_computes_what_torch_does(
    device: str, activation: GateActivation, kind: str, rules: tuple[float | None, bool], last: bool
) -> None:
    clip, detach = rules
    compare(device, kind, CellRules(activation, cell_clip=clip, detach_peepholes=detach), last=last)


@on_each_device
@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("kind", KINDS)
def test_in_half_precision(device: str, kind: str, dtype: torch.dtype, last: bool) -> None:
    compare(device, kind, dtype=dtype, last=last)


@on_each_device
@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("size", [(1, 1, 1, 1), (3, 3, 17, 2), (2, 40, 1, 5), (1, 64, 9, 9), (5, 150, 2, 2)])
@pytest.mark.parametrize("kind", KINDS)
def test_of_any_size(device: str, kind: str, size: tuple[int, int, int, int], last: bool) -> None:
    compare(device, kind, size=size, last=last)


@on_each_device
@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_several_items_of_the_batch_in_one_program(
    device: str, kind: str, last: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(triton_gates, "PROGRAMS", 2)
    compare(device, kind, size=(5, 6, 4, 5), last=last)  # 3 items and 2


@on_each_device
def test_nan_stays(device: str) -> None:
    rules = CellRules("hard_sigmoid_keras3", cell_clip=1.0)
    c = torch.zeros(1, 4, 1, 1, device=device)
    gates = torch.full((1, 16, 1, 1), torch.nan, device=device)
    h = torch.zeros_like(c)
    TritonGates(None, rules, torch.float32, c, channels_last=True).forward(gates, c, c, h, keep=True)
    for tensor in (gates, c, h):
        assert tensor.isnan().all()


@on_each_device
def test_the_functions_are_exact(device: str) -> None:
    sizes = torch.cat([torch.logspace(-30, 2, 1023), torch.full((1,), 0.625)])
    x = torch.cat([sizes, -sizes]).to(device)
    tanh, sigma = torch.empty_like(x), torch.empty_like(x)
    squash[(1,)](x, tanh, sigma, COUNT=len(x))
    torch.testing.assert_close(tanh.double(), x.double().tanh(), rtol=1e-6, atol=0.0)
    within = x > -80.0  # beyond, what is left has fewer digits
    torch.testing.assert_close(sigma.double()[within], x.double().sigmoid()[within], rtol=1e-5, atol=0.0)


@on_each_device
def test_sums_come_out_the_same_every_time(device: str) -> None:
    def bias() -> Tensor:
        generator = torch.Generator().manual_seed(1)
        frames, gates = (torch.randn(2, n, 9, 9, generator=generator).to(device) for n in (5, 20))
        out = torch.empty_like(gates)
        ours = TritonGates(None, PAPER, torch.float32, frames, channels_last=False)
        ours.backward(gates, frames, frames, (frames, frames), frames.clone(), out)
        return ours.sums().bias

    assert torch.equal(bias(), bias())


def test_tiles_fit() -> None:
    for near, far, last in itertools.product(
        (1, 3, 10, 16, 33, 40, 64, 96, 576, 4096), (1, 5, 64, 4096), (True, False)
    ):
        hidden, positions = (near, far) if last else (far, near)
        channels, places = tile(hidden, positions, channels_last=last)
        assert channels * places <= triton_gates.TILE
        assert channels < 2 * hidden + 16
        assert places < 2 * positions + 16
