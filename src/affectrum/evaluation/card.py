"""What did it decode? One score beside the controls that explain it otherwise."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affectrum.errors import AffectrumError
from affectrum.evaluation.chance import chance_level
from affectrum.evaluation.intervals import crossed_bootstrap, crossed_confusions
from affectrum.evaluation.nulls import Null, null_of
from affectrum.evaluation.pairs import compare_predictions
from affectrum.evaluation.predictions import Predictions

__all__ = ["CardRow", "DecodeCard", "decode_card", "nearest_training", "nearness"]

_TRIAL = ["corpus", "subject", "session", "row"]


@dataclass(frozen=True)
class CardRow:
    """One line of the card.

    Attributes
    ----------
    name : str
        "score", or the control's name.
    title : str
        For readers.
    value, low, high : float
        Mean over subjects with its interval; of a null that was drawn several times the mean of
        these and the interval in which one more would fall.
    chance, chance_low, chance_high : float
        Chance of this line's own classes (labels of clips permuted), with its interval.
    difference, difference_low, difference_high : float
        The score minus this line on the same windows; NaN where the two are about different
        labels.
    says : str
        What follows, in one sentence.
    n_permutations : int
        How often a null was drawn; 0 for other lines.
    p_value : float
        Of the score under that null; NaN for other lines and for a single permutation.
    """

    name: str
    title: str
    value: float
    low: float
    high: float
    chance: float
    chance_low: float
    chance_high: float
    difference: float = float("nan")
    difference_low: float = float("nan")
    difference_high: float = float("nan")
    says: str = ""
    n_permutations: int = 0
    p_value: float = float("nan")

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain data."""
        return asdict(self)


@dataclass(frozen=True)
class DecodeCard:
    """The card of one score.

    Attributes
    ----------
    rows : tuple of CardRow
        The score first, then its controls in the order given.
    missing : tuple of str
        Titles of controls that were not computed.
    nearness : str
        What the time to the nearest training trial says; empty where it says nothing.
    """

    rows: tuple[CardRow, ...]
    missing: tuple[str, ...] = ()
    nearness: str = ""

    def __getitem__(self, name: str) -> CardRow:
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(name)

    @property
    def sentences(self) -> tuple[str, ...]:
        """What the controls say, one sentence each."""
        said = [row.says for row in self.rows if row.says]
        return tuple([*said, self.nearness] if self.nearness else said)


def decode_card(
    score: Predictions,
    controls: Mapping[str, Predictions | Sequence[Predictions]],
    *,
    titles: Mapping[str, str] | None = None,
    nulls: Collection[str] = ("labels-by-trial", "labels-by-clip"),
    probes: Collection[str] = ("clip-probe", "film-probe"),
    expected: Collection[str] = (),
    trained: pd.DataFrame | None = None,
    metric: str = "balanced_accuracy",
    n_replicates: int = 2000,
    n_permutations: int = 500,
) -> DecodeCard:
    """Put a score beside its controls.

    Parameters
    ----------
    score : Predictions
        Of the method.
    controls : mapping of str to Predictions, or to a sequence of them
        Of each control that was computed, in the order of the card; of a null one for each
        permutation.
    titles : mapping of str to str, optional
        Names for readers.
    nulls, probes : collection of str
        Controls whose labels are permuted; controls whose classes are stimuli.
    expected : collection of str
        Controls that should be there; the others are listed as missing.
    trained : DataFrame, optional
        Trials of the tested subjects' sessions that were trained on (`corpus`, `subject`,
        `session`, `row`, `trial`, and `fold` where the score's table has one), for the time to the
        nearest one.
    metric : str
        One of `COUNT_METRICS`.
    n_replicates, n_permutations : int
        For intervals and chance.

    Returns
    -------
    DecodeCard
    """
    titles = {} if titles is None else titles
    first = _row(
        "score", titles.get("score", "the score"), score, metric, n_replicates, n_permutations
    )
    rows = [first]
    for name, given in controls.items():
        draws = [given] if isinstance(given, Predictions) else list(given)
        row = _row(name, titles.get(name, name), draws[0], metric, n_replicates, n_permutations)
        if name in nulls:
            row = _with_null(row, null_of(draws, metric), first.value)
        elif name not in probes:
            gap = _gap(score, draws[0], metric, n_replicates)
            row = replace(row, difference=gap[0], difference_low=gap[1], difference_high=gap[2])
        rows.append(replace(row, says=_says(row, name in probes)))
    missing = tuple(titles.get(name, name) for name in expected if name not in controls)
    near = "" if trained is None else _nearness_sentence(score, trained)
    return DecodeCard(tuple(rows), missing, near)


def nearest_training(tested: pd.DataFrame, trained: pd.DataFrame) -> NDArray[np.float64]:
    """Distance of each tested trial to the nearest training trial of its own session.

    Parameters
    ----------
    tested, trained : DataFrame
        `corpus`, `subject`, `session`, `trial` (position in the session; may be missing), and
        `fold` where a trial trains in some folds only.

    Returns
    -------
    ndarray of float64, shape (n_tested,)
        In trials; NaN where the session has no training trial or the order is not known.
    """
    place = ["corpus", "subject", "session"]
    if "fold" in tested and "fold" in trained:
        place = ["fold", *place]
    known: dict[tuple[Any, ...], NDArray[np.float64]] = {}
    for name, part in trained.groupby(place, sort=False):
        values = part["trial"].to_numpy(dtype=np.float64, na_value=np.nan)
        key = name if isinstance(name, tuple) else (name,)
        known[key] = values[np.isfinite(values) & (values > 0)]
    out = np.full(len(tested), np.nan)
    trial = tested["trial"].to_numpy(dtype=np.float64, na_value=np.nan)
    for number, key in enumerate(tested[place].itertuples(index=False)):
        mine = known.get(tuple(key))
        if mine is not None and len(mine) and np.isfinite(trial[number]):
            out[number] = float(np.abs(mine - trial[number]).min())
    return out


