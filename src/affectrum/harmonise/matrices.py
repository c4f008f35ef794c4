"""One electrode set to another, as one matrix product.

Referencing comes after the electrodes are chosen: an average over a dense cap that is then thinned
out leaves another signal than the average over the set itself, and the difference is a gap between
corpora that no method should be praised for closing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affectrum.electrodes import REGIONS, canonical_names, positions, region, require_canonical
from affectrum.errors import ElectrodeError, check_option
from affectrum.harmonise.sets import electrode_set
from affectrum.harmonise.splines import spherical_spline_matrix

__all__ = [
    "AUTO_MAX_ANGLE_DEG",
    "AUTO_MIN_ELECTRODES",
    "AUTO_MIN_MEASURED",
    "HOW",
    "MIN_INTERPOLATION_ELECTRODES",
    "Harmonised",
    "harmonise_matrix",
    "region_matrix",
    "rereference",
]

HOW = ("auto", "pick", "interpolate", "pad")
"""Ways to fill a target set."""

REFERENCES = ("average", "none")

# What "auto" asks before it interpolates (our choices, each a parameter of `harmonise_matrix` in
# effect: who disagrees says "interpolate").
AUTO_MIN_ELECTRODES = 16
"""Fewest electrodes of a recording from which ``"auto"`` interpolates."""

AUTO_MIN_MEASURED = 0.5
"""Smallest measured share of the target; below it most inputs would be made up."""

AUTO_MAX_ANGLE_DEG = 30.0
"""Largest angle from a missing electrode to the nearest measured one.

The widest gaps between neighbours of the 19-electrode 10-20 cap are 29 degrees from them; farther
away the spline no longer interpolates but guesses.
"""

MIN_INTERPOLATION_ELECTRODES = 4
"""Fewest electrodes for ``"interpolate"``: with less there is no surface to speak of."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Harmonised:
    """A way from the electrodes of a file to a target set.

    Parameters
    ----------
    matrix : ndarray, shape (n_target, n_in)
        ``matrix @ x`` turns signals of shape (n_in, n_samples) into (n_target, n_samples), the
        reference included. Read-only.
    mask : ndarray of bool, shape (n_target,)
        Which electrodes of the target are really measured. Read-only.
    channels : tuple of str
        Names of the input's rows, as they were given.
    target : tuple of str
        Canonical names of the output's rows (or names of regions).
    interpolated : tuple of str
        Electrodes of the target that are computed from the others.
    padded : tuple of str
        Electrodes of the target that are not there; their rows are 0.
    how : str
        What was done: ``"pick"``, ``"interpolate"``, ``"pad"`` or ``"regions"``.
    reference : str
        ``"average"`` or ``"none"``.
    """

    matrix: NDArray[np.float64]
    mask: NDArray[np.bool_]
    channels: tuple[str, ...]
    target: tuple[str, ...]
    interpolated: tuple[str, ...]
    padded: tuple[str, ...]
    how: str
    reference: str

    def __post_init__(self) -> None:
        self.matrix.flags.writeable = False
        self.mask.flags.writeable = False

    @property
    def used(self) -> tuple[str, ...]:
        """Input rows that enter the result."""
        nonzero = np.flatnonzero((self.matrix != 0).any(axis=0))
        return tuple(self.channels[row] for row in nonzero)

    @property
    def rank(self) -> int:
        """How many independent signals the result can hold."""
        return int(np.linalg.matrix_rank(self.matrix))

    def apply(self, x: NDArray[Any]) -> NDArray[np.float64]:
        """Return the signals of the target set.

        Parameters
        ----------
        x : ndarray, shape (..., n_in, n_samples)
            Signals, volts. Rows that are not used may hold anything, NaN too.

        Returns
        -------
        ndarray, shape (..., n_target, n_samples)
            Volts.

        Raises
        ------
        ElectrodeError
            If `x` has another number of rows than there are `channels`.
        """
        if x.ndim < 2 or x.shape[-2] != len(self.channels):
            raise ElectrodeError(
                f"Expected signals of shape (..., {len(self.channels)}, n_samples), one row per "
                f"channel; received shape {x.shape}."
            )
        nonzero = (self.matrix != 0).any(axis=0)
        if nonzero.all():
            return np.asarray(self.matrix @ x)
        return np.asarray(self.matrix[:, nonzero] @ x[..., nonzero, :])


