"""A model's graphs as a flat spec: no blocks, groups, loops or expressions, and nothing left to a default."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from pydantic import BaseModel

from netspec.analysis.resolved_control import control_entry
from netspec.analysis.standalone import standalone
from netspec.errors import LanguageError, Location
from netspec.graph.dims import Dim, Size, is_symbol
from netspec.graph.graph import Call, Graph, Input, Node, Param, Value
from netspec.language.names import Glob, check_name, last_match
from netspec.language.scope import Scope
from netspec.language.spec import VERSION
from netspec.layers.base import input_names
from netspec.layers.formula import Formula
from netspec.layers.validation import written_fields

Plain = dict[str, Any]


def resolved(inference: Graph, training: Graph) -> Plain:
    """The spec of these graphs, which are those of all layers, before any pass.

    One entry for each layer in order, called by its path; one for each further application of a shared layer.
    Parameters start from what they start from in the graphs. What is frozen there is frozen by its entry, or by
    `freeze` where an entry is frozen in part.

    Loops and branches are groups, and blocks stay where they have a gradient of their own. Raises LanguageError where a
    loop or a branch is applied once more, or where the paths cannot all be names of
    one list: one is too long, or two differ only in case.
    """
    return Writer(inference, training).spec()


class Writer:
    """Names what is read by the pair of values that it is in both modes: of `by_mode` either one is another layer's."""

    def __init__(self, inference: Graph, training: Graph) -> None:
        self.inference = inference
        self.training = training
        self.params = {param.value: param for param in training.params}
        self.names: dict[tuple[Value, Value], str] = {}
        self.entered: set[str] = set()  # paths of the layers so far
        self.frozen_whole: set[str] = set()  # paths of those whose entry says what is frozen
        self.scope = Scope()
        self.depth = 0  # how many bodies are open
        self.blocks: dict[str, Plain] = {}  # those with a gradient, and the blocks of that
        self.taken = {entry.name for entry in training.inputs} | {call.path for call in training.all_calls()}

    def spec(self) -> Plain:
        for one, other in zip(self.training.inputs, self.inference.inputs, strict=True):
            self.names[one.value, other.value] = one.name
            self.scope.claim(one.name, "an input", None)
        entries = self.entries(self.training.nodes, self.inference.nodes)
        spec: Plain = {
            "netspec": VERSION,
            **self.name(),
            "inputs": {entry.name: _input(entry) for entry in self.training.inputs},
            **({"blocks": self.blocks} if self.blocks else {}),
            "layers": entries,
            "outputs": self.outputs(),
        }
        freeze = self.freeze()
        return {**spec, "freeze": freeze} if freeze else spec

    def entries(self, ones: Sequence[Node | Call], others: Sequence[Node | Call], around: str = "") -> list[Plain]:
        """The entries of nodes in both modes; `around` is the path of the body that they stand in."""
        found: list[Plain] = []
        for one, other in zip(ones, others, strict=True):
            if isinstance(one, Call):
                assert isinstance(other, Call)
                found.append(self.entry(one, other, around))
            else:
                assert isinstance(other, Node) and not isinstance(other, Call)
                found.append(control_entry(self, one, other, around))
        return found

    def claimed(self, name: str, location: Location | None) -> str:
        """A name that is taken for an entry. Raises LanguageError where it cannot be one."""
        check_name(name, "a layer", location)
        self.scope.claim(name, "a layer", location)
        return name

    def entry(self, call: Call, other: Call, around: str) -> Plain:
        """The entry of one application of a layer: `other` is the same in inference."""
        assert call.path == other.path
        path = call.path
        shared = path in self.entered
        self.entered.add(path)
        called = path.removeprefix(f"{around}.") if around else path
        name = self.claimed(self.free_name(called) if shared else called, call.origin.location)
        source = self.source(call, other)
        for port, *values in zip(_ports(call), call.outputs, other.outputs, strict=True):
            self.names.setdefault((values[0], values[1]), f"{name}:{port}" if port else name)
        wiring = {"name": name, **({"share": called} if shared else {"type": call.layer.type})}
        if source is not None:
            wiring["from"] = source
        if shared:
            return wiring
        if isinstance(call.layer, Formula):
            return {**wiring, "expr": standalone(call.layer)}
        return {**wiring, **_fields(call.layer), **self.weights(call)}

    def name(self) -> Plain:
        """The model's name, unless it is that of a file, which may hold any characters."""
        with suppress(LanguageError):
            return {"name": check_name(self.training.name, "the model", None)}
        return {}

    def source(self, call: Call, other: Call) -> Any:
        """The references that give a call its inputs: one, a list, or a mapping where there are optional ones."""
        read = [self.names[pair] for pair in zip(call.inputs, other.inputs, strict=True)]
        if isinstance(call.layer, Formula):
            return dict(zip(call.layer.variables, read, strict=True))
        inputs = input_names(type(call.layer))
        if call.optional:
            return dict(zip((*inputs.required, *call.optional), read, strict=True))
        if not read:
            return None
        return read[0] if len(read) == 1 and not inputs.variadic else read

    def weights(self, call: Call) -> Plain:
        """The keys `init`, `tie` and `frozen` of the first application of a layer."""
        own = {name: param for name, param in self._params(call) if param.path == _path(call, name)}
        tied = {name: param.path for name, param in self._params(call) if param.path != _path(call, name)}
        init = {name: _configuration(param.initializer) for name, param in own.items()}
        found: Plain = {"init": init.get("", init)} if init else {}
        if tied:
            found["tie"] = tied
        frozen = self.frozen(call, own)
        if frozen is None:
            return found
        self.frozen_whole.add(call.path)
        return {**found, "frozen": frozen}

    def frozen(self, call: Call, own: Mapping[str, Param]) -> bool | str | None:
        """What an entry that is frozen as a whole says; None where nothing is frozen, or a part of it."""
        moving = any(_path(call, name) in self.training.updates for name in call.buffers)
        if any(param.trainable for param in own.values()) or not (own or call.buffers):
            return None
        if not moving:
            return True
        return "weights" if own else None

    def freeze(self) -> list[str]:
        """Globs for what is frozen of the entries that say nothing of it: each a path; `!` thaws what is beneath."""
        frozen: dict[str, bool] = {}
        for call in self.training.all_calls():
            if call.path not in self.frozen_whole:
                own = [param for name, param in self._params(call) if param.path == _path(call, name)]
                frozen |= {param.path: not param.trainable for param in own}
                buffers = [_path(call, name) for name in call.buffers]
                frozen |= {path: path not in self.training.updates for path in buffers}
        globs: list[Glob] = []
        for path in sorted(frozen, key=lambda path: path.count(".")):
            last = last_match(globs, path)
            if frozen[path] != (last is not None and not last.thaws):
                globs.append(Glob(path if frozen[path] else f"!{path}"))
        return [glob.text for glob in globs]

    def outputs(self) -> Plain:
        """References by name; those of training alone are values of the training graph."""
        others = {output.name: output.value for output in self.inference.outputs}
        in_training = {one: name for (one, _), name in reversed(self.names.items())}
        return {
            output.name: self.names[output.value, others[output.name]]
            if output.name in others
            else {"from": in_training[output.value], "only": "training"}
            for output in self.training.outputs
        }

    def _params(self, call: Call) -> list[tuple[str, Param]]:
        return [(name, self.params[value]) for name, value in call.params.items()]

    def free_name(self, path: str) -> str:
        """A name for a further application of the layer at `path`."""
        number = 2
        while f"{path}-{number}" in self.taken:
            number += 1
        self.taken.add(f"{path}-{number}")
        return f"{path}-{number}"


