"""Folds of the protocols that show more, or other, target data: what is in each grant."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from affectrum.errors import AccessError, ProtocolError
from affectrum.protocols import make_folds, plan_folds, truth
from affectrum.protocols.access import LABEL_COLUMNS, STIMULUS_COLUMNS
from affectrum.windows import Windows

THREE = ["positive", "negative", "neutral"] * 5
KEYS = ["corpus", "subject", "session", "row"]


@pytest.fixture
def parts(make):
    return [make("SEED", n_sessions=3), make("SEED-IV"), make("A", emotions=THREE)]


def trials_of(table):
    """(subject, session, row) of each trial of a table."""
    return sorted(set(table[KEYS[1:]].itertuples(index=False, name=None)))


def both_sides(fold):
    """Trials that are granted in some way and tested."""
    test = set(fold.tables["test"][KEYS].itertuples(index=False, name=None))
    seen = pd.concat([table for role, table in fold.tables.items() if role != "test"])
    return test & set(seen[KEYS].itertuples(index=False, name=None))


@pytest.mark.parametrize(
    "protocol",
    [
        "cross-corpus/unsupervised",
        "leave-one-corpus-out/unsupervised",
        "leave-one-lab-out/unsupervised",
    ],
)
def test_what_unsupervised_protocols_show(parts, protocol):
    options = {"target": "SEED"}
    if protocol.startswith("cross-corpus"):
        options["source"] = "SEED-IV"
    if "lab" in protocol:
        options["labs"] = {"A": "elsewhere"}
    everything = trials_of(parts[0].table)
    names = []
    for use in ("others", "calibration", "test"):
        fold = make_folds(parts, protocol, target_use=use, subjects=[2], **options)[0]
        names.append(fold.protocol.removeprefix(protocol))
        shown = trials_of(fold.tables["unlabelled"])
        tested = trials_of(fold.tables["test"])
        if use == "others":
            assert shown == [t for t in everything if t[0] != 2]
            assert tested == [t for t in everything if t[0] == 2]
        elif use == "calibration":
            # SEED: the first 9 of 15 of the first session
            assert shown == [(2, 1, row) for row in range(1, 10)]
            assert tested == [(2, 1, row) for row in range(10, 16)]
            assert fold.calibration_trials == 9
        else:
            assert shown == tested == [t for t in everything if t[0] == 2]
        assert fold.access.unlabelled.y is None
        columns = set(fold.access.unlabelled.windows.table.columns)
        assert not columns & {*LABEL_COLUMNS, *STIMULUS_COLUMNS, "file", "key"}
        assert fold.access.calibration is None
        assert fold.target_use == fold.to_dict()["target_use"] == use
        assert fold.audit().passed
        assert bool(both_sides(fold)) == (use == "test")
    assert names == [" (other subjects)", " (first trials)", " (transductive)"]


@pytest.mark.parametrize("use", ["others", "calibration", "test"])
def test_unlabelled_windows_are_the_scaled_ones(parts, use):
    def windows_of(scaling):
        options = {"target": "SEED", "target_use": use, "scaling": scaling, "subjects": [1]}
        fold = make_folds(parts[:2], "unsupervised", **options)[0]
        return fold, fold.access.unlabelled.windows.x

    fold, plain = windows_of("none")
    # Windows of the target in the order of its table, by their identifiers alone.
    shown = fold.tables["unlabelled"][[*KEYS, "window"]]
    place = parts[0].table[[*KEYS, "window"]].reset_index().merge(shown, on=[*KEYS, "window"])
    assert len(place) == len(plain)
    if use != "test":
        assert np.array_equal(plain, parts[0].x[place["index"]])
    source = parts[1].x[fold.tables["source"].index]
    for scaling in ("source", "per-subject", "released", "causal"):
        fold, x = windows_of(scaling)
        assert x.shape == plain.shape
        if use == "test":
            assert np.array_equal(x, fold.test.x)
        if scaling == "source":
            mean, spread = source.mean(axis=0), source.std(axis=0)
            assert np.allclose(x, (plain - mean) / spread, atol=1e-4)


def test_scaling_by_unlabelled_first_trials(parts):
    fold = make_folds(
        parts[:2], "unsupervised", target="SEED", target_use="calibration", scaling="calibration"
    )[0]
    x = fold.access.unlabelled.windows.x
    assert np.allclose(x.mean(axis=0), 0, atol=1e-5)
    assert np.allclose(x.std(axis=0), 1, atol=1e-4)
    assert fold.audit().passed


def altered(parts, fold, part=0):
    """The same windows with other values and labels in the test."""
    windows = parts[part]
    x = windows.x.copy()
    x[fold.test_rows] = 7 * x[fold.test_rows] + 3
    table = windows.table.copy()
    words = table["emotion"].to_numpy().copy()
    swap = {"positive": "negative", "negative": "neutral", "neutral": "positive"}
    words[fold.test_rows] = [swap[word] for word in words[fold.test_rows]]
    table["emotion"] = words
    new = Windows.from_arrays(
        x,
        table,
        sfreq=200.0,
        channels=windows.channels,
        bands={band.name: (band.low, band.high) for band in windows.bands},
        recipe=windows.recipe,
    )
    return [*parts[:part], new, *parts[part + 1 :]]


CASES = [
    ("cross-corpus/unsupervised", {"source": "SEED-IV"}),
    ("cross-corpus/unsupervised", {"source": "SEED-IV", "target_use": "calibration"}),
    (
        "cross-corpus/unsupervised",
        {"source": "SEED-IV", "target_use": "calibration", "scaling": "calibration"},
    ),
    ("leave-one-corpus-out/zero-shot", {}),
    ("leave-one-corpus-out/unsupervised", {"scaling": "causal"}),
    ("leave-one-corpus-out/calibrated", {}),
    ("leave-one-lab-out/calibrated", {"labs": {"A": "x"}, "calibration_trials": 6}),
    ("pretrain-finetune", {}),
    ("pretrain-finetune", {"split": "trials:5/5/5", "selection": "validation"}),
    ("pretrain-finetune", {"split": "subjects:1/1/1", "source": []}),
    ("few-shot", {"shots": 4}),
    (
        "few-shot",
        {"shots": 2, "source": ["A"], "selection": "validation", "scaling": "calibration"},
    ),
]


@pytest.mark.parametrize(("protocol", "options"), CASES)
def test_nothing_granted_moves_when_the_test_does(parts, protocol, options):
    options = {"target": "SEED", **options}
    fold = plan_folds(parts, protocol, **options)[0]
    changed = altered(parts, fold)
    again = plan_folds(changed, protocol, **options)[0]
    assert again.id == fold.id
    for role in ("source", "calibration", "unlabelled", "validation"):
        mine, theirs = getattr(fold.access, role), getattr(again.access, role)
        assert (mine is None) == (theirs is None)
        if mine is not None:
            assert mine.fingerprint == theirs.fingerprint, role
    assert not np.array_equal(fold.test.x, again.test.x)
    assert (truth(parts, fold) != truth(changed, again)).all()
    assert not both_sides(fold)
    assert fold.audit().passed


@pytest.mark.parametrize("scaling", ["source", "per-subject", "none"])
def test_only_transductive_grants_move_with_the_test(parts, scaling):
    options = {"target": "SEED", "source": "SEED-IV", "target_use": "test", "scaling": scaling}
    fold = make_folds(parts, "unsupervised", **options)[0]
    again = make_folds(altered(parts, fold), "unsupervised", **options)[0]
    assert fold.protocol == "cross-corpus/unsupervised (transductive)"
    if scaling != "per-subject":
        assert fold.access.unlabelled.fingerprint != again.access.unlabelled.fingerprint
    assert fold.access.source.fingerprint == again.access.source.fingerprint
    # labels of the test are not in it
    labels_only = parts[0].with_column("emotion", np.roll(parts[0].table["emotion"].to_numpy(), 45))
    third = make_folds([labels_only, *parts[1:]], "unsupervised", **options)[0]
    assert third.access.unlabelled.fingerprint == fold.access.unlabelled.fingerprint


def test_leave_one_corpus_out_tests_every_subject_of_every_corpus_once(parts):
    folds = plan_folds(parts, "leave-one-corpus-out/calibrated", calibration_trials=3)
    assert len(folds) == 9
    assert folds.ids == tuple(f"{c}/{s}" for c in ("SEED", "SEED-IV", "A") for s in (1, 2, 3))
    for fold in folds:
        trained = set(fold.access.source.windows.table["corpus"])
        assert trained == {"SEED", "SEED-IV", "A"} - {fold.target}
        assert fold.calibration_trials == 3
    assert [fold.id for fold in folds[3:5]] == ["SEED-IV/1", "SEED-IV/2"]
    # folds of one target share their source
    assert folds[0].access.source is folds[1].access.source


def test_pretrain_finetune_by_sessions(parts):
    fold = make_folds(parts, "pretrain-finetune", target="SEED", selection="validation")[0]
    assert fold.id == "SEED/seed-sessions"
    assert fold.protocol == "pretrain-finetune (seed-sessions)"
    assert fold.subject == "1+2+3"
    for role, session in (("calibration", 1), ("validation", 2), ("test", 3)):
        assert set(fold.tables[role]["session"]) == {session}
        assert len(fold.tables[role]) == 135
    assert set(fold.tables["source"]["corpus"]) == {"SEED-IV", "A"}
    assert fold.promises == ("sessions",)
    last = make_folds(parts, "pretrain-finetune", target="SEED")[0]
    assert last.access.validation is None
    assert "validation" not in last.tables
    assert any("45 validation trials are not used" in note for note in last.notes)


def test_pretrain_finetune_without_a_source(parts):
    fold = make_folds(parts[0], "pretrain-finetune", split="subjects:1/1/1")[0]
    assert fold.access.source is None
    assert fold.access.grants == ("calibration_signals", "calibration_labels")
    assert fold.promises == ("subjects",)
    with pytest.raises(AccessError, match="source_signals"):
        fold.access.require(("source_signals",), "scmm")
    with pytest.raises(ProtocolError, match="no source corpus is given"):
        make_folds(parts[0], "pretrain-finetune", scaling="source")


def test_pretrain_finetune_by_the_users_own_words(parts):
    words = np.where(parts[0].table["session"] == 1, "train", "test").astype(object)
    words[parts[0].table["session"] == 2] = "dev"
    own = [parts[0].with_column("split", words), *parts[1:]]
    fold = make_folds(own, "pretrain-finetune", target="SEED", split="own")[0]
    assert fold.protocol == "pretrain-finetune (own)"
    assert {role: set(t["session"]) for role, t in fold.tables.items() if role != "source"} == {
        "calibration": {1},
        "test": {3},
    }
    assert fold.access.validation is None
    chosen = make_folds(
        own, "pretrain-finetune", target="SEED", split="own", selection="validation"
    )[0]
    assert set(chosen.tables["validation"]["session"]) == {2}


def test_trials_that_a_scheme_drops_count_in_a_rule(make):
    # SEED-IV's first six trials: sad fear happy ... ; fear is dropped, positions stay
    windows = make("SEED-IV")
    rows = windows.table.drop_duplicates("row")
    fold = make_folds(windows, "within-subject", split="trials:12/12", classes="valence3-no-fear")[
        0
    ]
    kept = rows.loc[rows["emotion"] != "fear", "row"]
    assert sorted(set(fold.tables["source"]["row"])) == [row for row in kept if row <= 12]
    assert sorted(set(fold.tables["test"]["row"])) == [row for row in kept if row > 12]


def test_within_subject_takes_seed_v_as_published(make):
    windows = make("SEED-V", emotions=["happy", "fear", "neutral", "sad", "disgust"] * 3)
    words = ["happy", "neutral", "sad"]
    fold = make_folds(windows, "within-subject", classes=words)[0]
    assert fold.protocol == "within-subject (seed-v-trials)"
    assert sorted(set(fold.tables["source"]["row"])) == [1, 3, 4]
    assert sorted(set(fold.tables["test"]["row"])) == [11, 13, 14]
    fold = make_folds(windows, "within-subject", classes=words, selection="validation")[0]
    assert sorted(set(fold.tables["validation"]["row"])) == [6, 8, 9]
    fold = make_folds(windows, "within-subject", classes=words, calibration_trials=6)[0]
    assert fold.protocol == "within-subject"


def test_shots_are_nested_and_leave_the_test_alone(parts):
    folds = {
        shots: make_folds(parts[0], "few-shot", shots=shots, calibration_trials=9)[1]
        for shots in (1, 3, 5)
    }
    shown = {n: set(fold.tables["calibration"]["id"]) for n, fold in folds.items()}
    assert shown[1] < shown[3] < shown[5]
    for shots, fold in folds.items():
        assert np.bincount(fold.access.calibration.y).tolist() == [shots] * 3
        assert trials_of(fold.tables["test"]) == [(2, 1, row) for row in range(10, 16)]
        assert set(fold.tables["source"]["subject"]) == {1, 3}
        assert fold.shots == shots
        assert fold.audit().passed
    other = make_folds(parts[0], "few-shot", shots=3, calibration_trials=9, seed=1)[1]
    assert set(other.tables["calibration"]["id"]) != shown[3]
    assert make_folds(parts[0], "few-shot")[0].shots == 5


def test_shots_of_a_class_that_the_first_trials_lack(parts):
    # SEED's first trials: positive neutral negative ...
    fold = make_folds(parts[0], "few-shot", shots=2, calibration_trials=2)[0]
    assert fold.lacks == ("negative",)
    assert any("first 2 trials hold no trial of class negative" in note for note in fold.notes)
    with pytest.raises(ProtocolError, match=r"shots=4.*\(neutral 3, positive 3\)"):
        make_folds(parts[0], "few-shot", shots=4, calibration_trials=2)


def test_one_test_for_every_point_of_a_curve(parts):
    tested = [
        make_folds(parts[:2], "calibrated", target="SEED", calibration_trials=k, test_after=9)[
            0
        ].tables["test"]["id"]
        for k in (1, 3, 9)
    ]
    assert all(tested[0].equals(other) for other in tested)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"protocol": "zero-shot", "target_use": "others"}, "target_use has no meaning"),
        ({"protocol": "unsupervised", "calibration_trials": 3}, "target_use='calibration'"),
        ({"protocol": "unsupervised", "scaling": "calibration"}, "fits on calibration trials"),
        ({"protocol": "unsupervised", "source_labels": False}, "source_labels has no meaning"),
        ({"protocol": "calibrated", "shots": 3}, "it belongs to 'few-shot'"),
        (
            {"protocol": "calibrated", "split": "trials:1/1"},
            "'within-subject', 'pretrain-finetune'",
        ),
        ({"protocol": "calibrated", "labs": {"A": "x"}}, "leave-one-lab-out"),
        ({"protocol": "few-shot", "shots": 0}, "shots must be at least 1"),
        (
            {"protocol": "few-shot", "source_classes": "emotion4", "selection": "validation"},
            "labels have to be in the target's classes",
        ),
        (
            {"protocol": "unsupervised", "target_use": "test", "stimulus_disjoint": "clip"},
            "no stimulus of the test is new",
        ),
        ({"protocol": "pretrain-finetune", "split": "sessions:1/1"}, "leave nothing|Use smaller"),
    ],
)
def test_refusals_name_what_would_do(seed, seed4, kwargs, message):
    kwargs = {"source": "SEED-IV", "target": "SEED", **kwargs}
    with pytest.raises(ProtocolError, match=message):
        make_folds([seed, seed4], kwargs.pop("protocol"), **kwargs)


def test_refusals_inside_one_corpus(seed):
    for options, message in (
        ({"split": "sessions:1/1"}, "Use 'cross-session'"),
        ({"split": "subjects:1/1"}, "Use 'leave-one-subject-out'"),
        ({"split": "own"}, "'own-split'"),
        ({"split": "trials:9/6", "calibration_trials": 9}, "leave one out"),
    ):
        with pytest.raises(ProtocolError, match=message):
            make_folds(seed, "within-subject", **options)
    other = seed.with_column("corpus", ["own"] * len(seed))
    other = Windows.from_arrays(
        seed.x, other.table, sfreq=200.0, channels=seed.channels, recipe="r1"
    )
    with pytest.raises(ProtocolError, match="no split of it is published"):
        make_folds(other, "pretrain-finetune")
    with pytest.raises(ProtocolError, match=r"split=own.*reads the column 'split'"):
        make_folds(other, "pretrain-finetune", split="own")


def test_the_audit_holds_splits_to_their_units(parts):
    for protocol, options, unit in (
        ("pretrain-finetune", {"split": "subjects:1/1/1"}, "subjects"),
        ("pretrain-finetune", {"split": "subjects:2/1", "source": []}, "subjects"),
        ("pretrain-finetune", {"split": "sessions:1/1/1"}, "sessions"),
        ("unsupervised", {"source": "A", "scaling": "per-subject"}, "subjects"),
    ):
        fold = make_folds(parts, protocol, target="SEED", **options)[0]
        check = fold.audit()[unit]
        assert (check.passed, check.required, check.measured) == (True, True, 0)
        role = "calibration" if protocol == "pretrain-finetune" else "unlabelled"
        mine = fold.tables[role].copy()
        mine.loc[0, ["subject", "session", "row"]] = [*fold.tables["test"].iloc[0][KEYS[1:3]], 99]
        leaked = {**fold.tables, role: mine}
        failed = dataclasses.replace(fold, tables=leaked).audit()
        assert unit in [check.name for check in failed.failed]
