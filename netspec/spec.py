"""A spec that was read and checked: its graphs, and what it warns of."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from netspec.errors import Location, Mistake, NetspecError, bounded_hints
from netspec.expand import Expansion, Options
from netspec.graph.dims import bounds
from netspec.graph.graph import Call, Graph, GraphPair
from netspec.graph.invariants import check_pair
from netspec.language.document import Document, Node
from netspec.language.include import model_spec
from netspec.language.reader import read, read_text
from netspec.language.scope import node_of
from netspec.language.zoo import spec_file
from netspec.passes import apply_passes


class Spec:
    """A valid model: `inference` and `training` are its graphs, the second made when it is first asked for."""

    def __init__(self, document: Document, options: Options) -> None:
        self.file = document.file
        self.description = _description(document)
        with _collector_paused(), bounded_hints():
            self._expansion = Expansion(model_spec(document), options)
            whole = self._expansion.graph(training=False)
            self.inference = apply_passes(whole)
            self.warnings = self._unused(whole)

    @property
    def name(self) -> str:
        return self.inference.name

    @cached_property
    def training(self) -> Graph:
        """The graph for training. Raises NetspecError where the model cannot be trained."""
        with _collector_paused():
            return apply_passes(self._expansion.graph(training=True))

    @cached_property
    def graphs(self) -> GraphPair:
        """Both graphs, which have the same parameters and buffers."""
        return check_pair(GraphPair(self.inference, self.training))

    def resolved(self) -> dict[str, Any]:
        """The model as a flat spec: one entry for each layer, every field written out.

        Raises NetspecError where the model cannot be trained.
        """
        from netspec.analysis.resolved import resolved

        return resolved(self._expansion.graph(training=False), self._expansion.graph(training=True))

    @property
    def training_warnings(self) -> tuple[Mistake, ...]:
        """What no training call can meet, whatever its sizes: such a model is for inference only."""
        unmet = (need for need in self.training.requirements if bounds(need.size)[1] < need.at_least)
        return tuple(
            Mistake(f"{need.origin.path}: {need.message.format(size=need.size)}", need.origin.location)
            for need in unmet
        )

    def _unused(self, whole: Graph) -> tuple[Mistake, ...]:
        """A warning for each layer that no output needs in either mode, and each input that no layer reads."""
        unused = _not_needed(whole, self.inference)
        if unused:  # such as what leads to an output that training alone has
            unused &= _not_needed(whole, self.training)
        read = {value for node in whole.nodes for value in node.inputs} | {output.value for output in whole.outputs}
        layers = {
            call.path: Mistake(f"{_label(call)}: no output needs this layer", call.origin.location)
            for call in whole.all_calls()
            if call.path in unused
        }
        inputs = [
            Mistake(
                f"input {entry.name}: nothing reads it", entry.value.origin.location if entry.value.origin else None
            )
            for entry in whole.inputs
            if entry.value not in read
        ]
        return (*inputs, *layers.values())

    def __repr__(self) -> str:
        return f"<netspec.Spec {self.name} from {self.file}>"

    def _repr_html_(self) -> str:
        """What a notebook shows: the picture and the table of the model."""
        from netspec.draw.page import page

        return page(self.inference)


def load(
    path: str | os.PathLike[str], params: Mapping[str, Any] | None = None, freeze: Sequence[str] | None = None
) -> Spec:
    """Read and check the spec in the file `path`.

    Args:
        path: a YAML file, or JSON if its name ends in `.json`; or the name of a spec of the zoo, such as `resnet50`.
        params: values for the spec's params, by name; plain values of the kind of their defaults.
        freeze: globs over paths, which go behind those of the file: `["*", "!fc"]` freezes all but `fc`.

    Raises:
        NetspecError: with a line `file:line:col: message` for every mistake.
    """
    return Spec(read(spec_file(path)), options(params, freeze))


def loads(
    text: str | bytes,
    params: Mapping[str, Any] | None = None,
    freeze: Sequence[str] | None = None,
    file: str = "<text>",
) -> Spec:
    """The same for a spec in `text`; `file` names it in messages, and its ending `.json` says that it is JSON."""
    return Spec(read_text(text, file), options(params, freeze))


def options(params: Mapping[str, Any] | None, freeze: Sequence[str] | None) -> Options:
    """What the caller changes of a spec; values of params are plain ones, or nodes of a text."""
    nodes = {
        name: value if isinstance(value, Node) else node_of(value, Location(f"params[{name!r}]", 0, 0))
        for name, value in (params or {}).items()
    }
    if isinstance(freeze, str):
        raise NetspecError(f"freeze: expected a list of globs, got the text {freeze!r}")
    return Options(nodes, tuple(freeze or ()))


def _description(document: Document) -> str:
    """What the file says of itself: `description` at its top, which is free, so that it need not be text."""
    assert isinstance(document.root.value, dict)
    node = document.root.value.get("description")
    return node.value if node is not None and isinstance(node.value, str) else ""


def _label(call: Call) -> str:
    """A layer as messages call it: a position alone says little."""
    return f"{call.path} ({call.layer.type})" if call.path.isdigit() else call.path


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Nothing is collected meanwhile: a graph is made of values that all stay, and Python would walk through them again
    and again, for 40 % of the time at 10,000 layers."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _not_needed(whole: Graph, pruned: Graph) -> set[str]:
    """The paths of layers that the outputs of `pruned` do not need."""
    return {call.path for call in whole.all_calls()} - {call.path for call in pruned.all_calls()}
