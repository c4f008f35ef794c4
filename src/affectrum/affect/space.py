"""All corpora's labels in one plane: where their words, clips and rating scales lie."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from affectrum import catalog
from affectrum.affect.plane import rating_to_plane
from affectrum.affect.tables import VATable, get_table
from affectrum.catalog import Clip, CorpusFacts

__all__ = ["LabelPlace", "label_space"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class LabelPlace:
    """One label of a corpus and its place on the plane.

    Parameters
    ----------
    corpus : str
        The corpus.
    kind : str
        "word": an emotion word, placed by the table; "clip": a clip, placed by its published mean
        ratings; "scale": a self-report, whose ends go to -1 and 1 and which has no single place;
        "none": a corpus of which neither words nor ratings of the plane are known.
    name : str
        The word, the clip or the self-report.
    valence, arousal : float
        Place, -1..1; NaN where it has none.
    sd_valence, sd_arousal : float
        Standard deviation over people in the same unit; NaN where not known.
    n_clips : int
        Clips that carry the label.
    detail : str
        Where the place is from; for a scale its ends.
    """

    corpus: str
    kind: str
    name: str
    valence: float = math.nan
    arousal: float = math.nan
    sd_valence: float = math.nan
    sd_arousal: float = math.nan
    n_clips: int = 0
    detail: str = ""

    @property
    def placed(self) -> bool:
        """Whether the label has a place on both axes."""
        return math.isfinite(self.valence) and math.isfinite(self.arousal)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON can hold (NaN where missing)."""
        return dataclasses.asdict(self)


def label_space(
    corpora: Sequence[str] | None = None,
    table: str | VATable | Mapping[str, Sequence[float]] = "emod",
) -> tuple[LabelPlace, ...]:
    """Place the labels of corpora on the valence-arousal plane, from the catalogue alone.

    Words lie where the table puts them (missing where it has no such word); clips with published
    mean ratings lie where people rated them, whatever the table; scales are listed with their ends.

    Parameters
    ----------
    corpora : sequence of str, optional
        Names; all corpora of the catalogue by default.
    table : str, VATable or mapping
        Which table to place words by, see `get_table`.

    Returns
    -------
    tuple of LabelPlace
        Corpus by corpus: words, scales, clips; each corpus has at least one.

    Raises
    ------
    ConfigError
        If a corpus or the table is not known.
    """
    chosen = get_table(table)
    places: list[LabelPlace] = []
    for name in corpora if corpora is not None else catalog.names():
        facts = catalog.get(name)
        clips = list(
            {clip.clip: clip for session in facts.clips for clip in session}.values()
        )  # sessions may repeat their clips
        found = _words(facts, clips, chosen)
        found += [
            LabelPlace(
                corpus=facts.name,
                kind="scale",
                name=rating,
                detail=f"{low:g}..{high:g} -> -1..1, middle {(low + high) / 2:g} -> 0",
            )
            for rating, (low, high) in facts.ratings.items()
            if rating in ("valence", "arousal", "dominance")
        ]
        found += [place for clip in clips if (place := _clip(facts, clip)) is not None]
        places += found or [
            LabelPlace(
                corpus=facts.name,
                kind="none",
                name="",
                detail="no source says its words; nothing is placed",
            )
        ]
    return tuple(places)


def _words(facts: CorpusFacts, clips: Sequence[Clip], table: VATable) -> list[LabelPlace]:
    carried = Counter(clip.emotion for clip in clips)
    places = []
    for word in facts.emotions:
        point = table.entries.get(word)
        place = LabelPlace(
            corpus=facts.name,
            kind="word",
            name=word,
            n_clips=carried[word],
            detail=f"the table {table.name!r} has no such word",
        )
        if point is not None:
            place = dataclasses.replace(
                place,
                valence=point.valence,
                arousal=point.arousal,
                sd_valence=point.sd_valence,
                sd_arousal=point.sd_arousal,
                detail=point.source,
            )
        places.append(place)
    return places


def _clip(facts: CorpusFacts, clip: Clip) -> LabelPlace | None:
    if not clip.mean_ratings:
        return None
    values: dict[str, float] = {}
    for axis in ("valence", "arousal"):
        if axis not in clip.mean_ratings or axis not in facts.ratings:
            continue
        mean, sd = clip.mean_ratings[axis]
        low, high = facts.ratings[axis]
        values[axis] = float(rating_to_plane(mean, (low, high)))
        values[f"sd_{axis}"] = sd / ((high - low) / 2)
    said = ", ".join(text for text in (clip.film, clip.emotion) if text)
    return LabelPlace(
        corpus=facts.name,
        kind="clip",
        name=clip.clip,
        n_clips=1,
        detail="published mean ratings" + (f" ({said})" if said else ""),
        **values,
    )
