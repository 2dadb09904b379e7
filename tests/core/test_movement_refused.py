"""What the layers that cut, move and interpolate refuse, and which calls they refuse where a size is symbolic."""

from __future__ import annotations

from typing import Any

import pytest

from netspec import layers
from netspec.errors import NetspecError
from netspec.graph.dims import evaluate
from netspec.graph.types import DType
from netspec.layers.base import Layer
from netspec.layers.validation import FieldsError, construct
from tests.core.layer_graphs import B, Shape, T, graph_of, shape_of

REFUSED: list[tuple[Layer, list[Shape], str]] = [
    (layers.Slice(dim=1, start=3, end=9), [(B, 8)], "end 9 is outside of a dimension of size 8"),
    (layers.Slice(dim=1, start=-9), [(B, 8)], "start -9 is outside of a dimension of size 8"),
    (layers.Slice(dim=1, start=3, end=3), [(B, 8)], "nothing is left from 3 to 3 of dimension 1"),
    (layers.Slice(dim=1, start=T + 1), [(B, T)], r"start time \+ 1 is outside of a dimension of size time"),
    (
        layers.Split(split_size_or_sections=(3, 4), dim=1),
        [(B, 8)],
        r"sections \[3, 4\] are 7 together, and dimension 1",
    ),
    (layers.Split(split_size_or_sections=3, dim=1), [(B, T)], "the number of parts of a size of time is not known"),
    (layers.Split(split_size_or_sections=1, dim=1), [(B, 2000)], "2000 outputs are more than 1024"),
    (layers.Chunk(chunks=3, dim=1), [(B, T)], "a size of time is not divisible by chunks 3"),
    (layers.Unbind(dim=0), [(B, 8)], "the size of dimension 0 must be known, got batch"),
    (layers.Transpose(dim0=0, dim1=2), [(B, 8)], "dim1 2 is outside of the 2 dimensions"),
    (layers.Unflatten(dim=1, unflattened_size=(3, -1)), [(B, 8)], "do not divide"),
    (layers.Unflatten(dim=1, unflattened_size=(3, 2)), [(B, 8)], r"\[3, 2\] is 6 together, dimension 1 8"),
    (layers.Expand(size=(B, 4)), [(B, 8)], "4 against 8|8 against 4"),
    (layers.Expand(size=(-1, B, 8)), [(B, 8)], r"size \[-1, batch, 8\] does not go with \[batch, 8\]"),
    (layers.Flip(dims=(1, -1)), [(B, 8)], "twice"),
    (layers.Roll(shifts=(1, 2)), [(B, 8)], "2 shifts need as many dims"),
    (layers.Roll(shifts=(1, 2), dims=1), [(B, 8)], "must be as many, got 2 and 1"),
    (layers.PixelShuffle(upscale_factor=3), [(B, 8, 2, 2)], "channels 8 by upscale_factor.2 9: it does not divide"),
    (layers.PixelUnshuffle(downscale_factor=2), [(B, 1, T, 4)], "height time by downscale_factor 2"),
    (layers.ChannelShuffle(groups=3), [(B, 8, 2)], "channels 8 by groups 3"),
    (layers.Pad(pad=(1, 2, 3)), [(B, 8)], "two numbers for each dimension, got 3"),
    (layers.Pad(pad=(1, 1, 1, 1, 1, 1)), [(B, 8)], "pad is for 3 dimensions, and its input has 2"),
    (layers.Pad(pad=(-4, -4)), [(B, 8)], "nothing is left of dimension 1"),
    (layers.Pad(pad=(8, 0), mode="reflect"), [(B, 8)], "a pad of 8 in mode reflect needs a size of 9 or more, got 8"),
    (layers.Pad(pad=(0, 9), mode="wrap"), [(B, 8)], "a pad of 9 in mode wrap needs a size of 9 or more"),
    (layers.Pad(pad=(9, 0), mode="symmetric"), [(B, 8)], "a pad of 9 in mode symmetric needs a size of 9 or more"),
    (layers.Pad(pad=(-1, 0), mode="edge"), [(B, 8)], "a negative pad cuts off, in mode constant alone"),
    (layers.Pad(pad=(1, 0), mode="edge", value=1.0), [(B, 8)], "value goes with mode constant, not with edge"),
    (layers.Interpolate(), [(B, 3, 8)], "give size or scale_factor, one of the two"),
    (layers.Interpolate(size=3, scale_factor=2.0), [(B, 3, 8)], "give size or scale_factor, one of the two"),
    (layers.Interpolate(size=(3, 3)), [(B, 3, 8)], "size has 2 numbers for 1 spatial dimensions"),
    (layers.Interpolate(size=3), [(B, 3)], "with 1 to 3 spatial dimensions"),
    (layers.Interpolate(size=3), [(B, 3, T)], "how many times time goes into 3 depends on the call"),
    (layers.Interpolate(scale_factor=0.1), [(B, 3, 8)], "nothing is left of a size of 8"),
    (
        layers.Interpolate(scale_factor=1.25),
        [(B, 3, T)],
        "time, which the call alone knows: it must not be above 1 and below 3/2",
    ),
    (layers.Interpolate(scale_factor=3.4), [(B, 3, T)], "a scale of 17/5 of time, .*, its numerator at most 16"),
    (
        layers.Interpolate(scale_factor=2.0, mode="linear", coords="align_corners"),
        [(B, 3, T)],
        "align_corners needs sizes that are known, got time",
    ),
    (
        layers.Interpolate(size=3, coords="asymmetric"),
        [(B, 3, 8)],
        "coords goes with linear and cubic, not with nearest",
    ),
    (layers.Interpolate(size=3, a=-0.5, mode="linear"), [(B, 3, 8)], "a is the coefficient of cubic, not of linear"),
    (layers.Interpolate(size=10**8, mode="linear"), [(B, 3, 7)], "7 to 100000000 is not supported"),
]


