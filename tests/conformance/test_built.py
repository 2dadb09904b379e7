"""Formulas and attention on every backend against the float64 reference, with each choice of optional inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest

from netspec.backend import Backend, FloatType, find_backend
from netspec.compare.case import Case, evaluate_reference, make_case
from netspec.compare.session import Task
from netspec.compare.tolerance import Reference
from netspec.compare.verify import compare
from netspec.compare.worker import Worker
from netspec.errors import BackendError
from netspec.graph.graph import Value
from netspec.layers import ByMode, Conv2d, Dropout, Embedding, Linear, ScaledDotProductAttention
from tests.conformance.built import Net, pair
from tests.conformance.test_agreement import TARGETS, assert_agrees

# One formula for each thing that the language says of them. Inputs: floats a, b `[batch, 4, 5]`, row `[5]`, whole
# numbers (as floats) u, v `[batch, 6]`, integers i `[batch, 3]`, flags m, n `[batch, 4, 5]`, image maps c, d.
FORMULAS: dict[str, tuple[str, str]] = {
    "distance": ("abs(a - b)", "ab"),
    "mathematics": ("sin(a) * cos(b) + exp(0.5 * a) - log(abs(b) + 0.5) / sqrt(a * a + 1)", "ab"),
    "numbers": ("scale * a / sqrt(2 / 3) - 2 * -b + a.shape[2] * (1 if flag else b)", "ab"),
    "broadcast": ("a * r + maximum(b, r)", "abr"),
    "layers": ("gelu(a) + silu(b) * sigmoid(a) - tanh(b) + leaky_relu(a) + relu(b)", "ab"),
    "choice": ("where(a > b, a * b, where(b <= 0.25, 3, -1) * a)", "ab"),
    "flags": ("where(m and not n or a >= b, a, -b)", "abmn"),
    "several": ("max(a, b, 0.1, -1) + min(a, 0.5, b)", "ab"),
    "kinks": ("abs(u) + maximum(u, v) * 2 + minimum(v, u) * u + max(u, 0) + min(1, v)", "uv"),
    "masks": ("m == n or a < b", "abmn"),
    "unequal": ("(u != v) and (u < 1 or v >= 0) and u <= v and not (u == 1)", "uv"),
    "integers": ("where(i > 3, 2 * i - 1, maximum(i, 2) + where(i == 1, -7, i))", "i"),
    "maps": ("abs(c) * where(c > d, 1, 0.5) + maximum(c, d) * e", "cde"),
}


def formulas(net: Net) -> Mapping[str, Value]:
    given = {
        "a": net.input("a", "batch", 4, 5),
        "b": net.input("b", "batch", 4, 5),
        "r": net.input("r", 5),
        "u": net.input("u", "batch", 6),
        "v": net.input("v", "batch", 6),
        "i": net.input("i", "batch", 3, dtype="int64"),
        "m": net.input("m", "batch", 4, 5, dtype="bool"),
        "n": net.input("n", "batch", 1, 5, dtype="bool"),
        "d": net.input("d", "batch", 4, 6, 5),
        "e": net.input("e", 4, 1, 5),
    }
    image = net.input("image", "batch", 3, 7, 6)
    given["c"] = net.add("conv", Conv2d(out_channels=4, kernel_size=2), image)
    numbers = {"scale": 1.7, "flag": True}
    found = {
        name: net.formula(name, expr, numbers, **{each: given[each] for each in inputs})
        for name, (expr, inputs) in FORMULAS.items()
    }
    return {**found, "rows": net.add("rows", Embedding(num_embeddings=6, embedding_dim=2), given["i"])}  # bounds i


def attention(net: Net) -> Mapping[str, Value]:
    """Odd and even sizes, keys so few that random masks leave some queries nothing, and every choice of inputs."""
    q, k = net.input("q", "batch", 4, "queries", 6), net.input("k", "batch", 4, "keys", 6)
    v = net.input("v", "batch", 4, "keys", 5)
    mask = net.input("mask", "batch", 1, "queries", "keys", dtype="bool")
    heads_mask = net.input("heads_mask", 4, "queries", "keys", dtype="bool")
    bias = net.input("bias", 4, "queries", "keys")
    few_k, few_v = net.input("few_k", "batch", 2, "keys", 6), net.input("few_v", "batch", 2, "keys", 3)
    flat = net.add("flat", Linear(out_features=3), net.input("x", "batch", "queries", 4))
    flat_mask = net.input("flat_mask", "queries", "queries", dtype="bool")
    five = net.input("five", 2, "batch", 4, 3, 6)
    plain = ScaledDotProductAttention()
    causal = ScaledDotProductAttention(causal=True)
    late = ScaledDotProductAttention(causal=True, causal_offset=-1)
    early = ScaledDotProductAttention(causal=True, causal_offset=2)
    scaled = ScaledDotProductAttention(scale=0.7)
    image = net.add("conv", Conv2d(out_channels=4, kernel_size=2), net.input("image", "batch", 3, 5, 4))
    other = net.add("conv_bias", Conv2d(out_channels=4, kernel_size=1), net.input("map", "batch", 2, 4, 4))
    return {
        "without": net.add("none", plain, q, k, v),
        "masked": net.add("mask", plain, q, k, v, mask=mask),
        "biased": net.add("bias", plain, q, k, v, bias=bias),
        "both": net.add("both", scaled, q, k, v, mask=mask, bias=bias),
        "heads": net.add("heads", plain, q, k, v, mask=heads_mask, bias=bias),
        "causal": net.add("causal", causal, q, k, v),
        "causal_both": net.add("causal_both", causal, q, k, v, mask=mask, bias=bias),
        "late": net.add("late", late, q, k, v),
        "early": net.add("early", early, q, k, v, mask=heads_mask),
        "groups": net.add("groups", plain, q, few_k, few_v, mask=mask),
        "groups_heads": net.add("groups_heads", causal, q, few_k, few_v, mask=heads_mask, bias=bias),
        "groups_causal": net.add("groups_causal", causal, q, few_k, few_v),
        "self": net.add("self", plain, flat, flat, flat, mask=flat_mask),
        "leading": net.add("leading", causal, five, five, five),
        "maps": net.add("maps", plain, image, image, image, bias=other),
    }


def by_mode(net: Net) -> Mapping[str, Value]:
    x = net.input("x", "batch", 6)
    dropped = net.add("drop", Dropout(p=0.3), net.add("fc", Linear(out_features=4), x))
    chosen = net.add("chosen", ByMode(), dropped, net.add("mean", Linear(out_features=4), x))
    return {"y": net.add("out", Linear(out_features=2), chosen)}


@dataclass(frozen=True)
class Built:
    """One of the nets above in one mode."""

    make: Callable[[Net], Mapping[str, Value]]
    training: bool = False

    @property
    def name(self) -> str:
        return f"{self.make.__name__}{'-training' if self.training else ''}"


NETS = [Built(formulas), Built(attention), Built(by_mode), Built(by_mode, training=True)]


@cache
def case_of(built: Built, dtype: FloatType, gradients: bool = True) -> Case:
    case = make_case(pair(built.make), built.training, dtype, None, {"keys": 2} if built.make is attention else None)
    whole = {name: np.round(array) for name, array in case.inputs.items() if name in ("u", "v")}
    return replace(case, inputs={**case.inputs, **whole}, cotangents=case.cotangents if gradients else {})


@cache
def reference_of(built: Built, dtype: FloatType, gradients: bool) -> Reference:
    return evaluate_reference(case_of(built, dtype, gradients), dtype)


@pytest.fixture(scope="module")
def worker(request: pytest.FixtureRequest) -> Iterator[Worker]:
    name, dtype = request.param
    with Worker(find_backend(name), dtype) as started:
        yield started


@pytest.mark.parametrize("worker", TARGETS, indirect=True, scope="module", ids="-".join)
@pytest.mark.parametrize("bodies", [False, True], ids=["fused", "bodies"])
@pytest.mark.parametrize("built", NETS, ids=lambda built: built.name)
def test_agrees_with_the_reference(worker: Worker, built: Built, bodies: bool) -> None:
    backend: Backend = type(worker.backend)(fused={}) if bodies else worker.backend
    gradients = not backend.inference_only
    case = case_of(built, worker.dtype, gradients)
    task = Task(backend, case.graphs, case.weights, case.inputs, case.cotangents or None, case.training, worker.dtype)
    if backend.inference_only and built.training:
        with pytest.raises(BackendError, match="inference only"):
            worker.evaluate(task)
    else:
        found = reference_of(built, worker.dtype, gradients)
        assert_agrees(compare(case, found, worker.evaluate(task), worker.dtype))


def test_the_masks_leave_some_queries_nothing_and_others_something() -> None:
    inputs = case_of(Built(attention), "float64").inputs
    for name in ("mask", "heads_mask"):
        assert set(np.unique(inputs[name].sum(-1))) == {0, 1, 2}, name
