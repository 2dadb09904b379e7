"""One spec with its options, expanded into the graph of either mode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

from netspec.errors import LanguageError, Mistakes, NetspecError, TooLargeError, bounded_hints
from netspec.expand.body import Body
from netspec.expand.budget import check_size
from netspec.expand.configuration import Configurator
from netspec.expand.context import Context
from netspec.expand.freezing import Freezing
from netspec.expand.model_inputs import ModelNames
from netspec.expand.names import Result
from netspec.expand.recursion import blocks_inside_themselves
from netspec.expand.whole import check_whole
from netspec.expressions.evaluation import bounded_steps
from netspec.graph.builder import Builder
from netspec.graph.graph import Graph
from netspec.graph.invariants import check_graph
from netspec.language.document import Node
from netspec.language.include import with_includes
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
        try:
            with bounded_hints(), bounded_steps():
                return self._graph(training)
        except TooLargeError as error:
            raise error.error from None
        except NetspecError as error:
            raise type(error)(with_includes(error.mistakes, self.spec.included)) from None

    def _graph(self, training: bool) -> Graph:
        mistakes = Mistakes(self.spec.mistakes.found)
        names = ModelNames(self.spec, self.options.params, mistakes)
        builder = Builder(self._name(names, mistakes), training)
        freezing = Freezing(self.spec.freeze, self.options.freeze, names.scope, mistakes)
        first = names.define_inputs(builder)
        check_size(self.spec, names.shared)
        context = Context(self.spec, builder, freezing, names.shared, Configurator(names.shared), self._layers)
        context.endless = blocks_inside_themselves(self.spec.blocks, mistakes)
        body = Body(context, self.spec.body, names)
        result = body.expand(first)
        if result.plain == "all" and result.ports is not None and len(result.ports) == 1:
            result = Result({"output": result.main}, "only")
        elif result.plain == "all" and result.ports is not None:
            message = (
                f"outputs is required: the last entry gives {len(result.ports)} values, which are called by number"
            )
            mistakes.add(message, self.spec.body.end)
        mistakes.found += body.mistakes.found
        mistakes.raise_all()
        assert result.ports is not None, "an entry is in error, and no mistake says so"
        if not result.ports:
            raise LanguageError("outputs: none is left in this mode: the model gives nothing", self.spec.location)
        graph = builder.finish(result.ports)
        check_whole(graph, self.spec, names.shared)
        freezing.check_all_used([*context.paths, *(held.path for held in graph.state)])
        return check_graph(graph, typed=True)

    def _name(self, names: ModelNames, mistakes: Mistakes) -> str:
        """The model's name: as given, else the file's without its ending."""
        given = self.spec.name
        name = PurePath(self.spec.file).stem or "model"
        with mistakes.collect():
            if given is not None:
                name = check_name(text_of(given, names.scope, "name"), "the model", given.location)
        return name
