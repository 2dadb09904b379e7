"""Times what needs no framework: counts of large models as whole processes, growth with size, the import.

Each limit is one that the project promises. Exit status 1 where a figure is beyond its limit.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from rich import box
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
NETSPEC = str(Path(sys.executable).with_name("netspec"))
ROUNDS = 7
LAYERS = (1_000, 3_000, 10_000)
LOAD = """\
import sys, time
from netspec.spec import load
begin = time.process_time()
load(sys.argv[1])
print(time.process_time() - begin)
"""


class Figure(NamedTuple):
    """One measured number, and the limit that it should keep."""

    what: str
    value: float
    limit: float | None
    unit: str

    @property
    def kept(self) -> bool:
        return self.limit is None or self.value <= self.limit


def main() -> int:
    """Measure everything and print one table."""
    table = Table(title="The core, without a framework", box=box.SIMPLE_HEAD, title_justify="left")
    for heading in ("what", "measured", "limit", ""):
        table.add_column(heading, justify="right" if heading in ("measured", "limit") else "left")
    beyond = False
    for figure in figures():
        limit = "" if figure.limit is None else f"{figure.limit:g} {figure.unit}"
        table.add_row(figure.what, f"{figure.value:.3g} {figure.unit}", limit, "" if figure.kept else "beyond")
        beyond |= not figure.kept
    Console(width=None if sys.stdout.isatty() else 120, highlight=False).print(table)
    return int(beyond)


def figures() -> Iterator[Figure]:
    """All figures, one after the other. Seconds are medians of whole processes, memory is the peak of one."""
    python = process([sys.executable, "-c", "pass"])
    imported = process([sys.executable, "-c", "import netspec"])
    yield Figure("python, and nothing else", python.seconds, None, "s")
    yield Figure("import netspec, on top of that", imported.seconds - python.seconds, 0.15, "s")
    resnet = process([NETSPEC, "count-params", "zoo:resnet152"])
    yield Figure("netspec count-params resnet152", resnet.seconds, 0.4, "s")
    gpt = process([NETSPEC, "count-params", str(HERE / "gpt3_175b.yaml")])
    yield Figure("netspec count-params gpt3_175b.yaml", gpt.seconds, 0.5, "s")
    yield Figure("  its memory", gpt.megabytes, 100, "MB")
    yield from growth("one list of layers", flat)
    yield from growth("a block, repeated", repeated)


class Process(NamedTuple):
    """What a whole process took."""

    seconds: float
    megabytes: float


def process(command: Sequence[str]) -> Process:
    """Median seconds from start to end, after one run that is not counted, and the largest peak of memory."""
    seconds: list[float] = []
    megabytes: list[float] = []
    for turn in range(ROUNDS + 1):
        begin = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as child:
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            raise SystemExit(f"{' '.join(command)} ended with status {child.returncode}")
        if turn:
            seconds.append(time.perf_counter() - begin)
            megabytes.append(usage.ru_maxrss / (1024 if sys.platform == "linux" else 1024**2))
    return Process(statistics.median(seconds), max(megabytes))


def flat(layers: int) -> str:
    """A spec with one entry for each layer."""
    entries = "".join(f"  - {{name: fc{n}, type: linear, out_features: {8 + n % 3}}}\n" for n in range(layers))
    return f"netspec: 1\ninputs: {{x: {{shape: [batch, 8]}}}}\nlayers:\n{entries}"


def repeated(layers: int) -> str:
    """The same number of layers from a block of four."""
    return f"""\
netspec: 1
inputs: {{x: {{shape: [batch, 8, 16, 16]}}}}
blocks:
  Unit:
    params: {{width: 8}}
    inputs: [x]
    layers:
      - {{name: conv, type: conv2d, out_channels: $(width), kernel_size: 3, padding: 1}}
      - {{name: bn, type: batch_norm}}
      - {{name: active, type: relu}}
      - {{type: add, from: [active, x]}}
layers:
  - {{name: units, type: Unit, repeat: {layers // 4}, width: "$(x.shape[1])"}}
"""


def growth(what: str, text: Callable[[int], str]) -> Iterator[Figure]:
    """Load and expand specs of growing size, each in a process of its own; the best of three, by processor time."""
    taken: dict[int, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for layers in LAYERS:
            file = Path(folder) / f"{layers}.yaml"
            file.write_text(text(layers))
            command = [sys.executable, "-c", LOAD, str(file)]
            taken[layers] = min(float(subprocess.check_output(command)) for _ in range(3))
            yield Figure(f"{what}: {layers:,} layers", taken[layers], 3.0 if layers == LAYERS[-1] else None, "s")
    yield Figure("  the last in units of the first", taken[LAYERS[-1]] / taken[LAYERS[0]], 12, "times")


if __name__ == "__main__":
    sys.exit(main())
