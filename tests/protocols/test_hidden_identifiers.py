"""What an aligner saw of windows whose trial numbers were replaced."""

from __future__ import annotations

import numpy as np
import pytest

from affectrum.methods.registry import make_method
from affectrum.protocols import make_folds
from affectrum.protocols.audit import audit_fitted
from affectrum.protocols.identity import row_ids
from affectrum.scaling import Scaler

from .test_access import in_video_order  # type: ignore[import-not-found]  # isort: skip


@pytest.fixture
def fold(deap):
    """DEAP: row 7 is a video; the windows granted without labels are numbered as presented."""
    windows = in_video_order(deap, known=True)
    source = windows.with_table(windows.table.assign(corpus="AMIGOS"))
    source.corpus = "AMIGOS"
    folds = make_folds(
        [windows, source],
        "cross-corpus/unsupervised",
        source="AMIGOS",
        target=deap.corpus,
        classes="valence2",
        target_use="calibration",
        calibration_trials=20,
    )
    return folds[0]


def record_of(ids, *roles):
    return Scaler("none").fit(np.zeros((len(ids), 1, 1), dtype=np.float32), ids, roles=roles).record


def measured(fold, *records):
    found = audit_fitted(fold.audit(), fold, records)["aligners"]
    return found.measured, found.passed


def test_shown_numbers_of_first_trials_are_those_of_tested_videos(fold):
    """The trap: by the numbers alone, half of what was seen would be in the test."""
    shown = row_ids(fold.access.unlabelled.windows.table)
    tested = fold.tables["test"]["id"].to_numpy(dtype=np.uint64)
    assert np.isin(shown, tested).mean() > 0.2
    assert measured(fold, record_of(shown, "unlabelled")) == (0, True)
    # a method that also tells of its source, whose windows have their own numbers
    source = row_ids(fold.access.source.windows.table)
    assert measured(fold, record_of(source, "source")) == (0, True)


def test_windows_of_the_test_are_found_by_either_number(fold):
    tested = fold.tables["test"]["id"].to_numpy(dtype=np.uint64)
    shown = row_ids(fold.test.table)
    assert measured(fold, record_of(shown, "test")) == (len(tested), False)
    assert measured(fold, record_of(tested, "source")) == (len(tested), False)
    # under a wrong role too, though some share a number with windows that were shown
    assert measured(fold, record_of(tested, "unlabelled")) == (len(tested), False)
    both = np.concatenate([row_ids(fold.access.unlabelled.windows.table), tested])
    assert measured(fold, record_of(both, "unlabelled", "test"))[0] == len(tested)


@pytest.mark.parametrize("method", ["coral-svm", pytest.param("dann", marks=pytest.mark.slow)])
def test_methods_tell_what_they_were_aligned_to(fold, method):
    small = {"epochs": 1} if method == "dann" else {}
    fitted = make_method(method, **small).fit(fold.access)
    (record,) = fitted.records_
    assert record.n_rows == len(fold.access.unlabelled)
    assert measured(fold, record) == (0, True)
