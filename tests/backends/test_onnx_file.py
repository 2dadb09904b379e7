"""What an exported ONNX file promises: names, dimensions, one file written whole, weights beside it where asked."""

from __future__ import annotations

import tracemalloc
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.reference
import onnxruntime
import pytest

import netspec.layers as L
import netspec_onnx
from netspec.errors import BackendError, NetspecError
from netspec.graph.builder import Builder
from netspec.graph.graph import GraphPair, Value
from netspec.graph.types import TensorType
from netspec.passes.expose import expose_outputs
from netspec_onnx.build import build
from netspec_onnx.export import export
from netspec_onnx.file import WeightedModel, write_model
from netspec_onnx.fused import FUSED
from netspec_onnx.lowerings import LOWERINGS
from tests.backends.graphs import BATCH, HEIGHT, TIME, assert_close, call, chain, draw_weights, graphs
from tests.backends.onnx_graphs import SIZES, check, compile_model, draw_inputs, operators, reference, shape_of


def _small(b: Builder) -> Mapping[str, Value]:
    """Outputs of which one is read by others, a size that is an expression, a layer that nothing reads."""
    image = b.input("image", TensorType((BATCH, 3, HEIGHT, 8)))
    words = b.input("words", TensorType((BATCH, TIME), "int32"))
    y = call(b, "stem.conv", L.Conv2d(out_channels=4, kernel_size=3, stride=2), image)
    y = call(b, "stem.norm", L.BatchNorm(), y)
    pooled = call(b, "pool", L.GlobalAvgPool(), y)
    call(b, "unused", L.Linear(out_features=3), pooled)
    rows = call(b, "table", L.Embedding(num_embeddings=5, embedding_dim=4), words)
    rows = call(b, "project", L.Linear(out_features=2), rows)
    logits = call(b, "fc", L.Linear(out_features=2), call(b, "drop", L.Dropout(), pooled))
    return {"map": y, "rows": call(b, "last", L.Reshape(shape=(-1, 2)), rows), "logits": logits, "pooled": pooled}


SMALL = graphs(_small)
WEIGHTS = draw_weights(SMALL)


def weighted(pair: GraphPair) -> WeightedModel:
    return build(pair.inference, draw_weights(pair), LOWERINGS, FUSED)


def run(path: Path, sizes: Mapping[str, int], pair: GraphPair = SMALL) -> None:
    """One batch through onnxruntime, judged by the reference."""
    session = onnxruntime.InferenceSession(path)
    inputs = draw_inputs(pair, sizes)
    expected = reference(pair, draw_weights(pair), inputs)
    names = [output.name for output in session.get_outputs()]
    assert names == list(expected)
    for name, got in zip(names, session.run(None, inputs), strict=True):
        assert_close(got, expected[name])


# --------------------------------------------------------------------------------------------------------------- names


def test_names_dimensions_and_initializers(tmp_path: Path) -> None:
    path = tmp_path / "small.onnx"
    export(SMALL, WEIGHTS, path)
    model = onnx.load(path)
    check(model)
    assert (model.producer_name, model.graph.name) == ("netspec", "small-model")
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 21)]
    graph = model.graph
    assert {value.name: shape_of(value) for value in graph.input} == {
        "image": ["batch", 3, "height", 8],
        "words": ["batch", "time"],
    }
    assert {value.name: shape_of(value) for value in graph.output} == {
        "map": ["batch", 4, "(height + 1)//2 - 1", 3],
        "rows": ["batch*time", 2],
        "logits": ["batch", 2],
        "pooled": ["batch", 4],
    }
    stored = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    assert list(stored) == [path for path in WEIGHTS if not path.startswith("unused.")]
    for path, array in stored.items():
        np.testing.assert_array_equal(array, WEIGHTS[path], strict=True)
    read = {name for node in graph.node for name in node.input}
    assert set(stored) <= read
    for sizes in SIZES:
        run(tmp_path / "small.onnx", sizes)


