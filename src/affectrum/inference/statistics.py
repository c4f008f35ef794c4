"""How far a window lies from what a model was trained on.

A classifier gives an answer for any input. The Mahalanobis distance of a window's features from
the training windows tells whether that answer is an interpolation or a guess. What counts as far
is measured on people the statistics were not made from: for each training subject the distance
from all *other* training subjects, since a new person is never inside the training cloud.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affectrum.errors import ConfigError

__all__ = ["FeatureStatistics", "training_statistics"]

# Windows of one trial are nearly copies of each other (one-second steps, smoothed), so that the
# Ledoit-Wolf estimate, made for independent rows, shrinks too little. Never less than this; the
# project's choice.
_LEAST_SHRINKAGE = 0.05
_QUANTILES = (0.5, 0.9, 0.95, 0.99)
# Enough for a 310 x 310 covariance, and a bound on time and memory.
_MAX_WINDOWS = 20_000


@dataclass(frozen=True)
class FeatureStatistics:
    """Mean and covariance of training windows, and what distances are usual.

    Attributes
    ----------
    mean : ndarray, shape (d,)
        Mean of the (scaled) features, d = n_channels * n_bands.
    whitening : ndarray, shape (d, d)
        Upper triangular W with ``W W' = covariance^-1``, so that ``|(x - mean) W|`` is the
        Mahalanobis distance.
    quantiles : dict of str to float
        "0.5", "0.9", "0.95", "0.99": quantiles of the distance of training windows.
    basis : {"held-out subjects", "training windows"}
        Whether those distances were measured from the other subjects, or (below three subjects)
        from all windows themselves, which is too small for a new person.
    shrinkage : float
        Weight of the identity in the covariance, 0 to 1.
    n_windows, n_subjects : int
        What it was made from.
    """

    mean: NDArray[np.float64]
    whitening: NDArray[np.float64]
    quantiles: dict[str, float]
    basis: str
    shrinkage: float
    n_windows: int
    n_subjects: int

    def distance(self, x: NDArray[Any]) -> NDArray[np.float64]:
        """Root mean square Mahalanobis distance of windows.

        Parameters
        ----------
        x : ndarray, shape (n, n_channels, n_bands)
            Features, scaled as in training.

        Returns
        -------
        ndarray, shape (n,)
            ``sqrt(m^2 / d)``: about 1 for windows like those of training, whatever d. NaN where
            a window holds NaN.

        Raises
        ------
        ConfigError
            If the number of features differs from training.
        """
        rows = np.asarray(x, dtype=np.float64).reshape(len(x), -1)
        if rows.shape[1] != len(self.mean):
            raise ConfigError(
                f"The training statistics are of {len(self.mean)} features; received windows with "
                f"{rows.shape[1]}."
            )
        return _rms(rows - self.mean, self.whitening)

    def novelty(self, x: NDArray[Any]) -> NDArray[np.float64]:
        """Distance divided by the 99 % distance of training: above 1 is unlike training.

        Parameters
        ----------
        x : ndarray, shape (n, n_channels, n_bands)
            Features, scaled as in training.

        Returns
        -------
        ndarray, shape (n,)
        """
        return self.distance(x) / self.quantiles["0.99"]

    def to_arrays(self) -> tuple[dict[str, NDArray[np.float64]], dict[str, Any]]:
        """Return arrays and JSON-able facts; `from_arrays` takes them back."""
        facts = {
            "quantiles": self.quantiles,
            "basis": self.basis,
            "shrinkage": self.shrinkage,
            "n_windows": self.n_windows,
            "n_subjects": self.n_subjects,
        }
        return {"mean": self.mean, "whitening": self.whitening}, facts

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]
    ) -> FeatureStatistics:
        """Restore what `to_arrays` returned."""
        return cls(
            mean=np.asarray(arrays["mean"], dtype=np.float64),
            whitening=np.asarray(arrays["whitening"], dtype=np.float64),
            quantiles={str(name): float(value) for name, value in facts["quantiles"].items()},
            basis=str(facts["basis"]),
            shrinkage=float(facts["shrinkage"]),
            n_windows=int(facts["n_windows"]),
            n_subjects=int(facts["n_subjects"]),
        )


def training_statistics(
    x: NDArray[Any], subjects: NDArray[np.int64], *, max_windows: int = _MAX_WINDOWS
) -> FeatureStatistics:
    """Measure the training distribution.

    Parameters
    ----------
    x : ndarray, shape (n, n_channels, n_bands)
        Training windows, scaled as the model saw them. Rows with NaN are left out.
    subjects : ndarray of int64, shape (n,)
        Whose windows they are (numbers that differ between corpora too).
    max_windows : int
        Evenly spread rows beyond this number are left out.

    Returns
    -------
    FeatureStatistics

    Raises
    ------
    ConfigError
        If there are fewer than two usable windows.

    Notes
    -----
    Covariance shrunk towards a multiple of the identity after Ledoit and Wolf (2004), Journal of
    Multivariate Analysis 88, 365-411, doi:10.1016/S0047-259X(03)00096-4; at least 5 %.
    """
    from sklearn.covariance import ledoit_wolf_shrinkage

    rows = np.arange(len(x))
    if len(rows) > max_windows:
        rows = rows[(np.arange(max_windows) * len(rows)) // max_windows]
    values = np.asarray(x[rows], dtype=np.float64).reshape(len(rows), -1)
    owner = np.asarray(subjects)[rows]
    usable = np.isfinite(values).all(axis=1)
    values, owner = values[usable], owner[usable]
    if len(values) < 2:
        raise ConfigError(
            f"Training statistics need at least two windows without NaN; received {len(values)}."
        )
    shrinkage = max(float(ledoit_wolf_shrinkage(values)), _LEAST_SHRINKAGE)
    # Sums about one common centre, so that a subject can be left out by subtraction.
    centre = values.mean(axis=0)
    centred = values - centre
    people = np.unique(owner)
    scatter = centred.T @ centred
    basis = "held-out subjects" if len(people) >= 3 else "training windows"
    if basis == "held-out subjects":
        distances = np.empty(len(values))
        for person in people:
            mine = owner == person
            n_rest = int((~mine).sum())
            total = centred[mine].sum(axis=0)
            mean = -total / n_rest  # the sum over all rows is zero
            rest = scatter - centred[mine].T @ centred[mine]
            covariance = rest / n_rest - np.outer(mean, mean)
            distances[mine] = _rms(centred[mine] - mean, _whitening(covariance, shrinkage))
    whitening = _whitening(scatter / len(values), shrinkage)
    if basis == "training windows":
        distances = _rms(centred, whitening)
    return FeatureStatistics(
        mean=centre,
        whitening=whitening,
        quantiles={str(q): float(np.quantile(distances, q)) for q in _QUANTILES},
        basis=basis,
        shrinkage=shrinkage,
        n_windows=len(values),
        n_subjects=len(people),
    )


def _whitening(covariance: NDArray[np.float64], shrinkage: float) -> NDArray[np.float64]:
    """Return W with ``W W' = ((1 - s) C + s tr(C)/d I)^-1``, shape (d, d)."""
    from scipy.linalg import solve_triangular

    d = len(covariance)
    # All windows alike (constant features): any positive scale keeps the distances finite.
    scale = max(float(np.trace(covariance)) / d, np.finfo(np.float64).tiny * d)
    shrunk = (1.0 - shrinkage) * covariance
    shrunk[np.diag_indices(d)] += max(shrinkage * scale, 1e-12)
    lower = np.linalg.cholesky(shrunk)
    inverse: NDArray[np.float64] = solve_triangular(lower, np.eye(d), lower=True).T
    return inverse


def _rms(centred: NDArray[np.float64], whitening: NDArray[np.float64]) -> NDArray[np.float64]:
    whitened = centred @ whitening
    squares = np.einsum("ij,ij->i", whitened, whitened) / centred.shape[1]
    return np.asarray(np.sqrt(squares), dtype=np.float64)
