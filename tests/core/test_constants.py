"""Parameters, buffers and constants that are entries of their own: paths, what they start from, what they refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netspec import layers
from netspec.analysis.counts import count_by_layer, count_params
from netspec.errors import NetspecError, ShapeError, WeightsError
from netspec.expand.whole import _clashes
from netspec.graph.builder import Builder, Entry
from netspec.graph.folding import FOLDABLE
from netspec.graph.graph import Graph, GraphPair, Origin, Value
from netspec.graph.invariants import check_graph, check_pair
from netspec.graph.printer import print_graph
from netspec.graph.types import TensorType
from netspec.layers.base import Layer
from netspec.layers.initializers import Normal, Ones
from netspec.passes import apply_passes
from netspec.passes.channels_last import channels_last
from netspec.weights.constants import COMPUTATIONS
from netspec.weights.initial import initial_weights
from netspec.weights.load import load_weights
from netspec.weights.safetensors_file import write_weights
from tests.core.layer_graphs import B, Shape, T
from tests.core.nets import assert_same, run, weights_of


class Net:
    """A graph under construction with one input `x`, float `[batch, time, 4]` or of another shape."""

    def __init__(self, training: bool = False, shape: Shape = (B, T, 4)) -> None:
        self.b = Builder("net", training)
        self.x = self.b.input("x", TensorType(shape))

    def add(self, path: str, layer: Layer, *inputs: Value, **entry: Any) -> Value:
        return self.b.call(layer, Entry(Origin(path, None), **entry), inputs)[0]

    def parameter(self, path: str, *shape: int, **entry: Any) -> Value:
        return self.add(path, layers.Parameter(shape=shape), initializers={"": Normal()}, **entry)

    def finish(self, **outputs: Value) -> Graph:
        return apply_passes(self.b.finish(outputs))


def test_a_parameter_has_its_entry_s_own_path() -> None:
    net = Net()
    scale = net.add("block.scale", layers.Parameter(shape=(4,)), initializers={"": Ones()})
    frozen = net.parameter("bias", 4, frozen=lambda path: path == "bias")
    graph = net.finish(y=net.add("y", layers.Add(), net.x, scale, frozen))
    assert [(p.path, p.initializer, p.trainable) for p in graph.params] == [
        ("bias", Normal(), False),
        ("block.scale", Ones(), True),
    ]
    assert [(row.path, row.type, row.params) for row in count_by_layer(graph)][:2] == [
        ("block.scale", "parameter", 4),
        ("bias", "parameter", 4),
    ]
    np.testing.assert_array_equal(initial_weights(graph)["block.scale"], [1, 1, 1, 1])
    assert "block.scale: parameter(shape=[4])\n" in print_graph(graph)


def test_a_parameter_needs_an_initialiser_and_numbers() -> None:
    with pytest.raises(NetspecError, match="init is required: such as init: zeros"):
        Net().add("w", layers.Parameter(shape=(4,)))
    with pytest.raises(NetspecError, match="it would have a size of time: a parameter's sizes must be numbers"):
        Net().add("w", layers.Parameter(shape=(4, T)), initializers={"": Ones()})
    net = Net()
    net.parameter("w", 4)
    with pytest.raises(NetspecError, match="two parameters would have the path w"):
        net.b.call(layers.Parameter(shape=(4,)), Entry(Origin("w", Origin), initializers={"": Ones()}), [])  # type: ignore[arg-type]


def test_its_own_path_is_no_clash_and_a_layer_below_it_is_one() -> None:
    net = Net()
    w = net.parameter("a.w", 4)
    graph = net.finish(y=net.add("a.fc", layers.Linear(out_features=4), net.x), w=w)
    assert not _clashes(graph)
    net = Net()
    w = net.parameter("a", 4)
    y = net.add("a.fc", layers.Linear(out_features=4), net.x)
    assert [mistake.message for mistake in _clashes(net.finish(y=y, w=w))] == [
        "a layer is called a, and so is a parameter or buffer"
    ]


def saved(net: Net, layer: Layer, *moves: Layer) -> Value:
    x = net.add("given", layer)
    for position, move in enumerate(moves):
        x = net.add(f"move{position}", move, x)
    return net.add("saved", layers.Buffer(), x)


SAVED: list[tuple[Layer, list[Layer], Any]] = [
    (layers.Constant(value=[[1, 2.5], [3, 1 / 3]]), [], np.array([[1, 2.5], [3, 1 / 3]], "float32")),
    (layers.Constant(value=[True, False]), [], np.array([True, False])),
    (layers.Constant(value=7), [], np.array(7)),
    (layers.Arange(start=5, end=-2, step=-3), [], np.array([5, 2, -1])),
    (
        layers.Arange(end=6),
        [layers.Reshape(shape=(2, 3)), layers.Permute(dims=(1, 0))],
        np.array([[0, 3], [1, 4], [2, 5]]),
    ),
    (layers.Arange(end=6), [layers.Unsqueeze(dim=0), layers.Select(dim=1, index=-2)], np.array([4])),
    (layers.Zeros(shape=(2, 3)), [], np.zeros((2, 3), "float32")),
    (layers.Ones(shape=(2,)), [layers.Stack(dim=1)], np.ones((2, 1), "float32")),
    (layers.Arange(end=3), [layers.OneHot(num_classes=4)], np.eye(3, 4, dtype="float32")),
]


@pytest.mark.parametrize(("layer", "moves", "expected"), SAVED, ids=str)
def test_a_buffer_starts_from_its_constant(layer: Layer, moves: list[Layer], expected: Any, tmp_path: Path) -> None:
    graphs = []
    for training in (False, True):
        net = Net(training)
        graphs.append(net.finish(y=net.x, saved=saved(net, layer, *moves)))
    graph = check_pair(GraphPair(*graphs)).inference
    assert [(held.path, type(held).__name__) for held in graph.state] == [("saved", "Buffer")]
    assert count_params(graph).buffers == expected.size
    assert count_params(graph).rows[0].dtype == expected.dtype.name
    weights = initial_weights(graph)
    assert weights["saved"].dtype == expected.dtype
    np.testing.assert_array_equal(weights["saved"], expected)
    # A loaded value replaces it.
    other = {"saved": np.zeros_like(expected) if expected.any() else np.ones_like(expected)}
    write_weights(tmp_path / "w.safetensors", other)
    loaded = load_weights(graph, tmp_path / "w.safetensors").arrays
    np.testing.assert_array_equal(loaded["saved"], other["saved"])
    assert loaded["saved"].dtype == expected.dtype


def test_everything_that_may_make_a_buffer_is_computed() -> None:
    assert set(COMPUTATIONS) == set(FOLDABLE)
    net = Net()
    b = net.b

    class Table(Layer):
        """Arithmetic between constants, as a formula has it."""

        type: str = "table"

        def expand(self, b: Builder) -> Value:
            numbers = b.array((4.0, 1.0, -2.0), (3,))
            halves = numbers / 2 + numbers * numbers - 1
            return b.where(b.greater(halves, 1.0), b.concat([halves], 0), b.constant(0.5))

    graph = net.finish(y=net.x, saved=net.add("saved", layers.Buffer(), net.add("table", Table())))
    assert b is net.b
    np.testing.assert_array_equal(initial_weights(graph)["saved"], [17, 0.5, 2])


def test_a_buffer_of_integers_takes_no_floats(tmp_path: Path) -> None:
    net = Net()
    graph = net.finish(y=net.x, saved=saved(net, layers.Arange(end=3)))
    with pytest.raises(WeightsError, match="saved: expected int64, got float32"):
        load_weights(graph, {"saved": np.zeros(3, "float32")})
    narrow = load_weights(graph, {"saved": np.zeros(3, "int32")}).arrays
    np.testing.assert_array_equal(narrow["saved"], [0, 0, 0])


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (layers.Identity(), "its input must be a constant, and x is an input, a parameter or a buffer"),
        (layers.Relu(), "its input must be a constant, and between is computed by Relu, which is not among Constant"),
    ],
)
def test_a_buffer_of_what_is_computed_is_refused(layer: Layer, message: str) -> None:
    net = Net()
    with pytest.raises(NetspecError, match=message):
        net.add("saved", layers.Buffer(), net.add("between", layer, net.x))


def test_a_buffer_of_a_parameter_or_a_symbolic_size_is_refused() -> None:
    net = Net()
    with pytest.raises(NetspecError, match="and w is an input, a parameter or a buffer"):
        net.add("saved", layers.Buffer(), net.parameter("w", 4))
    for layer in (layers.Arange(end=T), layers.Zeros(shape=(T,)), layers.Arange(start=T, end=T + 2)):
        net = Net()
        with pytest.raises(NetspecError, match="must be the same in every call, and given depends on a symbolic size"):
            saved(net, layer)


def test_indices_that_the_graph_makes_itself_are_kept_in_range() -> None:
    table = layers.Embedding(num_embeddings=5, embedding_dim=4)

    def needs(layer: Layer, *moves: Layer) -> list[tuple[str, int]]:
        net = Net()
        x = net.add("given", layer)
        for position, move in enumerate(moves):
            x = net.add(f"move{position}", move, x)
        return [(str(n.size), n.at_least) for n in net.finish(y=net.x, t=net.add("table", table, x)).requirements]

    assert needs(layers.Arange(end=5)) == []
    assert needs(layers.Arange(end=T), layers.Unsqueeze(dim=0)) == [("-time + 6", 1)]
    assert needs(layers.Arange(start=T, end=-1, step=-1)) == [("-time + 5", 1)]
    assert needs(layers.Constant(value=[[4], [0]])) == []
    for bad, message in (
        (layers.Arange(end=6), "given: table takes indices below 5, and one is 5"),
        (layers.Arange(start=-1, end=3), "given: table takes indices from 0 up, and one is -1"),
        (layers.Constant(value=[0, 7, 2]), "given: table takes indices below 5, and one is 7"),
        (layers.Constant(value=[3, -2]), "given: table takes indices from 0 up, and one is -2"),
    ):
        with pytest.raises(ShapeError, match=message):
            needs(bad)


def test_a_loaded_index_out_of_range_is_refused() -> None:
    net = Net()
    ids = saved(net, layers.Arange(end=3), layers.Unsqueeze(dim=0))
    graph = net.finish(y=net.add("table", layers.Embedding(num_embeddings=3, embedding_dim=2), ids))
    weights = initial_weights(graph)
    load_weights(graph, {**weights, "saved": np.array([[2, 2, 0]])})
    for bad in (3, -1):
        with pytest.raises(WeightsError, match=rf"weights: saved: indices must be from 0 to 2, got {bad}"):
            load_weights(graph, {**weights, "saved": np.array([[2, bad, 0]])})


def test_a_kernel_that_is_a_parameter_of_its_own_too_keeps_its_layout_for_those_who_read_it() -> None:
    net = Net(shape=(B, 3, 5, 6))
    kernel = net.parameter("kernel", 2, 3, 3, 2)
    conv = layers.Conv2d(out_channels=2, kernel_size=(3, 2), bias=False)
    y = net.add("conv", conv, net.x, tied={"weight": "kernel"})
    graph = net.finish(y=y, total=net.add("total", layers.Sum(dim=(1, 3)), kernel), kernel=kernel)
    last = check_graph(channels_last(graph))
    assert last.params[0].permutation == (2, 3, 1, 0)
    weights = weights_of(graph, np.random.default_rng(5))
    assert_same(run(graph, weights), run(last, weights))
