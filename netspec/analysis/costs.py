"""What one sample costs to compute: multiply-adds and elementwise operations, by layer and in all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from netspec.analysis.sample import sample_sizes
from netspec.graph.dims import Size, evaluate
from netspec.graph.graph import Graph, Node


@dataclass(frozen=True)
class Cost:
    """`macs` are the multiply-adds of matrix products and convolutions; `elementwise` is all other arithmetic, one
    operation for each number computed. Integers, or polynomials in symbols whose size is open."""

    macs: Size = 0
    elementwise: Size = 0

    @property
    def flops(self) -> Size:
        """2 x MACs: a multiplication and an addition each."""
        return 2 * self.macs

    def times(self, steps: Size) -> Cost:
        """The cost of `steps` of them."""
        return Cost(self.macs * steps, self.elementwise * steps)

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.macs + other.macs, self.elementwise + other.elementwise)


@dataclass(frozen=True)
class LayerCost:
    """One layer, with the shape of its main output for this sample."""

    path: str
    type: str
    output_shape: tuple[Size, ...]
    cost: Cost


@dataclass(frozen=True)
class ModelCost:
    """The layers in order of running, and the whole model."""

    rows: tuple[LayerCost, ...]
    total: Cost


def count_costs(graph: Graph, dims: Mapping[str, int] | None = None) -> ModelCost:
    """Count one pass of an inference graph over one sample, from the rules of its primitives.

    A layer in a loop costs what all turns of it do, of a `while` as many as its limit allows. Each branch has rows of
    its own, but the model costs the most expensive one. The symbol `batch` is 1 and other symbols stay open, unless
    `dims` gives their sizes. Exact: nothing is run.
    Raises NetspecError as `sample_sizes` does.
    """
    sizes = sample_sizes(graph, dims)
    rows = tuple(
        LayerCost(
            path=call.path,
            type=call.layer.type,
            output_shape=tuple(evaluate(size, sizes) for size in call.outputs[0].shape),
            cost=_cost(call.body, sizes).times(evaluate(steps, sizes)),
        )
        for call, steps in graph.calls_and_steps()
    )
    return ModelCost(rows, _cost(graph.primitives(), sizes))


def _cost(nodes: Iterable[Node], sizes: Mapping[str, Size]) -> Cost:
    total = Cost()
    for node in nodes:
        inputs = tuple(value.type for value in node.inputs)
        outputs = tuple(value.type for value in node.outputs)
        macs, elementwise = node.op.macs(inputs, outputs), node.op.elementwise(inputs, outputs)
        total += Cost(evaluate(macs, sizes), evaluate(elementwise, sizes))
    return total
