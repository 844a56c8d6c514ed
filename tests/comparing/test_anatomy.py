"""What anatomy() says of networks that were made so that the answer is known."""

import copy
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from convlstm_cli.comparing.anatomy import CLOSED, GATES, OPEN, SATURATION_CLIPS, Anatomy, anatomy, conclusions
from convlstm_cli.compute.device import Compute
from convlstm_cli.forecasting.inference import to_float
from convlstm_cli.nn import EncoderForecaster, ForecasterConfig
from convlstm_cli.nn.cell import cell_step
from convlstm_cli.scoring.evaluation import evaluate_clips
from convlstm_cli.video.clips import ClipDataset
from convlstm_cli.video.config import DataConfig
from convlstm_cli.video.data import prepare

CPU = Compute(torch.device("cpu"), torch.float32)
MODEL = ForecasterConfig(32, 32, 1, hidden=(4,), forecaster="unconditioned", head="sigmoid", input_frames=4, horizon=3)
LAYERS = ("encoder 0", "forecaster 0")


@pytest.fixture
def clips(make_folder: Callable[..., Path]) -> ClipDataset:
    """12 clips of 7 frames."""
    data = prepare(DataConfig((str(make_folder(videos=3, frames=42)),), height=32, width=32), 4, 3)
    segments = [*data.split.train, *data.split.validation, *data.split.test]
    return ClipDataset(data.library, segments, 7, stride=11, channels=1)


def make(peephole: str, seed: int = 0, **peepholes: float) -> EncoderForecaster:
    """A network whose peepholes to the named gates are drawn with this standard deviation; those to others are 0."""
    torch.manual_seed(seed)
    network = EncoderForecaster(replace(MODEL, peephole=peephole)).eval()  # type: ignore[arg-type]
    layers = network.named_layers().values()
    with torch.no_grad():
        for layer in layers:  # first, so that they are the same with any peepholes
            layer.bias.normal_(std=2.0)
        for layer in layers:
            for gate, std in peepholes.items():
                getattr(layer, f"peephole_{gate}").normal_(std=std)
    return network


def dissect(
    networks: Mapping[str, Sequence[EncoderForecaster]],
    clips: ClipDataset,
    on_progress: Callable[[int, int], None] | None = None,
) -> Anatomy:
    """anatomy(), with the MSE of the intact networks."""
    intact = {arm: [intact_mse(network, clips) for network in seeds] for arm, seeds in networks.items()}
    loads = {arm: [lambda network=network: network for network in seeds] for arm, seeds in networks.items()}
    return anatomy(loads, clips, CPU, 5, intact, on_progress)


def intact_mse(network: EncoderForecaster, clips: ClipDataset) -> float:
    return evaluate_clips(network, clips, CPU, 5).model.mean_mse


def peephole(network: EncoderForecaster, layer: str, gate: str) -> Tensor:
    value = getattr(network.named_layers()[layer], f"peephole_{gate}")
    assert isinstance(value, Tensor)
    return value.detach()


def activations(network: EncoderForecaster, clips: ClipDataset) -> Iterator[tuple[str, Tensor, Tensor, Tensor]]:
    """Layer, and what enters σ in i, f and o, of every step of an unconditioned network of one layer, from scratch."""
    encoder, forecaster = network.named_layers().values()
    frames = to_float(torch.stack([clips[k] for k in range(len(clips))])[:, :4], CPU.device)
    x = torch.nn.functional.pixel_unshuffle(frames, MODEL.patch_size)
    h = c = torch.zeros(len(clips), 4, 8, 8)
    for step in range(7):
        name, layer = (LAYERS[0], encoder) if step < 4 else (LAYERS[1], forecaster)
        x_t = x[:, step] if step < 4 else None
        z = torch.nn.functional.conv2d(h, layer.weight_hh, layer.bias, padding=1)
        if x_t is not None and layer.weight_ih is not None:
            z = z + torch.nn.functional.conv2d(x_t, layer.weight_ih, padding=1)
        i, f, _, o = z.chunk(4, dim=1)
        before = c
        h, c = cell_step(x_t, h, c, layer.weights)
        w_i, w_f, w_o = (peephole(network, name, gate) for gate in "ifo")
        yield name, i + w_i * before, f + w_f * before, o + w_o * c


def test_peepholes_are_pooled_over_the_seeds(clips: ClipDataset) -> None:
    networks = [make("full", seed, i=0.1, f=1.0, o=3.0) for seed in range(3)]
    rows = dissect({"full": networks}, clips).peepholes
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


