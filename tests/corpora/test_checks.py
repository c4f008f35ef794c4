"""Kinds of damage: each is found, placed, and explained with its mending."""

from __future__ import annotations

import pickle
import shutil

import h5py
import numpy as np
import pytest
from scipy.io import loadmat, savemat

import affectrum as af
from affectrum.corpora import checks
from affectrum.corpora.problems import CheckReport, Problem, ProblemLog
from affectrum.errors import FolderError

RNG = np.random.default_rng(0)


def edit(path, **changes):
    """Write a .mat file again with other variables; None removes one."""
    content = {k: v for k, v in loadmat(path).items() if not k.startswith("__")}
    content |= changes
    savemat(path, {k: v for k, v in content.items() if v is not None})


def edit_dat(path, change):
    content = pickle.loads(path.read_bytes())
    path.write_bytes(pickle.dumps(change(content), protocol=2))


@pytest.fixture(scope="module")
def sound(layouts, tmp_path_factory):
    """Two subjects of each corpus with plausible signals."""
    top = tmp_path_factory.mktemp("sound")
    return {
        "SEED": layouts.write_seed(top / "SEED", content="eeg", features=True),
        "SEED-IV": layouts.write_seed_iv(top / "SEED-IV", content="eeg", subjects=(1,)),
        "DEAP": layouts.write_deap(top / "DEAP", content="eeg"),
    }


FIRST = {
    "SEED": "SEED_EEG/Preprocessed_EEG/1_20131027.mat",
    "SEED-IV": "eeg_raw_data/1/1_20160518.mat",
    "DEAP": "data_preprocessed_python/s01.dat",
}


def eeg(n_channels=62, n_samples=401):
    return RNG.normal(scale=20.0, size=(n_channels, n_samples))


def seed_trial(x):
    return lambda path: edit(path, djc_eeg1=x)


def _flat(x):
    x[[3, 57]] = 7.0
    return x


def _with(x, value):
    x[5, 100] = value
    return x


