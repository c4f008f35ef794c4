"""Trials that a class scheme drops are counted by reason in the notes of a fold."""

from __future__ import annotations

import numpy as np
import pandas as pd

import affectrum as af


def test_reasons_for_ratings_are_told() -> None:
    # ten trials of two people: three unrated, four within half a point of the threshold
    ratings = [1.0, 9.0, 4.6, 5.4, np.nan, 2.0, 8.0, 5.0, 7.0, 3.0]
    table = pd.DataFrame(
        {
            "corpus": "DEAP",
            "subject": subject,
            "trial": trial + 1,
            "rating_valence": rating if (subject, trial) != (2, 0) else np.nan,
        }
        for subject in (1, 2)
        for trial, rating in enumerate(ratings)
        for _ in range(2)
    )
    x = np.random.default_rng(0).normal(size=(len(table), 2, 3))
    windows = af.Windows.from_arrays(x, table, sfreq=None, channels=["Fz", "Cz"], recipe="ours")
    classes = "valence2(threshold=5, margin=0.5)"
    fold = af.make_folds(windows, "leave-one-subject-out", classes=classes)[0]
    (note,) = (note for note in fold.notes if "dropped" in note)
    assert "9 of 20 trials of DEAP" in note
    assert "label missing 3" in note
    assert "rating within the margin of a threshold 6" in note
    assert "valence2(threshold=5, margin=0.5)" in note
