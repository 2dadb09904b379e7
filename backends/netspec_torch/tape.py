"""Recording one way through a forward method with torch.fx, and its text."""

from __future__ import annotations

import inspect
import keyword
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import torch
from torch import fx, nn

from netspec.backend import Fused, Lowerings, run
from netspec.graph.graph import Graph, Param
from netspec.graph.ops import Arange, Array
from netspec_torch.source import Text

# fx writes `self.<target>`. A target that no spec can name stands for the place until the text is done, because
# entries may be called `class`, `0`, `a-b` or `train`: words that are no attribute, or another one, of a module.
_PLACE = re.compile(r"self\.µ(\d+)µ")
# Names that the text uses itself.
_TAKEN = ("self", "form", "torch", "inf", "nan")
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
    """An fx graph that is being recorded; `constants` are those of the module that it will be the forward of."""

    def __init__(self, constants: Constants) -> None:
        self._constants = constants
        self._graph = fx.Graph()
        self._tracer = fx.proxy.GraphAppendingTracer(self._graph)
        self._places: list[str] = []
        self._droppable: list[fx.Proxy] = []

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
        like = next(iter((*state.values(), *inputs.values())))

        def array(**attributes: Any) -> fx.Proxy:
            name = self._constants.name(lowerings[Array](**attributes))
            return self._create("get_attr", f"self._buffers[{name!r}]", "constant", (), {})

        table: Lowerings = {**lowerings, Array: array, Arange: partial(lowerings[Arange], like=like)}
        results = run(graph, table, fused, inputs, state, size_of)
        for path, value in results.updates.items():
            if value is not state[path]:  # else it was changed in place, by a fused form or a submodule
                state[path].copy_(value.detach())
        return results.outputs

    def finish(self, result: Any) -> Text:
        """The text of all that was recorded, returning `result`."""
        self._graph.output(self._tracer.create_arg(result))
        for proxy in self._droppable:
            if not proxy.node.users:
                self._graph.erase_node(proxy.node)
        code = self._graph.python_code("self")
        _, body = code.src[code.src.index("def forward(") :].split("\n", 1)
        body = _PLACE.sub(lambda match: self._places[int(match[1])], textwrap.dedent(body).strip("\n"))
        arguments = tuple(str(node.target) for node in self._graph.nodes if node.op == "placeholder")
        functions = tuple((name, value) for name, value in code.globals.items() if inspect.isroutine(value))
        return Text(arguments, body, functions)

    def _create(
        self, kind: str, place: str, name: str, arguments: tuple[Any, ...], keywords: dict[str, Any]
    ) -> fx.Proxy:
        self._places.append(place)
        target = f"µ{len(self._places) - 1}µ"
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
