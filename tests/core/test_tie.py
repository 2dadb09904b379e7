"""`tie`: a layer's parameter that is another one above; where it is looked up, and what is refused."""

from __future__ import annotations

import pytest

from tests.core.spec_text import HEAD, graph, mistakes, trainable

GPT = """\
netspec: 1
name: m
inputs: {ids: {shape: [batch, seq], dtype: int64}}
layers:
  - name: transformer
    frozen: FROZEN
    layers: [{name: wte, type: embedding, num_embeddings: 11, embedding_dim: 4}]
  - {name: lm_head, type: linear, out_features: OUT, bias: false, frozen: OWN, tie: {weight: PATH}}
"""


def gpt(path: str = "transformer.wte.weight", frozen: str = "false", own: str = "false", out: str = "11") -> str:
    return GPT.replace("PATH", path).replace("FROZEN", frozen).replace("OWN", own).replace("OUT", out)


def uses(text: str) -> dict[str, dict[str, str]]:
    """For each layer its parameters, with the path of each."""
    found = {}
    for call in graph(text).calls():
        paths = {name: value.origin.path for name, value in call.params.items() if value.origin}
        if paths:
            found[call.path] = paths
    return found


def test_a_head_is_tied_to_an_embedding_and_counts_once() -> None:
    made = graph(gpt())
    assert [param.path for param in made.params] == ["transformer.wte.weight"]
    assert uses(gpt())["lm_head"] == {"weight": "transformer.wte.weight"}
    first, last = (call for call in made.calls() if call.params)
    assert first.params["weight"] is last.params["weight"]


@pytest.mark.parametrize(("frozen", "own"), [("true", "false"), ("false", "true"), ("weights", "false")])
def test_a_tied_parameter_is_frozen_where_its_own_entry_is(frozen: str, own: str) -> None:
    assert trainable(gpt(frozen=frozen, own=own)) == {"transformer.wte.weight": frozen == "false"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            gpt("wte.weight"),
            "lm_head: tie of weight: there is no parameter wte.weight above; did you mean transformer.wte",
        ),
        (gpt("lm_head.weight"), "lm_head: tie of weight: there is no parameter lm_head.weight above"),
        (gpt("transformer.wte"), "tie of weight: there is no parameter transformer.wte above"),
        (gpt("ids"), "tie of weight: there is no parameter ids above"),
        (gpt("3"), "tie of weight must be text"),
        (gpt(out="10"), "weight is tied to transformer.wte.weight, which has the shape [11, 4], but [10, 4] is needed"),
        (
            gpt().replace("tie: {weight: ", "tie: {wieght: "),
            "tie of wieght: its parameters are weight; did you mean weight?",
        ),
        (gpt().replace("tie: {weight: ", "tie: {bias: "), "tie of bias: its parameters are weight"),
        (
            gpt().replace("tie: {weight: transformer.wte.weight}", "tie: transformer.wte.weight"),
            "tie: expected a mapping",
        ),
        (gpt().replace("tie: {weight: ", "tie: {x-w: "), "tie of x-w: its parameters are weight"),
    ],
)
def test_ties_that_are_refused(text: str, message: str) -> None:
    (mistake,) = mistakes(text)
    assert message in mistake


NEST = (
    HEAD
    + """\
layers:
  - {name: a, type: linear, out_features: 6}
  - name: g
    layers:
      - {name: a, type: linear, out_features: 6}
      - name: h
        repeat: 2
        layers:
          - {name: WHERE, type: linear, out_features: 6}
          - {name: t, type: linear, out_features: 6, tie: {weight: a.weight}}
  - {name: last, type: linear, out_features: 6, tie: {weight: a.weight, bias: g.h.1.t.bias}}
"""
)


def test_a_path_is_looked_up_from_the_innermost_entry_outwards() -> None:
    found = uses(NEST.replace("WHERE", "a"))
    assert found["g.h.0.t"] == {"weight": "g.h.0.a.weight", "bias": "g.h.0.t.bias"}
    assert found["g.h.1.t"]["weight"] == "g.h.1.a.weight"
    assert found["last"] == {"weight": "a.weight", "bias": "g.h.1.t.bias"}
    found = uses(NEST.replace("WHERE", "b"))
    assert found["g.h.0.t"]["weight"] == "g.a.weight"
    assert found["last"]["weight"] == "a.weight"
    found = uses(NEST.replace("WHERE", "b").replace("      - {name: a, type", "      - {name: c, type"))
    assert found["g.h.1.t"]["weight"] == "a.weight"


def test_the_parts_of_a_dotted_name_enclose_nothing() -> None:
    text = (
        HEAD
        + """\
layers:
  - {name: w, type: linear, out_features: 6}
  - {name: g.w, type: linear, out_features: 6}
  - {name: g.t, type: linear, out_features: 6, tie: {weight: w.weight}}
"""
    )
    assert uses(text)["g.t"]["weight"] == "w.weight"


def test_a_tie_may_hold_expressions_and_go_into_blocks_and_copies_by_loop() -> None:
    text = (
        HEAD
        + """\
blocks: {B: {inputs: [x], layers: [{name: w, type: linear, out_features: 6}]}}
layers:
  - {name: down, type: B, repeat: 2}
  - {name: up, type: linear, out_features: 6, repeat: 2, tie: {weight: down.$(1 - i).w.weight}}
"""
    )
    found = uses(text)
    assert [found[f"up.{k}"]["weight"] for k in (0, 1)] == ["down.1.w.weight", "down.0.w.weight"]
    assert [path for path in trainable(text) if path.startswith("up")] == ["up.0.bias", "up.1.bias"]


def test_a_tie_is_no_tie_to_what_stands_below_or_to_a_buffer() -> None:
    text = (
        HEAD + "layers: [{name: a, type: linear, out_features: 6, tie: {weight: b.weight}},\n"
        "  {name: b, type: linear, out_features: 6}]"
    )
    assert "there is no parameter b.weight above" in mistakes(text)[0]
    text = HEAD + "layers: [{name: b, type: batch_norm}, {name: c, type: batch_norm, tie: {weight: b.running_mean}}]"
    assert "there is no parameter b.running_mean above" in mistakes(text)[0]


def test_a_tied_parameter_starts_as_the_one_that_it_is() -> None:
    text = """\
netspec: 1
inputs: {words: {shape: [batch, time], dtype: int64}}
layers:
  - {name: wte, type: embedding, num_embeddings: 9, embedding_dim: 4}
  - {name: head, type: linear, out_features: 9, init: {weight: zeros, bias: ones}, tie: {weight: wte.weight}}
"""
    assert mistakes(text) == ["s.yaml:5:49: head: init of weight: it is tied to wte.weight, which has its own"]
