"""Recurrent layers against torch.nn's in float64: outputs, states, gradients of inputs and of every parameter.

torch has no `reset: before` and no single bias with it: those are judged by Cho's formula, written out here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from netspec.backend import find_backend
from netspec.errors import NetspecError
from netspec.spec import loads
from netspec.weights.initial import initial_weights

Tensor = torch.Tensor
BATCH, TIME, FEATURES, HIDDEN = 4, 5, 3, 6
LENGTHS = np.array([5, 1, 3, 2])
STATES = {"rnn": ("h_0",), "gru": ("h_0",), "lstm": ("h_0", "c_0")}


@dataclass(frozen=True)
class Judged:
    """One configuration; `function` gives torch's results of the inputs by name and the parameters by local name."""

    type: str
    function: Callable[..., Any]
    fields: str = ""
    states: int = 0  # rows of the initial states; 0 for none
    lengths: bool = False
    keywords: Mapping[str, Any] = field(default_factory=dict)


def modules(type: str, weights: Mapping[str, Tensor], **keywords: Any) -> Any:
    """torch's module on these parameters; a second bias that there is none of is zero."""
    word = {"rnn": "RNN", "lstm": "LSTM", "gru": "GRU"}[type]
    module = getattr(torch.nn, word)(FEATURES, HIDDEN, batch_first=True, **keywords).double()
    held = {name: weights.get(name, torch.zeros_like(p)) for name, p in module.named_parameters()}
    return lambda *given: torch.func.functional_call(module, held, given)


def whole(
    judged: Judged, x: Tensor, weights: Mapping[str, Tensor], states: list[Tensor], lengths: Tensor | None
) -> tuple[Tensor, ...]:
    """torch's sequence; a reverse one runs on the reversed input."""
    run = modules(judged.type, weights, **judged.keywords)
    state = None if not states else tuple(states) if judged.type == "lstm" else states[0]
    backwards = "reverse" in judged.fields
    if lengths is not None:
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        y, last = run(packed, state)
        y, _ = pad_packed_sequence(y, batch_first=True, total_length=TIME)
    else:
        y, last = run(x.flip(1) if backwards else x, state)
        y = y.flip(1) if backwards else y
    return (y, *last) if judged.type == "lstm" else (y, last)


def reset_before(
    judged: Judged, x: Tensor, weights: Mapping[str, Tensor], states: list[Tensor], lengths: Tensor | None
) -> tuple[Tensor, ...]:
    """Cho et al. 2014: the candidate reads r * h."""
    wr, wz, wn = weights["weight_ih_l0"].chunk(3)
    ur, uz, un = weights["weight_hh_l0"].chunk(3)
    br, bz, bn = weights["bias_ih_l0"].chunk(3)
    cr, cz, cn = weights["bias_hh_l0"].chunk(3) if "bias_hh_l0" in weights else (0.0, 0.0, 0.0)
    h, outputs = x.new_zeros(BATCH, HIDDEN), []
    for t in range(TIME):
        r = torch.sigmoid(x[:, t] @ wr.T + br + h @ ur.T + cr)
        z = torch.sigmoid(x[:, t] @ wz.T + bz + h @ uz.T + cz)
        n = torch.tanh(x[:, t] @ wn.T + bn + (r * h) @ un.T + cn)
        h = (1 - z) * n + z * h
        outputs.append(h)
    return torch.stack(outputs, 1), h[None]


