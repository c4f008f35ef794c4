"""One picture of all corpora's labels: the plane, and which corpus has which word and scale."""

from __future__ import annotations

import os
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affectrum.errors import ConfigError
from affectrum.report.style import INK, MUTED, figure, method_colours, to_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from affectrum.affect import LabelPlace

__all__ = ["FORMATS", "draw_labels", "write_labels"]

FORMATS = (".png", ".svg", ".html")
"""Endings of files that `write_labels` writes."""

_AXES = ("valence", "arousal", "dominance")
# Half the height of a line of letters and the width of one letter, in units of the plane.
_LINE, _LETTER = 0.033, 0.0195


def draw_labels(places: Sequence[LabelPlace], table: str) -> Figure:
    """Draw the labels of corpora: left the plane, right who has which word and which scale.

    Parameters
    ----------
    places : sequence of LabelPlace
        As `affectrum.affect.label_space` returns them.
    table : str
        Name of the table that placed the words, for the title.

    Returns
    -------
    Figure
        A drawing in inches that depend on the number of corpora.

    Raises
    ------
    ConfigError
        If there is no place.
    """
    if not places:
        raise ConfigError("There are no labels to draw; name at least one corpus.")
    corpora = list(dict.fromkeys(place.corpus for place in places))
    width = 8.2 + 0.6 + 0.34 * len(corpora) + 1.3
    with figure(width, 8.2, simulated=False, columns=2, width_ratios=[8.2, width - 8.2]) as (
        drawing,
        axes,
    ):
        _draw_plane(axes[0, 0], places, table)
        _draw_matrix(axes[0, 1], places, corpora)
    return drawing


def _draw_plane(axes: Axes, places: Sequence[LabelPlace], table: str) -> None:
    axes.set(xlim=(-1.05, 1.05), ylim=(-1.05, 1.05), aspect="equal")
    axes.set_xlabel("valence (-1 unpleasant, 1 pleasant)")
    axes.set_ylabel("arousal (-1 calm, 1 excited)")
    axes.set_title(f"words by the table '{table}', clips by published mean ratings")
    for line in (axes.axhline, axes.axvline):
        line(0, color=MUTED, linewidth=0.8)
    clips = [place for place in places if place.kind == "clip" and place.placed]
    colours = method_colours(list(dict.fromkeys(place.corpus for place in clips)))
    for corpus, colour in colours.items():
        mine = [place for place in clips if place.corpus == corpus]
        axes.scatter(
            [place.valence for place in mine],
            [place.arousal for place in mine],
            s=16,
            color=colour,
            alpha=0.6,
            linewidths=0,
            label=f"clips of {corpus} ({len(mine)})",
        )
    groups: dict[tuple[float, float], list[str]] = {}
    for place in places:
        if place.kind == "word" and place.placed:
            point = (round(place.valence, 3), round(place.arousal, 3))
            names = groups.setdefault(point, [])
            if place.name not in names:
                names.append(place.name)
    if groups:
        x, y = zip(*groups, strict=True)
        axes.scatter(x, y, s=34, color=INK, zorder=3, label="emotion words")
        _write_names(axes, groups, [(place.valence, place.arousal) for place in clips])
    if groups or clips:
        axes.legend(loc="lower left", fontsize=8)


def _write_names(
    axes: Axes,
    groups: dict[tuple[float, float], list[str]],
    clips: Sequence[tuple[float, float]],
) -> None:
    """Write each name where no other name or point is, the nearest free place first."""
    boxes = [(x - 0.02, x + 0.02, y - 0.02, y + 0.02) for x, y in (*groups, *clips)]
    # words with few neighbours leave the others no choice: begin with the crowded ones
    crowd = {
        point: sum(abs(point[0] - x) < 0.4 and abs(point[1] - y) < 0.2 for x, y in groups)
        for point in groups
    }
    for point in sorted(groups, key=lambda point: -crowd[point]):
        text = ", ".join(groups[point])
        half = _LETTER * len(text) / 2
        for dx, dy in _offsets(half):
            x, y = point[0] + dx, point[1] + dy
            box = (x - half, x + half, y - _LINE, y + _LINE)
            inside = max(abs(x) + half, abs(y) + _LINE) < 1.04
            if inside and not any(_overlap(box, other) for other in boxes):
                break
        boxes.append(box)
        far = abs(dy) > 0.09
        axes.annotate(
            text,
            point,
            xytext=(x, y),
            ha="center",
            va="center",
            fontsize=9,
            zorder=4,
            arrowprops={"arrowstyle": "-", "color": MUTED, "lw": 0.6} if far else None,
        )


