"""Recording one way through a forward method with torch.fx, and its text."""

from __future__ import annotations

import inspect
import keyword
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import fx, nn

from netspec.backend import BodyFunction, Fused, Lowerings, run
from netspec.graph.graph import Body, Graph, Param, Value
from netspec.graph.ops import Arange, Array, Control
from netspec_torch import control
from netspec_torch.source import Text

# fx writes `self.<target>`. A target that no spec can name stands for the place until the text is done, because
# entries may be called `class`, `0`, `a-b` or `train`: words that are no attribute, or another one, of a module.
_PLACE = re.compile(r"self\.µ(\d+)µ")
# A line that stands for the function of a body.
_DEFINITION = re.compile(r"^(\w+) = self\.µ(\d+)µ.*$", re.MULTILINE)
# Names that the text uses itself.
_TAKEN = ("self", "form", "torch", "inf", "nan")
# Names of functions begin with it, which a function inside the text must see past the variables around it.
_OWN = "netspec_"
_MODULE_ATTRIBUTES = frozenset(dir(nn.Module()))


class Constants:
    """The arrays that the forward of a module reads beside its state: buffers that are not saved, by name."""

    def __init__(self) -> None:
        self.tensors: dict[str, torch.Tensor] = {}

    def name(self, tensor: torch.Tensor) -> str:
        """The name of `tensor`, which no entry of a spec can have; equal ones share it."""
        for name, known in self.tensors.items():
            if known.dtype == tensor.dtype and torch.equal(known, tensor):
                return name
        name = f"constant:{len(self.tensors)}"
        self.tensors[name] = tensor
        return name