JUDGED = {
    "rnn": Judged("rnn", whole),
    "rnn-relu": Judged(
        "rnn", whole, "nonlinearity: relu, num_layers: 2", keywords={"nonlinearity": "relu", "num_layers": 2}
    ),
    "rnn-no-bias": Judged(
        "rnn", whole, "bias: false, bidirectional: true", 2, keywords={"bias": False, "bidirectional": True}
    ),
    "lstm": Judged("lstm", whole, states=1),
    "lstm-layers": Judged("lstm", whole, "num_layers: 3", 3, keywords={"num_layers": 3}),
    "lstm-both": Judged(
        "lstm", whole, "num_layers: 2, bidirectional: true", 4, True, {"num_layers": 2, "bidirectional": True}
    ),
    "lstm-reverse": Judged("lstm", whole, "reverse: true", 1),
    "lstm-one-bias": Judged("lstm", whole, "recurrent_bias: false"),
    "gru": Judged("gru", whole, states=1),
    "gru-lengths": Judged("gru", whole, states=1, lengths=True),
    "gru-both": Judged(
        "gru", whole, "num_layers: 2, bidirectional: true", 4, True, {"num_layers": 2, "bidirectional": True}
    ),
    "gru-one-bias": Judged("gru", whole, "recurrent_bias: false"),
    "gru-before": Judged("gru", reset_before, "reset: before"),
    "gru-before-one-bias": Judged("gru", reset_before, "reset: before, recurrent_bias: false"),
}
CELLS = {
    "rnn_cell": (torch.nn.RNNCell, ""),
    "rnn_cell-relu": (torch.nn.RNNCell, "nonlinearity: relu"),
    "gru_cell": (torch.nn.GRUCell, ""),
    "lstm_cell": (torch.nn.LSTMCell, ""),
    "lstm_cell-one-bias": (torch.nn.LSTMCell, "recurrent_bias: false"),
}


def close(found: Any, expected: Tensor, what: str) -> None:
    reference = expected.detach().numpy()
    assert found.shape == reference.shape, what
    assert np.abs(found - reference).max() <= 1e-12 * max(np.abs(reference).max(), 1e-3), what


def compare(
    text: str, inputs: Mapping[str, Any], judge: Callable[[Mapping[str, Tensor], Mapping[str, Tensor]], Any]
) -> None:
    """Our NumPy against the judge on the same parameters, none of which is zero."""
    spec = loads(text)
    rng = np.random.default_rng(3)
    weights = {path: rng.standard_normal(array.shape) * 0.7 for path, array in initial_weights(spec.inference).items()}
    held = {path.removeprefix("l."): torch.from_numpy(array).requires_grad_() for path, array in weights.items()}
    given = {name: torch.from_numpy(x).requires_grad_(x.dtype.kind == "f") for name, x in inputs.items()}
    expected = judge(given, held)
    model = find_backend("numpy").compile(spec.graphs, weights, "float64")
    cotangents = {f"y{k}": rng.standard_normal(y.shape) for k, y in enumerate(expected)}
    found = model.evaluate(inputs, cotangents)
    flows = [torch.from_numpy(each) for each in cotangents.values()]
    torch.autograd.backward(list(expected), flows)
    assert len(found.outputs) == len(expected)
    for k, y in enumerate(expected):
        close(found.outputs[f"y{k}"], y, f"output {k}")
    for name, source in (*((f"input:{n}", x) for n, x in given.items()), *((f"l.{n}", p) for n, p in held.items())):
        if source.requires_grad:
            assert source.grad is not None
            close(found.gradients[name], source.grad, f"gradient of {name}")


