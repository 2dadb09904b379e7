"""`netspec layers` and docs/layers.md: every layer, with what its class says."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from netspec.layers import LAYER_TYPES, LAYERS
from netspec.layers.catalogue import describe, support
from tests.core.fenced_blocks import all_blocks
from tests.core.test_import_rule import FRAMEWORKS, loaded_after

ROOT = Path(__file__).parents[2]
Run = Callable[..., tuple[int, str, str]]
FORMS = re.compile("fused|composed|fused or composed|gap: .+")


def test_the_page_is_what_the_command_prints(run: Run) -> None:
    """`make layers` writes it anew."""
    assert run("layers", "--format", "markdown") == (0, (ROOT / "docs/layers.md").read_text(), "")


def test_the_list_has_every_layer_once_and_loads_no_framework(run: Run) -> None:
    status, out, err = run("layers", "--format", "json")
    assert (status, err) == (0, "")
    listed = [layer["type"] for layer in json.loads(out)]
    assert listed[: len(LAYERS)] == list(LAYER_TYPES.built_in)
    assert not loaded_after("from netspec.cli import main; main(['layers'])") & FRAMEWORKS


@pytest.mark.parametrize("type", LAYER_TYPES.built_in)
def test_each_layer_says_what_it_computes(type: str) -> None:
    layer = describe(type)
    assert len(layer.formula) > 5
    assert layer.formula.endswith((".", ":", ","))
    assert all(field.takes for field in layer.fields)
    assert set(layer.backends) == {"torch", "tensorflow", "jax", "onnx"}
    assert all(FORMS.fullmatch(form) for form in layer.backends.values())


def test_the_matrix_has_the_layers_that_there_are() -> None:
    assert set(support()) == set(LAYER_TYPES.built_in)


def test_one_layer_is_told_in_full(run: Run) -> None:
    status, out, _ = run("layers", "batch_norm")
    assert status == 0
    assert "Ioffe, Szegedy 2015" in out
    assert re.search(r"^stats_decay +0.9 +a number in \[0, 1\]$", out, re.MULTILINE)
    assert re.search(r"^running_var +unbiased +unbiased or biased$", out, re.MULTILINE)
    assert "momentum is refused: " in out
    assert re.search(r"^torch +fused$", out, re.MULTILINE)


def test_a_name_that_is_none_gets_the_nearest(run: Run) -> None:
    status, out, err = run("layers", "batchnorm")
    assert (status, out) == (2, "")
    assert err == "there is no layer batchnorm; did you mean batch_norm?\n"


def test_the_page_on_packages_quotes_the_example() -> None:
    package = ROOT / "tests/data/example_package"
    quoted = (package / "pyproject.toml").read_text() + (package / "netspec_example/layers.py").read_text()
    blocks = [block for block in all_blocks("docs/plugins.md") if block.language in ("toml", "python")]
    assert len(blocks) == 2
    for block in blocks:
        assert all(part in quoted for part in block.text.replace("\n\n\n", "\n\n").split("\n\n"))
