"""Layers that cut a tensor along one dimension: slice, split, chunk, unbind."""

from __future__ import annotations

from typing import Literal

from netspec.errors import ShapeError
from netspec.graph.builder import Builder
from netspec.graph.dims import Size, bounds, compare, divide, format_shape
from netspec.graph.graph import Value
from netspec.graph.types import normal_axis
from netspec.layers.base import Layer
from netspec.layers.fields import Axis, Place, PositiveInt, Sections


class Slice(Layer):
    """The elements `start, start + step, ...` below `end` along `dim`: x[..., start:end:step, ...] as in Python.

    Negative `start` and `end` count from the end, which is `end` unless given. Unlike Python's, both must lie within
    the dimension: a call with a symbolic size that is too small is refused. `step` is positive, as torch has it.
    """

    type: Literal["slice"] = "slice"
    dim: Axis
    start: Place = 0
    end: Place | None = None
    step: PositiveInt = 1

    def expand(self, b: Builder, x: Value) -> Value:
        axis = normal_axis(self.dim, x.type.rank)
        size = x.shape[axis]
        start = _position(b, self.start, size, f"start {self.start}")
        end = size if self.end is None else _position(b, self.end, size, f"end {self.end}")
        if bounds(end - start)[1] < 1:
            raise ShapeError(f"nothing is left from {start} to {end} of dimension {axis} of {format_shape(x.shape)}")
        return b.slice(x, axis, start, end, self.step)


class Split(Layer):
    """Parts of given sizes, one behind the other along `dim`: ports `0`, `1`, ..., as in `qkv:0` (torch.split).

    `split_size_or_sections` is the size of all parts, of which the last may be smaller, or a list of their sizes, whose
    sum is that of the dimension. A list alone will do for a symbolic size. The name alone means all parts in order,
    where several inputs are taken.
    """

    type: Literal["split"] = "split"
    numbered_ports = True
    split_size_or_sections: Sections
    dim: Axis = 0

    def expand(self, b: Builder, x: Value) -> tuple[Value, ...]:
        axis = normal_axis(self.dim, x.type.rank)
        size = x.shape[axis]
        if isinstance(self.split_size_or_sections, tuple):
            total: Size = 0
            for section in self.split_size_or_sections:
                total = total + section
            if total != size:
                shown = format_shape(self.split_size_or_sections)
                raise ShapeError(f"sections {shown} are {total} together, and dimension {axis} is of size {size}")
            return _parts(b, x, axis, self.split_size_or_sections)
        return _parts(b, x, axis, _equal_parts(size, self.split_size_or_sections, "give a list of sizes"))


class Chunk(Layer):
    """`chunks` parts of one size, ceil(size / chunks), along `dim`: ports `0`, `1`, ... (torch.chunk).

    As in torch the last may be smaller, and where a part would be empty there are fewer: of size 6 in 4 chunks there
    are 3. A symbolic size must be divisible by `chunks` whatever it is.
    """

    type: Literal["chunk"] = "chunk"
    numbered_ports = True
    chunks: PositiveInt
    dim: Axis = 0

    def expand(self, b: Builder, x: Value) -> tuple[Value, ...]:
        axis = normal_axis(self.dim, x.type.rank)
        size = x.shape[axis]
        if isinstance(size, int):
            return _parts(b, x, axis, _equal_parts(size, -(-size // self.chunks)))
        part = divide(size, self.chunks)
        if part is None:
            raise ShapeError(f"a size of {size} is not divisible by chunks {self.chunks} for every size of its symbols")
        return _parts(b, x, axis, (part,) * self.chunks)


class Unbind(Layer):
    """All slices along `dim`, which is dropped: ports `0`, `1`, ...; its size must be known (torch.unbind)."""

    type: Literal["unbind"] = "unbind"
    numbered_ports = True
    dim: Axis = 0

    def expand(self, b: Builder, x: Value) -> tuple[Value, ...]:
        axis = normal_axis(self.dim, x.type.rank)
        size = x.shape[axis]
        if not isinstance(size, int):
            raise ShapeError(f"the size of dimension {axis} must be known, got {size}")
        _check_count(size)
        return tuple(b.select(x, axis, index) for index in range(size))


# More outputs than anyone names: a mistake in a field, which would take long to be found.
_MAX_PARTS = 1024


def _position(b: Builder, place: Size, size: Size, word: str) -> Size:
    """`place` counted from the front, from 0 to `size`; a call in which it is not is refused."""
    found = size + place if compare(place, "<", 0) else place
    if bounds(found)[1] < 0 or bounds(size - found)[1] < 0:
        raise ShapeError(f"{word} is outside of a dimension of size {size}")
    b.require(found, 0, f"{word} is outside of a dimension of size {size}")
    b.require(size - found, 0, f"{word} is outside of a dimension of size {size}")
    return found


def _equal_parts(size: Size, part: int, remedy: str = "") -> tuple[int, ...]:
    if not isinstance(size, int):
        raise ShapeError(f"the number of parts of a size of {size} is not known: {remedy}")
    _check_count(-(-size // part))
    rest = size % part
    return (part,) * (size // part) + ((rest,) if rest else ())


def _check_count(count: int) -> None:
    if count > _MAX_PARTS:
        raise ShapeError(f"{count} outputs are more than {_MAX_PARTS}")


def _parts(b: Builder, x: Value, axis: int, sizes: tuple[Size, ...]) -> tuple[Value, ...]:
    begin: Size = 0
    parts = []
    for size in sizes:
        parts.append(b.slice(x, axis, begin, begin + size))
        begin = begin + size
    return tuple(parts)
