"""The ways that a lowering goes by dtype, or by what its framework has here: tests see that each of them was gone."""

from __future__ import annotations

from collections.abc import Callable


class Branches:
    """The names of such ways in one backend. Who goes one says so; nobody listens but the conformance suite."""

    def __init__(self, *names: str) -> None:
        self.names = frozenset(names)
        self.listener: Callable[[str], None] | None = None

    def took(self, name: str) -> None:
        """Say that the way `name` is gone, while a graph is traced."""
        assert name in self.names, name
        if self.listener is not None:
            self.listener(name)


NO_BRANCHES = Branches()
