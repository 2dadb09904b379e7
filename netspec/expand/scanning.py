"""`scan`: a block or a group runs along a dimension, slice by slice, with one set of weights."""

from __future__ import annotations

from typing import NamedTuple

from netspec.errors import LanguageError, Location, ShapeError, nearest, printable
from netspec.expand.names import BROKEN, Result
from netspec.expand.reading import Bound, Given
from netspec.expand.units import LayerUnit, Unit
from netspec.graph.dims import format_shape
from netspec.graph.graph import Body, Origin, Value
from netspec.graph.ops.control import insert_axis, remove_axis
from netspec.graph.types import MAX_RANK, TensorType, normal_axis
from netspec.language.document import Node
from netspec.language.scope import Scope, resolved, value_of
from netspec.layers.validation import shown

KEYS = ("over", "dim")


class Walk(NamedTuple):
    """What a scan says: the inputs that come slice by slice, and along which dimension."""

    over: tuple[str, ...]
    dim: int


def scan(unit: Unit, node: Node, given: Given) -> Result:
    """What a scan of `unit` gives: final values of what is carried, all others stacked."""
    at = unit.at
    builder = unit.context.builder
    if isinstance(unit, LayerUnit):
        raise LanguageError(f"{at.label}: scan: a layer is not scanned: put it in a group with inputs", node.location)
    if not isinstance(given, Bound):
        raise LanguageError(f"{at.label}: scan: a group that is scanned writes its inputs", at.entry.location)
    walk = _walk(node, at.scope, tuple(given.values), at.label)
    origin = Origin(at.path, at.entry.location)
    axes = {name: _axis(walk.dim, given.values[name].type, name, at.label, node.location) for name in walk.over}
    result = BROKEN

    def step(*values: Value) -> list[Value]:
        nonlocal result
        result = unit.call(Bound(dict(zip(given.values, values, strict=True)), given.texts))
        return list((result.ports or {}).values())

    types = [remove_axis(x.type, axes[name]) if name in axes else x.type for name, x in given.values.items()]
    made = builder.body(step, types, "at every step of a scan", origin)
    if result.ports is None:
        return BROKEN
    carried = [name for name in result.ports if name in given.values]
    for name in carried:
        _check_carried(name, name in walk.over, given.values[name], result.ports[name], at.label, node.location)
    stacked = [name for name in result.ports if name not in carried]
    same = [name for name in given.values if name not in walk.over and name not in carried]
    order = (*walk.over, *carried, *same)
    inside = dict(zip(given.values, made.inputs, strict=True))
    body = Body(
        tuple(inside[name] for name in order),
        made.nodes,
        tuple(result.ports[name] for name in (*carried, *stacked)),
    )
    stack_axes = [_stack_axis(walk.dim, result.ports[name], name, at.label, node.location) for name in stacked]
    try:
        outputs = builder.emit_scan(
            body, [given.values[name] for name in order], [axes[name] for name in walk.over], stack_axes, origin=origin
        )
    except ShapeError as error:
        raise ShapeError(f"{at.label}: {error.mistakes[0].message}", node.location) from None
    by_name = dict(zip((*carried, *stacked), outputs, strict=True))
    return Result({name: by_name[name] for name in result.ports}, "only")


def _walk(node: Node, scope: Scope, inputs: tuple[str, ...], label: str) -> Walk:
    written = resolved(node, scope)
    if not isinstance(written.value, dict):
        raise LanguageError(f"{label}: scan: expected a mapping such as {{over: [word], dim: 1}}", node.location)
    for key in written.value:
        if key not in KEYS:
            message = f"{label}: scan: unknown key {printable(key[:64])}; known are over, dim"
            raise LanguageError(message, written.keys[key])
    for key in KEYS:
        if key not in written.value:
            raise LanguageError(f"{label}: scan: {key} is required", node.location)
    over = value_of(written.value["over"], scope)
    dim = value_of(written.value["dim"], scope)
    place = written.value["over"].location
    if not isinstance(over, list) or not over or not all(isinstance(name, str) for name in over):
        raise LanguageError(f"{label}: scan: over: expected a list of inputs, got {shown(over)}", place)
    for name in over:
        if name not in inputs:
            hint = nearest(str(name), inputs) or f"; it has {', '.join(inputs)}"
            raise LanguageError(f"{label}: scan: over: there is no input {printable(str(name)[:64])}{hint}", place)
    if len(set(over)) < len(over):
        raise LanguageError(f"{label}: scan: over: an input stands twice", place)
    if type(dim) is not int:
        place = written.value["dim"].location
        raise LanguageError(f"{label}: scan: dim: expected the number of a dimension, got {shown(dim)}", place)
    return Walk(tuple(str(name) for name in over), dim)


def _axis(dim: int, type: TensorType, name: str, label: str, location: Location) -> int:
    try:
        return normal_axis(dim, type.rank)
    except ShapeError:
        message = f"{label}: scan: {name} {format_shape(type.shape)} has no dimension {dim}"
        raise ShapeError(message, location) from None


def _stack_axis(dim: int, value: Value, name: str, label: str, location: Location) -> int:
    stacked = insert_axis(value.type, 0, 1)
    if stacked.rank > MAX_RANK:
        raise ShapeError(f"{label}: scan: {name} would have more than {MAX_RANK} dimensions", location)
    return _axis(dim, stacked, name, label, location)


def _check_carried(name: str, is_slice: bool, before: Value, after: Value, label: str, location: Location) -> None:
    """What is carried keeps its type from step to step."""
    if is_slice:
        message = f"{label}: scan: {name} comes slice by slice, so no output can be called {name} too"
        raise LanguageError(message, location)
    if before.type != after.type:
        message = f"{label}: scan: {name} is carried: it goes in as {before.type} and comes out as {after.type}"
        raise ShapeError(message, location)
