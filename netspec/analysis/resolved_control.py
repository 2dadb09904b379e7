"""Control flow as entries of a flat spec: groups that are scanned or run in a while, branches, blocks with a gradient.

Values of a body are called `x0`, `x1` and on by the place of the input, `y0` and on by that of the output; one more
letter for each body around it, as groups see the names around them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from netspec.errors import LanguageError
from netspec.graph.flow import path_of
from netspec.graph.graph import Body, Call, Node, Value
from netspec.graph.ops import Cond, Control, CustomGradient, Scan, While
from netspec.language.scope import Scope

if TYPE_CHECKING:
    from netspec.analysis.resolved import Writer

Plain = dict[str, Any]


def control_entry(writer: Writer, one: Node, other: Node, around: str) -> Plain:
    """The entry of control flow: `other` is the same in inference, `around` the path of the body that they stand in.

    Raises LanguageError where layers with weights would be written a second time.
    """
    assert isinstance(one.op, Control) and isinstance(other.op, Control)
    path, origin = path_of(one), one.outputs[0].origin
    assert origin is not None
    called = path.removeprefix(f"{around}.") if around else path
    if isinstance(one.op, CustomGradient):
        return _with_gradient(writer, one, other, called)
    if any(not call.path.startswith(f"{path}.") or call.path in writer.entered for call in _inside(one.op)):
        word = one.op.name.lower()
        raise LanguageError(f"{path}: a {word} that is applied once more: resolve does not write it", origin.location)
    name = writer.claimed(called, origin.location)
    entry = _branches(writer, one, other, path) if isinstance(one.op, Cond) else _loop(writer, one, other, path)
    for position, (output, in_other) in enumerate(zip(one.outputs, other.outputs, strict=True)):
        writer.names[output, in_other] = f"{name}:{list(entry['ports'])[position]}"
    del entry["ports"]
    return {"name": name, **entry}


def _loop(writer: Writer, one: Node, other: Node, path: str) -> Plain:
    """A group that is scanned, or runs in a while, its inputs and outputs called anew."""
    op = one.op
    assert isinstance(op, (Scan, While))
    (part,), (in_other,) = _parts(one), _parts(other)
    x, y = (letter * (writer.depth + 1) for letter in "xy")
    source = {}
    for position, (inside, value) in enumerate(zip(part.inputs, one.inputs, strict=True)):
        if inside is not value:  # else it is of the graph around, and seen there by its own name
            source[f"{x}{position}"] = writer.names[value, other.inputs[position]]
            writer.names[inside, in_other.inputs[position]] = f"{x}{position}"
    layers = _layers(writer, part, in_other, path)
    first = len(op.slice_axes) if isinstance(op, Scan) else 0
    ports = [f"{x}{first + k}" if k < op.carried else f"{y}{k}" for k in range(len(part.outputs))]
    outputs = dict(zip(ports, _references(writer, part, in_other), strict=True))
    if isinstance(op, Scan):
        over = [f"{x}{position}" for position in range(first)]
        how: Plain = {"scan": {"over": over, "dim": _dim(one, op)}}
    else:
        how = {"while": {"condition": ports[op.condition], "limit": op.limit}}
    return {"from": source, **how, "inputs": list(source), "layers": layers, "outputs": outputs, "ports": ports}


def _branches(writer: Writer, one: Node, other: Node, path: str) -> Plain:
    """Groups that add nothing to the path, as their layers have their names already."""
    chooser = writer.names[one.inputs[0], other.inputs[0]]
    branches: list[Plain] = []
    ports = [f"{'y' * (writer.depth + 1)}{position}" for position in range(len(one.outputs))]
    for part, in_other in zip(_parts(one), _parts(other), strict=True):
        layers = _layers(writer, part, in_other, path)
        references = _references(writer, part, in_other)
        layers = layers or [{"type": "identity", "from": references[0]}]
        branches.append({"name": ".", "layers": layers, "outputs": dict(zip(ports, references, strict=True))})
    return {"cond": chooser, "branches": branches, "ports": ports}


def _with_gradient(writer: Writer, one: Node, other: Node, called: str) -> Plain:
    """An entry of a block, which is written beside the block of its gradient. Neither holds weights."""
    assert isinstance(one.op, CustomGradient) and isinstance(other.op, CustomGradient)
    path, origin = path_of(one), one.outputs[0].origin
    assert origin is not None
    again = path in writer.entered
    writer.entered.add(path)
    name = writer.claimed(writer.free_name(called) if again else called, origin.location)
    inputs = [f"x{position}" for position in range(len(one.inputs))]
    ports = [f"y{position}" for position in range(len(one.outputs))]
    cotangents = [f"grad_{y}" for y, value in zip(ports, one.outputs, strict=True) if value.type.dtype == "float"]
    floats = [x for x, value in zip(inputs, one.inputs, strict=True) if value.type.dtype == "float"]
    block = f"Gradient{len(writer.blocks) // 2 + 1}"
    writer.blocks |= {block: {}, f"{block}Backward": {}}
    forward = _block(writer, one.op.body, other.op.body, path, inputs, ports)
    back = _block(
        writer, one.op.backward, other.op.backward, f"{path}:gradient", [*inputs, *ports, *cotangents], floats
    )
    writer.blocks[block] = {**forward, "inputs": inputs, "gradient": f"{block}Backward"}
    writer.blocks[f"{block}Backward"] = back
    source = dict(zip(inputs, (writer.names[pair] for pair in zip(one.inputs, other.inputs, strict=True)), strict=True))
    for port, *values in zip(ports, one.outputs, other.outputs, strict=True):
        writer.names[values[0], values[1]] = f"{name}:{port}"
    return {"name": name, "type": block, "from": source}


def _block(writer: Writer, part: Body, other: Body, path: str, inputs: list[str], outputs: list[str]) -> Plain:
    """A block of its own names. An output that no layer computes is left out: no gradient flows there."""
    entered, writer.entered = writer.entered, set()
    for name, *values in zip(inputs, part.inputs, other.inputs, strict=True):
        writer.names[values[0], values[1]] = name
    layers = _layers(writer, part, other, path)
    writer.entered = entered
    pairs = zip(part.outputs, other.outputs, strict=True)
    found = {name: writer.names[pair] for name, pair in zip(outputs, pairs, strict=True) if pair in writer.names}
    layers = layers or [{"type": "identity", "from": inputs[0]}]
    return {"inputs": inputs, "layers": layers, "outputs": found}


def _layers(writer: Writer, part: Body, other: Body, path: str) -> list[Plain]:
    outer, writer.scope = writer.scope, Scope()
    writer.depth += 1
    nodes = [[node for node in each.nodes if _is_written(node)] for each in (part, other)]
    layers = writer.entries(nodes[0], nodes[1], path)
    writer.depth -= 1
    writer.scope = outer
    return layers


def _is_written(node: Node | Call) -> bool:
    """All but the zeros that flow back where a gradient says nothing."""
    return isinstance(node, Call) or isinstance(node.op, Control)


def _references(writer: Writer, part: Body, other: Body) -> list[str]:
    return [writer.names[pair] for pair in zip(part.outputs, other.outputs, strict=True)]


def _parts(node: Node) -> tuple[Body, ...]:
    assert isinstance(node.op, Control)
    return tuple(node.op.parts())


def _inside(op: Control) -> Iterator[Call]:
    """The layers of its bodies, and those of control flow in them, but none that hold no weights."""
    for part in op.parts():
        for node in part.nodes:
            if isinstance(node, Call):
                yield node
            elif isinstance(node.op, Control) and not isinstance(node.op, CustomGradient):
                yield from _inside(node.op)


def _dim(node: Node, op: Scan) -> int:
    """The one number that means the axes of all that is sliced and stacked: counted from the front, or from the end."""
    axes = (*op.slice_axes, *op.stack_axes)
    if len(set(axes)) == 1:
        return axes[0]
    values: tuple[Value, ...] = (*node.inputs[: len(op.slice_axes)], *node.outputs[op.carried :])
    (dim,) = {axis - value.type.rank for axis, value in zip(axes, values, strict=True)}
    return dim
