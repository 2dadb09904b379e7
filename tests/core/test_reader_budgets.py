"""Reading: how large, how deep and how often aliased a text may be, and the time and memory that it takes."""

from __future__ import annotations

import json
import time
import tracemalloc

import pytest

from netspec.errors import LanguageError, Location
from netspec.language.reader import read_text
from tests.core.reading import refusal


@pytest.mark.parametrize("file", ["s.yaml", "s.json"])
@pytest.mark.parametrize("digits", ["9" * 5000, "-" + "1" * 5000, "9007199254740993", "1" * 1_000_000])
def test_huge_integers_are_refused_without_converting(file: str, digits: str) -> None:
    message = refusal(f'{{"a": {digits}}}', file)
    assert "beyond 2^53" in message
    assert len(message) < 200


def test_other_huge_numbers_are_refused() -> None:
    assert "beyond 2^53" in refusal("a: 0x" + "f" * 1_000_000)
    assert "longer than 400" in refusal("a: 0." + "3" * 1_000_000)
    assert "longer than 400" in refusal('{"a": 0.' + "3" * 1_000_000 + "}", "s.json")
    assert read_text("a: 0x" + "0" * 300 + "1f").root.plain() == {"a": 31}


def test_alias_bombs_meet_the_budget_of_values(parser: None) -> None:
    lines = ["a0: &a0 [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 10)]
    assert "more than 100,000 values" in refusal("\n".join(lines))


def test_the_expanded_values_are_counted_exactly() -> None:
    head = "a: &x [" + "0, " * 998 + "]\n"  # 2 + 998 values with the top; each alias 999 more
    fits = head + "b: [" + "*x, " * 99 + "0" + "]"  # 1,000 + 1 + 99 * 999 + 1 = 99,903
    assert len(json.dumps(read_text(fits).root.plain())) > 99_000
    assert "more than 100,000 values" in refusal(fits[:-1] + ", 0" * 98 + "]")


def test_the_number_of_aliases() -> None:
    text = "a: &x 1\nb: [" + "*x," * 100 + "]"
    assert read_text(text).root.plain() == {"a": 1, "b": [1] * 100}
    assert "more than 100 aliases" in refusal(text[:-1] + "*x]")


def test_nesting(parser: None) -> None:
    deepest = "{a: " + "[" * 63 + "]" * 63 + "}"
    assert read_text(deepest).root.plain() == json.loads(deepest.replace("a", '"a"'))
    assert "nested more than 64 deep" in refusal("{a: " + "[" * 64 + "]" * 64 + "}")
    assert "nested more than 64 deep" in refusal("a: &x " + "[" * 40 + "]" * 40 + "\nb: " + "[" * 24 + "*x" + "]" * 24)
    assert read_text("a: &x " + "[" * 40 + "]" * 40 + "\nb: " + "[" * 23 + "*x" + "]" * 23)
    assert "nested more than 64 deep" in refusal(
        "a: &x " + "[" * 30 + "]" * 30 + "\nb: &y " + "[" * 30 + "*x" + "]" * 30 + "\nc: [[[[*y]]]]"
    )


@pytest.mark.parametrize("file", ["s.yaml", "s.json"])
@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "[" * 2**20, '{"a":[' * 100_000])
def test_deep_nesting_does_not_crash(file: str, text: str) -> None:
    assert "nested more than 64 deep" in refusal(text, file)


def test_json_nesting() -> None:
    assert read_text('{"a":' + "[" * 63 + "]" * 63 + "}", "s.json")
    assert "nested more than 64 deep" in refusal('{"a":' + "[" * 64 + "]" * 64 + "}", "s.json")


@pytest.mark.parametrize("file", ["s.yaml", "s.json"])
def test_events_and_values_are_counted(file: str) -> None:
    assert "more than 100,000 values" in refusal('{"a": [' + "1," * 100_000 + "1]}", file)
    assert read_text('{"a": [' + "1," * 99_000 + "1]}", file)


def test_the_budget_of_events(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netspec.language.budgets.MAX_EVENTS", 10)
    for file in ("s.yaml", "s.json"):
        assert read_text('{"a": [1, 2, 3], "b": 1}', file)  # 2 ends, 2 keys, 2 ends, 3 + 1 scalars
        assert "more than 10 YAML or JSON events" in refusal('{"a": [1, 2, 3], "b": [1]}', file)


@pytest.mark.parametrize("text", ["é" * (2**19 + 1), b"#" * (2**20 + 1)])
def test_texts_that_are_too_long(text: str | bytes) -> None:
    assert "at most 1,048,576" in refusal(text)


@pytest.mark.parametrize("file", ["s.yaml", "s.json"])
@pytest.mark.parametrize(
    "unit",
    ["- ", "? ", "&a ", "a: ", "!", "%", "---\n", "a,", "{},", "010,", "$(", '"', "\\", "\n ", "|\n", "a: 1\n", "'"],
)
@pytest.mark.parametrize("head", ["", "{", '{"a": [', '{"a": "'])
def test_a_megabyte_of_anything_is_quick(file: str, unit: str, head: str) -> None:
    begin = time.process_time()
    with pytest.raises(LanguageError):
        read_text((head + unit * 2**20)[: 2**20 - 1], file)
    assert time.process_time() - begin < 5  # the slowest takes 0.9 s on an idle machine


def test_a_megabyte_of_mistakes_stays_small() -> None:
    tracemalloc.start()
    try:
        refusal("[" + "010," * 260_000 + "]")
        assert tracemalloc.get_traced_memory()[1] < 100e6
    finally:
        tracemalloc.stop()


def test_ten_thousand_layers() -> None:
    lines = [
        f"  - {{name: layer{i}, type: conv2d, out_channels: 64, kernel_size: 3, padding: 1}}" for i in range(10_000)
    ]
    begin = time.process_time()
    root = read_text("netspec: 1\nlayers:\n" + "\n".join(lines)).root
    assert time.process_time() - begin < 3  # 0.35 s on an idle machine
    assert root.locate(["layers", 9_999, "type"], key=True) == Location("<text>", 10_002, 23)
