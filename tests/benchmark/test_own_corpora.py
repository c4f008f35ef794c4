"""Corpora of one's own in plans: folders of recordings that a mapping describes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from affectrum.benchmark import load_plan, load_record, run_plan
from affectrum.benchmark.places import CorpusPlace
from affectrum.errors import ConfigError
from affectrum.evaluation import score_predictions

NAMES = ("Fp1", "Fp2", "T7", "T8")
SFREQ = 128.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three people, six films each; rated 8 with waves of 10 Hz, or 2 with waves of 25 Hz."""
    time = np.arange(round(2 * SFREQ)) / SFREQ
    for subject in (1, 2, 3):
        rng = np.random.default_rng(subject)
        place = tmp_path / "lab" / f"S{subject}"
        place.mkdir(parents=True)
        rows = ["trial,arousal,valence"]
        for trial in range(1, 7):
            high = trial % 2
            wave = 20 * np.sin(2 * np.pi * (10 if high else 25) * time)
            # no part that all electrodes share: the average reference takes it away
            x = rng.normal(size=(len(time), len(NAMES))) * 5 + wave[:, None] * [1, -1, 1, -1]
            lines = [",".join(["time", *(f"{name} (uV)" for name in NAMES)])]
            lines += [",".join(f"{v:.4f}" for v in row) for row in np.column_stack([time, x])]
            (place / f"trial{trial}.csv").write_text("\n".join(lines) + "\n")
            rows.append(f"{trial},5,{8 if high else 2}")
        (place / "ratings.csv").write_text("\n".join(rows) + "\n")
    mapping = {
        "corpus": "our-lab",
        "recordings": "{subject}/trial{trial}.csv",
        "table": {"file": "{subject}/ratings.csv"},
        "in_order": True,
    }
    (tmp_path / "lab.yaml").write_text(yaml.safe_dump(mapping))
    return tmp_path / "lab"


def test_a_folder_of_recordings_is_the_target_of_a_plan(folder: Path, tmp_path: Path) -> None:
    entry = {"folder": str(folder), "reader": "recordings", "options": {"mapping": "lab.yaml"}}
    plan = {
        "corpora": {"our-lab": entry},
        "store": "store",
        "methods": [
            "most-frequent",
            {
                "name": "emod",
                "preset": "small",
                "overrides": {
                    "width": 8,
                    "depth": 1,
                    "pretraining": False,
                    "readout": "linear-probe",
                },
            },
        ],
        "tasks": [
            {
                "target": "our-lab",
                "protocol": "leave-one-subject-out",
                "classes": "valence2(threshold=5)",
                "recipe": "emod-1s",
            }
        ],
    }
    path = tmp_path / "plan.yaml"
    path.write_text(yaml.safe_dump(plan))
    report = run_plan(load_plan(path), tmp_path / "run")
    assert not report.failed, report
    scores = {
        cell.meta["method"]["name"]: score_predictions(cell.evaluable())["balanced_accuracy"].mean()
        for cell in load_record(tmp_path / "run")
    }
    assert scores == {"most-frequent": 0.5, "emod": 1.0}


def test_entry_and_mapping_agree_on_the_name(folder: Path) -> None:
    mapping = {"mapping": str(folder.parent / "lab.yaml")}
    place = CorpusPlace(folder=folder, options=mapping, reader="recordings")
    assert place.open("Our_Lab").name == "our-lab"
    assert place.told() == {"options": {"mapping": "lab.yaml"}, "reader": "recordings"}
    with pytest.raises(ConfigError, match="its mapping calls 'our-lab'"):
        place.open("other-lab")
    with pytest.raises(ConfigError, match="'reader: recordings'"):
        CorpusPlace(folder=folder, options=mapping).open("our-lab")
