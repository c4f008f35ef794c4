"""Folders of recordings read by a user's mapping, as MDME has to be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

import affectrum as af
from affectrum.errors import ConfigError, FolderError
from affectrum.store import Store

NAMES = ("Fp1", "Fp2", "T3", "T4", "Pz", "A1", "X1")
SFREQ = 300.0
MAPPING = {
    "corpus": "MDME",
    "recordings": "{subject}/trial{trial}.csv",
    "table": {"file": "{subject}/Arousal_Valence.csv"},
    "electrodes": ["Fp1", "Fp2", "T3", "T4", "Pz"],
}


def signal(subject: int, trial: int, seconds: float = 2.0) -> np.ndarray:
    rng = np.random.default_rng(100 * subject + trial)
    return rng.normal(size=(len(NAMES), round(seconds * SFREQ))) * 20.0  # microvolts


def write(path: Path, x: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    time = np.arange(x.shape[1]) / SFREQ
    lines = [",".join(["time", *(f"{name} (uV)" for name in NAMES)])]
    lines += [",".join(f"{v:.6f}" for v in row) for row in np.column_stack([time, x.T])]
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for subject in (1, 2):
        place = tmp_path / "MDME" / f"S{subject:02d}"
        for trial in (1, 2, 10):
            write(place / f"trial{trial}.csv", signal(subject, trial))
        (place / "Arousal_Valence.csv").write_text("trial,arousal,valence\n1,9,1\n2,5,5\n10,3,7\n")
    return tmp_path / "MDME"


def opened(folder: Path, **changes: object) -> af.corpora.Corpus:
    path = folder.parent / "mdme.yaml"
    path.write_text(yaml.safe_dump({**MAPPING, **changes}))
    return af.open_corpus("MDME", folder, options={"mapping": str(path)})


def test_trials_ratings_and_signals(folder: Path) -> None:
    corpus = opened(folder)
    trials = corpus.trials
    assert corpus.name == "MDME"
    assert corpus.channels == ("Fp1", "Fp2", "T7", "T8", "Pz")  # canonical names
    assert trials[["subject", "session", "row"]].to_numpy().tolist() == [
        [s, 1, t] for s in (1, 2) for t in (1, 2, 10)
    ]
    assert trials["trial"].isna().all()  # the number is not said to be the order
    # 1..9 to -1..1: 9 -> 1, 1 -> -1, 5 -> 0, 7 -> 0.5, 3 -> -0.5
    assert trials["valence"].tolist()[:3] == [-1.0, 0.0, 0.5]
    assert trials["arousal"].tolist()[:3] == [1.0, 0.0, -0.5]
    assert trials["rating_arousal"].tolist()[:3] == [9.0, 5.0, 3.0]
    np.testing.assert_allclose(corpus.read(trials.iloc[4]), signal(2, 2)[:5] * 1e-6, atol=1e-12)
    assert (trials["sfreq"] == SFREQ).all()
    assert not corpus.check().of_level("error")


def test_the_table_is_no_recording(folder: Path) -> None:
    plain, wide = opened(folder).trials, opened(folder, recordings="{subject}/{trial}.csv").trials
    assert wide["file"].tolist() == plain["file"].tolist()


def test_one_recording_of_several_trials(tmp_path: Path) -> None:
    folder = tmp_path / "rec"
    x = signal(1, 1, 6.0)
    write(folder / "P7.csv", x)
    (folder / "ratings.csv").write_text("who;n;v;a;from;long\n7;1;9;9;0.5;2\n7;2;1;1;3;2.5\n")
    path = tmp_path / "m.yaml"
    table = {
        "file": "ratings.csv", "subject": "who", "trial": "n", "valence": "v", "arousal": "a",
        "onset_s": "from", "duration_s": "long",
    }  # fmt: skip
    path.write_text(yaml.safe_dump({"corpus": "ours", "recordings": "P{subject}.csv",
                                    "table": table, "in_order": True}))  # fmt: skip
    corpus = af.open_corpus("recordings", folder, options={"mapping": str(path)})
    assert corpus.trials["trial"].tolist() == [1, 2]
    assert corpus.trials["onset_s"].tolist() == [0.5, 3.0]
    # an ear (A1) and an unknown name are no scalp electrodes
    np.testing.assert_allclose(
        corpus.read(corpus.trials.iloc[1]), x[:5, 900:1650] * 1e-6, atol=1e-12
    )


def test_windows_for_emod_from_a_mapping(folder: Path, tmp_path: Path) -> None:
    windows = Store(tmp_path / "store").prepare(opened(folder), "emod-1s")
    assert windows.shape == (12, 5, 300)  # its own rate and electrodes
    assert windows.table["valence"].tolist()[:3] == [-1.0, -1.0, 0.0]
    np.testing.assert_allclose(windows.x.mean(axis=1), 0, atol=1e-10)  # average reference


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"recordings": "{subject}/none{trial}.csv"}, "no file is called like"),
        ({"electrodes": ["Fp1", "Oz"]}, "lacks the electrodes Oz"),
        ({"table": {"file": "{subject}/Arousal_Valence.csv", "valence": "v"}}, "no column v"),
        (
            {"table": {"file": "{subject}/Arousal_Valence.csv", "scale": [1, 5]}},
            "outside the scale",
        ),
        ({"table": {"file": "nothing.csv"}}, "no table is called like"),
    ],
)
def test_faults_of_the_folder_are_named(folder: Path, changes: dict, says: str) -> None:
    with pytest.raises(FolderError, match=says):
        opened(folder, **changes)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"recordings": "{trial}.csv"}, "needs {subject}"),
        ({"recordings": "{subject}.csv"}, "no {trial}"),
        ({"recordings": "{subject}/{take}.csv"}, "{take} is unknown"),
        ({"unit": "uV"}, "unit: Extra inputs"),
        ({"table": {"file": "a.csv", "onset_s": "t"}}, "belong together"),
    ],
)
def test_faults_of_the_mapping_are_named(folder: Path, changes: dict, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        opened(folder, **changes)


def test_without_a_mapping_it_asks_for_one(folder: Path) -> None:
    with pytest.raises(FolderError, match="Write a mapping"):
        af.open_corpus("MDME", folder)
