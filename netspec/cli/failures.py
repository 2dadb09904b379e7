"""What went wrong becomes lines on standard error and an exit status, in one place."""

from __future__ import annotations

import os
from types import TracebackType
from typing import Self

from netspec.cli.output import note, prepare_streams
from netspec.errors import MAX_MESSAGE, NetspecError, printable

DISAGREEMENT = 1
BAD_INPUT = 2
FAILURE = 3
INTERRUPTED = 130

TRACEBACK = "NETSPEC_TRACEBACK"


class Failures:
    """A `with` statement that nothing leaves as an exception; `status` is then what the process should end with."""

    def __init__(self) -> None:
        self.status = 0

    def __enter__(self) -> Self:
        prepare_streams()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if isinstance(error, NetspecError):
            note(str(error))
            self.status = BAD_INPUT
        elif isinstance(error, KeyboardInterrupt):
            self.status = INTERRUPTED
        elif isinstance(error, Exception):
            _report(error)
            self.status = FAILURE
        return error is None or isinstance(error, Exception | KeyboardInterrupt)


def _report(error: Exception) -> None:
    """One line for a failure that is not the user's; the traceback is for those who ask for it."""
    if os.environ.get(TRACEBACK):
        import traceback

        note("".join(traceback.format_exception(error)).rstrip())
        return
    line = printable(f"{type(error).__name__}: {error}")[:MAX_MESSAGE]
    note(f"netspec: internal error: {line} ({TRACEBACK}=1 shows the traceback)")
