from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def test_it_says_what_it_needs(call: Callable[..., Any], tmp_path: Path) -> None:
    neither = call("reproduce", "scmm", "--out", tmp_path)
    assert neither.code == 1
    assert "--corpora" in neither.err
    assert "--twins" in neither.err
    both = call("reproduce", "scmm", "--twins", "--corpora", tmp_path / "c.yaml")
    assert both.code == 1
    unknown = call("reproduce", "scm", "--twins", "--out", tmp_path)
    assert unknown.code == 1
    assert "Did you mean 'scmm'" in unknown.err
    missing = call("reproduce", "scmm", "--corpora", tmp_path / "c.yaml", "--out", tmp_path)
    assert missing.code == 1
    assert "c.yaml" in missing.err
    assert not list(tmp_path.iterdir())


def test_transfers_without_their_corpora_are_refused(
    call: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "corpora.yaml").write_text("MPED: here\n", encoding="utf-8")
    found = call("reproduce", "scmm", "--corpora", tmp_path / "corpora.yaml", "--quiet")
    assert found.code == 1
    assert "SEED-IV->SEED lacks SEED-IV, SEED" in found.err
    twins = call("reproduce", "scmm", "--twins", "--transfers", "SEED->MPED", "--out", tmp_path)
    assert twins.code == 1
    assert "no transfer 'SEED->MPED'" in twins.err


@pytest.mark.slow
def test_a_waterfall_on_own_folders_ends_in_a_page(
    call: Callable[..., Any], tmp_path: Path, twin_seed: Path, twin_seed_iv: Path
) -> None:
    from affectrum.benchmark import load_plan
    from affectrum.reproduce import load_reproduction

    paths = tmp_path / "corpora.yaml"
    paths.write_text(f"SEED: {twin_seed}\nSEED-IV: {twin_seed_iv}\n", encoding="utf-8")
    out = tmp_path / "out"
    words = ["reproduce", "scmm", "--corpora", paths, "--quick", "--quiet", "--out", out]
    words += ["--parts", "waterfall", "--transfers", "SEED-IV->SEED"]
    found = call(*words)
    assert found.code == 0
    assert "SIMULATED" in found.out
    page = (out / "reproduction.html").read_text(encoding="utf-8")
    assert "Simulated data" in page
    assert "no reproduction of numbers" in page

    result = load_reproduction(out / "run")
    rows = result.waterfall
    chain = rows[rows["role"].isin(["start", "chain"])]
    # These folders hold no shipped features, and SEED-IV's films are not known.
    assert chain["step"].tolist() == [
        "",
        "oracle selection",
        "scaling access",
        "stimulus overlap",
        "reference and bands",
        "settings: paper",
        "settings: strict",
    ]
    told = dict(result.head["skipped"]["SEED-IV->SEED"])
    assert "shipped features" in told
    assert chain["score"].between(0, 1).all()
    assert chain["difference"].iloc[1] <= 0
    total = chain["score"].iloc[-1] - chain["score"].iloc[0]
    assert chain["difference"].sum() == pytest.approx(total, abs=1e-9)
    assert "transductive" in chain["protocol"].iloc[1]
    assert "transductive" not in chain["protocol"].iloc[2]
    assert chain["protocol"].iloc[3].endswith("(clip-disjoint)")

    # The plan is a file like any other one, and what is done is kept.
    plan = load_plan(out / "plan.yaml")
    assert len(plan.tasks) > 5
    done = call("plan", out / "plan.yaml", "--out", out / "run", "--json")
    assert {row["state"] for row in json.loads(done.out)} == {"done"}
    before = sorted(path.name for path in (out / "run" / "cells").iterdir())
    assert call(*words).code == 0
    assert sorted(path.name for path in (out / "run" / "cells").iterdir()) == before


@pytest.mark.slow
def test_emod_on_tiny_twins(call: Callable[..., Any], tmp_path: Path) -> None:
    """Two corpora to pre-train on, of other electrodes, rates and kinds of labels."""
    from affectrum.reproduce import load_reproduction
    from affectrum.twins import write_twin

    lines = []
    for corpus in ("AMIGOS", "SEED-IV", "SEED-V"):
        folder = write_twin(corpus, tmp_path / corpus, subjects=3, sessions=1, trial_seconds=5.0)
        lines.append(f"{corpus}: {folder}\n")
    paths = tmp_path / "corpora.yaml"
    paths.write_text("".join(lines), encoding="utf-8")
    words = ["reproduce", "emod", "--corpora", paths, "--quick", "--quiet", "--out", tmp_path / "o"]
    found = call(*words, "--transfers", "SEED-V", "--parts", "transfers")
    assert found.code == 0, found.err
    assert "over all test windows (SIMULATED)" in found.out
    page = (tmp_path / "o" / "reproduction.html").read_text(encoding="utf-8")
    assert "pre-trained without" in page
    assert "no reproduction of numbers" in page
    assert "ours is of simulated signals" in page
    result = load_reproduction(tmp_path / "o" / "run")
    rows = result.transfers
    assert len(rows) == 7 + 3
    assert set(rows["published"]) == {"not available"}
    names = ["pooled_balanced_accuracy", "score", "chance"]
    assert rows[names].apply(lambda column: column.between(0, 1)).all(axis=None)
    assert set(rows["protocol"]) == {
        "pretrain-finetune (seed-v-trials)",
        "pretrain-finetune (leave-one-subject-out, clip-disjoint)",
    }
    # The same weights served both protocols and every fold.
    metas = [row.meta for row in result.rows if "from scratch" not in row.label]
    assert {len(meta["source"]) for meta in metas} == {2}
