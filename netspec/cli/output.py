"""Where words go: results to standard output, everything else to standard error."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterable
from typing import Any

from netspec.errors import Mistake, NetspecError


def prepare_streams() -> None:
    """Show what a stream's encoding cannot hold as escapes: a name outside ASCII must not stop a command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def emit(text: str) -> None:
    """Print a result on standard output.

    A reader that left early has what it wanted: no more is written, and the command goes on to its status. Raises
    NetspecError where the output cannot be written.
    """
    if sys.stdout is None:
        raise NetspecError("standard output is closed")
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        _discard_output()
    except OSError as error:
        _discard_output()
        raise NetspecError(f"standard output cannot be written: {error.strerror}") from None


def emit_json(data: Any) -> None:
    """Print a result as JSON, in ASCII, which every reader takes."""
    import json

    emit(json.dumps(data, indent=2, allow_nan=False) + "\n")


def note(text: str) -> None:
    """Print a line that is no result on standard error: an error, a warning, where a file went."""
    if sys.stderr is None:
        return
    try:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
    except OSError:  # there is nowhere left to say it; the status still tells
        _discard(sys.stderr.fileno())


def warn(mistakes: Iterable[Mistake]) -> None:
    """Print what is no mistake but worth knowing, each with its place."""
    for mistake in mistakes:
        note(str(mistake._replace(message=f"warning: {mistake.message}")))


def _discard_output() -> None:
    _discard(sys.stdout.fileno())


def _discard(descriptor: int) -> None:
    """Send what is left to nowhere: the interpreter would fail once more on it when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)
