"""The generator: documented words, exact transforms, and masks and noise made of them."""

import hashlib
import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from netspec.weights import generator


def philox(key: tuple[int, int], counter: int) -> list[int]:
    """Philox 4x64 of ten rounds, written from the paper (Salmon et al. 2011)."""
    mask = 2**64 - 1
    words, keys = [counter, 0, 0, 0], list(key)
    for _ in range(10):
        left, right = 0xD2E7470EE14C6C93 * words[0], 0xCA5A826395121157 * words[2]
        words = [(right >> 64) ^ words[1] ^ keys[0], right & mask, (left >> 64) ^ words[3] ^ keys[1], left & mask]
        keys = [(keys[0] + 0x9E3779B97F4A7C15) & mask, (keys[1] + 0xBB67AE8584CAA73B) & mask]
    return words


def test_philox_gives_the_answer_published_with_random123() -> None:
    expected = [0x16554D9ECA36314C, 0xDB20FE9D672D0FDC, 0xD7E772CEE186176B, 0x7E68B68AEC7BA23B]
    assert philox((0, 0), 0) == expected


def test_the_stream_is_the_documented_one() -> None:
    parts = [b"netspec 1", b"weights", b"7", "a.größe".encode(), b"3,5"]
    digest = hashlib.sha256(b"".join(len(part).to_bytes(8, "little") + part for part in parts)).digest()
    key = (int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:16], "little"))
    words = generator.stream(7, "a.größe", (3, 5)).random_raw(8)
    assert words.tolist() == philox(key, 1) + philox(key, 2)


def test_a_stream_depends_on_seed_path_shape_and_purpose() -> None:
    streams = [
        generator.stream(0, "a.weight", (3, 5)),
        generator.stream(1, "a.weight", (3, 5)),
        generator.stream(-1, "a.weight", (3, 5)),
        generator.stream(2**70, "a.weight", (3, 5)),
        generator.stream(0, "b.weight", (3, 5)),
        generator.stream(0, "a.weight", (5, 3)),
        generator.stream(0, "a.weight", (15,)),
        generator.stream(0, "a.weight", (3, 5, 1)),
        generator.stream(0, "a.weight", (3, 5), "normal"),
        generator.stream(0, "a.weight", (3, 5), "mask"),
    ]
    assert len({int(words.random_raw()) for words in streams}) == len(streams)


def test_uniform_numbers_are_the_halves_of_the_words() -> None:
    words = generator.stream(0, "u", (6,)).random_raw(3).tolist()
    halves = [half for word in words for half in (word & 0xFFFFFFFF, word >> 32)]
    signed = [half - 2**32 if half >= 2**31 else half for half in halves]
    expected = [(2 * half + 1) / 2**32 for half in signed]
    assert next(generator.uniforms(generator.stream(0, "u", (6,)), 6)).tolist() == expected


class Words:
    """Given words in the place of a stream."""

    def __init__(self, words: NDArray[np.uint64]) -> None:
        self.words = words

    def random_raw(self, size: int) -> NDArray[np.uint64]:
        return self.words[:size].copy()


def test_normal_numbers_are_box_and_mullers() -> None:
    """Against the machine's own logarithm and cosine, with the extreme radii and angles among the words."""
    high = generator.stream(0, "high", ()).random_raw(5000) >> np.uint64(32)
    low = generator.stream(0, "low", ()).random_raw(5000) >> np.uint64(32)
    high[:4], low[4:9] = [0, 1, 2**32 - 1, 2**31], [0, 2**29 - 1, 2**29, 2**30 - 1, 2**32 - 1]
    words: Any = Words((high << np.uint64(32)) | low)
    found = next(generator.normals(words, 10000)).reshape(-1, 2)
    radius = np.sqrt(-2 * np.log((high.astype(np.float64) + 0.5) / 2**32))
    turn = (low & np.uint64(2**30 - 1)).astype(np.float64)
    turn = np.where(turn >= 2**29, turn - 2**30, turn)
    angle = np.pi / 4 + (turn + 0.5) / 2**29 * (np.pi / 4)
    cosine = np.where(low & np.uint64(2**31), -1, 1) * np.cos(angle)
    sine = np.where(low & np.uint64(2**30), -1, 1) * np.sin(angle)
    np.testing.assert_allclose(found, np.stack([radius * cosine, radius * sine], axis=1), rtol=0, atol=1e-9)
    assert 6.5 < radius.max() < 6.77
    # Right to the last bits near 1 too, where the logarithm is small.
    np.testing.assert_allclose(np.hypot(*found[2]), radius[2], rtol=1e-6)


def test_golden_hashes_of_noise() -> None:
    noise = generator.draw_normal(0, "dropout", (33, 65))
    mask = generator.draw_mask(0, "dropout", 0.75, (33, 65))
    assert noise.dtype == np.float32
    assert mask.dtype == np.bool_
    assert hashlib.sha256(noise.astype("<f4").tobytes()).hexdigest()[:16] == "c9fd90b3338e709f"
    assert hashlib.sha256(mask.tobytes()).hexdigest()[:16] == "8a55a99c61822065"


def test_masks_do_not_depend_on_the_size_of_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = generator.draw_mask(0, "m", 0.6, (7, 31))
    monkeypatch.setattr(generator, "BLOCK_WORDS", 5)
    np.testing.assert_array_equal(generator.draw_mask(0, "m", 0.6, (7, 31)), expected)


def test_masks_keep_their_share_and_grow_with_it() -> None:
    masks = [generator.draw_mask(0, "m", keep, (1000, 250)) for keep in (0.0, 0.1, 0.75, 1.0)]
    assert not masks[0].any()
    assert masks[3].all()
    for keep, mask in ((0.1, masks[1]), (0.75, masks[2])):
        assert abs(mask.mean() - keep) < 4 * math.sqrt(keep * (1 - keep) / 250_000)
    assert (masks[1] <= masks[2]).all()
