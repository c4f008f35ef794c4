"""Learning curves, options of protocols, and the default plan of the field's map."""

from __future__ import annotations

import sys
import types

import pytest

from affectrum import catalog
from affectrum.benchmark import Cell, Plan, expand, load_plan, load_record, run_plan
from affectrum.benchmark.cells import cell_digest, describe_task
from affectrum.benchmark.field_map import field_methods, plan_or_map
from affectrum.benchmark.inputs import windows_fingerprint
from affectrum.errors import ConfigError


def plan_of(*tasks, **more):
    return Plan.from_dict({"tasks": list(tasks), "methods": ["test-centroid"], **more})


# ---------------------------------------------------------------------------- learning curves


def test_a_list_of_calibration_trials_is_a_learning_curve():
    task = {"source": "DEAP", "target": "SEED", "calibration_trials": [3, 6, 9]}
    plan = plan_of(task, {"target": "SEED", "protocol": "loso"})
    assert [point.calibration_trials for point in plan.tasks] == [3, 6, 9, None]
    # all points are tested on the same trials
    assert [point.test_after for point in plan.tasks] == [9, 9, 9, None]
    assert [point.title for point in plan.tasks[:3]] == [
        f"DEAP -> SEED, valence3, cross-corpus/calibrated, {k} calibration trials"
        for k in (3, 6, 9)
    ]
    assert len({cell.digest for cell in expand(plan)}) == 4
    # a point is the very cell that a plan of its own would have
    alone = plan_of({**task, "calibration_trials": 6, "test_after": 9})
    assert expand(alone)[0].digest == expand(plan)[1].digest
    chosen = plan_of({**task, "test_after": 12})
    assert [point.test_after for point in chosen.tasks] == [12, 12, 12]


def test_a_learning_curve_tests_the_same_windows(tmp_path, parts):
    task = {"source": "other", "target": "SEED", "calibration_trials": [3, 9]}
    run_plan(plan_of(task), tmp_path, windows=parts)
    few, many = load_record(tmp_path)
    assert (few.arrays["row"] == many.arrays["row"]).all()
    assert set(few.arrays["row"].tolist()) == set(range(10, 16))
    assert [cell.meta["calibration_trials"] for cell in (few, many)] == [3, 9]


def test_a_list_of_shots_is_a_learning_curve():
    task = {"source": "DEAP", "target": "SEED", "protocol": "few-shot", "shots": [3, 5, 10]}
    plan = plan_of({**task, "calibration_trials": [6, 9]})
    assert [(p.shots, p.calibration_trials) for p in plan.tasks] == [
        (shots, k) for k in (6, 9) for shots in (3, 5, 10)
    ]


def test_the_source_may_have_a_recipe_of_its_own(tmp_path, parts):
    common = {"source": "other", "target": "SEED", "split": "trials:6/0/6", "recipe": "raw32"}
    task = {**common, "protocol": "pretrain-finetune", "source_recipe": "raw62"}
    asked = []

    def windows(corpus, recipe):
        asked.append((corpus, recipe))
        return parts[corpus]

    plan = plan_of(task)
    run_plan(plan, tmp_path, windows=windows)
    assert set(asked) == {("other", "raw62"), ("SEED", "raw32")}
    (cell,) = load_record(tmp_path)
    assert cell.meta["task"]["source_recipe"] == "raw62"
    # the same recipe twice is no choice, and what the windows hold is told by them
    same = plan_of({**task, "source_recipe": "raw32"}).tasks[0]
    assert same == plan_of({**task, "source_recipe": None}).tasks[0]
    alone = describe_task(plan.tasks[0], fingerprinted=True)
    assert "source_recipe" not in alone
    with pytest.raises(ConfigError, match="belongs to 'pretrain-finetune'"):
        plan_of({**common, "split": None, "source_recipe": "raw62"})
    # files are named from the plan's folder
    path = tmp_path / "plan.yaml"
    path.write_text(
        "methods: [test-centroid]\ntasks: [{source: A, target: B, split: 'trials:1/1', "
        "protocol: pretrain-finetune, recipe: de62, source_recipe: mine.yaml}]\n"
    )
    (task,) = load_plan(path).tasks
    assert task.source_recipe == str(tmp_path / "mine.yaml")
    assert task.recipe == "de62"


