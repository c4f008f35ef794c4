"""What the baselines share: which labelled windows they train on, and plain (X, y) fitting.

A baseline asks "is the source worth having?", so every one of them can be trained on either side:

=============  ==================================================================================
arm            labelled windows
=============  ==================================================================================
calibration    the target subject's own calibration trials alone
source         the source alone; the target subject is never seen
both           source and calibration trials together, every window weighing the same
auto           calibration where the protocol grants it, else source (the default)
=============  ==================================================================================
"""

from __future__ import annotations

import hashlib
import json
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from affectrum.errors import AccessError, ConfigError, LabelError
from affectrum.methods.base import (
    Method,
    MethodConfig,
    Observer,
    Pretrained,
    Progress,
    derive_seed,
)

if TYPE_CHECKING:
    import pandas as pd

    from affectrum.methods.baselines.sklearn_api import MethodClassifier
    from affectrum.protocols import Access, Grant
    from affectrum.windows import Windows

__all__ = [
    "ARM_GRANTS",
    "ArmConfig",
    "ArmMethod",
    "Rows",
    "labelled_rows",
    "thin",
    "trial_groups",
    "unusable",
]

Arm = Literal["auto", "calibration", "source", "both"]

_CALIBRATION = ("calibration_signals", "calibration_labels")
_SOURCE = ("source_signals", "source_labels")

ARM_GRANTS: Mapping[str, tuple[str, ...]] = {
    "calibration": _CALIBRATION,
    "source": _SOURCE,
    "both": (*_SOURCE, *_CALIBRATION),
}
"""What each arm needs to be granted."""


class ArmConfig(MethodConfig):
    """Parameters that every baseline has."""

    arm: Arm = Field(
        "auto",
        description="labelled windows to train on: calibration, source, both, or auto "
        "(calibration where the protocol grants it, else source)",
    )


@dataclass(frozen=True)
class Rows:
    """Labelled windows of one arm.

    Attributes
    ----------
    x : ndarray, shape (n, n_channels, n_bands)
        Features, not copied where one grant is enough.
    y : ndarray of int64, shape (n,)
        Class indices of the target task.
    groups : ndarray of int64, shape (n,)
        Which trial a window belongs to; windows of one trial are never on both sides of an inner
        split.
    table : DataFrame
        The windows' metadata.
    """

    x: NDArray[np.float32]
    y: NDArray[np.int64]
    groups: NDArray[np.int64]
    table: pd.DataFrame


def trial_groups(table: pd.DataFrame) -> NDArray[np.int64]:
    """Number the trials of a table of windows from 0 in order of appearance, shape (n,)."""
    keys = [name for name in ("corpus", "subject", "session", "row", "trial") if name in table]
    return np.asarray(table.groupby(keys, sort=False, dropna=False).ngroup(), dtype=np.int64)


