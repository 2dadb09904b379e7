"""Expressions: what they and the texts that hold them mean, and what is read of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import pytest

from netspec.errors import LanguageError
from netspec.expressions.evaluation import evaluate, fill
from netspec.expressions.parser import FUNCTIONS, closing, contains, parse, read_string
from netspec.expressions.syntax import Arithmetic, Expression, Template, free_names
from netspec.expressions.values import Value
from tests.core.expression_values import BATCH, EXACT, NAMES, TIME, refusal, value_of


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a + b * 3 - 1", 12), ("(a + b) * 3", 27), ("2 - 3 - 4", -5), ("a // b // 2", 1), ("-a // b", -4),
        ("-a % b", 1), ("a % -b", -1), ("- -a", 7), ("a / b", 3.5), ("6 / b", 3.0), ("f // 0.5", 3.0),
        ("2 * -b", -4), ("1e3", 1000.0), (".5", 0.5), ("2.", 2.0), ("0", 0), ("9007199254740992", 2**53),
        ("a if b == 2 else 1", 7), ("1 if no else 2 if no else 3", 3), ("(1 if yes else 2) + 1", 2),
        ("not no and yes", True), ("no or not no", True), ("not a == b", True), ("no and no or yes", True),
        ("a < b", False), ("a >= 7", True), ("f <= 1.5", True), ("a != b", True), ("2 < 2.5", True),
        ("len(widths)", 3), ("len('abc')", 3), ("len(options)", 3), ("len(x.shape)", 4), ("len(empty)", 0),
        ("sum(widths)", 56), ("sum(empty)", 0), ("min(widths)", 8), ("max(a, b, f)", 7), ("min(2, 1.5)", 1.5),
        ("abs(-3)", 3), ("abs(-f)", 1.5), ("int(-3.9)", -3), ("int(7)", 7), ("floor(-3.1)", -4), ("ceil(3.1)", 4),
        ("round(0.5)", 0), ("round(1.5)", 2), ("round(2.5)", 2), ("round(-2.5)", -2), ("sqrt(2)", math.sqrt(2)),
        ("range(3)", [0, 1, 2]), ("range(1, 3)", [1, 2]), ("range(5, 0, -2)", [5, 3, 1]), ("range(-1)", []),
        ("[]", []), ("[a, [b]]", [7, [2]]), ("[i * i for i in range(4)]", [0, 1, 4, 9]),
        ("[[i + j for j in range(i)] for i in range(3)]", [[], [1], [2, 3]]),
        ("[a for a in widths][0] + a", 15), ("[c == 'M' for c in mixed]", [False, True, False]),
        ("widths[0]", 8), ("widths[-1]", 32), ("widths[1:]", [16, 32]), ("widths[:-1]", [8, 16]),
        ("widths[:]", [8, 16, 32]), ("widths[5:]", []), ("widths[1:2][0]", 16), ("[1, 2][1]", 2),
        ("options.rate + options.in", 8), ("options.nested.x[0]", 1), ("x.shape[1] * 2", 6), ("x.shape[2:]", [28, 28]),
        ("'a(b'", "a(b"), ('"it\'s"', "it's"), ("'é'", "é"), ("word", "M"), ("true", True), ("widths", [8, 16, 32]),
    ],
)  # fmt: skip
def test_values(text: str, expected: Value) -> None:
    result = value_of(text)
    assert result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize(
    ("value", "divisor", "expected"), [(33, 8, 32), (32.1, 8, 32), (11, 8, 16), (4, 8, 8), (12, 8, 16), (19.2, 8, 24),
                                       (1, 1, 1), (100, 7, 98), (0, 8, 8), (17.5, 5, 20)]
)  # fmt: skip
def test_make_divisible(value: float, divisor: int, expected: int) -> None:
    published = max(divisor, int(value + divisor / 2) // divisor * divisor)
    published += divisor if published < 0.9 * value else 0
    assert value_of(f"make_divisible({value}, {divisor})") == expected == published


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        ("1", "1.0", True), ("1", "true", False), ("0", "false", False), ("'1'", "1", False), ("[1]", "[true]", False),
        ("[1, [2]]", "[1, [2]]", True), ("[]", "no", False), ("options", "options", True), ("options", "widths", False),
        ("nothing", "nothing", True), ("nothing", "0", False), ("nothing", "no", False), ("'M'", "word", True),
        ("x.shape", "[batch, 3, 28, 28]", True), ("x.shape", "[batch, 3, 28]", False), ("batch", "batch", True),
        ("batch", "batch + 1", False), ("batch", "'batch'", False), ("batch", "0", False), ("batch", "1.5", False),
        ("batch + 1", "1.0", False), ("[batch, 1]", "[time, 2]", None), ("batch", "time", None), ("batch", "4.0", None),
    ],
)  # fmt: skip
def test_equality_of_any_kinds(left: str, right: str, equal: bool | None) -> None:
    for text, answer in ((f"{left} == {right}", equal), (f"{left} != {right}", None if equal is None else not equal)):
        if answer is None:
            assert "not one answer for all sizes" in refusal(text)
        else:
            assert value_of(text) is answer


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("batch * 2 + 1", BATCH * 2 + 1), ("x.shape[0] * time", BATCH * TIME), ("-batch + batch", 0),
        ("(batch * 4 + 8) // 4", BATCH + 2), ("batch // 2", BATCH // 2), ("sum([batch, 1, batch])", 2 * BATCH + 1),
        ("batch - (batch - 3)", 3), ("3 - batch", 3 - BATCH), ("[batch][0]", BATCH), ("x.shape", [BATCH, 3, 28, 28]),
        ("batch > 0", True), ("batch + 1 <= 1", False), ("batch * batch == batch * batch", True),
        ("2 * batch > batch", True), ("1 if batch >= 1 else batch / 0", 1),
    ],
)  # fmt: skip
def test_symbolic_sizes(text: str, expected: Value) -> None:
    assert value_of(text) == expected


def test_only_what_is_needed_is_evaluated() -> None:
    assert value_of("1 if yes else 1 / 0") == 1
    assert value_of("nope if no else 2") == 2
    assert value_of("no and 1 / 0 == 0") is False
    assert value_of("yes or nope") is True
    assert "division by zero" in refusal("yes and 1 / 0 == 0")


def test_names_are_asked_for_only_when_needed() -> None:
    asked: list[str] = []

    class Lazy(Mapping[str, Value]):
        def __getitem__(self, name: str) -> Value:
            asked.append(name)
            return 4

        def __contains__(self, name: object) -> bool:
            return name in ("p", "q")

        def __iter__(self) -> Iterator[str]:
            return iter(("p", "q"))

        def __len__(self) -> int:
            return 2

    assert value_of("p if 1 < 2 else q", Lazy()) == 4
    assert asked == ["p"]


def test_free_names() -> None:
    assert free_names(parse("a if b.c[d] else [len(i) * e for i in f]", EXACT)) == {"a", "b", "d", "e", "f"}
    assert free_names(parse("[i for i in i]", EXACT)) == {"i"}
    assert free_names(parse("[[i for i in j] for j in k][n:m] == -(not o)", EXACT, FUNCTIONS)) == {"k", "n", "m", "o"}
    assert free_names(parse("max(1, 'a', true)", EXACT)) == set()


def test_a_parser_for_more_functions() -> None:
    parsed = parse("where(a, exp(b), 0)", EXACT, {**FUNCTIONS, "where": (3, 3), "exp": (1, 1)})
    assert free_names(parsed) == {"a", "b"}
    with pytest.raises(LanguageError, match="unknown function where"):
        parse("where(a, b, 0)", EXACT)


def test_the_tree_keeps_precedence_and_places() -> None:
    root = parse("a - b * 2 - c", EXACT).root
    assert isinstance(root, Arithmetic)
    assert (root.operator, root.at) == ("-", 10)
    assert isinstance(root.left, Arithmetic)
    assert isinstance(root.left.right, Arithmetic)
    assert (root.left.at, root.left.right.operator, root.left.right.at) == (2, "*", 6)


def test_strings_without_alone_and_among_text() -> None:
    assert read_string("plain text", EXACT) == "plain text"
    assert not contains("$ (a)")
    alone = read_string("$(a * (b + 1))", EXACT)
    assert isinstance(alone, Expression)
    assert evaluate(alone, NAMES) == 21
    template = read_string("down$(b)_$(word):$(a + 1)", EXACT)
    assert isinstance(template, Template)
    assert fill(template, NAMES) == "down2_M:8"
    assert isinstance(read_string("$(a) ", EXACT), Template)
    assert isinstance(read_string("$(a)$(b)", EXACT), Template)
    held = read_string("$(')' == word or '(' == \"')\")", EXACT)
    assert isinstance(held, Expression)
    assert evaluate(held, NAMES) is False


def test_where_a_closing_parenthesis_is() -> None:
    assert closing("$(a)", 2) == 3
    assert closing("$((a)) b)", 2) == 5
    assert closing("$(')') b)", 2) == 5
    assert closing("$(a", 2) is None
    assert closing("$('a)", 2) is None
