"""What differs between two models: layers, fields, wiring, shapes, parameters, inputs and outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from netspec.analysis.fields import meaning
from netspec.graph.flow import Source, flow, path_of
from netspec.graph.graph import Buffer, Call, Graph, GraphPair, Node, Output, Param, Value
from netspec.graph.printer import describe, format_attribute

Kind = Literal["input", "layer", "param", "buffer", "output"]


@dataclass(frozen=True)
class Change:
    """One difference: what is changed of which thing, from `a` to `b`; None where it is in the other model only.

    `what` is `only in A`, `only in B`, `renamed`, or the name of a property: `type`, `inputs`, `shape`, a field.
    `mode` is `training` or `inference` where only the graphs of that mode show it.
    """

    kind: Kind
    path: str
    what: str
    a: str | None
    b: str | None
    mode: Literal["training", "inference"] | None = None

    @property
    def place(self) -> tuple[str, str, str]:
        return self.kind, self.path, self.what


def differences(a: GraphPair, b: GraphPair) -> tuple[Change, ...]:
    """All differences between two models, in the order of their graphs; nothing where they are equal but for names
    of the models.

    Layers are compared by path; one that is in either model only is taken for renamed where another one is in the
    other model only, with the same type, fields, wiring, shapes and parameters. Layers without a name, which are
    called by their position, move with what stands before them: of theirs the wiring may differ.
    """
    training = [*_Comparison(a.training, b.training).changes(), *_moved_statistics(a.training, b.training)]
    inference = [*_Comparison(a.inference, b.inference).changes()]
    told = {change.place for change in training}
    both = told & {change.place for change in inference}
    found = [change if change.place in both else replace(change, mode="training") for change in training]
    return (*found, *(replace(change, mode="inference") for change in inference if change.place not in told))


@dataclass(frozen=True)
class _Layer:
    """One application of a layer: the number of its node; a shared one has the same path again."""

    path: str
    application: int

    @property
    def is_position(self) -> bool:
        """Whether it has no name, and is called by its place among its neighbours."""
        return self.path.rpartition(".")[2].isdigit()

    def __str__(self) -> str:
        return self.path if self.application == 0 else f"{self.path} (application {self.application + 1})"


class _Side:
    """One of the two graphs, with its layers by path, and what each reads."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.reads, self.outputs = flow(graph)
        self.held: dict[Value, Param | Buffer] = {entry.value: entry for entry in graph.state}
        self.layers: dict[_Layer, int] = {}
        self.keys: list[_Layer] = []
        applied: dict[str, int] = {}
        for number, node in enumerate(graph.nodes):
            path = path_of(node)
            key = _Layer(path, applied.get(path, 0))
            applied[path] = key.application + 1
            self.layers[key] = number
            self.keys.append(key)

    def source(self, source: Source, renamed: Mapping[_Layer, _Layer]) -> str:
        """What stands for a tensor: `input x`, a layer, `encoder[1]` for a further output of one."""
        number, port = source
        if number < 0:
            return f"input {self.graph.inputs[-1 - number].name}"
        layer = renamed.get(self.keys[number], self.keys[number])
        return f"{layer}[{port}]" if port else str(layer)

    def state(self, key: _Layer) -> list[tuple[str, Param | Buffer]]:
        """The parameters and buffers of a layer by their local names."""
        node = self.graph.nodes[self.layers[key]]
        own = (*node.params.items(), *node.buffers.items()) if isinstance(node, Call) else ()
        return [(name, self.held[value]) for name, value in own if value in self.held]

    def inputs(self, number: int, renamed: Mapping[_Layer, _Layer]) -> str:
        return _joined(self.source(source, renamed) for source in self.reads[number])