@pytest.mark.parametrize("name", JUDGED)
def test_a_sequence_is_torch_s(name: str) -> None:
    judged = JUDGED[name]
    rng = np.random.default_rng(5)
    states = STATES[judged.type] if judged.states else ()
    inputs = {"x": rng.standard_normal((BATCH, TIME, FEATURES))}
    inputs |= {state: rng.standard_normal((judged.states, BATCH, HIDDEN)) for state in states}
    inputs |= {"lengths": LENGTHS} if judged.lengths else {}
    declared = ["x: {shape: [batch, time, 3]}", *(f"{s}: {{shape: [{judged.states}, batch, 6]}}" for s in states)]
    declared += ["lengths: {shape: [batch], dtype: int64}"] if judged.lengths else []
    read = ", ".join(f"{each}: {each}" for each in inputs)
    ports = ["l", "l:h_n", *(["l:c_n"] if judged.type == "lstm" else [])]
    text = (
        f"{{netspec: 1, inputs: {{{', '.join(declared)}}}, layers: [{{name: l, type: {judged.type}, hidden_size: 6, "
        f"{judged.fields}{', ' if judged.fields else ''}from: {{{read}}}}}], "
        f"outputs: {{{', '.join(f'y{k}: {port}' for k, port in enumerate(ports))}}}}}"
    )

    def judge(given: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> Any:
        return judged.function(judged, given["x"], weights, [given[s] for s in states], given.get("lengths"))

    compare(text, inputs, judge)


@pytest.mark.parametrize("name", CELLS)
def test_a_cell_is_torch_s(name: str) -> None:
    cls, fields = CELLS[name]
    type = name.partition("-")[0]
    rng = np.random.default_rng(9)
    states = ("h", "c") if type == "lstm_cell" else ("h",)
    inputs = {"x": rng.standard_normal((BATCH, FEATURES))}
    inputs |= {state: rng.standard_normal((BATCH, HIDDEN)) for state in states}
    declared = ["x: {shape: [batch, 3]}", *(f"{state}: {{shape: [batch, 6]}}" for state in states)]
    ports = [f"y{k}: l:{state}" for k, state in enumerate(states)] if len(states) > 1 else ["y0: l"]
    text = (
        f"{{netspec: 1, inputs: {{{', '.join(declared)}}}, layers: [{{name: l, type: {type}, hidden_size: 6, "
        f"{fields}{', ' if fields else ''}from: [{', '.join(inputs)}]}}], outputs: {{{', '.join(ports)}}}}}"
    )
    options = {"nonlinearity": "relu"} if "relu" in fields else {}

    def judge(given: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> Any:
        module = cls(FEATURES, HIDDEN, **options).double()
        held = {key: weights.get(key, torch.zeros_like(p)) for key, p in module.named_parameters()}
        state = tuple(given[s] for s in states)
        result = torch.func.functional_call(module, held, (given["x"], state if len(state) > 1 else state[0]))
        return result if isinstance(result, tuple) else (result,)

    compare(text, inputs, judge)


def test_an_empty_sequence_keeps_its_state_and_gives_zeros() -> None:
    """torch refuses it; so the state is that of the step before the first."""
    text = (
        "{netspec: 1, inputs: {x: {shape: [batch, time, 2]}, n: {shape: [batch], dtype: int64}, "
        "h: {shape: [1, batch, 3]}}, layers: [{name: l, type: gru, hidden_size: 3, from: {x: x, lengths: n, h_0: h}}], "
        "outputs: {y: l, h: l:h_n}}"
    )
    rng = np.random.default_rng(1)
    x, h, n = rng.standard_normal((2, 4, 2)), rng.standard_normal((1, 2, 3)), np.array([0, 4])
    spec = loads(text)
    for backend in ("numpy", "torch"):
        model = find_backend(backend).compile(spec.graphs, initial_weights(spec.inference), "float64")
        found = model.evaluate({"x": x, "n": n, "h": h})
        assert np.abs(found.outputs["y"][0]).max() == 0
        assert np.array_equal(found.outputs["h"][0, 0], h[0, 0])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ("proj_size: 2", "proj_size is refused: a projection of the hidden state is not part of the language"),
        ("batch_first: true", "batch_first is refused: sequences are always [batch, time, features]"),
        ("reverse: true, bidirectional: true", "reverse and bidirectional exclude each other"),
        ("num_layers: 0", "num_layers: expected an integer from 1 to 64, got 0"),
        ("from: {x: x, h_0: x}", "h_0 must be [1, batch, 3], got [batch, time, 2]"),
        ("from: {x: x, lengths: x}", "lengths must be [batch], got [batch, time, 2]"),
    ],
)
def test_what_a_recurrent_layer_cannot_be_is_refused(fields: str, message: str) -> None:
    with pytest.raises(NetspecError) as caught:
        loads(
            "{netspec: 1, inputs: {x: {shape: [batch, time, 2]}}, "
            f"layers: [{{name: l, type: gru, hidden_size: 3, {fields}}}]}}"
        )
    assert message in str(caught.value)
