"""EMOD's readouts against scikit-learn, closed forms and values worked by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

from affectrum.errors import ConfigError
from affectrum.methods.emod.reading import NearestOnPlane, reference
from affectrum.methods.emod.readout import (
    ClassMeans,
    LinearProbe,
    PlaneNeighbours,
    PlaneRegression,
    class_points,
    nearest_class,
)
from affectrum.protocols import Grant
from affectrum.windows import Windows


def blobs(n_classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = np.arange(60) % n_classes
    z = rng.standard_normal((60, 4)) * (1, 3, 0.1, 1) + 5 * rng.standard_normal((n_classes, 4))[y]
    return z, y


@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_linear_probe_is_logistic_regression_on_standardised_embeddings(n_classes: int) -> None:
    z, y = blobs(n_classes)
    probe = LinearProbe.fit(z, y, n_classes)
    x = (z - z.mean(axis=0)) / z.std(axis=0)
    known = LogisticRegression(C=1.0, max_iter=2000).fit(x, y)
    np.testing.assert_allclose(probe.predict_proba(z), known.predict_proba(x), atol=1e-9)


def test_a_class_without_windows_gets_no_probability() -> None:
    z, y = blobs(2)
    for fitted in (LinearProbe.fit(z, 2 * y, 3), ClassMeans.fit(z, 2 * y, 3)):
        scores = fitted.predict_proba(z)
        assert (scores[:, 1] == 0).all()
        np.testing.assert_allclose(scores.sum(axis=1), 1.0)
    alone = LinearProbe.fit(z, np.full(60, 2), 3).predict_proba(z)
    np.testing.assert_array_equal(alone, np.tile([0.0, 0.0, 1.0], (60, 1)))


def test_class_means_by_hand() -> None:
    z = np.array([[2.0, 0.0], [0.0, 3.0], [0.0, 1.0], [-1.0, 0.0]])
    means = ClassMeans.fit(z, np.array([0, 0, 1, 1]), 2, temperature=0.5)
    # unit vectors (1,0) and (0,1) have the mean (1,1)/sqrt(2); (0,1) and (-1,0) its mirror image
    half = np.sqrt(0.5)
    np.testing.assert_allclose(means.means, [[half, half], [-half, half]])
    told = means.predict_proba([[5.0, 0.0], [0.0, 0.1]])
    first = 1.0 / (1.0 + np.exp(-2 * half / 0.5))
    np.testing.assert_allclose(told, [[first, 1 - first], [0.5, 0.5]])


def test_neighbours_on_the_plane_by_hand() -> None:
    z = np.array([[1.0, 0.0], [0.0, 2.0], [-1.0, 0.0], [0.3, 0.3]])
    va = np.array([[1.0, 0.0], [-1.0, 0.5], [0.0, -1.0], [np.nan, 0.0]])
    plane = PlaneNeighbours.fit(z, va, temperature=0.5)
    weights = np.exp([2.0, 0.0, -2.0])
    expected = weights @ va[:3] / weights.sum()
    np.testing.assert_allclose(plane.predict([[4.0, 0.0]]), [expected])
    # a cold softmax leaves the nearest one
    cold = PlaneNeighbours.fit(z, va, temperature=0.001)
    np.testing.assert_allclose(cold.predict([[0.1, 9.0]]), [[-1.0, 0.5]], atol=1e-12)
    with pytest.raises(ConfigError, match="valence and arousal"):
        PlaneNeighbours.fit(z, np.full((4, 2), np.nan))


def test_regression_to_the_plane_is_ridge_with_the_penalty_that_held_out_people_like() -> None:
    rng = np.random.default_rng(1)
    z = rng.standard_normal((200, 5)) * (1, 2, 3, 4, 5) + 7
    people = np.repeat(np.arange(10), 20)
    va = 0.02 * (z - 7) @ rng.standard_normal((5, 2))
    clean = PlaneRegression.fit(z, va, people, penalties=(0.001, 1.0, 100.0))
    assert clean.penalty == 0.001
    x = (z - z.mean(axis=0)) / z.std(axis=0)
    ridge = Ridge(alpha=0.001 * len(z)).fit(x, va)
    np.testing.assert_allclose(clean.predict(z), ridge.predict(x), atol=1e-9)
    # nothing to learn but each person's own level: held out, less is better
    levels = 0.3 * rng.standard_normal((10, 2))[people]
    own = rng.standard_normal((10, 20))[people] + 0.1 * rng.standard_normal((200, 20))
    told = PlaneRegression.fit(own, np.clip(levels, -1, 1), people, penalties=(0.001, 1.0, 100.0))
    assert told.penalty == 100.0
    far = PlaneRegression.fit(z, 40 * va, people).predict(z)
    assert np.abs(far).max() <= 1.0


def test_classes_on_the_plane() -> None:
    points = class_points(("negative", "neutral", "positive"))
    np.testing.assert_allclose(points, [[-0.25, 0.25], [0.0, 0.0], [0.75, 0.5]])
    va = np.array([[-0.5, 0.0], [-0.3, np.nan], [-0.1, 0.2], [0.9, 0.1]])
    rated = class_points(("low", "high"), y=np.array([0, 0, 0, 1]), va=va)
    np.testing.assert_allclose(rated, [[-0.3, 0.1], [0.9, 0.1]])
    with pytest.raises(ConfigError, match="low, high"):
        class_points(("low", "high"))
    scores = nearest_class([[0.0, 0.0], [0.75, 0.5]], points, spread=0.25)
    assert scores.argmax(axis=1).tolist() == [1, 2]
    # from (0, 0): squared distances 1/8, 0 and 13/16, divided by 2 * 0.25 ** 2
    weights = np.exp([-1.0, 0.0, -6.5])
    np.testing.assert_allclose(scores[0], weights / weights.sum())


def test_what_was_learnt_is_arrays_and_comes_back() -> None:
    z, y = blobs(3)
    va = np.tanh(z[:, :2])
    neighbours = PlaneNeighbours.fit(z, va)
    nearest = NearestOnPlane(neighbours, class_points(("negative", "neutral", "positive")))
    for one in (LinearProbe.fit(z, y, 3), ClassMeans.fit(z, y, 3), nearest):
        back = type(one).from_arrays(one.arrays())
        np.testing.assert_array_equal(one.predict_proba(z), back.predict_proba(z))
    plane = PlaneRegression.fit(z, va, y)
    back = PlaneRegression.from_arrays(plane.arrays())
    np.testing.assert_array_equal(plane.predict(z), back.predict(z))


def test_the_reference_is_equally_from_corpora_and_regions() -> None:
    def grant(n: int, va: np.ndarray, subjects: int) -> Grant:
        table = pd.DataFrame(
            {"subject": 1 + np.arange(n) % subjects, "trial": 1 + np.arange(n), "window": 0}
        )
        x = np.zeros((n, 1, 20), dtype=np.float32)
        windows = Windows.from_arrays(x, table, sfreq=10.0, channels=("Cz",), kind="raw")
        return Grant(windows, None, va)

    # 90 windows at the middle, 6 pleasant and excited, 4 without a place
    va = np.vstack([np.zeros((90, 2)), np.full((6, 2), 0.9), np.full((4, 2), np.nan)])
    first, second = grant(100, va, 4), grant(10, np.zeros((10, 2)), 2)
    nowhere = grant(5, np.full((5, 2), np.nan), 1)
    chosen = reference([first, second, nowhere], 24)
    assert chosen is not None
    assert [len(part) for part in chosen.parts] == [12, 10]
    assert (chosen.va[:12] == 0.9).all(axis=1).sum() == 6
    assert len(set(chosen.groups.tolist())) == 6
    assert reference([nowhere], 24) is None
    assert reference([first], 0) is None
    # one person only: their trials are the groups
    alone = reference([grant(30, np.zeros((30, 2)), 1)], 10)
    assert alone is not None
    assert len(set(alone.groups.tolist())) == 10