class _Comparison:
    def __init__(self, a: Graph, b: Graph) -> None:
        self.a, self.b = _Side(a), _Side(b)
        self.same = {key for key in self.a.layers if key in self.b.layers and self._comparable(key)}
        self.renamed: dict[_Layer, _Layer] = {}  # from names in A to names in B
        self._find_renamed()

    def _comparable(self, key: _Layer) -> bool:
        """Whether one name means one layer: a position does not, where another type stands there now."""
        one, other = (_fields(side.graph.nodes[side.layers[key]])["type"] for side in (self.a, self.b))
        return one == other or not key.is_position

    def changes(self) -> Iterator[Change]:
        """All of one pair of graphs: inputs, layers, parameters and buffers, outputs."""
        yield from self._inputs()
        yield from self._layers()
        yield from self._state()
        yield from self._outputs()

    def _inputs(self) -> Iterator[Change]:
        a = {entry.name: str(entry.value.type) for entry in self.a.graph.inputs}
        b = {entry.name: str(entry.value.type) for entry in self.b.graph.inputs}
        yield from _by_name("input", a, b, lambda type: {"type": type}, str)
        yield from _order("input", a, b)

    def _outputs(self) -> Iterator[Change]:
        a = {entry.name: _output(entry, self.a.source(at, self.renamed)) for entry, at in self._made(self.a)}
        b = {entry.name: _output(entry, self.b.source(at, {})) for entry, at in self._made(self.b)}
        yield from _by_name("output", a, b, dict, lambda found: f"{found['type']} of {found['from']}")
        yield from _order("output", a, b)

    @staticmethod
    def _made(side: _Side) -> Iterator[tuple[Output, Source]]:
        return zip(side.graph.outputs, side.outputs, strict=True)

    def _layers(self) -> Iterator[Change]:
        for key, number in self.a.layers.items():
            if key not in self.same and key not in self.renamed:
                yield Change("layer", str(key), "only in A", _described(self.a.graph.nodes[number]), None)
                continue
            other = self.renamed.get(key, key)
            if other != key:
                yield Change("layer", str(key), "renamed", str(key), str(other))
            found = self._properties(self.b, self.b.layers[other], {})
            yield from _changed("layer", str(key), self._properties(self.a, number, self.renamed), found)
        known = self.same | set(self.renamed.values())
        for key, number in self.b.layers.items():
            if key not in known:
                yield Change("layer", str(key), "only in B", None, _described(self.b.graph.nodes[number]))

    def _properties(self, side: _Side, number: int, renamed: Mapping[_Layer, _Layer]) -> dict[str, str]:
        """All that is compared of a layer: its type, its fields or those of its primitive, its wiring, its outputs."""
        node = side.graph.nodes[number]
        types = _joined(str(value.type) for value in node.outputs)
        return {**_fields(node), "inputs": side.inputs(number, renamed), "outputs": types}

    def _state(self) -> Iterator[Change]:
        """Parameters and buffers of layers that are in both models."""
        pairs = [(key, self.renamed.get(key, key)) for key in self.a.layers if key in self.same | self.renamed.keys()]
        a = {path: held for key, other in pairs for path, held in self._own(key, other).items()}
        b = {held.path: held for _, other in pairs for _, held in self.b.state(other)}
        kinds: tuple[tuple[Kind, type[Param | Buffer]], ...] = (("param", Param), ("buffer", Buffer))
        for kind, type_ in kinds:
            one = {path: held for path, held in a.items() if isinstance(held, type_)}
            two = {path: held for path, held in b.items() if isinstance(held, type_)}
            yield from _by_name(kind, one, two, _state_properties, lambda held: str(held.value.type))

    def _own(self, key: _Layer, other: _Layer) -> dict[str, Param | Buffer]:
        """What a layer of A holds, by the paths of B where it is renamed."""
        own = self.a.state(key)
        if key not in self.renamed:
            return {held.path: held for _, held in own}
        paths = {name: held.path for name, held in self.b.state(other)}
        return {paths[name]: held for name, held in own}

    def _find_renamed(self) -> None:
        """Match layers that are in one model only, from the inputs on, so that what they read has its new name."""
        free = [key for key in self.b.layers if key not in self.same]
        exact = _in_order((self._signature(self.b, key, {}), key) for key in free)
        moved = _in_order((self._position(self.b, key), key) for key in free if key.is_position)
        taken: set[_Layer] = set()
        for key in self.a.layers:
            if key in self.same:
                continue
            candidates = exact.get(self._signature(self.a, key, self.renamed), [])
            if key.is_position:
                candidates = candidates + moved.get(self._position(self.a, key), [])
            found = next((each for each in candidates if each not in taken), None)
            if found is not None:
                self.renamed[key] = found
                taken.add(found)

    def _signature(self, side: _Side, key: _Layer, renamed: Mapping[_Layer, _Layer]) -> tuple[Any, ...]:
        """All of a layer but its path."""
        own = [(name, *_state_properties(held).items()) for name, held in side.state(key)]
        return (*self._properties(side, side.layers[key], renamed).items(), *own)

    def _position(self, side: _Side, key: _Layer) -> tuple[Any, ...]:
        """All of a layer but its own part of the path, and what it reads."""
        return (key.path.rpartition(".")[0], *(part for part in self._signature(side, key, {}) if part[0] != "inputs"))


