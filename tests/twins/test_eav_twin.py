"""EAV's twin through its reader and through scipy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat, whosmat

import affectrum as af
from affectrum.twins import write_twin
from affectrum.twins.eav import ELECTRODES
from affectrum.twins.generator import Cap, TwinGenerator
from affectrum.twins.mat_array import sliced
from affectrum.twins.mat_struct_files import write_nested_mat
from affectrum.twins.settings import TwinSettings

OPTIONS = {"subjects": [5], "trial_seconds": 2.0, "seed": 3}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_twin("EAV", tmp_path_factory.mktemp("x") / "EAV", **OPTIONS)


def test_the_tree(folder):
    place = folder / "subject5__" / "EEG"
    assert whosmat(place / "subject5_eeg.mat") == [("seg1", (1000, 30, 200), "double")]
    label = loadmat(place / "subject5_eeg_label.mat")["label"]
    assert label.shape == (10, 200)
    np.testing.assert_array_equal(label.sum(axis=0), 1)
    np.testing.assert_array_equal(label.sum(axis=1), 20)


def test_trials_are_the_generators(folder):
    corpus = af.open_corpus("EAV", folder, options={"channels": ELECTRODES})
    report = corpus.check()
    assert report.usable
    assert report.found["simulated"]
    assert report.found["trials"] == 200
    assert any("it is uV" in str(problem) for problem in report.of_level("note"))
    generator = TwinGenerator("EAV", TwinSettings(), 3, 2.0)
    order = generator.presentation(5, 1)
    cap = Cap(ELECTRODES, 500.0, (0.1, 200.0), "average", 1.0)
    for position in (0, 199, 77):
        trial = corpus.trials.iloc[position]
        clip = generator.facts.clips[0][order[position] - 1]
        assert trial["emotion"] == clip.emotion
        assert clip.clip.startswith(f"EAV/{trial['session_name']}-{clip.emotion}")
        expected = generator.trial(5, 1, order[position], cap).x[:, :-1]
        np.testing.assert_allclose(corpus.read(trial) * 1e6, expected, atol=1 / 60)


def test_the_number_of_workers_changes_no_byte(folder, tmp_path):
    other = write_twin("EAV", tmp_path / "x", workers=2, **OPTIONS)
    for path in (p for p in folder.rglob("*") if p.is_file()):
        assert (other / path.relative_to(folder)).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("compress", [True, False])
def test_arrays_written_in_slices(tmp_path, compress):
    x = np.random.default_rng(0).normal(size=(5, 3, 4))
    path = tmp_path / "x.mat"
    parts = [x[:, :, k] for k in range(4)]

    def write(pieces):
        node = sliced(x.shape, lambda: pieces)
        write_nested_mat(
            path,
            [("seg", node), ("next", sliced((2, 1), lambda: [x[:2, 0, 0]]))],
            compress=compress,
        )

    write(parts)
    np.testing.assert_array_equal(loadmat(path)["seg"], x)
    np.testing.assert_array_equal(loadmat(path)["next"][:, 0], x[:2, 0, 0])
    with pytest.raises(ValueError, match="4 slices announced, 3 written"):
        write(parts[:3])
    with pytest.raises(ValueError, match="a slice of shape"):
        write([part.T for part in parts])
    np.testing.assert_array_equal(loadmat(path)["seg"], x)
