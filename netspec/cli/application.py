"""The commands of `netspec`, put together with typer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from netspec.cli.backends import list_backends
from netspec.cli.count_params import count_params
from netspec.cli.diff import diff
from netspec.cli.export import export_onnx
from netspec.cli.failures import BAD_INPUT
from netspec.cli.fmt import fmt
from netspec.cli.fuzz import fuzz
from netspec.cli.layers import layers
from netspec.cli.output import emit, note
from netspec.cli.plot import plot
from netspec.cli.resolve import resolve
from netspec.cli.schema import schema
from netspec.cli.show import show
from netspec.cli.summary import summary
from netspec.cli.validate import validate
from netspec.cli.verify import verify
from netspec.cli.weights import convert_weights, diff_weights, init_weights, inspect_weights
from netspec.cli.zoo import list_zoo, show_zoo
from netspec.errors import Mistake

HELP = """One declarative model in YAML or JSON becomes PyTorch, TensorFlow, JAX and ONNX, and is proved to agree.

Exit status: 0 fine, 1 disagreement, 2 bad input or usage, 3 a failure of netspec or of a backend, 130 interrupted."""


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its status. A mistake in the arguments is one line on standard error and status 2."""
    try:
        status = application()(args=list(arguments), prog_name="netspec", standalone_mode=False)
    except typer.TyperException as error:
        note(_usage_mistake(error))
        return BAD_INPUT
    except SystemExit:
        return 0  # typer leaves so when nobody reads its help any more
    return status or 0


def application() -> typer.Typer:
    """All commands. Help is plain text: typer's panels cost 70 ms, and are cut to 80 columns in a pipe."""
    app = typer.Typer(
        help=HELP,
        epilog="Example: netspec verify specs/lenet.yaml --backends torch,jax",
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(invoke_without_command=True)(_frame)
    app.command("validate", epilog="Example: netspec validate specs/*.yaml")(validate)
    app.command("fmt", epilog="Example: netspec fmt specs/*.yaml --check")(fmt)
    app.command("resolve", epilog="Example: netspec resolve specs/residual.yaml --set classes=26")(resolve)
    app.command("schema", epilog="Example: netspec schema > netspec.schema.json")(schema)
    app.command("show", epilog="Example: netspec show specs/lenet.yaml --training")(show)
    app.command("count-params", epilog="Example: netspec count-params specs/lenet.yaml --set classes=26 --by layer")(
        count_params
    )
    app.command("summary", epilog="Example: netspec summary specs/cnn_mnist.yaml --memory --batch 64 --optimizer adam")(
        summary
    )
    app.command("plot", epilog="Example: netspec plot specs/residual.yaml -o residual.svg --depth 1")(plot)
    app.command("diff", epilog="Example: netspec diff specs/lenet.yaml specs/lenet.yaml --set-b classes=26")(diff)
    app.command("verify", epilog="Example: netspec verify specs/residual.yaml --train --dtype float64")(verify)
    app.command("fuzz", epilog="Example: netspec fuzz --count 200 --seed 7 --backends torch,onnx")(fuzz)
    app.command("layers", epilog="Example: netspec layers batch_norm")(layers)
    app.command("backends", epilog="Example: netspec backends")(list_backends)
    export = typer.Typer(
        help="Write a model as a file that other programs read.",
        epilog="Example: netspec export onnx resnet50 --weights resnet50.safetensors -o resnet50.onnx",
        rich_markup_mode=None,
    )
    export.command("onnx", epilog="Example: netspec export onnx specs/lenet.yaml -o lenet.onnx --seed 7")(export_onnx)
    app.add_typer(export, name="export")
    app.add_typer(_weights_commands(), name="weights")
    app.add_typer(_zoo_commands(), name="zoo")
    return app


def _weights_commands() -> typer.Typer:
    group = typer.Typer(
        help="Make, show, compare and convert files of weights.",
        epilog="Example: netspec weights init resnet50 -o resnet50.safetensors",
        rich_markup_mode=None,
    )
    group.command("init", epilog="Example: netspec weights init specs/lenet.yaml -o lenet.safetensors --seed 7")(
        init_weights
    )
    group.command("inspect", epilog="Example: netspec weights inspect lenet.safetensors --stats")(inspect_weights)
    group.command("diff", epilog="Example: netspec weights diff before.safetensors after.safetensors")(diff_weights)
    group.command(
        "convert", epilog="Example: netspec weights convert lenet.weights.h5 lenet.safetensors specs/lenet.yaml"
    )(convert_weights)
    return group


def _zoo_commands() -> typer.Typer:
    group = typer.Typer(
        help="The specs of netspec, whose names go wherever a file does.",
        epilog="Example: netspec summary resnet50 --set classes=10",
        rich_markup_mode=None,
    )
    group.command("list", epilog="Example: netspec zoo list --params ..12M --sort macs")(list_zoo)
    group.command("show", epilog="Example: netspec zoo show resnet50 > mine.yaml")(show_zoo)
    return group


def _usage_mistake(error: typer.TyperException) -> str:
    """The one line for a mistake in the arguments: the command, what is wrong, where to read on."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "netspec"
    message = " ".join(error.format_message().replace("Value error, ", "").split()).rstrip(".")
    return f"{Mistake(f'{command}: {message}')} (see {command} --help)"


def _print_version(wanted: bool) -> None:
    if wanted:
        from netspec import __version__

        emit(f"netspec {__version__}\n")
        raise typer.Exit


def _frame(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        note(context.get_help())
        raise typer.Exit(BAD_INPUT)
