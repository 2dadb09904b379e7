"""Recurrent layers: one step (the cells), and whole sequences of any length."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal, NamedTuple

from pydantic import Field, model_validator

from netspec.errors import ShapeError
from netspec.graph.builder import Builder
from netspec.graph.dims import Size, compare, format_shape
from netspec.graph.graph import Value
from netspec.layers.base import Layer, require_floats
from netspec.layers.fields import DropProbability, Expected, Flag, PositiveInt
from netspec.layers.initializers import Uniform
from netspec.layers.regularization import dropped

_BATCH_FIRST = "sequences are always [batch, time, features]"
_PROJECTION = "a projection of the hidden state is not part of the language; put a linear layer behind"


class Weights(NamedTuple):
    """The parameters of one cell: both matrices transposed, `[in, gates * hidden]`, and the biases that there are."""

    input: Value
    hidden: Value
    input_bias: Value | None
    hidden_bias: Value | None


class _Recurrent(Layer):
    """What all recurrent layers share: parameters in torch's layout, which all start uniform in 1 / sqrt(hidden)."""

    gates: ClassVar[int]
    states: ClassVar[int] = 1

    hidden_size: PositiveInt
    bias: Flag = True
    recurrent_bias: Flag = True

    def cell(self, b: Builder, x: Value, state: Sequence[Value], weights: Weights) -> tuple[Value, ...]:
        """One step: the new state, the output first."""
        raise AssertionError(f"{self.type} has no cell")

    def weights(self, b: Builder, in_features: int, suffix: str = "") -> Weights:
        """The parameters `weight_ih`, `weight_hh`, `bias_ih`, `bias_hh`, each with `suffix` behind it."""
        rows = self.gates * self.hidden_size
        start = Uniform(bound=1 / math.sqrt(self.hidden_size))
        matrices = [
            b.permute(b.param(f"{name}{suffix}", (rows, columns), start), (1, 0))
            for name, columns in (("weight_ih", in_features), ("weight_hh", self.hidden_size))
        ]
        biases = [
            b.param(f"{name}{suffix}", (rows,), start) if wanted else None
            for name, wanted in (("bias_ih", self.bias), ("bias_hh", self.bias and self.recurrent_bias))
        ]
        return Weights(matrices[0], matrices[1], biases[0], biases[1])

    def sums(self, b: Builder, x: Value, h: Value, weights: Weights) -> tuple[Value, Value]:
        """`x W_ih^T + b_ih` and `h W_hh^T + b_hh`, each `[batch, gates * hidden]`."""
        from_input, from_hidden = b.matmul(x, weights.input), b.matmul(h, weights.hidden)
        if weights.input_bias is not None:
            from_input = from_input + weights.input_bias
        return from_input, from_hidden if weights.hidden_bias is None else from_hidden + weights.hidden_bias

    def split(self, b: Builder, sums: Value) -> list[Value]:
        """The parts `[batch, hidden]` of each gate, in torch's order."""
        size = self.hidden_size
        return [b.slice(sums, 1, gate * size, (gate + 1) * size) for gate in range(self.gates)]


class _Rnn(_Recurrent):
    gates = 1
    nonlinearity: Literal["tanh", "relu"] = "tanh"

    def cell(self, b: Builder, x: Value, state: Sequence[Value], weights: Weights) -> tuple[Value, ...]:
        from_input, from_hidden = self.sums(b, x, state[0], weights)
        total = from_input + from_hidden
        return (b.tanh(total) if self.nonlinearity == "tanh" else b.relu(total),)


class _Lstm(_Recurrent):
    gates = 4
    states = 2

    def cell(self, b: Builder, x: Value, state: Sequence[Value], weights: Weights) -> tuple[Value, ...]:
        from_input, from_hidden = self.sums(b, x, state[0], weights)
        i, f, g, o = self.split(b, from_input + from_hidden)
        c = b.sigmoid(f) * state[1] + b.sigmoid(i) * b.tanh(g)
        return b.sigmoid(o) * b.tanh(c), c


class _Gru(_Recurrent):
    gates = 3
    reset: Literal["after", "before"] = "after"

    def cell(self, b: Builder, x: Value, state: Sequence[Value], weights: Weights) -> tuple[Value, ...]:
        (h,) = state
        if self.reset == "before":
            return (self._reset_before(b, x, h, weights),)
        from_input, from_hidden = self.sums(b, x, h, weights)
        (r, z, n), (hr, hz, hn) = self.split(b, from_input), self.split(b, from_hidden)
        update = b.sigmoid(z + hz)
        new = b.tanh(n + b.sigmoid(r + hr) * hn)
        return (new + update * (h - new),)

    def _reset_before(self, b: Builder, x: Value, h: Value, weights: Weights) -> Value:
        """The candidate reads `r * h` through its part of the matrix, so that there are two products."""
        size = self.hidden_size
        columns = b.reshape(weights.hidden, (size, 3, size))
        from_input = b.matmul(x, weights.input)
        for bias in (weights.input_bias, weights.hidden_bias):
            from_input = from_input if bias is None else from_input + bias
        r, z, n = self.split(b, from_input)
        r, z = (b.sigmoid(gate + b.matmul(h, b.select(columns, 1, k))) for k, gate in enumerate((r, z)))
        new = b.tanh(n + b.matmul(r * h, b.select(columns, 1, 2)))
        return new + z * (h - new)