def test_signals_at_own_electrodes_are_left_unscaled():
    tasks = [{"target": "SEED", "protocol": "loso", "recipe": name} for name in ("emod", "de62")]
    asked = {**tasks[0], "scaling": "source"}
    missing = {**tasks[0], "recipe": "nowhere.yaml"}
    plan = plan_of(*tasks, asked, missing)
    assert [task.scaling for task in plan.tasks] == ["none", None, "source", None]


def test_options_that_a_protocol_does_not_know_are_refused():
    across = {"source": "DEAP", "target": "SEED"}
    with pytest.raises(ConfigError) as caught:
        plan_of(
            {**across, "target_use": "others"},
            {**across, "protocol": "cross-corpus/unsupervised", "target_use": "other"},
            {**across, "shots": 5},
            {**across, "calibration_trials": [3, 3]},
            {**across, "calibration_trials": []},
            {**across, "calibration_trials": [0]},
            {**across, "labels": "clips"},
            {"target": "SEED", "protocol": "leave-one-corpus-out/zero-shot"},
            {**across, "protocol": "cross-corpus/zero-shot", "split": "own"},
            {**across, "kontrols": True},
        )
    text = str(caught.value)
    for expected in (
        "tasks.0: target_use has no meaning under 'cross-corpus/calibrated'",
        "tasks.1: target_use 'other' is not one of others, calibration, test. Did you mean 'others",
        "tasks.2: shots has no meaning under 'cross-corpus/calibrated'; it belongs to 'few-shot'",
        "tasks.3: calibration_trials names a number twice: 3, 3",
        "tasks.4: calibration_trials is an empty list",
        "tasks.5.calibration_trials",
        "tasks.6: labels 'clips' is not one of clip, self-report. Did you mean 'clip'",
        "tasks.7: 'leave-one-corpus-out/zero-shot' needs a source",
        "tasks.8: split has no meaning",
        "tasks.9.kontrols: unknown key 'kontrols'",
    ):
        assert expected in text, expected


def test_options_reach_the_folds_and_the_name():
    task = {"source": "DEAP", "target": "SEED", "protocol": "cross-corpus/unsupervised"}
    first, second = (
        plan_of({**task, "target_use": use}).tasks[0] for use in ("others", "calibration")
    )
    assert first.fold_options()["target_use"] == "others"
    assert "shots" not in first.fold_options()
    assert describe_task(first, fingerprinted=True) != describe_task(second, fingerprinted=True)


def test_a_default_that_is_written_out_changes_no_name():
    task = {"target": "SEED", "protocol": "loso"}
    plain, spelt = plan_of(task), plan_of({**task, "scaler": "standard", "selection": "last"})
    assert expand(plain)[0].digest == expand(spelt)[0].digest


# ----------------------------------------------------------------------------------- controls


def test_controls_are_cells_of_their_own(tmp_path, parts, monkeypatch):
    """What the controls' room hands over is expanded, computed, and kept apart from scores."""
    room = types.ModuleType("affectrum.benchmark.controls")
    ran = []

    def control_cells(plan, cells):
        for cell in cells:
            digest = cell_digest({}, cell.digest, {}, 0, {}, control="null")
            yield Cell(cell.task, cell.method, cell.seed, digest, {}, control="null")

    def run_control(cell, context):
        ran.append(cell.digest)
        return True

    room.control_cells, room.run_control = control_cells, run_control
    monkeypatch.setitem(sys.modules, room.__name__, room)
    monkeypatch.setattr("affectrum.benchmark.controls", room, raising=False)
    task = {"source": "other", "target": "SEED", "calibration_trials": 9}
    assert len(expand(plan_of(task))) == 1
    plan = plan_of(task, controls=["null"])
    cells = expand(plan)
    assert [cell.control for cell in cells] == ["", "null"]
    assert cells[1].title.endswith("seed 0 · null")
    report = run_plan(plan, tmp_path, windows=parts)
    assert report.ok
    assert ran == [report.cells[1].digest]


# ---------------------------------------------------------------------------- the field's map


