"""Each planted mistake is caught by the fuzzer within 200 graphs. The table of tests/README.md lists them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.command import MUTANTS
from tests.conformance.kept import KeptWorkers
from tests.fuzzer.bodies import BODIES
from tests.fuzzer.hunting import Hunt
from tests.fuzzer.planted import PLANTED, Planted

README = Path(__file__).parents[1] / "README.md"


@pytest.fixture(scope="module")
def hunt() -> Iterator[Hunt]:
    with pytest.MonkeyPatch.context() as patch, KeptWorkers() as workers:
        patch.syspath_prepend(MUTANTS)
        yield Hunt(workers)


def cases(speed: str) -> list[tuple[Planted, str]]:
    return [(planted, base) for planted in PLANTED for base in getattr(planted, speed)]


@pytest.mark.parametrize(
    ("planted", "base"),
    [*cases("quick"), *(pytest.param(*case, marks=pytest.mark.thorough) for case in cases("thorough"))],
    ids=lambda part: part if isinstance(part, str) else part.name,
)
def test_mistake_is_caught(planted: Planted, base: str, hunt: Hunt) -> None:
    assert hunt.caught_at(planted, base) is not None


@pytest.mark.parametrize("base", ["torch", "onnx"])
def test_the_same_wrapper_without_a_mistake_is_never_caught(base: str, hunt: Hunt) -> None:
    clean = Planted("nothing", "", ("batch_norm", "gelu", "interpolate"), (base,))
    assert hunt.caught_at(clean, base, graphs=40) is None


def test_the_readme_lists_them_all() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.*) \| (.*) \| (.*) \| (.*) \| (.*) \|$", README.read_text(), re.MULTILINE)
    assert rows == [
        (
            each.name,
            each.words,
            each.where,
            ", ".join(each.hits),
            ", ".join((*each.quick, *each.thorough)),
            "--layers" if each.asked else "plain",
        )
        for each in PLANTED
    ]


def test_there_are_enough_of_every_kind() -> None:
    names = [each.name for each in PLANTED]
    assert len(set(names)) == len(names) >= 40
    assert {each.name for each in PLANTED if each.where != "tables"} == set(BODIES)
    assert len(BODIES) >= 15
    assert {base for each in PLANTED for base in each.quick} == {"torch", "onnx", "jax", "tensorflow"}
