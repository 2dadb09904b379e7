"""Every layer's shapes and parameters on awkward configurations, against counting by hand; what each refuses."""

from __future__ import annotations

import math
from typing import Any

import pytest

from netspec import layers
from netspec.errors import NetspecError, ShapeError
from netspec.graph.builder import Builder, Entry
from netspec.graph.dims import Size, evaluate, symbol
from netspec.graph.graph import Graph, Origin, Param
from netspec.graph.ops import AveragePool, Convolution, MaxPool
from netspec.graph.types import DType, TensorType
from netspec.layers.base import Layer, input_names
from netspec.layers.validation import FieldsError, construct

B, H, W, T = (symbol(name) for name in ("batch", "h", "w", "time"))
Shape = tuple[Size, ...]


def graph_of(layer: Layer, *shapes: Shape, dtype: DType = "float", training: bool = False) -> Graph:
    """A graph of this one layer, called `it`."""
    b = Builder("one", training)
    inputs = [b.input(f"x{k}", TensorType(shape, dtype)) for k, shape in enumerate(shapes)]
    (output,) = b.call(layer, Entry(Origin("it", None)), inputs)
    return b.finish({"y": output})


def shape_of(layer: Layer, *shapes: Shape, dtype: DType = "float", training: bool = False) -> Shape:
    return graph_of(layer, *shapes, dtype=dtype, training=training).outputs[0].value.shape


def state_of(graph: Graph) -> dict[str, tuple[str, Shape]]:
    return {held.path: ("param" if isinstance(held, Param) else "buffer", held.value.shape) for held in graph.state}


def positions(size: int, kernel: int, stride: int, begin: int, end: int, dilation: int = 1) -> int:
    """How many places a window has, counted one by one: each tap must stand inside the padded line."""
    line = range(-begin, size + end)
    return sum(
        all(start + tap * dilation in line for tap in range(kernel)) for start in range(-begin, size + end, stride)
    )


CONVOLUTIONS: list[dict[str, Any]] = [
    {"kernel_size": 3},
    {"kernel_size": (3, 2), "stride": 3, "padding": 1},
    {"kernel_size": (5, 1), "stride": (1, 3), "padding": (2, 0), "dilation": 2},
    {"kernel_size": 2, "stride": 3, "dilation": (1, 3), "padding": [[0, 1], [2, 0]]},
    {"kernel_size": 4, "stride": 2, "padding": [[3, 0], [1, 2]], "groups": 3},
    {"kernel_size": 1, "stride": 5, "groups": 6},
    {"kernel_size": 3, "dilation": 2, "bias": False},
]


