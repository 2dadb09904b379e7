"""From a pair of graphs to the sources of modules: one for the whole, one for each layer that holds parameters."""

from __future__ import annotations

import itertools
import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

from torch import Tensor, fx

from netspec.backend import Fused, Lowerings
from netspec.graph.dims import symbol
from netspec.graph.graph import Buffer, Call, Graph, GraphPair, Input, LayerConfiguration, Output, Param, Value
from netspec.graph.types import TensorType
from netspec.layers.base import Layer, input_names
from netspec.layers.validation import written_fields
from netspec_torch.source import Source, Text
from netspec_torch.tape import Constants, Tape, argument_names, module_at, tensor_at

NO_TEXTS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Translation:
    """The sources of one spec: of the model, and of each layer that holds parameters or buffers, by its path.

    `arguments` are the names of the arguments of the model's forward, by the name of the input; `constants` the arrays
    that forwards read, by the path of their module and their name in it.
    """

    model: Source
    layers: Mapping[str, Source]
    arguments: Mapping[str, str]
    constants: Mapping[str, Mapping[str, Tensor]]


def translate(graphs: GraphPair, lowerings: Lowerings, fused: Fused) -> Translation:
    """The sources of all modules that `graphs` become."""
    inputs = list(dict.fromkeys(entry.name for graph in (graphs.inference, graphs.training) for entry in graph.inputs))
    arguments = dict(zip(inputs, argument_names(inputs), strict=True))
    model = Method(graphs.name, "", _left_out(graphs.inference, arguments))
    layers: dict[str, Method] = {}
    for training in (False, True):
        model.add(training, _Whole(graphs.of(training), arguments, lowerings, fused, layers, model.constants).form())
    return Translation(
        model.source(),
        {path: method.source() for path, method in layers.items()},
        arguments,
        {path: method.constants.tensors for path, method in {"": model, **layers}.items()},
    )


class Method:
    """A forward method: one form for inference and one for training; more where a shared layer meets other shapes."""

    def __init__(self, name: str, fields: str, left_out: Mapping[str, str] = NO_TEXTS) -> None:
        """`left_out` gives for each argument that may be left out the text that makes it."""
        self._name = name
        self._fields = fields
        self._left_out = left_out
        self._forms: dict[bool, list[Text]] = {False: [], True: []}
        self.constants = Constants()

    def add(self, training: bool, form: Text) -> int:
        """The number of `form` among those of its mode."""
        forms = self._forms[training]
        if form not in forms:
            forms.append(form)
        return forms.index(form)

    def source(self) -> Source:
        inference, training = self._forms[False], self._forms[True]
        if inference and training and inference != training:
            body = f"if self.training:\n{_indent(_branches(training))}\n{_branches(inference)}"
        else:
            body = _branches(inference or training)
        forms = inference + training
        filled = [f"if {argument} is None:\n    {argument} = {text}\n" for argument, text in self._left_out.items()]
        arguments, missing = self._signature(forms)
        body = "".join(missing + filled) + body
        if max(len(inference), len(training)) > 1:
            arguments.append("form=0")
        functions = dict(function for form in forms for function in form.functions)
        return Source(self._name, self._fields, Text(tuple(arguments), body, tuple(functions.items())))

    def _signature(self, forms: list[Text]) -> tuple[list[str], list[str]]:
        """The arguments, and the lines that ask for those that are needed behind one that may be left out.

        The model's stay in the order of the spec, in which they may be given. A layer's are given by the model.
        """
        every = dict.fromkeys(argument for form in forms for argument in form.arguments)
        needed = [argument for argument in every if all(argument in form.arguments for form in forms)]
        if not self._left_out:
            return [*needed, *(f"{argument}=None" for argument in every if argument not in needed)], []
        leading = list(itertools.takewhile(lambda argument: argument not in self._left_out, every))
        missing = [
            f'if {argument} is None:\n    raise TypeError("input {argument} is missing")\n'
            for argument in every
            if argument not in leading and argument not in self._left_out
        ]
        return [argument if argument in leading else f"{argument}=None" for argument in every], missing


