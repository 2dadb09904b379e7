"""`netspec backends`: which targets there are, and how to install what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netspec.cli.options import FormatOption
from netspec.cli.output import emit, emit_json
from netspec.cli.table import Column, Table

if TYPE_CHECKING:
    from netspec.backend import Backend


def list_backends(output_format: FormatOption = "table") -> None:
    """List the backends and what they can do.

    With the version that is installed, or how to install one. No framework is loaded.
    """
    from netspec.backend import backends

    known = backends().values()
    if output_format == "json":
        emit_json(
            [
                {
                    "name": backend.name,
                    "installed": not backend.missing,
                    "version": None if backend.missing else backend.version,
                    "install": _install(backend) if backend.missing else None,
                    "inference_only": backend.inference_only,
                }
                for backend in known
            ]
        )
        return
    rows = [
        (
            backend.name,
            _install(backend) if backend.missing else backend.version or "yes",
            "inference only" if backend.inference_only else "inference, gradients, training",
        )
        for backend in known
    ]
    emit(str(Table((Column("backend"), Column("installed"), Column("can do")), rows)))


def _install(backend: Backend) -> str:
    return f"pip install 'netspec-nn[{backend.extra}]'"
