"""All labels in one plane, against places worked out by hand."""

from __future__ import annotations

import dataclasses
import math

import pytest
from matplotlib.text import Text

from affectrum import affect, catalog
from affectrum.catalog import Clip
from affectrum.errors import ConfigError
from affectrum.report.labels import draw_labels, write_labels


def of(places, **wanted):
    return [
        place
        for place in places
        if all(getattr(place, key) == value for key, value in wanted.items())
    ]


def test_words_lie_where_the_table_says():
    places = affect.label_space(["SEED-IV", "seed"], table="emod")
    assert [place.name for place in of(places, corpus="SEED-IV", kind="word")] == [
        "neutral",
        "sad",
        "fear",
        "happy",
    ]
    (fear,) = of(places, name="fear")
    assert (fear.valence, fear.arousal, fear.n_clips) == (-0.25, 0.5, 18)
    # SEED shows its 15 clips in each session; each counts once
    assert [place.n_clips for place in of(places, corpus="SEED")] == [5, 5, 5]
    assert "our reading" in of(places, name="negative")[0].detail


def test_a_word_that_the_table_lacks_has_no_place():
    (place,) = of(affect.label_space(["SEED-IV"], table={"sad": (0, 0)}), name="happy")
    assert not place.placed
    assert math.isnan(place.valence)
    assert "no such word" in place.detail


def test_clips_lie_where_people_rated_them(monkeypatch):
    clip = Clip(
        clip="DEAP/x", film="A film", mean_ratings={"valence": (7.0, 2.0), "arousal": (3.0, 1.0)}
    )
    half = Clip(clip="DEAP/y", mean_ratings={"arousal": (9.0, 1.0)})
    facts = dataclasses.replace(catalog.get("DEAP"), clips=((clip, half),))
    monkeypatch.setitem(catalog._BY_FOLDED, "deap", facts)
    places = affect.label_space(["DEAP"], table="warriner")
    (place,) = of(places, name="DEAP/x")
    assert (place.valence, place.arousal) == (0.5, -0.5)
    assert (place.sd_valence, place.sd_arousal) == (0.5, 0.25)
    assert "A film" in place.detail
    (place,) = of(places, name="DEAP/y")
    assert place.arousal == 1
    assert not place.placed
    scales = of(places, kind="scale")
    assert [place.name for place in scales] == ["valence", "arousal", "dominance"]
    assert scales[0].detail == "1..9 -> -1..1, middle 5 -> 0"


def test_every_corpus_has_a_label_and_every_place_is_on_the_plane():
    for table in ("emod", "warriner", "faced-measured"):
        places = affect.label_space(table=table)
        assert list(dict.fromkeys(place.corpus for place in places)) == list(catalog.names())
        labelled = {name for name in catalog.names() if catalog.get(name).emotions}
        assert labelled == {place.corpus for place in of(places, kind="word")}
        for place in of(places, placed=True):
            assert abs(place.valence) <= 1
            assert abs(place.arousal) <= 1


def test_names_in_the_picture_do_not_stand_on_each_other():
    for table in ("emod", "warriner", "faced-measured"):
        drawing = draw_labels(affect.label_space(table=table), table)
        drawing.canvas.draw()
        plane = drawing.axes[0]
        # of the letters alone: an annotation's own extent holds its line too
        boxes = [Text.get_window_extent(text) for text in plane.texts]
        assert len(boxes) > 5
        frame = plane.get_window_extent()
        for number, box in enumerate(boxes):
            assert frame.x0 <= box.x0
            assert box.x1 <= frame.x1
            assert not [other for other in boxes[:number] if box.overlaps(other)], table
        columns = [text.get_text() for text in drawing.axes[1].get_xticklabels()]
        assert columns == list(dict.fromkeys(p.corpus for p in affect.label_space(table=table)))


def test_nothing_to_draw_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match="no labels"):
        draw_labels((), "emod")
    with pytest.raises(ConfigError, match="must end in"):
        write_labels(affect.label_space(["SEED"]), "emod", tmp_path / "x.gif")
