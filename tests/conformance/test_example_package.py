"""A package of somebody else adds layers and a backend: found by entry points, and held to the same table."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from netspec.backend import find_backend
from netspec.compare.session import Task
from netspec.compare.verify import compare
from netspec.compare.worker import Worker
from tests.conformance.table import Row, rows
from tests.conformance.test_agreement import assert_agrees

PACKAGE = Path(__file__).parents[1] / "data" / "example_package"
SPEC = """\
netspec: 1
name: scaled
inputs: {x: {shape: [batch, 5, 3]}}
layers:
  - {name: fc, type: linear, out_features: 4}
  - {type: squareplus, b: 0.7}
  - {name: scale, type: layer_scale, init: {gamma: {type: normal, std: 0.5}}}
outputs: {y: scale}
"""


def distribution(folder: Path, name: str, entry_points: Mapping[str, Mapping[str, str]]) -> None:
    """What an installer leaves of a package's name and entry points."""
    made = folder / f"{name.replace('-', '_')}-1.dist-info"
    made.mkdir()
    (made / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
    lines = [
        line
        for group, points in entry_points.items()
        for line in (f"[{group}]", *(f"{name} = {target}" for name, target in points.items()))
    ]
    (made / "entry_points.txt").write_text("\n".join([*lines, ""]))


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder on the path with what an installer makes of the package's pyproject.toml."""
    folder = tmp_path_factory.mktemp("installed")
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]
    distribution = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    distribution.mkdir()
    (distribution / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    lines = [
        line
        for group, points in project["entry-points"].items()
        for line in (f"[{group}]", *(f"{name} = {target}" for name, target in points.items()))
    ]
    (distribution / "entry_points.txt").write_text("\n".join([*lines, ""]))
    return folder


def netspec(*arguments: str, folder: Path, installed: bool = True) -> subprocess.CompletedProcess[str]:
    """The command in `folder`, which is on the path; the package's modules are where it is `installed`."""
    path = [str(folder), *([str(PACKAGE)] if installed else []), os.environ.get("PYTHONPATH", "")]
    return subprocess.run(
        [sys.executable, "-m", "netspec", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path))},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


@pytest.fixture(scope="module")
def worker(installed: Path) -> Iterator[Worker]:
    with pytest.MonkeyPatch.context() as patch:
        for folder in (PACKAGE, installed):
            patch.syspath_prepend(folder)
        with Worker(find_backend("eager"), "float64") as started:
            yield started


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.name)
def test_its_backend_passes_the_conformance_table(worker: Worker, row: Row) -> None:
    case = row.case("float64")
    task = Task(worker.backend, case.graphs, case.weights, case.inputs, case.cotangents, case.training, "float64")
    assert_agrees(compare(case, row.reference("float64"), worker.evaluate(task), "float64"))


@pytest.mark.parametrize("dtype", ["float64", pytest.param("float32", marks=pytest.mark.thorough)])
def test_its_layers_agree_on_every_backend(installed: Path, dtype: str) -> None:
    (installed / "scaled.yaml").write_text(SPEC)
    done = netspec("verify", "scaled.yaml", "--train", "--dtype", dtype, folder=installed)
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(name in done.stdout for name in ("torch", "tensorflow", "jax", "onnx", "eager"))


def test_the_commands_know_its_layers(installed: Path) -> None:
    (installed / "scaled.yaml").write_text(SPEC)
    done = netspec("count-params", "scaled.yaml", folder=installed)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[2].split() == ["total", "21"]  # 3 * 4 + 4 of the linear layer, 5 factors
    done = netspec("layers", "squareplus", folder=installed)
    assert "Barron" in done.stdout
    assert "from   the package netspec-example" in done.stdout
    done = netspec("schema", folder=installed)
    assert '"layer_scale"' in done.stdout


def test_without_the_package_its_layers_are_unknown(tmp_path: Path) -> None:
    (tmp_path / "scaled.yaml").write_text(SPEC)
    done = netspec("validate", "scaled.yaml", folder=tmp_path, installed=False)
    assert done.returncode == 2
    assert "scaled.yaml:6:12: unknown layer type squareplus" in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("netspec_nowhere:Layer", "cannot be loaded from netspec_nowhere:Layer: ModuleNotFoundError"),
        ("pathlib:Path", "pathlib:Path is no netspec.Layer"),
        ("netspec.layers:Relu", "its type is 'relu', not the entry point's name"),
    ],
)
def test_a_package_that_cannot_be_used_is_named(tmp_path: Path, target: str, message: str) -> None:
    distribution(tmp_path, "broken", {"netspec.layers": {"squareplus": target}})
    (tmp_path / "scaled.yaml").write_text(SPEC)
    done = netspec("validate", "scaled.yaml", folder=tmp_path, installed=False)
    assert done.returncode == 2
    assert "layer squareplus of broken" in done.stderr
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_built_in_layer_goes_before_one_of_a_package(tmp_path: Path) -> None:
    distribution(tmp_path, "greedy", {"netspec.layers": {"relu": "netspec_nowhere:Relu"}})
    (tmp_path / "plain.yaml").write_text("netspec: 1\nname: plain\ninputs: {x: {shape: [2]}}\nlayers: [relu]\n")
    done = netspec("validate", "plain.yaml", folder=tmp_path, installed=False)
    assert (done.returncode, done.stderr) == (0, "")
