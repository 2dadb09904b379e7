"""In which order graphs meet layer types, so that every ordered pair of them has its turn."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache

# Layers that one graph has of the walk; the pairs between them are one fewer.
STEPS = (4, 8, 11, 16)


@cache
def walk(types: tuple[str, ...], seed: int) -> tuple[str, ...]:
    """A closed walk on which each ordered pair of `types`, a type and itself too, stands side by side once.

    It is an Eulerian circuit of the complete directed graph with loops (Hierholzer's algorithm), shuffled by `seed`.
    """
    rng = random.Random(f"walk:{seed}")
    left = {type: rng.sample(types, len(types)) for type in types}
    path, circuit = [types[0]], []
    while path:
        successors = left[path[-1]]
        if successors:
            path.append(successors.pop())
        else:
            circuit.append(path.pop())
    return tuple(reversed(circuit))[:-1]


def steps(types: Sequence[str], seed: int, number: int) -> list[str]:
    """The layer types that graph `number` is to place one behind the other."""
    circuit = walk(tuple(types), seed)
    rounds, place = divmod(number, len(STEPS))
    # A graph begins with the type that the one before it ends with.
    start = rounds * sum(each - 1 for each in STEPS) + sum(each - 1 for each in STEPS[:place])
    return [circuit[(start + step) % len(circuit)] for step in range(STEPS[place])]
