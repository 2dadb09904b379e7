"""Weights of real recurrent layers of Keras become ours: the models give the same numbers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import netspec
from netspec.errors import NetspecError
from tests.backends.test_keras_weights import assert_same_model, saved, shaken

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"  # Keras reads its variables so
)
L = keras.layers
SEQUENCES = np.random.default_rng(1).normal(size=(3, 5, 3)).astype(np.float32)
HEAD = "netspec: 1\ninputs: {x: {shape: [batch, time, 3]}}\nlayers:\n"


def stack(*layers: Any) -> Any:
    return shaken(keras.Sequential([keras.Input((5, 3)), *layers]))


def test_every_layer_of_keras(tmp_path: Path) -> None:
    """Both forms of reset, one bias and two and none, both directions, cells and stacks of cells in RNN."""
    model = stack(
        L.LSTM(4, return_sequences=True, name="one"),
        L.GRU(4, return_sequences=True),
        L.GRU(3, return_sequences=True, reset_after=False),
        L.SimpleRNN(5, return_sequences=True, use_bias=False),
        L.Bidirectional(L.LSTM(2, return_sequences=True, dropout=0.3, recurrent_dropout=0.2, seed=1), name="both"),
        L.Bidirectional(L.GRU(3, return_sequences=True), name="grus"),
        L.RNN(L.GRUCell(4), return_sequences=True, name="cell"),
        L.RNN([L.LSTMCell(4), L.LSTMCell(4)], return_sequences=True, name="cells"),
        L.SimpleRNN(4, return_sequences=True, activation="relu"),
        L.Dense(2),
    )
    text = HEAD + (
        "  - {name: one, type: lstm, hidden_size: 4, recurrent_bias: false}\n"
        "  - {name: a, type: gru, hidden_size: 4}\n"
        "  - {name: b, type: gru, hidden_size: 3, reset: before, recurrent_bias: false}\n"
        "  - {name: c, type: rnn, hidden_size: 5, bias: false}\n"
        "  - {name: both, type: lstm, hidden_size: 2, bidirectional: true}\n"
        "  - {name: grus, type: gru, hidden_size: 3, bidirectional: true}\n"
        "  - {name: cell, type: gru, hidden_size: 4}\n"
        "  - {name: cells, type: lstm, hidden_size: 4, num_layers: 2, recurrent_bias: false}\n"
        "  - {name: d, type: rnn, hidden_size: 4, nonlinearity: relu}\n"
        "  - {name: fc, type: linear, out_features: 2}\n"
    )
    assert_same_model(text, model, tmp_path, SEQUENCES)


def test_several_layers_become_one_of_several(tmp_path: Path) -> None:
    model = stack(*(L.Bidirectional(L.GRU(4, return_sequences=True)) for _ in range(3)))
    text = HEAD + (
        "  - {name: a, type: gru, hidden_size: 4, num_layers: 2, bidirectional: true}\n"
        "  - {name: b, type: gru, hidden_size: 4, bidirectional: true}\n"
    )
    assert_same_model(text, model, tmp_path, SEQUENCES)


def test_backwards_is_reverse_with_its_outputs_turned(tmp_path: Path) -> None:
    text = HEAD + "  - {name: l, type: lstm, hidden_size: 4, reverse: true}\n  - {type: flip, dims: [1]}\n"
    assert_same_model(text, stack(L.LSTM(4, go_backwards=True, return_sequences=True)), tmp_path, SEQUENCES)


class Own(keras.Model):
    """Layers as attributes, and a cell that is run by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = L.LSTM(4)
        self.cell = L.GRUCell(4)
        self.step = L.LSTMCell(4)

    def call(self, x: Any) -> Any:
        h = self.encoder(x)
        h, _ = self.cell(x[:, 0], [h])
        return self.step(x[:, 1], [h, h])[0]


def test_cells_that_are_run_by_hand(tmp_path: Path) -> None:
    model = Own()
    model(SEQUENCES)
    text = HEAD + (
        "  - {name: encoder, type: lstm, hidden_size: 4}\n"
        "  - {name: last, type: select, dim: 1, index: -1}\n"
        "  - {name: first, type: select, dim: 1, index: 0, from: x}\n"
        "  - {name: second, type: select, dim: 1, index: 1, from: x}\n"
        "  - {name: cell, type: gru_cell, hidden_size: 4, from: [first, last]}\n"
        "  - {name: step, type: lstm_cell, hidden_size: 4, recurrent_bias: false, from: [second, cell, cell]}\n"
        "outputs: {y: step}\n"
    )
    assert_same_model(text, shaken(model), tmp_path, SEQUENCES)


