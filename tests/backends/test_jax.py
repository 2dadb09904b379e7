"""The native function of the JAX backend: its promises, and what JAX makes of it."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import netspec
from netspec.errors import InputError
from netspec.graph import ops
from netspec_jax import JaxBackend
from netspec_jax.lowerings import LOWERINGS
from tests.backends.jax_models import IMAGES, NOISY, SMOOTH, WORDS, build, close, draw, images, loss, smooth

# ---------------------------------------------------------------------------------------------------- the native object


def test_native_is_a_function_and_two_flat_dicts() -> None:
    native = images().native
    apply, params, buffers = native
    assert apply is native.apply
    assert set(params) == {"norm.weight", "norm.bias", "down.weight", "down.bias", "fc.weight", "fc.bias"}
    assert set(buffers) == {"stem.weight", "stem.bias", "norm.running_mean", "norm.running_var"}
    assert all(isinstance(array, jax.Array) for array in (*params.values(), *buffers.values()))
    assert buffers["stem.weight"].shape == (3, 2, 3, 4)
    assert params["down.weight"].shape == (3, 3, 2, 6)
    assert params["fc.weight"].shape == (5, 6)
    image = draw(2, 3, 6, 7)
    close(apply(params, buffers, image), images()(image), 0)


def test_inputs_in_order_and_by_name_and_outputs_alone_or_by_name() -> None:
    apply, params, buffers = smooth().native
    x = draw(3, 4)
    in_order, by_name = apply(params, buffers, x), apply(params, buffers, x=jnp.asarray(x))
    assert set(in_order) == {"y", "p"}
    for name, value in in_order.items():
        close(value, by_name[name], 0)
    assert list(smooth()(x)) == ["y", "p"]
    assert images().native.apply(*images().native[1:], image=draw(1, 3, 4, 7)).shape == (1, 5)


@pytest.mark.parametrize(
    ("inputs", "named", "message"),
    [
        ((), {}, "input words is missing: the inputs are words, scale"),
        ((np.ones((2, 3), int),), {"scala": 1}, "there is no input scala: .*; did you mean scale?"),
        ((np.ones((2, 3), int),), {"words": np.ones((2, 3), int)}, "input words is given twice"),
        ((np.ones((2, 3), int),) * 3, {}, "3 inputs given: the inputs are words, scale"),
        ((np.ones((2, 3), int), draw(2, 4, 4)), {}, r"input scale: expected \[batch, time, 4\].*got \[2, 4, 4\]"),
    ],
)
def test_wrong_inputs_are_named_while_jax_traces(inputs: Any, named: Any, message: str) -> None:
    native = build(WORDS).native
    with pytest.raises(InputError, match=message):
        native.apply(native.params, native.buffers, *inputs, **named)


def test_sizes_that_training_needs_are_checked() -> None:
    text = "{netspec: 1, inputs: {x: {shape: [batch, 3]}}, layers: [{name: n, type: batch_norm}], outputs: {y: n}}"
    apply, params, buffers = build(text).native
    with pytest.raises(InputError, match="n: batch_norm in training needs 2 values or more for each channel, got 1"):
        apply(params, buffers, draw(1, 3), training=True)
    _, moved = apply(params, buffers, draw(2, 3), training=True)
    assert np.isfinite(moved["n.running_var"]).all()


def counted(op: type[ops.Op]) -> tuple[JaxBackend, list[Any]]:
    """A backend that notes each time that `op` is traced."""
    seen: list[Any] = []

    def form(x: Any, **attributes: Any) -> Any:
        seen.append(x.shape)
        return LOWERINGS[op](x, **attributes)

    return JaxBackend(lowerings={**LOWERINGS, op: form}), seen


def test_one_trace_for_a_shape_whatever_the_values_and_who_calls() -> None:
    backend, seen = counted(ops.Tanh)
    model = netspec.build(netspec.loads(SMOOTH), backend)
    native = model.native
    for seed in range(3):
        model(draw(2, 4, seed=seed))
        native.apply(native.params, native.buffers, jnp.asarray(draw(2, 4, seed=seed)))
    assert len(seen) == 1
    model(draw(5, 4))
    assert len(seen) == 2


# ------------------------------------------------------------------------------------------------------ transformations


def test_grad_is_the_models_own() -> None:
    native, image, r = images().native, draw(2, 3, 6, 7), draw(2, 5, seed=1)
    gradients = jax.grad(partial(loss, native, image, r))(native.params)
    assert set(gradients) == set(native.params)
    expected = images().gradients(image, cotangent=r)
    assert list(expected) == [path for path in images().weights() if path in native.params]
    close(gradients["fc.weight"], expected["fc.weight"])
    close(gradients["down.weight"].transpose(3, 2, 0, 1), expected["down.weight"])


def test_jvp_is_the_gradients_transpose() -> None:
    with jax.enable_x64(True):
        model = build(IMAGES, dtype="float64")
        image, r = draw(2, 3, 6, 7).astype(float), draw(2, 5, seed=1).astype(float)
        params = model.native.params

        def of_params(params: Any) -> Any:
            return loss(model.native, image, r, params, training=True, key=jax.random.key(3))

        direction = {path: draw(*array.shape, seed=2).astype(float) for path, array in params.items()}
        gradients = jax.jit(jax.grad(of_params))(params)
        slope = sum(np.vdot(gradients[path], direction[path]) for path in direction)
        close(jax.jit(lambda p, d: jax.jvp(of_params, (p,), (d,))[1])(params, direction), slope, 1e-12)
        step = 1e-6
        ahead, behind = (
            of_params({path: params[path] + s * direction[path] for path in params}) for s in (step, -step)
        )
        close((ahead - behind) / (2 * step), slope, 1e-7)


def test_hessian() -> None:
    with jax.enable_x64(True):
        native = build(SMOOTH, dtype="float64").native
        x, r = draw(3, 4).astype(float), draw(3, 2, seed=1).astype(float)

        def of_weight(weight: Any) -> Any:
            return jnp.sum(r * native.apply(native.params | {"a.weight": weight}, native.buffers, x)["p"])

        weight = native.params["a.weight"]
        hessian = np.asarray(jax.jit(jax.hessian(of_weight))(weight))
        assert hessian.shape == (3, 4, 3, 4)
        close(hessian, hessian.transpose(2, 3, 0, 1), 1e-13)
        step, slope = 1e-6, jax.jit(jax.grad(of_weight))
        for place in ((0, 1), (2, 3)):
            moved = np.zeros((3, 4))
            moved[place] = step
            close((slope(weight + moved) - slope(weight - moved)) / (2 * step), hessian[place], 1e-6)


def test_vmap_over_models_and_examples() -> None:
    native, image, r = images().native, draw(4, 3, 6, 7), draw(1, 5)
    stacked = jax.tree.map(lambda p: jnp.stack([p, 0.5 * p, -p]), native.params)
    several = jax.jit(jax.vmap(lambda params: native.apply(params, native.buffers, image)))(stacked)
    assert several.shape == (3, 4, 5)
    close(several[0], images()(image))
    one = jax.jit(jax.vmap(lambda x: jax.grad(partial(loss, native, x[None], r))(native.params)))(image)
    close(one["norm.weight"][2], images().gradients(image[2:3], cotangent=r)["norm.weight"])
    noisy, x = build(NOISY).native, draw(4, 6)
    keys = jax.random.split(jax.random.key(0), 3)
    drawn = jax.vmap(lambda key: noisy.apply(*noisy[1:], x, training=True, key=key)[0])(keys)
    assert drawn.shape == (3, 4, 5)
    assert not np.array_equal(drawn[0], drawn[1])


def test_optax_trains_what_is_not_frozen() -> None:
    native = images().native
    optimiser = optax.adamw(0.03, weight_decay=0.1)
    image, target = draw(8, 3, 6, 7), jax.nn.one_hot(np.arange(8) % 5, 5)

    def objective(params: Any, buffers: Any, key: Any) -> Any:
        logits, moved = native.apply(params, buffers, image, training=True, key=key)
        return optax.softmax_cross_entropy(logits, target).mean(), moved

    @jax.jit
    def step(params: Any, buffers: Any, state: Any, key: Any) -> Any:
        (value, buffers), gradients = jax.value_and_grad(objective, has_aux=True)(params, buffers, key)
        updates, state = optimiser.update(gradients, state, params)
        return optax.apply_updates(params, updates), buffers, state, value

    params, buffers, state = native.params, native.buffers, optimiser.init(native.params)
    values = []
    for number in range(30):
        params, buffers, state, value = step(params, buffers, state, jax.random.key(number))
        values.append(float(value))
    assert np.mean(values[-5:]) < 0.8 * np.mean(values[:5])
    assert np.array_equal(buffers["stem.weight"], native.buffers["stem.weight"])
    assert not np.array_equal(buffers["norm.running_mean"], native.buffers["norm.running_mean"])
    # Back into a model: canonical layout, and what was frozen as it was.
    trained = build(IMAGES, weights=images().numpy_weights(params, buffers))
    close(trained(image), native.apply(params, buffers, image), 1e-6)
