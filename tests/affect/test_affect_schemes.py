"""Class schemes against cases worked by hand."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from affectrum import affect, catalog
from affectrum.errors import ConfigError, LabelError


def words(*emotions: str | None) -> pd.DataFrame:
    return pd.DataFrame({"emotion": pd.Series(emotions, dtype="str")})


def ratings(*valence: float) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "emotion": pd.Series([None] * len(valence), dtype="str"),
            "rating_valence": np.array(valence, dtype=float),
            "rating_arousal": np.array(valence, dtype=float)[::-1],
        }
    )


SEED_IV = words("neutral", "sad", "fear", "happy", None)


@pytest.mark.parametrize(
    ("name", "trials", "corpus", "expected"),
    [
        ("valence3", words("negative", "neutral", "positive"), "SEED", [0, 1, 2]),
        ("valence3", SEED_IV, "SEED-IV", [1, 0, 0, 2, -1]),
        ("valence3-no-fear", SEED_IV, "SEED-IV", [1, 0, -1, 2, -1]),
        ("emotion4", SEED_IV, "SEED-IV", [0, 1, 2, 3, -1]),
        ("valence2", SEED_IV, "SEED-IV", [-1, 0, 0, 1, -1]),
        ("valence2", words("negative", "neutral", "positive"), "SEED", [0, -1, 1]),
        ("valence2", ratings(1, 5, 5.01, 9, np.nan), "DEAP", [0, 0, 1, 1, -1]),
        ("arousal2", ratings(9, 4, 2), "DEAP", [0, 0, 1]),
    ],
)
def test_assign(name, trials, corpus, expected):
    found = affect.get_scheme(name).assign(trials, corpus)
    assert found.dtype == np.int64
    assert found.tolist() == expected


def trials_of(facts, labels: str) -> pd.DataFrame:
    """Every clip's word once, or ratings over the whole of each scale."""
    if labels == "emotion":
        return words(*(clip.emotion for session in facts.clips for clip in session))
    n = 400  # both ratings of a quadrant pass through all combinations
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {f"rating_{name}": rng.uniform(*scale, n) for name, scale in facts.ratings.items()}
    )


@pytest.mark.parametrize("corpus", catalog.names())
def test_every_scheme_a_corpus_names_fills_all_its_classes_from_the_catalog(corpus):
    facts = catalog.get(corpus)
    assert set(facts.class_schemes) <= set(affect.schemes_of(corpus))
    for name in affect.SCHEMES:
        scheme = affect.get_scheme(name)
        assert scheme.supports(corpus) == (name in affect.schemes_of(corpus))
        if not scheme.supports(corpus):
            with pytest.raises(LabelError, match=f"{facts.name} can fill "):
                scheme.source(corpus)
            continue
        labels = scheme.source(corpus)
        trials = trials_of(facts, labels)
        if labels == "emotion" and trials["emotion"].isna().all():
            continue  # the words stand in the files, not in the catalogue
        found = scheme.assign(trials, corpus)
        assert sorted(set(found.tolist()) - {-1}) == list(range(len(scheme.classes)))


def test_which_corpora_fill_what_by_hand():
    assert affect.schemes_of("SEED") == ("valence3", "valence3-no-fear", "valence2")
    assert affect.schemes_of("SEED-IV") == ("valence3", "valence3-no-fear", "emotion4", "valence2")
    assert affect.schemes_of("DEAP") == ("valence2", "arousal2", "dominance2", "quadrant4")
    with pytest.raises(ConfigError, match="Unknown corpus"):
        affect.schemes_of("SEEDX")


@pytest.mark.parametrize(
    ("name", "emotions", "expected"),
    [
        (
            "emotion5",
            ("disgust", "fear", "sad", "neutral", "happy", "surprise"),
            [0, 1, 2, 3, 4, -1],
        ),
        ("emotion5", ("sadness", "joy", "happiness", "amusement", None), [2, 4, 4, -1, -1]),
        (
            "emotion7",
            ("happy", "neutral", "disgust", "sad", "anger", "fear", "surprise", "calm"),
            [0, 1, 2, 3, 4, 5, 6, -1],
        ),
        (
            "emotion9",
            (
                "anger",
                "disgust",
                "fear",
                "sadness",
                "neutral",
                "amusement",
                "inspiration",
                "joy",
                "tenderness",
                "funny",
                "sad",
                "horror",
            ),
            [0, 1, 2, 3, 4, 5, 6, 7, 8, 5, 3, -1],
        ),
        ("valence2", ("horror", "boring", "calm", "funny", "excitement"), [0, 0, 1, 1, 1]),
        ("valence3", ("calmness", "relaxed", "surprise", "unknown", "bored"), [2, 2, -1, -1, 0]),
    ],
)
def test_schemes_of_words_by_hand(name, emotions, expected):
    assert affect.get_scheme(name).assign(words(*emotions), "own").tolist() == expected


