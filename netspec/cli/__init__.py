"""The command line: one file per group of commands; each imports what it needs when it runs."""

from __future__ import annotations

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
