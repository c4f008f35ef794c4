"""EMOD's experiment as data, scores over all test windows, arms, sources that are not there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from affectrum.errors import ConfigError
from affectrum.recipes import get_recipe
from affectrum.reproduce import experiment as experiments
from affectrum.reproduce import load_reproduction, reproduce, write_page
from affectrum.reproduce import published as registry
from affectrum.reproduce.emod import PRETRAINED_ON
from affectrum.reproduce.entries import study_entries, transfer_entries
from affectrum.reproduce.experiment import Experiment, Sweep, Transfer, Variant, get_experiment
from affectrum.reproduce.published import PublishedNumber, differences, published_numbers
from affectrum.reproduce.results import NOT_AVAILABLE, Reproduction
from affectrum.reproduce.steps import protocol_steps

# From the reference's table: target, classes, split, seconds of a window when fine-tuned
PUBLISHED = {
    "FACED": ("emotion9", "faced-subjects", 10.0),
    "SEED-V": ("emotion5", "seed-v-trials", 1.0),
    "SEED": ("valence3", "seed-sessions", 5.0),
}
EIGHT = ["AMIGOS", "DEAP", "DREAMER", "MAHNOB-HCI", "MDME", "MPED", "SEED-IV", "SEED-VII"]


def test_emod_runs_the_published_splits_and_strict_ones() -> None:
    experiment = get_experiment("emod")
    assert [transfer.id for transfer in experiment.transfers] == list(PUBLISHED)
    assert sorted(PRETRAINED_ON) == EIGHT
    for transfer in experiment.transfers:
        classes, split, seconds = PUBLISHED[transfer.id]
        published, strict = transfer.task("published"), transfer.task("strict")
        for task in (published, strict):
            assert (task.target, task.classes) == (transfer.id, classes)
            assert sorted(task.sources) == EIGHT
            assert task.protocol == "pretrain-finetune"
            assert (task.selection, task.scaler) == ("validation", "none")
            assert (task.source_labels, task.va_table) == ("plane", "emod")
            assert get_recipe(task.recipe).window_s == seconds
            source = get_recipe(task.recipe_of("DEAP"))
            assert (source.window_s, source.bandpass) == (10.0, (0.3, 49.0))
            assert source.reference == "average"
        assert (published.split, published.stimulus_disjoint) == (split, None)
        assert (strict.split, strict.stimulus_disjoint) == ("leave-one-subject-out", "clip")
        assert get_recipe(strict.recipe).reference == "average"
        for preset in experiment.presets:
            config = experiment.plan_of(preset, transfer).make().config
            assert config.layout == ("released" if preset == "released" else "correct")
            # Both arms of a fair comparison have one optimiser; the released code has two.
            fair = "as-released" if preset == "released" else "adamw"
            assert config.finetune_optimizer == fair


def test_the_waterfall_ends_with_the_published_test() -> None:
    experiment = get_experiment("emod")
    names = {}
    for transfer in experiment.transfers:
        goal = transfer.goal()
        later = [experiment.plan_of(preset, transfer) for preset in experiment.presets[1:]]
        names[transfer.id] = [
            step.name for step in protocol_steps(transfer.task("published"), goal, methods=later)
        ]
        split = PUBLISHED[transfer.id][1]
        assert goal.split == (split if transfer.id == "FACED" else f"{split}, other subjects")
    settings = ["settings: paper", "settings: strict"]
    assert names["FACED"] == ["stimulus overlap", "reference and filter", *settings]
    assert names["SEED"] == ["subject overlap", "stimulus overlap", *settings]
    assert names["SEED-V"] == names["SEED"]


def test_ablations_change_one_thing_and_meet_every_published_one() -> None:
    experiment = get_experiment("emod")
    transfer = experiment.transfers[0].with_sources(["FACED", "DEAP"], small=True)
    entries = study_entries(
        experiment, transfer, experiment.quick, parts=("ablations", "sweeps"), quick=False
    )
    rows = [entry for entry in entries if entry.part == "ablations"]
    assert rows[0].task.split == "subjects:3/1/2"
    base = rows[0].method.make().config.model_dump()
    for entry in rows[1:]:
        config = entry.method.make().config.model_dump()
        assert sum(config[name] != base[name] for name in base) == 1, entry.label
    told = {entry.about["variant"] for entry in rows if "variant" in entry.about}
    assert told == {n.variant for n in published_numbers(method="emod")}
    # Every number of the paper's three tables is there, for each of its three targets.
    numbers = [n for n in published_numbers() if "2511.05863" in n.source and n.method == "EMOD"]
    for target in PUBLISHED:
        mine = [n for n in numbers if n.target == target]
        assert len([n for n in mine if n.what == "score"]) == 4 * 3
        assert len([n for n in mine if n.what == "gain"]) == 6
        assert {n.scheme for n in mine} == {PUBLISHED[target][0]}
        assert {n.protocol for n in mine} == {f"pretrain-finetune ({PUBLISHED[target][1]})"}
    # A table of the plane is a choice of the task; its rows are three tasks.
    tables = [entry.task.va_table for entry in entries if entry.about.get("of_task")]
    assert tables == ["emod", "faced-measured", "warriner"]
    assert [e.about["base"] for e in entries if e.about.get("of_task")] == [True, False, False]


def test_each_preset_has_both_arms() -> None:
    experiment = get_experiment("emod")
    entries = transfer_entries(experiment, experiment.transfers[2], {})
    labels = [e.label for e in entries if e.about["side"] == "published"]
    assert labels == [
        "emod (released)",
        "emod (released), from scratch",
        "emod (paper)",
        "emod (paper), from scratch",
        "emod (strict)",
        "emod (strict), from scratch",
        "most-frequent",
    ]
    for entry in entries:
        if "from scratch" in entry.label:
            assert entry.method.make().config.pretraining is False
        # Settings of this project have no published number.
        assert ("variant" in entry.about) == ("released" in entry.label or "paper" in entry.label)


def test_sources_that_are_not_there_are_left_out_and_told() -> None:
    transfer = get_experiment("emod").transfer("SEED")
    assert transfer.lacking(["seed", "deap"]) == []
    assert transfer.lacking(["DEAP"]) == ["SEED"]
    assert sorted(transfer.lacking(["SEED"])) == EIGHT
    found = transfer.with_sources(["SEED", "SEED-IV", "DEAP"])
    assert found.task("published").sources == ("DEAP", "SEED-IV")
    assert found.task("strict").sources == ("DEAP", "SEED-IV")
    assert "MPED" in found.unknown[-1]
    assert transfer.with_sources([*EIGHT, "SEED"]) is transfer
    small = transfer.with_sources([*EIGHT, "SEED"], small=True)
    assert small.task("strict").split == "leave-one-subject-out"
    assert {small.task("strict").recipe_of(name) for name in EIGHT} == {"emod-small"}


# ------------------------------------------------------------- scores over all test windows

CELL: dict[str, Any] = {
    "source": EIGHT,
    "target": "SEED",
    "task": {"classes": "valence3"},
    "classes": ["negative", "neutral", "positive"],
    "protocol": "pretrain-finetune (seed-sessions)",
    "base": "pretrain-finetune",
    "selection": "validation",
    "calibration_trials": None,
    "method": {"config": {"pretraining": True}},
}


def test_published_numbers_stand_beside_their_own_variant_only() -> None:
    def beside(variant: str, what: str = "score", **changes: Any) -> list[float]:
        return [
            n.value
            for n in published_numbers(method="emod")
            if not differences(n, {**CELL, **changes}, variant=variant, what=what)
        ]

    assert beside("") == [61.14, 41.95, 61.19]
    scratch = {"method": {"config": {"pretraining": False}}}
    assert beside("scratch", **scratch) == [58.35, 37.83, 59.00]
    assert beside("hard positives") == [59.83, 40.73, 60.76]
    assert beside("without temporal tokens", "gain") == [-1.05]
    # A scratch run named as the whole, a corpus less, another split, another selection, twins.
    assert beside("", **scratch) == []
    assert beside("", source=EIGHT[1:]) == []
    assert beside("", protocol="pretrain-finetune (leave-one-subject-out)") == []
    assert beside("", selection="last") == []
    assert beside("", simulated=True) == []


@pytest.fixture
def pooled(_known_methods: None) -> Iterator[Experiment]:
    common = {
        "source": ("SEED-IV", "DEAP"),
        "target": "SEED",
        "classes": "valence3",
        "protocol": "pretrain-finetune",
        "recipe": "de62",
        "scaling": "none",
        "scaler": "none",
    }
    found = Experiment(
        method="test-scripted",
        title="A scripted experiment",
        reference="Nobody, nowhere",
        transfers=(
            Transfer(
                "SEED",
                "SEED after pre-training",
                {**common, "split": "trials:9/0/6"},
                {**common, "split": "leave-one-subject-out"},
                small={"split": "trials:3/0/12"},
                some_sources=True,
            ),
        ),
        presets=("released", "strict"),
        arms=(Variant("", {}), Variant("half", {"right": (0.5,)}, published="a half")),
        pooled=("balanced_accuracy", "kappa", "weighted_f1"),
        as_published=("released",),
        study_side="published",
        study_all=True,
        ablations=(Variant("half right", {"right": (0.5,)}, published="without a half"),),
        sweeps=(
            Sweep("selection", "weights", ("last", "oracle"), ("last", "oracle"), of_task=True),
        ),
        study=("SEED",),
        descents=("SEED",),
    )
    experiments._REGISTERED[found.method] = found
    yield found
    del experiments._REGISTERED[found.method]


NUMBER = {
    "method": "Scripted",
    "our_method": "test-scripted",
    "trained_on": ["SEED-IV"],
    "target": "SEED",
    "classes": 3,
    "scheme": "valence3",
    "protocol": "pretrain-finetune (trials:9/0/6)",
    "selection": "last",
    "mark": "paper",
    "source": "a table of somebody",
}


def test_a_paper_that_scores_all_windows_at_once(
    pooled: Experiment, windows: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = [
        {"variant": "a half", "metric": "kappa", "value": 12.0},
        {"variant": "a half", "metric": "balanced_accuracy", "value": 34.5},
        {"variant": "", "metric": "balanced_accuracy", "value": 56.7},
        {"variant": "without a half", "what": "gain", "metric": "balanced_accuracy", "value": -8.9},
    ]
    made = tuple(PublishedNumber.model_validate({**NUMBER, **number}) for number in numbers)
    monkeypatch.setattr(registry, "_ours", lambda: made)
    parts = ["transfers", "ablations"]
    found = reproduce("test-scripted", tmp_path, windows=windows, seeds=(0, 1), parts=parts)
    assert found.ok
    assert found.head["transfers"]["SEED"]["unknown"][-1].startswith("pre-trained without DEAP")
    rows = found.transfers.set_index(["side", "method"])
    name = "test-scripted (released)"
    assert [label for side, label in rows.index if side == "strict"] == [
        "test-scripted (strict)",
        "test-scripted (strict), half",
    ]
    # Six test trials of a subject, two of a class, one of which is answered rightly: of 24
    # windows 12; the wrong answer is the next class, so that all classes are guessed as often.
    half = rows.loc[("published", f"{name}, half")]
    assert half["pooled_balanced_accuracy"] == pytest.approx(0.5)
    assert half["pooled_kappa"] == pytest.approx((0.5 - 1 / 3) / (1 - 1 / 3))
    assert half["pooled_weighted_f1"] == pytest.approx(0.5)
    assert half["pooled_kappa_sd"] == 0.0
    none = rows.loc[("published", name)]
    assert (none["pooled_balanced_accuracy"], none["pooled_kappa"]) == (0.0, pytest.approx(-0.5))
    # Simulated: nothing stands beside it.
    assert set(rows["published"]) == {NOT_AVAILABLE}
    for row in found.rows:
        for cell in row.result.cells if row.result is not None else ():
            cell.meta["simulated"] = False
    real = Reproduction(found.run, found.head, found.rows)
    rows = real.transfers.set_index(["side", "method"])
    assert rows.loc[("published", f"{name}, half"), "published_kappa"] == "12.00"
    assert rows.loc[("published", f"{name}, half"), "published_balanced_accuracy"] == "34.50"
    assert rows.loc[("published", f"{name}, half"), "published_weighted_f1"] == NOT_AVAILABLE
    assert rows.loc[("published", name), "published"] == "56.70 (balanced accuracy)"
    assert rows.loc[("published", "test-scripted (strict)"), "published"] == NOT_AVAILABLE
    assert set(rows.loc["strict", "published"]) == {NOT_AVAILABLE}
    ablations = real.ablations.set_index("label")
    assert ablations.loc["half right", "published"] == "-8.90 points"
    assert ablations.loc["half right", "difference"] == pytest.approx(0.5)
    assert [apart for number, apart in real.around() if number.variant == "a half"] == [[], []]
    page = write_page(real, tmp_path / "page.html").read_text(encoding="utf-8")
    for words in ("50.0 ± 0.0", "34.50", "-8.90 points", "over all test windows"):
        assert words in page


def test_arms_and_sweeps_of_the_task_are_cells_of_their_own(
    pooled: Experiment, windows: Any, tmp_path: Any
) -> None:
    found = reproduce(
        "test-scripted", tmp_path, windows=windows, quick=True, parts=["sweeps", "waterfall"]
    )
    sweep = found.sweeps
    assert sweep["base"].tolist() == [True, False]
    assert sweep["value"].tolist() == ["last", "oracle"]
    assert np.isfinite(sweep["score"]).all()
    chain = found.waterfall[found.waterfall["role"].isin(["start", "chain"])]
    steps = ["", "subject overlap", "stimulus overlap", "settings: strict"]
    assert chain["step"].tolist() == steps
    assert chain["protocol"].iloc[1] == "pretrain-finetune (trials:3/0/12, other subjects)"
    again = load_reproduction(found.run)
    assert again.waterfall.equals(found.waterfall)
    page = write_page(found, tmp_path / "page.html").read_text(encoding="utf-8")
    assert "no subject overlap" in page


def test_a_waterfall_of_an_own_plan_keeps_people_apart(windows: Any, tmp_path: Any) -> None:
    from affectrum.benchmark import Plan
    from affectrum.reproduce import waterfall

    task = {
        "source": "SEED-IV",
        "target": "SEED",
        "protocol": "pretrain-finetune",
        "split": "trials:6/3/6",
        "selection": "validation",
        "scaling": "none",
        "scaler": "none",
    }
    plan = Plan.from_dict({"tasks": [task], "methods": ["test-scripted"]})
    found = waterfall(plan, tmp_path, windows=windows)
    chain = found.waterfall[found.waterfall["role"] == "chain"]
    # Nothing is scaled, and weights are chosen on whole trials already.
    assert chain["step"].tolist() == ["subject overlap", "stimulus overlap"]
    assert set(chain["selection"]) == {"validation"}
    wide = Plan.from_dict({"tasks": [{**task, "split": None}], "methods": ["test-scripted"]})
    with pytest.raises(ConfigError, match="seed-sessions"):
        waterfall(wide, tmp_path, windows=windows)
