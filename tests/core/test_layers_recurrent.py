"""Recurrent layers: shapes and parameters, which are torch's, how they start, and what they refuse."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest

from netspec import layers
from netspec.errors import NetspecError
from netspec.graph.dims import Size, format_shape
from netspec.graph.graph import Param
from netspec.graph.types import TensorType
from netspec.layers.base import Layer
from netspec.layers.validation import FieldsError, construct
from netspec.spec import loads
from netspec.weights.initial import initial_weights
from tests.core.layer_graphs import B, Shape, T, graph_of, shape_of, state_of


def parameters(gates: int, inputs: int, hidden: int, end: str, biases: int = 2) -> dict[str, Shape]:
    """One cell's, in torch's order."""
    rows = gates * hidden
    found: dict[str, Shape] = {f"weight_ih{end}": (rows, inputs), f"weight_hh{end}": (rows, hidden)}
    return found | {f"{name}{end}": (rows,) for name in ("bias_ih", "bias_hh")[:biases]}


# Layer, inputs, output, parameters, and their number where semantics.md has it.
FORMS: list[tuple[Layer, list[Shape], Shape, dict[str, Shape], int | None]] = [
    (layers.Rnn(hidden_size=4), [(B, T, 3)], (B, T, 4), parameters(1, 3, 4, "_l0"), 36),
    (layers.Lstm(hidden_size=4), [(B, T, 3)], (B, T, 4), parameters(4, 3, 4, "_l0"), 144),
    (
        layers.Lstm(hidden_size=4, recurrent_bias=False),
        [(B, T, 3)],
        (B, T, 4),
        parameters(4, 3, 4, "_l0", 1),
        128,
    ),
    (layers.Gru(hidden_size=4), [(B, T, 3)], (B, T, 4), parameters(3, 3, 4, "_l0"), 108),
    (
        layers.Gru(hidden_size=4, recurrent_bias=False, reset="before", reverse=True),
        [(2, 1, 3)],
        (2, 1, 4),
        parameters(3, 3, 4, "_l0", 1),
        96,
    ),
    (layers.Gru(hidden_size=4, bias=False), [(B, 5, 3)], (B, 5, 4), parameters(3, 3, 4, "_l0", 0), 84),
    (
        layers.Lstm(hidden_size=2, num_layers=2, bidirectional=True),
        [(B, T, 3)],
        (B, T, 4),
        parameters(4, 3, 2, "_l0")
        | parameters(4, 3, 2, "_l0_reverse")
        | parameters(4, 4, 2, "_l1")
        | parameters(4, 4, 2, "_l1_reverse"),
        None,
    ),
    (layers.RnnCell(hidden_size=4, bias=False), [(B, 3), (B, 4)], (B, 4), parameters(1, 3, 4, "", 0), None),
    (layers.LstmCell(hidden_size=4), [(B, 3), (B, 4), (B, 4)], (B, 4), parameters(4, 3, 4, ""), 144),
    (layers.GruCell(hidden_size=4, recurrent_bias=False), [(B, 3), (B, 4)], (B, 4), parameters(3, 3, 4, "", 1), 96),
]


@pytest.mark.parametrize(("layer", "inputs", "output", "state", "count"), FORMS)
def test_shapes_and_parameters(
    layer: Layer, inputs: list[Shape], output: Shape, state: dict[str, Shape], count: int | None
) -> None:
    for training in (False, True):
        graph = graph_of(layer, *inputs, training=training)
        assert graph.outputs[0].value.type == TensorType(output)
        assert state_of(graph) == {f"it.{name}": ("param", shape) for name, shape in state.items()}
    if count is not None:
        assert sum(math.prod(int(str(size)) for size in shape) for shape in state.values()) == count


def test_states_are_ports() -> None:
    """`[layers * directions, batch, hidden]`, whatever the length."""
    text = (
        "{netspec: 1, inputs: {x: {shape: [batch, time, 3]}}, layers: [{name: l, type: lstm, hidden_size: 2, "
        "num_layers: 3, bidirectional: true}], outputs: {y: l, h: l:h_n, c: l:c_n}}"
    )
    shapes: dict[str, tuple[Size, ...]] = {y.name: y.value.shape for y in loads(text).inference.outputs}
    assert shapes == {"y": (B, T, 4), "h": (6, B, 2), "c": (6, B, 2)}


def test_parameters_start_uniform_in_the_root_of_the_size() -> None:
    graph = graph_of(layers.Gru(hidden_size=16), (B, T, 40))
    assert all(isinstance(held, Param) for held in graph.state)
    for array in initial_weights(graph).values():
        assert 0.2 < np.abs(array).max() <= 1 / 4
        assert abs(array.mean()) < 0.06


@pytest.mark.parametrize(
    ("type", "fields", "message"),
    [
        ("gru", {"hidden_size": 0}, "hidden_size: expected a positive integer, got 0"),
        ("lstm", {}, "hidden_size is required"),
        ("lstm", {"hidden_size": 2, "nonlinearity": "relu"}, "unknown field nonlinearity"),
        ("rnn", {"hidden_size": 2, "nonlinearity": "sigmoid"}, "nonlinearity: expected "),
        ("gru", {"hidden_size": 2, "reset": "never"}, "reset: expected "),
        ("gru", {"hidden_size": 2, "dropout": 1.0}, "dropout: expected "),
        ("rnn", {"hidden_size": 2, "num_layers": 65}, "num_layers: expected an integer from 1 to 64, got 65"),
        ("lstm", {"hidden_size": 2, "proj_size": 1}, "proj_size is refused: a projection"),
        ("gru_cell", {"hidden_size": 2, "num_layers": 2}, "unknown field num_layers"),
    ],
)
def test_fields_are_checked(type: str, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(FieldsError) as caught:
        construct(layers.LAYER_TYPES[type], fields)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("layer", "inputs", "message"),
    [
        (layers.Lstm(hidden_size=2), [(B, 3)], "its input must be [batch, time, features], got [batch, 3]"),
        (layers.Lstm(hidden_size=2), [(B, 3, T)], "the number of features must be known, got time"),
        (layers.GruCell(hidden_size=2), [(B, T), (B, 2)], "the number of features must be known, got time"),
        (layers.Gru(hidden_size=2), [(B, T, 3), (2, B, 2)], "h_0 must be [1, batch, 2], got [2, batch, 2]"),
        (layers.Lstm(hidden_size=2), [(B, T, 3), (1, B, 2), (1, B, 3)], "c_0 must be [1, batch, 2]"),
        (layers.Rnn(hidden_size=2), [(B, T, 3), (1, B, 2), (B, 1)], "lengths must be [batch], got [batch, 1]"),
        (layers.GruCell(hidden_size=2), [(B, T, 3), (B, 2)], "its input must be [batch, features]"),
        (layers.RnnCell(hidden_size=2), [(B, 3), (B, 3)], "h must be [batch, 2], got [batch, 3]"),
        (layers.LstmCell(hidden_size=2), [(B, 3), (B, 2), (3, 2)], "c must be [batch, 2], got [3, 2]"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(layer: Layer, inputs: list[Shape], message: str) -> None:
    with pytest.raises(NetspecError) as caught:
        shape_of(layer, *inputs)
    assert message in str(caught.value)


def test_the_type_that_is_refused_is_that_of_the_input() -> None:
    for layer, shapes in ((layers.Rnn(hidden_size=2), [(B, T, 3)]), (layers.GruCell(hidden_size=2), [(B, 3), (B, 2)])):
        wanted = re.escape(f"floating-point numbers are needed here, not bool{format_shape(shapes[0])}")
        with pytest.raises(NetspecError, match=wanted):
            shape_of(layer, *shapes, dtype="bool")


def test_integers_and_floats_have_their_places() -> None:
    text = (
        "{netspec: 1, inputs: {x: {shape: [batch, time, 3], dtype: DTYPE}, n: {shape: [batch], dtype: LENGTHS}}, "
        "layers: [{name: l, type: gru, hidden_size: 2, from: {x: x, lengths: n}}]}"
    )
    assert loads(text.replace("DTYPE", "float").replace("LENGTHS", "int32")).graphs.inference.nodes
    for dtype, lengths in (("int64", "int64"), ("float", "float"), ("float", "bool")):
        with pytest.raises(NetspecError):
            loads(text.replace("DTYPE", dtype).replace("LENGTHS", lengths))
