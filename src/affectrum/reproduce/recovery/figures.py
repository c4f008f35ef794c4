"""The recovery curves as a figure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from affectrum.report.style import INK, MUTED, figure, method_colours, to_svg
from affectrum.reproduce.recovery.plan import ARMS
from affectrum.reproduce.recovery.results import Recovery

__all__ = ["LABELS", "recovery_curves"]

#: Arms in figures and tables.
LABELS: dict[str, str] = {
    "scratch": "from scratch",
    "instance": "instance discrimination",
    "right": "V-A, right table",
    "wrong": "V-A, wrong table",
    "narrow": "V-A, right table, narrow",
    "other": "V-A, other table",
}


def recovery_curves(
    found: Recovery, readout: str = "finetuned", *, png: str | Path | None = None
) -> str:
    """Draw scores, and what right valence and arousal gain, over the planted effect.

    Parameters
    ----------
    found : Recovery
        The study.
    readout : str
        One of `READOUTS`.
    png : path, optional
        Also write the figure there.

    Returns
    -------
    str
        An ``<svg>`` element.
    """
    levels = sorted(found.plan.levels)
    at = {level: place for place, level in enumerate(levels)}
    colours = method_colours(list(ARMS))
    scores, gains = found.scores(readout), found.gains(readout)
    with figure(9.0, 3.6, simulated=True, columns=2) as (drawing, axes):
        ax = axes[0, 0]
        for step, arm in enumerate(found.plan.arms):
            rows = scores[scores["arm"] == arm]
            if not len(rows):
                continue
            shift = 0.07 * (step - (len(found.plan.arms) - 1) / 2)
            x = [at[level] + shift for level in rows["level"]]
            _curve(ax, x, rows, "score", colours[arm], LABELS[arm])
            for level, place in zip(rows["level"], x, strict=True):
                own = [found.score(level, s, arm, readout) for s in found.seeds(level, arm)]
                ax.plot([place] * len(own), 100 * np.array(own), ".", ms=3, color=colours[arm],
                        alpha=0.45)  # fmt: skip
        n_classes = len(next(iter(found.cells.values()))[readout].classes)
        ax.axhline(100 / n_classes, color=MUTED, lw=1, ls="--")
        ax.set_ylabel("balanced accuracy, %")
        ax.set_title("unseen corpus")
        ax.legend(fontsize=7.5)

        ax = axes[0, 1]
        claims = gains[gains["claim"].astype(bool)]
        pairs = list(dict.fromkeys(zip(claims["first"], claims["second"], strict=True)))
        for step, (first, second) in enumerate(pairs):
            rows = claims[(claims["first"] == first) & (claims["second"] == second)]
            shift = 0.1 * (step - (len(pairs) - 1) / 2)
            x = [at[level] + shift for level in rows["level"]]
            _curve(
                ax,
                x,
                rows,
                "difference",
                colours[second],
                f"over {LABELS[second]}",
                filled=(rows["supported"] & (rows["difference"] > 0)).tolist(),
            )
        ax.axhline(0, color=INK, lw=0.8)
        ax.set_ylabel("gain, points")
        ax.set_title("what the right table gains (filled: supported)")
        if pairs:
            ax.legend(fontsize=7.5)
        for ax in axes.flat:
            ax.set_xticks(range(len(levels)), [f"{level:g}" for level in levels])
            ax.set_xlim(-0.5, len(levels) - 0.5)
            ax.set_xlabel("planted effect of valence and arousal")
        if png is not None:
            drawing.savefig(png, dpi=150, metadata={"Software": None})
        return to_svg(drawing)


def _curve(
    ax: Any,
    x: list[float],
    rows: Any,
    column: str,
    colour: str,
    label: str,
    *,
    filled: list[bool] | None = None,
) -> None:
    y = 100 * rows[column].to_numpy()
    ends = 100 * np.array([rows["low"], rows["high"]], dtype=float)
    ax.plot(x, y, color=colour, lw=1.3, label=label)
    for place, low, high in zip(x, *ends, strict=True):
        if np.isfinite(low) and np.isfinite(high):
            ax.plot([place, place], [low, high], color=colour, lw=1)
    for k, place in enumerate(x):
        full = filled is None or filled[k]
        ax.plot(place, y[k], "o", ms=5, color=colour if full else "white", mec=colour, mew=1.2)
