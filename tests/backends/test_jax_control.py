"""Control flow on JAX: what lax makes of it, under all of JAX's transformations."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import netspec_jax
from tests.backends.control_graphs import CALLS, NOISY, agree, assert_drawn_anew, control, inputs
from tests.backends.graphs import draw_weights
from tests.backends.jax_models import build, close


def wide(**options: Any) -> dict[str, Any]:
    """The inputs of a call, floats in float64."""
    return {name: jnp.asarray(x, float if x.dtype.kind == "f" else None) for name, x in inputs(**options).items()}


def native(*types: str) -> Any:
    pair = control(*types)
    return netspec_jax.backend.compile(pair, draw_weights(pair), "float64").native


def test_outputs_and_gradients() -> None:
    with jax.enable_x64(True):
        agree(netspec_jax.backend)


def test_forward_mode_is_the_transpose_and_the_hessian_its_derivative() -> None:
    with jax.enable_x64(True):
        apply, params, buffers = native("scans", "whiles", "choices")
        call = wide()

        def total(params: Any) -> Any:
            outputs = apply(params, buffers, **call)
            return sum(jnp.sum(jnp.sin(y)) for y in outputs.values() if y.dtype == float)

        rng = np.random.default_rng(1)
        along = {path: rng.normal(size=array.shape) for path, array in params.items()}
        slope = jax.jit(jax.grad(total))
        expected = sum(np.vdot(gradient, along[path]) for path, gradient in slope(params).items())
        close(jax.jit(lambda: jax.jvp(total, (params,), (along,))[1])(), expected, 1e-12)
        step, path = 1e-6, "whiles.factor"
        hessian = np.asarray(jax.jit(jax.hessian(lambda w: total(params | {path: w})))(params[path]))
        moved = [slope(params | {path: params[path] + way * along[path]})[path] for way in (step, -step)]
        close((moved[0] - moved[1]) / (2 * step), hessian @ along[path], 1e-6)


def test_forward_mode_through_an_own_gradient_is_refused_by_jax() -> None:
    with jax.enable_x64(True):
        apply, params, buffers = native("own_gradient")
        with pytest.raises(TypeError, match="forward-mode"):
            jax.jvp(lambda p: apply(p, buffers, **wide()), (params,), (params,))


def test_vmap_over_what_decides() -> None:
    with jax.enable_x64(True):
        apply, params, buffers = native("scans", "whiles", "choices")
        call = wide()
        calls = [(True, 0), (False, 2), (True, 1)]

        def outputs(params: Any, go: Any, which: Any) -> Any:
            return apply(params, buffers, **call | {"go": go, "which": which})

        def gradient(go: Any, which: Any) -> Any:
            return jax.grad(lambda p: jnp.sum(outputs(p, go, which)["choices_2"]))(params)["choices.weight"]

        go, which = (jnp.asarray(each) for each in zip(*calls, strict=True))
        several = jax.jit(jax.vmap(outputs, (None, 0, 0)))(params, go, which)
        slopes = jax.jit(jax.vmap(gradient))(go, which)
        for place, one in enumerate(calls):
            for name, y in apply(params, buffers, **wide(go=one[0], which=one[1])).items():
                close(several[name][place], y, 1e-12)
            close(slopes[place], gradient(*one), 1e-12)


def test_each_turn_draws_anew() -> None:
    noisy = build(NOISY).native
    x = jnp.ones((4, 5, 50))

    def drawn(x: Any, key: int) -> Any:
        return noisy.apply(*noisy[1:], x, training=True, key=jax.random.key(key))[0]

    first = {name: np.asarray(y) for name, y in drawn(x, 1).items()}
    assert_drawn_anew(first["steps"], first["turns"])
    assert not np.array_equal(first["steps"], drawn(x, 2)["steps"])
    # Derivatives run the while another way; they must draw the same.
    slopes = jax.grad(lambda x: sum(jnp.sum(y) for y in drawn(x, 1).values()))(x)
    close(slopes, first["steps"] + first["turns"])


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_narrow_floats(dtype: Any) -> None:
    pair = control()
    model = netspec_jax.backend.compile(pair, draw_weights(pair), dtype)
    types = {output.name: output.value.type.dtype for output in pair.inference.outputs}
    for name, y in model(**CALLS[0]).items():
        assert y.dtype == (dtype if types[name] == "float" else "int32")
