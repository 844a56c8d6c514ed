"""The network of a training, fitted to the videos that it is trained on."""

from dataclasses import replace

from convlstm_cli.nn.config import ForecasterConfig
from convlstm_cli.training.config import TrainConfig
from convlstm_cli.video.data import VideoData


def for_videos(model: ForecasterConfig, data: VideoData, training: TrainConfig) -> ForecasterConfig:
    """The network with the channels of the videos, a mask where those that are trained on have missing pixels, and
    noise where members are trained."""
    known = sum(guide.known for guide in data.guides)
    return replace(
        model,
        channels=data.channels,
        mask=data.has_missing,
        inputs=len(data.guides),
        known=known,
        noise=training.members > 0,
    )
