"""A page that needs nothing else: no network, no other file.

Every text is escaped; `bdi` isolates a text from a user, so that its direction of writing does not
spread to its neighbours. A policy in the page forbids every request, and every script but those
that are in it.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import unicodedata
from importlib.resources import files
from typing import TYPE_CHECKING

from markupsafe import Markup

from zoo.probes.plots import COLORS

if TYPE_CHECKING:
    from jinja2 import Environment

LIGHT = COLORS
# lightened for a dark page; contrast over 3
DARK = ("#c9c9c9", "#56b4e9", "#ff8a4c", "#2fc79a", "#e39ac9", "#e6c229", "#8fb8ff")


@functools.cache
def templates(package: str) -> Environment:
    """The templates in the folder of a package, and those that all pages share, compiled once.

    Args:
        package: its dotted name.
    """
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=ChoiceLoader([PackageLoader(package, ""), PackageLoader("zoo.html", "")]),
        autoescape=True,
        finalize=lambda value: value if isinstance(value, Markup) else visible(value),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    made.filters |= {"bdi": bdi}
    return made


def bdi(text: object) -> Markup:
    """A text in HTML that keeps its direction of writing from its neighbours.

    >>> bdi("<b>")
    Markup('<bdi>&lt;b&gt;</bdi>')
    """
    return Markup("<bdi>{}</bdi>").format(text if isinstance(text, Markup) else visible(text))


def visible(text: object) -> str:
    """Text without control characters, which files and pages cannot hold.

    >>> visible("a\\x00b")
    'a b'
    """
    return "".join(" " if unicodedata.category(c) in ("Cc", "Cs") else c for c in str(text))


def text_of(package: str, file: str) -> str:
    """The text of a file in the folder of a package."""
    return files(package).joinpath(file).read_text(encoding="utf-8")


def script() -> str:
    """The script of all pages: the choice of a scheme of colours, and buttons that copy."""
    return text_of("zoo.html", "base.js")


def style() -> str:
    """The style of all pages, with the colours of lines in both schemes: `--arm0` and so on."""
    schemes = {":root": LIGHT, ':root[data-scheme="dark"]': DARK}
    colors = "".join(
        f"{selector}{{{''.join(f'--arm{i}:{c};' for i, c in enumerate(colors))}}}\n"
        for selector, colors in schemes.items()
    )
    return colors + text_of("zoo.html", "base.css")


def policy(*scripts: str) -> str:
    """The content security policy: no request, and no script but these."""
    digests = (base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts)
    names = " ".join(f"'sha256-{digest}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {names}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )
