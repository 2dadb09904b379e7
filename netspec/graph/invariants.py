"""What every graph must satisfy after every stage. A violation is our own bug, never the user's: assert."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from typing import Any

from netspec.graph.graph import Buffer, Call, Graph, GraphPair, Node, Param, Value
from netspec.graph.ops.control import Control


def check_graph(graph: Graph, before: Graph | None = None, typed: bool = False) -> Graph:
    """`graph` itself, after these hold: values are defined once and before they are read, every primitive's outputs
    have the types that its shape rule gives, a call's body reads only what the call lists, paths are unique.

    `before` is the graph that a pass made it from: nodes that are in both were looked into there. `typed` says that the
    Builder has just now derived all types from the shape rules. Both take a third of the time of loading a spec.
    """
    paths = [entry.path for entry in graph.state]
    assert len(set(paths)) == len(paths), "two parameters or buffers with one path"
    assert not set(graph.aliases) & set(paths), "an alias that is a path"
    assert set(graph.aliases.values()) <= set(paths), "an alias of nothing"
    names = [entry.name for entry in graph.inputs]
    assert len(set(names)) == len(names), "two inputs with one name"
    given = [output.name for output in graph.outputs]
    assert len(set(given)) == len(given), "two outputs with one name"
    _check_once(graph)
    defined = {entry.value for entry in graph.inputs} | {held.value for held in graph.state}
    _check_nodes(graph.nodes, defined, frozenset(before.nodes) if before else frozenset(), typed)
    assert all(output.value in defined for output in graph.outputs), "an output that nothing computes"
    by_path = {buffer.path: buffer.value for buffer in graph.buffers}
    for path, value in graph.updates.items():
        assert value in defined and value.type == by_path[path].type, f"update of {path}"
    return graph


def check_pair(pair: GraphPair) -> GraphPair:
    """`pair` itself, after its graphs, each checked, have the same parameters, buffers, types of inputs and outputs.

    Training may have outputs that inference has not.
    """
    for mode in ("params", "buffers"):
        left, right = getattr(pair.inference, mode), getattr(pair.training, mode)
        assert [_identity(held) for held in left] == [_identity(held) for held in right], f"other {mode} in training"
    assert pair.inference.aliases == pair.training.aliases, "other aliases in training"
    for part in ("inputs", "outputs"):
        inference, training = (
            {each.name: each.value.type for each in getattr(graph, part)} for graph in (pair.inference, pair.training)
        )
        assert inference.items() <= training.items(), f"other {part} in training"
    assert len(pair.inference.inputs) == len(pair.training.inputs), "other inputs in training"
    return pair


def _identity(held: Param | Buffer) -> tuple[Any, ...]:
    trainable = held.trainable if isinstance(held, Param) else None
    return held.path, held.value.type, held.initializer, trainable


def _check_once(graph: Graph) -> None:
    """Every value has one origin: an input, the state, or one primitive, wherever it stands."""
    seen = [entry.value for entry in graph.inputs] + [held.value for held in graph.state]
    seen += [value for node in graph.all_primitives() for value in node.outputs]
    assert len(set(seen)) == len(seen), "a value computed twice"


def _check_nodes(
    nodes: Iterable[Node | Call], defined: set[Value], checked: AbstractSet[Node | Call], typed: bool
) -> None:
    for node in nodes:
        if isinstance(node, Call):
            _check_call(node, defined, node in checked, typed)
        elif node in checked:
            _all_defined(node.inputs, defined, node.op.name)
            defined.update(node.outputs)
        else:
            _check_node(node, defined, typed)


def _check_call(call: Call, defined: set[Value], checked: bool, typed: bool) -> None:
    _all_defined(call.inputs, defined, call.path)
    _all_defined(call.params.values(), defined, call.path)
    _all_defined(call.buffers.values(), defined, call.path)
    _all_defined(call.noise, defined, call.path)
    results = {*call.outputs, *call.updates.values()}
    if checked:
        defined |= results
        return
    inside = {*call.inputs, *call.noise, *call.params.values(), *call.buffers.values()}
    for node in call.body:
        _check_node(node, inside, typed)
    assert results <= inside, f"{call.path}: an output that its body does not compute"
    defined |= results


def _check_node(node: Node, defined: set[Value], typed: bool) -> None:
    _all_defined(node.inputs, defined, node.op.name)
    if isinstance(node.op, Control):
        for part in node.op.parts():
            inside = set(part.inputs)
            _check_nodes(part.nodes, inside, frozenset(), typed)
            assert all(value in inside for value in part.outputs), f"{node.op.name}: an output that nothing computes"
    if not typed:
        types = node.op.infer(*(value.type for value in node.inputs))
        assert types == tuple(value.type for value in node.outputs), f"{node}: its shape rule gives {types}"
    defined.update(node.outputs)


def _all_defined(values: Iterable[Value], defined: set[Value], where: str) -> None:
    for value in values:
        assert value in defined, f"{where} reads {value} before it is computed"
