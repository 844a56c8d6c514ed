"""The frames of a video in batches of windows: the frames that a network reads, and the one after them."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from convlstm_cli.video.tensors import valid
from convlstm_cli.watching.input_format import InputFormat
from convlstm_cli.watching.steps import Step


@dataclass(frozen=True)
class Moment:
    """When a frame of a video is."""

    frame: int
    """Its number, from 1."""
    time: float | None
    """Seconds from the first frame; None where the source has no times."""
    row: int | None
    """Its window in the batch; None where too few frames are before it to forecast it."""


@dataclass(frozen=True)
class Batch:
    """Frames that follow each other, and the windows of those that can be forecast."""

    moments: tuple[Moment, ...]
    clips: Tensor
    """The windows, (B, input_frames + 1, C, H, W) of `clip_tensor`; the last frame of each is to be judged."""


def batches(steps: Iterable[Step], input_format: InputFormat, input_frames: int, size: int) -> Iterator[Batch]:
    """All frames in batches of at most `size` windows, each held at the network's size while it is needed.

    A frame has a window where `input_frames` frames are before it without a gap. One without any value counts as a gap.
    """
    before: deque[Tensor] = deque(maxlen=input_frames)
    moments: list[Moment] = []
    clips: list[Tensor] = []
    content = input_format.content()
    for step in steps:
        seen = input_format.tensor(step.pixels)
        there = valid(seen[:, content], seen.device)
        if step.begins or (there is not None and not there.any()):
            before.clear()
        full = len(before) == input_frames
        time = None if step.time is None else round(step.time, 6)
        moments.append(Moment(step.number, time, len(clips) if full else None))
        if full:
            clips.append(torch.stack([*before, seen]))
        if there is None or there.any():
            before.append(seen)
        if len(clips) == size or len(moments) == size * 4:
            yield _batch(moments, clips, seen, input_frames)
            moments, clips = [], []
    if moments:
        yield _batch(moments, clips, seen, input_frames)


def _batch(moments: list[Moment], clips: list[Tensor], seen: Tensor, input_frames: int) -> Batch:
    windows = torch.stack(clips) if clips else seen.new_empty((0, input_frames + 1, *seen.shape))
    return Batch(tuple(moments), windows)
