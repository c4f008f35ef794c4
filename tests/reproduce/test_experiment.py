from __future__ import annotations

from pathlib import Path

import pytest

from affectrum.benchmark.tasks import MethodPlan
from affectrum.errors import ConfigError
from affectrum.recipes import get_recipe
from affectrum.reproduce.entries import Entry, build_plan, study_entries, transfer_entries
from affectrum.reproduce.experiment import (
    Experiment,
    Transfer,
    available,
    experiment_names,
    get_experiment,
    register_experiment,
)

# source, target, classes, source's own classes, labels of the source, first trials, electrodes
SCMM = {
    "SEED-IV->SEED": ("SEED-IV", "SEED", "valence3-no-fear", None, True, 9, 62),
    "SEED->SEED-IV": ("SEED", "SEED-IV", "valence3-no-fear", None, True, 9, 62),
    "DEAP->SEED": ("DEAP", "SEED", "valence3-no-fear", None, False, 9, 62),
    "SEED->DEAP-valence": ("SEED", "DEAP", "valence2", None, False, 16, 32),
    "SEED->DEAP-arousal": ("SEED", "DEAP", "arousal2", None, False, 16, 32),
    "SEED-IV4->SEED": ("SEED-IV", "SEED", "valence3-no-fear", "emotion4", True, 9, 62),
}


def test_scmm_runs_the_published_transfers() -> None:
    experiment = get_experiment("scmm")
    assert [transfer.id for transfer in experiment.transfers] == list(SCMM)
    for transfer in experiment.transfers:
        source, target, classes, own, labels, k, n_channels = SCMM[transfer.id]
        published, strict = transfer.task("published"), transfer.task("strict")
        for task in (published, strict):
            assert (task.sources, task.target, task.classes) == ((source,), target, classes)
            assert (task.source_classes, task.source_labels, task.k) == (own, labels, k)
            assert task.protocol == "cross-corpus/calibrated"
            assert (task.source_sessions, task.target_sessions) == ((1,), (1,))
        assert (published.scaling, published.scaler) == ("released", "minmax")
        assert published.selection == "oracle"
        assert (strict.scaling, strict.scaler, strict.selection) == (
            "calibration",
            "standard",
            "last",
        )
        assert len(get_recipe(published.recipe).electrode_names()) == n_channels
        assert get_recipe(published.recipe).reference == "none"
        assert get_recipe(strict.recipe).reference == "average"
        assert len(get_recipe(strict.recipe).resolved_bands()) == 4
        for preset in experiment.presets:
            method = experiment.plan_of(preset, transfer).make()
            expected = 500 if preset != "strict" and target == "DEAP" else 50
            assert method.config.finetune_epochs == expected


def test_presets_take_the_settings_of_the_transfer() -> None:
    experiment = get_experiment("scmm")
    settings = {
        "SEED->SEED-IV": (0.75, 0.5, 0.5),
        "SEED-IV4->SEED": (0.5, 0.05, 0.5),
        "SEED->DEAP-arousal": (0.5, 0.2, 0.05),
    }
    for name, values in settings.items():
        for preset in ("released", "paper"):
            config = experiment.plan_of(preset, experiment.transfer(name)).make().config
            assert (config.upper_bound, config.sharpness, config.temperature) == values
    with pytest.raises(ConfigError, match="Did you mean"):
        experiment.transfer("SEED-IV>SEED")


@pytest.mark.parametrize("quick", [True, False])
def test_every_ablation_and_sweep_is_allowed_and_changes_one_thing(quick: bool) -> None:
    experiment = get_experiment("scmm")
    transfer = experiment.transfers[0]
    entries = study_entries(
        experiment, transfer, experiment.quick, parts=("ablations", "sweeps"), quick=quick
    )
    configs = [entry.method.make().config.model_dump() for entry in entries]
    base = configs[0]
    n = sum(entry.part == "ablations" for entry in entries)
    assert n == 16
    for config in configs[1:n]:
        assert sum(config[name] != base[name] for name in base) == 1
    swept = {entry.about["parameter"] for entry in entries[n:]}
    assert swept == {
        "mask_ratio",
        "mask_threshold",
        "mask_mode",
        "upper_bound",
        "sharpness",
        "temperature",
        "metric",
    }
    held = [
        config for entry, config in zip(entries, configs, strict=True) if entry.about.get("base")
    ]
    # One value of every parameter is the one that holds still, and it is the same model.
    assert len(held) == 7
    assert all(config == held[0] for config in held)
    for entry, config in zip(entries[n:], configs[n:], strict=True):
        changed = {name for name in config if config[name] != held[0][name]}
        assert changed <= {entry.about["parameter"]}
        assert bool(changed) != entry.about["base"]


def test_a_plan_holds_the_pairs_that_are_wanted_and_each_once(experiment: Experiment) -> None:
    transfer = experiment.transfers[0]
    entries = transfer_entries(experiment, transfer, {})
    entries += study_entries(experiment, transfer, {}, parts=("ablations",), quick=True)
    plan, pairs = build_plan(entries, name="x", corpora={}, store=Path(), seeds=[0, 1])
    # Published: released and strict. Strict: strict, and one variant that is none.
    assert len(plan.tasks) == 2
    assert [len(task.methods or ()) for task in plan.tasks] == [2, 2]
    assert len(set(pairs)) == 4
    assert len(pairs) == len(entries) == 6
    # "unchanged" and the variant that changes nothing are the strict preset itself.
    assert pairs[3] == pairs[5] == pairs[2]
    assert plan.seeds == (0, 1)


def test_titles_of_a_plan_differ(experiment: Experiment) -> None:
    transfer = experiment.transfers[0]
    entries = [
        Entry(
            "transfers",
            transfer.id,
            "x",
            transfer.task("published", calibration_trials=k),
            MethodPlan(name="test-scripted", overrides={"right": (right,)}),
            {"side": "published", "preset": ""},
        )
        for k in (3, 6)
        for right in (0.0, 1.0)
    ]
    plan, pairs = build_plan(entries, name="x", corpora={}, store=Path())
    assert len({task.title for task in plan.tasks}) == 2
    assert len({method.title for method in plan.methods}) == 2
    assert len(set(pairs)) == 4


def test_experiments_are_found_by_name(experiment: Experiment) -> None:
    assert {"scmm", "test-scripted"} <= set(experiment_names())
    with pytest.raises(ConfigError, match="There is no experiment 'scm'"):
        get_experiment("scm")
    twice = Transfer("a", "a", {"target": "SEED"}, {"target": "SEED"})
    with pytest.raises(ConfigError, match="twice"):
        register_experiment(Experiment("m", "m", "", (twice, twice)))
    with pytest.raises(ConfigError, match="no transfer"):
        register_experiment(Experiment("m", "m", "", (twice,), study=("b",)))


def test_a_transfer_says_which_corpora_it_lacks() -> None:
    lacking = available(get_experiment("scmm"), ["seed", "Seed_IV"])
    assert lacking["SEED-IV->SEED"] == lacking["SEED-IV4->SEED"] == []
    assert lacking["DEAP->SEED"] == ["DEAP"]
