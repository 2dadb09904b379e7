"""Control flow in ONNX: what the operators are called and hold, and that any program may load the file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx.reference import ReferenceEvaluator

import netspec
import netspec_onnx
from netspec.graph.graph import GraphPair
from tests.backends.control_graphs import CALLS, control, inputs
from tests.backends.graphs import Arrays, assert_close, draw_weights
from tests.backends.onnx_graphs import check, operators, reference

# The weight is read in the steps alone, `unused` is not read at all, and `act` is given twice.
RNN = """
netspec: 1
inputs: {words: {shape: [batch, time, 3]}, state: {shape: [batch, 4]}}
layers:
  - {name: first, type: tanh, from: words}
  - name: rnn
    scan: {over: [word], dim: 1}
    from: {word: first, h: state}
    inputs: [word, h]
    layers:
      - {name: up, type: linear, out_features: 4, from: word}
      - {name: sum, type: add, from: [up, h]}
      - {name: unused, type: sigmoid}
      - {name: act, type: tanh, from: sum}
    outputs: {h: act, all: act}
outputs: {last: "rnn:h", all: "rnn:all"}
"""


@pytest.fixture(scope="module")
def pair() -> GraphPair:
    return control()


@pytest.fixture(scope="module")
def weights(pair: GraphPair) -> Arrays:
    return draw_weights(pair)


def test_outputs(pair: GraphPair, weights: Arrays) -> None:
    """Also of a time that no other test runs; each kind of control flow is its operator."""
    model = netspec_onnx.backend.compile(pair, weights)
    check(model.native)
    found = operators(model.native)
    assert [found.count(name) for name in ("Scan", "Loop", "If")] == [5, 3, 2]
    for call in (*CALLS, inputs(1, 9)):
        expected = reference(pair, weights, call)
        for name, y in model.evaluate(call).outputs.items():
            assert_close(y, expected[name])


@pytest.mark.parametrize("external", [False, True])
def test_the_file_is_loaded_again(pair: GraphPair, weights: Arrays, tmp_path: Path, external: bool) -> None:
    path = tmp_path / "control.onnx"
    netspec_onnx.backend.export(pair, weights, path, external_data=external)
    session = onnxruntime.InferenceSession(path)
    expected = reference(pair, weights, CALLS[0])
    for output, y in zip(session.get_outputs(), session.run(None, CALLS[0]), strict=True):
        assert_close(np.asarray(y), expected[output.name])


def test_the_standards_own_interpreter_agrees() -> None:
    """It knows scans along the first axis alone, so it judges the others."""
    pair = control("whiles")
    weights = draw_weights(pair)
    judge = ReferenceEvaluator(netspec_onnx.backend.compile(pair, weights).native)
    for call in CALLS:
        expected = reference(pair, weights, call)
        for name, y in zip(judge.output_names, judge.run(None, call), strict=True):
            assert_close(np.asarray(y), expected[name])


def _graphs(graph: Any) -> Iterator[Any]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _graphs(attribute.g)


def test_names_are_those_of_the_entries(tmp_path: Path) -> None:
    netspec.export_onnx(netspec.loads(RNN), tmp_path / "rnn.onnx")
    model = onnx.load(tmp_path / "rnn.onnx")
    outer, inner = _graphs(model.graph)
    assert [node.name for node in outer.node] == ["first", "rnn"]
    assert [node.name for node in inner.node] == ["rnn.up", "rnn.sum", "rnn.act", "rnn/Identity"]
    assert [value.name for value in inner.input] == ["rnn/carried", "rnn/slice"]
    assert {tensor.name for tensor in outer.initializer} == {"rnn.up.weight", "rnn.up.bias"}


def test_no_value_has_the_name_of_another(pair: GraphPair, weights: Arrays) -> None:
    graph = netspec_onnx.backend.compile(pair, weights).native.graph
    named = [value.name for value in (*graph.input, *graph.initializer)]
    for each in _graphs(graph):
        named += [name for node in each.node for name in node.output]
        named += [value.name for value in each.input] if each is not graph else []
    assert len(named) == len(set(named))


@pytest.mark.parametrize("count", [2, 3, 300])
def test_branches_nest_as_a_tree(count: int, tmp_path: Path) -> None:
    """Each branch multiplies by 1 more than its number; in the file a number that no branch has means the nearest."""
    text = "netspec: 1\ninputs: {x: {shape: [b]}, which: {shape: [], dtype: int64}}\n"
    text += "layers:\n  - name: y\n    from: x\n    cond: which\n    branches:\n"
    text += "".join(f"      - {{type: formula, expr: x * {number + 1}}}\n" for number in range(count))
    path = tmp_path / "branches.onnx"
    netspec.export_onnx(netspec.loads(text), path)
    message = onnx.load(path)
    check(message)
    assert _depth(message.graph) == (count - 1).bit_length()
    session = onnxruntime.InferenceSession(path)
    for which in (-(2**40), -1, 0, 1, count // 2, count - 1, count, 2**40):
        (y,) = session.run(None, {"x": np.ones(2, np.float32), "which": np.array(which)})
        assert y.tolist() == [min(max(which, 0), count - 1) + 1] * 2


def _depth(graph: Any) -> int:
    """How deep bodies stand in bodies."""
    inner = [each.g for node in graph.node for each in node.attribute if each.HasField("g")]
    return 1 + max(map(_depth, inner)) if inner else 0
