"""`gradient` of a block: another block says what flows back through it."""

from __future__ import annotations

from collections.abc import Mapping

from netspec.errors import LanguageError, ShapeError, nearest, printable
from netspec.expand.names import BROKEN, Result
from netspec.expand.reading import Bound
from netspec.expand.running import body_of
from netspec.expand.units import Application, BlockUnit
from netspec.graph.control_flow import captured
from netspec.graph.graph import Body, Call, Origin, Value, all_primitives
from netspec.graph.ops import Control, CustomGradient
from netspec.language.document import Node as Text
from netspec.language.spec import EntrySpec
from netspec.layers.validation import shown

COTANGENT = "grad_"


def with_gradient(unit: BlockUnit, written: Text, given: Bound) -> Result:
    """What the block gives, with the gradient of the block that `written` names."""
    at, builder = unit.at, unit.context.builder
    origin = Origin(at.path, at.entry.location)
    types = [x.type for x in given.values.values()]
    body, result = body_of(unit.plain_call, given, types, "in a block with a gradient", builder, origin)
    if result.ports is None:
        return BROKEN
    _check_pure(body, at.label, unit.name)
    named = _names(dict(zip(given.values, body.inputs, strict=True)), result.ports, at.label, written)
    backward = _backward(unit, written, named, dict(zip(given.values, body.inputs, strict=True)))
    if backward is None:
        return BROKEN
    _check_pure(backward, at.label, str(written.value))
    outputs = builder.emit_control(CustomGradient(body, backward), list(given.values.values()), origin=origin)
    return Result(dict(zip(result.ports, outputs, strict=True)), result.plain)


def _names(inputs: Mapping[str, Value], outputs: Mapping[str, Value], label: str, at: Text) -> dict[str, Value]:
    """What a block of gradients may read, by name, in the order of a CustomGradient's."""
    named = dict(inputs)
    cotangents = {f"{COTANGENT}{name}": value for name, value in outputs.items() if value.type.dtype == "float"}
    for name, value in (*outputs.items(), *cotangents.items()):
        if name in named:
            message = f"{label}: gradient: two of its inputs, outputs and their cotangents would be called {name}"
            raise LanguageError(message, at.location)
        named[name] = value
    return named


def _backward(unit: BlockUnit, written: Text, named: Mapping[str, Value], operands: Mapping[str, Value]) -> Body | None:
    """The way back: what the block of gradients gives for each operand of the float type, zeros where it gives none."""
    builder, label = unit.context.builder, f"{unit.at.label}: gradient"
    back = _unit(unit, written)
    assert back.inputs is not None
    read = back.inputs.required
    for name in read:
        if name not in named:
            hint = nearest(name, named) or f"; there are {', '.join(named)}"
            message = f"{label}: {back.name} reads {printable(name[:64])}, which {unit.name} does not have{hint}"
            raise LanguageError(message, written.location)
    back.prepare(None)
    found: Mapping[str, Value] | None = None

    def step(*values: Value) -> list[Value]:
        nonlocal found
        by_name = dict(zip(named, values, strict=True))
        found = back.plain_call(Bound({name: by_name[name] for name in read})).ports
        flows: list[Value] = []
        for name, x in operands.items():
            if x.type.dtype == "float":
                flow = (found or {}).get(name)
                flows.append(builder.full(0.0, x.shape) if flow is None else flow)
        return flows

    types = [value.type for value in named.values()]
    origin = Origin(back.at.path, written.location)
    body = builder.body(step, types, "in a gradient", origin)
    if found is None:
        return None
    for name, flow in found.items():
        if name not in operands or operands[name].type.dtype != "float":
            known = [each for each, x in operands.items() if x.type.dtype == "float"]
            hint = nearest(name, known) or f": those are {', '.join(known) or 'none'}"
            message = f"{label}: output {printable(name[:64])} of {back.name} is no float input of {unit.name}{hint}"
            raise LanguageError(message, written.location)
        if flow.type != operands[name].type:
            message = f"{label}: {back.name} gives {flow.type} for {name}, which is {operands[name].type}"
            raise ShapeError(message, written.location)
    return body


def _unit(unit: BlockUnit, written: Text) -> BlockUnit:
    """The block of gradients, with the arguments that it has params for."""
    at, blocks, name = unit.at, unit.context.spec.blocks, written.value
    if not isinstance(name, str) or name not in blocks:
        hint = nearest(name, blocks) if isinstance(name, str) else f": expected the name of one, got {shown(name)}"
        raise LanguageError(
            f"{at.label}: gradient: there is no block {printable(str(name)[:64])}{hint}", written.location
        )
    block = blocks[name]
    if block.gradient is not None or block.body.inputs is None:
        lacks = "has a gradient itself" if block.gradient is not None else "has no inputs"
        raise LanguageError(f"{at.label}: gradient: {name} {lacks}", written.location)
    entry = EntrySpec(
        location=written.location,
        defaults=at.entry.defaults,
        type=written,
        fields={key: node for key, node in at.entry.fields.items() if key in block.params},
        keys=at.entry.keys,
    )
    # A name of an entry holds no colon: no other entry has this path.
    place = Application(entry, at.scope, f"{at.path}:gradient", f"{at.label}: gradient", at.frozen)
    return BlockUnit(unit.body, place, name, block)


def _check_pure(body: Body, label: str, name: str) -> None:
    """A LanguageError where the body holds weights or draws numbers: a gradient of one's own is of inputs alone."""
    for call in _calls(body):
        if call.params or call.buffers:
            held = next(iter((*call.params, *call.buffers)))
            message = f"{label}: gradient: {name} holds {call.path}{'.' if held else ''}{held}: make it an input"
            raise LanguageError(message, call.origin.location)
        if any(node.op.random for node in all_primitives([call])):
            message = f"{label}: gradient: {name} draws random numbers in {call.path}: make them an input"
            raise LanguageError(message, call.origin.location)
    assert not captured([body])


def _calls(body: Body) -> list[Call]:
    found: list[Call] = []
    for node in body.nodes:
        if isinstance(node, Call):
            found.append(node)
        elif isinstance(node.op, Control):
            found += [call for part in node.op.parts() for call in _calls(part)]
    return found
