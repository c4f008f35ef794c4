from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from affectrum.errors import LabelError, ProtocolError
from affectrum.protocols import SCALING_SCOPES, make_folds, plan_folds, truth
from affectrum.protocols.access import LABEL_COLUMNS, STIMULUS_COLUMNS
from affectrum.recipes import get_recipe
from affectrum.windows import Windows


def trials_of(table):
    keys = table[["subject", "session", "row"]].drop_duplicates()
    return [tuple(int(value) for value in key) for key in keys.itertuples(index=False)]


def test_calibrated_is_the_published_split(seed, seed4):
    folds = make_folds(
        [seed, seed4],
        "cross-corpus/calibrated",
        source="SEED-IV",
        target="SEED",
        classes="valence3-no-fear",
    )
    assert [fold.id for fold in folds] == ["SEED/1", "SEED/2", "SEED/3"]
    fold = folds[1]
    assert fold.classes == ("negative", "neutral", "positive")
    assert trials_of(fold.tables["calibration"]) == [(2, 1, row) for row in range(1, 10)]
    assert trials_of(fold.tables["test"]) == [(2, 1, row) for row in range(10, 16)]
    assert len(fold.tables["source"]) == 3 * 18 * 3
    assert "fear" not in set(fold.access.source.windows.table["emotion"])
    assert any("fear 18" in note for note in fold.notes)
    # every class is in both halves
    assert np.bincount(fold.access.calibration.y).tolist() == [9, 9, 9]
    assert np.bincount(truth([seed, seed4], fold)).tolist() == [6, 6, 6]
    assert fold.calibration_trials == 9
    assert fold.lacks == ()


def test_joined_corpora_are_taken_apart(seed, seed4):
    joined = Windows.concatenate([seed, seed4])
    with pytest.raises(ProtocolError, match="choose it by target"):
        make_folds(joined, "leave-one-subject-out")
    for given in (joined, [joined], [seed, seed4]):
        (fold, *_) = make_folds(given, "leave-one-subject-out", target="SEED")
        assert set(fold.tables["source"]["corpus"]) == set(fold.test.table["corpus"]) == {"SEED"}
        assert np.bincount(truth(given, fold)).tolist() == [15, 15, 15]
    apart = make_folds([seed, seed4], "calibrated", target="SEED", source="SEED-IV")
    again = make_folds(joined, "calibrated", target="SEED", source="SEED-IV")
    for one, other in zip(apart, again, strict=True):
        assert one.access.fingerprint("source") == other.access.fingerprint("source")
        assert np.array_equal(one.test.x, other.test.x)
        assert np.array_equal(truth([seed, seed4], one), truth(joined, other))


@pytest.mark.parametrize("scaling", ["per-subject", "rest"])
def test_validation_trials_are_scaled_as_the_session_they_are_of(make, scaling):
    windows = make("SEED", n_sessions=2, n_windows=8)
    options = {"scaling": scaling, "subjects": [1]}
    (last,) = make_folds(windows, "cross-session", **options)
    (fold,) = make_folds(windows, "cross-session", selection="validation", **options)
    train, held = fold.access.source.windows, fold.access.validation.windows
    together = Windows.concatenate([train, held])
    order = np.lexsort((together.table["window"], together.table["trial"]))
    assert len(held) == 3 * 8
    assert np.allclose(together.x[order], last.access.source.windows.x, atol=1e-5)
    assert np.allclose(fold.test.x, last.test.x, atol=1e-5)


def test_labels_that_change_within_a_trial_are_refused(seed):
    table = seed.table
    halves = table["emotion"].where(table["window"] < 2, "positive")
    with pytest.raises(LabelError, match=r"'emotion' changes within 30 trials.*row 2"):
        make_folds(seed.with_column("emotion", halves), "leave-one-subject-out")
    # missing throughout a trial is one label
    gone = table["emotion"].where(table["row"] > 2)
    folds = make_folds(seed.with_column("emotion", gone), "leave-one-subject-out")
    assert len(trials_of(folds[0].tables["test"])) == 13


def test_folds_share_one_source_object(seed, seed4):
    for scaling in ("none", "source", "calibration", "causal", "per-subject", "released"):
        folds = make_folds([seed, seed4], "calibrated", target="SEED", scaling=scaling)
        assert folds[0].access.source is folds[1].access.source is folds[2].access.source
        assert folds[0].tables["source"] is folds[2].tables["source"]


