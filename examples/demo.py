"""The demo: LeNet-5 on PyTorch, TensorFlow, JAX and ONNX Runtime, compared on real handwritten digits.

Every framework builds `specs/lenet.yaml` from the same seed in a process of its own, and is asked for its outputs, for
all gradients and for its weights. Exit status 1 if anything disagrees.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from itertools import combinations
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich import box
from rich.console import Console
from rich.table import Table

import netspec
from netspec.backend import FloatType, find_backend
from netspec.compare.case import Case, evaluate_reference, make_case
from netspec.compare.tolerance import FLOAT64_LIMIT, Key, Reference, max_difference, tensors_of
from netspec.model import Arrays, Evaluation
from netspec.spec import Spec

SPEC = Path(__file__).parents[1] / "specs" / "lenet.yaml"
FRAMEWORKS = {"torch": "PyTorch", "tensorflow": "TensorFlow", "jax": "JAX"}
DTYPES: tuple[FloatType, ...] = ("float32", "float64")
SEED = 7
IMAGES = 100
References = Mapping[FloatType, Reference]
PROCESSES = 2  # a framework's start keeps one core busy, and takes up to 600 MB


@dataclass(frozen=True)
class Found:
    """What one framework computed in one float type: its logits, and all gradients (none where it has none)."""

    tensors: Mapping[Key, NDArray[Any]]
    params: int
    same_start: bool  # its initial weights are those of the seed, bit for bit
    version: str


@dataclass(frozen=True)
class Row:
    """One framework in the table: in float32 and, where it has it, in float64; the largest errors; the verdict."""

    title: str
    single: Found
    double: Found | None
    errors: tuple[float | None, float | None, float | None]  # outputs and gradients in float32, both in float64
    agrees: bool


def main() -> int:
    """Compare, print one table, and return the exit status."""
    begin = time.perf_counter()
    images, digits = read_digits()
    spec = netspec.load(SPEC)
    params = netspec.count_params(spec).total
    say(f"{spec.name}: {params:,} parameters, {IMAGES} digits; this takes half a minute")
    case = loss_case(spec, images, digits)
    found: dict[tuple[str, FloatType], Found] = {}
    with ProcessPoolExecutor(PROCESSES, get_context("spawn"), max_tasks_per_child=1) as processes:
        jobs: dict[Future[Found], tuple[str, FloatType]] = {
            processes.submit(run, name, dtype, images, case.cotangents["logits"]): (name, dtype)
            for dtype in DTYPES
            for name in FRAMEWORKS
        }
        say("  the float64 reference in NumPy, and how far the roundings of float32 may lead away from it ...")
        references = {dtype: evaluate_reference(case, dtype) for dtype in DTYPES}
        for job in as_completed(jobs):
            name, dtype = jobs[job]
            found[name, dtype] = job.result()
            say(f"  {FRAMEWORKS[name]} {found[name, dtype].version} in {dtype}: done")
    onnx = run_onnx(spec, images)
    say(f"  ONNX Runtime {onnx.version} on an exported file: done, {time.perf_counter() - begin:.0f} seconds in all")

    rows = [
        judged(title, params, references, found[name, "float32"], found[name, "float64"])
        for name, title in FRAMEWORKS.items()
    ]
    rows.append(judged("ONNX Runtime", params, references, onnx, None))
    show(rows, references)
    return 0 if all(row.agrees for row in rows) else 1


def say(progress: str) -> None:
    """Progress goes to standard error: the table alone is the output."""
    print(progress, file=sys.stderr, flush=True)


def read_digits() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Images [100, 1, 28, 28] with numbers from 0 to 1, and the digits that they show.

    scikit-learn ships them as 8 x 8 with numbers from 0 to 16: each pixel becomes 3 x 3, with a border of 2 around.
    """
    from sklearn.datasets import load_digits

    data = load_digits()
    large = np.repeat(np.repeat(data.images[:IMAGES] / 16, 3, axis=1), 3, axis=2)
    return np.pad(large, ((0, 0), (2, 2), (2, 2)))[:, np.newaxis].astype(np.float32), data.target[:IMAGES]


def loss_case(spec: Spec, images: NDArray[np.float32], digits: NDArray[np.int64]) -> Case:
    """What everyone computes: the logits of the images, and all gradients of their mean cross-entropy.

    The loss enters as its derivative by the logits, (softmax(logits) - one_hot(digits)) / number of images. It is
    taken once, at the reference's logits, so that all go back from the same numbers.
    """
    reference = netspec.build(spec, "numpy", seed=SEED, dtype="float64")
    logits = reference(images.astype(np.float64))
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
    cotangent = (probabilities - np.eye(10)[digits]) / len(images)
    case = make_case(spec.graphs, training=False, dtype="float32", data={"image": images})
    return replace(case, weights=reference.weights(), cotangents={"logits": cotangent.astype(np.float32)})


def run(backend: str, dtype: FloatType, images: NDArray[np.float32], cotangent: NDArray[np.float32]) -> Found:
    """Build LeNet on one framework and ask it for everything. This runs in a process of its own."""
    # Before the framework is imported: the CPU, and what a comparison in this float type wants.
    os.environ.update({"CUDA_VISIBLE_DEVICES": "-1", **find_backend(backend).environment(dtype)})

    model = netspec.build(SPEC, backend, seed=SEED, dtype=dtype)
    logits = model(images.astype(dtype))
    gradients = model.gradients(images.astype(dtype), cotangent=cotangent.astype(dtype), inputs=True)
    return describe(model.to_numpy(logits), gradients, model.weights(), find_backend(backend).version)


