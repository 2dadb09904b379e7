"""Negative twins: a valid spec with one constraint broken, which the checker must refuse before any backend sees it.

A twin is only made where a rule of its own, apart from the checker's, says that it cannot be valid.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from netspec.errors import NetspecError
from netspec.fuzz.generator import FuzzedGraph, written
from netspec.fuzz.recipes import recipe
from netspec.layers import LAYER_TYPES
from netspec.spec import loads

Data = dict[str, Any]
Break = Callable[[Data, random.Random], bool]


@dataclass(frozen=True)
class Twin:
    """What was broken, the text, and what the checker made of it: None is a refusal, as it should be."""

    broken: str
    text: str
    wrong: str | None


def negative_twins(graph: FuzzedGraph, count: int = 2) -> list[Twin]:
    """So many broken copies of a graph, each read by the checker."""
    rng = random.Random(f"twins:{graph.seed}:{graph.number}")
    found: list[Twin] = []
    for how in rng.sample(BREAKS, len(BREAKS)):
        data = copy.deepcopy(dict(graph.data))
        if len(found) < count and how(data, rng):
            text = written(data, "yaml")
            found.append(Twin(how.__name__.strip("_").replace("_", " "), text, _misjudged(text)))
    return found


def _misjudged(text: str) -> str | None:
    """In words what the checker did instead of refusing with a place."""
    try:
        _ = loads(text, file="twin.yaml").graphs
    except NetspecError as error:
        lines = str(error).splitlines()
        return (
            None if all(line.startswith("twin.yaml:") for line in lines) else f"a message without a place: {lines[0]}"
        )
    except Exception as error:  # noqa: BLE001 (whatever it is, it is no refusal)
        return f"it raised {type(error).__name__}: {error}"
    return "it was taken"


def _plain(data: Data) -> list[Data]:
    """Entries of the model that are layers, present, and with fields of their own."""
    found = [entry for entry in data["layers"] if isinstance(entry, dict) and entry.get("type", "") in LAYER_TYPES]
    return [entry for entry in found if not {"if", "repeat", "parallel"} & set(entry)]


def _chosen(rng: random.Random, found: list[Data]) -> Data | None:
    return rng.choice(found) if found else None


def unknown_field(data: Data, rng: random.Random) -> bool:
    entry = _chosen(rng, _plain(data))
    if entry is None:
        return False
    entry["no_such_field"] = 1
    return True


def unknown_layer(data: Data, rng: random.Random) -> bool:
    entry = _chosen(rng, _plain(data))
    if entry is None:
        return False
    entry["type"] += "_of_none"
    return True


def unknown_reference(data: Data, rng: random.Random) -> bool:
    entry = _chosen(rng, [entry for entry in _plain(data) if isinstance(entry.get("from"), str)])
    if entry is None:
        return False
    entry["from"] = "nothing_of_this_name"
    return True


def unknown_key(data: Data, rng: random.Random) -> bool:
    data["layer"] = []
    return True


def unknown_output(data: Data, rng: random.Random) -> bool:
    data["outputs"] = {**data["outputs"], "more": "nothing_of_this_name"}
    return True


def name_twice(data: Data, rng: random.Random) -> bool:
    entry = _chosen(rng, [entry for entry in _plain(data) if "name" in entry])
    if entry is None:
        return False
    data["layers"].append(copy.deepcopy(entry))
    return True


def required_field_left_out(data: Data, rng: random.Random) -> bool:
    fields = [
        (entry, name)
        for entry in _plain(data)
        for name, info in LAYER_TYPES[entry["type"]].model_fields.items()
        if info.is_required() and name in entry and name not in data.get("defaults", {}).get(entry["type"], {})
    ]
    if not fields:
        return False
    entry, name = rng.choice(fields)
    del entry[name]
    return True


def text_for_a_number(data: Data, rng: random.Random) -> bool:
    numbers = [(entry, key) for entry in _plain(data) for key, value in entry.items() if type(value) in (int, float)]
    numbers = [(entry, key) for entry, key in numbers if key != "value"]
    if not numbers:
        return False
    entry, key = rng.choice(numbers)
    entry[key] = "many"
    return True


def zero_size(data: Data, rng: random.Random) -> bool:
    held = _chosen(rng, [held for held in data["inputs"].values() if held["shape"]])
    if held is None:
        return False
    held["shape"][-1] = 0
    return True


def groups_that_do_not_divide(data: Data, rng: random.Random) -> bool:
    entry = _chosen(rng, [entry for entry in _plain(data) if type(entry.get("out_channels")) is int])
    if entry is None or "groups" not in LAYER_TYPES[entry["type"]].model_fields:
        return False
    entry["groups"] = entry["out_channels"] + 1  # a number above the channels that go out divides them never
    return True


def kernel_above_the_input(data: Data, rng: random.Random) -> bool:
    """The last dimension is shorter than the kernel, which only padding or `ceil_mode` could make up for."""
    found: list[tuple[Data, int]] = []
    for entry in _plain(data):
        plain = type(entry.get("padding", 0)) is int and not entry.get("ceil_mode")
        read = entry.get("from")
        shape = data["inputs"].get(read, {}).get("shape", []) if isinstance(read, str) else []
        known = plain and entry["type"] not in data.get("defaults", {}) and shape and isinstance(shape[-1], int)
        if known and entry["type"].startswith(("conv1d", "conv2d", "conv3d", "max_pool", "avg_pool")):
            found.append((entry, shape[-1] + 2 * int(entry.get("padding", 0)) + 1))
    if not found:
        return False
    entry, kernel = rng.choice(found)
    entry["kernel_size"] = kernel
    return True


def wrong_rank(data: Data, rng: random.Random) -> bool:
    return _other_input(data, rng, lambda ranks: ["batch"] if 1 not in ranks else ["batch", *[2] * max(ranks)], None)


def wrong_dtype(data: Data, rng: random.Random) -> bool:
    return _other_input(data, rng, lambda ranks: ["batch", *[3] * (ranks[0] - 1)], {"float": "bool", "int64": "float"})


def _other_input(
    data: Data, rng: random.Random, shape: Callable[[tuple[int, ...]], list[Any]], dtypes: Mapping[str, str] | None
) -> bool:
    """A layer whose recipe says that it takes nothing else reads a new input of another type."""
    found = [entry for entry in _plain(data) if isinstance(entry.get("from"), str)]
    entry = _chosen(rng, [e for e in found if _is_strict(e["type"], rank=dtypes is None)])
    if entry is None:
        return False
    how = recipe(entry["type"])
    dtype = how.dtypes[0] if dtypes is None else dtypes[how.dtypes[0]]
    data["inputs"]["odd"] = {"shape": shape(how.ranks), **({} if dtype == "float" else {"dtype": dtype})}
    entry["from"] = "odd"
    return True


def _is_strict(type: str, rank: bool) -> bool:
    how = recipe(type)
    return how.strict_rank if rank else how.strict


def sizes_that_do_not_match(data: Data, rng: random.Random) -> bool:
    data["inputs"] |= {"three": {"shape": ["batch", 3]}, "four": {"shape": ["batch", 4]}}
    data["layers"].append({"name": "unequal", "type": rng.choice(("add", "mul", "stack")), "from": ["three", "four"]})
    return True


BREAKS: tuple[Break, ...] = (
    *(unknown_field, unknown_layer, unknown_reference, unknown_key, unknown_output, name_twice),
    *(required_field_left_out, text_for_a_number, zero_size, groups_that_do_not_divide, kernel_above_the_input),
    *(wrong_rank, wrong_dtype, sizes_that_do_not_match),
)
