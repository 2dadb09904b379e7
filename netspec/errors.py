"""The errors a user can cause: one kind, one printed form, `file:line:col: message`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

MAX_SHOWN = 10
MAX_MESSAGE = 400
MAX_HINTS = 3  # names that are equally close to one that is wrong
MAX_COMPARISONS = 40_000  # of words for hints, in one reading of a spec: 0.2 s

_comparisons_left: ContextVar[int | None] = ContextVar("comparisons left for hints", default=None)


class Location(NamedTuple):
    """A place in a text: file as the user wrote it, line and column counted from 1.

    Line 0 is for what stands in no text, such as an option of the command line: `file` alone names it.
    """

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{printable(self.file)}:{self.line}:{self.column}" if self.line else printable(self.file)


class Mistake(NamedTuple):
    """One thing that is wrong, and where it is written (None where there is no text, as on the command line)."""

    message: str
    location: Location | None = None

    def __str__(self) -> str:
        message = printable(self.message)
        if len(message) > MAX_MESSAGE:
            message = message[: MAX_MESSAGE - 3] + "..."
        return f"{self.location}: {message}" if self.location else message


class NetspecError(ValueError):
    """Something the user can mend. `str()` is one line per mistake, ten at most and then a count."""

    def __init__(self, message: str | Iterable[Mistake], location: Location | None = None) -> None:
        if isinstance(message, str):
            self.mistakes: tuple[Mistake, ...] = (Mistake(message, location),)
        else:
            self.mistakes = tuple(message)
        assert self.mistakes
        super().__init__(self.mistakes)

    def __str__(self) -> str:
        lines = [str(mistake) for mistake in self.mistakes[:MAX_SHOWN]]
        if len(self.mistakes) > MAX_SHOWN:
            lines.append(f"and {len(self.mistakes) - MAX_SHOWN} more mistakes")
        return "\n".join(lines)

    def __reduce__(self) -> tuple[type[NetspecError], tuple[tuple[Mistake, ...]]]:
        return type(self), (self.mistakes,)


class Mistakes:
    """Collects mistakes, so that one reading of a spec tells all of them."""

    def __init__(self, found: Iterable[Mistake] = ()) -> None:
        self.found: list[Mistake] = list(found)
        self._follows = False

    def __bool__(self) -> bool:
        return bool(self.found)

    def add(self, message: str, location: Location | None) -> None:
        self.found.append(Mistake(message, location))

    def collect(self, location: Location | None = None, prefix: str = "") -> _Collector:
        """Keep the mistakes of a NetspecError and go on; those without a place get `location`."""
        return _Collector(self, location, prefix)

    def take(self, error: NetspecError, location: Location | None, prefix: str) -> None:
        """Keep the mistakes of `error`."""
        self._follows |= not error.mistakes
        self.found += [Mistake(prefix + m.message, m.location or location) for m in error.mistakes]

    def raise_all(self) -> None:
        """A NetspecError with all mistakes, once each, in the order of the text; nothing where there are none.

        A FollowsError where all that was collected follows from other mistakes.
        """
        if self.found:
            unique = dict.fromkeys(self.found)
            raise NetspecError(sorted(unique, key=lambda mistake: mistake.location or Location("", 0, 0)))
        if self._follows:
            raise FollowsError


class _Collector:
    """The context that `Mistakes.collect` gives. A class: it is entered 17 times for each layer of a spec."""

    __slots__ = ("location", "mistakes", "prefix")

    def __init__(self, mistakes: Mistakes, location: Location | None, prefix: str) -> None:
        self.mistakes = mistakes
        self.location = location
        self.prefix = prefix

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> bool:
        if not isinstance(error, NetspecError):
            return False
        self.mistakes.take(error, self.location, self.prefix)
        return True


class LanguageError(NetspecError):
    """The text of a spec is wrong: its YAML, its keys, an expression, a field."""


class FollowsError(LanguageError):
    """What is read is in error itself, which is told where it stands: this adds no mistake."""

    def __init__(self) -> None:
        ValueError.__init__(self)
        self.mistakes = ()


class TooLargeError(Exception):
    """The spec is beyond a budget: nothing else of it is looked at. No NetspecError, so that nothing collects it."""

    def __init__(self, message: str, location: Location) -> None:
        super().__init__(message)
        self.error = LanguageError(message, location)


class ShapeError(NetspecError):
    """Shapes or dtypes of a spec do not fit together."""


class WeightsError(NetspecError):
    """A weights file does not fit the model, or is no weights file."""


class BackendError(NetspecError):
    """A backend is missing, or cannot do what the spec or the caller asks."""


class InputError(NetspecError):
    """Arrays given to a model do not fit its inputs."""


def printable(text: str) -> str:
    """`text` on one line with every character that does not print escaped, so that no input can move the cursor."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def nearest(word: str, known: Iterable[str]) -> str:
    """`; did you mean NAME?` for the closest of `known`, in whatever case, or an empty string; up to three that are
    equally close: `conv1d, conv2d or conv3d`."""
    import difflib  # 3 ms that only a mistake should cost

    left = _comparisons_left.get()
    if left == 0:
        return ""
    words = sorted(set(known))
    if left is not None:
        _comparisons_left.set(max(0, left - 2 * len(words) - 1))
    lower = {name.lower(): name for name in words}
    if word.lower() in lower:  # Relu is relu, though elu differs by as many letters
        return f"; did you mean {lower[word.lower()]}?"
    given = word[:128]
    close = difflib.get_close_matches(given, words, n=MAX_HINTS)
    if not close:
        given = given.lower()
        close = [lower[name] for name in difflib.get_close_matches(given, lower, n=MAX_HINTS)]
    if not close:
        return ""
    ratios = [difflib.SequenceMatcher(None, name.lower(), given.lower()).ratio() for name in close]
    equal = sorted(name for name, ratio in zip(close, ratios, strict=True) if ratio == ratios[0])
    *others, last = equal
    return f"; did you mean {', '.join(others)} or {last}?" if others else f"; did you mean {last}?"


@contextmanager
def bounded_hints() -> Iterator[None]:
    """Within it `nearest` looks at about MAX_COMPARISONS words in all; within another one it changes nothing.

    Else 10,000 mistakes in a spec of 10,000 names would take minutes.
    """
    if _comparisons_left.get() is not None:
        yield
        return
    token = _comparisons_left.set(MAX_COMPARISONS)
    try:
        yield
    finally:
        _comparisons_left.reset(token)
