"""Loops and branches of Python: a lowering of control flow gets a function for each body."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from netspec.backend import Lowerings
from netspec.graph import ops
from netspec_torch import control

Body = Callable[..., tuple[Tensor, ...]]


def scan(
    *inputs: Any, body: Body, slice_axes: Sequence[int], stack_axes: Sequence[int], carried: int, reverse: bool
) -> Any:
    first = len(slice_axes)
    parts = inputs[:first], inputs[first : first + carried], inputs[first + carried :]
    return control.scan(body, *parts, slice_axes, stack_axes, reverse)


def while_loop(*inputs: Any, body: Body, carried: int, condition: int, limit: int) -> Any:
    return control.while_loop(body, inputs[:carried], inputs[carried:], condition, limit)


def cond(which: Tensor, *operands: Tensor, branches: Sequence[Body]) -> Any:
    return control.cond(which, *((branch, operands) for branch in branches))


def custom_gradient(*operands: Tensor, body: Body, backward: Body) -> Any:
    return control.custom_gradient(body, backward, *operands)


CONTROL: Lowerings = {
    ops.Scan: scan,
    ops.While: while_loop,
    ops.Cond: cond,
    ops.CustomGradient: custom_gradient,
}
