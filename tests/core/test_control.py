"""`while`, `branches` and `gradient` in a graph: what they give, cost and hold, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import netspec
from netspec.analysis.costs import count_costs
from netspec.analysis.index_bounds import index_bounds
from netspec.errors import NetspecError
from netspec.graph.graph import Node
from netspec.graph.ops import Cond, CustomGradient, While
from netspec.passes.noise_inputs import noise_inputs
from tests.core.spec_text import graph, mistakes, outputs, spec

HEAD = """\
netspec: 1
inputs:
  x: {shape: [batch, 4]}
  flag: {shape: [], dtype: bool}
  which: {shape: [], dtype: int64}
blocks:
  Turn:
    inputs: [v, busy, w]
    layers:
      - {name: next, type: linear, out_features: 4, from: v}
      - {name: sum, type: add, from: [next, w]}
      - {name: total, type: sum}
      - {name: far, type: formula, expr: x > 1}
    outputs: {v: sum, busy: far}
  Own: {inputs: [x], gradient: Back, layers: [{name: y, type: tanh}], outputs: {y: y}}
  Back: {inputs: [grad_y], layers: [{name: d, type: relu}], outputs: {x: d}}
layers:
"""
LOOP = """\
  - {name: loop, type: Turn, from: {v: x, busy: flag, w: x}, while: {condition: busy, limit: 6}}
outputs: {y: "loop:v"}
"""
ROUTE = """\
  - name: route
    cond: flag
    from: x
    branches:
      - {type: linear, out_features: 3}
      - {name: deep, layers: [{name: up, type: linear, out_features: 9}, {type: linear, out_features: 3}]}
