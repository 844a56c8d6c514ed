"""Which values of an input become [0, 1] for a network, and in which type its forecast comes back."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from convlstm_cli.errors import UsageError
from convlstm_cli.forecasting.config import PredictConfig
from convlstm_cli.runs.run import Run
from convlstm_cli.video.colour import Frame
from convlstm_cli.video.config import parse_range
from convlstm_cli.video.missing import Mask, gone
from convlstm_cli.video.ranks import range_of, ranks_of, ranks_of_frame
from convlstm_cli.video.readers.video_reader import VideoReader
from convlstm_cli.video.values import BYTES, LEAST_INSIDE, ValueRange, known, range_declared


def range_for(
    video: VideoReader,
    inputs: Sequence[Frame],
    trained: ValueRange | None,
    missing: float | None,
    config: PredictConfig = PredictConfig(),  # noqa: B008 - frozen
) -> ValueRange:
    """The range of values of an input: that of the training, unless this was of 8-bit pictures and the input is not.

    Then it is what `config` asks for, or what the input declares, or else that of the `inputs`, its frames (H, W, C),
    without outliers and values that are `missing`.
    """
    if is_settled(trained):
        assert trained is not None
        return trained
    if config.value_range is not None:
        return ValueRange(*parse_range("--range", config.value_range), video.unit, config.log)
    dtype = inputs[0].dtype
    found = BYTES if dtype == np.uint8 else range_declared(video.declared_range, dtype.name, video.unit)
    if found is None:
        found = range_of(np.concatenate([ranks_of_frame(frame, missing) for frame in inputs]), unit=video.unit)
    return replace(found, log=config.log)


def missing_in(video: VideoReader, run: Run, config: PredictConfig) -> float | None:
    """The value of a video that means no data: as asked for, as in the training of the run, or as it declares."""
    named = (config.missing, run.missing, video.missing)
    return next((each for each in named if each is not None), None)


def is_settled(trained: ValueRange | None) -> bool:
    """Whether the range of a training holds for every input: not that of 8-bit pictures, nor of made-up motion."""
    return trained is not None and not trained.is_bytes


def check_range(runs: Sequence[Run], config: PredictConfig) -> None:
    """Raises UsageError for a range or logarithm that is asked for where the training of a run has settled it."""
    asked = "--range" if config.value_range is not None else "--log" if config.log else None
    for run in runs:
        if asked is not None and is_settled(run.values):
            assert run.values is not None
            raise UsageError(f"{asked}: {run.folder} was trained on values {run.values.describe()}; leave {asked} out.")


def misfit(inputs: Sequence[Frame], values: ValueRange, missing: float | None) -> str | None:
    """What is wrong with frames (H, W, C) whose values mostly lie outside a range, a clause; None where they do not."""
    if values.bands:
        channels = ([frame[..., at] for frame in inputs] for at in range(len(values.bands)))
        pairs = enumerate(zip(channels, values.bands, strict=True))
        outside = ((at, misfit(channel, band, missing)) for at, (channel, band) in pairs)
        return next((f"in channel {at} {reason}" for at, reason in outside if reason is not None), None)
    if values.is_bytes:
        return None
    found = np.concatenate([known(frame, missing) for frame in inputs])
    if not found.size:
        return "the frames that are read have no value"
    inside = np.mean((found >= values.low) & (found <= values.high))
    if inside >= LEAST_INSIDE:
        return None
    held = range_of(ranks_of(found)).describe()
    return f"most of its values ({held}) lie outside the {values.describe()} of the training, and are clipped"


def always_missing(frames: Frame, missing: float | None) -> Mask | None:
    """Where no frame of an input (T, H, W, C) has a value, so that a forecast cannot know one; None for nowhere.

    Frames are marked, as `video.missing.mark` does.
    """
    holes = gone(frames, missing)
    everywhere = None if holes is None else np.asarray(holes.all(axis=0))
    return everywhere if everywhere is not None and everywhere.any() else None