# name: (corpus, what is done to its first file, level, words of the message, part of the mending)
DAMAGE = {
    "truncated mat": (
        "SEED",
        lambda p: p.write_bytes(p.read_bytes()[:-500]),
        "error",
        "truncated",
        "Copy",
    ),
    "truncated dat": (
        "DEAP",
        lambda p: p.write_bytes(p.read_bytes()[:-500]),
        "error",
        "truncated",
        "Copy",
    ),
    "empty file": ("SEED", lambda p: p.write_bytes(b""), "error", "empty", "Copy"),
    "web page instead of a file": (
        "SEED-IV",
        lambda p: p.write_bytes(b"<html>login</html>" * 20),
        "error",
        "not a MATLAB",
        "Copy",
    ),
    "flipped byte": (
        "SEED",
        lambda p: p.write_bytes(
            p.read_bytes()[:3000] + bytes([p.read_bytes()[3000] ^ 255]) + p.read_bytes()[3001:]
        ),
        "error",
        "damaged",
        "Copy",
    ),
    "a folder instead of a file": (
        "SEED",
        lambda p: (p.unlink(), p.mkdir()),
        "error",
        "can't be read",
        "Check",
    ),
    "swapped axes": ("SEED", seed_trial(eeg().T), "error", "channels and samples are swapped", ""),
    "too few channels": ("SEED", seed_trial(eeg(61)), "error", "expected double of (62", "Copy"),
    "integers": (
        "SEED",
        seed_trial(np.ones((62, 401), "i2")),
        "error",
        "int16 of shape (62, 401)",
        "Copy",
    ),
    "too short": ("SEED", seed_trial(eeg(n_samples=50)), "error", "shorter than a second", "Copy"),
    "wrong variables": (
        "SEED",
        lambda p: savemat(p, {"EEG": eeg(), "fs": 200.0}),
        "error",
        "it holds EEG, fs",
        "signals",
    ),
    "a trial too many": (
        "SEED",
        lambda p: edit(p, djc_eeg16=eeg()),
        "error",
        "has 15 trials",
        "another corpus",
    ),
    "two people in one file": (
        "SEED",
        lambda p: edit(p, ww_eeg1=eeg()),
        "error",
        "different initials",
        "Copy",
    ),
    "missing trial": (
        "SEED",
        lambda p: edit(p, djc_eeg7=None),
        "warning",
        "14 of 15 trials; row 7 missing",
        "go on without",
    ),
    "NaN": (
        "SEED",
        seed_trial(_with(eeg(), np.nan)),
        "error",
        "1 samples are NaN or infinite (channels F7)",
        "Copy",
    ),
    "infinite": (
        "SEED",
        seed_trial(_with(eeg(), np.inf)),
        "error",
        "NaN or infinite",
        "Copy",
    ),
    "flat electrodes": (
        "SEED",
        seed_trial(_flat(eeg())),
        "warning",
        "flat electrodes: AF3, CB1",
        "interpolate",
    ),
    "all flat": ("SEED", seed_trial(np.full((62, 401), 3.0)), "error", "all channels", "Copy"),
    "volts instead of microvolts": (
        "SEED",
        seed_trial(eeg() * 1e-6),
        "error",
        "no EEG does",
        "undo the scaling",
    ),
    "nanovolts instead of microvolts": (
        "SEED",
        seed_trial(eeg() * 1e3),
        "error",
        "no EEG does",
        "undo the scaling",
    ),
    "unusually large": ("SEED", seed_trial(eeg() * 40), "warning", "unusual for EEG", "unit"),
    "stray file": (
        "SEED",
        lambda p: (p.parent / "1_20131027 (1).mat").write_bytes(b"x"),
        "note",
        "1_20131027 (1).mat",
        "ignored",
    ),
    "a subject SEED does not have": (
        "SEED",
        lambda p: shutil.copy(p, p.with_name("16_20140101.mat")),
        "error",
        "subject 16: SEED has 15",
        "Move",
    ),
    "four sessions": (
        "SEED",
        lambda p: shutil.copy(p, p.with_name("1_20140101.mat")),
        "error",
        "subject 1 has 4 files",
        "Move",
    ),
    "missing session": ("SEED", lambda p: p.unlink(), "warning", "subject 1 lacks session 1", ""),
    "unreadable label.mat": (
        "SEED",
        lambda p: (p.parent / "label.mat").write_bytes(b"x" * 300),
        "warning",
        "not a MATLAB",
        "catalogue's labels",
    ),
    "wrong keys": (
        "DEAP",
        lambda p: edit_dat(p, lambda c: {"x": c["data"]}),
        "error",
        "expected a dict with 'data' and 'labels', found x",
        "Copy",
    ),
    "no dict": ("DEAP", lambda p: edit_dat(p, lambda c: c["data"]), "error", "found no dict", ""),
    "wrong shape": (
        "DEAP",
        lambda p: edit_dat(p, lambda c: c | {"data": c["data"][:, :32]}),
        "error",
        "data has shape (40, 32, 640); expected (40, 40,",
        "Copy",
    ),
    "only the baseline": (
        "DEAP",
        lambda p: edit_dat(p, lambda c: c | {"data": c["data"][:, :, :384]}),
        "error",
        "data has shape (40, 40, 384)",
        "Copy",
    ),
    "labels of another shape": (
        "DEAP",
        lambda p: edit_dat(p, lambda c: c | {"labels": c["labels"][:, :2]}),
        "error",
        "labels has shape (40, 2)",
        "Copy",
    ),
    "labels that are text": (
        "DEAP",
        lambda p: edit_dat(p, lambda c: c | {"labels": c["labels"].astype(str)}),
        "error",
        "'labels' holds no numbers",
        "Copy",
    ),
    "ratings of 0": (
        "DEAP",
        lambda p: edit_dat(p, lambda c: c | {"labels": c["labels"] * [[0.0, 1, 1, 1]]}),
        "error",
        "ratings outside 1 to 9",
        "Copy",
    ),
    "a pickle that calls": (
        "DEAP",
        lambda p: p.write_bytes(b"cbuiltins\neval\n(S'1'\ntR."),
        "error",
        "'builtins'.'eval'",
        "source",
    ),
    "a subject DEAP does not have": (
        "DEAP",
        lambda p: shutil.copy(p, p.with_name("s33.dat")),
        "error",
        "DEAP has 32 subjects",
        "Move",
    ),
    "no participant_ratings": (
        "DEAP",
        lambda p: shutil.rmtree(p.parent.parent / "metadata_csv"),
        "warning",
        "order of presentation is unknown",
        "metadata_csv/participant_ratings.csv",
    ),
    "participant_ratings without a subject": (
        "DEAP",
        lambda p: _drop_subject(p.parent.parent / "metadata_csv" / "participant_ratings.csv"),
        "warning",
        "no rows for subject 1",
        "Restore",
    ),
}


