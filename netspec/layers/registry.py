"""Layer types by name: the built-in ones, and behind them those of installed packages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any

from netspec.errors import NetspecError, printable
from netspec.layers.base import Layer

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

ENTRY_POINTS = "netspec.layers"


class LayerTypes(Mapping[str, type[Layer]]):
    """Maps the word in a spec to the class of the layer. `built_in` has the place of each, as in `linear:Linear`.

    An installed package adds a layer by an entry point in the group `netspec.layers`, named like the layer's type. It
    is loaded when a spec first names that type, so that packages cost nothing otherwise (finding them takes 10 to 20
    ms). A built-in type goes before any other of its name: no package changes what a spec means.
    """

    def __init__(self, built_in: Mapping[str, str]) -> None:
        self.built_in = built_in
        self._loaded: dict[str, type[Layer]] = {}

    def __getitem__(self, name: str) -> type[Layer]:
        """The class. Raises KeyError where there is no such type, NetspecError where its package cannot be used."""
        layer = self._loaded.get(name)
        if layer is not None:
            return layer
        if name in self.built_in:
            module, _, cls = self.built_in[name].partition(":")
            return self._loaded.setdefault(name, getattr(import_module(f"netspec.layers.{module}"), cls))
        if not name[:1].islower() or name not in self._points:  # a block begins with a capital
            raise KeyError(name)
        return self._loaded.setdefault(name, _load(self._points[name]))

    def __iter__(self) -> Iterator[str]:
        yield from self.built_in
        yield from self._points

    def __len__(self) -> int:
        return len(self.built_in) + len(self._points)

    def type_of_class(self, cls: str) -> str | None:
        """The built-in type whose class has that name."""
        return next((name for name, place in self.built_in.items() if place.endswith(f":{cls}")), None)

    def package(self, name: str) -> str | None:
        """The distribution that brings the type; None for a built-in one."""
        point = None if name in self.built_in else self._points.get(name)
        return None if point is None or point.dist is None else point.dist.name

    @cached_property
    def _points(self) -> Mapping[str, EntryPoint]:
        from importlib.metadata import entry_points

        found = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
        return {name: found[name] for name in sorted(found) if name not in self.built_in}


def _load(point: EntryPoint) -> type[Layer]:
    """The class that an entry point names, after a look at what every layer must have."""
    where = f"layer {printable(point.name[:64])} of {point.dist.name if point.dist else point.value}"
    try:
        layer: Any = point.load()
    except Exception as error:
        raise NetspecError(f"{where} cannot be loaded from {point.value}: {type(error).__name__}: {error}") from error
    if not (isinstance(layer, type) and issubclass(layer, Layer)):
        raise NetspecError(f"{where}: {point.value} is no netspec.Layer")
    if layer.model_fields["type"].default != point.name:
        raise NetspecError(f"{where}: its type is {layer.model_fields['type'].default!r}, not the entry point's name")
    return layer
