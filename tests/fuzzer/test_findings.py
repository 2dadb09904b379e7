"""What the fuzzer found, each as the smallest spec that showed it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import netspec
from netspec.analysis.index_bounds import index_bounds
from netspec.backend import FloatType
from netspec.errors import NetspecError
from netspec.fuzz.draft import Draft
from netspec.fuzz.features import share
from netspec.fuzz.generator import generate
from netspec.fuzz.references import entries
from netspec.graph.ops import Add, Sum
from netspec.spec import Spec, loads
from netspec_numpy import NumpyBackend
from netspec_numpy.roundings import SINGLE, Roundings
from tests.conformance.kept import KeptWorkers


@pytest.fixture(scope="module")
def workers() -> Iterator[KeptWorkers]:
    with KeptWorkers() as kept:
        yield kept


def spec_of(inputs: str, layers: str, output: str = "y") -> Spec:
    return loads(f"netspec: 1\nname: found\ninputs: {{{inputs}}}\nlayers: [{layers}]\noutputs: {{y: {output}}}\n")


def test_a_product_that_float32_cannot_hold_is_judged_as_zero() -> None:
    """1e-40 has few digits or none in float32: it was a disagreement of 3e-3 on ONNX Runtime."""
    spec = spec_of("x: {shape: [batch, 6, 5]}", "{name: y, type: prod, from: x}")
    report = netspec.verify(spec, ["onnx"], dims={"batch": 5})
    assert report.agree
    assert report.backends["onnx"].cancelled == 1


@pytest.mark.parametrize("layer", ["max", "max_pool2d, kernel_size: 2", "global_max_pool"])
def test_a_maximum_is_well_conditioned(workers: KeptWorkers, layer: str) -> None:
    """The noise that roundings are judged by moved the maximum from its place, and its gradient was gone."""
    spec = spec_of("x: {shape: [batch, 2, 4, 4]}", f"{{name: y, type: {layer}, from: x}}")
    report = workers.judge(spec, "torch")
    assert report.agree
    assert not report.ill_conditioned


def test_one_number_in_a_group_is_normalised_on_torch(workers: KeptWorkers) -> None:
    """F.group_norm refuses one sample with one number in each group."""
    spec = spec_of("x: {shape: [batch, 2]}", "{name: y, type: group_norm, num_groups: 2, from: x}")
    assert workers.judge(spec, "torch", dtype="float64", dims={"batch": 1}).agree


def test_a_transposed_convolution_of_padding_alone_is_refused() -> None:
    """The reference broke down, TensorFlow made a row too many, and ONNX Runtime refused it at run time."""
    fields = "kernel_size: 1, stride: 3, padding: [[2, 1], [2, 0]], output_padding: 4, dilation: 5"
    layer = f"{{name: y, type: conv_transpose2d, out_channels: 2, {fields}, from: x}}"
    with pytest.raises(NetspecError, match="nothing is left"):
        _ = spec_of("x: {shape: [batch, 3, 1, 2]}", layer).inference


def test_branches_that_hand_on_what_they_read() -> None:
    """A value that one branch hands on and another one computes with was not handed to the second."""
    layer = "{name: y, from: x, cond: f, branches: [identity, {type: dropout, p: 0.3}]}"
    spec = spec_of("x: {shape: [batch, 3]}, f: {shape: [], dtype: bool}", layer)
    assert spec.graphs.training.outputs


@pytest.mark.parametrize(("type", "again"), [("tanh", True), ("log", False), ("sqrt", False)])
def test_what_takes_positive_numbers_alone_is_not_applied_to_others(type: str, again: bool) -> None:
    """Graph 1541 of seed 24 took the logarithm of a relu's zeros: what flows back is 0 times infinity, NaN or 0."""
    draft = Draft(random.Random(0))
    draft.add_input(["batch", 2])
    assert draft.add([{"name": "y", "type": type, "from": draft.values[0].reference}], ["y"])
    draft.spec["outputs"] = {"y": "y"}
    assert (share(draft) is not None) == again


def test_a_size_that_only_a_shape_speaks_of_keeps_its_input() -> None:
    """Graph 444 of seed 5 was no valid spec: the input that says what `time` is had been taken away as not read."""
    graph = generate(5, 444)
    assert graph.load().graphs.inference.outputs
    assert list(entries(graph.data["layers"]))


