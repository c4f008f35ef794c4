"""The timeline as a picture: the plane's axes over time, class probabilities, doubtful windows."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from affectrum.inference.timeline import Timeline

__all__ = ["draw_timeline"]

_INK, _MUTED, _GRID = "#1d2733", "#6b7785", "#e3e7ec"
_ALARM, _NOVEL, _ARTEFACT = "#b3261e", "#f2c14e", "#9aa5b1"
# Okabe and Ito's set for colour-blind readers (2008).
_AXIS_COLOURS = {"valence": "#0072b2", "arousal": "#d55e00"}
# Words that have a usual colour; further classes take the rest in order.
_CLASS_COLOURS = {
    "negative": "#b5485d",
    "sad": "#5b6fae",
    "fear": "#8e5ea2",
    "neutral": "#b8bfc8",
    "positive": "#3f9b78",
    "happy": "#3f9b78",
    "low": "#7fa8c9",
    "high": "#d98a3d",
}
_FURTHER = ("#56b4e9", "#cc79a7", "#8a6d00", "#e69f00", "#444444", "#009e73")
# The thick line is a mean over this time, or a tenth of a shorter recording.
_SMOOTHING_S = 10.0
_TICKS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)
_LINE_INCHES = 0.16
_LONGEST_NAME = 46
_RC: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.edgecolor": _MUTED,
    "axes.labelcolor": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "legend.frameon": False,
    "svg.hashsalt": "affectrum",
}


def draw_timeline(
    timeline: Timeline,
    path: str | os.PathLike[str] | None = None,
    *,
    title: str | None = None,
) -> Figure:
    """Draw a timeline; no display is needed.

    Parameters
    ----------
    timeline : Timeline
        What to draw.
    path : path, optional
        Where to save it; the ending decides (PNG, SVG, PDF).
    title : str, optional
        By default the recording's name.

    Returns
    -------
    matplotlib.figure.Figure
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    lines = [part for line in timeline.trust.splitlines() for part in textwrap.wrap(line, 155)]
    # Inches: the panels keep their size, the text below gets the room it needs.
    head, panels, foot = 0.85, 3.7, 0.75 + _LINE_INCHES * len(lines)
    height = head + panels + foot
    with matplotlib.rc_context(_RC):
        figure = Figure(figsize=(9.6, height))
        FigureCanvasAgg(figure)
        axes = figure.subplots(
            3,
            1,
            sharex=True,
            gridspec_kw={
                "height_ratios": (3.0, 2.0, 0.55),
                "left": 0.085,
                "right": 0.86,
                "top": 1 - head / height,
                "bottom": foot / height,
                "hspace": 0.16,
            },
        )
        _draw_plane(axes[0], timeline)
        _draw_probabilities(axes[1], timeline)
        _draw_strip(axes[2], timeline)
        _write_around(figure, timeline, title, lines)
        if path is not None:
            target = Path(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            # Without dates and versions, so that the same timeline gives the same file.
            stamp: dict[str, Any] = {"Software": None}
            if target.suffix.lower() == ".svg":
                stamp = {"Date": None, "Creator": None}
            elif target.suffix.lower() == ".pdf":
                stamp = {"CreationDate": None, "Creator": None, "Producer": None}
            figure.savefig(target, dpi=150, metadata=stamp)
    return figure


def _draw_plane(axes: Axes, timeline: Timeline) -> None:
    table = timeline.table
    start, end = _spans(timeline)
    middle = (start + end) / 2
    _shade(axes, start, end, table["novel"].to_numpy(dtype=bool), _NOVEL, 0.35)
    _shade(axes, start, end, table["artefact"].to_numpy(dtype=bool), _ARTEFACT, 0.45)
    axes.axhline(0, color=_MUTED, linewidth=0.8)
    missing = []
    for axis, colour in _AXIS_COLOURS.items():
        values = table[axis].to_numpy(dtype=np.float64)
        if not np.isfinite(values).any():
            missing.append(axis)
            continue
        x, y = _with_gaps(middle, values, end - start)
        axes.plot(x, y, color=colour, linewidth=0.7, alpha=0.4)
        x, y = _with_gaps(middle, _smoothed(middle, values), end - start)
        axes.plot(x, y, color=colour, linewidth=2.0, label=axis, solid_capstyle="round")
    axes.set_ylim(-1.05, 1.05)
    axes.set_yticks([-1, -0.5, 0, 0.5, 1])
    axes.set_ylabel("valence and arousal\n(−1 to 1)" if not missing else "on the plane\n(−1 to 1)")
    axes.grid(axis="y", color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    if missing:
        text = " and ".join(missing) + ": this model can't tell"
        axes.text(
            0.995, 0.03, text, transform=axes.transAxes, ha="right", color=_MUTED, style="italic"
        )
    handles, labels = axes.get_legend_handles_labels()
    from matplotlib.patches import Patch

    if table["novel"].any():
        handles.append(Patch(color=_NOVEL, alpha=0.35))
        labels.append("unlike\ntraining")
    if table["artefact"].any():
        handles.append(Patch(color=_ARTEFACT, alpha=0.45))
        labels.append("artefact")
    if handles:
        axes.legend(
            handles, labels, loc="upper left", bbox_to_anchor=(1.005, 1.04), handlelength=1.4
        )


def _draw_probabilities(axes: Axes, timeline: Timeline) -> None:
    start, end = _spans(timeline)
    colours = _colours(timeline.classes)
    scores = timeline.scores()
    low = np.zeros(len(scores))
    # One step per window, so that a gap in the recording stays a gap in the picture.
    for number, name in enumerate(timeline.classes):
        high = low + scores[:, number]
        x, bottom = _steps(start, end, low)
        _, top = _steps(start, end, high)
        axes.fill_between(x, bottom, top, color=colours[name], linewidth=0, label=name)
        low = high
    axes.set_ylim(0, 1)
    axes.set_yticks([0, 0.5, 1])
    axes.set_ylabel("probability")
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(
        handles[::-1],
        labels[::-1],
        loc="upper left",
        bbox_to_anchor=(1.005, 1.04),
        handlelength=1.0,
    )


def _draw_strip(axes: Axes, timeline: Timeline) -> None:
    from matplotlib.collections import PolyCollection
    from matplotlib.ticker import FuncFormatter, MultipleLocator

    start, end = _spans(timeline)
    colours = _colours(timeline.classes)
    boxes = [[(a, 0.0), (a, 1.0), (b, 1.0), (b, 0.0)] for a, b in zip(start, end, strict=True)]
    faces = [colours[name] for name in timeline.table["class"]]
    axes.add_collection(PolyCollection(boxes, facecolors=faces, edgecolors="none"))
    axes.set_ylim(0, 1)
    axes.set_yticks([0.5], ["most\nprobable"])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlim(float(start.min()), float(end.max()))
    length = float(end.max() - start.min())
    step = next((step for step in _TICKS_S if length / step <= 9), _TICKS_S[-1])
    axes.xaxis.set_major_locator(MultipleLocator(step))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _clock(value)))
    axes.set_xlabel("time in the recording (min:s)")