def harmonise_matrix(
    channels: Sequence[str],
    target: str | Sequence[str],
    *,
    how: str = "auto",
    reference: str = "average",
) -> Harmonised:
    """Work out how to get from the channels of a file to an electrode set.

    Parameters
    ----------
    channels : sequence of str
        Names of the input's rows. Rows that are no scalp electrodes (EOG, references, Status) are
        not used.
    target : str or sequence of str
        The electrodes that are wanted, in order (see `electrode_set`).
    how : {"auto", "pick", "interpolate", "pad"}
        ``"pick"``: by name, and all must be there. ``"interpolate"``: those that are missing by
        spherical splines from all electrodes of the file. ``"pad"``: those that are missing are
        rows of 0, and the mask says so. ``"auto"``: pick if all are there; else interpolate, if
        the file has at least `AUTO_MIN_ELECTRODES` electrodes, at least `AUTO_MIN_MEASURED` of the
        target is measured and no missing electrode is farther than `AUTO_MAX_ANGLE_DEG` from a
        measured one.
    reference : {"average", "none"}
        ``"average"``: subtract the mean over the target set (when padding, over its measured
        electrodes). ``"none"``: leave the reference of the file.

    Returns
    -------
    Harmonised
        The matrix and what it does.

    Raises
    ------
    ElectrodeError
        If electrodes are missing, with what would do; or names are unknown or repeated.
    ConfigError
        If `how` or `reference` is not one of the allowed values.

    Notes
    -----
    Interpolated electrodes add no information: DEAP's 32 electrodes taken to the 62 of SEED have
    rank 31 under the average reference.

    Examples
    --------
    >>> found = harmonise_matrix(["Fz", "Cz", "EOG", "T3"], ["Cz", "T7"], reference="none")
    >>> found.matrix
    array([[0., 1., 0., 0.],
           [0., 0., 0., 1.]])
    """
    check_option("how", how, HOW)
    check_option("reference", reference, REFERENCES)
    wanted = electrode_set(target)
    names = tuple(str(name) for name in channels)
    row_of = _rows(names)
    missing = tuple(name for name in wanted if name not in row_of)
    if how == "auto":
        obstacles = _auto_obstacles(row_of, wanted, missing)
        if obstacles:
            raise _missing_error(names, row_of, wanted, missing, "; ".join(obstacles))
        how = "interpolate" if missing else "pick"
    elif how == "pick" and missing:
        raise _missing_error(names, row_of, wanted, missing, "how='pick' needs all of them")
    elif how == "interpolate":
        if missing and len(row_of) < MIN_INTERPOLATION_ELECTRODES:
            raise _missing_error(
                names,
                row_of,
                wanted,
                missing,
                f"interpolation needs at least {MIN_INTERPOLATION_ELECTRODES} electrodes",
            )
    elif how == "pad" and len(missing) == len(wanted):
        raise _missing_error(names, row_of, wanted, missing, "there is nothing to pad")

    mask = np.array([name in row_of for name in wanted])
    matrix = np.zeros((len(wanted), len(names)))
    measured = np.flatnonzero(mask)
    matrix[measured, [row_of[wanted[i]] for i in measured]] = 1.0
    if how == "interpolate" and missing:
        spline = spherical_spline_matrix(positions(list(row_of)), positions(missing))
        rows_in = np.array(list(row_of.values()), dtype=np.intp)
        matrix[np.flatnonzero(~mask)[:, None], rows_in] = spline
    padded = missing if how == "pad" else ()
    if reference == "average":
        matrix = _average_reference(matrix, mask if padded else np.ones_like(mask))
    return Harmonised(
        matrix=matrix,
        mask=mask,
        channels=names,
        target=wanted,
        interpolated=missing if how == "interpolate" else (),
        padded=padded,
        how=how if missing else "pick",
        reference=reference,
    )


def region_matrix(
    channels: Sequence[str],
    regions: Sequence[str] = REGIONS,
    *,
    reference: str = "average",
) -> Harmonised:
    """Work out how to pool electrodes into regions: the mean of each region's electrodes.

    Parameters
    ----------
    channels : sequence of str
        Names of the input's rows; rows that are no scalp electrodes are not used.
    regions : sequence of str
        Which regions, in order (`affectrum.electrodes.REGIONS`).
    reference : {"average", "none"}
        ``"average"``: subtract the mean over the regions.

    Returns
    -------
    Harmonised
        With the regions as `target`.

    Raises
    ------
    ElectrodeError
        If a region has no electrode.
    ConfigError
        If a region or `reference` is not one of the allowed values.
    """
    check_option("reference", reference, REFERENCES)
    wanted = tuple(check_option("regions", name, REGIONS) for name in regions)
    names = tuple(str(name) for name in channels)
    row_of = _rows(names)
    of_row = np.full(len(names), -1)
    order = {name: position for position, name in enumerate(wanted)}
    for name, row in row_of.items():
        of_row[row] = order.get(region(name), -1)
    matrix = (of_row[None, :] == np.arange(len(wanted))[:, None]).astype(np.float64)
    counts = matrix.sum(axis=1, keepdims=True)
    empty = [name for name, count in zip(wanted, counts[:, 0], strict=True) if count == 0]
    if empty:
        raise ElectrodeError(
            f"No electrode lies in the region {', '.join(empty)}; there are "
            f"{_listed(list(row_of))}. Leave these regions out."
        )
    matrix /= counts
    mask = np.ones(len(wanted), dtype=bool)
    if reference == "average":
        matrix = _average_reference(matrix, mask)
    return Harmonised(
        matrix=matrix,
        mask=mask,
        channels=names,
        target=wanted,
        interpolated=(),
        padded=(),
        how="regions",
        reference=reference,
    )


