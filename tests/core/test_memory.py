"""Memory of inference and of training steps, against arithmetic by hand; the largest batch, against all others."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import get_args

import pytest

import netspec
from netspec.analysis.backward import kept_values, values_with_gradient
from netspec.analysis.choices import FLOAT_BYTES, OPTIMIZER_STATE, FloatType, Optimizer
from netspec.analysis.footprint import Footprint, footprint, largest_batch
from netspec.analysis.sample import sample_sizes
from netspec.analysis.training_memory import kept_bytes, training_moments
from netspec.backend import FLOAT_TYPES
from netspec.cli.memory import parse_bytes
from netspec.errors import NetspecError
from netspec.graph.dims import symbol
from netspec.graph.graph import Graph
from netspec.spec import Spec

SPECS = Path(__file__).parents[2] / "specs"
Run = Callable[..., tuple[int, str, str]]

# 6 * 10 + 10 and 10 * 2 + 2 parameters: 92.
PERCEPTRON = """
netspec: 1
name: p
inputs:
  x: {shape: [batch, 6]}
layers:
  - {name: a, type: linear, out_features: 10}
  - {name: r, type: relu}
  - {name: head, type: linear, out_features: 2}
"""


def spec(text: str, freeze: tuple[str, ...] = ()) -> Spec:
    return netspec.loads(text, freeze=freeze)


def layers(*lines: str, shape: str = "[batch, 6, 5, 7]") -> Graph:
    body = "\n".join(f"  - {{{line}}}" for line in lines)
    return spec(f"netspec: 1\nname: m\ninputs: {{x: {{shape: {shape}}}}}\nlayers:\n{body}\n").training


def test_a_training_step_by_hand() -> None:
    # Numbers of one sample while each step runs; the input 6 is there all the time, the output 2 from its making on.
    #   a: 6 + 10;  r: 6 + 10 + 10;  head: 6 + 10 + 2 (a's output is dead, r's is kept)
    #   loss: 6 + 10 + 2 + 2;  head backward: + dr 10;  r backward: 6 + 10 + 2 + dr 10 + da 10;  a backward: 6 + 2 + 10
    found = footprint(spec(PERCEPTRON).training, {"batch": 7}, optimizer="adam")
    assert found == Footprint(
        weights=4 * 92, gradients=4 * 92, optimizer=8 * 92, buffers=0, activations=4 * 38 * 7, peak_at="r (backward)"
    )
    assert found.total == 16 * 92 + 152 * 7


def test_inference_by_hand() -> None:
    found = footprint(spec(PERCEPTRON).inference, {"batch": 7}, optimizer="adam")
    assert found == Footprint(4 * 92, 0, 0, 0, activations=4 * 20 * 7, peak_at="r")


def test_a_frozen_beginning_keeps_nothing() -> None:
    # No gradient flows to r: the peak is in the forward pass, 6 + 10 + 10.
    found = footprint(spec(PERCEPTRON, ("a",)).training, {"batch": 7}, optimizer="momentum")
    assert found == Footprint(4 * 92, 4 * 22, 4 * 22, 0, activations=4 * 26 * 7, peak_at="r")


def test_a_frozen_end_still_hands_the_gradient_on() -> None:
    found = footprint(spec(PERCEPTRON, ("head",)).training, {"batch": 1})
    assert (found.gradients, found.activations) == (4 * 70, 4 * 38)


def test_a_skip_is_kept_until_its_last_reader() -> None:
    # x 6, a 6, t (tanh of a) 6, s = a + t 6, y (1). tanh keeps its output, y its input s; a is read until s is made.
    text = """
netspec: 1
name: skip
inputs: {x: {shape: [batch, 6]}}
layers:
  - {name: a, type: linear, out_features: 6, bias: false}
  - {name: t, type: tanh}
  - {name: s, type: add, from: [a, t]}
  - {name: y, type: linear, out_features: 1, bias: false}
