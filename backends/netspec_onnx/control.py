"""Control flow in ONNX: Scan, Loop and If, whose bodies are graphs that read what stands around them by name.

Values that are the same in every step are read so, and are no inputs of the body: a weight stays an initializer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import onnx_ir as ir

from netspec.backend import BodyFunction
from netspec.graph import ops
from netspec.graph.graph import Origin
from netspec.graph.ops.base import Op
from netspec.graph.types import TensorType
from netspec_onnx.tape import Tape

Values = tuple[ir.Value, ...]


def scan(
    tape: Tape,
    *inputs: ir.Value,
    body: BodyFunction,
    slice_axes: tuple[int, ...],
    stack_axes: tuple[int, ...],
    carried: int,
    reverse: bool,
) -> Values:
    """Scan, which takes what is carried in front of what is sliced."""
    count = len(slice_axes)
    walked, firsts, same = inputs[:count], inputs[count : count + carried], inputs[count + carried :]
    types = body.body.input_types
    slices = tuple(tape.value("slice", type) for type in types[:count])
    carry = tuple(tape.value("carried", type) for type in types[count : count + carried])
    step = tape.graph(
        "step", (*carry, *slices), lambda: body(*slices, *carry, *same), body.body.output_types, _origin(tape, body)
    )
    attributes: dict[str, object] = {
        "body": step,
        "num_scan_inputs": count,
        "scan_input_axes": slice_axes,
        "scan_input_directions": [int(reverse)] * count,
    }
    if stack_axes:
        attributes["scan_output_axes"] = stack_axes
        attributes["scan_output_directions"] = [int(reverse)] * len(stack_axes)
    return tape.ops("Scan", carried + len(stack_axes), *firsts, *walked, **attributes)


def while_loop(tape: Tape, *inputs: ir.Value, body: BodyFunction, carried: int, condition: int, limit: int) -> Values:
    """Loop, whose body also reads the number of the turn and the condition, and gives the next condition."""
    firsts, same = inputs[:carried], inputs[carried:]
    types = body.body.output_types
    carry = tuple(tape.value("carried", type) for type in types)
    turn, goes_on = tape.value("turn", TensorType((), "int64")), tape.value("goes_on", types[condition])

    def step() -> Values:
        results = body(*carry, *same)
        return (results[condition], *results)

    step_graph = tape.graph("step", (turn, goes_on, *carry), step, (types[condition], *types), _origin(tape, body))
    return tape.ops("Loop", carried, tape.constant(limit, "int64"), firsts[condition], *firsts, body=step_graph)


def cond(tape: Tape, which: ir.Value, *operands: ir.Value, branches: tuple[BodyFunction, ...]) -> Values:
    """If; a number chooses by a tree of them, so that they nest no deeper than log2 of the branches.

    A number below 0 means the first branch, and one beyond the last number the last.
    """
    if tape.type_of(which) == ir.DataType.BOOL:
        no, yes = branches
        return _if(tape, which, yes, lambda: yes(*operands), lambda: no(*operands))
    number = tape.op("Cast", which, to=int(ir.DataType.INT64), saturate=1)
    return _choice(tape, number, operands, branches, 0)


def _choice(tape: Tape, number: ir.Value, operands: Values, branches: Sequence[BodyFunction], first: int) -> Values:
    """The branch that `number` means; the first of them is that of the number `first`."""
    if len(branches) == 1:
        return branches[0](*operands)
    half = len(branches) // 2
    below = tape.op("Less", number, tape.constant(first + half, "int64"))
    return _if(
        tape,
        below,
        branches[0],
        lambda: _choice(tape, number, operands, branches[:half], first),
        lambda: _choice(tape, number, operands, branches[half:], first + half),
    )


def _if(
    tape: Tape, chosen: ir.Value, like: BodyFunction, then: Callable[[], Values], otherwise: Callable[[], Values]
) -> Values:
    """What `then` or `otherwise` records: both give the types of `like`, and belong to its entry."""
    types, origin = like.body.output_types, _origin(tape, like)
    branches = {
        "then_branch": tape.graph("then", (), then, types, origin),
        "else_branch": tape.graph("else", (), otherwise, types, origin),
    }
    return tape.ops("If", len(types), chosen, **branches)


def custom_gradient(tape: Tape, *operands: ir.Value, body: BodyFunction, backward: BodyFunction) -> Values:
    """What the body computes: the file is for inference."""
    return body(*operands)


def _origin(tape: Tape, body: BodyFunction) -> Origin | None:
    """The entry that a node with this body belongs to: that of the body's inputs."""
    return body.body.inputs[0].origin if body.body.inputs else tape.origin


CONTROL: Mapping[type[Op], Callable[..., Values]] = {
    ops.Scan: scan,
    ops.While: while_loop,
    ops.Cond: cond,
    ops.CustomGradient: custom_gradient,
}
