from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import data_record
from safetensors.torch import save_file
from torch import Tensor

from convlstm_cli.errors import RunError, UsageError
from convlstm_cli.nn.config import NOISE_GRID, ForecasterConfig
from convlstm_cli.nn.forecaster import EncoderForecaster
from convlstm_cli.runs.run import Run
from convlstm_cli.training.adapting import NOISE_WEIGHT, adapted
from convlstm_cli.training.initial import check_there, start
from convlstm_cli.weights.pretrained import weights_of

SMALL = ForecasterConfig(16, 24, 1, hidden=(4, 6), kernel_size=3, input_frames=4, horizon=3)
DEFAULT = ForecasterConfig(64, 64, 1)


def network(config: ForecasterConfig, seed: int = 0) -> EncoderForecaster:
    """A network with weights that are nowhere zero."""
    torch.manual_seed(seed)
    made = EncoderForecaster(config).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return made


def of(config: ForecasterConfig, weights: Mapping[str, Tensor]) -> EncoderForecaster:
    made = EncoderForecaster(config).eval()
    made.load_state_dict(weights)
    return made


KINDS: list[dict[str, Any]] = [
    {"forecaster": forecaster, "head": head}
    for forecaster in ("advected", "autoregressive", "unconditioned")
    for head in ("mix", "refined", "motions", "residual", "sigmoid")
]


@pytest.mark.parametrize("channels", [1, 3])
def test_a_network_that_reads_a_mask_starts_where_the_weights_without_one_are(tmp_path: Path, channels: int) -> None:
    masked = replace(SMALL, channels=channels, mask=True)
    one = network(SMALL)
    frames = torch.rand(2, 4, 1, 16, 24, generator=torch.Generator().manual_seed(1))
    seen = torch.cat((frames.expand(-1, -1, channels, -1, -1), torch.rand_like(frames)), dim=2)
    made = adapted(one.state_dict(), SMALL, masked)
    with torch.inference_mode():
        expected = one(frames, 3).expand(-1, -1, channels, -1, -1)
        torch.testing.assert_close(of(masked, made)(seen, 3), expected, rtol=0, atol=2e-5)
    made["encoder.0.weight_ih"][:, -1] = 1.0
    again = adapted(made, masked, masked)
    assert torch.equal(again["encoder.0.weight_ih"], made["encoder.0.weight_ih"])
    save_file(made, tmp_path / "masked.safetensors")
    begun = start(str(tmp_path / "masked.safetensors"), masked)
    assert begun.weights is not None
    assert torch.equal(begun.weights["encoder.0.weight_ih"], made["encoder.0.weight_ih"])
    with pytest.raises(UsageError, match="which pixels are missing"):
        start(str(tmp_path / "masked.safetensors"), replace(masked, mask=False))


@pytest.mark.parametrize("forecaster", ["advected", "unconditioned"])
def test_a_network_that_reads_further_channels_starts_where_the_weights_without_them_are(forecaster: Any) -> None:
    plain = replace(SMALL, forecaster=forecaster)
    guided = replace(plain, channels=3, inputs=2, known=1, mask=True)
    one = network(plain)
    generator = torch.Generator().manual_seed(1)
    frames, others = torch.rand(2, 4, 1, 16, 24, generator=generator), torch.rand(2, 7, 3, 16, 24, generator=generator)
    seen = torch.cat((frames.expand(-1, -1, 3, -1, -1), others[:, :4]), dim=2)
    made = of(guided, adapted(one.state_dict(), plain, guided))
    with torch.inference_mode():
        expected = one(frames, 3).expand(-1, -1, 3, -1, -1)
        torch.testing.assert_close(made(seen, 3, future=others[:, 4:, 1:2]), expected, rtol=0, atol=2e-5)
    with pytest.raises(UsageError, match="2 channels that are not forecast, 1 of them known ahead, and this network 0"):
        adapted(made.state_dict(), guided, plain)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(kind.values()))
def test_grey_weights_forecast_grey_content_alike_in_colour_and_back(kind: dict[str, Any]) -> None:
    grey = replace(SMALL, **kind)
    colour = replace(grey, channels=3)
    one = network(grey)
    frames = torch.rand(2, 4, 1, 16, 24, generator=torch.Generator().manual_seed(1))
    made = adapted(one.state_dict(), grey, colour)
    with torch.inference_mode():
        expected = one(frames, 3)
        found = of(colour, made)(frames.expand(-1, -1, 3, -1, -1), 3)
        again = of(grey, adapted(made, colour, grey))(frames, 3)
    torch.testing.assert_close(found, expected.expand(-1, -1, 3, -1, -1), rtol=0, atol=2e-5)
    torch.testing.assert_close(again, expected, rtol=0, atol=2e-5)


def test_peepholes_of_channels_become_those_of_every_position() -> None:
    full = replace(SMALL, peephole="full")
    one = network(SMALL)
    frames = torch.rand(1, 4, 1, 16, 24, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        found = of(full, adapted(one.state_dict(), SMALL, full))(frames, 3)
        torch.testing.assert_close(found, one(frames, 3), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden": (4,)}, "--hidden of the weights is 4,6 and of this network 4"),
        ({"kernel_size": 5}, "--kernel-size of the weights is 3"),
        ({"recurrent_kernel_size": 1}, "--recurrent-kernel-size of the weights is 3 and of this network 1"),
        ({"patch_size": 2}, "--patch-size"),
        ({"head": "mix"}, "--head of the weights is motions"),
        ({"peephole": "none"}, "peepholes of --peephole channel"),
        ({"dilation": 2}, "--dilation of the weights is 1 and of this network 2"),
        ({"layer_norm": True}, "--layer-norm of the weights is off and of this network on"),
    ],
)
def test_what_does_not_fit_is_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        adapted(network(SMALL).state_dict(), SMALL, replace(SMALL, **change))


