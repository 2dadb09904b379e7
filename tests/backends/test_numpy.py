"""The reference model: whole gradients against finite differences, symbolic sizes, traces, replaced weights."""

import importlib.metadata
import math
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import netspec
import netspec_numpy
from netspec.backend import ENTRY_POINTS
from netspec.errors import BackendError, InputError
from netspec.graph import ops
from netspec.graph.builder import Builder, Entry
from netspec.graph.dims import symbol
from netspec.graph.graph import Graph, GraphPair, Origin, Param, Value
from netspec.graph.invariants import check_pair
from netspec.graph.types import TensorType
from netspec.layers.activation import Gelu, LeakyRelu, Softmax, Tanh
from netspec.layers.base import Layer
from netspec.layers.convolution import Conv2d
from netspec.layers.linear import Embedding, Linear
from netspec.layers.normalization import BatchNorm
from netspec.layers.pooling import AvgPool2d, GlobalAvgPool, MaxPool2d
from netspec.layers.regularization import Dropout
from netspec.passes.channels_last import channels_last_pair
from netspec.passes.noise_inputs import noise_inputs
from netspec_numpy import NumpyBackend
from netspec_numpy.interpreter import Run, forward
from netspec_numpy.lowerings import LOWERINGS
from netspec_numpy.model import NumpyModel

Arrays = dict[str, np.ndarray[Any, Any]]
Apply = Callable[..., Value]


def pair(name: str, make: Callable[[Builder, Apply], Mapping[str, Value]], frozen: tuple[str, ...] = ()) -> GraphPair:
    """Both graphs of what `make` builds; `apply(name, layer, *inputs)` adds a layer."""
    graphs = []
    for training in (False, True):
        b = Builder(name, training)

        def apply(name: str, layer: Layer, *inputs: Value, b: Builder = b) -> Value:
            return b.call(layer, Entry(Origin(name, None), frozen=lambda path: path in frozen), inputs)[0]

        graphs.append(b.finish(make(b, apply)))
    return check_pair(GraphPair(*graphs))


def classifier(b: Builder, apply: Apply) -> Mapping[str, Value]:
    """Convolutions, pools, batch norm and dropout on images of any batch and any height."""
    x = b.input("image", TensorType((symbol("batch"), 3, symbol("height"), 9)))
    x = apply("conv", Conv2d(out_channels=4, kernel_size=(3, 2), stride=(2, 1), padding="same"), x)
    x = apply("norm", BatchNorm(stats_decay=0.8), x)
    x = apply("leaky", LeakyRelu(negative_slope=0.2), x)
    x = apply("pool", MaxPool2d(kernel_size=(3, 2), stride=(2, 3), padding=1), x)
    x = apply("depthwise", Conv2d(out_channels=8, kernel_size=3, padding=1, groups=4, bias=False), x)
    x = apply("average", AvgPool2d(kernel_size=2, stride=1, padding=1, count_include_pad=False), x)
    x = apply("drop", Dropout(p=0.3), x)
    x = apply("gap", GlobalAvgPool(), x)
    x = apply("fc", Linear(out_features=5), x)
    x = apply("gelu", Gelu(), x)
    return {"probabilities": apply("softmax", Softmax(), x), "features": x}


def weights_of(graphs: GraphPair, seed: int = 0) -> Arrays:
    """Numbers on both sides of zero for parameters, from 0.5 up for variances."""
    rng = np.random.default_rng(seed)
    found: Arrays = {}
    for held in graphs.inference.state:
        value: np.ndarray[Any, Any] = rng.normal(size=held.value.shape) + 0.1
        found[held.path] = np.abs(value) + 0.5 if held.path.endswith("running_var") else value
    return found


def compiled(graphs: GraphPair, dtype: str = "float64", backend: NumpyBackend = netspec_numpy.backend) -> NumpyModel:
    return backend.compile(graphs, weights_of(graphs), dtype)  # type: ignore[arg-type]


def with_noise(graphs: GraphPair) -> GraphPair:
    return GraphPair(graphs.inference, noise_inputs(graphs.training)[0])


