"""A graph's layers as a tree by the dotted paths, equal copies in a row taken together, and what each reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from netspec.analysis.fields import meaning
from netspec.graph.flow import Flow, Source, flow, path_of
from netspec.graph.graph import Call, Graph, Value

Link = list[tuple[str, int, int]]

# Two equal layers in a row are as well seen one by one; two equal blocks are not.
MIN_LAYERS = 3


@dataclass(frozen=True, eq=False)
class Leaf:
    """One layer, or `copies` equal ones in a row, or beside one another if they are `parallel`.

    `name` is what its path adds to the group that it stands in. `number` is its node, the first one's of copies;
    `numbers` are all of them.
    """

    name: str
    number: int
    numbers: tuple[int, ...]
    copies: int = 1
    parallel: bool = False


@dataclass(frozen=True, eq=False)
class Group:
    """Layers with a common path, or `copies` equal runs of them, of which `items` are those of the first.

    `name` and `parallel` are as in Leaf: `layer1`, or `layer1.1 – 22` for copies.
    """

    name: str
    items: tuple[Item, ...]
    numbers: tuple[int, ...]
    copies: int = 1
    parallel: bool = False


Item = Leaf | Group


def shown(item: Item) -> Iterator[int]:
    """The nodes that a picture shows of an item where all is open: those of further copies are left out."""
    if isinstance(item, Leaf):
        yield item.number
    else:
        for inner in item.items:
            yield from shown(inner)


@dataclass(frozen=True, eq=False)
class Outline:
    """The tree, and who reads what: `reads[n]` are the sources of node n, `outputs` those of the graph's outputs.

    A source is one that is shown: of copies taken together what others read of any counts as the first one's.
    """

    graph: Graph
    items: tuple[Item, ...]
    reads: Flow
    outputs: tuple[Source, ...]

    def value(self, source: Source) -> Value:
        """The tensor that a source stands for."""
        number, port = source
        return self.graph.inputs[-1 - number].value if number < 0 else self.graph.nodes[number].outputs[port]


def outline(graph: Graph) -> Outline:
    """Fold a graph. A group is a run of layers in the order of the graph, so that what is folded has no cycle."""
    reads, outputs = flow(graph)
    folding = _Folding(graph, reads, outputs)
    items = tuple(folding.items(range(len(graph.nodes)), 0))
    shown_reads = tuple(tuple(map(folding.resolved, sources)) for sources in reads)
    return Outline(graph, items, shown_reads, tuple(map(folding.resolved, outputs)))


def count_boxes(items: Sequence[Item], depth: int) -> int:
    """How many boxes a picture has in which groups are open to `depth`."""
    return sum(1 if isinstance(item, Leaf) or depth <= 1 else count_boxes(item.items, depth - 1) for item in items)


def deepest(items: Sequence[Item]) -> int:
    """The depth at which everything is open."""
    return max((deepest(item.items) + 1 if isinstance(item, Group) else 1 for item in items), default=1)


@dataclass(eq=False)
class _Folding:
    """Builds the tree; `alias` leads from what the last of equal copies makes to the same of the first."""

    graph: Graph
    reads: Flow
    outputs: tuple[Source, ...]
    alias: dict[Source, Source] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.paths = [path_of(node).split(".") for node in self.graph.nodes]
        self.readers: dict[Source, set[int]] = {}
        for number, sources in enumerate(self.reads):
            for source in sources:
                self.readers.setdefault(source, set()).add(number)
        for source in self.outputs:
            self.readers.setdefault(source, set()).add(len(self.reads))  # behind the last node

    def resolved(self, source: Source) -> Source:
        """The source that is shown in its place."""
        while source in self.alias:
            source = self.alias[source]
        return source

    def items(self, numbers: Sequence[int], level: int) -> Iterator[Item]:
        """The items of the nodes `numbers`, which share the first `level` parts of their paths."""
        runs = [*self._runs(numbers, level)]
        position = 0
        while position < len(runs):
            chained = self._copies(runs, position, level)
            copies = chained if chained > 1 else self._branches(runs, position, level)
            item = self._item(runs[position], level)
            if copies > 1:
                item = self._joined(item, runs[position : position + copies], level, parallel=chained == 1)
            yield item
            position += copies

    def _item(self, run: tuple[int, ...], level: int) -> Item:
        if len(run) == 1:
            return Leaf(".".join(self.paths[run[0]][level:]), run[0], run)
        name = self.paths[run[0]][level]
        inner = tuple(self.items(run, level + 1))
        if len(inner) == 1:  # a frame around one box tells nothing
            return replace(inner[0], name=f"{name}.{inner[0].name}")
        return Group(name, inner, run)

    def _joined(self, item: Item, runs: Sequence[tuple[int, ...]], level: int, parallel: bool) -> Item:
        first, last = runs[0], runs[-1]
        for run in runs[1:] if parallel else (last,):
            for number, copy in zip(first, run, strict=True):
                for port in range(len(self.graph.nodes[number].outputs)):
                    self.alias[copy, port] = (number, port)
        name = f"{self.paths[first[0]][level]} – {self.paths[last[0]][level]}"
        numbers = tuple(number for run in runs for number in run)
        if item.copies == 1:
            return replace(item, name=name, numbers=numbers, copies=len(runs), parallel=parallel)
        return Group(name, (item,), numbers, len(runs), parallel)

    def _runs(self, numbers: Sequence[int], level: int) -> Iterator[tuple[int, ...]]:
        """Runs of one path to `level`; a path that comes again is another application of a shared layer."""
        run: list[int] = []
        seen: set[tuple[str, ...]] = set()
        for number in numbers:
            path = self.paths[number]
            ends = len(path) == level + 1
            if run and (ends or self.paths[run[0]][: level + 1] != path[: level + 1] or tuple(path) in seen):
                yield tuple(run)
                run, seen = [], set()
            run.append(number)
            seen.add(tuple(path))
            if ends:
                yield tuple(run)
                run, seen = [], set()
        if run:
            yield tuple(run)

    def _copies(self, runs: list[tuple[int, ...]], start: int, level: int) -> int:
        """How many runs from `start` on are equal, each read by nothing but the next."""
        structure, chain = self._structure(runs[start], level), None
        end = start + 1
        while end < len(runs) and len(runs[end]) == len(runs[start]) and self._structure(runs[end], level) == structure:
            link = self._link(runs[end - 1], runs[end])
            if link is None or chain not in (None, link):
                break
            chain, end = link, end + 1
        copies = end - start
        return copies if copies >= (MIN_LAYERS if len(runs[start]) == 1 else 2) else 1

    def _branches(self, runs: list[tuple[int, ...]], start: int, level: int) -> int:
        """How many runs from `start` on are equal, read the same, and are read by the same: what `parallel` makes.

        Only where they are called by number: layers with names, such as query and key, are seen one by one.
        """
        first = runs[start]
        end = start + 1
        while end < len(runs) and len(runs[end]) == len(first) and self.paths[runs[end][0]][level].isdigit():
            beside = self._outer(first) == self._outer(runs[end]) and self._ends(first) == self._ends(runs[end])
            if not beside or self._structure(first, level) != self._structure(runs[end], level):
                break
            end += 1
        copies = end - start
        return copies if copies >= (MIN_LAYERS if len(first) == 1 else 2) else 1

    def _ends(self, run: tuple[int, ...]) -> list[set[int]]:
        """Who reads each tensor of a run, from outside."""
        ports = [(number, port) for number in run for port in range(len(self.graph.nodes[number].outputs))]
        return [self.readers.get(port, set()) - set(run) for port in ports]

    def _structure(self, run: tuple[int, ...], level: int) -> list[Any]:
        """What is compared of a run: everything but the first parts of the paths and where its inputs come from."""
        place = {number: position for position, number in enumerate(run)}
        outside: dict[Source, int] = {}
        found: list[Any] = []
        for number in run:
            node = self.graph.nodes[number]
            reads = [
                (place[at], port) if at in place else outside.setdefault((at, port), -1 - len(outside))
                for at, port in self.reads[number]
            ]
            types = [value.type for value in (*node.inputs, *node.outputs)]
            layer = (meaning(node.layer), self._state(node)) if isinstance(node, Call) else node.op
            found.append((self.paths[number][level + 1 :], layer, types, reads))
        return found

    @cached_property
    def _trainable(self) -> dict[Value, bool]:
        return {param.value: param.trainable for param in self.graph.params}

    def _state(self, call: Call) -> list[Any]:
        held = (*call.params.items(), *call.buffers.items())
        return [(name, value.type, self._trainable.get(value)) for name, value in held]

    def _link(self, one: tuple[int, ...], other: tuple[int, ...]) -> Link | None:
        """How `other`, the run behind `one`, is fed: for each of its outer inputs the place in `one` that makes it, or
        the source that both read. None where that is not all, or something else reads `one`."""
        place = {number: position for position, number in enumerate(one)}
        pair = {*one, *other}
        for number in one:
            for port in range(len(self.graph.nodes[number].outputs)):
                if not self.readers.get((number, port), set()) <= pair:
                    return None
        link: Link = []
        for before, (number, port) in zip(self._outer(one), self._outer(other), strict=True):
            if number not in place and before != (number, port):
                return None
            link.append(("previous", place[number], port) if number in place else ("both", number, port))
        return link if any(where == "previous" for where, _, _ in link) else None

    def _outer(self, run: tuple[int, ...]) -> list[Source]:
        """What a run reads that it does not make, in the order of reading."""
        inside = set(run)
        return list(dict.fromkeys(source for number in run for source in self.reads[number] if source[0] not in inside))
