from __future__ import annotations

import itertools
import time

import numpy as np
import pandas as pd
import pytest

from affectrum.errors import ConfigError
from affectrum.evaluation import (
    calibration,
    cautions,
    chance_level,
    compare_methods,
    crossed_bootstrap,
    crossed_confusions,
    holm,
    honest_ece,
    learning_curve,
    metrics_from_confusion,
    optimism_gap,
    paired_permutation_test,
    reliability_curve,
    resampling,
    score_predictions,
    subject_calibration,
    summarise,
)

# ------------------------------------------------------------------------------- bootstrap


def test_confusions_are_counted_per_subject_and_clip(predictions):
    counts = crossed_confusions(predictions)
    assert counts.shape == (4, 6, 3, 3)
    assert counts.sum() == len(predictions)
    mine = (predictions.table["subject"] == 3) & (predictions.table["row"] == 2)
    guesses = predictions.y_pred[mine.to_numpy()]
    assert counts[2, 1, 1].tolist() == np.bincount(guesses, minlength=3).tolist()
    assert counts[2, 1, [0, 2]].sum() == 0
    assert crossed_confusions(predictions, "trial").sum() == 24


def test_bootstrap_equals_a_plain_loop(predictions):
    counts = crossed_confusions(predictions)
    got = crossed_bootstrap(counts, "balanced_accuracy", n_replicates=50, seed=4, expand=False)
    rng = np.random.default_rng(4)
    subjects = resampling.draw_weights(rng, [np.arange(4)], 4, 50)
    clips = resampling.draw_weights(rng, resampling.clip_strata(counts), 6, 50)
    values = []
    for replicate in range(50):
        scores = []
        for subject in range(4):
            total = np.zeros((3, 3))
            for clip in range(6):
                total += clips[replicate, clip] * counts[subject, clip]
            value = float(metrics_from_confusion(total)["balanced_accuracy"])
            scores += [value] * int(subjects[replicate, subject])
        values.append(np.mean(scores))
    np.testing.assert_allclose([got.low, got.high], np.percentile(values, [2.5, 97.5]))
    expected = score_predictions(predictions)["balanced_accuracy"].mean()
    assert got.value == pytest.approx(expected)
    assert got.low < got.value < got.high


def test_clips_of_one_class_are_resampled_within_it(predictions):
    strata = resampling.clip_strata(crossed_confusions(predictions))
    assert [members.tolist() for members in strata] == [[0, 3], [1, 4], [2, 5]]
    weights = resampling.draw_weights(np.random.default_rng(0), strata, 6, 100)
    for members in strata:
        assert (weights[:, members].sum(axis=1) == 2).all()


def test_blocks_do_not_change_the_bootstrap(predictions, monkeypatch):
    counts = crossed_confusions(predictions)
    whole = crossed_bootstrap(counts, n_replicates=100)
    monkeypatch.setattr(resampling, "_BLOCK_VALUES", 300)
    assert crossed_bootstrap(counts, n_replicates=100) == whole


def test_shared_clips_widen_the_interval(make):
    """What all subjects share does not average out over subjects."""
    rng = np.random.default_rng(0)
    right = rng.random((1, 40, 1)) < 0.6  # clip by clip, alike for all 30 subjects
    counts = np.zeros((30, 40, 2, 2))
    labels = np.arange(40) % 2
    for clip, label in enumerate(labels):
        counts[:, clip, label, label] = 10 * right[0, clip, 0]
        counts[:, clip, label, 1 - label] = 10 * ~right[0, clip, 0]
    crossed = crossed_bootstrap(counts, "accuracy")
    # subjects alone: they are all alike, so an interval over subjects has no width
    assert crossed.high - crossed.low > 0.2


def test_two_thousand_replicates_cost_less_than_a_second(make):
    counts = crossed_confusions(make(n_subjects=32, n_clips=40))
    began = time.process_time()
    crossed_bootstrap(counts, n_replicates=2000)
    assert time.process_time() - began < 1.0


def test_interval_of_a_difference(make):
    better, worse = make(skill=2.0, seed=1), make(skill=0.3, seed=1)
    pair = [crossed_confusions(better), crossed_confusions(worse)]
    got = crossed_bootstrap(pair)
    means = [score_predictions(p)["balanced_accuracy"].mean() for p in (better, worse)]
    assert got.value == pytest.approx(means[0] - means[1])
    assert got.low > 0
    same = crossed_bootstrap([pair[0], pair[0]])
    assert (same.value, same.low, same.high) == (0, 0, 0)
    with pytest.raises(ConfigError, match="same subjects and clips"):
        crossed_bootstrap([pair[0], pair[1][:2]])


