"""Expressions: what they mean, judged by Python's own arithmetic where the two agree, and all that is refused."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator, Mapping

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from netspec.errors import LanguageError, Location
from netspec.graph.dims import Dim, Size, symbol
from netspec.language.document import Place
from netspec.language.evaluation import ShapedValue, Value, evaluate, fill
from netspec.language.expressions import FUNCTIONS, MAX_LENGTH, closing, contains, parse, read_string
from netspec.language.syntax import Arithmetic, Expression, Template, free_names

BATCH, TIME = symbol("batch"), symbol("time")
START = Location("s.yaml", 3, 10)
EXACT = Place(START, START)
NAMES: dict[str, Value] = {
    "a": 7, "b": 2, "f": 1.5, "yes": True, "no": False, "word": "M", "nothing": None,
    "widths": [8, 16, 32], "mixed": [64, "M", 128], "options": {"rate": 3, "in": 5, "nested": {"x": [1]}},
    "batch": BATCH, "time": TIME, "x": ShapedValue((BATCH, 3, 28, 28)), "empty": [],
}  # fmt: skip


def value_of(text: str, names: Mapping[str, Value] = NAMES) -> Value:
    return evaluate(parse(text, EXACT), names)


def refusal(text: str, names: Mapping[str, Value] = NAMES) -> str:
    """The message for `$(text)`, found in less than a second."""
    begin = time.process_time()
    with pytest.raises(LanguageError) as caught:
        value_of(text, names)
    assert time.process_time() - begin < 2  # a second on an idle machine
    assert str(caught.value).isprintable()
    return str(caught.value)


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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("batch / 2", "3:16: $(batch / 2): / of the symbolic size batch"),
        ("batch % 2", "3:16: $(batch % 2): % of the symbolic size batch"),
        ("4 // batch", "positive integer only, not by batch"),
        ("batch // 0", "positive integer only, not by 0"),
        ("batch // -2", "positive integer only"),
        ("batch // 2.0", "needs an integer or a size, got 2.0"),
        ("batch * 1.0", "needs an integer or a size, got 1.0"),
        ("batch + true", "needs an integer or a size, got true"),
        ("batch < 1.5", "needs an integer or a size, got 1.5"),
        ("batch > 4", "3:16: $(batch > 4): batch > 4 has not one answer for all sizes"),
        ("1 if batch == 8 else 2", "batch == 8 has not one answer"),
        ("max(batch, 1)", "max needs a number, got batch"),
        ("int(batch)", "int needs a number, got batch"),
        ("range(batch)", "range needs an integer, got batch"),
        ("widths[batch]", "an index needs an integer, got batch"),
        ("batch * 9007199254740992 * 2", "beyond 2^53"),
    ],
)
def test_what_symbolic_sizes_refuse(text: str, message: str) -> None:
    assert message in refusal(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("9**9**9", "s.yaml:3:12: $(9**9**9): expected a value, got *"),
        ("__import__('os')", "s.yaml:3:10: $(__import__('os')): unknown function __import__"),
        ("().__class__", "s.yaml:3:11: $(().__class__): expected a value, got )"),
        ("env:HOME", "s.yaml:3:13: $(env:HOME): expected an operator or the end, got :"),
        ("a[0", "s.yaml:3:13: $(a[0): expected ']', got the end: quote it if YAML cut it"),
        ("min(a", "got the end: quote it if YAML cut it"),
        ("", "s.yaml:3:10: $(): expected a value, got the end"),
        ("  ", "expected a value, got the end"),
        ("a b", "s.yaml:3:12: $(a b): expected an operator or the end, got b"),
        ("a <", "expected a value, got the end"),
        ("a < b < 3", "s.yaml:3:16: $(a < b < 3): comparisons are not chained"),
        ("a == b == true", "comparisons are not chained"),
        ("1 if yes", "expected 'else', got the end"),
        ("a == not b", "expected a value, got not"),
        ("+a", "expected a value, got +"),
        ("a.", "expected a name after '.', got the end"),
        ("a.0", "expected an operator or the end, got .0"),
        ("a[1:2:3]", "expected ']', got :"),
        ("a[]", "expected a value, got ]"),
        ("[1,]", "expected a value, got ]"),
        ("[1 2]", "expected ',' or ']', got 2"),
        ("[i for 3 in a]", "expected a name after for, got 3"),
        ("[i for if in a]", "expected a name after for, got if"),
        ("[i for i in a if i]", "expected ']', got if"),
        ("i for i in a", "expected an operator or the end, got for"),
        ("len(a,)", "expected a value, got )"),
        ("a(1)", "unknown function a"),
        ("(len)(widths)", "expected an operator or the end, got ("),
        ("lenn(widths)", "unknown function lenn; did you mean len?"),
        ("min()", "min takes 1 or more arguments, got 0"),
        ("range()", "range takes 1 to 3 arguments, got 0"),
        ("sqrt(1, 2)", "sqrt takes 1 arguments, got 2"),
        ("lambda: 1", "expected an operator or the end, got :"),
        ("'abc", "s.yaml:3:10: $('abc): a text that is not closed"),
        ("'a\\n'", "a backslash in a text"),
        ("a & b", "s.yaml:3:12: $(a & b): unexpected &"),
        ("{1: 2}", "unexpected {"),
        ("f'{a}'", "expected an operator or the end, got '{a}'"),
        ("é", "unexpected é"),
        ("a\u202e", "unexpected \\u202e"),
        ("010", "an odd form of a number"),
        ("1_000", "an odd form of a number"),
        ("0x10", "an odd form of a number"),
        ("5.x", "an odd form of a number"),
        ("1e5e5", "an odd form of a number"),
        ("1e999", "not finite"),
        ("9007199254740993", "beyond 2^53"),
        ("1" * 200, "beyond 2^53"),
    ],
)
def test_syntax_that_is_refused(text: str, message: str) -> None:
    assert message in refusal(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a / 0", "s.yaml:3:12: $(a / 0): division by zero: 7 / 0"),
        ("5 % 0", "division by zero"),
        ("5 // 0.0", "division by zero"),
        ("wdths", "s.yaml:3:10: $(wdths): unknown name wdths"),
        ("width", "did you mean widths?"),
        ("None", "unknown name None"),
        ("options.rat", "the mapping has no entry rat; did you mean rate?"),
        ("options.__class__", "the mapping has no entry __class__"),
        ("x.__class__", "a value has no __class__: only its shape can be read"),
        ("x.shape.count", "a list has no entry count"),
        ("widths.append", "a list has no entry append"),
        ("word.upper", "text 'M' has no entry upper"),
        ("a.real", "7 has no entry real"),
        ("x", "a value of the graph stands where a number is expected"),
        ("[x]", "a value of the graph stands where a number is expected"),
        ("x + 1", "+ needs a number, got a value of the graph"),
        ("x == x", "cannot be compared"),
        ("len(x)", "len needs a list, a mapping or a text, got a value of the graph"),
        ("widths[3]", "index 3 is outside a list of 3"),
        ("widths[-4]", "index -4 is outside a list of 3"),
        ("widths[1.0]", "an index needs an integer, got 1.0"),
        ("widths[true]", "an index needs an integer, got true"),
        ("widths[:1.5]", "a slice needs an integer, got 1.5"),
        ("word[0]", "an index needs a list, got text 'M'"),
        ("options['rate']", "an index needs a list, got a mapping"),
        ("true + 1", "+ needs a number, got true"),
        ("-true", "- needs a number, got true"),
        ("'a' * 3", "* needs a number, got text 'a'"),
        ("'a' + 'b'", "+ needs a number, got text 'a'"),
        ("widths + widths", "+ needs a number, got a list"),
        ("nothing + 1", "+ needs a number, got null"),
        ("true < 2", "< needs a number, got true"),
        ("'a' < 'b'", "< needs a number, got text 'a'"),
        ("1 if a else 2", "s.yaml:3:15: $(1 if a else 2): if needs true or false, got 7"),
        ("1 if 'a' else 2", "if needs true or false, got text 'a'"),
        ("yes and 1", "and needs true or false, got 1"),
        ("no or widths", "or needs true or false, got a list"),
        ("not 0", "not needs true or false, got 0"),
        ("[1 for i in 3]", "for needs a list, got 3"),
        ("[1 for i in 'abc']", "for needs a list, got text 'abc'"),
        ("len(3)", "len needs a list, a mapping or a text, got 3"),
        ("sum(3)", "sum needs a list, got 3"),
        ("sum(mixed)", "+ needs a number, got text 'M'"),
        ("min(empty)", "min of an empty list"),
        ("max(3)", "max needs a list, got 3"),
        ("max(mixed)", "max needs a number, got text 'M'"),
        ("abs(true)", "abs needs a number, got true"),
        ("int('3')", "int needs a number, got text '3'"),
        ("int(true)", "int needs a number, got true"),
        ("sqrt(-1)", "sqrt of the negative number -1"),
        ("range(2.0)", "range needs an integer, got 2.0"),
        ("range(1, 5, 0)", "range with a step of 0"),
        ("make_divisible(8, 0)", "make_divisible needs a positive divisor, got 0"),
        ("make_divisible(8, 2.0)", "make_divisible needs an integer, got 2.0"),
        ("9007199254740992 + 1", "s.yaml:3:27: $(9007199254740992 + 1): an integer beyond 2^53"),
        ("-9007199254740992 - 1", "beyond 2^53"),
        ("3037000500 * 3037000500", "beyond 2^53"),
        ("round(1e300)", "beyond 2^53"),
        ("make_divisible(1e300, 8)", "beyond 2^53"),
        ("1e308 * 10", "the result is not finite"),
        ("1e308 // 1e-308", "the result is not finite"),
    ],
)
def test_values_that_are_refused(text: str, message: str) -> None:
    assert message in refusal(text)


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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("$(widths[0", "s.yaml:3:10: $(widths[0 has no closing parenthesis: quote it if YAML cut it"),
        ("x$(min(1", "s.yaml:3:11: $(min(1 has no closing parenthesis"),
        ("$('a)", "s.yaml:3:10: $('a) has no closing parenthesis"),
        ("x$(a)$(a +)", "s.yaml:3:20: $(a +): expected a value, got the end"),
        ("$(" + "(" * 100_000, "a text with $(...) of 100,002 characters: at most 1,024"),
        ("$(" + "-" * 100_000 + "1)", "at most 1,024"),
        ("$(a)" * 100_000, "at most 1,024"),
        ("$(" + "a" * 257 + ")", "an expression of 257 characters: at most 256"),
    ],
)
def test_strings_that_are_refused(text: str, message: str) -> None:
    begin = time.process_time()
    with pytest.raises(LanguageError) as caught:
        read_string(text, EXACT)
    assert message in str(caught.value)
    assert time.process_time() - begin < 2


@pytest.mark.parametrize("name", ["f", "yes", "widths", "batch", "nothing", "options"])
def test_what_a_text_cannot_be_filled_with(name: str) -> None:
    template = read_string(f"down$({name})", EXACT)
    assert isinstance(template, Template)
    with pytest.raises(LanguageError, match=r"s\.yaml:3:16: \$\(\w+\) in a text must be an integer or text, got"):
        fill(template, NAMES)


def test_places_that_are_not_exact() -> None:
    with pytest.raises(LanguageError, match=r"^s\.yaml:3:10: "):
        read_string("two $(lines +)", Place(START))
    with pytest.raises(LanguageError, match=r"^s\.yaml:3:10: \$\(a / 0\): division"):
        evaluate(parse("a / 0", Place(START)), NAMES)


def test_depth_and_length() -> None:
    assert value_of("(" * 31 + "a" + ")" * 31) == 7
    assert value_of("-" * 31 + "a") == -7
    assert value_of("not " * 30 + "yes") is True
    assert value_of(" + ".join(["1"] * 64)) == 64
    assert value_of("[" * 31 + "a" + "]" * 31 + "[0]" * 31) == 7
    assert value_of("a" + "+1" * 127) == 134
    assert value_of(" " * (MAX_LENGTH - 1) + "a") == 7
    for text in ("(" * 32 + "a" + ")" * 32, "-" * 32 + "a", "not " * 32 + "yes", "[" * 40, "a[" * 40, "abs(" * 40):
        assert "nested more than 32 deep" in refusal(text)
    assert "nested more than 32 deep" in refusal("1 if no else " * 15 + "(" * 20 + "1" + ")" * 20)
    assert "an expression of 257 characters: at most 256" in refusal(" " * MAX_LENGTH + "a")


def test_steps() -> None:
    assert len(list_of("range(4990)")) == 4990
    for text in (
        "[[0 for j in range(9999)] for i in range(9999)]",
        "range(1000000000)",
        "range(-9007199254740992, 9007199254740992)",
        "[i for i in range(9000)]",
        "sum([sum(range(100)) for i in range(100)])",
        "[widths for i in range(2000)]",
    ):
        assert "more than 10,000 steps" in refusal(text)


def list_of(text: str) -> list[Value]:
    result = value_of(text)
    assert isinstance(result, list)
    return result


def test_values_that_hold_themselves_over_and_over() -> None:
    doubled: Value = [1]
    nested: Value = [1]
    for _ in range(100):
        doubled = [doubled, doubled]
        nested = [nested]
    names: dict[str, Value] = {"doubled": doubled, "nested": nested}
    assert "nested more than 64 deep" in refusal("doubled", names)
    assert "nested more than 64 deep" in refusal("nested", names)
    shallow: Value = [1]
    for _ in range(20):
        shallow = [shallow, shallow]
    assert "more than 10,000 steps" in refusal("shallow", {"shallow": shallow})
    assert "more than 10,000 steps" in refusal("shallow == shallow", {"shallow": shallow})


def test_symbolic_sizes_do_not_grow_without_end() -> None:
    names: dict[str, Value] = {name: symbol(name) for name in "abcdefgh"}
    assert "more than 256 factors" in refusal("*".join(["(a+b+c+d+e+f+g+h)"] * 14), names)
    for text in ("s * s", "(s * 3 + t) // 2"):
        assert "more than 256 factors" in refusal_of_repeating(text)


def refusal_of_repeating(text: str) -> str:
    """The message of the first refusal when each value of `text` is the next one's `s`."""
    size: Value = symbol("a") + symbol("b")
    for _ in range(1000):
        try:
            size = value_of(text, {"s": size, "t": symbol("t")})
        except LanguageError as error:
            return str(error)
    return "never refused"


