"""A ConvLSTM layer over a whole sequence, step by step with `cell.py`: the way that knows every option."""

from typing import NamedTuple

import torch
from torch import Tensor

from convlstm_cli.nn.cell import CellRules, CellWeights, StepMasks, cell_step

State = tuple[Tensor, Tensor]


class SequenceMasks(NamedTuple):
    """What the steps of one sequence leave out. Shapes are those of two dimensions, as in `cell.py`."""

    x: Tensor | None = None
    """(B, 4*in, H, W): dropout of the input, the same for all steps; see `cell.StepMasks`."""
    h: Tensor | None = None
    """(B, 4*hidden, H, W): dropout of the hidden state, the same for all steps."""
    valid: Tensor | None = None
    """(B, T) bool, false where a step leaves the states as they were."""
    draws_zoneout: bool = False
    """Whether zoneout draws at every step, as in training, or takes the expectation."""

    def at(self, step: int, h: Tensor, rules: CellRules) -> StepMasks:
        """The masks of one step, which starts from the hidden state h (B, hidden, H, W)."""
        stay = valid = None
        if self.draws_zoneout:
            stay_h, stay_c = (torch.full_like(h, rate).bernoulli() for rate in rules.zoneout)
            stay = stay_h, stay_c
        if self.valid is not None:
            valid = self.valid[:, step].view(-1, *(1,) * (h.ndim - 1))
        return StepMasks(self.x, self.h, stay, valid)


NO_MASKS = SequenceMasks()


def step_by_step(
    x: Tensor | None,
    state: State | None,
    weights: CellWeights,
    rules: CellRules,
    steps: int,
    shape: tuple[int, ...],
    masks: SequenceMasks = NO_MASKS,
) -> tuple[Tensor, State]:
    """The cell over a sequence: h_1 ... h_T as (B, T, hidden, H, W), and (h_T, c_T).

    Arguments as in `recurrence.unroll`.
    """
    if state is None:
        zeros = weights.weight_hh.new_zeros(shape)
        state = zeros, zeros
    h, c = state
    outputs = []
    # unbind, because the gradient of each x[:, t] would be a tensor of zeros as large as x
    for t, x_t in enumerate((None,) * steps if x is None else x.unbind(dim=1)):
        h, c = cell_step(x_t, h, c, weights, rules, masks.at(t, h, rules))
        outputs.append(h)
    return torch.stack(outputs, dim=1), (h, c)
