"""Weights of real recurrent layers of Flax, nnx and linen, become ours: the models give the same numbers."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx

import netspec
from netspec.errors import NetspecError
from tests.backends.test_flax_weights import assert_close, shaken

SEQUENCES = np.random.default_rng(1).normal(size=(3, 5, 3)).astype(np.float32)
TEXT = """
netspec: 1
inputs: {x: {shape: [batch, time, 3]}}
layers:
  - {name: a, type: lstm, hidden_size: 4, recurrent_bias: false}
  - {name: b, type: lstm, hidden_size: 2}
  - {name: c, type: gru, hidden_size: 4}
  - {name: d, type: rnn, hidden_size: 3, recurrent_bias: false}
  - {name: both, type: gru, hidden_size: 2, bidirectional: true}
  - {name: last, type: select, dim: 1, index: -1}
  - {name: step, type: lstm_cell, hidden_size: 4, recurrent_bias: false, from: [last, last, last]}
outputs: {y: step}
"""


class NnxNet(nnx.Module):
    """Every cell of nnx."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.a = nnx.RNN(nnx.LSTMCell(3, 4, rngs=rngs))
        self.b = nnx.RNN(nnx.OptimizedLSTMCell(4, 2, rngs=rngs))
        self.c = nnx.RNN(nnx.GRUCell(2, 4, rngs=rngs))
        self.d = nnx.RNN(nnx.SimpleCell(4, 3, rngs=rngs))
        forward, backward = (nnx.RNN(nnx.GRUCell(3, 2, rngs=rngs)) for _ in range(2))
        self.both = nnx.Bidirectional(forward, backward, rngs=rngs)
        self.step = nnx.LSTMCell(4, 4, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        last = self.both(self.d(self.c(self.b(self.a(x)))))[:, -1]
        return self.step((last, last), last)[1]


class LinenNet(linen.Module):
    """The same with the names that linen gives, where nothing tells what runs a cell."""

    @linen.compact
    def __call__(self, x: Any) -> Any:
        x = linen.RNN(linen.LSTMCell(4))(x)
        x = linen.RNN(linen.LSTMCell(2))(x)
        x = linen.RNN(linen.GRUCell(4))(x)
        x = linen.RNN(linen.SimpleCell(3))(x)
        x = linen.Bidirectional(linen.RNN(linen.GRUCell(2)), linen.RNN(linen.GRUCell(2)))(x)
        return linen.OptimizedLSTMCell(4, name="step")((x[:, -1], x[:, -1]), x[:, -1])[1]


def test_nnx() -> None:
    model = NnxNet(nnx.Rngs(0))
    nnx.update(model, shaken(nnx.state(model, nnx.Not(nnx.RngState))))
    spec = netspec.loads(TEXT)
    ours = netspec.build(spec, "numpy", weights=netspec.weights_from_flax(spec, nnx.state(model)))
    assert_close(ours(SEQUENCES), model(jnp.asarray(SEQUENCES)))


def test_linen() -> None:
    """The two halves of Bidirectional are found by their order; the bias of GRU's state is inside its reset."""
    variables = shaken(LinenNet().init(jax.random.key(0), SEQUENCES))
    spec = netspec.loads(TEXT)
    ours = netspec.build(spec, "numpy", weights=netspec.weights_from_flax(spec, variables))
    assert_close(ours(SEQUENCES), LinenNet().apply(variables, SEQUENCES))


def test_layers_of_linen_upon_each_other_become_one_of_several() -> None:
    stack = linen.Sequential([linen.RNN(linen.LSTMCell(4)), linen.RNN(linen.LSTMCell(4))])
    variables = shaken(stack.init(jax.random.key(0), SEQUENCES))
    spec = netspec.loads(
        "{netspec: 1, inputs: {x: {shape: [batch, time, 3]}}, layers: [{type: lstm, hidden_size: 4, num_layers: 2}]}"
    )
    ours = netspec.build(spec, "numpy", weights=netspec.weights_from_flax(spec, variables))
    assert_close(ours(SEQUENCES), stack.apply(variables, SEQUENCES))


@pytest.mark.parametrize(
    ("cell", "ours", "message"),
    [
        (linen.GRUCell(4), "gru, hidden_size: 4, recurrent_bias: false", "a bias inside of its reset"),
        (linen.GRUCell(4), "gru, hidden_size: 4, reset: before", "the biases of `reset: after`"),
        (linen.MGUCell(4), "gru, hidden_size: 4", "gru: 1 of ours are left: l; 0 of theirs: none"),
        (linen.LSTMCell(4), "lstm, hidden_size: 4, num_layers: 2", "l has 2 cells in 1, but cell has 1 cells"),
    ],
    ids=["inside", "before", "unknown", "one of two"],
)
def test_what_does_not_fit_is_refused(cell: Any, ours: str, message: str) -> None:
    tree = linen.RNN(cell).init(jax.random.key(0), SEQUENCES)
    spec = netspec.loads(
        f"{{netspec: 1, inputs: {{x: {{shape: [batch, time, 3]}}}}, layers: [{{name: l, type: {ours}}}]}}"
    )
    with pytest.raises(NetspecError) as caught:
        netspec.weights_from_flax(spec, tree)
    assert message in str(caught.value)
