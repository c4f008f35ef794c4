"""scikit-learn is the oracle."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from affectrum.errors import ConfigError
from affectrum.evaluation import (
    METRICS,
    Predictions,
    confusion_matrix,
    metrics,
    metrics_from_confusion,
    score_predictions,
)


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 5), st.integers(2, 60), st.integers(0, 10_000))
def test_metrics_equal_sklearn(n_classes, n, seed):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, n_classes, n)  # classes may be absent
    scores = np.round(rng.dirichlet(np.ones(n_classes), n), 2)  # with ties
    guess = scores.argmax(axis=1)
    got = metrics(y, scores, [str(index) for index in range(n_classes)])
    assert tuple(got) == METRICS
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = {
            "accuracy": sk.accuracy_score(y, guess),
            "balanced_accuracy": sk.balanced_accuracy_score(y, guess),
            "macro_f1": sk.f1_score(y, guess, average="macro"),
            "weighted_f1": sk.f1_score(y, guess, average="weighted"),
            "kappa": sk.cohen_kappa_score(y, guess),
        }
    for name, value in expected.items():
        np.testing.assert_allclose(got[name], value, atol=1e-12, err_msg=name)
    # one against the rest, over the classes for which it is defined
    present = [c for c in range(n_classes) if 0 < (y == c).sum() < n]
    if n_classes == 2:
        present = [1] if 1 in present else []
    if present:
        areas = [sk.roc_auc_score(y == c, scores[:, c]) for c in present]
        np.testing.assert_allclose(got["auroc"], np.mean(areas), atol=1e-12)
    else:
        assert np.isnan(got["auroc"])


def test_auroc_equals_sklearn_over_all_classes():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 4, 300)
    scores = rng.dirichlet(np.ones(4), 300)
    got = metrics(y, scores, "abcd")["auroc"]
    assert got == pytest.approx(sk.roc_auc_score(y, scores, multi_class="ovr"))


def test_confusion_matrix_equals_sklearn():
    rng = np.random.default_rng(0)
    y, guess = rng.integers(0, 3, (2, 200))
    assert (confusion_matrix(y, guess, 4) == sk.confusion_matrix(y, guess, labels=range(4))).all()


def test_many_confusions_at_once():
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 9, (5, 7, 3, 3))
    counts[0, 0] = 0
    many = metrics_from_confusion(counts)
    assert np.isnan(many["accuracy"][0, 0])
    for index in np.ndindex(5, 7):
        one = metrics_from_confusion(counts[index])
        for name, value in one.items():
            np.testing.assert_array_equal(many[name][index], value)


def test_a_hand_worked_case():
    # truth a a a b; guesses a a b b
    got = metrics(np.array([0, 0, 0, 1]), np.eye(2)[[0, 0, 1, 1]], ("a", "b"))
    assert got["accuracy"] == 0.75
    assert got["balanced_accuracy"] == pytest.approx((2 / 3 + 1) / 2)
    assert got["macro_f1"] == pytest.approx((0.8 + 2 / 3) / 2)
    assert got["kappa"] == pytest.approx((0.75 - 0.5) / (1 - 0.5))


def test_faults_are_listed_together():
    with pytest.raises(ConfigError) as caught:
        metrics(np.array([0, 3]), np.array([[0.5, np.nan], [1, 0]]), ("a", "b"))
    assert "0 to 1" in str(caught.value)
    assert "1 scores are NaN" in str(caught.value)
    with pytest.raises(ConfigError, match=r"expected \(n, 3\)"):
        metrics(np.array([0, 1]), np.eye(2), ("a", "b", "c"))


def test_each_subject_is_scored_once_over_all_windows(predictions):
    table = score_predictions(predictions)
    assert table["subject"].tolist() == [1, 2, 3, 4]
    assert table["n"].tolist() == [30] * 4
    assert table["n_trials"].tolist() == [6] * 4
    mine = predictions.table["subject"].to_numpy() == 2
    expected = metrics(predictions.y_true[mine], predictions.scores[mine], predictions.classes)
    assert table[list(METRICS)].iloc[1].to_dict() == expected


def test_trials_get_the_mean_score_of_their_windows(predictions):
    trials = predictions.at("trial")
    assert len(trials) == 24
    np.testing.assert_allclose(trials.scores[7], predictions.scores[35:40].mean(axis=0))
    table = score_predictions(predictions, "trial")
    assert table["n"].tolist() == [6] * 4
    # averaging windows can only help here, where noise is independent
    assert table["accuracy"].mean() > score_predictions(predictions)["accuracy"].mean()
    with pytest.raises(ConfigError, match="their windows are gone"):
        trials.at("window")
    with pytest.raises(ConfigError, match="'level': 'clip'"):
        predictions.at("clip")


def test_subjects_of_two_corpora_are_different_people(predictions):
    table = predictions.table.copy()
    table.loc[:29, "corpus"] = "SEED-IV"
    both = Predictions(table, predictions.scores, predictions.y_true, predictions.classes)
    assert list(zip(*score_predictions(both)[["corpus", "subject"]].to_numpy().T, strict=True)) == [
        ("SEED", 2),
        ("SEED", 3),
        ("SEED", 4),
        ("SEED-IV", 1),
    ]


def test_unknown_clips_count_by_their_place(predictions):
    known = predictions.clip
    table = predictions.table.assign(clip=None)
    unknown = Predictions(table, predictions.scores, predictions.y_true, predictions.classes)
    assert (unknown.clip == known).all()


def test_predictions_need_identifiers(predictions):
    with pytest.raises(ConfigError, match=r"lacks the columns \['row'\]"):
        Predictions(
            predictions.table.drop(columns="row"),
            predictions.scores,
            predictions.y_true,
            predictions.classes,
        )
