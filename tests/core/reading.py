"""The two parsers of YAML, a text's refusal and places, for the tests of the reader."""

from __future__ import annotations

import time

import pytest
import yaml

from netspec.errors import LanguageError, Location
from netspec.language.reader import read_text

PARSERS = (yaml.CBaseLoader, yaml.BaseLoader)


def refusal(text: str | bytes, file: str = "s.yaml") -> str:
    """The message for `text`, found in less than a second."""
    begin = time.process_time()
    with pytest.raises(LanguageError) as caught:
        read_text(text, file)
    message = str(caught.value)
    assert time.process_time() - begin < 5  # a second on an idle machine
    assert all(mistake.location is not None for mistake in caught.value.mistakes)
    assert message.replace("\n", "").isprintable()
    return message


def place(line: int, column: int, file: str = "s.yaml") -> Location:
    return Location(file, line, column)
