"""Nets that are hard on a pass, and what runs them in NumPy: joins of any rank, reductions, both layouts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from hypothesis import strategies as st

from netspec import layers
from netspec.graph.builder import Builder, Entry
from netspec.graph.dims import evaluate, symbol
from netspec.graph.graph import Graph, GraphPair, Origin, Value
from netspec.graph.invariants import check_graph
from netspec.graph.ops import Convolution
from netspec.graph.types import TensorType
from netspec.layers.base import Layer
from netspec.model import Evaluation
from netspec.passes.expose import PROBE
from netspec_numpy.model import NumpyModel

Arrays = dict[str, np.ndarray[Any, Any]]
BATCH = symbol("batch")


class Parameter(Layer):
    """A parameter as a layer, so that operands of any rank can be joined to the values of a net."""

    type: str = "parameter"
    shape: tuple[int, ...]

    def expand(self, b: Builder) -> Value:
        return b.param("value", self.shape, "zeros")


class Reduce(Layer):
    """A sum, mean or maximum over any axes, which part 1 has no layer for."""

    type: str = "reduce"
    kind: str
    axes: tuple[int, ...]
    keepdims: bool

    def expand(self, b: Builder, x: Value) -> Value:
        reduction: Callable[..., Value] = getattr(b, self.kind)
        return reduction(x, self.axes, keepdims=self.keepdims)


class Transpose(Layer):
    """Axes in another order."""

    type: str = "transpose"
    axes: tuple[int, ...]

    def expand(self, b: Builder, x: Value) -> Value:
        return b.permute(x, self.axes)


class Tangled(Layer):
    """Reads its input in both layouts inside one body, and hands on two values."""

    type: str = "tangled"
    ports = ("output", "pooled")

    def expand(self, b: Builder, x: Value) -> tuple[Value, Value]:
        rows = b.matmul(x, b.param("mix", (x.shape[-1], x.shape[-1]), "zeros"))
        kernel = b.param("kernel", (x.shape[1], x.shape[1], 1, 1), "zeros")
        y = b.apply(Convolution((1, 1), ((0, 0), (0, 0)), (1, 1), 1), x, kernel)
        return y * x + rows, b.mean(y, (1,))


class Net:
    """A graph under construction: `add(layer, *inputs)` is a layer under the next number."""

    def __init__(self, training: bool) -> None:
        self.b = Builder("net", training)
        self.count = 0

    def input(self, *shape: Any) -> Value:
        return self.b.input(f"x{len(self.b._inputs)}", TensorType(shape))

    def add(self, layer: Layer, *inputs: Value) -> Value:
        self.count += 1
        return self.b.call(layer, Entry(Origin(f"layer{self.count}", None)), inputs)[0]

    def parameter(self, *shape: int) -> Value:
        return self.add(Parameter(shape=shape))


def weights_of(graph: Graph, rng: np.random.Generator) -> Arrays:
    """Values for all parameters and buffers; variances are positive."""
    return {
        held.path: rng.uniform(0.5, 2, held.value.shape)
        if held.path.endswith("running_var")
        else rng.normal(size=held.value.shape)
        for held in graph.state
    }


def shape_at(value: Value, batch: int) -> tuple[int, ...]:
    return tuple(evaluate(size, {"batch": batch}) for size in value.shape)


def run(graph: Graph, weights: Arrays, seed: int = 3, batch: int = 2) -> Evaluation:
    """Outputs, gradients for a random cotangent of every output, and updates, in float64."""
    model = NumpyModel(GraphPair(graph, graph), weights, "float64", *tables())
    rng = np.random.default_rng(seed)
    inputs = {}
    for entry in graph.inputs:
        array = rng.normal(size=shape_at(entry.value, batch))
        inputs[entry.name] = np.zeros_like(array) if entry.name.startswith(PROBE) else array
    cotangents = {
        o.name: rng.normal(size=shape_at(o.value, batch)) for o in graph.outputs if o.value.type.dtype == "float"
    }
    return model.evaluate(inputs, cotangents, training=graph.training)


def tables() -> tuple[Any, Any]:
    from netspec_numpy.lowerings import LOWERINGS
    from netspec_numpy.vjps import VJPS

    return LOWERINGS, VJPS


def assert_same(one: Evaluation, other: Evaluation, gradients: Iterable[str] | None = None) -> None:
    """All numbers within 1e-12 of the largest of their tensor, gradients of 1e-3 of the largest gradient at least."""
    largest = max((np.abs(array).max() for array in one.gradients.values()), default=0.0)
    for part, floor in (("outputs", 0.0), ("gradients", 1e-3 * largest), ("updates", 0.0)):
        first, second = getattr(one, part), getattr(other, part)
        if part == "gradients" and gradients is not None:
            second = {name: second[name] for name in gradients}
        assert first.keys() == second.keys(), part
        for name in first:
            assert first[name].shape == second[name].shape, name
            scale = max(np.abs(first[name]).max(), floor)
            np.testing.assert_allclose(second[name], first[name], rtol=0, atol=1e-12 * scale, err_msg=f"{part} {name}")


Make = Callable[[Net], Mapping[str, Value]]


def operands(net: Net) -> Mapping[str, Value]:
    """A convolution's output joined with operands of every lower rank, and with an input that broadcasts."""
    x = net.add(layers.Conv2d(out_channels=3, kernel_size=2), net.input(BATCH, 2, 5, 4))
    for shape in ((3, 1, 1), (3,), (4, 3), (3, 4, 3), (4, 1), (1, 4, 3), (), (1, 3, 1, 1), (1, 1, 4, 1), (1, 1)):
        x = net.add(layers.Add(), x, net.parameter(*shape))
        x = net.add(layers.Mul(), net.parameter(*shape), x)
    y = net.add(layers.Mul(), x, net.input(BATCH, 3, 1, 1))
    return {"y": net.add(layers.Tanh(), y), "x": x}


