"""The vendors' trees, read with scipy, pickle and a few lines of BDF: no reader of the project."""

from __future__ import annotations

import csv
import json
import pickle
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.io import loadmat, whosmat

from affectrum.catalog.model import words
from affectrum.errors import ConfigError, FolderError
from affectrum.twins import SIZES, TwinSettings, write_twin
from affectrum.twins.deap import _channels
from affectrum.twins.files import BdfChannel, atomic_file, write_bdf, write_mat
from affectrum.twins.seed import feature_pairs, frontal_posterior_pairs
from affectrum.twins.write import MARK, TRUTH

SHORT = {"subjects": 2, "sessions": 1, "trial_seconds": 5.0, "seed": 3}


def load_pickle(path: Path) -> dict[str, np.ndarray]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy.core moved; the vendor's files name the old place
        loaded = pickle.loads(path.read_bytes(), encoding="latin1")
    assert isinstance(loaded, dict)
    return loaded


def all_bytes(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def read_bdf(path: Path) -> tuple[list[str], int, np.ndarray]:
    """Labels, rate and physical values of a BDF file with equal rates and 1-s records."""
    raw = path.read_bytes()
    assert raw[:8] == b"\xffBIOSEMI"
    n = int(raw[252:256])
    n_records = int(raw[236:244])
    assert int(raw[184:192]) == 256 * (n + 1)

    def column(offset: int, width: int) -> list[str]:
        start = 256 + offset * n
        return [raw[start + k * width :][:width].decode().strip() for k in range(n)]

    labels = column(0, 16)
    physical_min, physical_max = (np.array(column(o, 8), float) for o in (104, 112))
    digital_min, digital_max = (np.array(column(o, 8), float) for o in (120, 128))
    (rate,) = {int(value) for value in column(216, 8)}
    body = np.frombuffer(raw[256 * (n + 1) :], np.uint8).reshape(n_records, n, rate, 3)
    wide = np.zeros((*body.shape[:3], 4), np.uint8)
    wide[..., 1:] = body
    digital = (wide.view("<i4")[..., 0] >> 8).transpose(1, 0, 2).reshape(n, -1)
    gain = (physical_max - physical_min) / (digital_max - digital_min)
    return labels, rate, (digital - digital_min[:, None]) * gain[:, None] + physical_min[:, None]


@pytest.fixture(scope="module")
def seed_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    forms = ["preprocessed", "features", "features-4s"]
    return write_twin("SEED", tmp_path_factory.mktemp("seed") / "SEED", forms=forms, **SHORT)


@pytest.fixture(scope="module")
def seed_iv_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    options = {**SHORT, "sessions": 2, "subjects": 1}
    return write_twin(
        "seed_iv", tmp_path_factory.mktemp("iv") / "SEED_IV", forms=["raw", "features"], **options
    )


@pytest.fixture(scope="module")
def deap_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    options = {**SHORT, "subjects": [2, 24], "trial_seconds": 2.0}
    folder = tmp_path_factory.mktemp("deap") / "DEAP"
    return write_twin("DEAP", folder, forms=["python", "matlab", "original"], **options)


@pytest.fixture(scope="module")
def late_deap_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The subject group with two unnamed channels."""
    options = {**SHORT, "subjects": [29], "trial_seconds": 2.0}
    return write_twin(
        "DEAP", tmp_path_factory.mktemp("late") / "DEAP", forms=["original"], **options
    )


# SEED ----------------------------------------------------------------------------------------


def test_seed_names_dates_and_keys(seed_folder: Path) -> None:
    folder = seed_folder / "SEED_EEG" / "Preprocessed_EEG"
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["1_20131027.mat", "2_20140404.mat", MARK, "label.mat", "readme.txt"]
    prefixes = set()
    for name in names[:2]:
        variables = whosmat(folder / name)
        matches = [re.fullmatch(r"(.+?)_eeg(\d+)", variable[0]) for variable in variables]
        assert [int(m[2]) for m in matches if m] == list(range(1, 16))
        (prefix,) = {m[1] for m in matches if m}
        prefixes.add(prefix)
        for _, shape, kind in variables:
            assert kind == "double"
            assert shape[0] == 62
            assert shape[1] % 200 == 1
            assert 4 * 200 < shape[1] <= 6 * 200 + 1
        assert len({shape for _, shape, _ in variables}) > 1  # lengths differ as in reality
    assert len(prefixes) == 2
    label = loadmat(folder / "label.mat")["label"]
    assert_array_equal(label, [[1, 0, -1, -1, 0, 1, -1, 0, 1, 1, 0, -1, 0, 1, -1]])


def test_seed_lengths_are_alike_for_all_subjects(seed_folder: Path) -> None:
    folder = seed_folder / "SEED_EEG" / "Preprocessed_EEG"
    one, two = (
        [shape for _, shape, _ in whosmat(folder / name)]
        for name in ("1_20131027.mat", "2_20140404.mat")
    )
    assert one == two


def test_seed_values_are_microvolts(seed_folder: Path) -> None:
    values = loadmat(seed_folder / "SEED_EEG" / "Preprocessed_EEG" / "1_20131027.mat")
    x = np.concatenate([v for k, v in values.items() if "_eeg" in k], axis=1)
    assert x.dtype == np.float64
    assert 5 < np.median(x.std(axis=1)) < 60
    assert np.isfinite(x).all()


def test_seed_sessions_are_three_dates_in_order(tmp_path: Path) -> None:
    options = {**SHORT, "sessions": 3, "subjects": [3], "trial_seconds": 2.0}
    folder = write_twin("SEED", tmp_path / "SEED", tree="old", compress=False, **options)
    files = sorted(p.name for p in (folder / "Preprocessed_EEG").glob("3_*.mat"))
    assert files == ["3_20140603.mat", "3_20140611.mat", "3_20140629.mat"]
    first, second = (loadmat(folder / "Preprocessed_EEG" / name) for name in files[:2])
    keys = [k for k in first if k.endswith("_eeg1")]
    assert keys == [k for k in second if k.endswith("_eeg1")]  # one person, one prefix
    assert not np.array_equal(first[keys[0]], second[keys[0]])


def test_seed_features(seed_folder: Path) -> None:
    top = seed_folder / "SEED_EEG"
    signals = loadmat(top / "Preprocessed_EEG" / "1_20131027.mat")
    lengths = {
        int(k.rsplit("eeg", 1)[1]): v.shape[1] // 200 for k, v in signals.items() if "_eeg" in k
    }
    for folder, window in (("ExtractedFeatures_1s", 1), ("ExtractedFeatures_4s", 4)):
        variables = whosmat(top / folder / "1_20131027.mat")
        assert len(variables) == 180
        kinds = ("de", "psd", "dasm", "rasm", "asm", "dcau")
        expected = [
            f"{k}_{s}{n}" for n in range(1, 16) for k in kinds for s in ("movingAve", "LDS")
        ]
        assert [name for name, _, _ in variables] == expected
        rows = {"de": 62, "psd": 62, "dasm": 27, "rasm": 27, "asm": 54, "dcau": 23}
        for name, shape, _ in variables:
            match = re.fullmatch(r"(\w+?)_(?:movingAve|LDS)(\d+)", name)
            assert match
            assert shape == (rows[match[1]], lengths[int(match[2])] // window, 5)
    features = loadmat(top / "ExtractedFeatures_1s" / "1_20131027.mat")
    assert_array_equal(features["asm_LDS1"][:27], features["dasm_LDS1"])
    # the vendor's scale: log2 of 100 times a windowed power, about 10 to 30 for EEG in uV
    assert 8 < np.median(features["de_LDS1"]) < 30


def test_seed_feature_value_by_hand(seed_folder: Path) -> None:
    top = seed_folder / "SEED_EEG"
    signals = loadmat(top / "Preprocessed_EEG" / "1_20131027.mat")
    x = next(v for k, v in signals.items() if k.endswith("_eeg2"))
    features = loadmat(top / "ExtractedFeatures_1s" / "1_20131027.mat")
    n_windows = features["psd_movingAve2"].shape[1]
    alpha = []
    for window in range(n_windows):
        piece = x[30, 200 * window : 200 * (window + 1)] * np.hanning(200)
        spectrum = [
            abs(np.sum(piece * np.exp(-2j * np.pi * f * np.arange(200) / 200))) ** 2
            for f in range(8, 14)
        ]
        alpha.append(np.mean(spectrum))
    middle = n_windows // 2
    expected = np.mean(alpha[max(middle - 2, 0) : middle + 3])
    assert_allclose(features["psd_movingAve2"][30, middle, 2], expected)


def test_pairs_are_left_and_right_front_and_back() -> None:
    from affectrum.catalog.seed import ELECTRODES

    pairs = [(ELECTRODES[a], ELECTRODES[b]) for a, b in feature_pairs()]
    assert len(pairs) == 27
    assert ("F7", "F8") in pairs
    assert ("CB1", "CB2") in pairs
    across = [(ELECTRODES[a], ELECTRODES[b]) for a, b in frontal_posterior_pairs()]
    assert len(across) == 23
    assert ("Fp1", "O1") in across
    assert ("FCz", "CPz") in across


# SEED-IV -------------------------------------------------------------------------------------


def test_seed_iv_tree_and_keys(seed_iv_folder: Path) -> None:
    for session, name in ((1, "1_20160518.mat"), (2, "1_20161125.mat")):
        raw = seed_iv_folder / "eeg_raw_data" / str(session) / name
        variables = whosmat(raw)
        assert len(variables) == 24
        assert all(shape[0] == 62 and kind == "double" for _, shape, kind in variables)
        features = whosmat(seed_iv_folder / "eeg_feature_smooth" / str(session) / name)
        expected = [
            f"{kind}_{smoothing}{n}"
            for n in range(1, 25)
            for kind in ("de", "psd")
            for smoothing in ("movingAve", "LDS")
        ]
        assert [variable for variable, _, _ in features] == expected
        for n, (_, shape, _) in enumerate(variables):
            assert features[4 * n][1] == (62, shape[1] // 800, 5)


def test_seed_iv_readme_can_be_parsed(seed_iv_folder: Path) -> None:
    text = (seed_iv_folder / "ReadMe.txt").read_text()
    found = {
        int(m[1]): [int(v) for v in m[2].split(",")]
        for m in re.finditer(r"session(\d)_label = \[([\d,]+)\];", text)
    }
    assert sorted(found) == [1, 2, 3]
    assert found[1] == [1, 2, 3, 0, 2, 0, 0, 1, 0, 1, 2, 1, 1, 1, 2, 3, 2, 2, 3, 3, 0, 3, 0, 3]
    assert all(sorted(labels) == sorted([0, 1, 2, 3] * 6) for labels in found.values())


# DEAP ----------------------------------------------------------------------------------------


def read_ratings(folder: Path) -> list[dict[str, str]]:
    with (folder / "metadata_csv" / "participant_ratings.csv").open() as file:
        return list(csv.DictReader(file))


def test_deap_pickle_is_python_2s(deap_folder: Path) -> None:
    path = deap_folder / "data_preprocessed_python" / "s02.dat"
    raw = path.read_bytes()
    assert raw[:2] == b"\x80\x02"
    assert b"_codecs" not in raw[:2000]  # how Python 3 would have written bytes
    loaded = load_pickle(path)
    assert sorted(loaded) == ["data", "labels"]
    assert loaded["data"].shape == (40, 40, 5 * 128)
    assert loaded["data"].dtype == np.float64
    assert loaded["labels"].shape == (40, 4)
    assert 1 <= loaded["labels"].min() < loaded["labels"].max() <= 9
    # a common average over the 32 electrodes
    assert np.abs(loaded["data"][:, :32].mean(axis=1)).max() < 0.1


def test_deap_matlab_is_the_same(deap_folder: Path) -> None:
    python = load_pickle(deap_folder / "data_preprocessed_python" / "s24.dat")
    matlab = loadmat(deap_folder / "data_preprocessed_matlab" / "s24.mat")
    assert_array_equal(matlab["data"], python["data"])
    assert_array_equal(matlab["labels"], python["labels"])


def test_deap_is_filtered_4_to_45_hz(deap_folder: Path) -> None:
    data = load_pickle(deap_folder / "data_preprocessed_python" / "s02.dat")["data"][:, :32]
    power = (np.abs(np.fft.rfft(data, axis=2)) ** 2).mean(axis=(0, 1))
    f = np.fft.rfftfreq(data.shape[2], 1 / 128)
    inside = power[(f > 8) & (f < 40)].mean()
    assert power[f < 2].mean() < 0.05 * inside
    assert power[f > 55].mean() < 0.01 * inside


def test_deap_ratings_in_order_of_presentation(deap_folder: Path) -> None:
    rows = read_ratings(deap_folder)
    assert ",".join(rows[0]) == (
        "Participant_id,Trial,Experiment_id,Start_time,Valence,Arousal,Dominance,Liking,Familiarity"
    )
    orders = {}
    for subject in (2, 24):
        own = [row for row in rows if int(row["Participant_id"]) == subject]
        assert [int(row["Trial"]) for row in own] == list(range(1, 41))
        orders[subject] = [int(row["Experiment_id"]) for row in own]
        assert sorted(orders[subject]) == list(range(1, 41))
        times = [int(row["Start_time"]) for row in own]
        assert times == sorted(times)
        missing = all(row["Familiarity"] == "" for row in own)
        assert missing == (subject in (2, 15, 23))
        labels = load_pickle(deap_folder / f"data_preprocessed_python/s{subject:02d}.dat")["labels"]
        for row in own:
            expected = [float(row[k]) for k in ("Valence", "Arousal", "Dominance", "Liking")]
            assert_allclose(labels[int(row["Experiment_id"]) - 1], expected)
    assert orders[2] != orders[24]


TWENTE = list(
    words(
        "Fp1 AF3 F7 F3 FC1 FC5 T7 C3 CP1 CP5 P7 P3 Pz PO3 O1 Oz O2 PO4 P4 P8 CP6 CP2 C4 T8 FC6 FC2 "
        "F4 F8 AF4 Fp2 Fz Cz"
    )
)
GENEVA = list(
    words(
        "Fp1 AF3 F3 F7 FC5 FC1 C3 T7 CP5 CP1 P3 P7 PO3 O1 Oz Pz Fp2 AF4 Fz F4 F8 FC6 FC2 Cz C4 T8 "
        "CP6 CP2 P4 P8 PO4 O2"
    )
)


@pytest.mark.parametrize(
    ("subject", "order", "n_channels", "status", "bits"),
    [
        (2, TWENTE, 48, ["Status"], 0),
        (24, GENEVA, 48, [""], 1703680),
        (29, GENEVA, 49, ["", ""], 1703680),
    ],
)
def test_deap_original_quirks(
    deap_folder: Path,
    late_deap_folder: Path,
    subject: int,
    order: list[str],
    n_channels: int,
    status: list[str],
    bits: int,
) -> None:
    folder = late_deap_folder if subject == 29 else deap_folder
    labels, rate, x = read_bdf(folder / "data_original" / f"s{subject:02d}.bdf")
    assert rate == 512
    assert labels[:32] == order
    assert len(labels) == n_channels
    assert labels[47:] == status
    codes = np.rint(x[-1]).astype(int) - bits
    onsets = np.flatnonzero(np.diff(codes, prepend=0) * (codes > 0))
    assert codes[onsets].tolist() == [3, 4, 5] * 40


def test_deap_original_trials_are_in_order_of_presentation(deap_folder: Path) -> None:
    """The raw trial k is the video that the ratings name k-th, not the k-th row of the .dat."""
    labels, _, x = read_bdf(deap_folder / "data_original" / "s02.bdf")
    starts = np.flatnonzero(np.diff(np.rint(x[-1]), prepend=0) * (np.rint(x[-1]) == 4))
    rows = [r for r in read_ratings(deap_folder) if r["Participant_id"] == "2"]
    data = load_pickle(deap_folder / "data_preprocessed_python" / "s02.dat")["data"]
    o1 = GENEVA.index("O1")
    for k in (0, 17, 39):
        piece = x[:32, starts[k] - 3 * 512 : starts[k] + 2 * 512]
        piece = piece[[labels.index(name) for name in GENEVA]]
        spectrum = np.fft.rfft(piece - piece.mean(axis=1, keepdims=True), axis=1)
        f = np.fft.rfftfreq(piece.shape[1], 1 / 512)
        spectrum[:, (f < 7) | (f > 40)] = 0
        filtered = np.fft.irfft(spectrum, piece.shape[1], axis=1)
        filtered -= filtered.mean(axis=0)
        video = int(rows[k]["Experiment_id"])
        own = data[video - 1, o1, 64:-64]
        other = data[video % 40, o1, 64:-64]
        raw = filtered[o1, ::4][64:-64]
        assert np.corrcoef(raw, own)[0, 1] > 0.75
        assert abs(np.corrcoef(raw, other)[0, 1]) < 0.4


# the folder ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("corpus", "forms"),
    [
        ("SEED", ["preprocessed", "features"]),
        ("SEED-IV", ["raw"]),
        ("DEAP", ["python"]),
    ],
)
def test_same_bytes_whatever_the_workers(corpus: str, forms: list[str], tmp_path: Path) -> None:
    options = {"subjects": 2, "sessions": 1, "trial_seconds": 2.0, "seed": 9, "forms": forms}
    one = write_twin(corpus, tmp_path / "one", workers=1, **options)
    two = write_twin(corpus, tmp_path / "two", workers=2, **options)
    assert all_bytes(one) == all_bytes(two)
    other = write_twin(
        corpus, tmp_path / "other", **{**options, "subjects": 1, "seed": 10, "forms": forms[:1]}
    )
    changed = [k for k, v in all_bytes(other).items() if v != all_bytes(one)[k]]
    assert any(name.endswith((".mat", ".dat")) for name in changed)


def test_same_bytes_of_original_recordings(tmp_path: Path) -> None:
    options = {"trial_seconds": 2.0, "forms": ["original"]}
    both = write_twin("DEAP", tmp_path / "both", subjects=[4, 30], workers=2, **options)
    alone = write_twin("DEAP", tmp_path / "alone", subjects=[30], **options)
    path = "data_original/s30.bdf"
    assert (both / path).read_bytes() == (alone / path).read_bytes()


def test_more_subjects_leave_the_first_ones_as_they_were(tmp_path: Path) -> None:
    options = {"sessions": 1, "trial_seconds": 2.0}
    folder = write_twin("SEED", tmp_path / "twin", subjects=1, **options)
    before = all_bytes(folder)
    seen: list[tuple[int, int, str]] = []
    write_twin("SEED", folder, subjects=2, progress=lambda *step: seen.append(step), **options)
    after = all_bytes(folder)
    signal = "SEED_EEG/Preprocessed_EEG/1_20131027.mat"
    assert after[signal] == before[signal]
    assert "SEED_EEG/Preprocessed_EEG/2_20140404.mat" in after
    assert not any(what.endswith("1_20131027.mat") for _, _, what in seen)  # not written twice
    assert seen[-1][0] == seen[-1][1] == 4
    fresh = write_twin("SEED", tmp_path / "fresh", subjects=2, **options)
    assert all_bytes(fresh) == after


def test_interrupted_writing_leaves_no_half_file_and_continues(tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    def stop(done: int, total: int, what: str) -> None:
        if what.endswith("1_20160518.mat"):
            raise Stop

    options = {"subjects": 2, "sessions": 1, "trial_seconds": 2.0}
    with pytest.raises(Stop):
        write_twin("SEED-IV", tmp_path / "twin", progress=stop, **options)
    assert not list((tmp_path / "twin").rglob("*.part"))
    assert (tmp_path / "twin" / MARK).exists()
    write_twin("SEED-IV", tmp_path / "twin", **options)
    assert all_bytes(tmp_path / "twin") == all_bytes(
        write_twin("SEED-IV", tmp_path / "whole", **options)
    )


def test_every_folder_of_data_is_marked(seed_folder: Path, deap_folder: Path) -> None:
    for folder in (seed_folder, deap_folder):
        holding = {p.parent for p in folder.rglob("*") if p.suffix in (".mat", ".dat", ".bdf")}
        for place in {folder, *holding}:
            assert "holds no person's data" in (place / MARK).read_text()


def test_truth_says_what_was_felt(seed_folder: Path) -> None:
    truth = json.loads((seed_folder / TRUTH).read_text())
    assert truth["simulated"] is True
    assert truth["twin"]["seed"] == 3
    assert [person["subject"] for person in truth["subjects"]] == [1, 2]
    assert len(truth["clips"]) == 15
    assert len(truth["trials"]) == 30
    negative = [c["valence"] for c in truth["clips"] if c["row"] in (3, 4, 7, 12, 15)]
    positive = [c["valence"] for c in truth["clips"] if c["row"] in (1, 6, 9, 10, 14)]
    assert max(negative) < min(positive)
    assert truth["twin"]["settings"] == TwinSettings().model_dump()


def test_other_files_are_never_touched(tmp_path: Path) -> None:
    (tmp_path / "real.mat").write_text("precious")
    with pytest.raises(FolderError, match="not a twin"):
        write_twin("SEED", tmp_path, **SHORT)
    assert [path.name for path in tmp_path.iterdir()] == ["real.mat"]
    with pytest.raises(FolderError, match="is a file"):
        write_twin("SEED", tmp_path / "real.mat", **SHORT)


def test_another_twin_is_not_mixed_in(tmp_path: Path) -> None:
    options = {"subjects": 1, "sessions": 1, "trial_seconds": 2.0}
    write_twin("SEED", tmp_path / "twin", seed=1, **options)
    with pytest.raises(FolderError, match="seed: found 1, asked 2"):
        write_twin("SEED", tmp_path / "twin", seed=2, **options)
    with pytest.raises(FolderError, match="settings"):
        write_twin("SEED", tmp_path / "twin", seed=1, settings=TwinSettings.easy(), **options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"subjects": 16}, ["subjects", "1 to 15"]),
        ({"sessions": [0]}, ["sessions", "1 to 3"]),
        ({"forms": ["preprocesed"]}, ["preprocesed", "Did you mean 'preprocessed'"]),
        ({"tree": "newer"}, ["tree", "old"]),
        ({"workers": 0}, ["workers"]),
        ({"forms": ["features-4s"], "trial_seconds": 4.0}, ["4 s", "at least 5"]),
    ],
)
def test_refusals(options: dict, words: list[str], tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        write_twin("SEED", tmp_path / "twin", **{**SHORT, **options})
    for word in words:
        assert word in str(caught.value)
    assert not (tmp_path / "twin").exists()


def test_sizes() -> None:
    assert list(SIZES) == ["tiny", "small", "full"]
    subjects, sessions, seconds = SIZES["small"]
    assert subjects is not None
    assert subjects <= 6
    assert sessions == 1
    assert seconds is not None
    assert SIZES["full"] == (None, None, None)


# formats -------------------------------------------------------------------------------------


@pytest.mark.parametrize("compress", [True, False])
def test_mat_round_trip(compress: bool, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arrays = {
        "djc_eeg1": rng.standard_normal((3, 7)),
        "a": rng.standard_normal((2, 3, 4)),
        "eight888": np.array([1.0, 2.0]),
    }
    write_mat(tmp_path / "x.mat", arrays.items(), compress=compress)
    found = loadmat(tmp_path / "x.mat")
    assert [k for k in found if not k.startswith("__")] == list(arrays)
    assert_array_equal(found["djc_eeg1"], arrays["djc_eeg1"])
    assert_array_equal(found["a"], arrays["a"])
    assert_array_equal(found["eight888"], [[1.0, 2.0]])
    assert found["__version__"] == "1.0"


def test_bdf_round_trip(tmp_path: Path) -> None:
    channels = [
        BdfChannel("Fp1", "uV", -262144, 262143),
        BdfChannel("", "Boolean", -8388608, 8388607),
    ]
    rng = np.random.default_rng(0)
    x = np.stack([100 * rng.standard_normal(30), rng.integers(0, 9, 30).astype(float)])
    x[0, :2] = 1e9, -1e9  # clipped, not wrapped
    write_bdf(tmp_path / "x.bdf", channels, 10, 3, iter([x[:, :20], x[:, 20:]]))
    labels, rate, found = read_bdf(tmp_path / "x.bdf")
    assert (labels, rate) == (["Fp1", ""], 10)
    assert_allclose(found[0, 2:], x[0, 2:], atol=0.02)
    assert_allclose(found[0, :2], [262143, -262144])
    assert_allclose(found[1], x[1], atol=1e-6)


@pytest.mark.parametrize(("subject", "place"), [(22, "Twente"), (23, "Geneva"), (28, "Geneva")])
def test_deap_original_channels_at_the_changes(subject: int, place: str) -> None:
    labels = [channel.label for channel in _channels(subject)]
    assert labels[:32] == (TWENTE if place == "Twente" else GENEVA)
    assert labels[47:] == ([""] if subject > 23 else ["Status"])


def test_bdf_opens_in_mne(late_deap_folder: Path) -> None:
    mne = pytest.importorskip("mne")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # two channels without a name
        raw = mne.io.read_raw_bdf(late_deap_folder / "data_original" / "s29.bdf", verbose="ERROR")
    assert raw.ch_names[-2:] == ["-0", "-1"]
    assert raw.info["sfreq"] == 512


def test_a_file_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> None:
        with atomic_file(tmp_path / "x") as file:
            file.write(b"half")
            raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="full"):
        fail()
    assert list(tmp_path.iterdir()) == []
