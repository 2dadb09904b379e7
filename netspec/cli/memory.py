"""The part of `netspec summary` on memory: weights, gradients, optimiser and activations, and which batch fits."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from netspec.cli.table import Column, Table, number
from netspec.errors import NetspecError
from netspec.graph.dims import Size

if TYPE_CHECKING:
    from netspec.analysis.choices import FloatType, Optimizer
    from netspec.analysis.footprint import Footprint
    from netspec.spec import Spec

DECIMAL = {"kB": 1000, "KB": 1000, "MB": 1000_000, "GB": 1000_000_000, "TB": 1000_000_000_000}
UNITS = {"": 1, "B": 1, **DECIMAL, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}

LEGEND = """\
Bytes of tensors at the peak of one pass: gradients are there all the time, activations as long as something reads them.
Not counted: what a layer needs inside, what the allocator rounds up, and the framework itself.
"""


@dataclass(frozen=True)
class Memory:
    """The footprints of one spec in both modes, and the largest batch of each in `limit` bytes where that is given."""

    dtype: FloatType
    optimizer: Optimizer
    footprints: Mapping[str, Footprint]
    limit: int | None
    batches: Mapping[str, int]

    @property
    def fits(self) -> bool:
        """Whether at least one sample fits wherever that was asked."""
        return 0 not in self.batches.values()


def measure(
    spec: Spec, dims: Mapping[str, int], dtype: FloatType | None, optimizer: Optimizer | None, fit: str | None
) -> Memory:
    """Count the memory of a spec for inference and for training. Raises NetspecError."""
    from netspec.analysis.footprint import footprint, largest_batch

    dtype, optimizer = dtype or "float32", optimizer or "sgd"
    graphs = {"inference": spec.inference, "training": spec.training}
    limit = None if fit is None else parse_bytes(fit)
    batches = {} if limit is None else {n: largest_batch(g, limit, dims, dtype, optimizer) for n, g in graphs.items()}
    found = {name: footprint(graph, dims, dtype, optimizer) for name, graph in graphs.items()}
    return Memory(dtype, optimizer, found, limit, batches)


def parse_bytes(text: str) -> int:
    """`8GiB`, `500 MB`, `123456`. Raises NetspecError."""
    found = re.fullmatch(r"([0-9]{1,15})(\.[0-9]{1,6})? ?([A-Za-z]*)", text, re.ASCII)
    if found is None or found[3] not in UNITS:
        raise NetspecError(f"--fit: expected a size such as 8GiB or 500MB, got {text!r}")
    whole, fraction, unit = found.groups()
    return int(whole) * UNITS[unit] + int(float(fraction or 0) * UNITS[unit])


def memory_text(memory: Memory) -> str:
    """A table with a column for each mode, and a line for each batch that fits."""
    inference, training = memory.footprints["inference"], memory.footprints["training"]
    rows = [
        ("weights", number(inference.weights), number(training.weights)),
        ("gradients", number(inference.gradients), number(training.gradients)),
        (f"optimizer ({memory.optimizer})", number(inference.optimizer), number(training.optimizer)),
        ("buffers", number(inference.buffers), number(training.buffers)),
        ("activations", _cell(inference.activations), _cell(training.activations)),
        ("  peak at layer", inference.peak_at or "", training.peak_at or ""),
    ]
    total = ("total", _readable(inference.total), _readable(training.total))
    columns = (Column(f"bytes in {memory.dtype}"), Column("inference", number=True), Column("training", number=True))
    text = f"{Table(columns, rows, total)}{LEGEND}"
    undecided = sorted({*inference.undecided, *training.undecided})
    if undecided:
        text += f"The peak depends on the sizes: give {' '.join(f'--dim {name}=N' for name in undecided)}.\n"
    for mode, batch in memory.batches.items():
        what = f"the largest batch is {batch:,}" if batch else "not even one sample fits"
        text += f"In {_readable(memory.limit)}, for {mode}: {what}.\n"
    return text


def memory_json(memory: Memory) -> dict[str, Any]:
    """The same for programs; `largest_batch` is there with a limit only."""
    return {
        "dtype": memory.dtype,
        "optimizer": memory.optimizer,
        **{mode: _footprint_json(found) for mode, found in memory.footprints.items()},
        **({"limit": memory.limit, "largest_batch": dict(memory.batches)} if memory.limit is not None else {}),
    }


def _footprint_json(found: Footprint) -> dict[str, Any]:
    return {
        "weights": found.weights,
        "gradients": found.gradients,
        "optimizer": found.optimizer,
        "buffers": found.buffers,
        "activations": _size_json(found.activations),
        "peak_at": found.peak_at,
        "peak_needs_dims": list(found.undecided),
        "total": _size_json(found.total),
    }


def _size_json(size: Size | None) -> int | str | None:
    return size if size is None or isinstance(size, int) else str(size)


def _cell(size: Size | None) -> str:
    return "open" if size is None else number(size)


def _readable(size: Size | None) -> str:
    """`1.2 GiB`; a polynomial as it is."""
    if not isinstance(size, int):
        return _cell(size)
    power = max((size.bit_length() - 1) // 10, 0) if size else 0
    unit = ("bytes", "KiB", "MiB", "GiB", "TiB")[min(power, 4)]
    return f"{size} bytes" if power == 0 else f"{size / 1024 ** min(power, 4):,.1f} {unit}"