def test_values_of_expressions_need_no_deep_stack() -> None:
    """The longest chain and the deepest nesting fit beside a caller that is deep in its own recursion."""

    def deeper(levels: int) -> Value:
        if levels:
            return deeper(levels - 1)
        return value_of("(" * 31 + "1" + "+1" * 90 + ")" * 31)

    assert deeper(300) == 91


SMALL = st.integers(0, 20).map(str)
PYTHON_NAMES: dict[str, Value] = {"a": 7, "b": -2, "c": 0, "w": [5, 3, 9]}


def sums(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    joined = st.tuples(inner, st.sampled_from(["+", "-", "*", "//", "%", "/"]), inner).map(" ".join)
    chains = st.lists(st.tuples(st.sampled_from([" + ", "-", " * ", "//"]), inner).map("".join), max_size=3).map(
        "".join
    )
    return st.one_of(
        joined,
        st.tuples(inner, chains).map("".join),
        inner.map(lambda text: f"-{text}" if text[0].isalnum() else f"-({text})"),
        inner.map(lambda text: f"({text})"),
        st.tuples(st.sampled_from(["abs", "int", "round"]), inner).map(lambda pair: f"{pair[0]}({pair[1]})"),
        st.tuples(st.sampled_from(["min", "max"]), inner, inner).map(
            lambda parts: f"{parts[0]}({parts[1]}, {parts[2]})"
        ),
        st.tuples(inner, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), inner, inner, inner).map(
            lambda parts: f"({parts[3]} if ({parts[0]}) {parts[1]} ({parts[2]}) else {parts[4]})"
        ),
        st.tuples(inner, inner, inner).map(
            lambda parts: f"(1 if ({parts[0]}) < 3 and not ({parts[1]}) > 2 or ({parts[2]}) == 1 else 0)"
        ),
        inner.map(lambda text: f"sum([i + {text} for i in w[1:]])"),
        inner.map(lambda text: f"len(range({text}))"),
    )


