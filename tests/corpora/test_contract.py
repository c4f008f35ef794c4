"""What every reader promises of its trial table and signals, over all corpora and forms."""

from __future__ import annotations

import inspect
import tracemalloc
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import affectrum as af
from affectrum import affect, catalog
from affectrum.corpora import registry
from affectrum.corpora.base import Corpus
from affectrum.errors import ConfigError

# architecture.md, "Trial table"
COLUMNS = {
    "corpus": "str",
    "subject": "int64",
    "session": "int64",
    "row": "int64",
    "trial": "Int64",
    "clip": "str",
    "film": "str",
    "series": "str",
    "emotion": "str",
    "rating_valence": "float64",
    "rating_arousal": "float64",
    "rating_dominance": "float64",
    "valence": "float64",
    "arousal": "float64",
    "onset_s": "float64",
    "duration_s": "float64",
    "sfreq": "float64",
    "n_channels": "int64",
    "file": "str",
    "key": "str",
    "simulated": "bool",
}
# What opening or reading may take besides the arrays themselves: tables, headers, imports.
SPARE_BYTES = 6_000_000


@pytest.fixture
def corpus(case, written, layouts):
    name, form = case
    return layouts.open_as(name, form, written(name, form))


@pytest.fixture
def any_corpus(any_case, written, layouts):
    name, form = any_case
    return layouts.open_as(name, form, written(name, form))


# the registry


def test_every_reader_has_a_fixture_and_facts(layouts):
    # a corpus whose reader takes a mapping is tested by its ready mappings
    general = {name for name in af.corpora.names() if name not in catalog.names()}
    for name in af.corpora.names():
        reader = registry.reader(name)
        assert reader.name == name
        if name not in general:
            assert set(reader.signal_forms) == set(layouts.WRITERS.get(name, {})), name
            features = set(reader.forms) - set(reader.signal_forms)
            assert features == set(layouts.FEATURE_WRITERS.get(name, {})), name
    known = set(layouts.WRITERS) | set(layouts.FEATURE_WRITERS)
    assert set(af.corpora.names()) - general <= known <= set(af.corpora.names())


def test_every_module_that_looks_like_a_reader_is_listed():
    folder = Path(inspect.getfile(af.corpora)).parent
    readers = {p.stem for p in folder.glob("*.py") if "\nREADER = " in p.read_text("utf-8")}
    assert readers == {registry.module_name(name) for name in af.corpora.names()}


@pytest.mark.parametrize("spelling", ["seed-iv", "SEED_IV", "SeedIV", "seed iv"])
def test_names_are_matched_without_case_and_signs(spelling):
    assert registry.reader(spelling).name == "SEED-IV"


def test_unknown_names_and_forms_are_explained(written):
    with pytest.raises(ConfigError, match="'DEEP'.*SEED, SEED-IV.*Did you mean 'DEAP'"):
        af.open_corpus("DEEP", ".")
    with pytest.raises(ConfigError, match="'form': 'mat'"):
        af.open_corpus("DEAP", written("DEAP", "python"), form="mat")


def test_unknown_options_are_explained(any_case, written):
    name, form = any_case
    with pytest.raises(ConfigError, match=f"{name} has no option 'chanels'"):
        af.open_corpus(name, written(name, form), form=form, options={"chanels": ["Fz"]})


def test_readers_are_classes_of_one_base():
    for name in af.corpora.names():
        assert issubclass(registry.reader(name), Corpus)


# the trial table


def test_trial_table_has_the_columns_of_the_architecture(any_corpus):
    dtypes = dict(any_corpus.trials.dtypes.astype(str))
    assert list(dtypes)[: len(COLUMNS)] == list(COLUMNS)
    assert {name: dtypes[name] for name in COLUMNS} == COLUMNS
    further = dict(list(dtypes.items())[len(COLUMNS) :])
    ratings = {f"rating_{name}": "float64" for name in any_corpus.facts.ratings}
    allowed = {**ratings, **af.corpora.EXTRA_COLUMNS}
    assert {name: allowed.get(name) for name in further} == further
    assert set(ratings) <= set(dtypes)
    assert dict(af.corpora.COLUMNS) == COLUMNS


def test_trial_table_identifies_every_trial(any_corpus, any_case, layouts):
    trials, facts = any_corpus.trials, any_corpus.facts
    n_trials = layouts.layout_of(*any_case).n_trials
    assert (trials["corpus"] == any_corpus.name).all()
    assert trials["subject"].nunique() == 2
    assert len(trials) == (n_trials or 2 * sum(facts.trials_per_session))
    identity = ["subject", "session", "row"]
    assert not trials.duplicated(identity).any()
    pd.testing.assert_frame_equal(trials, trials.sort_values(identity, ignore_index=True))
    assert trials["session"].between(1, facts.n_sessions).all()
    if n_trials is None:
        # one of trials where the clips of a session are the same for all
        clips = sorted(sorted(clip.clip for clip in session) for session in facts.clips)
        for _, subject in trials.groupby("subject"):
            found = [sorted(part["clip"]) for _, part in subject.groupby("session")]
            assert sorted(found) == clips
    for (_, session), part in trials.groupby(["subject", "session"]):
        presented = part["trial"].dropna()
        assert presented.is_unique
        assert (presented >= 1).all()
        if n_trials is None:
            n = facts.trials_per_session[session - 1]
            assert part["row"].tolist() == list(range(1, n + 1))
            assert presented.empty or sorted(presented) == list(range(1, n + 1))


