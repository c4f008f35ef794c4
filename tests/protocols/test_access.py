from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from affectrum.errors import AccessError, ConfigError
from affectrum.protocols import Access, Grant, describe, grants_of, make_folds, truth
from affectrum.protocols.access import LABEL_COLUMNS, STIMULUS_COLUMNS
from affectrum.protocols.catalogue import PROTOCOLS
from affectrum.protocols.identity import content_hashes, neutral_rows, row_ids


def test_grants_follow_what_is_held(seed):
    y = np.zeros(len(seed), dtype=np.int64)
    labelled, unlabelled = Grant(seed, y), Grant(seed)
    assert Access("p", ("a", "b")).grants == ()
    assert Access("p", ("a", "b"), source=unlabelled).grants == ("source_signals",)
    assert Access("p", ("a", "b"), labelled, calibration=labelled, validation=labelled).grants == (
        "source_signals",
        "source_labels",
        "calibration_signals",
        "calibration_labels",
        "validation",
    )


def test_a_grant_without_labels_has_no_label_columns(seed):
    hidden = Grant(seed).windows.table
    assert not set(hidden.columns) & {*LABEL_COLUMNS, *STIMULUS_COLUMNS, "file", "key"}
    assert "emotion" in Grant(seed, np.zeros(len(seed), dtype=np.int64)).windows.table
    with pytest.raises(ConfigError, match="one label per window"):
        Grant(seed, np.zeros(3, dtype=np.int64))


def in_video_order(deap, *, known):
    """DEAP's files: row is the video, alike for all; each subject saw its own order."""
    table = deap.table
    rank = {s: np.random.default_rng(s).permutation(40) + 1 for s in np.unique(table["subject"])}
    order = [rank[s][row - 1] for s, row in zip(table["subject"], table["row"], strict=True)]
    good = np.where(table["row"] % 2 == 0, 8.0, 2.0)
    trial = (
        pd.Series(order, dtype="Int64") if known else pd.Series([pd.NA] * len(table), dtype="Int64")
    )
    return deap.with_table(table.assign(trial=trial, rating_valence=good))


@pytest.mark.parametrize("known", [True, False])
def test_the_place_in_a_file_does_not_tell_the_video_of_a_test_trial(deap, known):
    windows = in_video_order(deap, known=known)
    for fold in make_folds(windows, "leave-one-subject-out", classes="valence2"):
        table = fold.test.table
        real = fold.tables["test"]["row"].to_numpy()
        # whatever a method may have learnt about a row or a place in the order is of no use
        assert (table["row"].to_numpy() == real).mean() < 0.3
        assert np.unique(table["row"]).tolist() == list(range(1, 41))
        assert len(np.unique(table["row"].to_numpy() * 1000 + real)) == 40
        if known:
            assert (table["row"] == table["trial"]).all()
        assert (np.diff(table["row"]) >= 0).all()
        # nothing else moved
        y = truth(windows, fold)
        assert (y == (real % 2 == 0)).all()
        assert np.array_equal(windows.table["row"].to_numpy()[fold.test_rows], real)
        assert (table["window"].to_numpy() == fold.tables["test"]["window"].to_numpy()).all()
        assert fold.audit().passed


def test_rows_stay_where_they_are_the_order_of_presentation(seed):
    assert (neutral_rows(seed.table) == seed.table["row"]).all()
    # a `trial` that does not tell trials apart is no number for them
    blocks = seed.table.assign(trial=1)
    numbers = neutral_rows(blocks)
    assert len(pd.DataFrame({"s": blocks["subject"], "n": numbers}).drop_duplicates()) == 45


def test_nothing_hangs_behind_what_is_handed_out(seed):
    table = seed.table
    table.attrs["answers"] = table["emotion"].tolist()
    for fold in make_folds(seed.with_table(table), "leave-one-subject-out", scaling="none"):
        for windows in (fold.test, fold.access.source.windows):
            assert windows.table.attrs == {}
            behind = windows.x.base
            assert behind is None or behind.size == windows.x.size


def test_a_grant_without_labels_shows_no_columns_of_the_users_own(seed):
    bare = seed.without_columns([*LABEL_COLUMNS, *STIMULUS_COLUMNS])
    assert "answer" not in Grant(bare.with_column("answer", np.arange(len(bare)))).windows.table


def test_asking_for_more_is_refused_with_the_protocol_that_would_do(seed):
    access = Access("cross-corpus/zero-shot", ("a", "b"), Grant(seed))
    access.require(("source_signals",), "m")
    with pytest.raises(AccessError, match=r"'scmm' needs calibration_labels.*calibrated") as caught:
        access.require(("source_signals", "calibration_labels"), "scmm")
    assert "within-subject" not in str(caught.value)
    with pytest.raises(AccessError, match="selection='validation'"):
        access.require(("validation",), "scmm")
    with pytest.raises(ConfigError, match="unknown grants"):
        access.require(("test_labels",), "scmm")


