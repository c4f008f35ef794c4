"""Figures of statistics: differences, critical differences, variance, prediction sets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from affectrum.evaluation import CriticalDifference
from affectrum.report.style import INK, MUTED, figure, to_svg

__all__ = ["critical_difference", "difference_forest", "set_coverage", "variance_bars"]

# Parts of the variance, in the order of the bars, with their colours (Okabe and Ito).
_PARTS = {
    "subject": ("#0072b2", "subject"),
    "clip": ("#e69f00", "clip"),
    "subject x clip": ("#56b4e9", "subject and clip together"),
    "seed": ("#d55e00", "seed"),
    "rest": ("#b9c1ca", "seed with subject or clip, noise"),
}


def critical_difference(
    found: CriticalDifference, colours: Mapping[str, str], *, simulated: bool
) -> str:
    """Draw mean ranks on a line; a bar joins methods that are not told apart.

    Parameters
    ----------
    found : CriticalDifference
        From `affectrum.evaluation.critical_difference`.
    colours : mapping of str to str
        Colour of each method.
    simulated : bool
        Marks the figure.

    Returns
    -------
    str
        An ``<svg>`` element.
    """
    names = list(found.mean_ranks)
    ranks = [found.mean_ranks[name] for name in names]
    k = len(names)
    half = -(-k // 2)
    bars = [
        (found.mean_ranks[group[0]], found.mean_ranks[group[-1]])
        for group in (found.groups if found.friedman.p_value < found.alpha else [tuple(names)])
    ]
    first_label = -0.55 - 0.28 * len(bars)
    bottom = first_label - 0.42 * (half - 1) - 0.35
    with figure(7.2, 0.75 + 0.52 * (1.1 - bottom) * 0.62, simulated=simulated) as (drawing, axes):
        ax = axes[0, 0]
        ax.plot([1, k], [0, 0], color=INK, lw=1.2)
        for tick in range(1, k + 1):
            ax.plot([tick, tick], [0, 0.1], color=INK, lw=1)
            ax.text(tick, 0.16, str(tick), ha="center", va="bottom", fontsize=8)
        # The ruler may be longer than the line: then no two methods could be told apart.
        shown = min(found.difference, k - 1.0)
        ax.plot([1, 1 + shown], [0.78, 0.78], color=MUTED, lw=2, solid_capstyle="butt")
        longer = " (longer than the line)" if found.difference > k - 1 else ""
        ax.text(
            1 + shown + 0.03 * (k - 1),
            0.78,
            f"critical difference {found.difference:.2f}{longer}",
            va="center",
            fontsize=8,
            color=MUTED,
        )
        for number, (low, high) in enumerate(bars):
            y = -0.3 - 0.28 * number
            margin = 0.012 * (k - 1)
            ax.plot(
                [low - margin, high + margin], [y, y], color=INK, lw=3.2, solid_capstyle="round"
            )
        side = 0.10 * (k - 1)
        for number, (name, rank) in enumerate(zip(names, ranks, strict=True)):
            left = number < half
            y = first_label - 0.42 * (number if left else k - 1 - number)
            end = 1 - side if left else k + side
            colour = colours.get(name, INK)
            ax.plot([rank, rank, end], [0, y, y], color=colour, lw=1.3)
            ax.plot([rank], [0], "o", ms=5, color=colour, mec="white", mew=0.7, zorder=3)
            ax.text(
                end + (-0.02 if left else 0.02) * (k - 1),
                y,
                f"{name}  {rank:.2f}" if left else f"{rank:.2f}  {name}",
                ha="right" if left else "left",
                va="center",
                fontsize=8.5,
            )
        ax.set_xlim(1 - 0.62 * (k - 1), k + 0.62 * (k - 1))
        ax.set_ylim(bottom, 1.1)
        ax.axis("off")
        return to_svg(drawing)


def difference_forest(pairs: pd.DataFrame, *, simulated: bool) -> str:
    """Draw the difference of each pair of methods with its interval and what could be found.

    Parameters
    ----------
    pairs : DataFrame
        From `affectrum.evaluation.compare_predictions`, in the order of drawing.
    simulated : bool
        Marks the figure.

    Returns
    -------
    str
        An ``<svg>`` element. Filled dots are supported; the grey band holds true differences that
        the design would find with less than 80 % power.
    """
    n = len(pairs)
    with figure(7.2, 1.05 + 0.3 * n, simulated=simulated) as (drawing, axes):
        ax = axes[0, 0]
        for row, pair in enumerate(pairs.to_dict(orient="records")):
            limit = float(pair["detectable"])
            if np.isfinite(limit):
                ax.barh(row, 2 * limit, left=-limit, height=0.62, color="#e9edf1", lw=0)
            low, high, value = (float(pair[key]) for key in ("low", "high", "difference"))
            if np.isfinite(low) and np.isfinite(high):
                ax.plot([low, high], [row, row], color=INK, lw=1.6, solid_capstyle="butt")
            face = INK if pair["supported"] else "white"
            ax.plot([value], [row], "o", ms=6, color=face, mec=INK, mew=1.3)
        ax.axvline(0, color=MUTED, lw=1, ls="--")
        labels = [f"{a} − {b}" for a, b in zip(pairs["first"], pairs["second"], strict=True)]
        ax.set_yticks(range(n), labels, fontsize=8)
        ax.set_ylim(n - 0.4, -0.6)
        ax.set_xlabel(
            "difference in balanced accuracy (filled: supported; grey: too small to find)"
        )
        ax.grid(axis="y", visible=False)
        return to_svg(drawing)


def variance_bars(components: Mapping[str, pd.DataFrame], *, simulated: bool) -> str:
    """Draw where a method's accuracy varies: subjects, clips, seeds, the rest.

    Parameters
    ----------
    components : mapping of str to DataFrame
        Per method the table of `affectrum.evaluation.score_components`, not empty.
    simulated : bool
        Marks the figure.

    Returns
    -------
    str
        An ``<svg>`` element.
    """
    names = list(components)
    with figure(7.2, 1.35 + 0.32 * len(names), simulated=simulated) as (drawing, axes):
        ax = axes[0, 0]
        left = np.zeros(len(names))
        values = [_parts(components[name]) for name in names]
        for part, (colour, label) in _PARTS.items():
            share = np.array([found.get(part, 0.0) for found in values])
            if share.max() < 1e-6:
                continue
            ax.barh(range(len(names)), share, left=left, height=0.62, color=colour, label=label)
            for row, (start, width) in enumerate(zip(left, share, strict=True)):
                if width >= 0.07:
                    ax.text(
                        start + width / 2,
                        row,
                        f"{100 * width:.0f}",
                        ha="center",
                        va="center",
                        fontsize=7.5,
                        color="white" if part in ("subject", "seed") else INK,
                    )
            left += share
        ax.set_yticks(range(len(names)), names)
        ax.set_ylim(len(names) - 0.5, -0.5)
        ax.set_xlim(0, 1)
        ax.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "25", "50", "75", "100 %"])
        ax.set_xlabel("share of the variance of accuracy per subject, clip and seed")
        ax.grid(axis="y", visible=False)
        drawing.legend(loc="outside upper left", fontsize=8, ncols=3)
        return to_svg(drawing)


def _parts(table: pd.DataFrame) -> dict[str, float]:
    """Shares by the parts that are drawn; without seeds, subject and clip together is noise too."""
    shares = dict(zip(table["component"].astype(str), table["share"].astype(float), strict=True))
    out: dict[str, float] = {
        part: shares.pop(part) for part in _PARTS if part != "rest" and part in shares
    }
    out["rest"] = float(sum(shares.values()))
    return out


def set_coverage(
    subjects: Mapping[str, pd.DataFrame],
    coverage: float,
    n_classes: int,
    colours: Mapping[str, str],
    *,
    simulated: bool,
) -> str:
    """Draw for each subject how often the sets hold the truth, and how large they are.

    Parameters
    ----------
    subjects : mapping of str to DataFrame
        Per method ``ConformalSets.subjects``.
    coverage : float
        What was promised, drawn as a line.
    n_classes : int
        The largest size.
    colours : mapping of str to str
        Colour of each method.
    simulated : bool
        Marks the figure.

    Returns
    -------
    str
        An ``<svg>`` element.
    """
    names = list(subjects)
    options: dict[str, Any] = {"sharey": True}
    with figure(
        7.2, 0.95 + 0.34 * len(names), simulated=simulated, columns=2, **options
    ) as (drawing, axes):  # fmt: skip
        panels = zip(axes[0], ("coverage", "size"), strict=True)
        for ax, column in panels:
            for row, name in enumerate(names):
                values = subjects[name][column].to_numpy(dtype=float)
                # A fixed spread instead of random jitter: the same run draws the same picture.
                offset = 0.24 * (((np.arange(len(values)) * 0.618) % 1.0) - 0.5)
                ax.plot(values, row + offset, "o", ms=4, color=colours[name], alpha=0.5, mec="none")
                ax.plot([values.mean()], [row], "D", ms=5.5, color=INK, mec="white", mew=0.8)
            ax.grid(axis="y", visible=False)
        axes[0, 0].axvline(coverage, color=MUTED, lw=1, ls="--")
        axes[0, 0].set_xlim(-0.02, 1.03)
        axes[0, 0].set_xlabel(f"share of sets with the truth (promised {100 * coverage:.0f} %)")
        axes[0, 1].set_xlim(-0.05, n_classes + 0.1)
        axes[0, 1].set_xticks(range(n_classes + 1))
        axes[0, 1].set_xlabel("mean classes in a set")
        axes[0, 0].set_yticks(range(len(names)), names)
        axes[0, 0].set_ylim(len(names) - 0.4, -0.6)
        return to_svg(drawing)
