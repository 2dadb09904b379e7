"""Reading: values and their places, in YAML and in JSON, from texts, files and the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netspec.errors import LanguageError
from netspec.language.reader import read, read_text, read_value
from tests.core.reading import place


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


@pytest.mark.parametrize("file", ["s.yaml", "s.json"])
def test_a_byte_order_mark_is_accepted(file: str) -> None:
    root = read_text(b'\xef\xbb\xbf{"a": 1}', file).root
    assert root.plain() == {"a": 1}
    assert root.locate(["a"]) == place(1, 7, file)


def test_files(tmp_path: Path) -> None:
    yaml_file, json_file = tmp_path / "a.yaml", tmp_path / "b.JSON"
    yaml_file.write_text("a: b\n")
    json_file.write_text('{"a": "b"}')
    assert read(yaml_file).root.plain() == read(str(json_file)).root.plain() == {"a": "b"}
    assert read(yaml_file).file == str(yaml_file)
    json_file.write_text("a: b\n")
    with pytest.raises(LanguageError, match="JSON"):
        read(json_file)


def test_one_value_of_the_command_line() -> None:
    assert read_value("[8, 16]", "--set widths").plain() == [8, 16]
    assert read_value("no", "--set flag").plain() == "no"
    with pytest.raises(LanguageError, match="--set width:1:1: a value is expected"):
        read_value("", "--set width")
    with pytest.raises(LanguageError, match="--set width:1:1: tag"):
        read_value("!!int 3", "--set width")


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
