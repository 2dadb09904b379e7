"""`netspec fmt`: the canonical text reads the same, keeps every comment and is its own canonical text."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from netspec.language.document import Node
from netspec.language.formatting.document import format_text
from netspec.language.reader import read_text
from tests.core.fenced_blocks import ROOT, all_blocks

Run = Callable[..., tuple[int, str, str]]

SPECS = sorted([*ROOT.glob("specs/**/*.yaml"), *ROOT.glob("tests/data/examples/*.yaml")])
PAGES = [block.text for page in ("README.md", "docs/language.md") for block in all_blocks(page)]
IN_ORDER = ("params", "inputs", "outputs")


def same(text: str, formatted: str) -> bool:
    """Whether both read alike, with the names in the order that counts."""
    before, after = read_text(text).root, read_text(formatted).root
    return before.plain() == after.plain() and all(
        list(_names(before, part)) == list(_names(after, part)) for part in IN_ORDER
    )


def _names(root: Node, part: str) -> list[str]:
    assert isinstance(root.value, dict)
    node = root.value.get(part)
    return list(node.value) if node is not None and isinstance(node.value, dict) else []


@pytest.mark.parametrize("path", SPECS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_specs_keep_values_and_comments(path: Path) -> None:
    text = path.read_text()
    formatted = format_text(text)
    assert same(text, formatted)
    assert format_text(formatted) == formatted
    comments = [line.partition(" #")[2].strip() for line in text.splitlines() if " #" in line]
    assert all(comment in formatted for comment in comments)
    assert formatted.count(" #") == len(comments)
    assert max(len(line.partition("  #")[0]) for line in formatted.splitlines()) <= 120


def test_there_are_specs_with_comments() -> None:
    assert sum(path.read_text().count(" #") for path in SPECS) >= 16
    assert len(SPECS) >= 18


@pytest.mark.parametrize("text", PAGES, ids=range(len(PAGES)))
def test_the_specs_of_the_pages(text: str) -> None:
    if text.startswith("netspec:"):
        assert same(text, format_text(text))


WRITTEN = """\
# a spec of mine
# yaml-language-server: $schema=netspec.schema.json

freeze: ['!b', a]   # globs
layers:  # what it does
# the first
- # an odd place
  type: conv2d
  kernel_size: 3   # odd
  name: conv1
  # the number of channels
  out_channels: $(x.shape[1])

- {out_channels: '$(d[0])', init: {bias: zeros, weight: {std: 0.020, type: normal}}, type: conv2d, name: b}  # second
- relu   # third
# - tanh


# - sigmoid
- layers: [relu, {type: linear, out_features: 1e1}]  # a group
  name: "head"
  from: b
  description: >-
    two lines
    of text
  # below the group
inputs: {image: {dtype: float, shape: [batch, 3, 8, 8]}}  # images
description: |  # in short
  First.
    Second # no comment.
name:
  # why so
  net
