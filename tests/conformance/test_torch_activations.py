"""Activations against torch's own: near 0, at their kinks (whole numbers), and far out, where nothing may overflow."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from netspec.backend import find_backend
from netspec.spec import loads
from tests.conformance.judging import Function, Judged, judge

ROW = (5, 9)
IMAGE = (3, 6, 5, 4)
ELEMENTWISE: dict[str, tuple[str, torch.nn.Module]] = {
    "relu": ("relu", torch.nn.ReLU()),
    "relu6": ("relu6", torch.nn.ReLU6()),
    "leaky_relu": ("leaky_relu", torch.nn.LeakyReLU()),
    "leaky_relu-slope": ("{type: leaky_relu, negative_slope: 0.3}", torch.nn.LeakyReLU(0.3)),
    "leaky_relu-steep": ("{type: leaky_relu, negative_slope: -1.5}", torch.nn.LeakyReLU(-1.5)),
    "elu": ("elu", torch.nn.ELU()),
    "elu-alpha": ("{type: elu, alpha: 0.3}", torch.nn.ELU(0.3)),
    "elu-negative": ("{type: elu, alpha: -0.7}", torch.nn.ELU(-0.7)),
    "selu": ("selu", torch.nn.SELU()),
    "celu": ("celu", torch.nn.CELU()),
    "celu-alpha": ("{type: celu, alpha: 2.5}", torch.nn.CELU(2.5)),
    "gelu": ("gelu", torch.nn.GELU()),
    "gelu_tanh": ("gelu_tanh", torch.nn.GELU(approximate="tanh")),
    "quick_gelu": ("quick_gelu", Function(lambda x: x * torch.sigmoid(1.702 * x))),
    "silu": ("silu", torch.nn.SiLU()),
    "mish": ("mish", torch.nn.Mish()),
    # torch's own softplus is x above a threshold.
    "softplus": ("softplus", Function(lambda x: torch.logaddexp(x, torch.zeros_like(x)))),
    "softplus-beta": (
        "{type: softplus, beta: 0.4}",
        Function(lambda x: torch.logaddexp(0.4 * x, torch.zeros_like(x)) / 0.4),
    ),
    "softsign": ("softsign", torch.nn.Softsign()),
    "sigmoid": ("sigmoid", torch.nn.Sigmoid()),
    "logsigmoid": ("logsigmoid", torch.nn.LogSigmoid()),
    # The gradient of torch's own is 1 / 6 in float32, whatever the type of x (2.13).
    "hardsigmoid": ("hardsigmoid", Function(lambda x: F.relu6(x + 3) / 6)),
    "hardswish": ("hardswish", torch.nn.Hardswish()),
    "hardtanh": ("hardtanh", torch.nn.Hardtanh()),
    "hardtanh-bounds": ("{type: hardtanh, min_val: -2, max_val: 3.5}", torch.nn.Hardtanh(-2, 3.5)),
    "tanh": ("tanh", torch.nn.Tanh()),
    "threshold": ("{type: threshold, threshold: 1, value: -0.5}", torch.nn.Threshold(1, -0.5)),
    "identity": ("identity", torch.nn.Identity()),
}
JUDGED = {
    **{
        f"{name}{kind}": Judged(layer, lambda module=module: module, ROW, stretch=stretch, rounded=rounded)  # type: ignore[misc]
        for name, (layer, module) in ELEMENTWISE.items()
        for kind, stretch, rounded in (
            ("", 1.0, False),
            ("-kinks", 3.0, True),
            ("-far", 100.0, False),
            ("-out", 1e4, False),
        )
    },
    "prelu": Judged("prelu", torch.nn.PReLU, IMAGE, rounded=True),
    "prelu-row": Judged("{type: prelu, shape: channel}", lambda: torch.nn.PReLU(9), ROW, rounded=True),
    "prelu-image": Judged("{type: prelu, shape: channel}", lambda: torch.nn.PReLU(6), IMAGE, rounded=True),
    "softmax": Judged("softmax", lambda: torch.nn.Softmax(-1), (3, 7), rounded=True),
    "softmax-channels": Judged("{type: softmax, dim: 1}", lambda: torch.nn.Softmax(1), IMAGE),
    "log_softmax": Judged("log_softmax", lambda: torch.nn.LogSoftmax(-1), ROW, rounded=True),
    "log_softmax-channels": Judged("{type: log_softmax, dim: -3}", lambda: torch.nn.LogSoftmax(1), IMAGE),
    "log_softmax-far": Judged("log_softmax", lambda: torch.nn.LogSoftmax(-1), ROW, stretch=1e4),
    "glu": Judged("glu", torch.nn.GLU, IMAGE),
    "glu-channels": Judged("{type: glu, dim: 1}", lambda: torch.nn.GLU(1), IMAGE),
}


@pytest.mark.parametrize("name", JUDGED)
def test_activation_means_what_torch_means(name: str) -> None:
    judge(JUDGED[name])


def test_softplus_has_no_threshold() -> None:
    model = find_backend("numpy").compile(
        loads("{netspec: 1, inputs: {x: {shape: [batch]}}, layers: [softplus]}").graphs, {}, "float64"
    )
    x = np.array([25.0, -40.0, 0.0])
    exact = [25.000000000013888, 4.248354255291589e-18, 0.6931471805599453]
    np.testing.assert_allclose(model(x), exact, rtol=1e-15)


@pytest.mark.parametrize("backend", ["numpy", "torch", "jax", "tensorflow", "onnx"])
def test_threshold_gives_nan_for_nan(backend: str) -> None:
    text = "{netspec: 1, inputs: {x: {shape: [batch]}}, layers: [{type: threshold, threshold: 1, value: -0.5}]}"
    x = np.array([np.nan, 1.0, np.inf, -np.inf, 1.5], "float32")
    model = find_backend(backend).compile(loads(text).graphs, {}, "float32")
    np.testing.assert_array_equal(model(x), F.threshold(torch.from_numpy(x), 1, -0.5).numpy())


def test_the_two_gelus_differ_by_what_is_said() -> None:
    x = torch.linspace(-5, 5, 10001, dtype=torch.float64)
    assert 4.6e-4 < (F.gelu(x) - F.gelu(x, approximate="tanh")).abs().max() < 4.8e-4
