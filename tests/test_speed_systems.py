"""The systems of scripts/benchmark_speed.py as a GPU has them: captured, and of another device than the CPU."""

import pytest
import torch
from fake_graphs import on_the_cpu

from speed import systems
from speed.shapes import SHAPES, tiny
from speed.torch_systems import INPUT_SETS, Network, Unrolled, ours

REQUEST = {"threads": None, "dtype": "float32", "device": "cpu", "peephole": "none"}


def test_captured_steps_give_the_numbers_of_launched_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    shape = tiny(SHAPES["a"])
    launched = ours(REQUEST).build(shape)
    made = on_the_cpu(monkeypatch)
    captured = ours(REQUEST | {"captured": True}).build(shape)
    assert [recorder.recorded for recorder in made] == [1, 1]
    for mode in ("train", "infer"):
        expected = [launched[mode]() for _ in range(2 * INPUT_SETS)]
        assert len(set(expected)) == INPUT_SETS
        # Both modes share the inputs, so only their order differs after the warm-ups.
        assert sorted(captured[mode]() for _ in range(2 * INPUT_SETS)) == pytest.approx(sorted(expected))
    assert [recorder.replayed for recorder in made] == [1 + 2 * INPUT_SETS] * 2


def test_what_cannot_be_captured_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    on_the_cpu(monkeypatch, RuntimeError("not permitted"))
    with pytest.raises(RuntimeError, match="not permitted"):
        ours(REQUEST | {"captured": True}).build(tiny(SHAPES["a"]))


def test_graphs_are_measured_where_they_are() -> None:
    def names(*, captured: bool) -> list[str]:
        return [system.name for system in systems.of_torch("python", kernel_off=False, bf16=False, captured=captured)]

    assert set(names(captured=True)) - set(names(captured=False)) == {"ours, captured"}


def test_a_network_moves_whole_to_its_device() -> None:
    """The zeros that a class from a file reads first, too."""
    network = Network(lambda layer, _shape: Unrolled(torch.nn.Identity(), layer.hidden), SHAPES["b"], inputs=True)
    assert network.to("meta").first_input.device.type == "meta"
