"""What a method's own aligners saw is audited after the fit, before anything is stored."""

from __future__ import annotations

import numpy as np
from benchmark_helpers import Centroid, make_plan, make_windows

from affectrum.benchmark import load_record, run_plan, score_table
from affectrum.methods import registry
from affectrum.protocols.identity import row_ids
from affectrum.scaling import Scaler


class Aligned(Centroid):
    """It says what its aligner was fitted on: the source, or (a leak) everything."""

    name = "test-aligned"
    peeks = False

    def fit(self, access, **options):
        super().fit(access, **options)
        ids = row_ids(access.source.windows.table)
        if self.peeks:
            ids = np.concatenate([ids, row_ids(make_windows("SEED").table)])
        x = np.zeros((len(ids), 4, 2), dtype=np.float32)
        self.records_ = (Scaler("none").fit(x, ids, roles=("source",)).record,)
        return self


def test_an_aligner_that_saw_the_test_stops_the_cell(tmp_path, parts, monkeypatch):
    monkeypatch.setitem(registry._REGISTERED, Aligned.name, Aligned)
    plan = make_plan(methods=[Aligned.name], seeds=[0])
    assert run_plan(plan, tmp_path / "honest", windows=parts).ok
    (cell,) = load_record(tmp_path / "honest")
    assert cell.certificates()[0]["aligners"].passed
    monkeypatch.setattr(Aligned, "peeks", True)
    report = run_plan(plan, tmp_path / "leak", windows=parts)
    ((_, reason),) = report.failed
    assert "aligners: 18 of 18 tested windows were seen by one of 1 aligner or selectors" in reason
    # a declared exception is computed, and stands beside the score
    task = {"source": "other", "target": "SEED", "calibration_trials": 9}
    declared = {**task, "declared_leaks": ["aligners"]}
    plan = make_plan(methods=[Aligned.name], seeds=[0], tasks=[declared])
    assert run_plan(plan, tmp_path / "declared", windows=parts).ok
    table = score_table(tmp_path / "declared", n_replicates=50, n_permutations=20)
    assert table["audit"].tolist() == ["declared: aligners"]
