"""Autocast switched on or off for a part of the code, on devices that have it."""

import contextlib
from typing import Any

import torch


def autocast(device: torch.device, dtype: torch.dtype | None) -> contextlib.AbstractContextManager[Any]:
    """Context with autocast to this type; None switches autocast off."""
    if not torch.amp.is_autocast_available(device.type) or (dtype is None and not is_enabled(device)):
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=dtype, enabled=dtype is not None)


def is_enabled(device: torch.device) -> bool:
    """Whether autocast is on; never on a device that has none, such as meta, of which torch must not be asked."""
    return torch.amp.is_autocast_available(device.type) and torch.is_autocast_enabled(device.type)
