"""What `netspec diff` finds: each kind of difference alone, nothing where there is none, and renamed layers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import netspec
from netspec.analysis.difference import Change, differences

ROOT = Path(__file__).parents[2]
RESIDUAL = str(ROOT / "specs" / "residual.yaml")
LENET = str(ROOT / "specs" / "lenet.yaml")
Run = Callable[..., tuple[int, str, str]]

BASE = """
netspec: 1
name: base
inputs:
  x: {shape: [batch, 6]}
  z: {shape: [batch, 10]}
layers:
  - {name: a, type: linear, from: x, out_features: 10}
  - {name: norm, type: batch_norm}
  - {name: act, type: leaky_relu}
  - {name: both, type: add, from: [act, z]}
  - {name: drop, type: dropout}
  - {name: head, type: linear, out_features: 2}
outputs: {y: head, hidden: both}
"""


def changes(a: str, b: str, freeze: tuple[str, ...] = ()) -> list[Change]:
    return list(differences(netspec.loads(a).graphs, netspec.loads(b, freeze=freeze).graphs))


def changed(old: str, new: str) -> list[Change]:
    assert BASE.count(old) == 1
    return changes(BASE, BASE.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("name: base", "name: other"),
        ("leaky_relu", "leaky_relu, negative_slope: 0.01"),
        ("outputs: {y: head, hidden: both}", "x-note: free\noutputs: {y: head, hidden: both}"),
        ("linear, from: x, out_features: 10", "linear, from: x, out_features: $(2 * 5)"),
        ("- {name: drop, type: dropout}", "- {name: drop, type: dropout, p: 0.5}"),
    ],
)
def test_what_means_the_same_is_equal(old: str, new: str) -> None:
    assert changed(old, new) == []


def test_a_changed_field() -> None:
    assert changed("leaky_relu", "leaky_relu, negative_slope: 0.2") == [
        Change("layer", "act", "negative_slope", "0.01", "0.2")
    ]
    assert changed("type: dropout", "type: dropout, p: 0.25") == [Change("layer", "drop", "p", "0.5", "0.25")]


def test_a_changed_type_is_one_change() -> None:
    assert changed("type: leaky_relu", "type: relu") == [
        Change("layer", "act", "type", "leaky_relu(negative_slope=0.01)", "relu")
    ]


def test_changed_shapes_follow_a_changed_field() -> None:
    assert changed("out_features: 2", "out_features: 3") == [
        Change("layer", "head", "out_features", "2", "3"),
        Change("layer", "head", "outputs", "float[batch, 2]", "float[batch, 3]"),
        Change("param", "head.weight", "type", "float[2, 10]", "float[3, 10]"),
        Change("param", "head.bias", "type", "float[2]", "float[3]"),
        Change("output", "y", "type", "float[batch, 2]", "float[batch, 3]"),
    ]


def test_changed_wiring() -> None:
    assert changed("from: [act, z]", "from: [z, act]") == [
        Change("layer", "both", "inputs", "act, input z", "input z, act")
    ]
    assert changed("hidden: both", "hidden: drop") == [Change("output", "hidden", "from", "both", "drop", "training")]


def test_a_parameter_that_is_gone() -> None:
    assert changed("out_features: 2}", "out_features: 2, bias: false}") == [
        Change("layer", "head", "bias", "True", "False"),
        Change("param", "head.bias", "only in A", "float[2]", None),
    ]


def test_an_initializer() -> None:
    (change,) = changed("out_features: 2}", "out_features: 2, init: {bias: ones}}")
    assert change == Change("param", "head.bias", "init", change.a, "ones")


def test_what_is_frozen() -> None:
    frozen = [Change("param", f"a.{name}", "frozen", "no", "yes") for name in ("weight", "bias")]
    assert changes(BASE, BASE, ("a",)) == frozen
    found = changes(BASE, BASE, ("norm",))
    assert found[:2] == [Change("param", f"norm.{name}", "frozen", "no", "yes") for name in ("weight", "bias")]
    assert {(change.path, change.what) for change in found[2:]} == {
        ("norm.running_mean", "frozen"),
        ("norm.running_var", "frozen"),
    }
    assert all(change.mode and (change.a, change.b) == ("no", "yes") for change in found[2:])


def test_layers_of_one_model_only_come_without_their_parameters() -> None:
    line = "  - {name: extra, type: linear, out_features: 10}\n  - {name: head"
    found = changed("  - {name: head", line)
    assert found == [
        Change("layer", "head", "inputs", "drop", "extra"),
        Change("layer", "extra", "only in B", None, "linear(out_features=10)"),
    ]
    reverse = changes(BASE.replace("  - {name: head", line), BASE)
    assert Change("layer", "extra", "only in A", "linear(out_features=10)", None) in reverse and len(reverse) == 2


def test_inputs_and_outputs() -> None:
    (first, *_) = changed("x: {shape: [batch, 6]}", "x: {shape: [batch, 7]}")
    assert first == Change("input", "x", "type", "float[batch, 6]", "float[batch, 7]")
    assert changed("outputs: {y: head, hidden: both}", "outputs: {y: head}") == [
        Change("output", "hidden", "only in A", "float[batch, 10] of both", None)
    ]
    assert changed("outputs: {y: head, hidden: both}", "outputs: {hidden: both, y: head}") == [
        Change("output", "", "order", "y, hidden", "hidden, y")
    ]
    swapped = changed(
        "  x: {shape: [batch, 6]}\n  z: {shape: [batch, 10]}", "  z: {shape: [batch, 10]}\n  x: {shape: [batch, 6]}"
    )
    assert swapped == [Change("input", "", "order", "x, z", "z, x")]


def test_a_renamed_layer_is_one_change() -> None:
    renamed = (
        BASE.replace("name: norm", "name: bn").replace("name: act", "name: first.act").replace("[act,", "[first.act,")
    )
    assert changes(BASE, renamed) == [
        Change("layer", "norm", "renamed", "norm", "bn"),
        Change("layer", "act", "renamed", "act", "first.act"),
    ]


def test_a_layer_that_is_renamed_and_changed_is_two_layers() -> None:
    renamed = BASE.replace("name: a,", "name: first,").replace("out_features: 10", "out_features: 10, bias: false")
    kinds = [(change.path, change.what) for change in changes(BASE, renamed)]
    assert kinds == [("a", "only in A"), ("norm", "inputs"), ("first", "only in B")]


def test_positions_that_moved_are_renamed() -> None:
    text = "{{netspec: 1, name: m, inputs: {{x: {{shape: [batch, 6]}}}}, layers: [{0}]}}"
    a = text.format("relu, tanh, {type: linear, out_features: 4}, sigmoid")
    b = text.format("relu, {type: linear, out_features: 4}, sigmoid")
    assert [(change.path, change.what) for change in changes(a, b)] == [
        ("1", "only in A"),
        ("2", "renamed"),
        ("2", "inputs"),
        ("3", "renamed"),
    ]


def test_what_only_training_has() -> None:
    spec = netspec.load(RESIDUAL)
    frozen = netspec.load(RESIDUAL, freeze=["block1.bn1"])
    found = differences(spec.graphs, frozen.graphs)
    assert {change.path for change in found if change.mode} == {"block1.bn1.running_mean", "block1.bn1.running_var"}


def test_shared_layers_are_compared_by_application() -> None:
    text = """
