"""Where a model's classes lie on the valence-arousal plane, and what it can't tell.

A model of three degrees of valence has learnt nothing about arousal, even though a table has an
arousal for the word "positive". So a class scheme says which axes its classes tell apart; the
other axis is missing, never zero.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

    from affectrum.affect import VATable

__all__ = ["AXES", "Coordinates", "class_coordinates", "told_axes"]

AXES: tuple[str, ...] = ("valence", "arousal")


@dataclass(frozen=True)
class Coordinates:
    """Points of the classes on the plane (-1..1).

    Attributes
    ----------
    points : dict of str to (float, float)
        Valence and arousal of each class, NaN where the model can't tell or no source knows.
    table : str
        The named table they were read from.
    source : str
        Where the values are from.
    """

    points: dict[str, tuple[float, float]]
    table: str
    source: str

    @property
    def axes(self) -> tuple[str, ...]:
        """The axes on which every class has a place."""
        array = np.array(list(self.points.values()), dtype=np.float64).reshape(-1, 2)
        return tuple(
            name for name, column in zip(AXES, array.T, strict=True) if np.isfinite(column).all()
        )

    def expected(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Mean point under class probabilities.

        Parameters
        ----------
        scores : ndarray, shape (n, n_classes)
            Probabilities, columns in the order of `points`.

        Returns
        -------
        ndarray, shape (n, 2)
            Valence and arousal, -1..1; a whole column is NaN if a class has no place on it.
        """
        array = np.array(list(self.points.values()), dtype=np.float64).reshape(-1, 2)
        return np.asarray(scores, dtype=np.float64) @ array

    def to_dict(self) -> dict[str, Any]:
        """Return plain data; None where a value is missing."""
        return {
            "table": self.table,
            "source": self.source,
            "points": {
                name: [None if math.isnan(value) else value for value in point]
                for name, point in self.points.items()
            },
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Coordinates:
        """Restore what `to_dict` returned."""
        points = {
            str(name): (
                math.nan if point[0] is None else float(point[0]),
                math.nan if point[1] is None else float(point[1]),
            )
            for name, point in content["points"].items()
        }
        return cls(points, str(content["table"]), str(content["source"]))


def told_axes(scheme: Any) -> tuple[str, ...]:
    """Axes of the plane that a class scheme's classes tell apart.

    Parameters
    ----------
    scheme : ClassScheme or str
        A scheme, or its name.

    Returns
    -------
    tuple of str
        ``("valence",)`` for degrees of valence, ``("arousal",)`` for degrees of arousal, both
        for emotions.
    """
    rating = getattr(scheme, "rating", None)
    name = str(getattr(scheme, "name", scheme))
    for axis in AXES:
        if rating == axis or (rating is None and name.startswith(axis)):
            return (axis,)
    return AXES


def class_coordinates(
    classes: Sequence[str],
    scheme: Any,
    *,
    table: str | VATable | Mapping[str, Sequence[float]] = "emod",
    trials: pd.DataFrame | None = None,
    y: NDArray[np.int64] | None = None,
) -> Coordinates:
    """Place classes on the plane.

    Parameters
    ----------
    classes : sequence of str
        Class names, in column order.
    scheme : ClassScheme or str
        Which axes they tell apart (`told_axes`).
    table : str, VATable or mapping
        Table of coordinates (see `affectrum.affect.get_table`).
    trials : DataFrame, n rows, optional
        Training trials with `valence` and `arousal` (-1..1) and their self-reports: where the
        table has no such word (the classes "low" and "high" of arousal), a class lies at the mean
        of its training trials' ratings.
    y : ndarray of int64, shape (n,), optional
        Classes of `trials`.

    Returns
    -------
    Coordinates
    """
    from affectrum.affect import get_table

    chosen = get_table(table)
    axes = told_axes(scheme)
    points: dict[str, tuple[float, float]] = {}
    rated: list[str] = []
    for number, name in enumerate(classes):
        entry = chosen.entries.get(name)
        values = [math.nan, math.nan]
        if entry is not None:
            values = [entry.valence, entry.arousal]
        elif trials is not None and y is not None:
            values = [_mean_rating(trials[np.asarray(y) == number], axis) for axis in AXES]
            rated.append(name)
        points[name] = (
            values[0] if "valence" in axes else math.nan,
            values[1] if "arousal" in axes else math.nan,
        )
    source = f"table {chosen.name!r}: {chosen.source}"
    if rated:
        source += f"; mean rating of the training trials: {', '.join(rated)}"
    return Coordinates(points, chosen.name, source)


def _mean_rating(trials: pd.DataFrame, axis: str) -> float:
    """Mean of a self-reported axis on the plane; NaN where nobody was asked."""
    if axis not in trials or f"rating_{axis}" not in trials:
        return math.nan
    asked = trials[f"rating_{axis}"].notna()
    values = trials.loc[asked, axis].to_numpy(dtype=np.float64)
    return float(values.mean()) if len(values) else math.nan
