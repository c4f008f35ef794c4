from __future__ import annotations

import time

import pytest

from affectrum.benchmark import Plan, expand, load_plan
from affectrum.errors import ConfigError

YAML = """
name: transfers
corpora: {SEED: data/SEED, SEED-IV: data/SEED_IV}
store: windows
tasks:
  - {source: SEED-IV, target: SEED, classes: valence3-no-fear, recipe: de62}
  - {target: SEED, protocol: leave-one-subject-out, stimulus_disjoint: clip}
methods:
  - most-frequent
  - {name: svm, arm: source}
  - {name: scmm, preset: paper, transfer: SEED-IV->SEED, overrides: {}}
seeds: [0, 1]
"""


def test_a_plan_is_read_with_paths_from_its_own_folder(tmp_path):
    path = tmp_path / "plan.yaml"
    path.write_text(YAML.replace("overrides: {epochs: 3}", "overrides: {}"))
    plan = load_plan(path)
    assert plan.folders()["SEED"] == tmp_path / "data" / "SEED"
    assert plan.store == tmp_path / "windows"
    assert [method.title for method in plan.methods] == [
        "most-frequent",
        "svm [source]",
        "scmm (paper)",
    ]
    assert plan.tasks[0].title == "SEED-IV -> SEED, valence3-no-fear, cross-corpus/calibrated"
    assert len(expand(plan)) == 2 * 3 * 2


def test_a_paths_file(tmp_path):
    (tmp_path / "corpora.yaml").write_text("corpora:\n  SEED: here/SEED\n")
    (tmp_path / "plan.yaml").write_text(
        "corpora: corpora.yaml\ntasks: [{target: SEED, protocol: loso}]\nmethods: [svm]\n"
    )
    assert load_plan(tmp_path / "plan.yaml").folders() == {"SEED": tmp_path / "here" / "SEED"}
    (tmp_path / "corpora.yaml").write_text("DEAP: here\n")
    with pytest.raises(ConfigError, match="No folder is given for SEED; there are folders for DE"):
        load_plan(tmp_path / "plan.yaml").folders()


def test_entries_can_say_form_and_options(tmp_path):
    (tmp_path / "told.yaml").write_text("unit: uV\n")
    entries = (
        "  SEED: {folder: here/SEED, form: features}\n"
        "  DEAP: {folder: /there, options: {unit: V, mapping: told.yaml}}\n"
        "  SEED-IV: {folder: iv, options: told.yaml}\n"
    )
    tasks = "tasks: [{target: SEED, protocol: loso}, {target: seed_iv, protocol: loso}]\n"
    (tmp_path / "corpora.yaml").write_text(entries.replace("  ", ""))
    (tmp_path / "inside.yaml").write_text(f"corpora:\n{entries}{tasks}methods: [svm]\n")
    (tmp_path / "beside.yaml").write_text(f"corpora: corpora.yaml\n{tasks}methods: [svm]\n")
    for name in ("inside", "beside"):
        plan = load_plan(tmp_path / f"{name}.yaml")
        places = plan.places()
        assert places["SEED"].folder == tmp_path / "here" / "SEED"
        assert places["SEED"].form == "features"
        # a YAML file named by an option starts from the same folder
        assert places["DEAP"].options == {"unit": "V", "mapping": str(tmp_path / "told.yaml")}
        assert places["SEED-IV"].options == tmp_path / "told.yaml"
        assert places["DEAP"].told() == {"options": {"unit": "V", "mapping": "told.yaml"}}
        # what a record keeps: no folder, and only what a task's corpora were told
        assert plan.told() == {"SEED": {"form": "features"}, "seed_iv": {"options": {"unit": "uV"}}}


def test_faults_of_entries_are_all_named(tmp_path):
    wrong = {"SEED": {"foldr": "x"}, "DEAP": {"folder": "y", "from": "raw"}}
    tasks = [{"target": "SEED", "protocol": "loso"}]
    with pytest.raises(ConfigError) as caught:
        Plan.from_dict({"corpora": wrong, "tasks": tasks, "methods": ["svm"]})
    (tmp_path / "corpora.yaml").write_text(str(wrong))
    plan = Plan.from_dict(
        {"corpora": str(tmp_path / "corpora.yaml"), "tasks": tasks, "methods": ["svm"]}
    )
    with pytest.raises(ConfigError) as again:
        plan.places()
    for text in (str(caught.value), str(again.value)):
        assert "Did you mean 'folder'" in text
        assert "Did you mean 'form'" in text
        assert "Known keys: folder, form, options" in text


