"""Graph -> ONNX: runs a graph's lowerings on a tape, names what it recorded, and leaves out what nothing reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import onnx_ir as ir

from netspec import __version__
from netspec.backend import Fused, Lowerings, Results, run
from netspec.errors import BackendError
from netspec.graph.graph import Call, Graph, Origin
from netspec.graph.ops import PRIMITIVES
from netspec.graph.types import TensorType
from netspec_onnx.file import WeightedModel, Weights
from netspec_onnx.lowerings import GAPS
from netspec_onnx.schemas import OPSET
from netspec_onnx.tape import Tape

IR_VERSION = 10  # the one that came with the opset


def build(graph: Graph, weights: Mapping[str, Any], lowerings: Lowerings, fused: Fused) -> WeightedModel:
    """The ONNX model of an inference graph with those of `weights` (NumPy arrays by path) that it reads.

    Inputs, outputs and initializers carry the names that the spec gives them; of the nodes of one entry the last
    carries its path, the others the path and their operator. Weights are converted to float32 where they have
    another float type, and are not copied otherwise. Raises BackendError for a primitive without a lowering, for a
    weight that float32 cannot hold, and where two of the promised names are one.
    """
    _check_names(graph)
    tape = Tape()
    inputs = {entry.name: tape.value(entry.name, entry.value.type) for entry in graph.inputs}
    state = {held.path: tape.value(held.path, held.value.type) for held in graph.state}
    results = run(graph, _bound(tape, lowerings), _scoped(tape, graph, fused), inputs, state, tape.size_of)
    outputs = _outputs(tape, graph, results, {*inputs.values(), *state.values()})
    body = ir.Graph(
        list(inputs.values()),
        outputs,
        nodes=tape.nodes,
        opset_imports={"": OPSET},
        name=graph.name,
    )
    _remove_dead(body)
    _name(tape, {*inputs, *state, *(output.name for output in graph.outputs)}, set(outputs))
    model = ir.to_proto(ir.Model(body, ir_version=IR_VERSION, producer_name="netspec", producer_version=__version__))
    read = {path: weights[path] for path, value in state.items() if value.uses()}
    types = {held.path: held.value.type for held in graph.state}
    return WeightedModel(model, _converted(read, types, tape))


def _check_names(graph: Graph) -> None:
    """ONNX has one space of names for inputs, outputs and initializers, and the spec gives each of them its own."""
    named = [("input", entry.name, entry.value) for entry in graph.inputs]
    named += [("parameter", held.path, held.value) for held in graph.state]
    named += [("output", output.name, output.value) for output in graph.outputs]
    kinds: dict[str, str] = {}
    for kind, name, value in named:
        if name in kinds:
            location = value.origin.location if value.origin else None
            raise BackendError(
                f"onnx: {kinds[name]} {name} and {kind} {name} cannot stand in one file: rename one", location
            )
        kinds[name] = kind


def _bound(tape: Tape, lowerings: Lowerings) -> Lowerings:
    bound: dict[type, Callable[..., Any]] = {op: partial(lowering, tape) for op, lowering in lowerings.items()}
    for op in PRIMITIVES:
        bound.setdefault(op, partial(_refuse, tape, op.__name__, GAPS.get(op)))
    return bound


def _refuse(tape: Tape, op: str, reason: str | None, *inputs: ir.Value, **attributes: Any) -> None:
    where = f"{tape.origin.path}: " if tape.origin else ""
    why = f": {reason}" if reason else ""
    raise BackendError(f"{where}the onnx backend has no {op}{why}", tape.origin.location if tape.origin else None)


def _scoped(tape: Tape, graph: Graph, fused: Fused) -> Fused:
    """The fused forms, each of which first tells the tape whose nodes follow; also where the body is to run."""

    def lower(form: Callable[..., Any] | None, call: Call, *inputs: ir.Value, **state: ir.Value) -> Any:
        tape.enter(call.origin)
        return NotImplemented if form is None else form(tape, call, *inputs, **state)

    return {layer: partial(lower, fused.get(layer)) for layer in {type(call.layer) for call in graph.all_calls()}}


def _outputs(tape: Tape, graph: Graph, results: Results, given: set[ir.Value]) -> list[ir.Value]:
    """One value for each output: what is given to the graph, or is another output already, passes an Identity."""
    outputs: list[ir.Value] = []
    for output in graph.outputs:
        value = results.outputs[output.name]
        if value in given:
            tape.enter(Origin(f"output:{output.name}", None))  # no entry can be called so
            value = tape.op("Identity", value)
        given.add(value)
        declared = tape.value(output.name, output.value.type)
        value.name, value.type, value.shape = declared.name, declared.type, declared.shape
        outputs.append(value)
    return outputs


def _remove_dead(graph: ir.Graph) -> None:
    """Removes nodes that nothing reads. onnx_ir's own pass also takes `training_mode` off BatchNormalization."""
    for node in reversed(graph):
        dead = not any(value.uses() or value.is_graph_output() for value in node.outputs)
        for inner in _graphs(node):
            if dead:
                inner.outputs.clear()  # so that nothing in it reads what stands around it
            _remove_dead(inner)
        if dead:
            graph.remove(node, safe=True)


def _graphs(node: ir.Node) -> list[ir.Graph]:
    """The bodies of control flow that the node holds."""
    return [held.as_graph() for held in node.attributes.values() if held.type == ir.AttributeType.GRAPH]


def _name(tape: Tape, promised: set[str], outputs: set[ir.Value]) -> None:
    """Names nodes and the values between them; `promised` names are never given to a value."""
    node_names: set[str] = set()
    value_names = set(promised)
    for origin, recorded in tape.groups:
        nodes = [node for node in recorded if node.graph is not None]
        for node in nodes:
            path = origin.path if origin else node.op_type
            name = path if node is nodes[-1] else f"{path}/{node.op_type}"
            node.name = _unused(name, node_names)
            for value in node.outputs:
                if value not in outputs:
                    value.name = _unused(node.name, value_names)
            for inner in _graphs(node):
                for value in inner.inputs:
                    value.name = _unused(f"{node.name}/{value.name}", value_names)


def _unused(name: str, taken: set[str]) -> str:
    """`name`, or `name_1` and so on; from now on it is taken."""
    found, count = name, 0
    while found in taken:
        count += 1
        found = f"{name}_{count}"
    taken.add(found)
    return found


def _converted(weights: Mapping[str, Any], types: Mapping[str, TensorType], tape: Tape) -> Weights:
    """Row-major and little-endian, which is how ONNX stores them."""
    converted: dict[str, Any] = {}
    with np.errstate(over="raise"):
        for path, array in weights.items():
            stored = tape.element_type(types[path].dtype).numpy().newbyteorder("<")
            try:
                converted[path] = np.asarray(array, stored, order="C")
            except FloatingPointError:
                raise BackendError(f"onnx: a value of {path} is beyond float32") from None
    return converted
