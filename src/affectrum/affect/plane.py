"""The valence-arousal plane: from words, codes and ratings to -1..1."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from affectrum import catalog
from affectrum.affect.tables import OWN, VAPoint, VATable, get_table
from affectrum.catalog import CorpusFacts
from affectrum.errors import LabelError, did_you_mean

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "emod_regions",
    "emod_to_plane",
    "facts_of",
    "plane_to_emod",
    "rating_to_plane",
    "to_valence_arousal",
]


def plane_to_emod(va: ArrayLike) -> NDArray[np.float64]:
    """Convert from the plane (-1..1) to the -4..4 on which EMOD's loss is defined.

    The only place where this is done; EMOD's ``max_distance`` 5 counts in this unit.

    Parameters
    ----------
    va : array_like, shape (..., 2)
        Valence and arousal, -1..1.

    Returns
    -------
    ndarray, shape (..., 2)
        The same on -4..4.
    """
    return 4.0 * np.asarray(va, dtype=np.float64)


def emod_to_plane(va: ArrayLike) -> NDArray[np.float64]:
    """Convert from EMOD's -4..4 to the plane (-1..1); the inverse of `plane_to_emod`."""
    return np.asarray(va, dtype=np.float64) / 4.0


def emod_regions(va: ArrayLike) -> NDArray[np.int64]:
    """Return the macro region of the plane that EMOD's sampler draws from.

    EMOD puts valence and arousal on 0..8, rounds down to whole levels and joins three levels of
    each axis: region ``valence // 3 + 3 * (arousal // 3)`` (arXiv:2511.05863).

    Parameters
    ----------
    va : array_like, shape (..., 2)
        Valence and arousal, -1..1; NaN where missing.

    Returns
    -------
    ndarray of int64, shape (...)
        0 (unpleasant, calm) to 8 (pleasant, excited), 4 in the middle; -1 where either is missing.
    """
    levels = np.floor(4.0 + plane_to_emod(va))
    missing = np.isnan(levels).any(axis=-1)
    thirds = np.where(np.isnan(levels), 0.0, levels).astype(np.int64) // 3
    regions: NDArray[np.int64] = np.where(missing, -1, thirds[..., 0] + 3 * thirds[..., 1])
    return regions


def rating_to_plane(ratings: ArrayLike, scale: tuple[float, float]) -> NDArray[np.float64]:
    """Map ratings linearly to -1..1: the ends of the scale to the ends, its middle to 0.

    Parameters
    ----------
    ratings : array_like
        Ratings on the corpus's own scale; NaN where missing.
    scale : tuple of float
        Lowest and highest point of the scale.

    Returns
    -------
    ndarray
        The same shape, -1..1, NaN where missing.

    Raises
    ------
    LabelError
        If a rating is outside the scale.
    """
    low, high = scale
    values = np.asarray(ratings, dtype=np.float64)
    outside = (values < low) | (values > high)
    if np.any(outside):
        raise LabelError(
            f"{int(outside.sum())} of {values.size} ratings are outside the scale {low:g}..{high:g}"
            f" (first: {values[outside][0]:g}). Give ratings on the corpus's own scale, NaN where "
            "missing."
        )
    return (values - (low + high) / 2.0) / ((high - low) / 2.0)


def facts_of(corpus: str | None, *, strict: bool = True) -> CorpusFacts | None:
    """Return the facts of a corpus, or None for arrays of no corpus of the catalog.

    Parameters
    ----------
    corpus : str or None
        A corpus's name, ``"own"`` or None.
    strict : bool
        Refuse names that are not in the catalog, which else count as a user's own, as do the
        labels of a corpus of which the catalog knows none.

    Returns
    -------
    CorpusFacts or None
        The facts.

    Raises
    ------
    ConfigError
        If `strict` and the name is not known.
    """
    if corpus is None or catalog.fold_name(corpus) == OWN:
        return None
    if not strict and not catalog.is_known(corpus):
        return None
    facts = catalog.get(corpus)
    documented = facts.label_codes or facts.ratings or facts.felt_codes
    return facts if strict or documented else None


