"""The figure of the card: a score and its controls on one axis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from affectrum.report.style import INK, MUTED, figure, to_svg

if TYPE_CHECKING:
    from affectrum.evaluation.card import DecodeCard

__all__ = ["decode_figure"]

_SCORE = "#0072b2"
_NULL = "#d55e00"
_PROBE = "#cc79a7"


def decode_figure(card: DecodeCard, *, simulated: bool, label: str = "balanced accuracy") -> str:
    """Draw a card.

    Parameters
    ----------
    card : DecodeCard
        From `affectrum.evaluation.decode_card`.
    simulated : bool
        Marks the figure.
    label : str
        Name of the score.

    Returns
    -------
    str
        An ``<svg>`` element.
    """
    rows = card.rows
    with figure(7.4, 0.9 + 0.34 * len(rows), simulated=simulated) as (drawing, axes):
        ax = axes[0, 0]
        for place, row in enumerate(rows):
            colour = (
                _SCORE
                if row.name == "score"
                else _NULL
                if row.name.startswith("labels-by")
                else _PROBE
                if row.name in ("clip-probe", "film-probe")
                else MUTED
            )
            # The chance of this line's own classes, as a band behind it.
            ax.fill_between(
                [row.chance_low, row.chance_high],
                place - 0.38,
                place + 0.38,
                color=MUTED,
                alpha=0.16,
                lw=0,
            )
            ax.plot([row.chance] * 2, [place - 0.38, place + 0.38], color=MUTED, lw=1, ls="--")
            if row.low == row.low and row.high == row.high:
                ax.plot([row.low, row.high], [place] * 2, color=colour, lw=2.2, alpha=0.6)
            ax.plot([row.value], [place], "o", color=colour, ms=6.5, mec="white", mew=0.8)
            ax.text(
                1.015,
                place,
                f"{100 * row.value:.1f}",
                transform=ax.get_yaxis_transform(),
                va="center",
                fontsize=8,
                color=INK,
            )
        if rows:
            ax.axvline(rows[0].value, color=_SCORE, lw=0.8, alpha=0.5)
        ax.set_yticks(range(len(rows)), [row.title for row in rows])
        ax.set_ylim(len(rows) - 0.4, -0.6)
        ax.set_xlim(0, 1)
        ax.set_xlabel(f"{label}\nbar: 95 % interval, grey: chance of the line's own classes")
        ax.grid(axis="y", visible=False)
        return to_svg(drawing)
