"""Specs that are hard to draw: deep, branching, with skips over everything, shared; all by dotted names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import netspec
from netspec.graph.graph import Graph


def graph(lines: Iterable[str], inputs: str = "image: {shape: [batch, 3, 64, 64]}", outputs: str = "") -> Graph:
    layers = "\n".join(f"  - {{{line}}}" for line in lines)
    text = f"netspec: 1\nname: drawn\ninputs:\n  {inputs}\nlayers:\n{layers}\n{outputs}"
    return netspec.loads(text).inference


def resnet(depths: Sequence[int]) -> Graph:
    """A ResNet of bottlenecks in the names of torchvision: conv1, layer1.0.conv1, ..., fc."""
    lines = ["name: conv1, type: conv2d, out_channels: 8, kernel_size: 7, stride: 2, padding: 3"]
    lines += ["name: bn1, type: batch_norm", "name: relu, type: relu"]
    x = "relu"
    for stage, depth in enumerate(depths, 1):
        for block in range(depth):
            x = _bottleneck(lines, f"layer{stage}.{block}", x, 4 * 2**stage, block == 0, 1 + (block == 0 < stage - 1))
    lines += ["name: pool, type: global_avg_pool", "name: fc, type: linear, out_features: 10"]
    return graph(lines)


def _bottleneck(lines: list[str], path: str, x: str, width: int, first: bool, stride: int) -> str:
    conv = "type: conv2d, bias: false"
    lines += [
        f"name: {path}.conv1, {conv}, from: {x}, out_channels: {width}, kernel_size: 1",
        f"name: {path}.bn1, type: batch_norm",
        f"name: {path}.0, type: relu",
        f"name: {path}.conv2, {conv}, out_channels: {width}, kernel_size: 3, padding: 1, stride: {stride}",
        f"name: {path}.bn2, type: batch_norm",
        f"name: {path}.1, type: relu",
        f"name: {path}.conv3, {conv}, out_channels: {4 * width}, kernel_size: 1",
        f"name: {path}.bn3, type: batch_norm",
    ]
    if first:
        skip = f"{path}.downsample"
        lines += [f"name: {skip}.0, {conv}, from: {x}, out_channels: {4 * width}, kernel_size: 1, stride: {stride}"]
        lines += [f"name: {skip}.1, type: batch_norm"]
        x = f"{skip}.1"
    lines += [f"name: {path}.add, type: add, from: [{path}.bn3, {x}]", f"name: {path}.2, type: relu"]
    return f"{path}.2"


def unet(depth: int) -> Graph:
    """Equal blocks down, and each is read again on the way up."""
    lines = ["name: stem, type: conv2d, out_channels: 4, kernel_size: 1"]
    for level in range(depth):
        lines += [f"name: down.{level}.conv, type: conv2d, out_channels: 4, kernel_size: 3, padding: 1"]
        lines += [f"name: down.{level}.act, type: relu"]
    for level in reversed(range(depth)):
        lines += [f"name: up.{level}.join, type: concat, dim: 1, from: [up.{level + 1}.act, down.{level}.act]"]
        lines += [
            f"name: up.{level}.conv, type: conv2d, out_channels: 4, kernel_size: 1",
            f"name: up.{level}.act, type: relu",
        ]
    lines = [line.replace(f"up.{depth}.act", "stem") for line in lines]
    return graph(lines)


def inception(branches: Sequence[int], blocks: int) -> Graph:
    """Blocks of parallel chains of convolutions, joined by concat."""
    lines: list[str] = []
    x = "image"
    for block in range(blocks):
        ends = []
        for branch, length in enumerate(branches):
            at = x
            for step in range(length):
                here = f"mixed{block}.branch{branch}.{step}"
                lines += [f"name: {here}, type: conv2d, from: {at}, out_channels: 4, kernel_size: 3, padding: same"]
                at = here
            ends.append(at)
        x = f"mixed{block}.join"
        lines += [f"name: {x}, type: concat, dim: 1, from: [{', '.join(ends)}]"]
    return graph(lines)


def dense(layers: int) -> Graph:
    """Each layer reads all before it."""
    lines: list[str] = []
    values = ["image"]
    for layer in range(layers):
        if layer:
            lines += [f"name: block.{layer}.join, type: concat, dim: 1, from: [{', '.join(values)}]"]
        source = f"from: block.{layer}.join, " if layer else ""
        lines += [f"name: block.{layer}.conv, {source}type: conv2d, out_channels: 2, kernel_size: 3, padding: 1"]
        values.append(f"block.{layer}.conv")
    return graph(lines)


def several() -> Graph:
    """Two inputs of other kinds, a group with two results, three outputs, one of them an input's own reader."""
    lines = [
        "name: tower.a, type: linear, from: left, out_features: 6",
        "name: tower.b, type: relu",
        "name: words.embed, type: embedding, from: tokens, num_embeddings: 50, embedding_dim: 6",
        "name: words.mix, type: linear, out_features: 6",
        "name: flat, type: reshape, shape: [-1, 30]",
        "name: both, type: concat, from: [tower.b, flat], dim: 1",
        "name: head, type: linear, out_features: 2",
    ]
    inputs = "left: {shape: [batch, 6]}\n  tokens: {shape: [batch, 5], dtype: int64}"
    return graph(lines, inputs, "outputs: {score: head, hidden: tower.b, mixed: words.mix}\n")


DRAWN = {
    "resnet": lambda: resnet([3, 8, 36, 3]),
    "unet": lambda: unet(4),
    "inception": lambda: inception([1, 2, 4, 3], 3),
    "dense": lambda: dense(7),
    "several": several,
    "titled": lambda: graph(f"name: a_group_with_a_long_name.{name}, type: {name}" for name in ("relu", "tanh")),
    "one": lambda: graph(["name: only, type: relu"]),
}
