"""ModelSpec to Graph: evaluates, wires and expands every entry, once for inference and once for training."""

from netspec.expand.expansion import Expansion, Options

__all__ = ["Expansion", "Options"]
