"""Figures of a reproduction. Each takes plain numbers and returns an ``<svg>`` element."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from affectrum.report.style import INK, MUTED, figure, method_colours, to_svg

__all__ = ["ablation_bars", "sweep_panels", "transfer_dots", "waterfall_bars"]

_LOSS, _GAIN, _TOTAL = "#d55e00", "#009e73", "#0072b2"


def waterfall_bars(
    labels: Sequence[str],
    scores: Sequence[float],
    intervals: Sequence[tuple[float, float]],
    *,
    chance: float,
    simulated: bool,
) -> str:
    """Draw how a score falls from a published protocol to a strict one.

    Parameters
    ----------
    labels : sequence of str
        The start, then the factor that each further bar removes.
    scores : sequence of float
        Score after each of them.
    intervals : sequence of (low, high)
        Interval of each difference to the bar before (the first is not drawn).
    chance : float
        Score of a guess, drawn as a line.
    simulated : bool
        Marks the figure.

    Returns
    -------
    str
        An ``<svg>`` element.
    """
    values = 100 * np.asarray(scores, dtype=float)
    n = len(values)
    with figure(7.2, 1.3 + 0.42 * (n + 1), simulated=simulated) as (drawing, axes):
        ax = axes[0, 0]
        ax.barh(0, values[0], color=_TOTAL, height=0.62, alpha=0.85)
        ax.barh(n, values[-1], color=_TOTAL, height=0.62, alpha=0.85)
        texts = [(0, values[0], f"{values[0]:.1f}"), (n, values[-1], f"{values[-1]:.1f}")]
        for row in range(1, n):
            gap = values[row] - values[row - 1]
            ax.barh(
                row,
                gap,
                left=values[row - 1],
                color=_LOSS if gap < 0 else _GAIN,
                height=0.62,
            )
            low, high = (100 * end for end in intervals[row])
            if np.isfinite(low) and np.isfinite(high):
                ends = np.clip([values[row - 1] + low, values[row - 1] + high], 0.0, 100.0)
                ax.plot(ends, [row, row], color=INK, lw=1.2)
            reach = [0.0, gap, *(100 * end for end in intervals[row] if np.isfinite(end))]
            end = values[row - 1] + max(reach)
            texts.append((row, end, f"{gap:+.1f}"))
            ax.plot([values[row - 1]] * 2, [row - 0.69, row + 0.31], color=MUTED, lw=0.7, ls=":")
        ax.plot([values[-1]] * 2, [n - 0.69, n + 0.31], color=MUTED, lw=0.7, ls=":")
        for row, end, text in texts:
            ax.text(min(end, 100.0) + 0.8, row, text, va="center", fontsize=8)
        ax.axvline(100 * chance, color=MUTED, lw=1, ls="--")
        names = [
            labels[0],
            *(f"no {label}" if _is_factor(label) else label for label in labels[1:]),
        ]
        ax.set_yticks(range(n + 1), [*names, "strict"])
        ax.set_ylim(n + 0.6, -0.6)
        ax.set_xlim(0, 108)
        ax.set_xticks(range(0, 101, 20))
        ax.set_xlabel(
            "balanced accuracy, % (line on a step: 95 % interval of the difference; dashed: chance)"
        )
        ax.grid(axis="y", visible=False)
        return to_svg(drawing)


def _is_factor(label: str) -> bool:
    return label in ("oracle selection", "subject overlap", "stimulus overlap", "shipped features")


def transfer_dots(
    groups: Mapping[str, Mapping[str, tuple[float, float, float]]],
    *,
    simulated: bool,
    label: str = "accuracy",
) -> str:
    """Draw last epoch, and best test epoch, of every method on every transfer.

    Parameters
    ----------
    groups : mapping of str to mapping of str to (last, oracle, chance)
        Per transfer and method; NaN where a method has no epochs.
    simulated : bool
        Marks the figure.
    label : str
        Name of the score.

    Returns
    -------
    str
        An ``<svg>`` element.
    """
    names = list(dict.fromkeys(name for methods in groups.values() for name in methods))
    colours = method_colours(names)
    rows = len(groups)
    with figure(7.2, 0.9 + 0.2 * sum(len(m) + 1 for m in groups.values()), simulated=simulated) as (
        drawing,
        axes,
    ):
        ax = axes[0, 0]
        ticks, place = [], 0.0
        drawn: set[str] = set()
        for group, methods in groups.items():
            first = place
            for name, (last, oracle, _) in methods.items():
                if np.isfinite(oracle):
                    ax.plot([100 * last, 100 * oracle], [place] * 2, color=colours[name], lw=1.4)
                    ax.plot(
                        100 * oracle, place, "o", ms=5, color="white", mec=colours[name], mew=1.3
                    )
                ax.plot(
                    100 * last,
                    place,
                    "o",
                    ms=5,
                    color=colours[name],
                    label=None if name in drawn else name,
                )
                drawn.add(name)
                place += 1
            chance = 100 * next(iter(methods.values()))[2]
            ax.plot([chance, chance], [first - 0.4, place - 0.6], color=MUTED, lw=1, ls="--")
            ticks.append(((first + place - 1) / 2, group))
            place += 1
        ax.set_yticks([tick for tick, _ in ticks], [name for _, name in ticks])
        ax.set_ylim(place - 1 + 0.2, -0.8)
        ax.grid(axis="y", visible=False)
        ax.set_xlabel(f"{label}, % (filled: last epoch; open: best test epoch; dashed: chance)")
        if rows:
            drawing.legend(loc="outside upper left", fontsize=7.5, ncols=3)
        return to_svg(drawing)


def ablation_bars(
    labels: Sequence[str],
    gaps: Sequence[float],
    intervals: Sequence[tuple[float, float]],
    supported: Sequence[bool],
    *,
    simulated: bool,
) -> str:
    """Draw what each variant changes.

    Parameters
    ----------
    labels : sequence of str
        Variants.
    gaps : sequence of float
        Variant minus unchanged.
    intervals : sequence of (low, high)
        Intervals of those.
    supported : sequence of bool
        Whether the difference is supported after correction; others are drawn pale.
    simulated : bool
        Marks the figure.

    Returns
    -------
    str
        An ``<svg>`` element.
    """
    with figure(7.2, 0.9 + 0.3 * len(labels), simulated=simulated) as (drawing, axes):
        ax = axes[0, 0]
        for row, (gap, (low, high), sure) in enumerate(
            zip(gaps, intervals, supported, strict=True)
        ):
            ax.plot(
                [100 * low, 100 * high], [row, row], color=INK, lw=1.4, alpha=1 if sure else 0.45
            )
            ax.plot(
                100 * gap,
                row,
                "o",
                ms=6,
                color=(_LOSS if gap < 0 else _GAIN) if sure else "white",
                mec=_LOSS if gap < 0 else _GAIN,
                mew=1.3,
            )
        ax.axvline(0, color=MUTED, lw=1)
        ax.set_yticks(range(len(labels)), labels)
        ax.set_ylim(len(labels) - 0.5, -0.5)
        ax.set_xlabel("points of balanced accuracy against unchanged (filled: supported)")
        ax.grid(axis="y", visible=False)
        return to_svg(drawing)


def sweep_panels(
    sweeps: Mapping[str, Sequence[tuple[Any, float, float, float, bool]]],
    *,
    chance: float,
    simulated: bool,
) -> str:
    """Draw one panel per parameter.

    Parameters
    ----------
    sweeps : mapping of str to sequence of (value, score, low, high, base)
        Per parameter; `base` marks the value that it has while others move.
    chance : float
        Score of a guess.
    simulated : bool
        Marks the figure.

    Returns
    -------
    str
        An ``<svg>`` element.
    """
    names = list(sweeps)
    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    with figure(
        7.4, 0.5 + 2.1 * rows, simulated=simulated, rows=rows, columns=columns, sharey=True
    ) as (drawing, axes):
        for index, ax in enumerate(axes.flat):
            if index >= len(names):
                ax.axis("off")
                continue
            points = sweeps[names[index]]
            at = np.arange(len(points))
            score = np.array([100 * point[1] for point in points])
            low = np.array([100 * point[2] for point in points])
            high = np.array([100 * point[3] for point in points])
            numeric = all(isinstance(point[0], int | float) for point in points)
            ax.errorbar(
                at,
                score,
                yerr=[np.maximum(score - low, 0), np.maximum(high - score, 0)],
                color=_TOTAL,
                marker="o",
                ms=4,
                lw=1.3 if numeric else 0,
                elinewidth=0.9,
            )
            for place, point in zip(at, points, strict=True):
                if point[4]:
                    ax.plot(place, 100 * point[1], "o", ms=8, mfc="none", mec=INK, mew=1.1)
            ax.axhline(100 * chance, color=MUTED, lw=1, ls="--")
            ax.set_xticks(at, [_value(point[0]) for point in points], fontsize=7,
                          rotation=0 if numeric else 20)  # fmt: skip
            ax.set_title(names[index], fontsize=8.5)
            ax.margins(x=0.15)
            if index % columns == 0:
                ax.set_ylabel("balanced accuracy, %", fontsize=8)
        return to_svg(drawing)


def _value(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)
