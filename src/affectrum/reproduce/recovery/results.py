"""Read a recovery study and test its gains, with what is not finished counted and named."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affectrum.benchmark.files import load_arrays
from affectrum.errors import StoreError, check_option
from affectrum.evaluation import (
    Predictions,
    compare_predictions,
    crossed_bootstrap,
    crossed_confusions,
    detectable_difference,
    holm,
    score_predictions,
)
from affectrum.reproduce.recovery.plan import SCRATCH, RecoveryCell, RecoveryPlan
from affectrum.reproduce.recovery.run import RESULT_FILE, read_plan

__all__ = ["METRIC", "PAIRS", "READOUTS", "Recovery", "load_recovery", "mean_test"]

METRIC = "balanced_accuracy"
#: Ways to use the network on the unseen corpus -> what they are.
READOUTS: dict[str, str] = {
    "finetuned": "whole network fine-tuned",
    "probe": "logistic regression on the frozen backbone",
}
#: Differences of arms that are tested; the first three are the claim, corrected together.
PAIRS: tuple[tuple[str, str], ...] = (
    ("right", SCRATCH),
    ("right", "instance"),
    ("right", "wrong"),
    ("wrong", SCRATCH),
    ("instance", SCRATCH),
    ("narrow", SCRATCH),
    ("narrow", "right"),
    ("other", SCRATCH),
    ("other", "right"),
)
_CLAIMS = 3


@dataclass(frozen=True)
class Recovery:
    """What a study has found so far.

    Attributes
    ----------
    plan : RecoveryPlan
        What was asked.
    cells : dict of (float, int, str) to Predictions per readout
        Finished cells by level, seed and arm.
    meta : dict of (float, int, str) to dict
        Their loss curves, seconds, dates, machines.
    missing : list of RecoveryCell
        What is not finished.
    """

    plan: RecoveryPlan
    cells: Mapping[tuple[float, int, str], Mapping[str, Predictions]]
    meta: Mapping[tuple[float, int, str], Mapping[str, Any]]
    missing: Sequence[RecoveryCell]
    _known: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

    def seeds(self, level: float, *arms: str) -> list[int]:
        """Return the seeds that all of some arms have finished at a level."""
        return [s for s in self.plan.seeds if all((level, s, arm) in self.cells for arm in arms)]

    def pooled(self, level: float, arm: str, readout: str, seeds: Sequence[int]) -> Predictions:
        """Join replicates; their people and clips are others, so they get names of their own."""
        parts = [self.cells[level, seed, arm][readout] for seed in seeds]
        return Predictions(
            pd.concat([part.table for part in parts], ignore_index=True),
            np.concatenate([part.scores for part in parts]),
            np.concatenate([part.y_true for part in parts]),
            parts[0].classes,
        )

    def score(self, level: float, seed: int, arm: str, readout: str) -> float:
        """Balanced accuracy of a cell, mean over its test people."""
        key = (level, seed, arm, readout)
        if key not in self._known:
            table = score_predictions(self.cells[level, seed, arm][readout])
            self._known[key] = float(table[METRIC].mean())
        return float(self._known[key])

    def scores(self, readout: str = "finetuned") -> pd.DataFrame:
        """Score of each arm at each level.

        Parameters
        ----------
        readout : str
            One of `READOUTS`.

        Returns
        -------
        DataFrame
            One row per level and arm with a finished cell: `level`, `arm`, `score` (mean over
            seeds), `low`, `high` (95 %: the wider one of people and clips drawn anew, and of
            replicates drawn anew), `seed_sd`, `n_seeds`.
        """
        check_option("readout", readout, tuple(READOUTS))
        rows = []
        for level in sorted(self.plan.levels):
            for arm in self.plan.arms:
                seeds = self.seeds(level, arm)
                if not seeds:
                    continue
                own = [self.score(level, seed, arm, readout) for seed in seeds]
                counts = crossed_confusions(self.pooled(level, arm, readout, seeds))
                crossed = crossed_bootstrap(counts, METRIC, n_replicates=1000)
                test = mean_test(own)
                ends = _wider((crossed.low, crossed.high), (test["low"], test["high"]))
                rows.append(
                    {
                        "level": level,
                        "arm": arm,
                        "score": float(np.mean(own)),
                        "low": max(0.0, ends["low"]),
                        "high": min(1.0, ends["high"]),
                        "seed_sd": test["sd"],
                        "n_seeds": len(seeds),
                    }
                )
        columns = ["level", "arm", "score", "low", "high", "seed_sd", "n_seeds"]
        return pd.DataFrame(rows, columns=columns)

    def gains(self, readout: str = "finetuned") -> pd.DataFrame:
        """Differences between arms at each level, tested.

        Parameters
        ----------
        readout : str
            One of `READOUTS`.

        Returns
        -------
        DataFrame
            `level`, `first`, `second`, `difference` (first minus second), `low`, `high` (the wider
            95 % interval), `p_people` (people and clips as crossed random factors, as in
            `compare_predictions`), `p_seeds` (t test over replicates), `p_value` (the larger),
            `p_holm` (planned claims of all levels corrected together, finished or not, other pairs
            by themselves), `supported` (`p_holm` below 0.05 with all replicates of the plan; before
            that results are interim), `detectable` (smallest true difference that this many
            replicates find in four of five repetitions, at the first step of Holm), `seed_sd`,
            `n_seeds`, `claim`.

        Notes
        -----
        A replicate's people share its trained networks and its pre-training corpora, so p over
        people alone would forget that another training may do otherwise; p over replicates
        alone would rest on few numbers. Both have to be small.
        """
        check_option("readout", readout, tuple(READOUTS))
        if readout not in self._known:
            self._known[readout] = self._gains(readout)
        found: pd.DataFrame = self._known[readout]
        return found.copy()

    def _gains(self, readout: str) -> pd.DataFrame:
        rows = []
        for number, (first, second) in enumerate(PAIRS):
            if first not in self.plan.arms or second not in self.plan.arms:
                continue
            for level in sorted(self.plan.levels):
                seeds = self.seeds(level, first, second)
                if seeds:
                    row = self._gain(level, first, second, readout, seeds)
                    rows.append({**row, "claim": number < _CLAIMS})
        table = pd.DataFrame(rows, columns=_GAIN_COLUMNS)
        for claim, pairs in ((True, PAIRS[:_CLAIMS]), (False, PAIRS[_CLAIMS:])):
            # What is not finished yet is corrected for too, so that p does not rise later.
            planned = [pair for pair in pairs if set(pair) <= set(self.plan.arms)]
            n_tests = len(planned) * len(self.plan.levels)
            mine = table["claim"] == claim
            p = table.loc[mine, "p_value"].to_numpy(dtype=np.float64)
            every = np.ones(n_tests)
            every[: len(p)] = np.where(np.isfinite(p), p, 1.0)
            table.loc[mine, "p_holm"] = np.where(np.isfinite(p), holm(every)[: len(p)], np.nan)
            table.loc[mine, "detectable"] = [
                detectable_difference(sd / np.sqrt(n), n - 1, n_comparisons=n_tests)
                if n > 1 and sd > 0
                else float("nan")
                for sd, n in zip(
                    table.loc[mine, "seed_sd"], table.loc[mine, "n_seeds"], strict=True
                )
            ]
        # Looking again after every cell would find something by and by.
        finished = table["n_seeds"] == len(self.plan.seeds)
        table["supported"] = (table["p_holm"] < 0.05) & finished
        return table

    def _gain(
        self, level: float, first: str, second: str, readout: str, seeds: Sequence[int]
    ) -> dict[str, Any]:
        gaps = [
            self.score(level, seed, first, readout) - self.score(level, seed, second, readout)
            for seed in seeds
        ]
        pair = compare_predictions(
            {arm: self.pooled(level, arm, readout, seeds) for arm in (first, second)},
            METRIC,
            n_replicates=1000,
        ).iloc[0]
        test = mean_test(gaps)
        return {
            "level": level,
            "first": first,
            "second": second,
            "difference": float(np.mean(gaps)),
            **_wider((pair["low"], pair["high"]), (test["low"], test["high"])),
            "p_people": float(pair["p_value"]),
            "p_seeds": test["p"],
            "p_value": float(np.maximum(pair["p_value"], test["p"])),  # NaN stays NaN
            "seed_sd": test["sd"],
            "n_seeds": len(seeds),
        }

    def shape(self, readout: str = "finetuned") -> pd.DataFrame:
        """Test the expected shape: how much larger the gain is in the middle than at either end.

        Parameters
        ----------
        readout : str
            One of `READOUTS`.

        Returns
        -------
        DataFrame
            `first`, `second` (the arms), `level`, `end` (levels whose gains are compared),
            `difference` (gain at `level` minus gain at `end`), `low`, `high`, `p_value` (t test
            over the replicates that have both levels; uncorrected), `n_seeds`. The middle level
            is fixed by the plan, not the one with the largest gain.
        """
        levels = sorted(self.plan.levels)
        middle = levels[len(levels) // 2]
        rows = []
        for first, second in PAIRS[:_CLAIMS]:
            for end in (levels[0], levels[-1]):
                seeds = [
                    seed
                    for seed in self.seeds(middle, first, second)
                    if seed in self.seeds(end, first, second)
                ]
                if end == middle or not seeds:
                    continue
                gaps = [
                    sum(
                        sign * side * self.score(level, seed, arm, readout)
                        for side, level in ((1, middle), (-1, end))
                        for sign, arm in ((1, first), (-1, second))
                    )
                    for seed in seeds
                ]
                test = mean_test(gaps)
                rows.append(
                    {
                        "first": first,
                        "second": second,
                        "level": middle,
                        "end": end,
                        "difference": float(np.mean(gaps)),
                        "low": test["low"],
                        "high": test["high"],
                        "p_value": test["p"],
                        "n_seeds": len(seeds),
                    }
                )
        columns = ["first", "second", "level", "end", "difference", "low", "high", "p_value"]
        return pd.DataFrame(rows, columns=[*columns, "n_seeds"])


_GAIN_COLUMNS = [
    "level",
    "first",
    "second",
    "difference",
    "low",
    "high",
    "p_people",
    "p_seeds",
    "p_value",
    "p_holm",
    "supported",
    "detectable",
    "seed_sd",
    "n_seeds",
    "claim",
]


def mean_test(values: Sequence[float] | NDArray[np.float64]) -> dict[str, float]:
    """Test a mean of independent replicates against 0, with its 95 % t interval.

    Parameters
    ----------
    values : sequence of float, shape (n,)
        One number per replicate.

    Returns
    -------
    dict
        `p` (two-sided), `low`, `high`, `sd`. NaN with one replicate, and p is NaN where replicates
        do not vary but for p 1 where all are 0: equal scores by chance say nothing of their spread.
    """
    from scipy.stats import t

    found = np.asarray(values, dtype=np.float64)
    n = len(found)
    if n < 2:
        nan = float("nan")
        return {"p": nan, "low": nan, "high": nan, "sd": nan}
    mean, sd = float(found.mean()), float(found.std(ddof=1))
    error = sd / np.sqrt(n)
    half = float(t.ppf(0.975, n - 1)) * error
    p = float(2 * t.sf(abs(mean) / error, n - 1)) if error > 1e-12 else float("nan")
    if not found.any():
        p = 1.0
    return {"p": p, "low": mean - half, "high": mean + half, "sd": sd}


def _wider(one: tuple[float, float], other: tuple[float, float]) -> dict[str, float]:
    """Take the wider one of two intervals; a missing one does not count."""
    known = [pair for pair in (one, other) if np.isfinite(pair).all()]
    if not known:
        return {"low": float("nan"), "high": float("nan")}
    low, high = max(known, key=lambda pair: pair[1] - pair[0])
    return {"low": float(low), "high": float(high)}


def load_recovery(out: str | os.PathLike[str]) -> Recovery:
    """Read the results of a study, finished or not.

    Parameters
    ----------
    out : path
        Folder of `run_recovery`.

    Returns
    -------
    Recovery

    Raises
    ------
    StoreError
        If there is no plan, or a result is damaged.
    """
    out = Path(out)
    plan = read_plan(out)
    cells, meta, missing = {}, {}, []
    for cell in plan.cells():
        folder = out / "cells" / cell.digest
        try:
            facts = json.loads((folder / RESULT_FILE).read_bytes())
        except FileNotFoundError:
            missing.append(cell)
            continue
        except (OSError, ValueError) as error:
            raise StoreError(
                f"{folder / RESULT_FILE} can't be read ({error}). Delete {folder} and run again."
            ) from None
        key = (cell.level, cell.seed, cell.arm)
        arrays = load_arrays(folder / "predictions.npz", facts["predictions_sha256"])
        meta[key] = facts
        cells[key] = {
            name.removeprefix("scores."): _predictions(facts, arrays, name)
            for name in arrays
            if name.startswith("scores.")
        }
    return Recovery(plan, cells, meta, missing)


def _predictions(
    facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], name: str
) -> Predictions:
    table = pd.DataFrame(
        {
            # Another seed is another corpus: other people, and other clips of the same names.
            "corpus": f"{facts['corpus']}, seed {facts['seed']}",
            **{column: arrays[column] for column in ("subject", "session", "row", "window")},
            "clip": [f"{clip}, seed {facts['seed']}" for clip in arrays["clip"]],
        }
    )
    return Predictions(table, arrays[name], arrays["y_true"], tuple(facts["classes"]))