"""
OWN = "  - {name: own, type: Own, from: x}\n"


def test_a_while_gives_what_is_carried_and_costs_its_limit() -> None:
    made = graph(HEAD + LOOP)
    assert outputs(HEAD + LOOP) == {"y": "float[batch, 4]"}
    (node,) = made.nodes
    assert isinstance(node, Node) and isinstance(node.op, While)
    assert (node.op.carried, node.op.condition, node.op.limit) == (2, 1, 6)
    assert count_costs(made).total.macs == 6 * 16
    assert [held.path for held in made.state] == ["loop.next.weight", "loop.next.bias"]


def test_the_most_expensive_branch_is_what_branches_cost() -> None:
    made = graph(HEAD + ROUTE)
    assert outputs(HEAD + ROUTE) == {"output": "float[batch, 3]"}
    assert count_costs(made).total.macs == 4 * 9 + 9 * 3
    assert [row.cost.macs for row in count_costs(made).rows] == [12, 36, 27]
    assert [held.path for held in made.state] == [
        *("route.0.weight", "route.0.bias", "route.deep.up.weight", "route.deep.up.bias"),
        *("route.deep.1.weight", "route.deep.1.bias"),
    ]


def test_an_integer_chooses_among_as_many_branches_as_there_are() -> None:
    text = HEAD + ROUTE.replace("cond: flag", "cond: which") + "      - {type: linear, out_features: 3}\n"
    assert index_bounds(graph(text)) == {"which": (3,)}
    (node,) = graph(text).nodes
    assert isinstance(node, Node) and isinstance(node.op, Cond) and len(node.op.branches) == 3
    model = netspec.build(spec(text), "numpy")
    with pytest.raises(NetspecError, match="which: indices must be from 0 to 2, got 3"):
        model(x=np.ones((2, 4)), flag=np.array(True), which=np.array(3))


def test_what_a_block_with_a_gradient_leaves_out_flows_back_as_zero() -> None:
    text = HEAD.replace("Own: {inputs: [x]", "Own: {inputs: [x, w]").replace(
        "name: y, type: tanh", "name: y, type: add, from: [x, w]"
    )
    made = graph(text + "  - {name: own, type: Own, from: [x, x]}\n")
    (node,) = made.nodes
    assert isinstance(node, Node) and isinstance(node.op, CustomGradient)
    assert [str(type) for type in node.op.backward.output_types] == ["float[batch, 4]"] * 2


def test_arguments_go_to_the_params_of_the_gradient_too() -> None:
    text = HEAD.replace("Own: {", "Own: {params: {k: 1, other: 2}, ").replace("Back: {", "Back: {params: {k: null}, ")
    text = text.replace("type: relu}", "type: formula, expr: k * x}")
    model = netspec.build(spec(text + "  - {type: Own, from: x, k: 5}\n"), "numpy", dtype="float64")
    cotangent = {"output": np.full((2, 4), 3.0)}
    inputs = (np.ones((2, 4)), np.array(True), np.array(0))
    assert (model.gradients(*inputs, cotangent=cotangent, inputs=True)["input:x"] == 15).all()


def test_the_sigmoid_of_the_zoo_has_the_gradient_of_the_built_in_one() -> None:
    text = (Path(netspec.__file__).parents[1] / "specs/custom_sigmoid.yaml").read_text()
    custom, plain = (
        netspec.build(netspec.loads(each), "numpy", dtype="float64")
        for each in (text, text.replace("type: MySigmoid}", "type: sigmoid}"))
    )
    x = np.random.default_rng(0).normal(size=(3, 8))
    cotangent = {"y": np.ones((3, 1))}
    expected = plain.gradients(x, cotangent=cotangent, inputs=True)
    for name, gradient in custom.gradients(x, cotangent=cotangent, inputs=True).items():
        np.testing.assert_allclose(gradient, expected[name], rtol=1e-12)


def test_random_numbers_in_a_while_cannot_be_given() -> None:
    text = HEAD.replace("name: sum, type: add, from: [next, w]", "name: sum, type: dropout, p: 0.5, from: next") + LOOP
    with pytest.raises(NetspecError, match=r"loop: random numbers are drawn in a while: how many is not known"):
        noise_inputs(spec(text).training)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("while: 3", "loop: while: expected a mapping such as {condition: busy, limit: 20}"),
        ("while: {condition: busy}", "loop: while: limit is required"),
        ("while: {limit: 2}", "loop: while: condition is required"),
        ("while: {condition: busy, limit: 2, dim: 1}", "loop: while: unknown key dim; known are condition, limit"),
        ("while: {condition: busy, limit: 0}", "loop: while: limit: expected an integer from 1 to 2147483647, got 0"),
        ("while: {condition: busi, limit: 2}", "loop: while: condition: busi is not carried; did you mean busy?"),
        ("while: {condition: v, limit: 2}", "loop: while: condition: v is float[batch, 4], not bool[]"),
        ("while: {condition: busy, limit: 2}, repeat: 2", "while beside repeat: an entry has one loop at most"),
    ],
)
def test_whiles_that_are_refused(entry: str, message: str) -> None:
    assert message in mistakes(HEAD + LOOP.replace("while: {condition: busy, limit: 6}", entry))[0]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "outputs: {v: sum, busy: far}",
            "outputs: {v: sum, busy: far, more: sum}",
            "output more is called like no input",
        ),
        ("out_features: 4, from: v", "out_features: 5, from: v", "loop.sum"),
        ("v: sum, busy: far", "v: total, busy: far", "loop: while: v is carried: it goes in as float[batch, 4]"),
    ],
)
def test_what_a_while_carries_keeps_its_name_and_type(old: str, new: str, message: str) -> None:
    assert message in mistakes(HEAD.replace(old, new) + LOOP)[0]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("    cond: flag\n", "", "cond is required beside branches"),
        ("cond: flag", "cond: x", "route: cond: which branch is taken is said by one bool or integer"),
        ("cond: flag", "cond: flagg", "route: there is nothing called flagg above; did you mean flag?"),
        ("cond: flag", "cond: flag\n    repeat: 2", "repeat beside branches: write it inside a branch, or in a group"),
        (
            "out_features: 3}\n",
            "out_features: 5}\n",
            "branch route.deep gives float[batch, 3] as output, route.0 (linear)",
        ),
        ("{type: linear, out_features: 3}\n", "{type: linear, out_features: 3, from: x}\n", "from in a branch"),
        (
            "{type: linear, out_features: 3}\n",
            "{type: top_k, k: 3}\n",
            "branch route.deep gives output, route.0 (top_k)",
        ),
        ("branches:\n      - {type: linear, out_features: 3}\n", "branches:\n", "branches: expected a list of two"),
    ],
)
def test_branches_that_are_refused(old: str, new: str, message: str) -> None:
    assert old in ROUTE
    assert message in mistakes(HEAD + ROUTE.replace(old, new, 1))[0]


def test_a_bool_chooses_between_two() -> None:
    text = HEAD + ROUTE + "      - {type: linear, out_features: 3}\n"
    assert "route: cond: a bool chooses between 2 branches, not 3" in mistakes(text)[0]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("gradient: Back", "gradient: Bak", "own: gradient: there is no block Bak; did you mean Back?"),
        ("gradient: Back", "gradient: Own", "block Own: a block contains itself: Own, Own"),
        ("inputs: [grad_y]", "inputs: [grad_z]", "own: gradient: Back reads grad_z, which Own does not have"),
        ("outputs: {x: d}", "outputs: {z: d}", "own: gradient: output z of Back is no float input of Own"),
        (
            "name: d, type: relu",
            "name: d, type: sum",
            "own: gradient: Back gives float[] for x, which is float[batch, 4]",
        ),
        (
            "name: d, type: relu",
            "name: d, type: linear, out_features: 4",
            "own: gradient: Back holds own:gradient.d.weight",
        ),
        ("name: y, type: tanh", "name: y, type: linear, out_features: 4", "own: gradient: Own holds own.y.weight"),
        ("Own: {inputs: [x], ", "Own: {", "block Own: gradient: it has no inputs that something could flow back to"),
        ("outputs: {y: y}}", "outputs: {x: y}}", "two of its inputs, outputs and their cotangents would be called x"),
    ],
)
def test_gradients_that_are_refused(old: str, new: str, message: str) -> None:
    assert old in HEAD
    assert message in mistakes(HEAD.replace(old, new) + OWN)[0]


def test_a_gradient_draws_no_random_numbers() -> None:
    made = spec(HEAD.replace("name: y, type: tanh", "name: y, type: dropout, p: 0.5") + OWN)
    with pytest.raises(NetspecError, match=r"own: gradient: Own draws random numbers in own\.y: make them an input"):
        made.training  # noqa: B018 (it is expanded where it is asked for)


def test_inputs_of_a_block_with_a_gradient_that_are_no_names_are_the_one_mistake() -> None:
    text = (
        "netspec: 1\ninputs: {x: {shape: [batch, 2]}}\nblocks:\n"
        "  Back: {inputs: [grad_y], layers: [{name: x, type: identity}], outputs: {x: x}}\n"
        "  Own: {inputs: x, gradient: Back, layers: [{name: y, type: tanh}], outputs: {y: y}}\n"
        "layers:\n  - {name: own, type: Own}\n"
    )
    with pytest.raises(NetspecError) as caught:
        netspec.loads(text)
    assert str(caught.value) == "<text>:5:17: inputs of block Own: expected a list of names such as [x, mask]"
