"""The report's figures of what a model saw: scalp maps, embeddings, soft weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affectrum.report.style import INK, MUTED, figure, to_svg

__all__ = ["band_topomaps", "embedding_pair", "importance_map", "weight_curves"]

FloatArray = NDArray[np.floating]

_LINE_COLOURS = ("#0072b2", "#d55e00", "#009e73")
# Classes are drawn in these colours everywhere: negative to positive runs from warm to cold.
_CLASS_COLOURS = ("#c1443c", "#8d99a6", "#2f6db3", "#7a5195", "#2a9d6f", "#d98c21", "#444444")


def class_colours(classes: Sequence[str]) -> dict[str, str]:
    """Give each class one colour; the scheme with two classes skips the neutral grey."""
    order = (0, 2) if len(classes) == 2 else range(len(classes))
    return {
        name: _CLASS_COLOURS[index % len(_CLASS_COLOURS)]
        for name, index in zip(classes, order, strict=True)
    }


def _head(ax: Any, values: FloatArray, xy: FloatArray, **options: Any) -> Any:
    """Draw one scalp map on unit-disc positions with the library's interpolation."""
    import mne

    image, _ = mne.viz.plot_topomap(
        np.asarray(values, dtype=float),
        np.asarray(xy, dtype=float) * 0.095,
        axes=ax,
        show=False,
        sensors="k.",
        contours=4,
        sphere=(0.0, 0.0, 0.0, 0.095),
        extrapolate="head",
        **options,
    )
    return image


def band_topomaps(
    maps: Mapping[str, FloatArray],
    bands: Sequence[str],
    xy: FloatArray,
    *,
    simulated: bool,
    label: str,
) -> str:
    """Draw one scalp map per row (a class or a corpus) and band.

    Parameters
    ----------
    maps : mapping of str to ndarray, shape (n_channels, n_bands)
        Values of each row.
    bands : sequence of str
        Band names.
    xy : ndarray, shape (n_channels, 2)
        Electrode positions in the unit disc, nose up.
    simulated : bool
        Marks the figure.
    label : str
        What the colours mean, with its unit.

    Returns
    -------
    str
        An ``<svg>`` element.
    """
    names = list(maps)
    with figure(
        1.35 * len(bands) + 1.3,
        1.35 * len(names) + 0.6,
        simulated=simulated,
        rows=len(names),
        columns=len(bands),
    ) as (drawing, axes):
        limit = max(float(np.nanmax(np.abs(values))) for values in maps.values()) or 1.0
        image: Any = None
        for i, name in enumerate(names):
            for j, band in enumerate(bands):
                ax = axes[i, j]
                image = _head(ax, maps[name][:, j], xy, cmap="RdBu_r", vlim=(-limit, limit))
                if i == 0:
                    ax.set_title(band, fontsize=9, loc="center")
                if j == 0:
                    ax.text(
                        -0.18, 0.5, name, transform=ax.transAxes, ha="right", va="center",
                        fontsize=8.5, rotation=90,
                    )  # fmt: skip
        bar = drawing.colorbar(image, ax=axes, shrink=0.6, aspect=22, pad=0.02)
        bar.set_label(label, fontsize=8)
        bar.ax.tick_params(labelsize=7)
        return to_svg(drawing)


def importance_map(
    values: Mapping[str, FloatArray], xy: FloatArray, *, simulated: bool, label: str
) -> str:
    """Draw which regions each model relies on.

    Parameters
    ----------
    values : mapping of str to ndarray, shape (n_channels,)
        Each electrode carries the importance of its region, for every model.
    xy : ndarray, shape (n_channels, 2)
        Electrode positions in the unit disc.
    simulated : bool
        Marks the figure.
    label : str
        What the colours mean.

    Returns
    -------
    str
        An ``<svg>`` element.
    """
    names = list(values)
    with figure(2.0 * len(names) + 1.0, 2.6, simulated=simulated, columns=len(names)) as (
        drawing,
        axes,
    ):
        limit = max(float(np.nanmax(np.abs(v))) for v in values.values()) or 1.0
        image: Any = None
        for ax, name in zip(axes[0], names, strict=True):
            image = _head(ax, values[name], xy, cmap="PuOr_r", vlim=(-limit, limit))
            ax.set_title(name.replace(" [", "\n["), fontsize=8.5, loc="center")
        bar = drawing.colorbar(image, ax=axes, shrink=0.75, aspect=18, pad=0.02)
        bar.set_label(label, fontsize=8)
        bar.ax.tick_params(labelsize=7)
        return to_svg(drawing)


