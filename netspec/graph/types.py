"""What is known of a tensor before it exists: its shape, with symbols, and the kind of its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from netspec.errors import ShapeError
from netspec.graph.dims import Shape, Size, bounds, format_shape, is_symbol, product

# "float" is the model's float type, which is chosen when the graph is compiled.
DType = Literal["float", "int64", "int32", "bool"]
DTYPES: tuple[DType, ...] = get_args(DType)
INTEGERS = ("int64", "int32")

MAX_RANK = 8
MAX_SIZE = 2**31 - 1


@dataclass(frozen=True, slots=True)
class TensorType:
    """Shape and dtype of a tensor; the shape holds integers and symbolic sizes."""

    shape: Shape
    dtype: DType = "float"

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> Size:
        """The number of elements."""
        return product(self.shape)

    def with_shape(self, shape: Sequence[Size]) -> TensorType:
        return TensorType(tuple(shape), self.dtype)

    def __str__(self) -> str:
        return f"{self.dtype}{format_shape(self.shape)}"


def check_type(tensor: TensorType) -> TensorType:
    """`tensor` itself, or a ShapeError where its rank is above 8 or a size is below 1 or above 2^31 - 1.

    A symbolic size passes where some value of its symbols makes it 1 or more: the call checks the rest.
    """
    if len(tensor.shape) > MAX_RANK:
        raise ShapeError(f"rank {len(tensor.shape)} is above the limit of {MAX_RANK}")
    for size in tensor.shape:
        if isinstance(size, int):
            if not 1 <= size <= MAX_SIZE:
                raise ShapeError(f"a size of {size} in {format_shape(tensor.shape)}: sizes are from 1 to {MAX_SIZE}")
            continue
        if is_symbol(size):  # nearly all of them, and the rest of this costs ten times as much
            continue
        low, high = bounds(size, MAX_SIZE)
        if high < 1:
            raise ShapeError(f"{size} in {format_shape(tensor.shape)} is below 1 for every size of its symbols")
        if low > MAX_SIZE:
            raise ShapeError(
                f"{size} in {format_shape(tensor.shape)} is above {MAX_SIZE} for every size of its symbols"
            )
    return tensor


def broadcast(shapes: Sequence[Shape]) -> Shape:
    """The common shape by NumPy's rule: aligned at the end, 1 stretches; a symbol goes with itself or 1 only."""
    if all(shape == shapes[0] for shape in shapes):  # nearly always, and much faster
        return shapes[0]
    rank = max(map(len, shapes))
    result: list[Size] = []
    for axis in range(rank):
        sizes = {shape[axis - rank + len(shape)] for shape in shapes if axis - rank + len(shape) >= 0} - {1}
        if len(sizes) > 1:
            both = " and ".join(format_shape(shape) for shape in shapes)
            first, second = sorted(map(str, sizes))[:2]
            raise ShapeError(f"shapes {both} do not broadcast: {first} against {second}")
        result.append(sizes.pop() if sizes else 1)
    return tuple(result)


def normal_axis(axis: int, rank: int, name: str = "dim") -> int:
    """`axis` counted from the front; negative ones count from the end as in NumPy."""
    if not -rank <= axis < rank:
        raise ShapeError(f"{name} {axis} is outside of the {rank} dimensions of its input")
    return axis % rank
