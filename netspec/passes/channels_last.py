"""Rewrites a graph so that spatial layers run on `[batch, *spatial, channels]`, with as few permutes as possible.

TensorFlow and JAX want this layout (semantics: section 1). The graph's inputs and outputs keep torch's layout. A value
is held in one layout, or in both where both are read; a permute is emitted when a reader wants the other one, and the
two cancel because a value already held as wanted is used as it is. Requires nothing; ensures that every convolution
and pooling has `channels_last=True`, that weights of convolutions are stored as `[*kernel, in, out]`
(`Param.permutation`), and that graph inputs, outputs, buffers and updates are as before.

Weights are stored once for both modes: `channels_last_pair` stores a kernel alike in both graphs, also where only one
of them convolves with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from netspec.graph.dims import Size
from netspec.graph.graph import Body, Call, Graph, GraphPair, Node, Output, Param, Value
from netspec.graph.ops import (
    AdaptiveAveragePool,
    AdaptiveMaxPool,
    Cast,
    Concat,
    Control,
    Convolution,
    Cumsum,
    Einsum,
    Expand,
    Flip,
    Gather,
    GatherAlong,
    Narrow,
    Op,
    Pad,
    Permute,
    Reshape,
    Slice,
    StopGradient,
    TransposedConvolution,
    Where,
)
from netspec.graph.ops.elementwise import Binary, Comparison, Logical, Unary
from netspec.graph.ops.pooling import Pool
from netspec.graph.ops.random import Draw
from netspec.graph.ops.reductions import ElementCount, Reduction
from netspec.graph.ops.sizes import NumberLike, Positions
from netspec.graph.types import TensorType
from netspec.passes.layouts import Scope, kernel_to_last, to_last

# Both read a kernel; a transposed one's `[in, out, *kernel]` is that of the convolution whose gradient it is.
CONVOLUTIONS = (Convolution, TransposedConvolution)
POOLS = (Pool, AdaptiveAveragePool, AdaptiveMaxPool)
ELEMENTWISE = (Unary, Binary, Comparison, Logical, Where, StopGradient, Cast, Draw)


def channels_last_pair(pair: GraphPair) -> GraphPair:
    """Both graphs so rewritten; what is a kernel in one of them is stored as one in both."""
    kernels = _kernels(pair.inference) | _kernels(pair.training)
    return GraphPair(_rewrite(pair.inference, kernels), _rewrite(pair.training, kernels))


def channels_last(graph: Graph) -> Graph:
    """The same graph in the layout `[batch, *spatial, channels]` inside."""
    return _rewrite(graph, _kernels(graph))


def _kernels(graph: Graph) -> set[str]:
    """The paths of the parameters that a convolution reads as its kernel."""
    read = {node.inputs[1] for node in graph.all_primitives() if isinstance(node.op, CONVOLUTIONS)}
    return {param.path for param in graph.params if param.value in read}


def _rewrite(graph: Graph, kernels: set[str]) -> Graph:
    state = [_store(held) if isinstance(held, Param) and held.path in kernels else held for held in graph.state]
    root = Scope()
    for old, new in zip(graph.state, state, strict=True):
        if new is old:
            root.canonical[old.value] = old.value
        else:
            root.stored[old.value] = new.value
    for entry in graph.inputs:
        root.canonical[entry.value] = entry.value
    _rewrite_nodes(graph.nodes, root)
    outputs = tuple(Output(output.name, root.as_canonical(output.value)) for output in graph.outputs)
    updates = {path: root.as_canonical(value) for path, value in graph.updates.items()}
    return replace(graph, state=tuple(state), nodes=tuple(root.nodes), outputs=outputs, updates=updates)


def _rewrite_nodes(nodes: Iterable[Node | Call], scope: Scope) -> None:
    for node in nodes:
        if isinstance(node, Call):
            _rewrite_call(node, scope)
        else:
            _rewrite_node(node, scope)


def _permuted(type: TensorType, axes: tuple[int, ...]) -> TensorType:
    return type.with_shape([type.shape[axis] for axis in axes])


def _store(param: Param) -> Param:
    axes = kernel_to_last(param.value.type.rank)
    return replace(param, value=Value(_permuted(param.value.type, axes), param.value.origin), permutation=axes)


def _rewrite_call(call: Call, root: Scope) -> None:
    """Rewrite the body with each input in the layout that spares the body a permute, converted outside if need be."""
    inputs = dict.fromkeys((*call.inputs, *call.noise))
    last = {old: root.is_last(old) for old in inputs}
    switched: Counter[Value] = Counter()
    while True:
        body = _rewrite_body(call, root, {old: (_tried(root, old, last[old]), last[old]) for old in inputs})
        wanted = [old for old in body.wanted if switched[old] < 2]  # one read in both layouts comes as it is held
        if not wanted:
            break
        last.update({old: not last[old] for old in wanted})
        switched.update(wanted)
    given = {old: root.as_last(old) if last[old] else root.as_canonical(old) for old in inputs}
    body = _rewrite_body(call, root, {old: (given[old], last[old]) for old in inputs})
    outputs = tuple(body.present(value) for value in call.outputs)
    for old, new in zip(call.outputs, outputs, strict=True):
        root.hold(old, new, body.is_last(old))
    updates = {name: body.as_canonical(value) for name, value in call.updates.items()}
    root.canonical.update({old: updates[name] for name, old in call.updates.items()})
    root.nodes.append(
        replace(
            call,
            inputs=tuple(given[old] for old in call.inputs),
            noise=tuple(given[old] for old in call.noise),
            params={name: root.stored.get(old, old) for name, old in call.params.items()},
            buffers={name: root.canonical[old] for name, old in call.buffers.items()},
            body=_live(body.nodes, {*outputs, *updates.values()}),
            outputs=outputs,
            updates=updates,
            channels_last=any(last.values()) or any(body.is_last(old) for old in call.outputs),
        )
    )


def _live(nodes: list[Node | Call], needed: set[Value]) -> tuple[Node, ...]:
    """The nodes that `needed` depends on: a reshape whose source is used instead is left over."""
    kept: list[Node] = []
    for node in reversed(nodes):
        assert isinstance(node, Node)
        if needed & set(node.outputs):
            kept.append(node)
            needed |= set(node.inputs)
    return tuple(reversed(kept))


def _tried(root: Scope, old: Value, last: bool) -> Value:
    """`old` in a layout that may never be needed: one that is not there yet is not computed."""
    layout = root.last if last else root.canonical
    return layout[old] if old in layout else Value(_permuted(old.type, to_last(old.type.rank)) if last else old.type)


def _rewrite_body(call: Call, root: Scope, given: Mapping[Value, tuple[Value, bool]]) -> Scope:
    """The body rewritten, with each input as the value that is given for it, channels last or not."""
    scope = Scope(given=frozenset(given), origin=call.origin)
    for old, (new, last) in given.items():
        scope.hold(old, new, last)
    for old in call.params.values():
        if old in root.stored:
            scope.stored[old] = root.stored[old]
        else:
            scope.canonical[old] = old
    for old in call.buffers.values():
        scope.canonical[old] = root.canonical[old]
    for node in call.body:
        _rewrite_node(node, scope)
    return scope


def _rewrite_node(node: Node, scope: Scope) -> None:
    """Emit `node` in the layout of its inputs where its kind allows, else on canonical inputs."""
    op = node.op
    if isinstance(op, Control):
        _rewrite_control(node, op, scope)
    elif isinstance(op, CONVOLUTIONS):
        x = scope.as_last(node.inputs[0])
        _emit(scope, node, replace(op, channels_last=True), (x, scope.as_kernel(node.inputs[1])), last=True)
    elif isinstance(op, POOLS):
        _emit(scope, node, replace(op, channels_last=True), (scope.as_last(node.inputs[0]),), last=True)
    elif isinstance(op, Narrow):
        _rewrite_narrow(node, op, scope)
    elif isinstance(op, ELEMENTWISE) and _any_last(node, scope):
        rank = node.outputs[0].type.rank
        _emit(scope, node, op, [_aligned(scope, old, rank) for old in node.inputs], last=True)
    elif isinstance(op, Concat) and _any_last(node, scope):
        axis = to_last(node.outputs[0].type.rank).index(op.axis)
        _emit(scope, node, Concat(axis), [scope.as_last(old) for old in node.inputs], last=True)
    elif isinstance(op, (Slice, Flip, Pad)) and _any_last(node, scope):
        _emit(scope, node, _moved_to_last(op, node.inputs[0].type.rank), (scope.last[node.inputs[0]],), last=True)
    elif isinstance(op, (Gather, GatherAlong)) and _gathers_last(node, scope):
        _rewrite_gather(node, op, scope)
    elif isinstance(op, Einsum) and _any_last(node, scope) and node.outputs[0].type.rank == node.inputs[0].type.rank:
        _rewrite_einsum(node, op, scope)
    elif isinstance(op, Cumsum) and _any_last(node, scope):
        axis = to_last(node.outputs[0].type.rank).index(op.axis)
        _emit(scope, node, Cumsum(axis), (scope.as_last(node.inputs[0]),), last=True)
    elif isinstance(op, (Reduction, ElementCount)) and _any_last(node, scope):
        _rewrite_reduction(node, op, scope)
    elif isinstance(op, (NumberLike, Positions)) and _any_last(node, scope):
        if isinstance(op, Positions):
            op = Positions(to_last(node.inputs[0].type.rank).index(op.axis))
        _emit(scope, node, op, (scope.last[node.inputs[0]],), last=False)
    elif isinstance(op, Permute) and _only_last(node.inputs[0], scope):
        from_last = to_last(len(op.axes))
        axes = tuple(from_last.index(axis) for axis in op.axes)
        _emit(scope, node, Permute(axes), (scope.last[node.inputs[0]],), last=False)
    elif isinstance(op, Reshape) and _only_last(node.inputs[0], scope) and _same_order(node.inputs[0].type):
        _emit(scope, node, op, (scope.last[node.inputs[0]],), last=False)
    elif isinstance(op, (Reshape, Expand)) and _only_last(node.inputs[0], scope) and _spatial(node, op):
        shape = tuple(op.shape[axis] for axis in to_last(len(op.shape)))
        _emit(scope, node, replace(op, shape=shape), (scope.last[node.inputs[0]],), last=True)
    else:
        inputs = tuple(scope.as_canonical(old) for old in node.inputs)
        outputs = tuple(Value(old.type, scope.origin) for old in node.outputs)
        scope.nodes.append(Node(op, inputs, outputs))
        for old, new in zip(node.outputs, outputs, strict=True):
            scope.hold(old, new, last=False)
        if isinstance(op, Reshape):
            scope.reshaped[outputs[0]] = scope.reshaped.get(inputs[0], inputs[0])


def _rewrite_control(node: Node, op: Control, scope: Scope) -> None:
    """Rewrite the bodies. They get and give canonical values, but kernels as they are stored."""
    read = {value for part in op.parts() for value in part.inputs}
    kernels = {old: scope.stored[old] for old in node.inputs if old in scope.stored and old in read}
    given = tuple(kernels[old] if old in kernels else scope.as_canonical(old) for old in node.inputs)

    def rewrite(part: Body) -> Body:
        inner = Scope(origin=scope.origin or node.outputs[0].origin)
        for value in part.inputs:
            if value in kernels:
                inner.stored[value] = kernels[value]
            else:
                inner.canonical[value] = value
        _rewrite_nodes(part.nodes, inner)
        outputs = tuple(inner.as_canonical(value) for value in part.outputs)
        return Body(tuple(kernels.get(value, value) for value in part.inputs), tuple(inner.nodes), outputs)

    outputs = tuple(Value(old.type, old.origin) for old in node.outputs)
    scope.nodes.append(Node(op.with_parts(rewrite), given, outputs))
    for old, new in zip(node.outputs, outputs, strict=True):
        scope.hold(old, new, last=False)


def _emit(scope: Scope, node: Node, op: Op, inputs: Iterable[Value], last: bool) -> None:
    scope.hold(node.outputs[0], scope.emit(op, *inputs), last)


def _moved_to_last(op: Slice | Flip | Pad, rank: int) -> Op:
    """The same on an input that is held channels last."""
    order = to_last(rank)
    if isinstance(op, Slice):
        return replace(op, axis=order.index(op.axis))
    if isinstance(op, Flip):
        return Flip(tuple(sorted(order.index(axis) for axis in op.axes)))
    return replace(op, padding=tuple(op.padding[axis] for axis in order))


def _gathers_last(node: Node, scope: Scope) -> bool:
    """Whether a gather reads a value that is held channels last, and gives one of the same axes."""
    return scope.is_last(node.inputs[0]) and node.outputs[0].type.rank == node.inputs[0].type.rank


def _any_last(node: Node, scope: Scope) -> bool:
    rank = max(value.type.rank for value in node.inputs)
    return any(scope.is_last(value) and value.type.rank == rank for value in node.inputs)


def _only_last(old: Value, scope: Scope) -> bool:
    return scope.is_last(old) and old not in scope.canonical


def _same_order(type: TensorType) -> bool:
    """Whether both layouts hold the elements in one order, as where all spatial sizes are 1."""
    order = [axis for axis in to_last(type.rank) if type.shape[axis] != 1]
    return order == sorted(order)


def _spatial(node: Node, op: Reshape | Expand) -> bool:
    """Whether a reshape or an expansion leaves batch and channels what they are: it may as well run without them."""
    before = node.inputs[0].shape
    return (
        len(op.shape) > 2 and op.shape[:2] == before[:2] and (isinstance(op, Reshape) or len(op.shape) == len(before))
    )


def _aligned(scope: Scope, old: Value, rank: int) -> Value:
    """`old` so that it broadcasts against a channels-last value of `rank`."""
    if old.type.rank == rank:
        return scope.as_last(old)
    new = scope.as_canonical(old)
    if old.type.rank == 0:
        return new
    padded = TensorType(((1,) * (rank - old.type.rank)) + old.type.shape, old.type.dtype)
    wanted: list[Size] = [padded.shape[axis] for axis in to_last(rank)]
    if not _same_order(padded):
        return scope.emit(Permute(to_last(rank)), scope.emit(Reshape(padded.shape), new))
    while wanted and wanted[0] == 1 and len(wanted) > 1:
        wanted.pop(0)
    source = scope.reshaped.get(new, new)  # a bias [channels] that was reshaped to [channels, 1, 1] is used as it was
    return source if source.shape == tuple(wanted) else scope.emit(Reshape(tuple(wanted)), source)


def _rewrite_narrow(node: Node, op: Narrow, scope: Scope) -> None:
    """In the layout of what is narrowed; of the second input only the type is read."""
    x, like = node.inputs
    _emit(scope, node, op, (scope.present(x), scope.present(like)), last=scope.is_last(x))


def _rewrite_gather(node: Node, op: Gather | GatherAlong, scope: Scope) -> None:
    axis = to_last(node.inputs[0].type.rank).index(op.axis)
    x, indices = node.inputs
    there = scope.as_canonical(indices) if isinstance(op, Gather) else scope.as_last(indices)
    _emit(scope, node, replace(op, axis=axis), (scope.last[x], there), last=True)


def _rewrite_einsum(node: Node, op: Einsum, scope: Scope) -> None:
    """The letters of what is held channels last, and of the result, in that order."""
    terms, output = op.terms
    inputs = []
    for position, old in enumerate(node.inputs):
        if scope.is_last(old):
            terms[position] = "".join(terms[position][axis] for axis in to_last(old.type.rank))
            inputs.append(scope.last[old])
        else:
            inputs.append(scope.as_canonical(old))
    turned = "".join(output[axis] for axis in to_last(len(output)))
    _emit(scope, node, Einsum(f"{','.join(terms)}->{turned}"), inputs, last=True)


def _rewrite_reduction(node: Node, op: Reduction | ElementCount, scope: Scope) -> None:
    x = node.inputs[0]
    order = to_last(x.type.rank)
    new = scope.emit(replace(op, axes=tuple(sorted(order.index(axis) for axis in op.axes))), scope.last[x])
    if isinstance(op, ElementCount) or op.keepdims:
        scope.hold(node.outputs[0], new, last=isinstance(op, Reduction))
        return
    kept = [axis for axis in order if axis not in op.axes]
    if kept == sorted(kept):
        scope.hold(node.outputs[0], new, last=False)
    elif kept[0] == 0 and kept[-1] == 1:
        scope.hold(node.outputs[0], new, last=True)
    else:
        back = tuple(kept.index(axis) for axis in sorted(kept))
        scope.hold(node.outputs[0], scope.emit(Permute(back), new), last=False)