def run_onnx(spec: Spec, images: NDArray[np.float32]) -> Found:
    """Export LeNet as an ONNX file, and run the file."""
    import onnx
    import onnxruntime

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lenet.onnx"
        netspec.export_onnx(spec, path, seed=SEED)
        stored = {each.name: onnx.numpy_helper.to_array(each) for each in onnx.load(path).graph.initializer}
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        (logits,) = session.run(["logits"], {"image": images})
    paths = [row.path for row in netspec.count_params(spec).rows]
    return describe(logits, {}, {path: stored[path] for path in paths}, onnxruntime.__version__)


def describe(logits: NDArray[Any], gradients: Arrays, weights: Arrays, version: str | None) -> Found:
    """A framework's results; of its weights, how many numbers they are and whether they are those of the seed."""
    initial = netspec.build(SPEC, "numpy", seed=SEED).weights()
    return Found(
        tensors_of(Evaluation({"logits": logits}, gradients, updates={})),
        params=sum(values.size for values in weights.values()),
        same_start=all(np.array_equal(weights[path], initial[path]) for path in initial),
        version=version or "",
    )


def judged(title: str, params: int, references: References, single: Found, double: Found | None) -> Row:
    """A framework's results beside the reference's, tensor by tensor, by the rule of `netspec verify`."""
    errors: dict[tuple[str, str], float] = {}
    agrees = True
    for dtype, found in zip(DTYPES, (single, double), strict=True):
        if found is None:
            continue
        agrees &= found.same_start and found.params == params
        expected = references[dtype]
        # Without a second type there are no gradients either: ONNX Runtime has the outputs alone.
        for key in expected.tensors if double else single.tensors:
            result = expected.judge(key, found.tensors[key], dtype)
            if isinstance(result, str):
                sys.exit(f"{title}: {result}")
            agrees &= result.agrees
            part = (dtype, key[0] if dtype == "float32" else "both")
            errors[part] = max(errors.get(part, 0.0), result.error)
    parts = (("float32", "output"), ("float32", "gradient"), ("float64", "both"))
    largest = [errors.get(part) for part in parts]
    return Row(title, single, double, (largest[0], largest[1], largest[2]), agrees)


def show(rows: list[Row], references: References) -> None:
    """Print the table, and what it says."""
    exact = references["float32"]
    title = f"LeNet-5 on {IMAGES} real handwritten digits"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, collapse_padding=True)
    table.add_column("framework", no_wrap=True)
    for heading in ("para-\nmeters", "same\nstart", "outputs\nfloat32", "gradients\nfloat32", "both\nfloat64"):
        table.add_column(heading, justify="right")
    table.add_column("same\ndigit", justify="right")
    table.add_column("agrees")
    for row in rows:
        alike = int(np.sum(named_digits(row.single) == named_digits(exact)))
        agrees = "[green]yes[/]" if row.agrees else "[red]NO[/]"
        start = "yes" if row.single.same_start else "NO"
        table.add_row(row.title, f"{row.single.params:,}", start, *map(figure, row.errors), f"{alike}/{IMAGES}", agrees)
    table.add_section()
    singles = [row.single for row in rows]
    doubles = [row.double for row in rows if row.double]
    apart = [
        largest_gap(singles, exact, lambda key: key[0] == "output"),
        largest_gap(singles, exact, lambda key: key[0] == "gradient"),
        largest_gap(doubles, references["float64"], lambda key: True),
    ]
    table.add_row("any two", "", "", *map(figure, apart), "", "")
    limits = {kind: min(exact.limit(key, "float32") for key in exact.tensors if key[0] == kind) for kind in KINDS}
    table.add_row("allowed", "", "", *map(figure, [*limits.values(), FLOAT64_LIMIT]), "", "")
    Console(highlight=False).print(table)
    print(CONCLUSION if all(row.agrees for row in rows) else DISAGREEMENT)


KINDS = ("output", "gradient")
CONCLUSION = """
One YAML file became the same function in four programs. All begin with the same
weights, bit for bit, and what is left between them is rounding: float32 keeps
about 7 digits, float64 about 16. An error is the largest difference from NumPy
in float64, divided by the largest number in that tensor; gradients are those of
the mean cross-entropy of the true digits, for every weight and every pixel.
The network is not trained: the same digit need not be the right one."""
DISAGREEMENT = "\nNot everyone agrees: `netspec verify specs/lenet.yaml` names the first layer that differs."


def named_digits(source: Found | Reference) -> NDArray[np.int64]:
    """For each image the digit with the largest logit."""
    return np.argmax(source.tensors["output", "logits"], axis=1)


def largest_gap(founds: Iterable[Found], reference: Reference, chosen: Callable[[Key], bool]) -> float:
    """The largest difference between any two frameworks in the chosen tensors, over the scale of the tensor."""
    return max(
        max_difference(one.tensors[key], other.tensors[key]) / reference.scales[key]
        for one, other in combinations(founds, 2)
        for key in one.tensors.keys() & other.tensors.keys()
        if chosen(key)
    )


def figure(error: float | None) -> str:
    return "-" if error is None else f"{error:.0e}"


if __name__ == "__main__":
    sys.exit(main())
