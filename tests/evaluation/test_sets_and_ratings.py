"""Prediction sets, temperatures from held-out trials, and ratings."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from affectrum.errors import ConfigError
from affectrum.evaluation import (
    RATING_METRICS,
    HeldOut,
    calibration,
    concordance,
    conformal_across_subjects,
    conformal_held_out,
    conformal_sets,
    conformal_threshold,
    rating_interval,
    rating_metrics,
    score_ratings,
    temper,
)

# -------------------------------------------------------------------------- prediction sets


def test_one_window_per_person_is_ordinary_split_conformal():
    rng = np.random.default_rng(0)
    for n, coverage in [(9, 0.9), (19, 0.9), (30, 0.8), (50, 0.95)]:
        scores = rng.dirichlet(np.ones(3), n)
        y = rng.integers(0, 3, n)
        strange = np.sort(1 - scores[np.arange(n), y])
        place = int(np.ceil((n + 1) * coverage - 1e-9))
        got = conformal_threshold(scores, y, np.arange(n), coverage=coverage)
        assert got == strange[place - 1]


def test_few_people_can_promise_nothing():
    scores = np.full((800, 2), 0.5)
    y = np.zeros(800, dtype=int)
    people = np.repeat(np.arange(8), 100)
    assert conformal_threshold(scores, y, people, coverage=0.9) == np.inf  # it takes nine
    assert conformal_threshold(scores, y, people, coverage=0.85) == 0.5
    assert conformal_sets(scores[:2], np.inf).all()
    with pytest.raises(ConfigError, match="between 0 and 1"):
        conformal_threshold(scores, y, people, coverage=1.0)
    with pytest.raises(ConfigError, match="one number for each of 800"):
        conformal_threshold(scores, y, people[:3])


def test_people_weigh_alike_however_many_windows_they_have():
    scores = np.array([[0.9, 0.1]] * 90 + [[0.4, 0.6]] * 10)
    y = np.zeros(100, dtype=int)
    people = np.repeat([0, 1], [90, 10])
    # each person has one third; half of the mass is reached only with the second one's windows
    assert conformal_threshold(scores, y, people, coverage=0.3) == pytest.approx(0.1)
    assert conformal_threshold(scores, y, people, coverage=0.5) == pytest.approx(0.6)


def test_sets_of_each_subject_are_made_without_its_labels(make):
    predictions = make(n_subjects=12, skill=1.5)
    got = conformal_across_subjects(predictions, coverage=0.8)
    changed = np.where(predictions.subject == 4, (predictions.y_true + 1) % 3, predictions.y_true)
    other = conformal_across_subjects(
        type(predictions)(predictions.table, predictions.scores, changed, predictions.classes),
        coverage=0.8,
    )
    mine = predictions.subject == 4
    np.testing.assert_array_equal(got.sets[mine], other.sets[mine])
    held = got.sets[np.arange(len(predictions)), predictions.y_true]
    np.testing.assert_allclose(
        got.subjects["coverage"], [held[predictions.subject == s].mean() for s in range(12)]
    )
    assert got.subjects["n"].tolist() == [30] * 12
    assert got.calibrated_on == "the other test subjects"
    assert conformal_across_subjects(predictions, level="trial").sets.shape == (72, 3)
    with pytest.raises(ConfigError, match="at least two"):
        conformal_across_subjects(make(n_subjects=1))


def test_the_promise_holds_for_new_people():
    """People differ in how well they are read, and in how many windows they have."""
    rng = np.random.default_rng(0)
    held, repeats = [], 400
    for _ in range(repeats):
        scores, y, people = [], [], []
        for person in range(20):
            n = int(rng.integers(3, 30))
            truth = rng.integers(0, 3, n)
            skill = rng.normal(1.0, 1.0)
            logits = rng.normal(0, 1, (n, 3)) + skill * np.eye(3)[truth]
            scores.append(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True))
            y.append(truth)
            people.append(np.full(n, person))
        threshold = conformal_threshold(
            np.concatenate(scores[:-1]), np.concatenate(y[:-1]), np.concatenate(people[:-1]),
            coverage=0.8,
        )  # fmt: skip
        sets = conformal_sets(scores[-1], threshold)
        held.append(sets[np.arange(len(y[-1])), y[-1]].mean())
    assert np.mean(held) >= 0.8 - 2 * np.std(held) / np.sqrt(repeats)
    assert np.mean(held) < 0.9


# --------------------------------------------------------------------------- held-out trials


def held_out(make, sharpness: float):
    """Two folds whose probabilities are too sharp by a known temperature."""
    rng = np.random.default_rng(0)

    def sharpen(scores):
        sharp = scores**sharpness
        return sharp / sharp.sum(axis=1, keepdims=True)

    base = make(n_subjects=4, n_clips=9, n_windows=60, skill=0.0)
    scores = rng.dirichlet(np.ones(3) * 1.5, len(base))
    y = (scores.cumsum(axis=1) < rng.random((len(base), 1))).sum(axis=1)  # honest by design
    fold = (base.subject >= 2).astype(int)
    table = base.table.assign(fold=fold)
    test = type(base)(table, sharpen(scores), y, base.classes)
    n = 3000
    honest = rng.dirichlet(np.ones(3) * 1.5, n)
    truth = (honest.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    held = HeldOut(
        sharpen(honest), truth, np.arange(n) % 2, np.arange(n) // 30, np.arange(n) // 300
    )
    return test, held, scores


def test_a_temperature_from_held_out_trials_makes_test_scores_honest(make):
    test, held, honest = held_out(make, 3.0)
    got = temper(test, held)
    assert got.temperatures["fold"].tolist() == [0, 1]
    np.testing.assert_allclose(got.temperatures["temperature"], 3.0, rtol=0.15)
    assert got.temperatures["n_rows"].tolist() == [1500, 1500]
    assert got.before == calibration(test.y_true, test.scores)
    assert got.after["ece"] < 0.03 < 0.2 < got.before["ece"]
    assert got.after["nll"] < got.before["nll"]
    np.testing.assert_array_equal(got.predictions.y_pred, test.y_pred)
    np.testing.assert_allclose(got.predictions.scores, honest, atol=0.06)


def test_two_trials_that_are_right_do_not_make_a_model_sure(make):
    test, _, _ = held_out(make, 1.0)
    sure = np.tile([0.8, 0.15, 0.05], (40, 1))
    few = HeldOut(
        sure, np.zeros(40, int), np.arange(40) % 2, np.arange(40) // 10, np.zeros(40, int)
    )
    found = temper(test, few).temperatures["temperature"]
    assert ((found > 0.4) & (found < 1)).all()


def test_test_labels_do_not_move_the_temperature(make):
    test, held, _ = held_out(make, 2.0)
    other = type(test)(test.table, test.scores, (test.y_true + 1) % 3, test.classes)
    pd.testing.assert_frame_equal(temper(test, held).temperatures, temper(other, held).temperatures)
    sets, again = conformal_held_out(test, held), conformal_held_out(other, held)
    np.testing.assert_array_equal(sets.sets, again.sets)
    assert sets.calibrated_on == "held-out subjects of the training side"
    alone = HeldOut(held.scores, held.y_true, held.fold, held.trial, np.zeros_like(held.trial))
    found = conformal_held_out(test, alone, coverage=0.8)
    assert found.calibrated_on == "held-out trials of the training side"
    assert found.subjects["coverage"].mean() > 0.7


def test_folds_without_held_out_trials_are_named(make):
    test, held, _ = held_out(make, 2.0)
    first = held.fold == 0
    part = HeldOut(
        *(a[first] for a in (held.scores, held.y_true, held.fold, held.trial, held.subject))
    )
    with pytest.raises(ConfigError, match="held out in folds 1"):
        temper(test, part)
    with pytest.raises(ConfigError, match="column 'fold'"):
        temper(make(), held)
    with pytest.raises(ConfigError, match="differ in length"):
        HeldOut(held.scores, held.y_true, held.fold[:4], held.trial, held.subject)


# ------------------------------------------------------------------------------------ ratings


def test_rating_metrics_by_numpy():
    rng = np.random.default_rng(0)
    y = 1000 + rng.normal(0, 2, 50)
    guess = y + rng.normal(0.5, 1, 50)
    got = rating_metrics(y, guess)
    assert tuple(got) == RATING_METRICS
    cov = np.cov(y, guess, ddof=0)
    below = cov[0, 0] + cov[1, 1] + (y.mean() - guess.mean()) ** 2
    assert got["ccc"] == pytest.approx(2 * cov[0, 1] / below)
    assert got["rmse"] == pytest.approx(np.sqrt(np.mean((guess - y) ** 2)))
    assert got["mae"] == pytest.approx(np.mean(np.abs(guess - y)))
    assert got["pearson"] == pytest.approx(np.corrcoef(y, guess)[0, 1])
    assert got["bias"] == pytest.approx((guess - y).mean())
    missing = rating_metrics([*y, np.nan, 3.0], [*guess, 1.0, np.nan])
    assert missing == pytest.approx(got)


def test_concordance_punishes_shift_and_scale():
    y = np.arange(5.0)
    assert concordance(y, y) == pytest.approx(1)
    assert concordance(y, -y + 4) == pytest.approx(-1)
    assert concordance(y, y + 2) == pytest.approx(2 * 2 / (2 + 2 + 4))
    assert concordance(y, 2 * y) == pytest.approx(2 * 4 / (2 + 8 + 4))
    assert np.isnan(concordance(np.ones(3), np.ones(3)))
    assert concordance(y, np.full(5, 2.0)) == 0
    with pytest.raises(ConfigError, match=r"\(5,\) and \(4,\)"):
        concordance(y, y[:4])


def test_ratings_per_subject_and_trial(make):
    table = make(n_subjects=3, n_clips=4, n_windows=5).table
    rng = np.random.default_rng(0)
    y, guess = rng.normal(size=(2, len(table)))
    guess[7] = np.nan
    got = score_ratings(table, y, guess)
    assert got["n"].tolist() == [19, 20, 20]
    mine = table["subject"].to_numpy() == 2
    expected = rating_metrics(y[mine], guess[mine])
    assert got.loc[1, list(RATING_METRICS)].to_dict() == pytest.approx(expected)
    trials = score_ratings(table, y, guess, level="trial")
    assert trials["n"].tolist() == [4, 4, 4]
    means = [a[mine].reshape(4, 5).mean(axis=1) for a in (y, guess)]
    assert trials["ccc"].iloc[1] == pytest.approx(rating_metrics(*means)["ccc"])
    with pytest.raises(ConfigError, match="level 'clip'"):
        score_ratings(table, y, guess, level="clip")


def test_rating_interval_equals_a_plain_loop(make):
    from affectrum.evaluation.resampling import draw_weights

    predictions = make(n_subjects=4, n_clips=6, n_windows=3)
    rng = np.random.default_rng(0)
    y = rng.normal(size=len(predictions))
    guess = 0.6 * y + rng.normal(size=len(predictions))
    who, what = predictions.subject, predictions.clip
    value, low, high = rating_interval(y, guess, who, what, n_replicates=40, seed=3)
    rng = np.random.default_rng(3)
    subjects = draw_weights(rng, [np.arange(4)], 4, 40).astype(int)
    clips = draw_weights(rng, [np.arange(6)], 6, 40).astype(int)
    means = []
    for replicate in range(40):
        scores = []
        for subject in range(4):
            mine = np.flatnonzero(who == subject)
            rows = np.repeat(mine, clips[replicate, what[mine]])
            scores += [concordance(y[rows], guess[rows])] * subjects[replicate, subject]
        means.append(np.mean(scores))
    assert (low, high) == pytest.approx(tuple(np.percentile(means, [2.5, 97.5])))
    own = [concordance(y[who == s], guess[who == s]) for s in range(4)]
    assert value == pytest.approx(np.mean(own))
    with pytest.raises(ConfigError, match="metric 'r2'"):
        rating_interval(y, guess, who, what, "r2")
