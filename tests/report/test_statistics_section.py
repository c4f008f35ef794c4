"""The sections of statistics: figures that are whole, numbers that are evaluation's own."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from affectrum import evaluation
from affectrum.benchmark import load_record, run_plan
from affectrum.benchmark.heldout import held_out_of, plane_scores
from affectrum.report import figures_statistics, statistics, style
from affectrum.report.results import METRIC, TaskResult, group_results

NAMES = ["scmm", "mlp", "svm [source]", "dann"]
COLOURS = style.method_colours(NAMES)


def scores(n_tasks: int) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(rng.random((n_tasks, 4)) + np.array([0.6, 0.4, 0.2, 0]), columns=NAMES)


def pairs(n: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "first": NAMES[:n],
            "second": NAMES[1 : n + 1],
            "difference": [0.1, -0.02, 0.0][:n],
            "low": [0.05, np.nan, -0.1][:n],
            "high": [0.15, np.nan, 0.1][:n],
            "detectable": [0.04, np.nan, 0.1][:n],
            "supported": [True, False, False][:n],
        }
    )


def subjects() -> dict[str, pd.DataFrame]:
    rng = np.random.default_rng(0)
    return {n: pd.DataFrame({"coverage": rng.random(9), "size": 3 * rng.random(9)}) for n in NAMES}


def components(n_seeds: int) -> pd.DataFrame:
    values = np.random.default_rng(0).random((n_seeds, 4, 5))
    if n_seeds == 1:
        return evaluation.variance_components(values[0], ("subject", "clip"))
    return evaluation.variance_components(values, ("seed", "subject", "clip"))


FIGURES: dict[str, Callable[[bool], str]] = {
    "critical_difference": lambda s: figures_statistics.critical_difference(
        evaluation.critical_difference(scores(20)), COLOURS, simulated=s
    ),
    "difference_forest": lambda s: figures_statistics.difference_forest(pairs(3), simulated=s),
    "variance_bars": lambda s: figures_statistics.variance_bars(
        {"scmm": components(3), "mlp": components(1)}, simulated=s
    ),
    "set_coverage": lambda s: figures_statistics.set_coverage(
        subjects(), 0.9, 3, COLOURS, simulated=s
    ),
}


def test_no_figure_is_forgotten() -> None:
    assert set(FIGURES) == set(figures_statistics.__all__)


@pytest.mark.parametrize("name", FIGURES)
def test_an_svg_element_with_the_mark_of_simulated_data(name: str) -> None:
    marked, plain = FIGURES[name](True), FIGURES[name](False)
    assert "<!-- SIMULATED DATA -->" in marked
    assert "SIMULATED" not in plain
    for svg in (marked, plain):
        root = ElementTree.fromstring(svg)
        assert root.tag.endswith("svg")
        assert "viewBox" in root.attrib
        assert not re.search(r"\bnan\b", re.sub(r"<!--.*?-->", "", svg))


def test_a_critical_difference_longer_than_the_line_is_said() -> None:
    svg = figures_statistics.critical_difference(
        evaluation.critical_difference(scores(2)), COLOURS, simulated=False
    )
    assert "(longer than the line)" in svg


# --------------------------------------------------------------------------- a run's sections


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    request.getfixturevalue("plain_run")  # its fixture loads the helpers
    import benchmark_helpers as helpers

    folder = tmp_path_factory.mktemp("statistics-run")
    task = {"source": "other", "target": "SEED", "calibration_trials": 9}
    with helpers.registered():
        plan = helpers.make_plan(
            methods=[
                "test-centroid",
                {"name": "test-centroid", "label": "noisy", "overrides": {"epochs": 2}},
            ],
            tasks=[
                task,
                {**task, "selection": "validation", "name": "held"},
                {**task, "selection": "oracle", "name": "picked"},
            ],
        )
        parts = {}
        for name in helpers.make_parts():
            part = helpers.make_windows(name, n_subjects=6, seed=1)
            # a coordinate of its own for every trial
            trial = part.table["row"] / 20 - part.table["subject"] / 10
            parts[name] = part.with_column("valence", trial.tolist())
        assert run_plan(plan, folder, windows=parts).ok
    return folder


@pytest.fixture(scope="module")
def tasks(run: Path) -> list[TaskResult]:
    return group_results(load_record(run))


def words(blocks: list) -> str:
    out = []
    for block in blocks:
        for row in block.get("rows", []):
            out += [cell.text for cell in row.cells]
        out += [str(block.get(key, "")) for key in ("text", "caption", "alt")]
        out += list(block.get("entries", []))
    return " ".join(out)


def test_sections_of_a_run(tasks: list[TaskResult]) -> None:
    colours = style.method_colours([m.label for m in tasks[0].methods])
    built = statistics.build_statistics(tasks, colours, simulated=True)
    assert [s.id for s in built] == ["metrics", "differences", "variance", "sets"]
    for section in built:
        for block in section.blocks:
            if block["kind"] == "figure":
                assert "<!-- SIMULATED DATA -->" in block["svg"]
    metrics, differences, variance, sets = (words(s.blocks) for s in built)
    method = tasks[0].methods[0]
    for level in (method.subjects, method.subject_trials):
        for name in evaluation.METRICS:
            assert f"{100 * level[name].mean():.1f}" in metrics
    chance = evaluation.chance_level(method.predictions[0], METRIC, by="clip")
    assert f"{100 * chance.low:.1f}–{100 * chance.high:.1f}" in metrics
    assert "(oracle: the epoch was chosen on the test)" in metrics
    # scores that were chosen on the test are no ground for a difference
    assert len([b for b in built[1].blocks if b["kind"] == "figure"]) == 2
    assert "other clips" in differences
    assert "with one seed it is not known" in variance
    counts = evaluation.shared_counts({"m": method.predictions}).counts["m"]
    assert f"{100 * evaluation.crossed_error(counts).error:.1f}" in variance
    assert "enters no score" in sets


def test_temperatures_come_from_what_was_held_out(tasks: list[TaskResult]) -> None:
    (held_task,) = [t for t in tasks if t.meta["selection"] == "validation"]
    cell = held_task.methods[0].cells[0]
    held = held_out_of(cell)
    assert held is not None
    # whole trials of the training side, none of them a test trial
    assert set(held.fold.tolist()) == set(range(len(cell.meta["folds"])))
    np.testing.assert_allclose(held.scores.sum(axis=1), 1)
    others = [t for t in tasks if t.meta["selection"] == "last"]
    assert held_out_of(others[0].methods[0].cells[0]) is None
    scaled = evaluation.temper(held_task.methods[0].predictions[0], held)
    section = statistics.build_statistics([held_task], COLOURS | {
        m.label: "#000000" for m in held_task.methods
    }, simulated=False)[3]  # fmt: skip
    text = words(section.blocks)
    assert "From held-out trials" in text
    assert f"{scaled.before['nll']:.3f}" in text
    assert f"{scaled.after['nll']:.3f}" in text


def test_coordinates_of_the_plane_are_scored(tasks: list[TaskResult]) -> None:
    cell = tasks[0].methods[0].cells[0]
    truth, guess = cell.arrays["valence_arousal_true"], cell.arrays["valence_arousal"]
    assert truth.shape == guess.shape
    table = cell.predictions
    expected = (table["row"] / 20 - table["subject"] / 10).to_numpy(dtype=float)
    np.testing.assert_allclose(truth[:, 0], expected, rtol=1e-6, atol=1e-7)
    # the method tells valence only
    found = plane_scores(cell)
    assert list(found) == ["valence"]
    mine = (cell.predictions["subject"] == 2).to_numpy()
    rows = cell.predictions["row"].to_numpy()[mine]
    means = [[a[mine, 0][rows == row].mean() for row in np.unique(rows)] for a in (truth, guess)]
    expected = evaluation.concordance(*means)
    assert found["valence"].set_index("subject").loc[2, "ccc"] == pytest.approx(expected, abs=1e-6)
    text = words(statistics.build_statistics(tasks[:1], {
        m.label: "#000000" for m in tasks[0].methods
    }, simulated=True)[0].blocks)  # fmt: skip
    assert f"{found['valence']['ccc'].mean():.3f}" in text


def test_critical_differences_need_two_tasks(tasks: list[TaskResult]) -> None:
    last = [t for t in tasks if t.meta["selection"] != "oracle"]

    def panel(members: list[TaskResult], biased: str = "") -> SimpleNamespace:
        return SimpleNamespace(tasks=members, title="Panel", biased=biased, simulated=True)

    colours = {m.label: "#0072b2" for m in last[0].methods}
    section = statistics.build_critical([panel(last)], colours)
    text = words(section.blocks)
    assert "Friedman's test over 2 tasks and 2 methods" in text
    assert "they are not independent" in text
    assert "Nothing follows for other corpora" in text
    assert statistics.build_critical([panel(last[:1])], colours).blocks == []
    assert statistics.build_critical([panel(last, "oracle")], colours).blocks == []