netspec: 1
name: shared
inputs: {{x: {{shape: [batch, 6]}}}}
layers:
  - {{name: fc, type: linear, out_features: 6}}
  - {{name: act, type: relu}}
  - {{name: again, share: fc, from: {0}}}
"""
    assert changes(text.format("act"), text.format("act")) == []
    (act, again, *_) = changes(text.format("act"), text.format("fc"))
    assert (again.path, again.what, again.a, again.b) == ("fc (application 2)", "inputs", "act", "fc")
    assert (act.path, act.what) == ("act", "only in A")


FORMULA = """
netspec: 1
name: scaled
params: {scale: 2}
inputs: {x: {shape: [batch, 6]}}
layers:
  - {name: y, type: formula, from: {a: x}, expr: a * scale}
"""


def test_where_a_formula_stands_is_no_difference_but_the_numbers_in_it_are() -> None:
    assert changes(FORMULA, "# a comment\n" + FORMULA) == []
    assert [change.what for change in changes(FORMULA, FORMULA.replace("scale: 2", "scale: 3"))] == ["numbers"]


# The command.


def test_diff_of_equal_models(run: Run) -> None:
    status, out, err = run("diff", RESIDUAL, RESIDUAL)
    assert (status, err) == (0, "")
    assert out.startswith("The models are equal.\n")
    assert json.loads(run("diff", LENET, LENET, "--set", "classes=5", "--format", "json")[1])["equal"] is True


def test_diff_as_a_table(run: Run) -> None:
    status, out, err = run("diff", LENET, LENET, "--set-b", "classes=26")
    lines = [line.split() for line in out.splitlines()]
    assert (status, err) == (1, "")
    assert lines[2] == ["layer", "fc3", "out_features", "10", "26"]
    assert ["parameters", "61,706", "63,066", "1,360"] in lines
    assert ["MACs", "of", "a", "sample", "416,520", "417,864", "1,344"] in lines


def test_diff_as_json(run: Run) -> None:
    status, out, _ = run("diff", LENET, LENET, "--set-a", "classes=9", "--set-b", "classes=26", "--format", "json")
    data = json.loads(out)
    assert status == 1 and data["equal"] is False
    assert data["changes"][0] == {
        "kind": "layer",
        "path": "fc3",
        "what": "out_features",
        "a": "9",
        "b": "26",
        "mode": None,
    }
    assert data["totals"]["b"]["total"] - data["totals"]["a"]["total"] == 17 * 85


def test_diff_of_a_bad_spec_is_a_bad_input(run: Run) -> None:
    status, out, err = run("diff", LENET, "missing.yaml")
    assert (status, out, err.count("\n")) == (2, "", 1)