@pytest.mark.slow
def test_intervals_cover_crossed_truth():
    """Random subjects and random clips, both with an effect on the chance of being right."""
    rng = np.random.default_rng(0)
    n_subjects, n_clips, n_windows, covered, repeats = 15, 30, 20, 0, 300
    widths = []

    def accuracy(subject, clip):
        return 1 / (1 + np.exp(-(0.4 + subject + clip)))

    truth = accuracy(rng.normal(0, 0.5, (4000, 1)), rng.normal(0, 0.7, (1, 4000))).mean()
    for repeat in range(repeats):
        p = accuracy(rng.normal(0, 0.5, (n_subjects, 1)), rng.normal(0, 0.7, (1, n_clips)))
        right = rng.binomial(n_windows, p).astype(float)
        counts = np.zeros((n_subjects, n_clips, 2, 2))
        for clip in range(n_clips):
            label = clip % 2
            counts[:, clip, label, label] = right[:, clip]
            counts[:, clip, label, 1 - label] = n_windows - right[:, clip]
        got = crossed_bootstrap(counts, "accuracy", n_replicates=500, seed=repeat)
        covered += got.low <= truth <= got.high
        widths.append(got.high - got.low)
    # nominal 0.95; the crossed bootstrap errs to the safe side, small samples to the other
    assert 0.91 <= covered / repeats <= 0.995
    assert np.mean(widths) < 0.25


# ----------------------------------------------------------------------------------- chance


def test_chance_of_three_equal_classes_is_a_third(make):
    found = chance_level(make(n_subjects=8, n_clips=12, skill=0.0))
    assert found.value == pytest.approx(1 / 3, abs=0.01)
    assert found.low < 1 / 3 < found.high
    assert found.majority == pytest.approx(1 / 3)
    assert found.p_value > 0.01


def test_a_skilled_model_is_above_chance(make):
    found = chance_level(make(skill=2.0), n_permutations=400)
    assert found.p_value == pytest.approx(1 / 401)
    observed = score_predictions(make(skill=2.0))["balanced_accuracy"].mean()
    assert observed > found.high


def test_permuting_by_trial_gives_wide_intervals(make):
    """Windows of a trial are predicted alike here; permuting windows would hide that."""
    few = make(n_windows=1, n_clips=6, skill=1.0)
    many = make(n_windows=1, n_clips=6, skill=1.0)
    table = pd.concat([many.table.assign(window=i) for i in range(50)], ignore_index=True)
    many = type(many)(table, np.tile(many.scores, (50, 1)), np.tile(many.y_true, 50), many.classes)
    one, other = chance_level(few, seed=1), chance_level(many, seed=1)
    assert one.high - one.low == pytest.approx(other.high - other.low, rel=1e-6)


def test_chance_accuracy_follows_the_class_shares(make):
    predictions = make(n_subjects=6, n_clips=9, skill=0.0)
    rare = predictions.select(
        ~((predictions.y_true == 2) & (predictions.table["row"].to_numpy() > 3))
    )
    found = chance_level(rare, "accuracy")
    assert found.majority == pytest.approx(3 / 7)


# ------------------------------------------------------------------------------- calibration


def test_calibration_by_hand():
    y = np.array([0, 0, 1, 1])
    scores = np.array([[0.9, 0.1], [0.9, 0.1], [0.9, 0.1], [0.4, 0.6]])
    curve = reliability_curve(y, scores, n_bins=10)
    assert curve["n"].tolist() == [1, 3]
    np.testing.assert_allclose(curve["confidence"], [0.6, 0.9])
    np.testing.assert_allclose(curve["accuracy"], [1.0, 2 / 3])
    got = calibration(y, scores, n_bins=10)
    assert got["ece"] == pytest.approx((1 * 0.4 + 3 * (0.9 - 2 / 3)) / 4)
    assert got["brier"] == pytest.approx((2 * 0.01 * 2 + 2 * 0.81 + 2 * 0.16) / 4)
    assert got["nll"] == pytest.approx(-np.log([0.9, 0.9, 0.1, 0.6]).mean())


