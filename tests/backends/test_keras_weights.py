"""Weights of real Keras layers, saved as .weights.h5, become ours: the models give the same numbers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

import netspec
from netspec.errors import NetspecError
from netspec.weights.safetensors_file import read_weights
from tests.core.conftest import Run, run

__all__ = ["run"]

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"  # Keras reads its variables so
)
L = keras.layers
IMAGES = np.random.default_rng(1).normal(size=(2, 3, 8, 7)).astype(np.float32)

CNN = """
netspec: 1
inputs: {x: {shape: [batch, 3, 8, 7]}}
layers:
  - {name: stem, type: conv2d, out_channels: 4, kernel_size: [3, 2], stride: [2, 1]}
  - {name: bn, type: batch_norm, eps: 1.0e-3}
  - {name: depthwise, type: conv2d, out_channels: 8, kernel_size: 2, groups: 4, bias: false}
  - relu
  - {name: conv2, type: conv2d, out_channels: 6, kernel_size: 1, groups: 2}
  - {name: flat, type: flatten}
  - {name: norm, type: layer_norm, eps: 1.0e-3}
  - {name: fc1, type: linear, out_features: 5}
  - {name: bn2, type: batch_norm, eps: 1.0e-3}
  - {name: fc2, type: linear, out_features: 5, bias: false}
"""


def cnn(*names: str) -> Any:
    """The same, channels last. Some layers have names of their own, the others those that Keras gives."""
    named = {name: {"name": name} for name in names}
    x = inputs = keras.Input((8, 7, 3))
    x = L.Conv2D(4, (3, 2), strides=(2, 1), **named.get("stem", {}))(x)
    x = L.BatchNormalization()(x)
    x = L.DepthwiseConv2D(2, depth_multiplier=2, use_bias=False)(x)
    x = L.ReLU()(x)
    x = L.Conv2D(6, 1, groups=2)(x)
    x = L.Dropout(0.5, seed=1)(L.Flatten()(x))
    x = L.LayerNormalization()(x)
    x = L.Dense(5, **named.get("fc1", {}))(x)
    x = L.BatchNormalization()(x)
    return shaken(keras.Model(inputs, L.Dense(5, use_bias=False, **named.get("fc2", {}))(x)))


def shaken(model: Any) -> Any:
    """Every number replaced by one of its own, variances above 0: zeros and ones would hide an exchange."""
    rng = np.random.default_rng(3)
    for weight in model.weights:
        if "float" in weight.dtype:
            numbers = (
                rng.uniform(0.2, 1.2, weight.shape) if len(weight.shape) == 1 else rng.normal(0, 0.4, weight.shape)
            )
            weight.assign(numbers)
    return model


def saved(model: Any, tmp_path: Path) -> str:
    path = str(tmp_path / "model.weights.h5")
    model.save_weights(path)
    return path


def assert_close(ours: Any, theirs: Any) -> None:
    theirs = np.asarray(theirs)
    assert np.abs(ours - theirs).max() <= 1e-5 * np.abs(theirs).max()


def assert_same_model(text: str, model: Any, tmp_path: Path, x: Any = IMAGES, **rename: str) -> None:
    spec = netspec.loads(text)
    weights = netspec.weights_from_keras(spec, saved(model, tmp_path), rename)
    ours = netspec.build(spec, "numpy", weights=weights)
    assert_close(ours(x), model(np.moveaxis(x, 1, -1) if x.ndim == 4 else x, training=False))


@pytest.mark.parametrize("names", [(), ("stem",), ("fc1", "fc2")], ids=["none", "one", "two"])
def test_layers_are_found_by_their_names_then_by_their_order(names: tuple[str, ...], tmp_path: Path) -> None:
    assert_same_model(CNN, cnn(*names), tmp_path)


def test_the_order_of_names_that_differ_is_not_the_order_of_layers(tmp_path: Path) -> None:
    """Names win: here the second layer of the two has the first place."""
    x = inputs = keras.Input((5,))
    x = L.Dense(5, name="fc2")(x)
    model = shaken(keras.Model(inputs, L.Dense(5, name="fc1")(x)))
    text = """
netspec: 1
inputs: {x: {shape: [batch, 5]}}
layers: [{name: fc2, type: linear, out_features: 5}, {name: fc1, type: linear, out_features: 5}]
"""
    assert_same_model(text, model, tmp_path, np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32))


def test_names_that_keras_counts_mean_an_order_only(tmp_path: Path) -> None:
    """dense_10 comes behind dense_9, not behind dense_1; and our dense_1 is the first, which the file calls dense."""
    model = shaken(keras.Sequential([keras.Input((4,)), *(L.Dense(4, activation="tanh") for _ in range(12))]))
    layers = "".join(f"  - {{name: dense_{k}, type: linear, out_features: 4}}\n  - tanh\n" for k in range(1, 13))
    text = f"netspec: 1\ninputs: {{x: {{shape: [batch, 4]}}}}\nlayers:\n{layers}"
    assert_same_model(text, model, tmp_path, np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32))


def test_embedding(tmp_path: Path) -> None:
    model = shaken(keras.Sequential([keras.Input((4,), dtype="int64"), L.Embedding(11, 6), L.LayerNormalization()]))
    text = """
