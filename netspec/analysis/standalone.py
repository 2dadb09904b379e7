"""The expression of a formula with the values of what it reads around it, so that it means the same anywhere."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from netspec.errors import NetspecError
from netspec.expressions.syntax import Comprehension, Name, Syntax, parts_of
from netspec.expressions.values import ShapedValue
from netspec.graph.dims import Dim, is_symbol
from netspec.layers.formula import Formula, parse_formula

_ATTRIBUTE = re.compile(r"\s*\.\s*([A-Za-z_]\w*)")


def standalone(layer: Formula) -> str:
    """`expr` with numbers and lists in place of the names that are not its inputs; symbols of sizes stay.

    Raises NetspecError where a value has no form in an expression, such as null.
    """
    text, root = layer.expr, parse_formula(layer.expr, layer.place).root
    for name in sorted(_free(root, frozenset(layer.variables)), key=lambda name: -name.at):
        value = layer.numbers[name.name]
        end = name.at + len(name.name)
        while isinstance(value, (Mapping, ShapedValue)) and (attribute := _ATTRIBUTE.match(text, end)):
            value = list(value.shape) if isinstance(value, ShapedValue) else value[attribute[1]]
            end = attribute.end()
        text = text[: name.at] + _written(value, layer.expr) + text[end:]
    return text


def _free(syntax: Syntax, bound: frozenset[str]) -> Iterator[Name]:
    """Every place of a name that is not `bound`."""
    if isinstance(syntax, Name) and syntax.name not in bound:
        yield syntax
    if isinstance(syntax, Comprehension):
        yield from _free(syntax.source, bound)
        yield from _free(syntax.item, bound | {syntax.variable})
        return
    for part in parts_of(syntax):
        yield from _free(part, bound)


def _written(value: Any, expr: str) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return str(value) if value >= 0 else f"({value})"
    if isinstance(value, Dim):
        return is_symbol(value) or f"({value})"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_written(each, expr) for each in value)}]"
    if isinstance(value, str) and "'" not in value:
        return f"'{value}'"
    raise NetspecError(f"{expr}: what it reads cannot be written in an expression")
