"""The command line: one file per group of commands; each imports what it needs when it runs."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `netspec` with the arguments of the process, or with these, and return its exit status.

    0 fine, 1 disagreement, 2 bad input or usage, 3 a failure of netspec or of a backend's process, 130 interrupted.
    """
    from netspec.cli.failures import Failures

    with Failures() as failures:
        from netspec.cli.application import run

        return run(sys.argv[1:] if arguments is None else arguments)
    return failures.status


def process() -> int:
    """`main` as all that a process does: the command `netspec`, and `python -m netspec`."""
    status = main()
    # Python ends with a last search for garbage, for 12 % of the time in a count of 1,400 layers. What is frozen it
    # passes over; functions for the end of the process run all the same.
    gc.freeze()
    return status
