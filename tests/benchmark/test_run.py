from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from benchmark_helpers import LOG, make_parts, make_plan, make_windows, registered

import affectrum as af
from affectrum.benchmark import (
    audit_record,
    list_extras,
    load_extras,
    load_record,
    run_plan,
    score_table,
)
from affectrum.errors import ConfigError, StoreError
from affectrum.evaluation import optimism_gap, score_predictions
from affectrum.protocols import make_folds, truth
from affectrum.protocols.audit import CHECKS


def contents(run):
    return {
        path.relative_to(run).as_posix(): path.read_bytes()
        for path in sorted(run.rglob("*.npz"))
        if "cells" in path.parts
    }


def test_a_cell_holds_every_test_window(tmp_path, plan, parts):
    report = run_plan(plan, tmp_path, windows=parts)
    assert report.ok
    assert len(report.computed) == 2
    first, second = load_record(tmp_path)
    assert [cell.meta["seed"] for cell in (first, second)] == [0, 1]
    assert first.digest == report.cells[0].digest
    table = first.predictions
    folds = make_folds(list(parts.values()), "calibrated", target="SEED", calibration_trials=9)
    assert len(table) == sum(len(fold.test) for fold in folds) == 3 * 6 * 3
    assert first.scores.shape == (54, 3)
    assert first.arrays["scores"].dtype == np.float32
    np.testing.assert_allclose(first.scores.sum(axis=1), 1, atol=1e-5)
    expected = np.concatenate([truth(list(parts.values()), fold) for fold in folds])
    assert (first.arrays["y_true"] == expected).all()
    assert table["fold"].tolist() == [0] * 18 + [1] * 18 + [2] * 18
    assert table["clip"].iloc[0] == "SEED/10"
    assert table["film"].isna().all()
    assert table["window"].iloc[:3].tolist() == [0, 1, 2]
    assert first.epoch_scores.shape == (3, 54, 3)
    assert first.epoch_scores.dtype == np.float16
    np.testing.assert_allclose(first.epoch_scores[-1], first.scores, atol=1e-3)
    assert first.arrays["valence_arousal"].shape == (54, 2)


def test_the_manifest_tells_everything(tmp_path, plan, parts):
    run_plan(plan, tmp_path, windows=parts)
    meta = load_record(tmp_path)[0].meta
    assert meta["simulated"] is True
    assert meta["protocol"] == meta["base"] == "cross-corpus/calibrated"
    assert meta["grants"] == [
        "source_signals",
        "source_labels",
        "calibration_signals",
        "calibration_labels",
    ]
    assert meta["method"]["config"]["epochs"] == 3
    assert meta["selection"] == "last"
    assert meta["calibration_trials"] == 9
    assert set(meta["versions"]) >= {"affectrum", "numpy", "torch", "python"}
    assert set(meta["fingerprints"]) == {"SEED", "other"}
    assert set(meta["timing"]) == {"audit_s", "fit_s", "predict_s", "total_s"}
    fold = meta["folds"][1]
    assert fold["id"] == "SEED/2"
    assert fold["n_trials"] == {"source": 45, "test": 6, "calibration": 9}
    assert fold["certificate"]["passed"] is True
    assert fold["n_epochs"] == 3
    assert not any(str(tmp_path) in text for text in json.dumps(meta).split('"'))
    assert load_record(tmp_path)[0].certificates()[0].passed


def test_only_missing_cells_are_computed(tmp_path, plan, parts):
    run_plan(plan, tmp_path, windows=parts)
    before = contents(tmp_path)
    LOG.clear()
    again = run_plan(plan, tmp_path, windows=parts)
    assert (len(again.kept), len(again.computed), LOG) == (2, 0, [])
    more = run_plan(make_plan(seeds=[0, 1, 2]), tmp_path, windows=parts)
    assert (len(more.kept), len(more.computed)) == (2, 1)
    assert {name: data for name, data in contents(tmp_path).items() if name in before} == before
    assert [cell.meta["seed"] for cell in load_record(tmp_path)] == [0, 1, 2]
    # other windows are other cells
    changed = {**parts, "SEED": make_windows("SEED", seed=9)}
    assert len(run_plan(plan, tmp_path, windows=changed).computed) == 2
    assert len(load_record(tmp_path)) == 5


