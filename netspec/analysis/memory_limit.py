"""Refuses a build that would take more memory than the machine has free, before anything of that size is made."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from netspec.analysis.memory import activation_memory
from netspec.errors import NetspecError
from netspec.graph.graph import Graph

# Bytes of one number: as it is drawn or read, in float32; in the float64 of the reference.
STORED, REFERENCE = 4, 8
NATIVE: Mapping[str, int] = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2}


def check_initial(graph: Graph, max_bytes: int | None = None) -> None:
    """A NetspecError where the initial weights do not fit; `max_bytes` is the limit instead of what is free."""
    _check(_numbers(graph) * STORED, f"the initial weights of {graph.name}: making them", max_bytes)


def check_build(graph: Graph, dtype: str, max_bytes: int | None = None) -> None:
    """The same for the weights and the native copy of them."""
    _check(_numbers(graph) * (STORED + NATIVE[dtype]), f"building {graph.name}", max_bytes)


def check_verify(graph: Graph, dtype: str, dims: Mapping[str, int] | None, max_bytes: int | None = None) -> None:
    """The same for a comparison: the reference holds weights and gradients in float64, a backend its own.

    Where `dims` are the sizes of all symbols, the activations of the reference are counted too.
    """
    size = _numbers(graph) * (STORED + 2 * REFERENCE + 2 * NATIVE[dtype])
    if dims is not None:
        activations = activation_memory(graph, dims)
        assert isinstance(activations.total, int) and isinstance(activations.peak, int)
        size += max(activations.total, activations.peak) * REFERENCE // STORED
    _check(size, f"verifying {graph.name}", max_bytes)


def available_memory() -> int | None:
    """The bytes that this process may still take: of the machine and of its control group; None where unknown."""
    found = [size for size in (_machine(), *_groups()) if size is not None]
    return min(found, default=None)


def _check(size: int, what: str, max_bytes: int | None) -> None:
    if max_bytes is not None and (type(max_bytes) is not int or max_bytes < 0):
        raise NetspecError(f"max_bytes: expected an integer from 0 up, got {max_bytes!r}")
    limit = available_memory() if max_bytes is None else max_bytes
    if limit is not None and size > limit:
        free = "are free on this machine" if max_bytes is None else "are allowed"
        raise NetspecError(
            f"{what} takes at least {size:,} bytes of memory, and {limit:,} {free}; --max-bytes (max_bytes=) "
            "sets another limit"
        )


def _numbers(graph: Graph) -> int:
    return sum(math.prod(held.value.shape) for held in graph.state)


def _machine() -> int | None:
    """Linux tells what can be had without swapping; elsewhere the whole memory is the limit."""
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, AttributeError):
        return None


def _groups() -> Iterator[int | None]:
    """What the control groups of this process and those above them leave it: version 2, then version 1."""
    root = Path("/sys/fs/cgroup")
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return
    for line in lines:
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        if controllers == "":
            group = root / path.lstrip("/")
            for folder in (group, *group.parents):
                if folder.is_relative_to(root):
                    yield _left(folder / "memory.max", folder / "memory.current")
        elif "memory" in controllers.split(","):
            for folder in (root / "memory" / path.lstrip("/"), root / "memory"):
                yield _left(folder / "memory.limit_in_bytes", folder / "memory.usage_in_bytes")


def _left(limit: Path, used: Path) -> int | None:
    """The limit of a group without what it uses; files that are only cached can be given up, and count as free.

    None where there is no limit: version 2 then has the word `max`.
    """
    try:
        words = (limit.parent / "memory.stat").read_text(encoding="ascii").split()
        stat = dict(zip(words[::2], words[1::2], strict=False))
        cached = int(stat.get("total_inactive_file", stat.get("inactive_file", "0")))
        return max(0, int(limit.read_text(encoding="ascii")) - int(used.read_text(encoding="ascii")) + cached)
    except (OSError, ValueError):
        return None
