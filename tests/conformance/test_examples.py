"""The examples with recurrent layers, loops, several inputs and noise, small: torch agrees with the reference.

The layers and loops that they are made of are judged on every backend in the cases.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import netspec

EXAMPLES = Path(__file__).parents[1] / "data" / "examples"
SMALL: dict[str, dict[str, Any]] = {
    "multi_io": {},
    "tagger": {"vocab": 50, "dim": 7, "hidden": 6},
    "seq2seq": {"source_vocab": 20, "target_vocab": 15, "hidden": 6},
    "treenet": {"vocab": 20, "dim": 5},
    "vae": {"hidden": 12, "latent": 4},
}


@pytest.mark.parametrize("name", SMALL)
def test_torch_agrees(name: str) -> None:
    spec = netspec.load(EXAMPLES / f"{name}.yaml", params=SMALL[name])
    for train in (False, True) if name in ("tagger", "vae") else (False,):
        report = netspec.verify(spec, backends=["torch"], dtype="float64", train=train)
        assert report.agree
