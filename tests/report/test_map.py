"""Map, ranks, findings: only what belongs together side by side, nothing without evidence."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from record_helpers import write_plan, write_result

from affectrum.evaluation import holm
from affectrum.report import write_latex, write_report
from affectrum.report.figures_map import rank_plot, transfer_matrix
from affectrum.report.findings import find
from affectrum.report.latex import escape
from affectrum.report.panels import Panel, make_panels
from affectrum.report.results import group_results, primary
from affectrum.report.style import method_colours

CORPORA = ("SEED", "SEED-IV", "DEAP")
SKILLS = {"good": 0.6, "poor": 0.15, "nothing": 0.0}


def transfer(source: str, target: str, **changes: Any) -> dict[str, Any]:
    return {"source": source, "target": target, "calibration_trials": 9, **changes}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All pairs of three corpora; the same once more transductive, by oracle, leaking, inside."""
    run = tmp_path_factory.mktemp("map")
    names = []
    for source in CORPORA:
        for target in CORPORA:
            if source != target:
                for method, skill in SKILLS.items():
                    if (source, target, method) == ("DEAP", "SEED", "poor"):
                        continue
                    task = transfer(source, target)
                    names.append(write_result(run, task, method, skill, n_subjects=8))
    for method, skill in SKILLS.items():
        names += [
            write_result(
                run, transfer("SEED-IV", "SEED", selection="oracle"), method, skill, epochs=2
            ),
            write_result(
                run,
                transfer("SEED-IV", "SEED", scaling="per-subject"),
                method,
                skill,
                changes={
                    "protocol": "cross-corpus/calibrated (transductive)",
                    "scaling": "per-subject",
                },
            ),
            write_result(
                run, transfer("SEED", "DEAP", declared_leaks=("clip",)), method, skill,
                declared=["clip"],
            ),
            write_result(run, {"target": "SEED", "protocol": "leave-one-subject-out"}, method, 0.3),
            write_result(
                run, transfer("SEED", "DEAP"), method, 0.9, changes={"control": "labels by clip"}
            ),
        ]  # fmt: skip
    write_plan(run, names, "a map")
    return run


@pytest.fixture(scope="module")
def panels(run: Path) -> list[Panel]:
    from affectrum.benchmark import load_record

    return make_panels(primary(group_results(load_record(run, controls=True))))


def test_no_panel_mixes_what_may_not_stand_side_by_side(panels: list[Panel]) -> None:
    assert len(panels) == 5
    for panel in panels:
        for what in ("protocol", "selection", "scaling", "grants"):
            assert len({str(task.meta[what]) for task in panel.tasks}) == 1
        assert len({m.declared for task in panel.tasks for m in task.methods}) == 1
    titles = [panel.title for panel in panels]
    assert len(set(titles)) == 5
    assert sum("transductive" in title for title in titles) == 1
    assert sum("weights: oracle" in title for title in titles) == 1
    assert sum("declared leaks: clip" in title for title in titles) == 1


def test_controls_are_no_scores(panels: list[Panel]) -> None:
    seen = [m.cells[0].meta.get("control") for p in panels for t in p.tasks for m in t.methods]
    assert not any(seen)


def test_the_map_holds_each_score_at_its_place(panels: list[Panel]) -> None:
    panel = panels[0]
    assert panel.rows == list(CORPORA)
    assert [name for name, _ in panel.columns] == list(CORPORA)
    assert {sub for _, sub in panel.columns} == {"valence3, k=9"}
    grid = panel.grid("good")
    assert np.isnan(grid[[0, 1, 2], [0, 1, 2]]).all()
    for task in panel.tasks:
        i, j = CORPORA.index(task.meta["source"][0]), CORPORA.index(task.meta["target"])
        method = panel.method(task, "good")
        assert method is not None
        assert grid[i, j, 0] == method.interval.value
        assert grid[i, j, 3] == pytest.approx(1 / 3)
    assert np.isnan(panel.grid("poor")[2, 0]).all()
    assert panel.short(panel.tasks[0]) == "SEED → SEED-IV"
    inside = next(p for p in panels if p.protocol == "leave-one-subject-out")
    assert (inside.rows, inside.short(inside.tasks[0])) == (["same corpus"], "SEED")


def test_ranks_are_over_tasks_that_have_every_method(panels: list[Panel]) -> None:
    panel = panels[0]
    tasks, names = panel.ranked
    assert len(tasks) == 5
    assert names == list(SKILLS)
    ranks = panel.ranks
    assert ranks is not None
    # the mean of the ranks of the means, by hand
    by_hand = dict.fromkeys(names, 0.0)
    for task in tasks:
        values = {m.label: m.interval.value for m in task.methods}
        for place, name in enumerate(sorted(values, key=lambda n: -values[n]), start=1):
            by_hand[name] += place / len(tasks)
    for row in ranks.to_dict(orient="records"):
        assert row["mean_rank"] == pytest.approx(by_hand[row["method"]])
        assert row["low"] <= row["mean_rank"] <= row["high"]
    assert ranks["method"].iloc[0] == "good"
    assert panels[-1].ranks is None  # one task


