"""What a backend is: the protocol, discovery by entry points, and the one interpreter that all of them share."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, get_args

from netspec.branches import NO_BRANCHES, Branches
from netspec.errors import BackendError, nearest
from netspec.graph import ops
from netspec.graph.dims import Dim, Size, evaluate
from netspec.graph.graph import Body, Call, Graph, GraphPair, Node, Value, all_primitives
from netspec.graph.ops.base import Op

if TYPE_CHECKING:
    from netspec.model import Model

ENTRY_POINTS = "netspec.backends"

FloatType = Literal["float32", "float64", "float16", "bfloat16"]
FLOAT_TYPES: tuple[FloatType, ...] = get_args(FloatType)
Lowerings = Mapping[type[Op], Callable[..., Any]]
# A fused form gets the call, its required inputs in order, the optional ones that are given by name, and its parameters
# and buffers by local name. It returns the output (a tuple of several), with the updates by local name behind it where
# the call has updates and the framework's buffers do not change in place: (outputs, updates). NotImplemented means:
# run the body.
Fused = Mapping[type, Callable[..., Any]]


class Backend(ABC):
    """A target. One instance stands in each adapter package as `backend` and imports its framework when it compiles.

    `lowerings` maps every primitive to a native function, `fused` a layer type to a native form of the whole layer,
    `gaps` names the primitives that are missing, each with its reason. Tables that are given stand in for the package's
    own, as the tests do to plant a mistake.
    """

    name: str
    extra: str  # the extra of the distribution that installs the framework
    requires: tuple[str, ...]  # modules that must be importable
    # Installed packages whose version `netspec backends` prints: the first that is there.
    distributions: tuple[str, ...]
    inference_only: bool = False
    float_types: tuple[FloatType, ...] = FLOAT_TYPES  # what its models compute in; the first where another is asked for

    def __init__(self, lowerings: Lowerings | None = None, fused: Fused | None = None) -> None:
        self._lowerings = lowerings
        self._fused = fused

    @property
    def lowerings(self) -> Lowerings:
        """The table of primitives in use."""
        return self.own_lowerings() if self._lowerings is None else self._lowerings

    @property
    def fused(self) -> Fused:
        """The table of fused forms in use."""
        return self.own_fused() if self._fused is None else self._fused

    @abstractmethod
    def own_lowerings(self) -> Lowerings:
        """The package's table of primitives; imports the framework."""

    @abstractmethod
    def own_fused(self) -> Fused:
        """The package's table of fused forms; imports the framework."""

    @property
    def gaps(self) -> Mapping[type[Op], str]:
        """Primitives that the backend does not have, each with the reason."""
        return {}

    @abstractmethod
    def compile(
        self, graphs: GraphPair, weights: Mapping[str, Any], dtype: FloatType = "float32", device: str | None = None
    ) -> Model:
        """The native model of `graphs`, holding `weights` (NumPy arrays by path, canonical layout).

        Raises BackendError where the framework cannot do what is asked.
        """

    def check(self, graphs: GraphPair) -> None:
        """A BackendError with the place of the first primitive that is a gap of this backend."""
        for graph in (graphs.inference,) if self.inference_only else (graphs.inference, graphs.training):
            for node in graph.all_primitives():
                if type(node.op) in self.gaps:
                    origin = node.outputs[0].origin
                    where = f"{origin.path}: " if origin else ""
                    message = f"{where}backend {self.name} has no {node.op.name}: {self.gaps[type(node.op)]}"
                    raise BackendError(message, origin.location if origin else None)

    def export(
        self,
        graphs: GraphPair,
        weights: Mapping[str, Any],
        path: str | os.PathLike[str],
        *,
        external_data: bool = False,
    ) -> None:
        """Write the model as a file, where that is what the backend makes. Raises BackendError."""
        raise BackendError(f"backend {self.name} writes no file")

    @property
    def branches(self) -> Branches:
        """The ways of the lowerings that depend on the dtype or on what the framework has here."""
        return NO_BRANCHES

    def environment(self, dtype: FloatType) -> Mapping[str, str]:
        """Environment variables for a process that compares: full precision, on the CPU."""
        return {}

    @cached_property
    def missing(self) -> tuple[str, ...]:
        """The modules of `requires` that are not installed; none of them is imported."""
        return tuple(module for module in self.requires if importlib.util.find_spec(module) is None)

    @property
    def version(self) -> str | None:
        """The version of the framework, read without importing it."""
        for distribution in self.distributions:
            try:
                return importlib.metadata.version(distribution)
            except importlib.metadata.PackageNotFoundError:
                continue
        return None

    def require_float_type(self, dtype: FloatType) -> None:
        """Raises BackendError for a float type that its models do not compute in."""
        if dtype not in self.float_types:
            raise BackendError(f"backend {self.name} computes in {' and '.join(self.float_types)}, not in {dtype}")

    def require_installed(self) -> Backend:
        """The backend itself, or a BackendError that names the extra to install."""
        if self.missing:
            raise BackendError(
                f"backend {self.name} needs {' and '.join(self.missing)}: pip install 'netspec-nn[{self.extra}]'"
            )
        return self


