"""The order in which several processes take cells."""

from __future__ import annotations

import time

from benchmark_helpers import make_plan

from affectrum.benchmark.cells import expand
from affectrum.benchmark.engines.order import in_order

TASKS = [
    {"source": source, "target": "SEED", "calibration_trials": k}
    for source in ("SEED-IV", "DEAP")
    for k in (3, 6)
]


def test_costly_cells_come_first_and_those_that_make_a_model_before_those_that_wait():
    cells = expand(make_plan(tasks=TASKS, methods=["svm", "scmm"], seeds=[0]))
    found = [(c.method.name, c.task.sources[0], c.task.calibration_trials) for c in in_order(cells)]
    assert found == [
        ("scmm", "SEED-IV", 3),
        ("scmm", "DEAP", 3),
        ("scmm", "SEED-IV", 6),
        ("scmm", "DEAP", 6),
        *(("svm", source, k) for source in ("SEED-IV", "DEAP") for k in (3, 6)),
    ]
    assert sorted(c.digest for c in in_order(cells)) == sorted(c.digest for c in cells)
    assert in_order([]) == []


def test_thousands_of_cells_are_sorted_in_a_moment():
    methods = [{"name": "scmm", "label": f"scmm {n}"} for n in range(5)]
    cells = expand(make_plan(tasks=TASKS, methods=methods, seeds=list(range(100))))
    began = time.process_time()
    assert len(in_order(cells)) == 2_000
    assert time.process_time() - began < 2
