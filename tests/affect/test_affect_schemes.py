"""Class schemes against cases worked by hand."""

from __future__ import annotations

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


def test_every_scheme_a_corpus_names_fills_all_its_classes_from_the_catalog():
    for corpus in catalog.names():
        facts = catalog.get(corpus)
        for name in facts.class_schemes:
            scheme = affect.get_scheme(name)
            assert scheme.supports(corpus), (corpus, name)
            trials = (
                ratings(*np.linspace(*facts.ratings["valence"], 20))
                if facts.is_rated
                else words(*(clip.emotion for clip in facts.clips[0]))
            )
            found = scheme.assign(trials, corpus)
            assert sorted(set(found.tolist()) - {-1}) == list(range(len(scheme.classes)))
        for name in affect.SCHEMES:
            if name not in facts.class_schemes:
                assert not affect.get_scheme(name).supports(corpus)


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


@pytest.mark.parametrize(
    ("name", "thresholds", "message"),
    [
        ("valence4", {}, "Allowed values are 'valence3'"),
        ("valence2", {"median": 4.0}, "no parameter 'median'. It has threshold, margin"),
        ("emotion4", {"threshold": 4.0}, "It has none"),
        ("valence2", {"threshold": float("nan")}, "threshold=nan"),
        ("valence2", {"margin": -1.0}, "must not be negative"),
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
