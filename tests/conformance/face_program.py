"""What a user's program does with the public functions, on the backend named as its argument; prints JSON.

It runs in a process of its own, as frameworks do not share one well.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import netspec

SPECS = Path(__file__).parents[2] / "specs"

WORDS = """
netspec: 1
name: words
inputs:
  words: {shape: [batch, time], dtype: int64}
  scale: {shape: [batch, 4]}
layers:
  - {name: rows, type: embedding, num_embeddings: 6, embedding_dim: 4, from: words}
  - {name: moved, type: reshape, shape: ["$(batch)", "$(time)", 2, 2]}
  - {name: spread, type: reshape, shape: ["$(batch)", 1, 4], from: scale}
  - {name: joined, type: mul, from: [rows, spread]}
outputs: {joined: joined, moved: moved}
"""


def digest(weights: dict[str, Any]) -> str:
    """A hash of all weights in order, bit for bit."""
    total = hashlib.sha256()
    for path, values in weights.items():
        total.update(path.encode() + np.ascontiguousarray(values).tobytes())
    return total.hexdigest()


def refusal(action: Any) -> str:
    """What a user's mistake is told."""
    try:
        action()
    except netspec.NetspecError as error:
        return str(error)
    return "not refused"


def main(backend: str) -> dict[str, Any]:
    rng = np.random.default_rng(5)
    spec = netspec.load(SPECS / "residual.yaml", params={"classes": 4})
    model = netspec.build(spec, backend, seed=3)
    found: dict[str, Any] = {"paths": list(model.weights()), "weights": digest(model.weights())}
    image = rng.standard_normal((5, 3, 32, 32)).astype("float32")
    logits = model.to_numpy(model(image))
    found["shape"] = list(logits.shape)
    found["logits"] = logits.astype("float64").tolist()
    found["one at a time"] = float(
        max(np.abs(model.to_numpy(model(image=image[k : k + 1])) - logits[k : k + 1]).max() for k in range(5))
    )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "weights.safetensors"
        model.save_weights(file)
        again = netspec.build(spec, backend, seed=99, weights=file)
        found["reloaded"] = digest(again.weights()) == found["weights"]
        found["same outputs"] = bool(np.array_equal(again.to_numpy(again(image)), logits))
        found["foreign weights"] = refusal(lambda: netspec.build(SPECS / "lenet.yaml", backend, weights=file))
        netspec.export_onnx(model, Path(folder) / "residual.onnx")
        found["exported"] = (Path(folder) / "residual.onnx").stat().st_size

    words = netspec.loads(WORDS)
    reader = netspec.build(words, backend)
    indices, scale = np.array([[0, 5, 2], [1, 1, 4]]), rng.standard_normal((2, 4)).astype("float32")
    both = reader(indices, scale)
    found["names"] = list(both)
    table = reader.weights()["rows.weight"]
    found["values"] = float(np.abs(reader.to_numpy(both["joined"]) - table[indices] * scale[:, None]).max())
    found["too large"] = refusal(lambda: reader(indices + 1, scale))
    found["negative"] = refusal(lambda: reader(indices - 1, scale))
    found["missing"] = refusal(lambda: reader(indices))
    found["unknown"] = refusal(lambda: reader(indices, scala=scale))
    found["float for index"] = refusal(lambda: reader(indices * 1.0, scale))
    found["other batch"] = refusal(lambda: reader(indices, scale[:1]))
    found["other rank"] = refusal(lambda: reader(indices, scale[0]))

    if backend != "onnx":
        train(found, spec, model, image, rng)
    else:
        found["training"] = refusal(lambda: model(image, training=True))
        found["gradients"] = refusal(lambda: model.gradients(image, cotangent=np.ones((5, 4), "float32")))
    return found


def train(found: dict[str, Any], spec: Any, model: Any, image: Any, rng: Any) -> None:
    """Gradients and moving statistics."""
    cotangent = rng.standard_normal((5, 4)).astype("float32")
    before = model.weights()
    gradients = model.gradients(image, cotangent={"logits": cotangent}, training=True, inputs=True)
    found["gradient paths"] = sorted(gradients)
    found["gradient"] = gradients["fc.weight"].astype("float64").tolist()
    found["gradients move nothing"] = digest(model.weights()) == digest(before)
    found["plain gradient"] = sorted(model.gradients(image, cotangent=cotangent))
    found["wrong cotangent"] = refusal(lambda: model.gradients(image, cotangent=cotangent[:3]))
    found["unknown cotangent"] = refusal(lambda: model.gradients(image, cotangent={"logit": cotangent}))
    model(image, training=True)
    after = model.weights()
    found["moved"] = sorted(path for path in after if not np.array_equal(after[path], before[path]))
    found["running mean"] = after["block1.bn1.running_mean"].astype("float64").tolist()


if __name__ == "__main__":
    json.dump(main(sys.argv[1]), sys.stdout)
