"""Costs and memory of one sample, against arithmetic by hand, for numbers and for polynomials in a symbolic size."""

from collections.abc import Mapping
from pathlib import Path

import pytest

import netspec
from netspec.analysis.costs import Cost, count_costs
from netspec.analysis.memory import ActivationMemory, activation_memory
from netspec.errors import NetspecError
from netspec.graph.dims import Size, symbol
from netspec.graph.graph import Graph

SPECS = Path(__file__).parents[2] / "specs"

SEQUENCE = """
netspec: 1
name: sequence
inputs:
  tokens: {shape: [batch, time], dtype: int64}
layers:
  - {name: embed, type: embedding, num_embeddings: 50, embedding_dim: 8}
  - {name: head, type: linear, out_features: 16}
"""

# The reader of `a` runs after b is made, b lives to the end, and dropout hands its input on.
BRANCHES = """
netspec: 1
name: branches
inputs:
  x: {shape: [batch, 6]}
layers:
  - {name: a, type: linear, out_features: 10}
  - {name: b, type: linear, from: x, out_features: 7}
  - {name: c, type: relu, from: a}
  - {name: both, type: concat, from: [c, b], dim: 1}
  - {name: dropped, type: dropout, p: 0.25}
  - {name: head, type: linear, out_features: 2}
outputs: {y: head, side: b}
"""

# The peak is the convolution's for a high image, and the wide layer's for a low one.
UNDECIDED = """
netspec: 1
name: undecided
inputs:
  image: {shape: [batch, 1, height, 8]}
layers:
  - {name: conv, type: conv2d, out_channels: 2, kernel_size: 3, padding: 1}
  - {name: pool, type: global_avg_pool}
  - {name: wide, type: linear, out_features: 1000}
  - {name: head, type: linear, out_features: 3}
"""

WINDOW = """
netspec: 1
name: window
inputs:
  image: {shape: [batch, 1, height, 8]}
layers:
  - {name: conv, type: conv2d, out_channels: 2, kernel_size: 5}
"""


def inference(text: str) -> Graph:
    return netspec.loads(text).inference


def memory(text: str, dims: Mapping[str, int] | None = None) -> ActivationMemory:
    return activation_memory(inference(text), dims)


def test_macs_of_lenet_by_hand() -> None:
    costs = count_costs(netspec.load(SPECS / "lenet.yaml").inference)
    macs = {row.path: row.cost.macs for row in costs.rows if row.cost.macs}
    assert macs == {
        "conv1": 28 * 28 * 6 * (1 * 5 * 5),
        "conv2": 10 * 10 * 16 * (6 * 5 * 5),
        "fc1": 400 * 120,
        "fc2": 120 * 84,
        "fc3": 84 * 10,
    }
    assert costs.total.macs == 416_520
    assert costs.total.flops == 2 * 416_520


def test_elementwise_work_of_lenet_by_hand() -> None:
    costs = count_costs(netspec.load(SPECS / "lenet.yaml").inference)
    found = {row.path: row.cost.elementwise for row in costs.rows}
    assert found["conv1"] == 6 * 28 * 28  # the bias
    assert found["1"] == 6 * 28 * 28  # tanh
    assert found["2"] == 6 * 14 * 14 * 4  # windows of 2 x 2
    assert found["6"] == 0  # flatten only moves
    assert found["fc3"] == 10
    assert costs.total.elementwise == sum(found.values(), 0)


def test_shapes_of_a_sample_have_no_batch_left() -> None:
    costs = count_costs(netspec.load(SPECS / "lenet.yaml").inference)
    assert costs.rows[0].output_shape == (1, 6, 28, 28)
    assert costs.rows[-1].output_shape == (1, 10)


def test_an_open_sequence_length_gives_polynomials() -> None:
    time = symbol("time")
    costs = count_costs(inference(SEQUENCE))
    assert costs.total == Cost(macs=8 * 16 * time, elementwise=16 * time)
    assert str(costs.total.flops) == "256*time"
    assert costs.rows[1].output_shape == (1, time, 16)
    found = memory(SEQUENCE)
    # tokens 8 * time, embed 4 * 8 * time, head 4 * 16 * time; the tokens are dead when the head runs
    assert (found.total, found.peak, found.peak_at, found.undecided) == (96 * time, 96 * time, "head", ())


