"""Channels first and channels last: the permutations between them, and values that are held in one or both."""

from __future__ import annotations

from dataclasses import dataclass, field

from netspec.graph.graph import Call, Node, Origin, Value
from netspec.graph.ops import Op, Permute, Reshape


def to_last(rank: int) -> tuple[int, ...]:
    """The permutation from `[batch, channels, *spatial]` to `[batch, *spatial, channels]`."""
    return (0, *range(2, rank), 1)


def to_canonical(rank: int) -> tuple[int, ...]:
    """The permutation back: `[batch, *spatial, channels]` to `[batch, channels, *spatial]`."""
    return (0, rank - 1, *range(1, rank - 1))


def kernel_to_last(rank: int) -> tuple[int, ...]:
    """The permutation of a kernel from `[out, in, *kernel]` to `[*kernel, in, out]`."""
    return (*range(2, rank), 1, 0)


def kernel_to_canonical(rank: int) -> tuple[int, ...]:
    """The permutation back: `[*kernel, in, out]` to `[out, in, *kernel]`."""
    return (rank - 1, rank - 2, *range(rank - 2))


@dataclass
class Scope:
    """The rewritten values that one list of nodes may read, and the list.

    Keys are values of the old graph: `canonical`, `last` and (kernels) `stored` give the new value in that layout.
    `given` are the values that came from outside; where a reader wants one of them in a layout that it was not given
    in, `wanted` says so, that the caller may convert it outside instead.
    """

    canonical: dict[Value, Value] = field(default_factory=dict)
    last: dict[Value, Value] = field(default_factory=dict)
    stored: dict[Value, Value] = field(default_factory=dict)
    nodes: list[Node | Call] = field(default_factory=list)
    given: frozenset[Value] = frozenset()
    wanted: set[Value] = field(default_factory=set)
    origin: Origin | None = None
    reshaped: dict[Value, Value] = field(default_factory=dict)  # a new value that is a reshape, to what it reshapes

    def emit(self, op: Op, *inputs: Value) -> Value:
        (type,) = op.infer(*(value.type for value in inputs))
        output = Value(type, self.origin)
        self.nodes.append(Node(op, inputs, (output,)))
        if isinstance(op, Reshape):
            self.reshaped[output] = self.reshaped.get(inputs[0], inputs[0])
        return output

    def is_last(self, old: Value) -> bool:
        return old in self.last

    def as_canonical(self, old: Value) -> Value:
        if old not in self.canonical:
            self._want(old)
            rank = old.type.rank
            if old in self.stored:
                self.canonical[old] = self.emit(Permute(kernel_to_canonical(rank)), self.stored[old])
            else:
                self.canonical[old] = self.emit(Permute(to_canonical(rank)), self.last[old])
        return self.canonical[old]

    def as_last(self, old: Value) -> Value:
        if old not in self.last:
            self._want(old)
            self.last[old] = self.emit(Permute(to_last(old.type.rank)), self.as_canonical(old))
        return self.last[old]

    def as_kernel(self, old: Value) -> Value:
        if old not in self.stored:
            self.stored[old] = self.emit(Permute(kernel_to_last(old.type.rank)), self.as_canonical(old))
        return self.stored[old]

    def hold(self, old: Value, new: Value, last: bool) -> None:
        (self.last if last else self.canonical)[old] = new

    def present(self, old: Value) -> Value:
        """The new value in whichever layout of activations there is; a kernel that a layer hands on is canonical."""
        return self.last[old] if old in self.last else self.as_canonical(old)

    def _want(self, old: Value) -> None:
        if old in self.given:
            self.wanted.add(old)
