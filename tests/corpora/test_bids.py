"""Any BIDS data set by a mapping: a data set of one's own, and the rules of mappings."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

import affectrum as af
from affectrum.catalog import dens, emoeeg_mc
from affectrum.corpora.bids_mapping import load_mapping, ready_mappings
from affectrum.errors import ConfigError, FolderError

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