def test_two_runs_give_the_same_bytes(tmp_path, plan, parts):
    for name in ("a", "b"):
        run_plan(plan, tmp_path / name, windows=parts)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_pretraining_is_shared_between_folds_cells_and_runs(tmp_path, parts):
    methods = [
        "test-centroid",
        {"name": "test-centroid", "label": "longer", "overrides": {"epochs": 5}},
    ]
    report = run_plan(make_plan(methods=methods, seeds=[0]), tmp_path, windows=parts)
    assert LOG.count("pretrain") == 1
    assert LOG.count("fit") == 6
    assert (report.pretrained, report.reused) == (1, 5)
    # a later run finds it on disk
    run_plan(make_plan(seeds=[7]), tmp_path, windows=parts)
    assert LOG.count("pretrain") == 1
    # a damaged one is trained again
    (arrays,) = (tmp_path / "shared").glob("*/arrays.safetensors")
    arrays.write_bytes(arrays.read_bytes()[:-1])
    run_plan(make_plan(seeds=[8]), tmp_path, windows=parts)
    assert LOG.count("pretrain") == 2
    run_plan(make_plan(seeds=[9]), tmp_path, windows=parts)
    assert LOG.count("pretrain") == 2
    # and so is one that another version of the package made
    (meta,) = (tmp_path / "shared").glob("*/meta.json")
    meta.write_text(meta.read_text().replace(f'"{af.__version__}"', '"0.0.9"'))
    run_plan(make_plan(seeds=[10]), tmp_path, windows=parts)
    assert LOG.count("pretrain") == 3


def test_what_the_access_does_not_allow_is_refused_and_the_rest_runs(tmp_path, parts):
    plan = make_plan(
        methods=["test-needs-validation", "test-centroid"],
        tasks=[
            {"source": "other", "target": "SEED", "protocol": "zero-shot"},
            {"source": "other", "target": "SEED", "calibration_trials": 9},
            {"target": "SEED", "protocol": "cross-session"},
        ],
        seeds=[0],
    )
    report = run_plan(plan, tmp_path, windows=parts)
    assert [cell.method.name for cell, _ in report.refused] == [
        "test-needs-validation",
        "test-centroid",
        "test-needs-validation",
    ]
    assert "calibration_labels" in report.refused[1][1]
    assert "cross-corpus/calibrated" in report.refused[1][1]
    assert [cell.task.protocol for cell, _ in report.failed] == ["cross-session"] * 2
    assert "at least 2 sessions" in report.failed[0][1]
    assert not report.ok
    assert len(report.computed) == 1


def test_a_leak_stops_the_cell_before_training_unless_declared(tmp_path, parts):
    x = parts["other"].to_numpy()
    x[3] = parts["SEED"].x[30]
    leaky = {**parts, "other": parts["other"].with_x(x)}
    report = run_plan(make_plan(seeds=[0]), tmp_path, windows=leaky)
    assert "content" in report.failed[0][1]
    assert LOG == []
    task = {"source": "other", "target": "SEED", "calibration_trials": 9}
    declared = make_plan(seeds=[0], tasks=[{**task, "declared_leaks": ["content"]}])
    assert run_plan(declared, tmp_path, windows=leaky).ok
    table = score_table(tmp_path, n_replicates=20, n_permutations=20)
    assert table["audit"].tolist() == ["declared: content"]


def test_oracle_is_looked_up_afterwards_and_named(tmp_path, parts):
    task = {"source": "other", "target": "SEED", "calibration_trials": 9}
    plan = make_plan(
        tasks=[{**task, "selection": "oracle"}, {**task, "selection": "last"}],
        methods=[{"name": "test-centroid", "overrides": {"epochs": 12}}],
        seeds=[0],
    )
    run_plan(plan, tmp_path, windows=parts)
    oracle, last = load_record(tmp_path)
    np.testing.assert_array_equal(oracle.arrays["scores"], last.arrays["scores"])
    table = score_table(tmp_path, n_replicates=20, n_permutations=20)
    assert table["accuracy"][0] >= table["accuracy"][1]
    assert table["selection"].tolist() == ["oracle", "last"]
    assert "oracle" in table["access"][0]
    assert "oracle" not in table["access"][1]
    gap = optimism_gap(last.evaluable(), last.epoch_scores, "accuracy")
    assert gap["oracle"].mean() == pytest.approx(table["accuracy"][0])
    assert score_predictions(oracle.evaluable())["accuracy"].tolist() == gap["oracle"].tolist()


