"""Expressions: how long, how deep and how costly one may be, and that all of it is found in bounded time."""

from __future__ import annotations

from netspec.errors import LanguageError
from netspec.expressions.parser import MAX_LENGTH
from netspec.expressions.values import Value
from netspec.graph.dims import symbol
from tests.core.expression_values import refusal, value_of


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
