"""More leaks injected on purpose: copies in disguise, grants that lie, labels from the test."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest

from affectrum.protocols import Certificate, make_folds
from affectrum.protocols.access import Grant
from affectrum.protocols.audit import audit_fitted, audit_tables
from affectrum.protocols.audit.content import copied_trials
from affectrum.protocols.audit.tables import rows_digest
from affectrum.protocols.identity import content_hashes, row_ids
from affectrum.protocols.likeness import likeness_hashes, trial_contents, trial_hashes
from affectrum.scaling import Scaler


def failed(certificate):
    return [check.name for check in certificate.failed]


def with_grant(fold, role, grant):
    return replace(fold, access=replace(fold.access, **{role: grant}))


# ------------------------------------------------------------------------- copies in disguise


@pytest.mark.parametrize("change", ["other unit", "offset", "both"])
def test_a_copy_in_another_unit_is_found(make, change):
    """A trial of subject 1 stands in subject 2 in microvolts, or with the offset of a log unit."""
    windows = make("SEED", n_windows=6, shape=(4, 3))
    x = windows.to_numpy()
    copy = x[:6].copy()
    if change != "offset":
        copy = copy * np.float32(1e6)
    if change != "other unit":
        copy = copy - np.float32(13.8)
    x[90:96] = copy
    certificate = make_folds(windows.with_x(x), "loso")[0].audit()
    assert failed(certificate) == ["content"]
    assert certificate["content"].measured == 6
    assert "up to unit and offset" in certificate["content"].detail


def test_a_standardised_copy_of_a_subject_is_found(make):
    """Subject 2 is subject 1 after each feature was standardised over the session."""
    windows = make("SEED", n_windows=6, shape=(4, 3))
    x = windows.to_numpy().astype(np.float64)
    n = 15 * 6
    x[n : 2 * n] = (x[:n] - x[:n].mean(axis=0)) / x[:n].std(axis=0)
    certificate = make_folds(windows.with_x(x.astype(np.float32)), "loso")[0].audit()
    assert failed(certificate) == ["content"]
    # about one window in a thousand may be lost in rounding; here whole trials count
    assert certificate["content"].measured >= 14 * 6
    assert "up to a scaling of each feature" in certificate["content"].detail


def test_unrelated_signals_are_not_alike():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((20_000, 3, 2)).astype(np.float32)
    codes = np.repeat(np.arange(4_000), 5)
    for hashes in (content_hashes(x), likeness_hashes(x), trial_hashes(x, codes)[::5]):
        assert (hashes != 0).all()
        assert len(np.unique(hashes)) == len(hashes)


def test_likeness_is_that_of_a_plain_standardisation():
    """Slow version: two windows are alike if their standardised values agree."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((400, 4, 3)).astype(np.float32)
    x[200:] = x[:200] * 3.0 + 2.0
    x[300] = x[100] * -1.0  # another sign is another signal
    z = x.reshape(400, -1) - x.reshape(400, -1).mean(axis=1, keepdims=True)
    z = z / z.std(axis=1, keepdims=True)
    slow = np.array([np.abs(z - row).max(axis=1) < 1e-4 for row in z])
    hashes = likeness_hashes(x)
    fast = hashes[:, None] == hashes[None]
    assert not (fast & ~slow).any()
    missed = (slow & ~fast).sum() / slow.sum()
    assert missed < 0.01
    assert not fast[300, 100]


def test_flat_short_and_broken_windows_have_no_likeness():
    x = np.ones((3, 4, 3), dtype=np.float32)
    x[1, 0, 0] = np.nan
    x[2] = np.arange(12).reshape(4, 3)
    assert (likeness_hashes(x) != 0).tolist() == [False, False, True]
    assert not likeness_hashes(x[:, :1]).any()  # 3 values have no shape of their own
    assert not trial_hashes(x, np.zeros(3, dtype=np.int64)).any()
    assert not trial_contents(np.zeros(3, dtype=np.uint64), np.array([0, 0, 1])).any()


def test_copied_trials_are_named(make):
    windows = make("SEED", n_windows=6, shape=(4, 3))
    x = windows.to_numpy()
    x[90:96] = x[0:6] * 2 + 1
    fold = make_folds(windows.with_x(x), "loso")[2]
    trials = fold.tables["source"].drop_duplicates(["subject", "session", "row"])
    assert copied_trials(trials) == [("SEED/1/1/1", "SEED/2/1/1")]


# ------------------------------------------------------------------------------ grants that lie


def test_a_grant_that_holds_the_test_while_its_table_does_not(seed):
    """A splitter's fault: tables say one thing, the arrays handed out are others."""
    fold = make_folds(seed, "loso")[0]
    source = fold.access.source
    for windows, words in (
        (seed.select(np.arange(45, 135)), None),
        (seed.select(np.arange(0, 90)), "other windows than its table lists"),
        (seed, "has 135 windows, its table 90"),
    ):
        y = np.resize(source.y, len(windows))
        certificate = with_grant(fold, "source", Grant(windows, y)).audit()
        assert ("granted" in failed(certificate)) == (words is not None)
        if words:
            assert words in certificate["granted"].detail


def test_an_array_through_which_the_test_can_be_reached(seed):
    fold = make_folds(seed, "loso", scaling="none")[0]
    assert fold.audit().passed
    source = fold.access.source
    whole = np.concatenate([seed.x[45:], seed.x[:45]])
    view = source.windows.with_x(whole[:90])
    certificate = with_grant(fold, "source", Grant(view, source.y)).audit()
    assert failed(certificate) == ["reach"]
    assert "135 windows, of which 90 are granted" in certificate["reach"].detail
    # a selection keeps the whole table behind it, labels of the test included
    view = seed.select(np.arange(45, 135))
    certificate = with_grant(fold, "source", Grant(view, source.y)).audit()
    assert failed(certificate) == ["reach"]


