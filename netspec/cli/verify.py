"""`netspec verify`: does a model give the same numbers on every backend."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from netspec.cli.failures import DISAGREEMENT, FAILURE
from netspec.cli.options import (
    DimOption,
    FormatOption,
    FreezeOption,
    MaxBytesOption,
    SetOption,
    SpecOption,
    load,
    parse_dims,
)
from netspec.cli.output import emit, emit_json, note
from netspec.cli.table import Column, Table, number
from netspec.cli.weights_options import OnlyOption, SkipOption, WeightsOption, chosen_weights
from netspec.errors import NetspecError, printable

if TYPE_CHECKING:
    from netspec.compare.report import BackendReport, Report

LEGEND = "Errors: largest difference from the reference, divided by the scale of the tensor; - means not compared.\n"
SHOWN_NAMES = 5


def verify(
    spec: SpecOption,
    backends: Annotated[
        str | None,
        typer.Option("--backends", metavar="NAME,NAME", show_default=False, help="Default: all that are installed."),
    ] = None,
    dtype: Annotated[
        Literal["float32", "float64", "float16", "bfloat16"],
        typer.Option("--dtype", help="Float type to compare; ONNX is always float32."),
    ] = "float32",
    train: Annotated[bool, typer.Option("--train", help="Compare training: random masks and statistics too.")] = False,
    data: Annotated[
        str | None,
        typer.Option("--data", metavar="FILE.npz", show_default=False, help="Inputs, one array each, by name."),
    ] = None,
    dims: DimOption = None,
    weights: WeightsOption = None,
    only: OnlyOption = None,
    skip: SkipOption = None,
    max_bytes: MaxBytesOption = None,
    assignments: SetOption = None,
    freeze: FreezeOption = None,
    output_format: FormatOption = "table",
) -> None:
    """Compare a model's backends with the reference.

    Each runs in a process of its own, and is compared with NumPy in float64: outputs, every gradient, with --train
    updated buffers, and the number of parameters. Exit status 1 where a
    backend differs; the first layer that does is named.
    """
    import netspec
    from netspec.compare.worker import BackendProcessError

    loaded = load(spec, assignments, freeze)
    sizes = parse_dims(dims or ())
    if data is not None and sizes:
        raise NetspecError("--dim and --data: the sizes are those of the arrays; give one of the two")
    arrays = None if data is None else read_arrays(data)
    values = chosen_weights(loaded, weights, only, skip)
    if sys.stderr is not None and sys.stderr.isatty():
        note(f"comparing {loaded.name}: each framework takes some seconds to start")
    try:
        report = netspec.verify(
            loaded, backend_names(backends), dtype, train, arrays, sizes or None, values, max_bytes=max_bytes
        )
    except BackendProcessError as error:
        note("\n".join(map(printable, str(error).splitlines())))
        raise typer.Exit(FAILURE) from None
    if output_format == "json":
        emit_json(report.to_json())
    else:
        emit(f"{_table(report)}\n{_conclusion(report)}{LEGEND}")
    raise typer.Exit(0 if report.agree else DISAGREEMENT)


def read_arrays(file: str) -> dict[str, Any]:
    """The arrays of an .npz file by name; nothing in it is ever unpickled. Raises NetspecError."""
    import lzma
    import zipfile
    import zlib
    from pathlib import Path

    import numpy as np

    # What zipfile and NumPy raise on files that are damaged, encrypted, pickled, or claim more than memory holds.
    unreadable = (OSError, EOFError, ValueError, KeyError, RuntimeError, MemoryError, OverflowError)
    damaged = (zipfile.BadZipFile, zlib.error, lzma.LZMAError)
    if not Path(file).is_file():  # a pipe that nobody writes to would hang
        raise NetspecError(f"{file}: an .npz file is expected, there is no such file")
    try:
        with Path(file).open("rb") as stream:
            archive = np.load(stream, allow_pickle=False)
            is_archive = isinstance(archive, np.lib.npyio.NpzFile)
            arrays = {name: archive[name] for name in archive.files} if is_archive else None
    except (*unreadable, *damaged) as error:
        raise NetspecError(f"{file}: cannot be read as an .npz file: {error}") from None
    if arrays is None:
        raise NetspecError(f"{file}: an .npz file is expected, this is one array alone")
    return arrays


def backend_names(backends: str | None) -> list[str] | None:
    """The names of `--backends NAME,NAME`. Raises NetspecError."""
    if backends is None:
        return None
    names = [name.strip() for name in backends.split(",")]
    if not all(names) or len(set(names)) < len(names):
        raise NetspecError(f"--backends: expected different names with commas between them, got {backends!r}")
    return names


def _table(report: Report) -> Table:
    return Table(
        columns=(
            *(Column("backend"), Column("agrees")),
            *(Column(f"{kind} error", number=True) for kind in ("output", "gradient", "buffer")),
            *(Column("parameters", number=True), Column("note")),
        ),
        rows=[
            (
                *(name, "yes" if backend.agree else "NO"),
                *map(_error, (backend.max_output_error, backend.max_gradient_error, backend.max_buffer_error)),
                *(number(backend.params), _note(backend, report.dtype)),
            )
            for name, backend in report.backends.items()
        ],
    )


def _error(error: float | None) -> str:
    return "-" if error is None else f"{error:.1e}"


def _note(backend: BackendReport, dtype: str) -> str:
    parts: list[str] = [backend.note] if backend.note else []
    if backend.dtype != dtype:
        parts.append(f"in {backend.dtype}")
    if backend.first_difference is not None:
        first = backend.first_difference
        parts.append(f"first differs at {first.node} ({first.line}) by {first.error:.1e}")
    parts += backend.problems[:1]
    if len(backend.problems) > 1:
        parts.append(f"and {len(backend.problems) - 1} more")
    return printable("; ".join(parts))


def _conclusion(report: Report) -> str:
    mode = "training" if report.train else "inference"
    differing = [name for name, backend in report.backends.items() if not backend.agree]
    if not differing:
        return f"All agree with the float64 reference, in {mode}, {report.dtype}.\n{_ill_conditioned(report)}"
    return f"Not in agreement with the float64 reference, in {mode}, {report.dtype}: {', '.join(differing)}.\n"


def _ill_conditioned(report: Report) -> str:
    """A line that names the tensors whose errors in narrow types say little, or none."""
    names = list(dict.fromkeys(name for backend in report.backends.values() for name in backend.ill_conditioned))
    if not names:
        return ""
    more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
    half = report.dtype in ("float16", "bfloat16")
    moved = f"a quarter under roundings of {report.dtype}" if half else f"1,000 roundings of {report.dtype}"
    return (
        f"Ill-conditioned: {', '.join(map(printable, names[:SHOWN_NAMES]))}{more} move by more than {moved},\n"
        f"so that an agreement in {report.dtype} says little of them: compare with --dtype float64.\n"
    )
