"""Control flow: primitives that run parts of the graph, more than once, perhaps, or with a gradient of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol, Self

from netspec.errors import ShapeError
from netspec.graph.dims import Dim, Size, compare, evaluate, format_shape
from netspec.graph.ops.base import Op, Types
from netspec.graph.types import INTEGERS, TensorType

# Which of two symbolic costs is the larger is asked at this size of all symbols.
_LARGE = 1000


class Part(Protocol):
    """A part of the graph that a primitive runs; `graph.Body` is the one there is."""

    @property
    def input_types(self) -> Types: ...

    @property
    def output_types(self) -> Types: ...

    def cost(self, rule: str) -> Size:
        """What one run costs by the rule `macs` or `elementwise`."""


@dataclass(frozen=True)
class Control(Op):
    """A primitive that runs bodies. `bodies` names the fields that hold a Body, or a tuple of them.

    A lowering gets for each Body a function from the values of its inputs, in order, to those of its outputs.
    """

    bodies: ClassVar[tuple[str, ...]] = ("body",)
    exact = True  # what is computed in the bodies is what may be rounded

    def parts(self) -> Iterator[Any]:
        """All bodies in order."""
        for name in self.bodies:
            held = getattr(self, name)
            yield from held if isinstance(held, tuple) else (held,)

    def with_parts(self, change: Callable[[Any], Any]) -> Self:
        """The same primitive with another Body in place of each."""
        return replace(self, **self.changed_parts(change))

    def changed_parts(self, change: Callable[[Any], Any]) -> dict[str, Any]:
        """For each field that holds bodies what `change` makes of them."""
        fields = {name: getattr(self, name) for name in self.bodies}
        return {name: tuple(map(change, x)) if isinstance(x, tuple) else change(x) for name, x in fields.items()}

    def forward_parts(self) -> Iterator[tuple[Any, int]]:
        """The bodies that a run of the model enters, each with the number of the input that is the first of its own."""
        yield from ((part, 0) for part in self.parts())

    def turns(self, inputs: Types) -> Size:
        """How often a body runs, at most."""
        return 1

    def macs(self, inputs: Types, outputs: Types) -> Size:
        return self._cost("macs", inputs)

    def elementwise(self, inputs: Types, outputs: Types) -> Size:
        return self._cost("elementwise", inputs)

    def reduction_length(self, inputs: Types) -> Size:
        """What is carried is summed up over the turns, it may be."""
        return self.turns(inputs)

    def _cost(self, rule: str, inputs: Types) -> Size:
        costs: list[Size] = [part.cost(rule) for part, _ in self.forward_parts()]
        return self.turns(inputs) * max(costs, key=_order)


@dataclass(frozen=True)
class Scan(Control):
    """Runs `body` once for each slice of the first inputs along their `slice_axes`, in order, or from the last slice to
    the first where it is in `reverse`.

    Inputs: what is sliced; the first values of what is carried from step to step; what is the same in every step.
    Outputs: the last values of what is carried; what each step gave of the others, stacked along `stack_axes`, each at
    the place of its slice. The body reads and gives them in the same order.
    """

    body: Any  # of Part
    slice_axes: tuple[int, ...]
    stack_axes: tuple[int, ...]
    carried: int
    reverse: bool = False

    def infer(self, *inputs: TensorType) -> Types:
        sliced = [remove_axis(x, axis) for x, axis in zip(inputs, self.slice_axes, strict=False)]
        given = (*sliced, *inputs[len(sliced) :])
        body: Part = self.body
        assert given == body.input_types, (given, body.input_types)
        steps = scan_steps(inputs, self.slice_axes)
        results = body.output_types
        assert results[: self.carried] == given[len(sliced) :][: self.carried], "what is carried keeps its type"
        stacked = zip(results[self.carried :], self.stack_axes, strict=True)
        return (*results[: self.carried], *(insert_axis(x, axis, steps) for x, axis in stacked))

    def turns(self, inputs: Types) -> Size:
        return scan_steps(inputs, self.slice_axes)


@dataclass(frozen=True)
class While(Control):
    """Runs `body` while one of the carried values is true, which is asked before each run, and `limit` times at most.

    Inputs: the first values of what is carried; what is the same in every run. Outputs: the last values of what is
    carried. `condition` is the number, among the carried values, of a bool of shape [].
    """

    body: Any  # of Part
    carried: int
    condition: int
    limit: int

    def infer(self, *inputs: TensorType) -> Types:
        body: Part = self.body
        assert inputs == body.input_types, (inputs, body.input_types)
        assert body.output_types == inputs[: self.carried], "what is carried keeps its type"
        assert inputs[self.condition] == TensorType((), "bool"), inputs[self.condition]
        return body.output_types

    def turns(self, inputs: Types) -> Size:
        return self.limit


@dataclass(frozen=True)
class Cond(Control):
    """Runs one of `branches`: the first input says which, a bool of shape [] (the first branch is that of false) or an
    integer of shape []. The other inputs are what all branches read."""

    branches: tuple[Any, ...]  # of Part
    bodies = ("branches",)

    def infer(self, *inputs: TensorType) -> Types:
        which, *operands = inputs
        if which.shape != () or which.dtype not in ("bool", *INTEGERS):
            raise ShapeError(f"which branch is taken is said by one bool or integer, of shape [], not by {which}")
        if which.dtype == "bool" and len(self.branches) != 2:
            raise ShapeError(f"a bool chooses between 2 branches, not {len(self.branches)}")
        first: Part = self.branches[0]
        for branch in self.branches:
            assert branch.input_types == tuple(operands), (branch.input_types, operands)
            assert branch.output_types == first.output_types, "all branches give the same types"
        return first.output_types

    def index_bounds(self, inputs: Types) -> Mapping[int, Size]:
        return {} if inputs[0].dtype == "bool" else {0: len(self.branches)}

    def forward_parts(self) -> Iterator[tuple[Any, int]]:
        yield from ((part, 1) for part in self.parts())


@dataclass(frozen=True)
class CustomGradient(Control):
    """Runs `body`, whose gradient is what `backward` says instead of its true one.

    `backward` reads the operands, the outputs, and the cotangents of those outputs that are of the float type; it gives
    the cotangents of those operands that are of the float type.
    """

    body: Any  # of Part
    backward: Any  # of Part
    bodies = ("body", "backward")

    def infer(self, *inputs: TensorType) -> Types:
        body: Part = self.body
        backward: Part = self.backward
        results = body.output_types
        assert inputs == body.input_types, (inputs, body.input_types)
        assert backward.input_types == (*inputs, *results, *floats(results)), backward.input_types
        assert backward.output_types == floats(inputs), backward.output_types
        return results

    def forward_parts(self) -> Iterator[tuple[Any, int]]:
        yield self.body, 0


def floats(types: Sequence[TensorType]) -> Types:
    """Those of the float type, which alone have a gradient."""
    return tuple(x for x in types if x.dtype == "float")


def scan_steps(inputs: Sequence[TensorType], axes: Sequence[int]) -> Size:
    """How many steps there are: the one size of what is sliced. Raises ShapeError where sizes differ."""
    sizes = [x.shape[axis] for x, axis in zip(inputs, axes, strict=False)]
    for x, size in zip(inputs, sizes, strict=False):
        if not compare(size, "==", sizes[0]):
            first, other = format_shape(inputs[0].shape), format_shape(x.shape)
            raise ShapeError(f"scan walks along one size: {sizes[0]} of {first}, {size} of {other}")
    return sizes[0]


def remove_axis(x: TensorType, axis: int) -> TensorType:
    """The type of one slice along `axis`."""
    return x.with_shape(x.shape[:axis] + x.shape[axis + 1 :])


def insert_axis(x: TensorType, axis: int, size: Size) -> TensorType:
    """The type of `size` of them stacked along `axis`."""
    return x.with_shape((*x.shape[:axis], size, *x.shape[axis:]))


def _order(size: Size) -> float:
    symbols = dict.fromkeys(size.symbols() if isinstance(size, Dim) else (), _LARGE)
    return float(evaluate(size, symbols))
