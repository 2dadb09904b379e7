"""The names that expressions see: params, let, symbols, inputs and named entries of a body, then those around it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from netspec.errors import FollowsError, LanguageError, Location, NetspecError
from netspec.expressions.evaluation import evaluate, fill
from netspec.expressions.parser import contains, read_string
from netspec.expressions.syntax import Expression, Template
from netspec.expressions.values import Value
from netspec.language.document import Node


class AwaitedError(FollowsError):
    """A name stands for an entry that is not expanded yet."""


class Scope(Mapping[str, Value]):
    """One body's names over those around it. A value is computed when it is first asked for, so order is free."""

    def __init__(self, around: Scope | None = None, *, of_one_body: bool = False) -> None:
        """A scope inside `around`; with `of_one_body` both are parts of one: no name may be in both."""
        self._around = around
        self._values: dict[str, Value] = {}
        self._pending: dict[str, tuple[Callable[[], Value], Location | None]] = {}
        self._defined: dict[str, tuple[str, Location | None]] = {}  # for each name what it is, and where
        self._lower: dict[str, str] = {}
        self._open: list[str] = []
        self._broken: set[str] = set()
        if of_one_body and around is not None:
            self._defined, self._lower, self._open = around._defined, around._lower, around._open
        # Whether names are missing here because what should give them is in error: then an unknown one is no mistake.
        self.incomplete = False
        # Names of entries that are not expanded yet: a `let` that asks for one is computed later.
        self.awaited: frozenset[str] = frozenset()

    def claim(self, name: str, what: str, location: Location | None) -> None:
        """Take `name` for `what`, or a LanguageError where this body has it already, in whatever case."""
        other = self._lower.get(name.lower())
        if other is not None:
            kind, place = self._defined[other]
            where = f" at {place}" if place else ""
            hint = f"; write $({name}) for its value" if {kind, what} == {"a param", "a symbol of a shape"} else ""
            twice = name if other == name else f"{name} and {other}, which differ only in case"
            raise LanguageError(f"{twice}: {what} and {kind}{where} of one name{hint}", location)
        self._lower[name.lower()] = name
        self._defined[name] = (what, location)

    def is_number(self, name: str) -> bool:
        """Whether `name` is a param or a let of this body, which nothing can refer to."""
        return name in self._defined and self._defined[name][0] in ("a param", "a let")

    def define(self, name: str, value: Value) -> None:
        """Give a value to a name."""
        self._broken.discard(name)
        self._values[name] = value

    def define_broken(self, name: str) -> None:
        """A name that is in error: to read it raises FollowsError."""
        self._broken.add(name)

    def define_later(self, name: str, compute: Callable[[], Value], location: Location | None) -> None:
        """A name whose value `compute` gives when it is asked for."""
        self._pending[name] = (compute, location)

    def __getitem__(self, name: str) -> Value:
        if name in self._broken:
            raise FollowsError
        if name in self._values:
            return self._values[name]
        if name in self._pending:
            return self._compute(name)
        if name in self.awaited:
            raise AwaitedError
        if self._around is not None and name in self._around:
            return self._around[name]
        if self.incomplete:
            raise FollowsError
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        yield from self._values
        yield from (name for name in self._pending if name not in self._values)
        if self._around is not None:
            yield from self._around

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, name: object) -> bool:
        inside = self.incomplete or name in self._values or name in self._pending or name in self._broken
        inside = inside or name in self.awaited
        return inside or (self._around is not None and name in self._around)

    def knows(self, name: object) -> bool:
        """Whether a name is given here or around: unlike `in`, never for the sake of a name that may be missing."""
        here = name in self._values or name in self._pending
        return here or (self._around is not None and self._around.knows(name))

    def _compute(self, name: str) -> Value:
        compute, location = self._pending[name]
        if name in self._open:
            circle = [*self._open[self._open.index(name) :], name]
            raise LanguageError(f"a circle: {' needs '.join(circle)}", location)
        self._open.append(name)
        try:
            self._values[name] = compute()
        except AwaitedError:
            raise
        except NetspecError:
            self._broken.add(name)
            raise
        except RecursionError:
            self._broken.add(name)
            if len(self._open) > 1:
                raise  # to the first of the chain, where the stack is free again
            message = f"{name} needs another name, that one another, and so on too often: write what is needed first"
            raise LanguageError(message, location) from None
        finally:
            self._open.pop()
        return self._values[name]


def value_of(node: Node, scope: Mapping[str, Value]) -> Value:
    """The plain value of a node: expressions evaluated, lists and mappings throughout.

    An expression stands alone in its string and keeps its type. Raises LanguageError.
    """
    value = node.value
    if isinstance(value, str):
        if not contains(value):
            return value
        read = read_string(value, node.place)
        if isinstance(read, Template):
            raise LanguageError(
                "$(...) stands alone here: it may be a part of a name or a reference only", node.location
            )
        return evaluate(read, scope) if not isinstance(read, str) else read
    if isinstance(value, list):
        return [value_of(item, scope) for item in value]
    if isinstance(value, dict):
        return {key: value_of(item, scope) for key, item in value.items()}
    return value


def resolved(node: Node, scope: Mapping[str, Value]) -> Node:
    """`node`, or the list or mapping that its expression gives, as if it were written there. Raises LanguageError."""
    if isinstance(node.value, str) and contains(node.value):
        read = read_string(node.value, node.place)
        if isinstance(read, Expression):
            value = evaluate(read, scope)
            if isinstance(value, Mapping) or (isinstance(value, Sequence) and not isinstance(value, str)):
                return node_of(value, node.location)
    return node


def node_of(value: Any, location: Location) -> Node:
    """A plain value as if it were written at `location`."""
    if isinstance(value, Mapping):
        children = {str(key): node_of(child, location) for key, child in value.items()}
        return Node(children, location, dict.fromkeys(children, location))
    if isinstance(value, (list, tuple)):
        return Node([node_of(child, location) for child in value], location)
    return Node(value, location)


def text_of(node: Node, scope: Mapping[str, Value], what: str, hint: str = "") -> str:
    """The text of a name or a reference, in which expressions may be parts. Raises LanguageError for another kind."""
    value = node.value
    if isinstance(value, str) and contains(value):
        read = read_string(value, node.place)
        if isinstance(read, Template):
            return fill(read, scope)
        value = evaluate(read, scope) if not isinstance(read, str) else read  # type: ignore[assignment]
    if not isinstance(value, str):
        raise LanguageError(f"{what} must be text{hint}", node.location)
    return value
