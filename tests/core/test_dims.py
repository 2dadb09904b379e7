"""Symbolic sizes: their arithmetic means what the numbers' does, and one polynomial has one form."""

from __future__ import annotations

import math
import pickle
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netspec.errors import ShapeError
from netspec.graph.dims import (
    MAX_TERMS,
    Dim,
    Size,
    bounds,
    compare,
    divide,
    evaluate,
    format_shape,
    is_symbol,
    product,
    symbol,
)

NAMES = ("a", "b", "n")
OPERATORS = ("==", "!=", "<", "<=", ">", ">=")
a, b, n = (symbol(name) for name in NAMES)

small = st.integers(-7, 7)
divisors = st.integers(1, 6)


def polynomials(divisions: bool = True) -> st.SearchStrategy[Size]:
    """Random sizes over three symbols, with floor divisions inside each other unless told otherwise."""
    leaves: st.SearchStrategy[Size] = st.one_of(small, st.sampled_from([a, b, n]))

    def grow(inner: st.SearchStrategy[Size]) -> st.SearchStrategy[Size]:
        grown: list[st.SearchStrategy[Size]] = [
            st.builds(lambda x, y: x + y, inner, inner),
            st.builds(lambda x, y: x - y, inner, inner),
            st.builds(lambda x, y: x * y, inner, inner),
        ]
        if divisions:
            grown += [st.builds(lambda x, d: x // d, inner, divisors)] * 2
        return st.one_of(grown)

    return st.recursive(leaves, grow, max_leaves=6)


sizes = polynomials()
plain = polynomials(divisions=False)
symbols = st.fixed_dictionaries({name: st.integers(1, 30) for name in NAMES})


@given(sizes, sizes, divisors, symbols)
def test_arithmetic_is_that_of_the_numbers(x: Size, y: Size, d: int, values: Mapping[str, int]) -> None:
    x_here, y_here = evaluate(x, values), evaluate(y, values)
    assert evaluate(x + y, values) == x_here + y_here
    assert evaluate(x - y, values) == x_here - y_here
    assert evaluate(x * y, values) == x_here * y_here
    assert evaluate(x // d, values) == x_here // d
    assert evaluate(-x, values) == -x_here


@given(sizes, sizes, sizes)
def test_what_is_equal_by_the_rules_of_arithmetic_is_one_object(x: Size, y: Size, z: Size) -> None:
    assert x + y == y + x
    assert x * y == y * x
    assert (x + y) + z == x + (y + z)
    assert (x * y) * z == x * (y * z)
    assert x * (y + z) == x * y + x * z
    assert x - x == 0
    assert hash(x + y) == hash(y + x)


@given(sizes, sizes, divisors)
def test_a_division_gives_back_what_was_multiplied(x: Size, y: Size, d: int) -> None:
    assert (x * d) // d == x
    assert (x * d + d - 1) // d == x
    assert x // 1 == x


@given(plain, divisors, divisors)
def test_divisions_by_two_numbers_are_one_by_their_product(x: Size, c: int, d: int) -> None:
    assert x // c // d == x // (c * d)
    assert (x * c) // (c * d) == x // d
    assert (x * c + c - 1) // (c * d) == x // d


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((2 * n) // 4, n // 2),
        ((2 * n + 1) // 4, n // 2),
        ((3 * n) // 2, n + n // 2),
        ((n // 2 + a) // 3, (n + 2 * a) // 6),
        ((n // 3 - 1) // 2, (n - 3) // 6),
        ((6 * n + 4 * a + 3) // 8, (3 * n + 2 * a + 1) // 4),
        ((n - 1) // 2 + 1, (n + 1) // 2),
        (((n + 1) // 2 + 1) // 2, (n + 3) // 4),
    ],
)
def test_one_size_written_in_two_ways_is_one_object(one: Size, other: Size) -> None:
    assert one == other
    assert hash(one) == hash(other)


@given(sizes, symbols)
def test_bounds_hold_every_value(size: Size, values: Mapping[str, int]) -> None:
    low, high = bounds(size)
    assert low <= evaluate(size, values) <= high
    low, high = bounds(size, 30)
    assert low <= evaluate(size, values) <= high


@given(plain)
def test_bounds_of_one_term_with_a_constant_are_reached(size: Size) -> None:
    if isinstance(size, Dim) and len(size.terms) == 1:
        lowest = evaluate(size, dict.fromkeys(NAMES, 1))
        assert lowest in bounds(size)


def test_bounds_are_exact_beyond_what_a_float_can_hold() -> None:
    huge = 10**400
    assert bounds(n * huge - 1) == (huge - 1, math.inf)
    assert bounds(n * 2**53 - 2**53 - 1)[0] == -1
    assert compare(n * 2**53, ">", 2**53) is None
    assert compare(n * (2**53 + 1), ">", 2**53) is True


@given(sizes, st.sampled_from(OPERATORS), sizes, symbols)
def test_a_comparison_that_answers_is_right(x: Size, operator: str, y: Size, values: Mapping[str, int]) -> None:
    answer = compare(x, operator, y)
    if answer is not None:
        numbers = {"x": evaluate(x, values), "y": evaluate(y, values)}
        truth = {
            "==": numbers["x"] == numbers["y"],
            "!=": numbers["x"] != numbers["y"],
            "<": numbers["x"] < numbers["y"],
            "<=": numbers["x"] <= numbers["y"],
            ">": numbers["x"] > numbers["y"],
            ">=": numbers["x"] >= numbers["y"],
        }
        assert answer is truth[operator]


@pytest.mark.parametrize(
    ("left", "operator", "right", "answer"),
    [
        (n, ">=", 1, True),
        (n, ">", 1, None),
        (n, "==", n, True),
        (n, "!=", n + 1, True),
        (n, "<", 1, False),
        (n, "==", 0, False),
        (n // 2, ">=", 0, True),
        (n * a, ">=", 1, True),
        (n + a, ">=", 2, True),
        (n + a, ">", n, True),
        (3, "<", 5, True),
        (-n // 2, "<", 0, True),
        (n, "==", a, None),
    ],
)
def test_comparisons_answer_where_there_is_one_answer(left: Size, operator: str, right: Size, answer: object) -> None:
    assert compare(left, operator, right) is answer


@given(plain, plain)
def test_a_product_divides_by_its_factors(x: Size, y: Size) -> None:
    if y != 0:
        assert divide(x * y, y) == x


@given(sizes, sizes, symbols)
def test_what_divide_gives_is_exact(x: Size, y: Size, values: Mapping[str, int]) -> None:
    quotient = divide(x, y)
    if quotient is not None:
        assert quotient * y == x
        assert evaluate(quotient, values) * evaluate(y, values) == evaluate(x, values)


@pytest.mark.parametrize(("x", "y"), [(7, 2), (n, 2), (n + 1, n), (n, a), (n, 0), (2 * n, 4), (n * n + 1, n + 1)])
def test_what_does_not_divide_for_every_size_is_refused(x: Size, y: Size) -> None:
    assert divide(x, y) is None


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (n, "n"),
        (n + 1, "n + 1"),
        (1 - n, "-n + 1"),
        (-n, "-n"),
        (2 * n * a - 3, "2*a*n - 3"),
        (n * n, "n*n"),
        (n // 2, "n//2"),
        ((n + 1) // 2, "(n + 1)//2"),
        ((n * a) // 2, "(a*n)//2"),
        (a * (n // 2), "a*(n//2)"),
        (3 * (n // 2) + 1, "3*(n//2) + 1"),
        (1 - n // 2, "-(n//2) + 1"),
        (a - n // 2, "a - n//2"),
        ((-n) // 2, "(-n)//2"),
        ((2 * n) // 3, "(2*n)//3"),
    ],
)
def test_printing(size: Size, text: str) -> None:
    assert str(size) == text


@given(sizes, symbols)
def test_what_is_printed_means_the_size_when_it_is_read(size: Size, values: Mapping[str, int]) -> None:
    assert eval(str(size), {}, dict(values)) == evaluate(size, values)  # noqa: S307 - the text is our own


def test_shapes_print_as_they_are_written() -> None:
    assert format_shape([symbol("batch"), 3, n // 2]) == "[batch, 3, n//2]"
    assert format_shape([]) == "[]"


@given(sizes)
def test_sizes_survive_pickling(size: Size) -> None:
    assert pickle.loads(pickle.dumps(size)) == size


@given(sizes, sizes)
def test_a_size_may_replace_a_symbol(x: Size, y: Size) -> None:
    values = {"a": 3, "b": 5, "n": 11}
    replaced = evaluate(x, {**values, "n": y})
    assert evaluate(replaced, values) == evaluate(x, {**values, "n": evaluate(y, values)})


def test_only_a_lone_symbol_is_a_symbol() -> None:
    assert is_symbol(n) == "n"
    assert [is_symbol(size) for size in (3, n + 1, 2 * n, n * a, n // 2)] == [None] * 5
    assert isinstance(x := (n + a) // 2, Dim)
    assert x.symbols() == {"n", "a"}


@pytest.mark.parametrize("divisor", [0, -1, -3])
def test_a_size_is_divided_by_positive_integers_only(divisor: int) -> None:
    with pytest.raises(ValueError, match="positive integer only"):
        n // divisor


def test_a_product_that_would_explode_is_refused_before_it_is_made() -> None:
    sums = [sum((symbol(f"{letter}{i}") for i in range(70)), start=symbol(letter)) for letter in "xyz"]
    with pytest.raises(ShapeError, match=f"more than {MAX_TERMS:,} terms"):
        product(sums)
