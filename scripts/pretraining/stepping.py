"""One training step: eager, or on an NVIDIA GPU as one CUDA graph for each shape of the clips.

A network this small is launched, not computed: of the 60 ms of an eager step on an H100 nearly all are launches.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from convlstm_cli.nn.forecaster import EncoderForecaster
from convlstm_cli.nn.noise import Noise
from convlstm_cli.training.crps import members_loss
from convlstm_cli.training.losses import LOSSES
from convlstm_cli.training.muon import Muon, parameter_groups
from pretraining.objective import OVER_BEST, over_best
from pretraining.settings import Settings, Variant

Shape = tuple[int, int, tuple[int, ...]]
"""Frames that are read, frames that are forecast, and the shape of the clips (B, T, C, H, W)."""

CLIP_NORM = 1.0
WARM_UPS = 3
"""Eager steps of a shape before it is captured: kernels are compiled and chosen, memory is reserved."""


class Stepper:
    """A network, its average and its optimiser; `step` learns from a batch."""

    def __init__(
        self, network: EncoderForecaster, average: EncoderForecaster, settings: Settings, variant: Variant
    ) -> None:
        self.network, self.average, self.variant = network, average, variant
        self._settings = settings
        self._device = next(network.parameters()).device
        self._known: list[Tensor] = []
        """The known frames that the head mixed in the last forward pass, (N, C, H, W) each."""
        if variant.loss == OVER_BEST:
            if network.head.refinement is None:
                raise SystemExit(f"--loss {OVER_BEST}: --head {variant.head} has no known frames at full resolution")
            network.head.refinement.register_forward_pre_hook(self._note_known)
        groups = parameter_groups(network, variant.kernel_rate, variant.other_rate)
        groups[0]["momentum"] = variant.momentum
        self.optimizer = Muon(groups, lr_as_tensor=self._device.type == "cuda")
        self._parameters: list[Tensor] = list(network.parameters())
        self._averages: list[Tensor] = list(average.parameters())
        self._share = torch.ones((), device=self._device)
        """Share of the new weights in the average."""
        self.tally = torch.zeros(2, device=self._device)
        """Sum of the losses, and how many, since it was last read."""
        self._graphs: dict[Shape, tuple[Callable[[], None], Tensor]] = {}
        self._pool: Any = None
        # Noise is drawn on the CPU, which a graph would do once for all steps.
        self._use_graphs = settings.graphs and self._device.type == "cuda" and not variant.members
        self._random = torch.Generator()
        self._stream = torch.cuda.Stream() if self._device.type == "cuda" else None  # type: ignore[no-untyped-call]
        network.train()

    def step(self, clips: Tensor, inputs: int, rate: float, number: int) -> None:
        """One step on clips (B, T, C, H, W) in [0, 1], of which the first `inputs` frames are read.

        `rate` is a share of the learning rates; `number` counts the steps, for the average. On a GPU it waits for
        nothing but, at the first of a shape, for the capture; steps of several networks run beside each other.
        """
        if self._stream is None:
            self._set(rate, number)
            self._learn(clips, inputs)
            return
        current = torch.cuda.current_stream()
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            self._set(rate, number)
            shape = (inputs, clips.shape[1] - inputs, tuple(clips.shape))
            if self._use_graphs and shape not in self._graphs:
                self._prepare(shape, clips, inputs)
            replay, buffer = self._graphs.get(shape) or (None, torch.empty_like(clips))
            buffer.copy_(clips)
            current.wait_stream(self._stream)  # before the memory of the clips is used for others
            if replay is None or not self._use_graphs:
                self._learn(buffer, inputs)
            else:
                replay()

    def finish(self) -> None:
        """Waits until all steps are done."""
        if self._stream is not None:
            self._stream.synchronize()

    def load_optimizer(self, state: dict[str, Any]) -> None:
        """Takes the optimiser's moments; learning rates are as they are set now."""
        groups = zip(self.optimizer.state_dict()["param_groups"], state["param_groups"], strict=True)
        merged = [{**now, "params": saved["params"]} for now, saved in groups]
        self.optimizer.load_state_dict({"state": state["state"], "param_groups": merged})

    def mean_loss(self) -> float:
        """Over the steps since the last call. Waits for the device."""
        self.finish()
        total, count = map(float, self.tally.tolist())
        self.tally.zero_()
        return total / max(count, 1.0)

    def _set(self, rate: float, number: int) -> None:
        self.optimizer.set_rate(rate)
        self._random.manual_seed(self._settings.seed + number)
        self._share.fill_(1.0 - min(self._settings.average, number / (number + 9)))

    def _learn(self, clips: Tensor, inputs: int) -> None:
        """Forward, loss, backward, the optimiser's step and the average: all that a graph holds."""
        frames, truth = clips[:, :inputs], clips[:, inputs:]
        for parameter in self._parameters:
            parameter.grad = None
        noise = self._noise(len(clips)) if self.variant.members else None
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._settings.bf16):
            forecast = self.network(frames, truth.shape[1], noise=noise)
        if noise:
            loss = members_loss(forecast.float(), truth, frames[:, -1:])
        elif self.variant.loss == OVER_BEST:
            loss = over_best(forecast.float(), truth, frames[:, -1:], self._known)
        else:
            loss = LOSSES[self.variant.loss].measure(forecast.float(), truth, frames[:, -1:])
        loss.backward()  # type: ignore[no-untyped-call]
        gradients = [parameter.grad for parameter in self._parameters if parameter.grad is not None]
        for gradient in gradients:  # without a question to the device, which is what a branch would be
            gradient.nan_to_num_(nan=0.0, posinf=0.0, neginf=0.0)
        nn.utils.clip_grad_norm_(self._parameters, CLIP_NORM)
        self.optimizer.step()
        with torch.no_grad():
            ahead = list(torch._foreach_sub(self._parameters, self._averages))
            torch._foreach_mul_(ahead, self._share)
            torch._foreach_add_(self._averages, ahead)
            self.tally[0] += loss.detach()
            self.tally[1] += 1.0

    def _note_known(self, _stage: nn.Module, given: tuple[Any, ...]) -> None:
        self._known = [frame.detach() for frame in given[1]]

    def _noise(self, clips: int) -> Noise:
        """The noise of the members of each clip in this step."""
        members = self.variant.members
        return Noise([self._random] * (members * clips), members)

    def _prepare(self, shape: Shape, clips: Tensor, inputs: int) -> None:
        """Captures the step of a shape; where that fails, says why, and all steps are eager from then on."""
        assert self._stream is not None
        buffer = clips.clone()
        # Kernels are compiled and tried in steps that are taken back, so that a capture is not a training step more.
        kept = [tensor.clone() for tensor in self._state()]
        try:
            for _ in range(WARM_UPS):
                self._learn(buffer, inputs)
            torch.cuda.synchronize()
            for parameter in self._parameters:
                parameter.grad = None
            graph = torch.cuda.CUDAGraph()
            # One pool for all: no graph's results outlive its replay.
            with torch.cuda.graph(graph, pool=self._pool, stream=self._stream):
                self._learn(buffer, inputs)
            self._pool = self._pool or graph.pool()
            self._graphs[shape] = graph.replay, buffer
        except Exception as error:  # whatever capturing meets, training can go on without it
            print(f"no CUDA graph of {shape}: {type(error).__name__}: {error}; the steps are eager", flush=True)
            self._use_graphs = False
            torch.cuda.synchronize()
        for tensor, before in zip(self._state(), kept, strict=True):
            tensor.copy_(before)
        for parameter in self._parameters:
            parameter.grad = None

    def _state(self) -> list[Tensor]:
        """All that a step changes."""
        moments = [value for state in self.optimizer.state.values() for value in state.values()]
        return [*(parameter.data for parameter in self._parameters + self._averages), *moments, self.tally]
