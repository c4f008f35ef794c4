from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from affectrum.evaluation import Predictions


def make_predictions(
    n_subjects: int = 4,
    n_clips: int = 6,
    n_windows: int = 5,
    n_classes: int = 3,
    skill: float = 1.0,
    seed: int = 0,
) -> Predictions:
    rng = np.random.default_rng(seed)
    subject, clip, window = (
        grid.ravel()
        for grid in np.meshgrid(
            np.arange(n_subjects), np.arange(n_clips), np.arange(n_windows), indexing="ij"
        )
    )
    y = clip % n_classes
    logits = rng.standard_normal((len(y), n_classes)) + skill * (y[:, None] == np.arange(n_classes))
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    table = pd.DataFrame(
        {
            "corpus": "SEED",
            "subject": subject + 1,
            "session": 1,
            "row": clip + 1,
            "window": window,
            "clip": [f"SEED/{c + 1:02d}" for c in clip],
        }
    )
    classes = ("negative", "neutral", "positive", "fear")[:n_classes]
    return Predictions(table, scores, y.astype(np.int64), classes)


@pytest.fixture
def predictions() -> Predictions:
    return make_predictions()


@pytest.fixture
def make():
    return make_predictions