def test_nodes_are_called_by_their_entry() -> None:
    """The last node of an entry has its path, so that every entry that computes something can be found."""
    model = weighted(SMALL).message
    names = [node.name for node in model.graph.node]
    assert names == [
        "stem.conv",
        "stem.norm",
        "pool/GlobalAveragePool",
        "pool",
        "table",
        "project/Transpose",
        "project/MatMul",
        "project",
        "fc",
        "last/Constant",
        "last",
    ]


def test_names_stay_apart() -> None:
    """An input that is called as a value of an entry would be; an entry that is applied twice."""

    def make(b: Builder) -> Mapping[str, Value]:
        x, y = b.input("pool/GlobalAveragePool", TensorType((BATCH, 2, TIME))), b.input("act", TensorType((BATCH, 2)))
        x = call(b, "pool", L.GlobalAvgPool(), x)
        x = call(b, "act", L.Tanh(), call(b, "act", L.Relu(), call(b, "add", L.Add(), x, y)))
        return {"add": call(b, "out", L.Sigmoid(), x)}

    pair = graphs(make)
    model, weights = compile_model(pair)
    check(model.native)
    nodes = model.native.graph.node
    assert [node.name for node in nodes] == ["pool/GlobalAveragePool", "pool", "add", "act", "act_1", "out"]
    assert [value for node in nodes for value in node.output] == [
        *("pool/GlobalAveragePool_1", "pool", "add_1", "act_1", "act_1_1", "add"),
    ]
    inputs = draw_inputs(pair, SIZES[1])
    assert_close(model(*inputs.values()), reference(pair, weights, inputs)["add"])


def test_outputs_that_nothing_computes_and_outputs_of_one_value() -> None:
    def make(b: Builder) -> Mapping[str, Value]:
        x = b.input("x", TensorType((BATCH, 3)))
        kept = call(b, "drop", L.Dropout(), x)
        y = call(b, "fc", L.Linear(out_features=2), kept)
        return {"same": x, "kept": kept, "y": y, "again": y, "table": b._state["fc.weight"].value}

    pair = graphs(make)
    model, weights = compile_model(pair)
    check(model.native)
    assert operators(model.native) == ["Gemm", "Identity", "Identity", "Identity", "Identity"]
    for sizes in SIZES:
        inputs = draw_inputs(pair, sizes)
        got, expected = model(**inputs), reference(pair, weights, inputs)
        assert list(got) == list(expected)
        for name in expected:
            assert_close(got[name], expected[name])


def test_every_layer_can_be_made_an_output() -> None:
    pair = GraphPair(expose_outputs(SMALL.inference), SMALL.training)
    model = netspec_onnx.backend.compile(pair, WEIGHTS)
    check(model.native)
    inputs = draw_inputs(pair, SIZES[0])
    got, expected = model(**inputs), reference(pair, WEIGHTS, inputs)
    assert "node:stem.norm" in got
    assert list(got) == list(expected)
    for name in expected:
        assert_close(got[name], expected[name])


def test_names_that_one_file_cannot_hold_are_refused() -> None:
    def clash(name: str, output: str) -> GraphPair:
        return graphs(
            lambda b: {output: call(b, "fc", L.Linear(out_features=2), b.input(name, TensorType((BATCH, 3))))}
        )

    for name, output, message in (
        ("x", "x", "input x and output x"),
        ("fc.weight", "y", "input fc.weight and parameter fc.weight"),
        ("x", "fc.bias", "parameter fc.bias and output fc.bias"),
    ):
        with pytest.raises(BackendError) as caught:
            compile_model(clash(name, output))
        assert str(caught.value) == f"small.yaml:3:5: onnx: {message} cannot stand in one file: rename one"


# ------------------------------------------------------------------------------------------------------------- writing


