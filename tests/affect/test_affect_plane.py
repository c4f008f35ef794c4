"""Words, codes and ratings on the valence-arousal plane."""

from __future__ import annotations

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


@pytest.mark.parametrize("name", sorted(affect.TABLES))
def test_every_value_is_on_the_plane_and_says_where_it_is_from(name):
    table = affect.TABLES[name]
    assert table.name == name
    for word, point in table.entries.items():
        assert abs(point.valence) <= 1
        assert abs(point.arousal) <= 1
        assert point.source, word
    for corpus in catalog.names():
        assert not table.lacks(catalog.get(corpus).emotions)


def test_codes_give_what_words_give():
    for corpus in ("SEED", "SEED-IV"):
        facts = catalog.get(corpus)
        codes = np.array(sorted(facts.label_codes))
        for table in affect.TABLES:
            np.testing.assert_array_equal(
                affect.to_valence_arousal(codes, corpus, table),
                affect.to_valence_arousal(list(facts.emotions), corpus, table),
            )


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
