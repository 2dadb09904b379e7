"""The graph: its invariants catch what they name, it prints as text, pickles, and orders its state as torch does."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netspec.graph.builder import state_dict_order
from netspec.graph.dims import symbol
from netspec.graph.graph import Call, Graph, GraphPair, Input, Node, Origin, Output, Param, Value
from netspec.graph.invariants import check_graph, check_pair
from netspec.graph.ops import Add, Relu, Reshape
from netspec.graph.printer import print_graph
from netspec.graph.types import TensorType
from netspec.layers.initializers import Zeros
from netspec.passes import apply_passes
from netspec.spec import Spec, loads

DATA = Path(__file__).parents[1] / "data"
TEXT = """\
netspec: 1
name: small
inputs:
  image: {shape: [batch, 2, height, 5]}
  word: {shape: [batch], dtype: int64}
defaults: {batch_norm: {stats_decay: 0.75}}
layers:
  - {name: stem.conv, from: image, type: conv2d, out_channels: 3, kernel_size: [3, 2], stride: 2, bias: false}
  - {name: stem.norm, type: batch_norm}
  - leaky_relu
  - {type: dropout, p: 0.25}
  - {name: pooled, type: global_avg_pool}
  - {name: table, from: word, type: embedding, num_embeddings: 7, embedding_dim: 3, padding_idx: 0}
  - {name: both, type: concat, dim: 1, from: [pooled, table]}
  - {name: fc, type: linear, out_features: 4, init: {bias: {type: constant, value: 0.5}}}
