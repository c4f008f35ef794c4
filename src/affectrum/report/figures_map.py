"""Figures over many tasks: the transfer matrix, and ranks with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affectrum.report.style import INK, MUTED, figure, to_svg

__all__ = ["rank_plot", "transfer_matrix"]

_EMPTY = "#eef1f4"


def transfer_matrix(
    grids: Mapping[str, NDArray[np.float64]],
    rows: Sequence[str],
    columns: Sequence[tuple[str, str]],
    *,
    simulated: bool,
) -> str:
    """Draw scores of every training corpus on every tested one.

    With several rows each method has a panel; with one row (a protocol inside one corpus, or one
    corpus left out) methods are the rows of one panel.

    Parameters
    ----------
    grids : mapping of str to ndarray, shape (n_rows, n_columns, 5)
        Per method: score, ends of its interval, score of a guess, upper end of the chance interval.
    rows : sequence of str
        What trains.
    columns : sequence of (str, str)
        What is tested, and a smaller second line.
    simulated : bool
        Marks the figure.

    Returns
    -------
    str
        An ``<svg>`` element. Colour: how far a score lies from a guess (white) to all right, so
        that columns with different numbers of classes can be looked at together. Scores inside
        the chance interval are grey.
    """
    if len(rows) == 1:
        joined = np.stack([grid[0] for grid in grids.values()])
        panels = {rows[0]: joined}
        names = [list(grids)]
        across = 1
    else:
        panels = dict(grids)
        names = [list(rows)] * len(grids)
        across = 1 if len(columns) > 5 or len(grids) == 1 else 2
    down = -(-len(panels) // across)
    label_width = 0.085 * max(len(text) for group in names for text in group) + 0.2
    width = (label_width + 0.98 * len(columns)) * across + 0.9
    height = max(len(group) for group in names) * 0.5 + 0.95
    with figure(
        min(max(width, 4.2), 12.0), height * down + 0.2, simulated=simulated, rows=down,
        columns=across,
    ) as (drawing, axes):  # fmt: skip
        image: Any = None
        for index, ax in enumerate(axes.flat):
            if index >= len(panels):
                ax.axis("off")
                continue
            title = list(panels)[index]
            image = _matrix(ax, panels[title], names[index], columns)
            ax.set_title(title if len(rows) > 1 else f"trained on: {title}", fontsize=9)
        if image is not None:
            bar = drawing.colorbar(image, ax=axes, shrink=0.9 / down, aspect=14, pad=0.02)
            bar.set_ticks([-0.5, 0, 0.5, 1])
            bar.set_ticklabels(["below", "guess", "half way", "all right"], fontsize=7)
            bar.outline.set_visible(False)
        return to_svg(drawing)


def _matrix(
    axes: Any, grid: NDArray[np.float64], rows: Sequence[str], columns: Sequence[tuple[str, str]]
) -> Any:
    from matplotlib.colors import TwoSlopeNorm

    score, low, high, guess, ceiling = np.moveaxis(grid, 2, 0)
    skill = (score - guess) / (1 - guess)
    axes.set_facecolor(_EMPTY)
    shades = np.ma.masked_invalid(skill)
    image = axes.imshow(
        shades, cmap="RdBu", norm=TwoSlopeNorm(0.0, vmin=-0.5, vmax=1.0), aspect="auto"
    )
    for i, j in np.ndindex(score.shape):
        if not np.isfinite(score[i, j]):
            axes.text(j, i, "–", ha="center", va="center", fontsize=9, color=MUTED)
            continue
        above = score[i, j] > ceiling[i, j]
        dark = skill[i, j] > 0.62 or skill[i, j] < -0.32
        ink = "white" if dark else (INK if above else "#707a86")
        axes.text(
            j, i - 0.12, f"{100 * score[i, j]:.1f}", ha="center", va="center", fontsize=9,
            color=ink, fontweight="bold" if above else "normal",
            fontstyle="normal" if above else "italic",
        )  # fmt: skip
        axes.text(
            j, i + 0.24, f"{100 * low[i, j]:.0f}–{100 * high[i, j]:.0f}", ha="center",
            va="center", fontsize=6.5, color=ink,
        )  # fmt: skip
    axes.set_yticks(range(len(rows)), rows, fontsize=8)
    axes.set_xticks(
        range(len(columns)),
        [name + (f"\n{_wrap(sub)}" if sub else "") for name, sub in columns],
        fontsize=7,
    )
    axes.tick_params(length=0)
    axes.grid(visible=False)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.set_xticks(np.arange(0.5, len(columns) - 1), minor=True)
    axes.set_yticks(np.arange(0.5, len(rows) - 1), minor=True)
    axes.grid(which="minor", color="white", linewidth=2, visible=True)
    axes.tick_params(which="minor", length=0)
    return image


def _wrap(text: str, width: int = 16) -> str:
    """Break at commas, so that labels of neighbouring columns don't touch."""
    lines: list[str] = []
    for part in text.split(", "):
        if lines and len(lines[-1]) + len(part) + 2 <= width:
            lines[-1] += f", {part}"
        else:
            lines.append(part)
    return "\n".join(lines)


def rank_plot(ranks: pd.DataFrame, colours: Mapping[str, str], *, simulated: bool) -> str:
    """Draw mean ranks with intervals, best on top.

    Parameters
    ----------
    ranks : DataFrame
        From `affectrum.evaluation.rank_intervals`.
    colours : mapping of str to str
        Colour of each method.
    simulated : bool
        Marks the figure.

    Returns
    -------
    str
        An ``<svg>`` element.
    """
    n = len(ranks)
    with figure(7.2, 0.85 + 0.34 * n, simulated=simulated) as (drawing, axes):
        ax = axes[0, 0]
        means = ranks[["mean_rank", "low", "high", "first_share"]].to_numpy(dtype=np.float64)
        for row, (name, (mean, low, high, first)) in enumerate(
            zip(ranks["method"], means, strict=True)
        ):
            colour = colours[str(name)]
            ax.plot([low, high], [row, row], color=colour, lw=3, alpha=0.45)
            ax.plot([mean], [row], "o", ms=7, color=colour, mec="white", mew=0.8)
            ax.text(
                n + 0.12, row, f"best in {100 * first:.0f} %", va="center", fontsize=8, color=MUTED
            )  # fmt: skip
        ax.set_yticks(range(n), list(ranks["method"]))
        ax.set_ylim(n - 0.5, -0.5)
        ax.set_xlim(0.85, n + 0.1)
        ax.set_xticks(range(1, n + 1))
        ax.set_xlabel("mean rank over the tasks (1 is best; bar: 95 % of resamples)")
        ax.grid(axis="y", visible=False)
        return to_svg(drawing)
