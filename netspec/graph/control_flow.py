"""How layers, and the language, write control flow: functions that emit what a body runs, made into primitives."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

from netspec.errors import ShapeError
from netspec.graph.graph import Body, Call, Node, Origin, Value
from netspec.graph.ops import Cond, Control, CustomGradient, Op, Scan, While
from netspec.graph.ops.control import floats
from netspec.graph.primitives import Primitives
from netspec.graph.types import TensorType, normal_axis

# Emits what a body runs on the values that it is given, and returns what the body gives.
Step = Callable[..., Sequence[Value]]
Axis = int | Sequence[int]


class ControlFlow(Primitives):
    """Loops, branches and gradients of one's own. A step may read any value around it, parameters included: what it
    reads is found here, and handed to the body as it is."""

    @abstractmethod
    def inner(self, type: TensorType, origin: Origin | None = None) -> Value:
        """A value that a body is given."""

    @abstractmethod
    def collecting(self, where: str) -> AbstractContextManager[list[Node | Call]]:
        """What is emitted within it becomes the nodes of a body. Updates of buffers are refused there: `where` says in
        the message when they would happen."""

    @abstractmethod
    def emit(self, op: Op, inputs: Sequence[Value], origin: Origin | None) -> tuple[Value, ...]:
        """Emit a primitive that `origin` wrote; None where that is the layer that is being expanded."""

    def body(
        self, step: Step, types: Iterable[TensorType], where: str = "inside control flow", origin: Origin | None = None
    ) -> Body:
        """What `step` emits on new values of `types`."""
        inputs = tuple(self.inner(type, origin) for type in types)
        with self.collecting(where) as nodes:
            outputs = tuple(step(*inputs))
        return Body(inputs, tuple(nodes), outputs)

    def scan(
        self,
        step: Step,
        *,
        over: Sequence[Value],
        axis: Axis,
        carried: Sequence[Value] = (),
        out_axis: Axis | None = None,
        reverse: bool = False,
    ) -> tuple[Value, ...]:
        """Call `step(*slices, *carried)` once for each slice of `over` along `axis`; `reverse` begins with the last.

        It gives the carried values for the next step, in their order, and behind them what is stacked along `out_axis`
        (`axis` unless it is given), each at the place of its slice. Returns the last carried values, then the stacks.
        An axis is a number for all, or one for each, and may count from the end.
        """
        axes = _axes(axis, [x.type.rank for x in over])
        slices = [x.type.with_shape(x.shape[:k] + x.shape[k + 1 :]) for x, k in zip(over, axes, strict=True)]
        body = self.body(step, (*slices, *(x.type for x in carried)), "at every step of a scan")
        _check_carried("scan", body, carried, len(slices))
        stacked = body.outputs[len(carried) :]
        stack_axes = _axes(axis if out_axis is None else out_axis, [x.type.rank + 1 for x in stacked])
        return self.emit_scan(body, (*over, *carried), axes, stack_axes, reverse)

    def emit_scan(
        self,
        body: Body,
        given: Sequence[Value],
        slice_axes: Sequence[int],
        stack_axes: Sequence[int],
        reverse: bool = False,
        origin: Origin | None = None,
    ) -> tuple[Value, ...]:
        """Emit a Scan of `body` over `given`: what is sliced, what is carried, what is the same in every step."""
        carried = len(body.outputs) - len(stack_axes)
        return self.emit_control(
            Scan(body, tuple(slice_axes), tuple(stack_axes), carried, reverse), given, origin=origin
        )

    def while_loop(self, step: Step, carried: Sequence[Value], condition: int, limit: int) -> tuple[Value, ...]:
        """Call `carried = step(*carried)` while `carried[condition]`, a bool of shape [], is true, and at most `limit`
        times; the last carried values."""
        body = self.body(step, [x.type for x in carried], "in every run of a while")
        _check_carried("while", body, carried, 0)
        return self.emit_control(While(body, len(carried), condition, limit), carried)

    def cond(self, which: Value, branches: Sequence[Step], operands: Sequence[Value] = ()) -> tuple[Value, ...]:
        """What one of `branches` gives on `operands`: `which` is a bool (false is the first) or an integer, of shape
        []."""
        types = [x.type for x in operands]
        bodies = tuple(self.body(branch, types, "in a branch") for branch in branches)
        for branch in bodies:
            if branch.output_types != bodies[0].output_types:
                one, other = (", ".join(map(str, each.output_types)) for each in (bodies[0], branch))
                raise ShapeError(f"all branches give the same types: not {one} and {other}")
        return self.emit_control(Cond(bodies), (which, *operands), 1)

    def custom_gradient(self, forward: Step, backward: Step, operands: Sequence[Value]) -> tuple[Value, ...]:
        """`forward(*operands)`, with the gradient `backward(*operands, *outputs, *cotangents)`.

        Cotangents go in for the outputs of the float type, and come out for the operands of the float type. Neither
        function may read values around it.
        """
        types = tuple(x.type for x in operands)
        body = self.body(forward, types)
        results = body.output_types
        back = self.body(backward, (*types, *results, *floats(results)))
        assert back.output_types == floats(types), (back.output_types, types)
        assert not captured((body, back)), "a gradient of one's own is of all that is read: make it an operand"
        return self.emit_control(CustomGradient(body, back), operands)

    def emit_control(
        self, op: Control, given: Sequence[Value], own: int = 0, origin: Origin | None = None
    ) -> tuple[Value, ...]:
        """Emit `op` on `given`; what its bodies read of the graph around them besides is handed to them behind that."""
        around = captured(op.parts())
        if around:
            op = op.with_parts(lambda body: replace(body, inputs=(*body.inputs, *around)))
        return self.emit(op, (*given, *around), origin)


def captured(bodies: Iterable[Body]) -> tuple[Value, ...]:
    """The values of the graph around them that bodies read, each once."""
    found: dict[Value, None] = {}
    for body in bodies:
        # A call of identity hands on what it reads: it does not compute it.
        made = (value for node in body.nodes for value in node.outputs if value not in reads(node))
        known = {*body.inputs, *made}
        known |= {value for node in body.nodes if isinstance(node, Call) for value in node.updates.values()}
        read = [value for node in body.nodes for value in reads(node)]
        found.update(dict.fromkeys(value for value in (*read, *body.outputs) if value not in known))
    return tuple(found)


def reads(node: Node | Call) -> tuple[Value, ...]:
    """All values that a node reads, parameters and buffers included."""
    if isinstance(node, Call):
        return (*node.inputs, *node.noise, *node.params.values(), *node.buffers.values())
    return node.inputs


def _axes(axis: Axis, ranks: Sequence[int]) -> list[int]:
    axes = [axis] * len(ranks) if isinstance(axis, int) else axis
    return [normal_axis(each, rank) for each, rank in zip(axes, ranks, strict=True)]


def _check_carried(word: str, body: Body, carried: Sequence[Value], first: int) -> None:
    for before, after in zip(body.inputs[first:], body.outputs[: len(carried)], strict=True):
        if before.type != after.type:
            raise ShapeError(f"{word}: what is carried goes in as {before.type} and comes out as {after.type}")
