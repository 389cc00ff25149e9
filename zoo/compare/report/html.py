"""Pieces of a page in which every text is escaped unless it is `Html`."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Sequence
from typing import Any

from zoo.compare.report.style import visible

LONG = 32  # characters of a cell that stays on one line


class Html(str):
    """Text that is HTML already."""


def esc(text: object) -> Html:
    """Text as HTML.

    >>> esc("<b>"), esc(Html("<b>"))
    ('&lt;b&gt;', '<b>')
    """
    return text if isinstance(text, Html) else Html(html.escape(visible(text)))


def name(text: object) -> Html:
    """Text from a user, whose direction of writing leaves its neighbours alone."""
    return Html(f"<bdi>{esc(text)}</bdi>")


def join(parts: Iterable[object], between: str = "") -> Html:
    """Pieces in a row."""
    return Html(between.join(esc(part) for part in parts))


def tag(kind: str, content: object, **attributes: object) -> Html:
    """An element; `class_` stands for `class`, `aria_label` for `aria-label`."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{esc(value)}"' for key, value in attributes.items()
    )
    return Html(f"<{kind}{given}>{esc(content)}</{kind}>")


def items(entries: Iterable[object]) -> Html:
    """A list."""
    return tag("ul", join(tag("li", entry) for entry in entries))


def details(summary: object, content: object) -> Html:
    """Something that opens on demand."""
    return tag("details", join([tag("summary", summary), content]))


def cell(content: object, kind: str = "td", **attributes: object) -> Html:
    """A cell of a table; long text is broken."""
    if isinstance(content, Html):
        return tag(kind, content, **attributes)
    if len(str(content)) > LONG:
        attributes["class_"] = "long"
    return tag(kind, name(content), **attributes)


def table(caption: object, head: Sequence[object], rows: Iterable[Sequence[object]]) -> Html:
    """A table that scrolls on its own; the first cell of a row is its heading."""
    top = tag("tr", join(tag("th", title, scope="col") for title in head))
    body = join(
        tag("tr", join([cell(row[0], "th", scope="row"), *map(cell, row[1:])])) for row in rows
    )
    content = [tag("caption", caption), tag("thead", top), tag("tbody", body)]
    whole = tag("table", join(content))
    label = "table" if isinstance(caption, Html) else caption
    return tag("div", whole, class_="scroll", role="region", aria_label=label, tabindex=0)


def data(value: Any) -> str:
    """JSON that may stand inside a script element."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text
