"""Which value each comment of a YAML text belongs to, so that it can move with it."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict

from netspec.language.formatting.layout import Comment, Container, Layout, Path, Slot


class Notes:
    """The comments of a text by the path of what they belong to; an empty string among them is an empty line.

    `head` stands at the top of the file, `above` on lines of their own before an entry, `behind` at the end of its
    line, `below` behind the last entry of a list or mapping.
    """

    def __init__(self) -> None:
        self.head: list[str] = []
        self.above: defaultdict[Path, list[str]] = defaultdict(list)
        self.behind: dict[Path, str] = {}
        self.below: defaultdict[Path, list[str]] = defaultdict(list)

    def add_behind(self, path: Path, text: str) -> None:
        if path in self.behind:
            self.above[path].append(text)
        else:
            self.behind[path] = text

    def holders(self) -> set[Path]:
        """The lists and mappings that hold a comment, and so cannot stand in one line."""
        found: set[Path] = {()}
        inside = [path[:-1] for path, lines in self.above.items() if any(lines)]
        for path in (*inside, *(path[:-1] for path in self.behind), *self.below):
            while path not in found:
                found.add(path)
                path = path[:-1]
        return found


def assign(layout: Layout) -> Notes:
    """The comments of a text, each given to what it speaks of."""
    assigned = _Assignment(layout)
    for comment in layout.comments:
        assigned.add(comment)
    assigned.finish()
    return assigned.notes


class _Assignment:
    """Gives the comments, in the order of the text, to slots and containers."""

    def __init__(self, layout: Layout) -> None:
        self.slots = layout.slots
        self.containers = layout.containers
        self.notes = Notes()
        self.starts = [slot.start.at for slot in self.slots]
        self.starting: defaultdict[int, list[Slot]] = defaultdict(list)
        self.ending: defaultdict[int, list[Slot]] = defaultdict(list)
        for slot in self.slots:
            self.starting[slot.start.line].append(slot)
            self.ending[slot.end.line].append(slot)
        self.empty_lines: list[str] = []  # not yet given to what follows them
        self.following = -1  # number of the slot behind the last comment
        self.depth = 0  # of what got the last comment: what follows it cannot belong to something further inside

    def add(self, comment: Comment) -> None:
        following = bisect_right(self.starts, comment.mark.at)
        if following != self.following:
            self._flush()
            self.following, self.depth = following, 1_000
        if not comment.text:
            self.empty_lines = [""]
        elif comment.alone:
            self._alone(comment)
        else:
            slot = self._line_slot(comment)
            if slot is not None:
                self.notes.add_behind(slot.path, comment.text)
            elif 0 < following < len(self.slots):  # it stands behind a dash
                self.notes.above[self.slots[following].path] += [comment.text]
            else:
                self._alone(comment)

    def finish(self) -> None:
        """Empty lines at the end are nobody's."""
        if self.following < len(self.slots):
            self._flush()

    def _flush(self) -> None:
        """Empty lines belong to the slot below them."""
        if self.empty_lines and 0 < self.following < len(self.slots):
            self.notes.above[self.slots[self.following].path] += self.empty_lines
        elif self.empty_lines and self.following == 0 and self.notes.head:
            self.notes.head += self.empty_lines
        self.empty_lines = []

    def _line_slot(self, comment: Comment) -> Slot | None:
        """The slot that a comment at the end of a line speaks of.

        The outermost that stands whole in the line, or the innermost that begins there, or the outermost that ends.
        """
        line, index = comment.mark.line, comment.mark.at
        starting = [slot for slot in self.starting[line] if slot.start.at < index]
        whole = [slot for slot in starting if slot.end.line == line and slot.end.at <= index and not slot.block]
        if whole:
            depth = min(len(slot.path) for slot in whole)
            return [slot for slot in whole if len(slot.path) == depth][-1]
        if starting:
            return starting[-1]
        ending = [slot for slot in self.ending[line] if slot.end.at <= index and not slot.block]
        return min(ending, key=lambda slot: len(slot.path)) if ending else None

    def _alone(self, comment: Comment) -> None:
        lines = [*self.empty_lines, comment.text]
        self.empty_lines = []
        if self.following == 0:
            self.notes.head += lines if self.notes.head else lines[-1:]
            return
        before = self.slots[self.following - 1]
        after = self.slots[self.following] if self.following < len(self.slots) else None
        if before.value_start.at > comment.mark.at and not before.block:
            self.notes.above[before.path] += lines  # it stands between a key and its value
            return
        container = self._ended(before, after, comment)
        if container is not None:
            self.depth = len(container.path)
            if container.empty:
                self.notes.above[container.path] += lines
            else:
                self.notes.below[container.path] += lines
            return
        assert after is not None
        self.depth = -1
        self.notes.above[after.path] += lines

    def _ended(self, before: Slot, after: Slot | None, comment: Comment) -> Container | None:
        """The list or mapping that the comment is the last line of: the innermost that stands as far left, or less."""
        paths = [before.path[:length] for length in range(len(before.path) + 1)]
        inside = [self.containers[path] for path in paths if path in self.containers]
        if after is not None:
            inside = [container for container in inside if after.path[: len(container.path)] != container.path]
        # What stands no further right than the next entry speaks of that one.
        least = 0 if after is None else self.containers[after.path[:-1]].start.column + 1
        for container in reversed(inside):
            if len(container.path) > self.depth:
                continue
            if container.flow and container.start.at < comment.mark.at < container.end.at:
                return container
            if not container.flow and max(container.start.column, least) <= comment.mark.column:
                return container
        return self.containers[()] if after is None else None