def _as_words(labels: Any, facts: CorpusFacts | None) -> list[str | None]:
    """Labels (words, vendor codes, missing) as words of the corpus."""
    flat = np.asarray(labels, dtype=object).ravel()
    words: list[str | None] = []
    problems: dict[str, None] = {}
    for label in flat:
        if isinstance(label, str):
            word: str | None = label.strip().casefold()
            if not word:
                words.append(None)
                continue
            if facts is not None and word not in (*facts.emotions, *facts.felt_codes.values()):
                problems[repr(label)] = None
            words.append(word)
        elif _is_missing(label):
            words.append(None)
        else:
            code = float(label)
            word = facts.label_codes.get(int(code)) if facts and code.is_integer() else None
            if word is None:
                problems[f"{code:g}"] = None
            words.append(word)
    if problems:
        if facts is None:
            raise LabelError(
                f"Labels that are no words: {', '.join(problems)}. Integer codes mean something "
                "only within a corpus; name the corpus, or give emotion words."
            )
        allowed = ", ".join(f"{word} ({code})" for code, word in sorted(facts.label_codes.items()))
        first = next(iter(problems)).strip("'\"")
        raise LabelError(
            f"{facts.name} has no label {', '.join(problems)}. Its labels are {allowed}."
            + did_you_mean(first, facts.emotions)
        )
    return words


def _is_missing(label: Any) -> bool:
    if label is None:
        return True
    try:
        return bool(label != label)  # NaN and NaT
    except TypeError:  # pandas.NA has no truth value
        return True


def to_valence_arousal(
    labels: Any,
    corpus: str | None,
    table: str | VATable | Mapping[str, Sequence[float]] = "emod",
) -> NDArray[np.float64]:
    """Place labels on the valence-arousal plane.

    Parameters
    ----------
    labels : array_like, shape (n,) or (n, 2)
        Emotion words or the vendor's integer codes, shape (n,), None or NaN where missing; or
        ratings [valence, arousal] on the corpus's own scale, shape (n, 2), NaN where missing. A
        corpus that has words and ratings takes either.
    corpus : str or None
        A corpus of the catalog; None or ``"own"`` for emotion words of no corpus.
    table : str, VATable or mapping
        Which table to place words by (see `get_table`); ratings need none: they go linearly from
        their scale to -1..1 (EMOD's own transforms of rated corpora, without its rounding).

    Returns
    -------
    ndarray, shape (n, 2)
        Valence and arousal, -1..1; NaN where the label is missing or the table has no point for
        the word.

    Raises
    ------
    LabelError
        If the corpus has no such label, ratings are outside its scale, or the form of `labels`
        does not fit the corpus.
    ConfigError
        If the corpus or the table is not known.

    Examples
    --------
    >>> to_valence_arousal(["happy", "neutral", None], corpus="SEED-IV", table="emod")
    array([[0.75, 0.5 ],
           [0.  , 0.  ],
           [ nan,  nan]])
    """
    points = get_table(table).entries
    facts = facts_of(corpus)
    shape = np.shape(labels)
    rated = facts is not None and {"valence", "arousal"} <= set(facts.ratings)
    worded = facts is None or bool(facts.label_codes or facts.felt_codes)
    if facts is not None and rated and (len(shape) == 2 or not worded):
        return _from_ratings(labels, shape, facts)
    if len(shape) != 1 or not worded:
        forms = [f"emotion words{'' if facts is None else ' or codes'} of shape (n,)"] * worded
        raise LabelError(
            f"Expected {' or '.join(forms) or 'no labels: ' + str(corpus) + ' has none'}, "
            f"received shape {shape}."
        )
    words = _as_words(labels, facts)
    if facts is None:
        unknown = [word for word in dict.fromkeys(words) if word and word not in points]
        if unknown:
            raise LabelError(
                f"The table has no point for {', '.join(map(repr, unknown))}. Its words are "
                f"{', '.join(points)}." + did_you_mean(unknown[0], points)
            )
    nowhere = VAPoint(valence=math.nan, arousal=math.nan)
    found = [points.get(word, nowhere) if word else nowhere for word in words]
    return np.array([(p.valence, p.arousal) for p in found], dtype=np.float64).reshape(-1, 2)


def _from_ratings(labels: Any, shape: tuple[int, ...], facts: CorpusFacts) -> NDArray[np.float64]:
    if len(shape) != 2 or shape[1] != 2:
        words = " (or emotion words of shape (n,))" if facts.label_codes else ""
        raise LabelError(
            f"{facts.name} is rated: expected ratings [valence, arousal] of shape (n, 2){words}, "
            f"received shape {shape}."
        )
    ratings = np.asarray(labels, dtype=np.float64)
    return np.column_stack(
        [
            rating_to_plane(ratings[:, column], facts.ratings[name])
            for column, name in enumerate(("valence", "arousal"))
        ]
    )