"""
    # a 12; t 18; s 24; y 6 + t 6 + s 6 + 1 = 19; loss 20; y backward: + ds 6 = 26;
    # s backward: x 6, t 6, y 1, ds 6, and the gradients of a (from here, its last reader) and t: 12 = 31;
    # t backward: x 6, t 6, y 1, da 6, dt 6 = 25; a backward: 6 + 1 + 6.
    found = footprint(spec(text).training)
    assert (found.activations, found.peak_at) == (4 * 31, "s (backward)")


def kept(graph: Graph) -> dict[str, list[tuple[str, tuple[object, ...]]]]:
    """For each layer what it keeps: `in` or `out` with a number, or `body`, and the shape."""
    state = {held.value for held in graph.state} | set(graph.updates.values())
    with_gradient = values_with_gradient(graph)
    found = {}
    for call in graph.calls():
        names = {value: f"in{i}" for i, value in enumerate(call.inputs)}
        names = {value: f"out{i}" for i, value in enumerate(call.outputs)} | names
        values = kept_values(call, with_gradient, state)
        found[call.path] = [(names.get(value, "body"), value.shape) for value in values]
    return found


N = symbol("batch")
FIRST = "name: first, type: conv2d, out_channels: 4, kernel_size: 1"
X = (N, 4, 5, 7)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("type: conv2d, out_channels: 2, kernel_size: 3", [("in0", X)]),
        ("type: batch_norm", [("in0", X)]),
        ("type: layer_norm, dim: [1, 2, 3]", [("in0", X)]),
        ("type: relu", [("out0", X)]),
        ("type: tanh", [("out0", X)]),
        ("type: sigmoid", [("out0", X)]),
        ("type: gelu", [("in0", X)]),
        ("type: leaky_relu", [("in0", X)]),
        ("type: elu", [("in0", X)]),
        ("type: softplus", [("in0", X)]),
        ("type: formula, from: {a: first}, expr: hardswish(a)", [("in0", X)]),
        ("type: group_norm, num_groups: 2", [("in0", X)]),
        ("type: instance_norm", [("in0", X)]),
        ("type: dropout2d", [("body", (N, 4, 1, 1))]),
        ("type: stochastic_depth, p: 0.3, mode: batch", [("body", (1, 1, 1, 1))]),
        ("type: softmax, dim: 1", [("out0", X), ("body", (N, 1, 5, 7))]),
        ("type: dropout, p: 0.3", [("body", X)]),
        ("type: dropout, p: 0.0", []),
        ("type: max_pool2d, kernel_size: 2", [("in0", X), ("out0", (N, 4, 2, 3))]),
        ("type: avg_pool2d, kernel_size: 2", []),
        ("type: conv_transpose2d, out_channels: 2, kernel_size: 3", [("in0", X)]),
        ("type: formula, from: {a: first, b: fixed}, expr: 'maximum(a, b)'", [("in0", X), ("in1", X)]),
        ("type: formula, from: {a: first}, expr: sqrt(abs(a))", [("in0", X), ("out0", X)]),
        ("type: formula, from: {a: first, b: fixed}, expr: 3 * a - b / 2", []),
        ("type: global_avg_pool", []),
        ("type: flatten", []),
        ("type: add, from: [first, first]", []),
        ("type: mul, from: [first, first]", [("in1", X)]),
        ("type: mul, from: [first, fixed]", [("in1", X)]),
        ("type: concat, dim: 1, from: [first, fixed]", []),
    ],
)
def test_what_each_layer_keeps(line: str, expected: list[tuple[str, tuple[object, ...]]]) -> None:
    source = "" if "from" in line else "from: first, "
    body = f"""
netspec: 1
name: m
inputs: {{x: {{shape: [batch, 6, 5, 7]}}}}
layers:
  - {{name: fixed, type: conv2d, out_channels: 4, kernel_size: 1}}
  - {{{FIRST}, from: x}}
  - {{name: it, {source}{line}}}
