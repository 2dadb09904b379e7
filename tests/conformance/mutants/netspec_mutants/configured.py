"""Mistakes that are a real form of another configuration: a field that is not read, or not as it is meant."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from netspec.backend import Fused

from .tables import Tables

Fields = Callable[[Any], dict[str, Any]]  # of a call: the fields that the form sees instead of its own


def with_fields(forms: Fused, layer: type, fields: Fields | None = None, **fixed: Any) -> Tables:
    """The form of a layer that is configured otherwise."""
    real = forms[layer]

    def wrong(*given: Any, **named: Any) -> Any:
        place = next(place for place, each in enumerate(given) if hasattr(each, "layer"))  # ONNX's tape comes first
        call = given[place]
        changed = call.layer.model_copy(update=fixed if fields is None else fields(call))
        return real(*given[:place], replace(call, layer=changed), *given[place + 1 :], **named)

    return Tables(fused={layer: wrong})
