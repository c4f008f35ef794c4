"""What a reproduction gave, as tables; everything is computed from stored predictions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from affectrum import evaluation
from affectrum.benchmark import CellResult, load_record
from affectrum.benchmark.table import describe_access
from affectrum.errors import StoreError
from affectrum.report.results import MethodResult
from affectrum.reproduce.published import PublishedNumber, differences, published_numbers

__all__ = ["NOT_AVAILABLE", "Reproduction", "ResultRow", "load_reproduction"]

NOT_AVAILABLE = "not available"
METRIC = "balanced_accuracy"

#: Columns that tell how one row differs from another.
_GAPS = ("difference", "low", "high", "p_value", "effect_size", "detectable")


@dataclass(frozen=True)
class ResultRow:
    """One row of a reproduction.

    Attributes
    ----------
    part, group, label : str
        Where it stands.
    about : dict
        See `Entry`.
    reason : str
        Why there is no result, or why a seed of it is missing.
    result : MethodResult or None
        Its cells.
    """

    part: str
    group: str
    label: str
    about: Mapping[str, Any]
    reason: str
    result: MethodResult | None = field(repr=False)

    @property
    def meta(self) -> dict[str, Any]:
        """What its first cell says of itself."""
        return {} if self.result is None else self.result.meta


@dataclass(frozen=True)
class Reproduction:
    """A reproduction's rows and tables.

    Attributes
    ----------
    run : Path
        The record.
    head : dict
        ``experiment``, ``title``, ``reference``, ``metric``, ``pooled``, ``quick`` (parameters of
        the small budget), ``seeds``, ``missing`` (transfers that could not be run, with their
        corpora), ``unknown``, ``transfers``, ``study``, ``study_side``, ``skipped``.
    rows : list of ResultRow
        In order.
    """

    run: Path
    head: dict[str, Any]
    rows: list[ResultRow]

    @property
    def simulated(self) -> bool:
        """Whether any window was simulated."""
        return any(
            cell.simulated
            for row in self.rows
            if row.result is not None
            for cell in row.result.cells
        )

    @property
    def ok(self) -> bool:
        """Whether every row has its result."""
        return all(row.result is not None and not row.reason for row in self.rows)

    def part(self, name: str, group: str | None = None) -> list[ResultRow]:
        """Rows of a part, in order.

        Parameters
        ----------
        name : str
            One of `PARTS`.
        group : str, optional
            Only this transfer's.
        """
        return [r for r in self.rows if r.part == name and group in (None, r.group)]

    @cached_property
    def transfers(self) -> pd.DataFrame:
        """Scores per transfer, protocol and method.

        `transfer`, `side` ("published" or "strict"), `method`, `preset`, `protocol`, `access`,
        `selection`, `n_subjects`, `metric` (the paper's), `last` and `oracle` (mean over subjects
        with the last weights and with each fold's best test epoch) with `last_sd` and `oracle_sd`,
        `metric_chance` (of the paper's metric, by permuted labels), `score` (balanced accuracy
        under the protocol's own selection), `low`, `high`, `chance`,
        `published` (the published number under the very same conditions, or "not available"),
        `reason`. For each metric that the paper computes over all test windows at once, also
        `pooled_METRIC`, `pooled_METRIC_sd` (mean and SD over seeds) and `published_METRIC`.
        """
        rows = []
        for row in self.part("transfers"):
            found: dict[str, Any] = {
                "transfer": row.group,
                "side": row.about["side"],
                "method": row.label,
                "preset": row.about["preset"],
                "published": NOT_AVAILABLE,
                "reason": row.reason,
            }
            if row.result is not None:
                found |= self._scores(row.result)
                same = self._beside(row)
                found["published"] = (
                    "; ".join(f"{n.text} ({n.metric.replace('_', ' ')})" for n in same)
                    or NOT_AVAILABLE
                )
                by_metric = {number.metric: number.text for number in same}
                for name in self.pooled:
                    found[f"published_{name}"] = by_metric.get(name, NOT_AVAILABLE)  # type: ignore[call-overload]
            rows.append(found)
        return pd.DataFrame(rows)

    def _scores(self, result: MethodResult) -> dict[str, Any]:
        metric = str(self.head["metric"])
        out: dict[str, Any] = {
            "protocol": result.meta["protocol"],
            "access": describe_access(result.meta),
            "selection": result.meta["selection"],
            "metric": metric,
            "n_subjects": result.interval.n_subjects,
            "score": result.interval.value,
            "low": result.interval.low,
            "high": result.interval.high,
            "chance": result.chance.value,
            "metric_chance": evaluation.chance_level(result.predictions[0], metric).value,
        }
        for selection in ("last", "oracle"):
            scores = _subject_means(_selected(result.cells, selection), metric)
            out[selection] = float(np.nanmean(scores))
            out[f"{selection}_sd"] = (
                float(np.nanstd(scores, ddof=1)) if len(scores) > 1 else float("nan")
            )
        for name in self.pooled:
            values = [
                evaluation.metrics(p.y_true, p.scores, p.classes)[name] for p in result.predictions
            ]
            spread = np.std(values, ddof=1) if len(values) > 1 else np.nan
            out |= {f"pooled_{name}": float(np.mean(values)), f"pooled_{name}_sd": float(spread)}
        if result.cells[0].epoch_scores is None:
            # Nothing to select from: no test label was looked at.
            out["oracle"] = out["oracle_sd"] = float("nan")
            out["access"] = describe_access({**result.meta, "selection": "last"})
        return out

    @property
    def pooled(self) -> tuple[str, ...]:
        """Metrics that the paper computes over all test windows at once."""
        return tuple(self.head.get("pooled", ()))

    def _beside(self, row: ResultRow, what: str = "score") -> list[PublishedNumber]:
        """Published numbers that may stand beside a row: nothing differs, no small budget."""
        if "variant" not in row.about or row.result is None or self.head["quick"]:
            return []
        return [
            number
            for number in published_numbers(method=str(self.head["experiment"]))
            if not differences(number, row.meta, variant=row.about["variant"], what=what)
        ]

    def around(self) -> list[tuple[PublishedNumber, list[str]]]:
        """Published numbers of the same transfers, and in what each differs from the rows here.

        Returns
        -------
        list of (PublishedNumber, list of str)
            Compared with the row of the published protocol; empty differences stand beside ours.
        """
        rows = [
            row
            for row in self.part("transfers")
            if row.about["side"] == "published" and row.result is not None
        ]
        found = []
        for number in published_numbers():
            own = number.our_method == self.head["experiment"]
            same = [row for row in rows if _about_one_transfer(number, row.meta)]
            if number.what == "gain" and own and (same or not number.target):
                found.append((number, ["it is a difference between scores, no score"]))
            elif number.what == "score" and same:
                # Variants of the method have rows of their own.
                alike = [r for r in same if own and r.about.get("variant") == number.variant]
                row = (alike or same)[0]
                variant = row.about.get("variant") if own else None
                apart = differences(number, row.meta, variant=variant)
                small = ["ours has a small budget"] if self.head["quick"] else []
                found.append((number, [*apart, *small]))
        return found

    @cached_property
    def ablations(self) -> pd.DataFrame:
        """Each variant against the unchanged method of its transfer.

        `group`, `published` (the published score or difference under the very same conditions, or
        "not available"), `label`, `score`, `interval_low`, `interval_high` (balanced accuracy),
        `difference` (variant minus unchanged), `low`, `high`, `p_value`, `p_holm`, `supported`,
        `effect_size`, `detectable`, `n_subjects`, `reason`.
        """
        rows = self.part("ablations")
        bases = {row.group: row for row in reversed(rows) if not row.about["overrides"]}
        out = []
        for row in rows:
            base = bases.get(row.group)
            numbers = self._beside(row, "gain") or [
                number for number in self._beside(row) if number.metric == METRIC
            ]
            told = "; ".join(n.text + (" points" if n.what == "gain" else "") for n in numbers)
            found = _against(row, base if row is not base else None)
            out.append({"group": row.group, "published": told or NOT_AVAILABLE, **found})
        return _with_holm(out)

    @cached_property
    def sweeps(self) -> pd.DataFrame:
        """Each value of a parameter against the one that holds still while others move.

        `parameter`, `title`, `value`, `base`, and the columns of `ablations`.
        """
        rows = self.part("sweeps")
        bases = {r.about["parameter"]: r for r in rows if r.about["base"]}
        out = []
        for row in rows:
            other = bases.get(row.about["parameter"])
            found = _against(row, None if row.about["base"] else other)
            out.append(
                {**{k: row.about[k] for k in ("parameter", "title", "value", "base")}, **found}
            )
        return _with_holm(out)

    @cached_property
    def waterfall(self) -> pd.DataFrame:
        """The way from the published protocol to the strict one.

        `group`, `role` ("start", "chain", "alone" or "control"), `step`, `meaning`, `protocol`,
        `selection`, and the columns of `ablations`: the difference is to the row before in the
        chain, for single removals to the start, and for controls to the row before their step.
        """
        out = []
        groups = dict.fromkeys(row.group for row in self.part("waterfall"))
        for group in groups:
            rows = self.part("waterfall", group)
            chain = [row for row in rows if row.about["role"] in ("start", "chain")]
            for row in rows:
                role = row.about["role"]
                if role == "start":
                    before = None
                elif role == "chain":
                    before = chain[chain.index(row) - 1]
                elif role == "alone":
                    before = chain[0]
                else:
                    steps = [other.about["step"] for other in chain]
                    before = chain[steps.index(row.about["step"]) - 1]
                out.append(
                    {
                        "group": group,
                        **{key: row.about[key] for key in ("role", "step", "meaning")},
                        "protocol": row.meta.get("protocol", ""),
                        "selection": row.meta.get("selection", ""),
                        "method": row.meta.get("method", {}).get("preset", ""),
                        **_against(row, before),
                    }
                )
        return _with_holm(out)


def _about_one_transfer(number: PublishedNumber, meta: Mapping[str, Any]) -> bool:
    """Whether a number and a cell are about one transfer."""
    if number.target != meta["target"]:
        return False
    if number.trained_on is not None and number.trained_on == tuple(meta["source"]):
        return True
    # Where sources pre-train, the target and how it is divided make the task.
    return bool(meta["base"] == "pretrain-finetune" and number.protocol == meta["protocol"])


def _selected(cells: Sequence[CellResult], selection: str) -> list[CellResult]:
    """The same cells, read under a selection rule: which epoch counts is a query."""
    return [CellResult(cell.folder, {**cell.meta, "selection": selection}) for cell in cells]


def _subject_means(cells: Sequence[CellResult], metric: str) -> np.ndarray[Any, Any]:
    """Score of each subject, mean over seeds."""
    tables = [evaluation.score_predictions(cell.evaluable()) for cell in cells]
    joined = pd.concat(tables, ignore_index=True)
    return joined.groupby(["corpus", "subject"])[metric].mean().to_numpy(dtype=np.float64)


def _against(row: ResultRow, other: ResultRow | None) -> dict[str, Any]:
    """Score of a row, and its difference to another one."""
    out: dict[str, Any] = {"label": row.label, "reason": row.reason, "_pair": ""}
    numbers = ("score", "interval_low", "interval_high", *_GAPS)
    out |= dict.fromkeys(numbers, float("nan"))
    if row.result is None:
        return out
    interval = row.result.interval
    out |= {
        "score": interval.value,
        "interval_low": interval.low,
        "interval_high": interval.high,
        "n_subjects": interval.n_subjects,
    }
    if other is None or other.result is None:
        return out
    mine, theirs = ([c.digest for c in r.cells] for r in (row.result, other.result))
    if mine == theirs:
        return {**out, "difference": 0.0, "low": 0.0, "high": 0.0}
    out["_pair"] = f"{mine} {theirs}"
    found = evaluation.compare_predictions(
        {"this": row.result.predictions, "other": other.result.predictions},
        METRIC,
        reference="this",
    )
    return {**out, **{name: float(found[name].iloc[0]) for name in _GAPS}}


def _with_holm(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Correct the p-values of all differences of a table together; what stands twice counts once.

    A pair that can't be tested still counts as a comparison.
    """
    table = pd.DataFrame(rows)
    if not len(table):
        return table
    pairs = table.pop("_pair")
    first = pairs.ne("") & ~pairs.duplicated()
    p_values = table.loc[first, "p_value"].to_numpy(dtype=np.float64)
    found = evaluation.holm(np.where(np.isfinite(p_values), p_values, 1.0))
    by_pair = dict(zip(pairs[first], np.where(np.isfinite(p_values), found, np.nan), strict=True))
    corrected = np.array([by_pair.get(pair, np.nan) for pair in pairs])
    table["p_holm"] = corrected
    table["supported"] = corrected < 0.05
    return table


def load_reproduction(run: str | Path) -> Reproduction:
    """Read a reproduction from its record.

    Parameters
    ----------
    run : path
        The run's folder.

    Returns
    -------
    Reproduction

    Raises
    ------
    StoreError
        If the folder holds none.
    """
    from affectrum.reproduce.run import FILE

    run = Path(run)
    path = run / FILE
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        listed = data.pop("rows")
    except (OSError, ValueError, KeyError) as error:
        raise StoreError(
            f"{run} holds no reproduction ({FILE} is missing or damaged: {error}). "
            "`affectrum reproduce` writes one."
        ) from error
    cells = {cell.digest: cell for cell in load_record(run)} if (run / "cells").is_dir() else {}
    rows = []
    for entry in listed:
        mine = [cells[digest] for digest in entry["cells"] if digest in cells]
        result = MethodResult(entry["label"], mine) if mine else None
        reason = entry["reason"]
        if not reason and len(mine) < len(entry["cells"]):
            reason = "not finished"
        rows.append(
            ResultRow(entry["part"], entry["group"], entry["label"], entry["about"], reason, result)
        )
    return Reproduction(run, data, rows)
