"""The twins of SEED-FRA and SEED-GER: read with numpy and pickle alone, and with the readers."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest

import affectrum as af
from affectrum import catalog
from affectrum.twins import write_twin
from affectrum.twins.generator import Cap, TwinGenerator

NAMES = {"SEED-FRA": "French", "SEED-GER": "German"}


@pytest.fixture(scope="module", params=NAMES)
def twin(request, tmp_path_factory) -> tuple[str, Path]:
    path = tmp_path_factory.mktemp("twin") / request.param
    forms = ["features", "features-4s", "raw"]
    options = {"subjects": [1], "sessions": [1], "trial_seconds": 5.0, "seed": 4}
    return request.param, write_twin(request.param, path, forms=forms, **options)


def test_features_are_two_parts_of_bands(twin):
    name, folder = twin
    labels = catalog.get(name).session_codes(1)
    for window_s in (1, 4):
        place = folder / NAMES[name] / "02-EEG-DE-feature" / f"eeg_used_{window_s}s"
        with np.load(place / "1_1.npz") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numpy.core moved
            assert file.files == ["train_data", "test_data", "train_label", "test_label"]
            found = []
            for part in ("train", "test"):
                bands = pickle.loads(file[f"{part}_data"].item())
                assert list(bands) == ["delta", "theta", "alpha", "beta", "gamma"]
                label = file[f"{part}_label"]
                assert {x.shape for x in bands.values()} == {(len(label), 62)}
                found += label[np.flatnonzero(np.diff(label, prepend=9))].tolist()
        runs = [code for k, code in enumerate(labels) if k == 0 or code != labels[k - 1]]
        # the border between the parts may cut a run in two
        assert [c for k, c in enumerate(found) if k == 0 or c != found[k - 1]] == runs


def test_features_are_read_with_the_twins_own_times(twin):
    name, folder = twin
    times = folder / "simulated_times.yaml"
    corpus = af.open_corpus(name, folder, options=times)
    assert corpus.simulated
    assert corpus.form == "features"
    assert len(corpus.trials) == len(catalog.get(name).clips[0])
    assert not corpus.check().of_level("error")
    generator = TwinGenerator(name, seed=4, trial_seconds=5.0)
    seconds = [generator.seconds(1, row) for row in corpus.trials["row"]]
    assert corpus.trials["duration_s"].tolist() == seconds
    trial = corpus.trials.iloc[15]
    assert corpus.read_features(trial, "de").shape == (seconds[15], 62, 5)
    assert corpus.read_features(trial, "de@4s").shape == (1, 62, 5)
    assert len(af.open_corpus(name, folder).trials) < len(corpus.trials)


def test_recordings_are_read_with_the_twins_own_times(twin):
    name, folder = twin
    corpus = af.open_corpus(name, folder, form="raw", options=folder / "simulated_times.yaml")
    assert not corpus.check().of_level("error")
    generator = TwinGenerator(name, seed=4, trial_seconds=5.0)
    facts = catalog.get(name)
    cap = Cap(facts.electrodes, 1000.0, (0.05, 200.0), generator.cap.reference, 1.0)
    trial = corpus.trials.iloc[1]
    made = generator.trial(1, 1, 2, cap).x[:, :-1]
    np.testing.assert_allclose(corpus.read(trial) * 1e6, made, atol=1 / 64 + 1e-3)
    assert trial["emotion"] == facts.clips[0][1].emotion


def test_full_lengths_have_the_public_times_where_they_fit():
    from affectrum.catalog import seed_fra
    from affectrum.twins.seed_recordings import schedule

    published = list(zip(seed_fra.PUBLIC_START_S, seed_fra.PUBLIC_END_S, strict=True))
    times = schedule(TwinGenerator("SEED-FRA"), 1, published)
    assert times[0] == (21, 193)
    assert times[20] == (3622, 3797)
    assert len(schedule(TwinGenerator("SEED-GER"), 1, None)) == 20


@pytest.mark.parametrize("name", NAMES)
def test_bytes_do_not_depend_on_workers(name, tmp_path):
    options = {"subjects": [1, 2], "sessions": [2], "trial_seconds": 2.0}
    one = write_twin(name, tmp_path / "one", **options)
    two = write_twin(name, tmp_path / "two", workers=2, **options)
    files = sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file())
    for file in files:
        assert (one / file).read_bytes() == (two / file).read_bytes(), file