def _left_out(graph: Graph, arguments: Mapping[str, str]) -> dict[str, str]:
    """For each argument with a default the expression that fills it."""
    given = [entry for entry in graph.inputs if entry.default is None]
    sizes = {name: f"{arguments[entry.name]}.size({axis})" for name, (entry, axis) in graph.symbols().items()}
    floats = [f"{arguments[entry.name]}.dtype" for entry in given if entry.value.type.dtype == "float"]
    held_floats = (held for held in graph.state if held.value.type.dtype == "float")
    floats += [f"{tensor_at(held.path, isinstance(held, Param))}.dtype" for held in held_floats]
    found: dict[str, str] = {}
    for entry in graph.inputs:
        if entry.default is not None:
            each = [re.sub(r"[A-Za-z_]\w*", lambda m: sizes[m[0]], str(size)) for size in entry.value.shape]
            shape = "".join(f"{size}, " for size in each).strip()
            dtype = f"torch.{entry.value.type.dtype}"
            if entry.value.type.dtype == "float":
                dtype = [*floats, "torch.get_default_dtype()"][0]
            device = f", device={arguments[given[0].name]}.device" if given else ""
            found[arguments[entry.name]] = f"torch.full(({shape}), {entry.default!r}, dtype={dtype}{device})"
    return found


def _branches(forms: list[Text]) -> str:
    first, *others = forms
    chosen = [f"if form == {number}:\n{_indent(form.body)}\n" for number, form in enumerate(others, start=1)]
    return "".join(chosen) + first.body


def _indent(text: str) -> str:
    return textwrap.indent(text, "    ")


class _Whole:
    """Records the model's own forward, and adds to `layers` the forms of the layers that it calls as submodules."""

    def __init__(
        self,
        graph: Graph,
        arguments: Mapping[str, str],
        lowerings: Lowerings,
        fused: Fused,
        layers: dict[str, Method],
        constants: Constants,
    ) -> None:
        self._graph = graph
        self._lowerings = lowerings
        self._fused = fused
        self._layers = layers
        self._homes = _homes(graph)
        self._tape = Tape(constants)
        self._inputs = {entry.name: self._tape.argument(arguments[entry.name]) for entry in graph.inputs}

    def form(self) -> Text:
        forms = {type(call.layer): self._call for call in self._graph.all_calls()}
        outputs = self._tape.run(self._graph, self._lowerings, forms, self._inputs)
        return self._tape.finish(next(iter(outputs.values())) if len(outputs) == 1 else outputs)

    def _call(self, call: Call, *inputs: fx.Proxy, **state: fx.Proxy) -> Any:
        """Stands for every layer in the table of fused forms: calls a submodule, or uses the layer's own form."""
        home = self._homes.get(call)
        if home is None:
            native = self._fused.get(type(call.layer))
            return NotImplemented if native is None else native(call, *inputs, **state)
        layer = _LayerForm(call, home, self._graph)
        method = self._layers.setdefault(home.path, Method(call.layer.type, _fields(call.layer)))
        form = layer.form(self._lowerings, self._fused, method.constants)
        keywords: dict[str, Any] = {}
        for argument, name in layer.foreign.items():
            keywords[argument] = state[name]
        for argument, name in layer.symbols.items():
            if argument in form.arguments:
                entry, axis = self._graph.symbols()[name]
                keywords[argument] = self._tape.size(name, partial(self._inputs[entry.name].size, axis))
        number = method.add(self._graph.training, form)
        if number:
            keywords["form"] = number
        keywords |= {layer.optional[name]: state[name] for name in call.optional}
        result: Any = self._tape.call(module_at(home.path), home.path, inputs, keywords)
        outputs = tuple(result[k] for k in range(len(call.outputs))) if len(call.outputs) > 1 else result
        return (outputs, {}) if call.updates else outputs


@dataclass(frozen=True)
class _Home:
    """The submodule that a layer is, and those of its parameters and buffers, by local name, that stand in it."""

    path: str
    own: frozenset[str]