def _offsets(half: float) -> list[tuple[float, float]]:
    found = [(0.0, 0.065), (half + 0.04, 0.0), (-half - 0.04, 0.0), (0.0, -0.065)]
    for distance in (0.13, 0.19, 0.25, 0.31, 0.4):
        for dx in (0.0, half, -half, half + 0.1, -half - 0.1):
            found += [(dx, distance), (dx, -distance)]
    return found


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[1] and b[0] < a[1] and a[2] < b[3] and b[2] < a[3]


def _draw_matrix(axes: Axes, places: Sequence[LabelPlace], corpora: Sequence[str]) -> None:
    words = [place for place in places if place.kind == "word"]
    order: dict[str, float] = {}
    for place in words:
        order.setdefault(place.name, place.valence if place.placed else float("inf"))
    names = sorted(order, key=lambda name: (order[name], name))
    rows = [*names, *(f"rated {axis}" for axis in _AXES)]
    column = {corpus: number for number, corpus in enumerate(corpora)}
    row = {name: number for number, name in enumerate(rows)}
    for placed, face in ((True, INK), (False, "none")):
        mine = [place for place in words if place.placed == placed]
        if mine:
            axes.scatter(
                [column[place.corpus] for place in mine],
                [row[place.name] for place in mine],
                s=[22 + 2.2 * min(place.n_clips, 20) for place in mine],
                facecolor=face,
                edgecolor=INK,
                linewidths=0.9,
                label="has a place (size: clips)" if placed else "the table has no such word",
            )
    for place in places:
        if place.kind == "scale":
            low, _, high = place.detail.partition(" ")[0].partition("..")
            where = (column[place.corpus], row[f"rated {place.name}"])
            axes.text(*where, f"{low}–{high}", ha="center", va="center", fontsize=7.5, rotation=60)
    axes.set_xticks(range(len(corpora)), corpora, rotation=60, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(rows)), rows)
    axes.set(xlim=(-0.6, len(corpora) - 0.4), ylim=(len(rows) - 0.4, -0.6))
    axes.set_title("who has which label")
    axes.tick_params(length=0)
    if words:
        options: dict[str, Any] = {"bbox_to_anchor": (0.0, -0.16), "borderaxespad": 0.0}
        axes.legend(loc="upper left", fontsize=8, **options)


def write_labels(places: Sequence[LabelPlace], table: str, out: str | os.PathLike[str]) -> Path:
    """Write the figure of `draw_labels`, as HTML together with its numbers.

    Parameters
    ----------
    places : sequence of LabelPlace
        As `affectrum.affect.label_space` returns them.
    table : str
        Name of the table that placed the words.
    out : path
        A file that ends in .png, .svg or .html.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ConfigError
        If the ending is another one, or there is no place.
    """
    target = Path(out)
    ending = target.suffix.casefold()
    if ending not in FORMATS:
        raise ConfigError(
            f"Invalid value for 'out': {str(target)!r}. The file must end in {', '.join(FORMATS)}."
        )
    drawing = draw_labels(places, table)
    target.parent.mkdir(parents=True, exist_ok=True)
    if ending == ".png":
        drawing.savefig(target, dpi=130, metadata={"Software": None})
    else:
        text = to_svg(drawing)
        if ending == ".html":
            text = _page(places, table, text)
        else:
            head, tail = text.split(">", 1)
            names = 'xmlns="http://www.w3.org/2000/svg"'
            text = (head if "xmlns=" in head else f"{head} {names}") + ">" + tail
        target.write_text(text, encoding="utf-8")
    return target


def _page(places: Sequence[LabelPlace], table: str, svg: str) -> str:
    def number(value: float) -> str:
        return f"{value:.3f}" if value == value else "–"

    rows = "\n".join(
        "<tr>"
        + "".join(
            f"<td>{escape(str(cell))}</td>"
            for cell in (
                place.corpus,
                place.kind,
                place.name,
                number(place.valence),
                number(place.arousal),
                place.n_clips or "–",
                place.detail,
            )
        )
        + "</tr>"
        for place in places
    )
    title = f"Labels of all corpora, table {escape(table)}"
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        "<style>body{font:15px sans-serif;margin:2em;color:#1d2733}svg{width:100%;height:auto}"
        "table{border-collapse:collapse}td,th{padding:.2em .7em;text-align:left;"
        f"border-bottom:1px solid #e3e7ec}}</style><h1>{title}</h1>{svg}"
        "<table><tr><th>corpus<th>kind<th>label<th>valence<th>arousal<th>clips<th>from</tr>"
        f"{rows}</table></html>"
    )
