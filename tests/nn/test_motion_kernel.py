"""The compiled kernel for motion against the same by tensors, and when it is used."""

import math

import pytest
import torch
from advected import advected
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from convlstm_cli.nn import c_kernels
from convlstm_cli.nn.kernels import MOTION
from convlstm_cli.nn.motion import SEARCHES, Search, choice, eager, estimate_motions, native

CPU = torch.device("cpu")
SIZES = st.tuples(st.integers(1, 40), st.integers(1, 40))


@pytest.fixture(autouse=True)
def _kernel() -> None:
    try:
        c_kernels.load(MOTION)
    except c_kernels.NotAvailable as reason:
        pytest.skip(f"no compiled kernels here: {reason}")


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed + sum(shape)))


def frames(batch: int, count: int, height: int, width: int, seed: int) -> Tensor:
    """Smooth frames that move, with noise; not contiguous, as a part of longer clips is."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    phase = 0.4 * torch.arange(count + 2).view(-1, 1, 1) + torch.arange(batch).view(-1, 1, 1, 1)
    waves = 0.5 + 0.3 * torch.sin(0.3 * x + 0.2 * y - phase)
    return (waves + 0.1 * draw(batch, count + 2, height, width, seed=seed))[:, 1:-1]


@settings(max_examples=30, deadline=None, derandomize=True)
@given(SIZES, st.integers(2, 8), st.integers(1, 3), st.integers(0, 9), st.sampled_from(sorted(SEARCHES)))
def test_a_search_finds_the_same(size: tuple[int, int], count: int, batch: int, seed: int, name: str) -> None:
    level, search = frames(batch, count, *size, seed), SEARCHES[name]
    expected = start = 3.0 * draw(batch, 2, *size, seed=seed) - 1.5
    for _ in range(search.iterations):
        expected = eager.improve(expected, level, search)
    found = native.improve(start, level, search)
    exact = start.double()
    for _ in range(search.iterations):
        exact = eager.improve(exact, level.double(), search)
    # A step amplifies rounding where little is seen, so that both are compared with double precision.
    assert (found - exact).abs().max() <= 3.0 * (expected - exact).abs().max() + 1e-5


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    SIZES,
    SIZES,
    st.tuples(st.integers(-5, 20), st.integers(-5, 20)),
    st.integers(1, 3),
    st.sampled_from([1, 3]),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.integers(0, 2),
)
def test_an_advection_shows_the_same(
    size: tuple[int, int],
    window: tuple[int, int],
    corner: tuple[int, int],
    count: int,
    channels: int,
    is_cubic: bool,
    is_carrying: bool,
    is_splatted: bool,
    unseen: int,
) -> None:
    frame = draw(2, channels, *size)
    # A motion that differs much from pixel to pixel would amplify rounding with each step.
    motion = 6.0 * draw(2, 2 * count, 1, 1, seed=1) - 3.0 + 0.3 * draw(2, 2 * count, *size, seed=3)
    source, beside = draw(2, 2 * count, *window), draw(2, 4, *size, seed=2) if is_carrying else None
    lead = torch.tensor([0.0, 2.0]).view(2, 1, 1, 1) if is_splatted else None
    both = [
        each.advance(
            frame, motion, source, 3, beside=beside, corner=corner, is_cubic=is_cubic, unseen=unseen, lead=lead
        )
        for each in (native, eager)
    ]
    for found, expected in zip(*both, strict=True):
        assert (found is None) == (expected is None)
        if found is not None and expected is not None:
            assert found.shape == expected.shape
            # Where next to nothing lands, a mean divides rounding by a small weight.
            assert ((found - expected).abs() > 1e-4).float().mean() <= 0.002


@pytest.mark.parametrize("size", [(33, 17), (64, 64)])
def test_threads_and_batches_change_no_bit(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    clips = frames(3, 8, *size, seed=4)[:, :, None]

    def forecast(given: Tensor) -> Tensor:
        seen, beside, _ = advected(given, SEARCHES, is_splatted=True).carrying(given[:, 0]).advance(3)
        assert beside is not None
        return torch.cat((seen.flatten(1), beside.flatten(1)), dim=1)

    alone = torch.cat([forecast(clip[None]) for clip in clips])
    for threads in (1, 2, 3):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        assert torch.equal(forecast(clips), alone)


def test_a_window_shows_its_part_to_rounding() -> None:
    whole = advected(frames(1, 8, 48, 40, seed=5)[:, :, None], ("fine", "latest"), is_splatted=True)
    part = whole.window(7, 5, 21, 30).advance(4)[0]
    assert torch.allclose(part, whole.advance(4)[0][..., 7:28, 5:35], rtol=0.0, atol=1e-4)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_values_that_are_not_finite_end_in_no_crash(value: float) -> None:
    clip = frames(1, 4, 16, 16, seed=6)[:, :, None].clone()
    clip[:, -1, :, 3:9] = value
    motion = native.improve(torch.full((1, 2, 16, 16), value), clip[:, :, 0], Search(4, 2, 1.0, 1.0))
    native.advance(clip[:, -1], motion, torch.zeros_like(motion), 3, lead=torch.zeros(1, 1, 1, 1))


def test_it_is_used_where_it_can_be() -> None:
    tensor = draw(1, 2, 4, 4)
    takes = choice.has_kernel_for
    assert takes(tensor, tensor)
    assert choice.choose(tensor, None).improve is native.improve
    assert takes(tensor.requires_grad_()) is False
    with torch.no_grad():
        assert takes(tensor)
    assert not takes(tensor.double())
    assert not takes(tensor.to("meta"))
    assert not takes(torch.empty(1, 2, 0, 4))
    seen = torch.func.vmap(lambda one: one * takes(one))(draw(3, 2, 4, 4))
    assert not seen.any()


def test_a_gradient_to_frames_goes_through_tensors() -> None:
    clip = frames(1, 4, 16, 16, seed=7)[:, :, None].clone().requires_grad_()
    advected(clip).advance(2)[0].sum().backward()  # type: ignore[no-untyped-call]
    assert clip.grad is not None
    assert clip.grad[:, -1].abs().max() > 0.0


def test_a_kernel_that_computes_something_else_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    clip = frames(1, 4, 16, 16, seed=8)[:, :, None]
    with monkeypatch.context() as patch:
        patch.setattr(native, "UNEXPLAINED", 1.0)
        choice.why_no_kernel.cache_clear()
        assert choice.why_no_kernel(CPU) == "it does not compute what torch does (search)"
        [by_tensors] = estimate_motions(clip, ("fine",))
    choice.why_no_kernel.cache_clear()
    assert choice.why_no_kernel(CPU) is None
    assert torch.allclose(by_tensors, estimate_motions(clip, ("fine",))[0], atol=1e-4)


def test_searches_that_share_a_pyramid_find_what_each_finds_alone() -> None:
    clip = frames(2, 8, 24, 24, seed=9)[:, :, None]
    [together] = estimate_motions(clip, SEARCHES)
    alone = torch.cat([estimate_motions(clip, [name])[0] for name in SEARCHES], dim=1)
    assert torch.allclose(together, alone, atol=1e-5)
