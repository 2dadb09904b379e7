"""Arithmetic, comparisons, types, reductions and random numbers: shapes and types, and what they refuse."""

from __future__ import annotations

from typing import Any

import pytest

from netspec import layers
from netspec.analysis.index_bounds import index_bounds
from netspec.errors import ShapeError
from netspec.graph.builder import Builder, Entry
from netspec.graph.graph import Origin, Value
from netspec.graph.ops import Cast, Cumsum, Sum
from netspec.graph.types import DType, TensorType
from netspec.layers.base import Layer
from netspec.layers.validation import FieldsError, construct
from netspec.spec import loads
from tests.core.layer_graphs import B, H, Shape, T, formula, graph_of, shape_of

UNARY: list[Layer] = [
    *(layers.Neg(), layers.Abs(), layers.Exp(), layers.Log(), layers.Sqrt(), layers.Sin(), layers.Cos()),
    *(layers.Pow(exponent=2), layers.Pow(exponent=-0.5), layers.StopGradient(), layers.Cumsum(dim=-1)),
    *(layers.RandomNormal(mean=1, std=2), layers.RandomUniform()),
]
SAME: Shape = (B, 3, T)
FORMS: list[tuple[Layer, list[Shape], TensorType]] = [
    *((layer, [SAME], TensorType(SAME)) for layer in UNARY),
    (layers.Sub(), [(B, 1, T), (3, 1)], TensorType((B, 3, T))),
    (layers.Div(), [(1, T), (B, 1)], TensorType((B, T))),
    (layers.Maximum(), [(B, T), (T,)], TensorType((B, T))),
    (layers.Minimum(), [(), (B, T)], TensorType((B, T))),
    (layers.Compare(op=">=", value=0), [(B, T)], TensorType((B, T), "bool")),
    (layers.Cast(dtype="int32"), [(B, T)], TensorType((B, T), "int32")),
    (layers.Cast(dtype="bool"), [(B, T)], TensorType((B, T), "bool")),
    (layers.Cast(dtype="float"), [(B, T)], TensorType((B, T))),
    (layers.Prod(), [(B, T)], TensorType(())),
    (layers.Max(dim=(2, 0), keepdim=True), [(B, T, 3)], TensorType((1, T, 1))),
    (layers.Min(dim=-1), [(B, T, 3)], TensorType((B, T))),
    (layers.LogSumExp(dim=1), [(B, T, 3)], TensorType((B, 3))),
    (layers.Norm(p=1), [(B, T)], TensorType(())),
    (layers.Norm(p="inf", dim=(0, 1)), [(B, T, 3)], TensorType((3,))),
    (layers.Norm(keepdim=True), [()], TensorType(())),
    (layers.Var(dim=1, ddof=2), [(B, 3)], TensorType((B,))),
    (layers.Var(ddof=1, keepdim=True), [(B, H)], TensorType((1, 1))),
    (layers.ArgMax(), [(B, T)], TensorType((), "int64")),
    (layers.ArgMax(keepdim=True), [(B, T)], TensorType((1, 1), "int64")),
    (layers.ArgMax(dim=-2), [(B, T, 3)], TensorType((B, 3), "int64")),
]


@pytest.mark.parametrize(("layer", "inputs", "output"), FORMS, ids=str)
def test_type(layer: Layer, inputs: list[Shape], output: TensorType) -> None:
    graph = graph_of(layer, *inputs)
    assert graph.outputs[0].value.type == output
    assert not graph.state


def added(layer: Layer, *types: TensorType, **optional: TensorType) -> Value:
    """The output of a layer of inputs of these types."""
    b = Builder("one")
    given = [b.input(f"x{k}", type) for k, type in enumerate(types)]
    named = {name: b.input(name, type) for name, type in optional.items()}
    (y,) = b.call(layer, Entry(Origin("it", None)), given, named)
    return y


FLOAT, FLAGS, WHOLE = TensorType((B, 3)), TensorType((B, 3), "bool"), TensorType((B, 3), "int64")


