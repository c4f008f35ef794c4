"""BIDS data sets by mappings: the rules of mappings, and the traps of each public data set."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from corpora_layouts import write_bdf

import affectrum as af
from affectrum.catalog import dens, ds002721, emoeeg_mc
from affectrum.catalog.model import words
from affectrum.corpora.bids_mapping import load_mapping, ready_mappings
from affectrum.errors import ConfigError, FileFormatError, FolderError

SFREQ = 100
NAMES = ["EEG Fp1-REF", "T3", "Cz", "VEOG", "O2"]


@pytest.fixture(scope="module")
def bids():
    import sys

    return sys.modules["corpora_layouts_bids"]


# a data set of one's own ----------------------------------------------------------------------

MAPPING = {
    "version": 1,
    "corpus": "Mine",
    "files": {"tasks": ["films"]},
    "trials": {
        "column": "trial_type",
        "start": {"values": ["happy/1", "sad/2", "sad/3"]},
        "stop": {"duration_column": "duration"},
    },
    "clips": {"column": "stim_file", "pattern": r"(?P<clip>\w+)\.mp4", "film": "title"},
    "emotion": {
        "column": "trial_type",
        "words": {"happy/1": "happy", "sad/2": "sad", "sad/3": "sad"},
    },
    "ratings": {"valence": {"column": "val", "scale": [1, 9]}},
}


def write_own(
    folder: Path,
    *,
    subjects=(1, 2),
    sessions=(),
    unit="uV",
    channel_units=None,
    kind=".edf",
    durations=(2.0, 3.0, 2.0),
    onset_scale=1.0,
    bids=None,
) -> Path:
    """Write a data set whose electrode c is at subject*1000 + trial*100 + c steps in a trial."""
    bids.describe(folder, "My films", None, False)
    onsets = (2.0, 6.0, 11.5)
    for subject in subjects:
        for session in sessions or (None,):
            parts = [f"sub-{subject:02d}", *([f"ses-{session}"] if session else [])]
            place = folder.joinpath(*parts) / "eeg"
            stem = place / ("_".join(parts) + "_task-films")
            x = np.tile(np.arange(20 * SFREQ) % 2, (len(NAMES), 1)).astype(float)
            for k, (onset, duration) in enumerate(zip(onsets, durations, strict=True), 1):
                start, stop = round(onset * SFREQ), round((onset + duration) * SFREQ)
                levels = subject * 1000 + k * 100 + np.arange(len(NAMES))
                x[:, start:stop] += levels[:, None]
            if kind == ".edf":
                bids.write_edf(Path(f"{stem}_eeg.edf"), NAMES, x, SFREQ, unit=unit)
            else:
                write_brainvision(Path(f"{stem}_eeg.vhdr"), x)
            bids.write_tsv(
                Path(f"{stem}_events.tsv"),
                {
                    "onset": ["0.5", *[f"{o * onset_scale:g}" for o in onsets]],
                    "duration": ["n/a", *durations],
                    "trial_type": ["boundary", "happy/1", "sad/2", "sad/3"],
                    "stim_file": ["n/a", "one.mp4", "two.mp4", "n/a"],
                    "title": ["n/a", "One", "Two", "n/a"],
                    "val": ["n/a", 9, 1, "n/a"],
                },
            )
            if channel_units:
                bids.write_tsv(
                    Path(f"{stem}_channels.tsv"),
                    {
                        "name": NAMES,
                        "type": ["EEG", "EEG", "EEG", "VEOG", "EEG"],
                        "units": [channel_units] * len(NAMES),
                    },
                )
    # what holds for all recordings stands at the top
    bids.write_json(
        folder / "task-films_eeg.json", {"SamplingFrequency": SFREQ, "PowerLineFrequency": 60}
    )
    return folder


def write_brainvision(path: Path, x: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    channels = "\n".join(f"Ch{k}={name},,0.1,uV" for k, name in enumerate(NAMES, 1))
    path.write_text(
        "Brain Vision Data Exchange Header File Version 1.0\n\n[Common Infos]\n"
        f"DataFile={path.stem}.eeg\nMarkerFile={path.stem}.vmrk\nDataFormat=BINARY\n"
        f"DataOrientation=MULTIPLEXED\nNumberOfChannels={len(x)}\n"
        f"SamplingInterval={1e6 / SFREQ:g}\n\n[Binary Infos]\nBinaryFormat=INT_16\n\n"
        f"[Channel Infos]\n{channels}\n",
        encoding="utf-8",
    )
    path.with_suffix(".vmrk").write_text(
        "Brain Vision Data Exchange Marker File, Version 1.0\n\n[Common Infos]\n"
        f"DataFile={path.stem}.eeg\n\n[Marker Infos]\nMk1=New Segment,,1,1,0,0\n"
    )
    x.T.astype("<i2").tofile(path.with_suffix(".eeg"))


def given(place: Path, change=None) -> dict:
    """Return the option with a mapping, changed by a function."""
    mapping = json.loads(json.dumps(MAPPING))
    if change is not None:
        change(mapping)
    path = place / "mapping.yaml"
    path.write_text(yaml.safe_dump(mapping))
    return {"mapping": str(path)}


def levels(trial, x: np.ndarray) -> np.ndarray:
    steps = np.rint(x * 1e7)
    base = trial["subject"] * 1000 + (trial["row"]) * 100
    return steps - base


@pytest.mark.parametrize("kind", [".edf", ".vhdr"])
def test_a_data_set_of_ones_own(tmp_path, bids, kind):
    folder = write_own(tmp_path / "ds", kind=kind, bids=bids)
    corpus = af.open_corpus("bids", folder, options=given(tmp_path))
    assert corpus.name == "Mine"
    assert corpus.channels == ("Fp1", "T7", "Cz", "O2")
    trials = corpus.trials
    assert (trials["corpus"] == "Mine").all()
    assert trials["duration_s"].tolist() == [2.0, 3.0, 2.0] * 2
    assert trials["clip"].tolist()[:2] == ["Mine/one", "Mine/two"]
    assert trials["clip"].isna().tolist() == [False, False, True] * 2
    assert trials["film"].tolist()[:2] == ["One", "Two"]
    assert trials["emotion"].tolist() == ["happy", "sad", "sad"] * 2
    assert trials["rating_valence"].tolist()[:2] == [9.0, 1.0]
    assert np.isnan(trials["rating_valence"][2])
    # words put trials on the plane where there are words
    assert trials["valence"].tolist()[:2] == [0.75, -0.25]
    for position in range(6):
        trial = trials.iloc[position]
        got = levels(trial, corpus.read(trial))
        assert set(np.unique(got - np.array([0, 1, 2, 4])[:, None])) == {0.0, 1.0}
    facts = corpus.facts
    assert (facts.n_subjects, facts.n_sessions, facts.trials_per_session) == (2, 1, (3,))
    assert (facts.sfreq, facts.mains_hz, facts.licence) == (SFREQ, 60.0, "CC0")
    report = corpus.check(deep=True)
    assert report.usable
    assert report.corpus == "Mine"


def test_sessions_are_numbered_and_named(tmp_path, bids):
    folder = write_own(tmp_path / "ds", sessions=("10", "2"), bids=bids)
    corpus = af.open_corpus("BIDS", folder, options=given(tmp_path))
    found = corpus.trials[["session", "session_name"]].drop_duplicates().to_numpy().tolist()
    assert found == [[1, "2"], [2, "10"]]

    def order(mapping):
        mapping["files"]["sessions"] = ["10", "2"]

    again = af.open_corpus("BIDS", folder, options=given(tmp_path, order))
    found = again.trials[["session", "session_name"]].drop_duplicates().to_numpy().tolist()
    assert found == [[1, "10"], [2, "2"]]


def test_without_a_mapping_the_check_drafts_one(tmp_path, bids):
    folder = write_own(tmp_path / "ds", bids=bids)
    report = af.corpora.check_folder("BIDS", folder)
    assert not report.usable
    problem = report.problems[0]
    assert "2 subjects with 2 .edf" in problem.what
    assert "faced-bids" in problem.fix
    draft = yaml.safe_load(problem.fix.split("for this data set:\n")[1])
    assert draft["files"]["tasks"] == ["films"]
    assert draft["trials"]["column"] == "trial_type"
    assert "happy/1 (1)" in problem.fix
    assert "VEOG" in problem.fix
    # completed by the values that it asks for, the draft is a mapping
    draft["trials"]["start"] = {"values": ["happy/1"]}
    draft["emotion"]["words"] = {"happy/1": "happy"}
    del draft["ratings"]["arousal"], draft["ratings"]["valence"]
    path = tmp_path / "draft.yaml"
    path.write_text(yaml.safe_dump(draft))
    assert len(af.open_corpus("BIDS", folder, options={"mapping": str(path)}).trials) == 2


def test_units_are_those_of_the_files(tmp_path, bids):
    def read(**further):
        folder = write_own(tmp_path / "ds", bids=bids, subjects=(1,), **further)
        corpus = af.open_corpus("BIDS", folder, options=given(tmp_path))
        return corpus.read(corpus.trials.iloc[0])[0, 0], corpus.check()

    value, _ = read(unit="mV")
    assert value == pytest.approx(110.0e-3, abs=2e-4)
    value, report = read(unit="uV", channel_units="V")
    assert value == pytest.approx(110.0e-6, abs=2e-7)
    assert any("name other units" in p.what for p in report.of_level("note"))
    value, _ = read(unit="", channel_units="µV")
    assert value == pytest.approx(110.0e-6, abs=2e-7)
    # neither names one: it is told by how much the numbers vary
    shutil.rmtree(tmp_path / "ds")
    value, report = read(unit="")
    assert value == pytest.approx(110.0e-6, abs=2e-7)
    assert any("by how much they vary it is uV" in p.what for p in report.of_level("note"))
    folder = tmp_path / "ds"

    def strict(mapping):
        mapping["signal"] = {"unit": "header"}

    with pytest.raises(FolderError, match=r"header does not name the unit.*signal\.unit"):
        af.open_corpus("BIDS", folder, options=given(tmp_path, strict))

    def say(mapping):
        mapping["signal"] = {"unit": "uV"}

    corpus = af.open_corpus("BIDS", folder, options=given(tmp_path, say))
    assert corpus.read(corpus.trials.iloc[0])[0, 0] == pytest.approx(110e-6, abs=2e-7)


def test_types_of_channels_tsv_decide_what_is_eeg(tmp_path, bids):
    folder = write_own(tmp_path / "ds", channel_units="uV", bids=bids)
    for path in folder.rglob("*_channels.tsv"):
        path.write_text(path.read_text().replace("Cz\tEEG", "Cz\tMISC"))
    corpus = af.open_corpus("BIDS", folder, options=given(tmp_path))
    assert corpus.channels == ("Fp1", "T7", "O2")


def test_electrodes_that_one_recording_lacks_are_left_out_or_asked_for(tmp_path, bids):
    folder = write_own(tmp_path / "ds", bids=bids)
    path = folder / "sub-02" / "eeg" / "sub-02_task-films_eeg.edf"
    content = path.read_bytes()
    path.write_bytes(content.replace(b"O2              ", b"X9              ", 1))
    corpus = af.open_corpus("BIDS", folder, options=given(tmp_path))
    assert corpus.channels == ("Fp1", "T7", "Cz")
    assert any("left out: O2" in str(p) for p in corpus.check().of_level("note"))

    def want(mapping):
        mapping["signal"] = {"electrodes": ["O2", "Cz"]}

    report = af.corpora.check_folder("BIDS", folder, options=given(tmp_path, want))
    assert [p.where for p in report.of_level("error")] == ["sub-02/eeg/sub-02_task-films_eeg.edf"]
    assert "lacks 1 electrodes (O2)" in report.problems[0].what

    def rename(mapping):
        mapping["signal"] = {"electrodes": ["O2", "Cz"], "rename": {"X9": "O2"}}

    corpus = af.open_corpus("BIDS", folder, options=given(tmp_path, rename))
    assert corpus.channels == ("O2", "Cz")
    trial = corpus.trials.iloc[3]
    assert levels(trial, corpus.read(trial))[:, 0].tolist() == [4.0, 2.0]


def test_onsets_in_samples_are_noticed(tmp_path, bids):
    folder = write_own(tmp_path / "ds", onset_scale=SFREQ, bids=bids)
    with pytest.raises(FolderError, match="the onsets count samples.*onset_unit to samples"):
        af.open_corpus("BIDS", folder, options=given(tmp_path))

    def samples(mapping):
        mapping["trials"]["onset_unit"] = "samples"

    corpus = af.open_corpus("BIDS", folder, options=given(tmp_path, samples))
    assert corpus.trials["onset_s"].tolist() == [2.0, 6.0, 11.5] * 2


def test_trials_beyond_the_recording_are_cut_or_left_out(tmp_path, bids):
    folder = write_own(tmp_path / "ds", subjects=(1,), bids=bids)
    events = next(folder.rglob("*_events.tsv"))
    text = events.read_text()
    events.write_text(text.replace("11.5\t2.0", "18.5\t4.0"))
    corpus = af.open_corpus("BIDS", folder, options=given(tmp_path))
    assert corpus.trials["duration_s"].tolist() == [2.0, 3.0, 1.5]
    assert any("is cut: the recording ends 2.5 s" in str(p) for p in corpus.check().problems)
    events.write_text(text.replace("11.5\t2.0", "19.5\t4.0"))
    assert len(af.open_corpus("BIDS", folder, options=given(tmp_path)).trials) == 2


def test_an_event_that_stands_twice_begins_one_trial(tmp_path, bids):
    folder = write_own(tmp_path / "ds", subjects=(1,), bids=bids)
    events = next(folder.rglob("*_events.tsv"))
    lines = events.read_text().splitlines()
    events.write_text("\n".join([*lines, lines[3]]) + "\n")
    corpus = af.open_corpus("BIDS", folder, options=given(tmp_path))
    assert len(corpus.trials) == 3
    assert any("at the time of another trial" in str(p) for p in corpus.check().problems)


def test_columns_that_events_lack_are_named(tmp_path, bids):
    folder = write_own(tmp_path / "ds", subjects=(1,), bids=bids)

    def other(mapping):
        mapping["trials"]["column"] = "event_type"

    with pytest.raises(FolderError, match=r"no column event_type; its columns are onset, dur"):
        af.open_corpus("BIDS", folder, options=given(tmp_path, other))


def test_unknown_words_are_named(tmp_path, bids):
    folder = write_own(tmp_path / "ds", bids=bids)

    def forget(mapping):
        del mapping["emotion"]["words"]["sad/3"]

    with pytest.raises(FolderError, match=r"no emotion in the mapping: sad/3.*emotion\.words"):
        af.open_corpus("BIDS", folder, options=given(tmp_path, forget))


def test_ratings_put_rated_data_sets_on_the_plane(tmp_path, bids):
    folder = write_own(tmp_path / "ds", bids=bids)

    def rated(mapping):
        del mapping["emotion"]
        mapping["ratings"]["arousal"] = {"column": "val", "scale": [1, 5]}

    corpus = af.open_corpus("BIDS", folder, options=given(tmp_path, rated))
    assert corpus.trials["valence"].tolist()[:2] == [1.0, -1.0]
    # 9 is outside 1 to 5
    assert np.isnan(corpus.trials["rating_arousal"][0])
    assert any("arousal of trial 1 is 9, outside 1 to 5" in str(p) for p in corpus.check().problems)


def test_a_key_joins_the_table_of_behaviour(tmp_path, bids):
    folder = write_own(tmp_path / "ds", subjects=(1,), bids=bids)
    bids.write_tsv(
        folder / "sub-01" / "beh" / "sub-01_task-films_beh.tsv",
        {"film": ["two.mp4", "one.mp4"], "joy": [3, 4]},
    )

    def join(mapping):
        mapping["behaviour"] = {"join": "key", "event_column": "stim_file", "column": "film"}
        mapping["ratings"] = {"joy": {"source": "behaviour", "column": "joy", "scale": [0, 7]}}

    trials = af.open_corpus("BIDS", folder, options=given(tmp_path, join)).trials
    assert trials["rating_joy"].tolist()[:2] == [4.0, 3.0]
    assert np.isnan(trials["rating_joy"][2])

    def by_order(mapping):
        join(mapping)
        mapping["behaviour"] = {"join": "order"}

    corpus = af.open_corpus("BIDS", folder, options=given(tmp_path, by_order))
    assert corpus.trials["rating_joy"].isna().all()
    assert any("2 rows for 3 trials" in str(p) for p in corpus.check().of_level("warning"))


def test_the_header_wins_over_a_contradicting_sidecar(tmp_path, bids):
    folder = write_own(tmp_path / "ds", bids=bids)
    bids.write_json(folder / "task-films_eeg.json", {"SamplingFrequency": 250})
    corpus = af.open_corpus("BIDS", folder, options=given(tmp_path))
    assert (corpus.trials["sfreq"] == SFREQ).all()
    assert any("says 250 Hz, its header 100 Hz" in str(p) for p in corpus.check().problems)


def test_files_that_were_not_fetched_are_explained(tmp_path, bids):
    folder = write_own(tmp_path / "ds", bids=bids)
    path = folder / "sub-02" / "eeg" / "sub-02_task-films_eeg.edf"
    path.unlink()
    path.symlink_to("../../.git/annex/objects/none")
    report = af.corpora.check_folder("BIDS", folder, options=given(tmp_path))
    assert "content was not fetched" in report.problems[0].what


def test_a_second_opening_reads_no_recording(tmp_path, bids, monkeypatch):
    from affectrum.recordings.edf import EdfFile

    folder = write_own(tmp_path / "ds", bids=bids)
    first = af.open_corpus("BIDS", folder, options=given(tmp_path)).trials

    def forbid(*args, **kwargs):
        raise AssertionError("a header was read again")

    monkeypatch.setattr(EdfFile, "__init__", forbid)
    second = af.open_corpus("BIDS", folder, options=given(tmp_path)).trials
    assert first.equals(second)


# mappings -------------------------------------------------------------------------------------


def test_faults_of_a_mapping_are_all_named_with_their_places(tmp_path):
    def spoil(mapping):
        mapping["trails"] = 1
        mapping["files"]["folder"] = "../elsewhere"
        mapping["trials"]["start"] = {"values": ["a"], "codes": [1, 2]}
        mapping["trials"]["stop"] = {"evnts": {"values": ["b"]}}
        mapping["clips"]["pattern"] = "("
        mapping["ratings"]["valence"]["scale"] = [9, 1]
        mapping["signal"] = {"unit": "uv"}

    with pytest.raises(ConfigError) as caught:
        load_mapping(given(tmp_path, spoil)["mapping"])
    message = str(caught.value)
    for part in (
        "trails: no such field. Allowed are version, corpus",
        "Did you mean 'trials'?",
        "files.folder: must be a folder inside the data set",
        "trials.start: give one of values, codes, filled",
        "trials.stop.evnts: no such field",
        "Did you mean 'events'?",
        "clips.pattern: no regular expression",
        "ratings.valence: the lowest point of the scale is not below the highest",
        "signal.unit: allowed are auto, header",
    ):
        assert part in message, message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.pop("trials"), "give one of trials, array"),
        (lambda m: m["clips"].update(source="behaviour"), "there is no behaviour"),
        (lambda m: m["trials"].update(onset_sfreq=250), "onset_sfreq is for times in samples"),
        (lambda m: m["ratings"].update(x={"question": 1, "scale": [1, 5]}), "belong together"),
        (lambda m: m["files"].update(extensions=[".npy"]), "belong together"),
        (lambda m: m.update(version=2), "version"),
        (lambda m: m.pop("corpus"), "corpus: missing"),
    ],
)
def test_contradictions_of_a_mapping(tmp_path, change, message):
    with pytest.raises(ConfigError, match=message):
        load_mapping(given(tmp_path, change)["mapping"])


def test_mappings_that_are_none(tmp_path):
    with pytest.raises(ConfigError, match="Did you mean 'dens'"):
        load_mapping("denss")
    for text, message in (("a: [", "no YAML"), ("- 1", "expected names and values")):
        path = tmp_path / "m.yaml"
        path.write_text(text)
        with pytest.raises(ConfigError, match=message):
            load_mapping(path)


def test_ready_mappings():
    assert set(ready_mappings()) == {
        "dens",
        "ds002721",
        "emoeeg-mc",
        "emoeeg-mc-ica",
        "emoeeg-mc-raw",
        "faced-bids",
    }
    assert load_mapping("dens").signal.rename == dens.CAP
    arrays = load_mapping("emoeeg-mc")
    assert arrays.signal.rows == emoeeg_mc.ELECTRODES
    assert arrays.array.rows == emoeeg_mc.REORDER
    columns = {n: r.column for n, r in load_mapping("emoeeg-mc-raw").ratings.items()}
    assert columns == {name: f"score_{k}" for k, name in enumerate(emoeeg_mc.SCORES, 1)}
    questions = [r.question for r in load_mapping("ds002721").ratings.values()]
    assert questions == list(range(800, 808))
    for name in ("emoeeg-mc", "emoeeg-mc-raw", "dens", "ds002721"):
        mapping = load_mapping(name)
        facts = af.catalog.get(mapping.corpus)
        for rating, rule in mapping.ratings.items():
            assert facts.ratings[rating] == rule.scale
        assert set(mapping.emotion.words.values() if mapping.emotion else ()) <= set(facts.emotions)


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


# openers --------------------------------------------------------------------------------------


def test_edf_faults(tmp_path, bids):
    from affectrum.recordings.edf import EdfFile

    path = tmp_path / "a.edf"
    x = np.arange(3 * 40).reshape(3, 40).astype(float)
    bids.write_edf(path, ["Fz", "Cz", "Pz"], x, 20, units=["uV", "mV", "degC"])
    file = EdfFile(path)
    assert (file.names, file.units) == (("Fz", "Cz", "Pz"), ("uV", "mV", "degC"))
    assert file.rates == (20.0,) * 3
    np.testing.assert_allclose(file.read([2, 0], 15, 27), x[[2, 0], 15:27] * 0.1, atol=1e-9)
    for wrong in ((0, 41), (-1, 4), (5, 4)):
        with pytest.raises(FileFormatError, match="were asked for"):
            file.read([0], *wrong)
    bids.write_edf(path, ["Fz"], x[:1], 20, reserved="EDF+D")
    with pytest.raises(FileFormatError, match="interrupted"):
        EdfFile(path)
    bids.write_edf(path, ["Fz"], x[:1], 20)
    content = path.read_bytes()
    for harm, message in (
        (lambda b: b[:200], "not an EDF"),
        (lambda b: b[:300], "truncated inside"),
        (lambda b: b[:-1], "truncated"),
        (lambda b: b"9" + b[1:], "not an EDF"),
        (lambda b: b[:252] + b"99999"[:4] + b[256:], "truncated|channels|length"),
        (lambda b: b[:244] + b"nan     " + b[252:], "number belongs"),
        (lambda b: b[:236] + b"many    " + b[244:], "number of records"),
    ):
        path.write_bytes(harm(content))
        with pytest.raises(FileFormatError, match=message):
            EdfFile(path)


def test_eeglab_forms(tmp_path):
    from scipy.io import savemat

    from affectrum.recordings.eeglab import SetFile

    path = tmp_path / "a.set"
    x = np.arange(12.0).reshape(3, 4)
    head = {"srate": 2.0, "nbchan": 3.0, "pnts": 4.0, "trials": 1.0}
    # fields as variables of their own, signals inside, no labels
    savemat(path, {**head, "data": x, "chanlocs": np.zeros((0, 0))})
    file = SetFile(path)
    assert (file.names, file.sfreq, file.n_samples) == ((), 2.0, 4)
    np.testing.assert_array_equal(file.read([2, 0], 1, 3), x[[2, 0], 1:3])
    savemat(path, {"EEG": {**head, "trials": 2.0, "data": x}})
    with pytest.raises(FileFormatError, match="2 epochs"):
        SetFile(path)
    savemat(path, {"EEG": {**head, "pnts": 5.0, "data": x}})
    with pytest.raises(FileFormatError, match="data has shape"):
        SetFile(path)
    # names of folders in the header are not followed
    savemat(path, {"EEG": {**head, "data": "/etc/passwd"}})
    with pytest.raises(FileFormatError, match=r"a\.fdt, is missing"):
        SetFile(path)
    for content in ({"other": 1.0}, {"EEG": 3.0}, {"EEG": {**head, "srate": "x", "data": x}}):
        savemat(path, content)
        with pytest.raises(FileFormatError):
            SetFile(path)
