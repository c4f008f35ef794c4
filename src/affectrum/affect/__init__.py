"""Emotion words, the valence-arousal plane and class schemes.

The plane is -1..1 on both axes everywhere in this project (-1 unpleasant, calm; +1 pleasant,
excited). Where a word lies on it is disputed, so every set of coordinates is a named table, each
value with its source; tables are never blended. A class scheme turns a corpus's own labels (words
or ratings) into classes that corpora can share.
"""

from __future__ import annotations

from affectrum.affect.plane import (
    emod_regions,
    emod_to_plane,
    plane_to_emod,
    rating_to_plane,
    to_valence_arousal,
)
from affectrum.affect.ready import POLARITY, SCHEMES, get_scheme, schemes_of
from affectrum.affect.schemes import LABELS, ClassScheme, SchemeReport
from affectrum.affect.space import LabelPlace, label_space
from affectrum.affect.tables import OWN, TABLES, VAPoint, VATable, get_table, register_table

__all__ = [
    "LABELS",
    "OWN",
    "POLARITY",
    "SCHEMES",
    "TABLES",
    "ClassScheme",
    "LabelPlace",
    "SchemeReport",
    "VAPoint",
    "VATable",
    "emod_regions",
    "emod_to_plane",
    "get_scheme",
    "get_table",
    "label_space",
    "plane_to_emod",
    "rating_to_plane",
    "register_table",
    "schemes_of",
    "to_valence_arousal",
]
