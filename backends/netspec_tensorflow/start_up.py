"""Imports TensorFlow without its start-up log."""

from __future__ import annotations

import importlib
import os
import re
import sys
import tempfile

# Notes (I) of its C++ part, and the line that announces them. Errors and warnings pass.
_NOTE = re.compile(rb"I\d{4} |WARNING: All log messages before absl::InitializeLog")


def import_tensorflow() -> None:
    """Import TensorFlow for the first time, quietly unless the user asked for its log by TF_CPP_MIN_LOG_LEVEL=0.

    TensorFlow 2.21 logs that oneDNN is on before it reads that variable, so what it writes to standard error while it
    is imported is held back, and all but the notes is written afterwards.
    """
    if "tensorflow" in sys.modules:
        return
    if os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2") == "0":
        importlib.import_module("tensorflow")
    else:
        _import_without_notes()


def _import_without_notes() -> None:
    with tempfile.TemporaryFile() as log:
        standard_error = os.dup(2)
        os.dup2(log.fileno(), 2)
        try:
            importlib.import_module("tensorflow")
        finally:
            os.dup2(standard_error, 2)
            os.close(standard_error)
            log.seek(0)
            for line in log:
                if not _NOTE.match(line):
                    os.write(2, line)
