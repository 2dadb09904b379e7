"""The text of a module class, and the class that torch.fx compiles from it. The text is what a pickle holds."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.fx import Graph, GraphModule
from torch.fx.graph import CodeGen


@dataclass(frozen=True)
class Text:
    """A forward method: its arguments behind `self`, its lines, the functions they name that are not torch's own."""

    arguments: tuple[str, ...]
    body: str
    functions: tuple[tuple[str, Callable[..., Any]], ...]


@dataclass(frozen=True)
class Source:
    """A module class: its name, what `print` shows in its brackets, its forward method."""

    name: str
    fields: str
    forward: Text


class _GivenText(CodeGen):
    """Lets torch.fx, which compiles generated code and keeps it for tracebacks, do so with a text that is finished."""

    def __init__(self, text: Text) -> None:
        super().__init__()
        self._text = text

    def gen_fn_def(self, free_vars: list[str], maybe_return_annotation: str, **_: Any) -> str:
        return f"def forward({', '.join(('self', *self._text.arguments))}):"

    def additional_globals(self) -> list[tuple[str, Any]]:
        return list(self._text.functions)


@functools.cache
def forward_method(text: Text) -> Callable[..., Any]:
    """The function `forward(self, ...)` of `text`. Equal layers share it, whatever their sizes."""
    graph = Graph()
    graph.output(None)
    graph.set_codegen(_GivenText(text))
    lines = [f"{line}\n" for line in text.body.splitlines()]
    graph.on_generate_code(lambda _: lambda body: lines)
    forward: Callable[..., Any] = type(GraphModule(nn.Module(), graph)).forward
    return forward
