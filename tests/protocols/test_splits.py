"""Splitters against oracles written by hand."""

from __future__ import annotations

import inspect
import re

import numpy as np
import pandas as pd
import pytest

from affectrum.errors import ProtocolError
from affectrum.protocols import (
    CROSS_CORPUS,
    check_options,
    describe,
    disjoint,
    holdout,
    make_folds,
    plan_folds,
    rules,
    splits,
    unlabelled,
)
from affectrum.protocols.first_trials import default_calibration_trials, presentation_order
from affectrum.protocols.rules import own_split
from affectrum.protocols.splits import (
    calibrated,
    cross_session,
    leave_one_subject_out,
    within_subject,
    zero_shot,
)

# Position:      0  1  2  3  4  5  6  7
TABLE = pd.DataFrame(
    {
        "corpus": "A",
        "subject": [1, 1, 1, 1, 2, 2, 2, 2],
        "session": [1, 1, 2, 2, 1, 1, 2, 2],
        "row": [1, 2, 1, 2, 1, 2, 1, 2],
        # subject 1 saw row 2 first in both sessions
        "trial": pd.array([2, 1, 2, 1, 1, 2, 1, 2], dtype="Int64"),
    }
)


def lists(split):
    return [
        array.tolist() for array in (split.train, split.calibration, split.validation, split.test)
    ]


def test_presentation_order_is_session_then_trial():
    assert presentation_order(TABLE, np.arange(4)).tolist() == [1, 0, 3, 2]


def test_within_subject_takes_the_first_trials_of_each_session():
    first, second = within_subject(TABLE, 1)
    assert lists(first) == [[1, 3], [], [], [0, 2]]
    assert lists(second) == [[4, 6], [], [], [5, 7]]
    assert (first.id, first.subjects) == ("A/1", (1,))


def test_leave_one_subject_out():
    first, second = leave_one_subject_out(TABLE)
    assert lists(first) == [[4, 5, 6, 7], [], [], [0, 1, 2, 3]]
    assert lists(second) == [[0, 1, 2, 3], [], [], [4, 5, 6, 7]]
    (only,) = leave_one_subject_out(TABLE, subjects=[2])
    assert lists(only) == lists(second)


def test_cross_session_trains_on_earlier_sessions():
    first, second = cross_session(TABLE)
    assert lists(first) == [[0, 1], [], [], [2, 3]]
    assert lists(second) == [[4, 5], [], [], [6, 7]]
    assert first.id == "A/1/session-2"


def test_zero_shot_and_calibrated():
    source = TABLE.iloc[:3].assign(corpus="B")
    first, second = zero_shot(source, TABLE)
    assert lists(first) == [[0, 1, 2], [], [], [0, 1, 2, 3]]
    assert lists(second) == [[0, 1, 2], [], [], [4, 5, 6, 7]]
    first, second = calibrated(source, TABLE, 3)
    assert lists(first) == [[0, 1, 2], [0, 1, 3], [], [2]]
    assert lists(second) == [[0, 1, 2], [4, 5, 6], [], [7]]


@pytest.mark.parametrize(
    ("corpus", "kept", "training", "expected"),
    [
        ("SEED", 15, False, 9),
        ("SEED", 10, False, 6),  # neutral dropped: the first 9 presented hold 6 of the others
        ("SEED-IV", 24, False, 12),
        ("SEED-IV", 18, False, 9),
        ("DEAP", 40, False, 16),
        ("DEAP", 40, True, 24),
        ("SEED", 15, True, 9),
    ],
)
def test_default_number_of_first_trials(corpus, kept, training, expected):
    assert default_calibration_trials(corpus, kept, training=training) == (expected, None)


def test_default_for_an_unknown_corpus_says_so():
    k, note = default_calibration_trials("own", 9)
    assert k == 4
    assert "no number of first trials is published for own" in note


def test_unknown_order_is_refused_with_the_cure():
    deap = TABLE.assign(corpus="DEAP", trial=pd.array([pd.NA] * 8, dtype="Int64"))
    with pytest.raises(ProtocolError, match=r"participant_ratings\.csv"):
        within_subject(deap, 1)
    with pytest.raises(ProtocolError, match="column 'trial'"):
        calibrated(TABLE, deap.assign(corpus="own"), 1)


@pytest.mark.parametrize("k", [0, 2, 5])
def test_k_that_leaves_nothing_is_refused(k):
    with pytest.raises(ProtocolError, match=r"at least 1|leave nothing to test"):
        within_subject(TABLE, k)
    with pytest.raises(ProtocolError, match=r"at least 1|leave nothing to test"):
        calibrated(TABLE, TABLE, 2 * k)


def test_one_subject_or_one_session_is_refused():
    with pytest.raises(ProtocolError, match="at least 2 subjects"):
        leave_one_subject_out(TABLE.iloc[:4])
    with pytest.raises(ProtocolError, match="at least 2 sessions"):
        cross_session(TABLE.iloc[:2])
    with pytest.raises(ProtocolError, match=r"\[7\] are not among"):
        zero_shot(TABLE, TABLE, subjects=[7])


def test_own_split_reads_words():
    words = pd.Series(["Train", "val", None, "test", "training", "dev"], dtype="str")
    rows, unused = own_split(words)
    assert {role: positions.tolist() for role, positions in rows.items()} == {
        "train": [0, 4],
        "validation": [1, 5],
        "test": [3],
    }
    assert unused == 1
    with pytest.raises(ProtocolError, match="'fold 1'"):
        own_split(pd.Series(["train", "fold 1"], dtype="str"))
    with pytest.raises(ProtocolError, match="no window test"):
        own_split(pd.Series(["train", "train"], dtype="str"))


def test_every_splitter_draws_what_it_does():
    drawn = (
        within_subject,
        leave_one_subject_out,
        cross_session,
        zero_shot,
        calibrated,
        splits.few_shot,
        unlabelled.unsupervised,
        rules.roles_by_rule,
        rules.by_rule,
        rules.within_by_rule,
        rules.own_split,
        disjoint.make_disjoint,
        holdout.hold_out_subjects,
        holdout.hold_out_trials,
    )
    for splitter in drawn:
        picture = splitter.__doc__.split("::\n\n", 1)[1].split("\n\n    ")[0]
        assert re.search(r"[x0a.]", picture), splitter.__name__
        assert len(picture.splitlines()) >= 2, splitter.__name__


def test_options_that_have_no_meaning_name_whose_they_are():
    assert check_options("zero-shot", ["source", "seed", "scaling"]) == []
    (fault,) = check_options("loso", ["shots"])
    assert fault == "shots has no meaning under 'leave-one-subject-out'; it belongs to 'few-shot'"
    options = {name for info in describe() for name in info.options}
    assert options <= set(inspect.signature(make_folds).parameters)
    assert inspect.signature(make_folds).parameters == inspect.signature(plan_folds).parameters


def test_every_protocol_says_what_its_source_may_not_share():
    for info in describe():
        assert info.disjoint in ("subjects", "sessions", "trials")
        assert info.needs_source == (info.id in CROSS_CORPUS)
        assert ("source" in info.options) or not info.needs_source
        assert info.id == "/".join(filter(None, (info.family, info.mode)))