class CellLayer(_Recurrent):
    """One step of a recurrent layer."""

    def step(self, b: Builder, x: Value, *state: Value) -> tuple[Value, ...]:
        features = _features(x, "[batch, features]", 2)
        for name, held in zip("hc", state, strict=False):
            _require(held, (x.shape[0], self.hidden_size), name)
        return self.cell(b, x, state, self.weights(b, features))


class RnnCell(CellLayer, _Rnn):
    """`h' = tanh(x W_ih^T + b_ih + h W_hh^T + b_hh)`: x `[batch, in]`, h and h' `[batch, hidden]` (Elman 1990).

    weight_ih is `[hidden, in]`, weight_hh `[hidden, hidden]`; with `recurrent_bias: false` there is no bias_hh.
    `nonlinearity: relu` puts max(., 0) in the place of tanh.
    """

    type: Literal["rnn_cell"] = "rnn_cell"

    def expand(self, b: Builder, x: Value, h: Value) -> Value:
        return self.step(b, x, h)[0]


class LstmCell(CellLayer, _Lstm):
    """`c' = f c + i g`, `h' = o tanh(c')`: one step of lstm, x `[batch, in]`, h and c `[batch, hidden]`.

    Gates i, f, g, o as in lstm; the port `h` is h', the port `c` c' (Hochreiter, Schmidhuber 1997; Gers et al. 2000).
    """

    type: Literal["lstm_cell"] = "lstm_cell"
    ports = ("h", "c")

    def expand(self, b: Builder, x: Value, h: Value, c: Value) -> tuple[Value, ...]:
        return self.step(b, x, h, c)


class GruCell(CellLayer, _Gru):
    """`h' = (1 - z) n + z h`: one step of gru, x `[batch, in]`, h and h' `[batch, hidden]` (Cho et al. 2014)."""

    type: Literal["gru_cell"] = "gru_cell"

    def expand(self, b: Builder, x: Value, h: Value) -> Value:
        return self.step(b, x, h)[0]


class RecurrentLayer(_Recurrent):
    """A cell along the time of `[batch, time, in]`, in one direction or both, one layer upon another."""

    num_layers: Annotated[int, Field(gt=0, le=64), Expected("an integer from 1 to 64")] = 1
    bidirectional: Flag = False
    reverse: Flag = False
    dropout: DropProbability = 0.0

    refused: ClassVar[Mapping[str, str]] = {"batch_first": _BATCH_FIRST, "proj_size": _PROJECTION}

    @model_validator(mode="after")
    def _one_direction(self) -> RecurrentLayer:
        if self.reverse and self.bidirectional:
            raise ValueError("reverse and bidirectional exclude each other: both directions run already")
        return self

    @property
    def directions(self) -> tuple[str, ...]:
        """The suffix of each direction's parameters, the forward one first."""
        return ("", "_reverse") if self.bidirectional else ("",)

    def run(self, b: Builder, x: Value, first: Sequence[Value | None], lengths: Value | None) -> tuple[Value, ...]:
        """The output `[batch, time, directions * hidden]`, and last states `[layers * directions, batch, hidden]`."""
        features = _features(x, "[batch, time, features]", 3)
        batch, time = x.shape[:2]
        rows = self.num_layers * len(self.directions)
        for name, held in zip(("h_0", "c_0"), first, strict=False):
            if held is not None:
                _require(held, (rows, batch, self.hidden_size), name)
        mask = None
        if lengths is not None:
            _require(lengths, (batch,), "lengths")
            mask = b.sequence_mask(lengths, time)
        last: list[tuple[Value, ...]] = []
        for layer in range(self.num_layers):
            if layer:
                x = dropped(b, x, self.dropout)
            outputs = []
            for position, direction in enumerate(self.directions):
                row = layer * len(self.directions) + position
                state = [self._first(b, held, row, batch) for held in first]
                weights = self.weights(b, features, f"_l{layer}{direction}")
                *states, y = self._scan(b, x, mask, state, weights, self.reverse or position == 1)
                last.append(tuple(states))
                outputs.append(y)
            x = outputs[0] if len(outputs) == 1 else b.concat(outputs, 2)
            features = len(outputs) * self.hidden_size
        stacked = (b.concat([b.reshape(h, (1, *h.shape)) for h in each], 0) for each in zip(*last, strict=True))
        return x, *stacked

    def _scan(
        self, b: Builder, x: Value, mask: Value | None, state: Sequence[Value], weights: Weights, reverse: bool
    ) -> tuple[Value, ...]:
        """The last state, and the outputs in the order of the input. Behind its end a sample keeps its state, and
        gives zeros; run backwards, its state has not moved yet when its last element comes."""

        def step(now: Value, *others: Value) -> tuple[Value, ...]:
            if mask is None:
                new = self.cell(b, now, others, weights)
                return *new, new[0]
            live, *before = others
            live = b.reshape(live, (live.shape[0], 1))
            new = self.cell(b, now, before, weights)
            kept = tuple(b.where(live, after, held) for after, held in zip(new, before, strict=True))
            return *kept, b.where(live, new[0], b.number_like(0.0, new[0]))

        over = [x] if mask is None else [x, mask]
        return b.scan(step, over=over, axis=1, carried=state, reverse=reverse)

    def _first(self, b: Builder, given: Value | None, row: int, batch: Size) -> Value:
        if given is not None:
            return b.select(given, 0, row)
        return b.expand(b.array((0.0,), ()), (batch, self.hidden_size))


