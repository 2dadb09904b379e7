"""What the layer `formula` takes from around it: its inputs' names, and the numbers that its expression reads."""

from __future__ import annotations

from typing import Any

from netspec.errors import LanguageError, Mistakes, printable
from netspec.expand.configuration import default_field
from netspec.expand.reading import Bound
from netspec.expressions.place import Place
from netspec.language.document import Node
from netspec.language.names import is_identifier
from netspec.language.scope import Scope, resolved, value_of
from netspec.language.spec import EntrySpec
from netspec.layers.base import InputNames
from netspec.layers.formula import formula_names
from netspec.layers.validation import shown

ONE = InputNames(("x",), (), variadic=False)
SEVERAL = InputNames((), (), variadic=True)


def formula_inputs(entry: EntrySpec, scope: Scope) -> InputNames:
    """The inputs of a formula: those of a mapping by their names, those of a list as they are called, a single `x`."""
    if entry.source is None:
        return ONE
    source = resolved(entry.source, scope).value
    if isinstance(source, dict):
        return InputNames(tuple(source), (), variadic=False)
    return SEVERAL if isinstance(source, list) else ONE


def formula_fields(entry: EntrySpec, bound: Bound, scope: Scope, label: str) -> dict[str, Any]:
    """The fields of a formula that are not written. Raises LanguageError."""
    mistakes = Mistakes()
    variables: list[str] = []
    place = (entry.source or Node(None, entry.location)).location
    for name, text in zip(bound.values, bound.texts.values(), strict=True):
        variable = text if name.isdigit() else name
        if not is_identifier(variable):
            message = f"{label}: {printable(variable[:64])} names no variable: write from as a mapping, {{a: ...}}"
            mistakes.add(message, place)
        elif variable in variables:
            message = f"{label}: from: {variable} twice: write a mapping, {{a: {variable}, b: {variable}}}"
            mistakes.add(message, place)
        variables.append(variable)
    fields: dict[str, Any] = {"variables": tuple(variables), "numbers": {}, "place": Place(entry.location)}
    written = entry.fields.get("expr") or default_field("formula", entry.defaults, "expr")
    if written is not None:  # else it is missed with the other fields
        with mistakes.collect(written.location, f"{label}: expr: "):
            expr = value_of(written, scope)
            if not isinstance(expr, str):
                raise LanguageError(f"expected an expression as text, such as abs(a - b), got {shown(expr)}")
            fields["place"] = written.place if expr == written.value else Place(written.location)
            names = formula_names(expr, fields["place"]) - set(variables)
            fields["numbers"] = {name: scope[name] for name in sorted(names) if name in scope}
    mistakes.raise_all()
    return fields