@pytest.mark.parametrize("fields", CONVOLUTIONS, ids=str)
@pytest.mark.parametrize(("height", "width"), [(9, 11), (13, 8)])
def test_convolution_has_as_many_places_as_one_counts(fields: dict[str, Any], height: int, width: int) -> None:
    layer = construct(layers.Conv2d, {"out_channels": 12, **fields})
    graph = graph_of(layer, (B, 6, height, width))
    wanted = [
        positions(size, pair(fields["kernel_size"])[axis], pair(fields.get("stride", 1))[axis], begin, end, dilation)
        for axis, (size, (begin, end), dilation) in enumerate(
            zip((height, width), sides(fields.get("padding", 0)), pair(fields.get("dilation", 1)), strict=True)
        )
    ]
    assert graph.outputs[0].value.shape == (B, 12, *wanted)
    weight = (12, 6 // fields.get("groups", 1), *pair(fields["kernel_size"]))
    bias = {} if fields.get("bias") is False else {"it.bias": ("param", (12,))}
    assert state_of(graph) == {"it.weight": ("param", weight)} | bias
    symbolic = shape_of(layer, (B, 6, H, W))
    assert [evaluate(size, {"batch": 1, "h": height, "w": width}) for size in symbolic] == [1, 12, *wanted]


def pair(value: Any) -> tuple[Any, Any]:
    return tuple(value) if isinstance(value, (list, tuple)) else (value, value)


def sides(padding: Any) -> list[tuple[int, int]]:
    return [tuple(pair(side)) for side in pair(padding)]


@pytest.mark.parametrize("word", ["same", "same_lower"])
@pytest.mark.parametrize(("kernel", "stride", "dilation"), [(3, 1, 1), (4, 1, 1), (2, 3, 1), (3, 2, 2), (5, 4, 3)])
def test_same_gives_one_place_for_each_stride_begun(word: str, kernel: int, stride: int, dilation: int) -> None:
    layer = construct(
        layers.Conv2d,
        {"out_channels": 2, "kernel_size": kernel, "stride": stride, "dilation": dilation, "padding": word},
    )
    for size in range(1, 16):
        graph = graph_of(layer, (B, 3, size, 2 * size))
        wanted = math.ceil(size / stride), math.ceil(2 * size / stride)
        assert graph.outputs[0].value.shape == (B, 2, *wanted)
        (op,) = [node.op for node in graph.primitives() if isinstance(node.op, Convolution)]
        assert not isinstance(op.padding, str), "sizes are known: so is the padding"
        for axis, (begin, end) in enumerate(op.padding):
            side = (size, 2 * size)[axis]
            reach = (wanted[axis] - 1) * stride + (kernel - 1) * dilation + 1
            assert begin + end == max(reach - side, 0), "no zero more than the last window needs"
            assert (begin - end if word == "same_lower" else end - begin) in (0, 1), "the odd zero on the right side"
        symbolic = shape_of(layer, (B, 3, H, W))
        assert [evaluate(each, {"batch": 1, "h": size, "w": 2 * size}) for each in symbolic] == [1, 2, *wanted]


def test_same_leaves_the_padding_to_the_call_only_where_it_must() -> None:
    def padding(stride: Any, *spatial: Size) -> Any:
        layer = construct(layers.Conv2d, {"out_channels": 2, "kernel_size": 4, "stride": stride, "padding": "same"})
        (op,) = [n.op for n in graph_of(layer, (B, 3, *spatial)).primitives() if isinstance(n.op, Convolution)]
        return op.padding

    assert padding(1, H, W) == ((1, 2), (1, 2))
    assert padding(3, 7, 9) == ((1, 2), (0, 1))
    assert padding((1, 3), H, 9) == ((1, 2), (0, 1))
    assert padding((1, 2), H, W) == "same"
    assert padding(2, H, 9) == "same"


POOLS: list[dict[str, Any]] = [
    {"kernel_size": 2},
    {"kernel_size": (3, 2), "stride": (2, 3), "padding": 1},
    {"kernel_size": 3, "stride": 1, "padding": (1, 0)},
    {"kernel_size": (1, 4), "stride": 5, "padding": (0, 2)},
]


@pytest.mark.parametrize("cls", [layers.MaxPool2d, layers.AvgPool2d])
@pytest.mark.parametrize("fields", POOLS, ids=str)
def test_pools_have_as_many_places_as_one_counts(cls: type[Layer], fields: dict[str, Any]) -> None:
    layer = construct(cls, fields)
    kernel, padding = pair(fields["kernel_size"]), pair(fields.get("padding", 0))
    stride = pair(fields.get("stride", kernel))
    for height, width in ((9, 11), (8, 7)):
        wanted = [
            positions(size, kernel[axis], stride[axis], padding[axis], padding[axis])
            for axis, size in enumerate((height, width))
        ]
        graph = graph_of(layer, (B, 5, height, width))
        assert graph.outputs[0].value.shape == (B, 5, *wanted)
        assert not graph.state
        (node,) = graph.primitives()
        assert isinstance(node.op, (MaxPool, AveragePool))
        assert node.op.stride == stride


FORMS: list[tuple[Layer, list[Shape], Shape, dict[str, tuple[str, Shape]]]] = [
    (layers.Linear(out_features=7), [(B, 5)], (B, 7), {"weight": ("param", (7, 5)), "bias": ("param", (7,))}),
    (layers.Linear(out_features=7, bias=False), [(B, T, 2, 5)], (B, T, 2, 7), {"weight": ("param", (7, 5))}),
    (
        layers.Linear(out_features=7, weight_layout="in_out"),
        [(B, T, 5)],
        (B, T, 7),
        {"weight": ("param", (5, 7)), "bias": ("param", (7,))},
    ),
    (
        layers.BatchNorm(),
        [(B, 3, H)],
        (B, 3, H),
        {
            "weight": ("param", (3,)),
            "bias": ("param", (3,)),
            "running_mean": ("buffer", (3,)),
            "running_var": ("buffer", (3,)),
        },
    ),
    (
        layers.BatchNorm(affine=False),
        [(B, 3)],
        (B, 3),
        {"running_mean": ("buffer", (3,)), "running_var": ("buffer", (3,))},
    ),
    (layers.LayerNorm(), [(B, T, 5)], (B, T, 5), {"weight": ("param", (5,)), "bias": ("param", (5,))}),
    (
        layers.LayerNorm(dim=(-1, 2)),
        [(B, T, 4, 5)],
        (B, T, 4, 5),
        {"weight": ("param", (4, 5)), "bias": ("param", (4, 5))},
    ),
    (layers.LayerNorm(dim=(3, -2), bias=False), [(B, T, 4, 5)], (B, T, 4, 5), {"weight": ("param", (4, 5))}),
    (layers.LayerNorm(elementwise_affine=False), [(B, T)], (B, T), {}),
    (layers.Dropout(p=0.3), [(B, 3, T)], (B, 3, T), {}),
    (layers.GlobalAvgPool(), [(B, 3, H, W)], (B, 3), {}),
    (layers.GlobalAvgPool(), [(B, 3, T)], (B, 3), {}),
    (layers.Relu(), [(B, H)], (B, H), {}),
    (layers.LeakyRelu(), [(B, H)], (B, H), {}),
    (layers.Gelu(), [(B, H)], (B, H), {}),
    (layers.Sigmoid(), [()], (), {}),
    (layers.Tanh(), [(T,)], (T,), {}),
    (layers.Softmax(dim=1), [(B, 3, H)], (B, 3, H), {}),
    (layers.Add(), [(B, 3, H), (3, 1), (H,)], (B, 3, H), {}),
    (layers.Mul(), [(B, 1, 4), (1, 3, 1)], (B, 3, 4), {}),
    (layers.Concat(dim=-2), [(B, 3, 4), (B, T, 4), (B, 2, 4)], (B, T + 5, 4), {}),
    (layers.Flatten(), [(B, 3, H, 2)], (B, 6 * H), {}),
    (layers.Flatten(start_dim=0, end_dim=-2), [(B, 3, H, 2)], (3 * B * H, 2), {}),
    (layers.Flatten(start_dim=-1), [(B, 3)], (B, 3), {}),
    (layers.Reshape(shape=(-1, 6)), [(B, 3, 4)], (2 * B, 6), {}),
    (layers.Reshape(shape=(B, 2, -1)), [(B, T, 4)], (B, 2, 2 * T), {}),
    (layers.Reshape(shape=(B * T, 4)), [(B, T, 4)], (B * T, 4), {}),
]


@pytest.mark.parametrize(("layer", "inputs", "output", "state"), FORMS, ids=str)
def test_shape_and_state(layer: Layer, inputs: list[Shape], output: Shape, state: dict[str, Any]) -> None:
    for training in (False, True):
        graph = graph_of(layer, *inputs, training=training)
        assert graph.outputs[0].value.type == TensorType(output)
        assert state_of(graph) == {f"it.{name}": held for name, held in state.items()}


def test_embedding() -> None:
    layer = layers.Embedding(num_embeddings=9, embedding_dim=4, padding_idx=2)
    for shape in ((B, T), (T,), ()):
        graph = graph_of(layer, shape, dtype="int32")
        assert graph.outputs[0].value.shape == (*shape, 4)
        assert state_of(graph) == {"it.weight": ("param", (9, 4))}
        assert graph.params[0].zero_row == 2


def test_every_layer_is_tested_here() -> None:
    here = {type(layer) for layer, *_ in FORMS} | {layers.Conv2d, layers.MaxPool2d, layers.AvgPool2d, layers.Embedding}
    assert here == set(layers.LAYERS)


REFUSED: list[tuple[Layer, list[Shape], str]] = [
    (layers.Linear(out_features=2), [(B,)], r"its input must be \[batch, ..., features\], got \[batch\]"),
    (layers.Linear(out_features=2), [(B, T)], "the number of features must be known, got time"),
    (layers.Conv2d(out_channels=2, kernel_size=3), [(B, 3, 8)], r"must be \[batch, channels, height, width\], got"),
    (layers.Conv2d(out_channels=2, kernel_size=3), [(B, T, 8, 8)], "the number of channels must be known, got time"),
    (
        layers.Conv2d(out_channels=4, kernel_size=3, groups=2),
        [(B, 3, 8, 8)],
        "in_channels 3 is not divisible by groups 2",
    ),
    (
        layers.Conv2d(out_channels=4, kernel_size=3, groups=3),
        [(B, 3, 8, 8)],
        "out_channels 4 is not divisible by groups 3",
    ),
    (
        layers.Conv2d(out_channels=2, kernel_size=4, dilation=3, padding=1),
        [(B, 3, 20, 7)],
        r"a window of 10 does not fit: 7 \+ 1 \+ 1 of padding is 9",
    ),
    (layers.MaxPool2d(kernel_size=3, padding=2), [(B, 3, 8, 8)], "padding 2 is more than half of kernel_size 3"),
    (
        layers.AvgPool2d(kernel_size=(2, 5), padding=(1, 3)),
        [(B, 3, 8, 8)],
        "padding 3 is more than half of kernel_size 5",
    ),
    (layers.AvgPool2d(kernel_size=9), [(B, 3, 8, 8)], "a window of 9 does not fit"),
    (layers.GlobalAvgPool(), [(B, 3)], r"must be \[batch, channels, \*spatial\], got \[batch, 3\]"),
    (layers.BatchNorm(), [(B,)], r"must be \[batch, channels, ...\], got \[batch\]"),
    (layers.BatchNorm(), [(B, T)], "weight would have a size of time: a parameter's sizes must be numbers"),
    (layers.BatchNorm(affine=False), [(B, T)], "running_mean would have a size of time"),
    (
        layers.LayerNorm(dim=1),
        [(B, 3, 4)],
        r"dim must name trailing axes behind the batch, got \[1\] for \[batch, 3, 4\]",
    ),
    (layers.LayerNorm(dim=(0, 1)), [(B, 3)], "trailing axes behind the batch"),
    (layers.LayerNorm(dim=-3), [(B, 3)], "dim -3 is outside of the 2 dimensions"),
    (layers.LayerNorm(), [(B, T)], "weight would have a size of time"),
    (layers.Softmax(dim=2), [(B, 3)], "dim 2 is outside of the 2 dimensions"),
    (layers.Softmax(), [()], "dim -1 is outside of the 0 dimensions"),
    (layers.Add(), [(B, 3)], "two inputs or more are needed, got 1"),
    (layers.Add(), [(3, 4), (4, 3)], r"shapes \[3, 4\] and \[4, 3\] do not broadcast: 3 against 4"),
    (layers.Mul(), [(B, T), (B, 4)], r"do not broadcast: 4 against time"),
    (layers.Concat(dim=1), [(B, 3), (B, 3, 1)], "all other sizes must be equal"),
    (layers.Concat(dim=1), [(B, 3, 4), (B, 3, 5)], r"concat along 1 of \[batch, 3, 4\], \[batch, 3, 5\]"),
    (layers.Concat(dim=2), [(B, 3), (B, 3)], "dim 2 is outside"),
    (layers.Flatten(start_dim=2, end_dim=1), [(B, 3, 4)], "start_dim 2 comes behind end_dim 1"),
    (layers.Flatten(start_dim=3), [(B, 3, 4)], "start_dim 3 is outside of the 3 dimensions"),
    (layers.Flatten(), [(B, 2**31 - 1, 2)], "a size of 4294967294"),
    (layers.Reshape(shape=(-1, -1)), [(B, 3)], "more than one -1"),
    (layers.Reshape(shape=(B, 4)), [(B, 6)], r"\[batch, 6\] has 6\*batch elements, \[batch, 4\] would have 4\*batch"),
    (layers.Reshape(shape=(-1, 4)), [(B, 6)], "do not divide for every size"),
    (layers.Reshape(shape=(0, -1)), [(B, 6)], "do not divide for every size"),
]


@pytest.mark.parametrize(("layer", "inputs", "message"), REFUSED, ids=str)
def test_refused(layer: Layer, inputs: list[Shape], message: str) -> None:
    with pytest.raises(NetspecError, match=message) as caught:
        shape_of(layer, *inputs)
    assert "would have a size" in message or isinstance(caught.value, ShapeError)


@pytest.mark.parametrize(
    "cls", [layers.Relu, layers.LeakyRelu, layers.Gelu, layers.Tanh, layers.Sigmoid, layers.Softmax]
)
@pytest.mark.parametrize("dtype", ["int64", "bool"])
def test_activations_take_floats_only(cls: type[Layer], dtype: DType) -> None:
    with pytest.raises(ShapeError, match=f"floating-point numbers are needed here, not {dtype}"):
        shape_of(cls.model_validate({}), (B, 3), dtype=dtype)


@pytest.mark.parametrize("dtype", ["int32", "bool"])
def test_moving_layers_take_every_type(dtype: DType) -> None:
    for layer in (layers.Flatten(), layers.Reshape(shape=(-1,))):
        assert graph_of(layer, (B, 3, 2), dtype=dtype).outputs[0].value.type.dtype == dtype
    assert graph_of(layers.Concat(dim=0), (B, 3), (T, 3), dtype=dtype).outputs[0].value.type == TensorType(
        (B + T, 3), dtype
    )


def test_nothing_is_converted_silently() -> None:
    b = Builder("mixed")
    x, i = b.input("x", TensorType((B, 3))), b.input("i", TensorType((B, 3), "int64"))
    with pytest.raises(ShapeError, match="mixed types"):
        b.call(layers.Add(), Entry(Origin("it", None)), [x, i])
    with pytest.raises(ShapeError, match="indices of an integer type"):
        shape_of(layers.Embedding(num_embeddings=3, embedding_dim=2), (B, 3))
    with pytest.raises(ShapeError, match="padding_idx 3 is not below num_embeddings 3"):
        shape_of(layers.Embedding(num_embeddings=3, embedding_dim=2, padding_idx=3), (B,), dtype="int64")


def test_what_only_a_call_can_tell_is_left_to_it() -> None:
    graph = graph_of(layers.Conv2d(out_channels=2, kernel_size=5, stride=4), (B, 3, H, 9))
    assert [(str(need.size), need.at_least) for need in graph.requirements] == [("(h + 3)//4 - 1", 1)]
    training = graph_of(layers.BatchNorm(), (B, 3, T), training=True)
    assert [(str(need.size), need.at_least) for need in training.requirements] == [("batch*time", 2)]
    assert not graph_of(layers.BatchNorm(), (B, 3, T)).requirements
    assert not graph_of(layers.BatchNorm(), (B, 3, 2), training=True).requirements
    lone = graph_of(layers.BatchNorm(), (1, 3), training=True)
    assert [(need.size, need.at_least) for need in lone.requirements] == [(1, 2)]


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (layers.MaxPool2d(kernel_size=(2**31 - 1, 1)), (B, 3, H, W), r"h//2147483647 .* is below 1"),
        (layers.Flatten(), (B, 2**31 - 1, T + 1), r"is above 2147483647 for every size of its symbols"),
    ],
)
def test_a_symbolic_size_that_no_call_could_have_is_refused(layer: Layer, shape: Shape, message: str) -> None:
    if "above" in message:
        with pytest.raises(ShapeError, match=message):
            shape_of(layer, shape)
    else:  # a symbol may be 2^31 - 1, and then one window is left; after the next pool nothing can be
        once = shape_of(layer, shape)
        with pytest.raises(ShapeError, match="is below 1 for every size of its symbols"):
            shape_of(layer, once)


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("conv2d", {"out_channels": 0, "kernel_size": 3}, "out_channels: expected a positive integer, got 0"),
        ("conv2d", {"out_channels": 2.0, "kernel_size": 3}, "expected a positive integer, got 2.0; // divides"),
        ("conv2d", {"out_channels": True, "kernel_size": 3}, "expected a positive integer, got true"),
        ("conv2d", {"out_channels": "64", "kernel_size": 3}, "expected a positive integer, got text '64'"),
        ("conv2d", {"out_channels": 2**31, "kernel_size": 3}, "expected a positive integer, got 2147483648"),
        ("conv2d", {"out_channels": 10**5000, "kernel_size": 3}, "got an integer of 16610 bits"),
        ("conv2d", {"kernel_size": 3}, "out_channels is required"),
        ("conv2d", {"out_channels": 2, "kernel_size": [3]}, r"a positive integer or a pair of them, got \[3\]"),
        ("conv2d", {"out_channels": 2, "kernel_size": [3, 0]}, r"got \[3, 0\]"),
        ("conv2d", {"out_channels": 2, "kernel_size": [3.0, 3]}, r"got \[3.0, 3\]"),
        ("conv2d", {"out_channels": 2, "kernel_size": [True, 3]}, r"got \[true, 3\]"),
        ("conv2d", {"out_channels": 2, "kernel_size": 3, "padding": "valid"}, "same or same_lower, got text 'valid'"),
        ("conv2d", {"out_channels": 2, "kernel_size": 3, "padding": [[1, 2], 3]}, "expected an integer from 0 up"),
        ("conv2d", {"out_channels": 2, "kernel_size": 3, "padding": -1}, "expected an integer from 0 up"),
        ("conv2d", {"out_channels": 2, "kernel_size": 3, "bias": "no"}, "bias: expected true or false, got text 'no'"),
        ("conv2d", {"out_channels": 2, "kernel_size": 3, "bias": 0}, "bias: expected true or false, got 0"),
        ("conv2d", {"out_chanels": 2, "kernel_size": 3}, "unknown field out_chanels; did you mean out_channels?"),
        ("dropout", {"p": 1.0}, r"p: expected a number in \[0, 1\), got 1.0"),
        ("dropout", {"p": -0.1}, r"p: expected a number in \[0, 1\), got -0.1"),
        ("dropout", {"p": True}, r"p: expected a number in \[0, 1\), got true"),
        ("dropout", {"p": math.nan}, r"p: expected a number in \[0, 1\)"),
        ("batch_norm", {"eps": 0}, "eps: expected a number above 0, got 0"),
        ("batch_norm", {"momentum": 0.1}, "momentum is refused: it is the weight of the new batch in PyTorch and of"),
        ("batch_norm", {"stats_decay": 1.5}, r"stats_decay: expected a number in \[0, 1\], got 1.5"),
        ("batch_norm", {"running_var": "sample"}, "running_var: expected unbiased or biased, got text 'sample'"),
        ("layer_norm", {"dim": []}, "dim: expected the number of a dimension, or a list of them"),
        ("layer_norm", {"dim": 8}, "dim: expected the number of a dimension"),
        ("relu", {"inplace": True}, "unknown field inplace; it has no fields"),
        ("reshape", {"shape": ["batch", 3]}, r"expressions such as \$\(batch\), got \['batch', 3\]"),
        ("reshape", {"shape": [-2, 3]}, "expected a list of sizes"),
        ("concat", {}, "dim is required"),
        (
            "embedding",
            {"num_embeddings": 3, "embedding_dim": 2, "padding_idx": -1},
            "padding_idx: expected an integer from 0",
        ),
        (
            "linear",
            {"out_features": 3, "weight_layout": "out"},
            "weight_layout: expected out_in or in_out, got text 'out'",
        ),
    ],
)
def test_fields_that_are_refused(name: str, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(FieldsError, match=message):
        construct(layers.LAYER_TYPES[name], fields)


def test_an_integer_will_do_for_a_float() -> None:
    layer = construct(layers.LeakyRelu, {"negative_slope": 2})
    assert layer.negative_slope == 2.0
    assert isinstance(layer.negative_slope, float)


def test_inputs_are_the_arguments_of_expand() -> None:
    assert input_names(layers.Add).variadic
    assert not input_names(layers.Add).required
    assert input_names(layers.Linear).required == ("x",)
    assert not input_names(layers.Linear).variadic
