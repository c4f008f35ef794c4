"""Named tables of coordinates on the valence-arousal plane, each value with its source."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from affectrum.catalog.model import words
from affectrum.errors import ConfigError, check_option

__all__ = ["OWN", "TABLES", "VAPoint", "VATable", "get_table", "register_table"]

OWN = "own"
"""Name of what belongs to no corpus of the catalog, and of tables given by the user."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class VAPoint:
    """Where an emotion word lies on the plane, and who says so.

    Parameters
    ----------
    valence, arousal : float
        Coordinates, -1..1.
    sd_valence, sd_arousal : float
        Standard deviation over the people who rated, in the same unit; NaN where not known.
    source : str
        Where the value is from.
    """

    valence: float
    arousal: float
    sd_valence: float = math.nan
    sd_arousal: float = math.nan
    source: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class VATable:
    """A named table of points on the plane.

    Parameters
    ----------
    name : str
        Its name.
    source : str
        Where its values are from.
    entries : mapping of str to VAPoint
        Emotion word -> point. A word that is not in the table is missing, never 0.
    """

    name: str
    source: str
    entries: Mapping[str, VAPoint] = dataclasses.field(hash=False)

    def lacks(self, words: Sequence[str]) -> tuple[str, ...]:
        """Return those of `words` that the table has no point for."""
        return tuple(word for word in words if word not in self.entries)


# SEED's words are no emotions; our reading, in every table: its negative clips are sad films and
# its positive ones comedies. Other words are read as a synonym where a table has only that one; a
# word without a synonym in the table (inspiration, tenderness, surprise ...) stays missing.
# Horror is what a game or film is, fear what it makes people feel.
_READ_AS = {
    "negative": ("sad", "sadness"),
    "positive": ("happy", "joy"),
    "sad": ("sadness",),
    "sadness": ("sad",),
    "happy": ("joy", "happiness"),
    "happiness": ("happy", "joy"),
    "joy": ("happy", "happiness"),
    "amusement": ("funny",),
    "funny": ("amusement",),
    "horror": ("fear",),
    "boring": ("bored",),
    "bored": ("boring",),
    "calmness": ("calm", "relaxed"),
    "calm": ("calmness", "relaxed"),
    "relaxed": ("calm", "calmness"),
    "excitement": ("excited",),
    "excited": ("excitement",),
}


def _with_readings(name: str, source: str, measured: dict[str, VAPoint]) -> VATable:
    entries = dict(measured)
    for word, candidates in _READ_AS.items():
        stand_in = next((other for other in candidates if other in measured), None)
        if word not in measured and stand_in is not None:
            point = measured[stand_in]
            entries[word] = dataclasses.replace(
                point, source=f"{point.source}; {word!r} read as {stand_in!r} (our reading)"
            )
    return VATable(name=name, source=source, entries=MappingProxyType(entries))


def _emod_table() -> VATable:
    source = "constants in the code of EMOD (arXiv:2511.05863), integers 0..8 taken to (x - 4) / 4"
    # (valence, arousal). No spread is given. The paper's text has no table of values.
    integers = {
        "neutral": (4, 4),
        "sad": (3, 5),
        "fear": (3, 6),
        "anger": (3, 6),
        "disgust": (2, 5),
        "surprise": (4, 6),
        "happy": (7, 6),
        "funny": (6, 5),
    }
    return _with_readings(
        "emod",
        source,
        {
            word: VAPoint(valence=(v - 4) / 4, arousal=(a - 4) / 4, source=source)
            for word, (v, a) in integers.items()
        },
    )


def _warriner_table() -> VATable:
    source = (
        "Warriner, Kuperman & Brysbaert (2013), Behavior Research Methods 45:1191-1207, "
        "doi:10.3758/s13428-012-0314-x; ratings of words on 1..9 taken to (x - 5) / 4"
    )
    # Single values cited: mean valence, its SD, mean arousal, its SD.
    ratings = {
        "happy": (8.47, 1.28, 6.05, 2.13),
        "happiness": (8.48, 0.81, 6.50, 2.63),
        "joy": (8.21, 1.18, 5.55, 2.85),
        "amusement": (7.00, 1.56, 4.82, 2.70),
        "inspiration": (6.53, 1.95, 4.77, 3.13),
        "tenderness": (6.89, 1.64, 3.10, 2.17),
        "calm": (6.89, 2.00, 1.67, 1.91),
        "excitement": (7.62, 1.38, 6.21, 2.50),
        "surprise": (7.44, 1.58, 6.57, 2.75),
        "neutral": (5.50, 1.50, 3.45, 2.39),
        "sadness": (2.40, 1.10, 2.81, 2.25),
        "sad": (2.10, 0.91, 3.49, 2.21),
        "fear": (2.93, 1.79, 6.14, 2.76),
        "anger": (2.50, 1.36, 5.93, 2.77),
        "disgust": (3.32, 2.40, 5.00, 2.35),
        "anxiety": (2.38, 1.66, 4.78, 2.89),
        "bored": (2.95, 1.58, 3.65, 2.54),
        "horror": (3.38, 2.29, 6.13, 2.43),
        "funny": (7.59, math.nan, 5.38, math.nan),
        "relaxed": (7.25, math.nan, 2.49, math.nan),
        "excited": (8.11, math.nan, 6.43, math.nan),
        "boring": (2.71, math.nan, 2.85, math.nan),
    }
    return _with_readings(
        "warriner",
        source + ". Norms of words, not of what films elicit",
        {
            word: VAPoint(
                valence=(v - 5) / 4,
                arousal=(a - 5) / 4,
                sd_valence=sd_v / 4,
                sd_arousal=sd_a / 4,
                source=f"{source}: {word!r}",
            )
            for word, (v, sd_v, a, sd_a) in ratings.items()
        },
    )


