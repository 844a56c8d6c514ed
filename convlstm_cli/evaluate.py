"""A model's forecasts of known frames, scored beside the baseline that copies the last frame."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from convlstm_cli.baselines import persistence
from convlstm_cli.device import Compute
from convlstm_cli.metrics import Scores, finite, skill
from convlstm_cli.nn.forecaster import EncoderForecaster
from convlstm_cli.video.clips import ClipDataset


@dataclass
class Evaluation:
    """Scores of a model and of persistence on the same clips."""

    model: Scores = field(default_factory=Scores)
    persistence: Scores = field(default_factory=Scores)

    @property
    def skill(self) -> float:
        """1 - MSE / MSE of persistence, over all lead times."""
        return skill(self.model.mean_mse, self.persistence.mean_mse)

    def to_dict(self) -> dict[str, object]:
        """Both scores and the skill, as JSON holds them."""
        return {
            "skill": finite(self.skill),
            "model": self.model.to_dict(),
            "persistence": self.persistence.to_dict(),
        }


def evaluate_clips(
    model: EncoderForecaster,
    clips: ClipDataset,
    compute: Compute,
    batch_size: int,
    on_batch: Callable[[int, int], None] | None = None,
    known: Scores | None = None,
) -> Evaluation:
    """Forecasts every clip from its first `input_frames` frames and scores the rest.

    `on_batch` is called after each batch with the number of clips done and their total; what it raises
    ends the evaluation. `known` are the scores of persistence on these very clips, if they were taken before.
    """
    evaluation = Evaluation() if known is None else Evaluation(persistence=known)
    input_frames = model.config.input_frames
    done = 0
    for batch in DataLoader(clips, batch_size=batch_size):
        frames, truth = to_float(batch, compute.device).tensor_split([input_frames], dim=1)
        forecast = forecast_clip(model, frames, truth.shape[1], compute)
        evaluation.model.add(forecast, truth)
        if known is None:
            evaluation.persistence.add(persistence(frames, truth.shape[1]), truth)
        done += len(batch)
        if on_batch is not None:
            on_batch(done, len(clips))
    return evaluation


def forecast_clip(model: EncoderForecaster, frames: Tensor, horizon: int, compute: Compute) -> Tensor:
    """The next `horizon` frames, (B, horizon, C, H, W) float32 in [0, 1]; the model's mode is left as it was."""
    with _inferring(model, compute):
        forecast: Tensor = model(frames, horizon)
        return forecast.float()


def forecast_chunks(
    model: EncoderForecaster, frames: Tensor, horizon: int, chunk: int, compute: Compute
) -> Iterator[Tensor]:
    """What `forecast_clip` gives, in pieces of up to `chunk` frames, each computed when it is asked for."""
    pieces = model.stream(frames, horizon, chunk=chunk)
    while True:
        # Entered for each piece, since a generator that waits would leave its caller in this mode.
        with _inferring(model, compute):
            piece = next(pieces, None)
            if piece is None:
                return
            piece = piece.float()
        yield piece


@contextlib.contextmanager
def _inferring(model: EncoderForecaster, compute: Compute) -> Iterator[None]:
    """Evaluation mode and the chosen precision without gradients; the model's mode is as it was afterwards."""
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode(), compute.autocast():
            yield
    finally:
        model.train(was_training)


def to_float(clip: Tensor, device: torch.device) -> Tensor:
    """uint8 frames to float32 in [0, 1], on the device."""
    return clip.to(device).float() / 255.0
