"""What control flow is on a tape: a function for each body, and the call of a loop or a branch with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import fx

from netspec.backend import BodyFunction
from netspec_torch import control

if TYPE_CHECKING:
    from netspec_torch.tape import Tape


def scan(
    tape: Tape,
    *inputs: Any,
    body: BodyFunction,
    slice_axes: tuple[int, ...],
    stack_axes: tuple[int, ...],
    carried: int,
    reverse: bool,
) -> tuple[fx.Proxy, ...]:
    own = len(slice_axes) + carried
    inputs = tape.tensors(inputs, body.body.inputs)
    step, same = tape.function("step", body, inputs, own)
    over, state = inputs[: len(slice_axes)], inputs[len(slice_axes) : own]
    arguments = (step, over, state, same, slice_axes, stack_axes, reverse)
    return tape.apply(control.scan, arguments, carried + len(stack_axes))


def while_loop(
    tape: Tape, *inputs: Any, body: BodyFunction, carried: int, condition: int, limit: int
) -> tuple[fx.Proxy, ...]:
    inputs = tape.tensors(inputs, body.body.inputs)
    turn, same = tape.function("turn", body, inputs, carried)
    return tape.apply(control.while_loop, (turn, inputs[:carried], same, condition, limit), carried)


def cond(tape: Tape, which: Any, *operands: Any, branches: tuple[BodyFunction, ...]) -> tuple[fx.Proxy, ...]:
    operands = tape.tensors(operands, branches[0].body.inputs)
    functions = tuple(tape.function("branch", branch, operands, 0) for branch in branches)
    return tape.apply(control.cond, (which, *functions), len(branches[0].body.outputs))


def custom_gradient(tape: Tape, *operands: Any, body: BodyFunction, backward: BodyFunction) -> tuple[fx.Proxy, ...]:
    operands = tape.tensors(operands, body.body.inputs)
    parts = [("forward", body), ("backward", backward)]
    functions = [tape.function(word, part, part.body.inputs, len(part.body.inputs))[0] for word, part in parts]
    return tape.apply(control.custom_gradient, (*functions, *operands), len(body.body.outputs))
