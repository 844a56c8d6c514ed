"""How a network sees the frames of a video: their size, channels and values, and where they have any."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from convlstm_cli.forecasting.conversion import check_channels, fitted
from convlstm_cli.forecasting.units import missing_in, range_for
from convlstm_cli.forecasting.working_size import working_geometry
from convlstm_cli.runs.run import Run
from convlstm_cli.video.colour import Frame, is_grey
from convlstm_cli.video.geometry import FrameGeometry
from convlstm_cli.video.readers.video_reader import EXACT_GREY, VideoReader
from convlstm_cli.video.tensors import clip_tensor
from convlstm_cli.video.values import ValueRange
from convlstm_cli.watching.config import LONGEST, WatchConfig


@dataclass(frozen=True)
class InputFormat:
    """How a network sees the frames of a video. It sees two videos of equal formats alike."""

    source: tuple[int, int]
    """Height and width of the source's frames."""
    geometry: FrameGeometry | None
    """How frames are brought to the network's size; None where they have it."""
    channels: int
    values: ValueRange
    """The range of values that is [0, 1] for the network."""
    missing: float | None
    """The value of integers that means no data; floats have NaN."""
    dtype: str
    """Type of the source's pixels."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the network's frames."""
        return self.source if self.geometry is None else (self.geometry.height, self.geometry.width)

    def tensor(self, frame: Frame) -> Tensor:
        """A frame (H, W, C) of the source as `clip_tensor` gives it, (C, height, width)."""
        content = None if self.geometry is None else self.geometry.content(*self.source)
        return clip_tensor(
            fitted([frame], self.geometry, self.channels, self.missing), self.values, self.missing, content
        )[0]

    def content(self) -> Tensor:
        """Where the network's frames show the source and no padding, (height, width) bool."""
        rows, columns = (slice(None),) * 2 if self.geometry is None else self.geometry.content(*self.source)
        inside = torch.zeros(self.size, dtype=torch.bool)
        inside[rows, columns] = True
        return inside

    def in_source(self, row: float, column: float) -> tuple[int, int]:
        """The pixel of the source, from 0, that lies at a place of the network's frame."""
        if self.geometry is not None:
            row, column = self.geometry.to_source(row, column, *self.source)
        height, width = self.source
        return min(max(int(row), 0), height - 1), min(max(int(column), 0), width - 1)

    def of_normal(self, video: VideoReader, frames: Sequence[Frame], run: Run, config: WatchConfig) -> "InputFormat":
        """The same format for another video, whose frames may have another size, type and value for no data.

        `frames` are its first. Raises InputError for channels that the network cannot take.
        """
        check_channels(video.path, frames[0].shape[2], run.name, self.channels)
        size = frames[0].shape[:2]
        missing = missing_in(video, run, config.reading)
        values = self.values
        if video.dtype.name != self.dtype:
            values = range_for(video, frames, run.values, missing, config.reading)
        geometry = self.geometry
        if geometry is None and size != self.size:
            geometry = FrameGeometry(*self.size, "stretch")
        return replace(self, source=size, geometry=geometry, values=values, missing=missing, dtype=video.dtype.name)


def input_format_of(
    video: VideoReader, frames: Sequence[Frame], run: Run, config: WatchConfig
) -> tuple[InputFormat, Run]:
    """How a run sees a video whose first frames are given, and the run for its colour.

    Raises InputError for channels that the run cannot take, and UsageError for options that do not fit it.
    """
    # Colour may come later, and tinted frames of a grey camera do no harm, so no tolerance for lossy codecs here.
    grey = all(is_grey(frame, EXACT_GREY) for frame in frames)
    run = run.for_channels(1 if grey else 3)
    channels = run.model_config.channels
    check_channels(video.path, frames[0].shape[2], run.name, channels)
    height, width = frames[0].shape[:2]
    missing = missing_in(video, run, config.reading)
    input_format = InputFormat(
        (height, width),
        working_geometry(run, config.reading, height, width, LONGEST),
        channels,
        range_for(video, frames, run.values, missing, config.reading),
        missing,
        video.dtype.name,
    )
    return input_format, run
