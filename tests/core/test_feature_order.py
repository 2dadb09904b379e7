"""Where Keras and Flax have features in another order than we, as far as it can be followed."""

from collections.abc import Callable

import numpy as np
import pytest

from netspec import layers
from netspec.graph.graph import Value
from netspec.spec import loads
from netspec.weights.conversion.feature_order import (
    Features,
    Image,
    Order,
    Plain,
    Unknown,
    channels_last_order,
    feature_orders,
)
from tests.core.nets import BATCH, Net, Parameter, Transpose

Make = Callable[[Net], Value]


def order_of(make: Make) -> Order:
    """The order that a last layer reads."""
    net = Net(False)
    net.add(layers.Tanh(), make(net))
    graph = net.b.finish({"y": net.b._nodes[-1].outputs[0]})
    return list(feature_orders(graph).values())[-1]


def image(net: Net) -> Value:
    return net.input(BATCH, 3, 2, 5)


def flat(net: Net) -> Value:
    return net.add(layers.Flatten(), image(net))


def test_a_flattened_image_by_numpy() -> None:
    """Our feature k is their feature order[k]: both are made of one image of numbers that count."""
    order = channels_last_order(3, (2, 5))
    assert isinstance(order, Features)
    ours = np.arange(30).reshape(3, 2, 5)
    theirs = np.moveaxis(ours, 0, -1).ravel()
    assert (theirs[list(order.order)] == ours.ravel()).all()


@pytest.mark.parametrize(("channels", "spatial"), [(1, (4, 4)), (6, (1, 1)), (6, ())])
def test_one_channel_or_one_pixel_has_one_order(channels: int, spatial: tuple[int, ...]) -> None:
    assert channels_last_order(channels, spatial) == Plain()


FLAT = channels_last_order(3, (2, 5))
FOLLOWED: dict[str, tuple[Make, Order | None]] = {
    "image": (image, Image()),
    "features": (lambda net: net.input(BATCH, 4), Plain()),
    "sequence": (lambda net: net.input(BATCH, 4, 6), Plain()),
    "convolved": (lambda net: net.add(layers.Conv2d(out_channels=2, kernel_size=1), image(net)), Image()),
    "pooled": (lambda net: net.add(layers.MaxPool2d(kernel_size=2), image(net)), Image()),
    "averaged": (lambda net: net.add(layers.GlobalAvgPool(), image(net)), Plain()),
    "flattened": (flat, FLAT),
    "reshaped flat": (lambda net: net.add(layers.Reshape(shape=(BATCH, 30)), image(net)), FLAT),
    "normalised": (lambda net: net.add(layers.BatchNorm(), net.add(layers.LayerNorm(), flat(net))), FLAT),
    "dropped": (lambda net: net.add(layers.Dropout(p=0.5), net.add(layers.Gelu(), flat(net))), FLAT),
    "new features": (lambda net: net.add(layers.Linear(out_features=4), flat(net)), Plain()),
    "sum of images": (lambda net: net.add(layers.Add(), image(net), image(net)), Image()),
    "sum of features": (lambda net: net.add(layers.Add(), flat(net), flat(net)), FLAT),
    "images joined": (lambda net: net.add(layers.Concat(dim=1), image(net), image(net)), Image()),
    "one pixel": (lambda net: net.add(layers.Reshape(shape=(BATCH, 4, 1, 1)), net.input(BATCH, 4)), Image()),
    "tokens of an image": (
        lambda net: net.add(Transpose(axes=(0, 2, 1)), net.add(layers.Flatten(start_dim=2), image(net))),
        Plain(),
    ),
    "heads of a sequence": (
        lambda net: net.add(layers.Reshape(shape=(BATCH, 4, 2, 3)), net.input(BATCH, 4, 6)),
        Plain(),
    ),
    # What is lost, and where.
    "cut": (lambda net: net.add(layers.Reshape(shape=(BATCH, 6, 5)), image(net)), Unknown("layer1 (reshape)")),
    "sum of orders": (
        lambda net: net.add(layers.Add(), flat(net), net.input(BATCH, 30)),
        Unknown("layer2 (add)"),
    ),
    "sum with a parameter": (
        lambda net: net.add(layers.Add(), image(net), parameter(net)),
        Unknown("layer2 (add)"),
    ),
    "transposed": (lambda net: net.add(Transpose(axes=(0, 1, 3, 2)), image(net)), Unknown("layer1 (transpose)")),
    "still lost": (
        lambda net: net.add(layers.Tanh(), net.add(layers.Reshape(shape=(BATCH, 6, 5)), image(net))),
        Unknown("layer1 (reshape)"),
    ),
    "convolved features": (
        lambda net: net.add(
            layers.Conv2d(out_channels=1, kernel_size=1),
            net.add(layers.Reshape(shape=(BATCH, 3, 2, 2)), net.input(BATCH, 12)),
        ),
        Unknown("layer2 (conv2d)"),
    ),
}


def parameter(net: Net) -> Value:
    return net.add(Parameter(shape=(3, 2, 5)))


@pytest.mark.parametrize("name", FOLLOWED)
def test_orders_are_followed(name: str) -> None:
    make, expected = FOLLOWED[name]
    assert order_of(make) == expected


def test_features_joined_are_in_the_order_of_their_parts() -> None:
    """Plain ones, a flattened image, plain ones: checked on numbers."""

    def make(net: Net) -> Value:
        return net.add(layers.Concat(dim=1), net.input(BATCH, 4), flat(net), net.input(BATCH, 2))

    order = order_of(make)
    assert isinstance(order, Features)
    pixels = np.arange(30).reshape(3, 2, 5) + 100
    ours = np.concatenate([np.arange(4), pixels.ravel(), np.arange(2) + 200])
    theirs = np.concatenate([np.arange(4), np.moveaxis(pixels, 0, -1).ravel(), np.arange(2) + 200])
    assert (theirs[list(order.order)] == ours).all()


def test_a_formula_and_a_choice_by_mode_leave_features_where_they_are() -> None:
    spec = loads("""
netspec: 1
inputs: {x: {shape: [batch, 3, 2, 5]}}
layers:
  - {name: a, type: formula, expr: "where(x > 0 and x < 1, abs(x), 2)"}
  - {name: b, type: by_mode, from: {training: a, inference: x}}
  - flatten
  - {type: linear, out_features: 2}
""")
    for graph in (spec.inference, spec.training):
        assert list(feature_orders(graph).values())[-1] == FLAT
