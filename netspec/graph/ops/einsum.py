"""The primitive of Einstein's summation convention."""

from __future__ import annotations

from dataclasses import dataclass

from netspec.errors import ShapeError
from netspec.graph.dims import Size, format_shape, product
from netspec.graph.ops.base import Op, Types, require_float
from netspec.graph.types import TensorType


@dataclass(frozen=True)
class Einsum(Op):
    """y[out] = sum over all letters that are not in `out` of the product of the operands, each read at its letters.

    `equation` is as in `bi,ij->bj`: a letter for each dimension of each operand. A letter that one operand has twice
    runs along its diagonal.
    """

    equation: str

    @property
    def terms(self) -> tuple[list[str], str]:
        """The letters of each operand, and those of the output."""
        operands, _, output = self.equation.partition("->")
        return operands.split(","), output

    def infer(self, *inputs: TensorType) -> Types:
        require_float(self, *inputs)
        operands, output = self.terms
        assert len(operands) == len(inputs)
        sizes: dict[str, Size] = {}
        for position, (letters, tensor) in enumerate(zip(operands, inputs, strict=True), 1):
            if len(letters) != tensor.rank:
                raise ShapeError(
                    f"{self.equation}: operand {position} has {len(letters)} letters, {letters or 'none'}, "
                    f"and {tensor.rank} dimensions, {format_shape(tensor.shape)}"
                )
            for letter, size in zip(letters, tensor.shape, strict=True):
                known = sizes.setdefault(letter, size)
                if known != size:
                    raise ShapeError(f"{self.equation}: {letter} is {known} in one place and {size} in another")
        return (TensorType(tuple(sizes[letter] for letter in output)),)

    def macs(self, inputs: Types, outputs: Types) -> Size:
        """Multiply-adds where the operands are taken from the left, as `pairwise` does."""
        sizes = self._sizes(inputs)
        total: Size = 0
        for step in pairwise(self.equation) if len(inputs) > 1 else ():
            letters = sorted({*step.partition("->")[0]} - {","})
            total = total + product(sizes[letter] for letter in letters)
        return total

    def elementwise(self, inputs: Types, outputs: Types) -> Size:
        """One operand alone is only summed."""
        return inputs[0].size if len(inputs) == 1 else 0

    def reduction_length(self, inputs: Types) -> Size:
        operands, output = self.terms
        summed = {*"".join(operands)} - {*output}
        return product(self._sizes(inputs)[letter] for letter in sorted(summed))

    def _sizes(self, inputs: Types) -> dict[str, Size]:
        operands, _ = self.terms
        pairs = zip(operands, inputs, strict=True)
        return {letter: size for letters, x in pairs for letter, size in zip(letters, x.shape, strict=True)}


def pairwise(equation: str) -> list[str]:
    """The products of two that make up `equation` of two operands or more: what there is and the next operand, from
    the left. A letter is summed as soon as no operand that follows has it."""
    inputs, _, output = equation.partition("->")
    held, *others = inputs.split(",")
    steps: list[str] = []
    for position, letters in enumerate(others, 1):
        rest = {*output, *"".join(others[position:])}
        kept = output if position == len(others) else "".join(dict.fromkeys(x for x in held + letters if x in rest))
        steps.append(f"{held},{letters}->{kept}")
        held = kept
    return steps