def test_findings_follow_the_planted_truth(panels: list[Panel]) -> None:
    found = find(panels[0])
    good = {(r["first"], r["second"]) for r in found.supported.to_dict(orient="records")}
    assert ("good", "nothing") in good
    assert not any(first == "nothing" for first, _ in good)
    assert (found.supported["difference"] > 0).all()
    assert (found.supported["low"] <= found.supported["high"]).all()
    words = " ".join(found.statements)
    assert "good is above chance on all 6 tasks" in words
    assert "nothing is not shown to be above chance on any of 6 tasks" in words
    assert "no proof of equality: with 80 % power" in words
    assert "good scores higher than nothing on 6 of 6 tasks" in words
    assert any("nothing follows for other corpora" in c for c in found.cautions)
    assert any("no statement here is about people" in c for c in found.cautions)


def test_a_difference_is_corrected_for_everything_that_was_looked_at(panels: list[Panel]) -> None:
    pairs = panels[0].pairs
    assert len(pairs) == 5 * 3 + 1
    expected = holm(pairs["p_crossed"].to_numpy())
    assert (pairs["p_holm"] >= expected - 1e-12).all()
    alone = np.concatenate([task.pairs["p_holm"] for task in panels[0].tasks])
    np.testing.assert_allclose(pairs["p_holm"], np.maximum(expected, alone))
    assert (pairs["supported"] == (pairs["p_holm"] < 0.05)).all()


def test_nothing_follows_from_what_was_chosen_on_the_test(panels: list[Panel]) -> None:
    for words, told in (("weights: oracle", "chosen on the test"), ("declared", "by declaration")):
        (panel,) = [p for p in panels if words in p.title]
        found = find(panel)
        assert len(found.statements) == 1
        assert told in found.statements[0]
        assert not len(found.supported)


def test_the_page(run: Path, tmp_path: Path) -> None:
    page = write_report(run, tmp_path / "map.html", overview=True).read_text(encoding="utf-8")
    for anchor in ("map", "ranks", "findings", "scores", "audit"):
        assert f'<section id="{anchor}">' in page
    assert 'id="confusion"' not in page
    assert "Read no number here as a finding" in page
    figures = re.findall(r'<figure role="img"', page)
    svgs = re.findall(r"<svg", page)
    assert len(figures) == len(svgs) >= 2
    assert "script" not in page.lower().replace("description", "")


def test_figures_of_one_row_and_without_simulation() -> None:
    grid = np.array([[[0.6, 0.5, 0.7, 1 / 3, 0.4], [0.3, 0.2, 0.4, 0.5, 0.55]]])
    columns = [("SEED", "valence3, k=9, sessions 1/2"), ("DEAP", "")]
    one = transfer_matrix({"a": grid, "b": grid * np.nan}, ["same corpus"], columns, simulated=True)
    assert one.startswith("<svg")
    other = transfer_matrix({"a": grid}, ["same corpus"], columns, simulated=False)
    assert len(other) < len(one)


@pytest.mark.parametrize("n", [2, 9])
def test_rank_plot(n: int) -> None:
    import pandas as pd

    names = [f"method {i}" for i in range(n)]
    table = pd.DataFrame(
        {
            "method": names,
            "mean_rank": np.arange(1.0, n + 1),
            "low": np.arange(1.0, n + 1),
            "high": np.arange(1.0, n + 1) + 0.3,
            "first_share": 1 / n,
        }
    )
    assert rank_plot(table, method_colours(names), simulated=True).startswith("<svg")


# ---------------------------------------------------------------------------- LaTeX


def test_latex_prints_text_as_it_is() -> None:
    assert escape(r"50 % & a_b {x} $y$ #1 ~ ^ \z") == (
        r"50 \% \& a\_b \{x\} \$y\$ \#1 \textasciitilde{} \textasciicircum{} \textbackslash{}z"
    )
    assert escape("SEED → DEAP ± é 日\n[x]") == (r"SEED $\rightarrow$ DEAP $\pm$ \'{e} ? {[}x{]}")


def test_latex_tables_are_whole(run: Path, panels: list[Panel], tmp_path: Path) -> None:
    text = write_latex(run, tmp_path / "t.tex").read_text(encoding="utf-8")
    assert text.isascii()
    assert "SIMULATED DATA" in text
    bare = re.sub(r"\\[{}]", "", text)
    assert bare.count("{") == bare.count("}")
    for name in ("table", "tabular"):
        assert text.count(f"\\begin{{{name}}}") == text.count(f"\\end{{{name}}}")
    for columns, body in re.findall(
        r"\\begin\{tabular\}\{([lr]+)\}(.*?)\\end\{tabular\}", text, flags=re.S
    ):
        for line in body.splitlines():
            if line.endswith(r"\\"):
                assert len(re.findall(r"(?<!\\)&", line)) == len(columns) - 1
    labels = re.findall(r"\\label\{(.*?)\}", text)
    assert len(labels) == len(set(labels))
    # each protocol has its own table, and what is biased has no bold and no differences
    tables = re.findall(r"\\begin\{table\}.*?\\end\{table\}", text, flags=re.S)
    assert len([t for t in tables if "Learnt from" in t]) == len(panels)
    assert len([t for t in tables if "no proof of equality" in t]) == 3
    for table in tables:
        if "oracle" in table or "declared leaks" in table:
            assert r"\textbf" not in table
    assert r"\textbf" in text
