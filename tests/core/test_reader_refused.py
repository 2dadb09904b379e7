"""Reading: every refusal of the reader with its place, and no other exception than ours for any text."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netspec.errors import LanguageError
from netspec.language import yaml_reader
from netspec.language.reader import read, read_text
from tests.core.reading import PARSERS, refusal


@pytest.mark.parametrize(
    "word", ["010", "-07", "08", "1:30", "1:30.5", "1_000", "1_000.5", "0b11", "0x1_F", "-0x1F", "0X1f", "0O7", "1_0e5"]
)
def test_odd_numbers_are_refused(parser: None, word: str) -> None:
    assert refusal(f"b: 1\na: {word}\n").startswith(f"s.yaml:2:4: {word} is an odd form of a number")
    assert read_text(f"a: '{word}'").root.plain() == {"a": word}


@pytest.mark.parametrize("word", [".inf", "-.INF", ".nan", "1e999", "-1e999"])
def test_numbers_that_are_not_finite_are_refused(parser: None, word: str) -> None:
    assert "not finite" in refusal(f"a: {word}")


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_json_numbers_that_are_not_finite_are_refused(word: str) -> None:
    assert refusal(f'{{"a": {word}}}', "s.json").startswith(f"s.json:1:7: {word} is not finite")


@pytest.mark.parametrize("file", ["s.yaml", "s.json"])
def test_equal_keys_name_both_lines(file: str) -> None:
    message = refusal('{"b": 1,\n"a": 2,\n"c": {"a": 0},\n "a": 3,\n"b": 4}', file)
    assert message.split("\n") == [
        f"{file}:4:2: key a is written twice: first in line 2, again in line 4",
        f"{file}:5:1: key b is written twice: first in line 1, again in line 5",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &x [*x]", "s.yaml:1:8: recursive alias"),
        ("a: &x {b: [&y {c: *x}]}", "s.yaml:1:19: recursive alias"),
        ("a: *x", "s.yaml:1:4: alias *x has no anchor"),
        ("a: {<<: {b: 1}}", "s.yaml:1:5: merge keys (<<) are not supported"),
        ("a: !!python/object/apply:os.system [id]", "s.yaml:1:4: tag tag:yaml.org,2002:python/object/apply:os.system"),
        ("a: !!binary aGk=", "s.yaml:1:4: tag"),
        ("a: !!set {b}", "s.yaml:1:4: tag"),
        ("a: !!timestamp x", "s.yaml:1:4: tag"),
        ("a: !!str 1", "s.yaml:1:4: tag"),
        ("a: ! 1", "s.yaml:1:4: tag !"),
        ("!!map {a: 1}", "s.yaml:1:1: tag"),
        ("!!str a: 1", "s.yaml:1:1: tag"),
        ("1: a", "s.yaml:1:1: a key must be text, not 1: quote it"),
        ("true: a", "s.yaml:1:1: a key must be text, not true"),
        ("~: a", "s.yaml:1:1: a key must be text"),
        ("010: a", "s.yaml:1:1: 010 is an odd form"),
        ("? [a]\n: b", "s.yaml:1:3: a key must be text"),
        ("a: &x b\n*x : c", "s.yaml:2:1: a key must be text"),
        ("", "s.yaml:1:1: the file is empty: a mapping is expected"),
        ("# only this\n", "s.yaml:1:1: the file is empty"),
        ("---", "a mapping is expected at the top, got nothing"),
        ("- a\n", "s.yaml:1:1: a mapping is expected at the top, got a list"),
        ("a", "s.yaml:1:1: a mapping is expected at the top, got text"),
        ("17", "s.yaml:1:1: a mapping is expected at the top, got a number"),
        ("a: 1\n---\nb: 2\n", "s.yaml:2:1: a second document: one is expected"),
        ("a: 1\n--- \n", "s.yaml:2:1: a second document"),
        ("a: b: c", "s.yaml:1:5: YAML: mapping values are not allowed"),
        ("a: [1, 2\n", "s.yaml:2:1: YAML: while parsing a flow sequence"),
        ("a:\n\t- b\n", "s.yaml:2:1: a tab: indent with spaces"),
        ('a: "\\0"', "s.yaml:1:4: escape of U+0000"),
        ('a: "\\ud800"', "s.yaml:1:"),
        ('a: "\\UFFFFFFFF"', "s.yaml:1:"),
    ],
)
def test_yaml_that_is_refused(parser: None, text: str, message: str) -> None:
    assert message in refusal(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "s.json:1:1: the file is empty"),
        ("[1]", "s.json:1:1: a mapping is expected at the top, got a list"),
        ('{"a": 1,}', "s.json:1:9: JSON: expected a key after ','"),
        ('{"a": [1,]}', "s.json:1:10: JSON: expected a value after ','"),
        ('{"a": [1 2]}', "s.json:1:10: JSON: expected ',' or ']', got 2"),
        ('{"a" 1}', "s.json:1:6: JSON: expected ':', got 1"),
        ("{a: 1}", "s.json:1:2: JSON: expected a key in double quotes, got a"),
        ("{'a': 1}", "s.json:1:2: JSON: expected a key in double quotes"),
        ('{"a": 01}', "s.json:1:7: JSON: expected a value"),
        ('{"a": +1}', "s.json:1:7: JSON: expected a value"),
        ('{"a": 1.}', "s.json:1:7: JSON: expected a value"),
        ('{"a": True}', "s.json:1:7: JSON: expected a value"),
        ('{"a": }', "s.json:1:7: JSON: expected a value, got }"),
        ('{"a": "b\nc"}', "s.json:1:9: JSON: invalid control character"),
        ('{"a": "b', "s.json:1:7: JSON: unterminated string"),
        ('{"a": "\\x41"}', "s.json:1:8: JSON: invalid \\escape"),
        ('{"a": "\\ud800"}', "s.json:1:7: escape of U+D800"),
        ('{"\\u0000": 1}', "s.json:1:2: escape of U+0000"),
        ('{"a": 1} {', "s.json:1:10: JSON: expected the end of the file, got {"),
        ('{"a": 1', "s.json:1:8: JSON: expected ',' or '}', got the end"),
        ("{} # no comments", "s.json:1:4: JSON: expected the end"),
    ],
)
def test_json_that_is_refused(text: str, message: str) -> None:
    assert message in refusal(text, "s.json")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: {b: $(w[0])}", "s.yaml:1:8: YAML cuts the expression $(w: quote it"),
        ("a: [x, $(min(1, 2))]", "s.yaml:1:8: YAML cuts the expression $(min(1: quote it"),
        ("a: {b: $(min(1, 2)), c: 3}", "s.yaml:1:8: YAML cuts"),
        ("a: $(w[1: 2])", "s.yaml:1:9: YAML cuts the expression here: quote it"),
    ],
)
def test_expressions_that_yaml_cuts(parser: None, text: str, message: str) -> None:
    assert refusal(text).startswith(message)


@pytest.mark.parametrize("file", ["s.yaml", "s.json"])
@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("{}".encode("utf-16"), "1:1: the text is UTF-16 or UTF-32"),
        (b"\xfe\xff\x00{\x00}", "1:1: the text is UTF-16 or UTF-32"),
        ("{}".encode("utf-32"), "1:1: the text is UTF-16 or UTF-32"),
        ("{}".encode("utf-16-le"), "1:2: character NUL"),
        (b'{\n"\xc3\xa9\xff": 1}', "2:3: byte 0xff is not UTF-8"),
        (b'{"a": "\xed\xa0\x80"}', "1:8: byte 0xed is not UTF-8"),
        (b'{"a":\n 0\x00}', "2:3: character NUL"),
        (b'{"a": "\x1b[31m"}', "1:8: character U+001B"),
        (b'{"a": "\x7f"}', "1:8: character U+007F"),
        ('{"a": "\u2028"}'.encode(), "1:8: character U+2028"),
        (b"\xef\xbb\xbf\xef\xbb\xbf\x07", "1:2: character U+0007"),
    ],
)
def test_bytes_that_are_no_text(file: str, data: bytes, message: str) -> None:
    assert f"{file}:{message}" in refusal(data, file)


def test_a_lone_surrogate_in_a_text_is_refused() -> None:
    assert "character U+D800" in refusal("a: \ud800")


def test_all_small_mistakes_are_told_at_once() -> None:
    lines = refusal("a: 010\nb: !x 1\n3: 4\na: .nan\n<<: {}\n").split("\n")
    assert [line.split(": ")[0] for line in lines] == ["s.yaml:1:4", "s.yaml:2:4", "s.yaml:3:1", *lines_of_rest(lines)]
    many = refusal("\n".join(f"k{i}: 010" for i in range(1000))).split("\n")
    assert len(many) == 11
    assert many[-1] == "and 990 more mistakes"


def lines_of_rest(lines: list[str]) -> list[str]:
    assert lines[3] == "s.yaml:4:4: .nan is not finite: a finite number is expected"
    assert lines[4] == "s.yaml:4:1: key a is written twice: first in line 1, again in line 4"
    assert lines[5].startswith("s.yaml:5:1: merge keys")
    return ["s.yaml:4:4", "s.yaml:4:1", "s.yaml:5:1"]


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(b"#" * (2**20 + 1))
    (tmp_path / "largest").write_bytes(b"#" * (2**20 - 5) + b"\na: 1")
    assert read(tmp_path / "largest").root.plain() == {"a": 1}
    refusals: dict[str | Path, str] = {
        tmp_path / "pipe": "a file is expected, this is a pipe or a device",
        tmp_path: "a file is expected, this is a folder",
        "/dev/zero": "a file is expected, this is a pipe or a device",
        tmp_path / "none": "cannot be opened: No such file or directory",
        tmp_path / "a\0b": "cannot be opened: NUL in the name",
        tmp_path / ("x" * 300): "cannot be opened: File name too long",
        tmp_path / "large": "the file is larger than 1,048,576 bytes",
    }
    begin = time.process_time()
    for path, message in refusals.items():
        with pytest.raises(LanguageError) as caught:
            read(path)
        assert f":1:1: {message}" in str(caught.value)
        assert str(caught.value).isprintable()
    assert time.process_time() - begin < 5


PIECES = st.sampled_from(
    ["a", "b: ", "- ", "\n", "\n  ", "[", "]", "{", "}", ", ", "&x ", "*x", "!!", "! ", "<<: ", "'", '"', "|\n", "#",
     "010", "1", ".5", "$(", ")", "\\u", "\\", "? ", ": ", "---\n", "...\n", "%YAML 1.2\n", "\t", "\r", "é", "\0",
     "\ud800", "true", "\ufeff", '"a": ', "null", "\x85"]
)  # fmt: skip


def document_or_refusal(text: str | bytes) -> None:
    """Read `text` as YAML, with both parsers, and as JSON: what comes out is a document or our own refusal."""
    for file, chosen in (("s.yaml", PARSERS[0]), ("s.yaml", PARSERS[1]), ("s.json", PARSERS[0])):
        with pytest.MonkeyPatch.context() as patch, contextlib.suppress(LanguageError):
            patch.setattr(yaml_reader, "PARSER", chosen)
            assert isinstance(read_text(text, file).root.plain(), dict)


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=60))
def test_any_bytes(data: bytes) -> None:
    document_or_refusal(data)


@settings(deadline=None, max_examples=1000)
@given(st.lists(PIECES, max_size=25).map("".join))
def test_any_text(text: str) -> None:
    document_or_refusal(text)
