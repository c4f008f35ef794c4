"""Films that corpora share, against the catalogue read by hand."""

from __future__ import annotations

import dataclasses

import pytest

from affectrum import catalog
from affectrum.catalog.films import shared_in
from affectrum.errors import ConfigError


def test_films_and_series_by_hand():
    seed, deap = catalog.get("SEED"), catalog.get("DEAP")
    assert shared_in([seed, deap]) == ()
    clips = (
        dataclasses.replace(deap.clips[0][0], film="Aftershock", series="Aftershock"),
        dataclasses.replace(deap.clips[0][1], film="World Heritage: Wuyi", series="World Heritage"),
    )
    other = dataclasses.replace(deap, clips=(clips,))
    (film,) = shared_in([seed, other])
    assert film.title == "Aftershock"
    assert film.corpora == ("SEED", "DEAP")
    assert film.clips == ("SEED/03", "SEED/15", "DEAP/01")
    series = {found.title: found for found in shared_in([seed, other], "series")}
    assert set(series) == {"Aftershock", "World Heritage"}
    assert series["World Heritage"].clips[-1] == "DEAP/02"
    assert len(series["World Heritage"].clips) == 6  # five of SEED, each once over its sessions
    with pytest.raises(ConfigError, match="'film', 'series'"):
        catalog.shared_films("clip")


def test_titles_are_spelt_alike():
    """A film in two spellings would never be found: no two titles differ by case or blanks only."""
    spelt: dict[str, set[str]] = {}
    for name in catalog.names():
        for session in catalog.get(name).clips:
            for clip in session:
                for title in {clip.film, clip.series} - {None}:
                    folded = "".join(letter for letter in title.casefold() if letter.isalnum())
                    spelt.setdefault(folded, set()).add(title)
    assert {key: titles for key, titles in spelt.items() if len(titles) > 1} == {}


def test_the_films_of_two_corpora():
    if not {"DREAMER", "FACED"} <= set(catalog.names()):
        pytest.skip("needs both")
    shared = {film.title: film.corpora for film in catalog.shared_films()}
    for title in ("Modern Times", "The Shawshank Redemption"):
        assert {"DREAMER", "FACED"} <= set(shared[title])
