"""Random valid specs: graph `number` of `seed` is the same wherever and in whatever order it is made."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from netspec.errors import NetspecError, nearest, printable
from netspec.fuzz.draft import Draft, Held
from netspec.fuzz.features import apply_features
from netspec.fuzz.fields import SIZES
from netspec.fuzz.placing import place, place_behind
from netspec.fuzz.recipes import NOT_GENERATED
from netspec.fuzz.references import names_of, names_read
from netspec.fuzz.walk import steps
from netspec.layers import LAYER_TYPES
from netspec.layers.validation import written_fields
from netspec.spec import Spec, loads

Style = Literal["yaml", "json", "flow"]
# Sizes that symbolic dimensions have in a graph's calls: 1 among them.
SYMBOL_SIZES = (1, 2, 3, 4, 5, 7)
# Layers beside those of the walk: most often one with many fields.
EXTRA = 1


@dataclass(frozen=True)
class FuzzedGraph:
    """One spec: its plain data, the text that is read, and what it is run on.

    `dims` are sizes of symbolic dimensions. With `whole` the inputs are whole numbers, so that kinks and ties are met.
    """

    seed: int
    number: int
    data: Mapping[str, Any]
    text: str
    style: Style
    dims: Mapping[str, int] = field(default_factory=dict)
    whole: bool = False

    @property
    def file(self) -> str:
        """The name of the file that it would be: the ending says how it is read."""
        return f"fuzz-{self.seed}-{self.number}.{'json' if self.style == 'json' else 'yaml'}"

    def load(self, freeze: Sequence[str] | None = None) -> Spec:
        """Read the text. Raises NetspecError, which no graph of the generator does."""
        return loads(self.text, freeze=freeze, file=self.file)


def layer_types() -> list[str]:
    """The layers that are generated, in the order of the catalogue."""
    return [type for type in LAYER_TYPES if type not in NOT_GENERATED]


def require_generated(type: str) -> None:
    """Raises NetspecError unless a layer of this type is generated."""
    types = layer_types()
    if type not in types:
        raise NetspecError(f"the fuzzer makes no layer {printable(type[:64])}{nearest(type, types)}")


def generate(seed: int, number: int, types: Sequence[str] | None = None, wanted: Sequence[str] = ()) -> FuzzedGraph:
    """Graph `number` of `seed`; `types` are the layers to draw from, all unless given.

    Where layers are `wanted`, those beside the walk are of them alone.
    """
    rng = random.Random(f"{seed}:{number}")
    draft = Draft(rng)
    before: Held | None = None
    draft.add_input(["batch", rng.choice(SIZES)])
    every = list(types or layer_types())
    previous: str | None = None
    for type in steps(every, seed, number):
        before = place_behind(draft, previous, before, type) or before
        previous = type
    beside = list(wanted or every)
    for type in rng.choices(beside, [_weight(type) for type in beside], k=EXTRA):
        place(draft, type, rng.choice(draft.values))
    _end(draft)
    apply_features(draft, rng.choice((0, 2, 4, 6)))
    style: Style = rng.choices(("yaml", "json", "flow"), (6, 1, 2))[0]
    symbols = sorted(
        {size for held in draft.spec["inputs"].values() for size in held["shape"] if isinstance(size, str)}
    )
    dims = {symbol: rng.choice(SYMBOL_SIZES) for symbol in symbols} if rng.random() < 0.6 else {}
    whole = rng.random() < 0.2
    return FuzzedGraph(seed, number, draft.spec, written(draft.spec, style), style, dims, whole)


def _weight(type: str) -> int:
    """How much there is to get wrong in a layer: the square of its fields."""
    return (1 + len(written_fields(LAYER_TYPES[type]))) ** 2


def _end(draft: Draft) -> None:
    """Outputs: all that nothing reads, and some of the others; inputs that nothing reads are taken away."""
    if not any(names_of(entry) & set(draft.spec["inputs"]) for entry in draft.layers):  # a model has an input
        place(draft, "tanh", draft.values[0])
    read = {name for entry in draft.layers for name in names_of(entry)}
    made = [held.reference for held in draft.values if held.reference not in draft.spec["inputs"]]
    ends = [reference for reference in made if reference.partition(":")[0] not in read]
    more = draft.rng.sample(made, min(len(made), 2))
    chosen = list(dict.fromkeys([*ends, *more]))
    draft.spec["outputs"] = {f"o{place}": reference for place, reference in enumerate(chosen)}
    needed = read | names_read(draft.spec["outputs"])
    symbols = {size for name, held in draft.spec["inputs"].items() if name in needed for size in held["shape"]}
    for name, held in draft.spec["inputs"].items():  # one may be there for a size that a shape speaks of
        new = {size for size in held["shape"] if isinstance(size, str)} - symbols
        if any(f"$({size}" in json.dumps(draft.layers) for size in new):
            needed.add(name)
            symbols |= new
    draft.spec["inputs"] = {name: held for name, held in draft.spec["inputs"].items() if name in needed}
    draft.values = [
        held for held in draft.values if held.reference not in draft.spec["inputs"] or held.reference in needed
    ]


def written(spec: Mapping[str, Any], style: Style) -> str:
    """The text of a spec: in the canonical form, as JSON, or by PyYAML with its own line breaks and quotes."""
    if style == "json":
        return json.dumps(spec, indent=1)
    if style == "flow":
        import yaml

        return yaml.safe_dump(dict(spec), sort_keys=False, default_flow_style=None, width=100)
    from netspec.language.formatting.document import format_value

    return format_value(spec, "spec.yaml")
