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

__all__ = ["LABELS", "ClassScheme", "SchemeReport"]

LABELS: Mapping[str, str] = MappingProxyType(
    {
        "auto": (
            "what puts the corpus's trials on the plane (emotion words where it has them, ratings "
            "else); the other of the two where that can't fill the classes"
        ),
        "emotion": "the corpus's emotion words (column emotion)",
        "ratings": "self-reports (columns rating_...), cut at the thresholds",
        "felt": "the emotion word that the person chose (column felt_emotion)",
    }
)
"""What a scheme's labels can be made of."""

_COLUMNS = {"emotion": "emotion", "felt": "felt_emotion"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class SchemeReport:
    """What a class scheme does to a set of trials.

    Parameters
    ----------
    scheme, corpus : str
        Names.
    labels : str
        What the classes were made of: "emotion", "ratings" or "felt".
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
        Minimum, quartiles and maximum of the ratings before classes are formed; where a scheme
        reads two ratings, each under its name.
    class_means : dict of str to float
        Mean rating of the trials of each class.
    """

    scheme: str
    corpus: str
    labels: str
    n_trials: int
    counts: dict[str, int]
    dropped: dict[str, int]
    near: float
    near_threshold: int
    rating_quantiles: dict[str, float]
    class_means: dict[str, float]

    @property
    def n_dropped(self) -> int:
        """Trials that got no class."""
        return sum(self.dropped.values())

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON can hold."""
        return dataclasses.asdict(self)

    def __str__(self) -> str:
        lines = [f"{self.corpus}, {self.scheme} by {self.labels}: {self.n_trials} trials"]
        lines += [f"  {name}: {count}" for name, count in self.counts.items()]
        lines += [f"  dropped, {reason}: {count}" for reason, count in self.dropped.items()]
        if self.rating_quantiles:
            lines.append(f"  within {self.near:g} of a threshold: {self.near_threshold}")
        return "\n".join(lines)


@dataclasses.dataclass(frozen=True)
class _Assigned:
    """Classes with what they were made of."""

    labels: str
    codes: NDArray[np.int64]
    missing: NDArray[np.bool_]
    ratings: dict[str, NDArray[np.float64]] = dataclasses.field(default_factory=dict)
    edges: dict[str, list[float]] = dataclasses.field(default_factory=dict)


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
        Which self-report the scheme reads in rated corpora; None if it reads none or several.
    thresholds : dict of str to (float or None)
        Edges on the corpus's own rating scale; a rating equal to an edge belongs to the class
        below. None is the middle of the scale where a rating has one edge, and must be given
        otherwise.
    cuts : dict of str to str
        Threshold -> the self-report it cuts, for schemes that read several; the classes then run
        through the parts of the last rating fastest. Empty: all thresholds cut `rating`.
    margin : float
        Ratings this near to an edge, in units of the scale, are dropped; 0 drops none.
    labels : str
        What the classes are made of, one of `LABELS`.
    """

    name: str
    classes: tuple[str, ...]
    description: str
    words: dict[str, str | None] = dataclasses.field(default_factory=dict, hash=False)
    rating: str | None = None
    thresholds: dict[str, float | None] = dataclasses.field(default_factory=dict, hash=False)
    cuts: dict[str, str] = dataclasses.field(default_factory=dict, hash=False)
    margin: float = 0.0
    labels: str = "auto"

    @property
    def title(self) -> str:
        """The name with the parameters that were set, as `affectrum.affect.get_scheme` reads it."""
        told = {key: f"{value:g}" for key, value in self.thresholds.items() if value is not None}
        told |= {"margin": f"{self.margin:g}"} if self.margin else {}
        told |= {"labels": self.labels} if self.labels != "auto" else {}
        inner = ", ".join(f"{key}={value}" for key, value in told.items())
        return f"{self.name}({inner})" if inner else self.name

    @property
    def rated_by(self) -> dict[str, tuple[str, ...]]:
        """Self-report -> the thresholds that cut it; empty if the scheme reads none."""
        if self.cuts:
            return {
                rating: tuple(name for name, cut in self.cuts.items() if cut == rating)
                for rating in dict.fromkeys(self.cuts.values())
            }
        return {} if self.rating is None else {self.rating: tuple(self.thresholds)}

    def assign(self, trials: pd.DataFrame, corpus: str) -> NDArray[np.int64]:
        """Return the class of each trial.

        Parameters
        ----------
        trials : DataFrame
            Trial table (or table of windows) with the columns that `labels` needs: ``emotion``,
            ``felt_emotion`` or ``rating_<name>``.
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
        return self._assign(trials, corpus).codes

    def supports(self, corpus: str) -> bool:
        """Whether the labels of a corpus of the catalog can fill every class."""
        return not self._choose(facts_of(corpus))[1]

    def source(self, corpus: str) -> str:
        """What the classes are made of in a corpus of the catalog.

        Parameters
        ----------
        corpus : str
            A corpus of the catalog.

        Returns
        -------
        str
            "emotion", "ratings" or "felt".

        Raises
        ------
        LabelError
            If the corpus's labels can't fill the classes.
        """
        facts = facts_of(corpus)
        chosen, obstacle = self._choose(facts)
        if obstacle:
            raise LabelError(self._refusal(obstacle, facts))
        return chosen

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
        found = self._assign(trials, corpus)
        codes, missing = found.codes, found.missing
        dropped = {"label missing": int(missing.sum())}
        left_out = (codes < 0) & ~missing
        quantiles: dict[str, float] = {}
        means: dict[str, float] = {}
        near_any = np.zeros(len(codes), dtype=bool)
        if found.ratings:
            dropped["rating within the margin of a threshold"] = int(left_out.sum())
        else:
            words, counts = np.unique(
                trials[_COLUMNS[found.labels]].astype(str).to_numpy(dtype=str)[left_out],
                return_counts=True,
            )
            dropped |= {
                f"{word!r} left out by the scheme": int(n)
                for word, n in zip(words.tolist(), counts, strict=True)
            }
        for rating, values in found.ratings.items():
            prefix = f"{rating}, " if len(found.ratings) > 1 else ""
            known = values[~np.isnan(values)]
            if known.size:
                cut = np.quantile(known, [0, 0.25, 0.5, 0.75, 1]).tolist()
                names = ("minimum", "lower quartile", "median", "upper quartile", "maximum")
                quantiles |= {prefix + name: v for name, v in zip(names, cut, strict=True)}
            near_any |= ~missing & (_distance(values, found.edges[rating]) <= near)
            means |= {
                prefix + name: float(values[codes == code].mean())
                for code, name in enumerate(self.classes)
                if np.any(codes == code)
            }
        return SchemeReport(
            scheme=self.title,
            corpus=corpus,
            labels=found.labels,
            n_trials=len(codes),
            counts={name: int((codes == code).sum()) for code, name in enumerate(self.classes)},
            dropped={reason: n for reason, n in dropped.items() if n},
            near=near,
            near_threshold=int(near_any.sum()),
            rating_quantiles=quantiles,
            class_means=means,
        )

    def _choose(self, facts: CorpusFacts | None) -> tuple[str, str]:
        """What the classes are made of, and why that can't be (empty if it can)."""
        if facts is None:
            return self.labels, ""
        if self.labels != "auto":
            return self.labels, self._obstacle(facts, self.labels)
        preferred = ("ratings", "emotion") if facts.is_rated else ("emotion", "ratings")
        can_use = {"ratings": bool(self.rated_by), "emotion": bool(self.words)}
        obstacles = {
            labels: self._obstacle(facts, labels) for labels in preferred if can_use[labels]
        }
        for labels, obstacle in obstacles.items():
            if not obstacle:
                return labels, ""
        return preferred[0], "; ".join(dict.fromkeys(obstacles.values()))

    def _obstacle(self, facts: CorpusFacts, labels: str) -> str:
        """Why this kind of labels can't fill the classes; empty if it can."""
        if labels == "ratings":
            if not self.rated_by:
                return "its classes are emotions, not degrees of a rating"
            lacking = [rating for rating in self.rated_by if rating not in facts.ratings]
            if lacking:
                kind = "emotion words and " if facts.emotions and not facts.ratings else ""
                return f"{facts.name} has {kind}no ratings of {' and '.join(lacking)}"
            open_edges = [
                name
                for names in self.rated_by.values()
                if len(names) > 1
                for name in names
                if self.thresholds[name] is None
            ]
            if open_edges:
                names = ", ".join(f"{name}=..." for name in self.thresholds)
                return (
                    f"{facts.name} is rated, and more than two classes of a rating have no "
                    f"natural edges; give them: get_scheme({self.name!r}, {names})"
                )
            return ""
        have = facts.emotions if labels == "emotion" else tuple(facts.felt_codes.values())
        if not have:
            if labels == "felt":
                return f"{facts.name} did not ask which emotion was felt"
            return f"{facts.name} has ratings and no emotion words"
        if not self.words:
            return f"{facts.name} has emotion words, but they are no {' or '.join(self.rated_by)}"
        reached = {self.words.get(word) for word in have}
        lacking = [name for name in self.classes if name not in reached]
        if lacking:
            return f"{facts.name} has no {' or '.join(lacking)} among {', '.join(have)}"
        return ""

    def _refusal(self, obstacle: str, facts: CorpusFacts | None) -> str:
        from affectrum.affect.ready import schemes_of

        return f"Class scheme {self.name!r} can't be used: {obstacle}." + (
            f" {facts.name} can fill {', '.join(schemes_of(facts.name))}." if facts else ""
        )

    def _assign(self, trials: pd.DataFrame, corpus: str) -> _Assigned:
        facts = facts_of(corpus, strict=False)
        labels, obstacle = self._choose(facts)
        if obstacle:
            raise LabelError(self._refusal(obstacle, facts))
        if labels == "auto":  # no corpus of the catalog: words if there are any
            has_words = "emotion" in trials and bool(trials["emotion"].notna().any())
            labels = "emotion" if self.words and has_words else "ratings"
        if labels == "ratings":
            return self._from_ratings(trials, corpus, facts)
        return self._from_words(trials, corpus, labels)

    def _from_words(self, trials: pd.DataFrame, corpus: str, labels: str) -> _Assigned:
        import pandas as pd

        column = _COLUMNS[labels]
        if column not in trials:
            raise LabelError(
                f"Class scheme {self.name!r} needs the column {column!r} for {corpus}; the table "
                f"has {', '.join(map(str, trials.columns))}."
            )
        positions, found = pd.factorize(trials[column])
        unknown = [str(word) for word in found if word not in self.words]
        if unknown:
            raise LabelError(
                f"Class scheme {self.name!r} does not know the emotion "
                f"{', '.join(map(repr, unknown))} of {corpus}. It knows "
                f"{', '.join(self.words) or 'no words'}." + did_you_mean(unknown[0], self.words)
            )
        index = {name: code for code, name in enumerate(self.classes)}
        # the last place is taken by missing words, which factorize numbers -1
        lookup = [index.get(self.words[word] or "", -1) for word in found]
        codes = np.array([*lookup, -1], dtype=np.int64)[positions]
        return _Assigned(labels, codes, np.asarray(positions) < 0)

    def _from_ratings(
        self, trials: pd.DataFrame, corpus: str, facts: CorpusFacts | None
    ) -> _Assigned:
        columns = [f"rating_{rating}" for rating in self.rated_by]
        if not columns or not set(columns) <= set(trials.columns):
            needed = [" and ".join(map(repr, columns))] if columns else []
            needed += ["'emotion' with words in it"] if self.words else []
            raise LabelError(
                f"Class scheme {self.name!r} needs the column {' or '.join(needed)} for {corpus}; "
                f"the table has {', '.join(map(str, trials.columns))}."
            )
        codes = np.zeros(len(trials), dtype=np.int64)
        missing = np.zeros(len(trials), dtype=bool)
        near = np.zeros(len(trials), dtype=bool)
        result = _Assigned("ratings", codes, missing)
        for rating, names in self.rated_by.items():
            scale = facts.ratings[rating] if facts else None
            edges = self._edges(names, scale, corpus)
            values = trials[f"rating_{rating}"].to_numpy(dtype=np.float64, na_value=np.nan)
            missing |= np.isnan(values)
            # side="left": a rating equal to an edge belongs to the class below
            codes *= len(edges) + 1
            codes += np.searchsorted(np.array(edges), values, side="left")
            if self.margin > 0:
                near |= _distance(values, edges) <= self.margin
            result.ratings[rating] = values
            result.edges[rating] = edges
        codes[missing | near] = -1
        return result

    def _edges(
        self, names: tuple[str, ...], scale: tuple[float, float] | None, corpus: str
    ) -> list[float]:
        edges = []
        for name in names:
            given = self.thresholds[name]
            if given is None and scale is None:
                raise LabelError(
                    f"Class scheme {self.name!r} does not know the rating scale of {corpus!r}; "
                    f"give the threshold on it, as in '{self.name}({name}=5)'."
                )
            low, high = scale or (-math.inf, math.inf)
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
        return edges

    def with_parameters(self, labels: str = "auto", **thresholds: float) -> ClassScheme:
        """Return a copy with other thresholds; see `affectrum.affect.get_scheme`.

        Parameters
        ----------
        labels : str
            One of `LABELS`.
        **thresholds : float
            Thresholds, and ``margin``.

        Returns
        -------
        ClassScheme
            The copy.

        Raises
        ------
        ConfigError
            If a threshold is not known or not finite.
        """
        check_option("labels", labels, tuple(LABELS))
        allowed = (*self.thresholds, "margin") if self.thresholds else ()
        unknown = [key for key in thresholds if key not in allowed]
        if unknown:
            raise ConfigError(
                f"Class scheme {self.name!r} has no parameter {', '.join(map(repr, unknown))}. It "
                f"has {', '.join(allowed) if allowed else 'none'}."
            )
        wrong = [
            f"{key}={value!r}"
            for key, value in thresholds.items()
            if isinstance(value, str) or not math.isfinite(value)
        ]
        given = {key: value for key, value in thresholds.items() if key != "margin"}
        margin = thresholds.get("margin", self.margin)
        if not wrong and margin < 0:
            wrong.append(f"margin={margin!r} (must not be negative)")
        if wrong:
            raise ConfigError(f"Invalid thresholds of class scheme {self.name!r}: {wrong}.")
        edges = {**self.thresholds, **{key: float(value) for key, value in given.items()}}
        return dataclasses.replace(self, thresholds=edges, margin=float(margin), labels=labels)


def _distance(ratings: NDArray[np.float64], edges: list[float]) -> NDArray[np.float64]:
    distance: NDArray[np.float64] = np.abs(ratings[:, None] - np.array(edges)).min(axis=1)
    return distance
