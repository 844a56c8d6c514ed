"""Tensors on their way to a device and back, for which nothing waits before it has to."""

import torch
from torch import Tensor


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on the device; a GPU goes on with its work meanwhile."""
    if device.type != "cuda" or tensor.device.type != "cpu":
        return tensor.to(device)
    # From memory that may be swapped, CUDA copies only after all work that it was given before.
    return tensor.pin_memory().to(device, non_blocking=True)


class Reading:
    """The numbers of a small tensor, as it is now, to be read later: a GPU is waited for only then."""

    def __init__(self, tensor: Tensor) -> None:
        self._event: torch.cuda.Event | None = None
        if tensor.device.type != "cuda":
            self._numbers = tensor.clone()
            return
        self._numbers = torch.empty(tensor.shape, dtype=tensor.dtype, device="cpu", pin_memory=True)
        self._numbers.copy_(tensor, non_blocking=True)
        self._event = torch.cuda.Event()  # type: ignore[no-untyped-call]
        self._event.record(torch.cuda.current_stream(tensor.device))

    def read(self) -> list[float]:
        """The numbers, in the order of memory."""
        if self._event is not None:
            self._event.synchronize()
        return [float(number) for number in self._numbers.flatten().tolist()]
