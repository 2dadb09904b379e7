"""Sums and products of integers in ONNX: exact above 2^53, wrapping around at the end, as NumPy has them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator

import netspec.layers as L
import netspec_onnx
from netspec.graph.builder import Builder
from netspec.graph.dims import Size
from netspec.graph.graph import Value
from netspec.graph.types import DType, TensorType
from netspec.layers.base import Layer
from netspec_onnx.model import OnnxModel
from netspec_onnx.schemas import output_types
from netspec_onnx.tape import Tape
from tests.backends.graphs import BATCH, TIME, chain, graphs
from tests.backends.onnx_graphs import check, compile_model, operators

NUMPY: dict[str, Callable[..., Any]] = {"sum": np.sum, "prod": np.prod}


def reduced(name: str, shape: Sequence[Size], dtype: DType, axes: Sequence[int], keepdims: bool) -> OnnxModel:
    """The primitive alone, in the type of its input."""

    def make(b: Builder) -> dict[str, Value]:
        return {"y": getattr(b, name)(b.input("x", TensorType(tuple(shape), dtype)), axes, keepdims)}

    return compile_model(graphs(make))[0]


def drawn(shape: Sequence[int], dtype: str) -> NDArray[Any]:
    """Odd numbers of the whole range: their products do not end at 0."""
    limits = np.iinfo(dtype)
    return np.random.default_rng(3).integers(limits.min, limits.max, shape, dtype, endpoint=True) | 1


@pytest.mark.parametrize("name", NUMPY)
@pytest.mark.parametrize("dtype", ["int64", "int32"])
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axes", [(1,), (0,), (2,), (0, 2), (0, 1, 2), ()])
def test_numbers_of_the_whole_range(name: str, dtype: DType, keepdims: bool, axes: tuple[int, ...]) -> None:
    """One file for several sizes, of which some are odd, one is 1 and one is long."""
    model = reduced(name, (BATCH, TIME, 3), dtype, axes, keepdims)
    check(model.native)
    for shape in ((2, 4, 3), (5, 7, 3), (1, 1, 3), (1, 1000, 3)):
        x = drawn(shape, dtype)
        expected = NUMPY[name](x, axis=axes, keepdims=keepdims, dtype=dtype)
        got = model(x)
        assert got.dtype == dtype
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("dtype", ["int64", "int32"])
def test_the_layers(dtype: DType, fused: bool) -> None:
    """Above 2^53, where a double rounds, and one beyond the largest number; int32 is summed in int64."""
    backend = netspec_onnx.backend if fused else netspec_onnx.OnnxBackend(fused={})
    high = np.iinfo(dtype).max
    x = np.array([[2**53 + 1, 1], [high, 1], [high, 3]] if dtype == "int64" else [[high, 1], [high, high]], dtype)
    for layer, of_numpy in ((L.Sum(dim=1), np.sum), (L.Prod(dim=1), np.prod)):
        pair = chain((BATCH, TIME), layer, dtype=dtype)
        got = backend.compile(pair, {})(x)
        np.testing.assert_array_equal(got, of_numpy(x, axis=1, dtype="int64"))


@pytest.mark.parametrize("name", NUMPY)
def test_the_standards_own_interpreter_agrees(name: str) -> None:
    model, x = reduced(name, (BATCH, TIME), "int64", (1,), False), drawn((3, 5), "int64")
    (got,) = ReferenceEvaluator(model.native).run(None, {"x": x})
    np.testing.assert_array_equal(got, NUMPY[name](x, axis=1))


class Counted(Layer):
    """Integers that come out of other operators than they went in: indices, sizes, comparisons."""

    type: str = "counted"

    def expand(self, b: Builder, x: Value) -> Value:
        _, best = b.top_k(x, 2, 1)
        return b.sum(best, (1,)) + b.sum(b.cast(x, "int64"), (1,))


def test_of_what_type_a_sum_is_follows_from_the_nodes_before_it() -> None:
    model, _ = compile_model(chain((BATCH, 4), Counted()))
    assert operators(model.native).count("CumSum") == 2
    np.testing.assert_array_equal(model(np.array([[1, 2, 3, 4], [9, 1, 8, 1]], np.float32)), [15, 21])
    floats, _ = compile_model(chain((BATCH, 4), L.Sum(dim=1)))
    assert operators(floats.native) == ["Constant", "ReduceSum"]


FLOAT, INT64, INT32, BOOL = ir.DataType.FLOAT, ir.DataType.INT64, ir.DataType.INT32, ir.DataType.BOOL


@pytest.mark.parametrize(
    ("op_type", "inputs", "attributes", "expected"),
    [
        ("Add", (INT32, INT32), {}, [INT32]),
        ("Shape", (FLOAT,), {"start": 0}, [INT64]),
        ("Greater", (FLOAT, FLOAT), {}, [BOOL]),
        ("Where", (BOOL, INT32, INT32), {}, [INT32]),
        ("Cast", (FLOAT,), {"to": int(INT32)}, [INT32]),
        ("CastLike", (FLOAT, INT32), {}, [INT32]),
        ("Constant", (), {"value": ir.tensor(np.zeros(2, np.int32))}, [INT32]),
        ("TopK", (FLOAT, INT64), {}, [FLOAT, INT64]),
        ("Split", (INT32, INT64), {"axis": 0}, [INT32, INT32, INT32]),
        ("Clip", (FLOAT, None, FLOAT), {}, [FLOAT]),
        ("RandomNormalLike", (INT64,), {"dtype": int(FLOAT)}, [FLOAT]),
        ("LSTM", (FLOAT, FLOAT, FLOAT, None, INT32), {}, [FLOAT, FLOAT, FLOAT]),
    ],
)
def test_types_of_outputs(
    op_type: str, inputs: Sequence[ir.DataType | None], attributes: dict[str, object], expected: list[ir.DataType]
) -> None:
    assert output_types(op_type, inputs, attributes, len(expected)) == expected


def test_types_of_what_bodies_give() -> None:
    """If and Scan give what their bodies give; of Loop the first is the condition."""
    flag, number = TensorType((), "bool"), TensorType((), "int32")
    tape = Tape()
    x, chosen = tape.value("x", number), tape.value("chosen", flag)
    then, otherwise = (tape.graph(name, (), lambda: (x,), (number,), None) for name in ("then", "else"))
    assert tape.type_of(tape.op("If", chosen, then_branch=then, else_branch=otherwise)) == INT32
    carried = tape.value("carried", number)
    body = tape.graph("step", (tape.value("turn", number), chosen, carried), lambda: (chosen, x), (flag, number), None)
    assert tape.type_of(tape.op("Loop", None, chosen, x, body=body)) == INT32
