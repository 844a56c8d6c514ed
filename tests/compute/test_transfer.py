import pytest
import torch

from convlstm_cli.compute.transfer import Reading, send


def test_numbers_are_those_at_the_time_of_the_reading() -> None:
    tensor = torch.tensor([[1.5, -2.0]])
    reading = Reading(tensor)
    tensor.zero_()
    assert reading.read() == [1.5, -2.0]


def test_on_its_own_device_a_tensor_stays_what_it_is() -> None:
    tensor = torch.ones(2)
    assert send(tensor, torch.device("cpu")) is tensor


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_there_and_back_on_a_gpu() -> None:
    numbers = torch.tensor([0.25, float("inf"), 3.0])
    there = send(numbers, torch.device("cuda", 0))
    assert there.device.type == "cuda"
    reading = Reading(2.0 * there)
    there.zero_()
    assert reading.read() == [0.5, float("inf"), 6.0]
