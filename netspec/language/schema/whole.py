"""`netspec schema`: the language as JSON Schema (draft 2020-12), for editors and other programs.

What a schema cannot say is left to `netspec validate`: names that refer, shapes, and that 64.0 is no integer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from netspec.errors import NetspecError
from netspec.language.document import Document, Node
from netspec.language.entries import LOOPS
from netspec.language.include import model_spec
from netspec.language.schema.fields import EXPRESSION, Schema, fields_of, formula, or_expression, required_fields
from netspec.language.schema.parts import mapping, names, parts, ref
from netspec.language.spec import VERSION, BlockSpec, Nodes
from netspec.layers import LAYER_TYPES
from netspec.layers.base import Layer, input_names
from netspec.layers.constants import Parameter
from netspec.layers.initializers import INITIALIZER_TYPES, Initializer, parse_initializer

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_ENTRY = {"name": ref("entry_name"), "from": ref("sources"), "if": ref("condition"), "else": ref("reference")}
_COPIES = {"repeat": ref("count"), "parallel": ref("count")}
_LOOPS = {**_COPIES, "scan": ref("scan"), "while": ref("while")}
_BODY_ENTRY = {**_ENTRY, "name": ref("body_name"), **_LOOPS, "frozen": ref("frozen")}
_BODY = {"let": ref("let"), "layers": ref("layers"), "outputs": ref("outputs")}

Blocks = Mapping[str, BlockSpec]


def language_schema(document: Document | None = None) -> Schema:
    """The schema of every spec, or of `document` and its next versions: then its blocks are known too.

    A field that a layer needs may come from `defaults`. So the schema of every spec asks for it where a spec has no
    defaults at all, and that of one file where that file's defaults lack it.
    """
    spec = None if document is None else model_spec(document)
    blocks = None if spec is None else spec.blocks
    defaults: Nodes = {} if spec is None else spec.defaults[0].types
    definitions = {
        **parts(),
        "initializer": _initializer(),
        "init": _init(),
        "entry": _entry(blocks),
        "block": _block(),
    }
    definitions |= _complete({type: _missing(layer, defaults.get(type)) for type, layer in LAYER_TYPES.items()})
    return {
        "$schema": DIALECT,
        "title": f"netspec {VERSION}",
        **_file(),
        "allOf": [_needs_a_body(), _needs_fields(always=document is not None)],
        "$defs": definitions,
    }


# The file.


def _file() -> Schema:
    return mapping(
        {
            "netspec": {"description": "The version of the language.", "type": "integer", "const": VERSION},
            "name": {"description": "The model's name; the file's unless given.", **ref("entry_name")},
            "include": _include(),
            "params": names(True, "identifier", description="What --set may change; null: it must be given."),
            "inputs": names(ref("input"), minProperties=1, description="The model's inputs, in order."),
            "defaults": _defaults(),
            "blocks": names(ref("block"), "block_name", description="Types of one's own, with a capital letter."),
            **_BODY,
            "outputs": ref("model_outputs"),
            "freeze": or_expression(
                {
                    "description": "Globs over paths; one that begins with ! thaws; the last that matches wins.",
                    "type": "array",
                    "items": {"type": "string", "minLength": 1},
                }
            ),
        },
        ("netspec",),
    )


def _include() -> Schema:
    return {
        "description": "Specs whose params, let and blocks join this one's, and whose body is taken where it has none.",
        "type": "array",
        "items": {"type": "string", "minLength": 1, "pattern": r"^(?![/~\\]|[A-Za-z]:|.*://)"},
        "minItems": 1,
    }


def _defaults() -> Schema:
    return {
        "description": "Fields by type of layer, for the entries of this file that do not give them.",
        "type": "object",
        "properties": {type: mapping({**fields_of(layer), "init": _init_of(layer)}) for type, layer in _layers()},
        "additionalProperties": False,
    }


def _needs_a_body() -> Schema:
    """A model has inputs and layers, its own or included ones; a file of blocks alone is there to be included."""
    parts_of_a_model = [{"required": [key]} for key in ("inputs", "layers", "outputs")]
    return {
        "anyOf": [
            {"required": ["inputs", "layers"]},
            {"required": ["include"]},
            {"required": ["blocks"], "not": {"anyOf": parts_of_a_model}},
        ]
    }


# Blocks and entries.


def _block() -> Schema:
    params = names(True, "argument", description="The block's parameters with their defaults; null: must be given.")
    gradient = {"description": "The block that says what flows back through this one.", **ref("block_name")}
    parts_of_a_block = {"params": params, "inputs": ref("free_inputs"), "gradient": gradient, **_BODY}
    return {**mapping(parts_of_a_block, ("layers",)), "dependentRequired": {"gradient": ["inputs"]}}


def _entry(blocks: Blocks | None) -> Schema:
    """One entry of `layers`. Each kind is told by its `type`, or by `layers` or `share` in its place."""
    words: list[Schema] = [{"enum": list(LAYER_TYPES)}]
    if blocks is None:
        words.append(ref("block_name"))
        of_blocks = [_open_block()]
    else:
        words.append({"enum": list(blocks)})
        of_blocks = [_block_entry(name, block) for name, block in blocks.items()]
    return {
        "oneOf": [
            {"type": "string", "anyOf": [*words, EXPRESSION]},
            *(_layer_entry(type, layer) for type, layer in _layers()),
            *of_blocks,
            _computed_type(),
            _group(),
            _share(),
            _branches(),
        ]
    }


def _layer_entry(type: str, layer: type[Layer]) -> Schema:
    own = {"init": _init_of(layer), "tie": ref("tie"), "frozen": ref("frozen")}
    # The description stands twice: editors show that of the value while it is typed.
    word = {"description": formula(layer), "const": type}
    properties = {"type": word, **_ENTRY, **_COPIES, **fields_of(layer), **own}
    source = _source(layer)
    if source is None:
        del properties["from"]
    else:
        properties["from"] = source
    entry = mapping(properties, ("type",), title=type, description=formula(layer))
    return {**entry, **_rules(("repeat", "parallel"))}


def _source(layer: type[Layer]) -> Schema | None:
    """What `from` takes: all names of a layer's inputs, or a list of the required ones; None where it has none."""
    inputs = input_names(layer)
    if inputs.variadic:
        return ref("sources")
    known = (*inputs.required, *inputs.optional)
    if not known:
        return None
    by_name = {
        "type": "object",
        "properties": {name: ref("reference") for name in known},
        "required": list(inputs.required),
        "additionalProperties": False,
    }
    if not inputs.required:
        return by_name
    listed = {"type": "array", "items": ref("reference"), "minItems": 1, "maxItems": len(inputs.required)}
    described = " and ".join(inputs.required) + (f"; {', '.join(inputs.optional)} by name" if inputs.optional else "")
    return {"description": f"What it reads: {described}.", "anyOf": [ref("reference"), listed, by_name]}


