"""The functions that an expression may call: what each makes of its arguments."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from netspec.expressions.calculator import Calculator
from netspec.expressions.syntax import Call
from netspec.expressions.values import Number, Value, describe

Function = Callable[[Calculator, list[Value], Call], Value]


def apply(calculator: Calculator, arguments: list[Value], syntax: Call) -> Value:
    """What the function of `syntax` makes of these arguments, whose number the parser has checked.

    Raises:
        LanguageError: where it is not defined for them.
    """
    function = _FUNCTIONS.get(syntax.function)
    if function is None:
        raise calculator.error(f"{syntax.function} is a layer: it needs a tensor, and there are only numbers", syntax)
    return function(calculator, arguments, syntax)


def _len(calculator: Calculator, arguments: list[Value], syntax: Call) -> Value:
    value = arguments[0]
    if not isinstance(value, Sequence | Mapping):
        raise calculator.error(f"len needs a list, a mapping or a text, got {describe(value)}", syntax)
    return len(value)


def _sum(calculator: Calculator, arguments: list[Value], syntax: Call) -> Value:
    total: Value = 0
    for item in calculator.sequence(arguments[0], "sum", syntax):
        calculator.charge(1, syntax)
        total = calculator.arithmetic("+", total, item, syntax)
    return total


def _min(calculator: Calculator, arguments: list[Value], syntax: Call) -> Value:
    return min(_numbers(calculator, arguments, syntax))


def _max(calculator: Calculator, arguments: list[Value], syntax: Call) -> Value:
    return max(_numbers(calculator, arguments, syntax))


def _numbers(calculator: Calculator, arguments: list[Value], syntax: Call) -> list[Number]:
    """The numbers of the only argument, a list, or of all arguments."""
    values = calculator.sequence(arguments[0], syntax.function, syntax) if len(arguments) == 1 else arguments
    calculator.charge(len(values), syntax)
    if not values:
        raise calculator.error(f"{syntax.function} of an empty list", syntax)
    return [calculator.number(value, syntax.function, syntax) for value in values]


def _abs(calculator: Calculator, arguments: list[Value], syntax: Call) -> Value:
    return abs(calculator.number(arguments[0], "abs", syntax))


def _to_integer(calculator: Calculator, arguments: list[Value], syntax: Call) -> Value:
    value = calculator.number(arguments[0], syntax.function, syntax)
    return calculator.bounded(_TO_INTEGER[syntax.function](value), syntax)


def _sqrt(calculator: Calculator, arguments: list[Value], syntax: Call) -> Value:
    value = calculator.number(arguments[0], "sqrt", syntax)
    if value < 0:
        raise calculator.error(f"sqrt of the negative number {value}", syntax)
    return math.sqrt(value)


def _exp(calculator: Calculator, arguments: list[Value], syntax: Call) -> Value:
    value = calculator.number(arguments[0], "exp", syntax)
    return math.exp(value) if value < _MAX_EXPONENT else calculator.bounded(math.inf, syntax)


def _log(calculator: Calculator, arguments: list[Value], syntax: Call) -> Value:
    value = calculator.number(arguments[0], "log", syntax)
    if value <= 0:
        raise calculator.error(f"log of {value}: a number above 0 is needed", syntax)
    return math.log(value)


def _circular(calculator: Calculator, arguments: list[Value], syntax: Call) -> Value:
    return _CIRCULAR[syntax.function](calculator.number(arguments[0], syntax.function, syntax))


def _where(calculator: Calculator, arguments: list[Value], syntax: Call) -> Value:
    condition, then, otherwise = arguments
    if not isinstance(condition, bool):
        raise calculator.error(f"where needs true or false first, got {describe(condition)}", syntax)
    return then if condition else otherwise


def _range(calculator: Calculator, arguments: list[Value], syntax: Call) -> Value:
    ends = [calculator.integer(value, "range", syntax) for value in arguments]
    if len(ends) == 3 and ends[2] == 0:
        raise calculator.error("range with a step of 0", syntax)
    numbers = range(*ends)
    calculator.charge(len(numbers), syntax)
    return list(numbers)


def _make_divisible(calculator: Calculator, arguments: list[Value], syntax: Call) -> Value:
    value = calculator.number(arguments[0], "make_divisible", syntax)
    divisor = calculator.integer(arguments[1], "make_divisible", syntax)
    if divisor <= 0:
        raise calculator.error(f"make_divisible needs a positive divisor, got {divisor}", syntax)
    result = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return calculator.bounded(result + divisor if result < 0.9 * value else result, syntax)


_TO_INTEGER: dict[str, Callable[[Number], int]] = {"int": int, "round": round, "floor": math.floor, "ceil": math.ceil}
_CIRCULAR: dict[str, Callable[[float], float]] = {"sin": math.sin, "cos": math.cos}
_MAX_EXPONENT = 709.7  # e^709.79 is beyond the largest float
_FUNCTIONS: dict[str, Function] = {
    "len": _len,
    "sum": _sum,
    "min": _min,
    "max": _max,
    "abs": _abs,
    "int": _to_integer,
    "round": _to_integer,
    "floor": _to_integer,
    "ceil": _to_integer,
    "sqrt": _sqrt,
    "range": _range,
    "make_divisible": _make_divisible,
    # In `formula` only.
    "minimum": _min,
    "maximum": _max,
    "where": _where,
    "exp": _exp,
    "log": _log,
    "sin": _circular,
    "cos": _circular,
}
