"""`netspec plot`: SVG and PNG files, and what is refused in one line."""

from __future__ import annotations

import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

import netspec
from netspec.draw.svg import svg
from netspec.errors import NetspecError
from tests.core.drawn_specs import several

ROOT = Path(__file__).parents[2]
RESIDUAL = ROOT / "specs" / "residual.yaml"
Run = Callable[..., tuple[int, str, str]]


def pixels(png: bytes) -> tuple[int, int, bytes]:
    """Width, height and the bytes of the rows of a PNG of 8-bit RGBA, filters included."""
    width, height = struct.unpack(">II", png[16:24])
    position, data = 8, b""
    while position < len(png):
        length, kind = struct.unpack(">I4s", png[position : position + 8])
        data += png[position + 8 : position + 8 + length] if kind == b"IDAT" else b""
        position += 12 + length
    return width, height, zlib.decompress(data)


def test_texts_are_in_the_png() -> None:
    resvg = pytest.importorskip("resvg_py")
    from netspec.draw.png import png

    drawn = svg(netspec.load(RESIDUAL).inference)
    empty = ElementTree.fromstring(drawn)
    for text in empty.iter("{http://www.w3.org/2000/svg}text"):
        text.text = ""
    with_texts = pixels(png(drawn))
    without = pixels(bytes(resvg.svg_to_bytes(svg_string=ElementTree.tostring(empty, "unicode"), zoom=2)))
    assert with_texts[:2] == without[:2]
    rows = with_texts[1]
    stride = len(with_texts[2]) // rows
    differing = sum(
        with_texts[2][r * stride : (r + 1) * stride] != without[2][r * stride : (r + 1) * stride] for r in range(rows)
    )
    assert differing > rows / 4  # there is a text in more than a quarter of the rows of pixels


def test_a_machine_without_fonts_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    resvg = pytest.importorskip("resvg_py")
    from netspec.draw.png import png

    draw = resvg.svg_to_bytes
    monkeypatch.setattr(resvg, "svg_to_bytes", lambda **options: draw(**options, skip_system_fonts=True))
    with pytest.raises(NetspecError, match=r"needs one of these fonts.*DejaVu Sans.*or write \.svg"):
        png(svg(several()))


def test_plot_writes_svg_and_png(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("resvg_py")
    target = tmp_path / "picture.svg"
    status, out, err = run("plot", str(RESIDUAL), "-o", str(target), "--depth", "1", "--set", "classes=7")
    assert (status, out, err) == (0, "", f"{target}: {target.stat().st_size:,} bytes\n")
    assert target.read_text() == svg(netspec.load(RESIDUAL, {"classes": 7}).inference, 1)
    assert run("plot", str(RESIDUAL), "-o", str(target.with_suffix(".PNG")))[0] == 0
    assert target.with_suffix(".PNG").read_bytes().startswith(b"\x89PNG")


def test_plot_draws_either_graph_and_names_the_file(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("plot", str(RESIDUAL), "--training")[0] == 0
    assert (tmp_path / "residual.svg").read_text() == svg(netspec.load(RESIDUAL).training)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-o", "picture.gif"], "--output: expected a file that ends in .svg or .png, got 'picture.gif'"),
        (["-o", "missing/picture.svg"], "missing/picture.svg: cannot be written: there is no folder"),
        (["--depth", "0"], "netspec plot: Invalid value for '--depth'"),
    ],
)
def test_plot_refuses(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    status, out, err = run("plot", str(RESIDUAL), *arguments)
    assert (status, out) == (2, "")
    assert err.startswith(message) and err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_png_without_the_extra_is_one_line(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    status, _, err = run("plot", str(RESIDUAL), "-o", str(tmp_path / "p.png"))
    assert (status, err) == (2, "PNG needs the extra plot: pip install 'netspec-nn[plot]', or write .svg\n")
    assert list(tmp_path.iterdir()) == []
