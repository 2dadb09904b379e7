"""What is frozen: an entry's own word goes first, then the last glob that matches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

from netspec.errors import LanguageError, Location, Mistake, Mistakes, nearest, printable
from netspec.expressions.values import Value as Plain
from netspec.language.document import Node
from netspec.language.names import Glob, GlobIndex
from netspec.language.scope import resolved, value_of
from netspec.layers.validation import shown

# Each is tried at every path: at 36,000 paths of 12,000 layers 100 take 4 s.
MAX_PATTERNS = 100

# An entry's own word: True, False, "weights" (parameters only), or None where it says nothing.
OwnFrozen = bool | str | None


class Freezing:
    """Answers for every path of a model whether it is frozen."""

    def __init__(
        self, written: Node | None, given: Sequence[str], scope: Mapping[str, Plain], mistakes: Mistakes
    ) -> None:
        self._globs: list[Glob] = []
        nodes: list[Node] = []
        with mistakes.collect():
            nodes = _list(written, scope)
        for node in nodes:
            with mistakes.collect(node.location):
                text = value_of(node, scope)
                if not isinstance(text, str):
                    raise LanguageError("freeze: a glob must be text", node.location)
                self._globs.append(_glob(text, node.location))
        for text in given:
            with mistakes.collect():
                self._globs.append(_glob(text, None))
        patterns = [glob for glob in self._globs if not glob.is_plain]
        if len(patterns) > MAX_PATTERNS:
            mistakes.add(f"freeze: more than {MAX_PATTERNS} globs with *, ? or [", patterns[MAX_PATTERNS].location)
            self._globs = [glob for glob in self._globs if glob.is_plain]

    def param(self, own: OwnFrozen, path: str) -> bool:
        """Whether the parameter `path` of an entry with the word `own` gets no gradient."""
        return self._globbed(path) if own is None else own is not False

    def buffer(self, own: OwnFrozen, path: str) -> bool:
        """Whether the buffer `path` stays as it is, and is used as in inference."""
        return self._globbed(path) if own is None else own is True

    def check_all_used(self, paths: Iterable[str]) -> None:
        """A LanguageError for the globs that match none of the paths of entries, parameters and buffers."""
        known = list(paths)
        unused = self._index.unused(known)
        if unused:
            raise LanguageError(
                Mistake(f"freeze: {printable(glob.text)} matches nothing{nearest(glob.text, known)}", glob.location)
                for glob in unused
            )

    @cached_property
    def _index(self) -> GlobIndex:
        return GlobIndex(self._globs)

    def _globbed(self, path: str) -> bool:
        glob = self._index.last_match(path)
        return glob is not None and not glob.thaws


def own_frozen(node: Node | None, scope: Mapping[str, Plain]) -> OwnFrozen:
    """What the key `frozen` of an entry says. Raises LanguageError for anything but true, false and weights."""
    value = None if node is None else value_of(node, scope)
    if node is None or value is True or value is False or value == "weights":
        return value  # type: ignore[return-value]
    raise LanguageError(f"frozen: expected true, false or weights, got {shown(value)}", node.location)


def _list(node: Node | None, scope: Mapping[str, Plain]) -> list[Node]:
    if node is None:
        return []
    globs = resolved(node, scope).value
    if not isinstance(globs, list):
        raise LanguageError("freeze: expected a list", node.location)
    return globs


def _glob(text: str, location: Location | None) -> Glob:
    if not text.removeprefix("!"):
        raise LanguageError("freeze: an empty glob", location)
    return Glob(text, location)
