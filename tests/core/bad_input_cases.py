"""The cases of tests/data/bad_inputs: each a spec, or a folder of files, with the lines that it is refused with."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parents[1] / "data" / "bad_inputs"
HEAD = "netspec: 1\ninputs: {x: {shape: %s}}\nlayers:\n"


@dataclass(frozen=True)
class Case:
    """One case; README.md beside the data says what each key means."""

    name: str
    row: int | str
    expected: tuple[str, ...]
    file: str = "spec.yaml"
    text: str | list[Any] | None = None
    layers: str | list[Any] | None = None
    input: str = "[batch, 12]"
    hex: str | None = None
    files: dict[str, Any] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    hard_links: dict[str, str] = field(default_factory=dict)
    fifos: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    set: tuple[str, ...] = ()
    command: tuple[str, ...] | None = None
    like: str = "small"
    accepted: bool = False
    warned: tuple[str, ...] = ()

    @property
    def has_folder(self) -> bool:
        """Whether the case needs files on a disk."""
        return bool(self.files or self.links or self.hard_links or self.fifos or self.folders)

    def data(self) -> bytes:
        """The bytes of the spec."""
        if self.hex is not None:
            return bytes.fromhex(self.hex)
        if self.layers is not None:
            return (HEAD % self.input + written(self.layers)).encode("utf-8", "surrogatepass")
        assert self.text is not None, f"{self.name}: text, layers or hex is required"
        return written(self.text).encode("utf-8", "surrogatepass")

    def write(self, folder: Path) -> None:
        """Write the spec and all that stands beside it into `folder`, which is empty."""
        for name in self.folders:
            (folder / name).mkdir(parents=True)
        for name, text in {**self.files}.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(written(text), encoding="utf-8")
        for name, target in self.links.items():
            (folder / name).symlink_to(target)
        for name, target in self.hard_links.items():
            (folder / name).hardlink_to(folder / target)
        for name in self.fifos:
            os.mkfifo(folder / name)
        (folder / self.file).parent.mkdir(parents=True, exist_ok=True)
        (folder / self.file).write_bytes(self.data())


def written(text: str | list[Any]) -> str:
    """A text as it is, or put together from its pieces: texts, and `{repeat: text, times: n}` with `<n>` its
    number and `<n+1>` the next one."""
    if isinstance(text, str):
        return text
    parts: list[str] = []
    for piece in text:
        if isinstance(piece, str):
            parts.append(piece)
        elif "<n" in piece["repeat"]:
            parts += [_numbered(piece["repeat"], number) for number in range(piece["times"])]
        else:
            parts.append(piece["repeat"] * piece["times"])
    return "".join(parts)


def cases() -> Iterator[Case]:
    """All cases of all files, in order."""
    for path in sorted(FOLDER.glob("*.yaml")):
        for case in yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader):
            lists = {key: tuple(value) for key, value in case.items() if key in _TUPLES}
            yield Case(**{"expected": (), **case, **lists})


_TUPLES = ("expected", "fifos", "folders", "set", "command", "warned")


def _numbered(text: str, number: int) -> str:
    return text.replace("<n>", str(number)).replace("<n+1>", str(number + 1))
