"""Every layer against torch.nn's own module with the same weights."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from netspec.backend import find_backend
from netspec.layers import LAYER_TYPES
from netspec.spec import loads
from tests.conformance.judging import Function, Judged, close, judge
from tests.conformance.test_torch_activations import JUDGED as ACTIVATIONS
from tests.conformance.test_torch_arithmetic import JUDGED as ARITHMETIC
from tests.conformance.test_torch_attention import JUDGED_TYPES as ATTENTION
from tests.conformance.test_torch_movement import JUDGED as MOVEMENT
from tests.conformance.test_torch_normalization import JUDGED as NORMALIZATION
from tests.conformance.test_torch_recurrent import CELLS
from tests.conformance.test_torch_recurrent import JUDGED as SEQUENCES
from tests.conformance.test_torch_tensor_layers import JUDGED as TENSOR_LAYERS
from tests.conformance.test_torch_windows import JUDGED as WINDOWS


def same_by_hand(kernel: int, stride: int, dilation: int, lower: bool, **conv: Any) -> torch.nn.Module:
    """torch refuses `same` with a stride: pad as TensorFlow's documentation defines it, then convolve."""

    def pads(size: int) -> tuple[int, int]:
        total = max((-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
        small, large = total // 2, total - total // 2
        return (large, small) if lower else (small, large)

    class Same(torch.nn.Conv2d):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            (top, bottom), (left, right) = pads(x.shape[2]), pads(x.shape[3])
            return super().forward(F.pad(x, (left, right, top, bottom)))

    return Same(6, 4, kernel, stride=stride, dilation=dilation, **conv)


def same_transposed(kernel: tuple[int, int], stride: tuple[int, int]) -> torch.nn.Module:
    """torch has no `same` here: cut the whole result to size * stride, k - s numbers, the odd one at the end."""
    (top, bottom), (left, right) = (((k - s) // 2, -((s - k) // 2)) for k, s in zip(kernel, stride, strict=True))
    whole = torch.nn.ConvTranspose2d(6, 4, kernel, stride=stride)
    return torch.nn.Sequential(whole, torch.nn.ZeroPad2d((-left, -right, -top, -bottom)))


IMAGE = (3, 6, 11, 8)
JUDGED = {
    "linear": Judged("{type: linear, out_features: 4}", lambda: torch.nn.Linear(7, 4), (3, 7)),
    "linear-3d": Judged(
        "{type: linear, out_features: 4, bias: false}", lambda: torch.nn.Linear(5, 4, bias=False), (3, 2, 5)
    ),
    "conv2d": Judged("{type: conv2d, out_channels: 4, kernel_size: 3}", lambda: torch.nn.Conv2d(6, 4, 3), IMAGE),
    "conv2d-pairs": Judged(
        "{type: conv2d, out_channels: 4, kernel_size: [3, 2], stride: [2, 3], padding: [1, 0], dilation: [1, 2]}",
        lambda: torch.nn.Conv2d(6, 4, (3, 2), stride=(2, 3), padding=(1, 0), dilation=(1, 2)),
        IMAGE,
    ),
    "conv2d-same-even": Judged(
        "{type: conv2d, out_channels: 4, kernel_size: [4, 3], dilation: 2, padding: same}",
        lambda: torch.nn.Conv2d(6, 4, (4, 3), dilation=2, padding="same"),
        IMAGE,
    ),
    "conv2d-same-stride": Judged(
        "{type: conv2d, out_channels: 4, kernel_size: 3, stride: 2, padding: same}",
        lambda: same_by_hand(3, 2, 1, lower=False),
        IMAGE,
    ),
    "conv2d-same-lower": Judged(
        "{type: conv2d, out_channels: 4, kernel_size: 4, stride: 3, padding: same_lower}",
        lambda: same_by_hand(4, 3, 1, lower=True),
        IMAGE,
    ),
    "conv2d-explicit": Judged(
        "{type: conv2d, out_channels: 4, kernel_size: 3, padding: [[0, 1], [2, 0]]}",
        lambda: torch.nn.Sequential(torch.nn.ZeroPad2d((2, 0, 0, 1)), torch.nn.Conv2d(6, 4, 3)),
        IMAGE,
        tensors={"weight": "1.weight", "bias": "1.bias"},
    ),
    "conv2d-groups": Judged(
        "{type: conv2d, out_channels: 9, kernel_size: 2, stride: 3, groups: 3, bias: false}",
        lambda: torch.nn.Conv2d(6, 9, 2, stride=3, groups=3, bias=False),
        IMAGE,
    ),
    "conv2d-depthwise": Judged(
        "{type: conv2d, out_channels: 12, kernel_size: 3, padding: 1, groups: 6}",
        lambda: torch.nn.Conv2d(6, 12, 3, padding=1, groups=6),
        IMAGE,
    ),
    "conv_transpose2d": Judged(
        "{type: conv_transpose2d, out_channels: 4, kernel_size: 3, stride: 2, padding: 1, output_padding: 1}",
        lambda: torch.nn.ConvTranspose2d(6, 4, 3, stride=2, padding=1, output_padding=1),
        IMAGE,
    ),
    "conv_transpose2d-pairs": Judged(
        "{type: conv_transpose2d, out_channels: 4, kernel_size: [3, 2], stride: [2, 3], padding: [0, 1], "
        "output_padding: [1, 2], dilation: [3, 1]}",
        lambda: torch.nn.ConvTranspose2d(6, 4, (3, 2), (2, 3), (0, 1), (1, 2), dilation=(3, 1)),
        IMAGE,
    ),
    "conv_transpose2d-groups": Judged(
        "{type: conv_transpose2d, out_channels: 9, kernel_size: 2, stride: 3, groups: 3, bias: false}",
        lambda: torch.nn.ConvTranspose2d(6, 9, 2, stride=3, groups=3, bias=False),
        IMAGE,
    ),
    "conv_transpose2d-depthwise": Judged(
        "{type: conv_transpose2d, out_channels: 6, kernel_size: 4, stride: 2, padding: 1, groups: 6}",
        lambda: torch.nn.ConvTranspose2d(6, 6, 4, stride=2, padding=1, groups=6),
        IMAGE,
    ),
    "conv_transpose2d-wide-padding": Judged(
        "{type: conv_transpose2d, out_channels: 4, kernel_size: 2, padding: [3, 2]}",
        lambda: torch.nn.ConvTranspose2d(6, 4, 2, padding=(3, 2)),
        IMAGE,
    ),
    "conv_transpose2d-same": Judged(
        "{type: conv_transpose2d, out_channels: 4, kernel_size: [3, 4], stride: [2, 1], padding: same}",
        lambda: same_transposed((3, 4), (2, 1)),
        IMAGE,
        tensors={"weight": "0.weight", "bias": "0.bias"},
    ),
    "conv_transpose2d-same-short": Judged(
        "{type: conv_transpose2d, out_channels: 4, kernel_size: [2, 1], stride: 3, padding: same}",
        lambda: torch.nn.ConvTranspose2d(6, 4, (2, 1), stride=3, output_padding=(1, 2)),
        IMAGE,
    ),
    "conv_transpose2d-explicit": Judged(
        "{type: conv_transpose2d, out_channels: 4, kernel_size: 4, stride: 2, padding: [[0, 3], [2, 1]]}",
        lambda: torch.nn.Sequential(torch.nn.ConvTranspose2d(6, 4, 4, stride=2), torch.nn.ZeroPad2d((-2, -1, 0, -3))),
        IMAGE,
        tensors={"weight": "0.weight", "bias": "0.bias"},
    ),
    "max_pool2d": Judged("{type: max_pool2d, kernel_size: 3}", lambda: torch.nn.MaxPool2d(3), IMAGE, rounded=True),
    "max_pool2d-overlap": Judged(
        "{type: max_pool2d, kernel_size: [3, 2], stride: [2, 1], padding: 1}",
        lambda: torch.nn.MaxPool2d((3, 2), stride=(2, 1), padding=1),
        IMAGE,
        rounded=True,
    ),
    "avg_pool2d": Judged(
        "{type: avg_pool2d, kernel_size: 3, stride: 2, padding: 1}", lambda: torch.nn.AvgPool2d(3, 2, 1), IMAGE
    ),
    "avg_pool2d-inside": Judged(
        "{type: avg_pool2d, kernel_size: [2, 3], padding: [1, 1], count_include_pad: false}",
        lambda: torch.nn.AvgPool2d((2, 3), padding=(1, 1), count_include_pad=False),
        IMAGE,
    ),
    "max_pool2d-ceil": Judged(
        "{type: max_pool2d, kernel_size: [2, 3], stride: [3, 2], padding: 1, ceil_mode: true}",
        lambda: torch.nn.MaxPool2d((2, 3), (3, 2), 1, ceil_mode=True),
        IMAGE,
        rounded=True,
    ),
    "avg_pool2d-ceil": Judged(
        "{type: avg_pool2d, kernel_size: [4, 3], stride: [3, 5], padding: [2, 1], ceil_mode: true}",
        lambda: torch.nn.AvgPool2d((4, 3), (3, 5), (2, 1), ceil_mode=True),
        IMAGE,
    ),
    "avg_pool2d-ceil-dropped": Judged(
        "{type: avg_pool2d, kernel_size: [2, 3], stride: [3, 2], padding: 1, ceil_mode: true}",
        lambda: torch.nn.AvgPool2d((2, 3), (3, 2), 1, ceil_mode=True),
        IMAGE,
    ),
    "avg_pool2d-ceil-inside": Judged(
        "{type: avg_pool2d, kernel_size: [4, 3], padding: [1, 0], ceil_mode: true, count_include_pad: false}",
        lambda: torch.nn.AvgPool2d((4, 3), padding=(1, 0), ceil_mode=True, count_include_pad=False),
        IMAGE,
    ),
    **{
        f"adaptive_avg_pool2d-{height}-{width}": Judged(
            f"{{type: adaptive_avg_pool2d, output_size: [{height}, {width}]}}",
            partial(torch.nn.AdaptiveAvgPool2d, (height, width)),
            IMAGE,
        )
        for height, width in ((1, 1), (1, 3), (4, 3), (7, 4), (5, 8), (13, 16), (22, 11), (11, 8))
    },
    "global_avg_pool": Judged(
        "global_avg_pool", lambda: torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()), IMAGE
    ),
    "flatten": Judged("flatten", torch.nn.Flatten, IMAGE),
    "flatten-middle": Judged("{type: flatten, start_dim: 1, end_dim: 2}", lambda: torch.nn.Flatten(1, 2), IMAGE),
    "reshape": Judged("{type: reshape, shape: [-1, 4, 12]}", lambda: Function(lambda x: x.reshape(-1, 4, 12)), IMAGE),
    "scaled_dot_product_attention": Judged(
        "{type: scaled_dot_product_attention, from: [x, x, x]}",
        lambda: Function(lambda x: F.scaled_dot_product_attention(x, x, x)),
        (3, 4, 7, 6),
    ),
    "scaled_dot_product_attention-causal": Judged(
        "{type: scaled_dot_product_attention, causal: true, scale: 0.3, from: [x, x, x]}",
        lambda: Function(lambda x: F.scaled_dot_product_attention(x, x, x, is_causal=True, scale=0.3)),
        (3, 7, 6),
    ),
    "by_mode": Judged("{type: by_mode, from: [x, x]}", lambda: Function(lambda x: x), (3, 7)),
    "add": Judged("{type: add, from: [x, x, x]}", lambda: Function(lambda x: x + x + x), (3, 7)),
    "mul": Judged("{type: mul, from: [x, x]}", lambda: Function(lambda x: x * x), (3, 7)),
    "concat": Judged("{type: concat, from: [x, x], dim: 1}", lambda: Function(lambda x: torch.cat([x, x], 1)), IMAGE),
}


@pytest.mark.parametrize("name", JUDGED)
def test_layer_means_what_torch_means(name: str) -> None:
    judge(JUDGED[name])


def test_embedding_means_what_torch_means() -> None:
    spec = loads(
        "{netspec: 1, inputs: {words: {shape: [batch, 4], dtype: int64}}, layers: [{name: l, type: embedding, "
        "num_embeddings: 5, embedding_dim: 3, padding_idx: 2}]}"
    )
    weight = np.random.default_rng(3).standard_normal((5, 3))
    words = np.array([[0, 2, 4, 2], [4, 4, 1, 2]])
    cotangent = np.random.default_rng(4).standard_normal((2, 4, 3))
    model = find_backend("numpy").compile(spec.graphs, {"l.weight": weight}, "float64")
    found = model.evaluate({"words": words}, {"output": cotangent})
    module = torch.nn.Embedding(5, 3, padding_idx=2).double()
    with torch.no_grad():
        module.weight.copy_(torch.from_numpy(weight))
    y = module(torch.from_numpy(words))
    y.backward(torch.from_numpy(cotangent))
    close(found.outputs["output"], y, "output")
    assert module.weight.grad is not None
    close(found.gradients["l.weight"], module.weight.grad, "gradient")
    assert not found.gradients["l.weight"][2].any()


def test_every_layer_is_judged() -> None:
    judged = {
        each.type for each in (*JUDGED.values(), *ACTIVATIONS.values(), *NORMALIZATION.values(), *WINDOWS.values())
    }
    elsewhere = {"embedding", "formula", "global_max_pool", *ATTENTION}  # in tests of their own
    elsewhere |= {name.partition("-")[0] for name in (*TENSOR_LAYERS, *MOVEMENT, *ARITHMETIC, *SEQUENCES, *CELLS)}
    drawn = {"random_normal", "random_uniform"}  # in tests/backends/test_random.py: no two draws are alike
    assert judged | elsewhere | drawn == set(LAYER_TYPES)
