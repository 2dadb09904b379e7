"""Runs `netspec` as its script does, and writes what it took: `python measured_command.py REPORT ARGUMENTS...`."""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

FRAMEWORKS = ("torch", "tensorflow", "keras", "jax", "onnx", "onnxruntime", "flax", "numpy")


def main() -> int:
    """Exit with the status of the command."""
    from netspec.cli import main as netspec

    status = netspec(sys.argv[2:])
    used = resource.getrusage(resource.RUSAGE_SELF)
    report = {
        "seconds": used.ru_utime + used.ru_stime,
        "peak": _peak(used.ru_maxrss),
        "imported": [name for name in FRAMEWORKS if name in sys.modules],
    }
    Path(sys.argv[1]).write_text(json.dumps(report), encoding="utf-8")
    return status


def _peak(largest: int) -> int:
    """The bytes of this program at their most; Linux counts in `largest` what the process was before it was ours."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return largest
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


if __name__ == "__main__":
    sys.exit(main())
