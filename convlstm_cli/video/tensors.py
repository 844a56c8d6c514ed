"""Clips as tensors: from a source's numbers to those of the network, and back to pictures."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from convlstm_cli.video.colour import Frame
from convlstm_cli.video.missing import filled_clip, gone
from convlstm_cli.video.values import ValueRange, to_type

MISSING = 2.0
"""What missing pixels of a clip have less than the value that stands in for them."""


def clip_tensor(
    clip: Frame, values: ValueRange, missing: float | None = None, content: tuple[slice, slice] | None = None
) -> Tensor:
    """Frames (T, H, W, C) as a tensor (T, C, H, W), a copy, for `to_float` and `valid`.

    8-bit pictures stay as they are, which takes a quarter of the memory; everything else becomes float32 in [0, 1],
    and 0 outside `content`, the rows and columns that are no padding. Pixels that are NaN, or `missing` in integers,
    get the nearest value in space, or else in time, less `MISSING`.
    """
    if clip.dtype == np.uint8 and values.is_bytes and missing is None:
        return torch.from_numpy(np.array(clip.transpose(0, 3, 1, 2), order="C"))
    rows, columns = content or (slice(None), slice(None))
    shown = clip[:, rows, columns]
    holes = gone(shown, missing)
    exact = np.float32 if clip.dtype.itemsize <= 2 else np.float64
    shares = values.to_unit(shown.astype(exact)).astype(np.float32)
    if holes is not None:
        shares = filled_clip(shares, holes) - MISSING * holes
    framed = np.zeros((len(clip), clip.shape[3], *clip.shape[1:3]), np.float32)
    framed[:, :, rows, columns] = shares.transpose(0, 3, 1, 2)
    return torch.from_numpy(framed)


def truth_tensor(
    clip: Frame, values: ValueRange, missing: float | None = None, content: tuple[slice, slice] | None = None
) -> tuple[Tensor, Tensor | None]:
    """Frames (T, H, W, C) as forecasts are scored against, (T, C, H, W), and where they have values, as `valid` says.

    They are `clip_tensor`'s in floats, but values outside the range stay what they are, outside [0, 1].
    """
    cpu, seen = torch.device("cpu"), clip_tensor(clip, values, missing, content)
    frames, there = to_float(seen, cpu), valid(seen, cpu)
    if not seen.is_floating_point():
        return frames, there
    rows, columns = content or (slice(None), slice(None))
    exact = np.float32 if clip.dtype.itemsize <= 2 else np.float64
    shares = values.to_unit(clip[:, rows, columns].astype(exact), clipped=False).astype(np.float32)
    whole, inner = torch.from_numpy(shares.transpose(0, 3, 1, 2)), (..., rows, columns)
    frames[inner] = whole if there is None else torch.where(there[inner], whole, frames[inner])
    return frames, there


def together(clips: Sequence[Tensor]) -> Tensor:
    """Clips of `clip_tensor` (..., C, H, W) as one with all their channels; bytes only where all are."""
    if len(clips) == 1:
        return clips[0]
    alike = len({clip.dtype for clip in clips}) == 1
    return torch.cat(
        [clip if alike or clip.is_floating_point() else to_float(clip, clip.device) for clip in clips], dim=-3
    )


def to_float(clip: Tensor, device: torch.device) -> Tensor:
    """A clip of `clip_tensor`, of any shape, as float32 in [0, 1] on the device, missing pixels filled."""
    clip = clip.to(device)
    return torch.where(clip < 0, clip + MISSING, clip) if clip.is_floating_point() else clip.float() / 255.0


def valid(clip: Tensor, device: torch.device) -> Tensor | None:
    """Where a clip of `clip_tensor`, of any shape, has values, bool on the device; None where that is everywhere."""
    if not clip.is_floating_point() or not (clip < 0).any():
        return None
    return (clip >= 0).to(device)


def with_mask(frames: Tensor, there: Tensor | None) -> Tensor:
    """Frames (..., C, H, W) with a mask behind their channels, (..., C + 1, H, W): the share of these with a value.

    `there` says where frames have values, bool like them; without it the frames stay as they are, which means that
    they have values everywhere.
    """
    return frames if there is None else torch.cat((frames, there.float().mean(dim=-3, keepdim=True)), dim=-3)


def to_read(clip: Tensor, device: torch.device) -> Tensor:
    """A clip of `clip_tensor`, of any shape, as networks read it: `to_float`, with a mask where pixels are missing."""
    return with_mask(to_float(clip, device), valid(clip, device))


def with_gaps(clip: Tensor, device: torch.device) -> Tensor:
    """A clip of `clip_tensor`, of any shape, as `to_float` gives it, but with NaN for missing pixels: for pictures."""
    frames, there = to_float(clip, device), valid(clip, device)
    return frames if there is None else frames.masked_fill(~there, torch.nan)


def always_gaps(inputs: Tensor) -> Tensor:
    """Where no frame of inputs (B, T, C, H, W) of `with_gaps` has a value, so that no forecast can: (B, 1, C, H, W)."""
    return inputs.isnan().all(dim=1, keepdim=True)


def to_frame(pixels: Tensor) -> Frame:
    """Converts (C, H, W) in [0, 1] to an 8-bit picture (H, W, C)."""
    return np.ascontiguousarray((pixels * 255).round().byte().permute(1, 2, 0).cpu().numpy())


def to_values(pixels: Tensor, values: ValueRange, dtype: np.dtype[Any]) -> Frame:
    """Converts (C, H, W) in [0, 1] to a frame (H, W, C) of a source's type with its values."""
    if dtype == np.uint8 and values.is_bytes:
        return to_frame(pixels)
    shares = np.ascontiguousarray(pixels.double().clamp(0.0, 1.0).permute(1, 2, 0).cpu().numpy())
    return to_type(values.from_unit(shares), dtype)