class Rnn(RecurrentLayer, _Rnn):
    """`h_t = tanh(x_t W_ih^T + b_ih + h_(t-1) W_hh^T + b_hh)` (Elman 1990): x `[batch, time, in]`, any time.

    The output is `[batch, time, directions * hidden]`, the port `h_n` the last states `[layers * directions, batch,
    hidden]`; `h_0` of that shape gives the first ones, zeros otherwise. Parameters are torch's: `weight_ih_l0
    [hidden, in]`, `weight_hh_l0`, `bias_ih_l0`, `bias_hh_l0` (none with `recurrent_bias: false`), `..._reverse` of the
    second direction. `reverse` runs from the end, and gives outputs in the order of the input. `lengths [batch]` says
    where each sequence ends: behind it the state stays and outputs are zero. They are from 0 to time; a call checks
    those that are an input of the model, not those that it computes. `dropout` acts between layers in training.
    """

    type: Literal["rnn"] = "rnn"
    ports = ("output", "h_n")

    def expand(self, b: Builder, x: Value, h_0: Value | None = None, lengths: Value | None = None) -> tuple[Value, ...]:
        return self.run(b, x, [h_0], lengths)


class Lstm(RecurrentLayer, _Lstm):
    """`c_t = f c_(t-1) + i g`, `h_t = o tanh(c_t)` (Hochreiter, Schmidhuber 1997; Gers et al. 2000), torch's form.

    i, f, g, o are sigmoid, sigmoid, tanh, sigmoid of the four parts, in this order, of `x_t W_ih^T + b_ih + h_(t-1)
    W_hh^T + b_hh`. Shapes, ports, `lengths` and names as in rnn, with `c_0` and the port `c_n` of the cells besides;
    Keras' one bias is `recurrent_bias: false`.
    """

    type: Literal["lstm"] = "lstm"
    ports = ("output", "h_n", "c_n")

    def expand(
        self,
        b: Builder,
        x: Value,
        h_0: Value | None = None,
        c_0: Value | None = None,
        lengths: Value | None = None,
    ) -> tuple[Value, ...]:
        return self.run(b, x, [h_0, c_0], lengths)


class Gru(RecurrentLayer, _Gru):
    """`h_t = (1 - z) n + z h_(t-1)` (Cho et al. 2014), torch's form: gates r, z, n in this order.

    r and z are the sigmoid of the sum of both products. `n = tanh(W_in x + b_in + r (W_hn h + b_hn))`; with `reset:
    before` it is `tanh(W_in x + b_in + W_hn (r h) + b_hn)`. Shapes, ports, `lengths` and names as in rnn.
    """

    type: Literal["gru"] = "gru"
    ports = ("output", "h_n")

    def expand(self, b: Builder, x: Value, h_0: Value | None = None, lengths: Value | None = None) -> tuple[Value, ...]:
        return self.run(b, x, [h_0], lengths)


def _features(x: Value, form: str, rank: int) -> int:
    """The number of features of an input; a ShapeError unless it has that form, of numbers and of known features."""
    if x.type.rank != rank:
        raise ShapeError(f"its input must be {form}, got {format_shape(x.shape)}")
    features = x.shape[-1]
    if not isinstance(features, int):
        raise ShapeError(f"the number of features must be known, got {features}")
    require_floats(x)
    return features


def _require(x: Value, shape: Sequence[Size], name: str) -> None:
    """A ShapeError unless an input has that shape."""
    same = x.type.rank == len(shape) and all(compare(a, "==", b) for a, b in zip(x.shape, shape, strict=True))
    if not same:
        raise ShapeError(f"{name} must be {format_shape(tuple(shape))}, got {format_shape(x.shape)}")