outputs: {scores: fc, table: table}
freeze: [stem.conv]
"""


def small() -> Spec:
    return loads(TEXT, file="small.yaml")


@pytest.mark.parametrize("training", [False, True])
def test_a_graph_prints_as_it_did(training: bool) -> None:
    graph = small().graphs.of(training)
    assert print_graph(graph) == (DATA / f"small_{'training' if training else 'inference'}.txt").read_text()


def test_the_graphs_of_a_good_spec_hold() -> None:
    check_pair(small().graphs)


def first_call(graph: Graph, path: str) -> tuple[int, Call]:
    return next((k, node) for k, node in enumerate(graph.nodes) if isinstance(node, Call) and node.path == path)


def with_call(graph: Graph, path: str, change: Callable[[Call], Call]) -> Graph:
    position, call = first_call(graph, path)
    return replace(graph, nodes=(*graph.nodes[:position], change(call), *graph.nodes[position + 1 :]))


def stray() -> Value:
    return Value(TensorType((symbol("batch"), 4)))


def reading(node: Node, *values: Value) -> Node:
    return replace(node, inputs=values)


VIOLATIONS: dict[str, tuple[str, Callable[[Graph], Graph]]] = {
    "one path twice": (
        "one path",
        lambda g: replace(g, state=(*g.state, replace(g.params[0], value=Value(g.params[0].value.type)))),
    ),
    "one input name twice": ("one name", lambda g: replace(g, inputs=(*g.inputs, Input("image", stray())))),
    "one output name twice": ("one name", lambda g: replace(g, outputs=(g.outputs[0], g.outputs[0]))),
    "an output from nowhere": ("nothing computes", lambda g: replace(g, outputs=(Output("y", stray()),))),
    "nodes in the wrong order": ("before it is computed", lambda g: replace(g, nodes=tuple(reversed(g.nodes)))),
    "a call that runs twice": ("computed twice", lambda g: replace(g, nodes=(*g.nodes, g.nodes[0]))),
    "a call with an input from nowhere": (
        "before it is computed",
        lambda g: with_call(g, "fc", lambda call: replace(call, inputs=(stray(),))),
    ),
    "a call with a parameter from nowhere": (
        "before it is computed",
        lambda g: with_call(g, "fc", lambda call: replace(call, params={"weight": stray()})),
    ),
    "a call with a buffer from nowhere": (
        "before it is computed",
        lambda g: with_call(g, "stem.norm", lambda call: replace(call, buffers={"running_mean": stray()})),
    ),
    "a call with noise from nowhere": (
        "before it is computed",
        lambda g: with_call(g, "fc", lambda call: replace(call, noise=(stray(),))),
    ),
    "a body that reads what its call does not list": (
        "before it is computed",
        lambda g: with_call(g, "fc", lambda call: replace(call, params={"weight": call.params["weight"]})),
    ),
    "a body that reads around its call": (
        "before it is computed",
        lambda g: with_call(g, "fc", lambda call: replace(call, inputs=(), body=call.body)),
    ),
    "an output that the body does not compute": (
        "does not compute",
        lambda g: with_call(g, "fc", lambda call: replace(call, outputs=(stray(),))),
    ),
    "an inner value that is read from outside": (
        "nothing computes",
        lambda g: replace(g, outputs=(Output("y", first_call(g, "fc")[1].body[0].outputs[0]),)),
    ),
    "a primitive with another type than its rule gives": (
        "its shape rule gives",
        lambda g: with_call(
            g,
            "pooled",
            lambda call: replace(
                call,
                body=(replace(call.body[0], outputs=(value := Value(TensorType((symbol("batch"), 4))),)),),
                outputs=(value,),
            ),
        ),
    ),
    "two calls with one body": (
        "computed twice",
        lambda g: replace(g, nodes=(*g.nodes, replace(first_call(g, "fc")[1], origin=Origin("again", None)))),
    ),
    "an update of another shape": (
        "update of stem.norm.running_mean",
        lambda g: replace(g, updates={"stem.norm.running_mean": g.inputs[0].value}),
    ),
    "an update from nowhere": (
        "update of stem.norm.running_mean",
        lambda g: replace(g, updates={"stem.norm.running_mean": Value(TensorType((3,)))}),
    ),
}


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", VIOLATIONS)
def test_a_planted_violation_is_caught(name: str, training: bool) -> None:
    message, plant = VIOLATIONS[name]
    with pytest.raises(AssertionError, match=message):
        check_graph(plant(small().graphs.of(training)))


def test_a_node_outside_of_calls_is_checked_too() -> None:
    graph = small().inference
    x = graph.outputs[0].value
    good, bad = Value(x.type), Value(TensorType((3,)))
    check_graph(replace(graph, nodes=(*graph.nodes, Node(Relu(), (x,), (good,)))))
    with pytest.raises(AssertionError, match="its shape rule gives"):
        check_graph(replace(graph, nodes=(*graph.nodes, Node(Relu(), (x,), (bad,)))))
    with pytest.raises(AssertionError, match="before it is computed"):
        check_graph(replace(graph, nodes=(*graph.nodes, Node(Add(), (x, bad), (good,)))))


PAIR_VIOLATIONS: dict[str, Callable[[Graph], Graph]] = {
    "params": lambda g: replace(g, state=g.state[::-1]),
    "other path": lambda g: replace(
        g, state=tuple(replace(p, path=p.path + "x") if isinstance(p, Param) else p for p in g.state)
    ),
    "other start": lambda g: replace(g, state=(*g.state[:-1], replace(g.state[-1], initializer=Zeros()))),
    "thawed": lambda g: replace(
        g, state=tuple(replace(p, trainable=True) if isinstance(p, Param) else p for p in g.state)
    ),
    "an output less": lambda g: replace(g, outputs=g.outputs[:1]),
    "an input less": lambda g: apply_passes(
        replace(
            g,
            inputs=g.inputs[:1],
            nodes=tuple(n for n in g.nodes if n not in (first_call(g, "table")[1], *g.nodes[-2:])),
            outputs=(Output("scores", first_call(g, "pooled")[1].outputs[0]), *g.outputs[2:]),
        )
    ),
}


@pytest.mark.parametrize("name", PAIR_VIOLATIONS)
def test_both_graphs_must_agree(name: str) -> None:
    pair = small().graphs
    with pytest.raises(AssertionError, match="in training"):
        check_pair(GraphPair(pair.inference, PAIR_VIOLATIONS[name](pair.training)))


def test_inference_and_training_share_parameters_and_buffers() -> None:
    pair = small().graphs
    assert [(held.path, held.value.type, held.initializer) for held in pair.inference.state] == [
        (held.path, held.value.type, held.initializer) for held in pair.training.state
    ]
    assert not pair.inference.updates
    assert set(pair.training.updates) == {"stem.norm.running_mean", "stem.norm.running_var"}


@pytest.mark.parametrize("copied", [lambda g: pickle.loads(pickle.dumps(g)), copy.deepcopy], ids=["pickle", "deepcopy"])
def test_a_copy_of_a_graph_holds_and_is_one_of_its_own(copied: Callable[[GraphPair], GraphPair]) -> None:
    pair = small().graphs
    other = check_pair(copied(pair))
    for training in (False, True):
        old, new = pair.of(training), other.of(training)
        assert print_graph(old) == print_graph(new)
        assert not {v for n in old.primitives() for v in n.outputs} & {v for n in new.primitives() for v in n.outputs}
        assert [e.value for e in new.inputs] != [e.value for e in old.inputs], "a value is equal to itself only"


def test_values_of_a_finished_graph_take_no_arithmetic() -> None:
    graph = pickle.loads(pickle.dumps(small().inference))
    with pytest.raises(AssertionError, match="finished graph"):
        graph.outputs[0].value + 1.0


def test_symbols_are_found_where_a_dimension_is_just_that() -> None:
    found = {name: (entry.name, axis) for name, (entry, axis) in small().inference.symbols().items()}
    assert found == {"batch": ("image", 0), "height": ("image", 2)}


def nested_order(paths: list[str]) -> list[str]:
    """The order of torch.nn.Module.state_dict for modules that are added as the paths come, written as it does it."""

    class Module:
        def __init__(self) -> None:
            self.own: list[str] = []
            self.children: dict[str, Module] = {}

    root = Module()
    for path in paths:
        *modules, name = path.split(".")
        here = root
        for part in modules:
            here = here.children.setdefault(part, Module())
        here.own.append(name)

    def walk(module: Module, prefix: str) -> list[str]:
        found = [prefix + name for name in module.own]
        for name, child in module.children.items():
            found += walk(child, f"{prefix}{name}.")
        return found

    return walk(root, "")


@given(st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map(".".join), unique=True, max_size=12))
def test_the_state_is_in_the_order_of_torch(paths: list[str]) -> None:
    assert state_dict_order(paths) == nested_order(paths)


def test_a_module_that_comes_back_stays_where_it_was_first() -> None:
    paths = ["stem.a.w", "fc.w", "stem.b.w", "w", "fc.b", "stem.a.b"]
    assert state_dict_order(paths) == ["w", "stem.a.w", "stem.a.b", "stem.b.w", "fc.w", "fc.b"]


def test_requirements_of_a_reshape_are_kept() -> None:
    spec = loads("netspec: 1\ninputs: {x: {shape: [batch, n]}}\nlayers: [{type: reshape, shape: [-1, $(n)]}]\n")
    (node,) = spec.inference.primitives()
    assert node.op == Reshape((symbol("batch"), symbol("n")))
