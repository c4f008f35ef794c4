"""Reading classes, valence and arousal out of a learnt representation, without training it on.

All work on arrays of embeddings, so they serve any representation; the plane is -1..1 throughout.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from affectrum.errors import ConfigError

if TYPE_CHECKING:
    from affectrum.affect import VATable

__all__ = [
    "ClassMeans",
    "LinearProbe",
    "PlaneNeighbours",
    "PlaneRegression",
    "class_points",
    "nearest_class",
]

Arrays = dict[str, NDArray[Any]]

# Rows of a table of similarities that are in memory at once
_CHUNK = 4096


class _Stored:
    """Something learnt that is nothing but arrays."""

    def arrays(self) -> Arrays:
        """Return the arrays by name."""
        return {name: np.asarray(value) for name, value in vars(self).items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Restore what `arrays` returned."""
        return cls(**{name: np.asarray(value) for name, value in arrays.items()})


@dataclass(frozen=True)
class LinearProbe(_Stored):
    """Logistic regression on standardised embeddings: the usual test of a frozen representation.

    Attributes
    ----------
    mean, scale : ndarray, shape (n_features,)
        By which embeddings are standardised.
    weights : ndarray, shape (n_features, n_classes)
        One linear function per class.
    offsets : ndarray, shape (n_classes,)
        Minus infinity for classes that had no window.
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    weights: NDArray[np.float64]
    offsets: NDArray[np.float64]

    @classmethod
    def fit(
        cls, z: ArrayLike, y: NDArray[np.int64], n_classes: int, *, strength: float = 1.0
    ) -> Self:
        """Learn from labelled embeddings.

        Parameters
        ----------
        z : array_like, shape (n, n_features)
            Embeddings.
        y : ndarray of int64, shape (n,)
            Classes.
        n_classes : int
            Classes in all.
        strength : float
            Weight of the squared weights beside the summed loss (1/C of scikit-learn).

        Returns
        -------
        LinearProbe
        """
        from sklearn.linear_model import LogisticRegression

        x = np.asarray(z, dtype=np.float64)
        mean, deviation = x.mean(axis=0), x.std(axis=0)
        scale = np.where(deviation > 1e-9, deviation, 1.0)
        present = np.unique(y)
        weights = np.zeros((x.shape[1], n_classes))
        offsets = np.full(n_classes, -np.inf)
        offsets[present] = 0.0
        if len(present) > 1:
            model = LogisticRegression(C=1.0 / strength, max_iter=2000)
            model.fit((x - mean) / scale, y)
            if len(present) == 2:
                # one function for two classes: half of it for each, with opposite signs
                weights[:, present] = np.outer(model.coef_[0], (-0.5, 0.5))
                offsets[present] = model.intercept_[0] * np.array([-0.5, 0.5])
            else:
                weights[:, present] = model.coef_.T
                offsets[present] = model.intercept_
        return cls(mean, scale, weights, offsets)

    def predict_proba(self, z: ArrayLike) -> NDArray[np.float64]:
        """Class probabilities of embeddings, shape (n, n_classes)."""
        x = (np.asarray(z, dtype=np.float64) - self.mean) / self.scale
        return _softmax(x @ self.weights + self.offsets)


@dataclass(frozen=True)
class ClassMeans(_Stored):
    """Nearest class mean by cosine: what works with a few windows per class.

    Attributes
    ----------
    means : ndarray, shape (n_classes, n_features)
        Unit vectors; NaN for classes that had no window.
    temperature : ndarray, shape ()
        Divides cosines before the softmax.

    References
    ----------
    Snell, Swersky, Zemel (2017), Prototypical networks for few-shot learning, arXiv:1703.05175.
    """

    means: NDArray[np.float64]
    temperature: NDArray[np.float64]

    @classmethod
    def fit(
        cls, z: ArrayLike, y: NDArray[np.int64], n_classes: int, *, temperature: float = 0.1
    ) -> Self:
        """Average the unit vectors of each class.

        Parameters
        ----------
        z : array_like, shape (n, n_features)
            Embeddings.
        y : ndarray of int64, shape (n,)
            Classes.
        n_classes : int
            Classes in all.
        temperature : float
            Divides cosines before the softmax.

        Returns
        -------
        ClassMeans
        """
        x = _unit(z)
        means = np.full((n_classes, x.shape[1]), np.nan)
        for number in np.unique(y):
            means[number] = _unit(x[y == number].mean(axis=0, keepdims=True))[0]
        return cls(means, np.float64(temperature))  # type: ignore[arg-type]

    def predict_proba(self, z: ArrayLike) -> NDArray[np.float64]:
        """Class probabilities of embeddings, shape (n, n_classes)."""
        cosines = _unit(z) @ self.means.T
        return _softmax(np.where(np.isnan(cosines), -np.inf, cosines / self.temperature))


@dataclass(frozen=True)
class PlaneNeighbours(_Stored):
    """Valence and arousal of windows that lie near in the learnt space.

    A window gets the mean place of all reference windows, weighed by the softmax of their cosines
    at the temperature of the loss that shaped the space (Nadaraya-Watson regression).

    Attributes
    ----------
    z : ndarray, shape (n_reference, n_features)
        Unit vectors of the reference.
    va : ndarray, shape (n_reference, 2)
        Valence and arousal, -1..1.
    temperature : ndarray, shape ()
        Divides cosines before the softmax.
    """

    z: NDArray[np.float64]
    va: NDArray[np.float64]
    temperature: NDArray[np.float64]

    @classmethod
    def fit(cls, z: ArrayLike, va: ArrayLike, *, temperature: float = 0.07) -> Self:
        """Keep a reference.

        Parameters
        ----------
        z : array_like, shape (n, n_features)
            Embeddings.
        va : array_like, shape (n, 2)
            Valence and arousal, -1..1; rows with NaN are left out.
        temperature : float
            Divides cosines before the softmax.

        Returns
        -------
        PlaneNeighbours

        Raises
        ------
        ConfigError
            If no row has a place on the plane.
        """
        x, places = _placed(z, va)
        return cls(_unit(x), places, np.float64(temperature))  # type: ignore[arg-type]

    def predict(self, z: ArrayLike) -> NDArray[np.float64]:
        """Valence and arousal of embeddings, shape (n, 2), -1..1."""
        x = _unit(z)
        parts = [
            _softmax(x[start : start + _CHUNK] @ self.z.T / self.temperature) @ self.va
            for start in range(0, len(x), _CHUNK)
        ]
        return np.concatenate(parts) if parts else np.zeros((0, 2))


@dataclass(frozen=True)
class PlaneRegression(_Stored):
    """Ridge regression from embeddings to valence and arousal.

    Attributes
    ----------
    mean, scale : ndarray, shape (n_features,)
        By which embeddings are standardised.
    weights : ndarray, shape (n_features, 2)
        For valence and arousal.
    offsets : ndarray, shape (2,)
        Mean of valence and arousal.
    penalty : ndarray, shape ()
        Weight of the squared weights, per window, beside the mean squared error.
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    weights: NDArray[np.float64]
    offsets: NDArray[np.float64]
    penalty: NDArray[np.float64]

    @classmethod
    def fit(
        cls,
        z: ArrayLike,
        va: ArrayLike,
        groups: ArrayLike,
        *,
        penalties: Sequence[float] = (0.001, 0.01, 0.1, 1.0, 10.0, 100.0),
        n_folds: int = 5,
    ) -> Self:
        """Learn from embeddings with a place on the plane.

        The penalty is the one with the least squared error on windows of held-out groups.

        Parameters
        ----------
        z : array_like, shape (n, n_features)
            Embeddings.
        va : array_like, shape (n, 2)
            Valence and arousal, -1..1; rows with NaN are left out.
        groups : array_like of int, shape (n,)
            What must not be on both sides of a fold: subjects, or trials of one subject.
        penalties : sequence of float
            To choose from. With one group only, the largest is taken.
        n_folds : int
            Largest number of folds.

        Returns
        -------
        PlaneRegression

        Raises
        ------
        ConfigError
            If no row has a place on the plane.
        """
        x, places = _placed(z, va)
        kept = np.isfinite(np.asarray(va, dtype=np.float64)).all(axis=1)
        _, group = np.unique(np.asarray(groups)[kept], return_inverse=True)
        fold = group % min(n_folds, int(group.max()) + 1)
        errors = np.zeros(len(penalties))
        for held in range(int(fold.max()) + 1 if fold.max() else 0):
            there = fold == held
            for number, penalty in enumerate(penalties):
                told = cls._solve(x[~there], places[~there], penalty).predict(x[there])
                errors[number] += float(((told - places[there]) ** 2).sum())
        best = float(penalties[int(errors.argmin())]) if errors.any() else float(max(penalties))
        return cls._solve(x, places, best)

    @classmethod
    def _solve(cls, x: NDArray[np.float64], va: NDArray[np.float64], penalty: float) -> Self:
        mean, deviation = x.mean(axis=0), x.std(axis=0)
        scale = np.where(deviation > 1e-9, deviation, 1.0)
        z = (x - mean) / scale
        offsets = va.mean(axis=0)
        gram = z.T @ z / len(z) + penalty * np.eye(z.shape[1])
        weights = np.linalg.solve(gram, z.T @ (va - offsets) / len(z))
        return cls(mean, scale, weights, offsets, np.float64(penalty))  # type: ignore[arg-type]

    def predict(self, z: ArrayLike) -> NDArray[np.float64]:
        """Valence and arousal of embeddings, shape (n, 2), cut to -1..1."""
        x = (np.asarray(z, dtype=np.float64) - self.mean) / self.scale
        return np.clip(x @ self.weights + self.offsets, -1.0, 1.0)


