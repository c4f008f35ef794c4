"""The most frequent class: what a model scores that never looks at the signal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from affectrum.methods.base import Observer, Progress
from affectrum.methods.baselines.arms import ArmMethod, Rows
from affectrum.methods.registry import register

__all__ = ["MostFrequent"]


@register
class MostFrequent(ArmMethod):
    """Predicts the class frequencies of the training windows, whatever the window.

    The most probable class is the most frequent one (of equally frequent ones the first in class
    order). The frequencies are the best probabilities that can be given without the signal, so
    that Brier score and negative log-likelihood have an honest floor too.
    """

    name: ClassVar[str] = "most-frequent"
    title: ClassVar[str] = "Most frequent class"
    description: ClassVar[str] = "Class frequencies of the training windows; ignores the signal."
    sees: ClassVar[str] = "labels of the training windows only"

    frequencies_: NDArray[np.float64]

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

    def _scores(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.tile(self.frequencies_, (len(x), 1))

    def _arrays(self) -> dict[str, NDArray[Any]]:
        return {"frequencies": self.frequencies_}

    def _restore(self, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> None:
        self.frequencies_ = np.asarray(arrays["frequencies"], dtype=np.float64)
