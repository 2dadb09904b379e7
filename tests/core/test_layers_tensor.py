"""Layers that move, pick, multiply and make tensors: shapes and types, with symbolic sizes, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from netspec import layers
from netspec.errors import NetspecError, ShapeError
from netspec.graph.builder import Builder, Entry
from netspec.graph.dims import Size
from netspec.graph.graph import Origin
from netspec.graph.ops import Einsum, Permute, Reshape
from netspec.graph.ops.einsum import pairwise
from netspec.graph.types import DType, TensorType
from netspec.layers.base import Layer
from netspec.layers.validation import FieldsError, construct
from tests.core.layer_graphs import B, H, Shape, T, graph_of, shape_of

FORMS: list[tuple[Layer, list[Shape], Shape]] = [
    (layers.Identity(), [(B, T)], (B, T)),
    (layers.Matmul(), [(B, 1, T, 4), (3, 4, 5)], (B, 3, T, 5)),
    (layers.Matmul(), [(4,), (B, 4, 5)], (B, 5)),
    (layers.Matmul(), [(B, T, 4), (4,)], (B, T)),
    (layers.Matmul(), [(T,), (T,)], ()),
    (layers.Einsum(equation="b h q d, b h k d -> b h q k"), [(B, 2, T, 4), (B, 2, H, 4)], (B, 2, T, H)),
    (layers.Einsum(equation="bi,ij,bj->b"), [(B, T), (T, H), (B, H)], (B,)),
    (layers.Einsum(equation="ii->i"), [(T, T)], (T,)),
    (layers.Einsum(equation="ii->"), [(4, 4)], ()),
    (layers.Einsum(equation="ab,->ba"), [(B, 3), ()], (3, B)),
    (layers.Sum(), [(B, T)], ()),
    (layers.Sum(dim=-1), [(B, T, 3)], (B, T)),
    (layers.Sum(dim=(2, 0), keepdim=True), [(B, T, 3)], (1, T, 1)),
    (layers.Mean(keepdim=True), [(B, T)], (1, 1)),
    (layers.Mean(dim=(1,)), [(B, T, 3)], (B, 3)),
    (layers.Permute(dims=(-1, 0, 1)), [(B, T, 3)], (3, B, T)),
    (layers.Unsqueeze(dim=0), [(B, T)], (1, B, T)),
    (layers.Unsqueeze(dim=-1), [(B, T)], (B, T, 1)),
    (layers.Squeeze(dim=(1, -1)), [(B, 1, T, 1)], (B, T)),
    (layers.Squeeze(dim=1), [(B, 3, 1)], (B, 3, 1)),
    (layers.Stack(), [(B, T), (B, T)], (2, B, T)),
    (layers.Stack(dim=-1), [(B, T), (B, T), (B, T)], (B, T, 3)),
    (layers.Stack(dim=1), [(B, T)], (B, 1, T)),
    (layers.Select(dim=1, index=-1), [(B, T, 3)], (B, 3)),
    (layers.Select(dim=-1, index=2), [(B, T, 3)], (B, T)),
    (layers.TopK(k=2), [(B, T, 3)], (B, T, 2)),
    (layers.TopK(k=3, dim=1), [(B, T, 3)], (B, 3, 3)),
    (layers.Rearrange(pattern="b l (h d) -> b h l d", sizes={"h": 3}), [(B, T, 12)], (B, 3, T, 4)),
    (layers.Rearrange(pattern="b h l d -> b l (h d)"), [(B, 3, T, 4)], (B, T, 12)),
    (layers.Rearrange(pattern="b (t s) -> (b t) s", sizes={"s": 4}), [(B, 4 * T)], (B * T, 4)),
    (layers.Rearrange(pattern="(b t) c -> b t c", sizes={"t": T}), [(B * T, 3)], (B, T, 3)),
    (layers.Rearrange(pattern="b 1 (c) -> c () b 1"), [(B, 1, 3)], (3, 1, B, 1)),
    (layers.Arange(end=7), [], (7,)),
    (layers.Arange(start=1, end=2 * T, step=2), [], (T,)),
    (layers.Arange(start=T, end=T + 3), [], (3,)),
    (layers.Arange(start=5, end=-2, step=-3), [], (3,)),
    (layers.Zeros(shape=(B, 2)), [], (B, 2)),
    (layers.Ones(shape=()), [], ()),
    (layers.Constant(value=[[1.0, 2.0, 3.0]]), [], (1, 3)),
]


@pytest.mark.parametrize(("layer", "inputs", "output"), FORMS, ids=str)
def test_shape(layer: Layer, inputs: list[Shape], output: Shape) -> None:
    graph = graph_of(layer, *inputs)
    dtype: DType = "int64" if isinstance(layer, layers.Arange) else "float"
    assert graph.outputs[0].value.type == TensorType(output, dtype)
    assert not graph.state


def test_one_hot_and_top_k_types() -> None:
    graph = graph_of(layers.OneHot(num_classes=T + 1), (B, 2), dtype="int32")
    assert graph.outputs[0].value.type == TensorType((B, 2, T + 1))
    b = Builder("one")
    x = b.input("x", TensorType((B, 4)))
    values, indices = b.call(layers.TopK(k=2), Entry(Origin("it", None)), [x])
    assert (values.type, indices.type) == (TensorType((B, 2)), TensorType((B, 2), "int64"))


@pytest.mark.parametrize(
    ("value", "dtype", "shape"),
    [
        (2, "int64", ()),
        ([1, -2], "int64", (2,)),
        (2.5, "float", ()),
        ([[1, 2.5], [0, 1]], "float", (2, 2)),
        ([[True], [False]], "bool", (2, 1)),
    ],
)
def test_a_constant_has_the_type_of_its_numbers(value: Any, dtype: DType, shape: Shape) -> None:
    assert graph_of(layers.Constant(value=value)).outputs[0].value.type == TensorType(shape, dtype)


@pytest.mark.parametrize("dtype", ["int64", "bool"])
def test_moving_layers_take_every_type(dtype: DType) -> None:
    for layer in (
        layers.Identity(),
        layers.Permute(dims=(1, 0)),
        layers.Unsqueeze(dim=1),
        layers.Squeeze(dim=1),
        layers.Select(dim=0, index=0),
        layers.Rearrange(pattern="b c -> c b"),
    ):
        assert graph_of(layer, (B, 3), dtype=dtype).outputs[0].value.type.dtype == dtype
    assert graph_of(layers.Stack(), (B, 3), (B, 3), dtype=dtype).outputs[0].value.type.dtype == dtype


def test_rearrange_emits_only_what_moves() -> None:
    def kinds(pattern: str, **sizes: Size) -> list[type]:
        graph = graph_of(layers.Rearrange(pattern=pattern, sizes=sizes), (B, T, 12))
        return [type(node.op) for node in graph.primitives()]

    assert kinds("a b c -> a b c") == []
    assert kinds("a b c -> c a b") == [Permute]
    assert kinds("a b c -> a (b c)") == [Reshape]
    assert kinds("a b (c d) -> a c b d", d=4) == [Reshape, Permute]
    assert kinds("a b (c d) -> a (c b) d", d=4) == [Reshape, Permute, Reshape]


def test_einsum_counts_products_from_the_left() -> None:
    assert pairwise("bi,ij,bj->b") == ["bi,ij->bj", "bj,bj->b"]
    assert pairwise("ii,ij,jk->ki") == ["ii,ij->ij", "ij,jk->ki"]
    assert pairwise("a,b->ba") == ["a,b->ba"]

    def counted(equation: str, *shapes: Shape) -> tuple[Size, Size, Size]:
        op, types = Einsum(equation), tuple(map(TensorType, shapes))
        return op.macs(types, op.infer(*types)), op.elementwise(types, ()), op.reduction_length(types)

    assert counted("bi,ij,bj->b", (B, 3), (3, 5), (B, 5)) == (15 * B + 5 * B, 0, 15)
    assert counted("bqd,bkd->bqk", (B, T, 4), (B, T, 4)) == (4 * B * T * T, 0, 4)
    assert counted("bij->b", (B, 3, 5)) == (0, 15 * B, 15)


def test_what_only_a_call_can_tell_is_left_to_it() -> None:
    def needs(layer: Layer, *shapes: Shape, **more: Any) -> list[tuple[str, int]]:
        return [(str(need.size), need.at_least) for need in graph_of(layer, *shapes, **more).requirements]

    assert needs(layers.Select(dim=1, index=-3), (B, T)) == [("time", 3)]
    assert needs(layers.Select(dim=1, index=3), (B, T)) == [("time", 4)]
    assert needs(layers.Select(dim=0, index=-1), (B, T)) == []
    assert needs(layers.TopK(k=2), (B, T)) == [("time", 2)]
    assert needs(layers.Arange(end=T - 2)) == [("time - 2", 1)]


REFUSED: list[tuple[Layer, list[Shape], str]] = [
    (layers.Matmul(), [(B, 3), (4, 5)], r"matrix product of \[batch, 3\] and \[4, 5\]"),
    (layers.Matmul(), [(3,), (4,)], "matrix product of"),
    (layers.Matmul(), [(), (4,)], r"matrix product of \[\] and \[4\]: a number"),
    (layers.Matmul(), [(B, 3, 4), (2, 4, 5)], "do not broadcast"),
    (layers.Einsum(equation="bi,ij->bj"), [(B, 3), (4, 5)], "bi,ij->bj: i is 3 in one place and 4 in another"),
    (layers.Einsum(equation="ii->i"), [(T, 4)], "ii->i: i is time in one place and 4 in another"),
    (layers.Einsum(equation="bi->b"), [(1, 3), (3,)], "bi->b has 1 operands, and there are 2 inputs"),
    (
        layers.Einsum(equation="bi,i->b"),
        [(B, 3), (B, 3)],
        r"operand 2 has 1 letters, i, and 2 dimensions, \[batch, 3\]",
    ),
    (layers.Sum(dim=2), [(B, 3)], "dim 2 is outside of the 2 dimensions"),
    (layers.Mean(dim=(1, -1)), [(B, 3)], r"dim names a dimension of \[batch, 3\] twice"),
    (layers.Permute(dims=(0, 1)), [(B, 3, 4)], r"dims must name each of the 3 dimensions of \[batch, 3, 4\] once"),
    (layers.Permute(dims=(0, 1, -2)), [(B, 3, 4)], "must name each"),
    (layers.Permute(dims=(0, 3)), [(B, 3)], "dims 3 is outside"),
    (layers.Unsqueeze(dim=3), [(B, 3)], "dim 3 is outside of the 3 dimensions"),
    (layers.Squeeze(dim=0), [(B, 1)], "the size of dimension 0 must be known, got batch"),
    (layers.Stack(), [], "an input or more is needed"),
    (layers.Stack(), [(B, 3), (B, 4)], r"stack of \[batch, 3\], \[batch, 4\]: all shapes must be equal"),
    (layers.Select(dim=1, index=3), [(B, 3)], r"index 3 is outside of dimension 1 of \[batch, 3\], of size 3"),
    (layers.Select(dim=1, index=-4), [(B, 3)], "index -4 is outside"),
    (layers.TopK(k=4), [(B, 3)], r"k 4 is above the size 3 of dimension 1 of \[batch, 3\]"),
    (layers.OneHot(num_classes=3), [(B,)], "indices of an integer type are needed, not float"),
    (layers.Rearrange(pattern="b c -> c b"), [(B, 3, 4)], r"has 2 dimensions on its left, and \[batch, 3, 4\] has 3"),
    (
        layers.Rearrange(pattern="b (h d) -> b h d", sizes={"h": 4}),
        [(B, 6)],
        r"b \(h d\) -> b h d: 6 is not divisible by h 4 for every size",
    ),
    (layers.Rearrange(pattern="(b s) -> b s", sizes={"s": 2}), [(B,)], "batch is not divisible by s 2"),
    (layers.Rearrange(pattern="b (h d) -> b h d"), [(B, 6)], "give sizes for all but one of h, d"),
    (
        layers.Rearrange(pattern="b (h d) -> b h d", sizes={"h": 2, "d": 4}),
        [(B, 6)],
        "expected h 2 x d 4, got a dimension of size 6",
    ),
    (layers.Rearrange(pattern="b 1 -> b"), [(B, 3)], "expected 1, got a dimension of size 3"),
    (layers.Arange(end=0), [], "there is nothing from 0 to 0 in steps of 1"),
    (layers.Arange(end=3, step=0), [], "step must not be 0"),
]


@pytest.mark.parametrize(("layer", "inputs", "message"), REFUSED, ids=str)
def test_refused(layer: Layer, inputs: list[Shape], message: str) -> None:
    with pytest.raises(NetspecError, match=message):
        shape_of(layer, *inputs)


@pytest.mark.parametrize("layer", [layers.Mean(), layers.Matmul(), layers.Einsum(equation="ab,bc->")])
def test_arithmetic_takes_floats_only(layer: Layer) -> None:
    inputs: list[Shape] = [(3, 3)] if isinstance(layer, layers.Mean) else [(3, 3), (3, 3)]
    with pytest.raises(ShapeError, match="floating-point numbers are needed here, not int64"):
        shape_of(layer, *inputs, dtype="int64")


def test_flags_have_no_order() -> None:
    for layer in (layers.TopK(k=1), layers.ArgMax(), layers.ArgMax(dim=1)):
        with pytest.raises(ShapeError, match=r"numbers are needed here, not bool\[batch, 3\]"):
            shape_of(layer, (B, 3), dtype="bool")


@pytest.mark.parametrize("dtype", ["int32", "bool"])
def test_the_type_that_a_reduction_cannot_take_is_that_of_its_input(dtype: DType) -> None:
    for layer in (layers.Mean(), layers.LogSumExp(), layers.Norm(), layers.Var(ddof=1)):
        with pytest.raises(ShapeError, match=rf"floating-point numbers are needed here, not {dtype}\[batch, 3\]"):
            shape_of(layer, (B, 3), dtype=dtype)


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("einsum", {}, "equation is required"),
        ("einsum", {"equation": 3}, "equation: expected an equation such as bi,ij->bj, got 3"),
        ("einsum", {"equation": "bi,ij"}, "-> and the letters of the output are required, got text 'bi,ij'"),
        ("einsum", {"equation": "...i->i"}, "an ellipsis is refused"),
        ("einsum", {"equation": "b1->b"}, "a dimension is a letter from a to z or A to Z, got '1'"),
        ("einsum", {"equation": "bé->b"}, r"got '\\xe9'"),
        ("einsum", {"equation": "a->a->a"}, "got '-'"),
        ("einsum", {"equation": "bi->bj"}, "j of the output is in no operand"),
        ("einsum", {"equation": "bi->bb"}, "b stands twice in the output"),
        ("permute", {}, "dims is required"),
        ("permute", {"dims": 1}, "dims: expected a list of the numbers of all dimensions"),
        ("sum", {"dim": 1.0}, "dim: expected the number of a dimension, from -8 to 7, or a list of them, got 1.0"),
        ("sum", {"keepdims": True}, "unknown field keepdims; did you mean keepdim?"),
        ("select", {"dim": 0}, "index is required"),
        ("select", {"dim": 0, "index": "last"}, "index: expected the number of an element"),
        ("one_hot", {"num_classes": 0}, "num_classes: expected a positive integer, or an expression"),
        ("one_hot", {"num_classes": 2.0}, "expected a positive integer, or an expression .* got 2.0"),
        ("top_k", {"k": 0}, "k: expected a positive integer"),
        ("top_k", {"k": 1, "largest": False}, "unknown field largest"),
        ("rearrange", {"pattern": "b c"}, "-> is required, as in b l"),
        ("rearrange", {"pattern": "b c -> b"}, "c is missing on the right of ->"),
        ("rearrange", {"pattern": "b -> b c"}, "c is missing on the left of ->"),
        ("rearrange", {"pattern": "b b -> b"}, "b stands twice on one side"),
        ("rearrange", {"pattern": "b (c -> b c"}, r"\( without its counterpart"),
        ("rearrange", {"pattern": "b c) -> b c"}, r"\) without its counterpart"),
        ("rearrange", {"pattern": "b ((c)) -> b c"}, r"\( without its counterpart"),
        ("rearrange", {"pattern": "b ... -> b ..."}, "an ellipsis is refused"),
        ("rearrange", {"pattern": "b 2 -> b 2"}, r"expected names, 1 and one level of \( \), got text ' 2'"),
        ("rearrange", {"pattern": "b c -> c b", "sizes": {"d": 2}}, "sizes: d is not in the pattern"),
        ("rearrange", {"pattern": "b c -> c b", "sizes": {"c": 0}}, "sizes: expected a mapping from names"),
        ("parameter", {}, "shape is required"),
        ("parameter", {"shape": [3, -1]}, "shape: expected a list of sizes: positive integers"),
        ("zeros", {"shape": 3}, "shape: expected a list of sizes: positive integers"),
        ("constant", {}, "value is required"),
        ("constant", {"value": [1, [2]]}, "value: expected a number, true or false, or a list of one kind of them"),
        ("constant", {"value": [True, 1]}, "nested evenly, got"),
        ("constant", {"value": []}, "nested evenly, got"),
        ("constant", {"value": {"a": 1}}, "nested evenly, got a mapping"),
        ("constant", {"value": [1.0, float("inf")]}, "nested evenly, got"),
        ("constant", {"value": [[[[[[[[[1]]]]]]]]]}, "nested evenly, got"),
        ("arange", {}, "end is required"),
        ("arange", {"end": 2.5}, "end: expected an integer, or an expression"),
        ("arange", {"end": 3, "step": True}, "step: expected an integer, got true"),
        ("buffer", {"shape": [3]}, "unknown field shape; it has no fields"),
        ("matmul", {"transpose": True}, "unknown field transpose; it has no fields"),
    ],
)
def test_fields_that_are_refused(name: str, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(FieldsError, match=message):
        construct(layers.LAYER_TYPES[name], fields)