def _ports(call: Call) -> list[str]:
    """The ports of a call's outputs; the main one needs no name."""
    layer: Any = call.layer
    names = layer.port_names(len(call.outputs))
    return list(names) if layer.numbered_ports else ["", *names[1:]]


def _path(call: Call, name: str) -> str:
    return f"{call.path}.{name}" if name else call.path


def _input(entry: Input) -> Plain:
    shape = [is_symbol(size) or _size(size) for size in entry.value.shape]
    found: Plain = {"shape": shape, "dtype": entry.value.type.dtype}
    return found if entry.default is None else {**found, "default": entry.default}


def _size(size: Size) -> int | str:
    return f"$({size})" if isinstance(size, Dim) else size


def _configuration(configuration: BaseModel | str) -> str | Plain:
    """An initialiser with all its fields, or its word where it has none."""
    if isinstance(configuration, str):
        return configuration
    fields = _fields(configuration)
    word: str = configuration.type  # type: ignore[attr-defined]
    return {"type": word, **fields} if fields else word


def _fields(configuration: Any) -> Plain:
    """All fields but the type; a default of none is what leaving the field out means."""
    values = {name: getattr(configuration, name) for name in written_fields(type(configuration))}
    return {name: _plain(value) for name, value in values.items() if value is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return [_plain(each) for each in value]
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    return _size(value) if isinstance(value, Dim) else value
