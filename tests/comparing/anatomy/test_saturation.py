import copy
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from made_networks import CPU, LAYERS, MODEL, dissect, make, make_clips, peephole
from torch import Tensor

from convlstm_cli.comparing.anatomy.saturation import CLOSED, OPEN, SATURATION_CLIPS, watched_positions
from convlstm_cli.nn import EncoderForecaster
from convlstm_cli.nn.cell import cell_step
from convlstm_cli.scoring.anatomy_result import GATES
from convlstm_cli.video.clips import ClipDataset
from convlstm_cli.video.tensors import to_float


@pytest.fixture
def clips(make_folder: Callable[..., Path]) -> ClipDataset:
    return make_clips(make_folder(videos=3, frames=42))


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
    many.clips = [*[clips.clips[0]] * 100, *[clips.clips[1]] * 100]
    plain = make("none")
    found = dissect({"none": [plain]}, many)
    assert found.saturation_clips == SATURATION_CLIPS
    # Spread evenly: as many of the one as of the other.
    two = copy.copy(clips)
    two.clips = clips.clips[:2]
    for row, expected in zip(found.saturation, dissect({"none": [plain]}, two).saturation, strict=True):
        assert row.mean == pytest.approx(expected.mean, rel=1e-5)


def test_all_of_few_clips_are_watched_and_of_many_the_first_and_last() -> None:
    assert watched_positions(3) == [0, 1, 2]
    many = watched_positions(1000)
    assert len(many) == len(set(many)) == SATURATION_CLIPS
    assert (many[0], many[-1]) == (0, 999)
