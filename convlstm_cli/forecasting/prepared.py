"""What a forecast is computed from: the input frames of a video, its networks, and how frames are converted."""

import contextlib
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from convlstm_cli.compute.device import Compute
from convlstm_cli.errors import InputError
from convlstm_cli.forecasting.clip import InputClip, IsolatedFrameError, read_clip
from convlstm_cli.forecasting.config import PredictConfig
from convlstm_cli.forecasting.conversion import FrameConversion, check_channels, fitted
from convlstm_cli.forecasting.ensemble import Networks, NetworksByColour
from convlstm_cli.forecasting.guides import with_guides
from convlstm_cli.forecasting.streams import plan_tilings
from convlstm_cli.forecasting.tiling.plan import Tiling
from convlstm_cli.forecasting.units import always_missing, misfit, missing_in, range_for
from convlstm_cli.forecasting.working_size import working_geometry
from convlstm_cli.progress import Progress
from convlstm_cli.video.config import Pace
from convlstm_cli.video.geometry import FrameGeometry
from convlstm_cli.video.rates import rate_in_words
from convlstm_cli.video.readers import open_video
from convlstm_cli.video.readers.checks import cut_off
from convlstm_cli.video.readers.video_reader import VideoReader
from convlstm_cli.video.source import SourceFacts
from convlstm_cli.video.timeline import same_rate
from convlstm_cli.video.values import known


@dataclass(frozen=True)
class Prepared:
    """All that a forecast of one input is computed from."""

    clip: InputClip
    networks: Networks
    conversion: FrameConversion
    frames: Tensor
    """The input frames with the channels that are read beside them, (1, T, C + inputs, H, W) of `with_guides`."""
    future: Tensor | None
    """The channels that are known for the frames to forecast, (1, horizon, known, H, W); None where there are none."""
    tilings: list[Tiling] | None
    """The tiles of each network; None where frames are computed whole, at the network's size."""
    horizon: int
    """Frames to forecast."""
    facts: SourceFacts
    """What the source says of its frames beside their pixels."""


def open_prepared(
    held: contextlib.ExitStack,
    source: Path,
    by_colour: NetworksByColour,
    config: PredictConfig,
    compute: Compute,
    progress: Progress,
) -> tuple[VideoReader, Prepared]:
    """Opens an input, which `held` closes, and prepares it.

    Where its last frames stand alone behind a gap, as in recordings at a rate that varies, the forecast starts from the
    frames before, which is noted; `config.at` asks for a frame, and for no other. Raises as `prepare` does.
    """
    video = held.enter_context(open_video(source))
    try:
        return video, prepare(video, by_colour, config, compute, progress)
    except IsolatedFrameError as isolated:
        if config.at is not None:
            raise
        video.close()
        progress.note(
            f"{source}: {isolated.why}, and what follows is too short to read, so the forecast starts from frame "
            f"{isolated.before}; a larger --max-gap reads over the gap."
        )
        before = replace(config, at=isolated.before)
    video = held.enter_context(open_video(source))
    return video, prepare(video, by_colour, before, compute, progress)


def prepare(
    video: VideoReader, by_colour: NetworksByColour, config: PredictConfig, compute: Compute, progress: Progress
) -> Prepared:
    """Reads the input frames of a video, and chooses the networks, the size, the values and the tiles.

    What keeps the forecast from being good is noted to `progress`. Raises InputError for a video that cannot be used,
    and UsageError for options that do not fit it.
    """
    run = by_colour.grey.runs[0]
    channels = run.chosen_channels if config.channels is None else config.channels
    video.select(channels, without=[guide.channel for guide in run.guides])
    facts = video.facts()  # while the source is open: the last frame may close it
    pace = _pace(by_colour.grey, config)
    clip = read_clip(video, by_colour.grey.input_frames, config.at, pace)
    networks = by_colour.of(grey=clip.grey)
    geometry = working_geometry(networks.runs[0], config, *clip.inputs[-1].shape[:2])
    _note_limits(video, clip, networks, config, progress)
    found = clip.inputs[-1].shape[2]
    check_channels(video.path, found, networks.name, networks.channels)
    if found in (1, 3):
        found = 1 if clip.grey or networks.channels == 1 else 3
    conversion = _conversion(video, clip, networks, geometry, found, config)
    if not any(known(frame, conversion.missing).size for frame in clip.inputs):
        raise InputError(
            f"{video.path}: has no value in frames {clip.first} to {clip.last}, from which it would be forecast: all "
            "are missing; choose frames that have values with --at, or another --missing."
        )
    if (doubt := conversion.values.doubt(video.unit, video.dtype.name)) is not None:
        progress.note(f"{video.path}: {doubt}.")
    if (outside := misfit(clip.inputs, conversion.values, conversion.missing)) is not None:
        progress.note(f"{video.path}: {outside}.")
    frames = conversion.to_clip(fitted(clip.inputs, geometry, networks.channels, conversion.missing))
    horizon = config.frames or networks.horizon
    frames, future = with_guides(video.path, frames, clip, conversion, networks, config, pace, horizon)
    tilings = None
    if geometry is None:
        tilings = plan_tilings(video.path, networks.models, frames, config, compute, progress)
    return Prepared(clip, networks, conversion, frames, future, tilings, horizon, facts)


def _conversion(
    video: VideoReader,
    clip: InputClip,
    networks: Networks,
    geometry: FrameGeometry | None,
    channels: int,
    config: PredictConfig,
) -> FrameConversion:
    """How frames become those of the network, and its forecast those that are written, in so many channels."""
    run = networks.runs[0]
    missing = missing_in(video, run, config)
    inputs = fitted(clip.inputs, None, channels, missing)
    written = fitted(clip.inputs, geometry, channels, missing) if config.writes_model_size else inputs
    return FrameConversion(
        geometry,
        config.writes_model_size,
        inputs[-1],
        range_for(video, clip.inputs, run.values, missing, config),
        missing,
        always_missing(written, missing),
        config.colormap,
    )


def _pace(networks: Networks, config: PredictConfig) -> Pace:
    """The step at which input frames are read, as in the training of the networks, and what is a gap between them."""
    trained = networks.runs[0].pace
    return trained if config.max_gap is None else replace(trained, max_gap=config.max_gap)


def _note_limits(
    video: VideoReader, clip: InputClip, networks: Networks, config: PredictConfig, progress: Progress
) -> None:
    """Notes how the video was read, and what keeps the forecast from being as good or as colourful as it could be."""
    if len(clip.inputs) < networks.input_frames:
        progress.note(
            f"{video.path}: gives the model {len(clip.inputs)} frames and it was trained on "
            f"{networks.input_frames}; expect less of the forecast."
        )
    if config.at is None and (warning := cut_off(clip.last, video.declared_frames, clip.time, video.fps)) is not None:
        progress.note(f"{video.path}: {warning}")
    for note in (*video.notes, *clip.notes):
        progress.note(f"{video.path}: {note}.")
    trained = next((run.step for run in networks.runs if run.step is not None), None)
    if trained is not None and clip.step is not None and not same_rate(trained, clip.step):
        progress.note(
            f"{video.path}: has {rate_in_words(clip.step)} and {networks.name} was trained at "
            f"{rate_in_words(trained)}; expect less of the forecast."
        )
    if networks.channels == 1 and not clip.grey:
        progress.note(
            f"{video.path}: is in colour and {networks.name} was trained on grey frames; the forecast is grey."
        )
