"""SEED-V's twin: read with numpy and pickle alone, and with the project's reader."""

from __future__ import annotations

import pickle
import re
import warnings
from pathlib import Path

import numpy as np
import pytest

import affectrum as af
from affectrum.catalog import seed_v
from affectrum.twins import write_twin
from affectrum.twins.generator import Cap, TwinGenerator

SHORT = {"trial_seconds": 5.0, "seed": 3}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Subject 1 (sets 1, 3, 2 by date) with sets 1 and 3, in both forms."""
    path = tmp_path_factory.mktemp("twin") / "SEED-V"
    options = {"subjects": [1], "sessions": [1, 3], **SHORT, "trial_seconds": 2.0}
    return write_twin("SEED-V", path, forms=["raw"], **options)


@pytest.fixture(scope="module")
def features(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("twin") / "SEED-V"
    return write_twin("SEED-V", path, subjects=[2], sessions=[1], forms=["features"], **SHORT)


def unpickle(path: Path) -> tuple[dict, dict]:
    with np.load(path) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy.core moved; the vendor's files name the old place
        assert file.files == ["data", "label"]
        return pickle.loads(file["data"].item()), pickle.loads(file["label"].item())


def test_recordings_are_named_and_dated_as_the_vendors(folder):
    names = sorted(path.name for path in (folder / "EEG_raw").glob("*.cnt"))
    assert names == ["1_1_20180804.cnt", "1_3_20180808.cnt"]


def test_the_recording_holds_the_simulated_trials_at_their_times(folder):
    corpus = af.open_corpus("SEED-V", folder)
    assert corpus.simulated
    assert corpus.check().usable
    assert not corpus.check().of_level("error")
    order = corpus.trials.groupby("session")["session_name"].first().to_dict()
    assert order == {1: "set 1", 2: "set 3"}
    generator = TwinGenerator("SEED-V", seed=3, trial_seconds=2.0)
    cap = Cap(seed_v.FACTS.electrodes, 1000.0, (0.05, 200.0), generator.cap.reference, 1.0)
    for position in (0, 20):
        trial = corpus.trials.iloc[position]
        number = int(trial["session_name"][-1])
        x = corpus.read(trial)
        made = generator.trial(1, number, trial["row"], cap).x[:, :-1]
        assert x.shape == made.shape
        np.testing.assert_allclose(x * 1e6, made, atol=1 / 64 + 1e-3)
        label = seed_v.LABELS[number - 1][trial["row"] - 1]
        assert trial["emotion"] == seed_v.FACTS.label_codes[label]


def test_channels_are_66_with_the_mastoids_and_eyes(folder):
    import mne

    path = folder / "EEG_raw" / "1_1_20180804.cnt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        raw = mne.io.read_raw_cnt(path, verbose="error")
    assert len(raw.ch_names) == 66
    assert {"M1", "M2", "VEO", "HEO"} <= set(raw.ch_names)
    assert raw.info["sfreq"] == 1000
    names = [name for name in raw.ch_names if name not in ("M1", "M2", "VEO", "HEO")]
    assert names == list(seed_v.FACTS.electrodes_in_file)


def test_times_stand_as_the_vendor_writes_them(folder):
    text = (folder / "trial_start_end_timestamp.txt").read_text()
    found = re.findall(r"Session (\d):\nstart_second: \[(.*)\]\nend_second: \[(.*)\]", text)
    assert [number for number, _, _ in found] == ["1", "2", "3"]
    assert all(len(row.split(", ")) == 15 for _, *rows in found for row in rows)


def test_full_lengths_have_the_published_times():
    from affectrum.twins.seed_v import _times

    times = _times(TwinGenerator("SEED-V"), 2)
    assert times[0] == (30, 267)
    assert times[14] == (2741, 2817)


def test_features_are_pickled_dicts_set_by_set(features):
    data, label = unpickle(features / "EEG_DE_features" / "2_123.npz")
    assert list(data) == list(label) == list(range(15))
    for key, values in data.items():
        assert values.shape == (1, 310)
        assert values.dtype == np.float64
        assert label[key].tolist() == [seed_v.LABELS[0][key]] * len(values)
    # the laboratory's scale: log2 of 100 times a windowed power
    assert 8 < np.median(np.concatenate(list(data.values()))) < 30
    corpus = af.open_corpus("SEED-V", features)
    trial = corpus.trials.iloc[3]
    x = corpus.read_features(trial, "de")
    np.testing.assert_array_equal(x, data[3].reshape(-1, 62, 5))
    assert corpus.check().usable


def test_a_subjects_file_grows_with_the_sets(features):
    path = features / "EEG_DE_features" / "2_123.npz"
    before, stamp = path.read_bytes(), path.stat().st_mtime_ns
    options = {"subjects": [2], "forms": ["features"], **SHORT}
    write_twin("SEED-V", features, sessions=[1], **options)
    assert (path.read_bytes(), path.stat().st_mtime_ns) == (before, stamp)
    write_twin("SEED-V", features, sessions=[2], **options)
    data, label = unpickle(path)
    assert list(data) == list(label) == list(range(30))


def test_bytes_do_not_depend_on_workers(tmp_path):
    options = {"subjects": [1, 2], "sessions": [1], "forms": ["raw", "features"], **SHORT}
    one = write_twin("SEED-V", tmp_path / "one", **options)
    two = write_twin("SEED-V", tmp_path / "two", workers=2, **options)
    files = sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file())
    assert len(files) == 4 + 2 + 1 + 2
    for file in files:
        assert (one / file).read_bytes() == (two / file).read_bytes(), file
