"""`include`: what a file takes from others, whose words win, where mistakes are told, and what may not be included."""

from __future__ import annotations

from pathlib import Path

import pytest

from netspec.errors import NetspecError
from netspec.language.reader import read_value
from netspec.spec import Spec, load, loads

BASE = """\
netspec: 1
name: base
params: {width: 4, classes: 10}
let: {double: $(2 * width)}
defaults: {linear: {bias: false}}
inputs: {x: {shape: [batch, 6]}}
blocks: {Unit: {inputs: [x], layers: [{name: fc, type: linear, out_features: $(double)}]}}
layers:
  - {name: body, type: Unit}
  - {name: head, type: linear, out_features: $(classes), bias: true}
outputs: {logits: head}
freeze: [body]
"""


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write(tmp_path, {"base.yaml": BASE})
    monkeypatch.chdir(tmp_path)
    return tmp_path


def variant(text: str, **options: object) -> Spec:
    Path("main.yaml").write_text("netspec: 1\n" + text)
    return load("main.yaml", **options)  # type: ignore[arg-type]


def told(text: str, **options: object) -> list[str]:
    with pytest.raises(NetspecError) as caught:
        variant(text, **options).graphs  # noqa: B018 - both graphs are made
    return [str(mistake) for mistake in caught.value.mistakes]


def shapes(spec: Spec) -> dict[str, tuple[object, ...]]:
    return {param.path: param.value.shape for param in spec.graphs.training.params}


def trained(spec: Spec) -> set[str]:
    return {param.path for param in spec.inference.params if param.trainable}


def test_a_variant_is_include_and_params(made: Path) -> None:
    spec = variant("include: [base.yaml]\nparams: {width: 5}")
    assert spec.name == "main", "the name is the file's own"
    assert shapes(spec) == {"body.fc.weight": (10, 6), "head.weight": (10, 10), "head.bias": (10,)}
    assert trained(spec) == {"head.weight", "head.bias"}
    assert shapes(variant("include: [base.yaml]", params={"classes": 3}))["head.bias"] == (3,)
    assert list(shapes(variant("include: [base.yaml]\ndescription: as it is"))) == list(shapes(spec))


def test_what_a_file_has_wins_name_by_name_or_whole(made: Path) -> None:
    spec = variant("include: [base.yaml]\nlet: {double: 7}")
    assert shapes(spec)["body.fc.weight"] == (7, 6)
    spec = variant("include: [base.yaml]\nlet: {width: 1}")
    assert shapes(spec)["body.fc.weight"] == (2, 6), "a let in place of an included param"
    assert "there is no param width" in told("include: [base.yaml]\nlet: {width: 1}", params={"width": 2})[0]
    spec = variant("include: [base.yaml]\ninputs: {x: {shape: [n, 3]}}")
    assert shapes(spec)["body.fc.weight"] == (8, 3)
    spec = variant("include: [base.yaml]\nfreeze: []")
    assert trained(spec) == set(shapes(spec))
    spec = variant("include: [base.yaml]\noutputs: {hidden: body}\nfreeze: [head]")
    assert [output.name for output in spec.inference.outputs] == ["hidden"]
    assert trained(spec) == {"body.fc.weight"}
    spec = variant("include: [base.yaml]\nlayers: [{name: body, type: Unit}]\noutputs: {y: body}")
    assert list(shapes(spec)) == ["body.fc.weight"]
    spec = variant(
        "include: [base.yaml]\nblocks: {Unit: {inputs: [x], layers: [{name: f, type: linear, out_features: 3}]}}"
    )
    assert shapes(spec)["body.f.weight"] == (3, 6)
    assert "body.f.bias" in shapes(spec), "defaults are those of the file where an entry is written"


def test_defaults_hold_for_the_entries_of_their_own_file(made: Path) -> None:
    text = (
        "include: [base.yaml]\ndefaults: {linear: {out_features: 9, init: {weight: zeros}}}\n"
        "layers: [{name: own, type: linear}, {name: theirs, type: Unit}]\noutputs: {y: theirs}\nfreeze: []"
    )
    spec = variant(text)
    assert list(shapes(spec)) == ["own.weight", "own.bias", "theirs.fc.weight"]
    starts = {param.path: param.initializer.type for param in spec.inference.params}
    assert starts["own.weight"] == "zeros"
    assert starts["theirs.fc.weight"] != "zeros"


