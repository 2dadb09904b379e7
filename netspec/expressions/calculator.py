"""Arithmetic and comparisons of values: exact integers to 2^53, finite floats, symbolic sizes, in bounded steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from netspec.errors import LanguageError
from netspec.expressions import scalars
from netspec.expressions.syntax import Comparison, Expression, Syntax
from netspec.expressions.values import Number, ShapedValue, Value, describe
from netspec.graph.dims import Dim, FloorDivision, Size, compare

MAX_STEPS = 10_000
MAX_DIM_FACTORS = 256


class Calculator:
    """Computes for one expression: counts its steps, and tells mistakes at the part `syntax` that has them."""

    def __init__(self, expression: Expression) -> None:
        self.expression = expression
        self.steps = 0

    def error(self, message: str, syntax: Syntax) -> LanguageError:
        text = scalars.shown(self.expression.text)
        return LanguageError(f"$({text}): {message}", self.expression.place.at(syntax.at))

    def charge(self, steps: int, syntax: Syntax) -> None:
        self.steps += steps
        if self.steps > MAX_STEPS:
            raise self.error(f"more than {MAX_STEPS:,} steps", syntax)

    def sequence(self, value: Value, user: str, syntax: Syntax) -> Sequence[Value]:
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise self.error(f"{user} needs a list, got {describe(value)}", syntax)
        return value

    def integer(self, value: Value, user: str, syntax: Syntax) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.error(f"{user} needs an integer, got {describe(value)}", syntax)
        return value

    def number(self, value: Value, user: str, syntax: Syntax) -> Number:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.error(f"{user} needs a number, got {describe(value)}", syntax)
        return value

    def bounded(self, value: Number, syntax: Syntax) -> Number:
        """`value`, if it is an integer up to 2^53 or a finite float."""
        if isinstance(value, float):
            if not math.isfinite(value):
                raise self.error("the result is not finite", syntax)
        elif abs(value) > scalars.MAX_INTEGER:
            raise self.error(f"an integer beyond 2^53 = {scalars.MAX_INTEGER}", syntax)
        return value

    def arithmetic(self, operator: str, left: Value, right: Value, syntax: Syntax) -> Value:
        if isinstance(left, Dim) or isinstance(right, Dim):
            return self.symbolic(operator, left, right, syntax)
        a, b = self.number(left, operator, syntax), self.number(right, operator, syntax)
        if operator in ("/", "//", "%") and b == 0:
            raise self.error(f"division by zero: {a} {operator} {b}", syntax)
        return self.bounded(_ARITHMETIC[operator](a, b), syntax)

    def symbolic(self, operator: str, left: Value, right: Value, syntax: Syntax) -> Value:
        """Arithmetic that keeps a symbolic size symbolic."""
        a, b = self.size(left, operator, syntax), self.size(right, operator, syntax)
        # Products of sums grow by multiplication, so they are paid for before they are made.
        self.charge(_terms(a) * _terms(b), syntax)
        result: Size
        match operator:
            case "+":
                result = a + b
            case "-":
                result = a - b
            case "*":
                result = a * b
            case "//" if isinstance(b, int) and b > 0:
                result = a // b
            case "//":
                message = f"the size {describe(a)} can be divided by a positive integer only, not by {describe(b)}"
                raise self.error(message, syntax)
            case _:
                symbolic = a if isinstance(a, Dim) else b
                message = f"{operator} of the symbolic size {describe(symbolic)}: only + - * and // are possible"
                raise self.error(message, syntax)
        if isinstance(result, Dim):
            self.check_dim(result, syntax)
            return result
        return self.bounded(result, syntax)

    def size(self, value: Value, operator: str, syntax: Syntax) -> Size:
        if isinstance(value, bool) or not isinstance(value, int | Dim):
            raise self.error(f"{operator} of a symbolic size needs an integer or a size, got {describe(value)}", syntax)
        return value

    def check_dim(self, dim: Dim, syntax: Syntax) -> None:
        if _factors(dim) > MAX_DIM_FACTORS:
            raise self.error(f"a symbolic size of more than {MAX_DIM_FACTORS} factors", syntax)
        for _, coefficient in dim.terms:
            self.bounded(coefficient, syntax)

    def comparison(self, left: Value, right: Value, syntax: Comparison) -> bool:
        if syntax.operator in ("==", "!="):
            return self.equal(left, right, syntax) is (syntax.operator == "==")
        if isinstance(left, Dim) or isinstance(right, Dim):
            a, b = self.size(left, syntax.operator, syntax), self.size(right, syntax.operator, syntax)
            return self.decided(a, syntax.operator, b, syntax)
        x, y = self.number(left, syntax.operator, syntax), self.number(right, syntax.operator, syntax)
        return _ORDERINGS[syntax.operator](x, y)

    def equal(self, left: Value, right: Value, syntax: Comparison) -> bool:
        """Whether two values are of one kind and equal. Integers and floats are one kind, flags another."""
        self.charge(1, syntax)
        if isinstance(left, bool) or isinstance(right, bool):
            return left is right
        if isinstance(left, Dim) or isinstance(right, Dim):
            a, b = _whole(left), _whole(right)
            return a is not None and b is not None and self.decided(a, "==", b, syntax)
        if isinstance(left, int | float) and isinstance(right, int | float):
            return left == right
        if isinstance(left, str) or isinstance(right, str):
            return isinstance(left, str) and isinstance(right, str) and left == right
        if isinstance(left, Sequence) and isinstance(right, Sequence):
            return len(left) == len(right) and all(self.equal(a, b, syntax) for a, b in zip(left, right, strict=True))
        if isinstance(left, Mapping) and isinstance(right, Mapping):
            return left.keys() == right.keys() and all(self.equal(left[key], right[key], syntax) for key in left)
        if isinstance(left, ShapedValue) or isinstance(right, ShapedValue):
            raise self.error("a value of the graph cannot be compared: only its shape can be read", syntax)
        return left is None and right is None

    def decided(self, left: Size, operator: str, right: Size, syntax: Comparison) -> bool:
        answer = compare(left, operator, right)
        if answer is None:
            raise self.error(f"{describe(left)} {operator} {describe(right)} has not one answer for all sizes", syntax)
        return answer


_ARITHMETIC: dict[str, Callable[[Number, Number], Number]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "//": lambda a, b: a // b,
    "%": lambda a, b: a % b,
}
_ORDERINGS: dict[str, Callable[[Number, Number], bool]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def _terms(size: Size) -> int:
    return len(size.terms) if isinstance(size, Dim) else 1


def _factors(dim: Dim) -> int:
    """How many symbols, divisions and terms a symbolic size is made of."""
    count = 0
    for monomial, _ in dim.terms:
        count += 1 + len(monomial)
        count += sum(_factors(atom.numerator) for atom in monomial if isinstance(atom, FloorDivision))
    return count


def _whole(value: Value) -> Size | None:
    """The size that `value` equals, if it is a size or a number without a fraction."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int | Dim) and not isinstance(value, bool) else None
