"""Our own random numbers: a stream per parameter, bit-identical on every machine and in every release of NumPy.

Only NumPy's raw Philox words are used (Salmon et al. 2011; their stream is fixed). All that follows is integer
arithmetic and `+ - * / sqrt` in float64, which IEEE 754 defines to the last bit. The exponentials and logarithms of a
machine's library are not so defined, hence the series below.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

# What a stream is for; part of its key, so that noise is independent of the weights of the same path.
Purpose = Literal["weights", "normal", "uniform", "mask", "integers"]

Block = NDArray[np.float64]

# Words made at a time, at most: arrays of 128 KiB stay in the processor's cache (2^12 takes a third longer).
BLOCK_WORDS = 2**14

LN_2 = 0.6931471805599453
SQRT_HALF = 0.7071067811865476
QUARTER_PI = 0.7853981633974483
SQRT_HALF_BITS = np.int64(0x3FE6A09E667F3BCD)  # the bits of SQRT_HALF as a float64
SIGN_BIT = np.int64(-(2**63))

# Taylor coefficients; what is cut off is below 2e-10 of the result where they are used.
LOG_SERIES = (-4.0, -4 / 3, -4 / 5, -4 / 7, -4 / 9, -4 / 11)  # -2 ln m = s P(s^2), s = (m - 1) / (m + 1)
SIN_SERIES = (1.0, -1 / 6, 1 / 120, -1 / 5040, 1 / 362880, -1 / 39916800)
COS_SERIES = (1.0, -1 / 2, 1 / 24, -1 / 720, 1 / 40320, -1 / 3628800)
EXP_SERIES = (1.0, -1.0, 1 / 2, -1 / 6, 1 / 24, -1 / 120, 1 / 720, -1 / 5040, 1 / 40320, -1 / 362880, 1 / 3628800)


def stream(seed: int, path: str, shape: Sequence[int], purpose: Purpose = "weights") -> np.random.Philox:
    """The words for one tensor. They depend on nothing else, so a new layer leaves the other weights as they were.

    The key is the first 16 bytes, read as little-endian, of the SHA-256 of five parts in UTF-8, each after its length
    in 8 bytes, little-endian: `netspec 1`, purpose, seed in decimal, path, sizes in decimal joined by commas. The
    first four words are those of counter 1 (NumPy counts before it draws).
    """
    parts = ("netspec 1", purpose, f"{seed:d}", path, ",".join(f"{size:d}" for size in shape))
    digest = hashlib.sha256()
    for part in parts:
        text = part.encode()
        digest.update(len(text).to_bytes(8, "little") + text)
    return np.random.Philox(key=np.frombuffer(digest.digest()[:16], "<u8").astype(np.uint64))


def uniforms(words: np.random.Philox, count: int) -> Iterator[Block]:
    """Blocks of numbers uniform in (-1, 1): (k + 1/2) / 2^31 for each signed 32-bit half of a word, the low half first.

    The blocks never end; none is much longer than `count`, which does not change the numbers. Each is overwritten by
    the next.
    """
    block_words = _block_words(count)
    values = np.empty(2 * block_words)
    while True:
        halves = words.random_raw(block_words).astype("<u8", copy=False).view("<i4")
        np.add(halves, 0.5, out=values)
        values *= 2.0**-31
        yield values


def normals(words: np.random.Philox, count: int) -> Iterator[Block]:
    """Blocks of standard normal numbers, two from each word: r cos(a) and r sin(a) (Box and Muller 1958).

    The high 32 bits h of a word give the radius r = sqrt(-2 ln((h + 1/2) / 2^32)), so that no number is above 6.77.
    The low 30 bits give the angle within a quarter turn, the two between give the signs. The error is below 1e-9.
    A sum of 12 uniforms, corrected by a polynomial, is only nearly normal and takes half as long again.

    The blocks never end; none is much longer than `count`, which does not change the numbers. Each is overwritten by
    the next.
    """
    block_words = _block_words(count)
    values = np.empty((block_words, 2))
    radius, cosine, sine, square, scratch = np.empty((5, block_words))
    integers = np.empty(block_words, np.int64)
    while True:
        raw = words.random_raw(block_words)
        word = raw.view(np.int64)

        np.add(raw >> np.uint64(32), 0.5, out=scratch)
        scratch *= 2.0**-32
        _minus_two_log(scratch, radius, square, integers)
        np.sqrt(radius, out=radius)
        radius *= SQRT_HALF

        np.left_shift(word, 34, out=integers)  # the low 30 bits as a signed number, times 2^34
        np.add(integers, 2.0**33, out=scratch)
        scratch *= QUARTER_PI * 2.0**-63  # the angle t in (-pi/4, pi/4)
        np.multiply(scratch, scratch, out=square)
        _series(SIN_SERIES, square, sine)
        sine *= scratch
        _series(COS_SERIES, square, cosine)

        # sqrt(1/2) (cos t -+ sin t) are cos and sin of t + pi/4 in (0, pi/2): both positive, so they take any signs.
        np.subtract(cosine, sine, out=scratch)
        cosine += sine
        for column, half, shift in ((0, scratch, 32), (1, cosine, 33)):
            half *= radius
            np.left_shift(word, shift, out=integers)
            integers &= SIGN_BIT
            bits = half.view(np.int64)
            bits ^= integers
            values[:, column] = half
        yield values.reshape(-1)


def truncated_normals(words: np.random.Philox, count: int, bound: float) -> Iterator[Block]:
    """Blocks, of uneven lengths, of standard normal numbers within [-bound, bound]; the others are drawn again.

    Below a bound of 1, where that would be long, numbers uniform in it are kept with the probability exp(-z^2 / 2). So
    three of five numbers are kept at the least.
    """
    if bound >= 1:
        for z in normals(words, count):
            yield z[np.abs(z) <= bound]
    for pairs in uniforms(words, 2 * count):
        z, height = pairs[0::2] * bound, pairs[1::2]
        density = np.empty_like(z)
        _series(EXP_SERIES, z * z * 0.5, density)
        yield z[(height + 1) * 0.5 < density]


def fill(values: NDArray[np.float32], blocks: Iterator[Block], scale: float = 1.0, centre: float = 0.0) -> None:
    """`values = centre + scale * block`, one block after another, computed in float64 and rounded to float32 once.

    `values` is contiguous. A number beyond float32's range is infinite, or a FloatingPointError where NumPy is told so.
    """
    flat = values.reshape(-1)
    done = 0
    while done < flat.size:
        block = next(blocks)[: flat.size - done]
        block *= scale
        block += centre
        flat[done : done + block.size] = block
        done += block.size


def draw_normal(seed: int, path: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Standard normal noise of `shape`, named by `path`: the same for every backend that is to be compared."""
    values = np.empty(shape, np.float32)
    fill(values, normals(stream(seed, path, shape, "normal"), values.size))
    return values


