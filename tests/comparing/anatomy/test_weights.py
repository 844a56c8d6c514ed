import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from made_networks import LAYERS, MODEL, make, peephole

from convlstm_cli.comparing.anatomy.weights import peephole_rows, trained_peepholes
from convlstm_cli.nn import EncoderForecaster
from convlstm_cli.scoring.anatomy_result import GATES, PeepholeWeights


def rows_of(arm: str, networks: list[EncoderForecaster]) -> list[PeepholeWeights]:
    return peephole_rows(arm, trained_peepholes([lambda network=network: network for network in networks]))  # type: ignore[misc]


def test_peepholes_are_pooled_over_the_seeds() -> None:
    networks = [make("full", seed, i=0.1, f=1.0, o=3.0) for seed in range(3)]
    rows = rows_of("full", networks)
    assert [(row.arm, row.layer, row.gate) for row in rows] == [
        ("full", layer, gate) for layer in LAYERS for gate in GATES
    ]
    every = np.concatenate([peephole(n, row.layer, row.gate).numpy().ravel() for n in networks for row in rows])
    for row in rows:
        values = np.stack([peephole(n, row.layer, row.gate).numpy() for n in networks]).astype(np.float64)
        assert row.mean == pytest.approx(values.mean())
        assert row.std == pytest.approx(values.std())
        assert row.rms == pytest.approx(math.sqrt((values**2).mean()))
        assert row.initial_rms == 0.0
        assert list(row.quantiles) == ["0", "0.05", "0.25", "0.5", "0.75", "0.95", "1"]
        for level, value in row.quantiles.items():
            assert value == pytest.approx(np.quantile(values, float(level)))
        assert row.histogram.edges == rows[0].histogram.edges
        assert sum(row.histogram.counts) == values.size
        np.testing.assert_array_equal(row.histogram.counts, np.histogram(values, row.histogram.edges)[0])
        drawn = np.array(row.map)
        assert drawn.shape == MODEL.grid
        np.testing.assert_allclose(drawn, values.mean(axis=(0, 1)))
    assert rows[0].histogram.edges[-1] == pytest.approx(np.abs(every).max())


def test_uniform_peepholes_say_how_large_they_began() -> None:
    torch.manual_seed(0)
    config = replace(MODEL, hidden=(64,), peephole="channel", peephole_init="uniform")
    rows = rows_of("channel", [EncoderForecaster(config).eval()])
    for row in rows:
        assert row.initial_rms == pytest.approx(1 / 8)
        assert row.rms == pytest.approx(row.initial_rms, rel=0.25)
        assert row.map is None


def test_without_peepholes_there_are_no_rows() -> None:
    assert rows_of("none", [make("none")]) == []


def test_zeros_lie_in_the_middle_of_the_histogram() -> None:
    for row in rows_of("channel", [make("channel")]):
        assert row.rms == 0.0
        assert row.histogram.counts == [0] * 20 + [4] + [0] * 20
