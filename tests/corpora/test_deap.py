"""DEAP's traps, each its own test."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import affectrum as af
from affectrum.catalog import deap
from affectrum.errors import FolderError


@pytest.fixture
def folder(copied):
    return copied("DEAP", "python")


@pytest.fixture(scope="module")
def original(layouts, tmp_path_factory):
    """One subject of each kind of recording: Twente, Geneva with its three Status conventions."""
    return layouts.write_deap(
        tmp_path_factory.mktemp("x") / "DEAP", form="original", subjects=(1, 23, 24, 29)
    )


def test_rows_are_videos_and_trials_the_order_of_presentation(folder, layouts):
    trials = af.open_corpus("DEAP", folder).trials
    for subject, part in trials.groupby("subject"):
        assert part["row"].tolist() == list(range(1, 41))
        assert part["clip"].tolist() == [f"DEAP/{row:02d}" for row in range(1, 41)]
        order = layouts.deap_order(subject)
        assert part["trial"].tolist() == [order.index(row) + 1 for row in range(1, 41)]


def test_without_participant_ratings_the_order_is_missing_not_guessed(layouts, tmp_path):
    folder = layouts.write_deap(tmp_path / "DEAP", ratings=False)
    corpus = af.open_corpus("DEAP", folder)
    assert corpus.trials["trial"].isna().all()
    assert corpus.trials["rating_valence"].notna().all()
    warnings = [str(p) for p in corpus.check().of_level("warning")]
    assert any("participant_ratings.csv" in w and "'trial' is empty" in w for w in warnings)


def test_ratings_are_valence_arousal_dominance_liking(folder, layouts):
    trials = af.open_corpus("DEAP", folder).trials
    for subject, part in trials.groupby("subject"):
        np.testing.assert_allclose(
            part[["rating_valence", "rating_arousal", "rating_dominance"]],
            layouts.deap_ratings(subject)[:, :3],
        )
    assert trials["emotion"].isna().all()


def test_three_seconds_come_before_the_video(folder, layouts):
    corpus = af.open_corpus("DEAP", folder)
    trial = corpus.trials.iloc[7]
    baseline, x = corpus.read_baseline(trial), corpus.read(trial)
    assert baseline.shape == (32, 384)
    assert x.shape == (32, 256)
    assert trial["onset_s"] == 3.0
    np.testing.assert_array_equal(layouts.decode(baseline)["sample"], 0)
    np.testing.assert_array_equal(layouts.decode(x)["sample"], 384)


def test_peripheral_channels_are_no_electrodes(folder, layouts):
    corpus = af.open_corpus("DEAP", folder)
    x = corpus.read(corpus.trials.iloc[0])
    np.testing.assert_array_equal(layouts.decode(x)["channel"], np.arange(32))


def test_python_and_matlab_forms_are_equal(folder, layouts, tmp_path):
    python = af.open_corpus("DEAP", folder)
    matlab = af.open_corpus("DEAP", layouts.write_deap(tmp_path / "m", form="matlab"))
    columns = [c for c in python.trials if c != "file"]
    assert python.trials[columns].equals(matlab.trials[columns])
    for position in (0, 39, 55):
        np.testing.assert_array_equal(
            python.read(python.trials.iloc[position]), matlab.read(matlab.trials.iloc[position])
        )


def test_python_form_is_preferred_and_others_can_be_asked_for(folder, layouts):
    layouts.write_deap(folder, form="matlab", ratings=False)
    assert af.open_corpus("DEAP", folder).form == "python"
    corpus = af.open_corpus("DEAP", folder, form="matlab")
    assert corpus.trials["file"][0] == "data_preprocessed_matlab/s01.mat"
    assert corpus.check().found["other_forms"] == ["python"]


def test_original_trials_are_in_the_order_of_presentation(original, layouts):
    trials = af.open_corpus("DEAP", original).trials
    for subject, part in trials.groupby("subject"):
        order = layouts.deap_order(subject)
        assert part["row"].tolist() == part["trial"].tolist() == list(range(1, 41))
        assert part["clip"].tolist() == [f"DEAP/{video:02d}" for video in order]
        expected = layouts.deap_ratings(subject)[np.array(order) - 1]
        np.testing.assert_allclose(part["rating_valence"], expected[:, 0])
        np.testing.assert_allclose(part["rating_arousal"], expected[:, 1])


def test_original_electrodes_are_taken_by_name_from_both_orders(original, layouts):
    assert deap.TWENTE_ORDER != deap.ELECTRODES
    corpus = af.open_corpus("DEAP", original)
    for subject in (1, 29):  # Twente, Geneva
        rows = corpus.trials[corpus.trials["subject"] == subject].iloc[[0, 17, 39]]
        for trial, x in corpus.iter_trials(rows):
            layouts.verify_bdf(trial, x)  # levels count electrodes in the Geneva order


@pytest.mark.parametrize(
    ("subject", "n_channels", "status"),
    [(1, 48, ("Status",)), (24, 48, ("",)), (29, 49, ("-0", "-1"))],
)
def test_status_channel_of_every_convention(original, subject, n_channels, status):
    from affectrum.recordings.biosemi import BdfFile

    file = BdfFile(original / "data_original" / f"s{subject:02d}.bdf")
    assert len(file.names) == n_channels
    assert file.names[-len(status) :] == status
    codes = set(np.unique(file.codes(n_channels - 1)).tolist())
    assert codes == ({0, 3, 4, 5} if subject < 24 else {1703680 + c for c in (0, 3, 4, 5)})
    trials = af.open_corpus("DEAP", original).trials
    part = trials[trials["subject"] == subject]
    np.testing.assert_allclose(part["onset_s"], 4 + 7 * np.arange(40))
    np.testing.assert_allclose(part["duration_s"], 2.0)


def test_two_channels_without_names(layouts, tmp_path):
    # readers that make names unique turn these into "-0" and "-1"
    folder = layouts.write_deap(tmp_path / "x", form="original", subjects=(30,))
    layouts.write_deap_bdf(folder / "data_original" / "s30.bdf", 30, status=("", ""))
    assert len(af.open_corpus("DEAP", folder).trials) == 40


def test_original_baseline_and_units(original, layouts):
    corpus = af.open_corpus("DEAP", original)
    trial = corpus.trials.iloc[4]
    baseline = corpus.read_baseline(trial)
    assert baseline.shape == (32, 3 * 512)
    steps = (baseline * 1e6 - layouts.DEAP_SHIFT_UV) / layouts.DEAP_GAIN_UV
    level = -(500 + np.arange(32)[:, None])
    assert set(np.unique(np.rint(steps - level))) == {0.0, 1.0}
    assert trial["sfreq"] == 512.0


@pytest.mark.parametrize("samples", [-30, 30])
def test_a_code_that_comes_early_or_late_does_not_change_the_length(layouts, tmp_path, samples):
    folder = layouts.write_deap(tmp_path / "x", form="original", subjects=(1,))
    layouts.write_deap_bdf(folder / "data_original" / "s01.bdf", 1, end_code_late=samples)
    assert set(af.open_corpus("DEAP", folder).trials["duration_s"]) == {2.0}


def test_original_without_participant_ratings_is_refused(layouts, tmp_path):
    folder = layouts.write_deap(tmp_path / "x", form="original", subjects=(1,), ratings=False)
    with pytest.raises(FolderError, match="only this file tells which video"):
        af.open_corpus("DEAP", folder)


def test_original_with_a_lost_event_is_refused(layouts, tmp_path):
    folder = layouts.write_deap(tmp_path / "x", form="original", subjects=(1,))
    path = folder / "data_original" / "s01.bdf"
    data = bytearray(path.read_bytes())
    n_channels, record = 48, 48 * 512 * 3
    # second 4 (the first video's start), Status is the last channel
    place = 256 * (n_channels + 1) + 4 * record + (n_channels - 1) * 512 * 3
    data[place : place + 512 * 3] = bytes(512 * 3)
    path.write_bytes(data)
    with pytest.raises(FolderError, match=r"s01\.bdf: 39 video starts \(code 4\), expected 40"):
        af.open_corpus("DEAP", folder)


def test_ratings_and_labels_that_disagree_are_refused(folder, layouts):
    path = folder / "data_preprocessed_python" / "s02.dat"
    content = pickle.loads(path.read_bytes())
    # labels put into the order of presentation, as a common mistake does
    content["labels"] = content["labels"][np.array(layouts.deap_order(2)) - 1]
    path.write_bytes(pickle.dumps(content, protocol=2))
    with pytest.raises(FolderError, match=r"s02\.dat: its labels and participant_ratings\.csv"):
        af.open_corpus("DEAP", folder)


def test_labels_finer_than_the_csv_agree(folder):
    path = folder / "data_preprocessed_python" / "s01.dat"
    content = pickle.loads(path.read_bytes())
    content["labels"] = np.clip(content["labels"] + 0.004, 1, 9)
    path.write_bytes(pickle.dumps(content, protocol=2))
    assert len(af.open_corpus("DEAP", folder).trials) == 80


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda text: text.replace("Experiment_id", "Video"), "lacks the columns Experiment_id"),
        (lambda text: text.replace("1,1,", "1,2,", 1), "subject 1 has trial 2 twice"),
        (lambda text: text.replace("\n1,3,", "\n1,x,", 1), "line 4 has an empty or wrong cell"),
        (lambda text: "", "lacks the columns"),
    ],
)
def test_damaged_participant_ratings(folder, change, word):
    path = folder / "metadata_csv" / "participant_ratings.csv"
    path.write_text(change(path.read_text()))
    with pytest.raises(FolderError, match=word):
        af.open_corpus("DEAP", folder)


def test_participant_ratings_with_semicolons_and_elsewhere(folder):
    source = folder / "metadata_csv" / "participant_ratings.csv"
    text = source.read_text().replace(",", ";")
    source.unlink()
    (folder / "participant_ratings.csv").write_text("\ufeff" + text, encoding="utf-8")
    assert af.open_corpus("DEAP", folder).trials["trial"].notna().all()


def test_participant_ratings_are_found_from_an_inner_folder(folder):
    corpus = af.open_corpus("DEAP", folder / "data_preprocessed_python")
    assert corpus.trials["trial"].notna().all()


def test_python_2_files_are_read(folder, layouts):
    # protocol 2 as Python 2 wrote it: raw strings instead of encoded text
    import struct

    path = folder / "data_preprocessed_python" / "s01.dat"
    content = pickle.loads(path.read_bytes())

    def array(values):
        shape = b"(" + b"".join(b"M" + struct.pack("<H", n) for n in values.shape) + b"t"
        raw = values.astype("<f8").tobytes()
        return (
            b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01"
            + shape
            + b"cnumpy\ndtype\nU\x02f8K\x00K\x01\x87R(K\x03U\x01<NNN"
            + b"J\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T"
            + struct.pack("<I", len(raw))
            + raw
            + b"tb"
        )

    data = b"\x80\x02}(U\x06labels" + array(content["labels"])
    path.write_bytes(data + b"U\x04data" + array(content["data"]) + b"u.")
    corpus = af.open_corpus("DEAP", folder)
    for trial, x in corpus.iter_trials(corpus.trials.iloc[[0, 12, 39]]):
        layouts.verify_code(trial, x)


def test_listing_decodes_no_signals(folder, monkeypatch):
    from affectrum.recordings import pickles

    asked = []
    load = pickles.load

    def counting(source, names=None, **kwargs):
        asked.append(names)
        return load(source, names, **kwargs)

    monkeypatch.setattr(pickles, "load", counting)
    corpus = af.open_corpus("DEAP", folder)
    assert asked == [["labels"], ["labels"]]
    asked.clear()
    list(corpus.iter_trials())
    assert asked == [["data"], ["data"]]


def test_a_hostile_file_is_named_and_not_run(folder):
    path = folder / "data_preprocessed_python" / "s01.dat"
    path.write_bytes(b"cos\nsystem\n(S'touch hacked'\ntR.")
    with pytest.raises(FolderError, match=r"s01\.dat.*'os'\.'system'"):
        af.open_corpus("DEAP", folder)
