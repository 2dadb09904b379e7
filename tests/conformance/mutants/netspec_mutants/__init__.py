"""Backends with one planted mistake each, found by the names of entry points: `torch_gelu_tanh` is torch with it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any, cast

from netspec.backend import Backend, FloatType, Fused, Lowerings
from netspec.graph.graph import GraphPair
from netspec.model import Evaluation, Model

from .results import RESULTS
from .tables import Tables

BASES = ("torch", "tensorflow", "jax", "onnx")


class Mutant(Backend):
    """A real backend, one entry of whose tables (or one of whose results) is replaced when it compiles."""

    def __init__(self, base: str, mistake: str) -> None:
        super().__init__()
        self._base = base
        self._mistake = mistake
        self.name = f"{base}_{mistake}"
        real = self._real()
        self.extra, self.requires, self.distributions = real.extra, real.requires, real.distributions
        self.inference_only = real.inference_only

    def _real(self) -> Backend:
        return cast(Backend, importlib.import_module(f"netspec_{self._base}").backend)

    def _tables(self) -> Tables:
        if self._mistake == "nothing" or self._mistake in RESULTS:
            return Tables()
        mistakes: Mapping[str, Tables] = importlib.import_module(f"{__name__}.in_{self._base}").MISTAKES
        return mistakes[self._mistake]

    def own_lowerings(self) -> Lowerings:
        return {**self._real().lowerings, **self._tables().lowerings}

    def own_fused(self) -> Fused:
        return {**self._real().fused, **self._tables().fused}

    def environment(self, dtype: FloatType) -> Mapping[str, str]:
        return self._real().environment(dtype)

    def compile(
        self, graphs: GraphPair, weights: Mapping[str, Any], dtype: FloatType = "float32", device: str | None = None
    ) -> Model:
        kind: Callable[..., Backend] = type(self._real())
        model = kind(lowerings=self.lowerings, fused=self.fused).compile(graphs, weights, dtype, device)
        change = RESULTS.get(self._mistake)
        return model if change is None else cast(Model, Altered(model, change))


class Altered:
    """A model whose results are changed before anybody sees them."""

    def __init__(self, model: Model, change: Callable[[Evaluation], Evaluation]) -> None:
        self._model = model
        self._change = change

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def evaluate(self, *given: Any) -> Evaluation:
        return self._change(self._model.evaluate(*given))


def __getattr__(name: str) -> Mutant:
    base, _, mistake = name.partition("_")
    if base not in BASES or not mistake:
        raise AttributeError(name)
    return Mutant(base, mistake)
