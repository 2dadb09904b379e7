"""Whatever the input is, it is a model or a NetspecError: bytes, trees of YAML, and good specs with something changed.

NETSPEC_EXAMPLES=20000 makes as many examples of each instead of the few of every run.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netspec.errors import NetspecError
from netspec.layers import LAYER_TYPES
from netspec.spec import loads

ROOT = Path(__file__).parents[2]
EXAMPLES = int(os.environ.get("NETSPEC_EXAMPLES", "0"))

Steps = tuple[str | int, ...]


def a_model_or_a_refusal(text: str | bytes, file: str = "s.yaml") -> bool:
    """Whether `text` is a good spec; what is refused has lines that print."""
    try:
        spec = loads(text, file=file)
        spec.graphs  # noqa: B018 - both graphs are made
    except NetspecError as error:
        lines = str(error).split("\n")
        assert 1 <= len(lines) <= 11
        assert all(line.isprintable() and line for line in lines)
        assert all(mistake.location is not None for mistake in error.mistakes)  # noqa: PT017
        return False
    assert all(str(warning).isprintable() for warning in (*spec.warnings, *spec.training_warnings))
    return True


def profile(examples: int) -> settings:
    """Few examples in every run, as many as the environment says where it does."""
    quiet = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    return settings(deadline=None, max_examples=EXAMPLES or examples, suppress_health_check=quiet)


# Good specs: those of the zoo, and of the cases that judge the layers.


def good_specs() -> list[Any]:
    """The trees of all small specs that come with the checkout, as YAML reads them."""
    found: list[Any] = []
    small = [path for path in sorted((ROOT / "specs").rglob("*.yaml")) if path.stat().st_size < 6000]
    found += [yaml.load(path.read_text(), yaml.CSafeLoader) for path in small if "include:" not in path.read_text()]
    for path in sorted((ROOT / "tests" / "conformance" / "cases").glob("*.yaml")):
        found += list(specs_within(yaml.load(path.read_text(), yaml.CSafeLoader)))
    return found


def specs_within(tree: Any) -> Iterator[Any]:
    """The mappings of a tree that look like specs."""
    if isinstance(tree, dict):
        if "layers" in tree and "inputs" in tree:
            yield {"netspec": 1, **{key: tree[key] for key in PARTS if key in tree}}
            return
        for child in tree.values():
            yield from specs_within(child)
    elif isinstance(tree, list):
        for child in tree:
            yield from specs_within(child)


PARTS = ("params", "let", "blocks", "inputs", "defaults", "layers", "outputs", "freeze")
GOOD = good_specs()

WORDS = st.sampled_from(
    ["x", "a", "b", ".", "..", "", "0", "1", "i", "batch", "relu", "linear", "conv2d", "Block", "$(i)", "$(", "$(1)",
     "$(batch)", "$(x.shape[-1])", "$(len(w))", "$([1, 2])", "$(batch // 2)", "$(7 / 2)", "$(1 if a else 2)", "a$(i)",
     "x:output", "a:", "zoo:lenet", "*", "!a", "a.weight", "zeros", "normal", "same", "training", "weights", "int64",
     "bool", "\x1b[31m", "é", "__class__", *sorted(LAYER_TYPES)]
)  # fmt: skip
KEYS = st.sampled_from(
    ["type", "name", "from", "layers", "inputs", "outputs", "params", "let", "blocks", "defaults", "freeze", "include",
     "repeat", "parallel", "scan", "share", "tie", "init", "frozen", "if", "else", "shape", "dtype", "default", "only",
     "weight", "bias", "dim", "out_features", "out_channels", "kernel_size", "stride", "padding", "groups", "p", "expr",
     "equation", "start_dim", "num_embeddings", "embedding_dim", "a", "b", "x", "i", "w", "Block", "x-note"]
)  # fmt: skip
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 20),
    st.sampled_from([2**31, 2**53, -(2**53), 10**6, 0.5, 1.0, -0.1, 1e300]),
    WORDS,
)
TREES = st.recursive(
    SCALARS | KEYS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=8
)


@profile(400)
@given(st.binary(max_size=80), st.sampled_from(["s.yaml", "s.json"]))
def test_any_bytes(data: bytes, file: str) -> None:
    assert not a_model_or_a_refusal(data, file)


@profile(400)
@given(
    st.fixed_dictionaries(
        {
            "netspec": st.just(1),
            "inputs": st.just({"x": {"shape": ["batch", 6]}}),
            "layers": st.lists(TREES, max_size=5),
        },
        optional=dict.fromkeys(("params", "let", "blocks", "defaults", "outputs", "freeze", "name", "include"), TREES),
    )
)
def test_any_tree(tree: Any) -> None:
    a_model_or_a_refusal(json.dumps(tree), "s.json")


@profile(600)
@given(st.data())
def test_a_good_spec_with_something_changed(data: st.DataObject) -> None:
    tree = json.loads(json.dumps(data.draw(st.sampled_from(GOOD))))
    for _ in range(data.draw(st.integers(1, 3))):
        tree = changed(tree, data)
    a_model_or_a_refusal(json.dumps(tree), "s.json")


def test_the_specs_that_are_changed_are_good() -> None:
    good = [a_model_or_a_refusal(json.dumps(tree), "s.json") for tree in GOOD]
    assert sum(good) > len(good) * 0.8  # the others need what a test gives them
    assert len(good) > 25


def changed(tree: Any, data: st.DataObject) -> Any:
    """`tree` with one of its nodes gone, replaced, doubled, moved or wrapped."""
    paths = list(_paths(tree))
    path = data.draw(st.sampled_from(paths))
    if not path:
        return tree
    parent = tree
    for step in path[:-1]:
        parent = parent[step]
    last = path[-1]
    match data.draw(st.sampled_from(["delete", "replace", "double", "move", "wrap", "rename"])):
        case "delete":
            del parent[last]
        case "replace":
            parent[last] = data.draw(TREES)
        case "double" if isinstance(parent, list) and isinstance(last, int):
            parent.insert(last, parent[last])
        case "move":
            parent[last] = json.loads(json.dumps(_at(tree, data.draw(st.sampled_from(paths)))))
        case "wrap":
            parent[last] = data.draw(st.sampled_from([[parent[last]], {"layers": [parent[last]]}, {"a": parent[last]}]))
        case "rename" if isinstance(parent, dict):
            parent[data.draw(KEYS)] = parent.pop(last)
        case _:
            parent[last] = data.draw(SCALARS)
    return tree


def _paths(tree: Any, here: Steps = ()) -> Iterator[Steps]:
    yield here
    children = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, child in children:
        yield from _paths(child, (*here, key))


def _at(tree: Any, path: Steps) -> Any:
    for step in path:
        tree = tree[step]
    return tree