def backends() -> dict[str, Backend]:
    """All backends that are known, installed or not, by name; no framework is imported."""
    return {name: _load(point) for name, point in sorted(_entry_points().items())}


def find_backend(name: str) -> Backend:
    """The backend `name`, installed; a BackendError otherwise."""
    points = _entry_points()
    if name not in points:
        raise BackendError(f"there is no backend {name}: known are {', '.join(sorted(points))}{nearest(name, points)}")
    return _load(points[name]).require_installed()


def _entry_points() -> dict[str, importlib.metadata.EntryPoint]:
    return {point.name: point for point in importlib.metadata.entry_points(group=ENTRY_POINTS)}


def _load(point: importlib.metadata.EntryPoint) -> Backend:
    try:
        loaded = point.load()
    except (ImportError, AttributeError) as error:
        raise BackendError(f"backend {point.name} cannot be loaded from {point.value}: {error}") from error
    if not isinstance(loaded, Backend):
        raise BackendError(f"backend {point.name}: {point.value} is no instance of netspec.backend.Backend")
    return loaded


@dataclass
class Results:
    """What a run of a graph gives: outputs by name, new values of buffers by path."""

    outputs: dict[str, Any]
    updates: dict[str, Any]


class BodyFunction:
    """A body of control flow as a lowering gets it: a function from its inputs, in order, to the tuple of its outputs.

    `body` has their types; an output may be a plain number, as a Constant may be one. `symbols` are the names of those
    that it needs the sizes of: they are looked up before the lowering is called, outside of what a framework traces
    for the body.
    """

    def __init__(self, body: Body, around: _Run) -> None:
        self.body = body
        self.around = around
        found: set[str] = set()

        def look_up(size: Size) -> int:
            found.update(size.symbols() if isinstance(size, Dim) else ())
            return 1

        for node in all_primitives(body.nodes):
            node.op.attributes(look_up)
        self.symbols = tuple(sorted(found))
        self.sizes = {name: around.symbols[name] for name in self.symbols}

    def __call__(self, *inputs: Any) -> tuple[Any, ...]:
        return self.run(inputs, self.sizes)

    def run(self, inputs: Sequence[Any], sizes: Mapping[str, Any]) -> tuple[Any, ...]:
        """The same with `sizes` of symbols in place of those that were looked up."""
        inner = _Run(self.around.lowerings, self.around.fused, sizes)
        inner.values.update(zip(self.body.inputs, inputs, strict=True))
        for node in self.body.nodes:
            inner.step(node)
        return tuple(inner.values[value] for value in self.body.outputs)


