"""Document to ModelSpec: the closed structure of a file and of its entries, before any expression has a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from netspec.errors import LanguageError, Location, Mistakes, nearest, printable
from netspec.expressions.parser import contains
from netspec.language.document import NO_KEYS, Document, Node
from netspec.layers import LAYER_TYPES

VERSION = 1
NAMES_KEYS = ("params", "let", "inputs", "defaults", "outputs")
FILE_KEYS = ("netspec", "name", "layers", "freeze", *NAMES_KEYS)
FILE_KEYS_LATER = ("blocks", "include")
ENTRY_KEYS = ("type", "name", "from", "frozen", "init")
ENTRY_KEYS_LATER = ("layers", "share", "if", "else", "tie", "repeat", "parallel", "scan")
INPUT_KEYS = ("shape", "dtype")
NOT_YET = "this version of netspec does not have it yet"

Nodes = Mapping[str, Node]


@dataclass(frozen=True)
class EntrySpec:
    """One entry of `layers`: what it is, how it is wired, and the fields of its layer, all still unevaluated.

    `type` is None where the entry is in error; it keeps its name, so that what reads it is not in error too.
    """

    location: Location
    type: Node | None
    name: Node | None = None
    source: Node | None = None  # the key `from`
    frozen: Node | None = None
    initializers: Node | None = None  # the key `init`
    fields: Nodes = field(default_factory=dict)
    keys: Mapping[str, Location] = field(default_factory=lambda: NO_KEYS)


@dataclass(frozen=True)
class ModelSpec:
    """A file of the language in its parts; `mistakes` are those of its structure.

    `broken_inputs` are those without a right shape. `incomplete` says that a whole part is missing because it is in
    error: an unknown name may be one of its names.
    """

    file: str
    location: Location
    name: Node | None
    params: Nodes
    let: Nodes
    inputs: Nodes
    defaults: Nodes
    layers: tuple[EntrySpec, ...]
    outputs: Nodes
    freeze: Node | None
    keys: Mapping[str, Mapping[str, Location]]  # for each mapping of names, where its keys stand
    mistakes: Mistakes
    broken_inputs: frozenset[str] = frozenset()
    incomplete: bool = False

    def key(self, part: str, name: str) -> Location:
        """Where the name `name` is written in the mapping `part`."""
        return self.keys[part][name]


def model_spec(document: Document) -> ModelSpec:
    """The parts of a file, with the mistakes in its structure."""
    return _Reader(document).spec()


def is_free(key: str) -> bool:
    """Whether a key is free for the writer's own notes."""
    return key.startswith("x-") or key == "description"


def check_type_name(type: object, location: Location) -> str:
    """`type` itself if it names a layer, else a LanguageError with the nearest name."""
    if not isinstance(type, str):
        raise LanguageError("type: expected the name of a layer", location)
    if type not in LAYER_TYPES:
        hint = nearest(type, LAYER_TYPES) or nearest(type.lower(), LAYER_TYPES)
        raise LanguageError(f"unknown layer type {printable(type[:64])}{hint}", location)
    return type


