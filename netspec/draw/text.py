"""How wide a text is drawn, without a font at hand: from a table of the widest common sans-serif fonts."""

from __future__ import annotations

# Advance widths of the characters from space to tilde, in thousandths of the font size, measured on DejaVu Sans.
# Verdana is as wide within 2 %; Helvetica, Arial and Liberation Sans are narrower: a text that fits in these fits.
FONTS = "DejaVu Sans, Verdana, Helvetica, Arial, Liberation Sans, Noto Sans, Roboto, Segoe UI, Ubuntu, sans-serif"
_REGULAR = (
    *(318, 401, 460, 838, 636, 950, 780, 275, 390, 390, 500, 838, 318, 361, 318, 337, 636, 636, 636, 636, 636, 636),
    *(636, 636, 636, 636, 337, 337, 838, 838, 838, 531, 1000, 684, 686, 698, 770, 632, 575, 775, 752, 295, 295, 656),
    *(557, 863, 748, 787, 603, 787, 695, 635, 611, 732, 684, 989, 685, 611, 685, 390, 337, 390, 838, 500, 500, 613),
    *(635, 550, 635, 615, 352, 635, 634, 278, 278, 579, 278, 974, 634, 612, 635, 635, 411, 521, 392, 634, 592, 818),
    *(592, 592, 525, 636, 337, 636, 838),
)
_BOLD = (
    *(348, 456, 521, 838, 696, 1002, 872, 306, 457, 457, 523, 838, 380, 415, 380, 365, 696, 696, 696, 696, 696, 696),
    *(696, 696, 696, 696, 400, 400, 838, 838, 838, 580, 1000, 774, 762, 734, 830, 683, 683, 821, 837, 372, 372, 775),
    *(637, 995, 837, 850, 733, 850, 770, 720, 682, 812, 774, 1103, 771, 724, 725, 457, 365, 457, 838, 500, 500, 675),
    *(716, 593, 716, 678, 435, 716, 712, 343, 343, 665, 343, 1042, 712, 687, 716, 716, 493, 595, 478, 712, 652, 924),
    *(645, 652, 582, 712, 365, 712, 838),
)
_OTHER = {"×": 838, "·": 380, "–": 500}
# Wide enough for Latin, Greek, Cyrillic and the square characters of East Asia.
_UNKNOWN = 1000


def text_width(text: str, size: float, bold: bool = False) -> float:
    """An upper estimate of the width of `text` in pixels at a font size of `size` pixels."""
    table = _BOLD if bold else _REGULAR
    total = 0
    for character in text:
        position = ord(character) - 32
        total += table[position] if 0 <= position < len(table) else _OTHER.get(character, _UNKNOWN)
    return total * size / 1000


def shortened(text: str, size: float, width: float, bold: bool = False) -> str:
    """`text` itself if it fits into `width`, else its beginning with an ellipsis."""
    if text_width(text, size, bold) <= width:
        return text
    while text and text_width(text + "…", size, bold) > width:
        text = text[:-1]
    return text.rstrip(" ,.") + "…"


def wrapped(words: list[str], size: float, width: float, lines: int) -> list[str]:
    """Words joined by commas into at most `lines` lines of `width`; what does not fit ends in an ellipsis."""
    found: list[str] = []
    for position, word in enumerate(words):
        word += "," if position + 1 < len(words) else ""
        joined = f"{found[-1]} {word}" if found else word
        if found and text_width(joined, size) <= width:
            found[-1] = joined
        elif len(found) == lines:
            found[-1] = shortened(f"{found[-1]} {word}", size, width)
            return found
        else:
            found.append(shortened(word, size, width))
    return found
