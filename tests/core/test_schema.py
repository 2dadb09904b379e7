"""`netspec schema`: takes every right spec, refuses what is wrong, and leaves out nothing that is built in."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from netspec.errors import NetspecError
from netspec.language.entries import ENTRY_KEYS
from netspec.language.reader import read, read_text
from netspec.language.schema.whole import language_schema
from netspec.language.structure import BLOCK_KEYS, FILE_KEYS, INPUT_KEYS
from netspec.layers import LAYER_TYPES
from netspec.layers.initializers import INITIALIZER_TYPES
from netspec.layers.validation import written_fields
from netspec.spec import loads
from tests.core.fenced_blocks import ROOT, all_blocks, commands

Run = Callable[..., tuple[int, str, str]]

DATA = ROOT / "tests" / "data"
SPECS = sorted(ROOT.glob("specs/**/*.yaml"))
EXAMPLES = sorted((DATA / "examples").glob("*.yaml"))
PAGES = [block for page in ("README.md", "docs/language.md") for block in all_blocks(page) if block.language == "yaml"]
RIGHT = [block.text for block in PAGES if not block.mark]
REFUSED: Any = read(DATA / "schema_refuses.yaml").root.plain()
BASE, CASES = REFUSED["base"], REFUSED["cases"]
HEAD = "netspec: 1\ninputs: {x: {shape: [batch, 6]}}\n"


@cache
def validator() -> Draft202012Validator:
    schema = language_schema()
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def plain(text: str) -> Any:
    return read_text(text).root.plain()


def accepts(spec: Any) -> bool:
    return bool(validator().is_valid(spec))


def types(value: Any) -> Iterator[str]:
    """The types of layers in a body and in all bodies in it."""
    for entry in value.get("layers", ()):
        if isinstance(entry, str):
            yield entry
        else:
            yield from [entry["type"]] if "type" in entry else []
            yield from types(entry)
    for block in value.get("blocks", {}).values():
        yield from types(block)


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_takes_the_specs(path: Path) -> None:
    assert accepts(plain(path.read_text()))
    own = Draft202012Validator(language_schema(read(path)))
    assert own.is_valid(plain(path.read_text()))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_takes_the_examples_whose_layers_there_are(path: Path) -> None:
    spec = plain(path.read_text())
    unknown = {type for type in types(spec) if type[0].islower() and type not in LAYER_TYPES}
    assert accepts(spec) is not bool(unknown)
    if not unknown:
        assert Draft202012Validator(language_schema(read(path))).is_valid(spec)


@pytest.mark.parametrize("text", RIGHT, ids=range(len(RIGHT)))
def test_takes_the_specs_of_the_pages(text: str) -> None:
    assert accepts(plain(text))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["why"])
def test_refuses_what_is_wrong(case: dict[str, Any]) -> None:
    spec = {key: value for key, value in {**BASE, **case["spec"]}.items() if value is not None}
    assert not accepts(spec)
    with pytest.raises(NetspecError):
        loads(json.dumps(spec), file="s.json")


def test_there_are_many_cases_and_their_base_is_right() -> None:
    assert accepts(BASE)
    assert len(CASES) >= 100
    assert len({case["why"] for case in CASES}) == len(CASES)


@pytest.mark.parametrize(
    "layers",
    [
        "[relu, {type: linear, out_features: $(n)}]",
        "[{type: conv2d, out_channels: 3, kernel_size: [$(a), 3], padding: [[0, 1], [$(b), 0]]}]",
        "[{type: conv2d, out_channels: 3, kernel_size: $(k), padding: same, stride: '$([1, 2])'}]",
        "[{type: linear, out_features: 3, init: {weight: {type: normal, std: $(s)}, bias: $(init)}, tie: {weight: a}}]",
        "[{type: linear, out_features: 3, init: $(init), from: $(sources), frozen: $(f), if: $(c), else: x}]",
        "[{type: linear, out_features: 3, init: {bias: {type: uniform, low: -1, high: 1}}}]",
        "[{type: linear, out_features: 3, init: {bias: {type: uniform, bound: 2}}, tie: {weight: a.b}}]",
        "[$(activation), {type: $(act), slope: 2}, Block, {type: Block, any: [1, {thing: 2}]}]",
        "[{name: down$(i), type: relu, repeat: 3}, {type: relu, parallel: {w: [1, 2], d: $(d)}}]",
        "[{layers: [relu], scan: {over: [x], dim: 1}}, {name: ., repeat: 2, layers: [relu]}]",
        "[{name: ., layers: [relu], inputs: [y], parallel: 2}, {share: '0', name: again, from: x}]",
        "[{type: relu, description: [any, thing], x-note: {a: 1}}]",
        "[{name: g, layers: [relu], let: {a: 1}, outputs: {y: {from: x, if: $(c), description: a}}, frozen: weights}]",
        "[{name: encoder.layer-1, type: add, from: [x, 'y:0', 'down$(i):h_n']}]",
    ],
)
def test_takes_all_that_the_language_has(layers: str) -> None:
    assert list(validator().iter_errors(plain(f"{HEAD}layers: {layers}\n"))) == []


def test_takes_the_keys_of_a_file() -> None:
    text = """\