# Opening a corpus reads headers; these faults are found by a check.
SEEN_IN_SIGNALS_ONLY = {
    "flipped byte",
    "NaN",
    "infinite",
    "all flat",
    "volts instead of microvolts",
    "nanovolts instead of microvolts",
}


def _drop_subject(path):
    lines = path.read_text().splitlines()
    path.write_text("\n".join(line for line in lines if not line.startswith("1,")))


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_found_and_explained(kind, sound, tmp_path):
    name, damage, level, words, mending = DAMAGE[kind]
    folder = shutil.copytree(sound[name], tmp_path / name)
    before = af.corpora.check_folder(name, folder, deep=True)
    assert before.usable
    damage(folder / FIRST[name])
    report = af.corpora.check_folder(name, folder, deep=True)
    found = [p for p in report.of_level(level) if words in f"{p.where}: {p.what}"]
    assert found, report
    text = f"{found[0].what} {found[0].fix}"
    assert mending in text
    assert report.usable == (level != "error")
    new = [p for p in report.problems if p not in before.problems]
    assert len(new) <= 2, new  # one fault is not reported many times
    assert words in str(report)
    if level == "error" and kind not in SEEN_IN_SIGNALS_ONLY:
        with pytest.raises(FolderError) as caught:
            af.open_corpus(name, folder)
        assert any(words in problem for problem in caught.value.problems)


def test_all_faults_are_reported_at_once(sound, tmp_path):
    folder = shutil.copytree(sound["SEED"], tmp_path / "SEED")
    files = sorted((folder / "SEED_EEG/Preprocessed_EEG").glob("[12]_*.mat"))
    files[0].write_bytes(b"")
    files[1].write_bytes(files[1].read_bytes()[:999])
    edit(files[2], djc_eeg3=eeg(10))
    savemat(files[0].with_name("label.mat"), {"label": np.zeros((1, 15))})
    with pytest.raises(FolderError) as caught:
        af.open_corpus("SEED", folder)
    assert len(caught.value.problems) == 4
    for path in files[:3]:
        assert any(path.name in problem for problem in caught.value.problems)


def test_the_quick_check_reads_one_trial_per_file_and_not_always_the_same(sound, monkeypatch):
    read = []
    original = checks._look_at
    monkeypatch.setattr(
        checks, "_look_at", lambda x, where, *rest: read.append(where) or original(x, where, *rest)
    )
    report = af.corpora.check_folder("SEED", sound["SEED"])
    assert len(read) == report.found["trials_read"] == 6
    assert len({where.split("_eeg")[1] for where in read}) == 6


