"""What the layer `formula` takes from around it: its inputs' names, and the numbers that its expression reads."""

from __future__ import annotations

from typing import Any

from netspec.errors import LanguageError, Mistakes, printable
from netspec.expand.reading import Bound
from netspec.language.names import is_identifier
from netspec.language.scope import Scope, resolved
from netspec.language.spec import EntrySpec
from netspec.layers.base import InputNames
from netspec.layers.formula import formula_names

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
    for name, text in zip(bound.values, bound.texts.values(), strict=True):
        variable = text if name.isdigit() else name
        if not is_identifier(variable):
            message = f"{label}: {printable(variable[:64])} names no variable: write from as a mapping, {{a: ...}}"
            mistakes.add(message, (entry.source or entry.fields["expr"]).location)
        elif variable in variables:
            message = f"{label}: from: {variable} twice: write a mapping, {{a: {variable}, b: {variable}}}"
            mistakes.add(message, (entry.source or entry.fields["expr"]).location)
        variables.append(variable)
    written = entry.fields.get("expr")
    fields: dict[str, Any] = {"variables": tuple(variables), "numbers": {}, "place": None}
    if written is not None and isinstance(written.value, str):
        fields["place"] = written.place
        with mistakes.collect(written.location, f"{label}: expr: "):
            names = formula_names(written.value, written.place) - set(variables)
            fields["numbers"] = {name: scope[name] for name in sorted(names) if name in scope}
    elif written is not None:
        raise LanguageError(f"{label}: expr: expected an expression as text, such as abs(a - b)", written.location)
    mistakes.raise_all()
    return fields
