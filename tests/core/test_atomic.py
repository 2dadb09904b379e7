"""Files are written whole or not at all."""

import errno
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from netspec.errors import NetspecError
from netspec.weights.atomic import write_atomically


@pytest.fixture(params=["without a name", "named"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an old file, on a system that can write files without a name yet, and on one that cannot."""
    if request.param == "named":
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    (tmp_path / "w").write_bytes(b"old")
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_new_file_takes_the_old_ones_place(folder: Path) -> None:
    write_atomically(folder / "w", lambda file: file.write(b"new"))
    write_atomically(folder / "other", lambda file: file.write(b""))
    assert contents(folder) == {"w": b"new", "other": b""}


def failing(error: BaseException) -> Callable[[BinaryIO], None]:
    def write(file: BinaryIO) -> None:
        file.write(bytes(1_000_000))
        raise error

    return write


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1), ZeroDivisionError(), MemoryError()], ids=repr)
def test_a_failure_while_writing_leaves_the_folder_as_it_was(folder: Path, error: BaseException) -> None:
    for name in ("w", "other"):
        with pytest.raises(type(error)):
            write_atomically(folder / name, failing(error))
    assert contents(folder) == {"w": b"old"}


def test_a_full_disk_is_told_in_one_line(folder: Path) -> None:
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(NetspecError) as caught:
        write_atomically(folder / "w", failing(full))
    assert str(caught.value) == f"{folder / 'w'}: cannot be written: No space left on device"
    assert contents(folder) == {"w": b"old"}


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(errno.EIO, "Input/output error"), KeyboardInterrupt()], ids=repr)
def test_a_failure_of_the_last_steps(
    folder: Path, step: str, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(os, step, fail)
        with pytest.raises((NetspecError, KeyboardInterrupt)):
            write_atomically(folder / "w", lambda file: file.write(b"new"))
    assert contents(folder) == {"w": b"old"}


def test_a_read_only_folder_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By an answer put into the system's mouth: root may write everywhere."""
    opened = os.open

    def refusing(path: Any, flags: int, *arguments: Any, **keywords: Any) -> int:
        if flags & os.O_WRONLY:
            raise PermissionError(errno.EACCES, "Permission denied")
        return opened(path, flags, *arguments, **keywords)

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", refusing)
        with pytest.raises(NetspecError, match="w: cannot be written: Permission denied"):
            write_atomically(folder / "w", failing(AssertionError("must not be called")))
    assert contents(folder) == {"w": b"old"}


def test_where_a_file_cannot_be(folder: Path) -> None:
    (folder / "sub").mkdir()
    for path, reason in (
        (folder / "absent" / "w", f"there is no folder {folder / 'absent'}"),
        (folder / "sub", "a folder is there"),
        (folder / "w" / "x", "Not a directory"),
        (Path("/dev/null"), "it is not a regular file"),
    ):
        with pytest.raises(NetspecError) as caught:
            write_atomically(path, failing(AssertionError("must not be called")))
        assert str(caught.value) == f"{path}: cannot be written: {reason}"


def test_the_mode_of_the_old_file_is_kept_and_a_new_one_follows_the_umask(folder: Path) -> None:
    (folder / "w").chmod(0o604)
    old_umask = os.umask(0o027)
    try:
        for name in ("w", "other"):
            write_atomically(folder / name, lambda file: file.write(b"new"))
    finally:
        os.umask(old_umask)
    assert stat.S_IMODE((folder / "w").stat().st_mode) == 0o604
    assert stat.S_IMODE((folder / "other").stat().st_mode) == 0o640


def test_a_link_stays_a_link(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "link").symlink_to("../w")
    write_atomically(folder / "sub" / "link", lambda file: file.write(b"new"))
    assert (folder / "sub" / "link").is_symlink()
    assert (folder / "w").read_bytes() == b"new"
    assert [path.name for path in (folder / "sub").iterdir()] == ["link"]


def has_files_without_a_name(folder: Path) -> bool:
    try:
        os.close(os.open(folder, os.O_TMPFILE | os.O_WRONLY))
    except (AttributeError, OSError):
        return False
    return True


def test_killed_while_writing(tmp_path: Path) -> None:
    """The old file stays, and where the system has files without a name, nothing else does."""
    (tmp_path / "w").write_bytes(b"old")
    code = """
import sys, time
from netspec.weights.atomic import write_atomically

def write(file):
    file.write(bytes(1_000_000))
    file.flush()
    print("writing", flush=True)
    time.sleep(60)

write_atomically(sys.argv[1], write)
"""
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "w")], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"writing\n"
        process.send_signal(signal.SIGKILL)
    left = contents(tmp_path)
    assert left.pop("w") == b"old"
    assert len(left) == (0 if has_files_without_a_name(tmp_path) else 1)


def test_the_file_and_its_folder_reach_the_disk_in_order(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    fsync, replace = os.fsync, os.replace

    def noting_fsync(descriptor: int) -> None:
        steps.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def noting_replace(*arguments: Any, **keywords: Any) -> None:
        steps.append("replace")
        replace(*arguments, **keywords)

    monkeypatch.setattr(os, "fsync", noting_fsync)
    monkeypatch.setattr(os, "replace", noting_replace)
    write_atomically(folder / "w", lambda file: file.write(b"new"))
    assert steps == ["file", "replace", "folder"]
