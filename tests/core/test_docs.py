"""What the pages in docs show is so: right specs load, wrong ones get the message below them, fields are as listed."""

import re
from itertools import pairwise

import pytest
import yaml

from netspec.errors import NetspecError
from netspec.layers import LAYER_TYPES
from netspec.layers.initializers import INITIALIZER_TYPES
from netspec.layers.validation import written_fields
from netspec.spec import loads
from tests.core.fenced_blocks import ROOT, Block, all_blocks

PAGES = sorted(str(page.relative_to(ROOT)) for page in (ROOT / "docs").glob("*.md"))
LANGUAGE = (ROOT / "docs/language.md").read_text()
RIGHT = [block for page in PAGES for block in all_blocks(page) if block.language == "yaml" and not block.mark]
WRONG = [pair for page in PAGES for pair in pairwise(all_blocks(page)) if pair[0].mark == "wrong"]


def lines(pages: list[Block]) -> list[str]:
    return [f"line {block.line}" for block in pages]


@pytest.mark.parametrize("block", RIGHT, ids=lines(RIGHT))
def test_a_right_spec_loads_without_a_warning(block: Block) -> None:
    spec = loads(block.text, file="model.yaml")
    assert spec.graphs.training.nodes
    assert spec.warnings == ()


@pytest.mark.parametrize(("block", "message"), WRONG, ids=lines([block for block, _ in WRONG]))
def test_a_wrong_spec_gets_the_message_below_it(block: Block, message: Block) -> None:
    assert message.language == "text"
    with pytest.raises(NetspecError) as caught:
        loads(block.text, file="model.yaml")
    assert f"{caught.value}\n" == message.text


def test_every_block_is_marked_in_a_way_that_is_known() -> None:
    kinds = {(block.language, block.mark) for page in PAGES for block in all_blocks(page)}
    assert kinds == {("yaml", ""), ("yaml", "wrong"), ("text", ""), ("console", ""), ("python", ""), ("toml", "")}
    assert len(RIGHT) >= 6
    assert len(WRONG) >= 4


def test_the_table_has_every_layer_with_its_fields() -> None:
    listed: list[str] = []
    for types, fields in re.findall(r"^\| (`[^|]*`) \| ([^|]*)\|", LANGUAGE, re.MULTILINE):
        for type in re.findall(r"`(\w+)`", types):
            listed.append(type)
            layer = LAYER_TYPES[type]
            shown = dict(text.partition(": ")[::2] for text in re.findall(r"`([^`]+)`", fields))
            assert set(shown) == set(written_fields(layer)), type
            for name, value in shown.items():
                field = layer.model_fields[name]
                optional = field.is_required() or field.default_factory
                assert (yaml.safe_load(value) if value else None) == (None if optional else field.default), name
    assert sorted(listed) == sorted(LAYER_TYPES)


def test_initialisers_that_are_named_exist() -> None:
    section = LANGUAGE.partition("## Defaults")[2].partition("## ")[0]
    named = set(re.findall(r"`(\w+)`", section)) & set(INITIALIZER_TYPES)
    assert named == set(INITIALIZER_TYPES)
