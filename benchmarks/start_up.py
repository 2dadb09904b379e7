"""Times whole processes: how long a command or an import takes, from start to end."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

LENET = Path(__file__).parents[1] / "specs" / "lenet.yaml"
NETSPEC = str(Path(sys.executable).with_name("netspec"))
COMMANDS = {
    "python, and nothing else": [sys.executable, "-c", "pass"],
    "import netspec": [sys.executable, "-c", "import netspec"],
    "netspec count-params specs/lenet.yaml": [NETSPEC, "count-params", str(LENET)],
}


def start_up(rounds: int) -> dict[str, tuple[float, float, float]]:
    """Seconds for each command, in interleaved rounds after one that is not counted: median, lowest, highest."""
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for turn in range(rounds + 1):
        for name, command in COMMANDS.items():
            begin = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            if turn:
                times[name].append(time.perf_counter() - begin)
    return {name: (statistics.median(each), min(each), max(each)) for name, each in times.items()}
