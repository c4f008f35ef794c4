"""Ranks over tasks: scipy, all permutations, and a published worked example."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from affectrum.errors import ConfigError
from affectrum.evaluation import critical_difference, friedman_test, rank_intervals
from affectrum.evaluation import ranks as ranks_module

# Demsar, JMLR 7, 2006, table 6: area under the curve of four variants of a tree on 14 data sets.
DEMSAR = pd.DataFrame(
    [
        [0.763, 0.768, 0.771, 0.798],
        [0.599, 0.591, 0.590, 0.569],
        [0.954, 0.971, 0.968, 0.967],
        [0.628, 0.661, 0.654, 0.657],
        [0.882, 0.888, 0.886, 0.898],
        [0.936, 0.931, 0.916, 0.931],
        [0.661, 0.668, 0.609, 0.685],
        [0.583, 0.583, 0.563, 0.625],
        [0.775, 0.838, 0.866, 0.875],
        [1.000, 1.000, 1.000, 1.000],
        [0.940, 0.962, 0.965, 0.962],
        [0.619, 0.666, 0.614, 0.669],
        [0.972, 0.981, 0.975, 0.9749],  # printed 0.975 twice, but ranked 2 and 3
        [0.957, 0.978, 0.946, 0.970],
    ],
    columns=["C4.5", "C4.5+m", "C4.5+cf", "C4.5+m+cf"],
)


def test_a_published_example():
    got = critical_difference(DEMSAR)
    assert {k: round(v, 3) for k, v in got.mean_ranks.items()} == {
        "C4.5+m+cf": 1.964,
        "C4.5+m": 2.0,
        "C4.5+cf": 2.893,
        "C4.5": 3.143,
    }
    # the paper: 2.569 and 2.291 times sqrt(4 * 5 / (6 * 14))
    assert got.difference == pytest.approx(2.569 * np.sqrt(20 / 84), abs=1e-3)
    assert critical_difference(DEMSAR, alpha=0.1).difference == pytest.approx(1.12, abs=5e-3)
    # at 0.1 only C4.5 is told apart from the two best; at 0.05 none is
    assert critical_difference(DEMSAR, alpha=0.1).groups == [
        ("C4.5+m+cf", "C4.5+m", "C4.5+cf"),
        ("C4.5+cf", "C4.5"),
    ]
    assert got.groups == [("C4.5+m+cf", "C4.5+m", "C4.5+cf", "C4.5")]


@pytest.mark.parametrize(
    ("k", "q"), [(2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (7, 2.949), (10, 3.164)]
)
def test_critical_values_are_those_of_the_tables(k, q):
    scores = pd.DataFrame(np.random.default_rng(0).random((6, k)))
    assert critical_difference(scores).difference == pytest.approx(
        q * np.sqrt(k * (k + 1) / 36), abs=2e-3
    )


def test_friedman_equals_scipy():
    rng = np.random.default_rng(0)
    for scores in (rng.random((12, 4)), rng.integers(0, 3, (9, 5)) / 10, DEMSAR.to_numpy()):
        got = friedman_test(pd.DataFrame(scores), n_permutations=50)
        expected = stats.friedmanchisquare(*scores.T)
        assert got.statistic == pytest.approx(expected.statistic)
        assert got.p_chi_square == pytest.approx(expected.pvalue)


def test_p_value_equals_all_permutations_within_tasks():
    scores = np.array([[0.9, 0.5, 0.1], [0.8, 0.6, 0.3], [0.4, 0.7, 0.2]])
    got = friedman_test(pd.DataFrame(scores), n_permutations=20_000)
    orders = [np.array(p) for p in itertools.permutations([1, 2, 3])]
    sums = [np.sum(combo, axis=0) for combo in itertools.product(orders, repeat=3)]
    values = np.array([np.square(s - 6).sum() for s in sums])
    observed = np.square(stats.rankdata(-scores, axis=1).sum(axis=0) - 6).sum()
    assert got.p_value == pytest.approx(np.mean(values >= observed), abs=0.01)


def test_neighbours_that_are_not_told_apart_form_largest_groups():
    # mean ranks 1, 2, 3, 4, 5 over many tasks: the difference is small, all stand alone
    scores = pd.DataFrame(np.tile([0.9, 0.8, 0.7, 0.6, 0.5], (60, 1)), columns=list("abcde"))
    got = critical_difference(scores)
    assert got.groups == []
    assert got.friedman.p_value < 0.001
    few = critical_difference(scores.iloc[:8])
    assert few.difference == pytest.approx(2.728 * np.sqrt(30 / 48), abs=1e-2)  # 2.16
    assert few.groups == [("a", "b", "c"), ("b", "c", "d"), ("c", "d", "e")]


def test_equal_methods_share_ranks_and_show_nothing():
    got = critical_difference(pd.DataFrame(np.ones((4, 3)), columns=list("abc")))
    assert got.mean_ranks == {"a": 2.0, "b": 2.0, "c": 2.0}
    assert got.groups == [("a", "b", "c")]
    assert got.friedman.p_value == 1


def test_cautions_of_ranks():
    scores = pd.DataFrame(
        [[0.5, 0.4], [0.6, 0.5], [0.7, np.nan]], columns=["a", "b"], index=["x", "y", "z"]
    )
    got = critical_difference(scores, corpora={"x": ["SEED", "DEAP"], "y": ["DEAP", "SEED-IV"]})
    text = " | ".join(got.cautions)
    assert got.tasks == ("x", "y")
    assert "2 tasks are few" in text
    assert "1 tasks are left out" in text
    assert "share corpora (DEAP, SEED, SEED-IV)" in text
    assert "nothing follows for other corpora from these 3" in text
    with pytest.raises(ConfigError, match="1 complete of 3 tasks"):
        critical_difference(scores.iloc[[0, 2, 2]])


def test_rank_intervals(make):
    def methods(seed):
        return {
            name: make(n_subjects=8, n_clips=12, skill=skill, seed=10 * seed + i)
            for i, (name, skill) in enumerate([("none", 0.0), ("fair", 1.0), ("good", 3.0)])
        }

    tasks = {"x": methods(1), "y": {**methods(2), "extra": make(8, 12)}}
    got = rank_intervals(tasks, n_replicates=200)
    assert got["method"].tolist() == ["good", "fair", "none"]
    assert got["mean_rank"].tolist() == [1, 2, 3]
    assert got["first_share"].iloc[0] > 0.95
    assert got["first_share"].sum() == pytest.approx(1)
    assert ((got["low"] <= got["mean_rank"]) & (got["mean_rank"] <= got["high"])).all()
    assert got["n_tasks"].tolist() == [2, 2, 2]
    twins = {"x": {"a": make(seed=1), "b": make(seed=1)}}
    same = rank_intervals(twins, n_replicates=50)
    assert same[["mean_rank", "low", "high"]].to_numpy().tolist() == [[1.5] * 3] * 2
    assert same["first_share"].tolist() == [0.5, 0.5]
    with pytest.raises(ConfigError, match="two methods that every task has"):
        rank_intervals({"x": {"a": make()}, "y": {"b": make()}})


def test_a_person_in_two_tasks_is_drawn_alike(make):
    shared = [ranks_module.shared_counts({"a": make(), "b": make(seed=1)}) for _ in range(2)]
    subjects, clips = ranks_module._common_draws(shared, 40, 0)
    assert sorted(subjects) == [("SEED", s) for s in (1, 2, 3, 4)]
    assert (sum(subjects.values()) == 4).all()
    assert len(clips) == 6
    for label in range(3):  # clips within their class
        pair = clips[f"SEED/{label + 1:02d}"] + clips[f"SEED/{label + 4:02d}"]
        assert (pair == 2).all()
    # the same task twice is no new evidence: the interval does not shrink
    one = {"x": {"a": make(seed=1, skill=0.6), "b": make(seed=2, skill=0.4)}}
    single = rank_intervals(one, n_replicates=300)
    double = rank_intervals({"x": one["x"], "y": one["x"]}, n_replicates=300)
    pd.testing.assert_frame_equal(single.drop(columns="n_tasks"), double.drop(columns="n_tasks"))
