"""The value of an expression: its tree, walked with the names in scope."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import chain

from netspec.errors import LanguageError, TooLargeError, nearest
from netspec.expressions import functions, scalars
from netspec.expressions.calculator import Calculator
from netspec.expressions.syntax import (
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
from netspec.expressions.values import ShapedValue, Value, describe

MAX_RESULT_NESTING = 64
MAX_STEPS_IN_ALL = 2_000_000  # of one reading of a spec: a second

_steps_left: ContextVar[int | None] = ContextVar("steps left for all expressions", default=None)


@contextmanager
def bounded_steps() -> Iterator[None]:
    """Within it all expressions together take MAX_STEPS_IN_ALL steps at most: then `evaluate` raises TooLargeError."""
    token = _steps_left.set(MAX_STEPS_IN_ALL)
    try:
        yield
    finally:
        _steps_left.reset(token)


def evaluate(expression: Expression, names: Mapping[str, Value]) -> Value:
    """The value of `expression`, where `names` are those in scope.

    A mapping that makes its values when they are asked for will do: what an `if`, `and` or `or` passes over is
    never looked up.

    Raises:
        LanguageError: with the column of the part that has no value.
        TooLargeError: where all expressions together take too many steps.
    """
    evaluator = _Evaluator(expression, names)
    try:
        result = evaluator.value(expression.root)
        evaluator.check_result(result, expression.root)
    finally:
        _charge(evaluator.steps, expression)
    return result


def _charge(steps: int, expression: Expression) -> None:
    left = _steps_left.get()
    if left is None:
        return
    if left < steps:
        message = f"all expressions together take more than {MAX_STEPS_IN_ALL:,} steps"
        raise TooLargeError(message, expression.place.at(0))
    _steps_left.set(left - steps)


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


class _Evaluator(Calculator):
    def __init__(self, expression: Expression, names: Mapping[str, Value]) -> None:
        super().__init__(expression)
        self.names = names
        self.variables: dict[str, Value] = {}

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
                return self.comparison(self.value(syntax.left), self.value(syntax.right), syntax)
            case Conditional():
                return self.value(syntax.then if self.flag(syntax.condition, "if") else syntax.otherwise)
            case Logic():
                stop = syntax.operator == "or"
                return stop if any(self.flag(part, syntax.operator) is stop for part in syntax.operands) else not stop
            case Not():
                return not self.flag(syntax.operand, "not")
            case Call():
                return functions.apply(self, [self.value(part) for part in syntax.arguments], syntax)
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
        raise self.error(f"unknown name {syntax.name}{nearest(syntax.name, chain(self.variables, self.names))}", syntax)

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
