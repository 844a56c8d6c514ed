"""The programs that are exported, before they are recorded, held to the network; tests/test_export.py records them."""

from typing import Any, get_args

import pytest
import torch

from convlstm_cli.nn import EncoderForecaster, ForecasterConfig
from convlstm_cli.nn.config import Forecaster, Head, Peephole
from convlstm_cli.nn.exportable import Read, Start, Step, run_parts


@pytest.mark.parametrize("forecaster", get_args(Forecaster))
@pytest.mark.parametrize("head", get_args(Head))
@pytest.mark.parametrize("peephole", get_args(Peephole))
def test_start_read_and_step_are_the_network(forecaster: Any, head: Any, peephole: Any) -> None:
    torch.manual_seed(0)
    config = ForecasterConfig(
        16, 20, 3, hidden=(3, 2), patch_size=2, forecaster=forecaster, head=head, peephole=peephole, input_frames=5
    )
    network = EncoderForecaster(config).eval()
    frames = torch.rand(2, 5, 3, 16, 20)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(std=0.2)
        expected = network(frames, 4)
        found = run_parts({"start": Start(network), "read": Read(network), "step": Step(network)}, frames, 4)
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-6)
    assert len(network.start(frames)) == len(network.state_names)


def test_each_part_has_only_its_own_weights() -> None:
    network = EncoderForecaster(ForecasterConfig(16, 16, 1, hidden=(3,)))
    names = {name.removeprefix("network.") for part in (Read(network), Step(network)) for name in part.state_dict()}
    assert names == set(network.state_dict())
    assert not {*Read(network).state_dict()} & {*Step(network).state_dict()}
    assert not Start(network).state_dict()