def test_trial_table_points_to_files(any_corpus):
    for file in any_corpus.trials["file"].unique():
        assert "\\" not in file
        assert not file.startswith("/")
        assert (any_corpus.folder / file).is_file()


def test_labels_are_of_the_clip_and_on_the_plane(any_corpus):
    trials, facts = any_corpus.trials, any_corpus.facts
    by_clip = {clip.clip: clip for session in facts.clips for clip in session}
    for _, trial in trials.iterrows():
        clip = by_clip.get(trial["clip"])
        for name in ("film", "series") if clip is not None else ():
            value = getattr(clip, name)
            assert pd.isna(trial[name]) if value is None else trial[name] == value
        if clip is not None and clip.emotion is not None:
            assert trial["emotion"] == clip.emotion
    words = set(trials["emotion"].dropna())
    assert words <= set(facts.emotions), words
    if "felt_emotion" in trials:
        assert set(trials["felt_emotion"].dropna()) <= set(facts.felt_codes.values())
    for name, (lowest, highest) in facts.ratings.items():
        found = trials[f"rating_{name}"].dropna()
        assert found.between(lowest, highest).all(), name
    for rating in ("valence", "arousal", "dominance"):
        if rating not in facts.ratings:
            assert trials[f"rating_{rating}"].isna().all()
    plane = trials[["valence", "arousal"]].to_numpy()
    if facts.is_rated:
        ratings = trials[["rating_valence", "rating_arousal"]].to_numpy()
        np.testing.assert_allclose(plane, affect.to_valence_arousal(ratings, any_corpus.name))
    else:
        known = trials["emotion"].notna().to_numpy()
        # words that an option gives stand in no catalogue
        told = facts.emotions != catalog.get(any_corpus.name).emotions
        corpus = None if told else any_corpus.name
        expected = affect.to_valence_arousal(trials["emotion"][known].tolist(), corpus)
        np.testing.assert_allclose(plane[known], expected)
        assert np.isnan(plane[~known]).all()
    assert not (np.abs(plane) > 1).any()


def test_the_table_of_the_plane_can_be_chosen(case, written, layouts):
    name, form = case
    other = layouts.open_as(name, form, written(name, form), table="warriner").trials
    default = layouts.open_as(name, form, written(name, form)).trials
    # compare what both tables place: words without norms are missing in one of them
    both = other["valence"].notna() & default["valence"].notna()
    assert both.any()
    differs = (other["valence"][both] != default["valence"][both]).any()
    assert differs == (not catalog.get(name).is_rated)


# signals


def test_signals_are_those_of_their_row(corpus, case, layouts):
    verify = layouts.layout_of(*case).verify
    picked = corpus.trials.sample(min(12, len(corpus.trials)), random_state=0)
    for _, trial in picked.iterrows():
        x = corpus.read(trial)
        assert x.dtype == np.float64
        assert x.shape == (len(corpus.channels), round(trial["duration_s"] * trial["sfreq"]))
        assert trial["n_channels"] == len(corpus.channels)
        verify(trial, x)


