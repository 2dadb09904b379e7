"""The Graph: typed primitives in order, one Call for each layer kept whole, parameters and buffers by path."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from netspec.errors import Location
from netspec.graph.dims import Size, is_symbol
from netspec.graph.ops.base import Op
from netspec.graph.ops.control import Control
from netspec.graph.types import TensorType

if TYPE_CHECKING:
    from netspec.graph.builder import Builder


class LayerConfiguration(Protocol):
    """What the graph knows of a layer: the word that names its type."""

    @property
    def type(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Origin:
    """The entry of the spec that made a value: its path and place."""

    path: str
    location: Location | None


class Value:
    """One tensor of a graph, equal to itself only. While a layer is expanded, arithmetic on it adds primitives."""

    __slots__ = ("builder", "origin", "type")

    def __init__(self, type: TensorType, origin: Origin | None = None, builder: Builder | None = None) -> None:
        self.type = type
        self.origin = origin
        self.builder = builder

    @property
    def shape(self) -> tuple[Any, ...]:
        return self.type.shape

    def __reduce__(self) -> tuple[Any, ...]:
        return Value, (self.type, self.origin)

    def __repr__(self) -> str:
        return f"<{self.origin.path if self.origin else 'value'}: {self.type}>"

    def _build(self) -> Builder:
        assert self.builder is not None, "arithmetic on the values of a finished graph"
        return self.builder

    def __add__(self, other: Value | float) -> Value:
        return self._build().add(self, other)

    def __sub__(self, other: Value | float) -> Value:
        return self._build().sub(self, other)

    def __mul__(self, other: Value | float) -> Value:
        return self._build().mul(self, other)

    def __truediv__(self, other: Value | float) -> Value:
        return self._build().div(self, other)

    def __radd__(self, other: float) -> Value:
        return self._build().add(other, self)

    def __rsub__(self, other: float) -> Value:
        return self._build().sub(other, self)

    def __rmul__(self, other: float) -> Value:
        return self._build().mul(other, self)

    def __rtruediv__(self, other: float) -> Value:
        return self._build().div(other, self)


@dataclass(frozen=True, eq=False)
class Input:
    """A named input of the graph; `default` fills it where a call leaves it out."""

    name: str
    value: Value
    default: float | None = None


@dataclass(frozen=True, eq=False)
class Param:
    """A parameter: saved, and trained unless frozen.

    `permutation` is how an adapter stores it: stored axis k is axis `permutation[k]` of the canonical (torch's)
    layout that every file and every user sees; None is canonical.
    """

    path: str
    value: Value
    initializer: Any
    trainable: bool = True
    fan: tuple[int, int] | None = None
    zero_row: int | None = None
    permutation: tuple[int, ...] | None = None


@dataclass(frozen=True, eq=False)
class Buffer:
    """A tensor that is saved but never trained, such as a running mean."""

    path: str
    value: Value
    initializer: Any


@dataclass(frozen=True, eq=False)
class Output:
    """A named output of the graph."""

    name: str
    value: Value


@dataclass(frozen=True, eq=False)
class Node:
    """One primitive applied."""

    op: Op
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]


@dataclass(frozen=True, eq=False)
class Call:
    """One layer applied: its configuration, and its body, so that a backend may run a fused form instead.

    The body reads `inputs`, `params`, `buffers` (both by local name: `weight`, `running_mean`) and its own values;
    `outputs` and `updates` (new values of buffers, by local name) are all that others may read of it.
    The last of `inputs` are those that `optional` names: of a layer's optional inputs the ones that are given.
    `noise` are random numbers that come from outside instead of the body's own generator: then the body runs, as no
    fused form takes them. `channels_last` says that its values `[batch, channels, *spatial]` are held as
    `[batch, *spatial, channels]`.
    """

    layer: LayerConfiguration
    origin: Origin
    inputs: tuple[Value, ...]
    params: Mapping[str, Value]
    buffers: Mapping[str, Value]
    body: tuple[Node, ...]
    outputs: tuple[Value, ...]
    updates: Mapping[str, Value]
    noise: tuple[Value, ...] = ()
    channels_last: bool = False
    optional: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        return self.origin.path


@dataclass(frozen=True, eq=False)
class Body:
    """What a primitive of control flow runs. `inputs` are its own values, and behind them values of the graph around it
    that it reads as they are. Inside a layer its nodes are primitives alone."""

    inputs: tuple[Value, ...]
    nodes: tuple[Node | Call, ...]
    outputs: tuple[Value, ...]

    @property
    def input_types(self) -> tuple[TensorType, ...]:
        return tuple(value.type for value in self.inputs)

    @property
    def output_types(self) -> tuple[TensorType, ...]:
        return tuple(value.type for value in self.outputs)

    def cost(self, rule: str) -> Size:
        """What one run costs by the rule `macs` or `elementwise` of the primitives."""
        total: Size = 0
        for node in primitives(self.nodes):
            types = (tuple(value.type for value in values) for values in (node.inputs, node.outputs))
            total = total + getattr(node.op, rule)(*types)
        return total


@dataclass(frozen=True, eq=False)
class Requirement:
    """Something that only the sizes of a call can tell: `size >= at_least`, else `message` is the user's mistake.

    `{size}` in the message stands for what the call makes of `told`, or of `size` where that is None.
    """

    size: Any
    at_least: int
    message: str
    origin: Origin
    told: Any = None


@dataclass(frozen=True, eq=False)
class Graph:
    """A model in one mode: nodes in order of running.

    `state` is all that a weights file holds, in the order of torch's state dict; `params` and `buffers` are its parts.
    `updates` holds the new value of each buffer that the pass changes, by the buffer's path.
    `aliases` maps the own path of each tied parameter to the path of the one that it is.
    """

    name: str
    training: bool
    inputs: tuple[Input, ...]
    state: tuple[Param | Buffer, ...]
    nodes: tuple[Node | Call, ...]
    outputs: tuple[Output, ...]
    updates: Mapping[str, Value] = field(default_factory=dict)
    requirements: tuple[Requirement, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def params(self) -> tuple[Param, ...]:
        return tuple(held for held in self.state if isinstance(held, Param))

    @cached_property
    def buffers(self) -> tuple[Buffer, ...]:
        return tuple(held for held in self.state if isinstance(held, Buffer))

    def primitives(self) -> Iterator[Node]:
        """All primitives in order, the bodies of calls included; one of control flow is one."""
        return primitives(self.nodes)

    def all_primitives(self) -> Iterator[Node]:
        """All primitives in order, those that control flow runs among them, behind the one that runs them."""
        return all_primitives(self.nodes)

    def calls(self) -> Iterator[Call]:
        """All layers in order, without those that control flow runs."""
        return (node for node in self.nodes if isinstance(node, Call))

    def all_calls(self) -> Iterator[Call]:
        """All layers in order, those that control flow runs among them."""
        return (call for call, _ in self.calls_and_steps())

    def calls_and_steps(self) -> Iterator[tuple[Call, Size]]:
        """All layers in order, each with how often it runs, at most."""
        return _calls(self.nodes, 1)

    def symbols(self) -> dict[str, tuple[Input, int]]:
        """For each symbolic dimension the first input, and its axis, that shows its size."""
        found: dict[str, tuple[Input, int]] = {}
        for entry in sorted(self.inputs, key=lambda entry: entry.default is not None):
            for axis, size in enumerate(entry.value.shape):
                name = is_symbol(size)
                if name is not None:
                    found.setdefault(name, (entry, axis))
        return found


@dataclass(frozen=True, eq=False)
class GraphPair:
    """The two graphs of one spec, with the same parameters and buffers: for inference and for training."""

    inference: Graph
    training: Graph

    def of(self, training: bool) -> Graph:
        return self.training if training else self.inference

    @property
    def name(self) -> str:
        return self.inference.name


def primitives(nodes: Iterable[Node | Call]) -> Iterator[Node]:
    """All primitives in order, the bodies of calls included."""
    for node in nodes:
        if isinstance(node, Call):
            yield from node.body
        else:
            yield node


def all_primitives(nodes: Iterable[Node | Call]) -> Iterator[Node]:
    """All primitives in order, those in bodies of control flow included."""
    for node in primitives(nodes):
        yield node
        if isinstance(node.op, Control):
            for part in node.op.parts():
                yield from all_primitives(part.nodes)


def _calls(nodes: Iterable[Node | Call], times: Size) -> Iterator[tuple[Call, Size]]:
    for node in nodes:
        if isinstance(node, Call):
            yield node, times
        elif isinstance(node.op, Control):
            turns = node.op.turns(tuple(value.type for value in node.inputs))
            for part, _ in node.op.forward_parts():
                yield from _calls(part.nodes, times * turns)
