"""The layer rearrange: reshape and permute in one, by a pattern of names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal, NamedTuple

from pydantic import Field, model_validator

from netspec.errors import ShapeError
from netspec.graph.builder import Builder
from netspec.graph.dims import Size, divide, format_shape, product
from netspec.graph.graph import Value
from netspec.layers.base import Layer
from netspec.layers.fields import AxisSizes, Expected
from netspec.layers.validation import shown

_TOKEN = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*|1(?![A-Za-z0-9_])|[()])")

# A side of a pattern: for each dimension the names of the axes that it is made of; a dimension of size 1 has none.
Side = tuple[tuple[str, ...], ...]


class Pattern(NamedTuple):
    """`b l (h d) -> b h l d`, read."""

    left: Side
    right: Side


def read_pattern(text: str) -> Pattern:
    """Both sides of `text`, each name once on each. Raises ValueError that says what is wrong."""
    left_text, arrow, right_text = text.partition("->")
    if not arrow:
        raise ValueError(f"pattern: -> is required, as in b l (h d) -> b h l d, got {shown(text)}")
    left, right = _side(left_text), _side(right_text)
    for one, other, where in ((left, right, "right"), (right, left, "left")):
        for name in _names(one):
            if name not in _names(other):
                raise ValueError(f"pattern: {name} is missing on the {where} of ->")
    return Pattern(left, right)


def _side(text: str) -> Side:
    if "..." in text:
        raise ValueError("pattern: an ellipsis is refused: name each dimension")
    dimensions: list[tuple[str, ...]] = []
    group: list[str] | None = None
    position = 0
    text = text.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise ValueError(f"pattern: expected names, 1 and one level of ( ), got {shown(text[position:])}")
        position = match.end()
        token = match[1]
        if token in "()":
            if (token == "(") != (group is None):
                raise ValueError(f"pattern: {token} without its counterpart")
            if group is not None:
                dimensions.append(tuple(group))
            group = [] if token == "(" else None
        elif group is not None:
            group += [] if token == "1" else [token]
        else:
            dimensions.append(() if token == "1" else (token,))
    if group is not None:
        raise ValueError("pattern: ( without its counterpart")
    side = tuple(dimensions)
    names = _names(side)
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"pattern: {name} stands twice on one side of ->")
    return side


def _names(side: Side) -> list[str]:
    return [name for dimension in side for name in dimension]


class Rearrange(Layer):
    """Dimensions split, ordered and joined by `pattern`: `b l (h d) -> b h l d` with `sizes: {h: 8}`.

    Names stand for dimensions, those in brackets for one that is their product in row-major order, 1 for a dimension
    of size 1. Of a dimension that is split, all sizes but one must be in `sizes`.
    """

    type: Literal["rearrange"] = "rearrange"
    pattern: Annotated[str, Expected("a pattern such as b l (h d) -> b h l d")]
    sizes: AxisSizes = Field(default_factory=dict)

    @model_validator(mode="after")
    def _known_names(self) -> Rearrange:
        names = _names(read_pattern(self.pattern).left)
        for name in self.sizes:
            if name not in names:
                raise ValueError(f"sizes: {name} is not in the pattern {self.pattern}")
        return self

    def expand(self, b: Builder, x: Value) -> Value:
        left, right = read_pattern(self.pattern)
        if len(left) != x.type.rank:
            raise ShapeError(
                f"{self.pattern} has {len(left)} dimensions on its left, and {format_shape(x.shape)} has {x.type.rank}"
            )
        sizes: dict[str, Size] = {}
        for dimension, size in zip(left, x.shape, strict=True):
            sizes.update(self._split(dimension, size))
        names = _names(left)
        y = _reshaped(b, x, [sizes[name] for name in names])
        order = [names.index(name) for name in _names(right)]
        if order != sorted(order):
            y = b.permute(y, order)
        return _reshaped(b, y, [product(sizes[name] for name in dimension) for dimension in right])

    def _split(self, dimension: tuple[str, ...], size: Size) -> Mapping[str, Size]:
        """The size of each name of one dimension of x."""
        found: dict[str, Size] = {name: self.sizes[name] for name in dimension if name in self.sizes}
        unknown = [name for name in dimension if name not in found]
        if len(unknown) > 1:
            raise ShapeError(f"{self.pattern}: give sizes for all but one of {', '.join(unknown)}")
        known = product(found.values())
        if unknown:
            rest = divide(size, known)
            if rest is None:
                raise ShapeError(f"{self.pattern}: {size} is not divisible by {_shown(found)} for every size")
            found[unknown[0]] = rest
        elif known != size:
            expected = _shown(found) if found else "1"
            raise ShapeError(f"{self.pattern}: expected {expected}, got a dimension of size {size}")
        return found


def _shown(sizes: Mapping[str, Size]) -> str:
    """`h 8 x w 2`."""
    return " x ".join(f"{name} {size}" for name, size in sizes.items())


def _reshaped(b: Builder, x: Value, shape: list[Size]) -> Value:
    return x if x.shape == tuple(shape) else b.reshape(x, shape)
