"""Names and their values for the tests of expressions, and an expression's value or refusal."""

from __future__ import annotations

import time
from collections.abc import Mapping

import pytest

from netspec.errors import LanguageError, Location
from netspec.expressions.evaluation import evaluate
from netspec.expressions.parser import parse
from netspec.expressions.place import Place
from netspec.expressions.values import ShapedValue, Value
from netspec.graph.dims import symbol

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