def test_every_fault_is_listed_with_the_nearest_name():
    with pytest.raises(ConfigError) as caught:
        Plan.from_dict(
            {
                "task": [],
                "tasks": [
                    {"target": "SEED", "protocol": "loso", "clases": "valence3"},
                    {"target": "SEED", "source": "DEAP", "protocol": "zero-short"},
                    {"target": "SEED", "source": "DEAP", "scaling": "sorce"},
                    {"target": "SEED"},
                    {"target": "SEED", "source": "DEAP", "protocol": "loso"},
                    {"source": "SEED", "calibration_trials": 0, "scaler": "z"},
                ],
                "methods": [{"name": "svm", "presett": "paper"}],
                "seeds": ["a"],
            },
            "my plan",
        )
    text = str(caught.value)
    for expected in (
        "my plan is not a valid plan",
        "unknown key 'task'. Did you mean 'tasks'?",
        "tasks.0.clases: unknown key 'clases'. Did you mean 'classes'?",
        "tasks.1: Unknown protocol 'zero-short'",
        "Did you mean 'source'?",
        "tasks.3: 'cross-corpus/calibrated' needs a source",
        "tasks.4: source='DEAP' has no meaning under 'leave-one-subject-out'",
        "tasks.5.target",
        "tasks.5.calibration_trials",
        "tasks.5.scaler",
        "methods.0.presett: unknown key 'presett'. Did you mean 'preset'?",
        "seeds.0",
    ):
        assert expected in text, expected


def test_faults_of_methods_and_corpora():
    with pytest.raises(ConfigError) as caught:
        Plan.from_dict(
            {
                "corpora": {"SEED": "x"},
                "tasks": [{"target": "SEED-IV", "protocol": "loso"}],
                "methods": ["svn", {"name": "svm", "overrides": {"arn": 1}}, "mlp", "mlp"],
                "seeds": [1, 1, -1],
            }
        )
    text = str(caught.value)
    for expected in (
        "methods.0: Unknown method 'svn'",
        "Did you mean 'svm'?",
        "unknown parameter 'arn'",
        "methods are named twice: mlp",
        "seeds are named twice: 1",
        "seeds must not be negative",
        "corpus 'SEED-IV' has no folder",
    ):
        assert expected in text, expected


def test_files_that_are_no_plan(tmp_path):
    with pytest.raises(ConfigError, match="can't be read"):
        load_plan(tmp_path / "missing.yaml")
    bad = tmp_path / "bad.yaml"
    bad.write_text("a: [")
    with pytest.raises(ConfigError, match="not valid YAML"):
        load_plan(bad)
    bad.write_text("- a")
    with pytest.raises(ConfigError, match="must hold a mapping; found list"):
        load_plan(bad)


def test_digests_follow_what_changes_a_number():
    base = {
        "tasks": [{"target": "SEED", "protocol": "loso"}],
        "methods": ["test-centroid"],
    }
    prints = {("SEED", "de62"): "a", ("SEED", "de32"): "b"}

    def digest(prints=prints, **changes):
        return expand(Plan.from_dict({**base, **changes}), prints)[0].digest

    first = digest()
    # names, other methods and seeds of the plan change nothing
    assert digest(name="other") == first
    assert digest(methods=[{"name": "test-centroid", "label": "mine"}]) == first
    assert digest(seeds=[0, 1]) == first
    assert digest(tasks=[{"target": "SEED", "protocol": "LOSO", "name": "x"}]) == first
    different = [
        digest(seeds=[1]),
        digest(methods=[{"name": "test-centroid", "overrides": {"epochs": 4}}]),
        digest(tasks=[{"target": "SEED", "protocol": "loso", "scaling": "none"}]),
        digest(tasks=[{"target": "SEED", "protocol": "loso", "recipe": "de32"}]),
        digest(prints={("SEED", "de62"): "changed"}),
        digest(epoch_scores=False),
    ]
    assert len(dict.fromkeys([first, *different])) == 7


def test_ten_thousand_cells_expand_quickly():
    plan = Plan.from_dict(
        {
            "tasks": [
                {"target": "SEED", "protocol": "loso", "subjects": [n]} for n in range(1, 101)
            ],
            "methods": [
                {"name": "test-centroid", "label": str(n), "overrides": {"epochs": n}}
                for n in range(1, 11)
            ],
            "seeds": list(range(10)),
        }
    )
    began = time.perf_counter()
    cells = expand(plan)
    assert time.perf_counter() - began < 10
    assert len(dict.fromkeys(cell.digest for cell in cells)) == 10_000