def test_plan_folds_builds_on_demand(seed):
    planned = plan_folds(seed, "leave-one-subject-out")
    assert len(planned) == 3
    assert planned.ids == ("SEED/1", "SEED/2", "SEED/3")
    assert planned[1].id == "SEED/2"
    assert [fold.id for fold in planned[1:]] == ["SEED/2", "SEED/3"]
    assert planned._last is not None


def test_seed_iv_defaults(seed, seed4):
    four = make_folds(
        [seed, seed4], "calibrated", target="SEED-IV", classes="emotion4", source_classes="valence3"
    )[0]
    assert four.calibration_trials == 12
    assert four.access.source_classes == ("negative", "neutral", "positive")
    assert len(dict.fromkeys(four.access.calibration.y.tolist())) == 4
    assert len(dict.fromkeys(truth([seed, seed4], four).tolist())) == 4
    three = make_folds([seed, seed4], "calibrated", target="SEED-IV", classes="valence3-no-fear")[0]
    assert three.calibration_trials == 9
    assert len(trials_of(three.tables["test"])) == 9
    within = make_folds(seed4, "within-subject", classes="emotion4")[0]
    assert len(trials_of(within.tables["source"])) == 12


def test_calibrated_uses_the_first_session_unless_told(make, seed4):
    seed = make("SEED", n_sessions=2)
    fold = make_folds([seed, seed4], "calibrated", target="SEED")[0]
    assert sorted(fold.tables["test"]["session"].unique()) == [1]
    both = make_folds([seed, seed4], "calibrated", target="SEED", target_sessions=[1, 2])[0]
    assert len(trials_of(both.tables["test"])) == 21
    zero = make_folds([seed, seed4], "zero-shot", target="SEED", source_sessions=[1])[0]
    assert sorted(zero.tables["test"]["session"].unique()) == [1, 2]
    with pytest.raises(ProtocolError, match=r"no session \[3\]"):
        make_folds([seed, seed4], "zero-shot", target="SEED", target_sessions=[3])


def test_first_trials_without_a_class_are_flagged_and_not_reordered(seed, seed4):
    fold = make_folds([seed, seed4], "calibrated", target="SEED", calibration_trials=2)[0]
    assert trials_of(fold.tables["calibration"]) == [(1, 1, 1), (1, 1, 2)]
    assert fold.lacks == ("negative",)
    assert any("first 2 trials hold no trial of class negative" in note for note in fold.notes)


def test_no_labels_and_no_stimuli_reach_the_test(seed, seed4):
    for base in ("zero-shot", "calibrated"):
        fold = make_folds([seed, seed4], base, target="SEED")[0]
        columns = set(fold.test.table.columns)
        assert not columns & {*LABEL_COLUMNS, *STIMULUS_COLUMNS, "file", "key"}
        assert columns >= {"corpus", "subject", "session", "row", "trial", "window", "start_s"}
        assert fold.test.simulated


def test_withheld_source_labels(seed, seed4):
    fold = make_folds([seed, seed4], "calibrated", target="SEED", source_labels=False)[0]
    assert fold.access.grants == (
        "source_signals",
        "calibration_signals",
        "calibration_labels",
    )
    assert "emotion" not in fold.access.source.windows.table
    assert len(fold.access.source) == len(seed4)


def test_truth_is_computed_outside(seed, make):
    fold = make_folds(seed, "leave-one-subject-out")[2]
    classes = ("negative", "neutral", "positive")
    words = seed.table["emotion"].to_numpy()[fold.test_rows]
    assert [classes[index] for index in truth(seed, fold)] == words.tolist()
    with pytest.raises(ProtocolError, match=r"only 45|differ"):
        truth(make("SEED", n_windows=1), fold)
    with pytest.raises(ProtocolError, match="differ"):
        truth(seed.select(np.arange(len(seed))[::-1]), fold)
    with pytest.raises(ProtocolError, match="tests SEED"):
        truth(make("SEED-IV"), fold)


def test_deap_needs_the_order_of_presentation_only_where_it_counts(seed, deap):
    with pytest.raises(ProtocolError, match=r"participant_ratings\.csv"):
        make_folds([seed, deap], "calibrated", target="DEAP", classes="valence2")
    folds = make_folds([seed, deap], "zero-shot", target="DEAP", classes="valence2")
    assert len(folds) == 3
    table = deap.table.iloc[folds[0].test_rows]
    assert (truth([seed, deap], folds[0]) == (table["rating_valence"] > 5).to_numpy()).all()


