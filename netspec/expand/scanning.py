"""`scan`: a block or a group runs along a dimension, slice by slice, with one set of weights."""

from __future__ import annotations

from typing import NamedTuple

from netspec.errors import LanguageError, ShapeError, nearest, printable
from netspec.expand.names import BROKEN, Result
from netspec.expand.reading import Given
from netspec.expand.running import body_of, check_carried, own_inputs, written_keys
from netspec.expand.units import Unit
from netspec.graph.dims import format_shape
from netspec.graph.graph import Body, Origin, Value
from netspec.graph.ops.control import insert_axis, remove_axis
from netspec.graph.types import MAX_RANK, TensorType, normal_axis
from netspec.language.document import Node
from netspec.language.scope import Scope, value_of
from netspec.layers.validation import shown


class Walk(NamedTuple):
    """What a scan says: the inputs that come slice by slice, and along which dimension."""

    over: tuple[str, ...]
    dim: int


def scan(unit: Unit, node: Node, given: Given) -> Result:
    """What a scan of `unit` gives: final values of what is carried, all others stacked."""
    at, label = unit.at, f"{unit.at.label}: scan"
    builder = unit.context.builder
    given = own_inputs(unit, given, "scan", node)
    walk = _walk(node, at.scope, tuple(given.values), label)
    origin = Origin(at.path, at.entry.location)
    axes = {name: _axis(walk.dim, given.values[name].type, name, label, node) for name in walk.over}
    types = [remove_axis(x.type, axes[name]) if name in axes else x.type for name, x in given.values.items()]
    made, result = body_of(unit.call, given, types, "at every step of a scan", builder, origin)
    if result.ports is None:
        return BROKEN
    carried = [name for name in result.ports if name in given.values]
    for name in carried:
        if name in walk.over:
            message = f"{label}: {name} comes slice by slice, so no output can be called {name} too"
            raise LanguageError(message, node.location)
        check_carried(name, given.values[name], result.ports[name], label, node)
    stacked = [name for name in result.ports if name not in carried]
    same = [name for name in given.values if name not in walk.over and name not in carried]
    order = (*walk.over, *carried, *same)
    inside = dict(zip(given.values, made.inputs, strict=True))
    body = Body(
        tuple(inside[name] for name in order),
        made.nodes,
        tuple(result.ports[name] for name in (*carried, *stacked)),
    )
    stack_axes = [_stack_axis(walk.dim, result.ports[name], name, label, node) for name in stacked]
    try:
        outputs = builder.emit_scan(
            body, [given.values[name] for name in order], [axes[name] for name in walk.over], stack_axes, origin=origin
        )
    except ShapeError as error:
        raise ShapeError(f"{at.label}: {error.mistakes[0].message}", node.location) from None
    by_name = dict(zip((*carried, *stacked), outputs, strict=True))
    return Result({name: by_name[name] for name in result.ports}, "only")


def _walk(node: Node, scope: Scope, inputs: tuple[str, ...], label: str) -> Walk:
    written = written_keys(node, scope, label, {"over": "[word]", "dim": "1"})
    over = value_of(written["over"], scope)
    dim = value_of(written["dim"], scope)
    place = written["over"].location
    if not isinstance(over, list) or not over or not all(isinstance(name, str) for name in over):
        raise LanguageError(f"{label}: over: expected a list of inputs, got {shown(over)}", place)
    for name in over:
        if name not in inputs:
            hint = nearest(str(name), inputs) or f"; it has {', '.join(inputs)}"
            raise LanguageError(f"{label}: over: there is no input {printable(str(name)[:64])}{hint}", place)
    if len(set(over)) < len(over):
        raise LanguageError(f"{label}: over: an input stands twice", place)
    if type(dim) is not int:
        place = written["dim"].location
        raise LanguageError(f"{label}: dim: expected the number of a dimension, got {shown(dim)}", place)
    return Walk(tuple(str(name) for name in over), dim)


def _axis(dim: int, type: TensorType, name: str, label: str, node: Node) -> int:
    try:
        return normal_axis(dim, type.rank)
    except ShapeError:
        message = f"{label}: {name} {format_shape(type.shape)} has no dimension {dim}"
        raise ShapeError(message, node.location) from None


def _stack_axis(dim: int, value: Value, name: str, label: str, node: Node) -> int:
    stacked = insert_axis(value.type, 0, 1)
    if stacked.rank > MAX_RANK:
        raise ShapeError(f"{label}: {name} would have more than {MAX_RANK} dimensions", node.location)
    return _axis(dim, stacked, name, label, node)
