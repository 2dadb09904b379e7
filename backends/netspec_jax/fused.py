"""Layers that JAX has a native form of: none that beats the layer's own body.

XLA fuses the bodies of the norms, of softmax and of gelu into the same loops that jax.nn's functions become.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

FUSED: dict[type, Callable[..., Any]] = {}
