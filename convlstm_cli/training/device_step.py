"""An optimiser step that asks the device nothing, so that a GPU is never waited for and its operations can be captured.

Whether the loss and its gradient are finite is decided on the device: where they are not, the weights, the moments and
the average are put back as they were.
"""

import math
import weakref
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from convlstm_cli.compute.graphs import Captured
from convlstm_cli.training.averaging import share_on_device
from convlstm_cli.training.objective import Batch, Objective


class DeviceStep:
    """One step of a network, its optimiser and its average; captured where the device can."""

    def __init__(
        self,
        objective: Objective,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        average: AveragedModel,
        *,
        clip_norm: float,
        decay: float,
        note: Callable[[str], None],
    ) -> None:
        """Takes learning rates to the device; `average.n_averaged` must be there. `clip_norm` of 0 clips nothing."""
        self._objective, self._optimizer, self._average = objective, optimizer, average
        self._clip_norm, self._decay = clip_norm or math.inf, decay
        self._parameters: list[Tensor] = list(network.parameters())
        self._averages: list[Tensor] = list(average.module.parameters())
        self._device = self._parameters[0].device
        learn = weakref.WeakMethod(self._learn)  # else this and its graphs, which keep memory, would keep each other

        def function(*batch: Tensor | None) -> Tensor:
            alive = learn()
            assert alive is not None
            return alive(*batch)

        self.captured = Captured(function, self._device, note=note)
        # torch would warn of eager steps, in which the kernels are chosen.
        optimizer._warned_capturable_if_run_uncaptured = True
        self._move_rates()

    def restart(self) -> None:
        """Begins anew with the state that the optimiser has now; the old graphs know only the old one."""
        self._move_rates()
        self.captured.forget()

    def _move_rates(self) -> None:
        for group in self._optimizer.param_groups:
            group["lr"] = torch.tensor(float(group["lr"]), device=self._device)
            if self._device.type == "cuda" and "capturable" in group:  # torch has it for GPUs only
                group["capturable"] = True

    def __call__(self, batch: Batch) -> Tensor:
        """Learns from a batch on the device. Gives its loss and 1 if it was learned from, else 0, as (2,).

        The result holds until the next call.
        """
        return self.captured(batch)

    def _learn(self, *batch: Tensor | None) -> Tensor:
        self._optimizer.zero_grad()
        loss = self._objective(Batch(*batch))  # type: ignore[arg-type]
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self._parameters, self._clip_norm)
        loss = loss.detach()
        with torch.no_grad():
            learned = loss.isfinite() & norm.isfinite()
            changing = self._changing()
            copies = [torch.empty_like(tensor) for tensor in changing]
            torch._foreach_copy_(copies, changing)
            before = dict(zip(map(id, changing), copies, strict=True))
            self._optimizer.step()
            nothing = loss.new_zeros(())  # what moments are that the first step makes
            for tensor in self._changing():
                torch.where(learned, tensor, before.get(id(tensor), nothing), out=tensor)
            share = share_on_device(self._average.n_averaged, self._decay) * learned
            changes = torch._foreach_sub(self._parameters, self._averages)
            torch._foreach_mul_(changes, share)
            torch._foreach_add_(self._averages, changes)
            self._average.n_averaged += learned
            return torch.stack((loss, learned.to(loss.dtype)))

    def _changing(self) -> list[Tensor]:
        """What the optimiser changes."""
        moments = [value for kept in self._optimizer.state.values() for value in kept.values()]
        return [*self._parameters, *(value for value in moments if isinstance(value, Tensor))]
