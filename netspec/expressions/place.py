"""Where a string stands in a text, down to its characters."""

from __future__ import annotations

from typing import NamedTuple

from netspec.errors import Location


class Place(NamedTuple):
    """Where a string is written, down to its characters where they stand in the text one by one.

    `start` is the place of the string's first character; None where escapes or line breaks move the others.
    """

    location: Location
    start: Location | None = None

    def at(self, offset: int) -> Location:
        """The place of the character `offset`, or the string's own where that is not known."""
        if self.start is None:
            return self.location
        return self.start._replace(column=self.start.column + offset)

    def moved(self, offset: int) -> Place:
        """The place of the part of the string that begins at `offset`."""
        return self if self.start is None else Place(self.location, self.at(offset))