def test_a_kernel_above_its_volume_pools_on_torch(workers: KeptWorkers) -> None:
    """With ceil_mode one window begins inside; F.avg_pool3d refuses it, its siblings do not."""
    layer = "{name: y, type: avg_pool3d, kernel_size: [3, 1, 2], ceil_mode: true, from: x}"
    spec = spec_of("x: {shape: [batch, 2, time, 4, 5]}", layer)
    assert workers.judge(spec, "torch", dtype="float64", dims={"time": 2}).agree


def test_an_index_stays_below_all_that_it_is_read_by() -> None:
    """Lengths of a sequence that are words too: those above the sequence were let through, and ONNX Runtime refused."""
    inputs = "x: {shape: [batch, time, 6]}, n: {shape: [batch], dtype: int64}"
    layers = "{name: h, type: rnn, hidden_size: 7, from: {x: x, lengths: n}}, {name: m, type: mean, from: h}, "
    layers += "{name: w, type: embedding, num_embeddings: 4, embedding_dim: 2, from: n}, "
    layers += "{name: y, type: formula, from: [m, w], expr: m + w}"
    spec = spec_of(inputs, layers)
    assert set(map(str, index_bounds(spec.inference)["n"])) == {"time + 1", "4"}
    for time, largest in ((2, 2), (9, 3)):
        model, x = netspec.build(spec, "numpy", dtype="float32"), np.ones((2, time, 6), np.float32)
        model(x, np.array([0, largest]))
        with pytest.raises(NetspecError, match=f"indices must be from 0 to {largest}, got {largest + 1}"):
            model(x, np.array([0, largest + 1]))


@pytest.mark.parametrize("layer", ["max", "min", "global_max_pool", "maximum", "minimum"])
def test_the_largest_of_what_xla_computes_twice_has_a_gradient(workers: KeptWorkers, layer: str) -> None:
    """It was NaN: in a second loop, with other roundings, no number was the largest one of the first."""
    shape = "[batch, 1, 3]" if layer == "global_max_pool" else "[batch, 1]"
    layers = f"{{name: b, type: batch_norm, eps: 0.1, init: {{bias: ones}}, from: x}}, {{name: y, type: {layer}}}"
    inputs = f"x: {{shape: {shape}}}"
    if layer in ("maximum", "minimum"):
        inputs = "x: {shape: [batch, 6, 3, 4]}, z: {shape: [batch, 6, 3, 4]}"
        layers = f"{{name: b, type: instance_norm, from: x}}, {{name: y, type: {layer}, from: [b, z]}}"
    assert workers.judge(spec_of(inputs, layers), "jax", dtype="float64", dims={"batch": 5}).agree


def test_a_sum_of_cotangents_that_cancel_is_judged_by_them(workers: KeptWorkers) -> None:
    """The gradient of a bias was 2e-5 off on TensorFlow and JAX alike, 7 times what was allowed."""
    layer = "{name: conv_transpose2d_31, type: conv_transpose2d, out_channels: 2, kernel_size: 3, stride: [2, 5], "
    layer += "output_padding: [0, 2], dilation: [4, 1], from: x4}"
    inputs, outputs = "{x4: {shape: [batch, 1, 5, 3]}}", "{o7: conv_transpose2d_31}"
    spec = loads(f"{{netspec: 1, inputs: {inputs}, layers: [{layer}], outputs: {outputs}}}")
    assert all(workers.judge(spec, name, dims={"batch": 5}).agree for name in ("tensorflow", "jax"))


@pytest.mark.parametrize(
    "layer", ["max_pool3d, kernel_size: 1", "avg_pool3d, kernel_size: [2, 1, 3]", "adaptive_max_pool3d, output_size: 2"]
)
def test_volumes_of_any_number_of_channels_pool_on_tensorflow(workers: KeptWorkers, layer: str) -> None:
    """Channels that only the call knows were no number to reshape to."""
    layers = f"{{name: t, type: transpose, dim0: 1, dim1: 0, from: x}}, {{name: y, type: {layer}}}"
    spec = spec_of("x: {shape: [batch, 1, 4, 2, 5]}", layers)
    assert workers.judge(spec, "tensorflow", dims={"batch": 3}).agree


