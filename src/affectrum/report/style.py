"""One look for all figures: sizes, colours, the mark of simulated data, and SVG for a page."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["INK", "MUTED", "figure", "method_colours", "to_png_uri", "to_svg"]

INK = "#1d2733"
MUTED = "#6b7785"
GRID = "#e3e7ec"

# Okabe and Ito's set for colour-blind readers (2008), reordered so that the first ones differ most
# in lightness too and a black-and-white print stays readable.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a6d00", "#56b4e9", "#444444", "#e69f00")

_RC: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "svg.fonttype": "path",
    "svg.hashsalt": "affectrum",
    "figure.dpi": 110,
}


@contextmanager
def figure(
    width: float,
    height: float,
    *,
    simulated: bool,
    rows: int = 1,
    columns: int = 1,
    **options: Any,
) -> Iterator[tuple[Figure, Any]]:
    """Give a figure in the house style, drawn without a display and closed afterwards.

    Parameters
    ----------
    width, height : float
        Size in inches.
    simulated : bool
        Whether any of the data is simulated: then the figure carries the mark.
    rows, columns : int
        Panels.
    **options
        Passed to ``Figure.subplots``.

    Yields
    ------
    figure : Figure
    axes : ndarray of Axes, shape (rows, columns)
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_RC):
        drawing = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(drawing)
        axes = drawing.subplots(rows, columns, squeeze=False, **options)
        if simulated:
            drawing.text(
                0.995,
                0.005,
                "SIMULATED DATA",
                ha="right",
                va="bottom",
                fontsize=7,
                color="#b3261e",
                fontweight="bold",
                alpha=0.85,
            )
            # Room for the mark, so that it never stands on an axis label.
            engine: Any = drawing.get_layout_engine()
            engine.set(rect=(0, 0.14 / height, 1, 1 - 0.14 / height))
        yield drawing, axes


def to_svg(drawing: Figure) -> str:
    """Return the figure as an ``<svg>`` element for a page.

    It has no XML header, shrinks to its box and is never drawn larger than it was made, so that
    letters have one size on the whole page.
    """
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context(_RC):
        drawing.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    # A fixed size in points would overflow a phone: the viewBox keeps the shape.
    head, tail = text.split(">", 1)
    head = re.sub(r' (width|height)="[^"]*"', "", head)
    head += f' style="max-width:{drawing.get_figwidth() * 100:.0f}px"'
    return _unique_ids(head + ">" + tail)


_counter = 0


def _unique_ids(svg: str) -> str:
    """Prefix the ids of one figure: several figures share a page, ids must not collide."""
    global _counter
    _counter += 1
    prefix = f"f{_counter}-"
    seen: dict[str, int] = {}

    def rename(match: re.Match[str]) -> str:
        # Matplotlib names an image by its content, so two equal images share a name.
        number = seen[match[1]] = seen.get(match[1], 0) + 1
        return f'id="{prefix}{match[1]}"' if number == 1 else f'id="{prefix}{match[1]}-{number}"'

    svg = re.sub(r'\bid="([^"]+)"', rename, svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}\1)", svg)
    return re.sub(r'xlink:href="#([^"]+)"', rf'xlink:href="#{prefix}\1"', svg)


def to_png_uri(drawing: Figure, *, dpi: int = 150) -> str:
    """Return the figure as a ``data:`` address (for images with thousands of points)."""
    buffer = io.BytesIO()
    drawing.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def method_colours(methods: Sequence[str]) -> dict[str, str]:
    """Give each method one colour for the whole report.

    Parameters
    ----------
    methods : sequence of str
        Names in the order in which they are shown; after eight the colours repeat.

    Returns
    -------
    dict
        Name to colour.
    """
    return {name: _COLOURS[index % len(_COLOURS)] for index, name in enumerate(methods)}
