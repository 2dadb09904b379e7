"""Affine layers: linear and embedding."""

from __future__ import annotations

import math
from typing import Literal

from netspec.errors import ShapeError
from netspec.graph.builder import Builder
from netspec.graph.dims import format_shape
from netspec.graph.graph import Value
from netspec.layers.base import Layer
from netspec.layers.fields import Flag, NonNegativeInt, PositiveInt
from netspec.layers.initializers import Normal, Uniform


class Linear(Layer):
    """`y = x W^T + b` over the last axis: x `[..., in]`, weight `[out, in]`, bias `[out]`, y `[..., out]`.

    With `weight_layout: in_out` the weight is held as `[in, out]`, as in Hugging Face's Conv1D. Starts as torch's:
    both uniform within 1 / sqrt(in).
    """

    type: Literal["linear"] = "linear"
    out_features: PositiveInt
    bias: Flag = True
    weight_layout: Literal["out_in", "in_out"] = "out_in"

    def expand(self, b: Builder, x: Value) -> Value:
        if x.type.rank < 2:
            raise ShapeError(f"its input must be [batch, ..., features], got {format_shape(x.shape)}")
        in_features = x.shape[-1]
        if not isinstance(in_features, int):
            raise ShapeError(f"the number of features must be known, got {in_features}")
        start = uniform_by_fan(in_features)
        if self.weight_layout == "out_in":
            y = b.matmul(x, b.permute(b.param("weight", (self.out_features, in_features), start), (1, 0)))
        else:
            fan = (in_features, self.out_features)
            y = b.matmul(x, b.param("weight", (in_features, self.out_features), start, fan=fan))
        return y + b.param("bias", (self.out_features,), start) if self.bias else y


class Embedding(Layer):
    """Row `x` of a table: indices x of any shape, weight `[num_embeddings, embedding_dim]`, y `[*x, embedding_dim]`.

    The row `padding_idx` starts at zero and gets no gradient; reading it is like reading any other (torch's rule).
    The indices are from 0 to below `num_embeddings`; a call checks those that are an input of the model, not those that
    it computes. Starts as torch's: normal(0, 1).
    """

    type: Literal["embedding"] = "embedding"
    num_embeddings: PositiveInt
    embedding_dim: PositiveInt
    padding_idx: NonNegativeInt | None = None

    def expand(self, b: Builder, x: Value) -> Value:
        if self.padding_idx is not None and self.padding_idx >= self.num_embeddings:
            raise ShapeError(f"padding_idx {self.padding_idx} is not below num_embeddings {self.num_embeddings}")
        shape = (self.num_embeddings, self.embedding_dim)
        rows = b.gather(b.param("weight", shape, Normal(), zero_row=self.padding_idx), x)
        if self.padding_idx is None:
            return rows
        padded = b.reshape(b.equal(x, self.padding_idx), (*x.shape, 1))
        return b.where(padded, b.stop_gradient(rows), rows)


def uniform_by_fan(fan_in: int) -> Uniform:
    """torch's own start of linear and convolution: U(-1 / sqrt(fan_in), 1 / sqrt(fan_in)), weight and bias alike.

    That is kaiming_uniform with a = sqrt(5) (torch.nn.Linear.reset_parameters).
    """
    return Uniform(bound=1 / math.sqrt(fan_in))
