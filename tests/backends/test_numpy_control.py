"""Control flow in the reference: gradients against finite differences, and what flows back where a block says so."""

from __future__ import annotations

import numpy as np
import pytest

import netspec_numpy
from netspec.spec import loads
from netspec_numpy.interpreter import Run, forward
from netspec_numpy.lowerings import LOWERINGS
from tests.backends.control_graphs import CALLS, NOISY, assert_drawn_anew, control
from tests.backends.graphs import Arrays, draw_weights

STEP = 1e-5  # of the central difference: its own error is about STEP^2, rounding gives 1e-16 / STEP


@pytest.mark.parametrize("given", CALLS)
def test_gradients_are_those_of_finite_differences(given: Arrays) -> None:
    pair = control("scans", "whiles", "choices")
    weights = {path: np.asarray(array, np.float64) for path, array in draw_weights(pair).items()}
    model = netspec_numpy.backend.compile(pair, weights)
    given = {name: np.asarray(x, np.float64) if x.dtype.kind == "f" else x for name, x in given.items()}
    rng = np.random.default_rng(5)
    outputs = model.evaluate(given).outputs
    along = {name: rng.normal(size=y.shape) for name, y in outputs.items() if y.dtype.kind == "f"}
    gradients = model.evaluate(given, along).gradients
    assert {name for name in gradients if not name.startswith("input:")} == set(weights)
    for name, gradient in gradients.items():
        direction = rng.normal(size=gradient.shape)
        losses = []
        for step in (STEP, -STEP):
            if name.startswith("input:"):
                key = name.removeprefix("input:")
                moved = model.evaluate({**given, key: given[key] + step * direction}).outputs
            else:
                moved = model.evaluate(given, weights={name: weights[name] + step * direction}).outputs
            losses.append(sum(float(np.sum(y * moved[key])) for key, y in along.items()))
        found = np.sum(gradient * direction)
        scale = max(1.0, float(np.sum(np.abs(gradient * direction))), abs(losses[0]))
        assert found == pytest.approx((losses[0] - losses[1]) / (2 * STEP), abs=1e-8 * scale, rel=0), name


def test_a_gradient_of_ones_own_is_what_flows_back() -> None:
    text = """\
netspec: 1
inputs: {x: {shape: [batch, 2]}}
blocks:
  Turned: {inputs: [x], gradient: Back, layers: [{name: y, type: tanh}], outputs: {y: y}}
  Back: {inputs: [grad_y, y], layers: [{name: d, type: formula, from: [grad_y, y], expr: -3 * grad_y + y}],
         outputs: {x: d}}
layers: [{type: Turned}]
"""
    model = netspec_numpy.backend.compile(loads(text).graphs, {})
    x, g = np.array([[0.5, -1.0]]), np.array([[2.0, 7.0]])
    np.testing.assert_allclose(model.evaluate({"x": x}, {"output": g}).gradients["input:x"], -3 * g + np.tanh(x))


def test_each_turn_draws_anew() -> None:
    model = netspec_numpy.backend.compile(loads(NOISY).graphs, {})
    ones = np.ones((4, 5, 50))
    found = model(ones, training=True)
    assert_drawn_anew(found["steps"].astype(np.float32), found["turns"])


def test_a_run_that_keeps_nothing_holds_no_turns() -> None:
    pair = control()
    model = netspec_numpy.backend.compile(pair, draw_weights(pair))
    values, sizes = model._start(pair.inference, CALLS[0], model.weights())
    run = Run(LOWERINGS, sizes, "float64", values, keep=False)
    forward(pair.inference, run)
    assert not run.bodies