def embedding_pair(
    panels: Mapping[str, tuple[FloatArray, NDArray[np.integer], NDArray[np.str_]]],
    classes: Sequence[str],
    *,
    simulated: bool,
) -> str:
    """Draw two-dimensional embeddings side by side, coloured by class, shaped by group.

    Parameters
    ----------
    panels : mapping of str to (points, class index, group)
        ``points`` has shape (n, 2); class index -1 is drawn grey; ``group`` names the corpus or
        the split of each point.
    classes : sequence of str
        Class names.
    simulated : bool
        Marks the figure.

    Returns
    -------
    str
        An ``<svg>`` element.
    """
    colours = class_colours(classes)
    groups = sorted({str(g) for _, _, group in panels.values() for g in np.unique(group)})
    markers = dict(zip(groups, "o^sDvP", strict=False))
    with figure(2.6 * len(panels), 3.1, simulated=simulated, columns=len(panels)) as (
        drawing,
        axes,
    ):
        for ax, (name, (points, y, group)) in zip(axes[0], panels.items(), strict=True):
            for g in groups:
                for index in (-1, *range(len(classes))):
                    chosen = (np.asarray(y) == index) & (np.asarray(group) == g)
                    if chosen.any():
                        ax.scatter(
                            points[chosen, 0],
                            points[chosen, 1],
                            s=11,
                            marker=markers[g],
                            color=colours[classes[index]] if index >= 0 else "#c9ced4",
                            alpha=0.65,
                            linewidths=0,
                            rasterized=True,
                        )
            ax.set_title(name, fontsize=9)
            ax.set_xticks([])
            ax.set_yticks([])
            ax.grid(visible=False)
        handles = [
            axes[0, 0].plot([], [], "o", color=colours[c], ms=5, label=c)[0] for c in classes
        ]
        if len(groups) > 1:
            handles += [
                axes[0, 0].plot([], [], markers[g], color=MUTED, ms=5, label=g)[0] for g in groups
            ]
        drawing.legend(handles=handles, loc="outside lower center", ncols=6, fontsize=8)
        return to_svg(drawing)


def weight_curves(
    curves: Mapping[str, tuple[FloatArray, FloatArray]],
    bars: Mapping[str, float],
    *,
    simulated: bool,
) -> str:
    """Draw how SCMM's soft weights depend on distance in time and on shared identity.

    Parameters
    ----------
    curves : mapping of str to (seconds, weight)
        Mean soft weight over the distance in time within a trial, one curve per setting.
    bars : mapping of str to float
        Mean soft weight of pairs by what they share, for example ``{"same trial": 0.4}``.
    simulated : bool
        Marks the figure.

    Returns
    -------
    str
        An ``<svg>`` element.
    """
    with figure(7.2, 2.9, simulated=simulated, columns=2) as (drawing, axes):
        left, right = axes[0]
        for index, (name, (seconds, weight)) in enumerate(curves.items()):
            left.plot(seconds, weight, lw=1.6, label=name, color=_LINE_COLOURS[index % 3])
        highest = max(
            (float(weight.max()) for _, weight in curves.values() if len(weight)), default=1
        )
        left.set_ylim(0, 1.1 * highest)
        left.set_xlabel("distance in time within a trial (s)")
        left.set_ylabel("mean soft weight")
        if len(curves) > 1:
            left.legend(fontsize=8)
        names = list(bars)
        right.barh(range(len(names)), [bars[n] for n in names], color="#0072b2", height=0.6)
        right.set_yticks(range(len(names)), names)
        right.set_ylim(len(names) - 0.5, -0.5)
        right.set_xlabel("mean soft weight")
        right.grid(axis="y", visible=False)
        for row, name in enumerate(names):
            right.text(bars[name], row, f" {bars[name]:.3f}", va="center", fontsize=8, color=INK)
        right.margins(x=0.2)
        return to_svg(drawing)
