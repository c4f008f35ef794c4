"""Facts of each corpus: electrodes, rates, units, trials, labels, clips, licence, access.

Data only; nothing here opens a vendor's file. A new corpus is one module in this folder with a
constant ``FACTS``; it is found by itself.

>>> from affectrum import catalog
>>> catalog.get("seed_iv").n_subjects
15
"""

from __future__ import annotations

import importlib
import pkgutil

from affectrum.catalog.films import SharedFilm, shared_in
from affectrum.catalog.model import Clip, CorpusFacts, words
from affectrum.errors import ConfigError, did_you_mean

__all__ = [
    "Clip",
    "CorpusFacts",
    "SharedFilm",
    "fold_name",
    "get",
    "is_known",
    "names",
    "shared_films",
]

# The order in which corpora are listed everywhere; one that is not named here comes after these.
_ORDER = words(
    "SEED SEED-IV SEED-V SEED-VII SEED-FRA SEED-GER DEAP DREAMER FACED AMIGOS MAHNOB-HCI THU-EP "
    "MPED EAV GAMEEMO EmoEEG-MC DENS ds002721"
)


def fold_name(name: str) -> str:
    """Return the form in which corpus names are compared: no case, no ``-``, ``_`` or blank."""
    return "".join(letter for letter in str(name).casefold() if letter not in "-_ ")


def _discover() -> dict[str, CorpusFacts]:
    found: list[CorpusFacts] = []
    for module in pkgutil.iter_modules(__path__):
        facts = getattr(importlib.import_module(f"{__name__}.{module.name}"), "FACTS", None)
        if isinstance(facts, CorpusFacts):
            found.append(facts)
    rank = {name: position for position, name in enumerate(_ORDER)}
    found.sort(key=lambda facts: (rank.get(facts.name, len(rank)), facts.name))
    return {facts.name: facts for facts in found}


_FACTS = _discover()
_BY_FOLDED = {fold_name(name): facts for name, facts in _FACTS.items()}


def names() -> tuple[str, ...]:
    """Return the names of all corpora that are known, in the order they are always listed."""
    return tuple(_FACTS)


def is_known(name: str) -> bool:
    """Whether there is a corpus of that name."""
    return fold_name(name) in _BY_FOLDED


def get(name: str) -> CorpusFacts:
    """Return the facts of a corpus.

    Parameters
    ----------
    name : str
        Its name; case, ``-``, ``_`` and blanks do not matter.

    Returns
    -------
    CorpusFacts
        The facts.

    Raises
    ------
    ConfigError
        If there is no such corpus.
    """
    facts = _BY_FOLDED.get(fold_name(name))
    if facts is None:
        raise ConfigError(
            f"Unknown corpus {name!r}. Known corpora are {', '.join(names())}."
            + did_you_mean(str(name), names())
            + " Other corpora, MDME among them, are read by a mapping (docs/own-data.md)."
        )
    return facts


def shared_films(level: str = "film") -> tuple[SharedFilm, ...]:
    """Return the films or series of which two corpora or more show clips.

    Parameters
    ----------
    level : {"film", "series"}
        What counts as the same.

    Returns
    -------
    tuple of SharedFilm
        See `affectrum.catalog.films.shared_in`.

    Raises
    ------
    ConfigError
        If the level is another one.
    """
    return shared_in(tuple(_FACTS.values()), level)
