"""A linear support vector machine on source features that were made to look like the target's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from affectrum.methods.base import MethodConfig, Observer, Progress
from affectrum.methods.baselines.arms import Rows, thin
from affectrum.methods.baselines.linear import LinearSVM, SVMConfig
from affectrum.methods.baselines.target import SourceArm, TargetArm, seen_facts
from affectrum.methods.registry import register
from affectrum.scaling import Scaler, ScalerRecord

__all__ = ["CORALSVM", "CORALConfig", "coral_matrix"]


class CORALConfig(SVMConfig):
    """Parameters of CORAL with a linear support vector machine."""

    arm: SourceArm = Field("source", description="always the source: the target has no labels here")
    alignment: Literal["coral", "standardise", "mean", "none"] = Field(
        "coral",
        description="what is made alike: covariances (coral), each feature's mean and standard "
        "deviation (standardise), its mean, or nothing",
    )
    ridge: float = Field(
        1.0,
        gt=0,
        description="added to the diagonal of both covariances of standardised features "
        "(1 in the paper)",
    )


def coral_matrix(
    source: NDArray[np.float64], target: NDArray[np.float64], ridge: float = 1.0
) -> NDArray[np.float64]:
    """Matrix that gives source features the target's covariance.

    A = (C_source + ridge I)^(-1/2) (C_target + ridge I)^(1/2), to be multiplied from the right
    (Sun, Feng, Saenko 2016, algorithm 1).

    Parameters
    ----------
    source : ndarray, shape (n, n_features)
        Centred source features.
    target : ndarray, shape (m, n_features)
        Centred target features.
    ridge : float
        Above 0.

    Returns
    -------
    ndarray, shape (n_features, n_features)
        The matrix.
    """
    return _power(source, ridge, -0.5) @ _power(target, ridge, 0.5)


def _power(x: NDArray[np.float64], ridge: float, exponent: float) -> NDArray[np.float64]:
    """(covariance + ridge I) to a power, symmetric."""
    covariance = x.T @ x / max(len(x) - 1, 1)
    values, vectors = np.linalg.eigh(covariance)
    powers = (np.maximum(values, 0.0) + ridge) ** exponent
    result: NDArray[np.float64] = (vectors * powers) @ vectors.T
    return result


@register
class CORALSVM(TargetArm, LinearSVM):
    """Correlation alignment (CORAL), then a linear support vector machine.

    Source and target features are each standardised by their own means and deviations; then the
    source's are whitened and given the target's covariance, and the SVM learns from them. Test
    windows are standardised by the *granted* target windows, which are test windows only under
    the transductive use.

    Our reading: the source is one domain, its subjects pooled, and so is the target.

    References
    ----------
    Sun, Feng, Saenko (2016), doi:10.1609/aaai.v30i1.10306.
    """

    Config: ClassVar[type[MethodConfig]] = CORALConfig
    name: ClassVar[str] = "coral-svm"
    title: ClassVar[str] = "CORAL and linear SVM"
    description: ClassVar[str] = (
        "Linear SVM on source features that were given the target's means, deviations and "
        "covariance."
    )
    sees: ClassVar[str] = "labelled source windows; unlabelled target windows"
    reference: ClassVar[str] = (
        "B. Sun, J. Feng, K. Saenko. Return of frustratingly easy domain adaptation. AAAI 2016. "
        "doi:10.1609/aaai.v30i1.10306"
    )

    target_center_: NDArray[np.float64]
    target_scale_: NDArray[np.float64]
    aligned_to_: dict[str, Any]
    #: For the leak audit: the windows that it was aligned to.
    records_: tuple[ScalerRecord, ...] = ()

    def _fit_rows(
        self,
        rows: Rows,
        n_classes: int,
        *,
        seed: int,
        after_epoch: Observer | None,
        progress: Progress | None,
    ) -> None:
        limit = self.config.max_windows
        kept = thin(rows.groups, limit)
        seen = self._seen()
        shown = thin(seen.groups, limit)
        target = Scaler().fit(
            seen.x[shown],
            seen.ids[shown],
            roles=("unlabelled",),
            corpora=seen.corpora,
            subjects=seen.subjects,
        )
        own = Scaler().fit(rows.x[kept])
        kind = self.config.alignment
        self.target_center_, self.target_scale_ = _moments(target, kind)
        self.aligned_to_ = seen_facts(seen, target.record)
        self.records_ = (target.record,)
        x = _flat(rows.x[kept], *_moments(own, kind))
        if kind == "coral":
            x = x @ coral_matrix(
                x, _flat(seen.x[shown], self.target_center_, self.target_scale_), self.config.ridge
            )
        aligned = x.reshape(len(kept), *rows.x.shape[1:])
        super()._fit_rows(
            replace(
                rows,
                x=aligned.astype(np.float32) if kind != "none" else rows.x[kept],
                y=rows.y[kept],
                groups=rows.groups[kept],
                table=rows.table.iloc[kept].reset_index(drop=True),
            ),
            n_classes,
            seed=seed,
            after_epoch=after_epoch,
            progress=progress,
        )

    def decision_function(self, x: NDArray[Any]) -> NDArray[np.float64]:
        """Margins of target windows, which are first standardised as the target; see `LinearSVM`.

        Parameters
        ----------
        x : ndarray, shape (n, n_channels, n_bands)
            Features.

        Returns
        -------
        ndarray, shape (n, n_seen)
            In the order of ``seen_``.
        """
        return super().decision_function(_flat(x, self.target_center_, self.target_scale_))

    def _arrays(self) -> dict[str, NDArray[Any]]:
        moments = {"target_center": self.target_center_, "target_scale": self.target_scale_}
        return {**super()._arrays(), **moments}

    def _facts(self) -> dict[str, Any]:
        return {**super()._facts(), "aligned_to": self.aligned_to_}

    def _restore(self, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> None:
        super()._restore(arrays, facts)
        self.target_center_ = np.asarray(arrays["target_center"], dtype=np.float64)
        self.target_scale_ = np.asarray(arrays["target_scale"], dtype=np.float64)
        self.aligned_to_ = dict(facts["aligned_to"])


def _moments(scaler: Scaler, kind: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What is subtracted and divided by, as far as this kind of alignment goes."""
    center, scale = scaler.center_, scaler.scale_
    if kind in ("mean", "none"):
        scale = np.ones_like(scale)
    if kind == "none":
        center = np.zeros_like(center)
    return center, scale


def _flat(
    x: NDArray[Any], center: NDArray[np.float64], scale: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Standardised features of windows, shape (n, n_channels * n_bands)."""
    values: NDArray[np.float64] = (np.asarray(x, dtype=np.float64) - center) / scale
    return values.reshape(len(x), -1)