def test_the_map_has_all_ordered_pairs_and_each_corpus_left_out():
    plan = Plan.field_map(["SEED", "seed_iv", "DEAP"])
    pairs = [(t.source, t.target) for t in plan.tasks if isinstance(t.source, str)]
    names = ("SEED", "SEED-IV", "DEAP")
    expected = [(a, b) for a in names for b in names if a != b]
    assert list(dict.fromkeys(pairs)) == expected
    assert len(pairs) == 3 * len(expected)
    out = [t for t in plan.tasks if t.protocol.startswith("leave-one-corpus-out/")]
    assert [t.target for t in out] == [name for name in names for _ in range(3)]
    assert out[0].sources == ("SEED-IV", "DEAP")
    # classes that both sides can fill: DEAP has ratings and no neutral
    by_pair = {(t.source, t.target): t.classes for t in plan.tasks}
    assert by_pair["SEED", "SEED-IV"] == "valence3"
    assert by_pair["SEED", "DEAP"] == by_pair["DEAP", "SEED"] == "valence2"
    # one recipe for the whole map, so that all pairs stand in one matrix
    assert {task.recipe for task in plan.tasks} == {"de-common(DEAP, SEED, SEED-IV)"}
    # nobody tells EAV's electrodes: each task takes what its own corpora share
    apart = Plan.field_map(["SEED", "SEED-IV", "FACED", "EAV"])
    assert apart.tasks[0].recipe == "de-common(SEED, SEED-IV)"


def test_the_map_has_every_method_that_the_access_allows():
    plan = Plan.field_map(["SEED", "SEED-IV"])
    by_protocol = {task.protocol: task.methods for task in plan.tasks}
    assert set(by_protocol) == {
        f"cross-corpus/{mode}" for mode in ("zero-shot", "unsupervised", "calibrated")
    }
    everything = [method.title for method in plan.methods]
    assert {"scmm", "svm [source]", "svm [calibration]", "most-frequent"} <= set(everything)
    zero_shot = by_protocol["cross-corpus/zero-shot"]
    assert "svm [source]" in zero_shot
    assert "scmm" in zero_shot
    assert "svm [calibration]" not in zero_shot
    # who needs unlabelled target signals runs where they are granted, and only there
    need = [m.title for m in plan.methods if "target_unlabelled" in m.make().needs]
    assert set(need) <= set(by_protocol["cross-corpus/unsupervised"])
    assert not set(need) & {*zero_shot, *by_protocol["cross-corpus/calibrated"]}
    assert "svm [calibration]" in by_protocol["cross-corpus/calibrated"]
    # without such methods the unsupervised column would be the zero-shot one under another name
    plain = Plan.field_map(["SEED", "SEED-IV"], methods=["svm"])
    assert {task.protocol for task in plain.tasks} == {
        "cross-corpus/zero-shot",
        "cross-corpus/calibrated",
    }


def test_the_map_of_corpora_without_shared_classes_withholds_the_source_labels():
    plan = Plan.field_map(["SEED", "DEAP"], schemes=["valence3", "arousal2"], methods=["scmm"])
    assert [(t.target, t.classes, t.source_labels, t.protocol) for t in plan.tasks] == [
        ("DEAP", "arousal2", False, "cross-corpus/calibrated"),
        ("SEED", "valence3", False, "cross-corpus/calibrated"),
    ]


def test_the_map_of_all_corpora_is_a_valid_plan():
    names = catalog.names()
    plan = Plan.field_map(names, seeds=[0, 1], store="windows")
    assert plan.seeds == (0, 1)
    assert str(plan.store) == "windows"
    titles = [task.title for task in plan.tasks]
    assert len(titles) == len(set(titles))
    assert len(field_methods()) == len(plan.methods)


def test_a_paths_file_is_the_plan_of_its_map(tmp_path):
    path = tmp_path / "corpora.yaml"
    path.write_text("SEED: here/SEED\nDEAP: {folder: /there, options: {unit: V}}\n")
    plan = plan_or_map(path)
    assert plan.places()["SEED"].folder == tmp_path / "here" / "SEED"
    assert plan.places()["DEAP"].options == {"unit": "V"}
    assert plan.store == tmp_path / "store"
    assert {task.target for task in plan.tasks} == {"SEED", "DEAP"}
    path.write_text("corpora: {SEED: x}\nmethods: [svm]\n")
    with pytest.raises(ConfigError, match="tasks"):
        plan_or_map(path)


