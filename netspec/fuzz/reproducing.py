"""Writes a failing spec to a file, with the command that shows the failure again."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from netspec.errors import NetspecError, printable
from netspec.fuzz.generator import FuzzedGraph
from netspec.fuzz.judging import Mode, Verdict
from netspec.fuzz.targets import Target
from netspec.weights.atomic import write_atomically


def command_for(file: Path, graph: FuzzedGraph, target: Target, training: bool) -> str:
    """The `netspec verify` line that compares the file as the fuzzer did."""
    words = ["netspec verify", str(file), "--backends", target.backend.name]
    if not target.backend.inference_only:
        words += ["--dtype", target.dtype]
    if training:
        words.append("--train")
    if graph.whole:
        words += ["--data", str(file.with_suffix(".npz"))]
    else:
        words += [f"--dim {name}={size}" for name, size in sorted(_sizes(graph, training).items())]
    return " ".join(words)


def write_finding(folder: Path, graph: FuzzedGraph, target: Target, training: bool, verdict: Verdict) -> Path:
    """Write the spec, with how to reproduce it on top, and its inputs where they are not those that verify draws.

    Raises OSError.
    """
    import numpy as np

    mode = "training" if training else "inference"
    file = folder / f"fuzz-{graph.seed}-{graph.number}-{target.name}-{mode}.yaml"
    _write(file, graph, (*verdict.words, command_for(file, graph, target, training)), graph.text)
    if graph.whole:
        arrays = {
            entry.name: Mode(graph, graph.load(), training).case.inputs[entry.name]
            for entry in graph.load().graphs.of(training).inputs
        }
        write_atomically(file.with_suffix(".npz"), lambda stream: np.savez(stream, allow_pickle=False, **arrays))
    return file


def write_text(folder: Path, graph: FuzzedGraph, kind: str, words: Sequence[str], text: str) -> Path:
    """Write a spec that shows a failure of `kind` (a relation, a twin, the core) by itself. Raises OSError."""
    ending = "json" if text is graph.text and graph.style == "json" else "yaml"
    file = folder / f"fuzz-{graph.seed}-{graph.number}-{re.sub('[^a-z]+', '-', kind.lower())}.{ending}"
    _write(file, graph, words, text)
    return file


def _write(file: Path, graph: FuzzedGraph, words: Sequence[str], text: str) -> None:
    """The text under what is wrong with it; JSON has no place for that."""
    head = [f"graph {graph.number} of seed {graph.seed}", *words] if file.suffix == ".yaml" else []
    file.parent.mkdir(parents=True, exist_ok=True)
    whole = "".join(f"# {printable(line)}\n" for line in head) + text
    write_atomically(file, lambda stream: stream.write(whole.encode()))


def require_folder(folder: Path) -> None:
    """Raises NetspecError where no file could be written into `folder`, which need not be there yet."""
    there = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise NetspecError(f"{folder}: failures cannot be written there: {there} is no folder that can be written to")


def _sizes(graph: FuzzedGraph, training: bool) -> dict[str, int]:
    """The sizes that are given: none where the graph's own will not do."""
    mode = Mode(graph, graph.load(), training)
    symbols = graph.load().graphs.of(training).symbols()
    return {name: mode.case.sizes[name] for name in graph.dims if name in symbols}
