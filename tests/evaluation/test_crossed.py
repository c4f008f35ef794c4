"""Crossed errors and tests: closed forms, slow plain versions, simulated crossed truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from affectrum.errors import ConfigError
from affectrum.evaluation import (
    chance_level,
    compare_predictions,
    crossed_bootstrap,
    crossed_confusions,
    crossed_error,
    holm,
    metrics_from_confusion,
    paired_permutation_test,
    replicate_scores,
    score_predictions,
    shared_counts,
    subject_scores,
    summarise,
)
from affectrum.evaluation.intervals import percentile_interval


def mixed_counts(right: np.ndarray, n_windows: int) -> np.ndarray:
    """Every clip has windows of both classes, so that all clips are one stratum."""
    counts = np.zeros((*right.shape, 2, 2))
    for label in range(2):
        counts[..., label, label] = right
        counts[..., label, 1 - label] = n_windows - right
    return counts


def class_counts(right: np.ndarray, n_windows: int, n_classes: int) -> np.ndarray:
    """Each clip has one class; what is wrong goes to the next class."""
    n_subjects, n_clips = right.shape
    counts = np.zeros((n_subjects, n_clips, n_classes, n_classes))
    for clip in range(n_clips):
        label = clip % n_classes
        counts[:, clip, label, label] = right[:, clip]
        counts[:, clip, label, (label + 1) % n_classes] = n_windows - right[:, clip]
    return counts


def test_error_of_a_mean_equals_the_analysis_of_variance():
    rng = np.random.default_rng(0)
    right = rng.integers(0, 11, (5, 8)).astype(float)
    got = crossed_error(mixed_counts(right, 10), metric="accuracy")
    x = right / 10
    n, m = x.shape
    rows, columns, grand = x.mean(axis=1), x.mean(axis=0), x.mean()
    ms_rows = m * np.square(rows - grand).sum() / (n - 1)
    ms_columns = n * np.square(columns - grand).sum() / (m - 1)
    rest = x - rows[:, None] - columns + grand
    ms_rest = np.square(rest).sum() / ((n - 1) * (m - 1))
    assert got.value == pytest.approx(grand)
    assert got.subject_error == pytest.approx(np.sqrt(ms_rows / (n * m)))
    assert got.clip_error == pytest.approx(np.sqrt(ms_columns / (n * m)))
    variance = max(ms_rows + ms_columns - ms_rest, ms_rows, ms_columns) / (n * m)
    assert got.error == pytest.approx(np.sqrt(variance))
    assert got.p_value(grand) == pytest.approx(1.0)
    low, high = got.interval()
    half = stats.t.ppf(0.975, got.df) * got.error
    assert (low, high) == pytest.approx((grand - half, grand + half))


def test_error_of_a_difference_equals_leaving_out_one_by_one():
    rng = np.random.default_rng(1)
    a, b = (class_counts(rng.integers(0, 9, (6, 9)).astype(float), 8, 3) for _ in range(2))

    def difference(first, second):
        means = []
        for counts in (first, second):
            scores = [
                metrics_from_confusion(subject.sum(axis=0), ("macro_f1",))["macro_f1"]
                for subject in counts
            ]
            means.append(np.mean(scores))
        return means[0] - means[1]

    got = crossed_error(a, b, "macro_f1")
    assert got.value == pytest.approx(difference(a, b))
    left = [difference(np.delete(a, s, axis=0), np.delete(b, s, axis=0)) for s in range(6)]
    by_subject = 5 / 6 * np.square(np.array(left) - np.mean(left)).sum()
    assert got.subject_error == pytest.approx(np.sqrt(by_subject))
    by_clip = 0.0
    for label in range(3):
        clips = range(label, 9, 3)
        left = [difference(np.delete(a, c, axis=1), np.delete(b, c, axis=1)) for c in clips]
        by_clip += 2 / 3 * np.square(np.array(left) - np.mean(left)).sum()
    assert got.clip_error == pytest.approx(np.sqrt(by_clip))
    mirrored = crossed_error(b, a, "macro_f1")
    assert mirrored.value == pytest.approx(-got.value)
    assert mirrored.p_value() == pytest.approx(got.p_value())
    with pytest.raises(ConfigError, match="same subjects and clips"):
        crossed_error(a, b[:4])


def test_what_can_not_be_estimated_is_not_invented():
    rng = np.random.default_rng(0)
    one_clip_each = class_counts(rng.integers(0, 9, (6, 3)).astype(float), 8, 3)
    got = crossed_error(one_clip_each)
    assert np.isfinite(got.value)
    assert np.isnan([got.error, got.df, got.p_value(), *got.interval()]).all()
    one_subject = class_counts(rng.integers(0, 9, (1, 9)).astype(float), 8, 3)
    assert np.isnan(crossed_error(one_subject).error)
    same = crossed_error(one_subject.repeat(4, axis=0), one_subject.repeat(4, axis=0))
    assert (same.value, same.error, same.p_value()) == (0, 0, 1)
    with pytest.raises(ConfigError, match="received shape"):
        crossed_error(np.zeros((3, 3)))


def test_shared_counts_keep_what_all_methods_tested(make):
    whole = make(n_subjects=5, n_clips=6)
    fewer = whole.select(whole.table["subject"].to_numpy() != 3)
    other = whole.select(whole.table["row"].to_numpy() != 2)
    got = shared_counts({"a": [whole, fewer], "b": other})
    assert got.subjects == [("SEED", 1), ("SEED", 2), ("SEED", 4), ("SEED", 5)]
    assert got.clips == [f"SEED/{c:02d}" for c in (1, 3, 4, 5, 6)]
    assert got.counts["a"].shape == (2, 4, 5, 3, 3)
    assert got.counts["b"].shape == (1, 4, 5, 3, 3)
    expected = crossed_confusions(whole)[[0, 1, 3, 4]][:, [0, 2, 3, 4, 5]]
    for counts in (*got.counts["a"], *got.counts["b"]):
        np.testing.assert_array_equal(counts, expected)
    nobody = whole.select(whole.table["subject"].to_numpy() == 3)
    with pytest.raises(ConfigError, match="share no test subject"):
        shared_counts({"a": fewer, "b": nobody})
    with pytest.raises(ConfigError, match="one task only"):
        shared_counts({"a": whole, "b": make(n_classes=4)})


def test_scores_of_seeds_are_averaged_whatever_the_metric(make):
    seeds = [make(seed=s, skill=1.0) for s in range(3)]
    counts = shared_counts({"a": seeds}).counts["a"]
    for metric in ("kappa", "macro_f1", "balanced_accuracy"):
        expected = np.mean([score_predictions(p)[metric] for p in seeds], axis=0)
        np.testing.assert_allclose(subject_scores(counts, metric), expected)


def test_replicates_of_methods_are_drawn_alike(make):
    pair = {"a": make(skill=2.0, seed=1), "b": make(skill=0.3, seed=2)}
    counts = shared_counts(pair).counts
    drawn = replicate_scores(counts, n_replicates=300, seed=5)
    gap = drawn["a"] - drawn["b"]
    expected = crossed_bootstrap(
        [counts["a"][0], counts["b"][0]], n_replicates=300, seed=5, expand=False
    )
    assert tuple(np.percentile(gap, [2.5, 97.5])) == (expected.low, expected.high)
    assert replicate_scores({}) == {}


def test_intervals_are_widened_to_the_t_interval_and_keep_their_shape():
    replicates = np.concatenate([np.linspace(0.4, 0.5, 500), np.linspace(0.5, 0.8, 500)])
    low, high = np.percentile(replicates, [2.5, 97.5])
    assert percentile_interval(replicates, 0.5, np.nan, np.nan) == (low, high)
    needed = 2 * 0.1 * stats.t.ppf(0.975, 4)
    wide = percentile_interval(replicates, 0.5, 0.1, 4)
    assert wide[1] - wide[0] == pytest.approx(needed)
    assert (wide[1] - 0.5) / (0.5 - wide[0]) == pytest.approx((high - 0.5) / (0.5 - low))
    assert percentile_interval(replicates, 0.5, 1e-6, 4) == (low, high)
    assert percentile_interval(replicates, 0.5, 0.5, 4, bounds=(0, 1)) == (0, 1)
    assert np.isnan(percentile_interval(np.array([np.nan]), 0.5, 0.1, 4)).all()


# ------------------------------------------------------------------------------------- pairs


def test_pairs_of_methods(make):
    methods = {
        name: make(n_subjects=9, n_clips=15, skill=skill, seed=seed)
        for seed, (name, skill) in enumerate([("good", 2.5), ("fair", 1.0), ("none", 0.0)])
    }
    table = compare_predictions(methods, n_replicates=300)
    assert table[["first", "second"]].to_numpy().tolist() == [
        ["good", "fair"],
        ["good", "none"],
        ["fair", "none"],
    ]
    scores = {name: score_predictions(p)["balanced_accuracy"] for name, p in methods.items()}
    for row in table.to_dict(orient="records"):
        gap = scores[row["first"]] - scores[row["second"]]
        assert row["difference"] == pytest.approx(gap.mean())
        assert row["low"] < row["difference"] < row["high"]
        test = paired_permutation_test(scores[row["first"]], scores[row["second"]])
        assert row["p_subjects"] == test.p_value
        assert row["p_value"] == max(row["p_subjects"], row["p_crossed"])
        assert row["effect_low"] < row["effect_size"] < row["effect_high"]
        assert row["dominance"] == pytest.approx(((gap > 0).mean()) - ((gap < 0).mean()))
        assert row["detectable"] > 2.8 * row["error"]
        assert (row["n_subjects"], row["n_clips"], row["n_seeds"]) == (9, 15, 1)
        assert np.isnan(row["seed_sd"])
    np.testing.assert_allclose(table["p_holm"], holm(table["p_value"]))
    assert table["supported"].all()
    one = compare_predictions(methods, reference="fair", n_replicates=50)
    assert one["second"].tolist() == ["good", "none"]
    assert one["difference"].iloc[0] == pytest.approx(-table["difference"].iloc[0])
    with pytest.raises(ConfigError, match="not among"):
        compare_predictions(methods, reference="best")
    assert compare_predictions({"good": methods["good"]}).empty


def test_a_pair_without_clips_to_tell_is_never_supported(make):
    pair = {"a": make(n_subjects=12, n_clips=3, skill=3.0), "b": make(12, 3, skill=0.0, seed=1)}
    (row,) = compare_predictions(pair, n_replicates=50).to_dict(orient="records")
    assert row["p_subjects"] < 0.01
    assert np.isnan([row["p_value"], row["p_holm"], row["detectable"]]).all()
    assert not row["supported"]


def test_too_few_subjects_can_support_nothing(make):
    pair = {"a": make(n_subjects=5, n_clips=12, skill=4.0), "b": make(5, 12, skill=0.0, seed=1)}
    (row,) = compare_predictions(pair, n_replicates=50).to_dict(orient="records")
    assert row["p_crossed"] < 0.01
    assert row["p_value"] == row["smallest_p"] == 2 / 32
    assert np.isnan(row["detectable"])


def test_spread_over_seeds_is_told_apart(make):
    pair = {
        "a": [make(seed=s, skill=1.0) for s in (1, 2, 3)],
        "b": [make(seed=s, skill=0.5) for s in (4, 5)],
    }
    (row,) = compare_predictions(pair, n_replicates=50).to_dict(orient="records")
    means = {
        name: [score_predictions(p)["balanced_accuracy"].mean() for p in found]
        for name, found in pair.items()
    }
    gaps = np.array(means["a"][:2]) - np.array(means["b"])
    assert row["n_seeds"] == 2
    assert row["seed_sd"] == pytest.approx(gaps.std(ddof=1))
    assert row["difference"] == pytest.approx(np.mean(means["a"]) - np.mean(means["b"]))


# ------------------------------------------------------------------------------------ chance


def test_chance_by_clip_equals_all_permutations_of_clips(make):
    predictions = make(n_subjects=3, n_clips=4, n_windows=3, n_classes=2, skill=0.7)
    got = chance_level(predictions, by="clip", n_permutations=4000)
    guess = predictions.y_pred.reshape(3, 4, 3)
    values = []
    for labels in (
        [0, 0, 1, 1],
        [0, 1, 0, 1],
        [0, 1, 1, 0],
        [1, 0, 0, 1],
        [1, 0, 1, 0],
        [1, 1, 0, 0],
    ):
        truth = np.array(labels)[None, :, None]
        recall = [
            ((guess == c) & (truth == c)).sum(axis=(1, 2)) / 6 for c in range(2)
        ]  # fmt: skip
        values.append(np.mean(recall))
    assert got.value == pytest.approx(np.mean(values), abs=0.01)
    observed = score_predictions(predictions)["balanced_accuracy"].mean()
    share = np.mean(np.array(values) >= observed - 1e-12)
    assert got.p_value == pytest.approx(share, abs=0.03)
    assert got.by == "clip"


def test_clips_that_look_alike_to_all_subjects_widen_chance(make):
    """Every subject is predicted alike on a clip: there is one experiment, not twelve."""
    one = make(n_subjects=1, n_clips=12, n_windows=1, skill=0.0)
    table = one.table.loc[one.table.index.repeat(12)].reset_index(drop=True)
    table["subject"] = np.tile(np.arange(1, 13), 12)
    alike = type(one)(table, one.scores.repeat(12, axis=0), one.y_true.repeat(12), one.classes)
    by_trial, by_clip = chance_level(alike), chance_level(alike, by="clip")
    assert by_clip.high - by_clip.low > 2.5 * (by_trial.high - by_trial.low)
    row = summarise(alike, n_replicates=50, n_permutations=500)
    assert row["chance_clip_high"] > row["chance_high"]
    with pytest.raises(ConfigError, match="'by': 'subject'"):
        chance_level(one, by="subject")


def test_self_reports_move_with_their_clip(make):
    """Labels that differ between subjects keep every subject's own class counts."""
    predictions = make(n_subjects=4, n_clips=6)
    rng = np.random.default_rng(3)
    report = rng.integers(0, 3, (4, 6))[predictions.subject, predictions.clip]
    mine = type(predictions)(predictions.table, predictions.scores, report, predictions.classes)
    seen = mine.select(~((mine.subject == 0) & (mine.clip == 5)))  # one subject lacks one clip
    got = chance_level(seen, "accuracy", by="clip", n_permutations=200)
    assert got.majority == pytest.approx(chance_level(seen, "accuracy").majority)
    assert 0 < got.low <= got.value <= got.high < 1


