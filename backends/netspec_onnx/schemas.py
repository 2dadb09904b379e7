"""What ONNX's own schemas say of an operator: the element types of its outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import onnx
import onnx_ir as ir

# Opset 21 is the first with group normalisation as netspec means it; onnxruntime runs it from 1.18 on.
OPSET = 21


def output_types(
    op_type: str, inputs: Sequence[ir.DataType | None], attributes: Mapping[str, Any], count: int
) -> list[ir.DataType]:
    """The types of the first `count` outputs: as a body gives them, as an attribute says, or as the schema says."""
    inner = attributes.get("body", attributes.get("then_branch"))
    if inner is not None:  # of Loop the body gives the condition first
        return [value.dtype for value in inner.outputs[-count:]]
    if op_type == "Constant":
        return [attributes["value"].dtype]
    said = attributes.get("to", attributes.get("dtype"))
    if said is not None:
        return [ir.DataType(said)]
    rules = _rules(op_type)
    found = []
    for position in range(count):
        rule = rules[min(position, len(rules) - 1)]  # the last output may stand for many
        type = rule if isinstance(rule, ir.DataType) else inputs[rule]
        assert type is not None, f"{op_type}: output {position} has the type of an input that is left out"
        found.append(type)
    return found


@cache
def _rules(op_type: str) -> tuple[int | ir.DataType, ...]:
    """Of each output the input that has the same type, or the one type that it can have."""
    schema = onnx.defs.get_schema(op_type, OPSET)
    names = [each.type_str for each in schema.inputs]
    rules: list[int | ir.DataType] = []
    for output in schema.outputs:
        if output.type_str in names:
            rules.append(names.index(output.type_str))
        else:
            name = min(output.types).removeprefix("tensor(").removesuffix(")")
            rules.append(ir.DataType[name.upper()])
    return tuple(rules)
