"""What a file that was given as weights looks like, when it is no .safetensors file. It is looked at, never opened."""

from __future__ import annotations

from typing import Literal

# What `netspec weights convert` reads besides .safetensors.
Container = Literal["torch", "keras", "npz"]

SAMPLE_BYTES = 512  # enough of the beginning for `looks_like`

_SIGNATURES = (
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file (.h5)"),
    (b"version https://git-lfs", "a Git LFS pointer: the file itself was not fetched (git lfs pull)"),
    (b"\x93NUMPY", "a NumPy array (.npy)"),
    (b"GGUF", "a GGUF file"),
)

# The name of the first file in a zip archive tells which program wrote it.
_ZIP_SIGNATURE = b"PK\x03\x04"
_ZIP_CONTENTS = (
    (b"data.pkl", "a PyTorch file (.pt, .pth), which is a pickle"),
    (b".npy", "a NumPy archive (.npz)"),
    (b"metadata.json", "a Keras file (.keras)"),
    (b"config.json", "a Keras file (.keras)"),
    (b"model.weights.h5", "a Keras file (.keras)"),
)
_ZIP_NAME_LENGTH, _ZIP_NAME = slice(26, 28), 30

_PICKLE_PROTOCOLS = tuple(b"\x80" + bytes([protocol]) for protocol in range(2, 6))


def container(beginning: bytes) -> Container | None:
    """Which of the files that can be converted this is, by its first bytes."""
    match looks_like(beginning):
        case "an HDF5 file (.h5)":
            return "keras"
        case "a NumPy archive (.npz)":
            return "npz"
        case "a PyTorch file (.pt, .pth), which is a pickle" | "a pickle":
            return "torch"
        case _:
            return None


def looks_like(beginning: bytes) -> str | None:
    """What the first bytes of a file say it is, with its article, or None where they say nothing."""
    for signature, kind in _SIGNATURES:
        if beginning.startswith(signature):
            return kind
    if beginning.startswith(_ZIP_SIGNATURE):
        name = beginning[_ZIP_NAME : _ZIP_NAME + int.from_bytes(beginning[_ZIP_NAME_LENGTH], "little")]
        return next((kind for ending, kind in _ZIP_CONTENTS if name.endswith(ending)), "a zip archive")
    if beginning.startswith(_PICKLE_PROTOCOLS):
        return "a pickle"
    text = beginning.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<!--")):
        return "an HTML page"
    return None
