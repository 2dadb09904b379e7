"""rnn, lstm and gru as ONNX's own operators, one for each layer of theirs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from netspec.backend import Fused
from netspec.layers.recurrent import Gru, Lstm, RecurrentLayer, Rnn
from netspec_onnx.tape import Tape

# Where ONNX's gates stand among torch's: i, o, f, c of i, f, g, o; z, r, h of r, z, n.
_GATES: dict[type, Sequence[int]] = {Lstm: (0, 3, 1, 2), Gru: (1, 0, 2), Rnn: (0,)}
_WORDS: dict[type, str] = {Lstm: "LSTM", Gru: "GRU", Rnn: "RNN"}


def _sequence(
    tape: Tape,
    call: Any,
    x: ir.Value,
    *,
    h_0: ir.Value | None = None,
    c_0: ir.Value | None = None,
    lengths: ir.Value | None = None,
    **weights: ir.Value,
) -> Any:
    """ONNX has the time first, and gives `[time, directions, batch, hidden]`."""
    layer = call.layer
    assert isinstance(layer, RecurrentLayer)
    y = tape.op("Transpose", x, perm=(1, 0, 2))
    ends = None if lengths is None else tape.op("Cast", lengths, to=int(ir.DataType.INT32), saturate=1)
    count = len(layer.directions)
    last: list[tuple[ir.Value, ...]] = []
    for number in range(layer.num_layers):
        first = [None if each is None else _rows(tape, each, number * count, count) for each in (h_0, c_0)]
        suffixes = [f"_l{number}{direction}" for direction in layer.directions]
        inputs = [y, *_matrices(tape, layer, weights, suffixes), ends, *first[: layer.states]]
        while inputs[-1] is None:
            inputs.pop()
        outputs = tape.ops(_WORDS[type(layer)], 1 + layer.states, *inputs, **_attributes(layer))
        last.append(tuple(_kept(tape, *pair, ends) for pair in zip(outputs[1:], first, strict=False)))
        y = tape.op("Transpose", outputs[0], perm=(0, 2, 1, 3))
        y = tape.op("Reshape", y, tape.integers([0, 0, count * layer.hidden_size]), allowzero=0)
    states = [tape.op("Concat", *held, axis=0) for held in zip(*last, strict=True)]
    return tape.op("Transpose", y, perm=(1, 0, 2)), *states


def _attributes(layer: RecurrentLayer) -> dict[str, Any]:
    both, one = ("bidirectional", "reverse" if layer.reverse else "forward")
    found: dict[str, Any] = {
        "direction": both if layer.bidirectional else one,
        "hidden_size": layer.hidden_size,
        "layout": 0,
    }
    if isinstance(layer, Rnn):
        names = [layer.nonlinearity.capitalize()]
    elif isinstance(layer, Lstm):
        names = ["Sigmoid", "Tanh", "Tanh"]
        found["input_forget"] = 0
    else:
        assert isinstance(layer, Gru)
        names = ["Sigmoid", "Tanh"]
        found["linear_before_reset"] = int(layer.reset == "after")
    return {**found, "activations": names * len(layer.directions)}


def _matrices(
    tape: Tape, layer: RecurrentLayer, weights: Mapping[str, ir.Value], suffixes: Sequence[str]
) -> tuple[ir.Value, ir.Value, ir.Value | None]:
    """Both matrices of each direction, and its biases in one row, with the gates in ONNX's order."""
    order = np.concatenate([np.arange(layer.hidden_size) + gate * layer.hidden_size for gate in _GATES[type(layer)]])
    rows = tape.constant(order, "int64")

    def each(name: str) -> ir.Value:
        axis = tape.integers([0])
        parts = [tape.op("Gather", weights[name + suffix], rows, axis=0) for suffix in suffixes]
        parts = [tape.op("Unsqueeze", part, axis) for part in parts]
        return tape.op("Concat", *parts, axis=0) if len(parts) > 1 else parts[0]

    if not layer.bias:
        return each("weight_ih"), each("weight_hh"), None
    zeros = tape.constant(np.zeros((len(suffixes), len(order))), "float")
    second = each("bias_hh") if layer.recurrent_bias else zeros
    return each("weight_ih"), each("weight_hh"), tape.op("Concat", each("bias_ih"), second, axis=1)


def _kept(tape: Tape, last: ir.Value, first: ir.Value | None, ends: ir.Value | None) -> ir.Value:
    """The last state; of an empty sequence the first, in the place of which onnxruntime gives zeros."""
    if first is None or ends is None:
        return last
    empty = tape.op("Equal", ends, tape.constant(np.int32(0), "int32"))
    return tape.op("Where", tape.op("Unsqueeze", empty, tape.integers([1])), first, last)


def _rows(tape: Tape, state: ir.Value, start: int, count: int) -> ir.Value:
    ends = [tape.integers([at]) for at in (start, start + count)]
    return tape.op("Slice", state, *ends, tape.integers([0]), tape.integers([1]))


RECURRENT: Fused = {Rnn: _sequence, Lstm: _sequence, Gru: _sequence}
