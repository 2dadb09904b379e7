"""The entries of a body, in order: each is configured, wired to what it reads, and expanded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from netspec.errors import (
    MAX_SHOWN,
    LanguageError,
    Mistakes,
    NetspecError,
    ShapeError,
    nearest,
    printable,
)
from netspec.expand.configuration import configure, default_initializers, initializers
from netspec.expand.freezing import Freezing, own_frozen
from netspec.expand.names import BROKEN, Names, Result
from netspec.graph.builder import Builder, Entry
from netspec.graph.dims import format_shape
from netspec.graph.graph import Origin, Value
from netspec.language.document import Node
from netspec.language.names import check_name
from netspec.language.scope import resolved, text_of, value_of
from netspec.language.spec import EntrySpec, ModelSpec, check_type_name
from netspec.layers import LAYER_TYPES
from netspec.layers.base import Layer, input_names


class Body:
    """The expansion of one body for one mode. A mistake breaks its own entry; what reads it is passed over."""

    def __init__(
        self,
        spec: ModelSpec,
        builder: Builder,
        names: Names,
        freezing: Freezing,
        mistakes: Mistakes,
        layers: dict[str, Layer],
    ) -> None:
        self.spec = spec
        self.builder = builder
        self.names = names
        self.freezing = freezing
        self.mistakes = mistakes
        self.layers = layers
        self.paths: set[str] = set()

    def expand(self) -> dict[str, Value]:
        """The outputs by name."""
        results = list(self.names.results.values())
        previous = None if len(results) > 1 else results[0] if results else BROKEN
        for position, entry in enumerate(self.spec.layers):
            previous = self._entry(entry, position, previous)
        return self._outputs(previous or BROKEN)

    def _entry(self, entry: EntrySpec, position: int, previous: Result | None) -> Result:
        result, path = BROKEN, str(position)
        with self.mistakes.collect(entry.location):
            if entry.name is not None:
                path = self._name(entry.name)
            if path in self.paths:
                raise LanguageError(f"a second layer with the path {path}", entry.location)
            self.paths.add(path)
            with self.mistakes.collect(entry.location):
                if entry.type is not None:
                    result = self._layer(entry, entry.type, path, previous)
            if entry.name is not None:
                self.names.add(path, result)
        return result

    def _name(self, node: Node) -> str:
        """The name of an entry. Whatever is wrong with it, what reads the entry is not in error too."""
        try:
            name = text_of(node, self.names.scope, "name")
        except LanguageError:
            self.names.scope.incomplete = True
            raise
        try:
            check_name(name, "a layer", node.location)
            self.names.scope.claim(name, "a layer", node.location)
        except LanguageError:
            self.names.results.setdefault(name.partition(":")[0], BROKEN)
            raise
        return name

    def _layer(self, entry: EntrySpec, type_node: Node, path: str, previous: Result | None) -> Result:
        scope = self.names.scope
        type = check_type_name(value_of(type_node, scope), type_node.location)
        label = path if entry.name is not None else f"{path} ({type})"
        mistakes = Mistakes()
        inputs: list[Value] | None = None
        with mistakes.collect():
            if path not in self.layers:
                self.layers[path] = configure(type, entry, self.spec, scope, label)
        with mistakes.collect():
            inputs = self._inputs(entry, LAYER_TYPES[type], label, previous)
        context = Entry(Origin(path, entry.location))
        with mistakes.collect(prefix=f"{label}: "):
            own = own_frozen(entry.frozen, scope)
            context.frozen = lambda name: self.freezing.param(own, name)
            context.fixed = lambda name: self.freezing.buffer(own, name)
        with mistakes.collect():
            context.inherited = initializers(default_initializers(type, self.spec), scope, label)
            context.initializers = initializers(entry.initializers, scope, label)
        mistakes.raise_all()
        return BROKEN if inputs is None or path not in self.layers else self._call(path, context, inputs, label)

    def _call(self, path: str, context: Entry, inputs: Sequence[Value], label: str) -> Result:
        layer = self.layers[path]
        try:
            outputs = self.builder.call(layer, context, inputs)
        except NetspecError as error:
            reads = (
                "; it reads " + ", and ".join(dict.fromkeys(map(_described, inputs)))
                if isinstance(error, ShapeError)
                else ""
            )
            raise type(error)(
                m._replace(message=f"{label}: {m.message}{reads}", location=m.location or context.origin.location)
                for m in error.mistakes
            ) from None
        return Result(dict(zip(layer.ports, outputs, strict=True)))

    def _inputs(self, entry: EntrySpec, cls: type[Layer], label: str, previous: Result | None) -> list[Value] | None:
        """What an entry reads, in the order of its layer's inputs; None where something of it is in error."""
        names = input_names(cls)
        source = None if entry.source is None else resolved(entry.source, self.names.scope)
        if source is None:
            if names.variadic or len(names.required) != 1:
                what = "two inputs or more" if names.variadic else " and ".join(names.required)
                raise LanguageError(f"{label}: from is required: it reads {what}", entry.location)
            if previous is None:
                inputs = ", ".join(self.spec.inputs)
                message = f"{label}: from is required: the model has several inputs, {inputs}"
                raise LanguageError(message, entry.location)
            found = [previous]
        elif isinstance(source.value, dict):
            found = self._inputs_by_name(source, names.required, names.optional, label)
        else:
            nodes = source.value if isinstance(source.value, list) else [source]
            if not names.variadic and len(nodes) != len(names.required):
                wanted = f"{len(names.required)} ({', '.join(names.required)})"
                raise LanguageError(f"{label}: from: expected {wanted}, got {len(nodes)}", source.location)
            found = self._references(nodes, label)
        if any(result.ports is None for result in found):
            return None
        return [result.main for result in found]

    def _inputs_by_name(
        self, source: Node, required: Sequence[str], optional: Sequence[str], label: str
    ) -> list[Result]:
        assert isinstance(source.value, dict)
        known = (*required, *optional)
        for name in source.value:
            if name not in known:
                hint = nearest(name, known) or (f"; it has {', '.join(known)}" if known else "; write a list")
                raise LanguageError(f"{label}: from: there is no input {name}{hint}", source.keys[name])
        for name in required:
            if name not in source.value:
                raise LanguageError(f"{label}: from: input {name} is missing", source.location)
        return self._references([source.value[name] for name in known if name in source.value], label)

    def _references(self, nodes: Iterable[Node], label: str) -> list[Result]:
        """What each of `nodes` stands for. Raises LanguageError with the mistakes of all."""
        mistakes = Mistakes()
        found: list[Result] = []
        for node in nodes:
            result = BROKEN
            with mistakes.collect():
                result = self._reference(node, label)
            found.append(result)
        mistakes.raise_all()
        return found

    def _reference(self, node: Node, label: str) -> Result:
        """What `name` or `name:port` stands for, as a result of one port."""
        text = text_of(node, self.names.scope, f"{label}: a reference")
        name, colon, port = text.partition(":")
        result = self.names.results.get(name)
        if result is None:
            if self.names.scope.incomplete:
                return BROKEN
            message = f"{label}: there is nothing called {printable(name[:64])} above{self._hint(name, label)}"
            raise LanguageError(message, node.location)
        if result.ports is None or not colon:
            return result
        if port not in result.ports:
            known = ", ".join(result.ports)
            raise LanguageError(f"{label}: {name} has no port {printable(port[:64])}: it has {known}", node.location)
        return Result({port: result.ports[port]})

    def _hint(self, name: str, label: str) -> str:
        if len(self.mistakes.found) >= MAX_SHOWN:  # it looks at every name, for a message that nobody will see
            return ""
        if name == label:
            return "; it is this layer itself"
        if any(entry.name is not None and entry.name.value == name for entry in self.spec.layers):
            return "; it stands below, and a layer reads only what stands above it"
        return nearest(name, self.names.results)

    def _outputs(self, last: Result) -> dict[str, Value]:
        if not self.spec.outputs:
            return {} if last.ports is None else {"output": last.main}
        found: dict[str, Value] = {}
        for name, node in self.spec.outputs.items():
            key = self.spec.key("outputs", name)
            with self.mistakes.collect(key):
                check_name(name, "an output", key)
                result = self._reference(node, f"output {name}")
                if result.ports is not None:
                    found[name] = result.main
        return found


def _described(value: Value) -> str:
    """`[batch, 12] from conv1 (file:line:col)`: the other end of an edge."""
    origin = value.origin
    assert origin is not None
    where = f" ({origin.location})" if origin.location else ""
    return f"{format_shape(value.shape)} from {origin.path}{where}"
