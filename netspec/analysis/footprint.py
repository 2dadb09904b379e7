"""How much memory a model takes while it runs or trains, and the largest batch that fits into so much."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from netspec.analysis.choices import FLOAT_BYTES, OPTIMIZER_STATE, FloatType, Optimizer
from netspec.analysis.memory import Moments, inference_moments
from netspec.analysis.sample import BATCH, sample_sizes
from netspec.analysis.training_memory import training_moments
from netspec.errors import NetspecError
from netspec.graph.dims import Size, symbol
from netspec.graph.graph import Buffer, Graph, Param
from netspec.graph.types import MAX_SIZE


@dataclass(frozen=True)
class Footprint:
    """Bytes at the peak of one pass. `activations` is None where it depends on sizes that are open (`undecided`)."""

    weights: int
    gradients: int
    optimizer: int
    buffers: int
    activations: Size | None
    peak_at: str | None
    undecided: tuple[str, ...] = ()

    @property
    def fixed(self) -> int:
        """What does not depend on the batch."""
        return self.weights + self.gradients + self.optimizer + self.buffers

    @property
    def total(self) -> Size | None:
        return None if self.activations is None else self.activations + self.fixed


def footprint(
    graph: Graph,
    dims: Mapping[str, int] | None = None,
    dtype: FloatType = "float32",
    optimizer: Optimizer = "sgd",
) -> Footprint:
    """The memory that the tensors of one pass take, of inference or of a training step as the graph is.

    Counted are parameters and buffers, each once; in training a gradient for each trainable parameter, there all the
    time as it is from the second step on, and the optimiser's state; and the most activations that live at one time
    (`activation_memory` and `training_moments` say which do). All floats are of `dtype`, the state too. Not counted
    are what a layer needs inside (such as workspaces of convolutions), copies in other layouts, what the allocator
    rounds up or does not give back, and the framework itself. The symbol `batch` is 1 unless `dims` gives it.
    Raises NetspecError as `sample_sizes` does.
    """
    found = _moments(graph, sample_sizes(graph, dims), dtype).memory(0)
    return Footprint(*_fixed(graph, dtype, optimizer), found.peak, found.peak_at, found.undecided)


def largest_batch(
    graph: Graph,
    limit: int,
    dims: Mapping[str, int] | None = None,
    dtype: FloatType = "float32",
    optimizer: Optimizer = "sgd",
) -> int:
    """The largest batch of which the footprint is at most `limit` bytes; 0 where that of one sample is above.

    Exact: the peak is the largest of some polynomials in the batch, which grow with it. Raises NetspecError as
    `sample_sizes` does, and where the model has no symbol `batch` or another symbol is left open.
    """
    given = {name: size for name, size in (dims or {}).items() if name != BATCH}
    if BATCH not in graph.symbols():
        raise NetspecError("the model has no symbolic dimension batch, so that no batch can be fitted")
    sizes = sample_sizes(graph, {**given, BATCH: MAX_SIZE})
    unknown = [name for name, size in sizes.items() if not isinstance(size, int)]
    if unknown:
        raise NetspecError(f"the largest batch depends on the sizes of {', '.join(unknown)}: give them")
    moments = _moments(graph, {**sizes, BATCH: symbol(BATCH)}, dtype)
    room = limit - sum(_fixed(graph, dtype, optimizer))
    low, high = 0, MAX_SIZE + 1  # the first fits, the second does not
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if moments.peak({BATCH: middle}) <= room else (low, middle)
    sample_sizes(graph, {**given, BATCH: max(low, 1)})  # some layers need more than one sample
    return low


def _fixed(graph: Graph, dtype: FloatType, optimizer: Optimizer) -> tuple[int, int, int, int]:
    """Bytes of weights, gradients, the optimiser's state and buffers."""
    size = FLOAT_BYTES[dtype]
    weights = sum(_bytes(param, size) for param in graph.params)
    trainable = sum(_bytes(param, size) for param in graph.params if param.trainable) if graph.training else 0
    return weights, trainable, OPTIMIZER_STATE[optimizer] * trainable, sum(_bytes(held, size) for held in graph.buffers)


def _bytes(held: Param | Buffer, float_bytes: int) -> int:
    size = held.value.type.size
    assert isinstance(size, int)
    return size * float_bytes


def _moments(graph: Graph, sizes: Mapping[str, Size], dtype: FloatType) -> Moments:
    moments = training_moments if graph.training else inference_moments
    return moments(graph, sizes, FLOAT_BYTES[dtype])
