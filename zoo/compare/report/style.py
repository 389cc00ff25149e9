"""How arms look in every figure: a colour that the colour-blind can tell, a marker and a dash."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

# Okabe and Ito 2008, darkened for white paper and lightened for a dark one; contrast over 3
LIGHT = ("#4a4a4a", "#0072b2", "#c94f00", "#00805c", "#a6508a", "#8a6d00", "#2f7fb8")
DARK = ("#c9c9c9", "#56b4e9", "#ff8a4c", "#2fc79a", "#e39ac9", "#e6c229", "#8fb8ff")
SHAPES = {  # of markers, as paths of SVG, 14 wide and high
    "circle": "M1,7a6,6 0 1,0 12,0a6,6 0 1,0 -12,0z", "square": "M2,2h10v10h-10z",
    "diamond": "M7,0L14,7L7,14L0,7z", "triangle-up": "M7,1L14,13H0z",
    "cross": "M5,0h4v5h5v4h-5v5h-4v-5h-5v-4h5z",
    "x": "M2,0l5,5l5,-5l2,2l-5,5l5,5l-2,2l-5,-5l-5,5l-2,-2l5,-5l-5,-5z",
    "star": "M7,0l2,5h5l-4,3l2,6l-5,-4l-5,4l2,-6l-4,-3h5z",
    "triangle-down": "M7,13L14,1H0z",
}  # fmt: skip
SYMBOLS = tuple(SHAPES)
MARKERS = dict(zip(SYMBOLS, "osD^PX*v", strict=True))  # of matplotlib
DASHES = {"solid": "-", "dash": "--", "dot": ":", "dashdot": "-."}


@dataclass(frozen=True)
class Look:
    """How one arm looks.

    Args:
        index: of the colour.
        symbol: marker, as Plotly names it.
        dash: of lines, as Plotly names it.
    """

    index: int
    symbol: str
    dash: str

    @property
    def color(self) -> str:
        """A name that the page replaces by the colour in its scheme."""
        return f"@arm{self.index}"


def look(arm: int) -> Look:
    """The look of an arm by its number; up to 56 arms differ in colour or in marker."""
    dashes = list(DASHES)
    return Look(arm % len(LIGHT), SYMBOLS[arm % len(SYMBOLS)], dashes[arm % len(dashes)])


def visible(text: object) -> str:
    """Text without control characters, which files and pages cannot hold.

    >>> visible("a\\x00b")
    'a b'
    """
    return "".join(" " if unicodedata.category(c) in ("Cc", "Cs") else c for c in str(text))