def _write_around(
    figure: Figure, timeline: Timeline, title: str | None, lines: Sequence[str]
) -> None:
    meta = timeline.meta
    name = title or meta.get("recording", {}).get("name") or "recording"
    model = meta.get("model", {})
    corpora = ", ".join(
        ("simulated " if one.get("simulated") else "") + str(one.get("name"))
        for one in model.get("provenance", {}).get("corpora", []) or []
    )
    height = float(figure.get_figheight())
    if len(name) > _LONGEST_NAME:  # it would run into the mark on the right
        name = f"{name[: _LONGEST_NAME - 13]} … {name[-10:]}"
    figure.text(0.085, 1 - 0.33 / height, name, fontsize=13, fontweight="bold")
    figure.text(
        0.085,
        1 - 0.6 / height,
        f"model: {model.get('method', 'not known')}"
        + (f", trained on {corpora}" if corpora else "")
        + f"  ·  trust: {timeline.trust_level}",
        color=_MUTED,
    )
    if timeline.simulated:
        figure.text(
            0.985,
            1 - 0.33 / height,
            "MODEL TRAINED ON SIMULATED DATA",
            ha="right",
            fontsize=9,
            fontweight="bold",
            color="white",
            bbox={"facecolor": _ALARM, "edgecolor": "none", "boxstyle": "square,pad=0.35"},
        )
    for number, line in enumerate(lines):
        figure.text(
            0.085,
            (0.16 + _LINE_INCHES * (len(lines) - 1 - number)) / height,
            line,
            fontsize=7.5,
            color=_INK,
        )


def _spans(timeline: Timeline) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Start and end of each window as drawn: overlapping windows end where the next begins."""
    start = timeline.table["start_s"].to_numpy(dtype=np.float64)
    end = timeline.table["end_s"].to_numpy(dtype=np.float64)
    if len(start) > 1:
        following = np.append(start[1:], np.inf)
        end = np.where(following > start, np.minimum(end, following), end)
    return start, end


def _shade(
    axes: Axes,
    start: NDArray[np.float64],
    end: NDArray[np.float64],
    marked: NDArray[np.bool_],
    colour: str,
    alpha: float,
) -> None:
    """Shade runs of marked windows as one piece each."""
    rows = np.flatnonzero(marked)
    if not len(rows):
        return
    touching = (np.diff(rows) == 1) & (np.abs(start[rows[1:]] - end[rows[:-1]]) < 1e-6)
    for run in np.split(rows, np.flatnonzero(~touching) + 1):
        axes.axvspan(
            float(start[run[0]]), float(end[run[-1]]), color=colour, alpha=alpha, linewidth=0
        )


def _with_gaps(
    x: NDArray[np.float64], y: NDArray[np.float64], length: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Break a line where windows are missing."""
    gaps = np.flatnonzero(np.diff(x) > 1.5 * length[:-1]) + 1
    return np.insert(x, gaps, np.nan), np.insert(y, gaps, np.nan)


def _smoothed(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over some seconds around each window, for the eye only."""
    reach = min(_SMOOTHING_S, float(x[-1] - x[0]) / 10) / 2
    low = np.searchsorted(x, x - reach, side="left")
    high = np.searchsorted(x, x + reach, side="right")
    known = np.isfinite(y)
    total = np.concatenate([[0.0], np.cumsum(np.where(known, y, 0.0))])
    count = np.concatenate([[0], np.cumsum(known)])
    n = count[high] - count[low]
    return np.where(known, (total[high] - total[low]) / np.maximum(n, 1), np.nan)


def _steps(
    start: NDArray[np.float64], end: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Corners of a step function, with a break where windows are missing."""
    x = np.stack([start, end], axis=1).ravel()
    twice = np.repeat(y, 2)
    gaps = 2 * (np.flatnonzero(start[1:] - end[:-1] > 1e-6) + 1)
    return np.insert(x, gaps, np.nan), np.insert(twice, gaps, np.nan)


def _colours(classes: tuple[str, ...]) -> dict[str, str]:
    spare = iter(_FURTHER * (len(classes) // len(_FURTHER) + 1))
    return {name: _CLASS_COLOURS.get(name) or next(spare) for name in classes}


def _clock(seconds: float) -> str:
    whole = round(seconds)
    minutes = f"{whole // 60}:{whole % 60:02d}"
    return minutes if whole < 3600 else f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"
