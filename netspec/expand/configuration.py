"""An entry's fields to a layer: the entry's own, else those of `defaults`, else the layer's own."""

from __future__ import annotations

from collections.abc import Mapping

from netspec.errors import LanguageError, Location, Mistake, Mistakes
from netspec.expressions.values import Value as Plain
from netspec.language.document import Node
from netspec.language.scope import Scope, resolved, value_of
from netspec.language.spec import Defaults, EntrySpec, Nodes, is_free
from netspec.layers import LAYER_TYPES
from netspec.layers.base import Layer
from netspec.layers.constants import Parameter
from netspec.layers.initializers import Initializer, parse_initializer
from netspec.layers.validation import FieldsError, construct

Initializers = dict[str, Initializer]


class Configurator:
    """Makes layers; the defaults of a file are evaluated once, with the names that its blocks see."""

    def __init__(self, shared: Scope) -> None:
        self._shared = shared
        self._fields: dict[tuple[Defaults, str], dict[str, Plain]] = {}
        self._initializers: dict[tuple[Defaults, str], Initializers] = {}

    def layer(self, type: str, entry: EntrySpec, scope: Scope, label: str, derived: Mapping[str, object]) -> Layer:
        """The layer of an entry; `derived` are fields that are not written.

        Raises LanguageError with one mistake for each field that is wrong.
        """
        inherited = self._default_fields(entry.defaults, type)
        mistakes = Mistakes()
        values: dict[str, Plain] = {}
        for key, node in entry.fields.items():
            with mistakes.collect(prefix=f"{label}: {key}: "):
                values[key] = value_of(node, scope)
        mistakes.raise_all()
        try:
            return construct(LAYER_TYPES[type], {**inherited, **values}, derived)
        except FieldsError as error:
            written = _defaults(entry.defaults, type)
            raise LanguageError(
                Mistake(
                    f"{label}: {mistake.message}{_meant(mistake.path, entry, scope)}",
                    _place(mistake.path, mistake.is_key, entry, written),
                )
                for mistake in error.fields
            ) from None

    def initializers(
        self, type: str, entry: EntrySpec, scope: Mapping[str, Plain], label: str
    ) -> tuple[Initializers, Initializers]:
        """Those of the defaults and those of the entry, by parameter. Raises LanguageError."""
        mistakes = Mistakes()
        own: Initializers = {}
        key = (entry.defaults, type)
        if key not in self._initializers:
            self._initializers[key] = {}
            with mistakes.collect():
                written = default_initializers(type, entry.defaults)
                self._initializers[key] = _initializers(type, written, self._shared, label)
        with mistakes.collect():
            own = _initializers(type, entry.initializers, scope, label)
        mistakes.raise_all()
        return self._initializers[key], own

    def _default_fields(self, defaults: Defaults, type: str) -> dict[str, Plain]:
        found = self._fields.get((defaults, type))
        if found is None:
            found = self._fields[defaults, type] = {}
            mistakes = Mistakes()
            for key, node in _defaults(defaults, type).items():
                if key != "init" and not is_free(key):
                    with mistakes.collect(prefix=f"defaults of {type}: {key}: "):
                        found[key] = value_of(node, self._shared)
            mistakes.raise_all()
        return found


def default_field(type: str, defaults: Defaults, name: str) -> Node | None:
    """What stands under a key of a type's defaults, unevaluated."""
    return _defaults(defaults, type).get(name)


def default_initializers(type: str, defaults: Defaults) -> Node | None:
    """The key `init` of a type's defaults."""
    return default_field(type, defaults, "init")


def _initializers(type: str, written: Node | None, scope: Mapping[str, Plain], label: str) -> Initializers:
    """The initialisers of a key `init`, by parameter; on `parameter` the key is the initialiser itself.

    Raises LanguageError.
    """
    found: Initializers = {}
    mistakes = Mistakes()
    if written is not None:
        node = resolved(written, scope)
        if LAYER_TYPES[type] is Parameter:
            node = node._replace(value={"": node})
        if not isinstance(node.value, dict):
            message = (
                f"{label}: init: expected a mapping from parameters to initialisers such as {{weight: kaiming_normal}}"
            )
            raise LanguageError(message, node.location)
        for name, child in node.value.items():
            with mistakes.collect(child.location, f"{label}: init of {name}: " if name else f"{label}: init: "):
                found[name] = parse_initializer(value_of(_without_notes(child), scope))  # type: ignore[arg-type]
    mistakes.raise_all()
    return found


def _place(path: tuple[str | int, ...], is_key: bool, entry: EntrySpec, written: Nodes) -> Location:
    """Where a field that is wrong is written: in the entry or in the defaults."""
    key = str(path[0]) if path else ""
    if is_key and key in entry.keys:
        return entry.keys[key]
    node = entry.fields.get(key) or written.get(key)
    return entry.location if node is None or is_key else node.locate(path[1:])


def _meant(path: tuple[str | int, ...], entry: EntrySpec, scope: Mapping[str, Plain]) -> str:
    """A hint where a bare word is the name of a number: its $( ) is missing."""
    node = entry.fields.get(str(path[0])) if path else None
    if node is None or not isinstance(node.value, str) or not isinstance(scope, Scope):
        return ""
    return f"; did you mean $({node.value})?" if scope.knows(node.value) else ""


def _without_notes(node: Node) -> Node:
    if not isinstance(node.value, dict):
        return node
    return node._replace(value={key: child for key, child in node.value.items() if not is_free(key)})


def _defaults(defaults: Defaults, type: str) -> Nodes:
    node = defaults.types.get(type)
    return node.value if isinstance(node, Node) and isinstance(node.value, dict) else {}
