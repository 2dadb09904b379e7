"""Recurrent layers in an ONNX file: ONNX's own operators, any batch and any length at run time, empty sequences."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

import netspec_numpy
import netspec_onnx
from netspec.spec import loads
from netspec.weights.initial import initial_weights
from tests.backends.onnx_graphs import check, operators

CELLS = {
    "LSTM": "lstm, hidden_size: 3, num_layers: 2, bidirectional: true",
    "GRU": "gru, hidden_size: 3, reverse: true",
    "RNN": "rnn, hidden_size: 3, nonlinearity: relu",
    "GRU before": "gru, hidden_size: 3, reset: before, recurrent_bias: false",
}


def batches() -> Iterator[tuple[int, int, list[int]]]:
    yield 3, 4, [0, 4, 2]
    yield 2, 7, [0, 0]
    yield 1, 1, [1]


@pytest.mark.parametrize("name", CELLS)
def test_one_file_takes_every_batch_and_length(name: str, tmp_path: Path) -> None:
    """Also sequences of length 0, which keep their first states, where onnxruntime would give zeros."""
    rows = 4 if "bidirectional" in CELLS[name] else 1
    states = ["h_0", "c_0"] if name == "LSTM" else ["h_0"]
    given = ", ".join(f"{state}: {{shape: [{rows}, batch, 3]}}" for state in states)
    read = ", ".join(f"{state}: {state}" for state in states)
    last = "h: l:h_n, c: l:c_n" if name == "LSTM" else "h: l:h_n"
    spec = loads(
        f"{{netspec: 1, inputs: {{x: {{shape: [batch, time, 2]}}, n: {{shape: [batch], dtype: int64}}, {given}}}, "
        f"layers: [{{name: l, type: {CELLS[name]}, from: {{x: x, lengths: n, {read}}}}}], outputs: {{y: l, {last}}}}}"
    )
    weights = initial_weights(spec.inference)
    path = tmp_path / "it.onnx"
    netspec_onnx.backend.export(spec.graphs, weights, path)
    model = onnx.load(path)
    check(model)
    assert operators(model).count(name.partition(" ")[0]) == (2 if name == "LSTM" else 1)
    assert not {"Scan", "Loop"} & set(operators(model))
    session = onnxruntime.InferenceSession(path)
    reference = netspec_numpy.backend.compile(spec.graphs, weights)
    rng = np.random.default_rng(1)
    for batch, time, lengths in batches():
        inputs = {"x": rng.standard_normal((batch, time, 2), np.float32), "n": np.array(lengths)}
        inputs |= {state: rng.standard_normal((rows, batch, 3), np.float32) for state in states}
        expected = reference.evaluate(inputs).outputs
        for output, got in zip(session.get_outputs(), session.run(None, inputs), strict=True):
            assert got.shape == expected[output.name].shape
            assert np.abs(got - expected[output.name]).max() < 1e-6, (output.name, lengths)
