"""Which weights of a file are wanted: globs over paths, the same as those of freeze."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from netspec.errors import Mistake, NetspecError, WeightsError, nearest
from netspec.language.names import Glob, last_match


@dataclass(frozen=True)
class Selection:
    """What one of `only` names (everything where that is empty) and none of `skip`.

    In each list the last glob that matches wins, and one that begins with `!` takes its paths out again.
    """

    only: tuple[Glob, ...] = ()
    skip: tuple[Glob, ...] = ()

    def wants(self, path: str) -> bool:
        """Whether the tensor `path` is loaded."""
        return (not self.only or _chosen(self.only, path)) and not self.skips(path)

    def skips(self, path: str) -> bool:
        """Whether `skip` names the tensor `path`."""
        return _chosen(self.skip, path)

    def check_all_used(self, paths: Iterable[str]) -> None:
        """A WeightsError for the globs that match none of `paths`."""
        known = list(paths)
        unused = [
            Mistake(f"{option}: {glob.text} matches nothing{nearest(glob.text, known)}")
            for option, globs in (("only", self.only), ("skip", self.skip))
            for glob in globs
            if not any(glob.matches(path) for path in known)
        ]
        if unused:
            raise WeightsError(unused)


EVERYTHING = Selection()


def selection(only: Sequence[str] | None, skip: Sequence[str] | None) -> Selection:
    """The selection of two lists of globs; EVERYTHING where there are none. Raises NetspecError."""
    if not only and not skip:
        return EVERYTHING
    return Selection(_globs("only", only or ()), _globs("skip", skip or ()))


def _globs(option: str, texts: Sequence[str]) -> tuple[Glob, ...]:
    if isinstance(texts, str):
        raise NetspecError(f"{option}: expected a list of globs, got the text {texts!r}")
    if not all(text.removeprefix("!") for text in texts):
        raise NetspecError(f"{option}: an empty glob")
    return tuple(map(Glob, texts))


def _chosen(globs: Sequence[Glob], path: str) -> bool:
    glob = last_match(globs, path)
    return glob is not None and not glob.thaws