TEXTS = st.recursive(SMALL | st.sampled_from(["a", "b", "c", "w[0]", "w[-1]", "len(w)"]), sums, max_leaves=8)


@settings(deadline=None, max_examples=1500)
@given(TEXTS)
def test_arithmetic_is_pythons(text: str) -> None:
    assume(len(text) <= MAX_LENGTH)
    builtins = {"abs": abs, "int": int, "round": round, "min": min, "max": max, "sum": sum, "len": len, "range": range}
    try:
        expected = eval(text, {"__builtins__": builtins, **PYTHON_NAMES})  # noqa: S307  # Python is the judge here
    except ZeroDivisionError:
        assert "division by zero" in refusal(text, PYTHON_NAMES)
        return
    except TypeError:  # range() of a float
        assert "range needs an integer" in refusal(text, PYTHON_NAMES)
        return
    try:
        result = value_of(text, PYTHON_NAMES)
    except LanguageError as error:
        assert any(reason in str(error) for reason in ("beyond 2^53", "more than 32 deep", "steps"))  # noqa: PT017
        return
    assert result == expected
    assert type(result) is type(expected)


WORDS = st.sampled_from(
    ["a", "b", "x", "w", ".shape", ".", "[", "]", "(", ")", ",", ":", "+", "-", "*", "/", "//", "%", "==", "<", "if",
     "else", "and", "or", "not", "for", "in", "i", "0", "1", "2.5", "9e9", "'s'", '"', "true", "len(", "range(", "max(",
     "sum(", "make_divisible(", "round(", "batch", " ", "\\", "$(", "\n", "é"]
)  # fmt: skip


