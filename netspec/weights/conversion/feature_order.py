"""In which order Keras and Flax have the features that each layer reads: they put channels last, we first.

It matters where an image is flattened: their features then come by height, width, channel, ours by channel, height,
width, and every weight that meets them has to be put in another order. What cannot be followed is told, never guessed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from netspec.graph.dims import Size
from netspec.graph.graph import Call, Graph, Node, Value
from netspec.graph.ops import Cast, Constant, Control, Permute, StopGradient, Where
from netspec.graph.ops.elementwise import Binary, Comparison, Logical, Narrow, Unary
from netspec.graph.ops.random import Draw
from netspec.layers.tensor import Concat, Flatten, Reshape

ELEMENTWISE = (Constant, Unary, StopGradient, Binary, Comparison, Logical, Where, Cast, Narrow, Draw)
# Layers that read `[batch, channels, *spatial]`, and give the same; those below give `[batch, channels]`.
FAMILIES = ("conv", "conv_transpose", "max_pool", "avg_pool", "adaptive_avg_pool", "adaptive_max_pool")
SPATIAL = frozenset(f"{family}{rank}d" for family in FAMILIES for rank in (1, 2, 3))
POOLED = frozenset({"global_avg_pool", "global_max_pool"})
# These read what `batch_norm` reads, and give the same.
PER_CHANNEL = frozenset({"batch_norm", "group_norm", "instance_norm", "prelu"})
OVER_FEATURES = frozenset({"layer_norm", "rms_norm", "l2_normalize", "softmax", "log_softmax"})
# Their numbers stay where they are, though their bodies make shapes.
IN_PLACE = frozenset({"dropout2d", "stochastic_depth"})
# Of an image the same in either layout, not of features in another order.
OF_IMAGES = frozenset({"local_response_norm", "glu"})
RECURRENT = frozenset({"rnn", "lstm", "gru", "rnn_cell", "lstm_cell", "gru_cell"})
NEW_FEATURES = frozenset({"linear", "embedding", *RECURRENT})


@dataclass(frozen=True)
class Plain:
    """The same axes in the same order on both sides."""


@dataclass(frozen=True)
class Image:
    """`[batch, channels, *spatial]` here, `[batch, *spatial, channels]` there."""


@dataclass(frozen=True)
class Features:
    """`[batch, features]`, where our feature k is their feature `order[k]`."""

    order: tuple[int, ...]


@dataclass(frozen=True)
class Unknown:
    """An order that was lost at the layer `where`."""

    where: str


Order = Plain | Image | Features | Unknown


def feature_orders(graph: Graph) -> dict[Call, Order]:
    """The order of each layer's first input (Plain where it has none), those that control flow runs among them."""
    orders = {entry.value: _input_order(entry.value, graph) for entry in graph.inputs}
    read: dict[Call, Order] = {}
    _follow(graph.nodes, orders, read)
    return read


def _follow(nodes: Iterable[Node | Call], orders: dict[Value, Order], read: dict[Call, Order]) -> None:
    for node in nodes:
        inputs = [orders.get(value, Plain()) for value in node.inputs]
        plain = all(order == Plain() for order in inputs)
        if isinstance(node, Call):
            read[node] = inputs[0] if inputs else Plain()
            if node.layer.type in RECURRENT and not all(order == Plain() for order in inputs[1:]):
                read[node] = Unknown(f"{node.path} (its state)")
            result = _order_of(node, inputs)
        else:
            result = Plain() if plain else Unknown(node.op.name)
            if isinstance(node.op, Control):
                for part, _ in node.op.forward_parts():
                    orders.update((value, result) for value in part.inputs)
                    _follow(part.nodes, orders, read)
        orders.update((value, result) for value in node.outputs)


def _input_order(value: Value, graph: Graph) -> Order:
    if value.type.rank >= 4:
        return Image()
    spatial = value.type.rank == 3 and any(
        value in call.inputs and call.layer.type in SPATIAL | PER_CHANNEL for call in graph.all_calls()
    )
    return Image() if spatial else Plain()