def _faced_table() -> VATable:
    source = (
        "FACED (Chen et al. 2023, Scientific Data 10:740): self-reports of 123 people, mean over "
        "the clips of an emotion, 0..7 taken to (x - 3.5) / 3.5"
    )
    emotions = np.repeat(
        words("anger disgust fear sadness neutral amusement inspiration joy tenderness"),
        [3, 3, 3, 3, 4, 3, 3, 3, 3],
    )
    # Mean and SD of valence and arousal of clips 1-28.
    table = np.array(
        words(
            """
        2.00 1.51 1.60 1.64 1.71 1.57 1.65 1.48 1.57 1.57 1.96 2.05 3.05 3.24
        3.33 3.09 4.04 4.22 4.42 5.23 4.93 4.21 4.39 4.43 4.30 4.42 4.25 4.62
        1.79 1.64 1.84 1.48 1.50 1.61 1.50 1.45 1.50 1.31 1.44 1.57 1.20 1.18
        1.43 1.19 1.36 1.57 1.54 1.50 1.58 1.92 1.71 1.54 1.62 1.67 1.52 1.60
        4.39 4.55 5.07 4.41 3.87 4.15 4.23 4.55 4.22 3.47 3.22 3.13 1.34 1.28
        1.69 1.33 3.48 3.84 3.72 3.99 3.94 3.90 3.42 3.56 3.27 3.62 3.34 3.27
        1.71 1.75 1.70 1.86 1.88 2.05 1.70 1.81 2.00 1.76 1.71 1.82 1.65 1.56
        1.78 1.53 1.80 1.72 1.80 1.73 1.74 1.68 1.75 1.69 1.91 1.84 1.69 1.85
        """
        ),
        dtype=np.float64,
    ).reshape(4, 28)
    points = {}
    for emotion in dict.fromkeys(emotions.tolist()):
        v, sd_v, a, sd_a = table[:, emotions == emotion]
        points[emotion] = VAPoint(
            valence=float((v.mean() - 3.5) / 3.5),
            arousal=float((a.mean() - 3.5) / 3.5),
            # spread over people and clips together: mean variance within clips + between them
            sd_valence=float(np.sqrt((sd_v**2).mean() + v.var()) / 3.5),
            sd_arousal=float(np.sqrt((sd_a**2).mean() + a.var()) / 3.5),
            source=f"{source}: {len(v)} clips of {emotion}",
        )
    return _with_readings("faced-measured", source, points)


_tables = {table.name: table for table in (_emod_table(), _faced_table(), _warriner_table())}

TABLES: Mapping[str, VATable] = MappingProxyType(_tables)
"""All tables by name, those of `register_table` included."""


def register_table(table: VATable) -> None:
    """Add a table under its name, for the whole process.

    Parameters
    ----------
    table : VATable
        The table; its values must be finite and on -1..1.

    Raises
    ------
    ConfigError
        If the name is taken by another table, or values are outside the plane.
    """
    known = _tables.get(table.name)
    if known is not None and known != table:
        raise ConfigError(
            f"There is already another table named {table.name!r}; choose another name than "
            f"{', '.join(TABLES)}."
        )
    _check_points(table)
    _tables[table.name] = table


def _check_points(table: VATable) -> None:
    wrong = [
        f"{word!r} ({point.valence:g}, {point.arousal:g})"
        for word, point in table.entries.items()
        if not (abs(point.valence) <= 1 and abs(point.arousal) <= 1)
    ]
    if wrong:
        raise ConfigError(
            f"Table {table.name!r} has points outside the plane: {', '.join(wrong)}. Valence and "
            "arousal are -1..1; leave a word out where its point is not known."
        )


def get_table(table: str | VATable | Mapping[str, Sequence[float]]) -> VATable:
    """Return a table by its name, or make one of a user's own values.

    Parameters
    ----------
    table : str, VATable or mapping of str to (float, float)
        A name in `TABLES`, a table, or ``{word: (valence, arousal)}`` on -1..1.

    Returns
    -------
    VATable
        The table; one made of a mapping is called ``"own"``.

    Raises
    ------
    ConfigError
        If the name is not known, or values are outside the plane.
    """
    if isinstance(table, VATable):
        return table
    if isinstance(table, str):
        return TABLES[check_option("table", table, tuple(TABLES))]
    wrong = [word for word, value in table.items() if np.shape(value) != (2,)]
    if wrong:
        raise ConfigError(
            "Invalid value for 'table': each word needs (valence, arousal) on -1..1; "
            f"that is not so for {', '.join(map(repr, wrong))}."
        )
    own = VATable(
        name=OWN,
        source="given by the user",
        entries=MappingProxyType(
            {
                word: VAPoint(valence=float(v), arousal=float(a), source="given by the user")
                for word, (v, a) in table.items()
            }
        ),
    )
    _check_points(own)
    return own