def class_points(
    classes: Sequence[str],
    table: str | VATable | Mapping[str, Sequence[float]] = "emod",
    *,
    y: NDArray[np.int64] | None = None,
    va: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Place classes on the plane: by their words, else by the mean place of labelled windows.

    Parameters
    ----------
    classes : sequence of str
        Class names.
    table : str, VATable or mapping
        Table of emotion words, see `affectrum.affect.get_table`.
    y : ndarray of int64, shape (n,), optional
        Classes of labelled windows, -1 where there is none.
    va : ndarray, shape (n, 2), optional
        Their valence and arousal, -1..1; NaN where missing.

    Returns
    -------
    ndarray, shape (n_classes, 2)
        Valence and arousal, -1..1.

    Raises
    ------
    ConfigError
        If a class has neither.
    """
    from affectrum.affect import get_table

    entries = get_table(table).entries
    points = np.full((len(classes), 2), np.nan)
    for number, name in enumerate(classes):
        if name in entries:
            points[number] = entries[name].valence, entries[name].arousal
        elif y is not None and va is not None:
            mine = va[(y == number) & np.isfinite(va).all(axis=1)]
            if len(mine):
                points[number] = mine.mean(axis=0)
    nowhere = [name for name, point in zip(classes, points, strict=True) if np.isnan(point).any()]
    if nowhere:
        raise ConfigError(
            f"Classes {', '.join(nowhere)} have no place on the plane: table "
            f"{get_table(table).name!r} lacks these words and no labelled window with valence and "
            "arousal tells it. Use another 'va_table' or another readout."
        )
    return points


def nearest_class(
    va: ArrayLike, points: NDArray[np.float64], *, spread: float = 0.25
) -> NDArray[np.float64]:
    """Turn places on the plane into class probabilities.

    Parameters
    ----------
    va : array_like, shape (n, 2)
        Valence and arousal, -1..1.
    points : ndarray, shape (n_classes, 2)
        Where the classes lie.
    spread : float
        Standard deviation of a class around its point; 0.25 is one unit of EMOD's -4..4.

    Returns
    -------
    ndarray, shape (n, n_classes)
        Rows sum to 1; the nearest class has the largest.
    """
    gaps = np.asarray(va, dtype=np.float64)[:, None, :] - points[None, :, :]
    return _softmax(-(gaps**2).sum(axis=2) / (2.0 * spread**2))


def _placed(z: ArrayLike, va: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    places = np.asarray(va, dtype=np.float64)
    kept = np.isfinite(places).all(axis=1)
    if not kept.any():
        raise ConfigError("None of the windows has both valence and arousal; nothing to read from.")
    return np.asarray(z, dtype=np.float64)[kept], places[kept]


def _unit(z: ArrayLike) -> NDArray[np.float64]:
    x = np.asarray(z, dtype=np.float64)
    return np.asarray(x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12))


def _softmax(values: NDArray[np.float64]) -> NDArray[np.float64]:
    shifted = np.exp(values - values.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))