class Tape:
    """An fx graph that is being recorded; `constants` are those of the module that it will be the forward of.

    The body of control flow is recorded as a graph of its own, which becomes a function inside the text.
    """

    def __init__(self, constants: Constants) -> None:
        self._constants = constants
        self._places: list[str] = []
        self._texts: dict[int, Text] = {}  # of bodies, by the number of their place
        self._begin()

    def _begin(self) -> None:
        self._graph = fx.Graph()
        self._tracer = fx.proxy.GraphAppendingTracer(self._graph)
        self._droppable: list[fx.Proxy] = []
        self._sizes: Mapping[str, Any] | None = None  # of symbols, in the body of control flow
        self._like: Any = None  # a tensor on the device of all

    def argument(self, name: str, droppable: bool = False) -> fx.Proxy:
        """An argument of the method; a droppable one is there only if something reads it."""
        proxy = fx.Proxy(self._graph.placeholder(name), self._tracer)
        if droppable:
            self._droppable.append(proxy)
        return proxy

    def call(self, place: str, name: str, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> fx.Proxy:
        """The call of the submodule at `place`, its result in a variable called much like `name`."""
        return self._create("call_module", place, argument_names([name])[0], arguments, keywords)

    def run(
        self,
        graph: Graph,
        lowerings: Lowerings,
        fused: Fused,
        inputs: Mapping[str, fx.Proxy],
        size_of: Callable[[fx.Proxy, int], Any] = lambda x, axis: x.size(axis),
    ) -> dict[str, Any]:
        """Record `graph`, the updates of buffers included, which are made in place; its outputs by name."""
        state = {}
        for held in graph.state:
            proxy = self._create("get_attr", tensor_at(held.path, isinstance(held, Param)), held.path, (), {})
            self._droppable.append(proxy)
            state[held.path] = proxy
        tensors = [(held.value, state[held.path]) for held in graph.state]
        tensors += [(entry.value, inputs[entry.name]) for entry in graph.inputs]
        floats = [proxy for value, proxy in tensors if value.type.dtype == "float"]
        self._like = next(iter((*floats, *(proxy for _, proxy in tensors))))

        def array(**attributes: Any) -> fx.Proxy:
            name = self._constants.name(lowerings[Array](**attributes))
            return self._create("get_attr", f"self._buffers[{name!r}]", "constant", (), {})

        def arange(**attributes: Any) -> Any:
            return lowerings[Arange](**attributes, like=self._like)

        forms: Lowerings = {op: partial(form, self) for op, form in lowerings.items() if issubclass(op, Control)}
        table: Lowerings = {**lowerings, Array: array, Arange: arange, **forms}
        results = run(graph, table, fused, inputs, state, size_of)
        for path, value in results.updates.items():
            if value is not state[path]:  # else it was changed in place, by a fused form or a submodule
                state[path].copy_(value.detach())
        return results.outputs

    def size(self, name: str, outside: Callable[[], Any]) -> Any:
        """The size of the symbol `name` where the tape is: an argument of a body, else what `outside` records."""
        return outside() if self._sizes is None else self._sizes[name]

    def function(self, word: str, body: BodyFunction, given: Sequence[Any], fixed: int) -> tuple[fx.Proxy, Any]:
        """The function of a body, called much like `word`, and what it reads of `given` behind the first `fixed`.

        The first are arguments in any case; of the others only what the body reads, sizes of symbols included.
        """
        outer = self._graph, self._tracer, self._droppable, self._sizes, self._like
        names = argument_names([*_value_names(body.body, fixed), *body.sizes, "like"])
        read = dict(zip(names, (*given, *body.sizes.values(), self._like), strict=True))
        self._begin()
        values = [self.argument(name, number >= fixed) for number, name in enumerate(names[: len(given)])]
        sizes = [self.argument(name, droppable=True) for name in names[len(given) : -1]]
        self._sizes = dict(zip(body.sizes, sizes, strict=True))
        self._like = self.argument(names[-1], droppable=True)
        results = body.run(values, self._sizes)
        text = self.finish(self.tensors(results, body.body.outputs))
        self._graph, self._tracer, self._droppable, self._sizes, self._like = outer
        self._texts[len(self._places)] = text
        made = self._create("get_attr", "", word, (), {})
        return made, tuple(read[name] for name in text.arguments[fixed:])

    def tensors(self, given: Iterable[Any], values: Iterable[Value]) -> tuple[fx.Proxy, ...]:
        """What is given, numbers as tensors of the types of `values`."""
        return tuple(
            x
            if isinstance(x, fx.Proxy)
            else self._tracer.create_proxy("call_function", control.number, (self._like, x, value.type.dtype), {})
            for x, value in zip(given, values, strict=True)
        )

    def apply(self, function: Callable[..., Any], arguments: tuple[Any, ...], outputs: int) -> tuple[fx.Proxy, ...]:
        """The call of a function that gives a tuple of `outputs` values."""
        result: Any = self._tracer.create_proxy("call_function", function, arguments, {})
        found = tuple(result[number] for number in range(outputs))
        self._droppable += found
        return found

    def finish(self, result: Any) -> Text:
        """The text of all that was recorded, returning `result`."""
        self._graph.output(self._tracer.create_arg(result))
        for proxy in self._droppable:
            if not proxy.node.users:
                self._graph.erase_node(proxy.node)
        code = self._graph.python_code("self")
        _, body = code.src[code.src.index("def forward(") :].split("\n", 1)
        functions: dict[str, Any] = {name: value for name, value in code.globals.items() if inspect.isroutine(value)}

        def define(match: re.Match[str]) -> str:
            inner = self._texts.get(int(match[2]))
            if inner is None:
                return match[0]
            functions.update(inner.functions)
            return f"def {match[1]}({', '.join(inner.arguments)}):\n{textwrap.indent(inner.body, '    ')}"

        body = _DEFINITION.sub(define, textwrap.dedent(body).strip("\n"))
        body = _PLACE.sub(lambda match: self._places[int(match[1])], body)
        arguments = tuple(str(node.target) for node in self._graph.nodes if node.op == "placeholder")
        return Text(arguments, body, tuple(functions.items()))

    def _create(
        self, kind: str, place: str, name: str, arguments: tuple[Any, ...], keywords: dict[str, Any]
    ) -> fx.Proxy:
        self._places.append(place)
        target = f"µ{len(self._places) - 1}µ"
        name = f"_{name}" if name.startswith(_OWN) else name
        return self._tracer.create_proxy(kind, target, arguments, keywords, name=name)


def module_at(path: str) -> str:
    """The expression for the submodule at `path` of `self`, whatever its names are.

    It also keeps deep paths fast: an attribute of a module takes 1.1 us to read, its dict 0.1 us.
    """
    return "self" + "".join(f"._modules[{name!r}]" for name in path.split(".") if path)


def argument_names(names: Iterable[str]) -> list[str]:
    """An identifier for each name, the name itself where it is one; all different."""
    found: list[str] = []
    for name in names:
        identifier = re.sub(r"\W", "_", name)
        if identifier[:1].isdigit():
            identifier = f"_{identifier}"
        if identifier.startswith(_OWN):
            identifier = f"_{identifier}"
        while identifier in _TAKEN or identifier in found or keyword.iskeyword(identifier):
            identifier += "_"
        found.append(identifier)
    return found


def tensor_at(path: str, is_param: bool) -> str:
    """The expression for a parameter or buffer: where it can be, an attribute, so that parametrizations of it hold."""
    home, _, name = path.rpartition(".")
    if name.isidentifier() and not keyword.iskeyword(name) and name not in _MODULE_ATTRIBUTES:
        return f"{module_at(home)}.{name}"
    return f"{module_at(home)}.{'_parameters' if is_param else '_buffers'}[{name!r}]"


def _value_names(body: Body, own: int) -> list[str]:
    """Names for the inputs of a body: of those that it is handed as they are the paths of what they come from."""
    paths = [value.origin.path.rpartition(":")[2] if value.origin else "x" for value in body.inputs]
    return [f"x{number}" if number < own else path or "x" for number, path in enumerate(paths)]
