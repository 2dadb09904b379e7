"""Reads an .npz file, in the process with limits; nothing in it is unpickled."""

from __future__ import annotations

from typing import Any

import numpy as np

from netspec.errors import WeightsError


def read(path: str, key: str | None) -> tuple[dict[str, Any], dict[str, str]]:
    """The arrays by name."""
    with open(path, "rb") as file:  # noqa: PTH123 (np.load of a path would map an .npy file)
        archive = np.load(file, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise WeightsError("expected an .npz file, this is one array alone")
        return {name: archive[name] for name in archive.files}, {}
