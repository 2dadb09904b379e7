"""What a text says: plain values, each with the place where it is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from netspec.errors import Location
from netspec.expressions.place import Place
from netspec.expressions.scalars import Scalar

Plain = Scalar | list["Plain"] | dict[str, "Plain"]

NO_KEYS: Mapping[str, Location] = MappingProxyType({})


class Node(NamedTuple):
    """One value of a text. A plain tuple, because a spec of 12,000 layers has 100,000 of them.

    An aliased value is one Node in several places of the tree, with the location of its anchor.
    """

    value: Scalar | list[Node] | dict[str, Node]
    location: Location
    keys: Mapping[str, Location] = NO_KEYS  # of a mapping: where each key is written
    start: Location | None = None  # of a string: see Place

    @property
    def place(self) -> Place:
        """Where a string is written, for the errors of its expressions."""
        return Place(self.location, self.start)

    def plain(self) -> Plain:
        """The value as plain dicts, lists and scalars, made anew."""
        if isinstance(self.value, dict):
            return {key: child.plain() for key, child in self.value.items()}
        if isinstance(self.value, list):
            return [child.plain() for child in self.value]
        return self.value

    def locate(self, path: Iterable[str | int], *, key: bool = False) -> Location:
        """Where the value at `path` is written, or with `key` its key.

        A step that is not in the tree is passed over: so a missing field gets the place of the mapping that lacks
        it, and the names of union members in pydantic's paths do no harm.
        """
        node, location = self, self.location
        for step in path:
            if isinstance(node.value, dict) and isinstance(step, str) and step in node.value:
                location = node.keys[step] if key else node.value[step].location
                node = node.value[step]
            elif isinstance(node.value, list) and isinstance(step, int) and 0 <= step < len(node.value):
                node = node.value[step]
                location = node.location
        return location


class Document(NamedTuple):
    """A file that was read: its name as the user wrote it, and its top mapping."""

    file: str
    root: Node
