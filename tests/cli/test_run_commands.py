"""plan, run, report, audit: from a plan to a page."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from affectrum.benchmark import load_record

METHODS = ["most-frequent", "svm [calibration]", "logistic [source]", "scmm"]


def write(workspace, tmp_path: Path, old: str, new: str) -> Path:
    text = workspace.plan.read_text()
    assert old in text
    path = tmp_path / "changed.yaml"
    path.write_text(text.replace(old, new, 1))
    return path


def test_plan_lists_the_cells(call, workspace) -> None:
    before = call("plan", workspace.plan)
    assert before.code == 0
    assert "6 cells" in before.out
    assert "done" not in before.out.replace("what is done", "")
    assert "by a rough rule: 6" in before.out
    rows = call("plan", workspace.plan, "--out", workspace.run, "--json").json()
    assert [row["method"] for row in rows] == [*METHODS, "most-frequent", "logistic [source]"]
    assert {row["state"] for row in rows} == {"done"}
    assert {row["cell"] for row in rows} == {p.name for p in (workspace.run / "cells").iterdir()}


def test_plan_says_what_the_rest_costs(call, workspace, tmp_path: Path) -> None:
    run = shutil.copytree(workspace.run, tmp_path / "run")
    more = write(workspace, tmp_path, "methods:", "seeds: [0, 1]\nmethods:")
    result = call("plan", more, "--out", run, "--workers", "2")
    assert "6 done, 6 to do, about " in result.out
    assert "on 2 workers (by like cells: 6)" in result.out
    rows = call("plan", more, "--out", run, "--json").json()
    by_seed = {(row["task"], row["method"], row["seed"]): row for row in rows}
    for (task, method, seed), row in by_seed.items():
        assert row["state"] == ("done" if seed == 0 else "to do")
        assert row["seconds"] == by_seed[task, method, 0]["seconds"]
    # many cells are shown by task and method
    many = write(workspace, tmp_path, "methods:", f"seeds: {list(range(12))}\nmethods:")
    result = call("plan", many, "--out", run)
    assert "72 cells" in result.out
    assert "cost of the rest" in result.out
    line = next(line for line in result.out.splitlines() if "svm [calibration]" in line)
    assert " 12 " in line
    assert "6 done, 66 to do" in result.out


def test_a_paths_file_stands_for_the_map_of_its_corpora(
    call, tmp_path: Path, twin_seed: Path, twin_seed_iv: Path
) -> None:
    paths = tmp_path / "corpora.yaml"
    paths.write_text(f"SEED: {twin_seed}\nSEED-IV: {twin_seed_iv}\n")
    rows = call("plan", paths, "--json").json()
    assert {row["task"].rpartition(", ")[2] for row in rows} == {
        f"cross-corpus/{mode}" for mode in ("zero-shot", "unsupervised", "calibrated")
    }
    assert {row["state"] for row in rows} == {"to do"}


def test_run_in_two_processes(call, workspace, tmp_path: Path) -> None:
    run = shutil.copytree(workspace.run, tmp_path / "run")
    expected = {}
    for cell in load_record(workspace.run):
        if cell.meta["method"]["name"] in ("svm", "logistic"):
            expected[cell.digest] = cell.scores
            shutil.rmtree(run / "cells" / cell.digest)
    result = call("run", workspace.plan, "--out", run, "--workers", "2", "--threads", "1")
    assert result.code == 0
    assert "3 cells computed, 3 kept, 0 refused, 0 failed" in result.err
    amounts = [line.split(" (")[0] for line in result.err.splitlines() if line.startswith("run: ")]
    numbers = [float(text.split()[1]) for text in amounts if text.endswith("of 6")]
    assert numbers == sorted(numbers)
    for digest, scores in expected.items():
        (cell,) = [cell for cell in load_record(run) if cell.digest == digest]
        assert cell.scores == pytest.approx(scores, abs=1e-6)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--option", "partition"], "KEY=VALUE; received 'partition'"),
        (["--option", "partition=x"], "'local' has no options; received partition"),
        (["--workers", "0"], "'workers' must be at least 1; received 0"),
    ],
)
def test_faults_of_engines_are_named(call, workspace, words, told) -> None:
    result = call("run", workspace.plan, "--out", workspace.run, "--quiet", *words)
    assert result.code == 1
    assert told in result.err


def test_what_a_reader_was_told_stays_with_the_record(workspace) -> None:
    told = {"SEED": {"form": "preprocessed"}}
    plan = json.loads((workspace.run / "plan.json").read_text())
    assert plan["corpora"] == told
    assert str(workspace.store.parent) not in json.dumps(plan)  # folders stay private
    for cell in load_record(workspace.run):
        assert cell.meta["corpora"] == told


def test_run_computes_what_is_missing_only(call, workspace, tmp_path: Path) -> None:
    run = shutil.copytree(workspace.run, tmp_path / "run")
    victim = next(cell for cell in load_record(run) if cell.meta["method"]["name"] == "svm")
    kept = {p: p.read_bytes() for p in run.glob("cells/*/*") if victim.digest not in str(p)}
    expected = (victim.folder / "predictions.npz").read_bytes()
    shutil.rmtree(victim.folder)
    result = call("run", workspace.plan, "--out", run)
    assert result.code == 0
    assert "1 cells computed, 5 kept, 0 refused, 0 failed" in result.err
    amounts = [line.split(" (")[0] for line in result.err.splitlines() if line.startswith("run: ")]
    numbers = [float(text.split()[1]) for text in amounts if text.endswith("of 6")]
    assert numbers == sorted(numbers)
    assert numbers[-1] == 6
    assert all(path.read_bytes() == data for path, data in kept.items())
    assert (victim.folder / "predictions.npz").read_bytes() == expected


def test_the_scores_say_what_was_seen(call, workspace) -> None:
    result = call("run", workspace.plan, "--out", workspace.run, "--quiet")
    assert result.err == ""
    assert "(SIMULATED)" in result.out
    assert "cross-corpus/calibrated, 3 subjects" in result.out
    rows = call("run", workspace.plan, "--out", workspace.run, "--quiet", "--json").json()
    assert len(rows) == 6
    for row in rows:
        assert row["simulated"] is True
        assert row["access"]
        assert f"{row['balanced_accuracy']:.3f} ±" in result.out
        assert row["interval_low"] <= row["balanced_accuracy"] <= row["interval_high"]
    assert [row["k"] for row in rows] == [9, 9, 9, 9, None, None]
    # an easy twin is easy, and who looks at no signal is at chance
    by_name = {row["method"].split(" ")[0]: row["balanced_accuracy"] for row in rows[:4]}
    assert by_name["svm"] > 0.8
    assert by_name["most-frequent"] == pytest.approx(1 / 3)


def test_audit(call, workspace) -> None:
    result = call("audit", workspace.run)
    assert result.code == 0
    assert "No leak was found." in result.out
    rows = call("audit", workspace.run, "--json").json()
    assert {row["check"] for row in rows} >= {"subjects", "trials", "windows", "scalers"}
    assert all(row["passed"] for row in rows if row["required"])
    assert len({(row["cell"], row["fold"]) for row in rows if row["fold"] != "all"}) == 6 * 3


def test_audit_gives_1_on_a_leak(call, workspace, monkeypatch) -> None:
    import affectrum.benchmark as benchmark

    table = benchmark.audit_record(workspace.run)
    table.loc[(table["check"] == "trials").idxmax(), ["passed", "measured"]] = [False, 4]
    monkeypatch.setattr(benchmark, "audit_record", lambda _: table)
    result = call("audit", workspace.run)
    assert result.code == 1
    assert "1 undeclared leaks." in result.out
    assert call("audit", workspace.run, "--json").code == 1
    table["declared"] = table["check"] == "trials"
    assert call("audit", workspace.run).code == 0


def test_report(call, workspace, tmp_path: Path) -> None:
    result = call("report", workspace.run, "--out", tmp_path / "sub" / "page.html")
    assert result.code == 0
    assert result.out == f"wrote {tmp_path / 'sub' / 'page.html'}\n"
    page = (tmp_path / "sub" / "page.html").read_text(encoding="utf-8")
    assert "a tiny plan" in page
    for name in METHODS:
        assert name in page
    assert str(workspace.plan.parent) not in page


@pytest.mark.parametrize("command", ["report", "audit"])
def test_a_folder_without_a_run(call, tmp_path: Path, command: str) -> None:
    result = call(command, tmp_path)
    assert result.code == 1
    assert "holds no run" in result.err


def test_refused_and_failed_cells_are_told(call, workspace, tmp_path: Path) -> None:
    plan = write(workspace, tmp_path, ', methods: [most-frequent, "logistic [source]"]', "")
    run = shutil.copytree(workspace.run, tmp_path / "run")
    result = call("run", plan, "--out", run)
    assert "refused: " in result.err
    assert "svm [calibration]" in result.err
    assert "1 refused, 0 failed" in result.err
    assert result.code == 0
    failing = write(workspace, tmp_path, "calibration_trials: 9", "calibration_trials: 15")
    result = call("run", failing, "--out", tmp_path / "other", "--quiet")
    assert result.code == 1
    assert "failed: " in result.err


def test_a_run_without_any_score(call, workspace, tmp_path: Path) -> None:
    text = workspace.plan.read_text()
    head, mark, rest = text.partition("  - {source: SEED-IV")
    task = (mark + rest).split("  - {source", 2)[1].replace("trials: 9}", "trials: 15}")
    plan = tmp_path / "plan.yaml"
    plan.write_text(f"{head}  - {{source{task}")
    assert "No cell is finished." in call("run", plan, "--out", tmp_path / "run").out
    result = call("run", plan, "--out", tmp_path / "run", "--json", "--quiet")
    assert (result.code, result.json()) == (1, [])


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("name: svm", "nam: svm", "Did you mean 'name'"),
        ("name: svm", "name: svmm", "Did you mean 'svm'"),
        ("pretrain_steps", "pretrain_step", "'pretrain_step'"),
        ("target: SEED", "target: DREAMER", "DREAMER"),
        ("protocol: cross-corpus/calibrated", "protocol: cross-corpus/calibratd", "calibrated"),
        ("recipe: de32", "recipe: de33", "de32"),
        ("classes: valence3-no-fear", "classes: valence9", "valence3"),
        ("methods:", "methods: [", "YAML"),
    ],
)
def test_faults_of_a_plan_are_named(call, workspace, tmp_path, old, new, told) -> None:
    plan = write(workspace, tmp_path, old, new)
    result = call("run", plan, "--out", tmp_path / "run", "--quiet")
    assert result.code == 1
    assert told in result.err
    assert "changed.yaml" in result.err or "de33" in result.err or "valence9" in result.err


def test_a_plan_that_is_not_there(call, tmp_path: Path) -> None:
    result = call("plan", tmp_path / "nope.yaml")
    assert result.code == 1
    assert "No such file" in result.err
    assert call("plan", tmp_path).code == 1


def test_a_corpus_that_is_not_there(call, workspace, tmp_path: Path, twin_seed: Path) -> None:
    plan = write(workspace, tmp_path, str(twin_seed), str(tmp_path / "moved"))
    result = call("run", plan, "--out", tmp_path / "run", "--quiet")
    assert result.code == 1
    assert str(tmp_path / "moved") in result.err
    assert "affectrum check SEED" in result.err