def test_layer_norm_fits_its_size_only_and_dropout_changes_no_weight() -> None:
    normed = replace(SMALL, layer_norm=True)
    with pytest.raises(UsageError, match="--layer-norm for --size 16x24, and this network is for 32x24"):
        adapted(network(normed).state_dict(), normed, replace(normed, height=32))
    weights = network(SMALL).state_dict()
    assert adapted(weights, SMALL, replace(SMALL, dropout=0.2)).keys() == weights.keys()


def test_full_peepholes_fit_their_size_only() -> None:
    full = replace(SMALL, peephole="full")
    with pytest.raises(UsageError, match="peepholes of --size 16x24"):
        adapted(network(full).state_dict(), full, replace(full, width=16))


def test_auto_takes_the_shipped_weights_where_they_fit() -> None:
    found = start("auto", DEFAULT)
    assert found.init == "pretrained"
    assert found.weights is not None
    assert all(torch.equal(value, found.weights[name]) for name, value in weights_of("grey").items())
    in_colour = start("auto", replace(DEFAULT, channels=3, height=32)).weights
    assert in_colour is not None
    assert torch.equal(in_colour["encoder.0.weight_ih"], weights_of("colour")["encoder.0.weight_ih"])

    afresh = start("auto", SMALL)
    assert (afresh.init, afresh.weights) == ("none", None)
    assert "--hidden of the weights is 32,32 and of this network 4,6" in afresh.text
    with pytest.raises(UsageError, match="--init pretrained: --hidden"):
        start("pretrained", SMALL)
    assert start("none", DEFAULT).weights is None


def test_a_run_or_a_file_gives_its_weights(tmp_path: Path) -> None:
    weights = network(SMALL).state_dict()
    model = {"height": 16, "width": 24, "channels": 1, "hidden": [4, 6], "kernel_size": 3, "input_frames": 4}
    run = Run.create(tmp_path / "run", {"model": {**model, "horizon": 3}, "data": data_record(16, 24)})
    run.save_weights(weights)
    file = tmp_path / "weights.safetensors"
    save_file({name: value.contiguous() for name, value in weights.items()}, file)
    colour = replace(SMALL, channels=3)
    for path in (run.folder, file):
        found = start(str(path), colour)
        assert found.init == str(path)
        assert found.weights is not None
        for name, value in adapted(weights, SMALL, colour).items():
            assert torch.equal(found.weights[name], value)
    with pytest.raises(UsageError, match="of another network"):
        start(str(file), replace(SMALL, hidden=(4,)))
    for init in ("none", "auto", "pretrained", str(run.folder), str(file)):
        check_there(init)
    file.write_bytes(b"nonsense")
    refused: list[Callable[[str], object]] = [check_there, lambda init: start(init, SMALL)]
    for refuse in refused:
        with pytest.raises(UsageError, match="--init nowhere: it is not there; give pretrained"):
            refuse("nowhere")
        with pytest.raises(RunError, match="cannot be read"):
            refuse(str(file))
        with pytest.raises(RunError, match="no run folder"):
            refuse(str(tmp_path))


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_a_file_of_weights_of_16_bits_gives_them_in_32(tmp_path: Path, kind: torch.dtype) -> None:
    weights = {name: value.to(kind).contiguous() for name, value in network(SMALL).state_dict().items()}
    save_file(weights, tmp_path / "weights.safetensors")
    found = start(str(tmp_path / "weights.safetensors"), SMALL).weights
    assert found is not None
    for name, value in weights.items():
        assert torch.equal(found[name], value.float())


def test_without_peepholes_all_arms_of_a_comparison_can_start_alike() -> None:
    for peephole in ("none", "channel", "full"):
        weights = start("pretrained", replace(DEFAULT, peephole=peephole), peepholes=False).weights
        assert weights is not None
        assert not [name for name in weights if "peephole" in name]
        assert torch.equal(weights["encoder.0.weight_hh"], weights_of("grey")["encoder.0.weight_hh"])


@pytest.mark.parametrize("kind", KINDS)
def test_a_network_that_reads_noise_starts_where_one_without_is_and_the_reverse(kind: dict[str, Any]) -> None:
    plain = replace(SMALL, **kind)
    noisy = replace(plain, noise=True)
    frames = torch.rand(2, 4, 1, 16, 24, generator=torch.Generator().manual_seed(1))
    one = network(plain)
    made = of(noisy, adapted(one.state_dict(), plain, noisy))
    other = network(noisy)
    back = of(plain, adapted(other.state_dict(), noisy, plain))
    with torch.inference_mode():
        torch.testing.assert_close(made(frames, 3), one(frames, 3), rtol=0, atol=2e-5)
        torch.testing.assert_close(back(frames, 3), other(frames, 3), rtol=0, atol=2e-5)
    weights = made.get_parameter("forecaster.0.weight_ih")[:, -NOISE_GRID:]
    assert 0.5 * NOISE_WEIGHT < float(weights.detach().std()) < 2 * NOISE_WEIGHT < 0.1
    assert (made.noise_scale == 1.0).all()
    same = adapted(other.state_dict(), noisy, noisy)
    assert all(torch.equal(same[name], value) for name, value in other.state_dict().items())