@dataclass
class _Run:
    lowerings: Lowerings
    fused: Fused
    symbols: Mapping[str, Any]
    values: dict[Value, Any] = field(default_factory=dict)

    def step(self, node: Node | Call) -> None:
        if isinstance(node, Call):
            self.call(node)
        else:
            self.node(node)

    def sizes(self, size: Size) -> Any:
        return evaluate(size, self.symbols)

    def call(self, call: Call) -> None:
        # A layer without a body hands its inputs on: what it gives is the same value, and no form may change that.
        form = None if call.noise or not call.body else self.fused.get(type(call.layer))
        if form is None or not self._run_fused(call, form):
            for node in call.body:
                self.node(node)

    def node(self, node: Node) -> None:
        lowering = self.lowerings.get(type(node.op))
        if lowering is None:
            origin = node.outputs[0].origin
            where = f"{origin.path}: " if origin else ""
            raise BackendError(f"{where}this backend has no {node.op.name}", origin.location if origin else None)
        inputs = [self.values[value] for value in node.inputs]
        if isinstance(node.op, ops.Control):
            result = lowering(*inputs, **vars(node.op) | node.op.changed_parts(self.function))
            self.values.update(zip(node.outputs, result, strict=True))
            return
        result = lowering(*inputs, **node.op.attributes(self.sizes))
        if len(node.outputs) == 1:
            self.values[node.outputs[0]] = result
        else:
            self.values.update(zip(node.outputs, result, strict=True))

    def function(self, body: Body) -> BodyFunction:
        return BodyFunction(body, self)

    def _run_fused(self, call: Call, form: Callable[..., Any]) -> bool:
        state = {name: self.values[value] for name, value in (*call.params.items(), *call.buffers.items())}
        given = [self.values[value] for value in call.inputs]
        required = len(given) - len(call.optional)
        by_name = dict(zip(call.optional, given[required:], strict=True))
        result = form(call, *given[:required], **by_name, **state)
        if result is NotImplemented:
            return False
        updates: Mapping[str, Any] = {}
        if call.updates:
            result, updates = result
        outputs = result if len(call.outputs) > 1 else (result,)
        self.values.update(zip(call.outputs, outputs, strict=True))
        for name, value in call.updates.items():
            # A framework that changes buffers in place returns no update: the buffer itself is the new value.
            self.values[value] = updates.get(name, state[name])
        return True


def run(
    graph: Graph,
    lowerings: Lowerings,
    fused: Fused,
    inputs: Mapping[str, Any],
    state: Mapping[str, Any],
    size_of: Callable[[Any, int], Any],
) -> Results:
    """Run `graph` with a backend's tables: `inputs` by name, `state` (parameters and buffers) by path.

    Works on whatever the tables work on: arrays, tracers, graph proxies. `size_of(x, axis)` gives the size of an
    input in the same world; it is asked only for symbolic sizes that an attribute needs.
    """
    symbols = _Symbols(graph, inputs, size_of)
    runner = _Run(lowerings, fused, symbols)
    for entry in graph.inputs:
        runner.values[entry.value] = inputs[entry.name]
    for held in graph.state:
        runner.values[held.value] = state[held.path]
    for node in graph.nodes:
        runner.step(node)
    return Results(
        {output.name: runner.values[output.value] for output in graph.outputs},
        {path: runner.values[value] for path, value in graph.updates.items()},
    )


class _Symbols(dict[str, Any]):
    """The sizes of this run, looked up when first asked for, so that a traced graph holds no size it does not use."""

    def __init__(self, graph: Graph, inputs: Mapping[str, Any], size_of: Callable[[Any, int], Any]) -> None:
        super().__init__()
        self._sources = graph.symbols()
        self._inputs = inputs
        self._size_of = size_of

    def __missing__(self, name: str) -> Any:
        entry, axis = self._sources[name]
        self[name] = self._size_of(self._inputs[entry.name], axis)
        return self[name]
