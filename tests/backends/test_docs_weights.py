"""What docs/weights.md shows is what happens: its commands and its Python, in order, in one folder."""

import re
from pathlib import Path

from tests.core.fenced_blocks import ROOT, all_blocks
from tests.core.test_readme import python, shell


def test_the_page_of_weights(tmp_path: Path) -> None:
    (tmp_path / "specs").symlink_to(ROOT / "specs")
    ran = 0
    for block in all_blocks("docs/weights.md"):
        if block.language == "python":
            python(block.text, tmp_path)
            ran += 1
            continue
        _, *parts = re.split(r"^\$ (.*)\n", block.text, flags=re.MULTILINE)
        for line, output in zip(parts[::2], parts[1::2], strict=True):
            assert shell(line, tmp_path) == output, line
            ran += 1
    assert ran == 8
