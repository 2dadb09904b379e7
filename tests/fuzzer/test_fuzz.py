"""100 graphs on every backend in turn, and what the fuzzer does with what it finds."""

from __future__ import annotations

import importlib
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import netspec
from netspec.backend import Backend, find_backend
from netspec.errors import NetspecError
from netspec.fuzz.generator import FuzzedGraph, Style, generate, written
from netspec.fuzz.judging import modes
from netspec.fuzz.metamorphic import CHECKS, relations
from netspec.fuzz.references import entries
from netspec.fuzz.report import ILL_CONDITIONED_SHARE
from netspec.fuzz.run import Options, fuzz
from netspec.fuzz.shrink import shrink
from netspec.fuzz.targets import SLOW, BackendNeverAnsweredError, rotated, targets
from netspec.fuzz.twins import BREAKS, negative_twins
from netspec.spec import loads
from tests.conformance.command import MUTANTS

GRAPHS = 100
SEED = 0


def test_100_graphs_agree() -> None:
    report = fuzz(Options(range(GRAPHS), SEED, rotate=True))
    assert report.graphs == GRAPHS
    assert report.agree, str(report)
    assert len(report.ill_conditioned) <= ILL_CONDITIONED_SHARE * GRAPHS, report.ill_conditioned
    assert len(report.refused) <= ILL_CONDITIONED_SHARE * GRAPHS, report.refused
    # Each graph met a cheap backend and a slow one, each of them its turn.
    assert set(report.comparisons) == {target.name for target in targets(None)}
    assert min(report.comparisons.values()) >= GRAPHS // 10
    # Each relation and each way to break a spec was seen to run.
    assert set(report.relations) == set(CHECKS)
    assert min(report.relations.values()) >= GRAPHS // 4
    assert {name.__name__.strip("_").replace("_", " ") for name in BREAKS} == set(report.twins)
    assert report.twins.total() == 2 * GRAPHS


def test_targets_take_turns() -> None:
    every = targets(None)
    chosen = [rotated(every, number) for number in range(12)]
    assert {target.name for pair in chosen for target in pair} == {target.name for target in every}
    assert all([target.backend.name in SLOW for target in pair] == [False, True] for pair in chosen)


# What the checker must refuse.


@pytest.mark.parametrize("how", BREAKS, ids=lambda how: how.__name__)
def test_each_way_to_break_a_spec_is_found_and_refused(how: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netspec.fuzz.twins.BREAKS", (how,))
    twins = [twin for number in range(40) for twin in negative_twins(quick(number), 1)]
    assert len(twins) >= 2
    assert [twin for twin in twins if twin.wrong is not None] == []


@cache
def quick(number: int) -> FuzzedGraph:
    return generate(8, number, QUICK)


QUICK = ("conv2d", "max_pool2d", "relu", "linear", "batch_norm", "embedding")


def test_a_checker_that_takes_a_broken_spec_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netspec.fuzz.twins.loads", lambda text, file: loads(VALID))
    report = fuzz(Options(range(2), SEED, ["numpy"]))
    assert not report.agree
    assert {finding.words[0] for finding in report.findings} == {"it was taken"}


def test_a_failure_of_the_core_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise AssertionError("our own mistake")

    monkeypatch.setattr("netspec.fuzz.run.modes", broken)
    report = fuzz(Options(range(2), SEED, ["numpy"]))
    assert [(finding.number, finding.kind) for finding in report.findings] == [(0, "core"), (1, "core")]
    assert "our own mistake" in report.findings[0].words[-1]


def test_what_the_core_fails_on_is_written_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise AssertionError("our own mistake")

    monkeypatch.setattr("netspec.fuzz.run.modes", broken)
    (finding,) = fuzz(Options(range(1), SEED, ["numpy"], folder=tmp_path / "new")).findings
    assert finding.file is not None and finding.command == f"netspec fuzz --seed {SEED} --graph 0"
    assert Path(finding.file).read_text() == generate(SEED, 0).text  # JSON, which has no place for words
    assert Path(finding.file).suffix == ".json"


def test_a_broken_spec_that_is_taken_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netspec.fuzz.twins.loads", lambda text, file: loads(VALID))
    found = fuzz(Options(range(1), SEED, ["numpy"], folder=tmp_path)).findings
    assert {Path(finding.file or "").read_text() for finding in found} == {
        f"# graph 0 of seed {SEED}\n# it was taken\n{twin.text}" for twin in negative_twins(generate(SEED, 0))
    }


def test_a_relation_that_does_not_hold_is_cut_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(mode: Any, data: Any) -> str | None:
        return "it has a gelu" if any(entry.get("type") == "gelu" for entry in entries(data["layers"])) else None

    monkeypatch.setitem(CHECKS, "saved", wrong)
    number = next(n for n in range(200) if "gelu" in {e.get("type") for e in entries(generate(SEED, n).data["layers"])})
    (finding,) = fuzz(Options([number], SEED, ["numpy"], folder=tmp_path)).findings
    assert (finding.kind, finding.words) == ("relation: saved", ("it has a gelu",))
    assert finding.file is not None
    assert [entry["type"] for entry in loads(Path(finding.file).read_text()).resolved()["layers"]] == ["gelu"]


def test_a_folder_that_takes_no_file_is_refused_before_the_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "more"):
        with pytest.raises(NetspecError, match="no folder that can be written to"):
            fuzz(Options(range(1), SEED, ["numpy"], folder=folder))


