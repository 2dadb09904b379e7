"""Constants and saved constants on JAX: types, sizes, what does not fit 32 bits."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import netspec
from netspec.errors import BackendError
from netspec.graph import ops
from netspec_jax.lowerings import LOWERINGS
from tests.backends.constants import assert_same, build, changed, draw, expected


def test_values_at_two_sizes_and_after_loading() -> None:
    model = build("jax")
    for x in (draw(3, 5), draw(2, 7)):
        assert_same(model(x), expected(x, model.weights()))
    weights = changed(model)
    assert_same(model(draw(3, 5)), expected(draw(3, 5), weights))
    assert model.native.buffers["ids"].dtype == jnp.int32
    assert set(model.native.params) == {"rows.weight"}


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_constants_have_the_model_s_float_type(dtype: str) -> None:
    model = build("jax", dtype)
    y = model(jnp.asarray(draw(2, 3), dtype))
    assert {name for name, value in y.items() if value.dtype == jnp.dtype(dtype)} == set(y) - {"indices", "steps"}


def test_an_integer_beyond_32_bits_is_refused() -> None:
    spec = netspec.loads(
        "{netspec: 1, inputs: {x: {shape: [batch]}}, layers: [{name: k, type: constant, value: [1, 4294967296]}], "
        "outputs: {k: k, x: x}}"
    )
    with pytest.raises(BackendError, match="a constant does not fit int32"):
        netspec.build(spec, "jax")(np.ones(2, "float32"))


def test_top_k_takes_minus_zero_for_zero() -> None:
    x = jnp.array([[-0.0, 0.0, -1.0, 0.0, -0.0], [2.0, 7.0, 7.0, 1.0, 7.0]])
    values, indices = LOWERINGS[ops.TopK](x, k=3, axis=1)
    np.testing.assert_array_equal(indices, [[0, 1, 3], [1, 2, 4]])
    np.testing.assert_array_equal(np.signbit(values[0]), [True, False, False])
    gradient = jax.grad(lambda x: (LOWERINGS[ops.TopK](x, k=2, axis=1)[0] * jnp.array([1.0, 20.0])).sum())(x)
    np.testing.assert_array_equal(gradient, [[1, 20, 0, 0, 0], [0, 1, 20, 0, 0]])
