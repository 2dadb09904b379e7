"""The import rule: `import netspec` loads next to nothing, the core no framework, and modules only what is below."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FRAMEWORKS = frozenset({"jax", "jaxlib", "keras", "onnx", "onnx_ir", "onnxruntime", "optax", "tensorflow", "torch"})
# Each costs 20 to 110 ms of every command that does not need it.
LATE = frozenset({"numpy", "pydantic", "rich", "safetensors", "typer", "yaml"})


def loaded_after(code: str) -> set[str]:
    """Names of the top-level modules that a fresh interpreter has loaded once it has run `code`."""
    report = "import json, sys; print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    finished = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, timeout=60, check=False
    )
    assert finished.returncode == 0, finished.stderr
    return set(json.loads(finished.stdout.splitlines()[-1]))


def test_import_netspec_loads_no_framework_and_nothing_slow() -> None:
    loaded = loaded_after("import netspec")
    assert "netspec" in loaded
    assert loaded & (FRAMEWORKS | LATE) == set()


@pytest.mark.parametrize("module", ["errors", "graph", "layers", "language", "expand", "passes", "analysis", "weights"])
def test_the_core_loads_no_framework(module: str) -> None:
    loaded = loaded_after(f"import netspec.{module}")
    assert loaded & FRAMEWORKS == set()
    assert {name for name in loaded if name.startswith("netspec_")} == set()


def test_the_probe_sees_what_is_loaded() -> None:
    assert {"json", "yaml"} <= loaded_after("import yaml")


def test_contracts_of_import_linter_are_kept() -> None:
    checker = Path(sys.executable).with_name("lint-imports")
    finished = subprocess.run(
        [checker, "--no-logo", "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    assert f"{len(contracts)} kept, 0 broken" in finished.stdout