@pytest.mark.parametrize(
    ("corpus", "scheme"),
    [("SEED-IV", "emotion4"), ("SEED-V", "emotion5"), ("FACED", "emotion9")],
)
def test_classes_of_a_corpus_own_emotions_are_its_codes(corpus, scheme):
    facts = catalog.get(corpus)
    trials = words(*(clip.emotion for session in facts.clips for clip in session))
    found = affect.get_scheme(scheme).assign(trials, corpus)
    codes = [code for n in range(1, facts.n_sessions + 1) for code in facts.session_codes(n)]
    assert found.tolist() == codes


def test_faceds_poles_are_its_own():
    clips = catalog.get("FACED").clips[0]
    found = affect.get_scheme("valence3").assign(words(*(c.emotion for c in clips)), "FACED")
    assert found.tolist() == [0] * 12 + [1] * 4 + [2] * 12


def test_quadrants_by_hand():
    trials = pd.DataFrame(
        {
            "rating_valence": [1, 1, 9, 9, 5, np.nan, 9],
            "rating_arousal": [1, 9, 1, 9, 5, 9, np.nan],
        },
        dtype=float,
    )
    quadrants = affect.get_scheme("quadrant4")
    assert quadrants.classes == (
        "negative-low",
        "negative-high",
        "positive-low",
        "positive-high",
    )
    # a rating equal to the edge belongs to the part below
    assert quadrants.assign(trials, "DEAP").tolist() == [0, 1, 2, 3, 0, -1, -1]
    lower = affect.get_scheme("quadrant4", valence=4.5, arousal=4.5)
    assert lower.assign(trials, "DEAP").tolist() == [0, 1, 2, 3, 3, -1, -1]
    assert affect.get_scheme("quadrant4", margin=0.5).assign(trials, "DEAP")[4] == -1
    report = lower.report(trials, "DEAP", near=0.5)
    assert report.counts == dict(zip(quadrants.classes, (1, 1, 1, 2), strict=True))
    assert report.dropped == {"label missing": 2}
    assert report.near_threshold == 1
    assert report.rating_quantiles["arousal, maximum"] == 9
    assert report.class_means["valence, positive-high"] == 7
    assert report.labels == "ratings"
    with pytest.raises(LabelError, match="'rating_valence' and 'rating_arousal'"):
        quadrants.assign(words("joy"), "own")


def test_dominance_and_degrees_of_arousal():
    trials = pd.DataFrame({"rating_dominance": [1.0, 5, 6], "rating_arousal": [2.0, 5, 8]})
    assert affect.get_scheme("dominance2").assign(trials, "DEAP").tolist() == [0, 0, 1]
    three = affect.get_scheme("arousal3", low=3.5, high=6.5)
    assert three.assign(trials, "DEAP").tolist() == [0, 1, 2]
    assert three.supports("DEAP")
    assert not affect.get_scheme("arousal3").supports("DEAP")


@pytest.fixture
def both(monkeypatch):
    """Add a corpus whose trials have words, ratings and a word that was felt."""
    facts = dataclasses.replace(
        catalog.get("DEAP"),
        name="BOTH",
        label_codes={0: "fear", 1: "neutral", 2: "joy"},
        felt_codes={0: "sadness", 1: "neutral", 2: "unknown", 3: "amusement"},
        ratings={"valence": (0.0, 7.0), "arousal": (0.0, 7.0)},
        class_schemes=("valence3", "arousal2"),
    )
    monkeypatch.setitem(catalog._BY_FOLDED, "both", facts)
    return pd.DataFrame(
        {
            "emotion": pd.Series(["fear", "neutral", "joy", None], dtype="str"),
            "felt_emotion": pd.Series(["amusement", "unknown", None, "sadness"], dtype="str"),
            "rating_valence": [6.0, 3.5, np.nan, 1.0],
            "rating_arousal": [6.0, 3.5, 1.0, 1.0],
        }
    )


