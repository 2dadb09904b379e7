"""Recurrent layers: first states and lengths, and the fields that have to fit those."""

from __future__ import annotations

from typing import Any

from netspec.fuzz.draft import Held
from netspec.fuzz.fields import ABSENT, SIZES, Context
from netspec.fuzz.recipe import Recipe


def _lengths(c: Context) -> Held:
    return c.draft.need(c.shape[:1], "int64", fresh=True)


def _first(c: Context) -> Held:
    """The states of one to four cells, all of them alike."""
    shape = [c.rng.choice((1, 1, 2, 4)), *c.shape[:1], c.rng.choice(SIZES)]
    return c.draft.need(next((held.shape for name, held in c.others.items() if name == "h_0"), shape))


def _state(c: Context) -> Held:
    """The state before one step."""
    shape = [*c.shape[:1], c.rng.choice(SIZES)]
    return c.draft.need(next((held.shape for held in c.others.values()), shape))


def _given(c: Context) -> Held | None:
    return next((held for name, held in c.others.items() if name != "lengths"), None)


def _hidden_size(c: Context) -> Any:
    given = _given(c)
    return c.rng.choice(SIZES) if given is None else given.shape[-1]


def _num_layers(c: Context) -> Any:
    given = _given(c)
    if given is None:
        return c.rng.choice((1, 1, 2))
    return {1: 1, 2: c.rng.choice((1, 2)), 4: 2}[int(given.shape[0])]


def _bidirectional(c: Context) -> Any:
    given = _given(c)
    return c.rng.random() < 0.4 if given is None else int(given.shape[0]) > c.fields["num_layers"]


def _reverse(c: Context) -> Any:
    return ABSENT if c.fields["bidirectional"] else c.rng.random() < 0.5


SEQUENCE = Recipe(
    (3,),
    strict=True,
    strict_rank=True,
    inputs={"h_0": _first, "c_0": _first, "lengths": _lengths},
    fields={
        "hidden_size": _hidden_size,
        "num_layers": _num_layers,
        "bidirectional": _bidirectional,
        "reverse": _reverse,
        "dropout": lambda c: c.rng.choice((0.0, 0.3)),
    },
)
CELL = Recipe(
    (2,), strict=True, strict_rank=True, inputs={"h": _state, "c": _state}, fields={"hidden_size": _hidden_size}
)
RECURRENT = {
    **dict.fromkeys(("rnn", "lstm", "gru"), SEQUENCE),
    **dict.fromkeys(("rnn_cell", "lstm_cell", "gru_cell"), CELL),
}
