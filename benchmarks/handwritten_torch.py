"""The models as one writes them in PyTorch, beside netspec's."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
import torch.nn.functional as F
from models import LEARNING_RATE, Case, Pairs, require_equal
from torch import Tensor, nn

import netspec


def perceptron() -> nn.Module:
    sizes = [10, 5, 5, 5, 5, 5, 5]
    hidden = [module for a, b in pairwise(sizes) for module in (nn.Linear(a, b), nn.Sigmoid())]
    return nn.Sequential(*hidden, nn.Linear(5, 1))


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))


def cnn_mnist() -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.25)),
        *(nn.Flatten(), nn.Linear(9216, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10)),
    )


class Block(nn.Module):
    """Two convolutions and a skip join, which has a convolution of its own where the size changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.skip = (
            nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
            if stride > 1
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + (x if self.skip is None else self.skip(x)))


class Residual(nn.Module):
    """The network of specs/residual.yaml."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(16)
        self.blocks = nn.Sequential(Block(16, 16, 1), Block(16, 32, 2))
        self.fc = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.blocks(F.relu(self.bn(self.conv(x)))).mean(dim=(2, 3)))


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "perceptron": perceptron,
    "mlp": mlp,
    "cnn_mnist": cnn_mnist,
    "residual": Residual,
}


def pairs(case: Case) -> Pairs:
    """Inference, inference through netspec's own checks, and a step of SGD with the loss read back."""
    torch.manual_seed(0)
    model = netspec.build(case.spec, "torch")
    ours, handwritten = model.native, NETWORKS[case.name]()
    _copy_weights(ours, handwritten)
    handwritten.eval()
    x, y = torch.from_numpy(case.inputs), torch.from_numpy(case.targets)

    def inference(network: Callable[[Tensor], Tensor]) -> Callable[[], Tensor]:
        return torch.inference_mode()(lambda: network(x))

    require_equal(case.name, inference(handwritten)().numpy(), inference(ours)().numpy())
    yield "inference", inference(handwritten), inference(ours)
    yield "inference, checked", inference(handwritten), inference(model)
    yield "training step", _training(handwritten.train(), case, x, y), _training(ours.train(), case, x, y)


def _copy_weights(source: nn.Module, target: nn.Module) -> None:
    """All weights in order: both models hold the same ones, under other names."""
    values = list(source.state_dict().values())
    names = [name for name in target.state_dict() if not name.endswith("num_batches_tracked")]
    target.load_state_dict(dict(zip(names, values, strict=True)), strict=False)


def _training(network: nn.Module, case: Case, x: Tensor, y: Tensor) -> Callable[[], float]:
    optimizer = torch.optim.SGD(network.parameters(), lr=LEARNING_RATE)
    loss_function = F.cross_entropy if case.classifies else F.mse_loss

    def step() -> float:
        optimizer.zero_grad()
        loss = loss_function(network(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step
