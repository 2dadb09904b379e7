"""The models as one writes them with TensorFlow's own functions, channels last, beside netspec's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from channels_last import inputs_last, weights_last
from models import LEARNING_RATE, Case, Pairs, require_equal

import netspec

Variables = dict[str, Any]
Network = Callable[[Variables, Any, bool], Any]


def dense(v: Variables, name: str, x: Any) -> Any:
    return tf.nn.bias_add(tf.matmul(x, v[f"{name}.weight"]), v[f"{name}.bias"])


def conv(v: Variables, name: str, x: Any, stride: int = 1, padding: str = "VALID") -> Any:
    y = tf.nn.conv2d(x, v[f"{name}.weight"], stride, padding)
    return tf.nn.bias_add(y, v[f"{name}.bias"]) if f"{name}.bias" in v else y


def batch_norm(v: Variables, name: str, x: Any, training: bool) -> Any:
    held = [v[f"{name}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")]
    if not training:
        y, _, _ = tf.compat.v1.nn.fused_batch_norm(x, *held, epsilon=1e-5, is_training=False)
        return y
    y, mean, var = tf.compat.v1.nn.fused_batch_norm(x, *held[:2], epsilon=1e-5)
    for old, new in zip(held[2:], (mean, var), strict=True):
        old.assign(0.9 * old + 0.1 * new)
    return y


def perceptron(v: Variables, x: Any, training: bool) -> Any:
    for i in range(1, 7):
        x = tf.sigmoid(dense(v, f"hidden{i}", x))
    return dense(v, "output", x)


def mlp(v: Variables, x: Any, training: bool) -> Any:
    return dense(v, "fc3", tf.nn.relu(dense(v, "fc2", tf.nn.relu(dense(v, "fc1", x)))))


def cnn_mnist(v: Variables, x: Any, training: bool) -> Any:
    x = tf.nn.relu(conv(v, "conv2", tf.nn.relu(conv(v, "conv1", x))))
    x = tf.nn.max_pool2d(x, 2, 2, "VALID")
    x = tf.nn.dropout(x, 0.25) if training else x
    x = tf.nn.relu(dense(v, "fc1", tf.reshape(x, [-1, 9216])))
    return dense(v, "fc2", tf.nn.dropout(x, 0.5) if training else x)


def residual(v: Variables, x: Any, training: bool) -> Any:
    def normed(name: str, bn: str, x: Any, stride: int = 1, padding: str = "SAME") -> Any:
        return batch_norm(v, bn, conv(v, name, x, stride, padding), training)

    x = tf.nn.relu(normed("stem.conv", "stem.bn", x))
    y = tf.nn.relu(normed("block1.conv1", "block1.bn1", x))
    x = tf.nn.relu(normed("block1.conv2", "block1.bn2", y) + x)
    # SAME at stride 2 would pad at the end alone.
    padded = tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])
    y = tf.nn.relu(normed("block2.conv1", "block2.bn1", padded, 2, "VALID"))
    y = normed("block2.conv2", "block2.bn2", y)
    x = tf.nn.relu(y + normed("block2.skip", "block2.skip_bn", x, 2, "VALID"))
    return dense(v, "fc", tf.reduce_mean(x, [1, 2]))


NETWORKS: dict[str, Network] = {"perceptron": perceptron, "mlp": mlp, "cnn_mnist": cnn_mnist, "residual": residual}


def pairs(case: Case) -> Pairs:
    """Inference, inference through netspec's own checks, and a step of SGD with the loss read back."""
    model = netspec.build(case.spec, "tensorflow")
    trainable = {row.path: row.trainable for row in netspec.count_params(case.spec).rows}
    v = {
        path: tf.Variable(values, trainable=trainable[path])
        for path, values in weights_last(model.weights(), case).items()
    }
    network = NETWORKS[case.name]
    own_x, our_x = tf.constant(inputs_last(case.inputs)), tf.constant(case.inputs)
    y = tf.constant(case.targets)

    signature = [tf.TensorSpec([None, *own_x.shape[1:]], tf.float32)]
    infer = tf.function(lambda x: network(v, x, False), input_signature=signature, autograph=False)
    require_equal(case.name, infer(own_x).numpy(), model.native(our_x).numpy())
    yield "inference", lambda: infer(own_x).numpy(), lambda: model.native(our_x).numpy()
    yield "inference, checked", lambda: infer(own_x).numpy(), lambda: model(our_x).numpy()

    own = _training(lambda x: network(v, x, True), [each for each in v.values() if each.trainable], case, own_x)
    ours = _training(lambda x: model.native(x, training=True), model.native.trainable_variables, case, our_x)
    yield "training step", lambda: float(own(own_x, y)), lambda: float(ours(our_x, y))


def _training(forward: Callable[[Any], Any], variables: Any, case: Case, x: Any) -> Callable[[Any, Any], Any]:
    def step(x: Any, y: Any) -> Any:
        with tf.GradientTape() as tape:
            found = forward(x)
            if case.classifies:
                loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, found))
            else:
                loss = tf.reduce_mean(tf.square(found - y))
        for variable, gradient in zip(variables, tape.gradient(loss, variables), strict=True):
            variable.assign_sub(LEARNING_RATE * gradient)
        return loss

    targets = tf.TensorSpec([None, *case.targets.shape[1:]], tf.as_dtype(case.targets.dtype))
    signature = [tf.TensorSpec([None, *x.shape[1:]], tf.float32), targets]
    return tf.function(step, input_signature=signature, autograph=False)
