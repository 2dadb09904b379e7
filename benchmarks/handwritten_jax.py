"""The models as one writes them in JAX, channels last, beside netspec's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from channels_last import inputs_last, weights_last
from jax import lax
from models import LEARNING_RATE, Case, Pairs, require_equal

import netspec

Tensors = dict[str, Any]
# (params, buffers, x, key or None in inference) -> (y, buffers)
Network = Callable[[Tensors, Tensors, Any, Any], tuple[Any, Tensors]]


def dense(p: Tensors, name: str, x: Any) -> Any:
    return x @ p[f"{name}.weight"] + p[f"{name}.bias"]


def conv(p: Tensors, name: str, x: Any, stride: int = 1, padding: int = 0) -> Any:
    pads = [(padding, padding)] * 2
    y = lax.conv_general_dilated(
        x, p[f"{name}.weight"], (stride, stride), pads, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    return y + p[f"{name}.bias"] if f"{name}.bias" in p else y


def dropout(x: Any, rate: float, key: Any) -> Any:
    return jnp.where(jax.random.bernoulli(key, 1 - rate, x.shape), x / (1 - rate), 0)


def perceptron(p: Tensors, buffers: Tensors, x: Any, key: Any) -> tuple[Any, Tensors]:
    for i in range(1, 7):
        x = jax.nn.sigmoid(dense(p, f"hidden{i}", x))
    return dense(p, "output", x), buffers


def mlp(p: Tensors, buffers: Tensors, x: Any, key: Any) -> tuple[Any, Tensors]:
    return dense(p, "fc3", jax.nn.relu(dense(p, "fc2", jax.nn.relu(dense(p, "fc1", x))))), buffers


def cnn_mnist(p: Tensors, buffers: Tensors, x: Any, key: Any) -> tuple[Any, Tensors]:
    x = jax.nn.relu(conv(p, "conv2", jax.nn.relu(conv(p, "conv1", x))))
    x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
    if key is not None:
        first, second = jax.random.split(key)
        x = dropout(x, 0.25, first)
    x = jax.nn.relu(dense(p, "fc1", x.reshape(-1, 9216)))
    return dense(p, "fc2", x if key is None else dropout(x, 0.5, second)), buffers


def residual(p: Tensors, buffers: Tensors, x: Any, key: Any) -> tuple[Any, Tensors]:
    moved = dict(buffers)

    def normed(name: str, bn: str, x: Any, stride: int = 1, padding: int = 1) -> Any:
        x = conv(p, name, x, stride, padding)
        mean, var = buffers[f"{bn}.running_mean"], buffers[f"{bn}.running_var"]
        if key is not None:
            n = x.size / x.shape[-1]
            mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
            for part, new in (("running_mean", mean), ("running_var", var * n / (n - 1))):
                moved[f"{bn}.{part}"] = 0.9 * buffers[f"{bn}.{part}"] + 0.1 * new
        return (x - mean) * lax.rsqrt(var + 1e-5) * p[f"{bn}.weight"] + p[f"{bn}.bias"]

    x = jax.nn.relu(normed("stem.conv", "stem.bn", x))
    y = jax.nn.relu(normed("block1.conv1", "block1.bn1", x))
    x = jax.nn.relu(normed("block1.conv2", "block1.bn2", y) + x)
    y = jax.nn.relu(normed("block2.conv1", "block2.bn1", x, 2))
    y = normed("block2.conv2", "block2.bn2", y)
    x = jax.nn.relu(y + normed("block2.skip", "block2.skip_bn", x, 2, 0))
    return dense(p, "fc", x.mean((1, 2))), moved


NETWORKS: dict[str, Network] = {"perceptron": perceptron, "mlp": mlp, "cnn_mnist": cnn_mnist, "residual": residual}


def pairs(case: Case) -> Pairs:
    """Inference, inference through netspec's own checks, and a step of SGD with the loss read back."""
    model = netspec.build(case.spec, "jax")
    apply, params, buffers = model.native
    held = {path: jnp.asarray(values) for path, values in weights_last(model.weights(), case).items()}
    own_params, own_buffers = ({path: held[path] for path in part} for part in (params, buffers))
    network = NETWORKS[case.name]
    own_x, our_x = jnp.asarray(inputs_last(case.inputs)), jnp.asarray(case.inputs)

    infer = jax.jit(lambda p, b, x: network(p, b, x, None)[0])
    require_equal(
        case.name, np.asarray(infer(own_params, own_buffers, own_x)), np.asarray(apply(params, buffers, our_x))
    )

    def own_inference() -> Any:
        return infer(own_params, own_buffers, own_x).block_until_ready()

    yield "inference", own_inference, lambda: apply(params, buffers, our_x).block_until_ready()
    yield "inference, checked", own_inference, lambda: model(our_x).block_until_ready()

    def our_network(p: Tensors, b: Tensors, x: Any, key: Any) -> tuple[Any, Tensors]:
        found: tuple[Any, Tensors] = apply(p, b, x, training=True, key=key)
        return found

    yield (
        "training step",
        _training(network, own_params, own_buffers, case, own_x),
        _training(our_network, params, buffers, case, our_x),
    )


def _training(network: Network, params: Tensors, buffers: Tensors, case: Case, x: Any) -> Callable[[], float]:
    y = jnp.asarray(case.targets)

    def loss(params: Tensors, buffers: Tensors, key: Any) -> tuple[Any, Tensors]:
        found, moved = network(params, buffers, x, key)
        if case.classifies:
            return -jnp.take_along_axis(jax.nn.log_softmax(found), y[:, None], 1).mean(), moved
        return jnp.square(found - y).mean(), moved

    @jax.jit
    def step(params: Tensors, buffers: Tensors, key: Any) -> tuple[Any, Tensors, Tensors]:
        (value, moved), gradients = jax.value_and_grad(loss, has_aux=True)(params, buffers, key)
        return value, jax.tree.map(lambda p, g: p - LEARNING_RATE * g, params, gradients), moved

    state = [params, buffers]
    key = jax.random.key(0)

    def run() -> float:
        value, *state[:] = step(*state, key)
        return float(value)

    return run