def test_features_with_nan_and_other_windows(sound, tmp_path):
    folder = tmp_path / "SEED"
    shutil.copytree(
        sound["SEED"] / "SEED_EEG/ExtractedFeatures_1s", folder / "ExtractedFeatures_1s"
    )
    path = folder / "ExtractedFeatures_1s" / "1_20131027.mat"
    x = np.ones((62, 2, 5))
    x[0, 0, 0] = np.nan
    edit(path, de_movingAve1=x)
    report = af.corpora.check_folder("SEED", folder, deep=True)
    assert any("1 values are NaN" in p.what for p in report.of_level("error"))
    edit(path, de_movingAve1=np.ones((62, 9, 5)))
    with pytest.raises(FolderError, match=r"differ in their number of windows: \[2, 9\]"):
        af.open_corpus("SEED", folder)
    edit(path, de_movingAve1=np.ones((14, 2, 5)))
    with pytest.raises(FolderError, match="14 electrodes"):
        af.open_corpus("SEED", folder)
    edit(path, de_movingAve1=np.ones((62, 2)))
    with pytest.raises(FolderError, match="expected \\(rows, windows, 5\\)"):
        af.open_corpus("SEED", folder)
    edit(path, de_movingAve1=None)
    report = af.corpora.check_folder("SEED", folder)
    assert any("lacks the features de_movingAve" in p.what for p in report.of_level("warning"))


def test_real_files_are_compared_with_the_published_lengths(layouts, tmp_path):
    folder = layouts.write_seed(tmp_path / "x", subjects=(1,), content="eeg", simulated=False)
    warnings = af.corpora.check_folder("SEED", folder).of_level("warning")
    assert any("djc_eeg1 has 401 samples; 47001 are published" in p.what for p in warnings)
    folder = layouts.write_deap(tmp_path / "y", subjects=(1,), content="eeg", simulated=False)
    warnings = af.corpora.check_folder("DEAP", folder).of_level("warning")
    assert any("640 samples per trial; 8064 are published" in p.what for p in warnings)


def test_a_bids_data_set_is_recognised(tmp_path):
    (tmp_path / "dataset_description.json").write_text("{}")
    for name in af.corpora.names():
        with pytest.raises(FolderError, match=f"this looks like BIDS, not {name}"):
            af.open_corpus(name, tmp_path)


def test_a_damaged_corpus_is_not_taken_for_itself(tmp_path):
    (tmp_path / "data_preprocessed").mkdir()
    with pytest.raises(FolderError, match="no AMIGOS data in this folder"):
        af.open_corpus("AMIGOS", tmp_path)


def test_unreadable_permissions_are_a_fault_of_that_file(sound, tmp_path, monkeypatch):
    from pathlib import Path

    folder = shutil.copytree(sound["SEED"], tmp_path / "SEED")
    real = Path.open

    def refuse(self, *args, **kwargs):
        if self.name == "1_20131027.mat" and "Preprocessed" in str(self):
            raise PermissionError(13, "Permission denied")
        return real(self, *args, **kwargs)

    monkeypatch.setattr(Path, "open", refuse)
    report = af.corpora.check_folder("SEED", folder)
    errors = report.of_level("error")
    assert [p.where for p in errors] == [FIRST["SEED"]]
    assert "Permission denied" in errors[0].what
    assert "permissions" in errors[0].what


def test_a_damaged_version_7_3_copy(sound, tmp_path):
    folder = shutil.copytree(sound["SEED"], tmp_path / "SEED")
    path = folder / FIRST["SEED"]
    with h5py.File(path, "w") as file:
        file["djc_eeg1"] = eeg().T
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(FolderError, match=r"v7\.3 file that can't be opened"):
        af.open_corpus("SEED", folder)


def test_reports_are_ordered_and_readable():
    log = ProblemLog()
    log.note("a", "first.", "Do nothing.")
    log.error("b", "second.", "Mend it.")
    log.error("c", "third.", "Mend it.")
    log.error("c", "third.", "Mend it.")  # said twice, kept once
    report = CheckReport("SEED", "x", False, {"subjects": 2, "forms": ["a", "b"]}, log.problems)
    assert [p.level for p in report.problems] == ["error", "error", "note"]
    text = str(report)
    assert text.splitlines()[0] == "SEED in x: NOT usable"
    assert text.count("Mend it.") == 1
    assert "2 errors:" in text
    assert "forms: a, b" in text
    assert str(Problem("note", "a", "b.", "")) == "a: b."
