"""Reads a .pth or .pt file: its tensors and nothing else, in the process with limits that `weights convert` starts."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from typing import Any

import torch

from netspec.errors import WeightsError


def read(path: str, key: str | None) -> tuple[dict[str, Any], dict[str, str]]:
    """The tensors by name; bfloat16, which NumPy lacks, is widened to float32.

    `key` names the mapping of tensors in a file that holds more: where there is only one, it is that. A WeightsError
    where there is no mapping of tensors, or the file needs code to be read.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        found = re.search(r"GLOBAL (\S+)", str(error))
        what = f"{found[1]}, which is no tensor" if found else "more than tensors, or is damaged"
        raise WeightsError(f"torch's safe reader (weights_only=True) refuses it: it holds {what}") from None
    return {name: _array(name, tensor) for name, tensor in _tensors(content, key).items()}, {}


def _tensors(content: Any, key: str | None) -> Mapping[str, torch.Tensor]:
    if not isinstance(content, Mapping):
        raise WeightsError(f"expected a mapping of tensors, got {type(content).__name__}")
    if key is None and _is_state_dict(content):
        return content
    found = {str(name): value for name, value in content.items() if _is_state_dict(value)}
    if key is None and len(found) == 1:
        return next(iter(found.values()))
    if key in found:
        return found[key]
    names = ", ".join(found) or ", ".join(str(name) for name in content)
    if key is not None:
        raise WeightsError(f"it has no mapping of tensors under {key}: there are {names}")
    if found:
        raise WeightsError(f"it holds several mappings of tensors, choose one with --key: {names}")
    raise WeightsError(f"expected a mapping of tensors, got one of {names}")


def _is_state_dict(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and len(value) > 0
        and all(isinstance(name, str) and isinstance(tensor, torch.Tensor) for name, tensor in value.items())
    )


def _array(name: str, tensor: torch.Tensor) -> Any:
    if tensor.dtype == torch.bfloat16:
        tensor = tensor.float()
    try:
        return tensor.detach().numpy()
    except (TypeError, RuntimeError) as error:
        raise WeightsError(f"{name}: {tensor.dtype} {tensor.layout} is no plain array: {error}") from None
