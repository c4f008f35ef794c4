"""Which windows teach EMOD's readouts, and what they teach."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from affectrum.affect import emod_regions
from affectrum.errors import ConfigError
from affectrum.methods.emod.readout import (
    ClassMeans,
    LinearProbe,
    PlaneNeighbours,
    PlaneRegression,
    class_points,
    nearest_class,
)

if TYPE_CHECKING:
    from affectrum.methods.emod.config import EMODConfig
    from affectrum.protocols import Grant
    from affectrum.protocols.plane import TableLike
    from affectrum.windows import Windows

__all__ = ["NearestOnPlane", "PlaneReference", "Reader", "fit_plane", "fit_reader", "reference"]

Embed = Callable[["Windows"], NDArray[np.float32]]


@dataclass(frozen=True)
class PlaneReference:
    """Windows with a place on the plane.

    Attributes
    ----------
    parts : list of Windows
        Corpus by corpus.
    va : ndarray, shape (n, 2)
        Valence and arousal of all of them, -1..1.
    groups : ndarray of int64, shape (n,)
        Their subjects, or trials where there is one subject only.
    """

    parts: list[Windows]
    va: NDArray[np.float64]
    groups: NDArray[np.int64]


def reference(grants: Sequence[Grant], n: int) -> PlaneReference | None:
    """Choose windows with valence and arousal, equally from corpora and regions of the plane.

    Parameters
    ----------
    grants : sequence of Grant
        What may be used.
    n : int
        Windows in all, at most.

    Returns
    -------
    PlaneReference or None
        None if `n` is 0 or no window has both valence and arousal.
    """
    usable = [grant for grant in grants if grant.has_plane]
    if not usable or n < 1:
        return None
    parts, places, groups = [], [], []
    for number, grant in enumerate(usable):
        assert grant.va is not None
        share = n // len(usable) + (number < n % len(usable))
        rows = _spread(emod_regions(grant.va), share)
        parts.append(grant.windows.select(rows))
        places.append(grant.va[rows])
        groups.append(number * 10**9 + _people(grant.windows, rows))
    group = np.concatenate(groups)
    if len(np.unique(group)) == 1:
        group = np.concatenate([_trials(part) for part in parts])
    return PlaneReference(parts, np.concatenate(places), group)


def _spread(regions: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Take `n` rows or fewer, equally from the regions and evenly within each; -1 is left out."""
    members = [np.flatnonzero(regions == region) for region in np.unique(regions[regions >= 0])]
    members.sort(key=len)
    chosen = []
    for number, rows in enumerate(members):
        share = min(len(rows), n // (len(members) - number))
        chosen.append(rows[np.linspace(0, len(rows) - 1, share).round().astype(np.int64)])
        n -= share
    return np.sort(np.concatenate(chosen))


def _people(windows: Windows, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    table = windows.table
    if "subject" not in table:
        return np.zeros(len(rows), dtype=np.int64)
    return table["subject"].to_numpy(dtype=np.int64)[rows]


def _trials(windows: Windows) -> NDArray[np.int64]:
    table = windows.table
    keys = [name for name in ("session", "row") if name in table]
    return np.asarray(table.groupby(keys, sort=False, dropna=False).ngroup(), dtype=np.int64)


@dataclass(frozen=True)
class NearestOnPlane:
    """The nearest class on the plane to the places of similar windows.

    Attributes
    ----------
    neighbours : PlaneNeighbours
        From embeddings to the plane.
    points : ndarray, shape (n_classes, 2)
        Where the classes lie, -1..1.
    """

    neighbours: PlaneNeighbours
    points: NDArray[np.float64]

    def predict_proba(self, z: ArrayLike) -> NDArray[np.float64]:
        """Class probabilities of embeddings, shape (n, n_classes)."""
        return nearest_class(self.neighbours.predict(z), self.points)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays by name."""
        return {**self.neighbours.arrays(), "points": self.points}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> NearestOnPlane:
        """Restore what `arrays` returned."""
        rest = {name: value for name, value in arrays.items() if name != "points"}
        return cls(PlaneNeighbours.from_arrays(rest), np.asarray(arrays["points"]))


Reader = LinearProbe | ClassMeans | NearestOnPlane
READERS: dict[str, type[LinearProbe] | type[ClassMeans] | type[NearestOnPlane]] = {
    "linear-probe": LinearProbe,
    "prototypes": ClassMeans,
    "plane": NearestOnPlane,
}
"""Kind of readout -> what is learnt."""


def fit_reader(
    config: EMODConfig,
    embed: Embed,
    labelled: Sequence[Grant],
    placed: Sequence[Grant],
    classes: Sequence[str],
    va_table: TableLike | None = None,
) -> Reader:
    """Learn a readout of classes from embeddings.

    Parameters
    ----------
    config : EMODConfig
        Its `readout` says which.
    embed : callable
        Windows to vectors (n, n_features).
    labelled : sequence of Grant
        Windows with labels of the classes.
    placed : sequence of Grant
        Windows with valence and arousal, for ``readout="plane"``.
    classes : sequence of str
        Class names.
    va_table : str, VATable, mapping or None
        The task's table of words, which places the classes of ``readout="plane"`` unless the
        method has one of its own. None: the table ``emod``.

    Returns
    -------
    LinearProbe, ClassMeans or NearestOnPlane

    Raises
    ------
    ConfigError
        If the readout lacks what it needs.
    """
    if config.readout == "plane":
        chosen = reference(placed, config.plane_windows)
        if chosen is None:
            corpora = ", ".join(str(grant.windows.corpus) for grant in placed)
            raise ConfigError(
                "readout='plane' needs windows with valence and arousal (-1..1), and "
                f"{f'none of {corpora} has them' if corpora else 'none are granted'}. Pass "
                "va_table='emod' to make_folds (va_table in a plan), which places emotion words, "
                "or use another readout."
            )
        z = np.concatenate([embed(part) for part in chosen.parts])
        neighbours = PlaneNeighbours.fit(z, chosen.va, temperature=config.temperature)
        # not those whose labels are of another task than the target's
        told = [
            grant
            for grant in placed
            if grant.has_plane and any(grant.windows is one.windows for one in labelled)
        ]
        points = class_points(
            classes,
            config.va_table or va_table or "emod",
            y=np.concatenate([grant.y for grant in told if grant.y is not None]) if told else None,
            va=np.concatenate([grant.va for grant in told if grant.va is not None])
            if told
            else None,
        )
        return NearestOnPlane(neighbours, points)
    z = np.concatenate([embed(grant.windows) for grant in labelled])
    y = np.concatenate([grant.y for grant in labelled if grant.y is not None]).astype(np.int64)
    if config.readout == "prototypes":
        return ClassMeans.fit(z, y, len(classes))
    return LinearProbe.fit(z, y, len(classes))


def fit_plane(embed: Embed, chosen: PlaneReference | None) -> PlaneRegression | None:
    """Learn a readout of valence and arousal from embeddings, None without a reference."""
    if chosen is None:
        return None
    z = np.concatenate([embed(part) for part in chosen.parts])
    return PlaneRegression.fit(z, chosen.va, chosen.groups)
