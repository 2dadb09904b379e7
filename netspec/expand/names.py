"""The names of a file: its params, let, symbols and inputs, with what the caller gives for params."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from netspec.errors import LanguageError, Location, Mistakes, nearest
from netspec.expressions.values import ShapedValue
from netspec.expressions.values import Value as Plain
from netspec.graph.builder import Builder
from netspec.graph.dims import Dim, Shape, Size, symbol
from netspec.graph.graph import Origin, Value
from netspec.graph.types import DTYPES, DType, TensorType
from netspec.language.document import Node
from netspec.language.names import check_identifier, check_name, is_identifier
from netspec.language.scope import Scope, resolved, value_of
from netspec.language.spec import ModelSpec
from netspec.layers.validation import shown

FLOAT_TYPES = ("float32", "float64", "float16", "bfloat16")


@dataclass(frozen=True)
class Result:
    """What an input or an entry gives to others: its outputs by port, the main one first; None if it is in error."""

    ports: Mapping[str, Value] | None

    @property
    def main(self) -> Value:
        assert self.ports
        return next(iter(self.ports.values()))


BROKEN = Result(None)


class Names:
    """What entries can refer to: `scope` for expressions, `results` for references."""

    def __init__(self, spec: ModelSpec, given: Mapping[str, Node], mistakes: Mistakes) -> None:
        self.spec = spec
        self.mistakes = mistakes
        self.scope = Scope()
        self.scope.incomplete = spec.incomplete
        self.results: dict[str, Result] = {}
        self._refused: set[str] = set()  # inputs whose names are
        for name, node in given.items():
            if name not in spec.params and not spec.incomplete:
                mistakes.add(f"there is no param {name}{nearest(name, spec.params)}", node.location)
        for name, node in spec.params.items():
            self._define(name, node, "a param", spec.key("params", name), given.get(name))
        for name, node in spec.let.items():
            self._define(name, node, "a let", spec.key("let", name), None)
        self._claim_inputs()
        for name in (*spec.params, *spec.let):
            with mistakes.collect():
                self.scope.get(name)

    def add(self, name: str, result: Result) -> None:
        """An input or a named entry, for all that comes below it."""
        self.results[name] = result
        if not is_identifier(name):
            return
        if result.ports is None:
            self.scope.define_broken(name)
        else:
            self.scope.define(name, ShapedValue(result.main.shape))

    def define_inputs(self, builder: Builder) -> None:
        """The inputs of the graph."""
        for name, node in self.spec.inputs.items():
            if name in self._refused:
                self.results[name] = BROKEN
                continue
            self.add(name, BROKEN)
            if name in self.spec.broken_inputs:
                continue
            with self.mistakes.collect(node.location, f"input {name}: "):
                assert isinstance(node.value, dict)
                type = TensorType(self._shape(node.value["shape"]), self._dtype(node.value.get("dtype")))
                origin = Origin(name, self.spec.key("inputs", name))
                self.add(name, Result({name: builder.input(name, type, origin)}))
        hidden = self._symbols() - builder.symbols()
        if hidden and not self.mistakes:
            names = ", ".join(sorted(hidden))
            self.mistakes.add(f"inputs: no dimension is just {names}, so no call can tell its size", self.spec.location)

    def _define(self, name: str, node: Node, what: str, key: Location, given: Node | None) -> None:
        def compute() -> Plain:
            value = value_of(node, self.scope)
            if given is not None:
                value = _of_kind(value_of(given, Scope()), value, name, given.location)
            if value is None and what == "a param":
                raise LanguageError(f"param {name} must be given: --set {name}=VALUE", key)
            return value

        with self.mistakes.collect(key):
            check_identifier(name, what, key)
            self.scope.claim(name, what, key)
            self.scope.define_later(name, compute, key)

    def _claim_inputs(self) -> None:
        """Names of inputs and symbols, before any expression is evaluated."""
        symbols: set[str] = set()
        for name, node in self.spec.inputs.items():
            key = self.spec.key("inputs", name)
            self._refused.add(name)
            with self.mistakes.collect(key):
                check_name(name, "an input", key)
                self.scope.claim(name, "an input", key)
                self._refused.remove(name)
            for item in _symbol_nodes(node) if name not in self.spec.broken_inputs else ():
                assert isinstance(item.value, str)
                with self.mistakes.collect(item.location):
                    check_identifier(item.value, "a symbol", item.location)
                    if item.value not in symbols:
                        symbols.add(item.value)
                        self.scope.claim(item.value, "a symbol of a shape", item.location)
                        self.scope.define(item.value, symbol(item.value))

    def _symbols(self) -> set[str]:
        """All symbols that stand in some input's shape."""
        shapes = (result.main.shape for result in self.results.values() if result.ports)
        return {name for shape in shapes for size in shape if isinstance(size, Dim) for name in size.symbols()}

    def _shape(self, node: Node) -> Shape:
        sizes = resolved(node, self.scope).value
        if not isinstance(sizes, list):
            raise LanguageError("expected a shape such as [batch, 3]", node.location)
        return tuple(self._size(item) for item in sizes)

    def _size(self, node: Node) -> Size:
        if _is_word(node):
            assert isinstance(node.value, str)
            return symbol(node.value)
        size = value_of(node, self.scope)
        if isinstance(size, Dim) or (type(size) is int and size > 0):
            return size
        message = f"expected a positive integer or the word of a symbolic dimension, got {shown(size)}"
        raise LanguageError(message, node.location)

    def _dtype(self, node: Node | None) -> DType:
        if node is None:
            return "float"
        value = value_of(node, self.scope)
        if value in FLOAT_TYPES:
            message = f"dtype {value}: floats follow the model's float type, chosen when it is built; leave it out"
            raise LanguageError(message, node.location)
        for dtype in DTYPES:
            if value == dtype:
                return dtype
        raise LanguageError(f"expected dtype {', '.join(DTYPES)}, got {shown(value)}", node.location)


def _is_word(node: Node) -> bool:
    return isinstance(node.value, str) and "$(" not in node.value


def _symbol_nodes(node: Node) -> Iterator[Node]:
    assert isinstance(node.value, dict)
    shape = node.value["shape"].value
    return (item for item in shape if _is_word(item)) if isinstance(shape, list) else iter(())


def _of_kind(value: Plain, default: Plain, name: str, location: Location) -> Plain:
    """`value` if it is of the kind of the param's default; an integer will do for a float and for a symbolic size."""
    if default is None or type(value) is type(default):
        return value
    if type(default) is float and type(value) is int:
        return float(value)
    if isinstance(default, Dim) and type(value) is int:
        return value
    kinds: dict[type, str] = {
        bool: "true or false",
        int: "an integer",
        float: "a number",
        str: "text",
        list: "a list",
        dict: "a mapping",
        Dim: "an integer",
    }
    message = f"param {name}: expected {kinds[type(default)]} like its default {shown(default)}, got {shown(value)}"
    raise LanguageError(message, location)