def nearness(score: Predictions, trained: pd.DataFrame) -> pd.DataFrame:
    """Tell how often trials are right by their distance to the nearest training trial.

    Parameters
    ----------
    score : Predictions
        Of windows.
    trained : DataFrame
        As in `nearest_training`.

    Returns
    -------
    DataFrame
        One row per distance: `distance` (trials), `right` (share of tested trials whose mean score
        is right), `n` (tested trials). Empty where no distance is known.
    """
    trials = score.at("trial")
    distance = nearest_training(trials.table, trained)
    right = (trials.y_pred == trials.y_true).astype(np.float64)
    found = pd.DataFrame({"distance": distance, "right": right}).dropna()
    grouped = found.groupby("distance")["right"]
    return pd.DataFrame({"right": grouped.mean(), "n": grouped.size()}).reset_index()


# --------------------------------------------------------------------------------------- inside


def _row(
    name: str, title: str, predictions: Predictions, metric: str, replicates: int, permutations: int
) -> CardRow:
    interval = crossed_bootstrap(crossed_confusions(predictions), metric, n_replicates=replicates)
    chance = chance_level(predictions, metric, by="clip", n_permutations=permutations)
    ends = (interval.value, interval.low, interval.high)
    return CardRow(name, title, *ends, chance.value, chance.low, chance.high)


def _with_null(row: CardRow, null: Null, score: float) -> CardRow:
    if len(null) < 2:
        return replace(row, n_permutations=1)
    low, high = null.interval
    return replace(
        row,
        title=f"{row.title}, {len(null)} times",
        value=null.value,
        low=low,
        high=high,
        n_permutations=len(null),
        p_value=null.p_value(score),
    )


def _gap(
    score: Predictions, control: Predictions, metric: str, replicates: int
) -> tuple[float, float, float]:
    try:
        table = compare_predictions(
            {"score": score, "control": control}, metric, reference="score", n_replicates=replicates
        )
    except AffectrumError:
        return (np.nan, np.nan, np.nan)  # they share too little
    row = table.iloc[0]
    sign = 1.0 if row["first"] == "score" else -1.0
    ends = sorted((sign * float(row["low"]), sign * float(row["high"])))
    return (sign * float(row["difference"]), ends[0], ends[1])


_NULLS = {
    "labels-by-trial": ("labels permuted by trial", "look for a leak"),
    "labels-by-clip": (
        "labels dealt to clips by lot",
        "it recognises clips, whatever they make people feel",
    ),
}


def _points(value: float) -> str:
    return f"{100 * value:.1f}"


def _says(row: CardRow, probe: bool) -> str:
    """One sentence; only what the intervals support."""
    above = row.low > row.chance_high
    if row.n_permutations > 1:
        # The interval of a null is that of its permutations, that of chance of subjects and clips.
        above = row.low > row.chance and row.value > row.chance_high
    value, chance = _points(row.value), _points(row.chance)
    if probe:
        what = "film" if row.name.startswith("film") else "clip"
        return (
            f"The {what} itself can be recognised in the signal ({value}, chance {chance}): a "
            "model could score by it."
            if above
            else f"The {what} itself is not shown to be recognised ({value}, chance {chance})."
        )
    if row.n_permutations:
        how, why = _NULLS.get(row.name, (row.title, "look at what it has learnt"))
        if row.n_permutations > 1:
            value = f"{value}, {_points(row.low)} to {_points(row.high)}"
            how = f"{how} {row.n_permutations} times"
        said = (
            f"With {how} it still scores {value} (chance {chance}): {why}."
            if above
            else f"With {how} it is not shown to be above chance ({value})."
        )
        if row.n_permutations > 1:
            said += f" The score beside these: p = {row.p_value:.3g}."
        return said
    if not np.isfinite(row.difference_low):
        return f"{row.title}: {value}; not compared (too few subjects or clips in common)."
    gap = f"{_points(row.difference)} points, {_points(row.difference_low)} to " + _points(
        row.difference_high
    )
    better, worse = row.difference_low > 0, row.difference_high < 0
    if row.name == "no-muscle":
        if better:
            return (
                f"Without edge electrodes and above 20 Hz it loses {gap}: some of it may be muscle."
            )
        return f"Without edge electrodes and above 20 Hz no loss is shown ({gap})."
    if row.name == "target-only":
        how = "above" if better else "below" if worse else "not shown to be above"
        so = "the source helps" if better else "the source is not shown to help"
        return f"It is {how} a linear SVM on the same calibration trials ({gap}): {so}."
    word = "above" if better else "below" if worse else "not shown to be above"
    return f"It is {word} “{row.title}” ({gap})."


def _nearness_sentence(score: Predictions, trained: pd.DataFrame) -> str:
    table = nearness(score, trained)
    if len(table) < 2:
        return ""
    near, far = table.iloc[0], table.iloc[-1]
    weights = table["n"].to_numpy(dtype=np.float64)
    slope = np.polyfit(table["distance"], table["right"], 1, w=np.sqrt(weights))[0]
    return (
        f"Time to the nearest training trial: {_points(float(near['right']))} % of trials are "
        f"right at {near['distance']:.0f} trial{'s' if near['distance'] != 1 else ''}, "
        f"{_points(float(far['right']))} % at {far['distance']:.0f} "
        f"({_points(float(slope))} points per trial; described, not tested)."
    )
