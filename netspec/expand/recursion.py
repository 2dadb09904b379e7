"""Refuses blocks that contain themselves, whether or not an `if` would end it: the text alone decides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from netspec.errors import Mistakes
from netspec.language.document import Node
from netspec.language.spec import BlockSpec, EntrySpec


def blocks_inside_themselves(blocks: Mapping[str, BlockSpec], mistakes: Mistakes) -> frozenset[str]:
    """The blocks on a circle; a mistake for each circle, where it closes.

    Types that are expressions are not known here: what they name is checked where it is expanded.
    """
    used = {name: [*_used(block.body.layers), *_gradient(block)] for name, block in blocks.items()}
    done: set[str] = set()
    found: set[str] = set()
    for start in blocks:
        # Depth first without recursion: chains of blocks may be longer than Python's stack.
        path = [] if start in done else [start]
        stack = [(name, iter(used[name])) for name in path]
        while stack:
            name, rest = stack[-1]
            node = next(rest, None)
            if node is None:
                stack.pop()
                done.add(path.pop())
            elif node.value in path:
                circle = [*path[path.index(str(node.value)) :], str(node.value)]
                if not found.issuperset(circle):
                    mistakes.add(f"block {name}: a block contains itself: {', '.join(circle)}", node.location)
                found.update(circle)
            elif node.value in used and node.value not in done:
                path.append(str(node.value))
                stack.append((path[-1], iter(used[path[-1]])))
    return frozenset(found)


def _used(entries: Sequence[EntrySpec]) -> Iterator[Node]:
    for entry in entries:
        if entry.body is not None:
            yield from _used(entry.body.layers)
        elif entry.branches is not None:
            yield from _used(entry.branches)
        elif entry.type is not None:
            yield entry.type


def _gradient(block: BlockSpec) -> Sequence[Node]:
    return () if block.gradient is None else (block.gradient,)
