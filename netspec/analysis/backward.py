"""What a training graph keeps for its backward pass: which values have a gradient, and which of them a layer reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet

from netspec.graph import ops
from netspec.graph.dims import Size, compare
from netspec.graph.graph import Call, Graph, Node, Value
from netspec.graph.ops.control import Control, insert_axis

# What the derivative of a primitive reads. Nothing, where it is the same for all inputs:
NOTHING = (
    *(ops.Add, ops.Sub, ops.Sum, ops.Mean, ops.AveragePool, ops.AdaptiveAveragePool),
    *(ops.Reshape, ops.Permute, ops.Concat, ops.Expand, ops.Select, ops.Slice, ops.Flip, ops.Pad, ops.Cumsum),
    *(ops.Widen, ops.Narrow),
)
INPUTS = (ops.Log, ops.Log1p, ops.Sin, ops.Cos, ops.Erf, ops.Abs, ops.Maximum, ops.Minimum)
OUTPUTS = (ops.Exp, ops.Expm1, ops.Sqrt, ops.Rsqrt, ops.Tanh, ops.Sigmoid, ops.Relu)
# Of each factor the other ones:
PRODUCTS = (ops.Mul, ops.Matmul, ops.Einsum, ops.Convolution, ops.TransposedConvolution)
# One of its inputs, which has no gradient itself:
ONE_INPUT = {ops.Where: 0, ops.Gather: 1, ops.GatherAlong: 1}
# Its second output, the indices:
SECOND_OUTPUT = (ops.TopK,)
# And of any other primitive all inputs and outputs: too much rather than too little.


def values_with_gradient(graph: Graph) -> set[Value]:
    """The values between a trainable parameter and an output of the graph, on ways that derivatives take."""
    nodes = [
        node for node in graph.primitives() if node.op.differentiable and not isinstance(node.op, ops.StopGradient)
    ]
    found = {param.value for param in graph.params if param.trainable}
    for node in nodes:
        if any(value in found for value in node.inputs):
            found.update(value for value in node.outputs if value.type.dtype == "float")
    wanted = {output.value for output in graph.outputs}
    for node in reversed(nodes):
        if any(value in wanted for value in node.outputs):
            wanted.update(node.inputs)
    return found & wanted


def kept_values(node: Node | Call, with_gradient: set[Value], state: set[Value]) -> list[Value]:
    """What the backward pass of a layer reads, without parameters and buffers (`state`).

    Its inputs and outputs, and random numbers that it drew. What else it computes is taken to be computed again from
    its inputs where it is no smaller than they are, as fused forms do: batch_norm keeps its input, not the five
    tensors of its size that its body makes.
    """
    if isinstance(node, Node) and isinstance(node.op, Control):
        return _kept_by_turns(node, node.op, state)
    body = node.body if isinstance(node, Call) else (node,)
    made = {value: each for each in body for value in each.outputs}
    needed = dict.fromkeys(value for each in body for value in _read_backward(each, with_gradient))
    wanted = [value for value in needed if value not in state | _recovered(body, needed, set(node.outputs))]
    inside = made.keys() - {*node.inputs, *node.outputs}
    kept = dict.fromkeys(value for value in wanted if value not in inside)
    small: list[tuple[Value, list[Value]]] = []
    for value in wanted:
        if value in inside:
            sources = [source for source in _sources(value, made, inside) if source not in state]
            if compare(value.type.size, "<", _elements(sources)):
                small.append((value, sources))
            else:
                kept.update(dict.fromkeys(sources))
    kept.update(dict.fromkeys(value for value, sources in small if not kept.keys() >= {*sources}))
    return list(kept)


def _kept_by_turns(node: Node, op: Control, state: set[Value]) -> list[Value]:
    """What control flow keeps: its inputs and outputs, and of each turn what the layers in its body keep, stacked.

    All floats there count as having a gradient, and all branches as taken: too much rather than too little.
    """
    kept = dict.fromkeys(value for value in (*node.inputs, *node.outputs) if value not in state)
    turns = op.turns(tuple(value.type for value in node.inputs))
    for part, _ in op.forward_parts():
        outside = set(part.inputs)
        floats = {value for inner in part.nodes for value in inner.outputs if value.type.dtype == "float"}
        for inner in part.nodes:
            inside = kept_values(inner, floats | outside, state)
            stacks = [value for value in inside if value not in outside]
            kept.update(dict.fromkeys(Value(insert_axis(value.type, 0, turns), value.origin) for value in stacks))
            outside.update(stacks)
    return list(kept)


def _read_backward(node: Node, with_gradient: set[Value]) -> Iterator[Value]:
    """What the derivative of one primitive reads."""
    if not any(value in with_gradient for value in node.outputs) or isinstance(node.op, NOTHING):
        return
    if isinstance(node.op, INPUTS):
        yield from node.inputs
    elif isinstance(node.op, OUTPUTS):
        yield from node.outputs
    elif isinstance(node.op, PRODUCTS):
        for position, value in enumerate(node.inputs):
            others = (*node.inputs[:position], *node.inputs[position + 1 :])
            if any(other in with_gradient for other in others):
                yield value
    elif isinstance(node.op, ops.Div):  # da = dy / b, db = -dy y / b
        yield node.inputs[1]
        if node.inputs[1] in with_gradient:
            yield from node.outputs
    elif isinstance(node.op, ops.Pow):  # da = dy b a^(b-1), db = dy y ln a
        yield from node.inputs
        if node.inputs[1] in with_gradient:
            yield from node.outputs
    elif isinstance(node.op, SECOND_OUTPUT):
        yield node.outputs[1]
    elif type(node.op) in ONE_INPUT:
        yield node.inputs[ONE_INPUT[type(node.op)]]
    else:
        yield from (*node.inputs, *node.outputs)


def _recovered(body: Iterable[Node], needed: Iterable[Value], outputs: set[Value]) -> set[Value]:
    """Numerators of quotients that the layer hands on: a = y b, so that softmax keeps its output alone."""
    known = outputs.intersection(needed)
    return {node.inputs[0] for node in body if isinstance(node.op, ops.Div) and node.outputs[0] in known}


def _sources(value: Value, made: Mapping[Value, Node], inside: AbstractSet[Value]) -> Iterator[Value]:
    """What a value of a layer's body is computed from: the layer's inputs, and random numbers."""
    waiting, seen = [value], {value}
    while waiting:
        at = waiting.pop()
        if at not in inside or made[at].op.random:
            yield at
            continue
        for before in made[at].inputs:
            if before not in seen:
                seen.add(before)
                waiting.append(before)


def _elements(values: Iterable[Value]) -> Size:
    total: Size = 0
    for value in values:
        total = total + value.type.size
    return total
