"""The JSON Schemas of names, references, loops and all else that does not depend on the layers there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from netspec.graph.types import DTYPES, MAX_RANK, MAX_SIZE
from netspec.language.entries import ENTRY_KEYS
from netspec.language.schema.fields import EXPRESSION, Schema, or_expression

_PART = r"[A-Za-z0-9_][A-Za-z0-9_-]*"
_PATH = rf"{_PART}(?:\.{_PART})*"
_NAME = rf"(?!__|x-){_PATH}"
_WORDS = "true|false|and|or|not|if|else|for|in"
_HOLDS_EXPRESSION = r"\$\("  # as a part of the string


def ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def mapping(properties: dict[str, Any], required: Sequence[str] = (), **more: Any) -> Schema:
    """A mapping whose keys are fixed: `description` and keys that begin with `x-` are free."""
    schema: Schema = {
        "type": "object",
        **more,
        "properties": {**properties, "description": True},
        "patternProperties": {"^x-": True},
        "additionalProperties": False,
    }
    return {**schema, "required": list(required)} if required else schema


def names(value: Any, key: str = "name", **more: Any) -> Schema:
    """A mapping from names to what `value` describes."""
    return {"type": "object", **more, "propertyNames": ref(key), "additionalProperties": value}


def parts() -> dict[str, Schema]:
    """The definitions that others refer to, by name."""
    return {
        "expression": {
            "title": "$(...)",
            "description": "An expression of the language.",
            "type": "string",
            "pattern": r"^\$\([\s\S]*\)$",
        },
        "name": {
            "description": "Letters, digits, _ and -, in parts joined by dots.",
            "type": "string",
            "pattern": f"^{_NAME}$",
        },
        "identifier": {
            "description": "Letters, digits and _: a name that expressions see.",
            "type": "string",
            "pattern": f"^(?!__|(?:{_WORDS})$)[A-Za-z_][A-Za-z0-9_]*$",
        },
        "entry_name": {
            "description": "The entry's name. $(...) may be a part of it.",
            "type": "string",
            "pattern": f"^{_NAME}$|{_HOLDS_EXPRESSION}",
        },
        "body_name": {
            "description": "The name of a group or block; `.` adds nothing to the path, and splices a plain group.",
            "anyOf": [{"const": "."}, ref("entry_name")],
        },
        "block_name": {"type": "string", "pattern": f"^[A-Z][A-Za-z0-9_-]*(?:\\.{_PART})*$"},
        "argument": {"allOf": [ref("identifier"), {"not": {"enum": list(ENTRY_KEYS)}}]},
        "reference": {
            "description": "The name of something above, or name:port.",
            "type": "string",
            "pattern": f"^{_PATH}(?::{_PART})?$|{_HOLDS_EXPRESSION}",
        },
        "sources": {
            "description": "What the entry reads: a reference, a list of them, or a mapping by input name.",
            "anyOf": [
                ref("reference"),
                {"type": "array", "items": ref("reference"), "minItems": 1},
                names(ref("reference"), minProperties=1),
            ],
        },
        "condition": {
            "description": "Whether the entry is there.",
            **or_expression({"type": "boolean"}),
        },
        "count": {
            "description": "A number of copies, or variables with a list for each.",
            "anyOf": [
                {"type": "integer", "minimum": 0},
                names({"anyOf": [{"type": "array"}, EXPRESSION]}, "identifier", minProperties=1),
                EXPRESSION,
            ],
        },
        "scan": {
            "description": "Run along a dimension: the inputs in `over` come slice by slice.",
            **or_expression(
                mapping(
                    {
                        "over": or_expression({"type": "array", "items": ref("name"), "minItems": 1}),
                        "dim": or_expression({"type": "integer", "minimum": -MAX_RANK, "maximum": MAX_RANK - 1}),
                    },
                    ("over", "dim"),
                )
            ),
        },
        "while": {
            "description": "Run while `condition`, a carried flag, is true, and at most `limit` times.",
            **or_expression(
                mapping(
                    {
                        "condition": or_expression(ref("name")),
                        "limit": or_expression({"type": "integer", "minimum": 1, "maximum": 2**31 - 1}),
                    },
                    ("condition", "limit"),
                )
            ),
        },
        "frozen": {
            "description": "true: no gradient and fixed statistics; weights: no gradient; false: thawed.",
            **or_expression({"enum": [True, False, "weights"]}),
        },
        "tie": {
            "description": "Parameters that are another one above: the path of that one, by parameter.",
            "anyOf": [
                names({"type": "string", "pattern": f"^{_PATH}$|{_HOLDS_EXPRESSION}"}),
                EXPRESSION,
            ],
        },
        "input": mapping(
            {
                "shape": {
                    "description": "Positive integers, and words for symbolic dimensions.",
                    **or_expression(
                        {
                            "type": "array",
                            "items": {
                                "anyOf": [{"type": "integer", "minimum": 1, "maximum": MAX_SIZE}, ref("identifier")]
                            },
                            "maxItems": MAX_RANK,
                        }
                    ),
                },
                "dtype": {
                    "description": "The model's float type unless said.",
                    **or_expression({"enum": list(DTYPES)}),
                },
                "default": {
                    "description": "What fills the input where a call leaves it out.",
                    **or_expression({"type": ["boolean", "number"]}),
                },
            },
            ("shape",),
        ),
        "outputs": _outputs({}),
        "model_outputs": _outputs({"only": {"description": "Training alone has it.", "const": "training"}}),
        "let": names(True, "identifier", description="Local names for numbers."),
        "free_inputs": {
            "description": "Names of the inputs, in order.",
            "type": "array",
            "items": ref("name"),
            "uniqueItems": True,
        },
        "layers": {
            "description": "The entries, in order.",
            "type": "array",
            "items": ref("entry"),
            "minItems": 1,
        },
    }


def _outputs(more: dict[str, Schema]) -> Schema:
    described = mapping({"from": ref("reference"), "if": ref("condition"), **more}, ("from",))
    return names({"anyOf": [ref("reference"), described]}, description="References by the names of the outputs.")