@settings(deadline=None, max_examples=2000)
@given(st.lists(WORDS, max_size=14).map(" ".join))
def test_any_words_give_a_value_or_a_refusal(text: str) -> None:
    names: dict[str, Value] = {**NAMES, "w": [1, 2.5, "s", BATCH], "i": 3}
    with contextlib.suppress(LanguageError):
        found = read_string(f"$({text})", EXACT)
        result = evaluate(found, names) if isinstance(found, Expression) else ""
        assert isinstance(result, int | float | str | list | dict | Dim | None)


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_text_gives_a_value_or_a_refusal(text: str) -> None:
    for place in (EXACT, Place(START)):
        with contextlib.suppress(LanguageError):
            assert isinstance(read_string("$(" + text, place), Expression | Template)


@settings(deadline=None)
@given(st.integers(-5, 5), st.integers(-5, 5), st.integers(1, 4), st.integers(1, 50), st.integers(1, 50))
def test_symbolic_arithmetic_agrees_with_numbers(p: int, q: int, divisor: int, batch: int, length: int) -> None:
    text = f"(batch * {p} + time * batch - {abs(q)}) // {divisor} + (time - {abs(p)}) * (batch + 1)"
    symbolic = value_of(text)
    numeric = value_of(text, {"batch": batch, "time": length})
    assert at(symbolic, batch, length) == numeric


def at(size: Value, batch: int, length: int) -> int:
    """A size at given values of its symbols, from its terms."""
    if isinstance(size, int):
        return size
    assert isinstance(size, Dim)
    values: dict[str, int] = {"batch": batch, "time": length}
    total = 0
    for monomial, coefficient in size.terms:
        for atom in monomial:
            part: Size = values[atom] if isinstance(atom, str) else at(atom.numerator, batch, length) // atom.divisor
            assert isinstance(part, int)
            coefficient *= part
        total += coefficient
    return total
