"""The class schemes that are known by name: those that the field uses."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from affectrum.affect.schemes import ClassScheme
from affectrum.errors import ConfigError, check_option

__all__ = ["POLARITY", "SCHEMES", "get_scheme", "schemes_of"]

POLARITY: Mapping[str, str | None] = MappingProxyType(
    {
        "negative": "negative",
        "sad": "negative",
        "sadness": "negative",
        "fear": "negative",
        "horror": "negative",
        "anger": "negative",
        "disgust": "negative",
        "anxiety": "negative",
        "boring": "negative",
        "bored": "negative",
        "neutral": "neutral",
        "positive": "positive",
        "happy": "positive",
        "happiness": "positive",
        "joy": "positive",
        "amusement": "positive",
        "funny": "positive",
        "inspiration": "positive",
        "tenderness": "positive",
        "excitement": "positive",
        "calmness": "positive",
        "calm": "positive",
        "relaxed": "positive",
        "surprise": None,
        "scream": None,
        "sleepy": None,
        "unknown": None,
    }
)
"""Emotion word -> pole of valence; None where a word can be either and is left out."""

# Words that are the same emotion under another name; horror is a genre and no synonym of fear.
_SAME = {
    "sad": ("sad", "sadness"),
    "happy": ("happy", "happiness", "joy"),
    "amusement": ("amusement", "funny"),
}


def _emotions(classes: str) -> dict[str, str | None]:
    """Words of a scheme whose classes are emotions: each class by its synonyms, no other word."""
    words: dict[str, str | None] = dict.fromkeys(POLARITY)
    for name in classes.split():
        same = next((words for words in _SAME.values() if name in words), (name,))
        words |= dict.fromkeys(same, name)
    return words


def _emotion_scheme(name: str, classes: str, description: str) -> ClassScheme:
    return ClassScheme(
        name=name,
        classes=tuple(classes.split()),
        description=description,
        words=_emotions(classes),
    )


def _pole(rating: str) -> ClassScheme:
    return ClassScheme(
        name=f"{rating}2",
        classes=("low", "high"),
        description=(
            f"Two poles of {rating} by rating; above the threshold (the middle of the scale "
            "unless given) is high. Corpora without ratings are refused: a table of "
            "coordinates is no measurement."
        ),
        rating=rating,
        thresholds={"threshold": None},
    )


_VALENCE3 = ("negative", "neutral", "positive")
_SCHEMES = {
    scheme.name: scheme
    for scheme in (
        ClassScheme(
            name="valence3",
            classes=_VALENCE3,
            description=(
                "Negative, neutral, positive; sad, fear, horror, anger, disgust and boring are "
                "negative, calm is positive, surprise is left out. Ratings need both thresholds, "
                "low and high."
            ),
            words=dict(POLARITY),
            rating="valence",
            thresholds={"low": None, "high": None},
        ),
        ClassScheme(
            name="valence3-no-fear",
            classes=_VALENCE3,
            description=(
                "As valence3 but without fear: sad is negative, neutral, happy is positive."
            ),
            words={**POLARITY, "fear": None},
            rating="valence",
            thresholds={"low": None, "high": None},
        ),
        _emotion_scheme(
            "emotion4",
            "neutral sad fear happy",
            "The four emotions of SEED-IV, in the order of its codes; others left out.",
        ),
        _emotion_scheme(
            "emotion5",
            "disgust fear sad neutral happy",
            "The five emotions of SEED-V, in the order of its codes; others left out.",
        ),
        _emotion_scheme(
            "emotion7",
            "happy neutral disgust sad anger fear surprise",
            "The seven emotions of SEED-VII (in the order in which EMOD numbers them; the corpus "
            "has words only); others left out.",
        ),
        _emotion_scheme(
            "emotion9",
            "anger disgust fear sadness neutral amusement inspiration joy tenderness",
            "The nine emotions of FACED, in the order of its codes; others left out.",
        ),
        ClassScheme(
            name="valence2",
            classes=("negative", "positive"),
            description=(
                "Two poles of valence. Ratings above the threshold (the middle of the scale unless "
                "given) are positive, others negative; of words, neutral and surprise are left out."
            ),
            words={word: pole if pole != "neutral" else None for word, pole in POLARITY.items()},
            rating="valence",
            thresholds={"threshold": None},
        ),
        _pole("arousal"),
        _pole("dominance"),
        ClassScheme(
            name="arousal3",
            classes=("low", "middle", "high"),
            description="Three degrees of arousal by rating, with both thresholds given.",
            rating="arousal",
            thresholds={"low": None, "high": None},
        ),
        ClassScheme(
            name="quadrant4",
            classes=("negative-low", "negative-high", "positive-low", "positive-high"),
            description=(
                "The quadrants of valence and arousal by rating (LVLA, LVHA, HVLA, HVHA), each "
                "cut at the middle of its scale unless given."
            ),
            thresholds={"valence": None, "arousal": None},
            cuts={"valence": "valence", "arousal": "arousal"},
        ),
    )
}

SCHEMES: tuple[str, ...] = tuple(_SCHEMES)
"""Names that `get_scheme` knows."""


def get_scheme(name: str, *, labels: str = "auto", **thresholds: float) -> ClassScheme:
    """Return a class scheme, with its thresholds set.

    Plans and command lines write the parameters behind the name:
    ``"valence2(threshold=4.5, labels=ratings)"``.

    Thresholds are fixed numbers on the corpus's own rating scale. They must never come from the
    labels of the trials that are tested: a median over them, also one per subject, is a leak and
    is not offered.

    Parameters
    ----------
    name : str
        One of `SCHEMES`, alone or with parameters.
    labels : str
        What the classes are made of in corpora that have several kinds of labels: "emotion" (the
        corpus's word), "ratings" (self-reports), "felt" (the word that the person chose) or
        "auto" (see `LABELS`).
    **thresholds : float
        ``threshold`` (valence2, arousal2, dominance2), ``low`` and ``high`` (valence3, arousal3),
        ``valence`` and ``arousal`` (quadrant4), and ``margin``.

    Returns
    -------
    ClassScheme
        The scheme.

    Raises
    ------
    ConfigError
        If the name, the labels or a threshold is not known.
    """
    if "(" in name:
        name, written = _parse(name)
        labels = str(written.pop("labels", labels))
        thresholds = {**written, **thresholds}  # type: ignore[dict-item]
    scheme = _SCHEMES[check_option("classes", name, SCHEMES)]
    if labels == "auto" and not thresholds:
        return scheme
    return scheme.with_parameters(labels, **thresholds)


def _parse(text: str) -> tuple[str, dict[str, str | float]]:
    """Take "name(parameter=value, ...)" apart."""
    name, _, rest = text.strip().partition("(")
    values: dict[str, str | float] = {}
    faults = [] if rest.endswith(")") else ["the closing bracket is missing"]
    for part in rest.rstrip(")").split(","):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not (key and equals and value):
            faults.append(f"{part.strip()!r} is no parameter=value")
            continue
        try:
            values[key] = value if key == "labels" else float(value)
        except ValueError:
            faults.append(f"{key}={value!r} is no number")
    if faults:
        raise ConfigError(
            f"Invalid value for 'classes': {text!r} ({'; '.join(faults)}). Write it as "
            "'valence2(threshold=4.5, labels=ratings)'."
        )
    return name.strip(), values


def schemes_of(corpus: str) -> tuple[str, ...]:
    """Return the schemes that the labels of a corpus fill without any threshold being given.

    Parameters
    ----------
    corpus : str
        A corpus of the catalog.

    Returns
    -------
    tuple of str
        Names, in the order of `SCHEMES`.

    Raises
    ------
    ConfigError
        If there is no such corpus.
    """
    return tuple(name for name, scheme in _SCHEMES.items() if scheme.supports(corpus))
