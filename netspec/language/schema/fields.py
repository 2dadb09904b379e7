"""JSON Schemas of the fields of layers and initialisers, read off their classes."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from netspec.layers.validation import phrase_of, written_fields

Schema = dict[str, Any]

EXPRESSION: Schema = {"$ref": "#/$defs/expression"}
_GIVEN: Schema = {"format": "expression"}  # the same inside pydantic, which knows no reference of ours


def fields_of(cls: type[BaseModel]) -> dict[str, Schema]:
    """The schema of each field of a configuration but `type`: what the class takes, or `$(...)` in its place."""
    properties = cls.model_json_schema(schema_generator=_Generator)["properties"]
    return {name: _documented(or_expression(properties[name]), cls.model_fields[name]) for name in written_fields(cls)}


def required_fields(cls: type[BaseModel]) -> list[str]:
    """The fields without a default."""
    return [name for name in written_fields(cls) if cls.model_fields[name].is_required()]


def formula(cls: type[BaseModel]) -> str:
    """The first line of a class's docstring."""
    assert cls.__doc__ is not None
    return cls.__doc__.partition("\n")[0]


def or_expression(schema: Schema) -> Schema:
    """`schema`, or an expression in its place and in the place of everything in its lists and mappings."""
    if schema == _GIVEN:
        return EXPRESSION
    core = {key: _inside(key, value) for key, value in schema.items() if key not in ("title", "default")}
    if core in ({}, {"type": "string"}):
        return core
    members = core.pop("anyOf", None) or [core]
    return {"anyOf": [*(member for member in members if member != EXPRESSION), EXPRESSION]}


def _inside(key: str, value: Any) -> Any:
    if key == "anyOf":
        members = [or_expression(member) for member in value]
        return [each for member in members for each in member.get("anyOf", [member])]
    if key == "prefixItems":
        return [or_expression(item) for item in value]
    if key == "items" or (key == "additionalProperties" and isinstance(value, dict)):
        return or_expression(value)
    return value


def _documented(schema: Schema, field: FieldInfo) -> Schema:
    phrase = phrase_of(field)
    if phrase:
        schema = {"description": f"{phrase[0].upper()}{phrase[1:]}.", **schema}
    default = None if field.is_required() else field.get_default(call_default_factory=True)
    return schema if default is None else {**schema, "default": default}


class _Generator(GenerateJsonSchema):
    """Only an expression gives an instance of one of our classes, such as a symbolic size."""

    def json_or_python_schema(self, schema: core_schema.JsonOrPythonSchema) -> JsonSchemaValue:
        if schema["python_schema"]["type"] == "is-instance":
            return dict(_GIVEN)
        return super().json_or_python_schema(schema)

    def is_instance_schema(self, schema: core_schema.IsInstanceSchema) -> JsonSchemaValue:
        return dict(_GIVEN)