def _homes(graph: Graph) -> dict[Call, _Home]:
    """The submodule of each layer that is one. A layer that reads another one's parameters alone has none."""
    paths = {held.value: held.path for held in graph.state}
    homes: dict[Call, _Home] = {}
    layers: dict[str, LayerConfiguration] = {}
    for call in graph.all_calls():
        state = {name: paths[value] for name, value in (*call.params.items(), *call.buffers.items())}
        paths.update((value, paths[call.buffers[name]]) for name, value in call.updates.items())
        owners = {name: path.removesuffix(f".{name}") for name, path in state.items() if path.endswith(f".{name}")}
        shared = next(iter(owners.values()), call.path)
        if call.path not in owners.values() and len(owners) == len(state) and layers.get(shared) == call.layer:
            home = shared
        else:
            home = call.path
        own = frozenset(name for name, owner in owners.items() if owner == home)
        if own:
            homes[call] = _Home(home, own)
            layers[home] = call.layer
    return homes


class _LayerForm:
    """Records the forward of one layer. What it cannot read off its inputs or itself it gets as further arguments.

    These are, by argument, `foreign` parameters, which stand in another layer, and the sizes of `symbols`. `optional`
    are the arguments of the optional inputs that are given.
    """

    def __init__(self, call: Call, home: _Home, graph: Graph) -> None:
        self._call = call
        self._home = home
        state = (*call.params, *call.buffers)
        inputs = _input_names(call)
        foreign = [name for name in state if name not in home.own]
        names = argument_names([*inputs, *foreign, *graph.symbols()])
        self._arguments = names[: len(inputs)]
        self.optional = dict(zip(call.optional, self._arguments[len(inputs) - len(call.optional) :], strict=True))
        self.foreign = dict(zip(names[len(inputs) :], foreign, strict=False))
        self.symbols = dict(zip(names[len(inputs) + len(foreign) :], graph.symbols(), strict=True))
        self._training = graph.training

    def form(self, lowerings: Lowerings, fused: Fused, constants: Constants) -> Text:
        tape = Tape(constants)
        given = {name: tape.argument(name) for name in (*self._arguments, *self.foreign)}
        sizes = {name: tape.argument(name, droppable=True) for name in self.symbols}
        outputs = tape.run(
            self._graph(),
            lowerings,
            fused,
            {**given, **sizes},
            # A symbol that an input of the layer shows is read there; the argument is for the others.
            lambda x, axis: x if any(x is size for size in sizes.values()) else x.size(axis),
        )
        result = tuple(outputs.values())
        return tape.finish(result if len(result) > 1 else result[0])

    def _graph(self) -> Graph:
        """The call alone as a graph, its state by local name."""
        call, home = self._call, self._home
        values = {**call.params, **call.buffers}
        inputs = [Input(name, value) for name, value in zip(self._arguments, call.inputs, strict=True)]
        inputs += [Input(argument, values[name]) for argument, name in self.foreign.items()]
        inputs += [Input(argument, Value(TensorType((symbol(name),)))) for argument, name in self.symbols.items()]
        state: list[Param | Buffer] = [Param(name, call.params[name], None) for name in call.params if name in home.own]
        state += [Buffer(name, call.buffers[name], None) for name in call.buffers if name in home.own]
        return Graph(
            name=call.path,
            training=self._training,
            inputs=tuple(inputs),
            state=tuple(state),
            nodes=(call,),
            outputs=tuple(Output(str(number), value) for number, value in enumerate(call.outputs)),
            updates=call.updates,
        )


def _input_names(call: Call) -> list[str]:
    assert isinstance(call.layer, Layer)
    names = input_names(type(call.layer))
    if names.variadic:
        return [f"x{number}" for number in range(len(call.inputs))]
    return [*names.required, *call.optional]


def _fields(layer: LayerConfiguration) -> str:
    assert isinstance(layer, Layer)
    return ", ".join(f"{name}={getattr(layer, name)!r}" for name in written_fields(type(layer)))
