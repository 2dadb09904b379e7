"""The ways of TensorFlow's lowerings that depend on the dtype, or on whether its oneDNN kernels are there."""

from netspec.branches import Branches

BRANCHES = Branches(
    *("convolution-native", "convolution-split", "convolution-positions", "convolution-positions-strided"),
    *("convolution-in-two-channels", "transposed-in-two-channels"),
    *("transposed-native", "transposed-split", "transposed-spread"),
    *("maximum-of-integers", "maximum-of-floats", "minimum-of-integers", "minimum-of-floats"),
)