def inputs_of(graph: Graph, batch: int, height: int) -> Arrays:
    """Images with a mean, and masks of zeros and ones for what a layer would have drawn."""
    rng = np.random.default_rng(batch)
    sizes = {symbol("batch"): batch, symbol("height"): height}
    found = {}
    for entry in graph.inputs:
        if entry.name.startswith("noise:"):
            # The shape behind the pools is known by running: the classifier's is [batch, 8, *, 5].
            found[entry.name] = (rng.random((batch, 8, height // 4 + 2, 5)) < 0.7).astype(float)
        else:
            found[entry.name] = rng.normal(0.5, size=[sizes.get(size, size) for size in entry.value.shape])
    return found


def cotangents_of(outputs: Arrays) -> Arrays:
    rng = np.random.default_rng(3)
    return {name: np.asarray(rng.normal(size=y.shape)) for name, y in outputs.items()}


@pytest.mark.parametrize("training", [False, True])
def test_gradients_of_a_whole_model_are_those_of_finite_differences(training: bool) -> None:
    model = compiled(with_noise(pair("classifier", classifier)))
    inputs = inputs_of(model.graphs.of(training), 3, 10)
    cotangents = cotangents_of(model.evaluate(inputs, training=training).outputs)
    found = model.evaluate(inputs, cotangents, training).gradients
    weights = model.weights()
    trained = {path for path in weights if "running" not in path}
    assert set(found) == trained | {f"input:{name}" for name in inputs}

    def loss(path: str, change: Any) -> float:
        name = path.removeprefix("input:")
        moved_inputs = {**inputs, name: inputs[name] + change} if name != path else inputs
        moved_weights = {path: weights[path] + change} if name == path else None
        outputs = model.evaluate(moved_inputs, training=training, weights=moved_weights).outputs
        return float(sum(np.sum(y * cotangents[name]) for name, y in outputs.items()))

    rng = np.random.default_rng(11)
    # In training a bias before batch_norm has gradient zero in exact arithmetic: the largest one sets the scale.
    largest = max(np.max(np.abs(gradient)) for gradient in found.values())
    for path, gradient in found.items():
        direction = rng.normal(size=gradient.shape)
        difference = (loss(path, 1e-6 * direction) - loss(path, -1e-6 * direction)) / 2e-6
        assert np.sum(gradient * direction) == pytest.approx(difference, rel=1e-6, abs=1e-8 * largest), path
        if path != "conv.bias" or not training:
            assert np.max(np.abs(gradient)) > 1e-4 * largest, path


@pytest.mark.parametrize("training", [False, True])
def test_the_channels_last_graph_gives_the_same_in_the_canonical_layout(training: bool) -> None:
    graphs = with_noise(pair("classifier", classifier))
    rewritten = channels_last_pair(graphs)
    assert any(isinstance(held, Param) and held.permutation for held in rewritten.inference.state)
    inputs = inputs_of(graphs.of(training), 2, 7)
    cotangents = cotangents_of(compiled(graphs).evaluate(inputs, training=training).outputs)
    expected = compiled(graphs).evaluate(inputs, cotangents, training)
    model = netspec_numpy.backend.compile(rewritten, weights_of(graphs))
    found = model.evaluate(inputs, cotangents, training)
    for kind in ("outputs", "gradients", "updates"):
        assert getattr(found, kind).keys() == getattr(expected, kind).keys()
        for name, array in getattr(expected, kind).items():
            np.testing.assert_allclose(getattr(found, kind)[name], array, rtol=0, atol=1e-12, err_msg=name)
    assert {path: array.shape for path, array in model.weights().items()} == {
        held.path: held.value.shape for held in graphs.inference.state
    }


def test_training_moves_statistics_by_torchs_rule_and_evaluate_does_not() -> None:
    def norm(b: Builder, apply: Apply) -> Mapping[str, Value]:
        x = b.input("x", TensorType((symbol("batch"), 2, 3)))
        return {"y": apply("norm", BatchNorm(stats_decay=0.75, affine=False), x)}

    model = compiled(pair("norm", norm))
    before = model.weights()
    x = np.random.default_rng(0).normal(size=(4, 2, 3)) * 2 + 5
    expected = {
        "norm.running_mean": 0.75 * before["norm.running_mean"] + 0.25 * x.mean(axis=(0, 2)),
        "norm.running_var": 0.75 * before["norm.running_var"] + 0.25 * x.var(axis=(0, 2), ddof=1),
    }
    updates = model.evaluate({"x": x}, training=True).updates
    assert updates.keys() == expected.keys()
    for path, array in model.weights().items():
        np.testing.assert_array_equal(array, before[path])
    y = model(x, training=True)
    np.testing.assert_allclose(y.mean(axis=(0, 2)), 0, atol=1e-14)
    for path, array in model.weights().items():
        np.testing.assert_allclose(array, expected[path], rtol=1e-14)
        np.testing.assert_allclose(updates[path], expected[path], rtol=1e-14)
    assert model.evaluate({"x": x}).updates == {}


def heads(b: Builder, apply: Apply) -> Mapping[str, Value]:
    """Two outputs behind one frozen layer."""
    x = b.input("x", TensorType((symbol("batch"), 3)))
    x = apply("shared", Linear(out_features=4), x)
    x = apply("tanh", Tanh(), x)
    return {"a": apply("a", Linear(out_features=2), x), "b": apply("b", Linear(out_features=1), x)}


def test_frozen_parameters_have_no_gradient_and_let_it_through() -> None:
    free = compiled(pair("heads", heads))
    frozen = compiled(pair("heads", heads, frozen=("shared.weight",)))
    x, cotangents = np.random.default_rng(0).normal(size=(5, 3)), {"a": np.ones((5, 2)), "b": np.ones((5, 1))}
    expected = free.evaluate({"x": x}, cotangents).gradients
    found = frozen.evaluate({"x": x}, cotangents).gradients
    assert set(expected) - set(found) == {"shared.weight"}
    np.testing.assert_array_equal(found["input:x"], expected["input:x"])
    assert np.abs(found["input:x"]).min() > 0


def test_cotangents_of_some_outputs_leave_zeros_elsewhere() -> None:
    model = compiled(pair("heads", heads))
    x = np.random.default_rng(0).normal(size=(5, 3))
    only_a = model.evaluate({"x": x}, {"a": np.ones((5, 2))}).gradients
    zero_b = model.evaluate({"x": x}, {"a": np.ones((5, 2)), "b": np.zeros((5, 1))}).gradients
    assert only_a.keys() == zero_b.keys()
    for path, gradient in zero_b.items():
        np.testing.assert_array_equal(only_a[path], gradient)
    np.testing.assert_array_equal(only_a["b.weight"], np.zeros((1, 4)))
    assert model.evaluate({"x": x}).gradients == {}


def test_a_trace_has_every_value_and_its_cotangent() -> None:
    model = compiled(with_noise(pair("classifier", classifier)))
    graph = model.graphs.training
    inputs = inputs_of(graph, 2, 7)
    cotangents = cotangents_of(model.evaluate(inputs, training=True).outputs)
    trace = model.trace(inputs, cotangents, training=True)
    evaluation = model.evaluate(inputs, cotangents, training=True)
    everything = {value for node in graph.primitives() for value in (*node.inputs, *node.outputs)}
    assert everything <= set(trace.values)
    for value, cotangent in trace.cotangents.items():
        assert cotangent.shape == trace.values[value].shape
    for kind in ("outputs", "gradients", "updates"):
        for name, array in getattr(evaluation, kind).items():
            np.testing.assert_array_equal(getattr(trace.evaluation, kind)[name], array)
    # The cotangent of a layer's output: that of the loss for the values behind `fc`, by the chain rule on the bias.
    (fc,) = (call for call in graph.calls() if call.path == "fc")
    (output,) = fc.outputs
    np.testing.assert_allclose(trace.cotangents[output].sum(axis=0), evaluation.gradients["fc.bias"], rtol=1e-13)
    bias = trace.values[fc.params["bias"]]
    np.testing.assert_allclose(trace.values[output] - bias, trace.values[fc.inputs[0]] @ model.weights()["fc.weight"].T)


def test_values_are_dropped_behind_their_last_reader() -> None:
    model = compiled(with_noise(pair("classifier", classifier)))
    graph = model.graphs.training
    values, sizes = model._start(graph, inputs_of(graph, 2, 7), model.weights())
    forward(graph, Run(LOWERINGS, sizes, "float64", values, keep=False))
    assert set(values) == {output.value for output in graph.outputs} | set(graph.updates.values())


def test_replaced_weights_last_for_one_pass() -> None:
    model = compiled(pair("heads", heads))
    x = np.random.default_rng(0).normal(size=(5, 3))
    before = model.evaluate({"x": x}).outputs
    moved = model.evaluate({"x": x}, weights={"b.bias": model.weights()["b.bias"] + 2}).outputs
    np.testing.assert_array_equal(moved["a"], before["a"])
    np.testing.assert_allclose(moved["b"], before["b"] + 2, rtol=1e-14)
    np.testing.assert_array_equal(model.evaluate({"x": x}).outputs["b"], before["b"])
    model.load_weights({path: 2 * array for path, array in model.weights().items()})
    np.testing.assert_array_equal(model.weights()["a.bias"], 2 * weights_of(model.graphs)["a.bias"])


def test_results_and_weights_are_copies() -> None:
    def same(b: Builder, apply: Apply) -> Mapping[str, Value]:
        x = b.input("x", TensorType((symbol("batch"), 2)))
        return {"y": x, "total": b.sum(x, (0, 1))}

    model = compiled(pair("same", same))
    x, cotangents = np.ones((3, 2)), {"y": np.ones((3, 2)), "total": np.array(2.0)}
    evaluation = model.evaluate({"x": x}, cotangents)
    np.testing.assert_array_equal(evaluation.gradients["input:x"], np.full((3, 2), 3.0))
    evaluation.outputs["y"] += 1
    evaluation.gradients["input:x"] += 1
    model.evaluate({"x": x}, {"y": cotangents["y"]}).gradients["input:x"][:] = 7
    np.testing.assert_array_equal(x, np.ones((3, 2)))
    np.testing.assert_array_equal(cotangents["y"], np.ones((3, 2)))


def test_symbolic_sizes_are_those_of_the_call() -> None:
    """A reshape to two symbolic sizes, one of them computed."""

    def fold(b: Builder, apply: Apply) -> Mapping[str, Value]:
        batch, length = symbol("batch"), symbol("length")
        x = b.input("x", TensorType((batch, 2 * length, 3)))
        size = b.input("like", TensorType((length,)))
        folded = b.reshape(x, (batch, length, 6))
        return {"folded": b.mul(folded, b.reshape(size, (length, 1))), "n": b.element_count(x, (0, 1))}

    model = compiled(pair("fold", fold))
    for batch, length in ((2, 3), (4, 1)):
        x, like = np.random.default_rng(batch).normal(size=(batch, 2 * length, 3)), np.arange(1.0, length + 1)
        found = model(x, like)
        np.testing.assert_array_equal(found["folded"], x.reshape(batch, length, 6) * like[:, None])
        assert found["n"] == batch * 2 * length
    with pytest.raises(InputError, match=r"input x: expected \[batch, 2\*length, 3\], which is \[2, 6, 3\] here"):
        model(np.zeros((2, 5, 3)), np.zeros(3))


def test_embedding_sums_rows_read_twice_and_keeps_the_padding_row_out() -> None:
    def rows(b: Builder, apply: Apply) -> Mapping[str, Value]:
        x = b.input("tokens", TensorType((symbol("batch"), 3), "int64"))
        return {"y": apply("table", Embedding(num_embeddings=5, embedding_dim=2, padding_idx=1), x)}

    model = compiled(pair("rows", rows))
    tokens = np.array([[4, 1, 0], [4, 4, 1]])
    np.testing.assert_array_equal(model(tokens), model.weights()["table.weight"][tokens])
    cotangent = np.arange(12.0).reshape(2, 3, 2)
    found = model.evaluate({"tokens": tokens}, {"y": cotangent}).gradients
    assert list(found) == ["table.weight"]
    expected = np.zeros((5, 2))
    expected[0], expected[4] = cotangent[0, 2], cotangent[0, 0] + cotangent[1, 0] + cotangent[1, 1]
    np.testing.assert_array_equal(found["table.weight"], expected)
    with pytest.raises(InputError, match="indices must be from 0 to 4, got 5"):
        model(np.array([[0, 5, 0]]))


def test_float32_is_kept_on_the_whole_way() -> None:
    graphs = with_noise(pair("classifier", classifier))
    inputs = inputs_of(graphs.training, 2, 7)
    wide = compiled(graphs)
    cotangents = cotangents_of(wide.evaluate(inputs, training=True).outputs)
    expected = wide.evaluate(inputs, cotangents, training=True)
    trace = compiled(graphs, "float32").trace(inputs, cotangents, training=True)
    assert {array.dtype.name for array in (*trace.values.values(), *trace.cotangents.values())} == {"float32", "bool"}
    for name, gradient in expected.gradients.items():
        found = trace.evaluation.gradients[name]
        assert found.dtype == np.float32
        assert 0 < np.max(np.abs(found - gradient)) < 1e-5 * max(1.0, np.max(np.abs(gradient))), name


def test_infinities_are_results_and_no_warnings() -> None:
    def steep(b: Builder, apply: Apply) -> Mapping[str, Value]:
        x = b.input("x", TensorType((3,)))
        return {"exp": b.exp(x), "ratio": b.div(x, b.relu(x))}

    found = compiled(pair("steep", steep)).evaluate(
        {"x": np.array([1000.0, 0.0, -2.0])}, {"exp": np.ones(3), "ratio": np.zeros(3)}
    )
    np.testing.assert_array_equal(found.outputs["exp"], [math.inf, 1.0, math.exp(-2.0)])
    np.testing.assert_array_equal(found.outputs["ratio"], [1.0, math.nan, -math.inf])
    assert found.gradients["input:x"][0] == math.inf


def test_other_tables_can_stand_in() -> None:
    graphs = pair("classifier", classifier)
    wrong = NumpyBackend(lowerings={**LOWERINGS, ops.Erf: np.tanh})
    inputs = inputs_of(graphs.inference, 2, 7)
    right, planted = (compiled(graphs, backend=b).evaluate(inputs).outputs for b in (netspec_numpy.backend, wrong))
    assert np.max(np.abs(right["features"] - planted["features"])) > 1e-4


def test_backend_is_found_and_pickles_and_refuses_what_it_cannot_do() -> None:
    (point,) = importlib.metadata.entry_points(group=ENTRY_POINTS, name="numpy")
    backend = point.load()
    assert backend is netspec_numpy.backend
    assert backend.missing == ()
    assert backend.version == np.__version__
    assert pickle.loads(pickle.dumps(backend)).lowerings == LOWERINGS
    graphs = pair("heads", heads)
    with pytest.raises(BackendError, match="float64 and float32, not in bfloat16"):
        backend.compile(graphs, weights_of(graphs), "bfloat16")
    with pytest.raises(BackendError, match="on the cpu, not on cuda:0"):
        backend.compile(graphs, weights_of(graphs), device="cuda:0")


@pytest.mark.parametrize(
    ("backend", "dtype", "message"),
    [
        ("numpy", "float16", "backend numpy computes in float64 and float32, not in float16"),
        ("onnx", "float64", "backend onnx computes in float32, not in float64"),
        ("onnx", "bfloat16", "backend onnx computes in float32, not in bfloat16"),
        ("torch", "float8", "there is no float type float8: known are float32, float64, float16, bfloat16"),
    ],
)
def test_a_type_that_a_backend_does_not_have_is_refused(backend: str, dtype: Any, message: str) -> None:
    spec = netspec.load(Path(__file__).parents[2] / "specs" / "lenet.yaml")
    with pytest.raises(netspec.NetspecError) as raised:
        netspec.build(spec, backend, dtype=dtype)
    assert str(raised.value).startswith(message)
    assert "\n" not in str(raised.value)