def test_a_corpus_without_ratings_refuses_arousal(seed):
    with pytest.raises(LabelError, match="arousal"):
        make_folds(seed, "within-subject", classes="arousal2")


def test_mixed_recipes_are_refused_with_every_difference(seed, make):
    other = make("SEED-IV", recipe="r2", shape=(4, 3))
    with pytest.raises(ProtocolError) as caught:
        make_folds([seed, other], "zero-shot", target="SEED")
    for text in ("recipe: SEED r1; SEED-IV r2", "bands", "length of the last axis: SEED 2"):
        assert text in str(caught.value)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"protocol": "zero-short"}, "Did you mean 'zero-shot'"),
        ({"protocol": "zero-shot"}, "needs source=... and target=..."),
        ({"protocol": "zero-shot", "target": "SED"}, "Did you mean 'SEED'"),
        ({"protocol": "zero-shot", "target": "SEED", "source": "SEED"}, "source and target"),
        ({"protocol": "loso"}, "choose it by target"),
        ({"protocol": "loso", "target": "SEED", "source": "SEED-IV"}, "belongs to protocols acro"),
        ({"protocol": "loso", "target": "SEED", "scaling": "calibration"}, "calibration trials"),
        ({"protocol": "loso", "target": "SEED", "scaling": "z-score"}, "'scaling': 'z-score'"),
        ({"protocol": "loso", "target": "SEED", "selection": "best"}, "'selection': 'best'"),
        ({"protocol": "loso", "target": "SEED", "calibration_trials": 3}, "has no meaning"),
        ({"protocol": "loso", "target": "SEED", "stimulus_control": True}, "set both"),
        ({"protocol": "loso", "target": "SEED", "source_sessions": [1]}, "use target_sessions"),
        (
            {"protocol": "loso", "target": "SEED", "scaling": "causal", "scaler": "minmax"},
            "needs scaler='standard'",
        ),
        (
            {"protocol": "zero-shot", "target": "SEED", "source_classes": "emotion4"},
            "transfers between different classes",
        ),
        ({"protocol": "own-split", "target": "SEED"}, "column 'split'"),
        (
            {"protocol": "cross-session", "target": "SEED"},
            "at least 2 sessions",
        ),
    ],
)
def test_refusals_say_what_would_do(seed, seed4, kwargs, message):
    kwargs = dict(kwargs)
    with pytest.raises(ProtocolError) as caught:
        make_folds([seed, seed4], kwargs.pop("protocol"), **kwargs)
    assert message in str(caught.value)


def test_one_corpus_may_be_given_once(seed):
    with pytest.raises(ProtocolError, match="given once"):
        make_folds([seed, seed], "zero-shot", target="SEED")


def test_several_source_corpora_are_joined(seed, seed4, make):
    own = make("SEED-V", emotions=["positive", "neutral", "negative"])
    fold = make_folds([seed, seed4, own], "zero-shot", source=["SEED", "SEED-V"], target="seed_iv")
    assert list(fold[0].access.source.windows.table["corpus"].unique()) == ["SEED", "SEED-V"]
    assert len(fold[0].access.source) == 3 * (15 + 3) * 3


def test_own_emotion_words_are_classes(make):
    own = make("mine", emotions=["calm", "tense", "calm", "tense", "bored"])
    fold = make_folds(own, "loso", classes=("tense", "calm"))[0]
    assert fold.classes == ("tense", "calm")
    assert truth(own, fold)[::3].tolist() == [1, 0, 1, 0]
    with pytest.raises(LabelError, match="calm, tense, bored"):
        make_folds(own, "loso", classes=("happy", "sad"))


# ------------------------------------------------------------------------------ validation


def test_validation_exists_only_when_asked_for(seed, seed4):
    for base in ("zero-shot", "calibrated"):
        fold = make_folds([seed, seed4], base, target="SEED")[0]
        assert fold.access.validation is None
        assert "validation" not in fold.access.grants


def test_validation_holds_out_whole_trials_of_the_training_side(seed, seed4):
    fold = make_folds([seed, seed4], "calibrated", target="SEED", selection="validation")[0]
    # labels of the first 9: + 0 - - 0 + - 0 +; the last of each class is held out
    assert trials_of(fold.tables["validation"]) == [(1, 1, 7), (1, 1, 8), (1, 1, 9)]
    assert trials_of(fold.tables["calibration"]) == [(1, 1, row) for row in range(1, 7)]
    assert trials_of(fold.tables["test"]) == [(1, 1, row) for row in range(10, 16)]
    assert fold.audit().passed
    within = make_folds(seed, "within-subject", selection="validation")[0]
    assert trials_of(within.tables["validation"]) == [(1, 1, 7), (1, 1, 8), (1, 1, 9)]
    assert within.access.validation.y[::3].tolist() == [0, 1, 2]


