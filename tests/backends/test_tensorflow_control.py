"""Control flow on TensorFlow: straight lines, loops and branches in its graphs, with XLA and in a SavedModel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

import netspec
import netspec_tensorflow
from tests.backends.control_graphs import CALLS, NOISY, agree, assert_drawn_anew, control, inputs
from tests.backends.graphs import assert_close
from tests.backends.tensorflow_graphs import compiled

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


def test_gradients_under_xla() -> None:
    """Loops of a size that is known only while XLA compiles."""
    model = compiled(control(), "float64")
    call = {name: x.astype(float) if x.dtype.kind == "f" else x for name, x in inputs().items()}
    variables = model.native.trainable_variables

    def gradients(*given: Any) -> Any:
        with tf.GradientTape() as tape:
            outputs = model.native(*given)
            total = tf.add_n([tf.reduce_sum(tf.sin(y)) for y in outputs.values() if y.dtype.is_floating])
        return tape.gradient(total, variables)

    plain, jitted = (tf.function(gradients, jit_compile=xla)(*native_tensors(call)) for xla in (False, True))
    for one, other in zip(plain, jitted, strict=True):
        assert_close(other.numpy(), one.numpy(), 1e-10)


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