@pytest.mark.parametrize(("dims", "macs"), [({"time": 13}, 8 * 16 * 13), ({"time": 13, "batch": 3}, 8 * 16 * 13 * 3)])
def test_given_sizes_give_numbers(dims: dict[str, int], macs: int) -> None:
    assert count_costs(inference(SEQUENCE), dims).total.macs == macs


def test_numbers_are_the_values_of_the_polynomials() -> None:
    assert memory(SEQUENCE, {"time": 13}) == ActivationMemory(96 * 13, 96 * 13, "head")


@pytest.mark.parametrize(
    ("dims", "message"),
    [
        ({"timee": 3}, "there is no symbolic dimension timee; did you mean time?"),
        ({"width": 3}, "there is no symbolic dimension width; known are batch, time"),
        ({"time": 0}, "dimension time: expected a size from 1 to 2147483647, got 0"),
        ({"time": 2**31}, "dimension time: expected a size from 1 to 2147483647, got 2147483648"),
    ],
)
def test_sizes_that_cannot_be(dims: dict[str, int], message: str) -> None:
    for count in (count_costs, activation_memory):
        with pytest.raises(NetspecError) as caught:
            count(inference(SEQUENCE), dims)
        assert str(caught.value) == message


def test_a_size_that_a_layer_cannot_take_is_refused() -> None:
    graph = inference(WINDOW)
    assert count_costs(graph, {"height": 5}).total.macs == 1 * 4 * 2 * 25
    with pytest.raises(NetspecError, match=r"conv: .* size is 0") as caught:
        count_costs(graph, {"height": 4})
    assert caught.value.mistakes[0].location is not None


def test_peak_of_branches_by_hand() -> None:
    # Bytes alive while each layer runs: x 24; a 24+40; b 24+40+28; c 40+28+40; both 28+40+68; dropped 28+68;
    # head 28+68+8. Made in all: a 40, b 28, c 40, both 68, head 8.
    assert memory(BRANCHES) == ActivationMemory(total=184, peak=136, peak_at="both")
    assert memory(BRANCHES, {"batch": 3}) == ActivationMemory(total=3 * 184, peak=3 * 136, peak_at="both")


def test_an_output_lives_to_the_end() -> None:
    # Without `side`, b is dead when the head runs; with a wide head that moment is the peak.
    wide = BRANCHES.replace("out_features: 2", "out_features: 30")
    assert memory(wide).peak == 28 + 68 + 120
    assert memory(wide.replace(", side: b", "")).peak == 68 + 120


@pytest.mark.parametrize(("dtype", "size"), [("int64", 8), ("int32", 4), ("bool", 1)])
def test_an_input_that_nothing_reads_counts_at_the_start(dtype: str, size: int) -> None:
    extra = f"  x: {{shape: [batch, 6]}}\n  unread: {{shape: [batch, 101], dtype: {dtype}}}\n"
    text = BRANCHES.replace("  x: {shape: [batch, 6]}\n", extra).replace("name: a,", "name: a, from: x,")
    peaks = {8: (24 + 808, "inputs"), 4: (24 + 404, "inputs"), 1: (136, "both")}
    found = memory(text)
    assert (found.peak, found.peak_at) == peaks[size]
    assert found.total == 184


@pytest.mark.parametrize(
    ("height", "peak", "at"), [(10, 4000 + 12, "head"), (41, 4012, "head"), (42, 96 * 42, "conv"), (100, 9600, "conv")]
)
def test_where_the_peak_is_may_depend_on_a_size(height: int, peak: int, at: str) -> None:
    found = memory(UNDECIDED, {"height": height})
    assert (found.peak, found.peak_at) == (peak, at)


def test_a_peak_that_depends_on_a_size_names_the_size() -> None:
    found = memory(UNDECIDED)
    total: Size = 64 * symbol("height") + 8 + 4000 + 12
    assert found == ActivationMemory(total, None, None, ("height",))
