"""Control flow on TensorFlow: straight lines, loops and branches in its graphs, with XLA and in a SavedModel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

import netspec
import netspec_tensorflow
from netspec.graph.invariants import check_pair
from netspec.graph.ops import Permute
from netspec_tensorflow.matrices import store_transposed
from tests.backends.control_graphs import CALLS, NOISY, agree, assert_drawn_anew, control
from tests.backends.graphs import assert_close
from tests.backends.tensorflow_graphs import agree_with_reference, compiled, draw

# Both walk along six steps of six: one of the loops must stay a loop.
NESTED = """
netspec: 1
inputs: {{x: {{shape: [{batch}, {time}, 9, 2]}}}}
layers:
  - name: rows
    scan: {{over: [row], dim: 1}}
    inputs: [row]
    layers:
      - name: cells
        scan: {{over: [cell], dim: 1}}
        inputs: [cell]
        layers: [{{name: fc, type: linear, out_features: 2}}, tanh]
outputs: {{y: rows}}
"""


# Of the four matrices one is read in the loop and around it, one is held the other way round already.
MATRICES = """
netspec: 1
inputs: {x: {shape: [batch, time, 3]}}
layers:
  - {name: square, type: linear, out_features: 3}
  - {name: first, type: mean, dim: 1, from: square}
  - name: rnn
    scan: {over: [word], dim: 1}
    from: {word: square, h: first}
    inputs: [word, h]
    layers:
      - {name: up, type: linear, out_features: 3, from: word}
      - {name: rec, type: linear, out_features: 3, from: h, bias: false}
      - {name: same, share: square, from: word}
      - {name: plain, type: linear, out_features: 3, weight_layout: in_out, from: same}
      - {name: sum, type: add, from: [up, rec, plain]}
      - {name: act, type: tanh}
    outputs: {h: act, all: sum}
outputs: {y: "rnn:all"}
"""


def native_tensors(call: dict[str, Any]) -> list[tf.Tensor]:
    return [tf.constant(x) for x in call.values()]


def test_outputs_and_gradients() -> None:
    agree(netspec_tensorflow.backend)


def loops(text: str) -> tuple[int, int]:
    """How many loops the graph of the model holds, and how many of them stand in another one."""
    model = netspec.build(netspec.loads(text), "tensorflow")
    graph = model.native.inference_call.get_concrete_function().graph.as_graph_def()
    outer = sum(node.op in ("While", "StatelessWhile") for node in graph.node)
    bodies = [f for f in graph.library.function if "body" in f.signature.name]
    return outer, sum(node.op in ("While", "StatelessWhile") for f in bodies for node in f.node_def)


@pytest.mark.parametrize(
    ("batch", "time", "expected"), [("batch", "time", (1, 0)), ("batch", 7, (0, 0)), ("batch", 8, (8, 0))]
)
def test_few_known_steps_are_a_straight_line(batch: str, time: Any, expected: tuple[int, int]) -> None:
    """64 copies at most: 7 times 9 steps are 63; of 8 times 9 the outer loop alone is unrolled."""
    assert loops(NESTED.format(batch=batch, time=time)) == expected


def test_matrices_that_a_loop_reads_are_stored_as_they_are_multiplied() -> None:
    pair = netspec.loads(MATRICES).graphs
    x = draw((2, 5, 3))
    model = agree_with_reference(netspec_tensorflow.backend, pair, x, "float64")
    inner = check_pair(store_transposed(model.graphs)).inference
    stored = {held.path: held.permutation for held in inner.params if held.value.type.rank == 2}
    turned = dict.fromkeys(("square.weight", "rnn.up.weight", "rnn.rec.weight"), (1, 0))
    assert stored == turned | {"rnn.plain.weight": None}
    assert not any(isinstance(node.op, Permute) for node in inner.all_primitives())


def test_xla_and_a_saved_model(tmp_path: Path) -> None:
    model = compiled(control())
    tf.saved_model.save(model.native, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    jitted = tf.function(model.native, jit_compile=True)
    for call in CALLS[:2]:
        expected = model(**call)
        for form in (jitted, loaded):
            for name, y in form(*native_tensors(call)).items():
                assert_close(y.numpy(), expected[name].numpy(), 1e-5)


def test_each_turn_draws_anew() -> None:
    native = netspec.build(netspec.loads(NOISY), "tensorflow").native
    x = tf.ones((4, 5, 50))
    with tf.GradientTape() as tape:
        tape.watch(x)
        drawn = native(x, training=True)
        total = tf.reduce_sum(drawn["steps"]) + tf.reduce_sum(drawn["turns"])
    assert_drawn_anew(drawn["steps"].numpy(), drawn["turns"].numpy())
    assert_close(tape.gradient(total, x).numpy(), (drawn["steps"] + drawn["turns"]).numpy())


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_narrow_floats(dtype: str) -> None:
    model = compiled(control(), dtype)
    types = {output.name: output.value.type.dtype for output in model.graphs.inference.outputs}
    for name, y in model(**CALLS[0]).items():
        assert y.dtype == (dtype if types[name] == "float" else "int64")
