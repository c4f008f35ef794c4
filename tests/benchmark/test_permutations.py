"""Null controls that are drawn several times."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from benchmark_helpers import make_parts, make_plan
from record_helpers import write_result

from affectrum.benchmark import load_record
from affectrum.benchmark.cells import expand
from affectrum.benchmark.controls import CONTROLS, control_folds
from affectrum.benchmark.controls.labels import _permutation
from affectrum.errors import ConfigError
from affectrum.protocols import plan_folds, truth
from affectrum.report.card import build_cards
from affectrum.report.results import group_results

NULLS = ["labels-by-trial", "labels-by-clip"]


def plan_of(permutations: int, **changes: object):
    svm = {"name": "svm", "overrides": {"calibrate": False}}
    given = {"methods": [svm], "seeds": [0], "controls": [*NULLS, "chance"], **changes}
    return make_plan(**given, permutations=permutations)


def test_a_plan_lists_a_cell_for_each_permutation():
    assert [name for name, info in CONTROLS.items() if info.null] == NULLS
    once, few, more = (
        {(c.control, c.permutation): c.digest for c in expand(plan_of(n)) if c.control}
        for n in (1, 3, 5)
    )
    assert [number for _, number in once] == [0, 0, 0]
    assert list(few) == [*itertools.product(NULLS, (1, 2, 3)), ("chance", 0)]
    assert few.items() <= more.items()  # more permutations leave the first ones as they are
    assert len(set(more.values()) | set(once.values())) == 11 + 2
    # without the field cells have the names that they always had
    assert once == {(c.control, 0): c.digest for c in expand(plan_of(1)) if c.control}
    assert expand(plan_of(3))[2].title.endswith("labels-by-trial 2")
    with pytest.raises(ConfigError, match="permutations"):
        plan_of(0)


def test_every_permutation_is_as_likely():
    y = np.array([0, 0, 1])
    drawn = [tuple(_permutation(y, number, 7, "by trial").tolist()) for number in range(1, 1201)]
    counts = [drawn.count(order) for order in itertools.permutations(range(3))]
    assert sum(counts) == 1200
    # chi-square of 5 degrees of freedom, 0.999 quantile
    assert sum((count - 200) ** 2 / 200 for count in counts) < 20.5
    assert (_permutation(y, 4, 7, "a") == _permutation(y, 4, 7, "a")).all()


@pytest.mark.parametrize("control", NULLS)
def test_draws_differ_and_are_the_same_in_all_folds(control):
    parts = list(make_parts().values())
    plain = plan_folds(parts, "cross-corpus/zero-shot", source="other", target="SEED")
    seen = []
    old_folds = plain[:2]
    before = [old_folds[0].access.source.y, *(truth(parts, fold) for fold in old_folds)]
    for number in (1, 2, 1):
        folds = control_folds(plain, parts, control, 3, number)[:2]
        assert len({fold.access.fingerprint("source") for fold in folds}) == 1
        labels = [folds[0].access.source.y, *(truth(parts, fold) for fold in folds)]
        for new, old in zip(labels, before, strict=True):
            assert np.bincount(new).tolist() == np.bincount(old).tolist()
        seen.append(np.concatenate(labels))
    assert (seen[0] != seen[1]).any()
    assert (seen[0] == seen[2]).all()


def test_the_card_shows_the_random_permutations(tmp_path):
    """A run that was computed with one permutation first, and then with three."""
    task = {"source": "SEED-IV", "target": "SEED", "calibration_trials": 9}
    write_result(tmp_path, task, "svm", 0.8)
    for number in range(4):
        # the balanced one is not one of the random ones
        changes = {"control": NULLS[0], "permutation": number}
        write_result(tmp_path, task, "svm", 0.9 if number == 0 else 0.0, changes=changes)
    section = build_cards(tmp_path, group_results(load_record(tmp_path)), simulated=True)
    (sentences,) = [b["entries"] for b in section.blocks if b["kind"] == "list"]
    assert "permuted by trial 3 times it is not shown to be above chance" in sentences[0]
    assert "p = 0.25" in sentences[0]
