"""`while`: a block or a group runs again and again, as long as a flag that it carries is true."""

from __future__ import annotations

from netspec.errors import LanguageError, ShapeError, nearest, printable
from netspec.expand.names import BROKEN, Result
from netspec.expand.reading import Bound, Given
from netspec.expand.units import LayerUnit, Unit
from netspec.graph.graph import Body, Origin, Value
from netspec.graph.ops import While
from netspec.graph.types import TensorType
from netspec.language.document import Node
from netspec.language.scope import Scope, resolved, value_of
from netspec.layers.validation import shown

KEYS = ("condition", "limit")
MAX_LIMIT = 2**31 - 1  # what a counter of 32 bits holds


def while_loop(unit: Unit, node: Node, given: Given) -> Result:
    """What a while of `unit` gives: the final values of what is carried."""
    at = unit.at
    builder = unit.context.builder
    if isinstance(unit, LayerUnit):
        message = f"{at.label}: while: a layer does not run in a while: put it in a group with inputs"
        raise LanguageError(message, node.location)
    if not isinstance(given, Bound):
        raise LanguageError(f"{at.label}: while: a group that runs in a while writes its inputs", at.entry.location)
    condition, limit = _written(node, at.scope, at.label)
    origin = Origin(at.path, at.entry.location)
    result = BROKEN

    def step(*values: Value) -> list[Value]:
        nonlocal result
        result = unit.call(Bound(dict(zip(given.values, values, strict=True)), given.texts))
        return list((result.ports or {}).values())

    types = [x.type for x in given.values.values()]
    made = builder.body(step, types, "in every run of a while", origin)
    if result.ports is None:
        return BROKEN
    names = list(result.ports)
    for name, after in result.ports.items():
        if name not in given.values:
            message = f"{at.label}: while: output {name} is called like no input: only what is carried comes out"
            raise LanguageError(message, node.location)
        before = given.values[name]
        if before.type != after.type:
            message = f"{at.label}: while: {name} is carried: it goes in as {before.type} and comes out as {after.type}"
            raise ShapeError(message, node.location)
    if condition not in names:
        hint = nearest(condition, names) or f": those are {', '.join(names)}"
        message = f"{at.label}: while: condition: {printable(condition[:64])} is not carried{hint}"
        raise LanguageError(message, node.location)
    if given.values[condition].type != TensorType((), "bool"):
        message = f"{at.label}: while: condition: {condition} is {given.values[condition].type}, not bool[]"
        raise ShapeError(message, node.location)
    order = (*names, *(name for name in given.values if name not in names))
    inside = dict(zip(given.values, made.inputs, strict=True))
    body = Body(tuple(inside[name] for name in order), made.nodes, made.outputs)
    op = While(body, len(names), names.index(condition), limit)
    outputs = builder.emit_control(op, [given.values[name] for name in order], origin=origin)
    return Result(dict(zip(names, outputs, strict=True)), "only")


def _written(node: Node, scope: Scope, label: str) -> tuple[str, int]:
    """The condition and the limit. Raises LanguageError."""
    written = resolved(node, scope)
    if not isinstance(written.value, dict):
        message = f"{label}: while: expected a mapping such as {{condition: busy, limit: 20}}"
        raise LanguageError(message, node.location)
    for key in written.value:
        if key not in KEYS:
            message = f"{label}: while: unknown key {printable(key[:64])}; known are condition, limit"
            raise LanguageError(message, written.keys[key])
    for key in KEYS:
        if key not in written.value:
            raise LanguageError(f"{label}: while: {key} is required", node.location)
    condition = value_of(written.value["condition"], scope)
    if not isinstance(condition, str):
        message = f"{label}: while: condition: expected the name of an input, got {shown(condition)}"
        raise LanguageError(message, written.value["condition"].location)
    limit = value_of(written.value["limit"], scope)
    if type(limit) is not int or not 0 < limit <= MAX_LIMIT:
        message = f"{label}: while: limit: expected an integer from 1 to {MAX_LIMIT}, got {shown(limit)}"
        raise LanguageError(message, written.value["limit"].location)
    return condition, limit
