"""`netspec fuzz`: random specs, run everywhere and compared."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from netspec.cli.failures import DISAGREEMENT, FAILURE
from netspec.cli.options import FormatOption
from netspec.cli.output import emit, emit_json, note


def fuzz(
    count: Annotated[
        int | None, typer.Option("--count", metavar="N", min=1, help="How many graphs. Default: 100.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="S", help="Graphs are the same for the same seed.")] = 0,
    number: Annotated[
        list[int] | None,
        typer.Option("--graph", metavar="N", min=0, help="This graph of the seed alone. Repeatable."),
    ] = None,
    layers: Annotated[
        str | None,
        typer.Option("--layers", metavar="TYPE,TYPE", show_default=False, help="Put some of these into each graph."),
    ] = None,
    backends: Annotated[
        str | None,
        typer.Option("--backends", metavar="NAME,NAME", show_default=False, help="Default: all that are installed."),
    ] = None,
    rotate: Annotated[
        bool, typer.Option("--rotate", help="Run each graph on two backends in turn, not on all: five times as fast.")
    ] = False,
    folder: Annotated[
        str, typer.Option("--output", "-o", metavar="FOLDER", help="Where the specs of failures go.")
    ] = "fuzz-findings",
    output_format: FormatOption = "table",
) -> None:
    """Compare the backends on random specs.

    Each graph is drawn from the layers' own constraints, with branches, groups, blocks, sharing, ties, loops, frozen
    parts and sizes of 1 among the rest, is written as text and read again, and is run in inference and training, in
    float64 and float32, against the reference. With --layers each graph has some of those that are named among the
    others: for who ports or changes a layer. It is also unrolled, renamed, frozen, run sample by sample, saved and
    loaded, which must change nothing; and broken in a place or two, which must be refused.

    A graph that some backend gets wrong is cut down to the smallest spec that still shows it. That goes to a file in
    FOLDER, and the line that reproduces it is printed. Exit status 1 where anything disagrees.
    """
    from pathlib import Path

    from netspec.cli.verify import backend_names
    from netspec.errors import NetspecError, printable
    from netspec.fuzz.report import FuzzReport
    from netspec.fuzz.run import Options
    from netspec.fuzz.run import fuzz as run
    from netspec.fuzz.targets import BackendNeverAnsweredError

    if number and count is not None:
        raise NetspecError("--count: not together with --graph, which names each graph")
    live = sys.stderr is not None and sys.stderr.isatty()
    graphs = number or range(100 if count is None else count)
    total = len(graphs)

    def progress(done: int, report: FuzzReport) -> None:
        if live:
            filled = 30 * done // total
            sys.stderr.write(f"\r[{'#' * filled}{'.' * (30 - filled)}] {done}/{total}, {len(report.findings)} found ")
            sys.stderr.flush()

    wanted = [] if layers is None else [name.strip() for name in layers.split(",")]
    options = Options(graphs, seed, backend_names(backends), rotate, Path(folder), wanted)
    try:
        report = run(options, progress)
    except BackendNeverAnsweredError as error:
        note("\n".join(map(printable, str(error).splitlines())))
        raise typer.Exit(FAILURE) from None
    if live:
        note("")
    if output_format == "json":
        emit_json(report.to_json())
    else:
        emit(str(report))
    raise typer.Exit(0 if report.agree else DISAGREEMENT)
