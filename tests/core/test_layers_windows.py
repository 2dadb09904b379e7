"""Convolutions and pools: as many places as one counts by hand, and the padding that `same` means."""

from __future__ import annotations

import math
from typing import Any

import pytest

from netspec import layers
from netspec.graph.dims import Size, evaluate
from netspec.graph.ops import AdaptiveAveragePool, AdaptiveMaxPool, AveragePool, Convolution, MaxPool, Mean, Op
from netspec.graph.ops.pooling import bins
from netspec.layers.base import Layer
from netspec.layers.validation import construct
from tests.core.layer_graphs import B, H, W, graph_of, shape_of, state_of


def positions(size: int, kernel: int, stride: int, begin: int, end: int, dilation: int = 1) -> int:
    """How many places a window has, counted one by one: each tap must stand inside the padded line."""
    line = range(-begin, size + end)
    return sum(
        all(start + tap * dilation in line for tap in range(kernel)) for start in range(-begin, size + end, stride)
    )


CONVOLUTIONS: list[dict[str, Any]] = [
    {"kernel_size": 3},
    {"kernel_size": (3, 2), "stride": 3, "padding": 1},
    {"kernel_size": (5, 1), "stride": (1, 3), "padding": (2, 0), "dilation": 2},
    {"kernel_size": 2, "stride": 3, "dilation": (1, 3), "padding": [[0, 1], [2, 0]]},
    {"kernel_size": 4, "stride": 2, "padding": [[3, 0], [1, 2]], "groups": 3},
    {"kernel_size": 1, "stride": 5, "groups": 6},
    {"kernel_size": 3, "dilation": 2, "bias": False},
]


