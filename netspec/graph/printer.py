"""Prints a Graph as text that a person can read: what goes in, what each layer does, what comes out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from netspec.graph.folding import Computed
from netspec.graph.graph import Call, Graph, Node, Value, primitives
from netspec.graph.ops.control import Scan


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
        elif isinstance(node.op, Scan):
            yield from _scan_lines(node, node.op, names)
        else:
            yield f"  {_node_line(node, names)}"


def _scan_lines(node: Node, op: Scan, names: dict[Value, str]) -> Iterator[str]:
    """A scan, what its body calls what it is given, and the body."""
    first = node.outputs[0].origin
    where = f"  # {first.location}" if first and first.location else ""
    yield f"  {first.path if first else 'scan'}: scan{where}"
    for position, (inside, value) in enumerate(zip(op.body.inputs, node.inputs, strict=True)):
        sliced = position < len(op.slice_axes)
        how = f"slices along {op.slice_axes[position]} of {names[value]}" if sliced else names[value]
        if inside is not value:
            yield f"    {names[inside]}: {inside.type} = {how}"
    for line in _nodes_lines(op.body.nodes, names):
        yield f"  {line}"
    for position, (inside, value) in enumerate(zip(op.body.outputs, node.outputs, strict=True)):
        stacked = position - op.carried
        how = f"{names[inside]} stacked along {op.stack_axes[stacked]}" if stacked >= 0 else f"the last {names[inside]}"
        yield f"    {names[value]} = {how}: {value.type}"


def _call_lines(call: Call, names: dict[Value, str]) -> Iterator[str]:
    inputs = ", ".join(names[value] for value in call.inputs)
    where = f"  # {call.origin.location}" if call.origin.location else ""
    layout = " channels last" if call.channels_last else ""
    of = f" of {inputs}" if inputs else ""
    yield f"  {call.path}: {describe(call.layer)}{of}{layout}{where}"
    for node in call.body:
        yield f"    {_node_line(node, names)}"


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
        if isinstance(node.op, Scan):
            for value in node.op.body.inputs:
                names.setdefault(value, f"%{len(names)}")
            _add_names(primitives(node.op.body.nodes), names)
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
