"""Sines and cosines of positions, in JAX."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp


def sin_cos(positions: Any, x: Any, *, count: int, base: float) -> tuple[Any, Any]:
    dtype = jnp.promote_types(x.dtype, jnp.float32)
    frequencies = jnp.asarray([base ** (-k / count) for k in range(count)], dtype)
    angles = positions.astype(dtype)[..., None] * frequencies
    return jnp.sin(angles).astype(x.dtype), jnp.cos(angles).astype(x.dtype)
