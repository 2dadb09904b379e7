"""The layout pass keeps the meaning: outputs, gradients and updates stay what they were, with few permutes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netspec import layers
from netspec.graph.builder import Builder, Entry
from netspec.graph.graph import Graph, Origin, Param, Value
from netspec.graph.invariants import check_graph
from netspec.graph.ops import AdaptiveAveragePool, AdaptiveMaxPool, Concat, Convolution, Permute, TransposedConvolution
from netspec.graph.ops.pooling import Pool
from netspec.graph.types import TensorType
from netspec.passes import apply_passes
from netspec.passes.channels_last import channels_last
from netspec.passes.expose import probe
from netspec.passes.noise_inputs import noise_inputs
from netspec.spec import load, loads
from tests.core.nets import (
    BATCH,
    NETS,
    Make,
    Net,
    Tangled,
    assert_same,
    graph_of,
    nets,
    run,
    weights_of,
)


def permutes(graph: Graph) -> int:
    """Permutes of activations: those of a linear layer's matrix do not count, nor what no one reads."""
    state = {held.value for held in graph.state}
    return sum(isinstance(n.op, Permute) and n.inputs[0] not in state for n in graph.primitives())


def assert_channels_last(graph: Graph) -> Graph:
    """What the pass ensures, and that it leaves no permute that nothing reads and none that undoes another."""
    check_graph(graph)
    read = {v for n in graph.primitives() for v in n.inputs} | {o.value for o in graph.outputs}
    read |= set(graph.updates.values())
    # A layer that reads both layouts gets one of them; and a transpose of the user's stays, whatever it undoes.
    own = {n for call in graph.calls() if call.layer.type in ("tangled", "transpose") for n in call.body}
    made: dict[Value, Permute] = {}
    for node in graph.primitives():
        if isinstance(node.op, (Convolution, TransposedConvolution, Pool, AdaptiveAveragePool, AdaptiveMaxPool)):
            assert node.op.channels_last
        if isinstance(node.op, Permute):
            assert node.outputs[0] in read, "a permute that nothing reads"
            before = made.get(node.inputs[0])
            undone = before and [before.axes[axis] for axis in node.op.axes] == list(range(len(node.op.axes)))
            assert not undone or node in own, "a permute that undoes another"
            if node not in own:
                made[node.outputs[0]] = node.op
    kernels = {n.inputs[1] for n in graph.primitives() if isinstance(n.op, (Convolution, TransposedConvolution))}
    for held in graph.state:
        if held.value in kernels:
            assert isinstance(held, Param)
            assert held.permutation == (*range(2, held.value.type.rank), 1, 0)
    return graph


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", NETS)
def test_channels_last_keeps_the_meaning(name: str, training: bool) -> None:
    graph, _ = noise_inputs(graph_of(NETS[name], training))
    weights = weights_of(graph, np.random.default_rng(5))
    last = assert_channels_last(channels_last(graph))
    assert [(e.name, e.value) for e in last.inputs] == [(e.name, e.value) for e in graph.inputs]
    assert [(o.name, o.value.type) for o in last.outputs] == [(o.name, o.value.type) for o in graph.outputs]
    assert_same(run(graph, weights), run(last, weights))


@settings(max_examples=100)
@given(nets(), st.booleans())
def test_passes_keep_the_meaning_of_random_nets(make: Make, training: bool) -> None:
    graph, _ = noise_inputs(apply_passes(graph_of(make, training)))
    weights = weights_of(graph, np.random.default_rng(9))
    last = assert_channels_last(channels_last(graph))
    assert_same(run(graph, weights), run(last, weights))
    probed = channels_last(check_graph(probe(graph)))
    assert_same(run(probe(graph), weights), run(check_graph(probed), weights))


@pytest.mark.parametrize(
    ("name", "count"),
    [("lenet", 2), ("cnn_mnist", 2), ("residual", 1), ("perceptron", 0)],
)
@pytest.mark.parametrize("training", [False, True])
def test_a_plain_net_needs_one_permute_at_its_input_and_one_at_flatten(name: str, count: int, training: bool) -> None:
    graph, _ = noise_inputs(load(f"specs/{name}.yaml").graphs.of(training))
    last = assert_channels_last(channels_last(graph))
    masks = sum(1 for entry in graph.inputs if entry.name.startswith("noise:") and entry.value.type.rank == 4)
    assert permutes(last) == count + masks
    biases = [
        n for n in last.primitives() if isinstance(n.op, Permute) and n.inputs[0] in {p.value for p in last.params}
    ]
    assert len(biases) == sum(call.layer.type == "linear" for call in last.calls()), "a kernel is stored as it is read"


def test_a_concat_in_channels_last_runs_along_the_last_axis() -> None:
    net = Net(training=False)
    x = net.add(layers.Conv2d(out_channels=2, kernel_size=1), net.input(BATCH, 2, 3, 3))
    last = channels_last(net.b.finish({"y": net.add(layers.Concat(dim=1), x, x)}))
    assert [n.op.axis for n in last.primitives() if isinstance(n.op, Concat)] == [3]


