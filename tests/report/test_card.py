"""The section of controls on the page."""

from __future__ import annotations

from pathlib import Path

import pytest

from affectrum.benchmark import load_record, run_plan
from affectrum.report import write_report
from affectrum.report.card import build_cards
from affectrum.report.results import group_results

from .conftest import _helpers  # type: ignore[import-not-found]  # isort: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    helpers = _helpers()
    folder = tmp_path_factory.mktemp("controls")
    svm = {"name": "svm", "overrides": {"calibrate": False}}
    with helpers.registered():
        plan = helpers.make_plan(methods=[svm, "position"], seeds=[0], controls=True)
        report = run_plan(plan, folder, windows=helpers.make_parts())
    # tiny windows of 4 electrodes and no band above 30 Hz: two controls can't exist
    assert {cell.control for cell, _ in report.refused} == {"muscle-probe", "film-probe"}
    assert not report.failed
    return folder


def test_the_page_shows_each_score_beside_its_controls(run, tmp_path):
    tasks = group_results(load_record(run))
    section = build_cards(run, tasks, simulated=True)
    headings = [b["text"] for b in section.blocks if b["kind"] == "heading"]
    assert len(headings) == 1  # position has no controls of its own
    assert headings[0].endswith("svm [calibration]")
    (sentences,) = [b["entries"] for b in section.blocks if b["kind"] == "list"]
    text = " ".join(sentences)
    for words in ("permuted by trial", "dealt to clips", "linear SVM on the same calibration"):
        assert words in text
    assert "Time to the nearest training trial" in text
    notes = [b["text"] for b in section.blocks if b["kind"] == "text"]
    assert "muscle activity" in notes[-1]
    page = write_report(run, tmp_path / "page.html").read_text(encoding="utf-8")
    assert "What did it decode?" in page
    assert "SIMULATED" in page


def test_controls_stay_out_of_the_tables_of_scores(run):
    (task,) = group_results(load_record(run))
    assert [method.label for method in task.methods] == [
        "svm [calibration]",
        "position [calibration]",
    ]


def test_a_run_without_controls_has_no_section(plain_run):
    tasks = group_results(load_record(plain_run))
    assert not build_cards(plain_run, tasks, simulated=False).blocks