def test_score_table(tmp_path, plan, parts):
    run_plan(plan, tmp_path, windows=parts)
    table = score_table(tmp_path, n_replicates=50, n_permutations=50)
    row = table.iloc[0]
    expected = score_predictions(load_record(tmp_path)[0].evaluable())
    assert row["balanced_accuracy"] == pytest.approx(expected["balanced_accuracy"].mean())
    assert row["interval_low"] <= row["balanced_accuracy"] <= row["interval_high"]
    assert row["access"] == "labelled source + the subject's first 9 trials, labelled"
    assert row["k"] == 9
    assert bool(row["simulated"])
    assert row["audit"] == "passed"
    assert any("only 3 test subjects" in caution for caution in row["cautions"])


def test_folds_that_lack_a_class_are_left_out_of_means(tmp_path, parts):
    windows = parts["SEED"]
    emotion = windows.table["emotion"].astype(object)
    # subject 1 sees no negative clip among the first three
    mine = (windows.table["subject"] == 1) & (windows.table["row"] <= 3)
    emotion[mine & (emotion == "negative")] = "neutral"
    changed = {**parts, "SEED": windows.with_column("emotion", emotion.to_numpy())}
    task = {"source": "other", "target": "SEED", "calibration_trials": 3}
    run_plan(make_plan(tasks=[task], seeds=[0]), tmp_path, windows=changed)
    (cell,) = load_record(tmp_path)
    assert [fold["lacks"] for fold in cell.meta["folds"]] == [["negative"], [], []]
    table = score_table([cell], n_replicates=20, n_permutations=20)
    assert (table["folds_left_out"][0], table["n_subjects"][0]) == (1, 2)
    assert len(cell.evaluable(complete_only=False)) == 3 * 12 * 3


def test_audit_again_from_what_is_stored(tmp_path, plan, parts):
    run_plan(plan, tmp_path, windows=parts)
    audit = audit_record(tmp_path)
    assert len(audit) == 2 * (3 * (len(CHECKS) + 1) + 1)
    assert audit["passed"].all()
    assert audit["certified"].all()
    # identifiers that were tampered with are found out
    cell = load_record(tmp_path)[0]
    stored = cell.identifiers
    roles = stored["roles"].tolist()
    test = stored["member_role"] == roles.index("test")
    stored["member_role"][np.flatnonzero(test)[0]] = roles.index("source")
    tampered = audit_record([cell])
    assert not tampered["passed"].all()
    assert tampered["certified"].all()


def test_damaged_cells_are_not_trusted(tmp_path, plan, parts):
    run_plan(plan, tmp_path, windows=parts)
    cell = load_record(tmp_path)[0]
    path = cell.folder / "predictions.npz"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(StoreError, match="not what its manifest says"):
        _ = load_record(tmp_path)[0].scores
    # a truncated one is as good as missing
    path.write_bytes(bytes(data[:-5]))
    assert len(load_record(tmp_path)) == 1
    assert len(run_plan(plan, tmp_path, windows=parts).computed) == 1
    assert len(load_record(tmp_path)) == 2
    assert np.isfinite(load_record(tmp_path)[0].scores).all()
    # so is one whose manifest was cut
    manifest = cell.folder / "cell.json"
    manifest.write_bytes(manifest.read_bytes()[:-5])
    assert len(load_record(tmp_path)) == 1
    # and one of an earlier version has no brief
    (load_record(tmp_path)[0].folder / "brief.json").unlink()
    assert len(load_record(tmp_path)) == 1
    assert len(run_plan(plan, tmp_path, windows=parts).computed) == 1


def test_a_folder_without_a_run(tmp_path):
    with pytest.raises(StoreError, match="holds no run"):
        load_record(tmp_path)