class _Reader:
    def __init__(self, document: Document) -> None:
        self.document = document
        self.mistakes = Mistakes()
        self.incomplete = "include" in document.root.value  # type: ignore[operator]

    def spec(self) -> ModelSpec:
        root = self._children(self.document.root, FILE_KEYS, FILE_KEYS_LATER, "a spec")
        self._check_version(root)
        parts = {name: self._names(root.get(name), name) for name in NAMES_KEYS}
        broken = frozenset(name for name, node in parts["inputs"].items() if not self._is_input(name, node))
        if "inputs" not in root or root["inputs"].value == {}:
            self.incomplete = True
            self._add("inputs is required: such as {image: {shape: [batch, 3, 32, 32]}}", root.get("inputs"))
        for name, node in parts["defaults"].items():
            self._check_defaults(name, node, root["defaults"].keys[name])
        layers = tuple(self._entry(node) for node in self._layers(root))
        return ModelSpec(
            file=self.document.file,
            location=self.document.root.location,
            name=root.get("name"),
            params=parts["params"],
            let=parts["let"],
            inputs=parts["inputs"],
            defaults=parts["defaults"],
            layers=layers,
            outputs=parts["outputs"],
            freeze=root.get("freeze"),
            keys={name: root[name].keys for name in parts if name in root},
            mistakes=self.mistakes,
            broken_inputs=broken,
            incomplete=self.incomplete,
        )

    def _add(self, message: str, node: Node | None) -> None:
        self.mistakes.add(message, (node or self.document.root).location)

    def _check_version(self, root: Nodes) -> None:
        node = root.get("netspec")
        if node is None:
            self._add(f"netspec is required: the version of the language, netspec: {VERSION}", None)
        elif type(node.value) is not int or node.value != VERSION:
            got = f"text '{node.value}'" if isinstance(node.value, str) else str(node.value)
            self._add(f"netspec: expected version {VERSION} of the language, got {printable(got[:40])}", node)

    def _children(self, node: Node, known: tuple[str, ...], later: tuple[str, ...], what: str) -> dict[str, Node]:
        """The children of a mapping whose keys are fixed; every other key but the free ones is a mistake."""
        assert isinstance(node.value, dict)
        for key in node.value:
            if key in later:
                self.mistakes.add(f"{key}: {NOT_YET}", node.keys[key])
            elif key not in known and not is_free(key):
                hint = nearest(key, known) or f"; known are {', '.join(known)}"
                self.mistakes.add(f"unknown key {printable(key[:64])} in {what}{hint}", node.keys[key])
        return node.value

    def _names(self, node: Node | None, part: str) -> Nodes:
        if node is None:
            return {}
        if not isinstance(node.value, dict):
            self._add(f"{part}: expected a mapping of names", node)
            self.incomplete = True
            return {}
        for key in node.value:
            if key.startswith("x-"):
                self.mistakes.add(f"{part}: {key} is no name: a name does not begin with x-", node.keys[key])
                self.incomplete = True
        return {key: child for key, child in node.value.items() if not key.startswith("x-")}

    def _is_input(self, name: str, node: Node) -> bool:
        """Whether an input's structure is right: a mapping with a shape that is a list."""
        if not isinstance(node.value, dict):
            self._add(f"input {name}: expected a mapping such as {{shape: [batch, 3]}}", node)
            return False
        shape = self._children(node, INPUT_KEYS, (), f"input {name}").get("shape")
        if shape is None or not (isinstance(shape.value, list) or _is_expression(shape)):
            self._add(f"input {name}: expected a shape such as [batch, 3]", shape or node)
            return False
        return True

    def _check_defaults(self, type: str, node: Node, key: Location) -> None:
        layer = LAYER_TYPES.get(type)
        if layer is None:
            self.mistakes.add(f"defaults: unknown layer type {type}{nearest(type, LAYER_TYPES)}", key)
            return
        if not isinstance(node.value, dict):
            self._add(f"defaults of {type}: expected a mapping of its fields", node)
            return
        known = [name for name in layer.model_fields if name != "type"] + ["init"]
        for name in node.value:
            if name not in known and not is_free(name):
                reason = layer.refused.get(name)
                hint = f" is refused: {reason}" if reason else f" is unknown{nearest(name, known)}"
                self.mistakes.add(f"defaults of {type}: field {name}{hint}", node.keys[name])

    def _layers(self, root: Nodes) -> list[Node]:
        node = root.get("layers")
        if node is not None and isinstance(node.value, list) and node.value:
            return node.value
        message = "layers: expected a list of one layer or more" if node else "layers is required: a list of layers"
        self._add(message, node)
        self.incomplete = True
        return []

    def _entry(self, node: Node) -> EntrySpec:
        if isinstance(node.value, str):
            return EntrySpec(node.location, self._type(node))
        if not isinstance(node.value, dict):
            self._add("a layer is expected: a type such as relu, or a mapping with a type", node)
            return EntrySpec(node.location, None)
        later = [key for key in node.value if key in ENTRY_KEYS_LATER]
        for key in later:
            self.mistakes.add(f"{key}: {NOT_YET}", node.keys[key])
        if "type" not in node.value and not later:
            self._add("type is required in a layer", node)
        return EntrySpec(
            location=node.location,
            type=None if later else self._type(node.value.get("type")),
            name=node.value.get("name"),
            source=node.value.get("from"),
            frozen=node.value.get("frozen"),
            initializers=node.value.get("init"),
            fields={key: child for key, child in node.value.items() if key not in ENTRY_KEYS and not is_free(key)},
            keys=node.keys,
        )

    def _type(self, node: Node | None) -> Node | None:
        """The node itself unless its type is wrong; one that is an expression is known later only."""
        known = node
        if node is not None and not _is_expression(node):
            known = None
            with self.mistakes.collect():
                check_type_name(node.value, node.location)
                known = node
        return known


def _is_expression(node: Node) -> bool:
    return isinstance(node.value, str) and contains(node.value)