@pytest.mark.parametrize("fields", CONVOLUTIONS, ids=str)
@pytest.mark.parametrize(("height", "width"), [(9, 11), (13, 8)])
def test_convolution_has_as_many_places_as_one_counts(fields: dict[str, Any], height: int, width: int) -> None:
    layer = construct(layers.Conv2d, {"out_channels": 12, **fields})
    graph = graph_of(layer, (B, 6, height, width))
    wanted = [
        positions(size, pair(fields["kernel_size"])[axis], pair(fields.get("stride", 1))[axis], begin, end, dilation)
        for axis, (size, (begin, end), dilation) in enumerate(
            zip((height, width), sides(fields.get("padding", 0)), pair(fields.get("dilation", 1)), strict=True)
        )
    ]
    assert graph.outputs[0].value.shape == (B, 12, *wanted)
    weight = (12, 6 // fields.get("groups", 1), *pair(fields["kernel_size"]))
    bias = {} if fields.get("bias") is False else {"it.bias": ("param", (12,))}
    assert state_of(graph) == {"it.weight": ("param", weight)} | bias
    symbolic = shape_of(layer, (B, 6, H, W))
    assert [evaluate(size, {"batch": 1, "h": height, "w": width}) for size in symbolic] == [1, 12, *wanted]


def pair(value: Any) -> tuple[Any, Any]:
    return tuple(value) if isinstance(value, (list, tuple)) else (value, value)


def sides(padding: Any) -> list[tuple[int, int]]:
    return [tuple(pair(side)) for side in pair(padding)]


@pytest.mark.parametrize("word", ["same", "same_lower"])
@pytest.mark.parametrize(("kernel", "stride", "dilation"), [(3, 1, 1), (4, 1, 1), (2, 3, 1), (3, 2, 2), (5, 4, 3)])
def test_same_gives_one_place_for_each_stride_begun(word: str, kernel: int, stride: int, dilation: int) -> None:
    layer = construct(
        layers.Conv2d,
        {"out_channels": 2, "kernel_size": kernel, "stride": stride, "dilation": dilation, "padding": word},
    )
    for size in range(1, 16):
        graph = graph_of(layer, (B, 3, size, 2 * size))
        wanted = math.ceil(size / stride), math.ceil(2 * size / stride)
        assert graph.outputs[0].value.shape == (B, 2, *wanted)
        (op,) = [node.op for node in graph.primitives() if isinstance(node.op, Convolution)]
        assert not isinstance(op.padding, str), "sizes are known: so is the padding"
        for axis, (begin, end) in enumerate(op.padding):
            side = (size, 2 * size)[axis]
            reach = (wanted[axis] - 1) * stride + (kernel - 1) * dilation + 1
            assert begin + end == max(reach - side, 0), "no zero more than the last window needs"
            assert (begin - end if word == "same_lower" else end - begin) in (0, 1), "the odd zero on the right side"
        symbolic = shape_of(layer, (B, 3, H, W))
        assert [evaluate(each, {"batch": 1, "h": size, "w": 2 * size}) for each in symbolic] == [1, 2, *wanted]


def test_same_leaves_the_padding_to_the_call_only_where_it_must() -> None:
    def padding(stride: Any, *spatial: Size) -> Any:
        layer = construct(layers.Conv2d, {"out_channels": 2, "kernel_size": 4, "stride": stride, "padding": "same"})
        (op,) = [n.op for n in graph_of(layer, (B, 3, *spatial)).primitives() if isinstance(n.op, Convolution)]
        return op.padding

    assert padding(1, H, W) == ((1, 2), (1, 2))
    assert padding(3, 7, 9) == ((1, 2), (0, 1))
    assert padding((1, 3), H, 9) == ((1, 2), (0, 1))
    assert padding((1, 2), H, W) == "same"
    assert padding(2, H, 9) == "same"


TRANSPOSED: list[dict[str, Any]] = [
    {"kernel_size": 3},
    {"kernel_size": (3, 2), "stride": (2, 3), "padding": 1, "output_padding": (1, 2)},
    {"kernel_size": 4, "stride": 2, "padding": [[0, 3], [2, 1]]},
    {"kernel_size": (1, 2), "stride": 3, "groups": 3, "bias": False},
    {"kernel_size": 2, "dilation": (3, 4), "output_padding": (2, 3)},
    {"kernel_size": (3, 5), "stride": (2, 4), "padding": "same"},
    {"kernel_size": (1, 2), "stride": (3, 5), "dilation": (1, 2), "padding": "same", "groups": 6},
]


@pytest.mark.parametrize("fields", TRANSPOSED, ids=str)
def test_transposed_convolution_is_as_large_as_what_its_taps_reach(fields: dict[str, Any]) -> None:
    layer = construct(layers.ConvTranspose2d, {"out_channels": 12, **fields})
    (kernel, stride, dilation, more) = (
        pair(fields.get(name, start))
        for name, start in (("kernel_size", 0), ("stride", 1), ("dilation", 1), ("output_padding", 0))
    )
    for size in ((5, 4), (1, 6)):
        reached = [
            {i * s + tap * d for i in range(n) for tap in range(k)}
            for n, k, s, d in zip(size, kernel, stride, dilation, strict=True)
        ]
        wanted = [n * s for n, s in zip(size, stride, strict=True)]
        if fields.get("padding") != "same":
            cut = [sum(pairs) for pairs in sides(fields.get("padding", 0))]
            wanted = [max(line) + 1 - less + extra for line, less, extra in zip(reached, cut, more, strict=True)]
        graph = graph_of(layer, (B, 6, *size))
        assert graph.outputs[0].value.shape == (B, 12, *wanted)
        symbolic = shape_of(layer, (B, 6, H, W))
        assert [evaluate(each, {"batch": 1, "h": size[0], "w": size[1]}) for each in symbolic] == [1, 12, *wanted]
    of_group = 12 // fields.get("groups", 1)
    bias = {} if fields.get("bias") is False else {"it.bias": ("param", (12,))}
    assert state_of(graph) == {"it.weight": ("param", (6, of_group, *kernel))} | bias
    (weight, *_) = graph.params
    places = math.prod(kernel)
    assert weight.fan == (6 // fields.get("groups", 1) * places, of_group * places)
    assert weight.initializer.bound == 1 / math.sqrt(weight.fan[0])


def test_transposed_convolution_costs_its_kernel_for_each_number_it_reads() -> None:
    layer = layers.ConvTranspose2d(out_channels=4, kernel_size=(3, 5), stride=(2, 3), padding=1, groups=2)
    (node, *_) = graph_of(layer, (2, 6, 7, 5)).primitives()
    types = tuple(value.type for value in node.inputs), tuple(value.type for value in node.outputs)
    assert node.op.macs(*types) == 2 * 6 * 7 * 5 * 15 * 2
    assert node.op.reduction_length(types[0]) == 3 * (2 * 2)


POOLS: list[dict[str, Any]] = [
    {"kernel_size": 2},
    {"kernel_size": (3, 2), "stride": (2, 3), "padding": 1},
    {"kernel_size": 3, "stride": 1, "padding": (1, 0)},
    {"kernel_size": (1, 4), "stride": 5, "padding": (0, 2)},
]


@pytest.mark.parametrize("cls", [layers.MaxPool2d, layers.AvgPool2d])
@pytest.mark.parametrize("fields", POOLS, ids=str)
def test_pools_have_as_many_places_as_one_counts(cls: type[Layer], fields: dict[str, Any]) -> None:
    layer = construct(cls, fields)
    kernel, padding = pair(fields["kernel_size"]), pair(fields.get("padding", 0))
    stride = pair(fields.get("stride", kernel))
    for height, width in ((9, 11), (8, 7)):
        wanted = [
            positions(size, kernel[axis], stride[axis], padding[axis], padding[axis])
            for axis, size in enumerate((height, width))
        ]
        graph = graph_of(layer, (B, 5, height, width))
        assert graph.outputs[0].value.shape == (B, 5, *wanted)
        assert not graph.state
        (node,) = graph.primitives()
        assert isinstance(node.op, (MaxPool, AveragePool))
        assert node.op.stride == stride


@pytest.mark.parametrize("cls", [layers.MaxPool2d, layers.AvgPool2d])
@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
@pytest.mark.parametrize("stride", [1, 2, 3, 7])
def test_ceil_mode_has_every_window_that_starts_in_front_of_the_last_padding(
    cls: type[Layer], kernel: int, stride: int
) -> None:
    for padding in range(kernel // 2 + 1):
        layer = construct(cls, {"kernel_size": kernel, "stride": stride, "padding": padding, "ceil_mode": True})
        symbolic = shape_of(layer, (B, 5, H, W))
        for size in range(kernel, 15):
            # Windows that fit, and one more that does not: what is left of the line begins it.
            fitting = positions(size, kernel, stride, padding, padding)
            rest = (size + 2 * padding - kernel) % stride > 0
            wanted = fitting + (rest and fitting * stride < size + padding)
            graph = graph_of(layer, (B, 5, size, 14))
            assert graph.outputs[0].value.shape[2] == wanted
            assert evaluate(symbolic[2], {"h": size}) == wanted
            (node,) = graph.primitives()
            assert isinstance(node.op, (MaxPool, AveragePool))
            begin, end = node.op.padding[0]
            assert begin == padding
            assert end == max(padding, (wanted - 1) * stride + kernel - size - padding), "no more than is needed"


@pytest.mark.parametrize(
    ("size", "output", "kinds"),
    [
        ((8, 6), 2, [AveragePool]),
        ((8, 6), (8, 6), []),
        ((7, 5), (3, 2), [AdaptiveAveragePool]),
        ((8, 6), (4, 4), [AveragePool, AdaptiveAveragePool]),
        ((3, 3), 7, [AdaptiveAveragePool]),
        ((7, 5), 1, [Mean]),
        ((H, 5), (1, 2), [Mean, AdaptiveAveragePool]),
        ((H, 6), (1, 2), [Mean, AveragePool]),
    ],
    ids=str,
)
def test_adaptive_pooling_is_as_plain_as_can_be(size: tuple[Size, Size], output: Any, kinds: list[type[Op]]) -> None:
    graph = graph_of(layers.AdaptiveAvgPool2d(output_size=output), (B, 5, *size))
    assert [type(node.op) for node in graph.primitives()] == kinds
    assert graph.outputs[0].value.shape == (B, 5, *pair(output))


@pytest.mark.parametrize(
    ("size", "output", "kinds"),
    [
        ((8, 6), 2, [MaxPool]),
        ((8, 6), (8, 6), []),
        ((7, 5), 1, [MaxPool]),
        ((8, 6), (4, 4), [AdaptiveMaxPool]),
        ((H, 6), (1, 2), [AdaptiveMaxPool]),
    ],
    ids=str,
)
def test_adaptive_maxima_are_plain_pools_or_one_primitive(
    size: tuple[Size, Size], output: Any, kinds: list[type[Op]]
) -> None:
    """Never one after the other, which could find another of equals."""
    graph = graph_of(layers.AdaptiveMaxPool2d(output_size=output), (B, 5, *size))
    assert [type(node.op) for node in graph.primitives()] == kinds
    assert graph.outputs[0].value.shape == (B, 5, *pair(output))


def test_adaptive_bins_cost_what_they_hold() -> None:
    (node,) = graph_of(layers.AdaptiveAvgPool2d(output_size=(3, 2)), (2, 5, 7, 3)).primitives()
    types = tuple(value.type for value in node.inputs), tuple(value.type for value in node.outputs)
    assert bins(7, 3) == [(0, 3), (2, 5), (4, 7)]
    assert bins(3, 7) == [(0, 1), (0, 1), (0, 2), (1, 2), (1, 3), (2, 3), (2, 3)]
    assert node.op.elementwise(*types) == 2 * 5 * (3 + 3 + 3) * (2 + 2)
    assert node.op.reduction_length(types[0]) == 3 * 2
