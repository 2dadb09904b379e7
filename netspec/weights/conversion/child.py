"""The program of the process that reads a file of another program: limits first, then the reader.

It is started by its path and gets its task on standard input. It leaves `weights.safetensors` in the folder that the
task names, and beside it `answer.json`: what the layers are called, or why the file is refused.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import resource
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
REFUSED_EVENTS = ("socket.", "subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.spawn")


def main() -> None:
    """Read one file under limits."""
    task = json.load(sys.stdin)
    leave_network()
    sys.path[:] = task["modules"]
    reader = importlib.import_module(task["reader"])
    answer = _read(reader, task)
    Path(task["folder"], "answer.json").write_text(json.dumps(answer))


def _read(reader: Any, task: dict[str, Any]) -> dict[str, Any]:
    from netspec.errors import NetspecError
    from netspec.weights.safetensors_file import write_weights

    limit(task["memory"], task["seconds"])
    try:
        arrays, layer_names = reader.read(task["path"], task["key"])
        write_weights(Path(task["folder"], "weights.safetensors"), arrays)
    except NetspecError as error:
        return {"refused": str(error)}
    except MemoryError:
        return {"refused": _beyond(task["memory"])}
    except Exception as error:  # noqa: BLE001 (whatever a library raises on a file of any content)
        if "allocate" in str(error):  # torch raises a RuntimeError
            return {"refused": _beyond(task["memory"])}
        reason = str(error).strip().partition("\n")[0]
        return {"refused": f"cannot be read: {type(error).__name__}: {reason}"}
    return {"layer_names": layer_names}


def _beyond(memory: int) -> str:
    return f"cannot be read: it takes more than {memory // 2**20} MB of memory, too much for its size"


def leave_network() -> None:
    """Move to a network of its own, with nobody in it, where the system lets a process do so (Linux)."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWUSER | CLONE_NEWNET)


def limit(memory: int, seconds: int) -> None:
    """From now on at most so much more memory and time, no network, no other program."""
    with suppress(FileNotFoundError):  # macOS, which takes no limit of memory either
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        _set_limit(resource.RLIMIT_AS, pages * os.sysconf("SC_PAGE_SIZE") + memory)
    _set_limit(resource.RLIMIT_CPU, int(time.process_time()) + seconds)
    _set_limit(resource.RLIMIT_FSIZE, memory)
    _set_limit(resource.RLIMIT_CORE, 0)
    sys.addaudithook(_refuse)


def _set_limit(kind: int, value: int) -> None:
    hard = resource.getrlimit(kind)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, value))


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if event.startswith(REFUSED_EVENTS):
        raise PermissionError(f"{event} is refused while a file is read")


if __name__ == "__main__":
    main()