def axes(net: Net) -> Mapping[str, Value]:
    """softmax over each axis, layer_norm over trailing ones, right behind a convolution."""
    x = net.add(layers.Conv2d(out_channels=3, kernel_size=(2, 3), padding=1), net.input(BATCH, 2, 4, 3))
    found = {f"softmax{dim}": net.add(layers.Softmax(dim=dim), x) for dim in (0, 1, 2, 3)}
    norms = {str(dim): net.add(layers.LayerNorm(dim=dim), x) for dim in (-1, (2, 3), (1, 2, 3))}
    mixed = net.add(layers.Linear(out_features=5), norms["-1"])
    return {**found, **norms, "linear": mixed, "after": net.add(layers.MaxPool2d(kernel_size=2), mixed)}


def reductions(net: Net) -> Mapping[str, Value]:
    """Sums, means and maxima that keep any axes, dropped or of size 1, and what is done with them."""
    x = net.add(layers.Conv2d(out_channels=3, kernel_size=2), net.input(BATCH, 2, 5, 4))
    found: dict[str, Value] = {"x": x}
    kept = [
        (0,),
        (1,),
        (2,),
        (3,),
        (0, 1),
        (0, 2),
        (0, 3),
        (1, 2),
        (1, 3),
        (2, 3),
        (0, 1, 2),
        (0, 2, 3),
        (1, 2, 3),
        (0, 1, 3),
    ]
    for number, reduced in enumerate([*kept, (0, 1, 2, 3)]):
        kind = ("sum", "mean", "max")[number % 3]
        for keepdims in (False, True):
            y = net.add(Reduce(kind=kind, axes=reduced, keepdims=keepdims), x)
            found[f"{kind}{reduced}{keepdims}"] = net.add(layers.Tanh(), y)
            if keepdims:
                found[f"joined{reduced}"] = net.add(layers.Mul(), y, x)
    lines = net.add(Reduce(kind="sum", axes=(3,), keepdims=False), x)
    found["lines"] = net.add(layers.Concat(dim=1), lines, lines)
    found["linear"] = net.add(layers.Linear(out_features=2), lines)
    found["norm"] = net.add(layers.BatchNorm(), lines)
    found["flat"] = net.add(layers.Flatten(), lines)
    return found


def residual(net: Net) -> Mapping[str, Value]:
    """Batch norm in training, skips, concat along every axis, dropout with given noise, one frozen layout change."""
    image = net.input(BATCH, 2, 6, 5)
    x = net.add(layers.Conv2d(out_channels=4, kernel_size=3, padding="same", bias=False), image)
    x = net.add(layers.Relu(), net.add(layers.BatchNorm(stats_decay=0.7), x))
    y = net.add(layers.Conv2d(out_channels=4, kernel_size=3, padding=((1, 1), (2, 0)), groups=2), x)
    y = net.add(layers.Dropout(p=0.3), net.add(layers.BatchNorm(affine=False, running_var="biased"), y))
    x = net.add(layers.Add(), y, x)
    for dim in (1, 2, -1, 0):
        x = net.add(layers.Concat(dim=dim), x, net.add(layers.LeakyRelu(negative_slope=0.2), x))
    x = net.add(layers.AvgPool2d(kernel_size=(3, 2), stride=2, padding=(1, 0), count_include_pad=False), x)
    grown = net.add(layers.ConvTranspose2d(out_channels=4, kernel_size=(2, 3), stride=2, groups=2, padding="same"), x)
    x = net.add(layers.AdaptiveAvgPool2d(output_size=x.shape[2:]), grown)
    pooled = net.add(layers.GlobalAvgPool(), x)
    flat = net.add(layers.Flatten(), net.add(layers.Dropout(p=0.5), net.add(layers.MaxPool2d(kernel_size=2), x)))
    return {"pooled": net.add(layers.Linear(out_features=3), pooled), "flat": flat, "x": x}


