"""A sequence as one autograd function."""

from typing import Any

import torch
from torch import Tensor

from convlstm_cli.nn.autocast import autocast
from convlstm_cli.nn.cell import CellRules
from convlstm_cli.nn.fast.backward import BackwardPass
from convlstm_cli.nn.fast.forward import ForwardPass
from convlstm_cli.nn.fast.inputs import Inputs
from convlstm_cli.nn.fast.plan import Plan
from convlstm_cli.nn.stepwise import step_by_step


class SequenceFunction(torch.autograd.Function):
    """h_1 ... h_T as (T, B, hidden, H, W), h_T and c_T, from `Inputs`.

    Gradients of gradients go through `cell_step`.
    """

    @staticmethod
    def forward(ctx: Any, rules: CellRules, plan: Plan, *inputs: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        differentiated = plan.recording and any(ctx.needs_input_grad)
        run = ForwardPass(Inputs(*inputs), rules, plan)  # type: ignore[arg-type]
        h = run.frames(plan.steps, plan.dtype)
        c = run.c_0
        kept: list[Tensor] = []  # c before each segment; with one segment, c of all steps and the gates
        for first in range(0, plan.steps, plan.segment):
            whole = differentiated and plan.segment == plan.steps
            before = c
            c, states, gates = run.forward(first, min(first + plan.segment, plan.steps), c, h, keep=whole)
            kept += [*states, *gates] if whole else [before]
        if differentiated:
            ctx.save_for_backward(*inputs, h, *kept)
            ctx.how = rules, plan
            ctx.set_materialize_grads(False)
        # Copies, because a view of h would keep all of it alive, and the backward needs c unchanged.
        return h, h[-1].clone(), c.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        rules, plan = ctx.how
        saved = ctx.saved_tensors
        count = len(Inputs._fields)
        inputs, h, kept = Inputs(*saved[:count]), saved[count], list(saved[count + 1 :])
        needs = ctx.needs_input_grad[2:]
        with autocast(inputs.weight_hh.device, None):
            if torch.is_grad_enabled():  # create_graph: gradients of gradients follow
                return None, None, *_differentiable_gradients(inputs, needs, rules, plan, gradients)
            run = ForwardPass(inputs, rules, plan)
            # Hooks on saved tensors, such as those that move them to the CPU, may return another memory order.
            h, kept = run.ordered(h, h.dtype), [run.ordered(tensor, tensor.dtype) for tensor in kept]
            backward = BackwardPass(run, needs, h, gradients)
            for first in reversed(range(0, plan.steps, plan.segment)):
                last = min(first + plan.segment, plan.steps)
                if plan.segment == plan.steps:
                    states, gates = kept[: plan.steps + 1], kept[plan.steps + 1 :]
                else:
                    c = kept.pop()
                    _, states, gates = run.forward(first, last, c, h, keep=True, known=True)
                backward.segment(first, states, gates)
            return None, None, *backward.gradients()


def _differentiable_gradients(
    inputs: Inputs,
    needs: tuple[bool, ...],
    rules: CellRules,
    plan: Plan,
    gradients: tuple[Tensor | None, ...],
) -> list[Tensor | None]:
    """The gradients as a differentiable graph, by autograd through `cell_step`."""
    # Aliases, because one input may depend on another, as a state of an earlier call does on the weights: a gradient to
    # the inputs themselves would include that path, which autograd adds once more afterwards.
    inputs = Inputs(*(None if tensor is None else tensor.view_as(tensor) for tensor in inputs))  # type: ignore[arg-type]
    state = None if inputs.h_0 is None or inputs.c_0 is None else (inputs.h_0, inputs.c_0)
    mixed = plan.dtype if plan.dtype != plan.c_dtype else None
    with autocast(inputs.weight_hh.device, mixed):
        outputs, (h, c) = step_by_step(inputs.x, state, inputs.weights, rules, plan.steps, plan.shape)
        outputs = outputs.transpose(0, 1)
    results = [(out, grad) for out, grad in zip((outputs, h, c), gradients, strict=True) if grad is not None]
    wanted = [tensor for tensor, needed in zip(inputs, needs, strict=True) if needed and tensor is not None]
    found = iter(
        torch.autograd.grad(
            [out for out, _ in results],
            wanted,
            [grad.to(out.dtype) for out, grad in results],
            create_graph=True,
            allow_unused=True,
        )
    )
    return [
        next(found) if needed and tensor is not None else None for tensor, needed in zip(inputs, needs, strict=True)
    ]