netspec: 1
name: m
description: {any: thing}
x-note: 1
include: [a.yaml, zoo:resnet50, parts/b.json]
params: {a: null, b: [1, {c: 2}], description: 3}
let: {c: $(a)}
inputs: {x: {shape: [batch, $(n), 3], dtype: int64, default: 0, description: a}, m: {shape: $(s), default: true}}
defaults: {conv2d: {bias: false, init: {weight: {type: normal, x-a: 1}}, description: a}}
blocks: {A: {params: {p: null}, inputs: [x, m], let: {q: $(p)}, layers: [conv2d], outputs: {y: x}, description: a}}
layers: [conv2d, A]
outputs: {y: A, aux: {from: "A:b", if: $(a), only: training, x-a: 1}}
freeze: ["*", "!fc", "layer[12]"]
"""
    assert list(validator().iter_errors(plain(text))) == []
    assert accepts({"netspec": 1, "include": ["a.yaml"]})
    assert accepts({"netspec": 1, "blocks": {"A": {"layers": ["relu"]}}})


def test_it_knows_every_key_layer_field_and_initialiser() -> None:
    schema = language_schema()
    assert set(schema["properties"]) == {*FILE_KEYS, "description"}
    assert set(schema["$defs"]["block"]["properties"]) == {*BLOCK_KEYS, "description"}
    assert set(schema["$defs"]["input"]["properties"]) == {*INPUT_KEYS, "description"}
    entries = {entry.get("title"): entry for entry in schema["$defs"]["entry"]["oneOf"]}
    for type, layer in LAYER_TYPES.items():
        assert {"type", *written_fields(layer)} <= set(entries[type]["properties"])
        assert not layer.derived & set(entries[type]["properties"])
        assert entries[type]["description"] == (layer.__doc__ or "").partition("\n")[0]
        for name in written_fields(layer):
            field = layer.model_fields[name]
            default = None if field.is_required() else field.get_default(call_default_factory=True)
            if default is not None:
                assert entries[type]["properties"][name]["default"] == default
    keys = {key for entry in entries.values() for key in entry.get("properties", ())}
    assert set(ENTRY_KEYS) <= keys
    initializers = {each.get("title") for each in schema["$defs"]["initializer"]["oneOf"]}
    assert set(INITIALIZER_TYPES) <= initializers


def test_every_definition_is_used_and_there() -> None:
    schema = language_schema()
    used = set(re.findall(r'"#/\$defs/(\w+)"', json.dumps(schema)))
    assert used == set(schema["$defs"])


def test_a_file_adds_its_blocks_and_those_it_includes(tmp_path: Path) -> None:
    (tmp_path / "parts.yaml").write_text("netspec: 1\nblocks: {Part: {params: {a: null, b: 2}, layers: [relu]}}\n")
    path = tmp_path / "a.yaml"
    path.write_text(
        "netspec: 1\ninclude: [parts.yaml]\nblocks: {Own: {params: {c: [1]}, inputs: [x], layers: [relu]}}\n"
    )
    own = Draft202012Validator(language_schema(read(path)))

    def takes(entry: Any) -> bool:
        return bool(own.is_valid({**BASE, "layers": [entry]}))

    assert takes("Own")
    assert takes({"type": "Part", "a": {"any": 1}, "repeat": 2})
    assert not takes({"type": "Part", "b": 1})
    assert not takes({"type": "Part", "a": 1, "c": 1})
    assert not takes({"type": "Other"})
    assert not takes("Other")
    (entry,) = [each for each in own.schema["$defs"]["entry"]["oneOf"] if each.get("title") == "Part"]
    assert entry["properties"]["b"] == {"default": 2}


def test_fields_that_defaults_give_are_not_asked_for(tmp_path: Path) -> None:
    text = "netspec: 1\ninputs: {x: {shape: [b, 3]}}\ndefaults: {linear: {out_features: 3}}\nlayers: [linear]\n"
    path = tmp_path / "a.yaml"
    path.write_text(text)
    assert accepts(plain(text))
    own = Draft202012Validator(language_schema(read(path)))
    assert own.is_valid(plain(text))
    assert not own.is_valid({**BASE, "layers": [{"type": "conv2d", "out_channels": 3}]})
    assert not accepts({**BASE, "layers": [{"type": "linear"}]})


def test_the_command_prints_it(run: Run, tmp_path: Path) -> None:
    status, out, err = run("schema")
    assert (status, err) == (0, "")
    assert json.loads(out) == json.loads(json.dumps(language_schema()))
    status, out, _ = run("schema", str(DATA / "examples" / "resnet101.yaml"))
    assert "Bottleneck" in out
    status, _, err = run("schema", str(tmp_path / "none.yaml"))
    assert status == 2
    assert err.endswith("cannot be opened: No such file or directory\n")


def test_what_the_readme_says_of_editors(tmp_path: Path) -> None:
    """The comment names the file that the command writes, which takes and refuses as it should."""
    readme = (ROOT / "README.md").read_text()
    (line,) = re.findall(r"`# yaml-language-server: \$schema=(\S+)`", readme)
    (command,) = [each.line for each in commands("README.md") if each.line.startswith("netspec schema")]
    assert command == f"netspec schema > {line}"
    program = shutil.which("netspec", path=str(Path(sys.executable).parent))
    subprocess.run(["bash", "-c", command.replace("netspec", str(program), 1)], cwd=tmp_path, check=True)
    written = Draft202012Validator(json.loads((tmp_path / line).read_text()))
    assert written.is_valid(BASE)
    assert not written.is_valid({**BASE, "layer": 3})
    spec = f"# yaml-language-server: $schema={line}\n" + json.dumps(BASE)
    assert loads(spec, file="a.yaml").name == "a"


def test_other_commands_do_not_load_it() -> None:
    code = "import sys; from netspec.cli import main; main(['validate', sys.argv[1]]); "
    code += "print('netspec.language.schema.whole' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, str(SPECS[0])], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
