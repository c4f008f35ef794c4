"""Leaks injected on purpose; each has to be caught by the check that is meant for it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from affectrum.errors import LeakError
from affectrum.protocols import Certificate, make_folds
from affectrum.protocols.audit import CHECKS, audit_tables
from affectrum.scaling import Scaler
from affectrum.windows import Windows


def failed(certificate):
    return [check.name for check in certificate.failed]


def with_table(fold, role, table):
    return replace(fold, tables={**fold.tables, role: table})


def test_clean_folds_pass_with_every_check(seed, seed4):
    for base in ("zero-shot", "calibrated"):
        for fold in make_folds([seed, seed4], base, target="SEED"):
            certificate = fold.audit()
            assert certificate.passed
            assert tuple(check.name for check in certificate.checks) == CHECKS
            assert certificate.raise_if_failed() == certificate


def test_stimuli_are_measured_even_where_they_may_be_shared(seed):
    certificate = make_folds(seed, "loso")[0].audit()
    assert certificate.passed
    assert certificate["clip"].measured == 15
    assert certificate["film"].measured == 8
    assert certificate["series"].measured == 6
    assert not certificate["series"].required


def test_a_subject_on_both_sides(seed):
    fold = make_folds(seed, "loso")[0]
    # one trial of the test subject joins the training side
    leaked = pd.concat([fold.tables["source"], fold.tables["test"].iloc[:3]], ignore_index=True)
    certificate = with_table(fold, "source", leaked).audit()
    assert failed(certificate) == [
        "subjects",
        "trials",
        "windows",
        "content",
        "granted",
    ]
    with pytest.raises(LeakError, match=r"(?s)SEED/1.*subjects: 1 of 1.*SEED/1"):
        certificate.raise_if_failed()


def test_a_session_on_both_sides(make):
    fold = make_folds(make("SEED", n_sessions=2), "cross-session")[0]
    assert fold.audit()["sessions"].required
    moved = fold.tables["source"].assign(session=2, row=99)
    assert failed(with_table(fold, "source", moved).audit()) == ["sessions", "windows"]


def test_windows_of_a_trial_on_both_sides(seed):
    """Peers' defect: splitting windows at random."""
    rng = np.random.default_rng(0)
    words = np.where(rng.random(len(seed)) < 0.7, "train", "test")
    (fold,) = make_folds(seed.with_column("split", words), "own-split")
    certificate = fold.audit()
    assert failed(certificate) == ["trials"]
    assert "also train" in certificate["trials"].detail
    # a declared exception passes, and stays visible
    declared = certificate.raise_if_failed(declared=("trials",))
    assert declared.passed
    assert declared.declared == ("trials",)
    with pytest.raises(LeakError):
        certificate.raise_if_failed(declared=("content",))


def test_overlapping_windows_of_one_trial(make):
    # 2-s windows every second: neighbours share a second
    windows = make("SEED", n_windows=6, shape=(4, 20))
    raw = Windows.from_arrays(
        windows.to_numpy(), windows.table, sfreq=10.0, channels=windows.channels, kind="raw"
    )
    words = np.where(raw.table["window"] < 3, "train", "test")
    (fold,) = make_folds(raw.with_column("split", words), "own-split")
    certificate = fold.audit()
    assert fold.window_s == 2.0
    assert failed(certificate) == ["trials", "windows"]
    assert certificate["windows"].measured == 45
    # half a second apart nothing overlaps
    table = raw.table.assign(start_s=raw.table["window"] * 2.5)
    apart = Windows.from_arrays(
        raw.to_numpy(), table, sfreq=10.0, channels=raw.channels, kind="raw"
    )
    (fold,) = make_folds(apart.with_column("split", words), "own-split")
    assert failed(fold.audit()) == ["trials"]


def test_trials_that_overlap_by_the_clock(seed):
    """Two trials cut from one recording with overlapping times are caught by their onsets."""
    fold = make_folds(seed, "within-subject")[0]
    assert fold.audit().passed
    test = fold.tables["test"]
    train = fold.tables["source"].copy()
    train["onset_s"] = test["onset_s"].iloc[0] + 0.5
    certificate = with_table(fold, "source", train).audit()
    assert failed(certificate) == ["windows"]  # the onset is no part of a window's name
    assert certificate["windows"].measured == 3