def test_uniform_peepholes_say_how_large_they_began(clips: ClipDataset) -> None:
    torch.manual_seed(0)
    config = replace(MODEL, hidden=(64,), peephole="channel", peephole_init="uniform")
    rows = dissect({"channel": [EncoderForecaster(config).eval()]}, clips).peepholes
    for row in rows:
        assert row.initial_rms == pytest.approx(1 / 8)
        assert row.rms == pytest.approx(row.initial_rms, rel=0.25)
        assert row.map is None


def test_saturations_are_counted_right(clips: ClipDataset) -> None:
    """Against all activations at once, over two seeds, with a last batch that is smaller."""
    assert len(clips) % 5
    networks = [make("channel", seed, i=2.0, f=2.0, o=2.0) for seed in range(2)]
    found = dissect({"channel": networks}, clips)
    assert found.saturation_clips == len(clips)
    kept: dict[tuple[str, str], list[Tensor]] = {(layer, gate): [] for layer in LAYERS for gate in GATES}
    for network in networks:
        for name, *gates in activations(network, clips):
            for gate, z in zip(GATES, gates, strict=True):
                kept[name, gate].append(torch.sigmoid(z))
    assert [(row.layer, row.gate) for row in found.saturation] == list(kept)
    for row in found.saturation:
        values = torch.cat(kept[row.layer, row.gate])
        assert row.closed == pytest.approx((values < CLOSED).double().mean().item(), abs=1e-4)
        assert row.open == pytest.approx((values > OPEN).double().mean().item(), abs=1e-4)
        assert row.mean == pytest.approx(values.double().mean().item(), rel=1e-5)
    assert any(row.closed > 0.05 for row in found.saturation)
    assert any(row.open > 0.05 for row in found.saturation)


def test_of_many_clips_some_are_watched(clips: ClipDataset) -> None:
    many = copy.copy(clips)
    many.clips = clips.clips[:1] * 100 + clips.clips[1:2] * 100
    plain = make("none")
    found = dissect({"none": [plain]}, many)
    assert found.saturation_clips == SATURATION_CLIPS
    # Spread evenly: as many of the one as of the other.
    two = copy.copy(clips)
    two.clips = clips.clips[:2]
    for row, expected in zip(found.saturation, dissect({"none": [plain]}, two).saturation, strict=True):
        assert row.mean == pytest.approx(expected.mean, rel=1e-5)


def test_without_peepholes_there_is_saturation_only(clips: ClipDataset) -> None:
    content = dissect({"none": [make("none")], "channel": [make("channel")]}, clips).to_dict()
    assert {row["arm"] for row in content["saturation"]} == {"none", "channel"}
    assert {row["arm"] for row in content["peepholes"]} == {row["arm"] for row in content["knock_out"]} == {"channel"}
    # Zero peepholes and the same seed: the same network.
    mine, others = ([row for row in content["saturation"] if row["arm"] == arm] for arm in ("none", "channel"))
    assert [{**row, "arm": ""} for row in mine] == [{**row, "arm": ""} for row in others]
    assert conclusions(dissect({"none": [make("none")]}, clips).to_dict()) == []


def test_knocking_out_zeros_changes_nothing(clips: ClipDataset) -> None:
    network = make("channel")
    found = dissect({"channel": [network]}, clips)
    rows = found.knock_out
    assert [row.gate for row in rows] == ["i", "f", "o", "all"]
    for row in rows:
        assert row.mse == intact_mse(network, clips)
        assert row.relative == 0.0
        assert row.by_seed == [0.0]
    for learned in found.peepholes:
        assert learned.rms == 0.0
        assert learned.histogram.counts == [0] * 20 + [4] + [0] * 20


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


def test_progress_counts_clips_and_may_stop(clips: ClipDataset) -> None:
    told: list[tuple[int, int]] = []
    networks = {"none": [make("none")], "channel": [make("channel")]}
    dissect(networks, clips, lambda done, total: told.append((done, total)))
    # Both are watched; of the one with peepholes there are four knock-outs.
    assert told[-1] == (6 * len(clips), 6 * len(clips))
    assert [done for done, _ in told] == sorted({done for done, _ in told})

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt(f"{done} of {total}")

    with pytest.raises(KeyboardInterrupt, match=f"5 of {6 * len(clips)}"):
        dissect(networks, clips, stop)
    assert not networks["none"][0].named_layers()["encoder 0"]._forward_hooks


def test_json_holds_all(clips: ClipDataset) -> None:
    content = dissect({"none": [make("none")], "full": [make("full", o=1.0)]}, clips).to_dict()
    assert json.loads(json.dumps(content, allow_nan=False)) == content
    assert set(content) >= {"saturation", "peepholes", "knock_out"}
    assert (content["saturation_clips"], content["closed_below"], content["open_above"]) == (len(clips), 0.1, 0.9)
    assert conclusions(content)


