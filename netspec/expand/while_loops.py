"""`while`: a block or a group runs again and again, as long as a flag that it carries is true."""

from __future__ import annotations

from netspec.errors import LanguageError, ShapeError, nearest, printable
from netspec.expand.names import BROKEN, Result
from netspec.expand.reading import Given
from netspec.expand.running import body_of, check_carried, own_inputs, written_keys
from netspec.expand.units import Unit
from netspec.graph.graph import Body, Origin
from netspec.graph.ops import While
from netspec.graph.types import TensorType
from netspec.language.document import Node
from netspec.language.scope import Scope, value_of
from netspec.layers.validation import shown

MAX_LIMIT = 2**31 - 1  # what a counter of 32 bits holds


def while_loop(unit: Unit, node: Node, given: Given) -> Result:
    """What a while of `unit` gives: the final values of what is carried."""
    at, label = unit.at, f"{unit.at.label}: while"
    builder = unit.context.builder
    given = own_inputs(unit, given, "while", node)
    condition, limit = _condition(node, at.scope, label)
    origin = Origin(at.path, at.entry.location)
    types = [x.type for x in given.values.values()]
    made, result = body_of(unit.call, given, types, "in every run of a while", builder, origin)
    if result.ports is None:
        return BROKEN
    names = list(result.ports)
    for name, after in result.ports.items():
        if name not in given.values:
            message = f"{label}: output {name} is called like no input: only what is carried comes out"
            raise LanguageError(message, node.location)
        check_carried(name, given.values[name], after, label, node)
    if condition not in names:
        hint = nearest(condition, names) or f": those are {', '.join(names)}"
        message = f"{label}: condition: {printable(condition[:64])} is not carried{hint}"
        raise LanguageError(message, node.location)
    if given.values[condition].type != TensorType((), "bool"):
        message = f"{label}: condition: {condition} is {given.values[condition].type}, not bool[]"
        raise ShapeError(message, node.location)
    order = (*names, *(name for name in given.values if name not in names))
    inside = dict(zip(given.values, made.inputs, strict=True))
    body = Body(tuple(inside[name] for name in order), made.nodes, made.outputs)
    op = While(body, len(names), names.index(condition), limit)
    outputs = builder.emit_control(op, [given.values[name] for name in order], origin=origin)
    return Result(dict(zip(names, outputs, strict=True)), "only")


def _condition(node: Node, scope: Scope, label: str) -> tuple[str, int]:
    """The condition and the limit. Raises LanguageError."""
    written = written_keys(node, scope, label, {"condition": "busy", "limit": "20"})
    condition = value_of(written["condition"], scope)
    if not isinstance(condition, str):
        message = f"{label}: condition: expected the name of an input, got {shown(condition)}"
        raise LanguageError(message, written["condition"].location)
    limit = value_of(written["limit"], scope)
    if type(limit) is not int or not 0 < limit <= MAX_LIMIT:
        message = f"{label}: limit: expected an integer from 1 to {MAX_LIMIT}, got {shown(limit)}"
        raise LanguageError(message, written["limit"].location)
    return condition, limit
