"""`netspec verify` as a user runs it, in a process of its own that knows further backends by entry points."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

MUTANTS = Path(__file__).parent / "mutants"


def environment(folder: Path, points: Mapping[str, str]) -> dict[str, str]:
    """Variables for a process in which `points`, entry points as `name: module:object`, are backends of netspec."""
    distribution = folder / "netspec_mutants-0.dist-info"
    distribution.mkdir(exist_ok=True)
    (distribution / "METADATA").write_text("Metadata-Version: 2.1\nName: netspec-mutants\nVersion: 0\n")
    lines = [f"{name} = {target}" for name, target in points.items()]
    (distribution / "entry_points.txt").write_text("\n".join(["[netspec.backends]", *lines, ""]))
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(MUTANTS)])}


def mutants(names: Iterable[str]) -> dict[str, str]:
    """Entry points of mutants: `torch_gelu_tanh` is torch with that mistake."""
    return {name: f"netspec_mutants:{name}" for name in names}


def verify(
    folder: Path, *arguments: str, points: Mapping[str, str] | None = None, backends: Iterable[str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `netspec verify ... --format json` in `folder`."""
    chosen = [] if backends is None else ["--backends", ",".join(backends)]
    return subprocess.run(
        [sys.executable, "-m", "netspec", "verify", *arguments, *chosen, "--format", "json"],
        cwd=folder,
        env=environment(folder, points or {}),
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


def strict_json(text: str) -> Any:
    """JSON as the standard has it: no NaN, no Infinity."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    return json.loads(text, parse_constant=refuse)
