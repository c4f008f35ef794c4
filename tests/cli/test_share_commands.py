"""affectrum run --share and --merge, and the tables of affectrum report --latex."""

from __future__ import annotations

from pathlib import Path

from affectrum.benchmark import load_record


def test_share_and_merge(call, workspace, tmp_path: Path) -> None:
    key = tmp_path / "key.txt"
    key.write_text("a secret that labs agreed on")
    file = tmp_path / "lab.zip"
    shared = call("run", "--share", file, "--share-key", key, "--out", workspace.run)
    assert shared.code == 0
    assert "6 scores and 0 controls, no signals" in shared.err
    assert "compare these results in pairs" not in shared.err
    joined = call("run", "--merge", file, "--out", tmp_path / "pool", "--json")
    assert joined.code == 0
    assert "6 new scores" in joined.err
    own = call("run", workspace.plan, "--out", workspace.run, "--quiet", "--json").json()
    pooled = joined.json()
    assert [row["method"] for row in pooled] == [row["method"] for row in own]
    for mine, theirs in zip(pooled, own, strict=True):
        assert abs(mine["balanced_accuracy"] - theirs["balanced_accuracy"]) < 1e-6
        assert mine["simulated"] is True
    assert call("audit", tmp_path / "pool").code == 0
    page = call("report", tmp_path / "pool", "--overview", "--latex", "--out", tmp_path / "p.html")
    assert page.out.splitlines() == [f"wrote {tmp_path / 'p.html'}", f"wrote {tmp_path / 'p.tex'}"]
    assert "Findings, with their evidence" in (tmp_path / "p.html").read_text(encoding="utf-8")
    assert "SIMULATED DATA" in (tmp_path / "p.tex").read_text(encoding="utf-8")


def test_a_refused_file_gives_1_and_a_reason(call, workspace, tmp_path: Path) -> None:
    bad = tmp_path / "bad.zip"
    bad.write_bytes(b"PK\x03\x04 no archive")
    good = tmp_path / "good.zip"
    told = call("run", "--share", good, "--out", workspace.run)
    assert "compare these results in pairs" in told.err
    result = call("run", "--merge", bad, good, "--out", tmp_path / "pool")
    assert result.code == 1
    assert "refused " in result.err
    assert "bad.zip" in result.err
    assert len(load_record(tmp_path / "pool")) == 6
    result = call("run", "--merge", bad, "--out", tmp_path / "none")
    assert (result.code, "No cell is finished." in result.out) == (1, True)


def test_what_can_not_be_asked_for(call, workspace, tmp_path: Path) -> None:
    file = tmp_path / "x.zip"
    for arguments in (
        ("run", "--out", tmp_path / "o"),
        ("run", "--out", tmp_path / "o", "--merge", file, "--share", file),
        ("run", workspace.plan, "--out", tmp_path / "o", "--merge", file),
    ):
        result = call(*arguments)
        assert result.code == 1
        assert "--merge" in result.err