def test_a_value_that_a_layer_reads_in_both_layouts_comes_as_it_is_held() -> None:
    net = Net(training=False)
    x = net.add(layers.Conv2d(out_channels=3, kernel_size=1), net.input(BATCH, 2, 4, 4))
    last = channels_last(net.b.finish({"y": net.add(layers.GlobalAvgPool(), net.add(Tangled(), x))}))
    tangled = next(call for call in last.calls() if call.layer.type == "tangled")
    assert [value.shape[-1] for value in tangled.inputs] == [3], "channels last, as the convolution gives it"
    assert permutes(last) == 3, "one of the image, one to the matrix product and one back from it"


def test_a_kernel_that_a_convolution_and_a_transposed_one_share_is_stored_once() -> None:
    b = Builder("tied", training=False)
    x = b.input("x", TensorType((BATCH, 3, 5, 4)))
    (y,) = b.call(layers.Conv2d(out_channels=2, kernel_size=(3, 2), stride=2), Entry(Origin("down", None)), [x])
    up = layers.ConvTranspose2d(out_channels=3, kernel_size=(3, 2), stride=2, bias=False)
    (z,) = b.call(up, Entry(Origin("up", None), tied={"weight": "down.weight"}), [y])
    graph = check_graph(b.finish({"z": z}))
    weights = weights_of(graph, np.random.default_rng(5))
    last = assert_channels_last(channels_last(graph))
    assert [held.path for held in last.params] == ["down.weight", "down.bias"]
    assert permutes(last) == 2, "the image and the output alone"
    assert_same(run(graph, weights), run(last, weights))


LINE = (
    *(layers.Conv1d(out_channels=4, kernel_size=3, padding=1), layers.BatchNorm(), layers.Relu()),
    *(
        layers.MaxPool1d(kernel_size=2),
        layers.AdaptiveMaxPool1d(output_size=2),
        layers.AdaptiveAvgPool1d(output_size=3),
    ),
    *(layers.ConvTranspose1d(out_channels=3, kernel_size=3, stride=2), layers.AvgPool1d(kernel_size=2)),
)
VOLUME = (
    *(layers.Conv3d(out_channels=4, kernel_size=2, padding="same"), layers.BatchNorm(), layers.Relu()),
    *(
        layers.MaxPool3d(kernel_size=2),
        layers.AdaptiveMaxPool3d(output_size=2),
        layers.AdaptiveAvgPool3d(output_size=3),
    ),
    *(layers.ConvTranspose3d(out_channels=3, kernel_size=3, stride=2), layers.AvgPool3d(kernel_size=2)),
)


@pytest.mark.parametrize(("chain", "spatial"), [(LINE, (7,)), (VOLUME, (6, 7, 5))], ids=["line", "volume"])
def test_lines_and_volumes_stay_channels_last(chain: tuple[layers.Layer, ...], spatial: tuple[int, ...]) -> None:
    for training in (False, True):
        net = Net(training)
        x = net.input(BATCH, 2, *spatial)
        for layer in chain:
            x = net.add(layer, x)
        graph = net.b.finish({"y": x, "z": net.add(layers.GlobalMaxPool(), x)})
        weights = weights_of(graph, np.random.default_rng(5))
        last = assert_channels_last(channels_last(graph))
        assert permutes(last) == 2, "the image and the output alone"
        assert_same(run(graph, weights), run(last, weights))


def test_what_moves_elements_of_images_moves_them_where_they_are() -> None:
    layers_of_images = [
        "{type: conv2d, out_channels: 4, kernel_size: 2, from: image}",
        "{type: slice, dim: 2, start: 1}",
        "{type: flip, dims: [1, -1]}",
        "{type: pad, pad: [1, 0, 2, 1]}",
        "{type: pad, pad: [1, 0, 2, 1], mode: reflect}",
        "{type: roll, shifts: 2, dims: 3}",
        "{type: interpolate, size: [9, 7]}",
        "{type: interpolate, scale_factor: 2}",
        "{type: interpolate, mode: linear, scale_factor: [2, 0.75]}",
        "{type: interpolate, mode: linear, coords: align_corners, size: [5, 6]}",
        "{name: parts, type: split, split_size_or_sections: 2, dim: 1}",
        "{type: concat, dim: 1, from: ['parts:1', 'parts:0']}",
        "{type: conv2d, out_channels: 2, kernel_size: 3}",
    ]
    text = f"{{netspec: 1, inputs: {{image: {{shape: [batch, 3, 6, 7]}}}}, layers: [{', '.join(layers_of_images)}]}}"
    last = assert_channels_last(channels_last(loads(text).inference))
    assert permutes(last) == 2, "the image and the output alone"