def draw_uniform(seed: int, path: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Noise uniform in [0, 1) of `shape`, named by `path`: the same for every backend that is to be compared.

    Multiples of 2^-24, so that float32 holds them as they are and none is rounded up to 1.
    """
    count = math.prod(shape)
    words = stream(seed, path, shape, "uniform").random_raw(count)
    return np.asarray((words >> np.uint64(40)) * 2.0**-24, np.float32).reshape(shape)


def draw_mask(seed: int, path: str, keep: float, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """A mask of `shape`, named by `path`, that is true with the probability `keep` (to 2^-32): dropout's, for instance.

    The mask of a greater `keep` is true wherever that of a smaller one is.
    """
    flat = np.empty(math.prod(shape), np.bool_)
    blocks = uniforms(stream(seed, path, shape, "mask"), flat.size)
    done = 0
    while done < flat.size:
        block = next(blocks)[: flat.size - done]
        np.less(block, 2 * keep - 1, out=flat[done : done + block.size])
        done += block.size
    return flat.reshape(shape)


def draw_integers(seed: int, path: str, bound: int, shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Integers from 0 to below `bound` (at most 2^31) of `shape`, named by `path`, each as likely to 2^-32."""
    count = math.prod(shape)
    words = stream(seed, path, shape, "integers").random_raw(count)
    return ((words >> np.uint64(32)) * np.uint64(bound) >> np.uint64(32)).astype(np.int64).reshape(shape)


def _block_words(count: int) -> int:
    """Words for `count` numbers, two from each, up to the size of a block."""
    return max(1, min(BLOCK_WORDS, (count + 1) // 2))


def _minus_two_log(u: Block, out: Block, square: Block, exponents: NDArray[np.int64]) -> None:
    """`out = -2 ln u` for u in (0, 1), to 1e-10 of its size; u and the last two arrays are overwritten.

    u = 2^e m with m in [sqrt(1/2), sqrt(2)), by integer arithmetic on the bits, and ln m = 2 artanh((m - 1) / (m + 1)).
    """
    bits = u.view(np.int64)
    np.subtract(bits, SQRT_HALF_BITS, out=exponents)
    exponents >>= 52
    np.multiply(exponents, -2 * LN_2, out=out)
    exponents <<= 52
    bits -= exponents
    np.add(u, 1.0, out=square)
    u -= 1.0
    u /= square
    np.multiply(u, u, out=square)
    series = np.empty_like(u)
    _series(LOG_SERIES, square, series)
    series *= u
    out += series


def _series(coefficients: Sequence[float], z: Block, out: Block) -> None:
    """`out = c0 + c1 z + c2 z^2 + ...` by Horner's rule."""
    np.multiply(z, coefficients[-1], out=out)
    for coefficient in coefficients[-2:0:-1]:
        out += coefficient
        out *= z
    out += coefficients[0]
