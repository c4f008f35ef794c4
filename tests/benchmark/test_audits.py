"""The audit from the record: what was stored tells of leaks and of swapped files."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from benchmark_helpers import make_plan

from affectrum.benchmark import audit_record, load_record, run_plan


@pytest.fixture
def stored(tmp_path, parts):
    plan = make_plan(seeds=[0], controls=["chance"])
    assert run_plan(plan, tmp_path, windows=parts).ok
    return tmp_path


def failing(table):
    rows = table[~table["passed"]]
    return sorted(set(rows["check"]))


def changed(cell, **arrays):
    """Return the cell as if its files held something else."""
    other = copy.copy(cell)
    object.__setattr__(other, "meta", copy.deepcopy(cell.meta))
    for name, values in arrays.items():
        other.__dict__[name] = values
    return other


def test_a_clean_run_passes_with_its_controls(stored):
    table = audit_record(stored)
    assert table["passed"].all()
    assert set(table["control"]) == {"", "chance"}
    assert (table["check"] == "certificate").sum() == 2 * 3
    assert (table["check"] == "copies").sum() == 2


def test_a_certificate_beside_other_predictions(stored):
    (cell,) = load_record(stored)
    arrays = dict(cell.arrays)
    arrays["window"] = arrays["window"] + 1
    table = audit_record([changed(cell, arrays=arrays, identifiers=cell.identifiers)])
    assert failing(table) == ["certificate"]
    assert "other windows" in table[~table["passed"]]["detail"].iloc[0]


def test_a_scaler_that_names_the_test(stored):
    (cell,) = load_record(stored)
    for change in ("roles", "digest"):
        other = changed(cell, arrays=cell.arrays, identifiers=cell.identifiers)
        fold = other.meta["folds"][0]
        if change == "roles":
            fold["scalers"][-1]["roles"].append("test")
        else:
            fold["scalers"][-1]["digest"] = fold["certificate"]["rows"]["test"]["digest"]
        assert failing(audit_record([other])) == ["scalers"]


def test_trials_and_contents_that_were_swapped_in(stored):
    (cell,) = load_record(stored)
    identifiers = dict(cell.identifiers)
    roles = [str(role) for role in identifiers["roles"]]
    member = np.flatnonzero(
        (identifiers["member_fold"] == 0)
        & (identifiers["member_role"] == roles.index("calibration"))
    )[0]
    tested = np.flatnonzero(
        (identifiers["member_fold"] == 0) & (identifiers["member_role"] == roles.index("test"))
    )[0]
    trials = identifiers["member_trial"].copy()
    trials[member] = trials[tested]
    other = changed(cell, arrays=cell.arrays, identifiers={**identifiers, "member_trial": trials})
    assert failing(audit_record([other])) == ["trials"]
    # the same signal under another name: trials differ, their contents do not
    content = identifiers["trials_trial_content"].copy()
    first, second = identifiers["member_trial"][[member, tested]]
    content[first] = content[second]
    other = changed(
        cell, arrays=cell.arrays, identifiers={**identifiers, "trials_trial_content": content}
    )
    table = audit_record([other])
    assert failing(table) == ["content", "copies"]
    assert "hold the signal of another" in table[table["check"] == "copies"]["detail"].iloc[0]


def test_a_copied_subject_is_named_although_no_fold_leaks(tmp_path, parts):
    """In calibrated folds subjects never meet, so that only the whole cell shows the copy."""
    x = parts["SEED"].to_numpy()
    n = len(x) // 3
    x[n : 2 * n] = x[:n]
    run_plan(make_plan(seeds=[0]), tmp_path, windows={**parts, "SEED": parts["SEED"].with_x(x)})
    table = audit_record(tmp_path)
    assert failing(table) == ["copies"]
    row = table[table["check"] == "copies"].iloc[0]
    assert row["measured"] == 15
    assert "SEED/2/1/1 that of SEED/1/1/1" in row["detail"]
