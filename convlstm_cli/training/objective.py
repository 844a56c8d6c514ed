"""What an optimiser step makes small: the loss of the forecasts of a batch of clips."""

from typing import Any, NamedTuple

from torch import Tensor, nn

from convlstm_cli.compute.device import Compute
from convlstm_cli.nn.forecaster import EncoderForecaster
from convlstm_cli.nn.noise import Drawn, GivenNoise, Noise
from convlstm_cli.training.config import TrainConfig
from convlstm_cli.training.crps import members_loss
from convlstm_cli.training.losses import over_known
from convlstm_cli.training.weighting import measure_of
from convlstm_cli.video.tensors import with_mask
from convlstm_cli.video.values import ValueRange

DETERMINISTIC = 4.0
"""Weight of the loss of the forecast without noise beside that of members: about as large, for `sharp`."""


class Batch(NamedTuple):
    """What the loss is computed from."""

    clips: Tensor
    """(B, T, C, H, W) in [0, 1]; the channels that are forecast first, then further inputs."""
    valid: Tensor | None = None
    """Where the clips have values, bool like them; None is everywhere."""
    teacher_forced: Tensor | None = None
    """(B, horizon) bool, where the network reads true frames instead of its own; None is nowhere."""
    dropout: Tensor | None = None
    """(B, between_layers), the factors of dropout; None drops nothing."""
    carried: Tensor | None = None
    """This and the next two are the noise of members where it is drawn before, as in `nn.noise.Drawn`."""
    grid: Tensor | None = None
    pixels: Tensor | None = None

    @property
    def drawn(self) -> Drawn | None:
        """The noise of members where it is drawn before."""
        return Drawn.of(self.carried, self.grid, self.pixels)


class Objective:
    """The loss of a network: called with a batch, it gives a scalar with its gradient to come."""

    def __init__(
        self, network: EncoderForecaster, called: nn.Module, config: TrainConfig, compute: Compute, values: ValueRange
    ) -> None:
        """`called` is the network, or what stands for it between processes; `values` are those of the clips."""
        self._network, self._called, self._compute = network, called, compute
        self._members = config.members
        self._measure = measure_of(config, values)

    def __call__(self, batch: Batch, noise: Noise | None = None) -> Tensor:
        """The mean over the clips of the batch, in float32; `noise` is that of members where the batch has none."""
        network = self._network
        frames, ahead = batch.clips.tensor_split([network.config.input_frames], dim=1)
        truth, future = network.target_channels(ahead), network.known_future(ahead)
        known = batch.valid[:, : frames.shape[1]] if batch.valid is not None and network.config.mask else None
        network.train()
        with self._compute.autocast():
            more: dict[str, Any] = {
                "future": future,
                "truth": truth,
                "teacher_forced": batch.teacher_forced,
                "dropout": batch.dropout,
            }
            if batch.drawn is not None:
                noise = GivenNoise(self._members + 1, batch.drawn)
            if noise is not None:
                more["noise"] = noise
            forecast = self._called(with_mask(frames, known), truth.shape[1], **more)
        last = network.target_channels(frames[:, -1:])
        there = None if batch.valid is None else network.target_channels(batch.valid[:, frames.shape[1] :])
        return self._loss(forecast.float(), truth, last, there)

    def _loss(self, forecast: Tensor, truth: Tensor, last: Tensor, there: Tensor | None) -> Tensor:
        """The loss of a forecast (B, T, C, H, W), or of (1 + M, B, T, C, H, W) with members behind it."""
        single = forecast[0] if self._members else forecast
        if there is None:
            loss: Tensor = self._measure(single, truth, last)
        else:
            loss = over_known(self._measure, single, truth, last, there)
        if not self._members:
            return loss
        return DETERMINISTIC * loss + members_loss(forecast[1:], truth, last, there)
