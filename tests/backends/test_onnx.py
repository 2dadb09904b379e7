"""What only the ONNX backend has: which operators a layer becomes, and a model that onnxruntime runs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnx.reference
import onnx_ir as ir
import onnxruntime
import pytest

import netspec.layers as L
import netspec_onnx
from netspec.backend import FloatType
from netspec.errors import BackendError, InputError
from netspec.graph import ops
from netspec.graph.builder import Builder
from netspec.graph.dims import Size
from netspec.graph.graph import Value
from netspec.graph.types import DType, TensorType
from netspec.layers.base import Layer
from netspec_onnx import model as onnx_model
from netspec_onnx.fused import FUSED
from netspec_onnx.lowerings import GAPS, LOWERINGS
from netspec_onnx.tape import Tape
from tests.backends.graphs import BATCH, HEIGHT, IMAGE, TIME, assert_close, call, chain, draw_weights, graphs
from tests.backends.onnx_graphs import SIZES, check, compile_model, draw_inputs, operators, reference
from tests.backends.onnx_norm_cases import NORM_CASES

# ------------------------------------------------------------------------------------------------- layers, one by one


@dataclass(frozen=True)
class Case:
    """A chain of layers, and the ONNX operators that it is to become."""

    shape: tuple[Size, ...]
    layers: tuple[Layer, ...]
    operators: str
    dtype: DType = "float"


def conv(**fields: Any) -> L.Conv2d:
    return L.Conv2d(**{"out_channels": 4, "kernel_size": 3, **fields})


def transposed(**fields: Any) -> L.ConvTranspose2d:
    return L.ConvTranspose2d(**{"out_channels": 4, "kernel_size": 3, **fields})


CASES = {
    "linear": Case((BATCH, 6), (L.Linear(out_features=4),), "Gemm"),
    "linear without bias": Case((BATCH, 6), (L.Linear(out_features=4, bias=False),), "Gemm"),
    "linear in_out": Case((BATCH, 6), (L.Linear(out_features=4, weight_layout="in_out"),), "Gemm"),
    "linear rank 3": Case((BATCH, TIME, 6), (L.Linear(out_features=4),), "Transpose MatMul Add"),
    "linear rank 4 in_out": Case(
        (BATCH, TIME, 2, 6), (L.Linear(out_features=4, weight_layout="in_out"),), "MatMul Add"
    ),
    "conv": Case(IMAGE, (conv(),), "Conv"),
    "conv without bias, kernel below stride": Case(IMAGE, (conv(kernel_size=[1, 2], stride=3, bias=False),), "Conv"),
    "conv asymmetric pads": Case(IMAGE, (conv(stride=[2, 1], padding=[[0, 2], [3, 1]]),), "Conv"),
    "conv grouped, dilated": Case((BATCH, 4, HEIGHT, 9), (conv(groups=2, dilation=[2, 1], padding=2),), "Conv"),
    "conv depthwise": Case((BATCH, 4, HEIGHT, 9), (conv(groups=4, out_channels=8),), "Conv"),
    "conv same": Case(IMAGE, (conv(kernel_size=[4, 3], padding="same"),), "Conv"),
    "conv same static": Case((BATCH, 3, 8, 7), (conv(stride=2, padding="same"),), "Conv"),
    "conv same stride 2": Case(IMAGE, (conv(kernel_size=[3, 4], stride=2, padding="same"),), "Conv"),
    "conv same kernel below stride": Case(IMAGE, (conv(kernel_size=2, stride=3, padding="same"),), "Conv"),
    "conv same_lower stride 2": Case(IMAGE, (conv(kernel_size=[3, 4], stride=2, padding="same_lower"),), "Conv"),
    "conv same stride 2 dilated": Case(IMAGE, (conv(stride=2, dilation=[2, 3], padding="same"),), "Pad Conv"),
    "conv same_lower stride 2 dilated": Case(IMAGE, (conv(stride=2, dilation=2, padding="same_lower"),), "Pad Conv"),
    "conv same dilated, window below stride": Case(
        IMAGE, (conv(kernel_size=2, stride=5, dilation=2, padding="same"),), "Pad Conv"
    ),
    "transposed": Case(IMAGE, (transposed(kernel_size=4, stride=2, padding=1),), "ConvTranspose"),
    "transposed same": Case(IMAGE, (transposed(kernel_size=[3, 2], stride=[2, 3], padding="same"),), "ConvTranspose"),
    "transposed, depthwise": Case(  # onnx's evaluator fails on more than one output of a group
        (BATCH, 4, HEIGHT, 9),
        (transposed(groups=4, dilation=2, padding=[[0, 2], [1, 0]], bias=False),),
        "ConvTranspose",
    ),
    "transposed, zeros behind": Case(
        IMAGE, (transposed(kernel_size=2, stride=3, output_padding=[2, 1]),), "ConvTranspose"
    ),
    "transposed, zeros beyond the stride": Case(
        IMAGE, (transposed(dilation=3, output_padding=[2, 0]),), "ConvTranspose Pad Reshape"
    ),
    "max pool, ceil": Case(IMAGE, (L.MaxPool2d(kernel_size=2, stride=3, padding=1, ceil_mode=True),), "MaxPool"),
    "avg pool, ceil": Case(IMAGE, (L.AvgPool2d(kernel_size=2, ceil_mode=True),), "AveragePool"),
    "avg pool, padded, ceil": Case(
        IMAGE, (L.AvgPool2d(kernel_size=3, stride=2, padding=1, ceil_mode=True),), "Pad AveragePool"
    ),
    "avg pool without pad, ceil": Case(
        IMAGE,
        (L.AvgPool2d(kernel_size=4, stride=3, padding=1, ceil_mode=True, count_include_pad=False),),
        "AveragePool",
    ),
    "adaptive avg pool of one bin": Case(IMAGE, (L.AdaptiveAvgPool2d(output_size=1),), "GlobalAveragePool"),
    "adaptive avg pool, even": Case((BATCH, 3, 8, 6), (L.AdaptiveAvgPool2d(output_size=2),), "AveragePool"),
    "adaptive avg pool": Case(
        (BATCH, 3, 5, 4), (L.AdaptiveAvgPool2d(output_size=(3, 4)),), "Slice ReduceMean " * 3 + "Concat"
    ),
    "adaptive avg pool, more bins than nodes": Case(
        (BATCH, 3, 7), (L.AdaptiveAvgPool1d(output_size=20000),), "Gather ReduceMean " * 2 + "Concat Gather"
    ),
    "adaptive max pool, many bins of one length": Case(
        (BATCH, 3, 5, 51), (L.AdaptiveMaxPool2d(output_size=(5, 34)),), "Gather ReduceMax"
    ),
    "max pool": Case(IMAGE, (L.MaxPool2d(kernel_size=(3, 2), stride=2, padding=1),), "MaxPool"),
    "avg pool": Case(IMAGE, (L.AvgPool2d(kernel_size=3, stride=2, padding=1),), "AveragePool"),
    "avg pool without pad": Case(
        IMAGE, (L.AvgPool2d(kernel_size=3, padding=(0, 1), count_include_pad=False),), "AveragePool"
    ),
    "global avg pool": Case(IMAGE, (L.GlobalAvgPool(),), "GlobalAveragePool Flatten"),
    "global avg pool rank 3": Case((BATCH, 3, TIME), (L.GlobalAvgPool(),), "GlobalAveragePool Flatten"),
    "batch norm": Case(IMAGE, (L.BatchNorm(eps=0.01),), "BatchNormalization"),
    "batch norm rank 2": Case((BATCH, 6), (L.BatchNorm(),), "BatchNormalization"),
    "batch norm rank 3, not affine": Case((BATCH, 6, TIME), (L.BatchNorm(affine=False),), "BatchNormalization"),
    "layer norm": Case((BATCH, TIME, 6), (L.LayerNorm(eps=0.1),), "LayerNormalization"),
    "layer norm of two axes": Case((BATCH, 4, 6), (L.LayerNorm(dim=(1, -1)),), "LayerNormalization"),
    "layer norm without bias": Case((BATCH, 6), (L.LayerNorm(bias=False),), "LayerNormalization"),
    "layer norm not affine": Case((BATCH, 6), (L.LayerNorm(elementwise_affine=False),), "LayerNormalization"),
    "layer norm of a symbolic axis": Case(
        (BATCH, 3, TIME),
        (L.LayerNorm(elementwise_affine=False),),
        "ReduceMean Sub Mul ReduceMean Add Sqrt Reciprocal Mul",
    ),
    **{name: Case(*case) for name, case in NORM_CASES.items()},
    "dropout": Case((BATCH, 6), (L.Relu(), L.Dropout(p=0.3), L.Tanh()), "Relu Tanh"),
    "leaky relu": Case((BATCH, 6), (L.LeakyRelu(negative_slope=-0.3),), "LeakyRelu"),
    "gelu, sigmoid": Case((BATCH, 6), (L.Gelu(), L.Sigmoid()), "Gelu Sigmoid"),
    "softmax": Case((BATCH, TIME, 6), (L.Softmax(dim=1),), "Softmax"),
    "flatten": Case(IMAGE, (L.Flatten(),), "Flatten"),
    "flatten in front": Case((BATCH, TIME, 2, 3), (L.Flatten(start_dim=0, end_dim=1),), "Reshape"),
    "flatten in the middle": Case(
        (BATCH, TIME, 2, 3), (L.Flatten(start_dim=1, end_dim=2),), "Shape Mul Concat Reshape"
    ),
    "reshape": Case((BATCH, 6), (L.Reshape(shape=(-1, 3, 2)),), "Reshape"),
    "reshape with two symbols": Case((BATCH, TIME, 6), (L.Reshape(shape=(TIME, BATCH, 2, 3)),), "Shape Concat Reshape"),
    "flatten of computed sizes": Case(
        IMAGE,
        (L.AvgPool2d(kernel_size=(3, 2), stride=(2, 3)), L.Flatten(start_dim=1, end_dim=2)),
        "AveragePool Shape Add Mod Sub Div Mul Add Shape Add Mod Sub Div Concat Reshape",
    ),
    "embedding": Case((BATCH, TIME), (L.Embedding(num_embeddings=5, embedding_dim=3),), "Gather", "int64"),
    "embedding int32": Case(
        (BATCH,), (L.Embedding(num_embeddings=5, embedding_dim=3, padding_idx=2),), "Gather", "int32"
    ),
}


# The arithmetic of a padding that only the run knows.
SIZE_OPERATORS = {"Constant", "Shape", "Add", "Mod", "Sub", "Div", "Mul", "Max", "Concat"}


@pytest.mark.parametrize("name", CASES)
def test_a_layer_is_its_operator_and_computes_its_body(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    """One file for several sizes, judged by onnxruntime and by onnx's own evaluator against the float64 reference."""
    case = CASES[name]
    pair = chain(case.shape, *case.layers, dtype=case.dtype)
    model, weights = compile_model(pair)
    body = netspec_onnx.OnnxBackend(fused={}).compile(pair, weights)
    check(model.native)
    check(body.native)
    ignored = SIZE_OPERATORS if "Pad" in case.operators else {"Constant"}
    assert [op for op in operators(model.native) if op not in ignored] == case.operators.split()
    judge: Any = onnx.reference.ReferenceEvaluator(model.native)
    for sizes in SIZES:
        inputs = draw_inputs(pair, sizes)
        expected = reference(pair, weights, inputs)["y"]
        assert_close(model(**inputs), expected)
        if case.operators != "LRN":  # of which onnx's evaluator counts the channels by the size of the batch
            assert_close(judge.run(None, inputs)[0], expected)
        assert_close(body(**inputs), expected)
    assert capfd.readouterr() == ("", "")  # onnxruntime warns where it merges shapes that differ


