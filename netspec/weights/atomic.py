"""Writing a file so that at every moment the old one or the new one is there, whole."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from netspec.errors import NetspecError


def write_atomically(path: str | os.PathLike[str], write: Callable[[BinaryIO], object]) -> None:
    """Let `write` fill a new file, then put that in the place of `path`, which keeps its mode.

    A failure or an interruption while writing leaves the folder as it was. Where the system can write a file that has
    no name yet (Linux), that holds even if the process is killed. A link at `path` stays, and what it points to is
    replaced. A NetspecError names `path` where the folder is missing or cannot be written, or the disk is full.
    """
    target = Path(os.path.realpath(path))
    try:
        mode = _mode_of_old_file(target)
        with _opened_folder(target.parent) as folder:
            _write_and_replace(folder, target.name, mode, write)
    except OSError as error:
        raise NetspecError(f"{os.fspath(path)}: cannot be written: {_reason(error, target)}") from error


def _mode_of_old_file(target: Path) -> int | None:
    try:
        old = target.stat()
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(old.st_mode):
        raise OSError(errno.EINVAL, "a folder is there" if stat.S_ISDIR(old.st_mode) else "it is not a regular file")
    return stat.S_IMODE(old.st_mode)


@contextmanager
def _opened_folder(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _write_and_replace(folder: int, name: str, mode: int | None, write: Callable[[BinaryIO], object]) -> None:
    """Everything is named relative to the opened folder, so that it is one folder even if it is moved meanwhile."""
    temporary = f".netspec-{secrets.token_hex(8)}"
    try:
        descriptor, named = _create(folder, temporary)
        with os.fdopen(descriptor, "wb") as file:
            write(file)
            file.flush()
            if mode is not None:
                os.fchmod(descriptor, mode)
            os.fsync(descriptor)
            if not named:
                # Giving src_dir_fd makes Python call linkat, which follows the link in /proc; link would not.
                os.link(f"/proc/self/fd/{descriptor}", temporary, src_dir_fd=folder, dst_dir_fd=folder)
        os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=folder)
        raise
    os.fsync(folder)


def _create(folder: int, temporary: str) -> tuple[int, bool]:
    """A new file opened for writing, and whether it is called `temporary` or has no name yet."""
    if hasattr(os, "O_TMPFILE") and Path("/proc/self/fd").is_dir():
        try:
            return os.open(".", os.O_TMPFILE | os.O_WRONLY, 0o666, dir_fd=folder), False
        except OSError as error:
            # What file systems and kernels without it answer; any other answer would be that of a named file, too.
            if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT):
                raise
    return os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666, dir_fd=folder), True


def _reason(error: OSError, target: Path) -> str:
    if isinstance(error, FileNotFoundError) and not target.parent.exists():
        return f"there is no folder {target.parent}"
    return error.strerror or str(error)