def test_missing_windows_are_named(tmp_path, plan, parts):
    with pytest.raises(ConfigError, match="No windows of 'SEED' were given"):
        run_plan(plan, tmp_path, windows={"SEEDS": parts["other"], "other": parts["other"]})


# -------------------------------------------------------------------------------- progress


def test_progress_tells_cells_folds_and_epochs(tmp_path, plan, parts):
    events = []
    run_plan(plan, tmp_path, windows=parts, progress=events.append)
    kinds = [event.kind for event in events]
    assert kinds.count("cell-start") == kinds.count("cell-done") == 2
    assert kinds.count("fold") == 6
    assert kinds[-1] == "end"
    assert events[-1].cells_done == events[-1].cells_total == 2
    done = [event.cells_done for event in events]
    assert done == sorted(done)
    stages = [event for event in events if event.kind == "stage" and event.stage == "fine-tuning"]
    assert [event.stage_done for event in stages[:3]] == [1, 2, 3]
    assert stages[0].stage_total == 3
    assert stages[0].method == "test-centroid"
    assert stages[0].fold == "SEED/1"
    finished = next(event for event in events if event.kind == "cell-done")
    assert finished.cells_per_minute > 0
    after = events[events.index(finished) + 1]
    assert after.remaining_s is not None


# ---------------------------------------------------------------------------- interruptions


def test_ctrl_c_leaves_nothing_half_written(tmp_path, plan, parts):
    def interrupt(event):
        if event.seed == 1 and event.fold == "SEED/2":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_plan(plan, tmp_path, windows=parts, progress=interrupt)
    assert len(load_record(tmp_path)) == 1
    assert not list(tmp_path.rglob("*.tmp"))
    report = run_plan(plan, tmp_path, windows=parts)
    assert (len(report.kept), len(report.computed)) == (1, 1)


CHILD = """
import sys
sys.path.insert(0, sys.argv[1])
from benchmark_helpers import make_parts, make_plan, registered
from affectrum.benchmark import run_plan
with registered():
    plan = make_plan(seeds=list(range(6)), methods=[
        {"name": "test-centroid", "overrides": {"pause_s": 0.02}}])
    report = run_plan(plan, sys.argv[2], windows=make_parts())
print(len(report.kept), len(report.computed))
"""


def test_a_kill_loses_at_most_one_cell(tmp_path, request):
    """kill -9 at several moments; the final record equals that of an undisturbed run."""
    command = [sys.executable, "-c", CHILD, str(request.path.parent)]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    calm, rough = tmp_path / "calm", tmp_path / "rough"
    subprocess.run([*command, str(calm)], check=True, env=env, capture_output=True)
    finished = 0
    for wanted in (1, 3):
        child = subprocess.Popen(
            [*command, str(rough)], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and child.poll() is None:
            if len(list(rough.glob("cells/[!.]*/cell.json"))) >= wanted:
                break
            time.sleep(0.005)
        time.sleep(0.05)
        child.send_signal(signal.SIGKILL)
        child.communicate()
        assert len(load_record(rough)) >= finished
        finished = len(load_record(rough))
        assert finished >= wanted
    done = subprocess.run(
        [*command, str(rough)], check=True, env=env, capture_output=True, text=True
    )
    kept, computed = map(int, done.stdout.split())
    assert (kept, kept + computed) == (finished, 6)
    assert contents(rough) == contents(calm)


def test_a_place_that_is_no_folder_is_named(tmp_path, plan, parts):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="can't be written"):
        run_plan(plan, tmp_path / "file" / "run", windows=parts)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_a_read_only_folder_is_named(tmp_path, plan, parts):
    folder = tmp_path / "locked"
    folder.mkdir()
    folder.chmod(0o500)
    try:
        with pytest.raises(StoreError, match="can't be written"):
            run_plan(plan, folder / "run", windows=parts)
    finally:
        folder.chmod(0o700)


def test_a_full_disk_stops_the_run_and_keeps_what_is_finished(tmp_path, plan, parts, monkeypatch):
    from affectrum.benchmark import files

    write, count = files._write, [0]

    def full(path, data):
        if path.name == "predictions.npz":
            count[0] += 1
            if count[0] == 2:
                raise OSError(28, "No space left on device")
        write(path, data)

    monkeypatch.setattr(files, "_write", full)
    with pytest.raises(StoreError, match="No space left on device"):
        run_plan(plan, tmp_path, windows=parts)
    assert not list(tmp_path.rglob("*.tmp"))
    assert len(load_record(tmp_path)) == 1
    monkeypatch.undo()
    assert len(run_plan(plan, tmp_path, windows=parts).computed) == 1


