"""One optimiser step of a network: the loss, its gradient, the moving average of the weights."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from convlstm_cli.compute.device import Compute
from convlstm_cli.compute.distributed import ALONE, Ranks
from convlstm_cli.nn.config import ForecasterConfig
from convlstm_cli.nn.forecaster import EncoderForecaster
from convlstm_cli.runs import checkpoint
from convlstm_cli.training.config import Loss, TrainConfig

ROUNDING = 1e-6
"""Least distance of a forecast from 0 and 1 in the cross-entropy."""

FED = 500_000
"""Sets the numbers that say where truth is fed apart from those of `augment`, whose seed counts steps too."""

Part = tuple[Sequence[int], int]
"""Which clips of a batch a process computes: their positions, and the number of clips of the whole batch."""


def initial_network(model: ForecasterConfig, seed: int) -> EncoderForecaster:
    """The network as training with this seed begins it."""
    torch.manual_seed(seed)
    return EncoderForecaster(model)


class TrainStep:
    """A network and its optimiser: called with a batch, it makes one optimiser step.

    The step has two halves, `differentiate`, which may be left at any point without a trace, and `apply`.
    """

    def __init__(
        self,
        model: ForecasterConfig,
        config: TrainConfig,
        compute: Compute,
        initial: dict[str, Tensor] | None,
        ranks: Ranks = ALONE,
    ) -> None:
        self.network = initial_network(model, config.seed)
        if initial is not None:
            self.network.load_state_dict(initial)
        self.network.to(compute.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network.checkpoint_every(config.checkpoint_every)
        self._average = AveragedModel(self.network, multi_avg_fn=_moving_average(config.average))
        self._parallel = ranks.parallel(self.network)
        parameters = list(self.network.parameters())
        kernels = [p for p in parameters if p.ndim == 4]
        others = [p for p in parameters if p.ndim != 4]  # decay would pull on what biases and peepholes mean
        groups = [
            {"params": kernels, "weight_decay": config.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ]
        self.optimizer: torch.optim.Optimizer
        if config.optimizer == "rmsprop":
            self.optimizer = torch.optim.RMSprop(groups, lr=config.learning_rate, alpha=0.9)  # decay of Shi et al. 2015
        else:
            self.optimizer = torch.optim.AdamW(groups, lr=config.learning_rate)
        # float16 has no room for small gradients: they are scaled up before the backward, and down again after it.
        self._scaler = torch.amp.GradScaler(compute.device.type, enabled=compute.dtype == torch.float16)
        self._config = config
        self._compute = compute
        self._ranks = ranks
        self._steps = 0

    @property
    def averaged(self) -> EncoderForecaster:
        """The network with the moving average of the weights: what is validated, saved and used."""
        network = self._average.module
        assert isinstance(network, EncoderForecaster)
        return network

    def __call__(self, clips: Tensor, rate: float = 1.0, feeding: float = 0.0) -> float:
        """Learns from clips (B, T, C, H, W) in [0, 1]; gives their loss.

        `rate` is a share of the learning rate, `feeding` the probability that the forecaster is fed true frames.
        Gives NaN, and learns nothing, where the loss or its gradient is not finite, and in fp16 is not at any scale.
        """
        loss = self.differentiate(clips, feeding)
        return loss if self.apply(loss, rate) else math.nan

    def differentiate(self, clips: Tensor, feeding: float = 0.0, part: Part | None = None) -> float:
        """Computes the loss of a batch and its gradient, and changes nothing else.

        Args:
            clips: (B, T, C, H, W) in [0, 1], those of the batch that this process computes.
            feeding: probability that the forecaster is fed true frames.
            part: which they are; None is the whole batch. Without positions, the clips count for nothing.

        Returns the loss of the whole batch.
        """
        positions, count = part or (range(len(clips)), len(clips))
        weight = len(positions) / count
        frames, truth = clips.tensor_split([self.network.config.input_frames], dim=1)
        self.network.train()
        self.optimizer.zero_grad()
        with self._compute.autocast():
            fed = self._draw_fed(truth, feeding, positions, count)
            forecast = self._parallel(frames, truth.shape[1], truth=truth, fed=fed)
        loss = loss_between(self._config.loss, forecast.float(), truth)
        # The gradients become means over the processes, and are to be the mean over the clips.
        weighted = loss if self._ranks.world == 1 else loss * (weight * self._ranks.world)
        # Before the backward where there are several, so that a lost one is noticed here and not on the device.
        told = None if self._ranks.world == 1 else self._ranks.sum(loss.item() * weight)
        self._scaler.scale(weighted).backward()  # type: ignore[no-untyped-call]
        return loss.item() if told is None else told

    def apply(self, loss: float, rate: float = 1.0) -> bool:
        """Makes the step of the gradient that `differentiate` left, at a share of the learning rate.

        Gives False, and changes no weight, where that or its loss is not finite, and in fp16 is not at any scale.
        """
        self._steps += 1
        for group in self.optimizer.param_groups:
            group["lr"] = self._config.learning_rate * rate
        self._scaler.unscale_(self.optimizer)
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self._config.clip_norm or math.inf)
        finite = math.isfinite(norm)
        if not math.isfinite(loss) or not (finite or self._scaler.is_enabled()):
            self._scaler.update()
            return False  # before it gets into the weights
        self._scaler.step(self.optimizer)  # makes no step where the scale was too high, and `update` lowers it
        self._scaler.update()
        if finite:
            self._average.update_parameters(self.network)
        return finite or self._scaler.get_scale() >= 1.0

    @property
    def is_sound(self) -> bool:
        """Whether weights and the optimiser's moments are such as can be gone on from; see `checkpoint.py`."""
        weights = [*self.network.state_dict().values(), *self.averaged.state_dict().values()]
        moments = [value for kept in self.optimizer.state.values() for value in kept.values()]
        return all(bool((each.abs() <= checkpoint.MAX_WEIGHT).all()) for each in weights) and all(
            bool(each.isfinite().all()) for each in moments
        )

    def state_dict(self) -> dict[str, Any]:
        """All that a step depends on, as tensors and plain values."""
        return {
            "network": self.network.state_dict(),
            "average": self._average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self._scaler.state_dict(),
            "steps": self._steps,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes what `state_dict` gave."""
        self.network.load_state_dict(state["network"])
        self._average.load_state_dict(state["average"])
        # All but the learning rate as the run is configured, which is recorded already.
        groups = zip(self.optimizer.state_dict()["param_groups"], state["optimizer"]["param_groups"], strict=True)
        merged = [{**configured, "lr": saved["lr"]} for configured, saved in groups]
        self.optimizer.load_state_dict({**state["optimizer"], "param_groups": merged})
        checkpoint.check_moments(self.optimizer)
        if state["scaler"]:  # empty unless it was fp16
            self._scaler.load_state_dict(state["scaler"])
        self._steps = state["steps"]

    def _draw_fed(self, truth: Tensor, feeding: float, positions: Sequence[int], count: int) -> Tensor | None:
        """Where true frames are fed, (B, horizon) bool; the seed and the number of the step decide."""
        if not feeding:
            return None
        generator = torch.Generator().manual_seed(self._config.seed * 1_000_003 + self._steps + FED)
        draws = torch.rand(count, truth.shape[1], generator=generator)[list(positions) or [0]]
        return (draws < feeding).to(truth.device)


def _moving_average(decay: float) -> Callable[[Any, Any, Any], None]:
    """For `AveragedModel`: an exponential moving average that forgets the initial values sooner than later ones."""

    def update(averaged: list[Tensor], current: list[Tensor], updates: Tensor) -> None:
        count = int(updates)
        torch._foreach_lerp_(averaged, current, 1.0 - min(decay, count / (count + 9)))

    return update


def loss_between(kind: Loss, forecast: Tensor, truth: Tensor) -> Tensor:
    """A loss of two tensors of one shape, averaged over everything; `bce` is for a forecast in [0, 1]."""
    if kind == "mse":
        return F.mse_loss(forecast, truth)
    if kind == "mae":
        return F.l1_loss(forecast, truth)
    if kind == "huber":
        return F.smooth_l1_loss(forecast, truth, beta=0.1)  # quadratic below a tenth of the value range
    if kind == "bce":
        # By hand, since torch's raises on a rounding beyond 1, and on NaN, which is to be told with its remedy.
        known = forecast.clamp(ROUNDING, 1.0 - ROUNDING)
        return -(truth * known.log() + (1.0 - truth) * (1.0 - known).log()).mean()
    return F.l1_loss(forecast, truth) + F.mse_loss(forecast, truth)