def test_a_cell_that_control_flow_runs_and_one_that_reads_an_image(tmp_path: Path) -> None:
    """The features of a flattened image come in another order, which the cell's matrix follows."""
    image, memory = keras.Input((2, 3, 2)), keras.Input((4,))
    h, _ = L.GRUCell(4, name="cell")(L.Flatten()(image), [memory])
    model = shaken(keras.Model([image, memory], h))
    text = (
        "netspec: 1\ninputs: {x: {shape: [batch, 2, 2, 3]}, h: {shape: [batch, 4]}}\nlayers:\n"
        "  - {name: flat, type: flatten, from: x}\n  - {name: cell, type: gru_cell, hidden_size: 4, from: [flat, h]}\n"
    )
    rng = np.random.default_rng(2)
    x, state = (rng.normal(size=size).astype(np.float32) for size in ((3, 2, 2, 3), (3, 4)))
    path = saved(model, tmp_path)
    spec = netspec.loads(text)
    found = netspec.build(spec, "numpy", weights=netspec.weights_from_keras(spec, path))(x, state)
    expected = np.asarray(model([np.moveaxis(x, 1, -1), state]))
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()
    scanned = (
        "netspec: 1\ninputs: {x: {shape: [batch, time, 12]}, h: {shape: [batch, 4]}}\n"
        "blocks: {Step: {inputs: [x, h], layers: [{name: cell, type: gru_cell, hidden_size: 4, from: [x, h]}], "
        "outputs: {h: cell}}}\nlayers: [{name: run, type: Step, scan: {over: [x], dim: 1}, from: {x: x, h: h}}]\n"
        "outputs: {h: run}\n"
    )
    weights = netspec.weights_from_keras(netspec.loads(scanned), path)
    assert {name: array.shape for name, array in weights.items()} == {
        "run.cell.weight_ih": (12, 12),
        "run.cell.weight_hh": (12, 4),
        "run.cell.bias_ih": (12,),
        "run.cell.bias_hh": (12,),
    }


@pytest.mark.parametrize(
    ("layer", "ours", "message"),
    [
        (lambda: L.GRU(4, reset_after=False), "gru, hidden_size: 4", "the biases of `reset: before`"),
        (lambda: L.GRU(4), "gru, hidden_size: 4, reset: before", "the biases of `reset: after`"),
        (lambda: L.GRU(4), "gru, hidden_size: 4, recurrent_bias: false", "a bias inside of its reset"),
        (lambda: L.LSTM(4, use_bias=False), "lstm, hidden_size: 4", "l (lstm) has bias_hh_l0 and bias_ih_l0 and"),
        (lambda: L.LSTM(4, name="l"), "lstm, hidden_size: 4, bidirectional: true", "l has 2 cells in 2, but l has 1"),
        (lambda: L.GRU(4, name="l"), "lstm, hidden_size: 4", "l holds cells of gru, which are no lstm"),
        (lambda: L.GRU(4), "lstm, hidden_size: 4", "lstm: 1 of ours are left: l; 0 of theirs: none"),
        (
            lambda: L.Bidirectional(L.RNN([L.GRUCell(4), L.GRUCell(3)])),
            "gru, hidden_size: 4",
            "several cells in each direction cannot be converted",
        ),
        (lambda: L.RNN([L.GRUCell(4), L.LSTMCell(3)]), "gru, hidden_size: 4", "gru: 1 of ours are left: l; 0 of"),
    ],
    ids=["before", "after", "inside", "no bias", "directions", "kind", "order", "stacked", "mixed"],
)
def test_what_does_not_fit_is_refused(layer: Callable[[], Any], ours: str, message: str, tmp_path: Path) -> None:
    spec = netspec.loads(HEAD + f"  - {{name: l, type: {ours}}}\n")
    path = saved(keras.Sequential([keras.Input((5, 3)), layer()]), tmp_path)
    with pytest.raises(NetspecError) as caught:
        netspec.weights_from_keras(spec, path)
    assert message in str(caught.value)
