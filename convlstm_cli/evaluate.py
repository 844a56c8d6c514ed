"""A model's forecasts of known frames, scored beside the baseline that copies the last frame."""

from collections.abc import Callable
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


@torch.inference_mode()
def forecast_clip(model: EncoderForecaster, frames: Tensor, horizon: int, compute: Compute) -> Tensor:
    """The next `horizon` frames, (B, horizon, C, H, W) float32 in [0, 1]; the model's mode is left as it was."""
    was_training = model.training
    model.eval()
    with compute.autocast():
        forecast: Tensor = model(frames, horizon)
    model.train(was_training)
    return forecast.float()


def to_float(clip: Tensor, device: torch.device) -> Tensor:
    """uint8 frames to float32 in [0, 1], on the device."""
    return clip.to(device).float() / 255.0
