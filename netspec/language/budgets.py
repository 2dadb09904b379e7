"""The limits on what a text may hold, counted while it is read, before anything is built from it."""

from __future__ import annotations

from netspec.errors import LanguageError, Location

MAX_BYTES = 2**20
MAX_NESTING = 64
MAX_EVENTS = 400_000
MAX_ALIASES = 100
MAX_VALUES = 100_000


class Budget:
    """Counts the events, values and aliases of one text, and refuses the first that is too many.

    Events are scalars, keys, aliases and the two ends of every list and mapping. Values are what is left when
    aliases are expanded, keys aside.
    """

    def __init__(self) -> None:
        self.events = 0
        self.values = 0
        self.aliases = 0

    def event(self, location: Location) -> None:
        """Count one event."""
        self.events += 1
        if self.events > MAX_EVENTS:
            raise LanguageError(f"more than {MAX_EVENTS:,} YAML or JSON events", location)

    def value(self, location: Location, values: int = 1) -> None:
        """Count one value, or all those that an alias stands for."""
        self.values += values
        if self.values > MAX_VALUES:
            raise LanguageError(f"more than {MAX_VALUES:,} values, aliases expanded", location)

    def alias(self, location: Location) -> None:
        """Count one alias."""
        self.aliases += 1
        if self.aliases > MAX_ALIASES:
            raise LanguageError(f"more than {MAX_ALIASES} aliases", location)


def check_nesting(depth: int, location: Location) -> None:
    """Refuse a list or mapping inside MAX_NESTING others."""
    if depth > MAX_NESTING:
        raise LanguageError(f"lists and mappings nested more than {MAX_NESTING} deep", location)