def test_validation_holds_out_whole_subjects(seed, seed4):
    folds = make_folds([seed, seed4], "zero-shot", target="SEED", selection="validation")
    assert folds[0].access.validation is folds[1].access.validation
    for fold in (*folds, *make_folds(seed, "loso", selection="validation")):
        held = set(fold.tables["validation"]["subject"])
        assert len(held) == 1
        assert not held & set(fold.tables["source"]["subject"])
        assert fold.audit().passed
        # the scaler of the training side did not see them
        assert not np.isin(
            fold.tables["validation"]["id"], np.concatenate([r.ids for r in fold.scalers])
        ).any()


def test_a_fold_without_validation_refuses_selection_on_it(seed, seed4, make):
    with pytest.raises(ProtocolError, match="only 1 calibration trial"):
        make_folds(
            [seed, seed4], "calibrated", target="SEED", selection="validation", calibration_trials=3
        )
    with pytest.raises(ProtocolError, match="has only one"):
        make_folds(make("SEED", n_subjects=2), "loso", selection="validation")
    words = np.where(seed.table["trial"] < 9, "train", "test")
    with pytest.raises(ProtocolError, match="'validation'; there are none"):
        make_folds(seed.with_column("split", words), "own-split", selection="validation")


# -------------------------------------------------------------------------------- own split


def test_own_split(seed):
    table = seed.trials()[["subject", "row"]]
    table = table.assign(split=np.where(table["row"] <= 6, "train", "test"))
    table.loc[table["row"] == 7, "split"] = "val"
    table = table[table["row"] != 15]
    windows = seed.with_split(table)
    (fold,) = make_folds(windows, "own-split", selection="validation")
    assert fold.subject == "1+2+3"
    assert len(fold.access.source) == 3 * 6 * 3
    assert len(fold.access.validation) == 9
    assert sorted(fold.tables["test"]["row"].unique()) == list(range(8, 15))
    assert any("9 windows are in no split" in note for note in fold.notes)
    assert fold.audit().passed
    with pytest.raises(ProtocolError, match="does not change your own split"):
        make_folds(windows, "own-split", stimulus_disjoint="clip")


# ------------------------------------------------------------------------------- artefacts


def test_windows_marked_as_artefacts_are_left_out_and_counted(make):
    windows = make("SEED")
    bad = np.zeros(len(windows), dtype=bool)
    bad[[0, 50]] = True
    x = windows.to_numpy()
    x[bad] = np.nan
    windows = windows.with_x(x).with_column("artefact", bad)
    fold = make_folds(windows, "loso")[0]
    assert len(fold.test) == 44
    assert len(fold.access.source) == 89
    assert np.isfinite(fold.access.source.windows.x).all()
    assert any("2 of 135 windows of SEED are left out as artefacts" in note for note in fold.notes)


# --------------------------------------------------------------------------------- scaling


def test_scalers_do_not_move_when_test_rows_are_altered(make, seed4):
    """Peers' defect: statistics fitted on everything. Only transductive scopes may move."""
    seed = make("SEED", n_windows=8)
    seed4 = make("SEED-IV", n_windows=8)
    for scaling in SCALING_SCOPES:
        before = make_folds([seed, seed4], "calibrated", target="SEED", scaling=scaling)[0]
        x = seed.to_numpy()
        x[before.test_rows[-1]] += 100.0  # the last window: also the causal scope's future
        after = make_folds([seed.with_x(x), seed4], "calibrated", target="SEED", scaling=scaling)[0]
        same = np.array_equal(before.test.x[:-1], after.test.x[:-1])
        assert same == ("transductive" not in before.protocol)
        assert np.array_equal(before.access.source.windows.x, after.access.source.windows.x)
        if scaling != "per-subject":
            assert np.array_equal(
                before.access.calibration.windows.x, after.access.calibration.windows.x
            )