@pytest.mark.parametrize(("layer", "inputs", "message"), REFUSED, ids=str)
def test_refused(layer: Layer, inputs: list[Shape], message: str) -> None:
    with pytest.raises(NetspecError, match=message):
        shape_of(layer, *inputs)


@pytest.mark.parametrize(
    ("layer", "inputs", "dtype", "message"),
    [
        (layers.Pad(pad=(1, 0), value=0.5), [(B, 8)], "int64", r"value 0.5 does not fit int64\[batch, 8\]"),
        (layers.Pad(pad=(1, 0), value=2.0), [(B, 8)], "bool", "value 2.0 does not fit bool"),
        (layers.Interpolate(size=3, mode="linear"), [(B, 2, 8)], "int64", "floating-point numbers are needed"),
        (layers.Take(), [(B, 8), (B,)], "float", "indices of an integer type are needed"),
        (layers.Take(), [(B, 8), (T,)], "int64", r"index must be \[batch\] or \[batch, count\], got \[time\]"),
        (layers.Gather(dim=1), [(B, 8), (B,)], "int64", "index must have the 2 dimensions"),
        (layers.Gather(dim=1), [(B, 8, 3), (B, 2, T)], "int64", "index must not be larger than x along dimension 2"),
    ],
    ids=str,
)
def test_refused_types(layer: Layer, inputs: list[Shape], dtype: DType, message: str) -> None:
    with pytest.raises(NetspecError, match=message):
        shape_of(layer, *inputs, dtype=dtype)


@pytest.mark.parametrize(
    ("layer", "least"),
    [
        (layers.Slice(dim=1, start=2, end=-3), 6),
        (layers.Pad(pad=(4, 1), mode="reflect"), 5),
        (layers.Pad(pad=(4, 1), mode="wrap"), 4),
        (layers.Roll(shifts=-3, dims=1), 4),
    ],
    ids=str,
)
def test_a_symbolic_size_that_is_too_small_is_refused_by_the_call(layer: Layer, least: int) -> None:
    requirements = graph_of(layer, (B, T)).requirements

    def accepted(time: int) -> bool:
        return all(evaluate(each.size, {"time": time}) >= each.at_least for each in requirements)

    assert [accepted(time) for time in (least - 1, least, least + 1)] == [False, True, True]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"pad": [1, 1], "mode": "replicate"}, "mode: expected 'constant', 'reflect', 'edge', 'wrap' or 'symmetric'"),
        ({"pad": 1}, "pad: expected a list of integers, two for each dimension"),
    ],
)
def test_fields_of_pad(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(FieldsError, match=message.replace("'", "")):
        construct(layers.Pad, fields)


def test_antialias_is_false() -> None:
    with pytest.raises(FieldsError, match="antialias: expected false: smoothing"):
        construct(layers.Interpolate, {"size": 3, "antialias": True})
    assert construct(layers.Interpolate, {"size": 3, "antialias": False}).antialias is False
