"""Linear baselines on features: support vector machine and multinomial logistic regression.

Both standardise each feature by the mean and standard deviation of their training windows (which
were granted), so that one regularisation strength means the same under every scaling scope.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.special import softmax

from affectrum.methods.base import MethodConfig, Observer, Progress
from affectrum.methods.baselines.arms import ArmConfig, ArmMethod, Rows, thin
from affectrum.methods.registry import register
from affectrum.scaling import TemperatureScaling

__all__ = [
    "LinearConfig",
    "LinearSVM",
    "LogisticRegression",
    "SVMConfig",
    "trial_folds",
]


class LinearConfig(ArmConfig):
    """Parameters of the linear baselines."""

    C: float = Field(
        1.0,
        gt=0,
        description="inverse regularisation strength on standardised features; fixed, not tuned "
        "(scikit-learn's default)",
    )
    class_weight: str | None = Field(
        None, pattern="^balanced$", description="None, or 'balanced' to weigh classes equally"
    )
    max_windows: int | None = Field(
        20_000,
        ge=10,
        description="train on at most this many windows, evenly spread over the trials; None: all",
    )
    max_iter: int = Field(1_000, ge=1, description="largest number of solver iterations")


class SVMConfig(LinearConfig):
    """Parameters of the linear support vector machine."""

    calibrate: bool = Field(
        True,
        description="fit a temperature for its margins on inner folds of whole training trials",
    )
    inner_folds: int = Field(3, ge=2, description="inner folds of the temperature")


def trial_folds(
    y: NDArray[np.int64], groups: NDArray[np.int64], n_folds: int
) -> NDArray[np.int64] | None:
    """Deal whole trials to folds so that each fold gets trials of each class.

    Trials of one class are dealt in order of appearance, like cards; a trial's class is the one
    of most of its windows (a trial has one class in every scheme here).

    Parameters
    ----------
    y : ndarray of int64, shape (n,)
        Classes of the windows.
    groups : ndarray of int64, shape (n,)
        Trials of the windows.
    n_folds : int
        Largest number of folds.

    Returns
    -------
    ndarray of int64, shape (n,), or None
        Fold of each window. None where some class has fewer than two trials, so that no split
        leaves every class in training and some of it for scoring.
    """
    trials, index = np.unique(groups, return_inverse=True)
    classes, y_index = np.unique(y, return_inverse=True)
    counts = np.zeros((len(trials), len(classes)), dtype=np.int64)
    np.add.at(counts, (index, y_index), 1)
    trial_class = counts.argmax(axis=1)
    per_class = np.bincount(trial_class, minlength=len(classes))
    folds = min(n_folds, int(per_class.min()))
    if folds < 2 or len(classes) < 2:
        return None
    fold_of_trial = np.empty(len(trials), dtype=np.int64)
    for one in range(len(classes)):
        members = np.flatnonzero(trial_class == one)
        fold_of_trial[members] = np.arange(len(members)) % folds
    return fold_of_trial[index]


class _Linear(ArmMethod):
    """Standardise, then one linear function per class."""

    mean_: NDArray[np.float64]
    scale_: NDArray[np.float64]
    coef_: NDArray[np.float64]
    intercept_: NDArray[np.float64]
    seen_: NDArray[np.int64]
    temperature_: float
    calibrated_: bool
    converged_: bool
    n_windows_: int

    def _solve(
        self, x: NDArray[np.float64], y: NDArray[np.int64], seed: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return weights (n_seen, n_features) and offsets (n_seen,) for two classes or more."""
        raise NotImplementedError

    def _calibrate(
        self, x: NDArray[np.float64], y: NDArray[np.int64], groups: NDArray[np.int64], seed: int
    ) -> None:
        self.temperature_, self.calibrated_ = 1.0, True

    def _fit_rows(
        self,
        rows: Rows,
        n_classes: int,
        *,
        seed: int,
        after_epoch: Observer | None,
        progress: Progress | None,
    ) -> None:
        kept = thin(rows.groups, self.config.max_windows)
        x = np.asarray(rows.x[kept], dtype=np.float64).reshape(len(kept), -1)
        self.n_windows_ = len(kept)
        self.converged_ = True
        # Two passes in float64; a constant feature (a padded electrode) keeps scale 1, so it is 0.
        self.mean_ = x.mean(axis=0)
        deviation = x.std(axis=0)
        self.scale_ = np.where(deviation > 1e-9 * (1.0 + np.abs(self.mean_)), deviation, 1.0)
        x -= self.mean_
        x /= self.scale_
        self.seen_, y = np.unique(rows.y[kept], return_inverse=True)
        if len(self.seen_) < 2:
            # One class in training: that class, always; there is no margin to fit.
            self.coef_ = np.zeros((1, x.shape[1]))
            self.intercept_ = np.zeros(1)
            self.temperature_, self.calibrated_ = 1.0, False
            return
        self.coef_, self.intercept_ = self._solve(x, y, seed)
        self._calibrate(x, y, rows.groups[kept], seed)

    def decision_function(self, x: NDArray[Any]) -> NDArray[np.float64]:
        """Margins of the classes seen in training.

        Parameters
        ----------
        x : ndarray, shape (n, n_channels, n_bands)
            Features.

        Returns
        -------
        ndarray, shape (n, n_seen)
            In the order of ``seen_``.
        """
        values = np.asarray(x, dtype=np.float64).reshape(len(x), -1)
        margins: NDArray[np.float64] = (values - self.mean_) / self.scale_ @ self.coef_.T
        return margins + self.intercept_

    def _scores(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        probabilities = softmax(self.decision_function(x) / self.temperature_, axis=1)
        # A class that no training window had can't be predicted: probability zero, said in facts.
        scores = np.zeros((len(x), len(self.classes_)))
        scores[:, self.seen_] = probabilities
        return scores

    def _arrays(self) -> dict[str, NDArray[Any]]:
        return {
            "mean": self.mean_,
            "scale": self.scale_,
            "coef": self.coef_,
            "intercept": self.intercept_,
            "seen": self.seen_,
        }

    def _facts(self) -> dict[str, Any]:
        return {
            "temperature": self.temperature_,
            "calibrated": self.calibrated_,
            "converged": self.converged_,
            "n_windows": self.n_windows_,
        }

    def _restore(self, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> None:
        for name in ("mean", "scale", "coef", "intercept"):
            setattr(self, f"{name}_", np.asarray(arrays[name], dtype=np.float64))
        self.seen_ = np.asarray(arrays["seen"], dtype=np.int64)
        self.temperature_ = float(facts["temperature"])
        self.calibrated_ = bool(facts["calibrated"])
        self.converged_ = bool(facts["converged"])
        self.n_windows_ = int(facts["n_windows"])


@register
class LinearSVM(_Linear):
    """Linear support vector machine, one class against the rest, squared hinge loss.

    Its margins are no probabilities. They are made comparable with one temperature:
    ``softmax(margins / T)``, where T is fitted on margins of inner folds that hold out whole
    training trials (never test trials, never windows of a trial that was trained on). The order
    of the classes stays the SVM's own. Where some class has only one training trial there is no
    such split: then T is 1 and ``calibrated_`` is False.
    """

    Config: ClassVar[type[MethodConfig]] = SVMConfig
    name: ClassVar[str] = "svm"
    title: ClassVar[str] = "Linear SVM"
    description: ClassVar[str] = "Linear support vector machine on the windows' features."
    sees: ClassVar[str] = "labelled windows of its arm"
    reference: ClassVar[str] = (
        "Fan et al. (2008), LIBLINEAR: a library for large linear classification, "
        "Journal of Machine Learning Research 9, 1871-1874"
    )

    def _solve(
        self, x: NDArray[np.float64], y: NDArray[np.int64], seed: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.svm import LinearSVC

        # The primal problem is solved without random numbers, and is the fast one for n > p.
        model = LinearSVC(
            C=self.config.C,
            dual=False,
            class_weight=self.config.class_weight,
            max_iter=self.config.max_iter,
        )
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ConvergenceWarning)
            model.fit(x, y)
        self.converged_ &= not any(issubclass(one.category, ConvergenceWarning) for one in caught)
        return _per_class(model.coef_, model.intercept_)

    def _calibrate(
        self, x: NDArray[np.float64], y: NDArray[np.int64], groups: NDArray[np.int64], seed: int
    ) -> None:
        self.temperature_, self.calibrated_ = 1.0, False
        if not self.config.calibrate:
            return
        folds = trial_folds(y, groups, self.config.inner_folds)
        if folds is None:
            return
        margins = np.empty((len(y), len(self.seen_)))
        for fold in range(int(folds.max()) + 1):
            held_out = folds == fold
            coef, intercept = self._solve(x[~held_out], y[~held_out], seed)
            margins[held_out] = x[held_out] @ coef.T + intercept
        # The margins' softmax loses nothing: its logarithm is the margins up to a constant.
        scaling = TemperatureScaling().fit(softmax(margins, axis=1), y, role="source")
        self.temperature_, self.calibrated_ = scaling.temperature_, True


@register
class LogisticRegression(_Linear):
    """Multinomial logistic regression with an L2 penalty; its scores are probabilities as fitted.

    Windows of one trial are alike, so its probabilities are surer than trials of a new day
    deserve; the report's calibration figures show by how much.
    """

    Config: ClassVar[type[MethodConfig]] = LinearConfig
    name: ClassVar[str] = "logistic"
    title: ClassVar[str] = "Logistic regression"
    description: ClassVar[str] = "Multinomial logistic regression on the windows' features."
    sees: ClassVar[str] = "labelled windows of its arm"

    def _solve(
        self, x: NDArray[np.float64], y: NDArray[np.int64], seed: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression as Solver

        model = Solver(
            C=self.config.C, class_weight=self.config.class_weight, max_iter=self.config.max_iter
        )
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ConvergenceWarning)
            model.fit(x, y)
        self.converged_ &= not any(issubclass(one.category, ConvergenceWarning) for one in caught)
        coef, intercept = _per_class(model.coef_, model.intercept_)
        # Two classes: softmax of (-m, m) is a sigmoid of 2m, so the margin is halved.
        return (coef / 2, intercept / 2) if len(model.coef_) == 1 else (coef, intercept)


def _per_class(
    coef: NDArray[np.float64], intercept: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Write a two-class solution, which is one row, as one row per class."""
    if len(coef) == 1:
        return np.concatenate([-coef, coef]), np.concatenate([-intercept, intercept])
    return np.asarray(coef, dtype=np.float64), np.asarray(intercept, dtype=np.float64)
