"""Which films and series several corpora show clips of."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from affectrum.catalog.model import CorpusFacts
from affectrum.errors import check_option

__all__ = ["LEVELS", "SharedFilm", "shared_in"]

LEVELS = ("film", "series")
"""Levels at which clips of different corpora can be the same stimulus; clips are cut anew."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SharedFilm:
    """A film or series of which two corpora or more show clips.

    Parameters
    ----------
    level : str
        "film" or "series".
    title : str
        As the catalogue spells it.
    corpora : tuple of str
        The corpora.
    clips : tuple of str
        Their clips, corpus by corpus.
    """

    level: str
    title: str
    corpora: tuple[str, ...]
    clips: tuple[str, ...]


def shared_in(facts: Sequence[CorpusFacts], level: str = "film") -> tuple[SharedFilm, ...]:
    """Find the films or series that several corpora use.

    Parameters
    ----------
    facts : sequence of CorpusFacts
        The corpora to compare.
    level : {"film", "series"}
        What counts as the same.

    Returns
    -------
    tuple of SharedFilm
        In the order in which the catalogue first names them. Clips whose film is not known are in
        none of them, so the list is the least there is.

    Raises
    ------
    ConfigError
        If the level is another one.
    """
    check_option("level", level, LEVELS)
    found: dict[str, dict[str, list[str]]] = {}
    for corpus in facts:
        for session in corpus.clips:
            for clip in session:
                title = getattr(clip, level)
                if title is None:
                    continue
                clips = found.setdefault(title, {}).setdefault(corpus.name, [])
                if clip.clip not in clips:
                    clips.append(clip.clip)
    return tuple(
        SharedFilm(level=level, title=title, corpora=tuple(users), clips=_joined(users))
        for title, users in found.items()
        if len(users) > 1
    )


def _joined(users: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    return tuple(clip for clips in users.values() for clip in clips)
