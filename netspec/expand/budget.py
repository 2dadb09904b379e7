"""Refuses nested loops that are too large before the first layer is made."""

from __future__ import annotations

from collections.abc import Sequence

from netspec.errors import LanguageError, TooLargeError
from netspec.expand.context import MAX_DEPTH, MAX_LAYERS
from netspec.language.scope import Scope, value_of
from netspec.language.spec import EntrySpec, ModelSpec


def check_size(spec: ModelSpec, shared: Scope) -> None:
    """Raise TooLargeError where the loops whose counts are known beforehand already give too many layers.

    It is a lower bound: an entry with `if` counts as none, a loop over names that are not known yet as one turn.
    What it lets pass is counted again while it is expanded.
    """
    _Sizes(spec, shared).entries(spec.body.layers)


class _Sizes:
    def __init__(self, spec: ModelSpec, shared: Scope) -> None:
        self.spec = spec
        self.shared = shared
        self.blocks: dict[str, int] = {}
        self.depth = 0

    def entries(self, entries: Sequence[EntrySpec]) -> int:
        if self.depth >= MAX_DEPTH:
            return 1  # refused where it is expanded
        self.depth += 1
        inside = sum(self.entry(entry) for entry in entries)
        self.depth -= 1
        return inside

    def entry(self, entry: EntrySpec) -> int:
        inside = self.turns(entry) * self.one(entry)
        if inside > MAX_LAYERS:
            raise TooLargeError(f"{inside:,} layers: more than {MAX_LAYERS:,}", entry.location)
        return 0 if entry.condition is not None else inside

    def one(self, entry: EntrySpec) -> int:
        if entry.body is not None:
            return self.entries(entry.body.layers)
        if entry.branches is not None:
            return self.entries(entry.branches)
        name = None if entry.type is None else entry.type.value
        if not isinstance(name, str) or name not in self.spec.blocks:
            return 1
        if name not in self.blocks:
            self.blocks[name] = 1  # while it is open: a block that contains itself is refused later
            self.blocks[name] = self.entries(self.spec.blocks[name].body.layers)
        return self.blocks[name]

    def turns(self, entry: EntrySpec) -> int:
        if entry.loop is None or entry.loop.kind in ("scan", "while"):
            return 1
        try:
            value = value_of(entry.loop.node, self.shared)
        except LanguageError:
            return 1  # told where the loop is expanded
        return value if type(value) is int and value > 0 else 1
