"""SVG as PNG, by resvg; a machine without fonts is told, as its pictures would have no texts."""

from __future__ import annotations

import re

from netspec.draw.text import FONTS
from netspec.errors import NetspecError

# Twice the size, so that texts are sharp on any screen, while the picture is no larger than 64 million pixels.
ZOOM, MAX_PIXELS = 2.0, 64_000_000

_PROBE = '<svg xmlns="http://www.w3.org/2000/svg" width="60" height="20"><text y="15" font-family="{}">{}</text></svg>'


def png(svg: str) -> bytes:
    """A picture from `netspec.draw.svg.svg` as PNG.

    Raises NetspecError where the extra `plot` is missing, the machine has none of the fonts, or the picture is larger
    than MAX_PIXELS.
    """
    try:
        from resvg_py import svg_to_bytes
    except ImportError:
        raise NetspecError("PNG needs the extra plot: pip install 'netspec-nn[plot]', or write .svg") from None

    found = re.match(r'<svg [^>]*width="([\d.]+)" height="([\d.]+)"', svg)
    assert found is not None
    pixels = float(found[1]) * float(found[2])
    if pixels > MAX_PIXELS:
        raise NetspecError(f"a PNG of {pixels:,.0f} pixels is too large: give a smaller --depth, or write .svg")
    if svg_to_bytes(svg_string=_PROBE.format(FONTS, "text")) == svg_to_bytes(svg_string=_PROBE.format(FONTS, "")):
        raise NetspecError(f"PNG needs one of these fonts, or its texts are lost: {FONTS}; install one, or write .svg")
    return bytes(svg_to_bytes(svg_string=svg, zoom=min(ZOOM, (MAX_PIXELS / pixels) ** 0.5)))
