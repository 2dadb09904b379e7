"""Control flow as the text of a forward calls it: loops and branches of Python, which autograd follows.

A body is a function inside that text. torch.compile and torch.export unroll loops over the size that they see; they
take a branch, or the end of a `while`, only where its flag is known to them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

Tensors = tuple[Tensor, ...]
Function = Callable[..., Tensors]


def scan(
    step: Function,
    over: Tensors,
    carried: Tensors,
    same: Tensors,
    slice_axes: Sequence[int],
    stack_axes: Sequence[int],
    reverse: bool,
) -> Tensors:
    """Call `step(*slices, *carried, *same)` along `slice_axes`: the last carried values, then stacks of the rest."""
    turns = list(zip(*(x.unbind(axis) for x, axis in zip(over, slice_axes, strict=True)), strict=True))
    given: list[Tensors] = []
    for slices in reversed(turns) if reverse else turns:
        results = step(*slices, *carried, *same)
        carried = results[: len(carried)]
        given.append(results[len(carried) :])
    if reverse:
        given.reverse()
    stacks = (torch.stack(each, axis) for each, axis in zip(zip(*given, strict=True), stack_axes, strict=True))
    return (*carried, *stacks)


def while_loop(turn: Function, carried: Tensors, same: Tensors, condition: int, limit: int) -> Tensors:
    """Call `carried = turn(*carried, *same)` while the flag among them is true, `limit` times at most."""
    for _ in range(limit):
        if not carried[condition]:
            break
        carried = turn(*carried, *same)
    return carried


def cond(which: Tensor, *branches: tuple[Function, Tensors]) -> Tensors:
    """Call the branch of that number with the values that it reads; false is the first."""
    function, given = branches[int(which)]
    return function(*given)


def custom_gradient(forward: Function, backward: Function, *operands: Tensor) -> Tensors:
    """`forward(*operands)`, through which flows back what `backward` gives."""
    results: Tensors = _CustomGradient.apply(forward, backward, *operands)
    return results


def number(like: Tensor, value: float, dtype: str) -> Tensor:
    """A number as a tensor of shape [], on the device of `like`; a float of its type."""
    if dtype != "float":
        return torch.full((), value, dtype=getattr(torch, dtype), device=like.device)
    return torch.full((), value, dtype=like.dtype if like.is_floating_point() else None, device=like.device)


class _CustomGradient(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(forward: Function, backward: Function, *operands: Tensor) -> Tensors:
        # What is handed on as it is comes as a view: else it would be taken for the operand itself.
        return tuple(y.view_as(y) if any(y is x for x in operands) else y for y in forward(*operands))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensors) -> None:
        _, ctx.flow_back, *operands = inputs
        ctx.save_for_backward(*operands, *output)
        ctx.operands = len(operands)
        ctx.mark_non_differentiable(*(y for y in output if not y.is_floating_point()))

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> Any:
        operands, results = ctx.saved_tensors[: ctx.operands], ctx.saved_tensors[ctx.operands :]
        given = (dy for dy, y in zip(cotangents, results, strict=True) if y.is_floating_point())
        flows = iter(ctx.flow_back(*operands, *results, *given))
        return None, None, *(next(flows) if x.is_floating_point() else None for x in operands)