def _order_of(call: Call, inputs: Sequence[Order]) -> Order:
    """The order of a layer's outputs."""
    kind = call.layer.type
    if not inputs or kind in NEW_FEATURES:
        return Plain()
    first = inputs[0]
    if first == Image() and (kind in POOLED or _puts_channels_last(call)):
        return Plain()
    lost = next((order for order in inputs if isinstance(order, Unknown)), None)
    if lost is not None:
        return lost
    if _keeps_order(call, inputs):
        return first
    if isinstance(call.layer, Flatten) and first == Image():
        return _flattened(call, call.layer)
    if isinstance(call.layer, Reshape):
        return _reshaped(call, first)
    if isinstance(call.layer, Concat):
        return _joined(call, call.layer, inputs)
    if all(order == Plain() for order in inputs) and kind not in SPATIAL:
        return Plain()
    return Unknown(f"{call.path} ({kind})")


def _keeps_order(call: Call, inputs: Sequence[Order]) -> bool:
    """Whether every number stays at its place, or every image an image."""
    if any(order != inputs[0] for order in inputs):
        return False
    if call.layer.type in SPATIAL:
        return inputs[0] == Image()
    # Images of other ranks do not broadcast there as they do here.
    same_rank = len({value.type.rank for value in call.inputs}) == 1
    elementwise = all(isinstance(node.op, ELEMENTWISE) for node in call.body) and (same_rank or inputs[0] != Image())
    if call.layer.type in OF_IMAGES:
        return inputs[0] == Image()
    return elementwise or call.layer.type in PER_CHANNEL | OVER_FEATURES | IN_PLACE


def _flattened(call: Call, layer: Flatten) -> Order:
    (value,) = call.inputs
    rank = value.type.rank
    _, channels, *spatial = value.shape
    if layer.start_dim % rank >= 2:
        return Image()
    if layer.start_dim % rank == 1 and layer.end_dim % rank == rank - 1:
        return channels_last_order(channels, spatial) or Unknown(f"{call.path} (flatten)")
    return Unknown(f"{call.path} (flatten)")


def _puts_channels_last(call: Call) -> bool:
    rank = call.inputs[0].type.rank
    moves = [node.op.axes for node in call.body if isinstance(node.op, Permute)]
    return len(call.body) == 1 and moves == [(0, *range(2, rank), 1)]


def _reshaped(call: Call, order: Order) -> Order:
    """What `flatten` would do too, and `[batch, channels]` as an image of one pixel."""
    (value,), (result,) = call.inputs, call.outputs
    if order == Image() and result.type.rank == 2 and result.shape[0] == value.shape[0]:
        return channels_last_order(value.shape[1], value.shape[2:]) or Unknown(f"{call.path} (reshape)")
    if order != Plain():
        return Unknown(f"{call.path} (reshape)")
    pixel = result.shape == (*value.shape, *(1 for _ in result.shape[value.type.rank :]))
    return Image() if value.type.rank == 2 and result.type.rank > 2 and pixel else Plain()


def channels_last_order(channels: Size, spatial: Sequence[Size]) -> Order | None:
    """The order of features that were an image; None where its sizes are not known."""
    sizes = [size for size in (channels, *spatial) if isinstance(size, int)]
    if len(sizes) < 1 + len(spatial):
        return None
    pixels = math.prod(sizes[1:])
    order = tuple(pixel * sizes[0] + channel for channel in range(sizes[0]) for pixel in range(pixels))
    return Features(order) if pixels > 1 and sizes[0] > 1 else Plain()


def _joined(call: Call, layer: Concat, inputs: Sequence[Order]) -> Order:
    """Features of one side by those of another; images along any axis."""
    if all(order == inputs[0] for order in inputs) and not isinstance(inputs[0], Features):
        return inputs[0]
    if call.inputs[0].type.rank != 2 or layer.dim % 2 != 1 or Image() in inputs:
        return Unknown(f"{call.path} (concat)")
    features: list[int] = []
    for value, order in zip(call.inputs, inputs, strict=True):
        size = value.shape[1]
        if not isinstance(size, int):
            return Unknown(f"{call.path} (concat)")
        start = len(features)
        features += [start + feature for feature in (order.order if isinstance(order, Features) else range(size))]
    return Features(tuple(features))
