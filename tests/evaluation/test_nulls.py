"""Permuted labels, drawn several times: interval and p value against counts and simulations."""

from __future__ import annotations

import numpy as np
import pytest

from affectrum.errors import ConfigError
from affectrum.evaluation import Null, null_of
from affectrum.evaluation.card import decode_card

from .test_card import predict  # type: ignore[import-not-found]  # isort: skip


def test_an_interval_worked_by_hand():
    null = Null(np.array([0.30, 0.34, 0.38]))
    low, high = null.interval
    # t of 2 degrees of freedom 4.3027, spread 0.04, sqrt(1 + 1/3) = 1.1547
    assert null.value == pytest.approx(0.34)
    assert high - 0.34 == pytest.approx(4.3027 * 0.04 * 1.1547, rel=1e-4)
    assert 0.34 - low == pytest.approx(high - 0.34)
    assert np.isnan(Null(np.array([0.3])).interval).all()


def test_a_p_value_counts_the_score_as_one_of_the_permutations():
    null = Null(np.array([0.1, 0.2, 0.3, 0.4]))
    assert null.p_value(0.5) == pytest.approx(1 / 5)
    assert null.p_value(0.3) == pytest.approx(3 / 5)  # itself, an equal one and a higher one
    assert null.p_value(0.0) == 1.0
    assert null.n_below(0.3) == 2


@pytest.mark.parametrize("n", [3, 5, 19])
def test_one_more_permutation_falls_inside_and_the_test_keeps_its_size(n):
    rng = np.random.default_rng(n)
    inside, rejected = 0, 0
    for values in rng.normal(0.33, 0.02, (4000, n + 1)):
        null = Null(values[:n])
        low, high = null.interval
        inside += low <= values[n] <= high
        rejected += null.p_value(values[n]) <= 0.05
    assert inside / 4000 == pytest.approx(0.95, abs=0.011)
    expected = 0.05 if n == 19 else 0.0  # with 19 the smallest p value is 1/20
    assert rejected / 4000 == pytest.approx(expected, abs=0.011)


def test_the_score_of_each_permutation():
    draws = [predict(0.0, seed=seed) for seed in range(4)]
    by_hand = [
        np.mean(
            [
                np.mean(
                    [
                        (one.y_pred[own & (one.y_true == k)] == k).mean()
                        for k in np.unique(one.y_true[own])
                    ]
                )
                for own in (one.table["subject"] == s for s in one.table["subject"].unique())
            ]
        )
        for one in draws
    ]
    np.testing.assert_allclose(null_of(draws).values, by_hand)
    with pytest.raises(ConfigError, match="at least one"):
        null_of([])


def test_the_card_says_what_several_permutations_show():
    score = predict(0.8)
    draws = [predict(0.0, seed=seed) for seed in range(1, 7)]
    leaks = [predict(0.5, seed=seed) for seed in range(1, 7)]
    card = decode_card(
        score,
        {"labels-by-trial": draws, "labels-by-clip": leaks},
        titles={"labels-by-trial": "null"},
        n_replicates=200,
        n_permutations=100,
    )
    row = card["labels-by-trial"]
    assert row.title == "null, 6 times"
    assert row.n_permutations == 6
    assert row.low < row.value < row.high
    assert row.p_value == pytest.approx(1 / 7)
    assert "permuted by trial 6 times it is not shown to be above chance" in row.says
    assert row.says.endswith("The score beside these: p = 0.143.")
    assert "it recognises clips" in card["labels-by-clip"].says
    single = decode_card(score, {"labels-by-trial": draws[:1]}, n_replicates=200)
    assert single["labels-by-trial"].n_permutations == 1
    assert "p =" not in single["labels-by-trial"].says
