"""A batch of sequences of unequal length, as a PackedSequence: each step is computed for the items that still run."""

import torch
from torch import Tensor

from convlstm_cli.nn.cell import CellRules, CellWeights
from convlstm_cli.nn.recurrence import unroll
from convlstm_cli.nn.stepwise import State


def unroll_padded(
    x: Tensor,
    state: State | None,
    lengths: Tensor,
    weights: CellWeights,
    rules: CellRules,
    *,
    shape: tuple[int, ...],
    checkpoint_every: int | None = None,
) -> tuple[Tensor, State]:
    """The cell over x (B, T, in, H, W), item n up to `lengths[n]`; other arguments as in `recurrence.unroll`.

    Returns h_1 ... h_T, zero behind each item's end, and the state at each item's own end.
    """
    numbers = lengths.tolist()
    order = sorted(range(len(numbers)), key=lambda item: -numbers[item])  # the longest first
    index = torch.tensor(order, device=x.device)
    x = x.index_select(0, index)
    if state is not None:
        state = state[0].index_select(0, index), state[1].index_select(0, index)
    outputs, ends, start = [], [], 0
    for stop in sorted(set(numbers)):
        running, after = (sum(number > step for number in numbers) for step in (start, stop))
        part, (h, c) = unroll(
            x[:running, start:stop],
            state,
            weights,
            rules,
            steps=stop - start,
            shape=(running, *shape[1:]),
            checkpoint_every=checkpoint_every,
        )
        ended = part.new_zeros(len(x) - running, *part.shape[1:])
        outputs.append(torch.cat([part, ended]))
        ends.append((h[after:], c[after:]))
        state, start = (h[:after], c[:after]), stop
    outputs.append(outputs[0].new_zeros(len(x), x.shape[1] - start, *shape[1:]))
    back = index.argsort()
    h, c = (torch.cat([end[part] for end in reversed(ends)]).index_select(0, back) for part in (0, 1))
    return torch.cat(outputs, dim=1).index_select(0, back), (h, c)
