"""The card, on predictions whose origin is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from affectrum.evaluation.card import decode_card, nearest_training, nearness
from affectrum.evaluation.predictions import Predictions

CLASSES = ("negative", "neutral", "positive")


def predict(right: float, *, seed: int = 0, n_subjects: int = 8, n_trials: int = 18) -> Predictions:
    """Predictions of which a share is right, the rest by lot; 2 windows a trial."""
    rng = np.random.default_rng(seed)
    rows, scores, truth = [], [], []
    for subject in range(1, n_subjects + 1):
        for trial in range(1, n_trials + 1):
            y = trial % 3
            for window in range(2):
                guess = y if rng.random() < right else int(rng.integers(3))
                rows.append(
                    {
                        "corpus": "A",
                        "subject": subject,
                        "session": 1,
                        "row": trial,
                        "trial": trial,
                        "clip": f"c{trial}",
                        "window": window,
                        "fold": subject - 1,
                    }
                )
                scores.append(np.eye(3)[guess] * 0.8 + 0.2 / 3)
                truth.append(y)
    return Predictions(pd.DataFrame(rows), np.array(scores), np.array(truth), CLASSES)


def card_of(score, controls, **options):
    return decode_card(score, controls, n_replicates=300, n_permutations=100, **options)


def test_what_the_card_says_follows_its_intervals():
    score = predict(0.8)
    card = card_of(
        score,
        {
            "labels-by-trial": predict(0.0, seed=1),
            "labels-by-clip": predict(0.8, seed=2),
            "no-muscle": predict(0.4, seed=3),
            "chance": predict(0.0, seed=4),
            "position": predict(0.8, seed=5),
            "target-only": predict(1.0, seed=6),
        },
        titles={"chance": "guessing"},
        expected=["chance", "muscle-probe"],
    )
    assert card.missing == ("muscle-probe",)
    assert "not shown to be above chance" in card["labels-by-trial"].says
    assert "recognises clips" in card["labels-by-clip"].says
    assert "some of it may be muscle" in card["no-muscle"].says
    assert card["chance"].says.startswith("It is above “guessing”")
    assert card["position"].says.startswith("It is not shown to be above")
    assert card["target-only"].says.startswith("It is below a linear SVM")
    assert "not shown to help" in card["target-only"].says
    assert len(card.sentences) == 6
    with pytest.raises(KeyError):
        card["film-probe"]


def test_the_numbers_are_those_of_a_plain_computation():
    score, control = predict(0.8), predict(0.3, seed=3)

    def plain(predictions):
        right = (predictions.y_pred == predictions.y_true).astype(float)
        per = [
            np.mean(
                [
                    right[(predictions.subject == s) & (predictions.y_true == c)].mean()
                    for c in range(3)
                ]
            )
            for s in range(8)
        ]
        return float(np.mean(per))

    card = card_of(score, {"position": control})
    assert card["score"].value == pytest.approx(plain(score))
    assert card["position"].value == pytest.approx(plain(control))
    assert card["position"].difference == pytest.approx(plain(score) - plain(control))
    row = card["position"]
    assert row.difference_low < row.difference < row.difference_high
    assert row.chance == pytest.approx(1 / 3, abs=0.05)
    assert set(row.to_dict()) >= {"says", "chance_low", "difference_low"}


def test_leaks_and_helpful_sources():
    score = predict(0.9)
    card = card_of(
        score,
        {
            "labels-by-trial": predict(0.9, seed=1),
            "labels-by-clip": predict(0.0, seed=2),
            "no-muscle": predict(0.9, seed=3),
            "target-only": predict(0.2, seed=4),
            "clip-probe": predict(0.9, seed=5),
            "film-probe": predict(0.0, seed=6),
        },
    )
    assert "look for a leak" in card["labels-by-trial"].says
    assert "not shown to be above chance" in card["labels-by-clip"].says
    assert "no loss is shown" in card["no-muscle"].says
    assert card["target-only"].says.endswith("the source helps.")
    assert "a model could score by it" in card["clip-probe"].says
    assert "film itself is not shown" in card["film-probe"].says
    # labels of probes and nulls are others: no difference is taken
    assert np.isnan(card["clip-probe"].difference)
    assert np.isnan(card["labels-by-clip"].difference)


def test_distance_to_the_nearest_training_trial_by_hand():
    trained = pd.DataFrame(
        {
            "corpus": "A",
            "subject": [1, 1, 2, 3],
            "session": [1, 1, 1, 1],
            "trial": pd.array([1, 4, 2, None], dtype="Int64"),
        }
    )
    tested = pd.DataFrame(
        {
            "corpus": "A",
            "subject": [1, 1, 1, 2, 2, 3, 1],
            "session": [1, 1, 1, 1, 1, 1, 2],
            "trial": pd.array([2, 3, 9, 7, None, 5, 1], dtype="Int64"),
        }
    )
    expected = [1, 1, 5, 5, np.nan, np.nan, np.nan]
    np.testing.assert_array_equal(nearest_training(tested, trained), expected)
    # a trial that trains in another fold only does not count
    found = nearest_training(tested.assign(fold=0), trained.assign(fold=[0, 1, 0, 0]))
    np.testing.assert_array_equal(found, [1, 2, 8, 5, np.nan, np.nan, np.nan])


def test_nearness_counts_trials():
    score = predict(1.0)
    trained = pd.DataFrame({"corpus": "A", "subject": range(1, 9), "session": 1, "trial": 0})
    assert nearness(score, trained).empty  # trial 0 is no place
    trained = trained.assign(trial=1, fold=np.arange(8))
    table = nearness(score, trained)
    assert table["distance"].tolist() == list(range(18))
    assert (table["right"] == 1.0).all()
    assert (table["n"] == 8).all()
    card = card_of(score, {}, trained=trained)
    assert card.sentences[-1].startswith("Time to the nearest training trial: 100.0 %")