def _in_order(pairs: Iterator[tuple[tuple[Any, ...], _Layer]]) -> dict[tuple[Any, ...], list[_Layer]]:
    found: dict[tuple[Any, ...], list[_Layer]] = {}
    for signature, key in pairs:
        found.setdefault(signature, []).append(key)
    return found


def _by_name(
    kind: Kind,
    a: Mapping[str, Any],
    b: Mapping[str, Any],
    properties: Callable[[Any], dict[str, str]],
    shown: Callable[[Any], str],
) -> Iterator[Change]:
    for name, entry in a.items():
        if name in b:
            yield from _changed(kind, name, properties(entry), properties(b[name]))
        else:
            yield Change(kind, name, "only in A", shown(entry), None)
    for name, entry in b.items():
        if name not in a:
            yield Change(kind, name, "only in B", None, shown(entry))


def _changed(kind: Kind, path: str, a: Mapping[str, str], b: Mapping[str, str]) -> Iterator[Change]:
    """The properties that differ; where the type does, the fields of either are told with it."""
    if "type" in a and kind == "layer" and a["type"] != b["type"]:
        a = {"type": _with_fields(a), "inputs": a["inputs"], "outputs": a["outputs"]}
        b = {"type": _with_fields(b), "inputs": b["inputs"], "outputs": b["outputs"]}
    for name in {**a, **b}:
        if a.get(name) != b.get(name):
            yield Change(kind, path, name, a.get(name), b.get(name))


def _order(kind: Kind, a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[Change]:
    """Positions matter where arrays are given and taken by position."""
    one, other = [name for name in a if name in b], [name for name in b if name in a]
    if one != other:
        yield Change(kind, "", "order", _joined(one), _joined(other))


def _moved_statistics(a: Graph, b: Graph) -> Iterator[Change]:
    """Buffers of both models that training moves in one of them only: the other one's are frozen."""
    both = {held.path for held in a.buffers} & {held.path for held in b.buffers}
    for held in a.buffers:
        one, other = _word(held.path not in a.updates), _word(held.path not in b.updates)
        if held.path in both and one != other:
            yield Change("buffer", held.path, "frozen", one, other)


def _fields(node: Node | Call) -> dict[str, str]:
    if isinstance(node, Call):
        return {name: format_attribute(value) for name, value in meaning(node.layer).items()}
    return {"type": node.op.name, **{name: format_attribute(value) for name, value in vars(node.op).items()}}


def _with_fields(properties: Mapping[str, str]) -> str:
    fields = [f"{name}={value}" for name, value in properties.items() if name not in ("type", "inputs", "outputs")]
    return f"{properties['type']}({', '.join(fields)})" if fields else properties["type"]


def _described(node: Node | Call) -> str:
    return describe(node.layer) if isinstance(node, Call) else node.op.name


def _state_properties(held: Param | Buffer) -> dict[str, str]:
    found = {"type": str(held.value.type), "init": describe(held.initializer)}
    return {**found, "frozen": _word(not held.trainable)} if isinstance(held, Param) else found


def _output(entry: Output, source: str) -> dict[str, str]:
    return {"from": source, "type": str(entry.value.type)}


def _word(flag: bool) -> str:
    return "yes" if flag else "no"


def _joined(words: Iterator[str] | Sequence[str]) -> str:
    return ", ".join(words) or "none"
