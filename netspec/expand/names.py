"""What the entries of a body can refer to: results by name, and entries that can be applied once more."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

from netspec.errors import LanguageError, Location
from netspec.expressions.values import ShapedValue
from netspec.expressions.values import Value as Plain
from netspec.graph.graph import Value
from netspec.language.names import is_identifier
from netspec.language.scope import Scope

if TYPE_CHECKING:
    from netspec.expand.reading import Given, Outcome


@dataclass(frozen=True)
class Result:
    """What an input or an entry gives to others: its outputs by port; None if it is in error.

    `plain` is what its name alone means: a layer's `main` output, which is the first; the `only` one of a block; `all`
    of a parallel loop and of a layer with numbered outputs.
    """

    ports: Mapping[str, Value] | None
    plain: Literal["main", "only", "all"] = "main"

    @property
    def main(self) -> Value:
        """The first output."""
        assert self.ports
        return next(iter(self.ports.values()))

    def values(self, name: str, location: Location | None, label: str = "") -> list[Value]:
        """What the name alone means to the entry `label`. Raises LanguageError where a block has several outputs."""
        assert self.ports is not None
        values = list(self.ports.values())
        if self.plain == "only" and len(values) > 1:
            ports = ", ".join(f"{name}:{port}" for port in self.ports)
            reader = f"{label}: " if label else ""
            raise LanguageError(f"{reader}{name} has several outputs: name one, {ports}", location)
        return values if self.plain == "all" else values[:1]

    def require_single(self, name: str, location: Location) -> None:
        """A LanguageError where the last entry of a body without `outputs`, called `name`, gives several or none."""
        assert self.ports is not None
        if self.plain == "only" and len(self.ports) != 1:
            message = "outputs is required: the last entry has no output"
            if self.ports:
                ports = ", ".join(f'{port}: "{name or "NAME"}:{port}"' for port in self.ports)
                message = f"outputs is required: the last entry has several; name them: outputs: {{{ports}}}"
            raise LanguageError(message, location)


BROKEN = Result(None)


def _no_shape(name: str, outputs: int) -> Plain:
    raise LanguageError(f"{name} has {outputs} outputs: only the shape of an entry with one can be read")


# Applies an entry once more, with the same arguments, weights and buffers, to other inputs.
Again = Callable[["Given", str], "Outcome"]


class Names:
    """The names of one body. A group sees those around it, a block does not."""

    def __init__(self, scope: Scope, around: Names | None = None) -> None:
        self.scope = scope
        self.around = around
        self.results: dict[str, Result] = {}
        self._again: dict[str, Again] = {}

    def add(self, name: str, result: Result, again: Again | None = None) -> None:
        """An input or a named entry, for all that comes below it."""
        self.results[name] = result
        if again is not None:
            self._again[name] = again
        if not is_identifier(name):
            return
        if result.ports is None:
            self.scope.define_broken(name)
        elif result.plain != "all" and (result.plain == "main" or len(result.ports) == 1):
            self.scope.define(name, ShapedValue(next(iter(result.ports.values())).shape))
        else:  # it hides an outer name all the same
            self.scope.define_later(name, partial(_no_shape, name, len(result.ports)), None)

    def find(self, name: str) -> Result | None:
        """What `name` stands for, here or around; BROKEN where a name may be missing because of another mistake."""
        names: Names | None = self
        while names is not None:
            if name in names.results:
                return names.results[name]
            if names.scope.incomplete:
                return BROKEN
            if names.scope.is_number(name):
                return None
            names = names.around
        return None

    def again(self, name: str) -> Again | None:
        """How the entry `name` is applied once more; None where there is no such entry."""
        names: Names | None = self
        while names is not None:
            if name in names.results:
                return names._again.get(name)
            names = names.around
        return None

    def known(self) -> list[str]:
        """All names that can be referred to here."""
        return [*self.results, *(self.around.known() if self.around else ())]