def test_calibration_equals_sklearn(make):
    from sklearn.metrics import brier_score_loss, log_loss

    predictions = make(n_subjects=10)
    got = calibration(predictions.y_true, predictions.scores)
    assert got["nll"] == pytest.approx(log_loss(predictions.y_true, predictions.scores))
    two = make(n_classes=2)
    brier = brier_score_loss(two.y_true, two.scores[:, 1])
    assert calibration(two.y_true, two.scores)["brier"] == pytest.approx(2 * brier)


def test_honest_probabilities_have_no_calibration_error():
    rng = np.random.default_rng(0)
    scores = rng.dirichlet(np.ones(3), 100_000)
    y = (scores.cumsum(axis=1) < rng.random((100_000, 1))).sum(axis=1)
    assert calibration(y, scores)["ece"] < 0.01


def test_scores_that_are_no_probabilities_are_refused():
    with pytest.raises(ConfigError, match="sum to 1"):
        calibration(np.array([0, 1]), np.array([[0.2, 0.2], [0.5, 0.5]]))


def test_honest_probabilities_show_some_error_too():
    rng = np.random.default_rng(0)
    scores = rng.dirichlet(np.ones(3), 60)
    mean, high = honest_ece(scores)
    found = [
        calibration((scores.cumsum(axis=1) < rng.random((60, 1))).sum(axis=1), scores)["ece"]
        for _ in range(400)
    ]
    assert mean == pytest.approx(np.mean(found), rel=0.1)
    assert np.mean(np.array(found) <= high) == pytest.approx(0.95, abs=0.03)
    assert honest_ece(np.repeat(scores, 50, axis=0))[1] < high / 4


def test_calibration_of_each_subject(predictions):
    table = subject_calibration(predictions)
    mine = predictions.subject == 1
    expected = calibration(predictions.y_true[mine], predictions.scores[mine])
    assert table.loc[1, ["ece", "brier", "nll"]].to_dict() == pytest.approx(expected)
    assert table["n"].tolist() == [30] * 4
    assert subject_calibration(predictions, "trial")["n"].tolist() == [6] * 4


# -------------------------------------------------------------------------------- comparison


def test_permutation_test_equals_all_sign_patterns():
    rng = np.random.default_rng(0)
    a, b = rng.random((2, 6))
    d = a - b
    means = [abs(np.mean(np.array(s) * d)) for s in itertools.product([1, -1], repeat=6)]
    expected = np.mean(np.array(means) >= abs(d.mean()) - 1e-12)
    got = paired_permutation_test(a, b)
    assert got.p_value == pytest.approx(expected)
    assert got.exact
    assert got.smallest_p == 2 / 64
    assert got.effect_size == pytest.approx(d.mean() / d.std(ddof=1))
    mirrored = paired_permutation_test(b, a)
    assert mirrored.p_value == got.p_value
    assert mirrored.difference == -got.difference


def test_permutation_test_agrees_with_scipy():
    from scipy.stats import permutation_test

    rng = np.random.default_rng(1)
    a, b = rng.random((2, 10)) + np.array([[0.2], [0.0]])
    expected = permutation_test(
        (a, b),
        lambda x, y, axis: np.mean(x - y, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=np.inf,
    )
    assert paired_permutation_test(a, b).p_value == pytest.approx(expected.pvalue)
    a, b = rng.random((2, 40)) + np.array([[0.1], [0.0]])
    many = paired_permutation_test(a, b)
    expected = permutation_test(
        (a, b),
        lambda x, y, axis: np.mean(x - y, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=20_000,
        rng=np.random.default_rng(0),
    )
    assert not many.exact
    assert many.smallest_p == 2 / 2**40
    assert many.p_value == pytest.approx(expected.pvalue, abs=0.005)


def test_counting_on_a_grid_equals_trying_all_patterns():
    from affectrum.evaluation.comparison import _p_on_a_grid

    rng = np.random.default_rng(0)
    for difference in (
        rng.normal(0.5, 1, 12),
        rng.normal(0, 1, 13),
        np.array([0.1] * 10),
        np.array([0.1, -0.1] * 6),
        np.r_[np.zeros(6), rng.normal(1, 0.2, 6)],
        rng.integers(-3, 9, 14) / 20,
    ):
        exact = paired_permutation_test(difference, np.zeros_like(difference))
        assert exact.exact
        found = _p_on_a_grid(difference)
        assert found >= exact.p_value - 1e-12
        assert found == pytest.approx(exact.p_value, rel=0.02, abs=2e-3)
    clear = np.full(32, 0.2) + rng.normal(0, 0.01, 32)
    assert paired_permutation_test(clear, np.zeros(32)).p_value == pytest.approx(2 / 2**32)
    assert paired_permutation_test(np.ones(20), np.ones(20)).p_value == 1


def test_equal_methods_have_p_one():
    got = paired_permutation_test(np.ones(8), np.ones(8))
    assert got.p_value == 1
    assert np.isnan(got.effect_size)


def test_holm_by_hand():
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03]), [0.03, 0.06, 0.06])
    np.testing.assert_allclose(holm([0.9, 0.6]), [1.0, 1.0])
    assert len(holm([])) == 0


