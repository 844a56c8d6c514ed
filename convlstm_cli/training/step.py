"""One optimiser step of a network: the loss, its gradient, the moving average of the weights."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from convlstm_cli.compute.device import Compute
from convlstm_cli.compute.distributed import ALONE, Ranks
from convlstm_cli.nn.config import ForecasterConfig
from convlstm_cli.nn.dropout import draw_channels
from convlstm_cli.nn.forecaster import EncoderForecaster
from convlstm_cli.nn.noise import Noise
from convlstm_cli.runs import checkpoint
from convlstm_cli.training.config import TrainConfig
from convlstm_cli.training.crps import members_loss
from convlstm_cli.training.losses import over_known
from convlstm_cli.training.optimisers import OPTIMISERS
from convlstm_cli.training.weighting import measure_of
from convlstm_cli.video.tensors import with_mask
from convlstm_cli.video.values import BYTES, ValueRange

FED, DROPPED = 500_000, 750_000
"""Offsets between the seeds of scheduled sampling, and of dropout, and those of `augment`; all count steps."""

DETERMINISTIC = 4.0
"""Weight of the loss of the forecast without noise beside that of members: about as large, for `sharp`."""

Part = tuple[Sequence[int], int]
"""The clips of a batch that a process computes: their positions, and the number of clips of the whole batch."""


def initial_network(model: ForecasterConfig, seed: int) -> EncoderForecaster:
    """The network with the initial weights of a training with this seed."""
    torch.manual_seed(seed)
    return EncoderForecaster(model)


class TrainStep:
    """A network and its optimiser; called with a batch, it makes one optimiser step.

    The step has two halves: `differentiate`, which may be left at any point without a trace, and `apply`.
    """

    def __init__(
        self,
        model: ForecasterConfig,
        config: TrainConfig,
        compute: Compute,
        initial: dict[str, Tensor] | None,
        ranks: Ranks = ALONE,
        values: ValueRange = BYTES,
    ) -> None:
        """`values` is the range of the clips' values, in which the loss may have thresholds."""
        self.network = initial_network(model, config.seed)
        if initial is not None:
            self.network.load_state_dict(initial)
        self.network.to(compute.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network.checkpoint_every(config.checkpoint_every)
        self._average = AveragedModel(self.network, multi_avg_fn=_moving_average(config.average))
        self._parallel = ranks.parallel(self.network)
        self._kind = OPTIMISERS[config.optimizer]
        self.optimizer = self._kind.build(self.network, config)
        self._highest_rates: list[float] = [group["lr"] for group in self.optimizer.param_groups]
        self._measure = measure_of(config, values)
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
        """Learns from clips (B, T, C, H, W) in [0, 1] and returns their loss.

        `rate` is a share of the learning rate, `feeding` the probability that the forecaster is fed true frames.
        Returns NaN, and learns nothing, where the loss or its gradient is not finite (in fp16: at no scale).
        """
        loss = self.differentiate(clips, feeding)
        return loss if self.apply(loss, rate) else math.nan

    def differentiate(
        self, clips: Tensor, feeding: float = 0.0, part: Part | None = None, valid: Tensor | None = None
    ) -> float:
        """Computes the loss of a batch and its gradient, and changes nothing else.

        Args:
            clips: (B, T, C, H, W) in [0, 1], the clips of the batch that this process computes; the channels that are
                forecast first, then further inputs.
            feeding: probability that the forecaster is fed true frames.
            part: their places in the batch; None is the whole batch. Without positions, the clips count for nothing.
            valid: where the clips have values, bool like them; elsewhere nothing is learned, and a network that reads
                a mask sees which these are. None is everywhere.

        Returns the loss of the whole batch.
        """
        positions, count = part or (range(len(clips)), len(clips))
        weight = len(positions) / count
        network = self.network
        frames, ahead = clips.tensor_split([network.config.input_frames], dim=1)
        truth, future = network.shown(ahead), network.known(ahead)
        known = valid[:, : frames.shape[1]] if valid is not None and network.config.mask else None
        self.network.train()
        self.optimizer.zero_grad()
        with self._compute.autocast():
            fed = self._draw_fed(truth, feeding, positions, count)
            dropout = self._draw_dropout(positions, count)
            more: dict[str, Any] = {"future": future, "truth": truth, "fed": fed, "dropout": dropout}
            if self._config.members:
                more["noise"] = self._draw_noise(positions)
            forecast = self._parallel(with_mask(frames, known), truth.shape[1], **more)
        last = network.shown(frames[:, -1:])
        there = None if valid is None else network.shown(valid[:, frames.shape[1] :])
        loss = self._loss(forecast.float(), truth, last, there)
        # DistributedDataParallel takes the mean over the processes; the mean over the clips is wanted.
        weighted = loss if self._ranks.world == 1 else loss * (weight * self._ranks.world)
        # Before the backward where there are several, so that a lost one is noticed here and not on the device.
        total = None if self._ranks.world == 1 else self._ranks.sum(loss.item() * weight)
        self._scaler.scale(weighted).backward()  # type: ignore[no-untyped-call]
        return loss.item() if total is None else total

    def apply(self, loss: float, rate: float = 1.0) -> bool:
        """Makes a step along the gradient that `differentiate` left, at a share of the learning rate.

        Returns False, and changes no weight, where the loss or the gradient is not finite (in fp16: at no scale).
        """
        self._steps += 1
        for group, highest in zip(self.optimizer.param_groups, self._highest_rates, strict=True):
            group["lr"] = highest * rate
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
        """Whether a checkpoint of the weights and the optimiser's moments would be accepted by `runs/checkpoint.py`."""
        weights = [*self.network.state_dict().values(), *self.averaged.state_dict().values()]
        moments = [value for kept in self.optimizer.state.values() for value in kept.values()]
        return all(bool((each.abs() <= checkpoint.MAX_WEIGHT).all()) for each in weights) and all(
            bool(each.isfinite().all()) for each in moments
        )

    def state_dict(self) -> dict[str, Any]:
        """Everything that a step depends on, as tensors and plain values."""
        return {
            "network": self.network.state_dict(),
            "average": self._average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self._scaler.state_dict(),
            "steps": self._steps,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what `state_dict` returned. Raises ValueError, or what torch raises, where it does not fit."""
        self.network.load_state_dict(state["network"])
        self._average.load_state_dict(state["average"])
        # Only the learning rate is restored: everything else is configured by the run's record.
        own, saved = self.optimizer.state_dict()["param_groups"], state["optimizer"]["param_groups"]
        if len(own) != len(saved):
            raise ValueError("the optimiser's state is of another kind")
        merged = [{**group, "lr": other["lr"]} for group, other in zip(own, saved, strict=True)]
        self.optimizer.load_state_dict({**state["optimizer"], "param_groups": merged})
        checkpoint.check_moments(self.optimizer, self._kind.moments)
        if state["scaler"]:  # empty unless it was fp16
            self._scaler.load_state_dict(state["scaler"])
        self._steps = state["steps"]

    def _draw_fed(self, truth: Tensor, feeding: float, positions: Sequence[int], count: int) -> Tensor | None:
        """Where true frames are fed, (B, horizon) bool, drawn by the seed and the number of the step."""
        if not feeding:
            return None
        draws = torch.rand(count, truth.shape[1], generator=self._generator(FED))[list(positions) or [0]]
        return (draws < feeding).to(truth.device)

    def _draw_dropout(self, positions: Sequence[int], count: int) -> Tensor | None:
        """The factors of dropout, drawn likewise, so that a training that goes on drops what it would have dropped."""
        model = self.network.config
        if not model.dropout:
            return None
        factors = draw_channels(model.dropout, count, model.between_layers, self._generator(DROPPED))
        return factors[list(positions) or [0]]

    def _draw_noise(self, positions: Sequence[int]) -> Noise:
        """The noise of the members of each clip, drawn likewise, after none for the forecast without noise."""
        clips = list(positions) or [0]
        generators: list[torch.Generator | None] = [None] * len(clips)
        for member in range(self._config.members):
            generators += [
                torch.Generator().manual_seed(_drawn(self._config.seed, self._steps, member, clip)) for clip in clips
            ]
        return Noise(generators, self._config.members + 1)

    def _loss(self, forecast: Tensor, truth: Tensor, last: Tensor, there: Tensor | None) -> Tensor:
        """The loss of a forecast (B, T, C, H, W), or of (1 + M, B, T, C, H, W) with members behind it."""
        single = forecast[0] if self._config.members else forecast
        if there is None:
            loss: Tensor = self._measure(single, truth, last)
        else:
            loss = over_known(self._measure, single, truth, last, there)
        if not self._config.members:
            return loss
        return DETERMINISTIC * loss + members_loss(forecast[1:], truth, last, there)

    def _generator(self, offset: int) -> torch.Generator:
        """Random numbers of this step."""
        return torch.Generator().manual_seed(self._config.seed * 1_000_003 + self._steps + offset)


def _drawn(*numbers: int) -> int:
    """A seed that follows from some numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)


def _moving_average(decay: float) -> Callable[[Any, Any, Any], None]:
    """An update for `AveragedModel`: an exponential moving average that forgets the first weights faster."""

    def update(averaged: list[Tensor], current: list[Tensor], updates: Tensor) -> None:
        count = int(updates)
        torch._foreach_lerp_(averaged, current, 1.0 - min(decay, count / (count + 9)))

    return update
