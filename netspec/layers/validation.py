"""Building a configuration from plain values, with our own words for what pydantic finds wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import chain
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from netspec.errors import NetspecError, nearest
from netspec.graph.types import MAX_SIZE
from netspec.layers.fields import Expected

Configuration = TypeVar("Configuration", bound=BaseModel)
NOTHING: Mapping[str, Any] = MappingProxyType({})

_READ_OFF = "; sizes of inputs are read off what comes in"
ELSEWHERE = dict.fromkeys(("in_channels", "in_features", "num_features", "input_shape", "input_dim"), _READ_OFF) | {
    "activation": "; an activation is a layer of its own behind this one"
}  # fields that other libraries have, and why none has them here


class FieldMistake(NamedTuple):
    """What is wrong with a field: `path` leads to the part of its value; empty for the configuration as a whole."""

    message: str
    path: tuple[str | int, ...]
    is_key: bool = False  # the field should not be there at all


class FieldsError(NetspecError):
    """All mistakes of one configuration."""

    def __init__(self, fields: list[FieldMistake]) -> None:
        assert fields
        self.fields = fields
        super().__init__("; ".join(mistake.message for mistake in fields))


def written_fields(cls: type[BaseModel]) -> list[str]:
    """The fields that a spec may give, in the order of the class: not those that the expansion fills."""
    derived: frozenset[str] = getattr(cls, "derived", frozenset())
    return [name for name in cls.model_fields if name != "type" and name not in derived]


def construct(
    cls: type[Configuration], values: Mapping[str, Any], derived: Mapping[str, Any] = NOTHING
) -> Configuration:
    """The configuration of class `cls` with the fields that are written and those that the expansion fills.

    Raises FieldsError with one mistake for each field that is wrong.
    """
    hidden = [name for name in values if name in getattr(cls, "derived", ())]
    if hidden:
        raise FieldsError([_unknown(cls, name, values) for name in hidden])
    try:
        return cls.model_validate({**values, **derived})
    except ValidationError as error:
        found: dict[str, FieldMistake] = {}
        for detail in error.errors(include_url=False):
            if detail["loc"] and detail["loc"][0] in derived:
                continue  # it follows from a field that is wrong or missing, from which it is derived
            mistake = _mistake(cls, detail, values)
            mistake = found.setdefault(str(mistake.path[:1]), mistake)  # a union has a detail for each of its members
            limit = detail.get("ctx", {}).get("le", detail.get("ctx", {}).get("ge"))
            if limit in (MAX_SIZE, -MAX_SIZE):
                found[str(mistake.path[:1])] = mistake._replace(message=f"{mistake.message}; the limit is {limit}")
        raise FieldsError(list(found.values())) from None


def _mistake(cls: type[BaseModel], detail: Any, values: Mapping[str, Any]) -> FieldMistake:
    path: tuple[str | int, ...] = detail["loc"]
    if not path:  # from a validator of the whole
        return FieldMistake(str(detail["msg"]).removeprefix("Value error, "), ())
    name = str(path[0])
    if detail["type"] == "missing":
        return FieldMistake(f"{name} is required", (name,))
    if name not in cls.model_fields:
        return _unknown(cls, name, values)
    value = values[name]
    phrase = phrase_of(cls.model_fields[name]) or str(detail["msg"]).removeprefix("Input should be ").replace("'", "")
    hint = "; // divides to an integer" if isinstance(value, float) and "integer" in phrase else ""
    return FieldMistake(f"{name}: expected {phrase}, got {shown(value)}{hint}", path)


def _unknown(cls: type[BaseModel], name: str, values: Mapping[str, Any]) -> FieldMistake:
    refusal: Callable[[str, Mapping[str, Any]], str | None] | None = getattr(cls, "refusal", None)
    reason = refusal(name, values) if refusal else None
    if reason:
        return FieldMistake(f"{name} is refused: {reason}", (name,), is_key=True)
    known = written_fields(cls)
    fields = f"; its fields are {', '.join(known)}" if known else "; it has no fields"
    hint = ELSEWHERE.get(name) or nearest(name, known) or fields
    return FieldMistake(f"unknown field {name}{hint}", (name,), is_key=True)


def phrase_of(field: FieldInfo) -> str | None:
    """The words of a field's type, which stand inside `... | None` where the field may be left out."""
    members = (getattr(member, "__metadata__", ()) for member in get_args(field.annotation))
    return next((m.phrase for m in chain(field.metadata, *members) if isinstance(m, Expected)), None)


def shown(value: object) -> str:
    """`value` as a spec would write it, short. Python refuses to print an integer of 5,000 digits: its size, then."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and value.bit_length() > 128:
        return f"an integer of {value.bit_length()} bits"
    if isinstance(value, str):
        return f"text '{value}'" if len(value) <= 60 else f"text '{value[:57]}...'"
    if isinstance(value, (list, tuple)):
        items = ", ".join(shown(item).removeprefix("text ") for item in value[:8])
        return f"[{items}{', ...' if len(value) > 8 else ''}]"
    return "a mapping" if isinstance(value, Mapping) else str(value)
