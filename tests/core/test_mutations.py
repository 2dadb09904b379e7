"""The specs of the pages, changed at random: whatever becomes of them, they load or are refused with their mistakes."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from netspec.errors import NetspecError
from netspec.spec import loads
from tests.core.fenced_blocks import blocks

DOCUMENTS = [yaml.safe_load(block.text) for block in blocks("docs/language.md", "yaml")]
JUNK: list[Any] = [
    *(None, True, 0, -1, 3, 2.5, "x", "relu", "add", "concat", "Residual", "Unit", "", ".", "a.b", "a:b", "weights"),
    *("$(i)", "$(x.shape[1])", "$(nothing)", "$(1 // 0)", "$([1, 2])", "$(batch)", "a$(i)"),
    *([], {}, [1], ["x"], {"x": "a"}, {"weight": "a"}, {"w": [1, 2]}),
]
KEYS = (
    *("name", "type", "layers", "share", "from", "repeat", "parallel", "if", "else", "init", "tie", "frozen"),
    *("inputs", "outputs", "let", "only", "x-a", "description", "out_features", "dim"),
)

Path = tuple[str | int, ...]


def paths(value: Any, path: Path = ()) -> Iterator[Path]:
    """The paths of all values in a document but itself."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in items:
        yield (*path, key)
        yield from paths(child, (*path, key))


def at(value: Any, path: Path) -> Any:
    for key in path:
        value = value[key]
    return value


def mutate(document: Any, chance: random.Random) -> None:
    """Replace, remove, add or move one value."""
    known = list(paths(document))
    if not known:
        return
    *before, key = chance.choice(known)
    parent = at(document, tuple(before))
    other = copy.deepcopy(at(document, chance.choice(known)) if chance.random() < 0.4 else chance.choice(JUNK))
    match chance.randrange(4):
        case 0:
            del parent[key]
        case 1 if isinstance(parent, list):
            parent.insert(int(key), other)
        case 1 | 2:
            target = parent[key] if isinstance(parent[key], dict) else parent
            if isinstance(target, dict):
                target[chance.choice(KEYS)] = other
        case _:
            parent[key] = other


def is_right(text: str) -> bool:
    """Whether a spec makes both graphs. Lets all errors through that are no NetspecError with mistakes."""
    try:
        loads(text, file="s.json").graphs  # noqa: B018 - both graphs are made
    except NetspecError as error:
        if not error.mistakes:
            raise
        return False
    return True


@pytest.mark.parametrize("seed", range(6))
def test_a_spec_that_is_changed_at_random_loads_or_is_refused(seed: int) -> None:
    chance = random.Random(seed)
    refused = 0
    for _ in range(100):
        document = copy.deepcopy(chance.choice(DOCUMENTS))
        for _ in range(chance.choice([1, 1, 2, 3])):
            mutate(document, chance)
        refused += not is_right(json.dumps(document))
    assert 0 < refused < 100
