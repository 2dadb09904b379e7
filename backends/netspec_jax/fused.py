"""Layers that JAX has a native form of: none is used, as XLA fuses the layers' own bodies.

The forms of gelu and of layer norm made no difference in a GPT's step beyond the noise of the machine.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

FUSED: dict[type, Callable[..., Any]] = {}
