"""Mistakes in loops, branches and custom gradients, the same on every framework."""

from __future__ import annotations

from typing import Any

from netspec.backend import Lowerings
from netspec.graph import ops

from .tables import Tables


def control_mistakes(lowerings: Lowerings) -> dict[str, Tables]:
    """Mistakes in what control flow is called with."""
    scan, turn, cond = lowerings[ops.Scan], lowerings[ops.While], lowerings[ops.Cond]

    def scan_reversed(*inputs: Any, reverse: bool, **parts: Any) -> Any:
        return scan(*inputs, reverse=not reverse, **parts)

    def while_limit(*inputs: Any, limit: int, **parts: Any) -> Any:
        return turn(*inputs, limit=limit + 1, **parts)

    def cond_swapped(*inputs: Any, branches: Any, **parts: Any) -> Any:
        return cond(*inputs, branches=branches[::-1], **parts)

    def custom_gradient_ignored(*inputs: Any, body: Any, backward: Any) -> Any:
        return body(*inputs[-len(body.body.inputs) :])  # some lowerings get a tape first

    return {
        "scan_reversed": Tables({ops.Scan: scan_reversed}),
        "while_limit": Tables({ops.While: while_limit}),
        "cond_swapped": Tables({ops.Cond: cond_swapped}),
        "custom_gradient_ignored": Tables({ops.CustomGradient: custom_gradient_ignored}),
    }
