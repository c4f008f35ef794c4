"""Temperature scaling: one number that makes class probabilities honest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from affectrum.errors import ConfigError

__all__ = ["TemperatureScaling"]

# Bounds of the temperature: beyond these, probabilities are one-hot or uniform for any purpose.
_LOW, _HIGH = 0.02, 50.0
_TINY = 1e-12


class TemperatureScaling:
    """Divide the log probabilities by a temperature that is fitted on the training side.

    Attributes
    ----------
    temperature_ : float
        Above 1 for over-confident scores.
    n_rows_ : int
        How many windows it was fitted on.
    role_ : str
        Whose windows those were.

    References
    ----------
    Guo et al., On calibration of modern neural networks, ICML 2017, section 4.2.
    """

    #: Roles it may be fitted on; the test is not among them.
    ROLES: tuple[str, ...] = ("source", "calibration", "validation")

    def fit(
        self,
        scores: NDArray[np.floating[Any]],
        y: NDArray[np.integer[Any]],
        *,
        role: str,
        trial: NDArray[np.integer[Any]] | None = None,
        prior_sd: float | None = None,
    ) -> Self:
        """Find the temperature with the smallest negative log-likelihood.

        Parameters
        ----------
        scores : ndarray, shape (n, n_classes)
            Class probabilities of windows that were not used to fit the model's weights.
        y : ndarray of int, shape (n,)
            Their classes.
        role : {"source", "calibration", "validation"}
            Whose windows these are; test windows are refused.
        trial : ndarray of int, shape (n,), optional
            Trial of each window: then every trial counts once, since its windows are alike.
        prior_sd : float, optional
            Pull the logarithm of the temperature towards 0 like a normal prior with this SD. With
            a few windows, all of them right, the best temperature would be 0.

        Returns
        -------
        TemperatureScaling
            Itself.

        Raises
        ------
        ConfigError
            If the role is not on the training side, or the shapes do not fit.
        """
        from scipy.optimize import minimize_scalar

        if role not in self.ROLES:
            raise ConfigError(
                f"Temperature scaling is fitted on the training side only "
                f"({', '.join(self.ROLES)}); received role {role!r}."
            )
        values, truth = np.asarray(scores, dtype=np.float64), np.asarray(y, dtype=np.int64)
        if values.ndim != 2 or truth.shape != (len(values),) or not len(values):
            raise ConfigError(
                f"Expected scores (n, n_classes) and y (n,) with n >= 1; received {values.shape} "
                f"and {truth.shape}."
            )
        logits = np.log(np.maximum(values, _TINY))
        rows = np.arange(len(truth))
        weight = np.ones(len(truth))
        if trial is not None:
            if np.shape(trial) != truth.shape:
                raise ConfigError(
                    f"Expected one trial for each of {len(truth)} windows; received shape "
                    f"{np.shape(trial)}."
                )
            code = np.unique(trial, return_inverse=True)[1]
            weight = 1.0 / np.bincount(code)[code]
        pull = 0.0 if prior_sd is None else 0.5 / (prior_sd**2 * weight.sum())

        def loss(log_temperature: float) -> float:
            scaled = logits / np.exp(log_temperature)
            top = scaled.max(axis=1)
            norm = top + np.log(np.exp(scaled - top[:, None]).sum(axis=1))
            surprise = float(np.average(norm - scaled[rows, truth], weights=weight))
            return surprise + pull * log_temperature**2

        found = minimize_scalar(loss, bounds=(np.log(_LOW), np.log(_HIGH)), method="bounded")
        self.temperature_ = float(np.exp(found.x))
        self.n_rows_ = len(truth)
        self.role_ = role
        return self

    def transform(self, scores: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Apply the temperature.

        Parameters
        ----------
        scores : ndarray, shape (n, n_classes)
            Class probabilities.

        Returns
        -------
        ndarray of float64, shape (n, n_classes)
            Class probabilities; the most probable class of each row is the same.
        """
        if not hasattr(self, "temperature_"):
            raise ConfigError("Temperature scaling is not fitted: call fit(scores, y, role=...).")
        logits = np.log(np.maximum(np.asarray(scores, dtype=np.float64), _TINY))
        logits /= self.temperature_
        logits -= logits.max(axis=1, keepdims=True)
        np.exp(logits, out=logits)
        return np.asarray(logits / logits.sum(axis=1, keepdims=True))

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the temperature as arrays, for a bundle."""
        if not hasattr(self, "temperature_"):
            raise ConfigError("Temperature scaling is not fitted: call fit(scores, y, role=...).")
        return {"temperature": np.array([self.temperature_])}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> TemperatureScaling:
        """Restore what `to_arrays` returned."""
        scaling = cls()
        scaling.temperature_ = float(np.asarray(arrays["temperature"]).ravel()[0])
        scaling.n_rows_, scaling.role_ = 0, ""
        return scaling
