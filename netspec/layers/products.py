"""Layers that multiply tensors and sum: matmul, einsum."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import model_validator

from netspec.errors import ShapeError
from netspec.graph.builder import Builder
from netspec.graph.dims import format_shape
from netspec.graph.graph import Value
from netspec.layers.base import Layer
from netspec.layers.fields import Expected
from netspec.layers.validation import shown


class Matmul(Layer):
    """`x @ other`: x `[..., n, k]`, other `[..., k, m]`, y `[..., n, m]`; the leading dimensions broadcast.

    A vector is a row on the left and a column on the right, and that dimension is gone from y (torch.matmul).
    """

    type: Literal["matmul"] = "matmul"

    def expand(self, b: Builder, x: Value, other: Value) -> Value:
        if 0 in (x.type.rank, other.type.rank):
            raise ShapeError(f"matrix product of {format_shape(x.shape)} and {format_shape(other.shape)}: a number")
        row, column = x.type.rank == 1, other.type.rank == 1
        left = b.reshape(x, (1, *x.shape)) if row else x
        right = b.reshape(other, (*other.shape, 1)) if column else other
        y = b.matmul(left, right)
        if not row and not column:
            return y
        kept = y.shape[:-2] + (() if row else y.shape[-2:-1]) + (() if column else y.shape[-1:])
        return b.reshape(y, kept)


class Einsum(Layer):
    """The sum over all letters that are not in the output of the product of the operands (torch.einsum).

    `equation` has a letter for each dimension, `bi,ij->bj`; `->` is required. A letter that one operand has twice runs
    along its diagonal: `ii->i`, and `ii->` is the trace. One letter is one size everywhere.
    """

    type: Literal["einsum"] = "einsum"
    equation: Annotated[str, Expected("an equation such as bi,ij->bj")]

    @model_validator(mode="after")
    def _well_formed(self) -> Einsum:
        if "..." in self.equation:
            raise ValueError("equation: an ellipsis is refused: write a letter for each dimension")
        operands, arrow, output = self.compact.partition("->")
        if not arrow:
            raise ValueError(f"equation: -> and the letters of the output are required, got {shown(self.equation)}")
        letters = set(operands) - {","}
        odd = sorted(each for each in letters | set(output) if not (each.isascii() and each.isalpha()))
        if odd:
            raise ValueError(f"equation: a dimension is a letter from a to z or A to Z, got {odd[0]!a}")
        for letter in output:
            if letter not in letters:
                raise ValueError(f"equation: {letter} of the output is in no operand")
            if output.count(letter) > 1:
                raise ValueError(f"equation: {letter} stands twice in the output")
        return self

    @property
    def compact(self) -> str:
        """The equation without spaces."""
        return self.equation.replace(" ", "")

    def expand(self, b: Builder, *xs: Value) -> Value:
        count = self.compact.partition("->")[0].count(",") + 1
        if count != len(xs):
            raise ShapeError(f"{self.equation} has {count} operands, and there are {len(xs)} inputs")
        return b.einsum(self.compact, *xs)
