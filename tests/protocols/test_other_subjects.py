"""pretrain-finetune across subjects: splits of the target in which nobody trains for themselves."""

from __future__ import annotations

import pytest

from affectrum import make_folds
from affectrum.errors import ProtocolError

BASE = {"target": "SEED", "scaling": "none", "scaler": "none"}


def rows(fold, role):
    table = fold.tables[role]
    return set(zip(table["subject"], table["session"], table["row"], strict=True))


def test_each_subject_is_tested_once_on_models_of_the_others(make):
    parts = [make("SEED", n_subjects=4), make("SEED-IV", n_subjects=2)]
    folds = make_folds(
        parts, "pretrain-finetune", split="leave-one-subject-out", selection="validation", **BASE
    )
    assert [fold.subject for fold in folds] == ["1", "2", "3", "4"]
    everything = {(s, 1, r) for s in range(1, 5) for r in range(1, 16)}
    for fold in folds:
        own = int(fold.subject)
        assert rows(fold, "test") == {(own, 1, r) for r in range(1, 16)}
        seen = rows(fold, "calibration") | rows(fold, "validation")
        assert seen == everything - rows(fold, "test")
        # whole trials of one of the three others are held out
        assert len({subject for subject, _, _ in rows(fold, "validation")}) == 1
        assert len(rows(fold, "validation")) == 15
        assert not rows(fold, "validation") & rows(fold, "calibration")
        assert len(fold.access.source.windows) == len(parts[1])
        assert fold.protocol == "pretrain-finetune (leave-one-subject-out)"
        assert fold.audit().passed
    last = make_folds(parts, "pretrain-finetune", split="leave-one-subject-out", **BASE)
    assert rows(last[0], "calibration") == {k for k in everything if k[0] != 1}


def test_a_published_split_across_subjects_keeps_its_test(make):
    windows = make("SEED", n_subjects=3, n_sessions=3)
    common = {"selection": "validation", **BASE}
    (whole,) = make_folds(windows, "pretrain-finetune", split="seed-sessions", **common)
    folds = make_folds(
        windows, "pretrain-finetune", split="seed-sessions, other subjects", **common
    )
    assert set.union(*(rows(fold, "test") for fold in folds)) == rows(whole, "test")
    for fold in folds:
        own = int(fold.subject)
        for role in ("calibration", "validation"):
            assert rows(fold, role) == {k for k in rows(whole, role) if k[0] != own}
        assert fold.protocol == "pretrain-finetune (seed-sessions, other subjects)"
        assert fold.audit().passed


def test_stimuli_are_held_out_in_groups_there_too(make):
    windows = make("SEED", n_subjects=3)
    folds = make_folds(
        windows,
        "pretrain-finetune",
        split="leave-one-subject-out",
        stimulus_disjoint="clip",
        selection="validation",
        **BASE,
    )
    tested = []
    for fold in folds:
        clips = {role: set(fold.tables[role]["clip"]) for role in fold.tables}
        assert not clips["test"] & (clips["calibration"] | clips["validation"])
        assert fold.audit().passed
        tested += sorted(rows(fold, "test"))
    assert len(tested) == len(set(tested)) == 45


def test_what_it_is_not(make):
    windows = make("SEED", n_subjects=3)
    with pytest.raises(ProtocolError, match="divides subjects"):
        make_folds(windows, "within-subject", split="leave-one-subject-out", **BASE)
    with pytest.raises(ProtocolError, match="divides subjects"):
        make_folds(windows, "within-subject", split="trials:5/5/5, other subjects", **BASE)
    alone = make("SEED", n_subjects=1)
    with pytest.raises(ProtocolError, match="more than one subject"):
        make_folds(alone, "pretrain-finetune", split="leave-one-subject-out", **BASE)
