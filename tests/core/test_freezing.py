"""What is frozen: an entry's own word, then the last glob that matches; statistics of frozen layers stay."""

from __future__ import annotations

import json
from typing import Any

import pytest

from netspec.graph.printer import print_graph
from tests.core.spec_text import HEAD, TOWER, graph, mistakes, spec, trainable


@pytest.mark.parametrize(
    ("globs", "frozen"),
    [
        (["stem"], "stem.conv stem.bn"),
        (["stem.*"], "stem.conv stem.bn"),
        (["*.conv"], "stem.conv layer1.conv layer2.conv layer12.conv"),
        (["layer[12]"], "layer1.conv layer2.conv"),
        (["layer[1-4].conv.weight"], "layer1.conv.weight layer2.conv.weight"),
        (["layer?"], "layer1.conv layer2.conv"),
        (["layer??"], "layer12.conv"),
        (["layer*"], "layer1.conv layer2.conv layer12.conv"),
        (["5"], "5"),
        (["*"], "stem.conv stem.bn layer1.conv layer2.conv layer12.conv 5 fc"),
        (["*", "!fc"], "stem.conv stem.bn layer1.conv layer2.conv layer12.conv 5"),
        (["!fc", "*"], "stem.conv stem.bn layer1.conv layer2.conv layer12.conv 5 fc"),
        (["*", "!layer*", "layer2"], "stem.conv stem.bn layer2.conv 5 fc"),
        (["*.*.weight"], "stem.conv.weight stem.bn.weight layer1.conv.weight layer2.conv.weight layer12.conv.weight"),
        (["stem.bn.running_*"], ""),
    ],
)
def test_globs_freeze_what_they_match_and_all_beneath(globs: list[str], frozen: str) -> None:
    def expected(path: str) -> bool:
        return any(path == prefix or path.startswith(prefix + ".") for prefix in frozen.split())

    by_file = trainable(TOWER + f"freeze: {json.dumps(globs)}")
    assert by_file == {path: not expected(path) for path in by_file}
    assert trainable(TOWER, freeze=globs) == by_file


@pytest.mark.parametrize("which", ["running_mean", "running_var"])
def test_a_glob_for_one_of_two_statistics_is_refused(which: str) -> None:
    (mistake,) = mistakes(TOWER + f"freeze: [stem.bn.{which}]")
    assert "stem.bn: running_mean and running_var are frozen both or neither" in mistake


@pytest.mark.parametrize(
    "glob", ["nothing", "Stem", "ste", "stem.conv.weight.x", "!fcc", "layer[3-9]", "stem..conv", "*.*.*.*"]
)
def test_a_glob_that_matches_nothing_is_refused(glob: str) -> None:
    (mistake,) = mistakes(TOWER + f"freeze: [stem, {json.dumps(glob)}]")
    assert mistake.startswith(f"s.yaml:13:16: freeze: {glob} matches nothing")
    (mistake,) = mistakes(TOWER, freeze=[glob])
    assert mistake.startswith(f"freeze: {glob} matches nothing")
    assert "did you mean fc" in mistakes(TOWER, freeze=["fcc"])[0]


def test_an_entrys_own_word_goes_before_every_glob() -> None:
    text = TOWER.replace("{name: fc,", "{name: fc, frozen: true,").replace(
        "{name: layer1.conv,", "{name: layer1.conv, frozen: false,"
    )
    assert trainable(text, freeze=["layer*", "!fc"]) == {
        path: not path.startswith(("fc", "layer2", "layer12")) for path in trainable(text)
    }


def updates(text: str, **options: Any) -> set[str]:
    return set(spec(text, **options).training.updates)


def test_statistics_of_a_frozen_batch_norm_are_fixed_and_used_as_in_inference() -> None:
    statistics = {"stem.bn.running_mean", "stem.bn.running_var"}
    assert updates(TOWER) == statistics
    assert updates(TOWER, freeze=["stem"]) == set()
    assert updates(TOWER, freeze=["stem.bn"]) == set()
    assert updates(TOWER, freeze=["stem.conv"]) == statistics
    assert updates(TOWER, freeze=["stem.bn.weight", "stem.bn.bias"]) == statistics
    own = TOWER.replace("{name: stem.bn,", "{name: stem.bn, frozen: WORD,")
    assert updates(own.replace("WORD", "true")) == set()
    assert updates(own.replace("WORD", "weights")) == statistics
    assert updates(own.replace("WORD", "weights"), freeze=["*"]) == statistics
    assert updates(own.replace("WORD", "false"), freeze=["*"]) == statistics
    frozen = {path for path, trained in trainable(own.replace("WORD", "weights")).items() if not trained}
    assert frozen == {"stem.bn.weight", "stem.bn.bias"}
    inference = print_graph(graph(own.replace("WORD", "true"))).split("nodes")[1]
    training = print_graph(spec(own.replace("WORD", "true")).training).split("nodes")[1]
    assert training == inference


@pytest.mark.parametrize("word", ["1", "yes", "weight", "null", "[true]"])
def test_words_of_frozen_that_are_refused(word: str) -> None:
    (mistake,) = mistakes(HEAD + f"layers: [{{type: relu, frozen: {word}}}]")
    assert mistake.startswith("s.yaml:4:31: 0 (relu): frozen: expected true, false or weights, got ")
