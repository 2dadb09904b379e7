"""Times netspec beside hand-written models of each framework, and its start; prints two tables.

Both run in one process, in turns, on the same weights and batch; each framework has a process of its own. Trust ratios,
not milliseconds: a machine's speed changes while it is measured, and changes for both alike.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from start_up import start_up

BACKENDS = ("torch", "tensorflow", "jax")
# The CPU for all, and quiet.
ENVIRONMENT = {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "3"}


def main() -> int:
    """Run everything that is asked for; 1 if a framework's process failed, which then has said why."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="only see that everything runs; the figures mean nothing")
    parser.add_argument("--backends", default=",".join(BACKENDS), help="default: %(default)s")
    options = parser.parse_args()

    table = Table(title="netspec beside hand-written models, one batch", box=box.SIMPLE_HEAD, title_justify="left")
    for heading in ("backend", "model", "work"):
        table.add_column(heading)
    for heading in ("hand-written, ms", "netspec, ms", "ratio [lowest-highest]"):
        table.add_column(heading, justify="right")
    failed = False
    for backend in options.backends.split(","):
        for row in measured(backend, "quick" if options.quick else "full"):
            if row is None:
                failed = True
                continue
            ratio = f"{row['ratio']:.2f} [{row['low']:.2f}-{row['high']:.2f}]"
            figures = f"{row['handwritten']:.3f}", f"{row['ours']:.3f}", ratio
            table.add_row(backend, row["model"], row["work"], *figures)
        table.add_section()
    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    console.print(table, markup=False)
    console.print(start_table(2 if options.quick else 11))
    return int(failed)


def measured(backend: str, effort: str) -> Iterator[dict[str, Any] | None]:
    """The figures of one backend as its process prints them, and None if that fails."""
    command = [sys.executable, str(Path(__file__).with_name("one_backend.py")), backend, effort]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **ENVIRONMENT}) as process:
        assert process.stdout is not None
        for line in process.stdout:
            row = json.loads(line)
            print(f"{backend}: {row['model']}, {row['work']}: {row['ratio']:.2f}", file=sys.stderr, flush=True)
            yield row
    if process.returncode:
        yield None


def start_table(rounds: int) -> Table:
    """How long whole processes take."""
    table = Table(title="Start, whole process", box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column("process")
    table.add_column("seconds [lowest-highest]", justify="right")
    for name, (median, low, high) in start_up(rounds).items():
        table.add_row(name, f"{median:.3f} \\[{low:.3f}-{high:.3f}]")
    return table


if __name__ == "__main__":
    sys.exit(main())
