"""The Triton kernels for motion against `eager.py`: in Triton's interpreter, or on the GPU where there is one."""

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import pytest
import torch
from gate_examples import guarded, poisoned_like
from interpreted import INTERPRETED, interpreter, on_each_device  # noqa: F401  a fixture that is used
from torch import Tensor

from convlstm_cli.nn.motion import (
    SEARCHES,
    Advection,
    Search,
    blur,
    choice,
    eager,
    estimate_motions,
    past_errors,
    triton_advance,
    triton_search,
)


def draw(device: str, *shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed + sum(shape))).to(device)


def moving(device: str, clips: int, frames: int, height: int, width: int) -> Tensor:
    """Smooth frames that move, with noise; not contiguous, as a part of longer clips is."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    phase = 0.4 * torch.arange(frames + 1).view(-1, 1, 1) + torch.arange(clips).view(-1, 1, 1, 1)
    waves = 0.5 + 0.3 * torch.sin(0.3 * x + 0.2 * y - phase)
    return (waves.to(device) + 0.1 * draw(device, clips, frames + 1, height, width))[:, 1:]


@contextlib.contextmanager
def buffers_guarded() -> Iterator[None]:
    """All that is allocated meanwhile holds poison, and has poison around it that nobody may write."""
    new_empty, empty_like, clone = Tensor.new_empty, torch.empty_like, Tensor.clone
    with guarded() as guard, contextlib.ExitStack() as patches:

        def poisoned(make: Any) -> Any:
            return lambda *given, **options: guard(poisoned_like(make(*given, **options)))

        patches.enter_context(patch.object(Tensor, "new_empty", poisoned(new_empty)))
        patches.enter_context(patch.object(torch, "empty_like", poisoned(empty_like)))
        patches.enter_context(patch.object(Tensor, "clone", lambda *given, **options: guard(clone(*given, **options))))
        yield


@on_each_device
@pytest.mark.parametrize(
    ("size", "frames", "clips", "search"),
    [
        ((9, 7), 4, 2, Search(4, 2, 0.6, 0.4)),
        ((14, 13), 3, 1, Search(3, 1, 1.8, 0.8, damping=2e-4)),  # two tiles
        ((1, 6), 2, 2, Search(2, 2, 2.5, 1.3)),
        ((5, 1), 8, 1, Search(8, 1, 3.5, 2.4)),
        ((1, 1), 2, 1, Search(2, 1, 1.0, 1.0)),
    ],
)
def test_a_search_finds_the_same(device: str, size: tuple[int, int], frames: int, clips: int, search: Search) -> None:
    level = moving(device, clips, frames, *size)
    expected = start = 3.0 * draw(device, clips, 2, *size) - 1.5
    given = level.clone(), start.clone()
    for _ in range(search.iterations):
        expected = eager.improve(expected, level, search)
    with buffers_guarded():
        found = triton_search.improve(start, level, search)
    torch.testing.assert_close(found, expected, rtol=0.0, atol=1e-4)
    assert torch.equal(level, given[0])
    assert torch.equal(start, given[1])


@on_each_device
@pytest.mark.parametrize(("small", "large"), [((3, 5), (6, 11)), ((8, 9), (17, 18)), ((1, 2), (2, 5))])
def test_a_motion_is_enlarged_alike(device: str, small: tuple[int, int], large: tuple[int, int]) -> None:
    flow = 3.0 * draw(device, 2, 2, *small) - 1.5
    with buffers_guarded():
        found = triton_search.enlarge(flow, large)
    torch.testing.assert_close(found, eager.enlarge(flow, large), rtol=0.0, atol=1e-5)


@on_each_device
@pytest.mark.parametrize("is_cubic", [True, False])
@pytest.mark.parametrize(
    ("size", "window", "corner", "count", "channels", "fields", "unseen", "is_splatted"),
    [
        ((6, 9), (6, 9), (0, 0), 2, 1, 3, 0, True),
        ((7, 8), (3, 4), (2, 5), 1, 3, 0, 1, True),  # a window that goes beyond the frame
        ((4, 5), (13, 11), (-3, -4), 1, 1, 1, 0, True),  # a window that is larger, in two tiles
        ((1, 7), (1, 7), (0, 0), 3, 1, 2, 2, False),
        ((5, 1), (5, 1), (0, 0), 1, 2, 0, 0, True),
    ],
)
def test_an_advection_shows_the_same(
    device: str,
    size: tuple[int, int],
    window: tuple[int, int],
    corner: tuple[int, int],
    count: int,
    channels: int,
    fields: int,
    unseen: int,
    is_splatted: bool,
    is_cubic: bool,
) -> None:
    frame = draw(device, 2, channels, *size)
    # A motion that differs much from pixel to pixel would amplify rounding with each step.
    motion = 4.0 * draw(device, 2, 2 * count, 1, 1, seed=1) - 2.0 + 0.3 * draw(device, 2, 2 * count, *size, seed=3)
    source = draw(device, 2, 2 * count, *window)
    options: dict[str, Any] = {
        "beside": draw(device, 2, fields, *size, seed=2) if fields else None,
        "corner": corner,
        "is_cubic": is_cubic,
        "unseen": unseen,
        "lead": torch.tensor([0.0, 2.0], device=device).view(2, 1, 1, 1) if is_splatted else None,
    }
    given = frame, motion, source
    kept = [each.clone() for each in given]
    with buffers_guarded():
        found = triton_advance.advance(*given, 2, **options)
    for one, other in zip(found, eager.advance(*given, 2, **options), strict=True):
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            assert one.shape == other.shape
            # Where next to nothing lands, a mean divides rounding by a small weight.
            assert not one.isnan().any()
            assert ((one - other).abs() > 1e-4).float().mean() <= 0.01
    assert all(map(torch.equal, given, kept))


@on_each_device
def test_tensors_lie_in_memory_in_any_order(device: str) -> None:
    frame, beside = (draw(device, 2, 1, 6, 5, seed=seed) for seed in (0, 1))
    motion, source, flow = (draw(device, 2, 2, 6, 5, seed=seed) for seed in (2, 3, 4))
    lead = torch.ones(2, 1, 1, 1, device=device)

    def other(tensor: Tensor) -> Tensor:
        return tensor.mT.contiguous().mT

    expected = triton_advance.advance(frame, motion, source, 2, beside=beside, lead=lead)
    expanded = torch.ones(1, 1, 1, 1, device=device).expand(2, -1, -1, -1)
    given = other(frame), other(motion), other(source)
    found = triton_advance.advance(*given, 2, beside=other(beside), lead=expanded)
    assert all(map(torch.equal, found, expected))  # type: ignore[arg-type]
    larger = triton_search.enlarge(flow, (12, 10))
    assert torch.equal(triton_search.enlarge(other(flow), (12, 10)), larger)
    search = Search(2, 1, 0.4, 0.4)
    level = moving(device, 2, 2, 6, 5)
    improved = triton_search.improve(flow, level.contiguous(), search)
    assert torch.equal(triton_search.improve(other(flow), other(level), search), improved)


class Counted:
    """A kernel that counts its launches."""

    def __init__(self, kernel: Any, launches: list[Any]) -> None:
        self._kernel, self._launches = kernel, launches

    def __getitem__(self, grid: Any) -> Any:
        self._launches.append(self._kernel)
        return self._kernel[grid]


def test_launches_are_as_many_as_a_training_step_counts_with(monkeypatch: pytest.MonkeyPatch) -> None:
    """`test_motion_choice.py` counts 1 + 7 for each iteration, and 1 + 3 for each step, of which 1 is no kernel."""
    launches: list[Any] = []
    for module, names in (
        (triton_search, ("_find_terms", "_blur_rows", "_solve", "_fit", "_follow")),
        (triton_advance, ("_move", "_land", "_show")),
    ):
        for name in names:
            monkeypatch.setattr(module, name, Counted(getattr(module, name), launches))
    device = "cpu" if INTERPRETED else "cuda"
    level, flow = moving(device, 1, 2, 4, 3), draw(device, 1, 2, 4, 3)
    triton_search.improve(flow, level, Search(2, 3, 0.4, 0.4))
    assert len(launches) == 7 * 3
    launches.clear()
    triton_advance.advance(level[:, -1:], flow, flow, 4, lead=torch.zeros(1, 1, 1, 1, device=device))
    assert len(launches) == 1 + 2 * 4


@on_each_device
def test_batches_change_no_bit(device: str) -> None:
    search = Search(3, 1, 0.4, 0.4)
    frames, flow = moving(device, 2, 3, 5, 4), draw(device, 2, 2, 5, 4)
    lead = torch.zeros(2, 1, 1, 1, device=device)

    def forecast(clips: slice) -> Tensor:
        motion = triton_search.improve(flow[clips], frames[clips], search)
        return triton_advance.advance(frames[clips, -1:], motion, 0.0 * motion, 1, lead=lead[clips])[0]

    both = forecast(slice(0, 2))
    assert torch.equal(both, torch.cat([forecast(slice(0, 1)), forecast(slice(1, 2))]))
    assert torch.equal(both, forecast(slice(0, 2)))


@on_each_device
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of numpy, in which the interpreter computes
def test_values_that_are_not_finite_end_in_no_crash(device: str, value: float) -> None:
    frames = draw(device, 1, 2, 5, 5)
    frames[:, -1, :, 2:4] = value
    start = torch.full((1, 2, 5, 5), value, device=device)
    with buffers_guarded():
        motion = triton_search.improve(start, frames, Search(2, 1, 1.0, 1.0))
        triton_advance.advance(frames[:, -1:], motion, 0.0 * start, 1, lead=torch.zeros(1, 1, 1, 1, device=device))


@on_each_device
def test_the_self_test_passes(device: str) -> None:
    assert choice.first_difference(choice.KERNELS["cuda"](), torch.device(device)) is None


@pytest.mark.gpu
@pytest.mark.skipif(INTERPRETED, reason="no CUDA device here")
def test_all_is_captured_in_a_graph() -> None:
    clips = moving("cuda", 2, 8, 24, 24)[:, :, None]

    def forecast(sigma: float) -> tuple[Tensor, ...]:
        now, before = estimate_motions(clips, SEARCHES, (0, 2))
        known = Advection.starting(clips[:, -1], now, is_splatted=True).carrying(clips[:, 0])
        seen, beside, _ = known.advance(3)
        assert beside is not None
        return seen, beside, past_errors(clips, before, 2, 0.9), blur(seen[:, 0, 0], sigma)

    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    with torch.cuda.stream(stream), torch.no_grad():
        forecast(1.25)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=stream):
            captured = forecast(1.75)  # of which no matrix was kept before
    clips.copy_(moving("cuda", 2, 8, 24, 24).flip(-1)[:, :, None])
    graph.replay()
    torch.cuda.synchronize()
    for one, other in zip(captured, forecast(1.75), strict=True):
        torch.testing.assert_close(one, other, rtol=0.0, atol=1e-5)
