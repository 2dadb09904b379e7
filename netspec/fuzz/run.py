"""A run of the fuzzer: graph after graph is made, run on its targets and judged; failures are cut down and written."""

from __future__ import annotations

import traceback
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from netspec.backend import Backend
from netspec.compare.session import Answer
from netspec.compare.worker import BackendProcessError
from netspec.errors import NetspecError
from netspec.fuzz.generator import FuzzedGraph, generate, require_generated
from netspec.fuzz.judging import Mode, Verdict, judge, modes
from netspec.fuzz.metamorphic import CHECKS, relations
from netspec.fuzz.report import Finding, FuzzReport
from netspec.fuzz.reproducing import command_for, require_folder, write_finding, write_text
from netspec.fuzz.shrink import shrink
from netspec.fuzz.targets import SLOW, Pool, Target, rotated, targets
from netspec.fuzz.twins import negative_twins
from netspec.spec import Spec

# Graphs on their way at a time: their references are taken while the backends work on others.
AHEAD = 4


@dataclass(frozen=True)
class Options:
    """What to fuzz. With `rotate` each graph runs on two targets in turn, not on all of them, and is asked
    two relations.

    `folder` takes the files of failures; without one nothing is cut down or written. Each graph has some of `layers`,
    where any are named.
    """

    numbers: Sequence[int] = range(100)
    seed: int = 0
    backends: Sequence[str | Backend] | None = None
    rotate: bool = False
    folder: Path | None = None
    layers: Sequence[str] = ()


@dataclass
class _Pending:
    """One graph in one mode on one target, whose answer will come."""

    graph: FuzzedGraph
    mode: Mode
    target: Target
    answer: Future[Answer]


def fuzz(options: Options, progress: Callable[[int, FuzzReport], None] = lambda done, report: None) -> FuzzReport:
    """Run the fuzzer; `progress` hears of each graph that is done.

    Raises NetspecError for a backend or a layer that is not there and a folder that cannot be written to,
    BackendNeverAnsweredError for a backend whose process cannot start.
    """
    if options.folder is not None:
        require_folder(options.folder)
    for type in options.layers:
        require_generated(type)
    every = targets(options.backends)
    report = FuzzReport(options.seed)
    pending: deque[_Pending] = deque()
    with Pool() as pool, warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of numbers that overflow: the comparison knows of them
        for done, number in enumerate(options.numbers, 1):
            chosen = rotated(every, number) if options.rotate else every
            graph: FuzzedGraph | None = None
            try:
                graph = generate(options.seed, number, wanted=options.layers)
                pending.extend(_start(graph, chosen, pool, report, options))
            except Exception as error:  # noqa: BLE001 (no spec may make the core raise what is no NetspecError)
                report.findings.append(_finding_of_the_core(error, number, graph, options))
            while len({each.graph.number for each in pending}) > AHEAD:
                _finish(pending.popleft(), pool, report, options)
            progress(done, report)
        while pending:
            _finish(pending.popleft(), pool, report, options)
    return report