def rereference(x: NDArray[Any], mask: NDArray[np.bool_] | None = None) -> NDArray[Any]:
    """Subtract the average over electrodes.

    Parameters
    ----------
    x : ndarray, shape (..., n_channels, n_samples)
        Signals, volts.
    mask : ndarray of bool, shape (n_channels,), optional
        Which electrodes are measured. Only they enter the average and are referenced; the others
        are returned as they are. None: all.

    Returns
    -------
    ndarray, shape (..., n_channels, n_samples)
        Volts; the input is untouched.

    Raises
    ------
    ElectrodeError
        If the mask does not fit, or fewer than two electrodes are measured.
    """
    measured = np.ones(x.shape[-2], dtype=bool) if mask is None else np.asarray(mask, dtype=bool)
    if measured.shape != (x.shape[-2],):
        raise ElectrodeError(
            f"Invalid 'mask': expected shape ({x.shape[-2]},), received {measured.shape}."
        )
    _need_two(int(measured.sum()))
    mean = x[..., measured, :].mean(axis=-2, keepdims=True)
    return np.asarray(np.where(measured[:, None], x - mean, x))


def _rows(names: tuple[str, ...]) -> dict[str, int]:
    """Canonical name -> row, of those names that are scalp electrodes."""
    known = canonical_names(names)
    require_canonical([name for name, found in zip(names, known, strict=True) if found])
    return {found: row for row, found in enumerate(known) if found is not None}


def _need_two(n_measured: int) -> None:
    if n_measured < 2:
        raise ElectrodeError(
            f"The average reference needs at least 2 measured electrodes; there are {n_measured}. "
            "Use reference='none'."
        )


def _average_reference(matrix: NDArray[np.float64], over: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The matrix with the mean over the rows `over` subtracted from these rows."""
    _need_two(int(over.sum()))
    return np.where(over[:, None], matrix - matrix[over].mean(axis=0, keepdims=True), matrix)


def _angles_to_nearest(missing: Sequence[str], there: Sequence[str]) -> NDArray[np.float64]:
    """Degrees from each missing electrode to the nearest of those that are there."""
    here, near = positions(missing), positions(there)
    radius = np.linalg.norm(here, axis=1)[:, None] * np.linalg.norm(near, axis=1)[None, :]
    cosines = np.clip((here @ near.T) / radius, -1.0, 1.0)
    return np.asarray(np.degrees(np.arccos(cosines)).min(axis=1))


def _auto_obstacles(
    row_of: dict[str, int], wanted: tuple[str, ...], missing: tuple[str, ...]
) -> list[str]:
    """Why "auto" would not fill the target; empty if it would."""
    if not missing:
        return []
    obstacles = []
    if len(row_of) < AUTO_MIN_ELECTRODES:
        obstacles.append(
            f"how='auto' interpolates from {AUTO_MIN_ELECTRODES} electrodes or more, and there "
            f"are {len(row_of)}"
        )
    measured = len(wanted) - len(missing)
    if measured < AUTO_MIN_MEASURED * len(wanted):
        obstacles.append(
            f"how='auto' wants at least {AUTO_MIN_MEASURED:.0%} of the target measured, and "
            f"{measured} of {len(wanted)} are"
        )
    if row_of:
        angles = _angles_to_nearest(missing, list(row_of))
        far = angles > AUTO_MAX_ANGLE_DEG
        if far.any():
            names = [name for name, is_far in zip(missing, far, strict=True) if is_far]
            obstacles.append(
                f"{_listed(names)} are up to {angles.max():.0f} degrees from the nearest electrode "
                f"(how='auto' interpolates up to {AUTO_MAX_ANGLE_DEG:.0f})"
            )
    return obstacles


def _listed(names: Sequence[str], limit: int = 12) -> str:
    """Names for a message, not all sixty of them."""
    if not names:
        return "none"
    text = ", ".join(names[:limit])
    return text if len(names) <= limit else f"{text} and {len(names) - limit} more"


def _missing_error(
    names: tuple[str, ...],
    row_of: dict[str, int],
    wanted: tuple[str, ...],
    missing: tuple[str, ...],
    reason: str,
) -> ElectrodeError:
    shared = [name for name in wanted if name in row_of]
    ways = []
    if len(row_of) >= MIN_INTERPOLATION_ELECTRODES:
        ways.append(
            f"how='interpolate' computes the missing ones from the {len(row_of)} that are there"
        )
    if shared:
        ways.append("how='pad' fills them with 0 and marks them")
        ways.append(
            f"or use a set of the {len(shared)} electrodes that are there ({_listed(shared)}), "
            "with a model made for them"
        )
    if not row_of:
        ways.append(
            f"none of the names is a 10-05 electrode ({_listed(names)}): give the channels' "
            "electrode names"
        )
    return ElectrodeError(
        f"{len(missing)} of {len(wanted)} electrodes are missing: {_listed(missing)}. Reason to "
        f"stop: {reason}. What would do: {'; '.join(ways)}."
    )
