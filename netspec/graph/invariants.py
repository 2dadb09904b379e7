"""What every graph must satisfy after every stage. A violation is our own bug, never the user's: assert."""

from __future__ import annotations

from collections.abc import Iterable

from netspec.graph.graph import Call, Graph, GraphPair, Node, Value


def check_graph(graph: Graph) -> Graph:
    """`graph` itself, after these hold: values are defined once and before they are read, every primitive's outputs
    have the types that its shape rule gives, a call's body reads only what the call lists, paths are unique."""
    paths = [entry.path for entry in graph.state]
    assert len(set(paths)) == len(paths), "two parameters or buffers with one path"
    names = [entry.name for entry in graph.inputs]
    assert len(set(names)) == len(names), "two inputs with one name"
    defined = {entry.value for entry in graph.inputs} | {held.value for held in graph.state}
    for node in graph.nodes:
        if isinstance(node, Call):
            _check_call(node, defined)
        else:
            _check_node(node, defined)
    assert all(output.value in defined for output in graph.outputs), "an output that nothing computes"
    by_path = {buffer.path: buffer.value for buffer in graph.buffers}
    for path, value in graph.updates.items():
        assert value in defined and value.type == by_path[path].type, f"update of {path}"
    return graph


def check_pair(pair: GraphPair) -> GraphPair:
    """`pair` itself, after both graphs hold and have the same parameters, buffers and outputs' types."""
    check_graph(pair.inference)
    check_graph(pair.training)
    for left, right in (
        (pair.inference.params, pair.training.params),
        (pair.inference.buffers, pair.training.buffers),
    ):
        assert [(p.path, p.value.type) for p in left] == [(p.path, p.value.type) for p in right]
    return pair


def _check_call(call: Call, defined: set[Value]) -> None:
    _all_defined(call.inputs, defined, call.path)
    _all_defined(call.params.values(), defined, call.path)
    _all_defined(call.buffers.values(), defined, call.path)
    _all_defined(call.noise, defined, call.path)
    inside = {*call.inputs, *call.noise, *call.params.values(), *call.buffers.values()}
    for node in call.body:
        _check_node(node, inside)
    results = {*call.outputs, *call.updates.values()}
    assert results <= inside, f"{call.path}: an output that its body does not compute"
    defined |= results


def _check_node(node: Node, defined: set[Value]) -> None:
    _all_defined(node.inputs, defined, node.op.name)
    types = node.op.infer(*(value.type for value in node.inputs))
    assert types == tuple(value.type for value in node.outputs), f"{node}: its shape rule gives {types}"
    for value in node.outputs:
        assert value not in defined, f"{node.op.name}: a value computed twice"
        defined.add(value)


def _all_defined(values: Iterable[Value], defined: set[Value], where: str) -> None:
    for value in values:
        assert value in defined, f"{where} reads {value} before it is computed"
