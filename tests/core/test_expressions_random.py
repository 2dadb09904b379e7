"""Random expressions: arithmetic judged by Python's own, and no other exception than ours."""

from __future__ import annotations

import contextlib

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from netspec.errors import LanguageError
from netspec.expressions.evaluation import evaluate
from netspec.expressions.parser import MAX_LENGTH, read_string
from netspec.expressions.place import Place
from netspec.expressions.syntax import Expression, Template
from netspec.expressions.values import Value
from netspec.graph.dims import Dim, Size
from tests.core.expression_values import BATCH, EXACT, NAMES, START, refusal, value_of

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
