"""Unlabelled target signals and shots, against lists written by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from affectrum.errors import ProtocolError
from affectrum.protocols.splits import calibrated, few_shot
from affectrum.protocols.unlabelled import draw_shots, unsupervised

# All trials of the target. Position:  0  1  2  3  4  5  6  7
EVERYTHING = pd.DataFrame(
    {
        "corpus": "A",
        "subject": [1, 1, 1, 1, 2, 2, 2, 2],
        "session": 1,
        "row": [1, 2, 3, 4, 1, 2, 3, 4],
        "trial": pd.array([4, 3, 2, 1, 1, 2, 3, 4], dtype="Int64"),
    }
)
# The class scheme drops trials 1 and 6.
KEPT = np.array([0, 2, 3, 4, 5, 7])
SOURCE = EVERYTHING.iloc[:3].assign(corpus="B")


def splits(use, **options):
    return unsupervised(SOURCE, EVERYTHING, KEPT, use, **options)


def test_signals_of_other_subjects_are_shown_with_a_class_or_without():
    first, second = splits("others")
    assert first.train.tolist() == [0, 1, 2]
    # positions in EVERYTHING ...
    assert first.unlabelled.tolist() == [4, 5, 6, 7]
    assert second.unlabelled.tolist() == [0, 1, 2, 3]
    # ... and in the kept trials
    assert first.test.tolist() == [0, 1, 2]
    assert second.test.tolist() == [3, 4, 5]
    assert not len(first.calibration)


def test_signals_of_the_first_trials_are_those_that_calibrate():
    first, second = splits("calibration", k=2)
    # subject 1 saw 3, then 2, then (dropped) 1, then 0
    assert first.unlabelled.tolist() == [2, 3]
    assert first.test.tolist() == [0]
    assert second.unlabelled.tolist() == [4, 5]
    assert second.test.tolist() == [5]
    assert not len(first.calibration)


def test_the_test_itself():
    first, second = splits("test")
    assert first.unlabelled.tolist() == [0, 2, 3]
    assert first.test.tolist() == [0, 1, 2]
    assert KEPT[second.test].tolist() == second.unlabelled.tolist() == [4, 5, 7]


def test_refusals_of_unlabelled_signals():
    with pytest.raises(ProtocolError, match=r"only subject 1 here\. Use target_use='calibration'"):
        unsupervised(SOURCE, EVERYTHING.iloc[:4], np.array([0, 1]), "others")
    with pytest.raises(ProtocolError, match="'target_use': 'other'"):
        splits("other")
    with pytest.raises(ProtocolError, match="leave nothing to test"):
        splits("calibration", k=3)
    with pytest.raises(ProtocolError, match=r"\[7\] are not among"):
        splits("others", subjects=[7])


def test_the_points_of_a_learning_curve_have_one_test():
    target = EVERYTHING.iloc[4:].reset_index(drop=True)
    for k, first in ((1, [0]), (2, [0, 1]), (3, [0, 1, 2])):
        (split,) = calibrated(SOURCE, target, k, test_after=3)
        assert split.calibration.tolist() == first
        assert split.test.tolist() == [3]
        assert split.notes == (
            () if k == 3 else (f"{3 - k} trials between the first {k} and the test are not used",)
        )
    with pytest.raises(ProtocolError, match="test_after=1 would test trials that calibrate"):
        calibrated(SOURCE, target, 2, test_after=1)
    with pytest.raises(ProtocolError, match="leave nothing to test"):
        calibrated(SOURCE, target, 2, test_after=4)


def test_few_shot_learns_from_the_other_subjects():
    first, second = few_shot(EVERYTHING, 2)
    assert first.train.tolist() == [4, 5, 6, 7]
    # as presented: 3, 2, then 1, 0
    assert (first.calibration.tolist(), first.test.tolist()) == ([2, 3], [0, 1])
    assert second.train.tolist() == [0, 1, 2, 3]
    assert (second.calibration.tolist(), second.test.tolist()) == ([4, 5], [6, 7])
    with pytest.raises(ProtocolError, match="few-shot without a source corpus needs at least 2"):
        few_shot(EVERYTHING.iloc[:4], 2)


ROWS = np.array([10, 11, 12, 13, 20, 21, 22, 30])
Y = np.array([0, 0, 0, 0, 1, 1, 1, 1])


def draw(shots, y=Y, seed=0):
    return draw_shots(ROWS, y, shots, ("a", "b", "c"), "A/1", np.random.default_rng(seed))


def test_shots_are_so_many_of_each_class_and_nested():
    for seed in range(20):
        larger = set()
        for shots in (1, 2, 3, 4):
            drawn = draw(shots, seed=seed)
            assert (np.diff(drawn) > 0).all()
            assert np.bincount(Y[np.isin(ROWS, drawn)]).tolist() == [shots, shots]
            assert larger <= set(drawn)
            larger = set(drawn)
    assert len({tuple(draw(2, seed=seed)) for seed in range(20)}) > 5


def test_every_window_is_drawn_alike():
    n = 4000
    counts = np.zeros(31)
    for seed in range(n):
        counts[draw(1, seed=seed)] += 1
    # each of four windows a class: a quarter, within five standard deviations of a binomial
    assert np.abs(counts[ROWS] / n - 0.25).max() < 5 * np.sqrt(0.25 * 0.75 / n)


def test_one_class_does_not_move_another():
    other = np.where(Y == 1, np.array([1, 1, 1, 1, 1, 1, 1, 2]), Y)
    a = [row for row in draw(2) if row < 20]
    assert a == [row for row in draw(2, np.where(other == 2, -1, other)) if row < 20]


def test_refusals_of_shots():
    with pytest.raises(ProtocolError, match="at least 1"):
        draw(0)
    with pytest.raises(ProtocolError, match=r"shots=5 .*fold A/1.*\(a 4, b 4\)"):
        draw(5)
