"""The fields of a layer that say what it does."""

from __future__ import annotations

from typing import Any

from netspec.expressions.place import Place
from netspec.graph.graph import LayerConfiguration


def meaning(layer: LayerConfiguration) -> dict[str, Any]:
    """All fields by name, defaults included; without the places in the text that some layers keep for messages."""
    values = {name: getattr(layer, name) for name in getattr(type(layer), "model_fields", ())}
    return {name: value for name, value in values.items() if not isinstance(value, Place)}