def test_scaling_by_hand(make):
    seed, seed4 = make("SEED"), make("SEED-IV")
    x, y = seed.x.astype(float), seed4.x.astype(float)

    def z(values, fit):
        return (values - fit.mean(axis=0)) / fit.std(axis=0)

    def fold(scaling, **kwargs):
        return make_folds([seed, seed4], "calibrated", target="SEED", scaling=scaling, **kwargs)[0]

    # subject 1 of SEED: rows 0..26 calibrate, 27..44 are the test
    expected = {
        "none": (y, x[:27], x[27:45]),
        "source": (z(y, y), z(x[:27], y), z(x[27:45], y)),
        "released": (z(y, y), z(x[:27], x[:27]), z(x[27:45], x[27:45])),
        "calibration": (
            np.concatenate([z(part, part) for part in np.split(y, 3)]),
            z(x[:27], x[:27]),
            z(x[27:45], x[:27]),
        ),
        "per-subject": (
            np.concatenate([z(part, part) for part in np.split(y, 3)]),
            z(x[:27], x[:45]),
            z(x[27:45], x[:45]),
        ),
    }
    for scaling, (source, calibration, test) in expected.items():
        got = fold(scaling)
        np.testing.assert_allclose(got.access.source.windows.x, source, atol=1e-5)
        np.testing.assert_allclose(got.access.calibration.windows.x, calibration, atol=1e-5)
        np.testing.assert_allclose(got.test.x, test, atol=1e-5)
    minmax = fold("released", scaler="minmax")
    assert minmax.test.x.min() == 0
    assert minmax.test.x.max() == 1
    assert fold("released", scaler="none").protocol == "cross-corpus/calibrated"


def test_causal_scaling_against_a_plain_loop(make):
    seed, seed4 = make("SEED"), make("SEED-IV")
    fold = make_folds([seed, seed4], "calibrated", target="SEED", scaling="causal")[0]
    y, x = seed4.x.astype(float), seed.x.astype(float)[:45]
    x = (x - y.mean(axis=0)) / y.std(axis=0)
    prior = 60.0
    for index in range(45):
        past = x[:index]
        mean = past.sum(axis=0) / (index + prior)
        variance = ((past**2).sum(axis=0) + prior) / (index + prior) - mean**2
        expected = (x[index] - mean) / np.sqrt(variance)
        got = fold.access.calibration.windows.x[index] if index < 27 else fold.test.x[index - 27]
        np.testing.assert_allclose(got, expected, atol=1e-5)
    assert fold.protocol == "cross-corpus/calibrated"


def test_rest_scaling_leaves_the_first_minute_out_of_the_test(make):
    seed, seed4 = make("SEED", n_windows=8), make("SEED-IV", n_windows=8)
    fold = make_folds([seed, seed4], "zero-shot", target="SEED", scaling="rest")[0]
    assert len(fold.test) == 15 * 8 - 60
    assert fold.audit().passed
    x = seed.x.astype(float)[:120]
    expected = (x[60:] - x[:60].mean(axis=0)) / x[:60].std(axis=0)
    np.testing.assert_allclose(fold.test.x, expected, atol=1e-5)
    within = make_folds(seed, "within-subject", scaling="rest")[0]
    assert len(within.test) == 6 * 8
    with pytest.raises(ProtocolError, match="nothing is left"):
        make_folds(make("SEED"), "loso", scaling="rest")


def test_recipes_of_own_electrodes_are_not_scaled(seed):
    """EMOD takes volts: whether two corpora happen to be alike must not decide about that."""
    x = 1e-5 * np.random.default_rng(0).standard_normal((len(seed), 3, 8)).astype(np.float32)

    def windows(recipe):
        return Windows.from_arrays(
            x, seed.table, sfreq=20.0, channels=("Fz", "Cz", "Pz"), kind="raw", recipe=recipe
        )

    def train(recipe, **options):
        return make_folds(windows(recipe), "loso", **options)[0].access.source.windows.to_numpy()

    np.testing.assert_array_equal(train("emod-small"), train("mine", scaling="none"))
    # windows of the store carry the recipe's digest
    stored = train(get_recipe("emod-small").digest())
    np.testing.assert_array_equal(stored, train("mine", scaling="none"))
    np.testing.assert_array_equal(train("emod-small", scaling="source"), train("mine"))
    assert np.abs(train("mine")).max() > 1