def test_where_and_the_optional_inputs() -> None:
    row = TensorType((3,), "int64")
    assert added(layers.Where(), FLAGS, WHOLE, row).type == WHOLE
    assert added(layers.Where(), FLAGS, FLAGS, FLAGS).type == FLAGS
    assert added(layers.Compare(op="<"), WHOLE, other=row).type == FLAGS
    assert added(layers.Compare(op="!="), FLAGS, other=FLAGS).type == FLAGS
    assert added(layers.Pow(), FLOAT, exponent=TensorType((3,))).type == FLOAT


@pytest.mark.parametrize("dtype", ["int64", "int32"])
def test_integers(dtype: DType) -> None:
    kept: list[Layer] = [layers.Neg(), layers.Abs(), layers.StopGradient(), layers.Max(dim=0), layers.Min(dim=0)]
    joined: list[Layer] = [layers.Sub(), layers.Maximum(), layers.Minimum()]
    widened: list[Layer] = [layers.Sum(), layers.Prod(dim=0), layers.Cumsum(dim=0), layers.ArgMax(dim=0)]
    for layer in kept:
        assert graph_of(layer, (B, 3), dtype=dtype).outputs[0].value.type.dtype == dtype
    for layer in joined:
        assert graph_of(layer, (B, 3), (3,), dtype=dtype).outputs[0].value.type.dtype == dtype
    for layer in widened:
        assert graph_of(layer, (B, 3), dtype=dtype).outputs[0].value.type.dtype == "int64"
    sums = [type(node.op) for node in graph_of(layers.Sum(), (B, 3), dtype=dtype).primitives()]
    assert sums == ([Cast, Sum] if dtype == "int32" else [Sum])


def test_indices_are_checked_through_a_cast() -> None:
    layer = "{type: embedding, num_embeddings: 5, embedding_dim: 2}"
    text = "{netspec: 1, inputs: {x: {shape: [batch], dtype: %s}}, layers: [{type: cast, dtype: %s}, " + layer + "]}"
    for given, wanted in (("int32", "int64"), ("int64", "int32")):
        assert index_bounds(loads(text % (given, wanted)).inference) == {"x": (5,)}
    flags = text.replace("num_embeddings: 5", "num_embeddings: 1") % ("bool", "int64")
    with pytest.raises(ShapeError, match="takes indices below 1, and one is 1"):
        loads(flags)


def test_a_cast_to_the_same_type_is_nothing() -> None:
    assert not list(graph_of(layers.Cast(dtype="float"), (B, 3)).primitives())
    assert [type(node.op) for node in graph_of(layers.Cumsum(dim=0), (B,), dtype="int64").primitives()] == [Cumsum]


def test_the_new_functions_of_a_formula() -> None:
    graph = graph_of(formula("neg(a) + stop_gradient(abs(a))", "a"), (B, 3))
    assert [node.op.name for node in graph.primitives()] == ["Constant", "Mul", "Abs", "StopGradient", "Add"]


def test_what_only_a_call_can_tell_is_left_to_it() -> None:
    (need,) = graph_of(layers.Var(ddof=2), (B, T)).requirements
    assert (str(need.size), need.at_least) == ("batch*time", 3)
    assert not graph_of(layers.Var(), (B, T)).requirements


