"""The page of a run: whole, self-contained, and with the record's own figures."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from affectrum.benchmark import load_record, score_table
from affectrum.errors import StoreError
from affectrum.evaluation import score_predictions
from affectrum.report import page as page_module
from affectrum.report import write_report

EVIL = "<script>alert('x')</script> & co"
VOID = {"meta", "br", "img", "hr", "link", "input", "use", "col"}


class Reader(HTMLParser):
    """Collects what a browser would load, ids, and tags that don't close."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.ids: list[str] = []
        self.anchors: list[str] = []
        self.tags: list[str] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self._open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(str(value))
            if name == "href" and str(value).startswith("#"):
                self.anchors.append(str(value)[1:])
            elif name in ("src", "href", "srcset", "data", "xlink:href", "action"):
                self.loads.append(str(value))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] not in ("style", "script"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())


@pytest.fixture(scope="session")
def full_page(full_run: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("page") / "report.html"
    assert write_report(full_run, out) == out
    return out.read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def plain_page(plain_run: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("page") / "report.html"
    return write_report(plain_run, out).read_text(encoding="utf-8")


@pytest.mark.parametrize("which", ["full_page", "plain_page"])
def test_the_page_needs_nothing_beside_it(which: str, request) -> None:
    text = request.getfixturevalue(which)
    reader = Reader(text)
    assert all(
        address.startswith(("data:", "#")) for address in reader.loads
    ), reader.loads  # fmt: skip
    assert "script" not in reader.tags
    assert "link" not in reader.tags
    assert "iframe" not in reader.tags
    assert not re.search(r"@import|url\((?!#|data:)", text)
    assert len(reader.ids) == len(set(reader.ids))
    assert set(reader.anchors) <= set(reader.ids)
    assert '<meta name="viewport"' in text
    assert "@media print" in text
    # each figure has a description for readers who don't see it
    labels = re.findall(r'<figure role="img" aria-label="([^"]*)"', text)
    assert len(labels) == reader.tags.count("figure")
    assert all(labels)


def test_every_score_is_the_record_s(plain_run: Path, plain_page: str) -> None:
    text = Reader(plain_page).text
    (row,) = score_table(plain_run).to_dict(orient="records")

    def percent(value: float) -> str:
        return f"{100 * value:.1f}"

    score, spread = percent(row["balanced_accuracy"]), percent(row["balanced_accuracy_sd"])
    assert f"{score} ± {spread}" in text
    assert f"{percent(row['interval_low'])}–{percent(row['interval_high'])}" in text
    assert f"{percent(row['chance_low'])}–{percent(row['chance_high'])}" in text
    assert percent(row["macro_f1"]) in text
    assert row["access"] in text
    assert f"{row['ece']:.3f}" in text
    trial = score_table(plain_run, level="trial").iloc[0]["balanced_accuracy"]
    assert percent(trial) in text


def test_several_seeds_are_averaged_and_their_spread_is_told(
    full_run: Path, full_page: str
) -> None:
    text = Reader(full_page).text
    cells = [
        cell
        for cell in load_record(full_run)
        if cell.meta["method"]["label"] == "test-centroid"
        and cell.meta["selection"] == "last"
        and cell.meta["calibration_trials"] == 9
    ]
    assert [cell.meta["seed"] for cell in cells] == [0, 1]
    scores = np.array(
        [score_predictions(cell.evaluable())["balanced_accuracy"].to_numpy() for cell in cells]
    )
    mean = scores.mean(axis=0)
    assert f"{100 * mean.mean():.1f} ± {100 * mean.std(ddof=1):.1f}" in text
    spread = 100 * scores.mean(axis=1).std(ddof=1)
    assert f"2 seeds, SD of the mean over seeds {spread:.1f}" in text


def test_every_method_and_task_is_there(full_run: Path, full_page: str) -> None:
    text = Reader(full_page).text
    cells = load_record(full_run)
    for cell in cells:
        assert cell.digest[:12] in text
        assert cell.meta["method"]["label"] in text
    assert "picked" in text
    assert "oracle" in text
    for title in ("Leak audit", "Learning curves", "Every subject", "Where this comes from"):
        assert title in text
    # what was refused or failed has no cell, and the page does not pretend that it has
    assert "test-needs-validation" not in text


def test_names_are_escaped(full_page: str) -> None:
    assert EVIL not in full_page
    assert html.escape(EVIL, quote=False).split("(")[0] in full_page
    assert EVIL in Reader(full_page).text
    assert f"<title>Plan {html.escape(EVIL)}</title>".replace("&#x27;", "&#39;") in full_page


def test_simulated_data_is_marked_everywhere(full_page: str) -> None:
    svgs = re.findall(r"<svg.*?</svg>", full_page, re.S)
    assert len(svgs) > 10
    assert all("<!-- SIMULATED DATA -->" in svg for svg in svgs)
    text = Reader(full_page).text
    assert "Simulated data." in text
    assert "Read no number here as a finding about people" in text


def test_real_data_is_not_marked(plain_page: str) -> None:
    assert "<svg" in plain_page
    assert "simulated" not in Reader(plain_page).text.lower()
    assert "SIMULATED DATA" not in plain_page


def test_sections_of_extras_are_there_only_with_extras(full_page: str, plain_page: str) -> None:
    for title in ("Where the features differ", "Which regions the models rely on"):
        assert title in full_page
        assert title not in plain_page
    # nor does a run without epochs have learning curves or an optimism gap
    assert 'id="optimism"' in full_page
    assert 'id="optimism"' not in plain_page


def test_no_folder_of_this_machine_is_told(full_run: Path, full_page: str) -> None:
    assert str(full_run) not in full_page
    assert str(Path.home()) + "/" not in full_page


def test_a_damaged_extra_is_named(full_run: Path, tmp_path: Path) -> None:
    run = shutil.copytree(full_run, tmp_path / "run")
    victim = sorted((run / "extras").rglob("*.npz"))[0]
    victim.write_bytes(victim.read_bytes()[:100])
    with pytest.raises(StoreError, match=re.escape(victim.name)):
        write_report(run, tmp_path / "page.html")


def test_a_run_without_its_plan_is_still_reported(plain_run: Path, tmp_path: Path) -> None:
    run = shutil.copytree(plain_run, tmp_path / "run")
    (run / "plan.json").unlink()
    text = write_report(run, tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<h1>Cross-corpus emotion recognition</h1>" in text
    for damaged in ("{", json.dumps({"other": 1})):
        (run / "plan.json").write_text(damaged)
        with pytest.raises(StoreError, match=r"plan\.json can't be read"):
            write_report(run, tmp_path / "page.html")


def test_an_empty_run_has_nothing_to_report(tmp_path: Path) -> None:
    (tmp_path / "run" / "cells").mkdir(parents=True)
    with pytest.raises(StoreError, match="nothing to report"):
        write_report(tmp_path / "run", tmp_path / "page.html")
    with pytest.raises(StoreError, match="holds no run"):
        write_report(tmp_path, tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_the_page_is_replaced_whole_or_not_at_all(
    plain_run: Path, tmp_path: Path, monkeypatch
) -> None:
    target = tmp_path / "page.html"
    target.write_text("the former page")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(page_module.os, "fsync", full)
    with pytest.raises(StoreError, match="No space left on device"):
        write_report(plain_run, target)
    assert target.read_text() == "the former page"
    assert os.listdir(tmp_path) == ["page.html"]
    monkeypatch.undo()
    write_report(plain_run, target)
    assert target.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert os.listdir(tmp_path) == ["page.html"]


def test_a_target_that_can_not_be_written_is_named(plain_run: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="--out"):
        write_report(plain_run, tmp_path / "file" / "page.html")
    (tmp_path / "folder").mkdir()
    with pytest.raises(StoreError, match="can't be written"):
        write_report(plain_run, tmp_path / "folder")