def test_maps_that_can_not_be_drawn():
    with pytest.raises(ConfigError, match="mine: not in the catalog"):
        Plan.field_map(["SEED", "mine"])
    with pytest.raises(ConfigError, match="at least two corpora; received SEED"):
        Plan.field_map(["SEED"])
    with pytest.raises(ConfigError, match="named twice: SEED"):
        Plan.field_map(["SEED", "seed"])
    with pytest.raises(ConfigError, match="'modes': 'zero'"):
        Plan.field_map(["SEED", "DEAP"], modes=["zero"])
    with pytest.raises(ConfigError, match="No transfer can be made"):
        Plan.field_map(
            ["SEED", "DEAP"], modes=["zero-shot"], methods=[{"name": "svm", "arm": "calibration"}]
        )


# ----------------------------------------------------------------------------------- the cost


def test_costs_come_from_like_cells_else_from_the_method_else_from_a_rule(tmp_path, parts):
    import json

    from affectrum.benchmark.cost import estimate_costs, in_words

    near = {"source": "other", "target": "SEED", "calibration_trials": 9}
    far = {**near, "source": "SEED", "target": "other"}
    prints = {(name, "de62"): windows_fingerprint(part) for name, part in parts.items()}
    report = run_plan(plan_of(near, seeds=[0, 1, 2]), tmp_path, windows=parts)
    for cell, seconds in zip(report.cells, (10.0, 30.0, 50.0), strict=True):
        path = tmp_path / "cells" / cell.digest / "brief.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "seconds": seconds}))
    methods = ["test-centroid", "svm"]
    plan = plan_of(near, far, methods=methods, seeds=[0, 7])
    costs = estimate_costs(expand(plan, prints), tmp_path)
    found = [(cost.done, cost.seconds, cost.basis) for cost in costs]
    assert found[:2] == [(True, 10.0, "measured"), (False, 30.0, "like cells")]
    assert found[4:6] == [(False, 30.0, "same method")] * 2
    assert {basis for _, _, basis in (*found[2:4], *found[6:])} == {"rule"}
    # the rule: 15 subjects (SEED's) of one linear fit each
    assert found[2][1] == pytest.approx(15 * 0.6)
    assert not any(cost.done for cost in estimate_costs(expand(plan)))
    assert [in_words(s) for s in (3, 600, 5 * 3600, 40 * 3600, 86_400 * 2.1)] == [
        "3 s",
        "10 min",
        "5.0 h",
        "40 h",
        "2.1 days",
    ]


def test_the_rule_tells_minutes_from_days():
    from affectrum.benchmark.cost import estimate_costs

    task = {"source": "SEED-IV", "target": "SEED"}
    overrides = {"pretrain_steps": 1000, "finetune_epochs": 10, "finetune_max_steps": 100}
    plan = plan_of(task, methods=["most-frequent", {"name": "scmm", "overrides": overrides}])
    cheap, dear = estimate_costs(expand(plan))
    assert dear.seconds == pytest.approx((1000 + 15 * 100) * 0.01 + 15 * 0.1)
    assert cheap.seconds < dear.seconds


def test_the_rule_of_networks_that_read_signals():
    from affectrum.benchmark.cost import estimate_costs

    task = {"target": "DEAP", "protocol": "leave-one-subject-out", "recipe": "emod"}
    task |= {"classes": "valence2"}
    short = {"pretrain_epochs": 2, "pretrain_steps": 10, "per_region": 4, "accumulate": 3}
    short |= {"finetune_max_steps": 1, "finetune_batch": 64}
    whole = {"pretrain_epochs": 1, "finetune_epochs": 0, "width": 64}
    methods = [
        {"name": "emod", "overrides": short},
        {"name": "emod", "overrides": whole, "label": "half as wide"},
    ]
    first, second = estimate_costs(expand(plan_of(task, methods=methods)))
    window = 0.3 * (32 * 1280) / (32 * 2500)  # 32 electrodes, 10 s at 128 Hz
    assert first.seconds == pytest.approx((2 * 10 * 3 * 36 + 32 * 64) * window)
    # 32 people, 40 videos of 60 s: each window once
    assert second.seconds == pytest.approx(32 * 40 * 6 * window / 2)
