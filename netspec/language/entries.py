"""Nodes to bodies and entries: which keys an entry has, and what may stand beside what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar, Literal, get_args

from netspec.errors import LanguageError, Location, Mistakes, nearest, printable
from netspec.expressions.parser import contains
from netspec.language.document import Node
from netspec.language.spec import BodySpec, Defaults, EntrySpec, Loop, Named, OutputSpec, is_block, is_free
from netspec.layers import LAYER_TYPES

LoopKind = Literal["repeat", "parallel", "scan", "while"]
KINDS = ("type", "layers", "share", "branches")
LOOPS: tuple[LoopKind, ...] = get_args(LoopKind)
ENTRY_KEYS = ("name", *KINDS, "cond", "from", *LOOPS, "if", "else", "init", "tie", "frozen")
GROUP_KEYS = ("inputs", "let", "outputs")
OUTPUT_KEYS = ("from", "if", "only")
ELSEWHERE = {"dense": "linear", "multiply": "mul", "view": "reshape", "transpose": "permute"}  # in other libraries
EXAMPLES = {
    "params": "{width: 8}",
    "let": "{half: $(width // 2)}",
    "inputs": "{image: {shape: [batch, 3, 32, 32]}}",
    "outputs": "{logits: fc}",
}


def is_expression(node: Node) -> bool:
    """Whether a node is text with `$(...)` in it."""
    return isinstance(node.value, str) and contains(node.value)


def children(node: Node, known: Sequence[str], what: str, mistakes: Mistakes) -> dict[str, Node]:
    """The children of a mapping whose keys are fixed; every other key but the free ones is a mistake."""
    assert isinstance(node.value, dict)
    for key in node.value:
        if key not in known and not is_free(key):
            hint = nearest(key, known) or f"; known are {', '.join(known)}"
            mistakes.add(f"unknown key {printable(key[:64])} in {what}{hint}", node.keys[key])
    return node.value


def names(node: Node | None, part: str, mistakes: Mistakes) -> dict[str, Named] | None:
    """A mapping of names; None where it is no mapping. A name that begins with `x-` is a mistake."""
    if node is None:
        return {}
    if not isinstance(node.value, dict):
        example = f" such as {EXAMPLES[part]}" if part in EXAMPLES else ""
        mistakes.add(f"{part}: expected a mapping of names{example}", node.location)
        return None
    for key in node.value:
        if key.startswith("x-"):
            mistakes.add(f"{part}: {key} is no name: a name does not begin with x-", node.keys[key])
    return {key: Named(node.keys[key], child) for key, child in node.value.items() if not key.startswith("x-")}


def check_case(names: Iterable[tuple[str, Location]], what: str, mistakes: Mistakes) -> None:
    """A mistake for each of `names` that differs from one before it only in case."""
    seen: dict[str, tuple[str, Location]] = {}
    for name, location in names:
        other, place = seen.setdefault(name.lower(), (name, location))
        if other != name:
            message = (
                f"{printable(name[:64])} and {printable(other[:64])}, which differ only in case: {what} at {place}"
            )
            mistakes.add(message, location)


def check_layer_type(type: object, location: Location) -> str:
    """`type` itself if it names a layer, else a LanguageError with the nearest name."""
    if not isinstance(type, str):
        raise LanguageError("type: expected the name of a layer or a block", location)
    if type not in LAYER_TYPES:
        meant = ELSEWHERE.get(type.lower())
        hint = f"; did you mean {meant}?" if meant else nearest(type, LAYER_TYPES)
        raise LanguageError(f"unknown layer type {printable(type[:64])}{hint}", location)
    return type


class BodyReader:
    """Reads the bodies of one file."""

    RESERVED: ClassVar[tuple[str, ...]] = ENTRY_KEYS

    def __init__(self, mistakes: Mistakes, defaults: Defaults) -> None:
        self.mistakes = mistakes
        self.defaults = defaults

    def body(self, node: Node, parts: Mapping[str, Node], what: str) -> BodySpec:
        """The body in a block or a group, whose keys are `parts`."""
        layers: tuple[EntrySpec, ...] = ()
        if "layers" in parts:
            layers = self.entries(parts["layers"])
        else:
            self.mistakes.add(f"layers is required in {what}", node.location)
        return BodySpec(
            location=node.location,
            layers=layers,
            inputs=self._inputs(parts["inputs"], what) if "inputs" in parts else None,
            let=names(parts.get("let"), f"let of {what}", self.mistakes) or {},
            outputs=self.outputs(parts["outputs"]) if "outputs" in parts else {},
        )

    def entries(self, node: Node) -> tuple[EntrySpec, ...]:
        """The entries of a list `layers`; none of them where it is no list or empty, which is a mistake."""
        if not isinstance(node.value, list) or not node.value:
            self.mistakes.add("layers: expected a list of one layer or more", node.location)
            return ()
        return tuple(self._entry(item) for item in node.value)

    def outputs(self, node: Node, training_only: bool = False) -> dict[str, OutputSpec]:
        """The outputs of a body; those of a file may be there in training only."""
        found: dict[str, OutputSpec] = {}
        written = names(node, "outputs", self.mistakes) or {}
        check_case(((name, named.key) for name, named in written.items()), "outputs, the other", self.mistakes)
        for name, named in written.items():
            output = self._output(name, named, training_only)
            if output is not None:
                found[name] = output
        return found

    def _output(self, name: str, named: Named, training_only: bool) -> OutputSpec | None:
        node = named.node
        if not isinstance(node.value, dict):
            return OutputSpec(named.key, node)
        what = f"output {printable(name[:64])}"
        parts = children(node, OUTPUT_KEYS if training_only else OUTPUT_KEYS[:2], what, self.mistakes)
        if "from" not in parts:
            self.mistakes.add(f"{what}: from is required", node.location)
            return None
        only = parts.get("only")
        if training_only and only is not None and only.value != "training":
            self.mistakes.add(f"{what}: only: expected training", only.location)
        return OutputSpec(named.key, parts["from"], parts.get("if"), training_only and only is not None)

    def _inputs(self, node: Node, what: str) -> dict[str, Location] | None:
        found: dict[str, Location] = {}
        if not isinstance(node.value, list) or not all(isinstance(item.value, str) for item in node.value):
            self.mistakes.add(f"inputs of {what}: expected a list of names such as [x, mask]", node.location)
            return None
        for item in node.value:
            assert isinstance(item.value, str)
            if item.value in found:
                self.mistakes.add(f"inputs of {what}: {printable(item.value[:64])} twice", item.location)
            if item.value.startswith("x-"):
                message = f"inputs of {what}: {printable(item.value[:64])} is no name: a name does not begin with x-"
                self.mistakes.add(message, item.location)
            found[item.value] = item.location
        return found

    def _entry(self, node: Node) -> EntrySpec:
        if isinstance(node.value, str):
            return EntrySpec(node.location, self.defaults, type=self._type(node))
        if not isinstance(node.value, dict):
            self.mistakes.add("a layer is expected: a type such as relu, or a mapping with a type", node.location)
            return EntrySpec(node.location, self.defaults)
        parts = node.value
        kind = self._kind(node, parts)
        body = None
        if kind == "layers":
            children(node, (*ENTRY_KEYS, *GROUP_KEYS), "a group", self.mistakes)
            body = self.body(node, parts, "the group")
        branches = self._branches(parts["branches"]) if kind == "branches" else None
        self._check_beside(node, parts, kind)
        known = (*ENTRY_KEYS, *GROUP_KEYS) if kind == "layers" else ENTRY_KEYS
        return EntrySpec(
            location=node.location,
            defaults=self.defaults,
            type=self._type(parts["type"]) if kind == "type" else None,
            body=body,
            share=parts["share"] if kind == "share" else None,
            branches=branches if "cond" in parts else None,
            chooser=parts.get("cond"),
            name=parts.get("name"),
            source=parts.get("from"),
            condition=parts.get("if"),
            otherwise=parts.get("else"),
            loop=next((Loop(loop, parts[loop]) for loop in LOOPS if loop in parts), None),
            frozen=parts.get("frozen"),
            initializers=parts.get("init"),
            tie=parts.get("tie"),
            fields={key: child for key, child in parts.items() if key not in known and not is_free(key)},
            keys=node.keys,
        )

    def _kind(self, node: Node, parts: Mapping[str, Node]) -> str | None:
        """Which of `KINDS` an entry has: exactly one."""
        given = [key for key in KINDS if key in parts]
        if not given:
            self._no_kind(node, parts)
            return None
        for key in given[1:]:
            self.mistakes.add(f"{key} beside {given[0]}: an entry has one of {', '.join(KINDS)}", node.keys[key])
        return given[0] if len(given) == 1 else None

    def _no_kind(self, node: Node, parts: Mapping[str, Node]) -> None:
        """An entry without any of `KINDS`: perhaps one of them is misspelt."""
        for key in parts:
            kind, colon, _ = key.partition(":")
            if colon and kind in KINDS:
                message = f"unknown key {printable(key[:64])} in a layer: a space is missing behind the colon"
                self.mistakes.add(message, node.keys[key])
                return
            hint = "" if key in ENTRY_KEYS or is_free(key) else nearest(key, KINDS)
            if hint:
                self.mistakes.add(f"unknown key {printable(key[:64])} in a layer{hint}", node.keys[key])
                return
        self.mistakes.add("type is required in a layer: or layers of a group, or share, or branches", node.location)

    def _check_beside(self, node: Node, parts: Mapping[str, Node], kind: str | None) -> None:
        """What may not stand beside what."""
        loops = [loop for loop in LOOPS if loop in parts]
        for loop in loops[1:]:
            self.mistakes.add(f"{loop} beside {loops[0]}: an entry has one loop at most", node.keys[loop])
        if "else" in parts and "if" not in parts:
            self.mistakes.add("else without if", node.keys["else"])
        if kind == "share":
            for key in ("init", "tie", "frozen", "scan", "while"):
                if key in parts:
                    self.mistakes.add(f"{key} beside share: the shared entry says it", node.keys[key])
            for key in parts:
                if key not in ENTRY_KEYS and not is_free(key):
                    message = f"{printable(key[:64])} beside share: it has the arguments of the shared entry"
                    self.mistakes.add(message, node.keys[key])
        type = parts["type"].value if kind == "type" else None
        if kind == "layers" or (isinstance(type, str) and is_block(type)):
            what = "a group" if kind == "layers" else "a block"
            for key in ("init", "tie"):
                if key in parts:
                    self.mistakes.add(f"{key}: {what} has none: write it at a layer", node.keys[key])

        self._check_branches(node, parts, kind)

    def _check_branches(self, node: Node, parts: Mapping[str, Node], kind: str | None) -> None:
        if kind == "branches":
            if "cond" not in parts:
                message = "cond is required beside branches: a reference to what says which of them runs"
                self.mistakes.add(message, node.location)
            for key in parts:
                if key in (*LOOPS, "init", "tie"):
                    self.mistakes.add(f"{key} beside branches: write it inside a branch, or in a group", node.keys[key])
                elif key not in ENTRY_KEYS and not is_free(key):
                    known = nearest(key, ENTRY_KEYS)
                    self.mistakes.add(f"unknown key {printable(key[:64])} beside branches{known}", node.keys[key])
        elif "cond" in parts:
            self.mistakes.add("cond without branches", node.keys["cond"])

    def _branches(self, node: Node) -> tuple[EntrySpec, ...] | None:
        """The branches of an entry; None where there are too few of them, which is a mistake."""
        if not isinstance(node.value, list) or len(node.value) < 2:
            self.mistakes.add("branches: expected a list of two layers, blocks or groups, or more", node.location)
            return None
        for item in node.value:
            parts = item.value if isinstance(item.value, dict) else {}
            for key in ("from", "if", "else", "share", "branches", *LOOPS):
                if key in parts:
                    what = "a branch reads what the entry of branches reads" if key == "from" else "put it in a group"
                    self.mistakes.add(f"{key} in a branch: {what}", item.keys[key])
        return tuple(self._entry(item) for item in node.value)

    def _type(self, node: Node) -> Node | None:
        """The node itself unless its type is wrong; a block's and an expression's are known later only."""
        known: Node | None = node
        try:
            if not is_expression(node) and not (isinstance(node.value, str) and is_block(node.value)):
                check_layer_type(node.value, node.location)
        except LanguageError as error:
            self.mistakes.found += error.mistakes
            known = None
        return known
