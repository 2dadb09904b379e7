"""What only the whole graph can tell of a spec: paths that clash, and defaults that hit nothing."""

from __future__ import annotations

from collections.abc import Mapping

from netspec.errors import LanguageError, Location, Mistake, nearest
from netspec.expand.configuration import default_initializers
from netspec.expressions.values import Value as Plain
from netspec.graph.graph import Graph
from netspec.language.scope import resolved
from netspec.language.spec import ModelSpec


def check_whole(graph: Graph, spec: ModelSpec, scope: Mapping[str, Plain]) -> None:
    """A LanguageError for each mistake that no entry alone shows."""
    mistakes = [*_clashes(graph), *_unused_initializers(graph, spec, scope)]
    if mistakes:
        raise LanguageError(mistakes)


def _clashes(graph: Graph) -> list[Mistake]:
    """Layers with the path of a parameter: `a` with a weight, and `a.weight`. A torch module cannot hold both."""
    layers: dict[str, Location | None] = {}
    for call in graph.all_calls():
        path = call.path
        if "" in call.params or "" in call.buffers:  # it is no module: the tensor itself has its path
            path = path.rpartition(".")[0]
        while path:
            layers.setdefault(path, call.origin.location)
            path = path.rpartition(".")[0]
    return [
        Mistake(f"a layer is called {held.path}, and so is a parameter or buffer", layers[held.path])
        for held in graph.state
        if held.path in layers
    ]


def _unused_initializers(graph: Graph, spec: ModelSpec, scope: Mapping[str, Plain]) -> list[Mistake]:
    """Names in the `init` of defaults that none of the layers of that type has as a parameter."""
    parameters: dict[str, set[str]] = {}
    for call in graph.all_calls():
        parameters.setdefault(call.layer.type, set()).update(call.params)
    found: list[Mistake] = []
    for defaults in spec.defaults:
        for type in defaults.types:
            written = default_initializers(type, defaults)
            node = None if written is None else resolved(written, scope)
            if type not in parameters or node is None or not isinstance(node.value, dict):
                continue
            known = parameters[type]
            if "" in known:  # on a parameter the key is the initialiser itself, and names none
                continue
            names = ", ".join(sorted(known)) or "none"
            found += [
                Mistake(f"defaults of {type}: init of {name}: its parameters are {names}{nearest(name, known)}", place)
                for name, place in node.keys.items()
                if name not in known
            ]
    return found
