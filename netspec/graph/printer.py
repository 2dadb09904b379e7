"""Prints a Graph as text that a person can read: what goes in, what each layer does, what comes out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from netspec.graph.folding import Computed
from netspec.graph.graph import Call, Graph, Node, Value, primitives
from netspec.graph.ops import Cond, Control, CustomGradient, Op, Scan, While


def print_graph(graph: Graph) -> str:
    """The whole graph, a primitive a line; values are called by their input, path, or `%n` in order."""
    return "\n".join(_lines(graph)) + "\n"


def _lines(graph: Graph) -> Iterator[str]:
    names = _names(graph)
    yield f"graph {graph.name} ({'training' if graph.training else 'inference'})"
    yield "inputs"
    for entry in graph.inputs:
        yield f"  {entry.name}: {entry.value.type}"
    if graph.params:
        yield "parameters"
    for param in graph.params:
        frozen = "" if param.trainable else ", frozen"
        yield f"  {param.path}: {param.value.type} = {describe(param.initializer)}{frozen}"
    if graph.buffers:
        yield "buffers"
    for buffer in graph.buffers:
        yield f"  {buffer.path}: {buffer.value.type} = {describe(buffer.initializer)}"
    yield "nodes"
    yield from _nodes_lines(graph.nodes, names)
    yield "outputs"
    for output in graph.outputs:
        yield f"  {output.name}: {output.value.type} = {names[output.value]}"
    for path, value in graph.updates.items():
        yield f"  update {path} = {names[value]}"
    for requirement in graph.requirements:
        yield f"  require {requirement.size} >= {requirement.at_least} for {requirement.origin.path}"


def _nodes_lines(nodes: Iterable[Node | Call], names: dict[Value, str]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, Call):
            yield from _call_lines(node, names)
        else:
            yield from _node_lines(node, names)


def _node_lines(node: Node, names: dict[Value, str]) -> Iterator[str]:
    if isinstance(node.op, Control):
        yield from _control_lines(node, node.op, names)
    else:
        yield f"  {_node_line(node, names)}"


def _control_lines(node: Node, op: Control, names: dict[Value, str]) -> Iterator[str]:
    """A primitive of control flow: what its bodies call what they are given, the bodies, and what comes of them."""
    first = node.outputs[0].origin
    where = f"  # {first.location}" if first and first.location else ""
    attributes = [
        f"{name}={format_attribute(value)}"
        for name, value in vars(op).items()
        if name not in (*op.bodies, *_SHOWN) and value is not False
    ]
    told = f"({', '.join(attributes)})" if attributes else ""
    if isinstance(op, Cond):
        told = f" by {names[node.inputs[0]]}"
    yield f"  {first.path if first else op.name.lower()}: {_WORDS[type(op)]}{told}{where}"
    given = {id(part): node.inputs[position:] for part, position in op.forward_parts()}
    parts = list(op.parts())
    for number, part in enumerate(parts):
        if len(parts) > 1:
            yield f"    {_title(op, number)}"
        values = given.get(id(part), ())
        for position, inside in enumerate(part.inputs):
            if not values:
                yield f"    {names[inside]}: {inside.type}"
            elif inside is not values[position]:
                yield f"    {names[inside]}: {inside.type} = {_comes(op, position)}{names[values[position]]}"
        for line in _nodes_lines(part.nodes, names):
            yield f"  {line}"
        if len(parts) > 1:
            yield f"    gives {', '.join(names[value] for value in part.outputs)}"
    for position, value in enumerate(node.outputs):
        yield f"    {names[value]} = {_goes(op, position, names)}: {value.type}"


_WORDS: Mapping[type[Op], str] = {Scan: "scan", While: "while", Cond: "cond", CustomGradient: "custom gradient"}
_SHOWN = ("slice_axes", "stack_axes", "carried")  # at the values that they are of


def _title(op: Control, number: int) -> str:
    if isinstance(op, CustomGradient):
        return ("forwards", "backwards")[number]
    return f"branch {number}"


def _comes(op: Control, position: int) -> str:
    if isinstance(op, Scan) and position < len(op.slice_axes):
        return f"slices along {op.slice_axes[position]} of "
    return ""


def _goes(op: Control, position: int, names: dict[Value, str]) -> str:
    if isinstance(op, Cond):
        return f"output {position} of the branch"
    inside = names[next(op.parts()).outputs[position]]
    if isinstance(op, Scan) and position >= op.carried:
        return f"{inside} stacked along {op.stack_axes[position - op.carried]}"
    return f"the last {inside}" if isinstance(op, (Scan, While)) else inside


def _call_lines(call: Call, names: dict[Value, str]) -> Iterator[str]:
    inputs = ", ".join(names[value] for value in call.inputs)
    where = f"  # {call.origin.location}" if call.origin.location else ""
    layout = " channels last" if call.channels_last else ""
    of = f" of {inputs}" if inputs else ""
    yield f"  {call.path}: {describe(call.layer)}{of}{layout}{where}"
    for node in call.body:
        for line in _node_lines(node, names):
            yield f"  {line}"


def _node_line(node: Node, names: dict[Value, str]) -> str:
    inputs = [names[value] for value in node.inputs]
    attributes = [f"{name}={format_attribute(value)}" for name, value in vars(node.op).items()]
    outputs = ", ".join(names[value] for value in node.outputs)
    types = ", ".join(str(value.type) for value in node.outputs)
    return f"{outputs} = {node.op.name}({', '.join(inputs + attributes)}): {types}"


def _names(graph: Graph) -> dict[Value, str]:
    names = {entry.value: entry.name for entry in graph.inputs}
    names |= {entry.value: entry.path for entry in graph.state}
    _add_names(graph.primitives(), names)
    return names


def _add_names(nodes: Iterable[Node], names: dict[Value, str]) -> None:
    for node in nodes:
        if isinstance(node.op, Control):
            for part in node.op.parts():
                for value in part.inputs:
                    names.setdefault(value, f"%{len(names)}")
                _add_names(primitives(part.nodes), names)
        for value in node.outputs:
            names[value] = f"%{len(names)}"


def describe(configuration: Any) -> str:
    """`conv2d(out_channels=6, kernel_size=5)`: a layer or initialiser with the fields that were given."""
    if isinstance(configuration, str | Computed):
        return str(configuration)
    hidden = {"type", *getattr(type(configuration), "derived", ())}
    fields = [
        name
        for name in type(configuration).model_fields
        if name in configuration.model_fields_set and name not in hidden
    ]
    given = ", ".join(f"{name}={format_attribute(getattr(configuration, name))}" for name in fields)
    return f"{configuration.type}({given})" if given else str(configuration.type)


def format_attribute(value: Any) -> str:
    """Lists in brackets, words bare, everything else as Python shows it."""
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(format_attribute(each) for each in value) + "]"
    return str(value) if isinstance(value, str) else f"{value!r}"