netspec: 1
inputs: {tokens: {shape: [batch, time], dtype: int64}}
layers:
  - {type: embedding, num_embeddings: 11, embedding_dim: 6}
  - {type: layer_norm, eps: 1.0e-3}
"""
    assert_same_model(text, model, tmp_path, np.array([[3, 0, 10, 4], [5, 5, 1, 9]]))


def test_norms_and_prelu(tmp_path: Path) -> None:
    x = inputs = keras.Input((8, 7, 3))
    x = L.Conv2D(6, 2)(x)
    x = L.GroupNormalization(3)(x)
    x = L.PReLU(shared_axes=[1, 2])(x)
    x = L.SpatialDropout2D(0.5, seed=1)(x)
    x = L.GroupNormalization(-1)(x)
    x = L.PReLU(shared_axes=[1, 2, 3])(x)
    x = L.PReLU()(L.RMSNormalization()(L.Flatten()(x)))
    model = shaken(keras.Model(inputs, L.Dense(5)(x)))
    text = """
netspec: 1
inputs: {x: {shape: [batch, 3, 8, 7]}}
layers:
  - {name: conv, type: conv2d, out_channels: 6, kernel_size: 2}
  - {name: groups, type: group_norm, num_groups: 3, eps: 1.0e-3}
  - {name: p_re_lu, type: prelu, shape: channel}
  - dropout2d
  - {name: instances, type: instance_norm, affine: true, eps: 1.0e-3}
  - {name: p_re_lu_1, type: prelu}
  - flatten
  - {name: rms, type: rms_norm}
  - {name: p_re_lu_2, type: prelu, shape: channel}
  - {name: fc, type: linear, out_features: 5}
"""
    spec = netspec.loads(text)
    file = saved(model, tmp_path)
    with pytest.raises(NetspecError, match="group_norm: 1 of ours are left: groups; 2 of theirs"):
        netspec.weights_from_keras(spec, file)
    rename = {"group_normalization": "groups", "group_normalization_1": "instances"}
    assert_same_model(text, model, tmp_path, **rename)


class Own(keras.Model):
    """Layers that are attributes, whose class the file does not tell, and layers in a list."""

    def __init__(self) -> None:
        super().__init__()
        self.first = L.Dense(6)
        self.norm = L.BatchNormalization()
        self.blocks = [L.Dense(6), L.Dense(6)]

    def call(self, x: Any, training: bool = False) -> Any:
        x = self.norm(self.first(x), training=training)
        for block in self.blocks:
            x = block(x)
        return x


def test_a_model_of_a_class_of_the_users_own(tmp_path: Path) -> None:
    model = Own()
    x = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    model(x)
    text = """
netspec: 1
inputs: {x: {shape: [batch, 4]}}
layers:
  - {name: first, type: linear, out_features: 6}
  - {name: bn, type: batch_norm, eps: 1.0e-3}
  - {name: body.0, type: linear, out_features: 6}
  - {name: body.1, type: linear, out_features: 6}
