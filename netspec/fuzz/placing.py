"""Places one layer of a given type in a draft: on the value before it, on another one, or on a new input."""

from __future__ import annotations

from typing import Any

from netspec.fuzz.draft import Draft, Entry, Held
from netspec.fuzz.fields import SIZES, Context, draw_fields
from netspec.fuzz.recipe import Recipe
from netspec.fuzz.recipes import recipe
from netspec.layers import LAYER_TYPES
from netspec.layers.base import input_names

# Layers without an input: nothing comes before them.
GENERATORS = {"arange", "buffer", "constant", "ones", "parameter", "zeros"}
# How often the front end may refuse before another input is tried.
TRIALS = 4
GUARDS = {"positive": "abs(x) + 0.5", "bounded": "tanh(x)"}


def place(draft: Draft, type: str, before: Held | None) -> Held | None:
    """Append a layer of this type and give its main output; None where nothing was taken.

    It reads `before` if that is what it takes, so that the pair of types occurs.
    """
    how = recipe(type)
    for x in _candidates(draft, type, how, before):
        for _ in range(TRIALS):
            placed = _try(draft, type, how, x() if callable(x) else x)
            if placed is not None:
                return placed
    return None


def place_behind(draft: Draft, previous: str | None, before: Held | None, type: str) -> Held | None:
    """Append a layer that reads `before`, of a layer of type `previous`.

    Where it does not take that, it reads a second layer of the type `previous` on a new input of another rank; else
    whatever is there.
    """
    how = recipe(type)
    if previous is None or type in GENERATORS:
        return place(draft, type, before)
    if before is not None and _fits(before, how):
        for _ in range(TRIALS):
            placed = _try(draft, type, how, before)
            if placed is not None:
                return placed
    first = recipe(previous)
    for rank in draft.rng.sample(how.ranks, len(how.ranks)) if previous not in GENERATORS else ():
        # The rank that goes out is most often the one that comes in; one or two fewer or more is seen by trying.
        for offset in (0, 1, -1, 2):
            if rank + offset not in first.ranks or first.source is not None:
                continue
            state = list(draft.values), dict(draft.spec["inputs"]), list(draft.layers)
            again = _try(draft, previous, first, _fresh(draft, first, rank + offset))
            if again is not None and _fits(again, how):
                placed = _try(draft, type, how, again) or _try(draft, type, how, again)
                if placed is not None:
                    return placed
            draft.values[:], draft.spec["inputs"], draft.spec["layers"] = state
    return place(draft, type, before)


def _fits(held: Held, how: Recipe) -> bool:
    return held.rank in how.ranks and held.dtype in how.dtypes


def _candidates(draft: Draft, type: str, how: Recipe, before: Held | None) -> list[Any]:
    names = input_names(LAYER_TYPES[type])
    if not names.required and not names.variadic and type != "formula":
        return [None]
    source = how.source
    if source is not None:
        return [lambda: source(Context(draft, None))]
    fitting = [held for held in draft.values if _fits(held, how)]
    first = [before] if before in fitting else []
    others = [draft.rng.choice(fitting)] if fitting and draft.rng.random() < 0.5 else []
    return [*first, *others, lambda: _fresh(draft, how)]


def _fresh(draft: Draft, how: Recipe, rank: int | None = None) -> Held:
    """A new input of the model of a rank (any that will do, unless given) and dtype that the layer takes."""
    rng = draft.rng
    rank = rank or rng.choice(how.ranks)
    shape: list[int | str] = ["batch", *(rng.choice(how.channels if axis == 1 else SIZES) for axis in range(1, rank))]
    if rank > 2 and rng.random() < 0.3:
        shape[rng.randint(2, rank - 1)] = rng.choice(("time", "height"))
    elif rank == 3 and rng.random() < 0.3:
        shape[1] = "time"
    return draft.add_input(shape, rng.choice(how.dtypes))


def _try(draft: Draft, type: str, how: Recipe, x: Held | None) -> Held | None:
    """One entry with one choice of fields and inputs."""
    before = list(draft.values), dict(draft.spec["inputs"]), list(draft.layers)
    placed = _entry(draft, type, how, x)
    if placed is None:
        draft.values[:], draft.spec["inputs"], draft.spec["layers"] = before
    return placed


def _entry(draft: Draft, type: str, how: Recipe, x: Held | None) -> Held | None:
    layer, name = LAYER_TYPES[type], draft.name(f"{type}_")
    names = input_names(layer)
    if x is not None and how.domain != "any":
        guard = draft.name("guard")
        if not draft.add(
            [{"name": guard, "type": "formula", "expr": GUARDS[how.domain], "from": x.reference}], [guard]
        ):
            return None
        x = draft.values[-1]
    context = Context(draft, x)
    if "dim" in layer.model_fields and names.variadic:  # what is joined depends on it
        context.fields["dim"] = draft.rng.randint(-context.rank, max(context.rank - 1, 0))
    if names.variadic or type == "formula":
        several = how.several(context) if how.several is not None else [draft.need(x.shape, x.dtype)] if x else []
        context.others = {f"x{place}": held for place, held in enumerate(several)}
    for other in (*names.required[1:], *(each for each in names.optional if draft.rng.random() < 0.4)):
        if other in how.inputs:
            context.others[other] = how.inputs[other](context)
        elif other in names.required and x is not None:
            context.others[other] = draft.need(x.shape, x.dtype)
    fields = draw_fields(layer, context, how.fields)
    entry: Entry = {"name": name, "type": type, **fields, **(how.extra(context) if how.extra is not None else {})}
    if x is not None:
        entry["from"] = _written_inputs(type, x, context, names.variadic, names.required)
    main = f"{name}:{how.main}" if how.main else name
    references = [main, *(f"{name}:{port}" for port in layer.ports[1:] if draft.rng.random() < 0.5)]
    if not draft.add([entry], references):
        return None
    return next(held for held in draft.values if held.reference == main)


def _written_inputs(type: str, x: Held, c: Context, variadic: bool, required: tuple[str, ...]) -> Any:
    """`from` as short as it can be, or as a mapping."""
    others = {name: held.reference for name, held in c.others.items()}
    if type == "formula":
        return {"a": x.reference, "b": others["x0"]} if others else {"x": x.reference}
    if not others:
        return x.reference
    if variadic:
        return (
            c.rng.sample([x.reference, *others.values()], len(others) + 1)
            if type != "einsum"
            else [x.reference, *others.values()]
        )
    named = {required[0]: x.reference, **others}
    if set(named) == set(required) and c.rng.random() < 0.5:
        return [named[name] for name in required]
    return named