def test_grants_of_a_protocol_equal_those_of_its_folds(seed, seed4, make):
    third = make("A", emotions=["positive", "negative", "neutral"] * 5)
    alone = ("within-subject", "leave-one-subject-out", "cross-session", "own-split")
    for base in PROTOCOLS:
        options = {}
        if base.startswith("cross-corpus"):
            windows, options = [seed, seed4], {"target": "SEED", "subjects": [1]}
        elif base in alone:
            windows = make("SEED", n_sessions=2)
        else:
            windows = [make("SEED", n_sessions=3), seed4, third]
            options = {"source": ["SEED-IV", "A"], "target": "SEED"}
        if base.startswith("leave-one-lab-out"):
            options |= {"source": "A", "labs": {"A": "somewhere"}}
        if base == "own-split":
            words = np.where(windows.table["trial"] < 9, "train", "test")
            windows = windows.with_column("split", words)
        fold = make_folds(windows, base, **options)[0]
        assert fold.access.grants == grants_of(base) == grants_of(base + " (transductive)"), base


def test_every_protocol_has_a_picture():
    for info in describe():
        assert len(info.picture.splitlines()) >= 3
        assert "?" in info.picture
        assert info.sees
        assert info.used_by
        assert set(info.to_dict()) >= {"id", "picture", "sees", "used_by", "grants"}


def test_row_ids_name_windows_whatever_the_selection(seed):
    ids = row_ids(seed.table)
    assert len(np.unique(ids)) == len(seed)
    rows = np.array([5, 3, 40])
    assert (row_ids(seed.select(rows).table) == ids[rows]).all()
    assert not len(row_ids(seed.table.iloc[:0]))


def test_content_hashes_find_equal_windows_only():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((50, 4, 3)).astype(np.float32)
    x[7] = x[3]
    x[8] = x[3] + np.float32(1e-6)
    x[9] = 0.0
    x[10] = 0.0
    hashes = content_hashes(x)
    assert hashes[7] == hashes[3] != hashes[8]
    assert hashes[9] == hashes[10] == 0
    assert len(np.unique(hashes)) == 48
    # the order of values counts
    assert content_hashes(x[:1, ::-1])[0] != hashes[0]


def test_content_hashes_do_not_depend_on_blocks(monkeypatch):
    from affectrum.protocols import identity

    x = np.random.default_rng(1).standard_normal((33, 5, 2)).astype(np.float32)
    whole = content_hashes(x)
    monkeypatch.setattr(identity, "_BLOCK_BYTES", 200)
    assert (content_hashes(x) == whole).all()


def test_fingerprint_changes_with_values_labels_and_classes(seed):
    y = np.zeros(len(seed), dtype=np.int64)
    base = Access("p", ("a", "b"), Grant(seed, y))
    assert base.fingerprint("source") == Access("q", ("a", "b"), Grant(seed, y)).fingerprint(
        "source"
    )
    x = seed.to_numpy()
    x[0, 0, 0] += 1
    others = [
        Access("p", ("a", "b"), Grant(seed.with_x(x), y)),
        Access("p", ("a", "b"), Grant(seed, y + 1)),
        Access("p", ("a", "b"), Grant(seed)),
        Access("p", ("a", "c"), Grant(seed, y)),
        Access("p", ("a", "b"), Grant(seed, y), ("x", "y")),
    ]
    prints = [access.fingerprint("source") for access in (base, *others)]
    assert len(dict.fromkeys(prints)) == len(prints)
    with pytest.raises(AccessError, match="grants no calibration"):
        base.fingerprint("calibration")
    with pytest.raises(ConfigError, match="Unknown role"):
        base.fingerprint("test")


SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
from conftest import make_windows
from affectrum.protocols import make_folds
folds = make_folds([make_windows("SEED"), make_windows("SEED-IV")], "cross-corpus/calibrated",
                   target="SEED", selection="validation", seed=3)
loso = make_folds(make_windows("SEED"), "loso", stimulus_disjoint="clip", stimulus_control=True)
for fold in [*folds, *loso]:
    print(fold.id, fold.access.fingerprint("source"), fold.test_rows.tolist(),
          fold.access.seed, [record.digest for record in fold.scalers])
"""


def test_folds_and_fingerprints_are_the_same_in_every_process(request):
    outputs = []
    for hash_seed in ("0", "4711"):
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, str(request.path.parent)],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "OMP_NUM_THREADS": "1"},
        )
        outputs.append(done.stdout)
    assert outputs[0] == outputs[1]
    assert len(outputs[0].splitlines()) == 3 + 15


def test_hidden_windows_keep_nothing_behind(seed):
    """What is not granted is absent from the object, not merely out of sight."""
    for scaling in ("none", "source"):
        fold = make_folds(seed, "leave-one-subject-out", scaling=scaling)[0]
        source = fold.access.source.windows
        assert sorted(source.table["subject"].unique()) == [2, 3]
        for held in vars(source).values():
            if isinstance(held, pd.DataFrame):
                assert 1 not in set(held["subject"])
            if isinstance(held, np.ndarray) and held.ndim == 3:
                assert len(held) == len(source)
        for held in vars(fold.test).values():
            if isinstance(held, pd.DataFrame):
                assert not set(held.columns) & {*LABEL_COLUMNS, *STIMULUS_COLUMNS}
