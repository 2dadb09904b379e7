"""One graph with every kind of control flow, its inputs, and a backend's results beside those of NumPy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

import netspec_numpy
from netspec.backend import Backend
from netspec.graph.builder import Builder, Entry
from netspec.graph.graph import GraphPair, Origin, Value
from netspec.graph.types import TensorType
from netspec.layers.base import Layer
from netspec.layers.initializers import Ones
from tests.backends.graphs import BATCH, TIME, Arrays, assert_close, draw_weights, graphs

LONG = 70  # steps: more than any backend unrolls


class Scans(Layer):
    """Slices along unlike axes, stacks along others than the first, forwards and in reverse, a scan within a scan."""

    type: Literal["scans"] = "scans"

    def expand(self, b: Builder, x: Value, z: Value, long: Value) -> tuple[Value, ...]:
        w = b.param("weight", (2, 4), Ones())
        state = b.full(0.25, (x.shape[0], 4))

        def recurrence(word: Value, drive: Value, h: Value) -> list[Value]:
            h = b.tanh(b.matmul(word, w) + h + drive)
            return [h, h * 2, b.constant(3.0)]

        forwards = b.scan(recurrence, over=[x, z], axis=[1, 0], carried=[state], out_axis=[2, 0])
        backwards = b.scan(recurrence, over=[x, z], axis=[1, 0], carried=[state], out_axis=[1, 0], reverse=True)

        def inner(element: Value, total: Value) -> list[Value]:
            total = b.tanh(total * 0.5 + element)
            return [total, total]

        def outer(row: Value, total: Value) -> list[Value]:
            total, totals = b.scan(inner, over=[row], axis=0, carried=[total])
            return [total, totals, total]

        nested = b.scan(outer, over=[z], axis=0, carried=[b.constant(0.5)], out_axis=[1, 0], reverse=True)
        steps = b.scan(outer, over=[long], axis=1, carried=[b.constant(0.5)], out_axis=0)
        return (*forwards, *backwards, *nested, *steps)


class Whiles(Layer):
    """Three that never run, stop early and hit the limit; the last grows by a parameter."""

    type: Literal["whiles"] = "whiles"

    def expand(self, b: Builder, x: Value, go: Value) -> tuple[Value, ...]:
        factor = b.param("factor", (4,), Ones())

        def grow(v: Value, go: Value, count: Value) -> list[Value]:
            v = v * (b.abs(factor) + 1.1)
            return [v, b.greater(200.0, b.sum(v * v, (0, 1))), count + 1]

        never = b.greater(0.0, b.sum(x * x, (0, 1)))
        number = b.array((0,), (), "int64")
        results: list[Value] = []
        for start, limit in ((never, 9), (go, 9), (go, 1)):
            v, _, count = b.while_loop(grow, [x, start, number], 1, limit)
            results += [v, count]
        return tuple(results)


class Choices(Layer):
    """By a bool and by an integer; one branch gives a constant, one holds a scan, one hands on what it gets."""

    type: Literal["choices"] = "choices"

    def expand(self, b: Builder, x: Value, go: Value, which: Value) -> tuple[Value, ...]:
        w = b.param("weight", (4,), Ones())

        def summed(x: Value, total: Value) -> list[Value]:
            def add(column: Value, total: Value) -> list[Value]:
                return [total + b.sum(column, 0)]

            (total,) = b.scan(add, over=[x * w], axis=1, carried=[total])
            return [x, total]

        two = b.cond(
            go, [lambda x, total: [x * 0.5, b.constant(2.0)], lambda x, total: [x * w, total]], [x, b.sum(x, (0, 1))]
        )
        three = b.cond(
            which,
            [lambda x, total: [b.sin(x * w), total * 2], summed, lambda x, total: [x, b.constant(3.0)]],
            [x, b.sum(x, (0, 1))],
        )
        return (*two, *three)


class OwnGradient(Layer):
    """A sigmoid with ten times its gradient, and a product whose second factor gets nothing; also within a scan."""

    type: Literal["own_gradient"] = "own_gradient"

    def expand(self, b: Builder, x: Value, z: Value) -> tuple[Value, ...]:
        w = b.param("weight", (4,), Ones())

        def back(x: Value, y: Value, g: Value) -> list[Value]:
            return [g * y * (1.0 - y) * 10.0]

        def once(x: Value) -> Value:
            (y,) = b.custom_gradient(lambda x: [b.sigmoid(x)], back, [x])
            return y

        product = b.custom_gradient(
            lambda x, w: [x * w, x],
            lambda x, w, y, same, g, h: [g * w + h * 3.0, w * 0.0],
            [x, w],
        )
        stacked = b.scan(lambda row, total: [total + once(row * w)], over=[z], axis=0, carried=[b.full(0.0, (4,))])
        return (once(x), *product, *stacked)


def control(*types: str) -> GraphPair:
    """The layers of these types, or all four.

    Inputs: x [batch, time, 2], z [time, 4], long [3, 70], v [batch, 4], go (bool), which (0, 1 or 2).
    """

    def make(b: Builder) -> Mapping[str, Value]:
        x = b.input("x", TensorType((BATCH, TIME, 2)))
        z = b.input("z", TensorType((TIME, 4)))
        long = b.input("long", TensorType((3, LONG)))
        v = b.input("v", TensorType((BATCH, 4)))
        go = b.input("go", TensorType((), "bool"))
        which = b.input("which", TensorType((), "int64"))
        parts: list[tuple[Layer, tuple[Value, ...]]] = [
            (Scans(), (x, z, long)),
            (Whiles(), (v, go)),
            (Choices(), (v, go, which)),
            (OwnGradient(), (v, z)),
        ]
        outputs: dict[str, Value] = {}
        for layer, given in parts:
            if types and layer.type not in types:
                continue
            results = b.call(layer, Entry(Origin(layer.type, None)), given)
            outputs |= {f"{layer.type}_{position}": value for position, value in enumerate(results)}
        return outputs

    return graphs(make)


def inputs(batch: int = 2, time: int = 5, go: bool = True, which: int = 0) -> Arrays:
    rng = np.random.default_rng(13)

    def drawn(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        return rng.normal(0.2, 1, shape).astype(np.float32)

    return {
        "x": drawn(batch, time, 2),
        "z": drawn(time, 4),
        "long": drawn(3, LONG),
        "v": drawn(batch, 4),
        "go": np.asarray(go),
        "which": np.asarray(which),
    }


CALLS = (inputs(), inputs(go=False, which=1), inputs(3, 1, True, 2))


def agree(backend: Backend, tolerance: float = 1e-10) -> None:
    """Outputs and gradients of all CALLS in float64 are those of NumPy."""
    pair = control()
    weights = draw_weights(pair)
    reference, model = netspec_numpy.backend.compile(pair, weights), backend.compile(pair, weights, "float64")
    for given in CALLS:
        first = reference.evaluate(given)
        rng = np.random.default_rng(3)
        along = {name: rng.normal(0, 1, y.shape) for name, y in first.outputs.items() if y.dtype.kind == "f"}
        expected, got = reference.evaluate(given, along), model.evaluate(given, along)
        for here, there in ((got.outputs, expected.outputs), (got.gradients, expected.gradients)):
            assert set(here) == set(there)
            for name, array in here.items():
                assert_close(array, there[name], tolerance, 1e-3)


# Each step must draw anew: a loop of as many turns as there are steps, and one that stops by itself.
NOISY = """
netspec: 1
inputs: {x: {shape: [batch, time, 50]}}
layers:
  - name: steps
    scan: {over: [slice], dim: 1}
    inputs: [slice]
    layers: [{name: drop, type: dropout, p: 0.25}]
  - {name: zero, type: zeros, shape: []}
  - {name: ever, type: formula, from: zero, expr: x < 1}
  - name: turns
    while: {condition: busy, limit: 9}
    from: {v: x, busy: ever, n: zero}
    inputs: [v, busy, n]
    layers:
      - {name: drop, type: dropout, p: 0.25, from: v}
      - {name: next, type: formula, from: n, expr: x + 1}
      - {name: go, type: formula, from: next, expr: x < 2}
    outputs: {v: drop, busy: go, n: next}
outputs: {steps: steps, turns: "turns:v"}
"""


def assert_drawn_anew(steps: np.ndarray[Any, Any], turns: np.ndarray[Any, Any]) -> None:
    """Of NOISY on ones: no two steps have one mask, and the second turn does not draw what the first drew."""
    assert set(np.unique(steps)) == {np.float32(0), np.float32(1 / 0.75)}
    masks = [steps[:, step] for step in range(steps.shape[1])]
    assert all(not np.array_equal(one, other) for k, one in enumerate(masks) for other in masks[:k])
    assert abs((steps == 0).mean() - 0.25) < 0.05
    assert abs((turns == 0).mean() - (1 - 0.75**2)) < 0.06