@pytest.mark.parametrize("name", CASES)
def test_nothing_relies_on_a_default(name: str) -> None:
    case = CASES[name]
    pair = chain(case.shape, *case.layers, dtype=case.dtype)
    for backend in (netspec_onnx.backend, netspec_onnx.OnnxBackend(fused={})):
        for node in backend.compile(pair, draw_weights(pair)).native.graph.node:
            written = {attribute.name for attribute in node.attribute}
            known = set(onnx.defs.get_schema(node.op_type, 21).attributes)
            if node.op_type == "Constant":
                assert written == {"value"}  # the others are other ways of saying it
            elif node.op_type == "Conv" and "pads" not in written:
                assert known - written == {"pads"}  # auto_pad stands instead
                assert next(a.s for a in node.attribute if a.name == "auto_pad") in (b"SAME_UPPER", b"SAME_LOWER")
            elif node.op_type == "ConvTranspose":
                assert known - written == {"output_shape"}  # pads stand instead
            else:
                assert known == written


def test_layers_of_several_inputs() -> None:
    def make(b: Builder) -> Mapping[str, Value]:
        x, y = (b.input(name, TensorType((BATCH, TIME, 3))) for name in "xy")
        z = b.input("z", TensorType((TIME, 1)))
        total = call(b, "total", L.Add(), x, y, z)
        return {"y1": call(b, "joined", L.Concat(dim=-1), total, call(b, "product", L.Mul(), x, z))}

    pair = graphs(make)
    model, weights = compile_model(pair)
    check(model.native)
    assert operators(model.native) == ["Add", "Add", "Mul", "Concat"]
    for sizes in SIZES:
        inputs = draw_inputs(pair, sizes)
        assert_close(model(**inputs), reference(pair, weights, inputs)["y1"])


