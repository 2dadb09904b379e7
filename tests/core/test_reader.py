"""Reading: values and their places, every refusal of the reader, its budgets, and no other exception than ours."""

from __future__ import annotations

import contextlib
import json
import os
import time
import tracemalloc
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from netspec.errors import LanguageError, Location
from netspec.language import yaml_reader
from netspec.language.reader import read, read_text, read_value

PARSERS = (yaml.CBaseLoader, yaml.BaseLoader)


@pytest.fixture(params=PARSERS, ids=["C parser", "Python parser"])
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml_reader, "PARSER", request.param)


def refusal(text: str | bytes, file: str = "s.yaml") -> str:
    """The message for `text`, found in less than a second."""
    begin = time.process_time()
    with pytest.raises(LanguageError) as caught:
        read_text(text, file)
    message = str(caught.value)
    assert time.process_time() - begin < 5  # a second on an idle machine
    assert all(mistake.location is not None for mistake in caught.value.mistakes)
    assert message.replace("\n", "").isprintable()
    return message


def place(line: int, column: int, file: str = "s.yaml") -> Location:
    return Location(file, line, column)


def test_values_and_places(parser: None) -> None:
    text = "netspec: 1\nname: é😀 x\nlayers:\n  - {é: [1, 2.5], b: 'q'}\n  - relu\n"
    root = read_text(text, "s.yaml").root
    assert root.plain() == {"netspec": 1, "name": "é😀 x", "layers": [{"é": [1, 2.5], "b": "q"}, "relu"]}
    assert root.location == place(1, 1)
    assert root.keys["layers"] == place(3, 1)
    assert root.locate(["name"]) == place(2, 7)
    assert root.locate(["layers", 0, "é", 1]) == place(4, 13)
    assert root.locate(["layers", 0, "b"], key=True) == place(4, 19)
    assert root.locate(["layers", 1]) == place(5, 5)


def test_places_of_what_is_missing() -> None:
    root = read_text("layers:\n  - type: conv2d\n    stride: 0\n", "s.yaml").root
    assert root.locate(["layers", 0, "kernel_size"]) == place(2, 5)
    assert root.locate(["layers", 0, "conv2d", "stride"]) == place(3, 13)
    assert root.locate(["layers", 7]) == place(2, 3)


def test_json_has_the_same_values_and_places_of_its_own() -> None:
    text = '\ufeff{"a": [1, -2.5e1, true, null],\r\n "b": {"é\\n": "x"}}'
    root = read_text(text, "s.json").root
    assert root.plain() == {"a": [1, -25.0, True, None], "b": {"é\n": "x"}}
    assert root.locate(["a", 1]) == place(1, 11, "s.json")
    assert root.locate(["b", "é\n"]) == place(2, 15, "s.json")
    assert root.locate(["b"], key=True) == place(2, 2, "s.json")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True), ("True", True), ("FALSE", False), ("null", None), ("~", None), ("", None), ("Null", None),
        ("no", "no"), ("yes", "yes"), ("on", "on"), ("tRue", "tRue"), ("n", "n"), ("none", "none"), ("=", "="),
        ("0", 0), ("-0", 0), ("+12", 12), ("0o17", 15), ("0xfF", 255), ("9007199254740992", 2**53),
        ("1e-3", 1e-3), ("1e3", 1000.0), (".5", 0.5), ("-1.", -1.0), ("64.0", 64.0), ("6.02E+23", 6.02e23),
        ("2001-01-01", "2001-01-01"), ("lstm:0", "lstm:0"), ("1x1", "1x1"), ("1.2.3", "1.2.3"), ("-", "-"),
        (".", "."), ("inf", "inf"), ("'64'", "64"), ('"true"', "true"), ("0.weight", "0.weight"), ("e5", "e5"),
    ],
)  # fmt: skip
def test_scalars_are_those_of_yaml_1_2(parser: None, text: str, value: object) -> None:
    if text == "-":
        text = "'-'"
    read_back = read_text(f"a: {text}\n").root.plain()
    assert read_back == {"a": value}
    assert isinstance(read_back, dict)
    assert type(read_back["a"]) is type(value)


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
        ("a:\n\t- b\n", "s.yaml:2:1: YAML: while scanning"),
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


def test_where_an_expression_begins_inside_its_string() -> None:
    text = "a: $(b)\nc: \"$(d)\"\ne: \"\\x20$(f)\"\ng: &h $(i)\nj: >\n  $(k)\nl: 'it''s $(m)'\nn: é $(o)\n"
    root = read_text(text, "s.yaml").root
    starts = {key: node.start for key, node in root.value.items()} if isinstance(root.value, dict) else {}
    assert starts == {
        "a": place(1, 4), "c": place(2, 5), "e": None, "g": None, "j": None, "l": None, "n": place(8, 4),
    }  # fmt: skip
    assert read_text('{"a": "é$(b)"}', "s.json").root.locate(["a"]) == place(1, 7, "s.json")
    value = read_text('{"a": "é$(b)", "c": "\\n$(d)"}', "s.json").root.value
    assert isinstance(value, dict)
    assert (value["a"].start, value["c"].start) == (place(1, 8, "s.json"), None)


def test_aliases_are_one_node() -> None:
    root = read_text("a: &x [1, 2]\nb: [*x, *x]\n&k c: *k\n", "s.yaml").root
    assert root.plain() == {"a": [1, 2], "b": [[1, 2], [1, 2]], "c": "c"}
    assert root.locate(["b", 1, 0]) == place(1, 8)


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


@pytest.mark.parametrize("file", ["s.yaml", "s.json"])
def test_a_byte_order_mark_is_accepted(file: str) -> None:
    root = read_text(b'\xef\xbb\xbf{"a": 1}', file).root
    assert root.plain() == {"a": 1}
    assert root.locate(["a"]) == place(1, 7, file)


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


def test_files(tmp_path: Path) -> None:
    yaml_file, json_file = tmp_path / "a.yaml", tmp_path / "b.JSON"
    yaml_file.write_text("a: b\n")
    json_file.write_text('{"a": "b"}')
    assert read(yaml_file).root.plain() == read(str(json_file)).root.plain() == {"a": "b"}
    assert read(yaml_file).file == str(yaml_file)
    json_file.write_text("a: b\n")
    with pytest.raises(LanguageError, match="JSON"):
        read(json_file)


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


def test_one_value_of_the_command_line() -> None:
    assert read_value("[8, 16]", "--set widths").plain() == [8, 16]
    assert read_value("no", "--set flag").plain() == "no"
    with pytest.raises(LanguageError, match="--set width:1:1: a value is expected"):
        read_value("", "--set width")
    with pytest.raises(LanguageError, match="--set width:1:1: tag"):
        read_value("!!int 3", "--set width")


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


NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="\0\x7f\x85\u2028\u2029\ufeff", exclude_categories=["Cc"])
)
TREES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | NAMES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=20,
)


@settings(deadline=None)
@given(st.dictionaries(NAMES, TREES, max_size=5), st.sampled_from([None, 1]))
def test_json_is_read_as_the_standard_library_reads_it(tree: dict[str, object], indent: int | None) -> None:
    for ascii_only in (True, False):
        text = json.dumps(tree, indent=indent, ensure_ascii=ascii_only)
        if ascii_only or not any(ord(c) in (0xFFFE, 0xFFFF) for c in text):
            assert read_text(text, "s.json").root.plain() == json.loads(text)
