"""Sines and cosines of positions, in torch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function


def sin_cos(positions: Tensor, x: Tensor, *, count: int, base: float) -> tuple[Tensor, Tensor]:
    both = sines_and_cosines(positions, x, count, base)
    return both[0], both[1]


def sines_and_cosines(positions: Tensor, x: Tensor, count: int, base: float) -> Any:
    """One function in the text of the module, as no proxy knows its dtype."""
    if has_torch_function((positions, x)):
        return handle_torch_function(sines_and_cosines, (positions, x), positions, x, count, base)
    dtype = torch.promote_types(x.dtype, torch.float32)
    frequencies = torch.tensor([base ** (-k / count) for k in range(count)], dtype=dtype, device=positions.device)
    angles = positions.to(dtype).unsqueeze(-1) * frequencies
    return torch.sin(angles).to(x.dtype), torch.cos(angles).to(x.dtype)
