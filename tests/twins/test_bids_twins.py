"""Twins of the BIDS corpora through their readers."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import mne
import numpy as np
import pandas as pd
import pytest

import affectrum as af
from affectrum.catalog import dens, ds002721, emoeeg_mc
from affectrum.twins import dens as dens_twin
from affectrum.twins import ds002721 as music_twin
from affectrum.twins import emoeeg_mc as emc_twin
from affectrum.twins import write_twin
from affectrum.twins.generator import TwinGenerator

OPTIONS = {"subjects": 1, "trial_seconds": 2.0, "seed": 4}
EDF_STEP = 6553.5 / 65535


def write(corpus: str, place: Path, **further) -> Path:
    return write_twin(corpus, place / corpus, **{**OPTIONS, **further})


@pytest.fixture(scope="module")
def emoeeg(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("emoeeg")
    return write("EmoEEG-MC", place, forms=["reorder", "ica", "raw"])


@pytest.fixture(scope="module")
def dens_folder(tmp_path_factory) -> Path:
    return write("DENS", tmp_path_factory.mktemp("dens"), subjects=[2])


@pytest.fixture(scope="module")
def music(tmp_path_factory) -> Path:
    return write("ds002721", tmp_path_factory.mktemp("music"))


def sound(corpus: str, folder: Path, form: str = "auto") -> None:
    report = af.corpora.check_folder(corpus, folder, form=form, deep=True)
    assert report.usable, str(report)
    assert report.of_level("error") == []
    assert report.found["simulated"]


def test_emoeeg_arrays(emoeeg):
    sound("EmoEEG-MC", emoeeg)
    corpus = af.open_corpus("EmoEEG-MC", emoeeg)
    assert corpus.form == "reorder"
    generator = TwinGenerator("EmoEEG-MC", None, 4, 2.0)
    for session, row in ((1, 1), (2, 17)):
        trials = corpus.trials
        trial = trials[(trials["session"] == session) & (trials["row"] == row)].iloc[0]
        name = emoeeg_mc.REORDER[row - 1]
        assert trial["clip"] == f"EmoEEG-MC/{emoeeg_mc.CONTEXTS[session - 1]}-{name}"
        x = corpus.read(trial) * 1e6
        expected = generator.trial(1, session, row).x[:, : x.shape[1]]
        np.testing.assert_allclose(x, expected, atol=1 / 32)
    ica = np.load(next(emoeeg.rglob("*ses-ima*_ica.npy")))
    first = generator.presentation(1, 2)[0]
    np.testing.assert_allclose(
        ica[0], generator.trial(1, 2, first).x[:, : ica.shape[2]], atol=1 / 32
    )


def test_emoeeg_recordings(emoeeg, tmp_path):
    generator = TwinGenerator("EmoEEG-MC", None, 4, 2.0)
    corpus = af.open_corpus("EmoEEG-MC", emoeeg, form="raw")
    trials = corpus.trials
    assert len(trials) == 42
    assert trials["clip"].isna().all()
    # films and imagination alternate in blocks of three
    order = trials.sort_values("onset_s")["session_name"].tolist()
    assert order == [c for _ in range(7) for c in ("vid",) * 3 + ("ima",) * 3]
    trial = trials[(trials["session"] == 2) & (trials["trial"] == 5)].iloc[0]
    row = generator.presentation(1, 2)[4]
    expected = generator.trial(1, 2, row, emc_twin._cap(1)).x[:, :-1]
    np.testing.assert_allclose(corpus.read(trial) * 1e6, expected, atol=EDF_STEP)
    scores = emc_twin.scores(generator, 1, 2, row)
    found = [trial[f"rating_{name}"] for name in emoeeg_mc.SCORES]
    np.testing.assert_allclose(found, scores)
    # the option names the clips
    sequences = tmp_path / "sequences.tsv"
    lines = ["subject\tsession\ttrial\tclip"]
    for session, context in enumerate(emoeeg_mc.CONTEXTS, 1):
        for k, clip_row in enumerate(generator.presentation(1, session), 1):
            lines.append(f"1\t{context}\t{k}\t{emoeeg_mc.REORDER[clip_row - 1]}")
    sequences.write_text("\n".join(lines))
    told = af.open_corpus("EmoEEG-MC", emoeeg, form="raw", options={"sequences": str(sequences)})
    same = told.trials[(told.trials["session"] == 2) & (told.trials["trial"] == 5)].iloc[0]
    assert same["clip"] == f"EmoEEG-MC/ima-{emoeeg_mc.REORDER[row - 1]}"
    assert same["emotion"] == generator.facts.clips[1][row - 1].emotion


def test_edf_is_what_others_read(emoeeg):
    path = next(emoeeg.rglob("*_eeg.edf"))
    raw = mne.io.read_raw_edf(path, preload=False, verbose="ERROR")
    assert raw.info["sfreq"] == 600
    assert raw.ch_names[:64] == list(emoeeg_mc.ELECTRODES)
    corpus = af.open_corpus("EmoEEG-MC", emoeeg, form="raw")
    trial = corpus.trials.iloc[3]
    start = round(trial["onset_s"] * 600)
    x = raw.get_data(range(64), start, start + round(trial["duration_s"] * 600))
    np.testing.assert_allclose(corpus.read(trial), x, atol=1e-10)


def test_dens(dens_folder):
    sound("DENS", dens_folder)
    corpus = af.open_corpus("DENS", dens_folder)
    generator = TwinGenerator("DENS", None, 4, 2.0)
    trials = corpus.trials
    assert len(trials) == 11
    assert set(trials["subject"]) == {2}
    for row in (1, 11):
        trial = trials.iloc[row - 1]
        assert trial["clip"] == dens.FACTS.clips[0][row - 1].clip
        expected = generator.trial(2, 1, row).x[:, :-1]
        np.testing.assert_allclose(corpus.read(trial) * 1e6, expected, rtol=1e-6, atol=1e-4)
        for name, value in dens_twin.ratings(generator, 2, row).items():
            assert trial[f"rating_{name}"] == value
    assert set(trials["felt_emotion"]) <= {"joyous", "sad"}
    assert corpus.read_rest(trials.iloc[0]).shape == (45, 2 * 250)
    events = pd.read_csv(next(dens_folder.rglob("*_events.tsv")), sep="\t")
    assert events.loc[events["trial_type"] == "bend", "onset"].item() == (2 + 2) * 250
    assert (events["duration"] == 1000).all()


def test_eeglab_files_are_what_others_read(dens_folder):
    path = next(dens_folder.rglob("*.set"))
    raw = mne.io.read_raw_eeglab(path, preload=False, verbose="ERROR")
    assert raw.info["sfreq"] == 250
    assert len(raw.ch_names) == 132
    corpus = af.open_corpus("DENS", dens_folder)
    trial = corpus.trials.iloc[4]
    start = round(trial["onset_s"] * 250)
    x = raw.get_data(["E22", "E83"], start, start + 500)
    y = corpus.read(trial)[[corpus.channels.index("Fp1"), corpus.channels.index("O2")], :500]
    np.testing.assert_allclose(y, x, atol=1e-12)


def test_ds002721(music):
    sound("ds002721", music)
    corpus = af.open_corpus("ds002721", music)
    generator = TwinGenerator("ds002721", None, 4, 2.0)
    trials = corpus.trials
    assert len(trials) == 40
    trial = trials.iloc[12]
    assert trial["clip"] == "ds002721/13"
    expected = generator.trial(1, 1, 13).x[:, :-1]
    np.testing.assert_allclose(corpus.read(trial) * 1e6, expected, atol=EDF_STEP)
    answers = music_twin.answers(generator, 1, 13)
    names = ["valence", "arousal", *ds002721.QUESTIONS[2:]]
    assert [trial[f"rating_{name}"] for name in names] == answers
    assert len(list(music.rglob("*.edf"))) == 6


@pytest.mark.parametrize("corpus", ["EmoEEG-MC", "DENS", "ds002721"])
def test_bytes_do_not_depend_on_workers(corpus, tmp_path, emoeeg, dens_folder, music):
    first = {"EmoEEG-MC": emoeeg, "DENS": dens_folder, "ds002721": music}[corpus]
    truth = json.loads((first / "simulated_truth.json").read_text())
    forms = {"EmoEEG-MC": ["reorder", "ica", "raw"]}.get(corpus)
    second = write(corpus, tmp_path, workers=3, subjects=truth["subjects_written"], forms=forms)

    def digests(folder):
        files = sorted(p for p in folder.rglob("*") if p.is_file())
        return {
            p.relative_to(folder).as_posix(): hashlib.blake2b(p.read_bytes()).hexdigest()
            for p in files
        }

    assert digests(first) == digests(second)