"""
    assert_same_model(text, shaken(model), tmp_path, x)
    renamed = netspec.loads(text.replace("name: first", "name: stem"))
    with pytest.raises(NetspecError) as caught:
        netspec.weights_from_keras(renamed, saved(model, tmp_path))
    assert str(caught.value) == (
        "linear: 3 of ours are left: stem, body.0, body.1; 2 of theirs: blocks.dense, blocks.dense_1"
    )
    weights = netspec.weights_from_keras(renamed, saved(model, tmp_path), {"first": "stem"})
    assert (weights["stem.weight"] == np.asarray(model.first.kernel).T).all()


def test_convert_prints_what_became_which(run: Run, tmp_path: Path) -> None:
    spec = tmp_path / "cnn.yaml"
    spec.write_text(CNN)
    model, out_file = cnn("stem"), tmp_path / "out.safetensors"
    status, out, err = run("weights", "convert", saved(model, tmp_path), str(out_file), str(spec))
    assert status == 0, err
    assert [line.split()[-1] for line in out.splitlines()[2:]] == ["name", *["order"] * 7]
    ours = netspec.build(str(spec), "numpy", weights=out_file)
    assert_close(ours(IMAGES), model(np.moveaxis(IMAGES, 1, -1)))
    assert read_weights(out_file)["stem.weight"].shape == (4, 3, 3, 2)


# -------------------------------------------------------------------------------------------------------------- refused


def refusal(text: str, path: str) -> str:
    with pytest.raises(NetspecError) as caught:
        netspec.weights_from_keras(netspec.loads(text), path)
    return str(caught.value).replace(path, "FILE")


ONE = "netspec: 1\ninputs: {x: {shape: [batch, 4]}}\nlayers: [{name: fc, type: linear, out_features: 3}]\n"


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (
            lambda: [keras.Input((5, 4)), L.EinsumDense("abc,cd->abd", (None, 3))],
            "FILE: layers/einsum_dense: layers of the class einsum_dense cannot be converted",
        ),
        (lambda: [keras.Input((5,)), L.Dense(3)], "fc.weight: expected [3, 4], but dense gives [3, 5] of [5, 3]"),
        (
            lambda: [keras.Input((4,)), L.Dense(3, use_bias=False)],
            "fc (linear) has bias and kernel, but dense has kernel",
        ),
        (
            lambda: [keras.Input((4,)), L.Dense(3), L.Dense(3)],
            "linear: 1 of ours are left: fc; 2 of theirs: dense, dense_1",
        ),
    ],
    ids=["unknown", "misshapen", "no bias", "one more"],
)
def test_what_does_not_fit_is_refused(layers: Callable[[], list[Any]], message: str, tmp_path: Path) -> None:
    assert message in refusal(ONE, saved(keras.Sequential(layers()), tmp_path))


def test_a_batch_norm_without_scale_is_refused(tmp_path: Path) -> None:
    """Three arrays: Keras does not say whether the scale or the shift is missing."""
    text = "netspec: 1\ninputs: {x: {shape: [batch, 4]}}\nlayers: [{name: bn, type: batch_norm}]\n"
    path = saved(keras.Sequential([keras.Input((4,)), L.BatchNormalization(scale=False)]), tmp_path)
    assert "has 3 arrays, which do not tell what they are for in batch_norm" in refusal(text, path)
    path = saved(keras.Sequential([keras.Input((4,)), L.BatchNormalization(scale=False, center=False)]), tmp_path)
    assert "bn (batch_norm) has bias and mean and scale and var, but batch_normalization has mean and var" in refusal(
        text, path
    )


def test_the_optimisers_state_is_left_out(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((4,)), L.Dense(3)])
    model.compile("adam", "mse")
    model.fit(np.zeros((2, 4)), np.zeros((2, 3)), verbose=0)
    assert set(netspec.weights_from_keras(netspec.loads(ONE), saved(model, tmp_path))) == {"fc.weight", "fc.bias"}


def hdf5(path: Path, fill: Callable[[h5py.File], object]) -> str:
    with h5py.File(path, "w") as file:
        fill(file)
    return str(path)


def test_hostile_files_of_hdf5_are_refused(tmp_path: Path) -> None:
    secret = tmp_path / "secret.h5"
    hdf5(secret, lambda file: file.create_dataset("0", data=np.zeros(3, np.float32)))
    raw = tmp_path / "raw.bin"
    raw.write_bytes(bytes(64))
    layout = h5py.VirtualLayout((3,), np.float32)
    layout[:] = h5py.VirtualSource(str(secret), "0", (3,))
    group = "layers/dense/vars"

    def external(file: h5py.File) -> None:
        file.create_dataset(f"{group}/0", (3,), np.float32, external=[(str(raw), 0, 64)])

    def bomb(file: h5py.File) -> None:
        file.create_dataset(f"{group}/0", (2**36,), np.float32, chunks=(2**20,), compression="gzip")

    def text(file: h5py.File) -> None:
        file[f"{group}/0"] = "words"

    def linked(link: Any) -> Callable[[h5py.File], None]:
        def fill(file: h5py.File) -> None:
            file.create_group(group)["0"] = link

        return fill

    bad: dict[str, tuple[Callable[[h5py.File], object], str]] = {
        "external link": (linked(h5py.ExternalLink(str(secret), "/0")), "a link to another place or file"),
        "soft link": (linked(h5py.SoftLink("/layers")), "a link to another place or file"),
        "external storage": (external, "its numbers are not in the file"),
        "virtual": (lambda file: file.create_virtual_dataset(f"{group}/0", layout), "its numbers are not in the file"),
        "bomb": (bomb, "it takes more than 512 MB of memory, too much for its size"),
        "text": (text, "is no type of numbers that can be read"),
        "nothing": (lambda file: None, "it holds no weights of Keras 3"),
        "keras 2": (lambda file: file.attrs.create("layer_names", [b"a"]), "a file of Keras 2"),
        "other": (lambda file: file.create_dataset("a/b", data=np.zeros(3)), "a/b is no weight of a layer of Keras 3"),
    }
    for name, (fill, message) in bad.items():
        path = hdf5(tmp_path / "bad.weights.h5", fill)
        assert message in refusal(ONE, path), name
    cut = tmp_path / "cut.weights.h5"
    cut.write_bytes(secret.read_bytes()[:1000])
    assert "FILE: cannot be read: OSError" in refusal(ONE, str(cut))


def test_the_folder_of_the_process_is_gone_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "tmp"
    folder.mkdir()
    path = saved(keras.Sequential([keras.Input((4,)), L.Dense(3)]), tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    netspec.weights_from_keras(netspec.loads(ONE), path)
    assert list(folder.iterdir()) == []
