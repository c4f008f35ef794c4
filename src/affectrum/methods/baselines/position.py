"""Trial position alone: what a model scores that knows the time, but not the signal.

Experiments present emotions in an order. Where two trials near each other tend to have the same
class, or all subjects see the same order, a model can score by knowing *when* a window was
recorded (drift of impedance, fatigue) and nothing about emotion. This baseline has only the time,
so its score is what such knowledge is worth under a protocol.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from affectrum.errors import ConfigError
from affectrum.methods.base import MethodConfig, Observer, Progress
from affectrum.methods.baselines.arms import ArmConfig, ArmMethod, Rows
from affectrum.methods.registry import register

if TYPE_CHECKING:
    import pandas as pd

    from affectrum.windows import Windows

__all__ = ["Position", "PositionConfig"]

# Time within a trial is counted in steps of this many seconds: well below any useful bandwidth,
# and it keeps the table of training moments small.
_STEP_S = 10.0


class PositionConfig(ArmConfig):
    """Parameters of the position baseline."""

    trials: float = Field(
        1.0, gt=0, description="bandwidth over trial positions, in trials (Gaussian kernel)"
    )
    seconds: float = Field(
        60.0, gt=0, description="bandwidth over time within the trial, in seconds"
    )
    by_session: bool = Field(
        True, description="compare with training trials of the same session number where any exist"
    )
    prior: float = Field(
        1e-3, gt=0, description="weight of the class frequencies, against one near training window"
    )


@register
class Position(ArmMethod):
    """Class from trial position and time within the trial, by a kernel average.

    A window at trial position p and t seconds into its trial gets the classes of the training
    windows at (p', t'), each weighing ``exp(-(p - p')^2 / 2h^2 - (t - t')^2 / 2g^2)``; far from
    all training trials the class frequencies remain. Where all subjects see one order this is the
    table of classes by position; within one subject it says how far neighbouring trials go.

    Where a corpus's layout does not tell the order of presentation (``trial`` is missing) such
    windows get the class frequencies, and ``position_known_`` says how many were usable.
    """

    Config: ClassVar[type[MethodConfig]] = PositionConfig
    name: ClassVar[str] = "position"
    title: ClassVar[str] = "Trial position"
    description: ClassVar[str] = "Class from trial order and time on task alone; no signal."
    sees: ClassVar[str] = "labels, trial numbers and times of the training windows; no signal"
    reference: ClassVar[str] = (
        "Nadaraya (1964), On estimating regression, Theory of Probability and its Applications 9, "
        "141-142, doi:10.1137/1109020"
    )
    learns_from_arrays: ClassVar[bool] = False

    frequencies_: NDArray[np.float64]
    moments_: NDArray[np.float64]
    counts_: NDArray[np.float64]
    position_known_: float

    def _fit_rows(
        self,
        rows: Rows,
        n_classes: int,
        *,
        seed: int,
        after_epoch: Observer | None,
        progress: Progress | None,
    ) -> None:
        self.frequencies_ = np.bincount(rows.y, minlength=n_classes) / len(rows.y)
        moments = _moments(rows.table)
        known = np.isfinite(moments).all(axis=1)
        self.position_known_ = float(known.mean())
        self.moments_, index = np.unique(moments[known], axis=0, return_inverse=True)
        self.counts_ = np.zeros((len(self.moments_), n_classes))
        np.add.at(self.counts_, (index.ravel(), rows.y[known]), 1.0)

    def predict_proba(self, windows: Windows) -> NDArray[np.float64]:
        """Score windows by their place in time; see `Method.predict_proba`."""
        self.check_fitted()
        moments = _moments(windows.table)
        scores = np.tile(self.frequencies_, (len(moments), 1))
        known = np.isfinite(moments).all(axis=1)
        if known.any() and len(self.moments_):
            asked, index = np.unique(moments[known], axis=0, return_inverse=True)
            scores[known] = self._at(asked)[index.ravel()]
        return scores

    def _at(self, asked: NDArray[np.float64]) -> NDArray[np.float64]:
        """Class probabilities at moments (session, trial, seconds), shape (m, n_classes)."""
        gap = asked[:, None, :] - self.moments_[None]
        weight = np.exp(
            -0.5 * (gap[:, :, 1] / self.config.trials) ** 2
            - 0.5 * (gap[:, :, 2] / self.config.seconds) ** 2
        )
        if self.config.by_session:
            same = gap[:, :, 0] == 0
            weight *= same | ~same.any(axis=1, keepdims=True)
        votes = weight @ self.counts_ + self.config.prior * self.frequencies_
        shares: NDArray[np.float64] = votes / votes.sum(axis=1, keepdims=True)
        return shares

    def _scores(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        raise ConfigError("Method 'position' needs the windows' table; features say nothing to it.")

    def _arrays(self) -> dict[str, NDArray[Any]]:
        return {
            "frequencies": self.frequencies_,
            "moments": self.moments_,
            "counts": self.counts_,
        }

    def _facts(self) -> dict[str, Any]:
        return {"position_known": self.position_known_}

    def _restore(self, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> None:
        self.frequencies_ = np.asarray(arrays["frequencies"], dtype=np.float64)
        self.moments_ = np.asarray(arrays["moments"], dtype=np.float64)
        self.counts_ = np.asarray(arrays["counts"], dtype=np.float64)
        self.position_known_ = float(facts["position_known"])


def _moments(table: pd.DataFrame) -> NDArray[np.float64]:
    """Session, trial position and time within the trial (s), NaN where unknown; shape (n, 3)."""
    columns = []
    for name in ("session", "trial", "start_s"):
        if name in table:
            columns.append(table[name].to_numpy(dtype=np.float64, na_value=np.nan))
        else:
            columns.append(np.full(len(table), np.nan if name == "trial" else 0.0))
    columns[2] = np.floor(columns[2] / _STEP_S) * _STEP_S
    return np.stack(columns, axis=1)
