"""One spec with its options, expanded into the graph of either mode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

from netspec.errors import Mistakes
from netspec.expand.body import Body
from netspec.expand.freezing import Freezing
from netspec.expand.names import Names
from netspec.expand.whole import check_whole
from netspec.graph.builder import Builder
from netspec.graph.graph import Graph
from netspec.graph.invariants import check_graph
from netspec.language.document import Node
from netspec.language.names import check_name
from netspec.language.scope import text_of
from netspec.language.spec import ModelSpec
from netspec.layers.base import Layer


@dataclass(frozen=True)
class Options:
    """What the caller may change of a spec: params by name, and globs to freeze behind the file's own."""

    params: Mapping[str, Node] = field(default_factory=dict)
    freeze: Sequence[str] = ()


class Expansion:
    """Expands one ModelSpec. Configurations of layers do not depend on the mode: they are made once, by path."""

    def __init__(self, spec: ModelSpec, options: Options) -> None:
        self.spec = spec
        self.options = options
        self._layers: dict[str, Layer] = {}

    def graph(self, training: bool) -> Graph:
        """The graph for inference or for training, before any pass.

        Raises NetspecError with all mistakes that do not follow from others, in the order of the text.
        """
        mistakes = Mistakes(self.spec.mistakes.found)
        names = Names(self.spec, self.options.params, mistakes)
        builder = Builder(self._name(names, mistakes), training)
        freezing = Freezing(self.spec.freeze, self.options.freeze, names.scope, mistakes)
        names.define_inputs(builder)
        body = Body(self.spec, builder, names, freezing, mistakes, self._layers)
        outputs = body.expand()
        mistakes.raise_all()
        assert len(outputs) == max(len(self.spec.outputs), 1), "an entry is in error, and no mistake says so"
        graph = builder.finish(outputs)
        check_whole(graph, self.spec, names.scope)
        freezing.check_all_used([*body.paths, *(held.path for held in graph.state)])
        return check_graph(graph)

    def _name(self, names: Names, mistakes: Mistakes) -> str:
        """The model's name: as given, else the file's without its ending."""
        given = self.spec.name
        name = PurePath(self.spec.file).stem or "model"
        with mistakes.collect():
            if given is not None:
                name = check_name(text_of(given, names.scope, "name"), "the model", given.location)
        return name
