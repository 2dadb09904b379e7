"""Recurrent layers by torch's own kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.overrides import handle_torch_function, has_torch_function_unary

from netspec.backend import Fused
from netspec.graph.graph import Call
from netspec.layers.recurrent import Gru, GruCell, Lstm, LstmCell, RecurrentLayer, Rnn, RnnCell

_KERNELS: dict[str, Callable[..., Any]] = {
    "lstm": torch.lstm,
    "gru": torch.gru,
    "tanh": torch.rnn_tanh,
    "relu": torch.rnn_relu,
}
_CELLS: dict[str, Callable[..., Any]] = {
    "lstm": torch.lstm_cell,
    "gru": torch.gru_cell,
    "tanh": torch.rnn_tanh_cell,
    "relu": torch.rnn_relu_cell,
}


def sequence(
    call: Call,
    x: Tensor,
    *,
    h_0: Tensor | None = None,
    c_0: Tensor | None = None,
    lengths: Tensor | None = None,
    **state: Tensor,
) -> Any:
    """The kernel of rnn, lstm or gru; `reset: before` is none of torch's."""
    layer = call.layer
    assert isinstance(layer, RecurrentLayer)
    if isinstance(layer, Gru) and layer.reset == "before":
        return NotImplemented
    kernel = layer.nonlinearity if isinstance(layer, Rnn) else layer.type
    training = layer.dropout > 0 and any(node.op.random for node in call.body)
    options = (layer.num_layers, layer.dropout if training else 0.0, training, layer.bidirectional, layer.reverse)
    result = run_kernel(x, h_0, c_0, lengths, list(state.values()), kernel, layer.bias, layer.hidden_size, *options)
    return tuple(result[k] for k in range(len(call.outputs)))


def run_kernel(
    x: Tensor,
    h_0: Tensor | None,
    c_0: Tensor | None,
    lengths: Tensor | None,
    weights: list[Tensor],
    kernel: str,
    has_bias: bool,
    hidden_size: int,
    num_layers: int,
    dropout: float,
    training: bool,
    bidirectional: bool,
    reverse: bool,
) -> tuple[Tensor, ...]:
    """Outputs `[batch, time, directions * hidden]` and last states. One function in the text of the module."""
    if has_torch_function_unary(x):
        call: tuple[Any, ...] = (x, h_0, c_0, lengths, weights, kernel, has_bias, hidden_size, num_layers)
        call += (dropout, training, bidirectional, reverse)
        return handle_torch_function(run_kernel, (x,), *call)
    directions = 2 if bidirectional else 1
    states = []
    for given in (h_0, c_0) if kernel == "lstm" else (h_0,):
        shape = (num_layers * directions, x.size(0), hidden_size)
        states.append(x.new_zeros(shape) if given is None else given)
    weights = _both_biases(weights, num_layers * directions) if has_bias else weights
    state: Any = tuple(states) if kernel == "lstm" else states[0]
    options = (has_bias, num_layers, dropout, training, bidirectional)
    if lengths is None:
        y, *last = _KERNELS[kernel](x.flip(1) if reverse else x, state, weights, *options, True)
        return (y.flip(1) if reverse else y, *last)
    return _of_lengths(x, states, lengths, weights, kernel, options, reverse)


def _of_lengths(
    x: Tensor, states: list[Tensor], lengths: Tensor, weights: list[Tensor], kernel: str, options: Any, reverse: bool
) -> tuple[Tensor, ...]:
    """Packed, as torch has it. It takes no empty sequence: one of length 1 runs there, and is undone behind it."""
    time = x.size(1)
    places = torch.arange(time, device=x.device)
    if reverse:  # each sequence by itself, so that the padding stays at the end
        places = torch.where(places < lengths[:, None], lengths[:, None] - 1 - places, places)
        x = torch.take_along_dim(x, places[:, :, None], 1)
    packed = pack_padded_sequence(x, lengths.clamp(min=1).cpu(), batch_first=True, enforce_sorted=False)
    order = packed.sorted_indices
    assert order is not None  # enforce_sorted=False
    sorted_states = [state.index_select(1, order) for state in states]
    state = tuple(sorted_states) if kernel == "lstm" else sorted_states[0]
    data, *last = _KERNELS[kernel](packed.data, packed.batch_sizes, state, weights, *options)
    y, _ = pad_packed_sequence(packed._replace(data=data), batch_first=True, total_length=time)
    last = [held.index_select(1, packed.unsorted_indices) for held in last]
    if reverse:
        y = torch.take_along_dim(y, places[:, :, None], 1)
    empty = lengths == 0
    y = y.masked_fill(empty[:, None, None], 0.0)
    return (y, *(torch.where(empty[:, None], first, held) for first, held in zip(states, last, strict=True)))


def _both_biases(weights: list[Tensor], cells: int) -> list[Tensor]:
    """The kernels take two biases: zeros where a cell has one."""
    each = len(weights) // cells
    if each == 4:
        return weights
    return [
        tensor
        for start in range(0, len(weights), each)
        for tensor in (*weights[start : start + each], torch.zeros_like(weights[start + 2]))
    ]


def cell(call: Call, x: Tensor, *state: Tensor, **weights: Tensor) -> Any:
    """The kernel of one step."""
    layer = call.layer
    assert isinstance(layer, RnnCell | LstmCell | GruCell)
    if isinstance(layer, GruCell) and layer.reset == "before":
        return NotImplemented
    kernel = layer.nonlinearity if isinstance(layer, RnnCell) else layer.type.removesuffix("_cell")
    held: Any = state if kernel == "lstm" else state[0]
    matrices = (weights["weight_ih"], weights["weight_hh"])
    biases = [weights[name] for name in ("bias_ih", "bias_hh") if name in weights]
    if len(biases) == 1:  # the kernels take two or none
        biases.append(torch.zeros_like(biases[0]))
    result = _CELLS[kernel](x, held, *matrices, *biases)
    return (result[0], result[1]) if kernel == "lstm" else result


RECURRENT: Fused = {
    RnnCell: cell,
    LstmCell: cell,
    GruCell: cell,
    Rnn: sequence,
    Lstm: sequence,
    Gru: sequence,
}