def test_a_cell_that_another_run_finished_first_is_kept(tmp_path):
    from affectrum.benchmark.files import publish_folder

    assert publish_folder(tmp_path / "x", {"a": b"1", "m": b"{}"}, "m")
    assert not publish_folder(tmp_path / "x", {"a": b"2", "m": b"{}"}, "m")
    assert (tmp_path / "x" / "a").read_bytes() == b"1"
    # a wreck without a manifest is replaced
    (tmp_path / "x" / "m").unlink()
    assert publish_folder(tmp_path / "x", {"a": b"3", "m": b"{}"}, "m")
    assert (tmp_path / "x" / "a").read_bytes() == b"3"
    shutil.rmtree(tmp_path / "x")


# ------------------------------------------------------------------------------------ extras


@pytest.fixture(scope="module")
def run_with_extras(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    with registered():
        run_plan(make_plan(extras=True), folder, windows=make_parts())
    return folder


def test_extras_are_listed_for_the_first_seed_only(run_with_extras):
    kinds = [entry["kind"] for entry in list_extras(run_with_extras)]
    assert sorted(kinds) == ["embeddings", "features", "importance"]
    assert all(entry["simulated"] is True for entry in list_extras(run_with_extras))
    (entry,) = list_extras(run_with_extras, "importance")
    assert entry["cell"] == load_record(run_with_extras)[0].digest
    assert entry["protocol"] == "cross-corpus/calibrated"


def test_feature_maps_by_hand(run_with_extras, parts):
    (entry,) = list_extras(run_with_extras, "features")
    arrays = load_extras(run_with_extras, entry)
    assert arrays["corpora"].tolist() == ["other", "SEED"]
    assert arrays["channels"].tolist() == ["Fp1", "Fp2", "Cz", "O1"]
    assert arrays["bands"].tolist() == ["theta", "alpha"]
    assert arrays["band_edges"].tolist() == [[4, 8], [8, 14]]
    assert str(arrays["unit"]) == "nats"
    table = parts["SEED"].table
    by_hand = np.mean(
        [
            parts["SEED"]
            .x[((table["subject"] == s) & (table["emotion"] == "positive")).to_numpy()]
            .mean(axis=0)
            for s in (1, 2, 3)
        ],
        axis=0,
    )
    np.testing.assert_allclose(arrays["mean"][1, 2], by_hand, atol=1e-5)
    # the planted effect is in front, positive above negative
    assert (arrays["contrast"][1, 2, :2] > 0.2).all()
    assert np.abs(arrays["contrast"][1, 2, 2:]).max() < 0.2


def test_importance_finds_the_planted_region(run_with_extras):
    (entry,) = list_extras(run_with_extras, "importance")
    arrays = load_extras(run_with_extras, entry)
    drop = dict(zip(arrays["regions"].tolist(), arrays["drop"].mean(axis=0), strict=True))
    assert drop["prefrontal"] > 0.2
    assert abs(drop["occipital"]) < 0.1
    assert arrays["drop"].shape == (3, len(drop))
    assert arrays["channel_region"].tolist()[:2] == ["prefrontal", "prefrontal"]


def test_embeddings_have_both_domains(run_with_extras):
    (entry,) = list_extras(run_with_extras, "embeddings")
    arrays = load_extras(run_with_extras, entry)
    n = len(arrays["domain"])
    assert arrays["stages"].tolist() == ["input", "finetuned"]
    assert np.bincount(arrays["domain"]).tolist() == [135, 18]
    for stage in arrays["stages"]:
        assert arrays[f"tsne_{stage}"].shape == (n, 2)
        assert np.isfinite(arrays[f"tsne_{stage}"]).all()
        assert arrays[f"embedding_{stage}"].shape[0] == n
    assert set(arrays["corpus"].tolist()) == {"other", "SEED"}
    assert arrays["y"].min() >= 0