def test_a_weight_beyond_float32_is_refused(tmp_path: Path) -> None:
    weights = {**WEIGHTS, "fc.bias": np.array([1, 1e39])}
    with pytest.raises(BackendError, match=r"^onnx: a value of fc.bias is beyond float32$"):
        export(SMALL, weights, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_equal_models_give_equal_bytes_and_the_native_model_is_the_file(tmp_path: Path) -> None:
    for name in "ab":
        export(SMALL, WEIGHTS, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert onnx.load(tmp_path / "a") == netspec_onnx.backend.compile(SMALL, WEIGHTS).native


@pytest.mark.parametrize("external_data", [False, True])
def test_weights_are_not_copied(external_data: bool, tmp_path: Path) -> None:
    """32 MB are exported with 2 MB."""
    pair = chain((BATCH, 2048), L.Linear(out_features=4096))
    weights = draw_weights(pair)
    export(SMALL, WEIGHTS, tmp_path / "first.onnx")  # imports, caches
    tracemalloc.start()
    export(pair, weights, tmp_path / "model.onnx", external_data=external_data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert weights["l0.weight"].nbytes == 2**25
    assert peak < 2**21


def test_above_the_limit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    model = weighted(SMALL)
    write_model(model, path, external_data=False)
    size = path.stat().st_size
    write_model(model, path, external_data=False, limit=size)
    path.write_bytes(b"old")
    with pytest.raises(BackendError) as caught:
        write_model(model, path, external_data=False, limit=size - 1)
    assert str(caught.value) == (
        f"{path}: the file would have {size:,} bytes, more than the {size - 1:,} that protobuf allows: "
        "put the weights beside it (--external-data, external_data=True)"
    )
    assert path.read_bytes() == b"old"
    write_model(model, path, external_data=True, limit=size - 1)
    run(path, SIZES[0])


def test_two_gibibytes_are_refused(tmp_path: Path) -> None:
    """The weight is a file of holes, so that none of it is ever in memory or on the disk."""
    pair = chain((BATCH, 2**15), L.Linear(out_features=2**14, bias=False))
    weight = np.memmap(tmp_path / "holes", np.float32, "w+", shape=(2**14, 2**15))
    with pytest.raises(BackendError, match=r"the file would have 2,147,48\d,\d{3} bytes"):
        export(pair, {"l0.weight": weight}, tmp_path / "model.onnx")
    assert [file.name for file in tmp_path.iterdir()] == ["holes"]


def test_external_data_loads_and_runs(tmp_path: Path) -> None:
    path, beside = tmp_path / "model.onnx", tmp_path / "model.onnx.data"
    export(SMALL, WEIGHTS, path, external_data=True)
    assert sorted(tmp_path.iterdir()) == [path, beside]
    onnx.checker.check_model(path, full_check=True)
    tensors = onnx.load(path, load_external_data=False).graph.initializer
    assert not any(tensor.raw_data for tensor in tensors)
    assert {entry.value for tensor in tensors for entry in tensor.external_data if entry.key == "location"} == {
        beside.name
    }
    assert all(int(entry.value) % 4096 == 0 for t in tensors for entry in t.external_data if entry.key == "offset")
    for tensor in onnx.load(path).graph.initializer:
        np.testing.assert_array_equal(onnx.numpy_helper.to_array(tensor), WEIGHTS[tensor.name], strict=True)
    for sizes in SIZES:
        run(path, sizes)


@pytest.mark.parametrize("broken", ["pieces", "pieces_beside", "data"])
def test_a_failure_leaves_the_old_files(broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, beside = tmp_path / "model.onnx", tmp_path / "model.onnx.data"
    path.write_bytes(b"old")
    beside.write_bytes(b"old weights")

    def pieces(self: WeightedModel, *arguments: Any) -> list[Any]:
        return [b"new", "no bytes"]

    monkeypatch.setattr(WeightedModel, broken, pieces)
    with pytest.raises(TypeError, match="a bytes-like object is required"):
        export(SMALL, WEIGHTS, path, external_data=broken != "pieces")
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == {
        path.name: b"old",
        beside.name: b"old weights",
    }


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "model.onnx"
    for external_data in (False, True):
        with pytest.raises(NetspecError, match="cannot be written: there is no folder"):
            export(SMALL, WEIGHTS, path, external_data=external_data)