def both_layouts(net: Net) -> Mapping[str, Value]:
    """Values that are read in both layouts: by a convolution, a matrix product, reshapes, transposes, outputs."""
    image = net.input(BATCH, 3, 4, 4)
    x = net.add(layers.Conv2d(out_channels=3, kernel_size=1), image)
    found = {"image": net.add(layers.Tanh(), image), "x": x}
    found["linear"] = net.add(layers.Linear(out_features=4), x)
    found["joined"] = net.add(layers.Mul(), found["linear"], x)
    found["flat"] = net.add(layers.Flatten(start_dim=2), x)
    found["grid"] = net.add(layers.Reshape(shape=(BATCH, 3, 2, 8)), x)
    found["pooled"] = net.add(layers.MaxPool2d(kernel_size=2), found["grid"])
    for order in ((0, 2, 3, 1), (3, 1, 0, 2), (0, 1, 3, 2), (1, 0, 2, 3)):
        found[f"turned{order}"] = net.add(Transpose(axes=order), x)
    found["again"] = net.add(layers.Conv2d(out_channels=2, kernel_size=2), found["turned(0, 2, 3, 1)"])
    point = net.add(layers.AvgPool2d(kernel_size=4), x)
    found["point"] = net.add(layers.Flatten(), point)
    found["line"] = net.add(layers.Flatten(), net.add(layers.MaxPool2d(kernel_size=(1, 4)), x))
    found["tangled"] = net.add(Tangled(), net.add(layers.Relu(), x))
    found["tangled input"] = net.add(Tangled(), image)
    found["kernel"] = net.add(layers.Conv2d(out_channels=3, kernel_size=1), net.add(Tangled(), found["tangled"]))
    return found


def plain(net: Net) -> Mapping[str, Value]:
    """Nothing spatial: nothing may change."""
    x = net.input(BATCH, 3, 4, 5)
    y = net.add(layers.Softmax(dim=1), net.add(layers.LayerNorm(), net.add(layers.Gelu(), x)))
    return {"y": net.add(layers.Linear(out_features=2), net.add(layers.Flatten(start_dim=2), y))}


NETS: dict[str, Make] = {make.__name__: make for make in (operands, axes, reductions, residual, both_layouts, plain)}


def graph_of(make: Make, training: bool) -> Graph:
    net = Net(training)
    return check_graph(net.b.finish(make(net)))


@st.composite
def nets(draw: st.DrawFn) -> Make:
    """Random nets on a 4-D value: each step reads one or two of the values so far."""
    steps = draw(
        st.lists(
            st.tuples(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 16), st.integers(0, 3)),
            min_size=3,
            max_size=9,
        )
    )

    def make(net: Net) -> Mapping[str, Value]:
        values = [net.input(BATCH, 2, 4, 3), net.input(BATCH, 2, 4, 3)]
        others: dict[str, Value] = {}
        for first, second, kind, axis in steps:
            x, y = values[first % len(values)], values[second % len(values)]
            channels, height, width = x.shape[1:]
            made: Layer | None = None
            match kind:
                case 0 | 1:
                    made = layers.Conv2d(out_channels=2 + axis, kernel_size=(1, 2), padding="same", bias=axis != 2)
                case 2:
                    made = layers.MaxPool2d(kernel_size=2, stride=1, padding=1)
                case 3:
                    made = layers.BatchNorm(affine=axis != 1)
                case 4:
                    made = layers.Softmax(dim=axis)
                case 5:
                    made = layers.LayerNorm(dim=tuple(range(max(axis, 1), 4)))
                case 6:
                    made = Transpose(axes=((0, 1, 3, 2), (0, 2, 3, 1), (0, 3, 1, 2), (0, 3, 2, 1))[axis])
                case 7:
                    made = layers.Linear(out_features=width)
                case 8:
                    made = layers.Dropout(p=0.25)
                case 9:
                    shape = ((channels, 1, 1), (width,), (height, width), (channels, height, 1))[axis]
                    values.append(net.add(layers.Mul(), x, net.parameter(*shape)))
                case 10 if x.shape == y.shape:
                    values.append(net.add(layers.Add(), x, y))
                case 11 if x.shape == y.shape:
                    values.append(net.add(layers.Concat(dim=max(axis, 1)), x, y))
                case 12:
                    reduced = net.add(Reduce(kind="mean", axes=(axis,), keepdims=True), x)
                    values.append(net.add(layers.Mul(), reduced, x))
                case 13:
                    made = layers.Reshape(shape=(BATCH, width, channels, height))
                case 14:
                    made = layers.ConvTranspose2d(out_channels=2 + axis, kernel_size=(2, 1), padding=((0, 1), (0, 0)))
                case 15:
                    made = layers.AdaptiveAvgPool2d(output_size=(height, 1 + axis))
                case _:
                    made = layers.Tanh()
            if made is not None:
                values.append(net.add(made, x))
            others[f"flat{len(others)}"] = net.add(layers.Flatten(start_dim=1 + axis % 3), values[-1])
        return {**others, "last": values[-1], "other": values[len(values) // 2]}

    return make
