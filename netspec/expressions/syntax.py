"""The syntax tree of expressions: one class per form, and what can be read off a tree without evaluating it."""

from __future__ import annotations

from dataclasses import dataclass

from netspec.expressions.place import Place


@dataclass(frozen=True, slots=True)
class Literal:
    """A number, a text, `true` or `false`. Of this and every other part, `at` is its offset in the expression."""

    at: int
    value: int | float | bool | str


@dataclass(frozen=True, slots=True)
class Name:
    at: int
    name: str


@dataclass(frozen=True, slots=True)
class Call:
    """`function(arguments)`; the function is one of those the parser was given."""

    at: int
    function: str
    arguments: tuple[Syntax, ...]


@dataclass(frozen=True, slots=True)
class ListDisplay:
    """`[a, b, c]`."""

    at: int
    items: tuple[Syntax, ...]


@dataclass(frozen=True, slots=True)
class Comprehension:
    """`[item for variable in source]`."""

    at: int
    item: Syntax
    variable: str
    source: Syntax


@dataclass(frozen=True, slots=True)
class Attribute:
    """`value.name`."""

    at: int
    value: Syntax
    name: str


@dataclass(frozen=True, slots=True)
class Index:
    """`value[index]`."""

    at: int
    value: Syntax
    index: Syntax


@dataclass(frozen=True, slots=True)
class Slice:
    """`value[start:stop]`."""

    at: int
    value: Syntax
    start: Syntax | None
    stop: Syntax | None


@dataclass(frozen=True, slots=True)
class Negative:
    at: int
    operand: Syntax


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """`left operator right` with one of `+ - * / // %`."""

    at: int
    operator: str
    left: Syntax
    right: Syntax


@dataclass(frozen=True, slots=True)
class Comparison:
    """`left operator right` with one of `== != < <= > >=`."""

    at: int
    operator: str
    left: Syntax
    right: Syntax


@dataclass(frozen=True, slots=True)
class Not:
    at: int
    operand: Syntax


@dataclass(frozen=True, slots=True)
class Logic:
    """`a and b and c`, or the same with `or`."""

    at: int
    operator: str
    operands: tuple[Syntax, ...]


@dataclass(frozen=True, slots=True)
class Conditional:
    """`then if condition else otherwise`."""

    at: int
    condition: Syntax
    then: Syntax
    otherwise: Syntax


Syntax = (
    Literal | Name | Call | ListDisplay | Comprehension | Attribute | Index | Slice
    | Negative | Arithmetic | Comparison | Not | Logic | Conditional
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Expression:
    """A parsed expression, the text it came from, and where that begins."""

    root: Syntax
    text: str
    place: Place


@dataclass(frozen=True, slots=True)
class Template:
    """A string with expressions among its characters: `down$(i)`."""

    parts: tuple[str | Expression, ...]
    place: Place


def free_names(expression: Expression) -> set[str]:
    """The names that an expression takes from its scope."""
    return _free(expression.root)


def _free(syntax: Syntax) -> set[str]:
    match syntax:
        case Name():
            return {syntax.name}
        case Comprehension():
            return _free(syntax.source) | (_free(syntax.item) - {syntax.variable})
    names: set[str] = set()
    for part in parts_of(syntax):
        names |= _free(part)
    return names


def parts_of(syntax: Syntax) -> tuple[Syntax, ...]:
    """The parts that a syntax tree's top is made of, in the order written."""
    match syntax:
        case Literal() | Name():
            return ()
        case Call():
            return syntax.arguments
        case ListDisplay():
            return syntax.items
        case Comprehension():
            return syntax.item, syntax.source
        case Attribute():
            return (syntax.value,)
        case Index():
            return syntax.value, syntax.index
        case Slice():
            return tuple(part for part in (syntax.value, syntax.start, syntax.stop) if part is not None)
        case Negative() | Not():
            return (syntax.operand,)
        case Arithmetic() | Comparison():
            return syntax.left, syntax.right
        case Logic():
            return syntax.operands
        case Conditional():
            return syntax.then, syntax.condition, syntax.otherwise
