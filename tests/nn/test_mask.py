"""Networks that read which pixels are missing."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from convlstm_cli.errors import UsageError
from convlstm_cli.nn import EncoderForecaster, ForecasterConfig
from convlstm_cli.nn.exportable import Read, Start, Step, run_parts

PLAIN = ForecasterConfig(16, 16, 2, hidden=(3, 2), patch_size=2, input_frames=4, horizon=3)
MASKED = replace(PLAIN, mask=True)
KINDS: list[Any] = ["advected", "autoregressive", "unconditioned"]


def network(config: ForecasterConfig) -> EncoderForecaster:
    torch.manual_seed(0)
    made = EncoderForecaster(config).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_(std=0.2)
    return made


def frames(channels: int = 2) -> torch.Tensor:
    return torch.rand(2, 4, channels, 16, 16, generator=torch.Generator().manual_seed(1))


def test_only_the_first_layer_of_the_encoder_differs() -> None:
    plain, masked = (EncoderForecaster(config).state_dict() for config in (PLAIN, MASKED))
    different = [name for name in plain if plain[name].shape != masked[name].shape]
    assert list(plain) == list(masked)
    assert different == ["encoder.0.weight_ih"]
    assert masked[different[0]].shape[1] == plain[different[0]].shape[1] + PLAIN.patch_size**2


@pytest.mark.parametrize("forecaster", KINDS)
def test_without_a_mask_all_pixels_are_known_and_what_is_missing_matters(forecaster: Any) -> None:
    model = network(replace(MASKED, forecaster=forecaster))
    with torch.no_grad():
        known = model(torch.cat((frames(), torch.ones(2, 4, 1, 16, 16)), dim=2))
        torch.testing.assert_close(model(frames()), known, rtol=0, atol=0)
        assert known.shape == (2, 3, 2, 16, 16)
        assert (model(torch.cat((frames(), torch.zeros(2, 4, 1, 16, 16)), dim=2)) - known).abs().max() > 1e-3


@pytest.mark.parametrize("forecaster", KINDS)
def test_pieces_and_exported_parts_are_the_whole(forecaster: Any) -> None:
    model = network(replace(MASKED, forecaster=forecaster))
    seen = frames(3)
    parts = {"start": Start(model), "read": Read(model), "step": Step(model)}
    with torch.no_grad():
        whole = model(seen, 5)
        torch.testing.assert_close(torch.cat(list(model.stream(seen, 5, chunk=2)), dim=1), whole, rtol=0, atol=2e-6)
        torch.testing.assert_close(run_parts(parts, seen, 5), whole, rtol=0, atol=2e-6)


def test_a_network_without_a_mask_takes_none() -> None:
    with pytest.raises(UsageError, match="expected"):
        network(PLAIN)(frames(3))
