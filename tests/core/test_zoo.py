"""The zoo on the command line and in Python: its list, its texts, and its names in place of files."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import netspec
from netspec.cli.zoo import parse_range
from netspec.errors import NetspecError
from netspec.language.zoo import zoo_names
from tests.core.conftest import Run
from tests.core.fenced_blocks import ROOT, blocks, commands
from tests.core.test_readme import shell

SPECS = ROOT / "specs"


def listed(run: Run, *options: str) -> list[str]:
    status, out, err = run("zoo", "list", *options, "--format", "json")
    assert (status, err) == (0, "")
    return [row["name"] for row in json.loads(out)]


def test_the_list_has_every_spec_with_its_numbers(run: Run) -> None:
    _, out, _ = run("zoo", "list", "--format", "json")
    rows = {row["name"]: row for row in json.loads(out)}
    assert set(rows) == set(zoo_names()) == {path.stem for path in SPECS.rglob("*.yaml")}
    assert rows["resnet50"] == {
        "name": "resnet50",
        "params": 25_557_032,
        "macs": 4_089_184_256,
        "file": "specs/torchvision/resnet50.yaml",
        "description": netspec.load("resnet50").description,
    }
    assert list(rows) == sorted(rows)
    assert all(row["description"].endswith(".") for row in rows.values())


def test_the_list_is_sorted_and_bounded(run: Run) -> None:
    by_params = listed(run, "--params", "1248424..11689512", "--macs", "..2G", "--sort", "params")
    assert by_params == ["squeezenet1_0", "autoencoder", "resnet18"]
    by_macs = listed(run, "--macs", "11308466176..15470264320", "--sort", "macs")
    assert by_macs == ["vgg13", "vgg13_bn", "resnet152", "vgg16", "vgg16_bn"]


def test_the_table(run: Run) -> None:
    status, out, err = run("zoo", "list", "--params", "..1k")
    assert (status, err) == (0, "")
    assert out.splitlines()[0].split() == ["name", "parameters", "MACs", "description"]
    assert any(line.startswith("perceptron") and " 211 " in line for line in out.splitlines())


@pytest.mark.parametrize("text", ["", "3", "...", "1..2..3", "1.5M..", "M..", "1m..", "-1..", "1T..", "5..4", "x"])
def test_a_wrong_range_is_refused(run: Run, text: str) -> None:
    status, out, err = run("zoo", "list", f"--macs={text}")
    assert (status, out) == (2, "")
    assert err.startswith("--macs")
    assert err.count("\n") == 1


def test_ranges_include_their_ends() -> None:
    assert all(size in parse_range("--params", "10k..2M") for size in (10_000, 2_000_000))
    assert not any(size in parse_range("--params", "10k..2M") for size in (9_999, 2_000_001))
    assert 10**30 in parse_range("--params", "1G..")


def test_show_prints_the_text_or_its_place(run: Run) -> None:
    assert run("zoo", "show", "resnet50") == (0, (SPECS / "torchvision" / "resnet50.yaml").read_text(), "")
    status, out, _ = run("zoo", "show", "zoo:lenet", "--path")
    assert (status, Path(out.strip()).resolve()) == (0, SPECS / "lenet.yaml")
    assert run("zoo", "show", "resnet59") == (2, "", "the zoo has no resnet59; did you mean resnet50?\n")


@pytest.mark.parametrize("name", ["resnet18", "zoo:resnet18"])
def test_a_name_goes_where_a_file_does(run: Run, name: str) -> None:
    status, out, _ = run("count-params", name, "--set", "classes=10", "--format", "json")
    assert (status, json.loads(out)["total"]) == (0, 11_689_512 - 990 * 513)
    assert run("validate", name)[0] == 0
    assert netspec.load(name).name == "resnet18"
    assert netspec.count_params(name).total == 11_689_512


def test_a_file_of_that_name_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lenet").write_text((SPECS / "perceptron.yaml").read_text())
    (tmp_path / "resnet18").mkdir()
    assert netspec.load("lenet").name == "perceptron"
    assert netspec.load("zoo:lenet").name == "lenet"
    with pytest.raises(NetspecError, match="this is a folder"):
        netspec.load("resnet18")


def test_a_name_that_is_neither(run: Run) -> None:
    wrong = "resnet59:1:1: there is no such file, and none in the zoo; did you mean resnet50?\n"
    assert run("show", "resnet59") == (2, "", wrong)
    assert run("show", "zoo:resnet59") == (2, "", "the zoo has no resnet59; did you mean resnet50?\n")
    assert run("show", "a/resnet50") == (2, "", "a/resnet50:1:1: cannot be opened: No such file or directory\n")


def test_the_page_of_the_zoo_shows_what_happens(tmp_path: Path) -> None:
    shown = commands("docs/zoo.md")
    assert len(shown) >= 3
    for command in shown:
        assert shell(command.line, tmp_path) == command.output, command.line
    (block,) = blocks("docs/zoo.md", "yaml")
    spec = netspec.loads(block.text)
    assert netspec.count_params(spec).trainable == 512 * 10 + 10
    named = re.findall(r"`(?:zoo:)?([a-z]\w+)`", (ROOT / "docs/zoo.md").read_text())
    assert set(named) - {"params", "include", "specs", "_bn"} <= set(zoo_names())


def test_every_spec_has_a_canonical_form_and_short_lines(run: Run) -> None:
    files = [str(path) for path in zoo_names().values()]
    assert run("fmt", "--check", *files) == (0, "", "")
    assert all(len(line) <= 120 for file in files for line in Path(file).read_text().splitlines())


def test_a_spec_of_ones_own_includes_one_of_the_zoo(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("netspec: 1\ninclude: [zoo:resnet152]\nparams: {depths: [1, 1, 1, 1], classes: 7}\n")
    spec = netspec.load(file)
    assert str(spec.inference.outputs[0].value.type) == "float[batch, 7]"
    assert len([row for row in netspec.count_params(spec).rows if row.path.endswith("conv3.weight")]) == 4


def test_the_list_shows_how_far_it_is_on_a_terminal_alone() -> None:
    import pty

    terminal, end = pty.openpty()
    command = [sys.executable, "-m", "netspec", "zoo", "list", "--params", "..1k"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=end, text=True, check=True)
    os.close(end)
    shown = os.read(terminal, 1 << 16).decode()
    os.close(terminal)
    assert f"1/{len(zoo_names())} alexnet" in shown
    assert shown.endswith("\r\x1b[K")
    assert "\r" not in done.stdout


def test_the_list_and_a_deep_network_are_quick() -> None:
    # Processor time, as other tests run beside: 1.7 s and 0.4 s on an idle machine.
    for arguments, limit in ((["zoo", "list"], 8.0), (["count-params", "resnet152"], 2.0)):
        times = os.times()
        begin = times.children_user + times.children_system
        subprocess.run([sys.executable, "-m", "netspec", *arguments], stdout=subprocess.DEVNULL, check=True)
        times = os.times()
        assert times.children_user + times.children_system - begin < limit


def test_the_text_of_a_spec_is_the_same_model_in_another_folder(run: Run, tmp_path: Path) -> None:
    for name in zoo_names():
        _, text, _ = run("zoo", "show", name)
        copy = tmp_path / "mine.yaml"
        copy.write_text(text)
        assert netspec.count_params(netspec.load(copy)) == netspec.count_params(netspec.load(f"zoo:{name}"))
