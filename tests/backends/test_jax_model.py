"""The JAX model: training and its random numbers, weights and float types, tables."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import netspec
import netspec_jax
from netspec.errors import BackendError, InputError
from netspec.graph import ops
from netspec.layers import Gelu
from netspec_jax import JaxBackend
from netspec_jax.lowerings import LOWERINGS
from tests.backends.jax_models import IMAGES, NOISY, SMOOTH, WORDS, build, close, draw, images, loss, smooth

# ------------------------------------------------------------------------------------------------------------- training


def test_training_returns_all_buffers_and_changes_nothing() -> None:
    native, image = images().native, draw(4, 3, 6, 7)
    outputs, moved = native.apply(*native[1:], image, training=True, key=jax.random.key(0))
    assert outputs.shape == (4, 5)
    assert set(moved) == set(native.buffers)
    different = {path for path in moved if not np.array_equal(moved[path], native.buffers[path])}
    assert different == {"norm.running_mean", "norm.running_var"}
    again, _ = native.apply(*native[1:], image, training=True, key=jax.random.key(0))
    assert np.array_equal(outputs, again)
    other, _ = native.apply(*native[1:], image, training=True, key=jax.random.key(1))
    assert not np.array_equal(outputs, other)


def test_random_numbers_need_a_key() -> None:
    native = images().native
    with pytest.raises(BackendError, match="images draws random numbers in training: give a key"):
        native.apply(*native[1:], draw(4, 3, 6, 7), training=True)
    native = smooth().native
    outputs, buffers = native.apply(*native[1:], draw(3, 4), training=True)
    assert buffers == {}
    close(outputs["y"], smooth()(draw(3, 4))["y"], 0)


def test_each_random_primitive_draws_its_own_numbers() -> None:
    text = """
netspec: 1
inputs: {x: {shape: [batch, 500]}}
layers:
  - {name: a, type: dropout, p: 0.25, from: x}
  - {name: b, type: dropout, p: 0.25, from: x}
outputs: {a: a, b: b}
"""
    native = build(text).native
    x = np.ones((20, 500), "float32")
    for key in (jax.random.key(0), jax.random.PRNGKey(0), jax.random.key(0, impl="rbg")):
        outputs, _ = native.apply({}, {}, x, training=True, key=key)
        kept = {name: np.asarray(outputs[name]) > 0 for name in "ab"}
        for mask in kept.values():
            assert abs(mask.mean() - 0.75) < 5 * np.sqrt(0.75 * 0.25 / x.size)
        both = (kept["a"] & kept["b"]).mean()
        assert abs(both - 0.75**2) < 5 * np.sqrt(0.75**2 * (1 - 0.75**2) / x.size)
        assert set(np.unique(outputs["a"])) == {np.float32(0), np.float32(1) / np.float32(0.75)}


def test_the_model_keeps_a_key_that_moves_on() -> None:
    x = draw(4, 6)
    first, second = (build(NOISY) for _ in range(2))
    before = first.weights()
    passes = [np.asarray(first(x, training=True)) for _ in range(2)]
    assert not np.array_equal(passes[0], passes[1])
    assert np.array_equal(second(x, training=True), passes[0])
    moved = {path for path, value in first.weights().items() if not np.array_equal(value, before[path])}
    assert moved == {"norm.running_mean", "norm.running_var"}
    # A gradient in training draws, too, but moves neither buffers nor key.
    found = [first.evaluate({"x": x}, {"logits": draw(4, 5)}, training=True) for _ in range(2)]
    assert np.array_equal(found[0].outputs["logits"], found[1].outputs["logits"])
    assert set(found[0].updates) == {"norm.running_mean", "norm.running_var"}
    assert not np.array_equal(found[0].updates["norm.running_mean"], first.weights()["norm.running_mean"])


def test_evaluate_without_cotangents_gives_no_gradients() -> None:
    image = draw(2, 3, 6, 7)
    found = images().evaluate({"image": image})
    assert found.gradients == found.updates == {}
    close(found.outputs["logits"], images()(image))
    gradients = smooth().evaluate({"x": draw(3, 4)}, {"p": draw(3, 2)}).gradients
    assert set(gradients) == {*smooth().native.params, "input:x"}
    assert all(value.flags.writeable and value.dtype == np.float32 for value in gradients.values())


# --------------------------------------------------------------------------------------------------- weights and inputs


def test_weights_are_canonical_copies() -> None:
    model = build(IMAGES, seed=4)
    weights = model.weights()
    assert list(weights) == [held.path for held in model.graphs.inference.state]
    assert weights["stem.weight"].shape == (4, 3, 3, 2)
    params, buffers = model.native_weights(weights)
    assert np.array_equal(buffers["stem.weight"], weights["stem.weight"].transpose(2, 3, 1, 0))
    assert np.array_equal(model.numpy_weights(params, buffers)["down.weight"], weights["down.weight"])
    old, image = model.native, draw(2, 3, 6, 7)
    before = np.asarray(model(image))
    for array in weights.values():
        array *= -0.5
    weights["norm.running_var"][:] = 2
    assert np.array_equal(model(image), before)
    model.load_weights(weights)
    assert np.array_equal(model.weights()["down.weight"], weights["down.weight"])
    assert not np.array_equal(model(image), before)
    close(old.apply(*old[1:], image), before, 0)
    weights["fc.bias"][:] = 100
    assert float(np.asarray(model(image)).max()) < 50


def test_the_callers_array_may_change_after_the_call() -> None:
    """JAX computes behind the call and may read a NumPy array in place."""
    text = """