def test_the_same_file_by_two_ways_is_no_conflict(made: Path) -> None:
    write(
        made,
        {
            "left.yaml": "netspec: 1\ninclude: [base.yaml]\nparams: {left: 1}",
            "sub/right.yaml": "netspec: 1\ninclude: [../base.yaml]\nparams: {right: 1}",
        },
    )
    spec = variant("include: [left.yaml, sub/right.yaml]")
    assert shapes(spec)["body.fc.weight"] == (8, 6)


@pytest.mark.parametrize(
    ("other", "own", "message"),
    [
        ("params: {width: 5}", "params: {width: 6}", "params: width differs in base.yaml and other.yaml"),
        ("params: {width: 4.0}", "params: {width: 6}", "params: width differs in base.yaml and other.yaml"),
        ("let: {double: 3}", "let: {double: 3}", "let: double differs in base.yaml and other.yaml"),
        ("params: {double: 3}", "params: {double: 3}", "double: a let and a param"),
        (
            "blocks: {Unit: {inputs: [x], layers: [relu]}}",
            "blocks: {Unit: {inputs: [x], layers: [relu]}}",
            "blocks: Unit differs in base.yaml and other.yaml",
        ),
        ("inputs: {x: {shape: [b, 6]}}", "inputs: {x: {shape: [b, 6]}}", "inputs differs in base.yaml and other.yaml"),
        ("freeze: [head]", "freeze: [head]", "freeze differs in base.yaml and other.yaml"),
        (
            "layers: [{name: head, type: relu}]",
            "layers: [{name: head, type: relu}]\nfreeze: []",
            "layers differs in base",
        ),
        ("outputs: {o: head}", "outputs: {o: head}", "outputs differs in base.yaml and other.yaml"),
    ],
)
def test_two_includes_that_differ_are_refused_unless_this_file_settles_it(
    made: Path, other: str, own: str, message: str
) -> None:
    write(made, {"other.yaml": f"netspec: 1\n{other}"})
    mistakes = told("include: [base.yaml, other.yaml]")
    assert any(message in mistake for mistake in mistakes), mistakes
    assert variant(f"include: [base.yaml, other.yaml]\n{own}").graphs.training.nodes


def test_includes_that_say_the_same_do_not_differ(made: Path) -> None:
    same = "params: {width: 4}\nlet: {double: $(2 * width)}\ninputs: {x: {shape: [batch, 6]}}\nfreeze: [body]"
    write(made, {"other.yaml": f"netspec: 1\n{same}"})
    assert variant("include: [base.yaml, other.yaml]").graphs.training.nodes


def test_a_mistake_is_told_where_it_is_written_and_where_that_is_included(made: Path) -> None:
    write(
        made,
        {
            "deep/wrong.yaml": (
                "netspec: 1\nunits: 3\nblocks: {B: {inputs: [x], layers: [{type: linear, out_features: a}]}}"
            ),
            "middle.yaml": "netspec: 1\ninclude: [deep/wrong.yaml]",
        },
    )
    where = "; included at middle.yaml:2:11; included at main.yaml:2:11"
    mistakes = told("include: [middle.yaml, base.yaml]\nlayers: [B]\noutputs: {y: nowhere}\nfreeze: []")
    assert mistakes[0].startswith("deep/wrong.yaml:2:1: unknown key units in a spec")
    assert mistakes[0].endswith(where)
    assert "deep/wrong.yaml:3:65: 0.0 (linear): out_features: expected a positive integer" in mistakes[1]
    assert "in block B, used by 0 (B) (main.yaml:3:10)" in mistakes[1]
    assert mistakes[1].endswith(where)
    assert mistakes[2].startswith("main.yaml:4:14: output y: there is nothing called nowhere above")
    assert len(mistakes) == 3


def test_a_file_that_cannot_be_read_is_told_alone(made: Path) -> None:
    write(made, {"broken.yaml": "netspec: 1\nparams: {a: [}"})
    (mistake,) = told("include: [broken.yaml]\nlayers: [Unit]\noutputs: {y: nowhere}\ninputs: {x: {shape: [2]}}")
    assert mistake.startswith("broken.yaml:2:14: ")
    assert mistake.endswith("; included at main.yaml:2:11")


