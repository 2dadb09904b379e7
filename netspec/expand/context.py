"""What all bodies of one expansion share: the builder, the budget, the paths in use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from netspec.errors import LanguageError, Location, TooLargeError
from netspec.expand.configuration import Configurator
from netspec.expand.freezing import Freezing
from netspec.graph.builder import Builder
from netspec.language.names import check_path
from netspec.language.scope import Scope
from netspec.language.spec import ModelSpec
from netspec.layers.base import Layer

MAX_LAYERS = 12_000
MAX_DEPTH = 32  # groups and blocks inside each other: each takes about ten of the 1,000 frames of Python's stack
MAX_ENTRIES = 4 * MAX_LAYERS  # with groups, and those that are absent: 2 s


@dataclass
class Context:
    """`scope` holds the names that every block sees: the file's params, let and symbols."""

    spec: ModelSpec
    builder: Builder
    freezing: Freezing
    scope: Scope
    configurator: Configurator
    layers: dict[str, Layer]
    paths: set[str] = field(default_factory=set)
    told: set[tuple[Location | None, str]] = field(default_factory=set)  # mistakes in blocks, so that each is told once
    endless: frozenset[str] = frozenset()  # blocks that contain themselves
    open_blocks: list[str] = field(default_factory=list)
    again: tuple[str, ...] = ()  # the paths of the entries that are being applied once more, the innermost last
    depth: int = 0  # how many lists of entries are open
    _layers: int = 0
    _entries: int = 0

    def charge(self, location: Location, layers: int = 0) -> None:
        """Count an entry, and the layers that it is. Raises TooLargeError."""
        self._entries += 1
        self._layers += layers
        if self._layers > MAX_LAYERS:
            raise TooLargeError(f"more than {MAX_LAYERS:,} layers", location)
        if self._entries > MAX_ENTRIES:
            raise TooLargeError(f"more than {MAX_ENTRIES:,} entries, with those that are absent", location)

    def claim(self, path: str, location: Location) -> None:
        """Take a path for an entry. Raises LanguageError where another entry has it."""
        check_path(path, location)
        if self.again:
            return
        if path in self.paths:
            raise LanguageError(f"a second layer with the path {path}", location)
        self.paths.add(path)

    @contextmanager
    def applying_again(self, path: str, location: Location) -> Iterator[None]:
        """Within it the entry `path` is applied once more, under the paths that it has.

        Raises LanguageError where it is being applied once more already: it would go on for ever.
        """
        if path in self.again:
            raise LanguageError(f"{path}: share: an entry cannot be applied inside itself", location)
        before, self.again = self.again, (*self.again, path)
        try:
            yield
        finally:
            self.again = before

    @contextmanager
    def entries(self, location: Location) -> Iterator[None]:
        """Within it the entries of one list are expanded. Raises LanguageError where lists are nested too deep."""
        if self.depth >= MAX_DEPTH:
            raise LanguageError(f"groups and blocks inside each other, more than {MAX_DEPTH} deep", location)
        self.depth += 1
        try:
            yield
        finally:
            self.depth -= 1