netspec: 1
inputs: {x: {shape: [batch, 1024]}}
layers: [{name: a, type: linear, out_features: 1024}, {name: b, type: linear, out_features: 1}]
outputs: {y: b}
"""
    model = build(text)
    x = draw(2048, 1024)
    expected = np.asarray(model(x))
    for _ in range(3):
        batch = x.copy()
        y = model(batch)
        batch[:] = 0
        close(y, expected)


def test_float64_needs_the_users_switch() -> None:
    with pytest.raises(BackendError, match=r'float64 needs jax.config.update\("jax_enable_x64", True\)') as refused:
        build(SMOOTH, dtype="float64")
    assert "\n" not in str(refused.value)
    with jax.enable_x64(True):
        model = build(SMOOTH, dtype="float64")
        assert model(draw(3, 4))["y"].dtype == jnp.float64
        assert {array.dtype for array in model.weights().values()} == {np.dtype("float64")}


@pytest.mark.parametrize(("dtype", "tolerance"), [("float16", 8e-3), ("bfloat16", 8e-2)])
@pytest.mark.parametrize("text", [IMAGES, SMOOTH], ids=["images", "smooth"])
def test_half_precision(dtype: Any, tolerance: float, text: str) -> None:
    model, exact = build(text, dtype=dtype), images() if text is IMAGES else smooth()
    x = draw(2, 3, 6, 7) if text is IMAGES else draw(2, 4)
    name = exact.graphs.inference.outputs[0].name
    found, expected = (
        m.evaluate({m.graphs.inference.inputs[0].name: x}, {name: draw(2, 5 if text is IMAGES else 2, seed=1)})
        for m in (model, exact)
    )
    for got, wanted in ((found.outputs, expected.outputs), (found.gradients, expected.gradients)):
        assert set(got) == set(wanted)
        scale = max(np.abs(value).max() for value in wanted.values())
        for path, value in got.items():
            assert value.dtype == ("float32" if dtype == "bfloat16" else dtype)  # which NumPy does not have
            assert np.abs(value.astype("float32") - wanted[path]).max() <= tolerance * scale
    native = jnp.asarray(x, dtype)
    assert jax.tree.leaves(model(native))[0].dtype == jnp.dtype(dtype)


def test_int64_is_int32_without_64_bits() -> None:
    model, scale = build(WORDS), draw(2, 3, 4)
    words = np.array([[0, 5, 1], [2, 2, 4]])
    expected = model.weights()["rows.weight"][words] * scale
    for given in (words, words.astype("uint8"), jnp.asarray(words), words.tolist()):
        close(model(given, scale), expected, 0)
    for large in (2**31, -(2**31) - 1, 2**40 + 1):
        with pytest.raises(InputError, match="input words: a value does not fit int32"):
            model(words + large, scale)
    with jax.enable_x64(True):
        close(model(words, scale), expected, 0)
        with pytest.raises(InputError, match="input words: expected int64, got int32"):
            model(jnp.asarray(words, "int32"), scale)
    gradients = model.gradients(words, scale, cotangent=scale, inputs=True)
    assert set(gradients) == {"rows.weight", "input:scale"}
    assert not gradients["rows.weight"][1].any()
    assert gradients["rows.weight"][[0, 2, 4, 5]].any()


def test_native_arrays_of_another_dtype_are_refused() -> None:
    with pytest.raises(InputError, match="input x: expected float32, got float16"):
        smooth()(jnp.ones((2, 4), "float16"))
    with pytest.raises(InputError, match="input x: expected float32, got int64"):
        smooth()(np.ones((2, 4), int))
    close(smooth()(np.ones((2, 4), "float64"))["y"], smooth()(jnp.ones((2, 4)))["y"], 0)


def test_devices() -> None:
    for name in ("cpu", "cpu:0"):
        model = build(SMOOTH, device=name)
        assert next(iter(model.native.params.values())).devices() == {jax.devices("cpu")[0]}
        close(model(draw(2, 4))["y"], smooth()(draw(2, 4))["y"], 0)
    for name in ("abacus", "cpu:7", "cpu:x", "gpu:-1"):
        with pytest.raises(BackendError, match=f"jax has no device {name}: there are cpu:0$"):
            build(SMOOTH, device=name)


# --------------------------------------------------------------------------------------------------- tables and backend


def test_the_package_imports_no_jax_and_can_be_sent() -> None:
    program = "import sys, netspec_jax; assert netspec_jax.backend.missing == (); assert 'jax' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
    assert pickle.loads(pickle.dumps(netspec_jax.backend)).lowerings is LOWERINGS
    assert netspec_jax.backend.version == jax.__version__


def test_other_tables_are_used() -> None:
    x = draw(3, 4)
    twice = JaxBackend(lowerings={**LOWERINGS, ops.Tanh: lambda x: 2 * jnp.tanh(x)})
    wrong = netspec.build(netspec.loads(SMOOTH), twice)
    assert np.abs(np.asarray(wrong(x)["y"]) - smooth()(x)["y"]).max() > 1e-6
    text = "{netspec: 1, inputs: {x: {shape: [batch, 3]}}, layers: [{name: g, type: gelu}], outputs: {y: g}}"
    seen = []

    def form(call: Any, x: Any) -> Any:
        seen.append(call.path)
        return NotImplemented

    model = netspec.build(netspec.loads(text), JaxBackend(fused={Gelu: form}))
    close(model(draw(2, 3)), jax.nn.gelu(draw(2, 3), approximate=False))
    assert seen == ["g"]


ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "gelu": partial(jax.nn.gelu, approximate=False),
    "sigmoid": jax.nn.sigmoid,
    "tanh": jnp.tanh,
    "relu": lambda x: jnp.where(x > 0, x, 0.0),
    "leaky_relu": lambda x: jnp.where(x > 0, x, 0.01 * x),
    "softmax": jax.nn.softmax,
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_are_jaxs(name: str) -> None:
    text = (
        f"{{netspec: 1, inputs: {{x: {{shape: [batch, 9]}}}}, layers: [{{name: y, type: {name}}}], outputs: {{y: y}}}}"
    )
    with jax.enable_x64(True):
        native = build(text, dtype="float64").native
        x = np.array([[0.0, -0.0, 1e-3, -1e-3, 3, -3, 12, -12, 0.7], [0, 1, 2, 2, 1, 0, -5, 5, 5]])
        r = draw(2, 9).astype(float)

        def derivatives(function: Callable[[Any], Any]) -> Any:
            @jax.jit
            def everything(x: Any) -> Any:
                y, pullback = jax.vjp(function, x)
                return y, pullback(r)[0], jax.jvp(function, (x,), (r,))[1]

            return everything(x)

        found, wanted = (derivatives(function) for function in (partial(native.apply, {}, {}), ACTIVATIONS[name]))
        for got, expected in zip(found, wanted, strict=True):
            close(got, expected, 1e-13)


def test_linear_on_three_dimensions_is_a_product_of_two() -> None:
    text = """
netspec: 1
inputs: {x: {shape: [batch, time, 4]}}
layers: [{name: y, type: linear, out_features: 3}]
outputs: {y: y}
"""
    native, x, r = build(text).native, draw(2, 5, 4), draw(2, 5, 3, seed=1)
    gradient = jax.grad(partial(loss, native, x, r))
    close(native.apply(*native[1:], x), x @ np.asarray(native.params["y.weight"]).T + native.params["y.bias"])
    close(gradient(native.params)["y.weight"], np.einsum("bto,bti->oi", r, x))
    products = [line for line in str(jax.make_jaxpr(gradient)(native.params)).splitlines() if "dot_general" in line]
    assert products
    assert all("f32[2,5" not in line for line in products)


def test_shared_names_are_kept_apart() -> None:
    """Inputs may be called what no keyword can be, and what `apply` itself takes."""
    text = """
netspec: 1
inputs: {key: {shape: [batch, 3]}, "training": {shape: [batch, 3]}}
layers: [{name: y, type: mul, from: [key, training]}]
outputs: {y: y}
"""
    apply, params, buffers = build(text).native
    close(apply(params, buffers, draw(2, 3), draw(2, 3, seed=1)), draw(2, 3) * draw(2, 3, seed=1), 0)
