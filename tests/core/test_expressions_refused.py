"""Expressions: every refusal, with the column of the part that is wrong."""

from __future__ import annotations

import time

import pytest

from netspec.errors import LanguageError
from netspec.expressions.evaluation import evaluate, fill
from netspec.expressions.parser import parse, read_string
from netspec.expressions.place import Place
from netspec.expressions.syntax import Template
from tests.core.expression_values import EXACT, NAMES, START, refusal


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