# ------------------------------------------------------------------------ labels from the test


@dataclass(frozen=True)
class MedianSplit:
    """A leak in the classes themselves: the threshold is a median over all trials."""

    classes: tuple[str, ...] = ("low", "high")
    name: str = "median"

    def assign(self, trials: pd.DataFrame, corpus: str) -> np.ndarray:
        values = trials["rating_valence"].to_numpy(dtype=float)
        return (values > np.median(values)).astype(np.int64)


@dataclass(frozen=True)
class FixedSplit(MedianSplit):
    name: str = "fixed"

    def assign(self, trials: pd.DataFrame, corpus: str) -> np.ndarray:
        return (trials["rating_valence"].to_numpy(dtype=float) > 5).astype(np.int64)


def test_classes_from_a_median_over_the_test(make):
    deap = make("DEAP", n_subjects=3)
    table = deap.table
    # the tested subject rates higher, so that its ratings move the median
    moved = table["rating_valence"] + 3.0 * (table["subject"] == 1)
    deap = deap.with_column("rating_valence", moved.to_numpy())
    certificate = make_folds(deap, "loso", classes=MedianSplit())[0].audit()
    assert failed(certificate) == ["labels"]
    assert "another class when the test is absent" in certificate["labels"].detail
    assert make_folds(deap, "loso", classes=FixedSplit())[0].audit().passed


# ------------------------------------------- unlabelled signals, selection, aligners, corpora


def tables_of(seed):
    return dict(make_folds(seed, "loso")[0].tables)


def audited(tables, **changes):
    options = {"base": "cross-corpus/unsupervised", "scaling": "source", "stimulus_disjoint": None}
    return audit_tables(tables, **{**options, **changes})


def test_unlabelled_test_signals_must_be_named(seed):
    tables = tables_of(seed)
    tables["source"] = tables["source"].assign(corpus="other")
    tables["unlabelled"] = tables["test"].iloc[:6]
    certificate = audited(tables, protocol="cross-corpus/unsupervised")
    assert failed(certificate) == ["trials", "unlabelled", "content"]
    named = audited(tables, protocol="cross-corpus/unsupervised (transductive)")
    assert named.passed
    assert named["unlabelled"].measured == 2
    assert "named transductive" in named["unlabelled"].detail
    tables["unlabelled"] = tables["test"].assign(subject=9, id=0, content=0, likeness=0)
    tables["unlabelled"] = tables["unlabelled"].assign(trial_content=0, trial_likeness=0)
    assert audited(tables, protocol="cross-corpus/unsupervised").passed


def test_validation_trials_that_are_tested(seed):
    tables = tables_of(seed)
    tables["validation"] = tables["test"].iloc[:3]
    certificate = audited(tables, base="leave-one-subject-out", selection="validation")
    assert "selection" in failed(certificate)
    assert certificate["selection"].measured == 1


def test_selection_by_oracle_is_measured_and_named(seed):
    fold = make_folds(seed, "loso", selection="oracle")[0]
    check = fold.audit()["selection"]
    assert (check.passed, check.required, check.measured) == (True, False, 15)
    assert "named oracle" in check.detail


def test_a_corpus_on_both_sides(seed, seed4):
    fold = make_folds([seed, seed4], "zero-shot", target="SEED")[0]
    assert fold.audit()["corpora"].required
    leaked = fold.tables["source"].copy()
    leaked.loc[:2, "corpus"] = "SEED"
    leaked.loc[:2, "subject"] = 2
    certificate = replace(fold, tables={**fold.tables, "source": leaked}).audit()
    assert failed(certificate) == ["corpora"]


def test_a_lab_on_both_sides(seed, seed4):
    fold = make_folds([seed, seed4], "zero-shot", target="SEED")[0]
    certificate = audited(fold.tables, base="leave-one-lab-out/zero-shot")
    assert failed(certificate) == ["corpora"]
    assert "SEED-IV" in certificate["corpora"].detail


def test_an_aligner_that_saw_the_test(seed):
    fold = make_folds(seed, "loso")[0]
    certificate = fold.audit()
    assert audit_fitted(certificate, fold, ()) is certificate
    ids = row_ids(seed.table)
    good = Scaler().fit(seed.x[45:], ids[45:], roles=("source",)).record
    assert audit_fitted(certificate, fold, [good]).passed
    bad = Scaler().fit(seed.x, ids, roles=("source",)).record
    assert failed(audit_fitted(certificate, fold, [good, bad])) == ["aligners"]
    blind = Scaler().fit(seed.x).record
    assert failed(audit_fitted(certificate, fold, [blind])) == ["aligners"]


def test_a_certificate_names_the_rows_of_each_role(seed, seed4):
    fold = make_folds([seed, seed4], "calibrated", target="SEED")[0]
    certificate = fold.audit()
    assert list(certificate.rows) == ["source", "test", "calibration"]
    tested = fold.tables["test"]["id"].to_numpy()
    assert certificate.rows["test"] == {"n": len(tested), "digest": rows_digest(tested[::-1])}
    # the calibration's scaler saw its rows and no others
    digests = [record.digest for record in fold.scalers]
    assert certificate.rows["calibration"]["digest"] in digests
    assert Certificate.from_dict(certificate.to_dict()) == certificate
