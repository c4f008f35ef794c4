"""From an experiment to its tables and page; the scores are known beforehand."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from affectrum.benchmark import Plan
from affectrum.errors import ConfigError, StoreError
from affectrum.reproduce import load_reproduction, reproduce, waterfall, write_page
from affectrum.reproduce import published as registry
from affectrum.reproduce.experiment import Experiment
from affectrum.reproduce.published import PublishedNumber
from affectrum.reproduce.results import NOT_AVAILABLE, Reproduction


@pytest.fixture(scope="module")
def found(
    experiment: Experiment, windows: Any, tmp_path_factory: pytest.TempPathFactory
) -> Reproduction:
    """One run that several tests look at; they must not change it."""
    out = tmp_path_factory.mktemp("reproduction")
    return reproduce("test-scripted", out, windows=windows, quick=True)


def test_every_row_has_the_score_that_was_scripted(found: Reproduction) -> None:
    assert found.ok
    assert found.simulated
    rows = found.transfers.set_index(["side", "preset"])
    kinds = [("published", "released"), ("published", "strict"), ("strict", "strict")]
    assert list(rows.index) == kinds
    # The released preset's epochs answer all, half and none of the trials rightly.
    released = rows.loc[("published", "released")]
    assert (released["oracle"], released["last"], released["score"]) == (1.0, 0.0, 1.0)
    assert released["selection"] == "oracle"
    assert (released["oracle_sd"], released["last_sd"]) == (0.0, 0.0)
    strict = rows.loc[("strict", "strict")]
    assert (strict["oracle"], strict["last"], strict["score"]) == (1.0, 0.0, 0.0)
    assert strict["selection"] == "last"
    assert strict["n_subjects"] == 2
    assert strict["metric_chance"] == pytest.approx(1 / 3, abs=0.04)
    assert (rows["published"] == NOT_AVAILABLE).all()
    assert found.head["missing"] == {"DEAP->SEED": ["DEAP"]}


def test_ablations_and_sweeps_are_compared_with_what_holds_still(found: Reproduction) -> None:
    rows = found.ablations.set_index("label")
    assert list(rows.index) == ["unchanged", "half right", "same"]
    # Six test trials, two of a class, one of them in the half that is right.
    assert rows.loc["half right", "score"] == pytest.approx(0.5)
    assert rows.loc["half right", "difference"] == pytest.approx(0.5)
    assert rows.loc["same", "difference"] == 0.0
    assert np.isnan(rows.loc["unchanged", "difference"])
    # One comparison: what is the same model is no second one.
    assert rows.loc["half right", "p_holm"] == pytest.approx(
        rows.loc["half right", "p_value"], nan_ok=True
    )
    sweep = found.sweeps
    assert sweep["score"].tolist() == [0.0, 1.0]
    assert sweep["base"].tolist() == [True, False]
    assert sweep["difference"].iloc[1] == 1.0


def test_the_waterfall_says_what_each_factor_was_worth(found: Reproduction) -> None:
    rows = found.waterfall
    chain = rows[rows["role"].isin(["start", "chain"])]
    assert chain["step"].tolist() == [
        "",
        "oracle selection",
        "stimulus overlap",
        "settings: strict",
    ]
    assert chain["score"].tolist() == [1.0, 0.0, 0.0, 0.0]
    assert chain["difference"].tolist()[1:] == [-1.0, 0.0, 0.0]
    alone = rows[rows["role"] == "alone"].set_index("step")
    assert alone.loc["oracle selection", "difference"] == -1.0
    assert alone.loc["settings: strict", "difference"] == 0.0
    # Differences of the chain add up to the whole way.
    assert chain["difference"].sum() == chain["score"].iloc[-1] - chain["score"].iloc[0]


def test_the_page_says_what_is_simulated_and_what_is_not_known(
    found: Reproduction, tmp_path: Path
) -> None:
    page = write_page(found, tmp_path / "deep" / "page.html").read_text(encoding="utf-8")
    for words in (
        "Simulated data",
        "not available",
        "the colour of the cap",
        "best test epoch",
        "no folder of DEAP was given",
        "no reproduction of numbers",
        "oracle selection",
        "Nobody, nowhere",
        "Holm",
    ):
        assert words in page
    assert page.count("<svg") == 5
    assert "<script" not in page
    assert not re.search(r"(src|href)=.http", page)


def test_a_reproduction_can_be_read_again_and_goes_on(
    found: Reproduction, windows: Any, tmp_path: Path
) -> None:
    shutil.copytree(found.run, tmp_path / "run")
    again = load_reproduction(found.run)
    assert again.transfers.equals(found.transfers)
    assert again.waterfall.equals(found.waterfall)
    reports = []

    def run(plan: Plan, out: Path) -> Any:
        from affectrum.benchmark import run_plan

        reports.append(run_plan(plan, out, windows=windows))
        return reports[-1]

    options = {"quick": True, "parts": ["ablations"], "seeds": [0, 1]}
    reproduce("test-scripted", tmp_path, windows=windows, run=run, **options)
    # The first seed is kept.
    assert len(reports[0].kept) == len(reports[0].computed) > 0
    with pytest.raises(StoreError, match="no reproduction"):
        load_reproduction(tmp_path)


def test_a_published_number_stands_beside_ours_only_under_the_same_protocol(
    found: Reproduction, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = {
        "method": "Scripted",
        "our_method": "test-scripted",
        "trained_on": ["SEED-IV"],
        "target": "SEED",
        "classes": 3,
        "scheme": "valence3",
        "protocol": "cross-corpus/calibrated",
        "selection": "oracle",
        "calibration_trials": 9,
        "value": 77.0,
        "mark": "paper",
        "source": "a table of somebody",
    }
    one = PublishedNumber.model_validate(number)
    other = PublishedNumber.model_validate({**number, "value": 66.0, "selection": None})
    monkeypatch.setattr(registry, "_ours", lambda: (one, other))
    # A small budget, or simulated signals, and nothing stands beside ours.
    assert set(load_reproduction(found.run).transfers["published"]) == {NOT_AVAILABLE}
    told = [apart for _, apart in load_reproduction(found.run).around()]
    assert told[0] == ["ours is of simulated signals", "ours has a small budget"]

    def real() -> Reproduction:
        again = load_reproduction(found.run)
        again.head["quick"] = {}
        for row in again.rows:
            for cell in row.result.cells if row.result is not None else ():
                cell.meta["simulated"] = False
        return again

    rows = real().transfers
    assert rows["published"].tolist() == ["77.00 (accuracy)", "77.00 (accuracy)", NOT_AVAILABLE]
    around = real().around()
    assert [(n.value, apart) for n, apart in around] == [
        (77.0, []),
        (66.0, ["its selection is not known"]),
    ]


def test_what_is_refused_is_told_and_the_rest_is_there(
    experiment: Experiment, windows: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from affectrum.benchmark.tasks import MethodPlan
    from affectrum.reproduce import experiment as experiments

    changed = Experiment(
        **{**experiment.__dict__, "baselines": (MethodPlan(name="test-needs-validation-too"),)}
    )
    monkeypatch.setitem(experiments._REGISTERED, changed.method, changed)
    found = reproduce("test-scripted", tmp_path, windows=windows, parts=["transfers"])
    assert not found.ok
    rows = found.transfers.set_index(["side", "method"])
    refused = rows.loc[("strict", "test-needs-validation-too")]
    assert "validation" in refused["reason"]
    assert np.isnan(refused["score"])
    assert rows.loc[("strict", "test-scripted (strict)"), "score"] == 0.0
    page = write_page(found, tmp_path / "page.html").read_text(encoding="utf-8")
    assert "What could not be run" in page


def test_wrong_wishes_are_refused(experiment: Experiment, windows: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="parts"):
        reproduce("test-scripted", tmp_path, windows=windows, parts=["tables"])
    with pytest.raises(ConfigError, match="no transfer"):
        reproduce("test-scripted", tmp_path, windows=windows, transfers=["SEED->MPED"])
    with pytest.raises(ConfigError, match="lacks DEAP"):
        reproduce("test-scripted", tmp_path, windows=windows, transfers=["DEAP->SEED"])
    with pytest.raises(ConfigError, match="Give corpora"):
        reproduce("test-scripted", tmp_path)


def test_a_waterfall_of_any_plan(windows: Any, tmp_path: Path) -> None:
    plan = Plan.from_dict(
        {
            "tasks": [
                {
                    "source": "SEED-IV",
                    "target": "SEED",
                    "calibration_trials": 9,
                    "scaling": "none",
                    "scaler": "none",
                    "selection": "oracle",
                }
            ],
            "methods": [{"name": "test-scripted", "preset": "released"}],
        }
    )
    goal = {"scaling": "none", "scaler": "none"}
    found = waterfall(plan, tmp_path / "run", goal=goal, windows=windows)
    chain = found.waterfall[found.waterfall["role"] == "chain"]
    assert chain["step"].tolist() == ["oracle selection", "stimulus overlap"]
    assert chain["difference"].tolist() == [-1.0, 0.0]
    # The films of these clips are not known; told, with the level that was taken instead.
    (skipped,) = found.head["skipped"].values()
    assert skipped[0][0] == "stimulus overlap, a wider level"
    page = write_page(found, tmp_path / "page.html").read_text(encoding="utf-8")
    assert "From a published protocol to a strict one" in page
    assert page.count("<svg") == 1


def test_rows_of_an_unfinished_run_say_so(found: Reproduction, tmp_path: Path) -> None:
    run = Path(shutil.copytree(found.run, tmp_path / "run"))
    listed = json.loads((run / "reproduction.json").read_text(encoding="utf-8"))
    listed["rows"][0]["cells"] = ["0" * 32]
    (run / "reproduction.json").write_text(json.dumps(listed), encoding="utf-8")
    again = load_reproduction(run)
    assert not again.ok
    assert again.transfers["reason"].iloc[0] == "not finished"
    write_page(again, tmp_path / "page.html")
