"""What somebody new to the language gets wrong: each message says what was expected, and offers what was meant."""

from __future__ import annotations

from pathlib import Path

import pytest

import netspec
from netspec.errors import NetspecError
from tests.core.spec_text import mistakes

HEAD = "netspec: 1\nparams: {width: 8}\ninputs: {x: {shape: [batch, 3, 8, 8]}}\n"


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ("{name: a, typ: relu}", "5:15: unknown key typ in a layer; did you mean type?"),
        ("{type:relu}", "5:6: unknown key type:relu in a layer: a space is missing behind the colon"),
        ("{type: linear, out_features: width}", "got text 'width'; did you mean $(width)?"),
        ("{type: relu, from: 0}", "0 (relu): a reference must be text: the name of an input or of an entry above"),
        ("{type: ReLU}", "5:12: there is no block ReLU; did you mean relu?"),
        ("{type: relu, init: zeros}", "init: expected a mapping from parameters to initialisers such as {weight: "),
        ("{type: relu, name: tower}\n  - {share: towr}", "there is no entry called towr above; did you mean tower?"),
        ("{type: formula, expr: x ** 2}", "expected a value, got *; there is no **"),
        (
            "{type: conv2d, in_channels: 3, out_channels: 4, kernel_size: 3}",
            "5:20: 0 (conv2d): unknown field in_channels; sizes of inputs are read off what comes in",
        ),
        (
            "{type: conv2d, activation: relu, out_channels: 4, kernel_size: 3}",
            "5:20: 0 (conv2d): unknown field activation; an activation is a layer of its own behind this one",
        ),
        ("{type: dense, units: 8}", "5:12: unknown layer type dense; did you mean linear?"),
    ],
)
def test_a_slip_in_a_layer(layers: str, message: str) -> None:
    found = mistakes(HEAD + f"layers:\n  - {layers}\n")
    assert len(found) == 1
    assert message in found[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("layers:\n\t- relu\n", "5:1: a tab: indent with spaces"),
        ("layers:\n  - type: relu\n     name: a\n", "6:10: YAML: mapping values are not allowed in this context; is "),
        ("layers:\n  - type: relu\n   name: a\n", "did not find expected '-' indicator; is the indentation right?"),
        ("layers: [relu]\noutputs: [a]\n", "5:10: outputs: expected a mapping of names such as {logits: fc}"),
        ("layers: [relu]\ninclude: [zoo:lenett]\n", "5:11: the zoo has no lenett; did you mean lenet?"),
    ],
)
def test_a_slip_in_the_text(text: str, message: str) -> None:
    assert message in mistakes(HEAD + text)[0]


@pytest.mark.parametrize("size", ["-1", "null"])
def test_a_batch_of_any_size_is_a_word(size: str) -> None:
    found = mistakes(f"netspec: 1\ninputs: {{x: {{shape: [{size}, 3]}}}}\nlayers: [relu]\n")
    expected = "expected a positive integer, or a word such as batch for any size"
    assert found == [f"s.yaml:2:22: input x: {expected}, got {size}"]


def test_a_list_without_its_brackets() -> None:
    found = mistakes("netspec: 1\ninputs: {x: {shape: batch, 3}}\nlayers: [relu]\n")
    assert found[0] == "s.yaml:2:28: a key must be text, not 3: quote it, or put a list in [ ]"


def test_a_file_of_nearly_this_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tower.yaml").touch()
    for name, meant in (("tower.yml", "tower.yaml"), ("./towr.yaml", "tower.yaml"), ("resnet50.yml", "resnet50")):
        with pytest.raises(NetspecError) as caught:
            netspec.load(name)
        expected = f"{name}:1:1: cannot be opened: No such file or directory; did you mean {meant}?"
        assert str(caught.value) == expected


def test_an_include_that_is_missing_says_once_where_it_is_included(tmp_path: Path) -> None:
    (tmp_path / "main.yaml").write_text("netspec: 1\ninclude: [none.yaml]\n")
    with pytest.raises(NetspecError) as caught:
        netspec.load(tmp_path / "main.yaml").graphs  # noqa: B018 - both graphs are made
    assert str(caught.value).count("included at") == 1


def test_globs_are_a_list() -> None:
    with pytest.raises(NetspecError, match="freeze: expected a list of globs, got the text 'fc'"):
        netspec.load("zoo:lenet", freeze="fc")