def test_methods_are_compared_on_shared_subjects(make):
    tables = {
        name: score_predictions(make(skill=skill, n_subjects=8))
        for name, skill in (("a", 2.0), ("b", 0.5), ("c", 0.0))
    }
    tables["c"] = tables["c"].iloc[1:]
    got = compare_methods(tables)
    assert got[["first", "second"]].to_numpy().tolist() == [["a", "b"], ["a", "c"], ["b", "c"]]
    assert got["n"].tolist() == [8, 7, 7]
    np.testing.assert_allclose(got["p_holm"], holm(got["p_value"]))
    assert (got["p_holm"] >= got["p_value"]).all()
    one = compare_methods(tables, reference="b")
    assert one["second"].tolist() == ["a", "c"]
    with pytest.raises(ConfigError, match="not among"):
        compare_methods(tables, reference="d")


# ---------------------------------------------------------------------------------- optimism


def test_optimism_gap_by_hand(make):
    predictions = make(n_subjects=2, n_clips=2, n_windows=1, n_classes=2)
    right = np.eye(2)[predictions.y_true]
    wrong = right[:, ::-1]
    # subject 1: right, wrong, wrong; subject 2: wrong, wrong, right
    first = predictions.table["subject"].to_numpy()[:, None] == 1
    epochs = np.stack([np.where(first, right, wrong), wrong, np.where(first, wrong, right)]).astype(
        np.float16
    )
    curve = learning_curve(predictions, epochs, "accuracy")
    assert curve.index.tolist() == [1, 2, 3]
    assert curve.to_numpy().T.tolist() == [[1, 0, 0], [0, 0, 1]]
    gap = optimism_gap(predictions, epochs, "accuracy")
    assert gap["last"].tolist() == [0, 1]
    assert gap["oracle"].tolist() == [1, 1]
    assert gap["oracle_epoch"].tolist() == [1, 3]
    assert gap["gap"].tolist() == [1, 0]


def test_folds_with_fewer_epochs_are_read_to_their_own_end(make):
    predictions = make(n_subjects=2)
    epochs = np.stack([predictions.scores, predictions.scores])
    epochs[1, predictions.table["subject"].to_numpy() == 1] = np.nan
    gap = optimism_gap(predictions, epochs)
    assert gap["oracle_epoch"].tolist() == [1, 1]
    assert (gap["gap"] == 0).all()
    with pytest.raises(ConfigError, match="epoch_scores has shape"):
        optimism_gap(predictions, epochs[:, :3])


def test_noise_gives_optimism(make):
    """Best of many epochs on pure noise reads well above chance."""
    predictions = make(skill=0.0, n_subjects=6)
    rng = np.random.default_rng(0)
    epochs = rng.dirichlet(np.ones(3), (50, len(predictions)))
    gap = optimism_gap(predictions, epochs)
    assert gap["gap"].mean() > 0.1


# ----------------------------------------------------------------------------------- summary


def test_summary_and_cautions(make):
    predictions = make(n_subjects=6, n_clips=15)
    row = summarise(predictions, n_replicates=200, n_permutations=200)
    assert row["cautions"] == []
    assert row["n_subjects"] == 6
    assert row["interval_low"] < row["balanced_accuracy"] < row["interval_high"]
    assert row["chance_low"] < row["chance"] < row["chance_high"]
    table = score_predictions(predictions)
    assert row["kappa_sd"] == pytest.approx(table["kappa"].std())
    few = cautions(make(n_subjects=1, n_clips=6))
    assert "only 1 test subject (fewer than 5)" in few[0]
    assert "negative 2, neutral 2, positive 2" in few[1]
    assert len(few) == 2
    single = cautions(make(n_subjects=6, n_clips=5))
    assert "one test clip only for positive: what other clips would change" in single[1]
    assert summarise(predictions, level="trial", n_replicates=50, n_permutations=50)["ece"] >= 0