def test_what_classes_are_made_of_can_be_chosen(both):
    def found(name, **parameters):
        return affect.get_scheme(name, **parameters).assign(both, "BOTH").tolist()

    assert found("valence2") == [0, -1, 1, -1]  # words, by default
    assert found("valence2", labels="emotion") == [0, -1, 1, -1]
    assert found("valence2", labels="ratings") == [1, 0, -1, 0]
    assert found("valence2", labels="ratings", threshold=3.0) == [1, 1, -1, 0]
    assert found("valence2", labels="felt") == [1, -1, -1, 0]
    # auto takes ratings where the scheme can't be filled by words
    assert found("arousal2") == [1, 0, 0, 0]
    assert affect.get_scheme("arousal2").source("BOTH") == "ratings"
    assert affect.get_scheme("valence2").source("BOTH") == "emotion"
    report = affect.get_scheme("valence2", labels="felt").report(both, "BOTH")
    assert report.labels == "felt"
    assert report.dropped == {"label missing": 1, "'unknown' left out by the scheme": 1}
    assert report.n_dropped == 2
    assert "by felt" in str(report)


@pytest.mark.usefixtures("both")
def test_a_rated_corpus_with_words_takes_ratings_first(monkeypatch, both):
    facts = dataclasses.replace(catalog.get("BOTH"), plane_from="ratings")
    monkeypatch.setitem(catalog._BY_FOLDED, "both", facts)
    assert affect.get_scheme("valence2").source("BOTH") == "ratings"
    # three degrees of a rating need edges; words need none
    assert affect.get_scheme("valence3").source("BOTH") == "emotion"
    assert affect.get_scheme("valence3", low=2, high=5).source("BOTH") == "ratings"
    assert affect.get_scheme("valence3", low=2, high=5).assign(both, "BOTH").tolist() == [
        2,
        1,
        -1,
        0,
    ]


@pytest.mark.parametrize(
    ("name", "labels", "corpus", "message"),
    [
        ("valence2", "felt", "SEED", "SEED did not ask which emotion was felt"),
        ("emotion4", "ratings", "BOTH", "its classes are emotions, not degrees of a rating"),
        ("arousal2", "emotion", "BOTH", "has emotion words, but they are no arousal"),
        ("dominance2", "ratings", "BOTH", "BOTH has no ratings of dominance"),
        ("valence2", "ratings", "SEED", "SEED has emotion words and no ratings of valence"),
    ],
)
@pytest.mark.usefixtures("both")
def test_labels_that_cannot_fill_the_classes_are_refused(name, labels, corpus, message):
    with pytest.raises(LabelError, match=message):
        affect.get_scheme(name, labels=labels).assign(ratings(3.0), corpus)


@pytest.mark.parametrize(
    ("name", "corpus", "message"),
    [
        ("arousal2", "SEED", r"SEED has emotion words and no ratings of arousal.*SEED can fill"),
        ("emotion4", "SEED", "SEED has no sad or fear or happy among negative, neutral, positive"),
        ("emotion4", "DEAP", "DEAP has ratings and no emotion words.*DEAP can fill valence2"),
        ("valence3", "DEAP", r"get_scheme\('valence3', low=\.\.\., high=\.\.\.\)"),
    ],
)
def test_a_scheme_that_a_corpus_cannot_fill_is_refused_with_what_would_do(name, corpus, message):
    trials = ratings(3.0) if corpus == "DEAP" else words("neutral")
    with pytest.raises(LabelError, match=message):
        affect.get_scheme(name).assign(trials, corpus)


def test_thresholds_are_parameters():
    trials = ratings(1, 4.5, 5, 5.5, 9)
    low = affect.get_scheme("valence2", threshold=4.5)
    assert low.assign(trials, "DEAP").tolist() == [0, 0, 1, 1, 1]
    margin = affect.get_scheme("valence2", margin=0.5)
    assert margin.assign(trials, "DEAP").tolist() == [0, -1, -1, -1, 1]
    three = affect.get_scheme("valence3", low=4, high=5.2)
    assert three.assign(trials, "DEAP").tolist() == [0, 1, 1, 2, 2]
    # the scheme in the registry is untouched
    assert affect.get_scheme("valence2").assign(trials, "DEAP").tolist() == [0, 0, 0, 1, 1]


def test_parameters_can_stand_behind_the_name():
    scheme = affect.get_scheme("valence2(threshold=4.5, labels=ratings)")
    assert scheme == affect.get_scheme("valence2", threshold=4.5, labels="ratings")
    assert scheme.title == "valence2(threshold=4.5, labels=ratings)"
    assert affect.get_scheme(scheme.title) == scheme
    assert scheme.assign(ratings(4.4, 4.6), "DEAP").tolist() == [0, 1]
    assert affect.get_scheme("valence3").title == "valence3"
    for wrong in ("valence2(4.5)", "valence2(threshold=low)", "valence2(threshold=4"):
        with pytest.raises(ConfigError, match="Write it as"):
            affect.get_scheme(wrong)
    with pytest.raises(ConfigError, match="no parameter 'low'"):
        affect.get_scheme("valence2(low=3)")


