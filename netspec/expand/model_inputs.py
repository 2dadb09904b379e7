"""The names of a model as a whole: its params, let and symbols, with what the caller gives for params; its inputs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial

from netspec.errors import LanguageError, Location, Mistakes, nearest
from netspec.expand.names import BROKEN, Names, Result
from netspec.expand.reading import Reads
from netspec.expressions.values import ShapedValue
from netspec.expressions.values import Value as Plain
from netspec.graph.builder import Builder
from netspec.graph.dims import Dim, Shape, Size, symbol
from netspec.graph.graph import Origin
from netspec.graph.types import DTYPES, DType, TensorType
from netspec.language.document import Node
from netspec.language.names import check_identifier, check_name
from netspec.language.scope import AwaitedError, Scope, resolved, value_of
from netspec.language.spec import ModelSpec
from netspec.layers.validation import shown

FLOAT_TYPES = ("float32", "float64", "float16", "bfloat16")


class ModelNames(Names):
    """The names of a file's body. `shared` are those that blocks see too: params, let and symbols."""

    def __init__(self, spec: ModelSpec, given: Mapping[str, Node], mistakes: Mistakes) -> None:
        self.spec = spec
        self.mistakes = mistakes
        self.shared = Scope()
        super().__init__(Scope(self.shared, of_one_body=True))
        self.shared.incomplete = self.scope.incomplete = spec.incomplete
        self._refused: set[str] = set()  # inputs whose names are
        for name, node in given.items():
            if name not in spec.params and not spec.incomplete:
                mistakes.add(f"there is no param {name}{nearest(name, spec.params)}", node.location)
        for name, (key, node) in spec.params.items():
            self._define(name, node, "a param", key, given.get(name))
        for name, (key, node) in spec.let.items():
            self._define(name, node, "a let", key, None)
        self._claim_inputs()
        self._compute((*spec.params, *spec.let, *(name for name in spec.inputs if name not in self._refused)))

    def _compute(self, names: Iterable[str]) -> None:
        """Compute what can be computed before there are entries, so that its mistakes are told once, at its place."""
        self.scope.awaited = frozenset(
            str(entry.name.value) for entry in self.spec.body.layers if entry.name is not None
        )
        for name in names:
            with self.mistakes.collect(), suppress(AwaitedError):
                self.scope.get(name)
        self.scope.awaited = frozenset()

    def define_inputs(self, builder: Builder) -> Reads:
        """The inputs of the graph, and what the first entry reads: the only one."""
        for name, (key, node) in self.spec.inputs.items():
            if name in self._refused:
                self.results[name] = BROKEN
                continue
            self.results[name] = BROKEN
            if name in self.spec.broken_inputs:
                self.scope.define_broken(name)
                continue
            with self.mistakes.collect(node.location, f"input {name}: "):
                assert isinstance(node.value, dict)
                seen = self.scope[name]
                assert isinstance(seen, ShapedValue)
                type = TensorType(seen.shape, self._dtype(node.value.get("dtype")))
                default = self._default(node.value.get("default"), type.dtype)
                self.add(name, Result({name: builder.input(name, type, Origin(name, key), default)}))
            if self.results[name] is BROKEN:
                self.scope.define_broken(name)
        self._check_symbols(builder)
        if not self.results:
            return Reads((BROKEN,), ("",), implied=True)
        if len(self.results) > 1:
            inputs = ", ".join(self.spec.inputs)
            return Reads(implied=True, missing=f"the model has several inputs, {inputs}")
        ((name, result),) = self.results.items()
        return Reads((result,), (name,), implied=True)

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
            self.shared.claim(name, what, key)
            self.shared.define_later(name, compute, key)

    def _claim_inputs(self) -> None:
        """Names of inputs and symbols, before any expression is evaluated."""
        symbols: set[str] = set()
        for name, (key, node) in self.spec.inputs.items():
            self._refused.add(name)
            with self.mistakes.collect(key):
                check_name(name, "an input", key)
                self.scope.claim(name, "an input", key)
                self._refused.remove(name)
                if name not in self.spec.broken_inputs:
                    self.scope.define_later(name, partial(self._shaped, name, node), key)
            for item in _symbol_nodes(node) if name not in self.spec.broken_inputs else ():
                assert isinstance(item.value, str)
                with self.mistakes.collect(item.location):
                    check_identifier(item.value, "a symbol", item.location)
                    if item.value not in symbols:
                        symbols.add(item.value)
                        self.shared.claim(item.value, "a symbol of a shape", item.location)
                        self.shared.define(item.value, symbol(item.value))

    def _shaped(self, name: str, node: Node) -> Plain:
        """An input as params and let see it, before the graph has it."""
        assert isinstance(node.value, dict)
        mistakes = Mistakes()
        shape: Shape = ()
        with mistakes.collect(node.location, f"input {name}: "):
            shape = self._shape(node.value["shape"])
        mistakes.raise_all()
        return ShapedValue(shape)

    def _check_symbols(self, builder: Builder) -> None:
        """Every symbol is the whole size of some dimension: of an input that every call is given, if it can be."""
        found = [result.main for result in self.results.values() if result.ports]
        used = {name for value in found for size in value.shape if isinstance(size, Dim) for name in size.symbols()}
        hidden = used - builder.symbols()
        if hidden and not self.mistakes:
            names = ", ".join(sorted(hidden))
            message = (
                f"inputs: no dimension of an input without a default is just {names}, so no call can tell its size"
            )
            self.mistakes.add(message, self.spec.location)

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
        message = f"expected a positive integer, or a word such as batch for any size, got {shown(size)}"
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

    def _default(self, node: Node | None, dtype: DType) -> float | int | bool | None:
        """The number or flag that fills an input which a call leaves out."""
        if node is None:
            return None
        value = value_of(node, self.scope)
        kind: tuple[type, ...] = {"float": (float, int), "bool": (bool,)}.get(dtype, (int,))
        if type(value) not in kind:
            wanted = {"float": "a number", "bool": "true or false"}.get(dtype, "an integer")
            raise LanguageError(f"default: expected {wanted}, got {shown(value)}", node.location)
        assert isinstance(value, (float, int))
        return float(value) if dtype == "float" else value


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
