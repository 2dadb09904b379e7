"""`netspec fuzz` on the command line: words, JSON, statuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from netspec.cli.application import run
from netspec.errors import NetspecError


def test_the_summary_and_the_status(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(["fuzz", "--count", "3", "--seed", "1", "--backends", "numpy", "-o", str(tmp_path / "found")]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("3 graphs of seed 1: ")
    assert "disagreements: 0\n" in out
    assert "numpy-float64: " in out
    assert err == ""
    assert not (tmp_path / "found").exists()


def test_json_of_single_graphs(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["fuzz", "--graph", "7", "--graph", "9", "--backends", "numpy", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["graphs"] == 2
    assert found["agree"] is True
    assert set(found["coverage"]) == {"layers", "missing_layers", "pairs", "possible_pairs"}


def test_layers_that_are_asked_for_are_in_the_graphs(capsys: pytest.CaptureFixture[str]) -> None:
    numbers = [word for number in (2, 3, 4) for word in ("--graph", str(number))]
    asked = ["--layers", "cumsum,glu", "--backends", "numpy", "--format", "json"]
    assert run(["fuzz", *numbers, *asked]) == 0
    found = json.loads(capsys.readouterr().out)
    assert not {"cumsum", "glu"} & set(found["coverage"]["missing_layers"])


def test_a_layer_that_is_none_is_refused() -> None:
    with pytest.raises(NetspecError, match="the fuzzer makes no layer reluu; did you mean relu"):
        run(["fuzz", "--layers", "cumsum,reluu", "--backends", "numpy"])


def test_help_says_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["fuzz", "--help"]) == 0
    words = " ".join(capsys.readouterr().out.split())
    assert "cut down to the smallest spec" in words
    assert "Exit status 1 where anything disagrees" in words


def test_no_graphs_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["fuzz", "--count", "0"]) == 2
    assert "--count" in capsys.readouterr().err


def test_a_count_of_single_graphs_is_refused() -> None:
    with pytest.raises(NetspecError, match="--count: not together with --graph, which names each graph"):
        run(["fuzz", "--graph", "7", "--count", "3", "--backends", "numpy"])
