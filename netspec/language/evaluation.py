"""The value of an expression: exact integers to 2^53, finite floats, symbolic sizes, in a bounded number of steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from netspec.errors import LanguageError, nearest
from netspec.graph.dims import Dim, FloorDivision, Size, compare
from netspec.language import scalars
from netspec.language.syntax import (
    Arithmetic,
    Attribute,
    Call,
    Comparison,
    Comprehension,
    Conditional,
    Expression,
    Index,
    ListDisplay,
    Literal,
    Logic,
    Name,
    Negative,
    Not,
    Slice,
    Syntax,
    Template,
)

MAX_STEPS = 10_000
MAX_RESULT_NESTING = 64
MAX_DIM_FACTORS = 256


@dataclass(frozen=True, slots=True)
class ShapedValue:
    """A value of the graph as expressions see it: nothing but its shape."""

    shape: tuple[Size, ...]


Value = int | float | bool | str | None | Dim | ShapedValue | Sequence["Value"] | Mapping[str, "Value"]
Number = int | float


def evaluate(expression: Expression, names: Mapping[str, Value]) -> Value:
    """The value of `expression`, where `names` are those in scope.

    A mapping that makes its values when they are asked for will do: what an `if`, `and` or `or` passes over is
    never looked up.

    Raises:
        LanguageError: with the column of the part that has no value.
    """
    evaluator = _Evaluator(expression, names)
    result = evaluator.value(expression.root)
    evaluator.check_result(result, expression.root)
    return result


def fill(template: Template, names: Mapping[str, Value]) -> str:
    """The text of `template` with its expressions replaced by their values, which are integers or text."""
    parts: list[str] = []
    for part in template.parts:
        if isinstance(part, str):
            parts.append(part)
            continue
        value = evaluate(part, names)
        if isinstance(value, bool) or not isinstance(value, int | str):
            message = f"$({scalars.shown(part.text)}) in a text must be an integer or text, got {describe(value)}"
            raise LanguageError(message, part.place.at(0))
        parts.append(str(value))
    return "".join(parts)


def describe(value: object) -> str:
    """A value as messages show it: numbers and short texts as they are, else what kind it is."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case int() | float() | Dim():
            return scalars.shown(str(value))
        case str():
            return f"text '{scalars.shown(value)}'"
        case ShapedValue():
            return "a value of the graph"
        case Mapping():
            return "a mapping"
        case _:
            return "a list"


