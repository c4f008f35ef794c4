"""Class schemes: rules from a corpus's own labels to classes that corpora can share."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from affectrum.affect.plane import facts_of
from affectrum.catalog import CorpusFacts
from affectrum.errors import ConfigError, LabelError, check_option, did_you_mean

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["POLARITY", "SCHEMES", "ClassScheme", "SchemeReport", "get_scheme"]

POLARITY: Mapping[str, str | None] = MappingProxyType(
    {
        "negative": "negative",
        "sad": "negative",
        "sadness": "negative",
        "fear": "negative",
        "anger": "negative",
        "disgust": "negative",
        "neutral": "neutral",
        "positive": "positive",
        "happy": "positive",
        "happiness": "positive",
        "joy": "positive",
        "amusement": "positive",
        "funny": "positive",
        "inspiration": "positive",
        "tenderness": "positive",
        "surprise": None,
    }
)
"""Emotion word -> pole of valence; None where a word can be either and is left out."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SchemeReport:
    """What a class scheme does to a set of trials.

    Parameters
    ----------
    scheme, corpus : str
        Names.
    n_trials : int
        Trials in all.
    counts : dict of str to int
        Trials of each class.
    dropped : dict of str to int
        Reason -> trials that got no class.
    near : float
        What counts as near the threshold, in units of the rating scale.
    near_threshold : int
        Trials whose rating is that near to a threshold (0 where words are used).
    rating_quantiles : dict of str to float
        Minimum, quartiles and maximum of the ratings before classes are formed.
    class_means : dict of str to float
        Mean rating of the trials of each class.
    """

    scheme: str
    corpus: str
    n_trials: int
    counts: dict[str, int]
    dropped: dict[str, int]
    near: float
    near_threshold: int
    rating_quantiles: dict[str, float]
    class_means: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON can hold."""
        return dataclasses.asdict(self)

    def __str__(self) -> str:
        lines = [f"{self.corpus}, {self.scheme}: {self.n_trials} trials"]
        lines += [f"  {name}: {count}" for name, count in self.counts.items()]
        lines += [f"  dropped, {reason}: {count}" for reason, count in self.dropped.items()]
        if self.rating_quantiles:
            lines.append(f"  within {self.near:g} of a threshold: {self.near_threshold}")
        return "\n".join(lines)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassScheme:
    """A rule from a corpus's labels to classes.

    Parameters
    ----------
    name : str
        Its name.
    classes : tuple of str
        The classes, in the order of the integers that `assign` gives.
    description : str
        The rule in one or two sentences.
    words : dict of str to (str or None)
        Emotion word -> class, None for words that are left out. Empty if words can't be used.
    rating : str or None
        Which self-report the scheme reads in rated corpora; None if it can't use ratings.
    thresholds : dict of str to (float or None)
        Edges on the corpus's own rating scale; a rating equal to an edge belongs to the class
        below. None is the middle of the scale in a two-class scheme, and must be given otherwise.
    margin : float
        Ratings this near to an edge, in units of the scale, are dropped; 0 drops none.
    """

    name: str
    classes: tuple[str, ...]
    description: str
    words: dict[str, str | None] = dataclasses.field(default_factory=dict, hash=False)
    rating: str | None = None
    thresholds: dict[str, float | None] = dataclasses.field(default_factory=dict, hash=False)
    margin: float = 0.0

    def assign(self, trials: pd.DataFrame, corpus: str) -> NDArray[np.int64]:
        """Return the class of each trial.

        Parameters
        ----------
        trials : DataFrame
            Trial table (or table of windows) with the column ``emotion`` (labelled corpora) or
            ``rating_<name>`` (rated corpora).
        corpus : str
            Whose labels they are. One that is not in the catalog takes words if there are any,
            else ratings (then thresholds must be given).

        Returns
        -------
        ndarray, shape (n_trials,)
            Index into `classes`; -1 where the label is missing or the scheme leaves it out.

        Raises
        ------
        LabelError
            If the corpus's labels can't fill the classes, or words are not known.
        """
        return self._assign(trials, corpus)[0]

    def supports(self, corpus: str) -> bool:
        """Whether the labels of a corpus of the catalog can fill every class."""
        return not self._obstacle(facts_of(corpus))

    def report(self, trials: pd.DataFrame, corpus: str, *, near: float = 0.5) -> SchemeReport:
        """Count the classes, what is dropped and why, and the trials near a threshold.

        Parameters
        ----------
        trials : DataFrame
            As in `assign`.
        corpus : str
            As in `assign`.
        near : float
            What counts as near, in units of the rating scale.

        Returns
        -------
        SchemeReport
            The counts.

        Raises
        ------
        LabelError
            As in `assign`.
        """
        codes, missing, ratings, edges = self._assign(trials, corpus)
        dropped = {"label missing": int(missing.sum())}
        left_out = (codes < 0) & ~missing
        quantiles: dict[str, float] = {}
        means: dict[str, float] = {}
        near_threshold = 0
        if ratings is not None:
            dropped["rating within the margin of a threshold"] = int(left_out.sum())
            known = ratings[~missing]
            if known.size:
                values = np.quantile(known, [0, 0.25, 0.5, 0.75, 1])
                names = ("minimum", "lower quartile", "median", "upper quartile", "maximum")
                quantiles = dict(zip(names, values.tolist(), strict=True))
                near_threshold = int((_distance(known, edges) <= near).sum())
            means = {
                name: float(ratings[codes == code].mean())
                for code, name in enumerate(self.classes)
                if np.any(codes == code)
            }
        else:
            words, counts = np.unique(
                trials["emotion"].astype(str).to_numpy(dtype=str)[left_out], return_counts=True
            )
            dropped |= {
                f"{word!r} left out by the scheme": int(n)
                for word, n in zip(words.tolist(), counts, strict=True)
            }
        return SchemeReport(
            scheme=self.name,
            corpus=corpus,
            n_trials=len(codes),
            counts={name: int((codes == code).sum()) for code, name in enumerate(self.classes)},
            dropped={reason: n for reason, n in dropped.items() if n},
            near=near,
            near_threshold=near_threshold,
            rating_quantiles=quantiles,
            class_means=means,
        )

    def _obstacle(self, facts: CorpusFacts | None) -> str:
        """Why the corpus's labels can't fill the classes; empty if they can."""
        if facts is None:
            return ""
        if facts.is_rated:
            if self.rating is None:
                return f"{facts.name} has ratings and no emotion words"
            if self.rating not in facts.ratings:
                return f"{facts.name} has no ratings of {self.rating}"
            if len(self.classes) > 2 and None in self.thresholds.values():
                names = ", ".join(f"{name}=..." for name in self.thresholds)
                return (
                    f"{facts.name} is rated, and more than two classes of ratings have no "
                    f"natural edges; give them: get_scheme({self.name!r}, {names})"
                )
            return ""
        if not self.words:
            return f"{facts.name} has emotion words and no ratings of {self.rating}"
        reached = {self.words.get(word) for word in facts.emotions}
        lacking = [name for name in self.classes if name not in reached]
        if lacking:
            return f"{facts.name} has no {' or '.join(lacking)} among {', '.join(facts.emotions)}"
        return ""

    def _assign(
        self, trials: pd.DataFrame, corpus: str
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.float64] | None, list[float]]:
        facts = facts_of(corpus, strict=False)
        obstacle = self._obstacle(facts)
        if obstacle:
            raise LabelError(
                f"Class scheme {self.name!r} can't be used: {obstacle}."
                + (f" {facts.name} can fill {', '.join(facts.class_schemes)}." if facts else "")
            )
        if facts is not None:
            use_words = not facts.is_rated
        else:
            use_words = (
                bool(self.words) and "emotion" in trials and bool(trials["emotion"].notna().any())
            )
        if use_words:
            codes, missing = self._from_words(trials, corpus)
            return codes, missing, None, []
        return self._from_ratings(trials, corpus, facts)

    def _from_words(
        self, trials: pd.DataFrame, corpus: str
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        import pandas as pd

        if "emotion" not in trials:
            raise LabelError(
                f"Class scheme {self.name!r} needs the column 'emotion' for {corpus}; the table "
                f"has {', '.join(map(str, trials.columns))}."
            )
        positions, found = pd.factorize(trials["emotion"])
        unknown = [str(word) for word in found if word not in self.words]
        if unknown:
            raise LabelError(
                f"Class scheme {self.name!r} does not know the emotion "
                f"{', '.join(map(repr, unknown))} of {corpus}. It knows {', '.join(self.words)}."
                + did_you_mean(unknown[0], self.words)
            )
        index = {name: code for code, name in enumerate(self.classes)}
        # the last place is taken by missing words, which factorize numbers -1
        lookup = [index.get(self.words[word] or "", -1) for word in found]
        codes = np.array([*lookup, -1], dtype=np.int64)[positions]
        return codes, np.asarray(positions) < 0

    def _from_ratings(
        self, trials: pd.DataFrame, corpus: str, facts: CorpusFacts | None
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.float64], list[float]]:
        column = f"rating_{self.rating}"
        if self.rating is None or column not in trials:
            needed = [f"'{column}'"] if self.rating else []
            needed += ["'emotion' with words in it"] if self.words else []
            raise LabelError(
                f"Class scheme {self.name!r} needs the column {' or '.join(needed)} for {corpus}; "
                f"the table has {', '.join(map(str, trials.columns))}."
            )
        edges = []
        for name, given in self.thresholds.items():
            if given is None and facts is None:
                raise LabelError(
                    f"Class scheme {self.name!r} does not know the rating scale of {corpus!r}; "
                    f"give the threshold on it: get_scheme({self.name!r}, {name}=...)."
                )
            low, high = facts.ratings[self.rating] if facts else (-math.inf, math.inf)
            edge = (low + high) / 2 if given is None else given
            if not low < edge < high:
                raise LabelError(
                    f"Invalid value for {name!r} of class scheme {self.name!r}: {edge:g} is not "
                    f"within the scale {low:g}..{high:g} of {corpus}."
                )
            edges.append(float(edge))
        if sorted(set(edges)) != edges:
            raise ConfigError(
                f"Invalid thresholds of class scheme {self.name!r}: {edges} must increase."
            )
        ratings = trials[column].to_numpy(dtype=np.float64, na_value=np.nan)
        missing = np.isnan(ratings)
        # side="left": a rating equal to an edge belongs to the class below
        codes = np.searchsorted(np.array(edges), ratings, side="left").astype(np.int64)
        codes[missing] = -1
        if self.margin > 0:
            codes[_distance(ratings, edges) <= self.margin] = -1
        return codes, missing, ratings, edges


def _distance(ratings: NDArray[np.float64], edges: list[float]) -> NDArray[np.float64]:
    distance: NDArray[np.float64] = np.abs(ratings[:, None] - np.array(edges)).min(axis=1)
    return distance


_VALENCE3 = ("negative", "neutral", "positive")
_SCHEMES = {
    scheme.name: scheme
    for scheme in (
        ClassScheme(
            name="valence3",
            classes=_VALENCE3,
            description=(
                "Negative, neutral, positive; sad, fear, anger and disgust are negative, surprise "
                "is left out. Rated corpora need both thresholds, low and high."
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
        ClassScheme(
            name="emotion4",
            classes=("neutral", "sad", "fear", "happy"),
            description="The four emotions of SEED-IV, in the order of its codes; others left out.",
            words={
                **dict.fromkeys(POLARITY),
                "neutral": "neutral",
                "sad": "sad",
                "sadness": "sad",
                "fear": "fear",
                "happy": "happy",
                "happiness": "happy",
                "joy": "happy",
            },
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
        ClassScheme(
            name="arousal2",
            classes=("low", "high"),
            description=(
                "Two poles of arousal by rating; above the threshold (the middle of the scale "
                "unless given) is high. Corpora without ratings are refused: a table of "
                "coordinates is no measurement."
            ),
            rating="arousal",
            thresholds={"threshold": None},
        ),
    )
}

SCHEMES: tuple[str, ...] = tuple(_SCHEMES)
"""Names that `get_scheme` knows."""


def get_scheme(name: str, **thresholds: float) -> ClassScheme:
    """Return a class scheme, with its thresholds set.

    Thresholds are fixed numbers on the corpus's own rating scale. They must never come from the
    labels of the trials that are tested (a median over them is a leak).

    Parameters
    ----------
    name : str
        One of `SCHEMES`.
    **thresholds : float
        ``threshold`` (valence2, arousal2) or ``low`` and ``high`` (valence3), and ``margin``.

    Returns
    -------
    ClassScheme
        The scheme.

    Raises
    ------
    ConfigError
        If the name or a threshold is not known.
    """
    scheme = _SCHEMES[check_option("classes", name, SCHEMES)]
    if not thresholds:
        return scheme
    allowed = (*scheme.thresholds, "margin") if scheme.thresholds else ()
    unknown = [key for key in thresholds if key not in allowed]
    if unknown:
        raise ConfigError(
            f"Class scheme {name!r} has no parameter {', '.join(map(repr, unknown))}. It has "
            f"{', '.join(allowed) if allowed else 'none'}."
        )
    wrong = [f"{key}={value!r}" for key, value in thresholds.items() if not math.isfinite(value)]
    margin = float(thresholds.pop("margin", scheme.margin))
    if margin < 0:
        wrong.append(f"margin={margin!r} (must not be negative)")
    if wrong:
        raise ConfigError(f"Invalid thresholds of class scheme {name!r}: {', '.join(wrong)}.")
    edges = {**scheme.thresholds, **{key: float(value) for key, value in thresholds.items()}}
    return dataclasses.replace(scheme, thresholds=edges, margin=margin)
