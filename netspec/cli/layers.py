"""`netspec layers`: the catalogue of the language."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from netspec.cli.output import emit, emit_json
from netspec.cli.table import Column, Table, plain

if TYPE_CHECKING:
    from netspec.layers.catalogue import LayerDescription

PAGE_HEAD = """\
# The layers

<!-- Made by `netspec layers --format markdown`. -->

Every layer of the language: its formula, its fields with their defaults, what it reads and gives, and what each backend
does with it. *fused* is one native form of the whole layer, *composed* the layer's own primitives, each a native
function; *fused or composed* depends on the fields or shapes. The conformance suite, which compares all of them with
the float64 reference, writes down what it saw.
"""


def layers(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", show_default=False, help="A layer type, for all about it.")
    ] = None,
    output_format: Annotated[
        Literal["table", "json", "markdown"], typer.Option("--format", help="How to print it.")
    ] = "table",
) -> None:
    """List the layers, or print all about one.

    Its formula and source, its fields and their defaults, inputs, outputs, and what each backend does with it. Layers
    of installed packages are among them. No framework is loaded.
    """
    from netspec.layers.catalogue import catalogue, describe

    found = list(catalogue()) if name is None else [describe(name)]
    if output_format == "json":
        emit_json([asdict(layer) for layer in found] if name is None else asdict(found[0]))
    elif output_format == "markdown":
        emit("\n".join(_page(found)) if name is None else "\n".join(_section(found[0])))
    elif name is None:
        rows = [(layer.type, _plain(layer.formula)) for layer in found]
        emit(str(Table((Column("layer"), Column("what it computes")), rows)))
    else:
        emit(_text(found[0]))


def _text(layer: LayerDescription) -> str:
    """All about one layer, for a terminal."""
    columns = (Column("field"), Column("default"), Column("takes"))
    fields = [(each.name, each.default or "(required)", each.takes) for each in layer.fields]
    return "".join(
        [
            f"{layer.type}\n\n{layer.text}\n\n",
            f"reads  {', '.join(layer.inputs) or 'nothing'}\n",
            f"gives  {', '.join(layer.outputs)}\n",
            f"from   the package {layer.package}\n" if layer.package else "",
            f"\n{plain(Table(columns, fields))}" if fields else "",
            *(f"\n{name} is refused: {reason}\n" for name, reason in layer.refused.items()),
            f"\n{plain(Table((Column('backend'), Column('form')), list(layer.backends.items())))}",
        ]
    )


def _page(found: Iterable[LayerDescription]) -> Iterator[str]:
    """docs/layers.md: the support matrix, then a section for each layer."""
    every = list(found)
    yield PAGE_HEAD
    backends = list(every[0].backends)
    yield f"| layer | {' | '.join(backends)} |"
    yield "|---" * (len(backends) + 1) + "|"
    for layer in every:
        forms = " | ".join(layer.backends[name] for name in backends)
        yield f"| [`{layer.type}`](#{layer.type}) | {forms} |"
    for family, members in groupby(every, lambda layer: layer.family):
        yield f"\n## {family}"
        for layer in members:
            yield from _section(layer)


def _section(layer: LayerDescription) -> Iterator[str]:
    yield f"\n### {layer.type}\n\n{layer.text}\n"
    yield f"Reads {_code(layer.inputs) or 'nothing'}; gives {_code(layer.outputs)}."
    if layer.fields:
        yield "\n| field | default | takes |\n|---|---|---|"
        for field in layer.fields:
            default = "*required*" if field.default is None else f"`{field.default}`"
            yield f"| `{field.name}` | {default} | {field.takes} |"
    for name, reason in layer.refused.items():
        yield f"\n`{name}` is refused: {reason}."


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _plain(text: str) -> str:
    return text.replace("`", "")