# ------------------------------------------------------------------------- simulated truth


def simulate(rng, n_subjects, n_clips, n_classes, subject_sd, clip_sd, n_windows=10):
    """Two equally good methods that differ by chance for some people and on some clips."""
    base = 0.3 + rng.normal(0, 0.5, (n_subjects, 1)) + rng.normal(0, 0.5, (1, n_clips))
    out = []
    for _ in range(2):
        own = rng.normal(0, subject_sd, (n_subjects, 1)) + rng.normal(0, clip_sd, (1, n_clips))
        right = rng.binomial(n_windows, 1 / (1 + np.exp(-(base + own)))).astype(float)
        out.append(class_counts(right, n_windows, n_classes))
    return out


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shape", "spread"),
    [
        ((15, 30, 2), (0.0, 0.5)),
        ((15, 30, 2), (0.5, 0.5)),
        ((15, 6, 3), (0.5, 0.5)),
        ((8, 12, 3), (0.5, 0.0)),
    ],
)
def test_size_of_the_crossed_test(shape, spread):
    rng = np.random.default_rng(1)
    crossed, over_subjects, covered = [], [], []
    for repeat in range(300):
        a, b = simulate(rng, *shape, *spread)
        found = crossed_error(a, b)
        crossed.append(found.p_value() < 0.05)
        test = paired_permutation_test(subject_scores(a), subject_scores(b))
        over_subjects.append(test.p_value < 0.05)
        if repeat < 120:
            got = crossed_bootstrap([a, b], n_replicates=300, seed=repeat)
            covered.append(got.low <= 0 <= got.high)
    assert np.mean(crossed) <= 0.085  # 0.05 and three standard errors
    assert np.mean(covered) >= 0.89
    if spread[1]:
        # a test over subjects alone finds differences that are these clips' only
        assert np.mean(over_subjects) > 0.09


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(15, 6, 3), (5, 6, 3), (8, 12, 3)])
def test_intervals_cover_crossed_truth_in_small_samples(shape):
    n_subjects, n_clips, n_classes = shape

    def accuracy(z):
        return 1 / (1 + np.exp(-(0.4 + z)))

    rng = np.random.default_rng(2)
    truth = accuracy(rng.normal(0, 0.5, (3000, 1)) + rng.normal(0, 0.7, (1, 3000))).mean()
    expanded, plain, repeats = 0, 0, 200
    for repeat in range(repeats):
        z = rng.normal(0, 0.5, (n_subjects, 1)) + rng.normal(0, 0.7, (1, n_clips))
        counts = class_counts(rng.binomial(20, accuracy(z)).astype(float), 20, n_classes)
        wide = crossed_bootstrap(counts, n_replicates=300, seed=repeat)
        narrow = crossed_bootstrap(counts, n_replicates=300, seed=repeat, expand=False)
        expanded += wide.low <= truth <= wide.high
        plain += narrow.low <= truth <= narrow.high
    assert 0.90 <= expanded / repeats <= 1
    assert plain < expanded


@pytest.mark.slow
def test_size_of_chance_by_clip(make):
    """A model that reads the clip and not the emotion: alike for all, right by luck."""
    rng = np.random.default_rng(0)
    by_trial = by_clip = 0
    repeats = 150
    for repeat in range(repeats):
        base = make(n_subjects=10, n_clips=12, n_windows=2, skill=0.0, seed=repeat)
        favourite = rng.integers(0, 3, 12)[base.clip]
        scores = 0.25 * base.scores + 0.75 * np.eye(3)[favourite]
        alike = type(base)(base.table, scores, base.y_true, base.classes)
        by_trial += chance_level(alike, n_permutations=199, seed=repeat).p_value < 0.05
        by_clip += chance_level(alike, by="clip", n_permutations=199, seed=repeat).p_value < 0.05
    assert by_clip / repeats <= 0.1
    assert by_trial / repeats > 0.2