def thin(groups: NDArray[np.int64], limit: int | None) -> NDArray[np.int64]:
    """Choose at most `limit` rows, evenly spread within and over the trials.

    Neighbouring windows of a smoothed trial are nearly copies, so that leaving out every second
    one costs a linear model little, and nothing random is needed.

    Parameters
    ----------
    groups : ndarray of int64, shape (n,)
        Trial of each row.
    limit : int or None
        Largest number of rows; None keeps all.

    Returns
    -------
    ndarray of int64
        Kept row numbers, ascending.
    """
    n = len(groups)
    if limit is None or n <= limit:
        return np.arange(n, dtype=np.int64)
    # Rows grouped by trial, then every (n / limit)-th: each trial keeps its share, up to rounding.
    order = np.argsort(groups, kind="stable")
    picked = order[(np.arange(limit, dtype=np.int64) * n) // limit]
    return np.sort(picked)


def unusable(windows: Windows) -> NDArray[np.bool_]:
    """Windows that were marked as artefact because they hold NaN or Inf, shape (n,)."""
    table = windows.table
    finite = np.isfinite(windows.x).all(axis=(1, 2))
    marked = (
        table["artefact"].to_numpy(dtype=bool)
        if "artefact" in table
        else np.zeros(len(table), dtype=bool)
    )
    return ~finite & marked


def _from_grant(grant: Grant | None) -> Rows | None:
    if grant is None or grant.y is None:
        return None
    x, table, y = grant.windows.x, grant.windows.table, np.asarray(grant.y, dtype=np.int64)
    # Windows without a class, and artefact windows that hold no value, can't be learnt from.
    keep = (y >= 0) & ~unusable(grant.windows)
    if not keep.all():
        x, y, table = x[keep], y[keep], table.loc[keep].reset_index(drop=True)
    return Rows(x, y, trial_groups(table), table)


def labelled_rows(access: Access, arm: str, method: str) -> Rows:
    """Return the labelled windows of an arm.

    Parameters
    ----------
    access : Access
        What the protocol grants.
    arm : str
        ``"calibration"``, ``"source"`` or ``"both"``.
    method : str
        For messages.

    Raises
    ------
    AccessError
        If the arm's labels are not granted, or the source's labels are of another task.
    LabelError
        If no labelled window is left.
    """
    access.require(ARM_GRANTS[arm], f"{method} [{arm}]")
    if arm != "calibration" and not access.same_task:
        raise AccessError(
            f"{method} [{arm}] can't learn from the source's labels: they are classes "
            f"{', '.join(access.source_classes or ())}, the target's task has "
            f"{', '.join(access.classes)}. Use arm='calibration', or one class scheme for both "
            "sides (make_folds(..., source_classes=None))."
        )
    wanted = {
        "calibration": (access.calibration,),
        "source": (access.source,),
        "both": (access.source, access.calibration),
    }[arm]
    parts = [rows for rows in map(_from_grant, wanted) if rows is not None]
    if len(parts) != len(wanted) or not sum(len(part.y) for part in parts):
        raise LabelError(
            f"{method} [{arm}] found no labelled windows under protocol {access.protocol!r}; "
            "check that the trials of this arm have labels in the chosen class scheme."
        )
    if len(parts) == 1:
        return parts[0]
    import pandas as pd

    tables = [part.table for part in parts]
    shared = [name for name in tables[0].columns if name in tables[1].columns]
    table = pd.concat([part[shared] for part in tables], ignore_index=True)
    return Rows(
        np.concatenate([part.x for part in parts]),
        np.concatenate([part.y for part in parts]),
        np.concatenate([parts[0].groups, parts[1].groups + parts[0].groups.max() + 1]),
        table,
    )


class ArmMethod(Method):
    """A method that learns classes from labelled windows, without pre-training.

    Subclasses write `_fit_rows` (and `_scores`, `_arrays`, `_facts`, `_restore`); access, arms,
    sharing a source model between folds, state and scikit-learn use are done here.

    Attributes
    ----------
    arm_ : str
        The arm that was trained, after `fit`.
    """

    Config: ClassVar[type[MethodConfig]] = ArmConfig
    needs_one_of: ClassVar[tuple[tuple[str, ...], ...]] = (_CALIBRATION, _SOURCE)

    trains_in_epochs: ClassVar[bool] = False
    """Whether `_fit_rows` calls the observer itself; else it is called once, at the end."""
    learns_from_arrays: ClassVar[bool] = True
    """Whether (X, y) is all it needs, so that it can be a scikit-learn classifier."""

    arm_: str
    _validation: Grant | None = None
    shape_: tuple[int, ...]

    # --------------------------------------------------------------------- written by subclasses

    @abstractmethod
    def _fit_rows(
        self,
        rows: Rows,
        n_classes: int,
        *,
        seed: int,
        after_epoch: Observer | None,
        progress: Progress | None,
    ) -> None:
        """Learn; call ``after_epoch(epoch, n_epochs, predict)`` after each epoch."""

    @abstractmethod
    def _scores(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Class probabilities of features of shape (n, n_channels, n_bands)."""

    @abstractmethod
    def _arrays(self) -> dict[str, NDArray[Any]]:
        """Learnt arrays."""

    def _facts(self) -> dict[str, Any]:
        """JSON-able facts that were learnt beside the arrays."""
        return {}

    @abstractmethod
    def _restore(self, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> None:
        """Take back what `_arrays` and `_facts` returned."""

    # ----------------------------------------------------------------------------------- the rest

    @property
    def label(self) -> str:
        """Name for tables, with the arm: ``"svm [calibration]"``."""
        return f"{self.name} [{getattr(self, 'arm_', self.config.arm)}]"

    def resolve_arm(self, access: Access) -> str:
        """Return the arm that `fit` would train under an access."""
        arm = str(self.config.arm)
        if arm != "auto":
            return arm
        granted = all(need in access.grants for need in _CALIBRATION)
        return "calibration" if granted else "source"

    def check_access(self, access: Access) -> None:
        """Refuse an access that lacks what the configured arm needs (AccessError)."""
        arm = self.resolve_arm(access)
        access.require(ARM_GRANTS[arm], f"{self.name} [{arm}]")

    def used_grants(self, access: Access) -> tuple[str, ...]:
        """Return what of the access the arm looks at; see `Method.used_grants`."""
        used = {*ARM_GRANTS[self.resolve_arm(access)], *self.needs}
        if self.trains_in_epochs:
            used.add("validation")
        return tuple(grant for grant in access.grants if grant in used)

    def fit(
        self,
        access: Access,
        *,
        observer: Observer | None = None,
        pretrained: Pretrained | None = None,
        progress: Progress | None = None,
    ) -> Self:
        """Learn from the labelled windows of the arm; see `Method.fit`."""
        self.check_access(access)
        arm = self.resolve_arm(access)
        if pretrained is not None:
            expected = self.pretrain_fingerprint(access)
            if pretrained.fingerprint != expected:
                raise ConfigError(
                    f"The pretrained model handed to {self.name!r} was made from other source "
                    f"windows, settings or seed (fingerprint {pretrained.fingerprint}, expected "
                    f"{expected}). Call pretrain(access) with this access."
                )
            self.load_state(pretrained.arrays, pretrained.meta)
        else:
            # Read by methods that train in epochs: the best one on it is kept.
            self._validation = access.validation
            self._learn(
                labelled_rows(access, arm, self.name),
                tuple(access.classes),
                arm,
                seed=derive_seed(self.config.seed, int(access.seed), self.name),
                observer=observer if self.trains_in_epochs else None,
                progress=progress,
            )
        if observer is not None and (pretrained is not None or not self.trains_in_epochs):
            observer(1, 1, self.predict_proba)
        return self

    def _learn(
        self,
        rows: Rows,
        classes: tuple[str, ...],
        arm: str,
        *,
        seed: int,
        observer: Observer | None = None,
        progress: Progress | None = None,
    ) -> None:
        if not np.isfinite(rows.x).all():
            raise ConfigError(
                f"{self.name} [{arm}] received features that are not finite. Mark or drop those "
                "windows before make_folds; nothing is filled in silently."
            )
        self.arm_ = arm
        self.shape_ = tuple(rows.x.shape[1:])
        # An observer's predict must score by the weights of that moment, so classes_ is set first.
        self.classes_ = classes
        self._fit_rows(rows, len(classes), seed=seed, after_epoch=observer, progress=progress)

    def pretrain_fingerprint(self, access: Access) -> str | None:
        """Digest of the source and the settings for arm "source", so that folds share a model."""
        if self.resolve_arm(access) != "source" or self.trains_in_epochs:
            # Epoch-wise methods are observed while they train, fold by fold.
            return None
        payload = {
            "method": self.name,
            "config": self.config.model_dump(mode="json"),
            "classes": list(access.classes),
            "seed": int(access.seed),
            "source": access.fingerprint("source"),
        }
        return hashlib.sha256(json.dumps(payload, sort_keys=True).encode()).hexdigest()[:32]

    def pretrain(self, access: Access, *, progress: Progress | None = None) -> Pretrained | None:
        """Train the source model once for all folds of one source (arm "source" only)."""
        fingerprint = self.pretrain_fingerprint(access)
        if fingerprint is None:
            return None
        arrays, meta = self.clone().fit(access, progress=progress).state()
        return Pretrained(fingerprint, arrays, meta)

    def predict_proba(self, windows: Windows) -> NDArray[np.float64]:
        """Score windows; see `Method.predict_proba`."""
        self.check_fitted()
        self._check_shape(windows.shape[1:])
        x = windows.x
        finite = np.isfinite(x).all(axis=(1, 2))
        if finite.all():
            return self._scores(x)
        # A window that holds no value says nothing: all classes alike, and no crash.
        scores = np.full((len(x), len(self.classes_)), 1.0 / len(self.classes_))
        scores[finite] = self._scores(x[finite])
        return scores

    def _check_shape(self, shape: tuple[int, ...]) -> None:
        if shape != self.shape_:
            raise ConfigError(
                f"{self.name!r} was trained on windows of shape {self.shape_} (electrodes, "
                f"bands); received {shape}. Use one recipe for training and test."
            )

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return the learnt arrays and facts; see `Method.state`."""
        meta = self.base_meta()
        meta["arm"] = self.arm_
        meta["shape"] = list(self.shape_)
        meta["facts"] = self._facts()
        return self._arrays(), meta

    def load_state(self, arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, Any]) -> Self:
        """Restore what `state` returned."""
        self.classes_ = tuple(meta["classes"])
        self.arm_ = str(meta["arm"])
        self.shape_ = tuple(int(size) for size in meta["shape"])
        self._restore(arrays, meta["facts"])
        return self

    # ------------------------------------------------------------------------------- scikit-learn

    def fit_arrays(
        self,
        x: NDArray[Any],
        y: NDArray[np.int64],
        classes: Sequence[str],
        groups: NDArray[np.int64] | None = None,
    ) -> Self:
        """Learn from plain arrays, without a protocol.

        Parameters
        ----------
        x : ndarray, shape (n, n_channels, n_bands) or (n, n_features)
            Features.
        y : ndarray of int64, shape (n,)
            Class indices.
        classes : sequence of str
            Class names.
        groups : ndarray of int64, shape (n,), optional
            Trial of each row, for inner splits; without it every row counts as a trial.

        Returns
        -------
        ArmMethod
            Itself, with ``arm_`` "arrays".
        """
        import pandas as pd

        values = np.asarray(x, dtype=np.float32)
        values = values[:, :, None] if values.ndim == 2 else values
        if groups is None:
            groups = np.arange(len(values), dtype=np.int64)
        rows = Rows(values, np.asarray(y, dtype=np.int64), groups, pd.DataFrame({"row": groups}))
        self._learn(rows, tuple(classes), "arrays", seed=derive_seed(self.config.seed, self.name))
        return self

    def scores_of_arrays(self, x: NDArray[Any]) -> NDArray[np.float64]:
        """Class probabilities of plain arrays, shape (n, n_classes)."""
        self.check_fitted()
        values = np.asarray(x, dtype=np.float32)
        values = values[:, :, None] if values.ndim == 2 else values
        self._check_shape(tuple(values.shape[1:]))
        return self._scores(values)

    def as_sklearn(self) -> MethodClassifier:
        """Return a scikit-learn classifier with the same parameters, for (X, y)."""
        from affectrum.methods.baselines.sklearn_api import MethodClassifier

        return MethodClassifier(self.name, **self.config.model_dump(exclude_unset=True))
