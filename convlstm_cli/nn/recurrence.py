"""A ConvLSTM layer over a whole sequence, fast. Tests compare this file with the equations in `nn/cell.py`.

`unroll` decides how a sequence is computed: as one autograd function with its own backward (`fast/`), or step by step
(`stepwise.py`).

What makes it fast, most of it first:
- Between the convolutions there is one pass over memory (`nn/gates/`), where separate operations make a dozen.
- The gradients of the weights are summed over time as the backward goes, by matrix products (`nn/convolution.py`).
- Only the activated gates, c and h are kept for the backward; autograd keeps every intermediate result.
- A state that is not given is zero, so the first step convolves none, and no gradient is made for it.
"""

from torch import Tensor

from convlstm_cli.nn.autocast import autocast
from convlstm_cli.nn.cell import CellRules, CellWeights, Peepholes
from convlstm_cli.nn.fast.function import SequenceFunction
from convlstm_cli.nn.fast.inputs import Inputs
from convlstm_cli.nn.fast.plan import is_covered, make_plan
from convlstm_cli.nn.stepwise import NO_MASKS, SequenceMasks, State, step_by_step


def unroll(
    x: Tensor | None,
    state: State | None,
    weights: CellWeights,
    rules: CellRules,
    *,
    steps: int,
    shape: tuple[int, ...],
    masks: SequenceMasks = NO_MASKS,
    checkpoint_every: int | None = None,
) -> tuple[Tensor, State]:
    """The cell over a sequence.

    Args:
        x: (B, T, in, H, W), or None for a cell without input.
        state: (h_0, c_0); None starts from zeros.
        weights: the parameters.
        rules: the rest of what defines the cell.
        steps: T.
        shape: (B, hidden, H, W) of the states.
        masks: what the steps leave out.
        checkpoint_every: keep the gates of so many steps at most; the backward computes the others again.

    Returns:
        h_1 ... h_T as (B, T, hidden, H, W), a view whose memory has another order, and (h_T, c_T).
    """
    if len(shape) == 3 and masks is NO_MASKS:
        return _as_images(x, state, weights, rules, steps, shape, checkpoint_every)
    plan = None
    if masks is NO_MASKS and is_covered(weights, rules):
        batch, hidden, height, width = shape
        plan = make_plan(x, state, weights, steps, (batch, hidden, height, width), checkpoint_every)
    if plan is None:
        return step_by_step(x, state, weights, rules, steps, shape, masks)
    h_0, c_0 = state if state is not None else (None, None)
    weight_ih, weight_hh, bias, *_ = weights
    if bias is None:
        bias = weight_hh.new_zeros(len(weight_hh))
    peephole_i, peephole_f, peephole_o = weights.peepholes if weights.peepholes is not None else (None, None, None)
    inputs = Inputs(x, h_0, c_0, weight_ih, weight_hh, bias, peephole_i, peephole_f, peephole_o)
    with autocast(weight_hh.device, None):  # the plan has the types
        outputs, h, c = SequenceFunction.apply(rules, plan, *inputs)  # type: ignore[no-untyped-call]
    return outputs.transpose(0, 1), (h, c)


def _as_images(
    x: Tensor | None,
    state: State | None,
    weights: CellWeights,
    rules: CellRules,
    steps: int,
    shape: tuple[int, ...],
    checkpoint_every: int | None,
) -> tuple[Tensor, State]:
    """One spatial dimension as images of height 1, where these are covered by `fast`."""

    def image(part: Tensor) -> Tensor:
        return part.unsqueeze(-2)

    peepholes = None if weights.peepholes is None else Peepholes(*map(image, weights.peepholes))
    weight_ih = None if weights.weight_ih is None else image(weights.weight_ih)
    lifted = weights._replace(weight_ih=weight_ih, weight_hh=image(weights.weight_hh), peepholes=peepholes)
    if not is_covered(lifted, rules):
        return step_by_step(x, state, weights, rules, steps, shape)
    outputs, (h, c) = unroll(
        None if x is None else image(x),
        None if state is None else (image(state[0]), image(state[1])),
        lifted,
        rules,
        steps=steps,
        shape=(*shape[:2], 1, shape[2]),
        checkpoint_every=checkpoint_every,
    )
    return outputs.squeeze(-2), (h.squeeze(-2), c.squeeze(-2))
