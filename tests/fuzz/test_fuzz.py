"""A few seconds of every fuzz target, so that the harness works and finds nothing new; `make fuzz` runs longer."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from tests.fuzz.fuzz import ROOT, TARGETS

pytest.importorskip("atheris", reason="atheris has no wheel for this platform, and so the extra fuzz installs none")


@pytest.mark.parametrize("target", TARGETS)
def test_a_fuzz_target_finds_nothing_in_some_seconds(target: str) -> None:
    path = os.pathsep.join([str(ROOT), str(ROOT / "backends")])
    finished = subprocess.run(
        # The limit of memory reads the peak of the process, and that begins at the peak of pytest's, which started it.
        [sys.executable, "-m", "tests.fuzz.fuzz", target, "-max_total_time=2", "-seed=1", "-rss_limit_mb=0"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert finished.returncode == 0, finished.stderr[-3000:]
    runs = re.search(r"Done (\d+) runs", finished.stderr)
    assert runs is not None
    assert int(runs[1]) > 100
