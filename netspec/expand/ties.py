"""`tie`: a layer's parameter that is another one above."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from netspec.errors import LanguageError, Mistakes, nearest, printable
from netspec.graph.builder import Builder
from netspec.language.scope import resolved, text_of

if TYPE_CHECKING:
    from netspec.expand.units import Application
    from netspec.language.document import Node


def tied_paths(node: Node, at: Application, enclosing: Sequence[str], builder: Builder) -> dict[str, str]:
    """For each parameter named in `tie` the path of the one it is.

    It is looked up in the `enclosing` groups, blocks and copies, from the innermost outwards to the model, whose path
    is empty. Raises LanguageError.
    """
    written = resolved(node, at.scope)
    if not isinstance(written.value, dict):
        message = f"{at.label}: tie: expected a mapping such as {{weight: embedding.weight}}"
        raise LanguageError(message, node.location)
    found: dict[str, str] = {}
    mistakes = Mistakes()
    for name, child in written.value.items():
        with mistakes.collect(child.location):
            given = text_of(child, at.scope, f"{at.label}: tie of {name}")
            for around in enclosing:
                path = f"{around}.{given}" if around else given
                if builder.has_param(path):
                    found[name] = path
                    break
            else:
                hint = nearest(given, builder.param_paths())
                message = f"{at.label}: tie of {name}: there is no parameter {printable(given[:128])} above{hint}"
                raise LanguageError(message, child.location)
    mistakes.raise_all()
    return found
