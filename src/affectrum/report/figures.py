"""The report's figures of scores. Each takes plain arrays and returns an ``<svg>`` element."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from affectrum.report.style import INK, MUTED, figure, to_svg

__all__ = [
    "confusion_matrices",
    "epoch_curves",
    "optimism_gap",
    "reliability",
    "subject_strip",
    "trial_curves",
]

FloatArray = NDArray[np.floating]


def subject_strip(
    scores: Mapping[str, FloatArray],
    intervals: Mapping[str, tuple[float, float]],
    colours: Mapping[str, str],
    *,
    chance: float,
    simulated: bool,
    label: str = "balanced accuracy",
) -> str:
    """Draw one dot per subject and method, the mean and its 95 % interval.

    Parameters
    ----------
    scores : mapping of str to ndarray, shape (n_subjects,)
        Score of every subject for each method; NaN is left out.
    intervals : mapping of str to (low, high)
        Interval of the mean.
    colours : mapping of str to str
        Colour of each method.
    chance : float
        Score of a guess, drawn as a line.
    simulated : bool
        Marks the figure.
    label : str
        Name of the score.

    Returns
    -------
    str
        An ``<svg>`` element.
    """
    names = list(scores)
    with figure(7.2, 0.9 + 0.36 * len(names), simulated=simulated) as (drawing, axes):
        ax = axes[0, 0]
        for row, name in enumerate(names):
            values = np.asarray(scores[name], dtype=float)
            values = values[np.isfinite(values)]
            # A fixed spread instead of random jitter: the same run draws the same picture.
            offset = 0.22 * (((np.arange(len(values)) * 0.618) % 1.0) - 0.5)
            ax.plot(values, row + offset, "o", ms=4, color=colours[name], alpha=0.45, mec="none")
            low, high = intervals[name]
            if np.isfinite(low) and np.isfinite(high):
                ax.plot([low, high], [row, row], color=INK, lw=1.6, solid_capstyle="butt")
            if len(values):
                ax.plot([values.mean()], [row], "D", ms=5.5, color=INK, mec="white", mew=0.8)
        ax.axvline(chance, color=MUTED, lw=1, ls="--")
        ax.text(chance, len(names) - 0.42, " chance", color=MUTED, fontsize=8, va="bottom")
        ax.set_yticks(range(len(names)), names)
        ax.set_ylim(len(names) - 0.4, -0.6)
        ax.set_xlabel(f"{label} per subject (diamond: mean, bar: 95 % interval)")
        ax.grid(axis="y", visible=False)
        return to_svg(drawing)


def confusion_matrices(
    matrices: Mapping[str, FloatArray], classes: Sequence[str], *, simulated: bool
) -> str:
    """Draw confusion matrices, each row normalised to the class's own windows.

    Parameters
    ----------
    matrices : mapping of str to ndarray, shape (n_classes, n_classes)
        Counts, rows true and columns predicted, for each method.
    classes : sequence of str
        Names.
    simulated : bool
        Marks the figure.

    Returns
    -------
    str
        An ``<svg>`` element.
    """
    names = list(matrices)
    columns = min(4, len(names))
    rows = -(-len(names) // columns)
    size = 1.75 + 0.12 * max(len(classes) - 3, 0)
    with figure(
        size * columns + 0.6, (size + 0.75) * rows, simulated=simulated, rows=rows, columns=columns
    ) as (drawing, axes):
        for index, ax in enumerate(axes.flat):
            if index >= len(names):
                ax.axis("off")
                continue
            counts = np.asarray(matrices[names[index]], dtype=float)
            total = counts.sum(axis=1, keepdims=True)
            share = np.divide(counts, total, out=np.zeros_like(counts), where=total > 0)
            ax.imshow(share, vmin=0, vmax=1, cmap="Blues")
            for i in range(len(classes)):
                for j in range(len(classes)):
                    ax.text(
                        j,
                        i,
                        f"{100 * share[i, j]:.0f}",
                        ha="center",
                        va="center",
                        fontsize=8,
                        color="white" if share[i, j] > 0.55 else INK,
                    )
            ax.set_title(names[index].replace(" [", "\n["), fontsize=8.5)
            ax.set_xticks(range(len(classes)), classes, rotation=30, ha="right", fontsize=7)
            ax.set_yticks(
                range(len(classes)), classes if index % columns == 0 else [""] * len(classes),
                fontsize=7,
            )  # fmt: skip
            ax.grid(visible=False)
            ax.tick_params(length=0)
            if index % columns == 0:
                ax.set_ylabel("true", fontsize=8)
        return to_svg(drawing)


def epoch_curves(
    curves: Mapping[str, FloatArray],
    colours: Mapping[str, str],
    *,
    chance: float,
    simulated: bool,
) -> str:
    """Draw the test score over fine-tuning epochs (mean over subjects, band of one SD).

    Parameters
    ----------
    curves : mapping of str to ndarray, shape (n_epochs, n_subjects)
        Balanced accuracy on the test windows after each epoch.
    colours : mapping
        Colour of each method.
    chance : float
        Score of a guess.
    simulated : bool
        Marks the figure.

    Returns
    -------
    str
        An ``<svg>`` element.
    """
    with figure(7.2, 2.9, simulated=simulated) as (drawing, axes):
        ax = axes[0, 0]
        for name, values in curves.items():
            mean, spread = np.nanmean(values, axis=1), np.nanstd(values, axis=1)
            epochs = np.arange(1, len(mean) + 1)
            ax.plot(epochs, mean, color=colours[name], lw=1.6, label=name)
            ax.fill_between(
                epochs,
                np.clip(mean - spread, 0, 1),
                np.clip(mean + spread, 0, 1),
                color=colours[name],
                alpha=0.12,
                lw=0,
            )
        ax.axhline(chance, color=MUTED, lw=1, ls="--")
        ax.set_xlabel("fine-tuning epoch")
        ax.set_ylabel("balanced accuracy on the test")
        drawing.legend(loc="outside upper left", fontsize=8, ncols=4)
        return to_svg(drawing)


def trial_curves(
    curves: Mapping[str, tuple[Sequence[int], FloatArray, FloatArray, FloatArray]],
    colours: Mapping[str, str],
    *,
    chance: float,
    simulated: bool,
) -> str:
    """Draw the score over the number of calibration trials.

    Parameters
    ----------
    curves : mapping of str to (k, mean, low, high)
        Numbers of trials and, for each, the mean score and its interval.
    colours : mapping
        Colour of each method.
    chance : float
        Score of a guess.
    simulated : bool
        Marks the figure.

    Returns
    -------
    str
        An ``<svg>`` element.
    """
    with figure(7.2, 3.0, simulated=simulated) as (drawing, axes):
        ax = axes[0, 0]
        ticks = sorted({int(k) for counts, *_ in curves.values() for k in counts})
        width = 0.06 * max(np.diff(ticks).min() if len(ticks) > 1 else 1, 1)
        for index, (name, (counts, mean, low, high)) in enumerate(curves.items()):
            shift = (index - (len(curves) - 1) / 2) * width
            ax.errorbar(
                np.asarray(counts) + shift,
                mean,
                yerr=[np.subtract(mean, low), np.subtract(high, mean)],
                color=colours[name],
                marker="o",
                ms=4,
                lw=1.5,
                elinewidth=0.9,
                label=name,
            )
        ax.axhline(chance, color=MUTED, lw=1, ls="--")
        ax.set_xticks(ticks)
        ax.set_xlabel("labelled calibration trials of the target subject")
        ax.set_ylabel("balanced accuracy")
        drawing.legend(loc="outside upper left", fontsize=8, ncols=4)
        return to_svg(drawing)


def optimism_gap(
    gaps: Mapping[str, tuple[float, float]], colours: Mapping[str, str], *, simulated: bool
) -> str:
    """Draw what choosing the best epoch on the test set adds to a score.

    Parameters
    ----------
    gaps : mapping of str to (last, oracle)
        Mean score with the last weights, and with each subject's best test epoch.
    colours : mapping
        Colour of each method.
    simulated : bool
        Marks the figure.

    Returns
    -------
    str
        An ``<svg>`` element.
    """
    names = list(gaps)
    with figure(7.2, 0.9 + 0.34 * len(names), simulated=simulated) as (drawing, axes):
        ax = axes[0, 0]
        for row, name in enumerate(names):
            last, oracle = gaps[name]
            ax.plot([last, oracle], [row, row], color=colours[name], lw=2.5, alpha=0.5)
            ax.plot([last], [row], "o", color=colours[name], ms=6)
            ax.plot([oracle], [row], "o", color="white", mec=colours[name], mew=1.6, ms=6)
            ax.text(
                max(last, oracle) + 0.006,
                row,
                f"{100 * (oracle - last):+.1f} points",
                va="center",
                fontsize=8,
                color=MUTED,
            )
        ax.set_yticks(range(len(names)), names)
        ax.set_ylim(len(names) - 0.5, -0.5)
        ax.margins(x=0.18)
        ax.set_xlabel("balanced accuracy: filled = last epoch, open = oracle (best test epoch)")
        ax.grid(axis="y", visible=False)
        return to_svg(drawing)


def reliability(
    curves: Mapping[str, tuple[FloatArray, FloatArray, FloatArray]],
    colours: Mapping[str, str],
    *,
    simulated: bool,
) -> str:
    """Draw reliability diagrams: how often a prediction of given confidence is right.

    Parameters
    ----------
    curves : mapping of str to (confidence, accuracy, share)
        Mean confidence, observed accuracy and share of windows of each bin.
    colours : mapping
        Colour of each method.
    simulated : bool
        Marks the figure.

    Returns
    -------
    str
        An ``<svg>`` element.
    """
    with figure(4.2, 3.6, simulated=simulated) as (drawing, axes):
        ax = axes[0, 0]
        ax.plot([0, 1], [0, 1], color=MUTED, lw=1, ls="--")
        for name, (confidence, accuracy, share) in curves.items():
            ax.plot(confidence, accuracy, color=colours[name], lw=1.2, label=name)
            ax.scatter(confidence, accuracy, s=4 + 120 * share, color=colours[name], alpha=0.5)
        ax.set_xlim(0, 1)
        ax.set_ylim(0, 1)
        ax.set_xlabel("confidence")
        ax.set_ylabel("share that is right")
        ax.legend(fontsize=7)
        return to_svg(drawing)