@pytest.mark.parametrize(
    ("name", "thresholds", "message"),
    [
        ("valence4", {}, "Allowed values are 'valence3'"),
        ("valence2", {"median": 4.0}, "no parameter 'median'. It has threshold, margin"),
        ("emotion4", {"threshold": 4.0}, "It has none"),
        ("valence2", {"threshold": float("nan")}, "threshold=nan"),
        ("valence2", {"margin": -1.0}, "must not be negative"),
        ("valence2", {"labels": "words"}, "Allowed values are 'auto', 'emotion', 'ratings'"),
        ("quadrant4", {"threshold": 5.0}, "It has valence, arousal, margin"),
    ],
)
def test_wrong_parameters(name, thresholds, message):
    with pytest.raises(ConfigError, match=message):
        affect.get_scheme(name, **thresholds)


def test_thresholds_off_the_scale_or_out_of_order_are_refused():
    with pytest.raises(LabelError, match=r"threshold.*12 is not within the scale 1\.\.9 of DEAP"):
        affect.get_scheme("valence2", threshold=12).assign(ratings(3), "DEAP")
    with pytest.raises(ConfigError, match="must increase"):
        affect.get_scheme("valence3", low=6, high=4).assign(ratings(3), "DEAP")


def test_unknown_words_and_missing_columns_are_refused():
    with pytest.raises(LabelError, match=r"does not know the emotion 'hapy'.*Did you mean 'happy'"):
        affect.get_scheme("valence3").assign(words("hapy", "sad"), "SEED-IV")
    with pytest.raises(LabelError, match="needs the column 'emotion' for SEED"):
        affect.get_scheme("valence3").assign(pd.DataFrame({"subject": [1]}), "SEED")
    with pytest.raises(LabelError, match="needs the column 'rating_arousal'"):
        affect.get_scheme("arousal2").assign(words("sad"), "DEAP")


@pytest.mark.parametrize("corpus", ["own", "a lab's own"])
def test_own_arrays_use_words_if_any_else_ratings_with_a_given_threshold(corpus):
    scheme = affect.get_scheme("valence2")
    assert scheme.assign(words("joy", "anger", None), corpus).tolist() == [1, 0, -1]
    with pytest.raises(LabelError, match="does not know the rating scale"):
        scheme.assign(ratings(0.2, 0.8), corpus)
    scheme = affect.get_scheme("valence2", threshold=0.5)
    assert scheme.assign(ratings(0.2, 0.8), corpus).tolist() == [0, 1]


def test_report_counts_what_is_dropped_and_what_is_near():
    report = affect.get_scheme("valence3-no-fear").report(SEED_IV, "SEED-IV")
    assert report.counts == {"negative": 1, "neutral": 1, "positive": 1}
    assert report.dropped == {"label missing": 1, "'fear' left out by the scheme": 1}
    assert report.n_trials == sum(report.counts.values()) + sum(report.dropped.values())
    assert "'fear' left out" in str(report)

    trials = ratings(1, 4.6, 5, 5.5, 5.51, 9, np.nan)
    report = affect.get_scheme("valence2", margin=0.1).report(trials, "DEAP", near=0.5)
    assert report.counts == {"negative": 2, "positive": 3}
    assert report.dropped == {"label missing": 1, "rating within the margin of a threshold": 1}
    assert report.near_threshold == 3
    assert report.rating_quantiles["minimum"] == 1
    assert report.rating_quantiles["maximum"] == 9
    assert report.class_means["negative"] == pytest.approx(2.8)
    assert report.to_dict()["counts"] == report.counts


@given(st.lists(st.floats(1, 9) | st.just(float("nan")), max_size=30), st.floats(1.1, 8.9))
def test_every_rating_gets_the_class_of_its_side(values, threshold):
    found = affect.get_scheme("valence2", threshold=threshold).assign(ratings(*values), "DEAP")
    assert found.tolist() == [-1 if value != value else int(value > threshold) for value in values]


@given(st.permutations(range(24)))
def test_assign_does_not_depend_on_the_order_of_trials(order):
    emotions = [clip.emotion for clip in catalog.get("SEED-IV").clips[0]]
    scheme = affect.get_scheme("emotion4")
    plain = scheme.assign(words(*emotions), "SEED-IV")
    shuffled = scheme.assign(words(*(emotions[i] for i in order)), "SEED-IV")
    np.testing.assert_array_equal(shuffled, plain[list(order)])
