"""The table of conformance cases: every spec in `cases/` and `specs/`, in each mode whose graph is its own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from netspec.backend import FloatType
from netspec.compare.case import Case, evaluate_reference, make_case
from netspec.compare.tolerance import Reference
from netspec.graph.graph import Graph
from netspec.graph.printer import print_graph
from netspec.spec import Spec, load

ROOT = Path(__file__).parents[2]
CASES = sorted(Path(__file__).parent.glob("cases/*.yaml"))
SPECS = sorted((*(ROOT / "specs").glob("*.yaml"), *(ROOT / "specs" / "transformers").glob("*.yaml")))
# Run on whole numbers, so that zeros and ties are met.
ROUNDED = {"kinks", "integers"}
DIMS = {
    "conv2d_sizes": {"height": 9, "width": 10},
    "ceil_mode": {"height": 10, "width": 12},
    "adaptive_avg_pool2d": {"height": 9, "width": 4},
    "transformer": {"source_time": 4, "target_time": 5},
    "interpolate": {"height": 5, "width": 6},
    "movement": {"time": 5},
    "transformer_encoder": {"time": 7},
    "lines": {"time": 10},
    "volumes": {"depth": 4, "height": 3},
    "attention": {"keys": 2},  # so few that random masks leave some queries nothing
    "transformer_layers": {"queries": 5, "keys": 2},
    "recurrent": {"batch": 5, "time": 3},  # with an empty sequence, and whole ones
    "recurrent_training": {"batch": 5, "time": 3},
}
# Specs that are too large for the reference as they are.
PARAMS: dict[str, dict[str, Any]] = {
    "autoencoder": {"pixels": 20, "widths": [11, 7], "bottleneck": 3},
    "bert_base_uncased": {"vocabulary": 9, "context": 8, "width": 8, "hidden": 6, "heads": 2, "depth": 1},
    "gpt2": {"vocabulary": 9, "context": 8, "width": 6, "heads": 3, "depth": 2},
    "hyperspectral": {"bands": 11, "size": 5, "width": 6, "classes": 4},
    "llama2_7b": {"vocabulary": 9, "width": 16, "hidden": 6, "heads": 4, "key_heads": 2, "depth": 1},
    "transformer": {"width": 6, "heads": 2, "hidden": 5, "depths": [1, 1]},
    "transformer_encoder": {"vocabulary": 11, "context": 9, "width": 12, "heads": 3},
    "two_layer": {"D_in": 20, "H": 7},
    "unet": {"channels": 2, "size": 12, "widths": [4, 6, 10]},
    "vit_b_16": {
        "size": 6,
        "patch": 2,
        "width": 6,
        "hidden": 8,
        "num_heads": 2,
        "depth": 1,
        "classes": 4,
        "dropout": 0.1,
    },
}


@dataclass(frozen=True)
class Row:
    """One case of the table: a spec in one mode."""

    path: Path
    training: bool

    @property
    def name(self) -> str:
        return f"{self.path.stem}-{'training' if self.training else 'inference'}"

    @property
    def spec(self) -> Spec:
        return _spec(self.path)

    def case(self, dtype: FloatType, gradients: bool = True) -> Case:
        """What is run. Without gradients nothing flows back, as in ONNX."""
        return _case(self, dtype, gradients)

    def reference(self, dtype: FloatType, gradients: bool = True) -> Reference:
        """The float64 tensors to compare with."""
        return _reference(self, dtype, gradients)


@cache
def _spec(path: Path) -> Spec:
    return load(path, PARAMS.get(path.stem))


@cache
def _case(row: Row, dtype: FloatType, gradients: bool) -> Case:
    dims = DIMS.get(row.path.stem)
    case = make_case(row.spec.graphs, row.training, dtype, None, dims)
    if row.path.stem in ROUNDED:
        case = replace(case, inputs={name: np.round(array) for name, array in case.inputs.items()})
    return case if gradients else replace(case, cotangents={})


@cache
def _reference(row: Row, dtype: FloatType, gradients: bool) -> Reference:
    return evaluate_reference(_case(row, dtype, gradients), dtype)


def rows() -> list[Row]:
    """The whole table; a training graph that says the same as that of inference is not run again."""
    found = []
    for path in (*CASES, *SPECS):
        found.append(Row(path, training=False))
        graphs = _spec(path).graphs
        if _text(graphs.inference) != _text(graphs.training):
            found.append(Row(path, training=True))
    return found


def _text(graph: Graph) -> str:
    return print_graph(graph).partition("\n")[2]
