"""Which file an `include` means: below the first file's folder, or a spec of the zoo; nothing else."""

from __future__ import annotations

import os
import re
from pathlib import Path

from netspec.errors import LanguageError, Location, printable
from netspec.language.zoo import PREFIX, zoo_file, zoo_folder

MAX_LENGTH = 1024
_FORBIDDEN = re.compile(r"[\\:\x00]|\A/|\A~|\$\(")


class IncludePaths:
    """Resolves the includes of one spec, whose first file is `file`."""

    def __init__(self, file: str) -> None:
        self._has_folder = not file.startswith("<")
        self._folder = Path(file).parent
        self._zoo = zoo_folder().resolve()

    def is_zoo(self, path: str) -> bool:
        """Whether a file is one of the zoo's own."""
        try:
            return Path(path).resolve().is_relative_to(self._zoo)
        except (OSError, RuntimeError):  # a working directory that is gone; links that lead to each other
            return False

    def resolve(self, text: str, file: str, location: Location) -> str:
        """The path of what `text` in `file` includes. No file is opened, and no name is looked up.

        Raises LanguageError for absolute paths, URLs, and whatever leads out of the first file's folder.
        """
        if text.startswith(PREFIX):
            return zoo_file(text, location)
        shown = printable(text[:80])
        if not text or len(text) > MAX_LENGTH or _FORBIDDEN.search(text):
            message = f"include {shown}: expected a path relative to this file, such as blocks/resnet.yaml, or zoo:NAME"
            raise LanguageError(message, location)
        in_zoo = not file.startswith("<") and self.is_zoo(file)
        if not self._has_folder and not in_zoo:
            raise LanguageError(f"include {shown}: a text without a file has no folder to include from", location)
        path = os.path.normpath(Path(file).parent / text)
        try:
            leads_out = not Path(path).resolve().is_relative_to(self._zoo if in_zoo else self._folder.resolve())
        except (OSError, RuntimeError):
            raise LanguageError(f"include {shown}: no file is there", location) from None
        if leads_out:
            raise LanguageError(f"include {shown}: leads out of the folder of the first file", location)
        return path
