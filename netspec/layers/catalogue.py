"""What `netspec layers` and docs/layers.md say of each layer, read off its class; and what backends do with it."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from netspec.errors import NetspecError, nearest, printable
from netspec.layers import LAYER_TYPES
from netspec.layers.base import Layer, input_names
from netspec.layers.validation import phrase_of, shown, written_fields

# What each backend was seen to do with each layer in the conformance suite, which writes this file and holds it to it.
SUPPORT = Path(__file__).with_name("support.json")
THIRD_PARTY = "composed"


@dataclass(frozen=True)
class FieldDescription:
    """One field: what it takes, and its default as a spec writes it; None where it is required."""

    name: str
    takes: str
    default: str | None


@dataclass(frozen=True)
class LayerDescription:
    """One layer type. `family` is the first line of its module, `text` its documentation, the formula first.

    `backends` says by backend: `fused` (one native form of the whole layer), `composed` (of primitives), `fused or
    composed` (by configuration), or why there is a gap.
    """

    type: str
    family: str
    text: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    fields: tuple[FieldDescription, ...]
    refused: Mapping[str, str]
    backends: Mapping[str, str]
    package: str | None

    @property
    def formula(self) -> str:
        """The first sentence of the text."""
        return self.text.partition("\n")[0]


def catalogue() -> Iterator[LayerDescription]:
    """All layers, family by family, those of installed packages last."""
    for type in LAYER_TYPES:
        yield _description(type, LAYER_TYPES[type])


def describe(type: str) -> LayerDescription:
    """The layer of that type. Raises NetspecError with the nearest name where there is none."""
    if type not in LAYER_TYPES:
        raise NetspecError(f"there is no layer {printable(type[:64])}{nearest(type, LAYER_TYPES)}")
    return _description(type, LAYER_TYPES[type])


@cache
def support() -> Mapping[str, Mapping[str, str]]:
    """What each backend does with each built-in layer: by layer, then by backend."""
    found: Mapping[str, Mapping[str, str]] = json.loads(SUPPORT.read_text(encoding="utf-8"))
    return found


def _description(type: str, layer: type[Layer]) -> LayerDescription:
    names = input_names(layer)
    inputs = (*names.required, *(["..."] if names.variadic else []), *(f"[{name}]" for name in names.optional))
    return LayerDescription(
        type=type,
        family=_first_line(sys.modules[layer.__module__].__doc__),
        text=inspect.cleandoc(layer.__doc__ or ""),
        inputs=inputs,
        outputs=("0", "1", "...") if layer.numbered_ports else layer.ports,
        fields=tuple(_field(name, layer.model_fields[name]) for name in written_fields(layer)),
        refused=layer.refused,
        backends=support().get(type, dict.fromkeys(next(iter(support().values())), THIRD_PARTY)),
        package=LAYER_TYPES.package(type),
    )


def _first_line(text: str | None) -> str:
    return (text or "").strip().partition("\n")[0].rstrip(".")


def _field(name: str, field: FieldInfo) -> FieldDescription:
    default = None
    if not field.is_required():
        default = _written(field.get_default(call_default_factory=True))
    return FieldDescription(name, phrase_of(field) or _words(field.annotation), default)


def _written(value: object) -> str:
    """A default as a spec writes it."""
    return value if isinstance(value, str) else shown(value)


def _words(annotation: object) -> str:
    """What a field takes whose type has no phrase of its own: one of some words, or text."""
    members = [each for each in (annotation, *get_args(annotation)) if get_origin(each) is Literal]
    words = [str(word) for member in members for word in get_args(member)]
    return " or ".join(words) if words else "text"
