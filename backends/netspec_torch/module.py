"""The torch.nn.Module of a spec: a tree of modules whose paths are the spec's, each compiled from its source."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch
from torch import nn

from netspec.graph.graph import Graph, Param
from netspec_torch.source import Source, forward_method
from netspec_torch.translate import Translation


class Group(nn.Module):
    """Entries that share the beginning of their paths. The model's forward calls what is in it.

    An entry may be called like an attribute that every module has (`train`, `forward`): it runs, saves, copies and
    compiles, but Python finds it in `_modules` only, and so torch.func.functional_call does not find it at all.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        """As any module's, but the mode can be set where an entry is called `training` too."""
        if name == "training":
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)


class SourceModule(Group):
    """A module whose forward was compiled from a source. Pickles hold the source, and need no file of the spec."""

    _source: ClassVar[Source]

    def extra_repr(self) -> str:
        return self._source.fields

    def __reduce__(self) -> tuple[Any, ...]:
        return new_module, (self._source,), self.__getstate__()

    def _load_from_state_dict(
        self,
        state_dict: Mapping[str, Any],
        prefix: str,
        local_metadata: Any,
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        """As any module's, but torch's own batch norm counts batches and saves the count: that is taken and ignored."""
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )
        counter = f"{prefix}num_batches_tracked"
        if counter in unexpected_keys:
            unexpected_keys.remove(counter)


@functools.cache
def module_class(source: Source) -> type[SourceModule]:
    """The class of `source`; equal sources share it."""
    return type(source.name, (SourceModule,), {"forward": forward_method(source.forward), "_source": source})


def new_module(source: Source) -> SourceModule:
    """A module of `source` without its state, as unpickling wants it."""
    made = module_class(source)
    return made.__new__(made)


def build_module(
    graph: Graph,
    translation: Translation,
    tensors: Mapping[str, torch.Tensor],
    placed: Callable[[torch.Tensor], torch.Tensor],
) -> SourceModule:
    """The whole tree in eval mode, holding `tensors`, which are by path, as its parameters and buffers.

    Constants are buffers that are not saved, each as `placed` makes it.
    """
    model = module_class(translation.model)()
    for held in graph.state:
        home, _, name = held.path.rpartition(".")
        module = _module_at(model, home, translation.layers)
        # Not by register_parameter and its like: they refuse names such as `type` that a module uses itself.
        if isinstance(held, Param):
            module._parameters[name] = nn.Parameter(tensors[held.path], requires_grad=held.trainable)
        else:
            module._buffers[name] = tensors[held.path]
    for path, constants in translation.constants.items():
        module = _module_at(model, path, translation.layers)
        module._buffers.update({name: placed(tensor) for name, tensor in constants.items()})
        module._non_persistent_buffers_set.update(constants)
    if graph.aliases:
        model.register_load_state_dict_pre_hook(functools.partial(_take_aliases, dict(graph.aliases)))
    return model.eval()


def _take_aliases(
    aliases: Mapping[str, str],
    module: nn.Module,
    state_dict: dict[str, Any],
    prefix: str,
    local_metadata: Any,
    strict: bool,
    missing_keys: list[str],
    unexpected_keys: list[str],
    error_msgs: list[str],
) -> None:
    """A tied parameter may stand under its path, under that of the layer that uses it, or both, then equal."""
    for alias, path in aliases.items():
        value = state_dict.pop(prefix + alias, None)
        if value is not None and not torch.equal(state_dict.setdefault(prefix + path, value), value):
            error_msgs.append(f"{prefix}{alias} and {prefix}{path} are one parameter, and the values differ")


def _module_at(model: nn.Module, path: str, layers: Mapping[str, Source]) -> nn.Module:
    """The module at `path`, made with all above it if it is not there yet."""
    module = model
    names = path.split(".") if path else []
    for depth, name in enumerate(names, start=1):
        child = module._modules.get(name)
        if child is None:
            here = ".".join(names[:depth])
            child = module_class(layers[here])() if here in layers else Group()
            module._modules[name] = child
        module = child
    return module
