"""The channels of an input that networks read and do not forecast, at the frames that are read and, if known, ahead."""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from torch import Tensor

from convlstm_cli.errors import InputError
from convlstm_cli.forecasting.clip import InputClip, read_clip
from convlstm_cli.forecasting.config import PredictConfig
from convlstm_cli.forecasting.conversion import FrameConversion, fitted
from convlstm_cli.forecasting.ensemble import Networks
from convlstm_cli.forecasting.units import missing_in
from convlstm_cli.video.colour import Frame
from convlstm_cli.video.config import Pace
from convlstm_cli.video.guides import Guide
from convlstm_cli.video.readers import open_video
from convlstm_cli.video.tensors import clip_tensor, together


def with_guides(
    source: Path,
    frames: Tensor,
    clip: InputClip,
    conversion: FrameConversion,
    networks: Networks,
    config: PredictConfig,
    pace: Pace,
    horizon: int,
) -> tuple[Tensor, Tensor | None]:
    """The input of networks with the channels that they read beside it, and those that are known ahead.

    `frames` are those of the clip, (1, T, C, H, W) of `FrameConversion.to_clip`, which was read at `pace`. Gives
    (1, T, C + inputs, H, W) and (1, horizon, known, H, W), both of `clip_tensor`; None where nothing is known ahead.

    Raises InputError for an input without such a channel, or that ends too early for what is to be known.
    """
    inputs, ahead = [frames], []
    for guide in networks.runs[0].guides:
        with open_video(source) as video:
            video.select((guide.channel,), flag=f"{networks.name}, trained with {guide.flag},")
            missing = missing_in(video, networks.runs[0], config)
            found = read_clip(video, networks.input_frames, config.at, pace)
            if (found.first, found.last, len(found.inputs)) != (clip.first, clip.last, len(clip.inputs)):
                raise InputError(f"{source}: {guide.title} has other times than what is forecast; save both alike.")
            inputs.append(_tensor(found.inputs, guide, conversion, missing))
            if guide.known:
                following = list(islice(found.following, horizon))
                _check_known(source, guide, len(following), horizon, clip)
                ahead.append(_tensor(following, guide, conversion, missing))
    return together(inputs), together(ahead) if ahead else None


def _tensor(frames: Sequence[Frame], guide: Guide, conversion: FrameConversion, missing: float | None) -> Tensor:
    content = None if conversion.geometry is None else conversion.geometry.content(*conversion.last.shape[:2])
    return clip_tensor(fitted(frames, conversion.geometry, 1, missing), guide.values, missing, content)[None]


def _check_known(source: Path, guide: Guide, found: int, horizon: int, clip: InputClip) -> None:
    if found < horizon:
        fewer = f", or fewer with --frames {found}" if found else ""
        raise InputError(
            f"{source}: holds {found} of the {horizon} frames after frame {clip.last}, and the network "
            f"needs {guide.title} at all of them (--known-future); forecast from an earlier frame with --at{fewer}."
        )
