"""The layer interpolate: images, rows and volumes of another size."""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

from netspec.errors import ShapeError
from netspec.graph.builder import Builder
from netspec.graph.dims import Size, format_shape
from netspec.graph.graph import Value
from netspec.layers.base import Layer
from netspec.layers.fields import Expected, Real, SpatialScales, SpatialSizes
from netspec.layers.resampling import AxisPlan, Coords, Mode, Rule, plan_of_scale, plan_of_size, resampled

Each = TypeVar("Each")


class Interpolate(Layer):
    """x `[batch, channels, *spatial]` with other spatial sizes, one to three of them (F.interpolate).

    Give `size`, or `scale_factor`: then each size becomes floor(size * scale_factor). Output i reads x at position
    u(i), with r = size / new size, or 1 / scale_factor where that is given (torch's recompute_scale_factor: false):
    `half_pixel` u = (i + 1/2) r - 1/2, `asymmetric` u = i r, `align_corners` u = i (size - 1) / (new size - 1).
    `linear` weighs the two elements around u by their distance, in each dimension; `cubic` four, by the kernel of Keys
    (1981, doi:10.1109/TASSP.1981.1163711) with coefficient `a`; beyond the ends the last element counts. `nearest`
    takes element floor(i r), `nearest_exact` floor((i + 1/2) r); `coords` is not for them. All positions are computed
    exactly (torch's in floats), a scale_factor being read as the fraction that it is closest to. A dimension whose
    size stays the same is left as it is (torch's nearest and cubic do so in some kernels, and in all gradients).
    A symbolic size takes a scale_factor, or a `size` that is a whole multiple or a whole part of it in every call, but
    no align_corners; the ratio, as a reduced fraction, has a numerator of at most 16, and is not above 1 and below 3/2.
    No mode smooths before it makes smaller: `antialias` is false.
    """

    type: Literal["interpolate"] = "interpolate"
    size: SpatialSizes | None = None
    scale_factor: SpatialScales | None = None
    mode: Mode = "nearest"
    coords: Coords = "half_pixel"
    a: Real = -0.75
    antialias: Annotated[Literal[False], Expected("false: smoothing before making smaller is not supported")] = False

    def expand(self, b: Builder, x: Value) -> Value:
        if self.mode.startswith("nearest") and self.coords != "half_pixel":
            raise ShapeError(f"coords goes with linear and cubic, not with {self.mode}")
        if self.mode != "cubic" and self.a != -0.75:
            raise ShapeError(f"a is the coefficient of cubic, not of {self.mode}")
        rule = Rule(self.mode, self.coords, self.a)
        # What becomes smaller goes first, so that the rest has less to do.
        plans = sorted(enumerate(self.plans(x.shape), 2), key=lambda item: item[1].step, reverse=True)
        for axis, plan in plans:
            x = resampled(b, x, axis, plan, rule)
        return x

    def plans(self, shape: tuple[Size, ...]) -> list[AxisPlan]:
        """The sizes along each spatial axis. Raises ShapeError."""
        spatial = shape[2:]
        if not 1 <= len(spatial) <= 3:
            message = "its input must be [batch, channels, *spatial] with 1 to 3 spatial dimensions"
            raise ShapeError(f"{message}, got {format_shape(shape)}")
        if (self.size is None) == (self.scale_factor is None):
            raise ShapeError("give size or scale_factor, one of the two")
        if self.size is not None:
            sizes: tuple[Size, ...] = _for_each(self.size, "size", len(spatial))
            return [plan_of_size(size, new) for size, new in zip(spatial, sizes, strict=True)]
        assert self.scale_factor is not None
        scales = _for_each(self.scale_factor, "scale_factor", len(spatial))
        return [plan_of_scale(size, scale) for size, scale in zip(spatial, scales, strict=True)]


def _for_each(given: Each | tuple[Each, ...], word: str, count: int) -> tuple[Each, ...]:
    """The numbers of each spatial dimension. Raises ShapeError where they are not as many."""
    numbers = given if isinstance(given, tuple) else (given,) * count
    if len(numbers) != count:
        raise ShapeError(f"{word} has {len(numbers)} numbers for {count} spatial dimensions")
    return numbers
