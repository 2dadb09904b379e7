"""The count of what a training step keeps, against what torch saves for the backward pass."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import netspec
from netspec.analysis.sample import sample_sizes
from netspec.analysis.training_memory import kept_bytes

SPECS = Path(__file__).parents[2] / "specs"


def saved_bytes(spec: netspec.Spec, batch: int) -> int:
    """The bytes of all storages that torch saves in one forward pass, parameters and buffers not among them."""
    module = netspec.build(spec, "torch").native
    module.train()
    state = {tensor.untyped_storage().data_ptr() for tensor in (*module.parameters(), *module.buffers())}
    saved: dict[int, torch.Tensor] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        saved[tensor.untyped_storage().data_ptr()] = tensor  # held, so that no address is used again
        return tensor

    inputs = [
        torch.rand([size if isinstance(size, int) else batch for size in entry.value.shape])
        for entry in spec.training.inputs
    ]
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        module(*inputs)
    return sum(tensor.untyped_storage().nbytes() for at, tensor in saved.items() if at not in state)


# Measured with torch 2.13 on the CPU: 1.0 where nothing is pooled by its maximum; there torch saves 8-byte indices, of
# which we count the 4 bytes of the output.
@pytest.mark.parametrize(
    ("file", "factor"), [("lenet", 1.0), ("perceptron", 1.0), ("residual", 1.001), ("cnn_mnist", 1.11)]
)
@pytest.mark.parametrize("batch", [3, 16])
def test_what_is_kept_is_what_torch_saves(file: str, factor: float, batch: int) -> None:
    spec = netspec.load(SPECS / f"{file}.yaml")
    counted = kept_bytes(spec.training, sample_sizes(spec.training, {"batch": batch}))
    assert isinstance(counted, int)
    assert 1.0 <= saved_bytes(spec, batch) / counted <= factor


def test_more_layers_that_torch_has_whole() -> None:
    spec = netspec.loads("""
netspec: 1
name: m
inputs: {image: {shape: [batch, 3, 12, 10]}}
layers:
  - {name: a, type: conv2d, out_channels: 8, kernel_size: 3, padding: same}
  - gelu
  - {name: b, type: layer_norm, dim: [1, 2, 3]}
  - {type: dropout, p: 0.25}
  - {name: c, type: conv2d, out_channels: 8, kernel_size: 1, bias: false}
  - leaky_relu
  - {name: s, type: softmax, dim: 1}
  - {name: d, type: add, from: [a, s]}
  - {type: max_pool2d, kernel_size: 2}
  - flatten
  - {name: fc, type: linear, out_features: 5}
""")
    counted = kept_bytes(spec.training, sample_sizes(spec.training, {"batch": 7}))
    assert isinstance(counted, int)
    assert 0.95 <= saved_bytes(spec, 7) / counted <= 1.05
