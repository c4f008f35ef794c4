"""The ready mappings against the traps of each public data set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from corpora_layouts import write_bdf

import affectrum as af
from affectrum.catalog import ds002721, emoeeg_mc
from affectrum.catalog.model import words
from affectrum.errors import ConfigError, FolderError


@pytest.fixture(scope="module")
def bids():
    import sys

    return sys.modules["corpora_layouts_bids"]


# EmoEEG-MC ------------------------------------------------------------------------------------


def test_lists_of_emoeeg_by_hand():
    assert len(emoeeg_mc.ELECTRODES) == 64
    assert emoeeg_mc.ELECTRODES[57] == "O1"
    assert emoeeg_mc.ELECTRODES[-4:] == ("F9", "F10", "TP9", "TP10")
    expected = [e + n for e in ("sad", "dis", "fear", "neu", "joy", "ten", "ins") for n in "458"]
    assert list(emoeeg_mc.REORDER) == expected
    clips = emoeeg_mc.FACTS.clips
    assert clips[0][20].clip == "EmoEEG-MC/vid-ins8"
    assert clips[1][3].clip == "EmoEEG-MC/ima-dis4"
    assert clips[1][3].emotion == "disgust"


def test_sorted_trials_know_their_clip(tmp_path, bids):
    folder = bids.write_emoeeg_arrays(tmp_path, subjects=(1,))
    trials = af.open_corpus("EmoEEG-MC", folder).trials
    assert trials["session_name"].tolist() == ["vid"] * 21 + ["ima"] * 21
    assert trials["emotion"].tolist()[:4] == ["sadness"] * 3 + ["disgust"]
    assert trials["trial"].isna().all()  # the order of presentation is not in these files
    assert trials["rating_valence"].isna().all()


def test_units_of_arrays_are_measured(tmp_path, bids):
    folder = bids.write_emoeeg_arrays(tmp_path, subjects=(1,), content="eeg", scale=1e-6)
    corpus = af.open_corpus("EmoEEG-MC", folder)
    x = corpus.read(corpus.trials.iloc[0])
    assert 10e-6 < x.std() < 30e-6
    notes = [str(p) for p in corpus.check().of_level("note")]
    assert any("it is V" in note for note in notes)


def test_missing_trials_leave_the_labels_unknown(tmp_path, bids):
    folder = bids.write_emoeeg_arrays(tmp_path, subjects=(60,), n_trials=9)
    corpus = af.open_corpus("EmoEEG-MC", folder)
    assert len(corpus.trials) == 18
    assert corpus.trials["emotion"].isna().all()
    warnings = [str(p) for p in corpus.check().of_level("warning")]
    assert any("9 trials instead of 21" in warning for warning in warnings)


def test_another_length_of_real_trials_is_noticed(tmp_path, bids):
    folder = bids.write_emoeeg_arrays(tmp_path, subjects=(1,), simulated=False)
    report = af.corpora.check_folder("EmoEEG-MC", folder)
    assert any("6000 are published" in str(p) for p in report.of_level("warning"))


def test_recordings_do_not_tell_their_clips(tmp_path, bids):
    folder = bids.write_emoeeg_raw(tmp_path, subjects=(2,))
    corpus = af.open_corpus("EmoEEG-MC", folder)
    assert corpus.form == "raw"
    trials = corpus.trials
    # video_name says 35 for all; it is no clip
    assert trials["clip"].isna().all()
    assert trials["emotion"].isna().all()
    assert any("option 'sequences'" in str(p) for p in corpus.check().of_level("warning"))
    # scores are in the order of presentation, in which the contexts alternate
    ordered = trials.sort_values("onset_s")
    expected = [bids.emc_score(2, trial)[7] for trial in range(1, 43)]
    assert ordered["rating_valence"].tolist() == expected
    expected = [bids.emc_score(2, trial)[6] for trial in range(1, 43)]
    assert ordered["rating_arousal"].tolist() == expected


def test_sequences_name_the_clips(tmp_path, bids):
    folder = bids.write_emoeeg_raw(tmp_path / "ds", subjects=(2,))
    corpus = af.open_corpus("EmoEEG-MC", folder, options={"sequences": str(bids.SEQUENCES)})
    trials = corpus.trials
    rows = bids.emc_sequence(2, 2)
    part = trials[trials["session"] == 2].sort_values("trial")
    assert part["clip"].tolist() == [f"EmoEEG-MC/ima-{emoeeg_mc.REORDER[k]}" for k in rows]
    assert part["emotion"].notna().all()
    wrong = tmp_path / "wrong.csv"
    for text, message in (
        ("subject,trial,clip\n", "lacks the column session"),
        ("subject,session,trial,clip\n2,vid,x,sad4\n", "whole numbers"),
        ("subject,session,trial,clip\n2,vid,1,sad4\n2,vid,1,sad5\n", "twice"),
    ):
        wrong.write_text(text)
        with pytest.raises(ConfigError, match=message):
            af.open_corpus("EmoEEG-MC", folder, options={"sequences": str(wrong)})


def test_scores_that_do_not_fit_are_left_out(tmp_path, bids):
    folder = bids.write_emoeeg_raw(tmp_path, subjects=(1,), beh_rows=40)
    corpus = af.open_corpus("EmoEEG-MC", folder)
    assert corpus.trials["rating_valence"].isna().all()
    assert any("40 rows for 42 trials" in str(p) for p in corpus.check().of_level("warning"))


def test_events_may_stand_in_the_subjects_folder(tmp_path, bids):
    folder = bids.write_emoeeg_raw(tmp_path, subjects=(1,))
    events = next(folder.rglob("*_events.tsv"))
    events.rename(events.parent.parent / events.name)
    assert len(af.open_corpus("EmoEEG-MC", folder).trials) == 42


# DENS -----------------------------------------------------------------------------------------


def test_onsets_of_dens_are_samples(tmp_path, bids):
    corpus = af.open_corpus("DENS", bids.write_dens(tmp_path / "a", subjects=(1,)))
    # 1 s, 3 s of rest, then every 4 s
    assert corpus.trials["onset_s"].tolist() == [5.0 + 4 * k for k in range(11)]
    # a version whose onsets were mended is not read at the 250th part of its times
    mended = bids.write_dens(tmp_path / "b", subjects=(1,), seconds=True)
    with pytest.raises(FolderError, match="they are seconds, not samples"):
        af.open_corpus("DENS", mended)


def test_labels_of_dens(tmp_path, bids):
    corpus = af.open_corpus("DENS", bids.write_dens(tmp_path, subjects=(3,)))
    trials = corpus.trials
    assert set(trials["subject"]) == {3}
    assert trials["clip"].tolist() == [f"DENS/{name}" for name in bids.dens_films(3)]
    for name, k in (("valence", 0), ("arousal", 1), ("relevance", 5)):
        expected = [bids.dens_rating(3, row)[k] for row in range(1, 12)]
        assert trials[f"rating_{name}"].tolist() == expected
    low, high = trials["valence"], (trials["rating_valence"] - 5) / 4
    np.testing.assert_allclose(low, high)
    felt = trials["felt_emotion"].tolist()
    assert felt[1] == "joyous"
    assert [word for k, word in enumerate(felt) if k != 1 and isinstance(word, str)] == []
    assert any("serene" in str(p) for p in corpus.check().of_level("note"))


def test_rest_of_dens(tmp_path, bids):
    corpus = af.open_corpus("DENS", bids.write_dens(tmp_path, subjects=(1,)))
    rest = corpus.read_rest(corpus.trials.iloc[4])
    assert rest.shape == (45, bids.DENS_REST_S * 250)
    expected = -(1e5 + np.arange(45)) + bids.wobble(500)[250]
    np.testing.assert_allclose(rest[:, 0] * 1e6, expected, atol=0.05)
    assert corpus.read_baseline(corpus.trials.iloc[4]) is None


def test_units_of_dens_are_measured_where_no_table_names_them(tmp_path, bids):
    folder = bids.write_dens(tmp_path, subjects=(1,), unit=None, content="eeg")
    corpus = af.open_corpus("DENS", folder)
    assert 10e-6 < corpus.read(corpus.trials.iloc[0]).std() < 30e-6


def test_signals_of_dens_that_are_missing_or_cut(tmp_path, bids):
    folder = bids.write_dens(tmp_path, subjects=(1,))
    path = next(folder.rglob("*.fdt"))
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(FolderError, match="truncated"):
        af.open_corpus("DENS", folder)
    path.unlink()
    with pytest.raises(FolderError, match=r"_eeg\.fdt, is missing"):
        af.open_corpus("DENS", folder)


# ds002721 -------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", [False, True])
def test_clips_and_answers_of_ds002721(tmp_path, bids, before):
    folder = bids.write_ds002721(tmp_path, subjects=(1,), before=before)
    corpus = af.open_corpus("ds002721", folder)
    trials = corpus.trials
    clips = [clip for run in (2, 3, 4, 5) for clip in bids.music_clips(1, run)]
    assert trials["clip"].tolist() == [f"ds002721/{clip}" for clip in clips]
    names = ["valence", "arousal", *ds002721.QUESTIONS[2:]]
    for row in (1, 17, 40):
        found = [trials[f"rating_{name}"][row - 1] for name in names]
        assert found == bids.music_answers(1, row)
    assert corpus.channels == ds002721.ELECTRODES
    assert corpus.channels[7] == "T7"
    notes = [str(p) for p in corpus.check().of_level("note")]
    assert any("1 of run 1, 1 of run 6" in note for note in notes)


def test_clips_that_do_not_alternate_are_missing(tmp_path, bids):
    folder = bids.write_ds002721(tmp_path, subjects=(1,))
    path = folder / "sub-01" / "eeg" / "sub-01_task-run3_events.tsv"
    lines = path.read_text().splitlines()
    kinds = [int(line.split("\t")[2]) for line in lines[1:]]
    codes = [k for k, kind in enumerate(kinds, 1) if 301 <= kind <= 360]
    del lines[codes[4]]
    path.write_text("\n".join(lines) + "\n")
    corpus = af.open_corpus("ds002721", folder)
    assert corpus.trials["clip"].isna().tolist() == [False] * 10 + [True] * 10 + [False] * 20
    warnings = [str(p) for p in corpus.check().of_level("warning")]
    assert any("9 codes of clips do not alternate with 10 starts" in w for w in warnings)


def test_runs_of_ds002721_may_be_missing_or_named_as_bids_wants(tmp_path, bids):
    folder = bids.write_ds002721(tmp_path, subjects=(1,), runs=(1, 2, 4))
    for path in list((folder / "sub-01" / "eeg").iterdir()):
        path.rename(path.with_name(path.name.replace("task-run", "task-music_run-")))
    trials = af.open_corpus("ds002721", folder).trials
    assert len(trials) == 20
    assert trials["row"].tolist() == list(range(1, 21))


def test_data_sets_are_told_apart(tmp_path, bids):
    # a neighbour in the same series, with the same names of files
    folder = bids.write_ds002721(tmp_path, doi="10.18112/openneuro.ds002725.v1.0.0", subjects=(1,))
    assert af.corpora.recognise(folder) == ()
    bids.describe(folder, "filmClips", None, True)  # its first version had no DOI
    assert af.corpora.recognise(folder) == ("ds002721",)
    bids.describe(folder, "A dataset", None, True)
    assert af.corpora.recognise(folder) == ()
    with pytest.raises(FolderError, match="looks like .*BIDS"):
        af.open_corpus("ds002721", folder)
    (folder / "dataset_description.json").write_text("{")
    assert af.corpora.recognise(folder) == ()


# FACED in BIDS --------------------------------------------------------------------------------

COHORT_1 = words(
    "Fp1 Fp2 Fz F3 F4 F7 F8 FC1 FC2 FC5 FC6 Cz C3 C4 T3 T4 A1 A2 CP1 CP2 CP5 CP6 Pz P3 P4 T5 T6 "
    "PO3 PO4 Oz O1 O2"
)


def write_faced(folder: Path, bids) -> Path:
    """Write subjects 000 (old names, 250 Hz, no unit) and 061 (1000 Hz) with three clips each."""
    bids.describe(folder, "FACED - Finer-grained Affective Computing EEG Dataset", None, False)
    faced = af.catalog.get("FACED").electrodes
    for label, sfreq, unit in (("000", 50, ""), ("061", 100, "uV")):
        names = COHORT_1 if label == "000" else [*faced, "HEOR", "HEOL"]
        rng = np.random.default_rng(int(label))
        x = rng.normal(scale=600, size=(32, 30 * sfreq))  # steps of about 1/32 uV
        stem = folder / f"sub-{label}" / "eeg" / f"sub-{label}_task-watchingVideoClips"
        for k, name in enumerate(names):
            if name in ("Oz", "T3", "T7"):
                x[k] += 64000 if name == "Oz" else 32000
        write_bdf(Path(f"{stem}_eeg.bdf"), names, x.astype(np.int64), sfreq, unit=unit)
        ratings = {"Joy": ["n/a", 6.7, 0.1, 3.5], "Valence": ["n/a", 6.5, 1.25, 3.0]}
        others = [
            "Tenderness",
            "Inspiration",
            "Amusement",
            "Anger",
            "Disgust",
            "Fear",
            "Sadness",
            "Arousal",
            "Familiarity",
            "Liking",
        ]
        bids.write_tsv(
            Path(f"{stem}_events.tsv"),
            {
                "onset": [0.5, 2, 10, 20],
                "duration": [0.0, 4.5, 5.0, 3.0],
                "trial_type": ["Experiment start", "Harry Potter", "Hellraiser", "Blue"],
                "emotion_label": ["n/a", "Joy", "Disgust", "\\"],
                "video_index": ["n/a", 25, 6, 14],
                **ratings,
                **{name: ["n/a", 1, 2, 3] for name in others},
            },
        )
    return folder


def test_faced_in_bids(tmp_path, bids):
    folder = write_faced(tmp_path, bids)
    corpus = af.open_corpus("BIDS", folder, options={"mapping": "faced-bids"})
    trials = corpus.trials
    assert (trials["corpus"] == "FACED").all()
    assert trials["subject"].tolist() == [1] * 3 + [62] * 3
    assert trials["sfreq"].tolist() == [50.0] * 3 + [100.0] * 3
    clips = af.catalog.get("FACED").clips[0]
    assert trials["clip"].tolist() == [clips[k - 1].clip for k in (25, 6, 14)] * 2
    assert trials["emotion"].tolist() == ["joy", "disgust", "neutral"] * 2
    assert trials["rating_valence"].tolist() == [6.5, 1.25, 3.0] * 2
    assert trials["rating_joy"].tolist()[:3] == [6.7, 0.1, 3.5]
    assert corpus.channels == af.catalog.get("FACED").electrodes
    gain = (262143 + 262144) / (2**24 - 1)
    for position in (0, 4):
        means = corpus.read(trials.iloc[position]).mean(axis=1) * 1e6 / gain
        shifted = dict(zip(corpus.channels, np.rint(means / 32000), strict=True))
        assert {name for name, level in shifted.items() if level} == {"Oz", "T7"}
        assert (shifted["Oz"], shifted["T7"]) == (2, 1)
    notes = [str(p) for p in corpus.check().of_level("note")]
    assert any("1 recordings: no file names the unit" in note for note in notes)
