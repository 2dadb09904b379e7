"""Specs written in the tests: their graphs, their outputs, and their mistakes as they are printed."""

from __future__ import annotations

from typing import Any

import pytest

from netspec.errors import NetspecError
from netspec.graph.graph import Call, Graph
from netspec.spec import Spec, loads

HEAD = "netspec: 1\nname: m\ninputs: {x: {shape: [batch, 6]}}\n"
IMAGE = "netspec: 1\nname: m\ninputs: {x: {shape: [batch, 3, 8, 8]}}\n"
TWO = "netspec: 1\nname: m\ninputs: {x: {shape: [batch, 6]}, m: {shape: [batch, 6]}}\n"
TOWER = (
    IMAGE
    + """\
defaults: {conv2d: {kernel_size: 1, out_channels: 2}}
layers:
  - {name: stem.conv, type: conv2d}
  - {name: stem.bn, type: batch_norm}
  - {name: layer1.conv, type: conv2d}
  - {name: layer2.conv, type: conv2d}
  - {name: layer12.conv, type: conv2d}
  - conv2d
  - {name: fc, type: conv2d, bias: false}
"""
)


def spec(text: str, **options: Any) -> Spec:
    return loads(text, file="s.yaml", **options)


def graph(text: str, **options: Any) -> Graph:
    return spec(text, **options).inference


def mistakes(text: str, **options: Any) -> list[str]:
    """All mistakes of a spec, each as it is printed."""
    with pytest.raises(NetspecError) as caught:
        spec(text, **options).graphs  # noqa: B018 - both graphs are made
    return [str(mistake) for mistake in caught.value.mistakes]


def outputs(text: str, **options: Any) -> dict[str, str]:
    return {output.name: str(output.value.type) for output in graph(text, **options).outputs}


def trainable(text: str, **options: Any) -> dict[str, bool]:
    return {param.path: param.trainable for param in graph(text, **options).params}


def calls(text: str, **options: Any) -> dict[str, Call]:
    """The layers by path: of one that is applied several times the last."""
    return {call.path: call for call in graph(text, **options).calls()}


def reads(text: str, **options: Any) -> dict[str, list[str]]:
    """For each layer the paths of what it reads."""
    found = calls(text, **options).items()
    return {path: [value.origin.path for value in call.inputs if value.origin] for path, call in found}