params: {
  d: [0x10, 0o7, +3, .5, 1E-7, ~, yes, "1", "true", a#b, a: b],  # numbers
  # nothing else
}
x-note: &n {z: 1, a: 2}
x-same: *n
netspec: 1
# the end
"""

CANONICAL = """\
# a spec of mine
# yaml-language-server: $schema=netspec.schema.json

netspec: 1
# why so
name: net
description: |  # in short
  First.
    Second # no comment.
params:
  d: [16, 7, 3, 0.5, 1.0e-7, null, "yes", "1", "true", a#b, {a: b}]  # numbers
  # nothing else
inputs:  # images
  image: {shape: [batch, 3, 8, 8], dtype: float}
x-note: {z: 1, a: 2}
x-same: {z: 1, a: 2}
layers:  # what it does
  # the first
  # an odd place
  - name: conv1
    type: conv2d
    kernel_size: 3  # odd
    # the number of channels
    out_channels: $(x.shape[1])

  - {name: b, type: conv2d, out_channels: "$(d[0])", init: {bias: zeros, weight: {type: normal, std: 0.02}}}  # second
  - relu  # third
  # - tanh

  # - sigmoid
  - name: head
    description: two lines of text
    from: b
    layers:  # a group
      - relu
      - {type: linear, out_features: 10.0}
    # below the group
freeze: ["!b", a]  # globs
# the end
"""


def test_canonical_form() -> None:
    assert format_text(WRITTEN) == CANONICAL
    assert format_text(CANONICAL) == CANONICAL
    assert format_text(WRITTEN.replace("\n", "\r\n")) == CANONICAL


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: [x, # c\n y]", "a:\n  - x  # c\n  - y\n"),
        ("a: [x, y] # c\n# d", "a: [x, y]  # c\n# d\n"),
        ("a: {\n  b: 1\n} # c", "a: {b: 1}  # c\n"),
        ("a: { # c\n  b: 1\n} # d", "# d\na: {b: 1}  # c\n"),
        ("a: {\n  # c\n}", "# c\na: {}\n"),
        ("# c\n{}", "# c\n{}\n"),
        ("{} # c", "# c\n{}\n"),
        ("--- # c\na: 1", "# c\na: 1\n"),
        ("a: 1\n... # c", "a: 1\n# c\n"),
        ("a: 1\n\n\n\nb: 2\n\n", "a: 1\n\nb: 2\n"),
        ("a:\n- b: # c\n  - d\n  # e\n# f\ng: 1", "a:\n  - b:  # c\n      - d\n      # e\n# f\ng: 1\n"),
        ("a:\n- - b # c\n  - d", "a:\n  - - b  # c\n    - d\n"),
        ("a:\n-\n  # c\n  b: 1\n- # d\n  c: 1", "a:\n  # c\n  - {b: 1}\n  # d\n  - {c: 1}\n"),
        ("a:\n  - x: 1 # c", "a:\n  - x: 1  # c\n"),
        ("a:\n  # c\n  b", "# c\na: b\n"),
        ("a:\n  # c\n  {b: 1}", "# c\na: {b: 1}\n"),
        ("a: &a # c\n  b: 1\nd: *a # e", "a: {b: 1}  # c\nd: {b: 1}  # e\n"),
        ("a: | # c\n  # d\n  e\n# f\ng: 1", "a: |  # c\n  # d\n  e\n# f\ng: 1\n"),
        ("a: 'x # y' # z", 'a: "x # y"  # z\n'),
        ("a: 'x\n  # y' # z", 'a: "x # y"  # z\n'),
        ("a: x\n  y # z", "a: x y  # z\n"),
        ("a: #\n  1", "a: 1  #\n"),
        ("inputs:\n  # c\n  x: {shape: [1]}\n", "inputs:\n  # c\n  x: {shape: [1]}\n"),
    ],
)
def test_where_comments_go(text: str, expected: str) -> None:
    assert format_text(text) == expected
    assert format_text(expected) == expected
    assert same(text, expected)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("$(a[0])", '"$(a[0])"'),
        ("$(a if b else c)", "$(a if b else c)"),
        ('$(a == "b")', '$(a == "b")'),
        ("$(f(a, b))", '"$(f(a, b))"'),
        ("lstm:h_n", "lstm:h_n"),
        ("a: b", '"a: b"'),
        ("bi,i->b", '"bi,i->b"'),
        ("", '""'),
        ("no", '"no"'),
        ("010", '"010"'),
        ("1_000", '"1_000"'),
        ("1e5", '"1e5"'),
        (" a", '" a"'),
        ("a\tb\u2028\x7f", '"a\\tb\\u2028\\x7F"'),
        ("\xe4 \u6c34", "\xe4 \u6c34"),
        ("*", '"*"'),
        ('[a"', "'[a\"'"),
        (1e-7, "1.0e-7"),
        (1e22, "1.0e+22"),
        (1.5e-300, "1.5e-300"),
        (0.00001234, "1.234e-5"),
        (-0.0, "-0.0"),
        (2.0, "2.0"),
        (None, "null"),
        (True, "true"),
    ],
)
def test_scalars_in_flow(value: object, written: str) -> None:
    text = json.dumps({"x-a": {"b": value}})
    assert format_text(text) == f"x-a: {{b: {written}}}\n"
    assert same(text, format_text(text))


def test_long_text_is_folded_and_lines_stay_lines() -> None:
    words = " ".join(f"word{k}" for k in range(60))
    formatted = format_text(json.dumps({"description": words, "x-lines": "a\n\n  b\n", "x-odd": "a \nb"}))
    assert formatted.startswith("description: >-\n  word0 ")
    assert formatted.endswith('x-lines: |\n  a\n\n    b\nx-odd: "a \\nb"\n')
    assert max(map(len, formatted.splitlines())) <= 120
    assert read_text(formatted).root.plain() == {"description": words, "x-lines": "a\n\n  b\n", "x-odd": "a \nb"}
    assert format_text(formatted) == formatted


def test_json_stays_json() -> None:
    text = '{"layers": [{"out_features": 3, "type": "linear", "name": "fc"}, "relu"], "params": {"b": 1e-7, "a": []},'
    text += ' "netspec": 1}'
    expected = """\
{
  "netspec": 1,
  "params": {"b": 1.0e-7, "a": []},
  "layers": [
    {"name": "fc", "type": "linear", "out_features": 3},
    "relu"
  ]
}
"""
    assert format_text(text, "a.json") == expected
    assert format_text(expected, "a.json") == expected


def test_json_keeps_letters_and_escapes_what_nobody_sees() -> None:
    text = '{"x-a": "\\u00e4\\n\\t", "x-b": "\\u00e4\\u007f\\ud83d\\ude00"}'
    expected = '{\n  "x-a": "\xe4\\n\\t",\n  "x-b": "\\u00e4\\u007f\\ud83d\\ude00"\n}\n'
    assert format_text(text, "a.json") == expected


def test_a_file_is_written_once(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(WRITTEN)
    path.chmod(0o640)
    assert run("fmt", str(path)) == (0, "", f"{path}: written\n")
    assert path.read_text() == CANONICAL
    assert path.stat().st_mode & 0o777 == 0o640
    inode = path.stat().st_ino
    assert run("fmt", str(path)) == (0, "", "")
    assert path.stat().st_ino == inode
    assert list(tmp_path.iterdir()) == [path]


def test_check_names_the_files_and_writes_nothing(run: Run, tmp_path: Path) -> None:
    good, bad, broken = (tmp_path / name for name in ("good.yaml", "bad.yaml", "broken.yaml"))
    good.write_text(CANONICAL)
    bad.write_text(WRITTEN)
    assert run("fmt", "--check", str(good)) == (0, "", "")
    assert run("fmt", "--check", str(good), str(bad)) == (1, f"{bad}\n", "")
    assert bad.read_text() == WRITTEN
    broken.write_text("a: [")
    status, out, err = run("fmt", "--check", str(broken), str(bad))
    assert (status, out) == (2, f"{bad}\n")
    assert err.startswith(f"{broken}:2:1: YAML")


def test_another_output(run: Run, tmp_path: Path) -> None:
    path, other = tmp_path / "a.yaml", tmp_path / "b.yaml"
    path.write_text(WRITTEN)
    assert run("fmt", str(path), "-o", "-") == (0, CANONICAL, "")
    assert run("fmt", str(path), "-o", str(other)) == (0, "", f"{other}: written\n")
    assert (path.read_text(), other.read_text()) == (WRITTEN, CANONICAL)
    status, _, err = run("fmt", str(path), str(other), "-o", "-")
    assert (status, err) == (2, "-o takes one FILE, and no --check\n")


def test_a_key_too_long_is_refused(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(f"? {'x' * 2000}\n: 1\n")
    status, _, err = run("fmt", str(path))
    assert status == 2
    assert "is longer than 1,000 characters" in err


def test_a_large_spec_is_formatted_in_seconds() -> None:
    layers = "".join(f"- {{out_features: {k}, type: linear, name: layer{k}}}  # {k}\n" for k in range(12_000))
    formatted = format_text("netspec: 1\nlayers:\n" + layers)
    assert formatted.count("#") == 12_000
