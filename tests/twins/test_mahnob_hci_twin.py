"""MAHNOB-HCI's twin through its reader."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import affectrum as af
from affectrum.catalog import mahnob_hci
from affectrum.twins import write_twin
from affectrum.twins.generator import TwinGenerator
from affectrum.twins.mahnob_hci import _cap, rated_trials
from affectrum.twins.settings import TwinSettings

OPTIONS = {"subjects": [9], "trial_seconds": 2.0, "seed": 3}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_twin("MAHNOB-HCI", tmp_path_factory.mktemp("x") / "MAHNOB-HCI", **OPTIONS)


@pytest.fixture(scope="module")
def generator() -> TwinGenerator:
    return TwinGenerator("MAHNOB-HCI", TwinSettings(), 3, 2.0)


def test_the_tree(folder):
    names = {path.parent.name: path.name for path in folder.rglob("*.bdf")}
    assert len(names) == 40
    assert names["1042"] == "Part_9_S_Trial1_emotion.bdf"
    assert names["1041"] == "Part_9_N_Trial1_emotion.bdf"
    texts = [path.read_text() for path in folder.rglob("session.xml")]
    assert len(texts) == 40
    assert sum("feltArsl=" in text for text in texts) == 14  # subject 9 rated 14
    assert all(re.search(r'<subject id="9"/>', text) for text in texts)


def test_the_reader_takes_it_for_the_vendors(folder):
    report = af.corpora.check_folder("MAHNOB-HCI", folder)
    assert report.usable
    assert report.found["trials"] == 14
    assert report.found["simulated"]
    warnings = [str(problem) for problem in report.of_level("warning")]
    assert len(warnings) == 1
    assert "6 sessions named _S_" in warnings[0]


def test_a_trial_is_the_generators(folder, generator):
    corpus = af.open_corpus("MAHNOB-HCI", folder)
    assert set(corpus.trials["row"]) == set(rated_trials(generator, 9))
    order = generator.presentation(9, 1)
    assert order != tuple(range(1, 21))
    for position in (0, 13):
        trial = corpus.trials.iloc[position]
        row = order[trial["row"] - 1]
        assert trial["clip"] == "MAHNOB-HCI/" + list(mahnob_hci.MEDIA)[row - 1]
        expected = generator.trial(9, 1, row, _cap(generator)).x[:, :-1]
        before, x = corpus.read_baseline(trial), corpus.read(trial)
        assert before.shape[1] == 30 * 256
        whole = np.concatenate([before, x], axis=1) * 1e6
        offset = (whole - expected).mean(axis=1, keepdims=True)
        np.testing.assert_allclose(whole - offset, expected, atol=0.04)
        valence = generator.rating(9, 1, row).reported[0]
        assert trial["rating_valence"] == np.clip(np.rint(5 + 4 * valence), 1, 9)


def test_the_number_of_workers_changes_no_byte(folder, tmp_path):
    other = write_twin("MAHNOB-HCI", tmp_path / "x", workers=2, **OPTIONS)
    for path in (p for p in folder.rglob("*") if p.is_file()):
        assert (other / path.relative_to(folder)).read_bytes() == path.read_bytes()
