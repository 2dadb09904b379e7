"""What a value is computed from, where that is constants alone: the value that a buffer of a spec starts from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from netspec.errors import NetspecError
from netspec.graph.dims import Dim
from netspec.graph.graph import Node, Value
from netspec.graph.ops import (
    Abs,
    Add,
    And,
    Arange,
    Array,
    Cast,
    Concat,
    Constant,
    Cos,
    Cumsum,
    Div,
    Equal,
    Exp,
    Expand,
    Expm1,
    Flip,
    Gather,
    GatherAlong,
    Greater,
    Log,
    Log1p,
    Maximum,
    Minimum,
    Mul,
    Not,
    NumberLike,
    OneHot,
    Op,
    Or,
    Pad,
    Permute,
    Positions,
    Pow,
    Reshape,
    Rsqrt,
    Select,
    Sin,
    Slice,
    Sqrt,
    Sub,
    Tanh,
    Where,
)

# What may stand between constants and a buffer; netspec.weights.constants computes each of them.
FOLDABLE: tuple[type[Op], ...] = (
    *(Constant, Array, Arange, NumberLike, Positions),
    *(Expand, Reshape, Permute, Concat, Slice, Flip, Pad, Select, Gather, GatherAlong, OneHot),
    *(Add, Sub, Mul, Div, Pow, Maximum, Minimum, Cast, Cumsum),
    *(Exp, Log, Expm1, Log1p, Sin, Cos, Sqrt, Rsqrt, Tanh, Abs),
    *(Greater, Equal, And, Or, Not, Where),
)


@dataclass(frozen=True)
class Computed:
    """The initialiser of a buffer: primitives in order, each with the positions of those it reads; the last is it."""

    steps: tuple[tuple[Op, tuple[int, ...]], ...]

    def __str__(self) -> str:
        return f"computed({', '.join(op.name for op, _ in self.steps)})"


def computed(x: Value, producers: Mapping[Value, Node]) -> Computed:
    """How `x` is computed. Raises NetspecError where it depends on anything but constants, or on a symbolic size."""
    steps: list[tuple[Op, tuple[int, ...]]] = []
    places: dict[Value, int] = {}
    waiting = [x]
    while waiting:
        value = waiting[-1]
        node = _constant(value, producers.get(value))
        missing = [each for each in node.inputs if each not in places]
        if missing:
            waiting += missing
            continue
        waiting.pop()
        if value not in places:
            places[value] = len(steps)
            steps.append((node.op, tuple(places[each] for each in node.inputs)))
    return Computed(tuple(steps))


def _constant(value: Value, node: Node | None) -> Node:
    """The node that computes `value`, or a NetspecError where what it computes is no constant."""
    source = value.origin.path if value.origin else "it"
    if node is None:
        raise NetspecError(f"its input must be a constant, and {source} is an input, a parameter or a buffer")
    if not isinstance(node.op, FOLDABLE):
        words = ", ".join(op.__name__ for op in FOLDABLE)
        raise NetspecError(
            f"its input must be a constant, and {source} is computed by {node.op.name}, which is not among {words}"
        )
    if any(isinstance(size, Dim) for size in (*value.shape, *vars(node.op).values())):
        raise NetspecError(f"its input must be the same in every call, and {source} depends on a symbolic size")
    return node