def test_a_number_as_an_input_with_a_default() -> None:
    """torch's program for it was no Python: the default of shape [] was written (,)."""
    inputs = "x: {shape: [batch, 3]}, f: {shape: [], dtype: bool, default: true}, s: {shape: [], default: 0.5}"
    spec = spec_of(inputs, "{name: y, type: formula, from: [x, f, s], expr: 'where(f, x * s, x)'}")
    assert np.array_equal(netspec.build(spec, "torch")(np.ones((2, 3), np.float32)).numpy(), np.full((2, 3), 0.5))


@pytest.mark.parametrize(
    "layer",
    [
        "conv1d, out_channels: 2, kernel_size: 2, padding: [[2, 0]]",
        "conv1d, out_channels: 2, kernel_size: 2, padding: 3, stride: 3",
        "conv2d, out_channels: 2, kernel_size: 2, padding: [[2, 0], [1, 1]]",
        "conv2d, out_channels: 2, kernel_size: 2, padding: [[4, 1], [0, 3]], dilation: 2, groups: 2",
        "conv_transpose1d, out_channels: 3, kernel_size: 2, padding: [[2, 0]]",
        "conv_transpose2d, out_channels: 3, kernel_size: 3, stride: 2, padding: [[4, 0], [1, 2]]",
        "conv_transpose2d, out_channels: 2, kernel_size: 2, padding: [[2, 0], [0, 2]], dilation: 2",
        "conv_transpose3d, out_channels: 2, kernel_size: 2, padding: [[2, 0], [0, 2], [2, 1]]",
    ],
)
def test_more_padding_than_kernel_on_jax(workers: KeptWorkers, layer: str) -> None:
    """XLA read beyond its input in float32: gradients were 0.5 off, or 1e20."""
    spatial = ", ".join("5746"[: int(layer.partition("d,")[0][-1])])
    spec = spec_of(f"x: {{shape: [batch, 2, {spatial}]}}", f"{{name: y, type: {layer}, from: x}}")
    assert workers.judge(spec, "jax", dims={"batch": 3}).agree


def test_a_long_sum_of_like_numbers_may_lose_what_it_loses_in_float32(workers: KeptWorkers) -> None:
    """Roundings of partial sums do not cancel there: XLA was 1e-5 off in a sum of 825, 3 times what was allowed."""
    layers = "{name: h, type: one_hot, num_classes: 11, from: x}, {name: y, type: var}"
    spec = spec_of("x: {shape: [batch, 5, height], dtype: int32}", layers)
    assert workers.judge(spec, "jax", dims={"batch": 3, "height": 5}).agree


def test_roundings_of_long_sums_are_those_of_one_in_order() -> None:
    """Of terms that are equal, and of what flows back into a bias; less of terms of all sizes, none of short sums."""
    equal, mixed = np.full((2, 1000), 0.1), np.random.default_rng(3).standard_normal((2, 1000))
    rounding = Roundings(0, SINGLE)
    total = rounding.of_lowerings({Sum: NumpyBackend().lowerings[Sum]})[Sum]
    back = rounding.of_vjps({Add: NumpyBackend().vjps[Add]})[Add]

    def moved(terms: Any) -> tuple[float, float]:
        """The largest change of the sum over the last axis, and of the gradient of a bias, in units of float32."""
        ways: list[tuple[Any, Any]] = []
        for _ in range(8):
            _, bias = back([terms.T], [terms.T, np.zeros(2)], [terms.T])
            ways.append((total(terms, axes=(1,), keepdims=False), bias))
        exact = terms.sum(axis=1)
        forward, backward = (max(float(np.abs(way[i] - exact).max()) for way in ways) for i in (0, 1))
        return forward / exact.max() / SINGLE, backward / exact.max() / SINGLE

    in_order = abs(float(np.add.accumulate(equal[0].astype("float32"))[-1]) - 1000 * float(np.float32(0.1))) / 100
    assert in_order > 10 * SINGLE
    for way in moved(equal):
        assert 0.5 * in_order / SINGLE < way < 4 * in_order / SINGLE
    assert max(moved(equal[:, :64])) < 4
    assert max(moved(np.abs(mixed))) < 40