def test_signals_are_volts(case, sound_one, layouts):
    name, form = case
    if not layouts.layout_of(name, form).sound:
        return  # no fixture like EEG: `verify` above compares every value in volts
    corpus = layouts.open_as(name, form, sound_one(name, form))
    for position in {0, len(corpus.trials) // 2}:
        x = corpus.read(corpus.trials.iloc[position])
        low, high = np.percentile(x, [25, 75], axis=1)
        # scalp EEG varies by microvolts to some hundreds of them
        assert 2e-7 < np.median(high - low) < 1e-3


def test_channels_are_canonical_and_in_the_catalogues_order(corpus, case, layouts):
    told = layouts.layout_of(*case).options or {}
    if corpus.facts.electrodes and "channels" not in told:
        assert corpus.channels == corpus.facts.electrodes
    assert corpus.channels
    assert [af.electrodes.canonical(name) for name in corpus.channels] == list(corpus.channels)
    assert len(set(corpus.channels)) == len(corpus.channels)


def test_baseline_is_what_lies_before_the_stimulus(corpus):
    trial = corpus.trials.iloc[min(5, len(corpus.trials) - 1)]
    baseline = corpus.read_baseline(trial)
    if corpus.facts.baseline_s:
        n = round(corpus.facts.baseline_s * trial["sfreq"])
        assert baseline.shape == (len(corpus.channels), n)
        assert baseline.dtype == np.float64
        assert not np.array_equal(baseline[:, -50:], corpus.read(trial)[:, :50])
    else:
        assert baseline is None


def test_what_was_read_is_the_callers_own(corpus):
    trial = corpus.trials.iloc[0]
    x = corpus.read(trial)
    before = x.copy()
    x[:] = 7.0
    np.testing.assert_array_equal(corpus.read(trial), before)


def test_iteration_gives_what_read_gives_and_opens_each_file_once(corpus, monkeypatch):
    opened = []
    original = type(corpus)._open
    monkeypatch.setattr(
        type(corpus), "_open", lambda self, path: opened.append(path) or original(self, path)
    )
    rows = corpus.trials.iloc[::7]
    found = list(corpus.iter_trials(rows))
    assert len(opened) == rows["file"].nunique() == len(set(opened))
    assert sorted(zip(*_places([t for t, _ in found]), strict=True)) == sorted(
        zip(rows["file"], rows["key"], strict=True)
    )
    for trial, x in found[:6]:
        np.testing.assert_array_equal(x, corpus.read(trial))


def _places(trials):
    return [t["file"] for t in trials], [t["key"] for t in trials]


def test_iteration_takes_positions_masks_and_mixed_order(corpus):
    trials = corpus.trials
    by_position = [t["row"] for t, _ in corpus.iter_trials(np.array([3, 1]))]
    assert sorted(by_position) == sorted([trials.iloc[3]["row"], trials.iloc[1]["row"]])
    mask = (trials["subject"] == trials["subject"].max()) & (trials["row"] == 4)
    assert len(list(corpus.iter_trials(mask.to_numpy()))) == mask.sum()
    shuffled = trials.sample(frac=min(1, 20 / len(trials)), random_state=1)
    files = [t["file"] for t, _ in corpus.iter_trials(shuffled)]
    assert len(files) == len(shuffled)
    changes = sum(a != b for a, b in pairwise(files))
    assert changes == len(set(files)) - 1  # trials of one file come together
    assert list(corpus.iter_trials(trials.iloc[:0])) == []


def test_foreign_rows_are_refused(any_corpus):
    row = any_corpus.trials.iloc[0].copy()
    row["key"] = "no such trial"
    for wrong in (row, {}, 3):
        with pytest.raises(ConfigError, match="Invalid value for 'trial'"):
            any_corpus.read(wrong)


# memory


def _peak(function):
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def _bytes_by_file(corpus):
    """Return the bytes of each file's signals as float64, those before the stimuli included."""
    trials = corpus.trials
    seconds = trials["duration_s"] + corpus.facts.baseline_s
    n_rows = trials["n_channels"] + len(corpus.facts.auxiliary)
    return (seconds * trials["sfreq"] * n_rows * 8).groupby(trials["file"]).sum()


def test_opening_reads_no_signals(case, written, layouts, monkeypatch):
    name, form = case
    reader = registry.reader(name)

    def forbid(*args, **kwargs):
        raise AssertionError("signals were read")

    corpus = layouts.open_as(name, form, written(name, form))
    total = _bytes_by_file(corpus).sum()
    monkeypatch.setattr(reader, "_signals", forbid)
    folder = written(name, form)
    monkeypatch.setenv("AFFECTRUM_CACHE", str(folder.parent / "another cache"))
    peak = _peak(lambda: layouts.open_as(name, form, folder).trials)
    assert peak < 0.25 * total + SPARE_BYTES


def test_a_pass_holds_one_file_at_a_time(corpus):
    def whole_pass():
        for _, x in corpus.iter_trials():
            del x

    by_file = _bytes_by_file(corpus)
    # at most: the file's bytes, what they decode to, and a few copies of one trial
    assert _peak(whole_pass) < 4 * by_file.max() + SPARE_BYTES


def test_one_trial_in_memory_at_a_time(tmp_path):
    name, file = "SEED", tmp_path / "Preprocessed_EEG" / "1_20131027.mat"
    from scipy.io import savemat

    file.parent.mkdir()
    rng = np.random.default_rng(0)
    trial = rng.normal(size=(62, 200 * 20 + 1))
    savemat(file, {f"djc_eeg{n}": trial * n for n in range(1, 16)}, do_compression=True)
    (tmp_path / "SIMULATED.txt").write_text("")
    corpus = af.open_corpus(name, tmp_path)
    corpus.trials  # noqa: B018 - built before the measurement

    def whole_pass():
        for _, x in corpus.iter_trials():
            del x

    # packed bytes, unpacked bytes, array, volts and the trial before: not the file's fifteen
    assert _peak(whole_pass) < 6 * trial.nbytes


def test_no_opener_unpickles():
    for folder in ("corpora", "recordings"):
        for path in (Path(inspect.getfile(af)).parent / folder).glob("*.py"):
            code = [line for line in path.read_text("utf-8").splitlines() if "``pickle" not in line]
            text = "\n".join(code)
            assert "import pickle\n" not in text, path
            assert "allow_pickle=True" not in text, path
