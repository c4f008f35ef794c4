"""Trials of a table and numbers among others, held to the plain ways of finding them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from affectrum.protocols.audit import audit_tables
from affectrum.protocols.identity import first_windows, found_in, trial_codes

KEYS = ["corpus", "subject", "session", "row"]


def _table(rng, n, shuffled):
    table = pd.DataFrame(
        {
            "corpus": rng.choice(["SEED", "DEAP"], n),
            "subject": rng.integers(1, 4, n),
            "session": rng.integers(1, 3, n),
            "row": rng.integers(1, 5, n),
        }
    )
    return table if shuffled else table.sort_values(KEYS, ignore_index=True)


@pytest.mark.parametrize("shuffled", [True, False])
@pytest.mark.parametrize("n", [0, 1, 2, 300])
def test_trials_as_a_grouping_finds_them(n, shuffled):
    table = _table(np.random.default_rng(n), n, shuffled)
    codes, first, sizes = first_windows(table)
    groups = table.groupby(KEYS, sort=False)
    np.testing.assert_array_equal(codes, groups.ngroup())
    np.testing.assert_array_equal(sizes, groups.size().to_numpy())
    expected = np.flatnonzero(~table.duplicated(KEYS).to_numpy())
    np.testing.assert_array_equal(first, expected)


def test_missing_names_are_one_name():
    table = pd.DataFrame(
        {"corpus": ["a", None, None, "a"], "subject": [1.0, np.nan, np.nan, 1.0], "row": 1}
    )
    np.testing.assert_array_equal(trial_codes(table)[0], [0, 1, 1, 0])


@pytest.mark.parametrize("seed", range(5))
def test_numbers_found_among_others(seed):
    rng = np.random.default_rng(seed)
    high = [40, 2**16 + 7, 2**63][seed % 3]
    mine, theirs = (rng.integers(0, high, n, dtype=np.uint64) for n in (500, 3000))
    theirs[: 100 * seed] = mine[: 100 * seed]
    np.testing.assert_array_equal(found_in(mine, theirs), np.isin(mine, theirs))
    assert not found_in(mine, theirs[:0]).any()
    assert not len(found_in(mine[:0], theirs))


@pytest.mark.parametrize("seed", range(12))
def test_overlaps_as_counted_pair_by_pair(seed):
    """Clocks of files, trials without onsets, and sessions on one side only."""
    rng = np.random.default_rng(seed)
    tables = {}
    for role, subjects in (("source", [2, 3]), ("calibration", [1, 2]), ("test", [1])):
        rows = [
            {
                "corpus": "SEED",
                "subject": subject,
                "session": session,
                "row": row,
                "file": f"{subject}-{session if seed % 2 else rng.integers(2)}",
                "onset_s": float(rng.integers(0, 40)) if rng.random() < 0.8 else np.nan,
                "start": start,
            }
            for subject in subjects
            for session in (1, 2)
            for row in rng.permutation(8)[:3] + (8 if role != "source" else 0)
            for start in range(3)
        ]
        table = pd.DataFrame(rows)
        if seed % 3 == 0:
            table["onset_s"] = 3.0  # no clock: counted from the trial's own beginning
        table["onset_s"] = table.groupby(KEYS)["onset_s"].transform("first")
        table["file"] = table.groupby(KEYS)["file"].transform("first")
        tables[role] = table.rename(columns={"start": "start_s"}).astype({"start_s": float})
    for table in tables.values():
        table[["clip", "film", "series"]] = None
    found = audit_tables(
        tables,
        base="cross-corpus/calibrated",
        scaling="source",
        stimulus_disjoint=None,
        window_s=2.0,
    )["windows"]
    assert found.measured == _plain_count(tables, 2.0)


def _plain_count(tables, length):
    test = tables["test"].assign(_test=True)
    mine = set(map(tuple, test[KEYS[:3]].to_numpy()))
    seen = pd.concat([tables[r] for r in tables if r != "test"]).assign(_test=False)
    near = [tuple(key) in mine for key in seen[KEYS[:3]].to_numpy()]
    both = pd.concat([test, seen[near]], ignore_index=True)
    clock = {}
    for name, part in both.groupby([*KEYS[:3], "file"]):
        clock[name] = len(set(part["onset_s"].dropna())) > 1
    count = 0
    rows = list(both.itertuples(index=False))

    def place(row):
        return (row.corpus, row.subject, row.session, row.file)

    def by_clock(row):
        return clock[place(row)] and np.isfinite(row.onset_s)

    for own in rows:
        if not own[-1]:
            continue
        for other in rows:
            if other[-1]:
                continue
            if by_clock(own) != by_clock(other):
                continue
            if by_clock(own):
                same = place(own) == place(other)
                gap = abs(own.onset_s + own.start_s - other.onset_s - other.start_s)
            else:
                same = own[:4] == other[:4]
                gap = abs(own.start_s - other.start_s)
            if same and gap < length:
                count += 1
                break
    return count