def test_raw_windows_are_scaled_by_electrode(seed):
    from affectrum.windows import Windows

    x = np.random.default_rng(0).standard_normal((len(seed), 4, 20)).astype(np.float32) * 1e-5
    raw = Windows.from_arrays(
        x, seed.table, sfreq=20.0, channels=seed.channels, kind="raw", recipe="raw"
    )
    fold = make_folds(raw, "loso")[0]
    source = fold.access.source.windows.x.astype(float)
    np.testing.assert_allclose(source.mean(axis=(0, 2)), 0, atol=1e-6)
    np.testing.assert_allclose(source.std(axis=(0, 2)), 1, atol=1e-5)
    assert fold.scaler.center_.shape == (4, 1)
    assert fold.window_s == 1.0


# ------------------------------------------------------------------------ stimulus-disjoint


def test_clip_disjoint_subjects(seed):
    folds = make_folds(seed, "loso", stimulus_disjoint="clip")
    assert len(folds) == 3 * 5
    assert folds[0].protocol == "leave-one-subject-out (clip-disjoint)"
    tested = pd.concat([fold.tables["test"] for fold in folds])
    assert len(tested) == len(seed) == len(tested.drop_duplicates(["subject", "row", "window"]))
    for fold in folds:
        clips = [set(fold.tables[role]["clip"]) for role in ("source", "test")]
        assert not clips[0] & clips[1]
        assert len(clips[0] | clips[1]) == 15
        assert len(dict.fromkeys(truth(seed, fold).tolist())) == 3
        certificate = fold.audit()
        assert certificate.passed
        assert certificate["clip"].required
        assert not certificate["film"].required
        assert certificate["clip"].measured == 0


def test_film_disjoint_subjects(seed):
    folds = make_folds(seed, "loso", stimulus_disjoint="film")
    # negative clips come from two films, so there are two groups
    assert len(folds) == 3 * 2
    for fold in folds:
        assert not set(fold.tables["source"]["film"]) & set(fold.tables["test"]["film"])
        assert fold.audit()["clip"].required
        assert fold.audit().passed


def test_the_series_level_is_impossible_on_seed_and_says_why(seed, seed4):
    with pytest.raises(ProtocolError, match=r"class 'neutral' belongs to one series \(heritage\)"):
        make_folds(seed, "loso", stimulus_disjoint="series")
    with pytest.raises(ProtocolError, match="'neutral' shares its series with the test"):
        make_folds(seed, "within-subject", stimulus_disjoint="series")
    # the first nine trials hold no negative film that the last six don't
    with pytest.raises(ProtocolError, match=r"'negative' shares its film .*1942, aftershock"):
        make_folds(seed, "within-subject", stimulus_disjoint="film")


def test_unknown_films_are_refused_naming_the_corpus(seed, seed4):
    with pytest.raises(ProtocolError, match=r"not known for 72 trials \(72 of SEED-IV\)"):
        make_folds([seed, seed4], "zero-shot", target="SEED", stimulus_disjoint="film")
    fold = make_folds([seed, seed4], "zero-shot", target="SEED", stimulus_disjoint="clip")[0]
    assert len(fold.tables["source"]) == len(seed4)


def test_the_control_is_matched_in_size_but_not_in_stimuli(seed):
    strict = make_folds(seed, "loso", stimulus_disjoint="clip")
    control = make_folds(seed, "loso", stimulus_disjoint="clip", stimulus_control=True)
    shared = 0
    for one, other in zip(strict, control, strict=True):
        assert other.protocol == "leave-one-subject-out (clip-disjoint control)"
        assert np.array_equal(one.test_rows, other.test_rows)
        assert np.array_equal(np.bincount(one.access.source.y), np.bincount(other.access.source.y))
        counts = [
            fold.tables["source"].groupby(["subject", "session"]).size().tolist()
            for fold in (one, other)
        ]
        assert counts[0] == counts[1]
        assert not other.audit()["clip"].required
        shared += other.audit()["clip"].measured
    assert shared > 0


def test_cross_corpus_drops_source_trials_of_shared_films(seed, make):
    other = make("SEED-V", emotions=["positive", "positive", "neutral", "negative"])
    film = other.table["row"].map({1: "thailand", 2: "own 1", 3: "own 2", 4: "own 3"})
    other = other.with_column("film", film.to_numpy())
    fold = make_folds(
        [seed, other], "calibrated", source="SEED-V", target="SEED", stimulus_disjoint="clip"
    )[0]
    assert len(fold.tables["source"]) == len(other)
    zero = make_folds([seed, other], "zero-shot", target="SEED", stimulus_disjoint="film")[0]
    assert "thailand" not in set(zero.tables["source"]["film"])
    assert any("drops 3 of 12 training trials" in note for note in zero.notes)
    assert zero.audit().passed
