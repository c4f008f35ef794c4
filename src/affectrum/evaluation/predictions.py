"""Predictions of one cell, and their scores for each subject."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affectrum.errors import ConfigError, check_option
from affectrum.evaluation.classification import check_scores, metrics

__all__ = ["LEVELS", "Predictions", "score_predictions"]

#: Every window counts once; or every trial once, by the mean score of its windows.
LEVELS: tuple[str, ...] = ("window", "trial")

_TRIAL = ("corpus", "subject", "session", "row")


@dataclass(frozen=True)
class Predictions:
    """Scores of test windows with the truth and who they belong to.

    Attributes
    ----------
    table : DataFrame, n rows
        `corpus`, `subject`, `session`, `row`, and where known `trial`, `window`, `clip`, `fold`.
    scores : ndarray, shape (n, n_classes)
        Class scores.
    y_true : ndarray of int64, shape (n,)
        Class indices.
    classes : tuple of str
        Class names.
    level : str
        "window" or "trial": what a row is.
    """

    table: pd.DataFrame
    scores: NDArray[np.floating[Any]]
    y_true: NDArray[np.int64]
    classes: tuple[str, ...]
    level: str = "window"

    def __post_init__(self) -> None:
        check_scores(self.y_true, self.scores, len(self.classes))
        missing = [name for name in _TRIAL if name not in self.table]
        if missing or len(self.table) != len(self.scores):
            raise ConfigError(
                f"The table of predictions has {len(self.table)} rows for {len(self.scores)} "
                f"scores and lacks the columns {missing or 'none'}; it needs {', '.join(_TRIAL)}."
            )

    def __len__(self) -> int:
        return len(self.table)

    @cached_property
    def y_pred(self) -> NDArray[np.int64]:
        """Predicted class of each row, shape (n,)."""
        return np.asarray(np.asarray(self.scores).argmax(axis=1), dtype=np.int64)

    @cached_property
    def trial(self) -> NDArray[np.int64]:
        """Trial of each row, numbered from 0 in order of appearance, shape (n,)."""
        code = self.table.groupby(list(_TRIAL), sort=False).ngroup()
        return np.asarray(code, dtype=np.int64)

    @cached_property
    def subject(self) -> NDArray[np.int64]:
        """Subject of each row, numbered by (corpus, subject) in sorted order, shape (n,)."""
        code = self.table.groupby(["corpus", "subject"], sort=True).ngroup()
        return np.asarray(code, dtype=np.int64)

    @cached_property
    def clip(self) -> NDArray[np.int64]:
        """Stimulus of each row, numbered in sorted order, shape (n,).

        Where clips are not known, trials at the same place (session and row) count as one.
        """
        return np.unique(self.clip_names, return_inverse=True)[1].astype(np.int64)

    @cached_property
    def clip_names(self) -> NDArray[np.str_]:
        """Stimulus of each row by name, or its place where the clip is not known, shape (n,)."""
        place = self.table["session"].astype(str) + "/" + self.table["row"].astype(str).str.zfill(4)
        names = place
        if "clip" in self.table:
            known = self.table["clip"].notna() & (self.table["clip"].astype(str) != "")
            names = self.table["clip"].astype(str).where(known, place)
        return np.asarray(names.to_numpy(dtype=np.str_))

    def at(self, level: str) -> Predictions:
        """Return the predictions at a level; trials get the mean score of their windows.

        Raises
        ------
        ConfigError
            If the level is unknown, or windows are asked of trials.
        """
        check_option("level", level, LEVELS)
        if level == self.level:
            return self
        if self.level == "trial":
            raise ConfigError("These predictions are of trials; their windows are gone.")
        code = self.trial
        n = int(code.max()) + 1 if len(code) else 0
        sums = np.zeros((n, len(self.classes)))
        np.add.at(sums, code, np.asarray(self.scores, dtype=np.float64))
        counts = np.bincount(code, minlength=n)
        first = np.unique(code, return_index=True)[1]
        return Predictions(
            self.table.iloc[first].reset_index(drop=True),
            sums / counts[:, None],
            self.y_true[first],
            self.classes,
            "trial",
        )

    def select(self, rows: NDArray[Any]) -> Predictions:
        """Return some rows (mask or positions)."""
        chosen = np.arange(len(self))[rows]
        return replace(
            self,
            table=self.table.iloc[chosen].reset_index(drop=True),
            scores=np.asarray(self.scores)[chosen],
            y_true=self.y_true[chosen],
        )


def score_predictions(predictions: Predictions, level: str = "window") -> pd.DataFrame:
    """Score each subject once over all of its test rows.

    Parameters
    ----------
    predictions : Predictions
        Of one cell.
    level : {"window", "trial"}
        What counts as one.

    Returns
    -------
    DataFrame
        One row per subject: `corpus`, `subject`, `n` (rows), `n_trials`, `n_classes` (in the
        truth) and one column for each of `METRICS`.
    """
    at_level = predictions.at(level)
    rows = []
    for number in range(int(at_level.subject.max()) + 1 if len(at_level) else 0):
        part = at_level.select(at_level.subject == number)
        rows.append(
            {
                "corpus": str(part.table["corpus"].iloc[0]),
                "subject": int(part.table["subject"].iloc[0]),
                "n": len(part),
                "n_trials": int(part.trial.max()) + 1,
                "n_classes": len(np.unique(part.y_true)),
                **metrics(part.y_true, part.scores, part.classes),
            }
        )
    return pd.DataFrame(rows)
