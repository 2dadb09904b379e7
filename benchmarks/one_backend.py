"""Times all models on the backend that is named on the command line, and prints a line of JSON for each figure."""

from __future__ import annotations

import importlib
import json
import sys
from dataclasses import asdict

from models import cases
from rounds import FULL, QUICK, interleave

from netspec_tensorflow.start_up import import_tensorflow


def main(backend: str, effort: str) -> None:
    """Each line has the model, the work, and what `rounds.Timing` has."""
    if backend == "tensorflow":
        import_tensorflow()  # without its log
    handwritten = importlib.import_module(f"handwritten_{backend}")
    for case in cases():
        for work, own, ours in handwritten.pairs(case):
            timing = interleave(own, ours, QUICK if effort == "quick" else FULL)
            print(json.dumps({"model": case.name, "work": work, **asdict(timing)}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