FLOATS_ONLY = "floating-point numbers are needed here, not int64"
NUMBERS_ONLY = "numbers are needed here, not bool"
REFUSED: list[tuple[Layer, tuple[TensorType, ...], str]] = [
    *(
        (layer, (WHOLE,), FLOATS_ONLY)
        for layer in (
            *(layers.Exp(), layers.Log(), layers.Sqrt(), layers.Sin(), layers.Cos(), layers.Pow(exponent=2)),
            *(layers.LogSumExp(), layers.Norm(), layers.Norm(p=1), layers.Norm(p="inf"), layers.Var()),
            *(layers.RandomNormal(), layers.RandomUniform()),
        )
    ),
    *(
        (layer, (FLAGS,), NUMBERS_ONLY)
        for layer in (
            *(layers.Neg(), layers.Abs(), layers.Sum(), layers.Prod(), layers.Max(), layers.Min()),
            *(layers.ArgMax(), layers.Cumsum(dim=0)),
        )
    ),
    (layers.Div(), (WHOLE, WHOLE), FLOATS_ONLY),
    (layers.Sub(), (FLOAT, WHOLE), r"mixed types float\[batch, 3\] and int64\[batch, 3\]: nothing is converted"),
    (layers.Maximum(), (FLAGS, FLAGS), NUMBERS_ONLY),
    (layers.Pow(), (FLOAT,), r"exponent is a number or an input, from: \{x: a, exponent: b\}: give one of the two"),
    (layers.Compare(op="=="), (FLOAT,), r"a value or an input, from: \{x: a, other: b\}: give one of the two"),
    (layers.Compare(op="==", value=1), (FLAGS,), "value 1 does not fit bool"),
    (layers.Compare(op="<", value=0.5), (WHOLE,), FLOATS_ONLY),
    (layers.Compare(op="<", value=2**31), (TensorType((B,), "int32"),), "value 2147483648 does not fit int32"),
    (layers.Where(), (FLOAT, FLOAT, FLOAT), "a condition of type bool is needed, not float"),
    (layers.Where(), (FLAGS, FLOAT, WHOLE), "mixed types"),
    (layers.Cumsum(dim=2), (FLOAT,), "dim 2 is outside of the 2 dimensions"),
    (layers.ArgMax(dim=-3), (FLOAT,), "dim -3 is outside of the 2 dimensions"),
    (layers.Prod(dim=(0, -2)), (FLOAT,), r"dim names a dimension of \[batch, 3\] twice, got \[0, 0\]"),
    (layers.Var(dim=1, ddof=3), (FLOAT,), r"ddof 3 needs more numbers than that, got 3 in \[batch, 3\]"),
]


@pytest.mark.parametrize(("layer", "inputs", "message"), REFUSED, ids=str)
def test_refused(layer: Layer, inputs: tuple[TensorType, ...], message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        added(layer, *inputs)


def test_flags_have_no_order() -> None:
    with pytest.raises(ShapeError, match=NUMBERS_ONLY):
        added(layers.Compare(op=">="), FLAGS, other=FLAGS)
    with pytest.raises(ShapeError, match="give one of the two"):
        added(layers.Pow(exponent=2), FLOAT, exponent=FLOAT)


def test_symbolic_sizes_that_differ_do_not_broadcast() -> None:
    with pytest.raises(ShapeError, match="do not broadcast: h against time"):
        shape_of(layers.Sub(), (B, T), (B, H))


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("compare", {}, "op is required"),
        ("compare", {"op": "=>"}, "op: expected one of == != < <= > >=, got text '=>'"),
        ("compare", {"op": "<", "value": True}, "value: expected a number, got true"),
        ("cast", {"dtype": "float32"}, "dtype: expected float, int64, int32 or bool, got text 'float32'"),
        ("norm", {"p": 3}, "p: expected 1, 2 or inf, got 3"),
        ("var", {"ddof": -1}, "ddof: expected an integer from 0 up, got -1"),
        ("var", {"unbiased": True}, "unbiased is refused: write ddof: 1 for the unbiased variance"),
        ("var", {"correction": 1}, "correction is refused: the field is ddof"),
        ("maximum", {"dim": 1}, "dim is refused: maximum compares two tensors: max takes the largest number along"),
        ("pow", {"exponent": "two"}, "exponent: expected a number, got text 'two'"),
        ("cumsum", {}, "dim is required"),
        ("random_normal", {"std": 0}, "std: expected a number above 0, got 0"),
        ("random_uniform", {"low": 1}, "low 1 is not below high 1"),
    ],
)
def test_fields_that_are_refused(name: str, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(FieldsError, match=message):
        construct(layers.LAYER_TYPES[name], fields)
