"""`netspec weights`: make, show, compare and convert files of weights."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from netspec.cli.failures import DISAGREEMENT
from netspec.cli.options import FormatOption, MaxBytesOption, SetOption, SpecOption, load, pairs
from netspec.cli.output import emit, emit_json, note
from netspec.cli.table import Column, Table, number
from netspec.cli.weights_options import NonfiniteOption, SeedOption
from netspec.errors import NetspecError, printable
from netspec.graph.dims import format_shape

if TYPE_CHECKING:
    from netspec.weights.conversion.layers import Match
    from netspec.weights.numbers import Statistics
    from netspec.weights.safetensors_file import TensorInfo

FOREIGN = (".pth", ".pt", ".h5", ".npz", ".onnx")

OutputOption = Annotated[str, typer.Option("-o", "--output", metavar="FILE", show_default=False, help="The new file.")]
FileArgument = Annotated[str, typer.Argument(metavar="FILE", show_default=False, help="A .safetensors file.")]


def init_weights(
    spec: SpecOption,
    output: OutputOption,
    seed: SeedOption = 0,
    max_bytes: MaxBytesOption = None,
    assignments: SetOption = None,
) -> None:
    """Write the initial weights of a model.

    They depend on the seed, and for each tensor on its path and shape alone: the same on every machine, and those
    that every backend starts from.
    """
    from netspec.analysis.memory_limit import check_initial
    from netspec.weights.initial import initial_weights
    from netspec.weights.safetensors_file import write_weights

    _check_name(output)
    graph = load(spec, assignments, None).inference
    check_initial(graph, max_bytes)
    arrays = initial_weights(graph, seed)
    write_weights(output, arrays)
    _note_written(output, arrays)


def inspect_weights(
    file: FileArgument,
    stats: Annotated[bool, typer.Option("--stats", help="Read the numbers too: mean, spread, NaN.")] = False,
    output_format: FormatOption = "table",
) -> None:
    """List the tensors of a file.

    Only the header is read, so it takes no longer for large files, unless --stats asks for the numbers: mean,
    standard deviation and extremes of the finite ones, and how many are NaN or infinite.
    """
    from netspec.weights.numbers import statistics
    from netspec.weights.safetensors_file import open_weights

    with open_weights(file) as opened:
        tensors = opened.tensors
        found = {name: statistics(opened.read(name)) for name in tensors} if stats else {}
    numbers = sum(info.size for info in tensors.values())
    size = sum(info.nbytes for info in tensors.values())
    if output_format == "json":
        rows = [_tensor_json(name, info, found.get(name)) for name, info in tensors.items()]
        emit_json({"file": file, "tensors": rows, "total": {"tensors": len(rows), "numbers": numbers, "bytes": size}})
        return
    titles = ("mean", "std", "min", "max", "NaN", "infinite") if stats else ()
    emit(
        str(
            Table(
                columns=(
                    *(Column("tensor"), Column("dtype"), Column("shape")),
                    *(Column("numbers", number=True), Column("bytes", number=True)),
                    *(Column(title, number=True) for title in titles),
                ),
                rows=[
                    (
                        *(printable(name), info.dtype, format_shape(info.shape)),
                        *(number(info.size), number(info.nbytes)),
                        *_statistics_cells(found.get(name)),
                    )
                    for name, info in tensors.items()
                ],
                total=(f"{len(tensors)} tensors", "", "", number(numbers), number(size), *("" for _ in titles)),
            )
        )
    )


def diff_weights(
    a: Annotated[str, typer.Argument(metavar="A", show_default=False, help="A .safetensors file.")],
    b: Annotated[str, typer.Argument(metavar="B", show_default=False, help="Another one.")],
    output_format: FormatOption = "table",
) -> None:
    """Compare the tensors of two files.

    Names that only one has, dtypes, shapes, and for each tensor the largest absolute difference. Exit status 1 where
    something differs.
    """
    from netspec.weights.numbers import largest_difference
    from netspec.weights.safetensors_file import open_weights

    with open_weights(a) as left, open_weights(b) as right:
        rows: list[dict[str, Any]] = []
        for name in {**left.tensors, **right.tensors}:
            one, other = left.tensors.get(name), right.tensors.get(name)
            row: dict[str, Any] = {"name": name, "a": _type_json(one), "b": _type_json(other), "max_difference": None}
            if one and other and one.shape == other.shape:
                row["max_difference"] = largest_difference(left.read(name), right.read(name))
            if one is None or other is None or one.dtype != other.dtype or row["max_difference"] != 0:
                rows.append(row)
        same = len({**left.tensors, **right.tensors}) - len(rows)
    if output_format == "json":
        for row in rows:
            if row["max_difference"] == math.inf:
                row["max_difference"] = "infinite"
        emit_json({"equal": not rows, "same": same, "different": rows})
    elif rows:
        emit(str(_difference_table(rows, same)))
    else:
        emit(f"The same: {same} tensors.\n")
    raise typer.Exit(DISAGREEMENT if rows else 0)


def convert_weights(
    source: Annotated[str, typer.Argument(metavar="IN", show_default=False, help="The file to read.")],
    output: Annotated[str, typer.Argument(metavar="OUT", show_default=False, help="The .safetensors file to write.")],
    spec: Annotated[
        str | None,
        typer.Argument(metavar="SPEC", show_default=False, help="The model, needed for layouts."),
    ] = None,
    written_by: Annotated[
        Literal["torch", "keras", "flax"] | None,
        typer.Option("--from", show_default=False, help="Whose names and layouts they are. Default: by the file."),
    ] = None,
    rename: Annotated[
        list[str] | None,
        typer.Option(
            "--rename", metavar="OLD=NEW", help="Another name for a layer or what names begin with. Repeatable."
        ),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option("--key", metavar="NAME", show_default=False, help="Which mapping of a .pth file with several."),
    ] = None,
    allow_nonfinite: NonfiniteOption = False,
    assignments: SetOption = None,
    output_format: FormatOption = "table",
) -> None:
    """Make a .safetensors file of another program's.

    Torch's (.pth, .pt), Keras' (.weights.h5) or Flax's (.npz, .safetensors). The file is read in a process of its
    own with limits of memory and time and no network; a pickle by torch's safe reader alone. Layers of Keras and
    Flax are found by their names, then by their order, and put in our layout; which became which is printed.
    """
    from netspec.weights.conversion.file import convert_file
    from netspec.weights.safetensors_file import write_weights

    _check_name(output)
    graphs = None if spec is None else load(spec, assignments, None).graphs
    names = dict(pairs("--rename", rename or (), "OLD=NEW"))
    converted = convert_file(source, graphs, written_by, names, key, allow_nonfinite)
    write_weights(output, converted.arrays)
    if output_format == "json":
        emit_json({"tensors": list(converted.arrays), "layers": [_match_json(match) for match in converted.matches]})
    elif converted.matches:
        rows = [
            (printable(str(match.source)), match.target.call.path, match.target.type, f"by {match.how}")
            for match in converted.matches
        ]
        emit(str(Table((Column("their layer"), Column("our layer"), Column("type"), Column("found")), rows)))
    _note_written(output, converted.arrays)


def _check_name(output: str) -> None:
    """A NetspecError where the name of a new file promises another format."""
    path = Path(output)
    if path.suffix in FOREIGN:
        raise NetspecError(f"{path}: what is written is .safetensors: call it {path.with_suffix('.safetensors')}")


def _note_written(path: str, arrays: dict[str, Any]) -> None:
    size = sum(array.nbytes for array in arrays.values())
    note(f"{printable(path)}: {len(arrays)} tensors, {size:,} bytes")


def _tensor_json(name: str, info: TensorInfo, found: Statistics | None) -> dict[str, Any]:
    row = {"name": name, "dtype": info.dtype, "shape": list(info.shape), "numbers": info.size, "bytes": info.nbytes}
    if found is None:
        return row
    extremes = {"mean": found.mean, "std": found.std, "min": found.minimum, "max": found.maximum}
    return {**row, **extremes, "nan": found.nan, "infinite": found.infinite}


def _statistics_cells(found: Statistics | None) -> tuple[str, ...]:
    if found is None:
        return ()
    numbers = (found.mean, found.std, found.minimum, found.maximum)
    return (*("-" if value is None else f"{value:.4g}" for value in numbers), number(found.nan), number(found.infinite))


def _type_json(info: TensorInfo | None) -> dict[str, Any] | None:
    return None if info is None else {"dtype": info.dtype, "shape": list(info.shape)}


def _match_json(match: Match) -> dict[str, str]:
    return {"source": str(match.source), "path": match.target.call.path, "type": match.target.type, "by": match.how}


def _difference_table(rows: list[dict[str, Any]], same: int) -> Table:
    def cell(type: dict[str, Any] | None) -> str:
        return "-" if type is None else f"{type['dtype']} {format_shape(type['shape'])}"

    return Table(
        columns=(Column("tensor"), Column("in A"), Column("in B"), Column("largest difference", number=True)),
        rows=[
            (
                *(printable(row["name"]), cell(row["a"]), cell(row["b"])),
                "-" if row["max_difference"] is None else f"{row['max_difference']:.3g}",
            )
            for row in rows
        ],
        total=(f"{len(rows)} differ, {same} are the same", "", "", ""),
    )
