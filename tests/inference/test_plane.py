from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from affectrum.affect import get_scheme, get_table
from affectrum.inference.plane import Coordinates, class_coordinates, told_axes


def test_a_scheme_tells_its_own_axis_only() -> None:
    assert told_axes("valence3") == told_axes(get_scheme("valence2")) == ("valence",)
    assert told_axes(get_scheme("arousal2")) == ("arousal",)
    assert told_axes("emotion4") == told_axes("calm/glad") == ("valence", "arousal")


@pytest.mark.parametrize("table", ["emod", "warriner"])
def test_expected_value_by_hand(table: str) -> None:
    found = class_coordinates(("neutral", "sad", "fear", "happy"), "emotion4", table=table)
    entries = get_table(table).entries
    scores = np.array([[0.1, 0.2, 0.3, 0.4]])
    words = ("neutral", "sad", "fear", "happy")
    valence = sum(p * entries[w].valence for p, w in zip(scores[0], words, strict=True))
    arousal = sum(p * entries[w].arousal for p, w in zip(scores[0], words, strict=True))
    np.testing.assert_allclose(found.expected(scores), [[valence, arousal]])
    assert found.axes == ("valence", "arousal")
    assert table in found.source


def test_arousal_of_a_valence_model_is_missing_not_zero() -> None:
    found = class_coordinates(("negative", "neutral", "positive"), "valence3")
    plane = found.expected(np.array([[0.2, 0.3, 0.5], [1.0, 0.0, 0.0]]))
    assert np.isnan(plane[:, 1]).all()
    assert np.isfinite(plane[:, 0]).all()
    assert found.axes == ("valence",)
    stored = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert stored["points"]["neutral"][1] is None
    assert Coordinates.from_dict(stored).to_dict() == found.to_dict()


def test_classes_without_a_word_lie_at_the_mean_of_their_ratings() -> None:
    trials = pd.DataFrame(
        {
            "rating_arousal": [2.0, 4.0, 7.0, np.nan],
            "arousal": [-0.75, -0.25, 0.5, 0.9],
            "rating_valence": [5.0, 5.0, 5.0, 5.0],
            "valence": [0.0, 0.0, 0.0, 0.0],
        }
    )
    y = np.array([0, 0, 1, 1])
    found = class_coordinates(("low", "high"), get_scheme("arousal2"), trials=trials, y=y)
    assert found.points["low"][1] == pytest.approx(-0.5)
    assert found.points["high"][1] == pytest.approx(0.5)  # the trial without a rating is left out
    assert np.isnan(found.points["low"][0])
    unknown = class_coordinates(("low", "high"), get_scheme("arousal2"))
    assert np.isnan(unknown.expected(np.array([[0.5, 0.5]]))).all()
    assert unknown.axes == ()
