"""Baselines as scikit-learn classifiers, for users who have (X, y) and no protocol."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from affectrum.errors import ConfigError
from affectrum.methods.registry import get_method_class

__all__ = ["MethodClassifier"]


class MethodClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A baseline as a scikit-learn estimator: `clone`, pipelines and `cross_val_score` work.

    Parameters
    ----------
    method : str
        A method that learns from (X, y) alone: ``"logistic"``, ``"svm"``, ``"mlp"`` ...
    **params
        Parameters of that method, for example ``C=0.1``.

    Attributes
    ----------
    classes_ : ndarray
        The labels, sorted.
    n_features_in_ : int
        Number of columns of X.

    Examples
    --------
    >>> from sklearn.model_selection import GroupKFold, cross_val_score
    >>> model = MethodClassifier("logistic", C=0.1)
    >>> scores = cross_val_score(model, X, y, groups=trial, cv=GroupKFold(5))  # doctest: +SKIP
    """

    def __init__(self, method: str = "logistic", **params: Any) -> None:
        self.method = method
        self._params = params

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return ``method`` and the parameters that were given."""
        return {"method": self.method, **self._params}

    def set_params(self, **params: Any) -> Self:
        """Change parameters; what is not allowed is refused by `fit`."""
        if "method" in params:
            self.method = params.pop("method")
        self._params = {**self._params, **params}
        return self

    def fit(self, X: Any, y: Any, groups: Any = None) -> Self:
        """Learn.

        Parameters
        ----------
        X : array-like, shape (n, n_features) or (n, n_channels, n_bands)
            Features.
        y : array-like, shape (n,)
            Labels of any kind.
        groups : array-like, shape (n,), optional
            Trial of each row, for the inner folds of the SVM's temperature.

        Returns
        -------
        MethodClassifier
            Itself.

        Raises
        ------
        ConfigError
            If the method does not learn from (X, y), or shapes do not fit.
        """
        from affectrum.methods.baselines.arms import ArmMethod

        values, labels = np.asarray(X), np.asarray(y)
        cls = get_method_class(self.method)
        if not issubclass(cls, ArmMethod) or not cls.learns_from_arrays:
            raise ConfigError(
                f"Method {self.method!r} does not learn from (X, y) alone; use it with a protocol: "
                "make_folds(...)[0], then method.fit(fold.access)."
            )
        if values.ndim not in (2, 3) or labels.shape != values.shape[:1]:
            raise ConfigError(
                "X must have shape (n, n_features) or (n, n_channels, n_bands) and y shape (n,); "
                f"received {values.shape} and {labels.shape}."
            )
        self.classes_, index = np.unique(labels, return_inverse=True)
        self.n_features_in_ = int(np.prod(values.shape[1:]))
        numbers = None
        if groups is not None:
            numbers = np.unique(np.asarray(groups), return_inverse=True)[1].astype(np.int64)
        self.model_ = cls(**self._params).fit_arrays(
            values, index.astype(np.int64), [str(label) for label in self.classes_], numbers
        )
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Class probabilities, shape (n, n_classes), columns in the order of ``classes_``."""
        check_is_fitted(self, "model_")
        scores: NDArray[np.float64] = self.model_.scores_of_arrays(np.asarray(X))
        return scores

    def predict(self, X: Any) -> NDArray[Any]:
        """Most probable label of each row, shape (n,)."""
        labels: NDArray[Any] = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return labels