class _Evaluator:
    def __init__(self, expression: Expression, names: Mapping[str, Value]) -> None:
        self.expression = expression
        self.names = names
        self.variables: dict[str, Value] = {}
        self.steps = 0

    def error(self, message: str, syntax: Syntax) -> LanguageError:
        text = scalars.shown(self.expression.text)
        return LanguageError(f"$({text}): {message}", self.expression.place.at(syntax.at))

    def charge(self, steps: int, syntax: Syntax) -> None:
        self.steps += steps
        if self.steps > MAX_STEPS:
            raise self.error(f"more than {MAX_STEPS:,} steps", syntax)

    def value(self, syntax: Syntax) -> Value:
        self.charge(1, syntax)
        match syntax:
            case Literal():
                return syntax.value
            case Name():
                return self.name(syntax)
            case Arithmetic():
                return self.arithmetic(syntax.operator, self.value(syntax.left), self.value(syntax.right), syntax)
            case Negative():
                return self.arithmetic("-", 0, self.value(syntax.operand), syntax)
            case Comparison():
                return self.comparison(syntax)
            case Conditional():
                return self.value(syntax.then if self.flag(syntax.condition, "if") else syntax.otherwise)
            case Logic():
                stop = syntax.operator == "or"
                return stop if any(self.flag(part, syntax.operator) is stop for part in syntax.operands) else not stop
            case Not():
                return not self.flag(syntax.operand, "not")
            case Call():
                return _FUNCTIONS[syntax.function](self, [self.value(part) for part in syntax.arguments], syntax)
            case ListDisplay():
                return [self.value(item) for item in syntax.items]
            case Comprehension():
                return self.comprehension(syntax)
            case Attribute():
                return self.attribute(syntax)
            case Index():
                return self.index(syntax)
            case Slice():
                return self.slice(syntax)

    def name(self, syntax: Name) -> Value:
        if syntax.name in self.variables:
            return self.variables[syntax.name]
        if syntax.name in self.names:
            return self.names[syntax.name]
        raise self.error(f"unknown name {syntax.name}{nearest(syntax.name, [*self.variables, *self.names])}", syntax)

    def flag(self, syntax: Syntax, user: str) -> bool:
        value = self.value(syntax)
        if not isinstance(value, bool):
            raise self.error(f"{user} needs true or false, got {describe(value)}", syntax)
        return value

    def comprehension(self, syntax: Comprehension) -> Value:
        source = self.sequence(self.value(syntax.source), "for", syntax.source)
        outer = self.variables
        result: list[Value] = []
        for item in source:
            self.variables = {**outer, syntax.variable: item}
            result.append(self.value(syntax.item))
        self.variables = outer
        return result

    def attribute(self, syntax: Attribute) -> Value:
        value = self.value(syntax.value)
        if isinstance(value, ShapedValue):
            if syntax.name != "shape":
                raise self.error(f"a value has no {syntax.name}: only its shape can be read", syntax)
            return list(value.shape)
        if not isinstance(value, Mapping):
            raise self.error(f"{describe(value)} has no entry {syntax.name}: a mapping is expected", syntax)
        if syntax.name not in value:
            raise self.error(f"the mapping has no entry {syntax.name}{nearest(syntax.name, value)}", syntax)
        return value[syntax.name]

    def index(self, syntax: Index) -> Value:
        items = self.sequence(self.value(syntax.value), "an index", syntax)
        index = self.integer(self.value(syntax.index), "an index", syntax.index)
        if not -len(items) <= index < len(items):
            raise self.error(f"index {index} is outside a list of {len(items)}", syntax)
        return items[index]

    def slice(self, syntax: Slice) -> Value:
        items = self.sequence(self.value(syntax.value), "a slice", syntax)
        start, stop = (
            None if end is None else self.integer(self.value(end), "a slice", syntax)
            for end in (syntax.start, syntax.stop)
        )
        result = list(items[start:stop])
        self.charge(len(result), syntax)
        return result

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

    def comparison(self, syntax: Comparison) -> bool:
        left, right = self.value(syntax.left), self.value(syntax.right)
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

    def check_result(self, value: Value, syntax: Syntax, depth: int = 1) -> None:
        """Refuse what is no plain value, and lists that hold themselves so often that walking them takes for ever."""
        if isinstance(value, ShapedValue):
            raise self.error(
                "a value of the graph stands where a number is expected: only its shape can be read", syntax
            )
        if isinstance(value, str) or not isinstance(value, Sequence | Mapping):
            return
        if depth > MAX_RESULT_NESTING:
            raise self.error(f"the result is nested more than {MAX_RESULT_NESTING} deep", syntax)
        self.charge(len(value), syntax)
        for item in value.values() if isinstance(value, Mapping) else value:
            self.check_result(item, syntax, depth + 1)

    def call_len(self, arguments: list[Value], syntax: Call) -> Value:
        value = arguments[0]
        if not isinstance(value, Sequence | Mapping):
            raise self.error(f"len needs a list, a mapping or a text, got {describe(value)}", syntax)
        return len(value)

    def call_sum(self, arguments: list[Value], syntax: Call) -> Value:
        total: Value = 0
        for item in self.sequence(arguments[0], "sum", syntax):
            self.charge(1, syntax)
            total = self.arithmetic("+", total, item, syntax)
        return total

    def call_min(self, arguments: list[Value], syntax: Call) -> Value:
        return min(self.numbers(arguments, syntax))

    def call_max(self, arguments: list[Value], syntax: Call) -> Value:
        return max(self.numbers(arguments, syntax))

    def numbers(self, arguments: list[Value], syntax: Call) -> list[Number]:
        """The numbers of the only argument, a list, or of all arguments."""
        values = self.sequence(arguments[0], syntax.function, syntax) if len(arguments) == 1 else arguments
        self.charge(len(values), syntax)
        if not values:
            raise self.error(f"{syntax.function} of an empty list", syntax)
        return [self.number(value, syntax.function, syntax) for value in values]

    def call_abs(self, arguments: list[Value], syntax: Call) -> Value:
        return abs(self.number(arguments[0], "abs", syntax))

    def call_to_integer(self, arguments: list[Value], syntax: Call) -> Value:
        return self.bounded(_TO_INTEGER[syntax.function](self.number(arguments[0], syntax.function, syntax)), syntax)

    def call_sqrt(self, arguments: list[Value], syntax: Call) -> Value:
        value = self.number(arguments[0], "sqrt", syntax)
        if value < 0:
            raise self.error(f"sqrt of the negative number {value}", syntax)
        return math.sqrt(value)

    def call_range(self, arguments: list[Value], syntax: Call) -> Value:
        ends = [self.integer(value, "range", syntax) for value in arguments]
        if len(ends) == 3 and ends[2] == 0:
            raise self.error("range with a step of 0", syntax)
        numbers = range(*ends)
        self.charge(len(numbers), syntax)
        return list(numbers)

    def call_make_divisible(self, arguments: list[Value], syntax: Call) -> Value:
        value = self.number(arguments[0], "make_divisible", syntax)
        divisor = self.integer(arguments[1], "make_divisible", syntax)
        if divisor <= 0:
            raise self.error(f"make_divisible needs a positive divisor, got {divisor}", syntax)
        result = max(divisor, int(value + divisor / 2) // divisor * divisor)
        return self.bounded(result + divisor if result < 0.9 * value else result, syntax)


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
_TO_INTEGER: dict[str, Callable[[Number], int]] = {"int": int, "round": round, "floor": math.floor, "ceil": math.ceil}
_FUNCTIONS: dict[str, Callable[[_Evaluator, list[Value], Call], Value]] = {
    "len": _Evaluator.call_len,
    "sum": _Evaluator.call_sum,
    "min": _Evaluator.call_min,
    "max": _Evaluator.call_max,
    "abs": _Evaluator.call_abs,
    "int": _Evaluator.call_to_integer,
    "round": _Evaluator.call_to_integer,
    "floor": _Evaluator.call_to_integer,
    "ceil": _Evaluator.call_to_integer,
    "sqrt": _Evaluator.call_sqrt,
    "range": _Evaluator.call_range,
    "make_divisible": _Evaluator.call_make_divisible,
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