def test_a_finding_outlives_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("netspec.fuzz.twins.loads", lambda text, file: loads(VALID))
    monkeypatch.setattr("netspec.fuzz.reproducing.write_atomically", full)
    found = fuzz(Options(range(1), SEED, ["numpy"], folder=tmp_path)).findings
    assert {finding.words for finding in found} == {("it was taken", "no file: no space left")}


@pytest.mark.parametrize(
    ("name", "value"), [("COMPILER", {"PYTHONHOME": "/nowhere"}), ("TIME_LIMIT", 0.01)], ids=["dies", "hangs"]
)
def test_a_backend_that_never_answers_ends_the_run(name: str, value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"netspec.fuzz.targets.{name}", value)
    with pytest.raises(BackendNeverAnsweredError, match=r"backend torch failed:(.|\n)*its process ended with status"):
        fuzz(Options(range(3), SEED, ["torch"]))


# Relations between models.

VALID = """\
netspec: 1
name: valid
inputs: {x: {shape: [batch, 4]}}
layers:
  - {name: a, type: linear, out_features: 4, repeat: 2}
  - {name: b, type: gelu}
outputs: {y: b}
"""


def graph_of(text: str) -> FuzzedGraph:
    import yaml

    return FuzzedGraph(0, 0, yaml.safe_load(text), text, "yaml")


def test_relations_hold_and_a_broken_one_is_named() -> None:
    graph = graph_of(VALID)
    mode = next(iter(modes(graph, graph.load())))
    assert relations(mode, graph.data) == dict.fromkeys(CHECKS)
    other = {**graph.data, "layers": [*graph.data["layers"][:1], {"name": "b", "type": "silu"}]}
    assert {name for name, wrong in relations(mode, other).items() if wrong is not None} == {"renamed", "frozen"}


# Shrinking.


def test_shrinking_leaves_what_fails_alone() -> None:
    """A graph `fails` where it has a max_pool2d with a stride above 1 behind anything at all."""

    def fails(graph: FuzzedGraph) -> bool:
        graph.load()
        found = [e for e in entries(graph.data["layers"]) if e.get("type") == "max_pool2d"]
        return any(entry.get("stride") not in (None, 1) for entry in found)

    failing = [graph for graph in (generate(2, number, QUICK) for number in range(60)) if fails(graph)]
    assert len(failing) >= 3
    for graph in failing[:5]:
        small = shrink(graph, fails)
        assert fails(small)
        (entry,) = small.data["layers"]
        assert set(entry) <= {"name", "type", "from", "kernel_size", "stride"}
        assert len(small.data["inputs"]) <= 2  # the output, which `fails` does not ask for, may read another one
        assert set(small.data) == {"netspec", "name", "inputs", "layers", "outputs"}
        assert small.dims == {} and not small.whole


def mutant(monkeypatch: pytest.MonkeyPatch, base: str, mistake: str) -> Backend:
    monkeypatch.syspath_prepend(MUTANTS)
    planted: Backend = importlib.import_module("netspec_mutants").Mutant(base, mistake)
    return planted


def test_a_planted_mistake_is_found_cut_down_and_reproduced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = mutant(monkeypatch, "torch", "gelu_tanh")
    number = next(n for n in range(200) if "type: gelu" in generate(SEED, n).text and not generate(SEED, n).whole)
    report = fuzz(Options([number], SEED, [wrong], folder=tmp_path))
    assert not report.agree
    finding = report.findings[0]
    assert finding.file is not None and finding.command is not None
    assert finding.command.startswith(f"netspec verify {finding.file} --backends torch_gelu_tanh --dtype float")
    spec = netspec.load(finding.file)
    assert [call.layer.type for call in spec.inference.all_calls()] == ["gelu"]
    assert not netspec.verify(spec, [wrong], dtype="float64").agree
    assert netspec.verify(spec, ["torch"], dtype="float64").agree
    assert json.dumps(report.to_json(), allow_nan=False)
    assert finding.command in str(report)


def test_the_same_graph_without_a_mistake_agrees() -> None:
    assert fuzz(Options(range(4), SEED, [find_backend("torch")])).agree


def test_styles_say_the_same() -> None:
    data = dict(generate(SEED, 5).data)
    styles: tuple[Style, ...] = ("yaml", "json", "flow")
    texts = [(written(data, style), f"spec.{'json' if style == 'json' else 'yaml'}") for style in styles]
    resolved = [loads(text, file=file).resolved() for text, file in texts]
    assert resolved[0] == resolved[1] == resolved[2]
    assert len({text for text, _ in texts}) == 3
