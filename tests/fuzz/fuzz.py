"""Fuzzes one reader with atheris: `python -m tests.fuzz.fuzz TARGET [LIBFUZZER OPTIONS]`.

What is not a NetspecError is a finding: atheris prints the traceback and keeps the bytes in .cache/fuzz. A finding
becomes a case in tests/data/bad_inputs.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]
FINDINGS = ROOT / ".cache" / "fuzz"

Target = Callable[[bytes], None]


def spec_target() -> Target:
    """A whole spec: the first byte chooses YAML or JSON. The budgets are small: an instrumented program is slow."""
    from netspec.errors import NetspecError
    from netspec.expand import budget, context, loops
    from netspec.expressions import evaluation
    from netspec.spec import loads

    for module in (budget, context, loops):
        vars(module)["MAX_LAYERS"] = 200
    context.MAX_ENTRIES = 1000
    evaluation.MAX_STEPS_IN_ALL = 50_000

    def run(data: bytes) -> None:
        with contextlib.suppress(NetspecError):
            loads(data[1:], file="s.json" if data[:1] == b"j" else "s.yaml").graphs  # noqa: B018 - both are made

    return run


def text_target() -> Target:
    """The reader alone, with YAML's parser in Python, whose branches atheris sees."""
    import yaml

    from netspec.errors import NetspecError
    from netspec.language import yaml_reader
    from netspec.language.reader import read_text

    yaml_reader.PARSER = yaml.BaseLoader

    def run(data: bytes) -> None:
        with contextlib.suppress(NetspecError):
            read_text(data[1:], "s.json" if data[:1] == b"j" else "s.yaml").root.plain()

    return run


def expression_target() -> Target:
    """The text of one expression, evaluated."""
    from netspec.errors import Location, NetspecError
    from netspec.expressions.evaluation import evaluate
    from netspec.expressions.parser import read_string
    from netspec.expressions.place import Place
    from netspec.expressions.syntax import Expression
    from netspec.expressions.values import Value
    from netspec.graph.dims import symbol

    names: dict[str, Value] = {"a": 7, "f": 0.5, "w": [1, 2.5, "s"], "n": symbol("n"), "m": {"k": [3]}, "t": True}

    def run(data: bytes) -> None:
        with contextlib.suppress(NetspecError):
            found = read_string(f"$({data.decode('utf-8', 'replace')})", Place(Location("s.yaml", 1, 1)))
            if isinstance(found, Expression):
                evaluate(found, names)

    return run


def weights_target() -> Target:
    """A .safetensors file."""
    from netspec.errors import NetspecError
    from netspec.weights.safetensors_file import read_weights

    # Held by the function: the file is there as long as it is.
    folder = tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
    path = Path(folder.name) / "w.safetensors"

    def run(data: bytes, folder: tempfile.TemporaryDirectory[str] = folder) -> None:
        path.write_bytes(data)
        with contextlib.suppress(NetspecError):
            read_weights(path)

    return run


TARGETS: dict[str, Callable[[], Target]] = {
    "spec": spec_target,
    "text": text_target,
    "expression": expression_target,
    "weights": weights_target,
}


def seeds(target: str) -> list[bytes]:
    """What the fuzzer begins with: the specs that come with netspec, the bad inputs, some expressions, a good file."""
    if target == "expression":
        return [b"a // 2 + n * 3", b"[i * 2 for i in w[1:] if t][0]", b"max(1, len(w)) if a > 3 and not t else m.k[0]"]
    if target == "weights":
        import numpy as np

        from netspec.weights.safetensors_file import write_weights

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "w.safetensors"
            write_weights(path, {"a.weight": np.ones((2, 3), np.float32), "n": np.array(3)}, {"format": "pt"})
            return [path.read_bytes()]
    from tests.core.bad_input_cases import cases

    good = [b"y" + path.read_bytes() for path in sorted((ROOT / "specs").rglob("*.yaml"))]
    bad = [(b"j" if case.file.endswith(".json") else b"y") + case.data() for case in cases()]
    return [data for data in (*good, *bad) if len(data) < 4000]


def main() -> None:
    """Run until the options say stop; a finding ends the process with a status that is not 0."""
    import atheris

    target, options = sys.argv[1], sys.argv[2:]
    with atheris.instrument_imports(include=["netspec"]):
        run = TARGETS[target]()
    FINDINGS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for number, data in enumerate(seeds(target)):
            (Path(folder) / str(number)).write_bytes(data)
        given = ["-max_len=4096", "-timeout=10", "-rss_limit_mb=1000", f"-artifact_prefix={FINDINGS}/{target}-"]
        atheris.Setup([sys.argv[0], folder, *given, *options], run)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