def _start(
    graph: FuzzedGraph, chosen: Sequence[Target], pool: Pool, report: FuzzReport, options: Options
) -> Iterator[_Pending]:
    """Check what needs no backend, and send the graph to its targets."""
    report.graphs += 1
    spec = graph.load()
    report.coverage.add(spec.training)
    for twin in negative_twins(graph):
        report.twins[twin.broken] += 1
        if twin.wrong is not None:
            finding = Finding(graph.number, f"negative twin: {twin.broken}", "checker", (twin.wrong,))
            report.findings.append(_written(finding, graph, twin.text, options))
    both = list(modes(graph, spec))
    for mode in both:
        try:
            _ = mode.case
        except NetspecError as error:
            report.refused[graph.number] = str(error)
            continue
        if not mode.training:
            _relations(graph, mode, report, options)
        for target in chosen:
            # In rotation what is slow takes one mode of two, in turn.
            turn = len(both) < 2 or target.backend.name not in SLOW or mode.training == (graph.number // 4 % 2 == 0)
            if meets(graph, mode, target) and (turn or not options.rotate):
                mode.reference_for(target)
                yield _Pending(graph, mode, target, pool.submit(target, mode.case_for(target)))


def meets(graph: FuzzedGraph, mode: Mode, target: Target) -> bool:
    """Whether a target takes part: ties and kinks of whole numbers say something in float64 alone."""
    if target.backend.inference_only:
        return not mode.training and not graph.whole
    return target.dtype == "float64" or not graph.whole


def _relations(graph: FuzzedGraph, mode: Mode, report: FuzzReport, options: Options) -> None:
    """All relations, or two of them in turn."""
    turn = [name for place, name in enumerate(CHECKS) if (place - 2 * graph.number) % len(CHECKS) < 2]
    for name, wrong in relations(mode, graph.data, turn if options.rotate else None).items():
        report.relations[name] += 1
        if wrong is not None:
            small = graph if options.folder is None else shrink(graph, partial(_breaks, name))
            finding = Finding(graph.number, f"relation: {name}", "inference", (wrong,))
            report.findings.append(_written(finding, small, small.text, options))


def _breaks(relation: str, graph: FuzzedGraph) -> bool:
    """Whether a relation does not hold for a graph that can be run."""
    try:
        mode = next(modes(graph, graph.load()))
        return relations(mode, graph.data, [relation])[relation] is not None
    except NetspecError:
        return False


def _finding_of_the_core(error: Exception, number: int, graph: FuzzedGraph | None, options: Options) -> Finding:
    """What the core raised on a graph, or in making it: then there is no text of it."""
    words = tuple(line.rstrip() for line in traceback.format_exception(error)[-3:])
    finding = Finding(number, "core", "reading, or the reference", words)
    return finding if graph is None else _written(finding, graph, graph.text, options)


def _written(finding: Finding, graph: FuzzedGraph, text: str, options: Options) -> Finding:
    """With the file of its text, where there is a folder for it."""
    if options.folder is None:
        return finding
    try:
        file = write_text(options.folder, graph, finding.kind, finding.words, text)
    except OSError as error:  # the finding matters more than its file
        return replace(finding, words=(*finding.words, f"no file: {error}"))
    command = f"netspec fuzz --seed {options.seed} --graph {finding.number}"
    return replace(finding, file=str(file), command=command)


def _finish(pending: _Pending, pool: Pool, report: FuzzReport, options: Options) -> None:
    """Judge one answer, and note what it says."""
    verdict = judge(pending.mode, pending.target, _answer(pending.answer))
    number = pending.graph.number
    report.comparisons[pending.target.name] += 1
    report.cancelled += verdict.cancelled
    if verdict.outcome == "ill-conditioned":
        report.ill_conditioned.setdefault(number, f"{verdict.target}: {verdict.words[0]}")
    elif verdict.outcome == "refused":
        report.refused[number] = f"{verdict.target}: {verdict.words[0]}"
    elif verdict.failed:
        report.findings.append(_finding(pending, verdict, pool, options))


def _answer(future: Future[Answer]) -> Answer | Exception:
    try:
        return future.result()
    except (NetspecError, BackendProcessError) as error:
        return error


def run_one(graph: FuzzedGraph, spec: Spec, target: Target, training: bool, pool: Pool) -> Verdict | None:
    """The verdict of one target on one mode of a graph, at once; None where the graph has no such mode, or no sizes."""
    mode = next((mode for mode in modes(graph, spec) if mode.training is training), None)
    if mode is None:
        return None
    try:
        case = mode.case_for(target)
    except NetspecError:
        return None
    try:
        return judge(mode, target, pool.ask(target, case))
    except (NetspecError, BackendProcessError) as error:
        return judge(mode, target, error)


def fails_alike(verdict: Verdict, target: Target, pool: Pool) -> Callable[[FuzzedGraph], bool]:
    """Whether a graph fails as `verdict` says: the same outcome, and the same kinds of tensors in it."""
    kinds = {words.partition(" ")[0] for words in verdict.words}

    def fails(graph: FuzzedGraph) -> bool:
        found = run_one(graph, graph.load(), target, verdict.training, pool)
        if found is None or found.outcome != verdict.outcome:
            return False
        if verdict.outcome == "breaks down":  # the last line names the exception
            return found.words[-1:] == verdict.words[-1:]
        return bool({words.partition(" ")[0] for words in found.words} & kinds)

    return fails


def _finding(pending: _Pending, verdict: Verdict, pool: Pool, options: Options) -> Finding:
    mode = "training" if verdict.training else "inference"
    if options.folder is None:
        return Finding(pending.graph.number, verdict.target, mode, verdict.words)
    small = shrink(pending.graph, fails_alike(verdict, pending.target, pool))
    found = run_one(small, small.load(), pending.target, verdict.training, pool)
    finding = Finding(pending.graph.number, verdict.target, mode, (found or verdict).words)
    try:
        file = write_finding(options.folder, small, pending.target, verdict.training, found or verdict)
    except OSError as error:  # the finding matters more than its file
        return replace(finding, words=(*finding.words, f"no file: {error}"))
    command = command_for(file, small, pending.target, verdict.training)
    return replace(finding, file=str(file), command=command)
