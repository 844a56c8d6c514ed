import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from made_networks import dissect, intact_mse, make, make_clips

from convlstm_cli.comparing.anatomy.knock_out import cost
from convlstm_cli.scoring.anatomy_result import GATES
from convlstm_cli.video.clips import ClipDataset


@pytest.fixture
def clips(make_folder: Callable[..., Path]) -> ClipDataset:
    return make_clips(make_folder(videos=3, frames=42))


def test_knocking_out_zeros_changes_nothing(clips: ClipDataset) -> None:
    network = make("channel")
    found = dissect({"channel": [network]}, clips)
    rows = found.knock_out
    assert [row.gate for row in rows] == ["i", "f", "o", "all"]
    for row in rows:
        assert row.mse == intact_mse(network, clips)
        assert row.relative == 0.0
        assert row.by_seed == [0.0]


@pytest.mark.parametrize("gate", GATES)
def test_only_the_gate_that_has_peepholes_costs(clips: ClipDataset, gate: str) -> None:
    networks = [make("channel", seed, **{gate: 2.0}) for seed in range(2)]
    before = [copy.deepcopy(network.state_dict()) for network in networks]
    rows = {row.gate: row for row in dissect({"channel": networks}, clips).knock_out}
    plain = [make("channel", seed) for seed in range(2)]
    intact = [intact_mse(network, clips) for network in networks]
    without = [intact_mse(network, clips) for network in plain]
    for knocked in (gate, "all"):
        assert rows[knocked].mse == pytest.approx(sum(without) / 2)
        assert rows[knocked].relative == pytest.approx(sum(without) / sum(intact) - 1)
        assert rows[knocked].by_seed == pytest.approx([a / b - 1 for a, b in zip(without, intact, strict=True)])
        assert abs(rows[knocked].relative or 0.0) > 1e-4
    for other in set(GATES) - {gate}:
        assert rows[other].by_seed == [0.0, 0.0]
    for network, weights in zip(networks, before, strict=True):
        assert all(torch.equal(network.state_dict()[name], value) for name, value in weights.items())


def test_an_exact_network_has_no_relative_cost() -> None:
    found = cost("channel", "i", [0.1, 0.3], [0.0, 0.1])
    assert found.mse == pytest.approx(0.2)
    assert found.relative == pytest.approx(3.0)
    assert found.by_seed == [None, pytest.approx(2.0)]
    assert cost("channel", "i", [0.1], [0.0]).relative is None