def _open_block() -> Schema:
    """A block that is not known: its arguments are open."""
    refused = dict.fromkeys(("init", "tie", "layers", "share", "branches", "cond"), False)
    properties = {"type": ref("block_name"), **_BODY_ENTRY, **refused}
    return {"title": "a block", "type": "object", "properties": properties, "required": ["type"], **_rules(LOOPS)}


def _block_entry(name: str, block: BlockSpec) -> Schema:
    arguments: dict[str, Any] = {
        param: {"description": "Must be given."} if node.value is None else {"default": node.plain()}
        for param, (_, node) in block.params.items()
    }
    required = ["type", *(param for param, (_, node) in block.params.items() if node.value is None)]
    entry = mapping({"type": {"const": name}, **_BODY_ENTRY, **arguments}, required, title=name)
    return {**entry, **_rules(LOOPS)}


def _computed_type() -> Schema:
    """An entry whose type is an expression: its fields are those of whatever that gives."""
    refused = dict.fromkeys(("layers", "share", "branches", "cond"), False)
    properties = {"type": EXPRESSION, **_BODY_ENTRY, "tie": ref("tie"), **refused}
    title = "a type by expression"
    return {"title": title, "type": "object", "properties": properties, "required": ["type"], **_rules(LOOPS)}


def _group() -> Schema:
    inside = {"inputs": ref("free_inputs"), **_BODY}
    group = mapping({**_BODY_ENTRY, **inside}, ("layers",), title="a group", description="Layers in place.")
    splices = {"required": ["name"], "properties": {"name": {"const": "."}}}
    plain = {"not": {"anyOf": [{"required": [key]} for key in ("inputs", "let", "outputs")]}}
    repeated = {"properties": {"parallel": False, "scan": False, "while": False}}
    return {**group, **_rules(LOOPS), "if": {"allOf": [splices, plain]}, "then": repeated}


