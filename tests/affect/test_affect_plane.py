"""Words, codes and ratings on the valence-arousal plane."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from affectrum import affect, catalog
from affectrum.errors import ConfigError, LabelError


def test_emod_table_by_hand():
    found = affect.to_valence_arousal(["neutral", "sad", "fear", "happy"], corpus="SEED-IV")
    np.testing.assert_array_equal(found, [(0, 0), (-0.25, 0.25), (-0.25, 0.5), (0.75, 0.5)])
    # SEED: positive is read as happy, negative as sad
    found = affect.to_valence_arousal(["negative", "neutral", "positive"], corpus="SEED")
    np.testing.assert_array_equal(found, [(-0.25, 0.25), (0, 0), (0.75, 0.5)])


def test_emod_soft_weights_between_words_are_the_published_ones():
    # max(0, 1 - distance / 5) on -4..4, the triangle of the reference's table
    words = ["neutral", "sad", "fear", "happy", "disgust", "surprise", "funny"]
    expected = """
    1.000 0.717 0.553 0.279 0.553 0.600 0.553
    0.717 1.000 0.800 0.175 0.800 0.717 0.400
    0.553 0.800 1.000 0.200 0.717 0.800 0.368
    0.279 0.175 0.200 1.000 0.000 0.400 0.717
    0.553 0.800 0.717 0.000 1.000 0.553 0.200
    0.600 0.717 0.800 0.400 0.553 1.000 0.553
    0.553 0.400 0.368 0.717 0.200 0.553 1.000
    """
    va = affect.plane_to_emod(affect.to_valence_arousal(words, corpus=None, table="emod"))
    assert np.abs(va).max() <= 4
    distance = np.linalg.norm(va[:, None] - va[None], axis=-1)
    weights = np.maximum(0, 1 - distance / 5)
    np.testing.assert_allclose(
        weights, np.array(expected.split(), dtype=float).reshape(7, 7), atol=5e-4
    )
    entries = affect.TABLES["emod"].entries
    assert entries["anger"].valence == entries["fear"].valence
    assert entries["anger"].arousal == entries["fear"].arousal


def test_warriner_values_are_rescaled_from_one_to_nine():
    happy = affect.TABLES["warriner"].entries["happy"]
    assert happy.valence == pytest.approx((8.47 - 5) / 4)
    assert happy.arousal == pytest.approx((6.05 - 5) / 4)
    assert happy.sd_valence == pytest.approx(1.28 / 4)
    assert math.isnan(affect.TABLES["warriner"].entries["funny"].sd_valence)


def test_faced_values_are_means_over_clips_on_zero_to_seven():
    entries = affect.TABLES["faced-measured"].entries
    assert entries["anger"].valence == pytest.approx(((2.00 + 1.51 + 1.60) / 3 - 3.5) / 3.5)
    assert entries["tenderness"].arousal == pytest.approx(((3.62 + 3.34 + 3.27) / 3 - 3.5) / 3.5)
    neutral = ((1.34 + 1.28 + 1.69 + 1.33) / 4 - 3.5) / 3.5
    assert entries["neutral"].arousal == pytest.approx(neutral)
    # mixture of equally large groups: mean of the variances + variance of the means
    means = np.array([2.00, 1.51, 1.60])
    spread = math.sqrt((1.79**2 + 1.64**2 + 1.84**2) / 3 + means.var()) / 3.5
    assert entries["anger"].sd_valence == pytest.approx(spread)


# What a table has no word and no synonym for; these trials are missing on the plane.
LACKING = {
    "emod": {"inspiration", "tenderness", "calmness", "calm", "relaxed", "excitement", "boring"},
    "faced-measured": {"surprise", "calmness", "calm", "relaxed", "excitement", "boring"},
    "warriner": set(),
}


@pytest.mark.parametrize("name", sorted(LACKING))
def test_every_value_is_on_the_plane_and_says_where_it_is_from(name):
    table = affect.TABLES[name]
    assert table.name == name
    for word, point in table.entries.items():
        assert abs(point.valence) <= 1
        assert abs(point.arousal) <= 1
        assert point.source, word
    words = {word for corpus in catalog.names() for word in catalog.get(corpus).emotions}
    assert set(table.lacks(sorted(words))) == LACKING[name] & words


@pytest.mark.parametrize(
    ("table", "word", "stand_in"),
    [
        ("emod", "horror", "fear"),
        ("faced-measured", "horror", "fear"),
        ("emod", "amusement", "funny"),
        ("warriner", "calmness", "calm"),
        ("faced-measured", "happy", "joy"),
        ("faced-measured", "negative", "sadness"),
    ],
)
def test_a_synonym_is_marked_as_our_reading(table, word, stand_in):
    entries = affect.TABLES[table].entries
    assert entries[word].valence == entries[stand_in].valence
    assert entries[word].arousal == entries[stand_in].arousal
    assert f"{word!r} read as {stand_in!r} (our reading)" in entries[word].source
    assert "our reading" not in entries[stand_in].source


def test_what_a_table_measured_is_not_read_as_anything_else():
    entries = affect.TABLES["warriner"].entries
    for word, (valence, arousal) in {
        "boring": (2.71, 2.85),
        "bored": (2.95, 3.65),
        "relaxed": (7.25, 2.49),
        "calm": (6.89, 1.67),
        "horror": (3.38, 6.13),
        "excitement": (7.62, 6.21),
        "excited": (8.11, 6.43),
    }.items():
        assert entries[word].valence == pytest.approx((valence - 5) / 4)
        assert entries[word].arousal == pytest.approx((arousal - 5) / 4)
        assert "our reading" not in entries[word].source


def test_words_that_are_in_no_table_by_a_synonym_stay_missing():
    found = affect.to_valence_arousal(
        ["inspiration", "tenderness"],
        corpus=None,
        table={"inspiration": (0, 0), "tenderness": (0, 0)},
    )
    assert np.isfinite(found).all()
    for word in ("inspiration", "calm", "surprise"):
        lacking = [name for name, words in LACKING.items() if word in words]
        for name in lacking:
            assert word not in affect.TABLES[name].entries


@pytest.mark.parametrize(
    ("scale", "to_grid"),
    [
        ((1, 9), lambda x: x - 1),  # DEAP, AMIGOS, MAHNOB-HCI
        ((1, 5), lambda x: (x - 1) * 2),  # DREAMER
    ],
)
def test_the_map_of_ratings_is_emods_before_it_rounds(scale, to_grid):
    ratings = np.linspace(*scale, 33)
    plane = affect.rating_to_plane(ratings, scale)
    np.testing.assert_allclose(affect.plane_to_emod(plane) + 4, to_grid(ratings), atol=1e-12)


def test_emod_regions_by_hand():
    words = ["neutral", "sad", "fear", "anger", "disgust", "surprise", "happy", "funny"]
    va = affect.to_valence_arousal(words, corpus=None, table="emod")
    assert affect.emod_regions(va).tolist() == [4, 4, 7, 7, 3, 7, 8, 5]
    corners = [(-1, -1), (1, -1), (-1, 1), (1, 1), (0, 0), (np.nan, 0), (-0.26, 0.0)]
    assert affect.emod_regions(corners).tolist() == [0, 2, 6, 8, 4, -1, 3]


@pytest.fixture
def both(monkeypatch):
    """Add a corpus whose trials have words, ratings and a word that was felt."""
    facts = dataclasses.replace(
        catalog.get("DEAP"),
        name="BOTH",
        label_codes={0: "calm", 1: "fear", 2: "joy"},
        felt_codes={0: "neutral", 11: "amusement"},
        ratings={"arousal": (1.0, 5.0), "valence": (0.0, 7.0)},
        plane_from="ratings",
    )
    monkeypatch.setitem(catalog._BY_FOLDED, "both", facts)
    return facts


@pytest.mark.usefixtures("both")
def test_a_corpus_with_words_and_ratings_takes_either():
    # the pairs are always [valence, arousal], whatever the order in the catalogue
    found = affect.to_valence_arousal([(7.0, 1.0), (3.5, np.nan)], corpus="both")
    np.testing.assert_array_equal(found, [(1, -1), (0, np.nan)])
    found = affect.to_valence_arousal(["fear", "calm", "amusement"], corpus="both", table="emod")
    np.testing.assert_array_equal(found, [(-0.25, 0.5), (np.nan, np.nan), (0.5, 0.25)])
    found = affect.to_valence_arousal([1, 2], corpus="both", table="emod")
    np.testing.assert_array_equal(found, [(-0.25, 0.5), (0.75, 0.5)])
    with pytest.raises(LabelError, match=r"or emotion words.*received shape \(1, 3\)"):
        affect.to_valence_arousal([(1, 2, 3)], corpus="both")
    with pytest.raises(LabelError, match="BOTH has no label 'bliss'"):
        affect.to_valence_arousal(["bliss"], corpus="both")


def test_codes_give_what_words_give():
    for corpus in ("SEED", "SEED-IV"):
        facts = catalog.get(corpus)
        codes = np.array(sorted(facts.label_codes))
        for table in affect.TABLES:
            np.testing.assert_array_equal(
                affect.to_valence_arousal(codes, corpus, table),
                affect.to_valence_arousal(list(facts.emotions), corpus, table),
            )


@pytest.mark.parametrize(
    ("corpus", "labels", "expected"),
    [
        ("SEED-V", [0, 1, 2, 3, 4], [(-2, 1), (-1, 2), (-1, 1), (0, 0), (3, 2)]),
        (
            "SEED-VII",
            ["happy", "neutral", "disgust", "sad", "anger", "fear", "surprise"],
            [(3, 2), (0, 0), (-2, 1), (-1, 1), (-1, 2), (-1, 2), (0, 2)],
        ),
        ("SEED-FRA", ["negative", "neutral", "positive"], [(-1, 1), (0, 0), (3, 2)]),
        # anger, disgust, fear, sadness, neutral, amusement, (inspiration), joy, (tenderness)
        ("FACED", [0, 1, 2, 3], [(-1, 2), (-2, 1), (-1, 2), (-1, 1)]),
        ("FACED", [4, 5, 6, 7], [(0, 0), (2, 1), (np.nan, np.nan), (3, 2)]),
        ("FACED", [(0, 7), (3.5, np.nan)], [(-4, 4), (0, np.nan)]),
        ("DREAMER", [(1, 5), (4, 3)], [(-4, 4), (2, 0)]),
        ("DREAMER", ["calmness", "happiness"], [(np.nan, np.nan), (3, 2)]),
        ("AMIGOS", [(9, 1), (5, 7)], [(4, -4), (0, 2)]),
        ("MAHNOB-HCI", [(2, 8)], [(-3, 3)]),
        ("GAMEEMO", ["horror", "funny"], [(-1, 2), (2, 1)]),
        ("DENS", [(1, 9)], [(-4, 4)]),
        ("ds002721", [(3, 5)], [(0, 4)]),
    ],
)
def test_corpora_by_hand_on_emods_scale(corpus, labels, expected):
    found = affect.to_valence_arousal(labels, corpus=corpus, table="emod")
    np.testing.assert_allclose(affect.plane_to_emod(found), expected)


def test_regions_that_words_of_a_corpus_reach_are_those_of_the_reference():
    for corpus, regions in (("SEED-IV", {4, 7, 8}), ("SEED-VII", {3, 4, 7, 8})):
        va = affect.to_valence_arousal(list(catalog.get(corpus).emotions), corpus=corpus)
        assert set(affect.emod_regions(va).tolist()) == regions


def test_missing_stays_missing():
    for labels in (
        ["happy", None, float("nan"), ""],
        pd.Series(["happy", None, None, pd.NA], dtype="str"),
        np.array([3, np.nan, np.nan, np.nan]),
        pd.array([3, None, None, None], dtype="Int64"),
    ):
        found = affect.to_valence_arousal(labels, corpus="SEED-IV")
        np.testing.assert_array_equal(found[0], (0.75, 0.5))
        assert np.isnan(found[1:]).all()
    found = affect.to_valence_arousal([(9.0, np.nan)], corpus="DEAP")
    np.testing.assert_array_equal(found, [(1.0, np.nan)])
    assert affect.to_valence_arousal([], corpus="SEED").shape == (0, 2)


def test_words_a_table_has_no_point_for_are_missing_not_zero():
    found = affect.to_valence_arousal(
        ["neutral", "fear"], corpus="SEED-IV", table={"neutral": (0.0, -0.5)}
    )
    np.testing.assert_array_equal(found, [(0.0, -0.5), (np.nan, np.nan)])


def test_ratings_are_linear_on_the_corpus_scale():
    found = affect.to_valence_arousal([(1, 9), (5, 5), (7, 3)], corpus="DEAP")
    np.testing.assert_allclose(found, [(-1, 1), (0, 0), (0.5, -0.5)])
    with pytest.raises(LabelError, match=r"1 of 2 ratings are outside the scale 1\.\.9 .*0"):
        affect.to_valence_arousal([(0, 5), (3, 5)], corpus="DEAP")
    with pytest.raises(LabelError, match=r"DEAP is rated: expected .*\(n, 2\)"):
        affect.to_valence_arousal([1.0, 2.0], corpus="DEAP")


def test_wrong_labels_are_all_named():
    with pytest.raises(LabelError, match=r"SEED-IV has no label 'hapy', 7\. .*happy.*Did you mean"):
        affect.to_valence_arousal(["hapy", "sad", 7], corpus="SEED-IV")
    with pytest.raises(LabelError, match=r"no label 0\.5"):
        affect.to_valence_arousal([0.5], corpus="SEED")
    with pytest.raises(LabelError, match="Integer codes mean something only within a corpus"):
        affect.to_valence_arousal([1, 2], corpus=None)
    with pytest.raises(LabelError, match="no point for 'bliss'"):
        affect.to_valence_arousal(["bliss"], corpus=None)
    with pytest.raises(LabelError, match="shape"):
        affect.to_valence_arousal([[1, 2]], corpus="SEED")
    with pytest.raises(ConfigError, match="'emod', 'faced-measured', 'warriner'"):
        affect.to_valence_arousal(["sad"], corpus="SEED-IV", table="russell")
    with pytest.raises(ConfigError, match="Unknown corpus"):
        affect.to_valence_arousal(["sad"], corpus="SEEDX")


def test_a_users_own_table():
    own = {"sad": (-0.5, -0.5), "happy": (1.0, 0.25)}
    found = affect.to_valence_arousal(["happy", "sad"], corpus=None, table=own)
    np.testing.assert_array_equal(found, [(1, 0.25), (-0.5, -0.5)])
    with pytest.raises(ConfigError, match="outside the plane: 'sad'"):
        affect.get_table({"sad": (-2.1, 2.8), "happy": (0, 0)})
    with pytest.raises(ConfigError, match="needs \\(valence, arousal\\)"):
        affect.get_table({"sad": (0.1,)})


def test_tables_can_be_registered_but_not_replaced():
    point = affect.VAPoint(valence=0.1, arousal=0.2, source="this test")
    table = affect.VATable(name="test-table", source="this test", entries={"sad": point})
    affect.register_table(table)
    affect.register_table(table)  # the same again is no conflict
    assert affect.get_table("test-table") is affect.TABLES["test-table"]
    other = affect.VATable(name="emod", source="this test", entries={"sad": point})
    with pytest.raises(ConfigError, match="already another table named 'emod'"):
        affect.register_table(other)


@given(st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1)), min_size=1))
def test_the_two_units_are_inverse(points):
    va = np.array(points)
    np.testing.assert_array_equal(affect.emod_to_plane(affect.plane_to_emod(va)), va)
    assert np.abs(affect.plane_to_emod(va)).max() <= 4


@given(
    st.floats(-100, 100),
    st.floats(0.1, 100),
    st.lists(st.floats(0, 1), min_size=2, max_size=20),
)
def test_rating_map_is_increasing_and_stays_on_the_plane(low, width, fractions):
    ratings = np.clip(low + width * np.sort(fractions), low, low + width)
    mapped = affect.rating_to_plane(ratings, (low, low + width))
    assert np.all(np.diff(mapped) >= 0)
    assert np.abs(mapped).max() <= 1 + 1e-9
