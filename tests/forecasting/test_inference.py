import pytest
import torch

from convlstm_cli.compute.device import Compute, choose
from convlstm_cli.forecasting.inference import forecast_chunks, forecast_clip
from convlstm_cli.nn import EncoderForecaster, ForecasterConfig
from convlstm_cli.video.tensors import to_float

MODEL = ForecasterConfig(32, 32, 1, hidden=(4,), kernel_size=3, input_frames=4, horizon=3)


def test_forecasting_leaves_the_mode_alone_and_stays_in_range() -> None:
    network = EncoderForecaster(MODEL).train()
    torch.nn.init.normal_(network.head.conv.weight, std=5.0)
    forecast = forecast_clip(network, torch.rand(1, 4, 1, 32, 32), 9, choose("cpu"))
    assert network.training
    assert forecast.shape == (1, 9, 1, 32, 32)
    assert forecast.min() >= 0.0
    assert forecast.max() <= 1.0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_pieces_are_those_of_the_clip_and_leave_their_reader_alone(dtype: torch.dtype) -> None:
    network = EncoderForecaster(MODEL).train()
    torch.nn.init.normal_(network.head.conv.weight)
    clip, compute = torch.rand(1, 4, 1, 32, 32), Compute(torch.device("cpu"), dtype)
    pieces = []
    for piece in forecast_chunks(network, clip, 9, 4, compute):
        assert network.training
        assert torch.is_grad_enabled()
        assert not torch.is_inference_mode_enabled()
        assert not torch.is_autocast_enabled("cpu")
        pieces.append(piece)
    assert [piece.shape[1] for piece in pieces] == [4, 4, 1]
    assert all(piece.dtype == torch.float32 for piece in pieces)
    torch.testing.assert_close(torch.cat(pieces, dim=1), forecast_clip(network, clip, 9, compute))


def test_bytes_become_the_unit_interval() -> None:
    frames = to_float(torch.tensor([0, 51, 255], dtype=torch.uint8), torch.device("cpu"))
    assert frames.tolist() == pytest.approx([0.0, 0.2, 1.0])