def _share() -> Schema:
    properties = {"share": ref("reference"), **_ENTRY, **_COPIES}
    share = mapping(properties, ("share",), title="share", description="The entry of this name above once more.")
    return {**share, **_rules(tuple(_COPIES))}


def _branches() -> Schema:
    refused = dict.fromkeys(("from", "if", "else", "share", "branches", *LOOPS), False)
    branch = {"allOf": [ref("entry"), {"properties": refused}]}
    properties = {
        "branches": {"description": "One of them runs.", "type": "array", "items": branch, "minItems": 2},
        "cond": {"description": "A bool (false: the first branch) or an integer, of shape [].", **ref("reference")},
        **_ENTRY,
        "frozen": ref("frozen"),
    }
    described = "One of several entries, which a value of the call chooses."
    entry = mapping(properties, ("branches", "cond"), title="branches", description=described)
    return {**entry, "dependentRequired": {"else": ["if"]}}


def _rules(loops: Iterable[str]) -> Schema:
    """At most one loop, and `else` beside an `if` only."""
    pairs = [{"required": [a, b]} for number, a in enumerate(loops) for b in list(loops)[number + 1 :]]
    return {"not": {"anyOf": pairs}, "dependentRequired": {"else": ["if"]}}


def _layers() -> Iterable[tuple[str, type[Layer]]]:
    return LAYER_TYPES.items()


# Initialisers.


def _init() -> Schema:
    return {
        "description": "Initialisers by parameter.",
        "anyOf": [names(ref("initializer")), EXPRESSION],
    }


def _init_of(layer: type[Layer]) -> Schema:
    """The key `init`, which at a parameter is the initialiser itself."""
    return ref("initializer") if layer is Parameter else ref("init")


def _initializer() -> Schema:
    words = [type for type in INITIALIZER_TYPES if _has_defaults(type)]
    return {
        "description": "What a parameter starts from: a word, or a mapping with a type.",
        "oneOf": [
            {"enum": words},
            EXPRESSION,
            *(_initializer_mapping(type, cls) for type, cls in INITIALIZER_TYPES.items()),
            {"type": "object", "properties": {"type": EXPRESSION}, "required": ["type"]},
        ],
    }


def _has_defaults(type: str) -> bool:
    try:
        parse_initializer(type)
    except NetspecError:
        return False
    return True


def _initializer_mapping(type: str, cls: type[Initializer]) -> Schema:
    required = ("type", *required_fields(cls))
    schema = mapping({"type": {"const": type}, **fields_of(cls)}, required, title=type, description=formula(cls))
    if type == "uniform":  # which its class checks as a whole
        ends, bound = {"required": ["low", "high"]}, {"required": ["bound"]}
        either = [{"required": [key]} for key in ("low", "high")]
        schema["oneOf"] = [{**ends, "not": bound}, {**bound, "not": {"anyOf": either}}]
    return schema


# Required fields, which defaults may give.


def _missing(layer: type[Layer], defaults: Node | None) -> tuple[str, ...]:
    given = defaults.value if defaults is not None and isinstance(defaults.value, dict) else {}
    needed = [*required_fields(layer), *(["init"] if layer is Parameter else [])]
    return tuple(field for field in needed if field not in given)


def _complete(missing: Mapping[str, tuple[str, ...]]) -> dict[str, Schema]:
    """Entries with the fields that nothing else gives."""
    bare = [type for type, fields in missing.items() if fields]
    rules: list[Schema] = [{"if": {"type": "string"}, "then": {"not": {"enum": bare}}}]
    for fields in dict.fromkeys(missing[type] for type in bare):
        types = [type for type in bare if missing[type] == fields]
        applies = {"type": "object", "required": ["type"], "properties": {"type": {"enum": types}}}
        rules.append({"if": applies, "then": {"required": list(fields)}})
    return {
        "complete_layers": {"items": ref("complete_entry")},
        "complete_entry": {"allOf": rules, "properties": dict.fromkeys(("layers", "branches"), ref("complete_layers"))},
    }


def _needs_fields(always: bool) -> Schema:
    complete = ref("complete_layers")
    in_blocks = {"additionalProperties": {"properties": {"layers": complete}}}
    rule = {"properties": {"layers": complete, "blocks": in_blocks}}
    return rule if always else {"if": {"not": {"required": ["defaults"]}}, "then": rule}
