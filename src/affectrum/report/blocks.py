"""The pieces a page is made of. Text is escaped by the template; only figures are inserted raw."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Cell", "Row", "Section", "cards", "details", "figure", "heading", "listing"]
__all__ += ["table", "tag", "text"]

Block = dict[str, Any]


@dataclass
class Section:
    """One section of a page: an anchor, a title, a short title for the menu, and its blocks."""

    id: str
    title: str
    short: str
    blocks: list[Block] = field(default_factory=list)


@dataclass
class Cell:
    """One cell of a table: its text, a smaller second line, and tags."""

    text: str
    sub: str = ""
    tags: Sequence[dict[str, Any]] = ()


@dataclass
class Row:
    """One row of a table; `best` is drawn stronger."""

    cells: Sequence[Cell]
    best: bool = False


def text(words: str, *, note: bool = False) -> Block:
    """Return a paragraph."""
    return {"kind": "text", "text": words, "note": note}


def heading(words: str) -> Block:
    """Return a heading inside a section."""
    return {"kind": "heading", "text": words}


def listing(items: Iterable[str]) -> Block:
    """Return a bulleted list."""
    return {"kind": "list", "entries": list(items)}


def cards(items: Iterable[tuple[str, str]]) -> Block:
    """Return a row of (value, label) cards."""
    return {"kind": "cards", "entries": [{"value": v, "label": label} for v, label in items]}


def tag(words: str, *, alarm: bool = False) -> dict[str, Any]:
    """Return a small label inside a table cell."""
    return {"text": words, "alarm": alarm}


def figure(svg: str, caption: str, alt: str) -> Block:
    """Return a figure with its caption and a description for readers who don't see it."""
    from markupsafe import Markup

    return {"kind": "figure", "svg": Markup(svg), "caption": caption, "alt": alt}


def table(columns: Sequence[str], rows: Iterable[Row], caption: str = "") -> Block:
    """Return a table; a column whose name starts with ``#`` holds numbers."""
    return {
        "kind": "table",
        "caption": caption,
        "columns": [{"name": c.removeprefix("#"), "number": c.startswith("#")} for c in columns],
        "rows": list(rows),
    }


def details(summary: str, words: str) -> Block:
    """Return a part that opens on demand, in a fixed-width font."""
    return {"kind": "details", "summary": summary, "text": words}