@pytest.mark.parametrize(
    ("shape", "layer", "dtype"),
    [
        ("1, 4, 3", "conv2d, out_channels: 1, kernel_size: 3, stride: [1, 2]", "float32"),
        ("1, 3, 3", "conv2d, out_channels: 1, kernel_size: [2, 3], stride: [1, 5], padding: same", "float32"),
        ("1, 2, 3, 2", "conv3d, out_channels: 1, kernel_size: 2, stride: [1, 1, 5]", "float32"),
        ("3, 5, 1", "conv_transpose2d, out_channels: 1, kernel_size: [2, 3], stride: [1, 4]", "float32"),
        ("4, 2, 2, 1", "conv_transpose3d, out_channels: 1, kernel_size: [2, 3, 7], stride: [2, 1, 5]", "float32"),
        ("1, 7, 1, 1", "conv3d, out_channels: 1, kernel_size: [7, 1, 1], stride: [2, 1, 1], padding: same", "float32"),
        ("3, 4, 3, 6", "conv3d, out_channels: 1, kernel_size: [2, 3, 4], stride: [5, 1, 3], padding: same", "float64"),
    ],
)
def test_convolutions_that_tensorflow_has_wrong(workers: KeptWorkers, shape: str, layer: str, dtype: FloatType) -> None:
    """tf.nn.conv2d and conv3d are wrong there by the size of the numbers; so are conv3d's SAME and its gradient."""
    spec = spec_of(f"x: {{shape: [batch, {shape}]}}", f"{{name: y, type: {layer}, from: x}}")
    assert workers.judge(spec, "tensorflow", dtype, dims={"batch": 2}).agree


def test_zeros_beside_a_channel_stay_apart_from_the_convolution(workers: KeptWorkers) -> None:
    """TensorFlow takes a Pad into the convolution behind it, which then was refused, or ended the process."""
    inputs = "x: {shape: [batch, 1, 5, 4]}, z: {shape: [batch, 2, 3]}"
    layers = "{name: a, type: alpha_dropout, from: z}, "
    layers += "{name: y, type: conv2d, out_channels: 4, kernel_size: 3, stride: [1, 4], from: x}"
    spec = loads(f"{{netspec: 1, inputs: {{{inputs}}}, layers: [{layers}], outputs: {{a: a, y: y}}}}")
    assert workers.judge(spec, "tensorflow", dims={"batch": 7}, train=True).agree


@pytest.mark.parametrize("fields", ["", ", count_include_pad: false", ", ceil_mode: true"])
def test_a_kernel_above_a_volume_with_padding_pools_on_torch(workers: KeptWorkers, fields: str) -> None:
    """F.avg_pool3d refuses it, its siblings do not: 4 on a size of 1 with 2 zeros on both sides."""
    layer = f"{{name: y, type: avg_pool3d, kernel_size: [2, 1, 4], padding: [1, 0, 2]{fields}, from: x}}"
    for size in ("height", "1"):
        spec = spec_of(f"x: {{shape: [batch, 2, 5, 3, {size}]}}", layer)
        dims = {"height": 1} if size == "height" else None
        assert workers.judge(spec, "torch", dtype="float64", dims=dims).agree


def test_a_requirement_outlives_the_first_layer_that_had_it() -> None:
    """Of two layers of one size the first was left out of one mode, and what both require with it."""
    layers = "{name: c, type: conv1d, out_channels: 2, kernel_size: 3, from: x}, "
    layers += "{name: z, type: zeros, shape: [$(batch), 2, $(time - 2)]}, {name: y, type: by_mode, from: [c, z]}"
    graphs = spec_of("x: {shape: [batch, 3, time]}", layers).graphs
    for graph in (graphs.inference, graphs.training):
        assert [(str(need.size), need.at_least) for need in graph.requirements] == [("time - 2", 1)]
    assert graphs.inference.requirements[0].origin.path != graphs.training.requirements[0].origin.path


def test_no_graph_reads_integers_that_nothing_bounds_as_indices() -> None:
    """What a framework reads there is its own: torch refused -1, and others took the last row."""
    entries = (
        "{name: i, type: cast, dtype: int64, from: x}, {name: y, type: embedding, num_embeddings: 3, embedding_dim: 2}"
    )
    draft = Draft(random.Random(0))
    draft.add_input(["batch", 2])
    held = draft.values[0].reference
    cast = {"name": "i", "type": "cast", "dtype": "int64", "from": held}
    table = {"name": "y", "type": "embedding", "num_embeddings": 3, "embedding_dim": 2, "from": "i"}
    assert spec_of("x: {shape: [batch, 2]}", entries).inference.outputs
    assert draft.add([cast], ["i"])
    assert not draft.add([table], ["y"])
    assert draft.add([{"name": "k", "type": "argmax", "dim": 1, "from": held}, {**table, "from": "k"}], ["y"])
