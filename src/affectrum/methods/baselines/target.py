"""What methods share that adapt to unlabelled signals of the target: which rows those are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from affectrum.errors import ConfigError, LabelError
from affectrum.methods.base import Observer, Pretrained, Progress
from affectrum.methods.baselines.arms import ArmMethod, trial_groups, unusable

if TYPE_CHECKING:
    from affectrum.protocols import Access

__all__ = ["TARGET_GRANTS", "SourceArm", "TargetArm", "TargetRows", "seen_facts", "target_rows"]

SourceArm = Literal["source"]

TARGET_GRANTS: tuple[str, ...] = ("source_signals", "source_labels", "target_unlabelled")
"""What a method needs that learns labels from the source and adapts to the target."""


@dataclass(frozen=True)
class TargetRows:
    """Unlabelled windows of the target.

    Attributes
    ----------
    x : ndarray, shape (n, n_channels, n_bands)
        Features.
    groups : ndarray of int64, shape (n,)
        Which trial a window belongs to.
    ids : ndarray of uint64, shape (n,)
        Identity of each window as it is shown (rows without labels have neutral numbers, see
        `hide`), for the record of what an aligner saw.
    corpora, subjects : tuple of str
        Whose they are.
    """

    x: NDArray[np.float32]
    groups: NDArray[np.int64]
    ids: NDArray[np.uint64]
    corpora: tuple[str, ...]
    subjects: tuple[str, ...]


def target_rows(access: Access, method: str) -> TargetRows:
    """Return the unlabelled target windows that hold values.

    Parameters
    ----------
    access : Access
        What the protocol grants.
    method : str
        For messages.

    Raises
    ------
    AccessError
        If no unlabelled target signals are granted.
    LabelError
        If fewer than two windows are left.
    ConfigError
        If features are not finite.
    """
    from affectrum.protocols.identity import row_ids

    access.require(("target_unlabelled",), method)
    assert access.unlabelled is not None
    windows = access.unlabelled.windows
    keep = ~unusable(windows)
    if int(keep.sum()) < 2:
        raise LabelError(
            f"{method} found {int(keep.sum())} usable unlabelled target windows under protocol "
            f"{access.protocol!r}; it needs at least 2. Check the artefact marks, or grant more."
        )
    table = windows.table.loc[keep].reset_index(drop=True)
    x = windows.x if keep.all() else windows.x[keep]
    if not np.isfinite(x).all():
        raise ConfigError(
            f"{method} received unlabelled target features that are not finite. Mark or drop those "
            "windows before make_folds; nothing is filled in silently."
        )
    return TargetRows(
        x,
        trial_groups(table),
        row_ids(table),
        tuple(str(name) for name in dict.fromkeys(table["corpus"])),
        tuple(str(number) for number in dict.fromkeys(table["subject"])),
    )


class TargetArm(ArmMethod):
    """An `ArmMethod` that learns labels from the source and also reads unlabelled target windows.

    Subclasses read `_target` in `_fit_rows`.
    """

    needs: ClassVar[tuple[str, ...]] = TARGET_GRANTS
    needs_one_of: ClassVar[tuple[tuple[str, ...], ...]] = ()
    learns_from_arrays: ClassVar[bool] = False

    _target: TargetRows | None = None

    @property
    def label(self) -> str:
        """Name for tables; there is one arm only."""
        return self.name

    def check_access(self, access: Access) -> None:
        """Refuse an access without labelled source or unlabelled target windows (AccessError)."""
        access.require(self.needs, self.name)

    def fit(
        self,
        access: Access,
        *,
        observer: Observer | None = None,
        pretrained: Pretrained | None = None,
        progress: Progress | None = None,
    ) -> Self:
        """Learn from source labels and unlabelled target signals; see `Method.fit`."""
        self.check_access(access)
        self._target = target_rows(access, self.name)
        try:
            return super().fit(access, observer=observer, pretrained=pretrained, progress=progress)
        finally:
            self._target = None  # a fitted method holds no windows

    def pretrain_fingerprint(self, access: Access) -> str | None:
        """None: what is learnt depends on the target, fold by fold."""
        return None

    def _seen(self) -> TargetRows:
        if self._target is None:
            raise ConfigError(
                f"Method {self.name!r} needs unlabelled target windows: call fit(access) under a "
                "protocol such as 'cross-corpus/unsupervised'."
            )
        return self._target


def seen_facts(rows: TargetRows, record: Any) -> dict[str, Any]:
    """JSON-able facts about what was adapted to: counts and the record's digest.

    Parameters
    ----------
    rows : TargetRows
        The windows.
    record : ScalerRecord
        Of the scaler that was fitted on them.
    """
    return {"n_trials": len(np.unique(rows.groups)), **record.to_dict()}