def test_an_exact_network_has_no_relative_cost(clips: ClipDataset) -> None:
    loads = {"channel": [lambda: make("channel")]}
    content = anatomy(loads, clips, CPU, 5, {"channel": [0.0]}).to_dict()
    assert {row["relative"] for row in content["knock_out"]} == {None}
    assert "exact" in " ".join(conclusions(content))


# The sentences


def content(
    costs: Mapping[str, Sequence[float]], saturated: tuple[float, float] = (0.2, 0.2), rms: float = 0.25
) -> dict[str, Any]:
    """An anatomy of one arm beside a plain one, with these costs by gate and seed."""
    histogram = {"edges": [-1.0, 1.0], "counts": [4]}
    return {
        "saturation": [
            {"arm": arm, "layer": "encoder 0", "gate": gate, "closed": share / 2, "open": share / 2, "mean": 0.5}
            for arm, share in zip(("none", "channel"), saturated, strict=True)
            for gate in GATES
        ],
        "peepholes": [
            {"arm": "channel", "layer": "encoder 0", "gate": gate, "rms": rms, "initial_rms": 0, "histogram": histogram}
            for gate in GATES
        ],
        "knock_out": [
            {"arm": "channel", "gate": gate, "relative": sum(values) / len(values), "by_seed": list(values)}
            for gate, values in costs.items()
        ],
    }


@pytest.mark.parametrize(
    ("costs", "says"),
    [
        (
            {"i": [0.0, 0.01], "f": [0.01, 0.02], "o": [0.1, 0.14], "all": [0.2, 0.2]},
            "the output gate to zero costs most, a test MSE +12.00 % (input +0.50 %, forget +1.50 %; all peepholes at "
            "once: +20.00 %), and is the costliest in both seeds: in these networks this gate uses the cell state most",
        ),
        (
            {"i": [0.0] * 3, "f": [0.1] * 3, "o": [0.0] * 3, "all": [0.1] * 3},
            "the forget gate to zero costs most, a test MSE +10.00 % (input +0.00 %, output +0.00 %; all peepholes at "
            "once: +10.00 %), and is the costliest in all 3 seeds",
        ),
        ({"i": [0.1], "f": [0.0], "o": [0.0], "all": [0.1]}, "the costliest in the only seed"),
        (
            {"i": [-0.01, 0.2], "f": [0.0, 0.0], "o": [0.0, 0.0], "all": [0.0, 0.2]},
            "raises it in 1 of 2 seeds only: which gate uses the cell state is not clear",
        ),
        (
            {"i": [0.01, 0.2], "f": [0.02, 0.0], "o": [0.0, 0.0], "all": [0.0, 0.2]},
            "raises it in both seeds, but is the costliest in 1 only",
        ),
        (
            {"i": [1e-4, 0.0], "f": [0.0, -1e-4], "o": [0.0, 0.0], "all": [5e-4, 0.0]},
            "by at most 0.1 % in every seed: these forecasts hardly depend on them",
        ),
        (
            {"i": [-0.1, 0.0], "f": [0.0, 0.0], "o": [-0.2, 0.1], "all": [-0.2, 0.0]},
            "costs nothing on average (test MSE: input -5.00 %, forget +0.00 %, output -5.00 %; all peepholes at once: "
            "-10.00 %)",
        ),
        ({"i": [0.0], "f": [0.0], "o": [0.0], "all": [0.3]}, "may stand in for each other"),
    ],
)
def test_what_is_said_of_knock_outs(costs: dict[str, list[float]], says: str) -> None:
    said = " ".join(conclusions(content(costs)))
    assert says in said
    assert "signific" not in said


def test_what_is_said_of_sizes_and_saturation() -> None:
    costs = {gate: [0.1] for gate in (*GATES, "all")}
    size, _, saturation, caution = conclusions(content(costs, saturated=(0.2, 0.3)))
    assert "began with a root mean square of 0 and became 0.25 to the input gate" in size
    assert "are more frequent in the input gate (30.0 % against 20.0 %)" in saturation
    assert "not what one trained without them" in caution
    assert "less frequent in the forget gate" in conclusions(content(costs, saturated=(0.3, 0.2)))[2]
    assert "about as frequent in the forget gate" in conclusions(content(costs, saturated=(0.3, 0.305)))[2]


def test_sizes_of_layers_are_pooled_by_their_weights() -> None:
    found = content({gate: [0.1] for gate in (*GATES, "all")}, rms=0.0)
    wide = {"edges": [-1.0, 1.0], "counts": [12]}
    found["peepholes"] += [
        {**row, "layer": "forecaster 0", "rms": 2.0, "histogram": wide} for row in found["peepholes"]
    ]
    assert "1.7 to the input gate" in conclusions(found)[0]  # √(12 * 2² / 16)
