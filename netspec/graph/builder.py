"""The Builder: layers call it to emit primitives and to ask for parameters; it keeps types and paths right."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol

from netspec.errors import NetspecError, ShapeError, nearest
from netspec.graph.control_flow import ControlFlow
from netspec.graph.dims import Size, bounds, format_shape, is_symbol
from netspec.graph.folding import Computed, computed
from netspec.graph.graph import (
    Buffer,
    Call,
    Graph,
    Input,
    LayerConfiguration,
    Node,
    Origin,
    Output,
    Param,
    Requirement,
    Value,
)
from netspec.graph.indices import index_requirements
from netspec.graph.ops import Op
from netspec.graph.types import DType, TensorType, check_type

NO_VALUES: Mapping[str, Value] = MappingProxyType({})


class Expandable(LayerConfiguration, Protocol):
    """A layer as the Builder needs it: it emits its body."""

    @property
    def expand(self) -> Callable[..., Value | tuple[Value, ...]]: ...


@dataclass
class Entry:
    """The entry of a spec that is being expanded: where it stands and what it says of its parameters.

    `initializers` replaces a parameter's own, and must name parameters of the layer; `inherited` goes behind it and
    need not. `frozen` answers for the full path of a parameter, `fixed` for that of a buffer; `tied` gives the path of
    another parameter to use instead. `shared` says that the entry is applied once more, with the parameters and buffers
    that it has.
    """

    origin: Origin
    frozen: Callable[[str], bool] = lambda path: False
    fixed: Callable[[str], bool] = lambda path: False
    initializers: Mapping[str, Any] = field(default_factory=dict)
    inherited: Mapping[str, Any] = field(default_factory=dict)
    tied: Mapping[str, str] = field(default_factory=dict)
    shared: bool = False

    def path_of(self, name: str) -> str:
        """The path of this entry's parameter or buffer `name`: the entry's own where the name is empty."""
        return f"{self.origin.path}.{name}" if name else self.origin.path


@dataclass
class _OpenCall:
    """What is collected while one layer is expanded."""

    entry: Entry
    body: list[Node] = field(default_factory=list)
    params: dict[str, Value] = field(default_factory=dict)
    buffers: dict[str, Value] = field(default_factory=dict)
    updates: dict[str, Value] = field(default_factory=dict)


class Builder(ControlFlow):
    """Builds one Graph. `training` is which of a spec's two graphs; layers such as dropout read it."""

    def __init__(self, name: str, training: bool = False) -> None:
        self.name = name
        self.training = training
        self._inputs: list[Input] = []
        self._state: dict[str, Param | Buffer] = {}
        self._aliases: dict[str, str] = {}  # the own paths of tied parameters
        self._current: dict[str, Value] = {}  # the latest value of each buffer
        self._nodes: list[Node | Call] = []
        self._producers: dict[Value, Node] = {}
        self._requirements: dict[tuple[Size, int, str], Requirement] = {}  # one of each layer: it may be pruned
        self._call: _OpenCall | None = None

    # The frame of the graph.

    def input(self, name: str, type: TensorType, origin: Origin | None = None, default: float | None = None) -> Value:
        """A named input of the graph; `default` fills it where a call leaves it out."""
        value = Value(check_type(type), origin or Origin(name, None), self)
        self._inputs.append(Input(name, value, default))
        return value

    def symbols(self) -> set[str]:
        """The symbols that some input shows the size of which every call is given."""
        given = (entry for entry in self._inputs if entry.default is None)
        return {name for entry in given for name in map(is_symbol, entry.value.shape) if name is not None}

    def call(
        self, layer: Expandable, entry: Entry, inputs: Sequence[Value], optional: Mapping[str, Value] = NO_VALUES
    ) -> tuple[Value, ...]:
        """Expand `layer` on its required inputs and the optional ones that are given; return the Call's outputs."""
        assert self._call is None, "calls do not nest: a layer that uses another one expands it in its own body"
        self._call = _OpenCall(entry)
        try:
            result = layer.expand(self, *inputs, **optional)
            opened = self._call
        finally:
            self._call = None
        outputs = result if isinstance(result, tuple) else (result,)
        for key, given in (("init", entry.initializers), ("tie", entry.tied)):
            unknown = [name for name in given if name not in opened.params]
            if unknown:
                names = ", ".join(opened.params) or "none"
                hint = nearest(unknown[0], opened.params)
                raise NetspecError(f"{key} of {unknown[0]}: its parameters are {names}{hint}")
        self._nodes.append(
            Call(
                layer=layer,
                origin=entry.origin,
                inputs=(*inputs, *optional.values()),
                params=opened.params,
                buffers=opened.buffers,
                body=tuple(opened.body),
                outputs=outputs,
                updates=opened.updates,
                optional=tuple(optional),
            )
        )
        return outputs

    @contextmanager
    def collecting(self, where: str) -> Iterator[list[Node | Call]]:
        """What is emitted within it becomes the nodes of a body; a NetspecError where it updates buffers."""
        outside, moved, call = self._nodes, dict(self._current), self._call
        self._nodes = []
        nodes: list[Any] = self._nodes
        layer: list[Node] = []
        if call is not None:  # a layer opens a body of primitives in its own
            layer, nodes = call.body, []
            call.body = nodes
        try:
            yield nodes
        finally:
            self._nodes = outside
            if call is not None:
                call.body = layer
        for path, value in self._current.items():
            if value is not moved.get(path, self._state[path].value):
                origin = self._state[path].value.origin
                message = f"{path} would be updated {where}, which is not supported: freeze it"
                raise NetspecError(message, origin.location if origin else None)

    def inner(self, type: TensorType, origin: Origin | None = None) -> Value:
        """A value that a body is given."""
        return Value(check_type(type), origin or self._open().entry.origin, self)

    def finish(self, outputs: Mapping[str, Value]) -> Graph:
        """The graph with these outputs, in this order. Raises ShapeError where an index that it computes is never in
        range."""
        for alias in self._aliases:
            if alias in self._state:
                raise NetspecError(f"two parameters would have the path {alias}")
        for requirement in index_requirements(self._nodes):
            self._note(requirement)
        updates = {path: value for path, value in self._current.items() if value is not self._state[path].value}
        return Graph(
            name=self.name,
            training=self.training,
            inputs=tuple(self._inputs),
            state=tuple(self._state[path] for path in state_dict_order(self._state)),
            nodes=tuple(self._nodes),
            outputs=tuple(Output(name, value) for name, value in outputs.items()),
            updates=updates,
            requirements=tuple(self._requirements.values()),
            aliases=self._aliases,
        )

    # Parameters and buffers of the layer that is being expanded.

    def param(
        self,
        name: str,
        shape: Sequence[Size],
        initializer: Any,
        *,
        fan: tuple[int, int] | None = None,
        zero_row: int | None = None,
    ) -> Value:
        """The parameter `name` of this layer, of a shape without symbols, at first drawn by `initializer`.

        Without a name its path is the entry's own. Where `initializer` is None the entry must give one. `fan` is
        (fan_in, fan_out) where it is not that of torch's layout; `zero_row` is a row that starts at zero.
        """
        call = self._open()
        entry = call.entry
        path = entry.tied.get(name, entry.path_of(name))
        self._check_numbers(name, shape)
        existing = self._existing(entry, name, path, shape)
        if existing is None:
            value = Value(check_type(TensorType(tuple(shape))), Origin(path, entry.origin.location), self)
            chosen = entry.initializers.get(name, entry.inherited.get(name, initializer))
            if chosen is None:
                raise NetspecError("init is required: such as init: zeros, or init: {type: normal, std: 0.02}")
            existing = self._state[path] = Param(path, value, chosen, not entry.frozen(path), fan, zero_row)
        if name in entry.tied:
            self._aliases[entry.path_of(name)] = path
        call.params[name] = existing.value
        return existing.value

    def buffer(self, name: str, shape: Sequence[Size], initializer: Any, dtype: DType = "float") -> Value:
        """The present value of the buffer `name` of this layer: the last update where it was updated before."""
        call = self._open()
        path = call.entry.path_of(name)
        self._check_numbers(name, shape)
        if self._existing(call.entry, name, path, shape) is None:
            type = check_type(TensorType(tuple(shape), dtype))
            value = Value(type, Origin(path, call.entry.origin.location), self)
            self._state[path] = Buffer(path, value, initializer)
            self._current[path] = value
        call.buffers[name] = self._current[path]
        return self._current[path]

    def _existing(self, entry: Entry, name: str, path: str, shape: Sequence[Size]) -> Param | Buffer | None:
        """What has this path already, which is an error unless it is meant."""
        existing = self._state.get(path)
        if existing is None:
            if entry.shared:
                raise NetspecError(f"applied once more it would need {path}, which it does not have")
            return None
        if name in entry.tied:
            word = f"{name} is tied to {path}"
        elif existing.value.origin == Origin(path, entry.origin.location):
            word = f"{name} is shared"
        else:
            raise NetspecError(f"two parameters would have the path {path}")
        if existing.value.shape != tuple(shape):
            wanted, has = format_shape(tuple(shape)), format_shape(existing.value.shape)
            raise ShapeError(f"{word}, which has the shape {has}, but {wanted} is needed here")
        return existing

    def has_param(self, path: str) -> bool:
        """Whether there is a parameter with this path."""
        return isinstance(self._state.get(path), Param)

    def param_paths(self) -> list[str]:
        """The paths of all parameters so far."""
        return [path for path, held in self._state.items() if isinstance(held, Param)]

    def update(self, name: str, value: Value) -> None:
        """The new value of the buffer `name`, for what comes later and for the next call of the model."""
        call = self._open()
        path = call.entry.path_of(name)
        assert value.type == self._current[path].type, (path, value)
        self._current[path] = value
        call.updates[name] = value

    def fixed(self, name: str) -> bool:
        """Whether the buffer `name` of this layer is frozen: training neither moves it nor looks past it."""
        entry = self._open().entry
        return entry.fixed(entry.path_of(name))

    def computed(self, x: Value) -> Computed:
        """The initialiser that gives what `x` is, for a buffer. Raises NetspecError unless `x` is a constant."""
        return computed(x, self._producers)

    def require(self, size: Size, at_least: int, message: str) -> None:
        """Have every call refuse a size below `at_least`; nothing where no size of its symbols is."""
        if bounds(size)[0] < at_least:
            self._note(Requirement(size, at_least, message, self._open().entry.origin))

    def _note(self, requirement: Requirement) -> None:
        key = requirement.size, requirement.at_least, requirement.origin.path
        self._requirements.setdefault(key, requirement)

    def apply_all(self, op: Op, *inputs: Value) -> tuple[Value, ...]:
        """Emit a primitive with any number of outputs."""
        return self.emit(op, inputs, None)

    def emit(self, op: Op, inputs: Sequence[Value], origin: Origin | None) -> tuple[Value, ...]:
        """Emit a primitive that `origin` wrote; None where that is the layer that is being expanded."""
        types = op.infer(*(value.type for value in inputs))
        origin = self._call.entry.origin if self._call else origin
        outputs = tuple(Value(check_type(type), origin, self) for type in types)
        for type in types if self._call else ():  # elsewhere a value has sizes that a layer has seen
            for size in type.shape:
                if not isinstance(size, int) and not is_symbol(size) and bounds(size)[0] < 1:
                    self.require(size, 1, "nothing is left of a dimension: its size is {size}")
        node = Node(op, tuple(inputs), outputs)
        self._producers.update(dict.fromkeys(outputs, node))
        if self._call is None:
            self._nodes.append(node)
        else:
            self._call.body.append(node)
        return outputs

    def _open(self) -> _OpenCall:
        assert self._call is not None, "parameters belong to a layer"
        return self._call

    @staticmethod
    def _check_numbers(name: str, shape: Sequence[Size]) -> None:
        for size in shape:
            if not isinstance(size, int):
                raise NetspecError(f"{name or 'it'} would have a size of {size}: a parameter's sizes must be numbers")


def state_dict_order(paths: Iterable[str]) -> list[str]:
    """Paths in the order of a torch module's state dict: a module's own tensors, then its children as they came."""
    children: dict[str, list[str]] = {}
    own: list[str] = []
    for path in paths:
        head, dot, rest = path.partition(".")
        if dot:
            children.setdefault(head, []).append(rest)
        else:
            own.append(path)
    return own + [f"{head}.{path}" for head, rests in children.items() for path in state_dict_order(rests)]
