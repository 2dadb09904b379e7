"""torchvision's own models, where the package can be imported."""

from __future__ import annotations

import sys
from typing import Any

import pytest


def torchvision_model(name: str, **options: Any) -> Any:
    """The module of torchvision with its initial weights; skips the test where torchvision is not installed."""
    if name == "inception_v3":
        options = {"aux_logits": True, "transform_input": False, "init_weights": True, **options}
    return _torchvision().models.get_model(name, **options)


def _torchvision() -> Any:
    torch = pytest.importorskip("torch")
    try:
        return pytest.importorskip("torchvision")
    except RuntimeError:
        # A wheel for CUDA beside a torch without: its operators do not load, and the import asks for two of them.
        # No model here has any, so that their names will do.
        for module in [module for module in sys.modules if module.partition(".")[0] == "torchvision"]:
            del sys.modules[module]
        for operator in ("nms", "qnms"):
            torch.library.define(f"torchvision::{operator}", "(Tensor dets, Tensor scores, float threshold) -> Tensor")
        return pytest.importorskip("torchvision")
