"""Splits by rule, and a published one, against lists written by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from affectrum.errors import ProtocolError
from affectrum.protocols import SPLITS
from affectrum.protocols.rules import (
    Rule,
    by_rule,
    others_by_rule,
    parse_rule,
    published_rule,
    roles_by_rule,
    within_by_rule,
)

# Position:      0  1  2  3  4  5  6  7  8  9 10 11
TABLE = pd.DataFrame(
    {
        "corpus": "A",
        "subject": [1, 1, 1, 1, 4, 4, 4, 4, 9, 9, 9, 9],
        "session": [1, 1, 2, 2, 1, 1, 2, 2, 1, 1, 2, 2],
        "row": [1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2],
        # subject 1 saw row 2 first in both sessions
        "trial": pd.array([2, 1, 2, 1, 1, 2, 1, 2, 1, 2, 1, 2], dtype="Int64"),
    }
)


def roles(text, table=TABLE):
    return roles_by_rule(table, parse_rule(text, "A"))[0].tolist()


def test_subjects_are_counted_by_their_numbers():
    assert roles("subjects:1/1/1") == [0] * 4 + [1] * 4 + [2] * 4
    assert roles("subjects:2/1") == [0] * 8 + [2] * 4
    shuffled = TABLE.iloc[::-1].reset_index(drop=True)
    assert roles("subjects:1/1/1", shuffled) == [2] * 4 + [1] * 4 + [0] * 4


def test_trials_are_counted_as_presented_in_each_session():
    assert roles("trials:1/1") == [2, 0, 2, 0, 0, 2, 0, 2, 0, 2, 0, 2]


def test_sessions_are_counted_by_their_numbers():
    assert roles("Sessions: 1 / 1") == [0, 0, 2, 2] * 3


def test_what_a_rule_leaves_over_is_said():
    found, notes = roles_by_rule(TABLE, parse_rule("subjects:1/0/1", "A"))
    assert found.tolist() == [0] * 4 + [2] * 4 + [-1] * 4
    assert notes == ("split='subjects:1/0/1' uses 2 of 3 subjects",)


def test_by_rule_makes_one_fold_of_the_target_and_takes_all_of_the_source():
    source = TABLE.iloc[:5].assign(corpus="B")
    split = by_rule(source, TABLE, np.array([0, 1, 2, -1] * 3), "mine")
    assert split.train.tolist() == [0, 1, 2, 3, 4]
    assert split.calibration.tolist() == [0, 4, 8]
    assert split.validation.tolist() == [1, 5, 9]
    assert split.test.tolist() == [2, 6, 10]
    assert (split.id, split.subjects) == ("A/mine", (1, 4, 9))
    only = by_rule(None, TABLE, np.array([0, 1, 2, -1] * 3), "mine", subjects=[4])
    assert (only.train.tolist(), only.test.tolist(), only.subjects) == ([], [6], (4,))
    assert only.calibration.tolist() == [0, 4, 8]


def test_nobody_is_trained_on_by_others_by_rule():
    kinds = np.array([0, 1, 2, -1] * 3)
    source = TABLE.iloc[:2].assign(corpus="B")
    first, second, third = others_by_rule(source, TABLE, kinds, "mine")
    assert first.calibration.tolist() == [4, 8]
    assert first.validation.tolist() == [5, 9]
    assert first.test.tolist() == [2]
    assert first.train.tolist() == [0, 1]
    assert (second.calibration.tolist(), second.test.tolist()) == ([0, 8], [6])
    assert [s.id for s in (first, second, third)] == ["A/mine/1", "A/mine/4", "A/mine/9"]
    # without a rule, all of the others' trials train and all of one's own are tested
    (only,) = others_by_rule(None, TABLE, None, "each", subjects=[4])
    assert only.calibration.tolist() == [0, 1, 2, 3, 8, 9, 10, 11]
    assert (only.test.tolist(), only.validation.tolist()) == ([4, 5, 6, 7], [])
    with pytest.raises(ProtocolError, match=r"subjects \[5\] are not tested"):
        others_by_rule(None, TABLE, kinds, "mine", subjects=[5])
    with pytest.raises(ProtocolError, match="more than one subject"):
        others_by_rule(None, TABLE.iloc[:4], None, "each")


def test_rules_of_other_subjects_are_read():
    rule = parse_rule(" SEED-Sessions,  other subjects", "SEED")
    assert (rule.name, rule.unit, rule.sizes) == (
        "seed-sessions, other subjects",
        "sessions",
        (1, 1, 1),
    )
    assert (rule.exact, rule.others) == (True, True)
    assert rule.promises == ("sessions", "subjects")
    assert parse_rule("trials:5/5/5, other subjects", "A").promises == ("subjects",)
    assert parse_rule("trials:5/5/5", "A").promises == ()
    assert parse_rule("subjects:1/1", "A").promises == ("subjects",)
    each = parse_rule("leave-one-subject-out", "A")
    assert (each.sizes, each.others, each.promises) == (None, True, ("subjects",))
    with pytest.raises(ProtocolError, match="as it is"):
        parse_rule("faced-subjects, other subjects", "FACED")
    with pytest.raises(ProtocolError, match="is not known"):
        parse_rule("trials:5/5/5, others", "A")


def test_within_by_rule_divides_each_subject():
    first, _, third = within_by_rule(TABLE, np.array([0, 2, 1, 2] * 3), "mine")
    assert (first.train.tolist(), first.validation.tolist(), first.test.tolist()) == (
        [0],
        [2],
        [1, 3],
    )
    assert (third.train.tolist(), third.test.tolist(), third.id) == ([8], [9, 11], "A/9")
    assert not len(third.calibration)


def seed_like(corpus, n_subjects, n_sessions, n_trials):
    """Trials of a whole corpus, in the order of the files."""
    return pd.DataFrame(
        {"corpus": corpus, "subject": s, "session": n, "row": t, "trial": t}
        for s in range(1, n_subjects + 1)
        for n in range(1, n_sessions + 1)
        for t in range(1, n_trials + 1)
    )


def test_the_published_splits_as_they_are_described():
    # CBraMod, EMOD: FACED's files 0-79, 80-99, 100-122
    table = seed_like("FACED", 123, 1, 28)
    found, _ = roles_by_rule(table, parse_rule("faced-subjects", "FACED"))
    file = table["subject"] - 1
    assert (found == np.where(file < 80, 0, np.where(file < 100, 1, 2))).all()
    assert np.bincount(found).tolist() == [80 * 28, 20 * 28, 23 * 28]
    # SEED-V: trials 0-4, 5-9, 10-14 of each session, the same subjects everywhere
    table = seed_like("SEED-V", 16, 3, 15)
    found, _ = roles_by_rule(table, parse_rule("seed-v-trials", "SEED-V"))
    assert (found == (table["trial"] - 1) // 5).all()
    # SEED: session 1, 2, 3
    table = seed_like("SEED", 15, 3, 15)
    found, _ = roles_by_rule(table, parse_rule("seed-sessions", "SEED"))
    assert (found == table["session"] - 1).all()


def test_each_corpus_finds_its_own_split():
    assert published_rule("faced") == "faced-subjects"
    assert published_rule("SEED_V", "trials") == "seed-v-trials"
    assert published_rule("SEED", "trials") is None
    assert published_rule("DEAP") is None
    for name, (corpus, _, _) in SPLITS.items():
        assert parse_rule(name, corpus).exact


@pytest.mark.parametrize(
    ("text", "corpus", "message"),
    [
        ("faced-subject", "FACED", "Did you mean 'faced-subjects'"),
        ("faced-subjects", "SEED", r"split of FACED; the target is SEED.*'subjects:80/20/23'"),
        ("people:1/1/1", "A", "a rule counts units"),
        ("trials:5", "A", "two or three numbers of trials"),
        ("trials:0/5/5", "A", "at least one"),
        ("trials:5/5/0", "A", "at least one"),
        ("trials:-1/5", "A", "is not known"),
        ("", "A", "is not known"),
    ],
)
def test_what_is_no_rule(text, corpus, message):
    with pytest.raises(ProtocolError, match=message):
        parse_rule(text, corpus)


def test_a_published_split_is_of_the_whole_corpus():
    with pytest.raises(ProtocolError, match=r"divides 123 subjects.*have 8.*whole corpus"):
        roles_by_rule(seed_like("FACED", 8, 1, 28), parse_rule("faced-subjects", "FACED"))
    with pytest.raises(ProtocolError, match=r"have 3\. Use smaller numbers"):
        roles_by_rule(TABLE, Rule("subjects:9/1/1", "subjects", (9, 1, 1)))


def test_unknown_order_and_empty_sides_are_refused():
    unknown = TABLE.assign(trial=pd.array([pd.NA] * 12, dtype="Int64"))
    with pytest.raises(ProtocolError, match="order of presentation"):
        roles("trials:1/1", unknown)
    assert roles("subjects:1/1/1", unknown)[0] == 0
    with pytest.raises(ProtocolError, match="no training trial with a class"):
        by_rule(None, TABLE, np.full(12, 2), "mine")
    with pytest.raises(ProtocolError, match="no test trial with a class"):
        by_rule(None, TABLE, np.zeros(12, dtype=int), "mine")
    with pytest.raises(ProtocolError, match=r"subjects \[1\] are not tested by split.*\[9\]"):
        by_rule(None, TABLE, np.array([0] * 8 + [2] * 4), "mine", subjects=[1])
    with pytest.raises(ProtocolError, match="no trial of subject 5"):
        within_by_rule(TABLE, np.array([0, 2] * 6), "mine", subjects=[5])
