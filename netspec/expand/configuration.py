"""An entry's fields to a layer: the entry's own, else those of `defaults`, else the layer's own."""

from __future__ import annotations

from collections.abc import Mapping

from netspec.errors import LanguageError, Mistake, Mistakes
from netspec.expressions.values import Value as Plain
from netspec.language.document import Node
from netspec.language.scope import FollowsError, resolved, value_of
from netspec.language.spec import EntrySpec, ModelSpec, Nodes, is_free
from netspec.layers import LAYER_TYPES
from netspec.layers.base import Layer
from netspec.layers.initializers import Initializer, parse_initializer
from netspec.layers.validation import FieldsError, construct


def configure(type: str, entry: EntrySpec, spec: ModelSpec, scope: Mapping[str, Plain], label: str) -> Layer:
    """The layer of an entry. Raises LanguageError with one mistake for each field that is wrong."""
    inherited = {key: node for key, node in _defaults(spec, type).items() if key != "init" and not is_free(key)}
    nodes = {**inherited, **entry.fields}
    mistakes = Mistakes()
    values: dict[str, Plain] = {}
    for key, node in nodes.items():
        with mistakes.collect(prefix=f"{label}: {key}: "):
            values[key] = value_of(node, scope)
    mistakes.raise_all()
    if len(values) < len(nodes):
        raise FollowsError
    try:
        return construct(LAYER_TYPES[type], values)
    except FieldsError as error:
        found = []
        for mistake in error.fields:
            key = str(mistake.path[0]) if mistake.path else ""
            location = entry.keys[key] if mistake.is_key and key in entry.keys else entry.location
            if key in nodes and not mistake.is_key:
                location = nodes[key].locate(mistake.path[1:])
            found.append(Mistake(f"{label}: {mistake.message}", location))
        raise LanguageError(found) from None


def initializers(written: Node | None, scope: Mapping[str, Plain], label: str) -> dict[str, Initializer]:
    """The initialisers of a key `init`, by parameter. Raises LanguageError."""
    found: dict[str, Initializer] = {}
    mistakes = Mistakes()
    if written is not None:
        node = resolved(written, scope)
        if not isinstance(node.value, dict):
            message = f"{label}: init: expected a mapping from parameters to initialisers"
            raise LanguageError(message, node.location)
        for name, child in node.value.items():
            with mistakes.collect(child.location, f"{label}: init of {name}: "):
                found[name] = parse_initializer(value_of(_without_notes(child), scope))  # type: ignore[arg-type]
    mistakes.raise_all()
    return found


def default_initializers(type: str, spec: ModelSpec) -> Node | None:
    """The key `init` of a type's defaults."""
    return _defaults(spec, type).get("init")


def _without_notes(node: Node) -> Node:
    if not isinstance(node.value, dict):
        return node
    return node._replace(value={key: child for key, child in node.value.items() if not is_free(key)})


def _defaults(spec: ModelSpec, type: str) -> Nodes:
    node = spec.defaults.get(type)
    return node.value if isinstance(node, Node) and isinstance(node.value, dict) else {}
