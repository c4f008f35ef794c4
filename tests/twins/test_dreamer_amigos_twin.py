"""Twins of DREAMER and AMIGOS: what the reader finds is what the generator drew."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.io import loadmat

import affectrum as af
from affectrum.twins import write_twin
from affectrum.twins.amigos import NAN_SAMPLES, PACKED_TOO_LONG, UNLABELLED, UNRECORDED
from affectrum.twins.dreamer import _offsets
from affectrum.twins.generator import TwinGenerator

SHORT = {"trial_seconds": 2.0, "seed": 4}
STEP_V = 1e-6 / 64  # half a step of the stored values


def all_bytes(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def dreamer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_twin("DREAMER", tmp_path_factory.mktemp("d") / "DREAMER", subjects=2, **SHORT)


@pytest.fixture(scope="module")
def amigos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # one person without faults and one of each kind
    options = {**SHORT, "subjects": [1, 8, 9, 10, 12, 21]}
    return write_twin("AMIGOS", tmp_path_factory.mktemp("a") / "AMIGOS", **options)


def test_dreamer_is_what_scipy_users_expect(dreamer: Path) -> None:
    m = loadmat(dreamer / "DREAMER.mat")["DREAMER"][0, 0]
    assert m["Data"].shape == (1, 2)
    person = m["Data"][0, 1]
    assert set(person.dtype.names) >= {"Age", "Gender", "EEG", "ECG", "ScoreValence"}
    assert person["EEG"][0, 0]["baseline"][0, 0][17, 0].shape == (7808, 14)
    assert person["EEG"][0, 0]["stimuli"][0, 0][17, 0].shape == (256, 14)
    assert person["ECG"][0, 0]["stimuli"][0, 0][17, 0].shape == (512, 2)
    scores = person["ScoreValence"][0, 0]
    assert scores.shape == (18, 1)
    assert set(scores.ravel()) <= {1, 2, 3, 4, 5}
    assert m["EEG_SamplingRate"].item() == 128
    assert [name.item() for name in m["EEG_Electrodes"][0]][:2] == ["AF3", "F7"]


def test_dreamer_reads_as_it_was_drawn(dreamer: Path) -> None:
    report = af.corpora.check_folder("DREAMER", dreamer, deep=True)
    assert report.usable
    assert [p.what for p in report.of_level("warning")] == [
        "21 of 23 subjects are missing: 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14 ...."
    ]
    corpus = af.open_corpus("DREAMER", dreamer)
    trials = corpus.trials
    assert trials["simulated"].all()
    assert len(trials) == 36
    generator = TwinGenerator("DREAMER", seed=4, trial_seconds=2.0)
    for position in (0, 30):
        trial = trials.iloc[position]
        subject, row = int(trial["subject"]), int(trial["row"])
        drawn = generator.trial(subject, 1, row).x[:, :-1] + _offsets(generator, subject)
        whole = np.concatenate([corpus.read_baseline(trial), corpus.read(trial)], axis=1)
        assert_allclose(whole, drawn * 1e-6, atol=1.1 * STEP_V)
        valence, arousal, dominance = generator.rating(subject, 1, row).reported[:3]
        given = trial[["rating_valence", "rating_arousal", "rating_dominance"]]
        expected = np.clip(np.rint(3 + 2 * np.array([valence, arousal, dominance])), 1, 5)
        assert_array_equal(given.to_numpy(float), expected)


def test_dreamer_with_more_people_is_written_anew(dreamer: Path, tmp_path: Path) -> None:
    folder = write_twin("DREAMER", tmp_path / "DREAMER", subjects=1, **SHORT)
    assert len(af.open_corpus("DREAMER", folder).trials) == 18
    write_twin("DREAMER", folder, subjects=2, workers=2, **SHORT)
    assert all_bytes(folder) == all_bytes(dreamer)


def test_amigos_is_what_scipy_users_expect(amigos: Path) -> None:
    folder = amigos / "data_preprocessed"
    m = loadmat(folder / "Data_Preprocessed_P01.mat")
    assert m["VideoIDs"].shape == m["joined_data"].shape == (1, 20)
    assert m["joined_data"][0, 19].shape == (896, 17)
    assert m["labels_selfassessment"][0, 0].shape == (1, 12)
    assert m["labels_ext_annotation"][0, 0].shape == (1, 3)
    m = loadmat(folder / "Data_Preprocessed_P08.mat")
    assert [cell.size > 0 for cell in m["joined_data"][0]] == [True] * 16 + [False] * 4
    path = folder / "Data_Preprocessed_P10.mat"
    with pytest.raises(ValueError, match="miCOMPRESSED"):
        loadmat(path)
    m = loadmat(path, verify_compressed_data_integrity=False)
    assert m["joined_data"][0, 19].shape == (896, 17)


def test_amigos_reads_as_it_was_drawn(amigos: Path) -> None:
    report = af.corpora.check_folder("AMIGOS", amigos)
    assert report.usable
    corpus = af.open_corpus("AMIGOS", amigos)
    trials = corpus.trials
    assert trials["simulated"].all()
    generator = TwinGenerator("AMIGOS", seed=4, trial_seconds=2.0)
    for subject, session, row in [(1, 1, 3), (10, 2, 4)]:
        of_row = (trials["subject"] == subject) & (trials["session"] == session)
        trial = trials[of_row & (trials["row"] == row)].iloc[0]
        drawn = generator.trial(subject, session, row).x[:, :-1] * 1e-6
        whole = np.concatenate([corpus.read_baseline(trial), corpus.read(trial)], axis=1)
        assert_allclose(whole, drawn, atol=1.1 * STEP_V)
        assert trial["clip"] == generator.facts.clips[session - 1][row - 1].clip
        valence, arousal = generator.rating(subject, session, row).reported[:2]
        expected = np.clip(np.round([5 + 4 * valence, 5 + 4 * arousal], 2), 1, 9)
        given = trial[["rating_valence", "rating_arousal"]].to_numpy(float)
        assert_allclose(given, expected, atol=0.011)
        seen = corpus.external_annotations(trial)
        assert seen["segment"].tolist() == [1.0]
        assert (seen[["valence", "arousal"]].abs() <= 1).all(axis=None)


def test_amigos_has_the_gaps_of_the_real_files(amigos: Path) -> None:
    assert (set(NAN_SAMPLES), set(UNLABELLED), set(UNRECORDED)) == ({12, 22, 24}, {9, 33}, {21, 23})
    assert 10 in PACKED_TOO_LONG
    corpus = af.open_corpus("AMIGOS", amigos)
    trials = corpus.trials
    sizes = trials.groupby(["subject", "session"]).size().to_dict()
    assert sizes == {
        (1, 1): 16,
        (1, 2): 4,
        (8, 1): 16,
        (9, 1): 16,
        (9, 2): 4,
        (10, 1): 16,
        (10, 2): 4,
        (12, 1): 16,
        (12, 2): 4,
        (21, 1): 15,
        (21, 2): 4,
    }
    unlabelled = trials[trials["rating_valence"].isna()]
    assert unlabelled[["subject", "row"]].to_numpy().tolist() == [[9, UNLABELLED[9]]]
    with_gaps = [
        (int(trial["subject"]), int(trial["row"]))
        for trial, x in corpus.iter_trials(trials[trials["subject"].isin([1, 12])])
        if np.isnan(x).any()
    ]
    assert with_gaps == [(12, NAN_SAMPLES[12])]
    warnings = "\n".join(str(p) for p in corpus.check().of_level("warning"))
    for text in (
        "P09.mat: signals without self-reports",
        "P10.mat: joined_data: 8 bytes follow the array",
        "P12.mat: samples that are NaN",
        "P21.mat: self-reports without signals",
        "subject 8 lacks session 2",
    ):
        assert text in warnings


def test_amigos_bytes_do_not_depend_on_workers_or_on_the_way(amigos: Path, tmp_path: Path) -> None:
    options = {**SHORT, "subjects": [1, 8]}
    one = write_twin("AMIGOS", tmp_path / "one", **options)
    two = write_twin("AMIGOS", tmp_path / "two", sessions=1, workers=2, **options)
    assert len(af.open_corpus("AMIGOS", two).trials) == 32
    assert all_bytes(one) != all_bytes(two)
    write_twin("AMIGOS", two, workers=2, **options)
    assert all_bytes(one) == all_bytes(two)
    name = "data_preprocessed/Data_Preprocessed_P08.mat"
    assert all_bytes(one)[name] == all_bytes(amigos)[name]