outputs: {{y: it, z: fixed}}
freeze: [fixed]
"""
    assert kept(spec(body).training)["it"] == expected


def test_kept_values_count_once() -> None:
    # The flattened image x (float), relu's output for itself and for the next layer: 6 + 10.
    graph = spec(PERCEPTRON).training
    assert kept_bytes(graph, sample_sizes(graph, {"batch": 3})) == 4 * 3 * 16
    assert kept_bytes(graph, sample_sizes(graph, {"batch": 3}), 2) == 2 * 3 * 16


def test_indices_are_integers_in_every_float_type() -> None:
    text = """
netspec: 1
name: words
inputs: {tokens: {shape: [batch, time], dtype: int64}}
layers:
  - {name: embed, type: embedding, num_embeddings: 50, embedding_dim: 8}
  - {name: head, type: linear, out_features: 16}
"""
    graph = spec(text).training
    # Both gradients at the head's backward pass: 8 and 16 numbers forward, 8 and 16 backward, and the indices.
    expected = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}
    for dtype, size in expected.items():
        found = footprint(graph, {"time": 13, "batch": 3}, dtype=dtype)  # type: ignore[arg-type]
        assert found.activations == 39 * (8 + size * 48)
        assert found.weights == size * (50 * 8 + 8 * 16 + 16)
    open_time = footprint(graph)
    assert str(open_time.activations) == "200*time"


@pytest.mark.parametrize("file", ["lenet", "cnn_mnist", "residual", "perceptron"])
@pytest.mark.parametrize("training", [False, True])
def test_numbers_are_the_values_of_the_polynomials(file: str, training: bool) -> None:
    loaded = netspec.load(SPECS / f"{file}.yaml")
    graph = loaded.training if training else loaded.inference
    if training:
        moments = training_moments(graph, {"batch": symbol("batch")})
        for batch in (2, 3, 64):
            assert moments.peak({"batch": batch}) == footprint(graph, {"batch": batch}).activations
    limit = 40_000_000
    batch = largest_batch(graph, limit, optimizer="adam")

    def total(batch: int) -> int:
        found = footprint(graph, {"batch": batch}, optimizer="adam").total
        assert isinstance(found, int)
        return found

    assert batch > 1 and total(batch) <= limit < total(batch + 1)
    assert largest_batch(graph, total(5), optimizer="adam") == 5
    assert largest_batch(graph, total(5) - 1, optimizer="adam") == 4


def test_the_largest_batch_is_exact_where_the_peak_moves() -> None:
    text = PERCEPTRON.replace("out_features: 2}", "out_features: 2, bias: false}")
    graph = spec(text).training
    for limit in range(4 * 4 * 90, 4 * 4 * 90 + 4 * 38 * 4 + 3, 13):
        expected = max((b for b in range(9) if 4 * 4 * 90 + 4 * 38 * b <= limit), default=0)
        assert largest_batch(graph, limit, optimizer="adam") == expected


def test_batches_that_cannot_be_found() -> None:
    graph = spec(PERCEPTRON).training
    assert largest_batch(graph, 100) == 0
    with pytest.raises(NetspecError, match="no symbolic dimension batch"):
        largest_batch(spec(PERCEPTRON.replace("[batch, 6]", "[3, 6]")).training, 10**9)
    with pytest.raises(NetspecError, match="depends on the sizes of time: give them"):
        largest_batch(layers("type: relu", shape="[batch, time]"), 10**9)
    assert largest_batch(layers("type: relu", shape="[batch, time]"), 10**9, {"time": 5}) == 10**9 // 4 // 10
    with pytest.raises(NetspecError, match="batch_norm in training needs 2 values"):
        largest_batch(layers("type: batch_norm", shape="[batch, 5]"), 200)


def test_every_optimizer_and_float_type_has_its_cost() -> None:
    assert set(OPTIMIZER_STATE) == set(get_args(Optimizer))
    assert set(FLOAT_BYTES) == set(get_args(FloatType)) == set(FLOAT_TYPES)
    graph = spec(PERCEPTRON).training
    found = {name: footprint(graph, optimizer=name).optimizer // (4 * 92) for name in OPTIMIZER_STATE}
    assert found == OPTIMIZER_STATE
    assert {name: found[name] for name in ("sgd", "momentum", "adam")} == {"sgd": 0, "momentum": 1, "adam": 2}


# The command.


def summary_json(run: Run, path: str, *arguments: str) -> Mapping[str, object]:
    status, out, err = run("summary", path, "--format", "json", *arguments)
    assert (status, err) == (0, "")
    found: Mapping[str, object] = json.loads(out)["memory"]
    return found


def test_summary_of_memory_as_json(run: Run, spec: Callable[[str], str]) -> None:
    path = spec(PERCEPTRON)
    found = summary_json(run, path, "--memory", "--batch", "7", "--optimizer", "adam", "--fit", "4096")
    assert found == {
        "dtype": "float32",
        "optimizer": "adam",
        "inference": {
            "weights": 368,
            "gradients": 0,
            "optimizer": 0,
            "buffers": 0,
            "activations": 560,
            "peak_at": "r",
            "peak_needs_dims": [],
            "total": 928,
        },
        "training": {
            "weights": 368,
            "gradients": 368,
            "optimizer": 736,
            "buffers": 0,
            "activations": 1064,
            "peak_at": "r (backward)",
            "peak_needs_dims": [],
            "total": 2536,
        },
        "limit": 4096,
        "largest_batch": {"inference": (4096 - 368) // 80, "training": (4096 - 1472) // 152},
    }
    assert "largest_batch" not in summary_json(run, path, "--memory")
    assert summary_json(run, path, "--dtype", "float64")["training"] != summary_json(run, path, "--memory")["training"]


def test_summary_of_memory_as_a_table(run: Run, spec: Callable[[str], str]) -> None:
    status, out, _ = run(
        "summary", spec(PERCEPTRON), "--memory", "--batch", "7", "--optimizer", "adam", "--fit", "4KiB"
    )
    lines = [line.split() for line in out.splitlines()]
    assert ["optimizer", "(adam)", "0", "736"] in lines
    assert ["total", "928", "bytes", "2.5", "KiB"] in lines
    assert out.endswith("In 4.0 KiB, for training: the largest batch is 17.\n")
    assert status == 0


def test_summary_where_nothing_fits(run: Run, spec: Callable[[str], str]) -> None:
    status, out, _ = run("summary", spec(PERCEPTRON), "--fit", "800")
    assert status == 1
    assert out.endswith(
        "for inference: the largest batch is 5.\nIn 800 bytes, for training: not even one sample fits.\n"
    )


def test_summary_of_memory_with_an_open_size(run: Run, spec: Callable[[str], str]) -> None:
    layers = "[{type: conv2d, out_channels: 2, kernel_size: 1}, global_avg_pool, {type: linear, out_features: 1000}]"
    path = spec(f"{{netspec: 1, inputs: {{x: {{shape: [batch, 1, h, 8]}}}}, layers: {layers}}}")
    assert "give --dim h=N" in run("summary", path, "--memory")[1]
    assert "give --dim h=N" not in run("summary", path, "--memory", "--size", "h=5")[1]


@pytest.mark.parametrize(
    ("text", "size"),
    [("123", 123), ("1B", 1), ("8GiB", 8 * 2**30), ("1.5 MiB", 3 * 2**19), ("2GB", 2 * 10**9), ("1kB", 1000)],
)
def test_sizes_are_read(text: str, size: int) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "GiB", "-1", "8 gigs", "1e9", "8GiB ", "1" * 30])
def test_sizes_that_are_none(text: str) -> None:
    with pytest.raises(NetspecError, match="--fit: expected a size such as 8GiB"):
        parse_bytes(text)


def test_summary_refuses_a_batch_twice(run: Run, spec: Callable[[str], str]) -> None:
    status, _, err = run("summary", spec(PERCEPTRON), "--batch", "3", "--dim", "batch=3")
    assert (status, err) == (2, "--batch and --dim batch are the same: give one of them\n")