@pytest.mark.parametrize("level", ["clip", "film", "series"])
def test_a_stimulus_on_both_sides_when_disjointness_is_promised(seed, level):
    plain = make_folds(seed, "loso")[0]
    certificate = replace(plain, stimulus_disjoint=level).audit()
    order = ["clip", "film", "series"]
    assert failed(certificate) == order[: order.index(level) + 1]
    # unknown stimuli can't be promised to differ
    nothing = plain.tables["source"].assign(**{level: pd.NA})
    leaked = replace(with_table(plain, "source", nothing), stimulus_disjoint=level)
    assert level in failed(leaked.audit())
    assert "not known for 30 trials" in leaked.audit()[level].detail


def test_a_scaler_that_saw_the_test(seed):
    fold = make_folds(seed, "loso")[0]
    from affectrum.protocols.identity import row_ids

    everything = Scaler().fit(seed.x, row_ids(seed.table), roles=("source", "test"))
    certificate = replace(fold, scalers=(everything.record,)).audit()
    assert failed(certificate) == ["scalers"]
    assert certificate["scalers"].measured == 45
    # a scaler without a record of its rows can't be trusted either
    blind = Scaler().fit(seed.x)
    assert failed(replace(fold, scalers=(blind.record,)).audit()) == ["scalers"]


def test_transductive_scaling_is_measured_and_named(seed):
    fold = make_folds(seed, "loso", scaling="per-subject")[0]
    certificate = fold.audit()
    assert certificate.passed
    assert certificate["scalers"].measured == len(fold.test)
    assert "named transductive" in certificate["scalers"].detail
    assert "(transductive)" in certificate.protocol
    # the same rows under the strict name fail
    assert failed(replace(fold, scaling="source").audit()) == ["scalers"]


def test_one_signal_under_two_identities(seed):
    x = seed.to_numpy()
    x[45:48] = x[0:3]  # a trial of subject 1 copied into subject 2
    fold = make_folds(seed.with_x(x), "loso")[0]
    certificate = fold.audit()
    assert failed(certificate) == ["content"]
    assert certificate["content"].measured == 3
    assert "same values as windows of the source" in certificate["content"].detail


def test_one_signal_in_two_corpora(seed, seed4):
    x = seed4.to_numpy()
    x[10] = seed.x[40]  # a test window of SEED's subject 1 stands in the source
    folds = make_folds([seed, seed4.with_x(x)], "calibrated", target="SEED")
    assert failed(folds[0].audit()) == ["content"]
    assert folds[1].audit().passed


def test_labels_in_the_test_windows(seed):
    fold = make_folds(seed, "loso")[0]
    leaked = replace(fold, test=seed.select(fold.test_rows))
    assert failed(leaked.audit()) == ["hidden columns"]
    assert "emotion" in leaked.audit()["hidden columns"].detail


def test_calibration_trials_that_are_tested(seed, seed4):
    fold = make_folds([seed, seed4], "calibrated", target="SEED")[0]
    leaked = pd.concat([fold.tables["calibration"], fold.tables["test"]], ignore_index=True)
    certificate = with_table(fold, "calibration", leaked).audit()
    assert failed(certificate) == ["trials", "windows", "content", "granted"]


def test_certificate_round_trips(seed):
    certificate = make_folds(seed, "loso")[0].audit()
    assert Certificate.from_dict(certificate.to_dict()) == certificate
    with pytest.raises(KeyError):
        certificate["nothing"]


def test_audit_of_stored_trials(seed):
    """Tables restored from a record have one row per trial and no content of windows."""
    fold = make_folds(seed, "loso")[0]
    stored = {
        role: table.drop_duplicates(["subject", "session", "row"]).drop(
            columns=["window", "start_s", "id", "content", "likeness"]
        )
        for role, table in fold.tables.items()
    }
    certificate = audit_tables(
        stored, base=fold.base, scaling="source", stimulus_disjoint=None, scalers=fold.scalers
    )
    assert certificate.passed
    leaked = {**stored, "source": stored["test"]}
    certificate = audit_tables(leaked, base=fold.base, scaling="source", stimulus_disjoint=None)
    assert failed(certificate) == ["subjects", "trials"]