def test_a_circle_is_shown(made: Path) -> None:
    write(
        made,
        {
            "a.yaml": "netspec: 1\ninclude: [sub/../b.yaml]",
            "b.yaml": "netspec: 1\ninclude: [a.yaml]",
            "self.yaml": "netspec: 1\ninclude: [self.yaml]",
        },
    )
    assert "include: a circle: a.yaml includes b.yaml includes a.yaml" in told("include: [a.yaml]")[0]
    assert "include: a circle: self.yaml includes self.yaml" in told("include: [self.yaml]")[0]
    assert "include: a circle: main.yaml includes main.yaml" in told("include: [main.yaml]")[0]


def test_includes_are_counted(made: Path) -> None:
    chain = {f"c{k}.yaml": f"netspec: 1\ninclude: [c{k + 1}.yaml]" for k in range(12)}
    write(made, {**chain, "c12.yaml": BASE})
    assert "include: more than 8 deep" in told("include: [c0.yaml]")[0]
    assert variant("include: [c5.yaml]").graphs.training.nodes
    fan = {f"f{k}.yaml": f"netspec: 1\ninclude: [f{k + 1}.yaml, f{k + 1}.yaml]" for k in range(7)}
    write(made, {**fan, "f7.yaml": BASE})
    assert variant("include: [f0.yaml]").graphs.training.nodes, "each file is read once"
    write(made, {f"w{k}.yaml": "netspec: 1" for k in range(70)})
    wide = ", ".join(f"w{k}.yaml" for k in range(70))
    assert "include: more than 64 includes in all" in told(f"include: [{wide}]")[0]


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd",
        "../secret.yaml",
        "sub/../../secret.yaml",
        "C:\\x.yaml",
        "http://a/b.yaml",
        "~/x.yaml",
        "",
        "link.yaml",
    ],
)
def test_only_files_below_the_first_files_folder_are_read(made: Path, name: str) -> None:
    inner = made / "inner"
    write(made, {"secret.yaml": BASE, "inner/main.yaml": f"netspec: 1\ninclude: ['{name}']"})
    (inner / "link.yaml").symlink_to(made / "secret.yaml")
    with pytest.raises(NetspecError) as caught:
        load("inner/main.yaml")
    assert len(caught.value.mistakes) >= 1
    assert "include" in str(caught.value.mistakes[0])
    assert "base" not in str(caught.value)


def test_an_included_file_may_include_from_the_folder_above_it(made: Path) -> None:
    write(made, {"sub/one.yaml": "netspec: 1\ninclude: [../base.yaml]"})
    assert variant("include: [sub/one.yaml]").graphs.training.nodes
    with pytest.raises(NetspecError, match="leads out of the folder"):
        load("sub/one.yaml")


def test_the_zoo_may_be_included_from_anywhere() -> None:
    spec = loads("netspec: 1\ninclude: ['zoo:lenet']\nparams: {classes: 3}")
    assert spec.inference.outputs[0].value.shape[1] == 3
    with pytest.raises(NetspecError, match="the zoo has no lenett; did you mean lenet"):
        loads("netspec: 1\ninclude: ['zoo:lenett']")
    with pytest.raises(NetspecError, match="a text without a file has no folder"):
        loads("netspec: 1\ninclude: [lenet.yaml]")


@pytest.mark.parametrize("value", ["base.yaml", "{a: b}", "[3]", "[[base.yaml]]"])
def test_include_is_a_list_of_files(made: Path, value: str) -> None:
    assert told(f"include: {value}") == ["main.yaml:2:10: include: expected a list of files such as [resnet50.yaml]"]


def test_set_gives_params_of_included_files_and_nothing_else(made: Path) -> None:
    spec = variant("include: [base.yaml]\nparams: {rate: 0.5}", params={"width": read_value("3", "--set width")})
    assert shapes(spec)["body.fc.weight"] == (6, 6)
    for name, value, message in (
        ("double", "3", "there is no param double"),
        ("width", "3.0", "expected an integer like its default 4, got 3.0"),
        ("width", "[3]", "expected an integer like its default 4, got [3]"),
        ("rate", "text", "expected a number like its default 0.5, got text 'text'"),
        ("Width", "3", "there is no param Width; did you mean width?"),
    ):
        given = {name: read_value(value, f"--set {name}")}
        assert message in told("include: [base.yaml]\nparams: {rate: 0.5}", params=given)[0]
    rate = {"rate": read_value("3", "--set rate")}
    assert shapes(variant("include: [base.yaml]\nparams: {rate: 0.5}\nlet: {double: $(int(2 * rate))}", params=rate))[
        "body.fc.weight"
    ] == (6, 6)
