"""Writes a failing spec to a file, with the command that shows the failure again."""

from __future__ import annotations

from pathlib import Path

from netspec.errors import printable
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
    """Write the spec, with how to reproduce it on top, and its inputs where they are not those that verify draws."""
    import numpy as np

    folder.mkdir(parents=True, exist_ok=True)
    mode = "training" if training else "inference"
    file = folder / f"fuzz-{graph.seed}-{graph.number}-{target.name}-{mode}.yaml"
    head = [f"graph {graph.number} of seed {graph.seed}", *verdict.words, command_for(file, graph, target, training)]
    text = "".join(f"# {printable(line)}\n" for line in head) + graph.text
    write_atomically(file, lambda stream: stream.write(text.encode()))
    if graph.whole:
        arrays = {
            entry.name: Mode(graph, graph.load(), training).case.inputs[entry.name]
            for entry in graph.load().graphs.of(training).inputs
        }
        write_atomically(file.with_suffix(".npz"), lambda stream: np.savez(stream, allow_pickle=False, **arrays))
    return file


def _sizes(graph: FuzzedGraph, training: bool) -> dict[str, int]:
    """The sizes that are given: none where the graph's own will not do."""
    mode = Mode(graph, graph.load(), training)
    symbols = graph.load().graphs.of(training).symbols()
    return {name: mode.case.sizes[name] for name in graph.dims if name in symbols}