def test_primitives_that_no_layer_has_yet() -> None:
    """Max, sums over several axes and over none, element counts, integers, flags."""

    def make(b: Builder) -> Mapping[str, Value]:
        x = b.input("x", TensorType((BATCH, TIME, 3)))
        n = b.input("n", TensorType((BATCH, TIME), "int64"))
        m = b.input("m", TensorType((BATCH, TIME), "bool"))
        chosen = b.where(b.reshape(m, (BATCH, TIME, 1)), x, b.exp(x))
        return {
            "largest": b.max(chosen, (0, 2)),
            "sum": b.sum(chosen, (1, 2), keepdims=True),
            "sum of nothing": b.sum(chosen, ()),
            "rms": b.rsqrt(b.sum(x * x, (0, 1)) / b.element_count(x, (0, 1))),
            "doubled": b.add(b.mul(n, 2), 1),
            "same": b.equal(n, 2),
        }

    pair = graphs(make)
    model, weights = compile_model(pair)
    check(model.native)
    for sizes in SIZES:
        inputs = draw_inputs(pair, sizes)
        expected = reference(pair, weights, inputs)
        for name, got in model(**inputs).items():
            assert_close(got, expected[name])


@pytest.mark.parametrize("divisor", [1, 2, 5])
def test_sizes_divide_as_python_does(divisor: int) -> None:
    """Downwards, also below 0, where ONNX's Div goes towards 0."""
    tape = Tape()
    x = ir.Value(name="x", type=ir.TensorType(ir.DataType.FLOAT), shape=ir.Shape(["size"]))
    y = ((tape.size_of(x, 0) - 8) // divisor).value
    y.name, y.type, y.shape = "y", ir.TensorType(ir.DataType.INT64), ir.Shape([1])
    nodes = [node for _, recorded in tape.groups for node in recorded]
    model = ir.to_proto(ir.Model(ir.Graph([x], [y], nodes=nodes, opset_imports={"": 21}, name="g"), ir_version=10))
    session = onnxruntime.InferenceSession(model.SerializeToString())
    for size in (1, 4, 7, 8, 11):
        assert session.run(None, {"x": np.zeros(size, np.float32)})[0] == [(size - 8) // divisor]


def test_coverage() -> None:
    """Every primitive has a lowering or a reason, and none has both."""
    assert {*LOWERINGS, *GAPS} == set(ops.PRIMITIVES)
    assert not {*LOWERINGS} & {*GAPS}
    assert all(GAPS.values())
    assert set(FUSED) <= set(L.LAYERS)


# ------------------------------------------------------------------------------------------------------------ the model

PAIR = chain((BATCH, 6), L.Linear(out_features=4), L.LeakyRelu(), L.Dropout(), L.LayerNorm(), L.Linear(out_features=3))
X = draw_inputs(PAIR, {"batch": 4})["x"]


def test_importing_the_backend_imports_no_framework() -> None:
    program = (
        "import sys, netspec_onnx; netspec_onnx.backend.version\n"
        "assert not {'onnx', 'onnx_ir', 'onnxruntime'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_inputs_are_taken_as_numpy_of_any_float_type() -> None:
    model, weights = compile_model(PAIR)
    expected = reference(PAIR, weights, {"x": X})["y"]
    for given in (X, X.astype(np.float64), np.asfortranarray(X), X.tolist()):
        got = model(given)
        assert got.dtype == np.float32
        assert_close(got, expected)
    evaluation = model.evaluate({"x": X.astype(np.float64)})
    assert_close(evaluation.outputs["y"], expected)
    assert evaluation.gradients == evaluation.updates == {}
    with pytest.raises(InputError, match="input x: expected float32, got int64"):
        model(np.ones((4, 6), np.int64))


@pytest.mark.parametrize("dtype", ["float64", "float16", "bfloat16"])
def test_other_types_than_float32_are_refused(dtype: FloatType) -> None:
    with pytest.raises(BackendError, match=f"^backend onnx computes in float32, not in {dtype}$"):
        netspec_onnx.backend.compile(PAIR, draw_weights(PAIR), dtype)


def test_weights_of_float64_become_float32() -> None:
    weights = {path: array.astype(np.float64) for path, array in draw_weights(PAIR).items()}
    model = netspec_onnx.backend.compile(PAIR, weights)
    assert model.dtype == "float32"
    assert model(X.astype(np.float64)).dtype == np.float32
    assert {array.dtype for array in model.weights().values()} == {np.dtype(np.float32)}


def test_training_and_gradients_are_refused() -> None:
    model, _ = compile_model(PAIR)
    with pytest.raises(BackendError, match=r"^onnx is inference only: it has no training mode$"):
        model(X, training=True)
    with pytest.raises(BackendError, match=r"^onnx is inference only: it has no gradients$"):
        model.gradients(X, cotangent=np.ones((4, 3)))
    with pytest.raises(BackendError, match=r"^onnx is inference only"):
        model.evaluate({"x": X}, training=True)


def test_weights_are_copies_and_can_be_replaced() -> None:
    given = draw_weights(PAIR)
    model = netspec_onnx.backend.compile(PAIR, given)
    given["l0.weight"][:] = 0
    model.weights()["l4.bias"][:] = 0
    assert_close(model(X), reference(PAIR, draw_weights(PAIR), {"x": X})["y"])
    native = model.native
    new = {path: array + 1 for path, array in draw_weights(PAIR).items()}
    model.load_weights(new)
    assert_close(model(X), reference(PAIR, new, {"x": X})["y"])
    assert list(model.weights()) == [held.path for held in PAIR.inference.state]
    assert all(np.array_equal(model.weights()[path], array) for path, array in new.items())
    assert model.native != native


def test_a_model_above_the_limit_of_a_message_runs_from_files(monkeypatch: pytest.MonkeyPatch) -> None:
    model, weights = compile_model(PAIR)
    monkeypatch.setattr(onnx_model, "MAX_MESSAGE", 100)
    assert_close(model(X), reference(PAIR, weights, {"x": X})["y"])


def test_devices() -> None:
    weights = draw_weights(PAIR)
    assert netspec_onnx.backend.compile(PAIR, weights, device="cpu")(X).shape == (4, 3)
    with pytest.raises(BackendError, match=r"^onnx: there is no device tpu: this onnxruntime has cpu"):
        netspec_onnx.backend.compile(PAIR, weights, device="tpu")


def test_other_tables_are_used() -> None:
    """Mistakes planted in a lowering and in a fused form show."""
    weights = draw_weights(PAIR)
    expected = reference(PAIR, weights, {"x": X})["y"]

    def steep(tape: Tape, call: Any, x: ir.Value) -> ir.Value:
        return tape.op("LeakyRelu", x, alpha=0.5)

    fused = netspec_onnx.OnnxBackend(fused={**FUSED, L.LeakyRelu: steep})
    lowered = netspec_onnx.OnnxBackend(
        lowerings={
            **LOWERINGS,
            ops.Mean: lambda tape, x, axes, keepdims: LOWERINGS[ops.Sum](tape, x, axes=axes, keepdims=keepdims),
        },
        fused={},
    )
    for backend in (fused, lowered):
        got = backend.compile(PAIR, weights)(X)
        assert np.max(np.abs(got - expected)) > 0.01 * np.max(np.abs(expected))


def test_a_gap_is_refused_where_it_stands() -> None:
    class Noise(Layer):
        type: str = "noise"

        def expand(self, b: Builder, x: Value) -> Value:
            return b.bernoulli(x, 0.5)

    pair = chain((BATCH, 2), L.Relu(), Noise())
    with pytest.raises(BackendError) as caught:
        compile_model(pair)
    assert str(caught.value) == (
        "small.yaml:3:5: l1: the onnx backend has no Bernoulli: the file is the inference graph, where nothing is drawn"
    )
