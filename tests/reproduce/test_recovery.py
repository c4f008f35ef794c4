"""The recovery study: its corpora, its wrong table, resuming, and statistics on planted results."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_1samp

from affectrum.cli.app import main
from affectrum.errors import ConfigError, StoreError
from affectrum.reproduce.recovery import (
    RecoveryCell,
    draw_corpora,
    load_recovery,
    loss_bounds,
    pretraining_losses,
    run_recovery,
    write_recovery,
    wrong_places,
)
from affectrum.reproduce.recovery import run as running
from affectrum.reproduce.recovery.arms import ArmResult, plane_of
from affectrum.reproduce.recovery.data import linear_accuracy, source_words
from affectrum.reproduce.recovery.diagnosis import drawn_words, soft_bounds
from affectrum.reproduce.recovery.page import finding, gains_markdown, state
from affectrum.reproduce.recovery.plan import make_plan
from affectrum.reproduce.recovery.results import Recovery, mean_test

ARMS = ("scratch", "right", "wrong", "instance")


@pytest.fixture(scope="module")
def draws():
    plan = make_plan(quick=True)
    return plan, {level: draw_corpora(plan, level, 0) for level in plan.levels}


def test_target_is_split_by_people_and_clips(draws) -> None:
    plan, found = draws
    for draw in found.values():
        train, test = draw.train.table, draw.test.table
        assert not set(train["subject"]) & set(test["subject"])
        assert not set(train["clip"]) & set(test["clip"])
        assert set(draw.y_train) == set(draw.y_test) == {0, 1, 2}
        words = {"negative": {"sadness", "disgust", "fear"}, "neutral": {"neutral"}}
        for code, name in enumerate(draw.classes):
            mine = set(test["emotion"][draw.y_test == code])
            assert mine <= words.get(name, {"joy", "tenderness", "inspiration"})
        assert plan.target not in {part.corpus for part in draw.sources}
        assert draw.train.simulated
        assert all(part.simulated for part in draw.sources)


def test_levels_differ_in_the_effect_only(draws) -> None:
    _, found = draws
    low, high = (found[level] for level in sorted(found))
    columns = ["subject", "session", "row", "clip", "emotion", "window"]
    pd.testing.assert_frame_equal(low.test.table[columns], high.test.table[columns])
    # The same noise: signals are alike, though not the same.
    first, second = low.test.x.reshape(len(low.test), -1), high.test.x.reshape(len(high.test), -1)
    alike = [np.corrcoef(a, b)[0, 1] for a, b in zip(first, second, strict=True)]
    assert np.median(alike) > 0.5
    assert not np.array_equal(first, second)


def test_windows_are_volts_of_one_length(draws) -> None:
    plan, found = draws
    windows = found[0.0].sources[0]
    assert windows.shape[1:] == (32, round(plan.window_seconds * plan.sfreq))
    assert 1e-6 < windows.x.std() < 1e-4


def test_wrong_table_against_all_deals() -> None:
    places = {"a": (0.0, 0.0), "b": (0.1, 0.0), "c": (1.0, 0.0), "d": (0.0, 1.0), "A": (0.0, 0.0)}
    found = wrong_places(places, ["d", "c", "b", "a", "A", "unknown"])
    assert set(found) == {"a", "b", "c", "d", "A"}
    assert found["a"] == found["A"]  # what shared a place still does
    assert sorted(set(found.values())) == sorted(set(places.values()))
    assert all(found[word] != places[word] for word in found)

    def agreement(deal) -> float:
        pairs = list(itertools.combinations("abcd", 2))
        right = [np.hypot(*np.subtract(places[x], places[y])) for x, y in pairs]
        moved = [np.hypot(*np.subtract(deal[x], deal[y])) for x, y in pairs]
        return float(np.corrcoef(right, moved)[0, 1])

    deals = [
        dict(zip("abcd", (places[w] for w in order), strict=True))
        for order in itertools.permutations("abcd")
        if all(x != y for x, y in zip(order, "abcd", strict=True))
    ]
    assert agreement(found) == pytest.approx(min(map(agreement, deals)))
    with pytest.raises(ConfigError, match="needs three"):
        wrong_places(places, ["a", "A", "b"])


def test_arms_differ_in_pretraining_only(draws) -> None:
    plan, found = draws
    part = found[0.0].sources[1]  # FACED's words
    words = {str(word) for windows in found[0.0].sources for word in windows.table["emotion"]}
    va, configs = {}, {}
    for arm in ARMS:
        cell = RecoveryCell(plan, 0.0, 0, arm)
        va[arm], configs[arm] = plane_of(cell, part, words), cell.config.model_dump()
    assert np.isnan(va["scratch"]).all()
    assert np.isnan(va["instance"]).all()
    by_word = pd.DataFrame(va["right"]).groupby(part.table["emotion"].to_numpy()).nunique()
    assert (by_word == 1).all().all()
    assert not np.allclose(va["right"], va["wrong"], equal_nan=True)
    for arm in ARMS[1:]:
        changed = {k for k, value in configs[arm].items() if value != configs["scratch"][k]}
        assert changed <= {"pretraining", "objective"}


def test_bounds_of_the_loss() -> None:
    # Two places beyond reach of each other: all weight is on the own side's others.
    va = np.repeat([[-1.0, 0.0], [1.0, 0.0]], 5, axis=0)
    assert soft_bounds(va, 5.0) == pytest.approx((np.log(9), np.log(4)))
    # One place: nothing to tell apart.
    blind, floor = soft_bounds(np.zeros((10, 2)), 5.0)
    assert blind == pytest.approx(floor)
    # By hand: (0, 0), (1, 0) and (0, 2) on -4..4, so weights 0.8, 0.6 and 1 - sqrt(5) / 5.
    w = {(0, 1): 0.8, (0, 2): 0.6, (1, 2): 1 - np.sqrt(5) / 5}
    rows = [[w[0, 1], w[0, 2]], [w[0, 1], w[1, 2]], [w[0, 2], w[1, 2]]]
    entropies = [-sum(x / sum(row) * np.log(x / sum(row)) for x in row) for row in rows]
    _, floor = soft_bounds(np.array([[0, 0], [1, 0], [0, 2]]) / 4, 5.0)
    assert floor == pytest.approx(np.mean(entropies))


def test_loss_leaves_less_room_where_places_are_near() -> None:
    plan = make_plan()
    right, wrong, views = (loss_bounds(plan, arm) for arm in ("right", "wrong", "instance"))
    wide = loss_bounds(plan.model_copy(update={"table": "warriner"}), "right")
    assert right[0] == wrong[0] == wide[0] == pytest.approx(np.log(35))
    assert views == (pytest.approx(np.log(71)), 0.0)
    # The numbers of docs/recovery.md.
    near = loss_bounds(plan, "narrow")
    rooms = [blind - floor for blind, floor in (right, wide, near)]
    assert rooms == pytest.approx([0.096, 0.508, 0.94], abs=0.005)


def test_words_are_those_of_the_windows(draws) -> None:
    plan, found = draws
    for words, part in zip(source_words(plan), found[0.0].sources, strict=True):
        assert words == part.table["emotion"].tolist()


def test_digests_follow_what_changes_numbers() -> None:
    plan = make_plan()
    cells = list(plan.cells())
    assert len({cell.digest for cell in cells}) == len(cells) == 100
    assert [cells[0].level, cells[3].level] == [1.0, 0.0]  # the middle and zero first
    assert [cell.arm for cell in cells[30:40]] == ["instance"] * 10
    fewer = make_plan(levels=(1.0,), seeds=(0,), arms=("right",))
    (cell,) = fewer.cells()
    assert cell.digest in {other.digest for other in cells}

    def digest(arm: str, **changes: object) -> str:
        return RecoveryCell(plan.model_copy(update=changes), 1.0, 0, arm).digest

    assert digest("right") != digest("right", pretrain_steps=7)
    assert digest("scratch") == digest("scratch", pretrain_steps=7)
    assert digest("instance") == digest("instance", table="emod")
    assert digest("right") != digest("right", table="emod")
    assert digest("right") == digest("right", narrow_distance=1.0)
    assert digest("narrow") != digest("narrow", narrow_distance=1.0)
    # defaults of the network are part of it, and what an arm does not use is not
    plain = plan.network
    assert digest("right") == digest("right", network={**plain, "temperature": 0.07})
    assert digest("right") != digest("right", network={**plain, "temperature": 0.1})
    assert digest("scratch") == digest("scratch", network={**plain, "temperature": 0.1})
    assert digest("scratch") != digest("scratch", network={**plain, "label_smoothing": 0.0})
    assert digest("right") != digest("right", batches="words")
    assert digest("scratch") == digest("scratch", batches="words")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"arms": ("not-an-arm",)}, "unknown arms"),
        ({"levels": (1.0, 1.0)}, "twice"),
        ({"seeds": (-1,)}, "negative"),
        ({"levels": ()}, "at least 1"),
    ],
)
def test_refused_plans(changes, words) -> None:
    with pytest.raises(ConfigError, match=words):
        make_plan(**changes)


def _planted(monkeypatch, gain, noise: float = 0.3):
    """Put results whose truth is known in the place of the arms: gain of `right` by level."""

    def fake(cell, draw, tell=None):
        key = [round(100 * cell.level), cell.seed, ARMS.index(cell.arm)]
        rng = np.random.default_rng(key)
        scores = noise * rng.random((len(draw.y_test), 3))
        known = rng.random(len(draw.y_test)) < 0.4 + (
            gain(cell.level) if cell.arm == "right" else 0.0
        )
        shift = np.where(known, 0, rng.integers(3, size=len(known)))
        scores[np.arange(len(known)), (draw.y_test + shift) % 3] += 1
        return ArmResult({"finetuned": scores, "probe": scores[:, ::-1]}, {"pretraining_loss": []})

    monkeypatch.setattr(running, "run_arm", fake)


@pytest.fixture(scope="module")
def cached_draws():
    """Draw corpora once for all tests of the runner; target only, since nothing is trained."""
    known: dict[tuple[float, int], object] = {}

    def draw(plan, level, seed, *, sources=True):
        key = (level, seed)
        if key not in known:
            known[key] = draw_corpora(plan, level, seed, sources=False)
        return known[key]

    return draw


def _plan():
    changes = {"levels": (0.0, 1.0, 4.0), "seeds": (0, 1, 2), "test_subjects": 4}
    return make_plan(quick=True).model_copy(update=changes)


def test_resumes_after_a_kill(tmp_path: Path, monkeypatch, cached_draws) -> None:
    monkeypatch.setattr(running, "draw_corpora", cached_draws)
    _planted(monkeypatch, lambda level: 0.0)
    plan = _plan()
    real, calls = running.run_arm, []

    def killed(cell, draw, tell=None):
        calls.append(str(cell))
        if len(calls) == 6:
            raise KeyboardInterrupt
        return real(cell, draw, tell)

    monkeypatch.setattr(running, "run_arm", killed)
    with pytest.raises(KeyboardInterrupt):
        run_recovery(plan, tmp_path / "a")
    found = load_recovery(tmp_path / "a")
    assert len(found.cells) == 5
    assert len(found.missing) == 31
    assert "5 of 36" in state(found)
    (tmp_path / "a" / "cells" / ".half.tmp").mkdir()  # what a kill leaves behind
    assert len(run_recovery(plan, tmp_path / "a", max_cells=2)) == 29
    assert run_recovery(plan, tmp_path / "a") == []
    assert len(calls) == len(set(calls)) + 1 == 37  # only the killed cell twice
    run_recovery(plan, tmp_path / "b")
    for cell in plan.cells():
        one, other = (
            (tmp_path / name / "cells" / cell.digest / "predictions.npz").read_bytes()
            for name in "ab"
        )
        assert one == other
    assert run_recovery(plan, tmp_path / "a") == []


def test_a_folder_keeps_its_study(tmp_path: Path, monkeypatch, cached_draws) -> None:
    """Fewer levels or arms would be fewer tests, and the same p would suddenly be enough."""
    monkeypatch.setattr(running, "draw_corpora", cached_draws)
    _planted(monkeypatch, lambda level: 0.0)
    run_recovery(_plan(), tmp_path, max_cells=3)
    other = _plan().model_copy(update={"levels": (0.0,), "table": "emod"})
    with pytest.raises(ConfigError, match="other levels, table"):
        run_recovery(other, tmp_path)
    assert len(load_recovery(tmp_path).cells) == 3
    run_recovery(other, tmp_path, max_cells=0, replan=True)
    assert load_recovery(tmp_path).plan == other


def test_interim_results_support_nothing(tmp_path: Path, monkeypatch, cached_draws) -> None:
    monkeypatch.setattr(running, "draw_corpora", cached_draws)
    _planted(monkeypatch, lambda level: 0.45)
    plan = _plan().model_copy(update={"levels": (1.0,), "arms": ("scratch", "right")})
    run_recovery(plan, tmp_path)
    done = load_recovery(tmp_path)
    more = plan.model_copy(update={"seeds": (0, 1, 2, 3)})
    run_recovery(more, tmp_path, max_cells=0, replan=True)
    interim = load_recovery(tmp_path)
    assert done.gains()["supported"].tolist() == [True]
    assert interim.gains()["supported"].tolist() == [False]
    assert interim.gains()["p_holm"].tolist() == done.gains()["p_holm"].tolist()
    assert "is interim" in state(interim)


def test_words_that_are_drawn() -> None:
    """FACED's places fill three regions, and one of them is neutral's alone."""
    plan = make_plan()
    right, wrong = drawn_words(plan, "right"), drawn_words(plan, "wrong")
    # regions 1, 3, 4 of nine: the turns of 5, 6, 7, 8, 0 and 1 fall to region 1
    assert right["neutral"] == pytest.approx(6 / 9, abs=0.02)
    assert wrong["neutral"] < 0.1
    assert "surprise" not in right
    assert "surprise" in drawn_words(plan, "instance")
    alike = plan.model_copy(update={"batches": "words"})
    shares = drawn_words(alike, "right")
    assert shares == drawn_words(alike, "wrong") == drawn_words(alike, "instance")
    assert set(shares) == set(right)
    assert max(shares.values()) < 0.35
    assert sum(shares.values()) == pytest.approx(1)


def test_finds_a_planted_gain_and_no_other(tmp_path: Path, monkeypatch, cached_draws) -> None:
    monkeypatch.setattr(running, "draw_corpora", cached_draws)
    _planted(monkeypatch, lambda level: 0.45 if level == 1.0 else 0.0)
    run_recovery(_plan(), tmp_path)
    found = load_recovery(tmp_path)
    gains = found.gains().set_index(["level", "first", "second"]).sort_index()
    middle = gains.loc[(1.0, "right", "scratch")]
    assert middle["difference"] == pytest.approx(0.3, abs=0.12)  # two thirds of 0.45
    # Only what is right can be supported, and intervals hold the truth.
    assert not gains.loc[[0.0, 4.0], "supported"].any()
    assert not gains.xs(("wrong", "scratch"), level=("first", "second"))["supported"].any()
    truth = np.where(gains.index.get_level_values("first") == "right", 0.3, 0.0)
    truth[gains.index.get_level_values("level") != 1.0] = 0.0
    inside = (gains["low"] <= truth) & (truth <= gains["high"])
    assert inside.mean() >= 0.8
    # p is the larger of both, and each is what its definition says.
    gaps = [
        found.score(1.0, s, "right", "finetuned") - found.score(1.0, s, "scratch", "finetuned")
        for s in (0, 1, 2)
    ]
    assert middle["p_seeds"] == pytest.approx(ttest_1samp(gaps, 0.0).pvalue)
    assert (gains["p_value"] >= gains[["p_people", "p_seeds"]].max(axis=1) - 1e-12).all()
    claims = gains[gains["claim"]]
    assert len(claims) == 9
    assert (claims["p_holm"] >= claims["p_value"]).all()
    shape = found.shape().set_index(["first", "second", "end"]).sort_index()
    assert (shape.loc[("right", "scratch"), "difference"] > 0.1).all()
    said = finding(found)
    assert len(said) == 9
    assert "right table" in said[0]


def test_a_sure_loss_is_told_as_one() -> None:
    """The tests have two sides, so what is supported may be the opposite of the claim."""
    gains = pd.DataFrame(
        {
            "level": [0.0, 1.0, 4.0],
            "first": "right",
            "second": "scratch",
            "difference": [0.0, -0.2, 0.1],
            "low": [-0.1, -0.3, 0.05],
            "high": [0.1, -0.1, 0.15],
            "p_value": [1.0, 0.001, 0.001],
            "supported": [False, True, True],
            "claim": True,
        }
    )

    def said(rows: pd.DataFrame) -> str:
        found = SimpleNamespace(gains=lambda _: rows, shape=lambda _: pd.DataFrame())
        return finding(found)[0]

    assert (
        "supported at effect 4, of the 3 levels tested; the opposite is supported at effect 1;"
        in said(gains)
    )
    assert (
        "supported at none of the 2 levels tested; the opposite is supported at effect 1;"
        in said(gains[:2])
    )
    assert "opposite" not in said(gains[[True, False, True]])


def test_a_score_by_hand(tmp_path: Path, monkeypatch, cached_draws) -> None:
    monkeypatch.setattr(running, "draw_corpora", cached_draws)
    _planted(monkeypatch, lambda level: 0.0)
    plan = _plan().model_copy(update={"levels": (0.0,), "seeds": (0,), "arms": ("right",)})
    run_recovery(plan, tmp_path)
    found = load_recovery(tmp_path)
    rows = found.cells[0.0, 0, "right"]["finetuned"]
    recalls = [
        np.mean([np.mean((rows.y_pred == c)[mine & (rows.y_true == c)]) for c in range(3)])
        for mine in (rows.subject == s for s in range(4))
    ]
    assert found.score(0.0, 0, "right", "finetuned") == pytest.approx(np.mean(recalls))
    assert found.gains().empty
    assert found.shape().empty


def test_unfinished_studies_are_shown_as_such(tmp_path: Path, monkeypatch, cached_draws) -> None:
    monkeypatch.setattr(running, "draw_corpora", cached_draws)
    _planted(monkeypatch, lambda level: 0.0)
    with pytest.raises(StoreError, match="not the plan"):
        load_recovery(tmp_path)
    run_recovery(_plan(), tmp_path, max_cells=0)
    with pytest.raises(StoreError, match="nothing to show"):
        write_recovery(load_recovery(tmp_path), tmp_path)
    run_recovery(_plan(), tmp_path, max_cells=4)
    found = load_recovery(tmp_path)
    assert found.gains()["p_value"].isna().all()
    run_recovery(_plan(), tmp_path, max_cells=5)
    found = load_recovery(tmp_path)
    gains = found.gains()
    gains = gains[gains["claim"] & gains["p_value"].notna()].sort_values("p_value")
    # Two can be tested; nine are planned, and the correction is for nine.
    first, second = gains["p_value"]
    corrected = [min(1.0, 9 * first), min(1.0, max(9 * first, 8 * second))]
    assert gains["p_holm"].tolist() == pytest.approx(corrected)
    page = write_recovery(found, tmp_path).read_text()
    for words in ("9 of 36 cells", "not tested", "SIMULATED", "claim nothing about people"):
        assert words in page
    assert (tmp_path / "recovery.png").stat().st_size > 5000
    assert "| effect | arm |" in (tmp_path / "recovery.md").read_text()
    short = gains_markdown(found)
    assert short.startswith("**Simulated.** 9 of 36 cells")
    n_gains = sum(len(found.gains(readout)) for readout in ("finetuned", "probe"))
    assert sum(" − " in line for line in short.splitlines()) == n_gains
    (cell, *_) = _plan().cells()
    result = tmp_path / "cells" / cell.digest / "predictions.npz"
    result.write_bytes(result.read_bytes()[:-3])
    with pytest.raises(StoreError, match="manifest"):
        load_recovery(tmp_path)


def test_replicates_pool_as_other_people_and_clips(tmp_path, monkeypatch, cached_draws) -> None:
    monkeypatch.setattr(running, "draw_corpora", cached_draws)
    _planted(monkeypatch, lambda level: 0.0)
    plan = _plan().model_copy(update={"levels": (0.0,)})
    run_recovery(plan, tmp_path)
    found: Recovery = load_recovery(tmp_path)
    one = found.pooled(0.0, "right", "finetuned", [0])
    all_of_them = found.pooled(0.0, "right", "finetuned", [0, 1, 2])
    assert all_of_them.subject.max() + 1 == 3 * (one.subject.max() + 1)
    assert all_of_them.clip.max() + 1 == 3 * (one.clip.max() + 1)


def test_mean_of_replicates() -> None:
    values = [0.01, 0.05, -0.02, 0.03, 0.04]
    test = mean_test(values)
    reference = ttest_1samp(values, 0.0)
    low, high = reference.confidence_interval(0.95)
    assert test["p"] == pytest.approx(reference.pvalue)
    assert (test["low"], test["high"]) == pytest.approx((low, high))
    assert np.isnan(mean_test([0.1])["p"])
    assert np.isnan(mean_test([0.1, 0.1])["p"])
    assert mean_test([0.0, 0.0])["p"] == 1.0


@pytest.mark.slow
def test_command(tmp_path: Path, capsys) -> None:
    words = [
        "recovery",
        "--quick",
        "--out",
        str(tmp_path),
        "--seeds",
        "1",
        "--quiet",
        "--workers",
        "2",
    ]
    assert main([*words, "--levels", "0", "--cells", "0"]) == 1
    assert main([*words, "--levels", "0"]) == 0
    assert "says nothing about people" in capsys.readouterr().out
    found = load_recovery(tmp_path)
    assert not found.missing
    for facts in found.meta.values():
        assert facts["simulated"] is True
        assert bool(facts["pretraining_loss"]) == (facts["arm"] != "scratch")
    losses = pretraining_losses(found)
    assert list(losses["arm"]) == ["right", "wrong", "instance"]
    assert (losses["first"] > losses["floor"]).all()
    assert json.loads((tmp_path / "recovery.json").read_text())["levels"] == [0.0]


@pytest.mark.slow
def test_dial_goes_from_chance_to_ceiling() -> None:
    """Read band power linearly, on twins of other seeds than the study's: no network is asked."""
    plan = make_plan()
    found = [linear_accuracy(draw_corpora(plan, level, 100, sources=False)) for level in (0, 1, 8)]
    assert found[0] < 0.45 < found[1] < 0.75 < 0.85 < found[2]
