"""What the scores of a panel support, and what they don't, each with its evidence."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from affectrum import evaluation
from affectrum.report.panels import Panel
from affectrum.report.wording import points

__all__ = ["Findings", "difference_sentence", "find"]

_FEW = 5


@dataclass(frozen=True)
class Findings:
    """Statements about one panel.

    Attributes
    ----------
    statements : list of str
        The findings, the most general first.
    supported, unsupported : DataFrame
        Rows of ``Panel.pairs``; in `supported` the better method comes first.
    cautions : list of str
        What a reader may not conclude.
    """

    statements: list[str]
    supported: pd.DataFrame = field(repr=False)
    unsupported: pd.DataFrame = field(repr=False)
    cautions: list[str] = field(default_factory=list)


def find(panel: Panel) -> Findings:
    """State what a panel's scores support.

    Parameters
    ----------
    panel : Panel
        Tasks that may be compared.

    Returns
    -------
    Findings
        A difference is supported if its p-value is below 5 % after Holm's correction over all
        differences of the panel; subject and clip are crossed random factors.
    """
    pairs = panel.pairs
    supported = _better_first(pairs[pairs["supported"].astype(bool)])
    unsupported = _better_first(pairs[~pairs["supported"].astype(bool)])
    if panel.biased:
        return Findings([panel.biased], supported.iloc[:0], unsupported.iloc[:0], [])
    statements = [*_above_chance(panel), *_counts(pairs, supported, unsupported)]
    statements += _over_seeds(supported)
    statements += _over_tasks(panel, pairs)
    return Findings(statements, supported, unsupported, _cautions(panel))


def difference_sentence(panel: Panel, row: pd.Series) -> str:
    """Tell one difference with its evidence.

    Parameters
    ----------
    panel : Panel
        Where it was found.
    row : Series
        A row of ``Findings.supported`` or ``Findings.unsupported``.

    Returns
    -------
    str
    """
    task = panel.tasks[int(row["task"])]
    mark = " (simulated data)" if task.simulated else ""
    low, high = points(float(row["low"])), points(float(row["high"]))
    evidence = (
        f"{points(float(row['difference']))} points, 95 % interval {low} to {high}, p "
        f"{_p(float(row['p_holm']))} after correction, {int(row['n_subjects'])} subjects, "
        f"{int(row['n_clips'])} clips"
    )
    where, first, second = panel.short(task), row["first"], row["second"]
    if row["supported"]:
        return f"{where}{mark}: {first} scores higher than {second} ({evidence})."
    return f"{where}{mark}: {first} against {second} is open ({evidence})."


def _better_first(pairs: pd.DataFrame) -> pd.DataFrame:
    """Turn pairs round so that the difference is not negative."""
    table = pairs.copy().reset_index(drop=True)
    if not len(table):
        return table
    turned = (table["difference"] < 0).to_numpy()
    ends = {"first": "second", "low": "high", "effect_low": "effect_high"}
    for one, other in ends.items():
        a, b = table[one].copy(), table[other].copy()
        table[one], table[other] = a.where(~turned, b), b.where(~turned, a)
    for name in ("difference", "low", "high", "effect_size", "effect_low", "effect_high"):
        table[name] = table[name].where(~turned, -table[name])
    for name in ("dominance", "cliffs_delta"):
        table[name] = table[name].where(~turned, -table[name])
    return table.sort_values("p_value", kind="stable", ignore_index=True)


def _above_chance(panel: Panel) -> list[str]:
    """Which methods read the classes at all, corrected for all (method, task) pairs."""
    found = [(task, m, m.above_chance_p) for task in panel.tasks for m in task.methods]
    p_values = np.array([p for _, _, p in found])
    corrected = evaluation.holm(np.where(np.isfinite(p_values), p_values, 1.0))
    out = []
    for label in panel.methods:
        mine = [
            (task, float(p))
            for (task, m, _), p in zip(found, corrected, strict=True)
            if m.label == label
        ]
        good = [panel.short(task) for task, p in mine if p < 0.05]
        poor = [panel.short(task) for task, p in mine if not p < 0.05]
        if not good:
            where = "the task" if len(mine) == 1 else f"any of {len(mine)} tasks"
            out.append(f"{label} is not shown to be above chance on {where}.")
        elif poor:
            listed = "; ".join(poor[:_FEW]) + (" …" if len(poor) > _FEW else "")
            out.append(
                f"{label} is above chance on {len(good)} of {len(mine)} tasks (p < 0.05 "
                f"after correction); not shown on: {listed}."
            )
        else:
            where = "the task" if len(mine) == 1 else f"all {len(mine)} tasks"
            out.append(f"{label} is above chance on {where} (p < 0.05 after correction).")
    return out


def _counts(
    pairs: pd.DataFrame, supported: pd.DataFrame, unsupported: pd.DataFrame
) -> list[str]:  # fmt: skip
    if not len(pairs):
        return ["There is one method per task: nothing is compared."]
    n = len(pairs)
    plural = "differences between two methods" if n > 1 else "difference between two methods"
    out = [
        f"Of {n} {plural} on one task, {len(supported)} {_is(len(supported))} supported at 5 % "
        f"after Holm's correction over all {n}."
    ]
    alone = int(pairs["supported_alone"].astype(bool).sum())
    if alone > len(supported):
        out.append(
            f"Corrected within each task only, {alone} would be: who looks at one task that was "
            "named before the run may take that number, who picks among all tasks may not."
        )
    limits = unsupported["detectable"].to_numpy(dtype=float) if len(unsupported) else np.array([])
    limits = limits[np.isfinite(limits)]
    if len(unsupported):
        n_open = len(unsupported)
        words = f"{n_open} {_is(n_open)} not supported. That is no proof of equality"
        if len(limits):
            low, high = points(float(limits.min())), points(float(limits.max()))
            spread = f"{low} points" if low == high else f"{low} to {high} points"
            words += f": with 80 % power this design finds differences of {spread} or more"
        out.append(words + ".")
    untested = int(pairs["p_value"].isna().sum())
    if untested:
        out.append(
            f"{untested} of them can't be tested: where a class has one clip only, nobody can tell "
            "the clip from the class."
        )
    hopeless = int((~pairs["testable"].astype(bool)).sum())
    if hopeless:
        out.append(
            f"{hopeless} of them could not be supported whatever the scores are: too few subjects "
            "for so many methods."
        )
    return out


def _over_seeds(supported: pd.DataFrame) -> list[str]:
    """Say where a supported difference may be one of training runs, which no test counts in."""
    if not len(supported):
        return []
    n = supported["n_seeds"].to_numpy(dtype=float)
    noise = supported["seed_sd"].to_numpy(dtype=float) / np.sqrt(np.maximum(n, 1))
    alone = int((n < 2).sum())
    near = supported[np.isfinite(noise) & (supported["difference"].abs() < 2 * noise)]
    out = []
    if len(near):
        named = [f"{a} against {b}" for a, b in zip(near["first"], near["second"], strict=True)]
        more = " …" if len(named) > _FEW else ""
        out.append(
            f"{len(near)} of the supported {_is(len(near))} less than twice the standard error "
            f"over seeds, so that other training runs may turn the sign: "
            f"{'; '.join(dict.fromkeys(named[:_FEW]))}{more}."
        )
    if alone:
        out.append(
            f"{alone} of the supported {_is(alone)} of one seed: what another training run would "
            "change is not known."
        )
    return out


def _is(n: int) -> str:
    return "is" if n == 1 else "are"


def _over_tasks(panel: Panel, pairs: pd.DataFrame) -> list[str]:
    """How often each pair of methods agrees over several tasks."""
    out = []
    if len(panel.tasks) < 2 or not len(pairs):
        return []
    for (first, second), rows in pairs.groupby(["first", "second"], sort=False):
        if len(rows) < 2:
            continue
        above = int((rows["difference"] > 0).sum())
        a, b = (first, second) if 2 * above >= len(rows) else (second, first)
        sign = 1 if a == first else -1
        higher = int((sign * rows["difference"] > 0).sum())
        fine = rows[rows["supported"].astype(bool)]
        for_it = int((sign * fine["difference"] > 0).sum())
        against = len(fine) - for_it
        words = f"{a} scores higher than {b} on {higher} of {len(rows)} tasks"
        if for_it or against:
            words += f"; supported on {for_it}"
            words += f", the opposite on {against}" if against else ""
        else:
            words += "; supported on none"
        out.append(words + ".")
    return out


def _cautions(panel: Panel) -> list[str]:
    out = []
    corpora = {name for task in panel.tasks for name in (*task.meta["source"], task.meta["target"])}
    if len(panel.tasks) > 1:
        out.append(
            f"These are statements about {len(panel.tasks)} tasks on {len(corpora)} corpora. Tasks "
            "that share a corpus are not independent, and nothing follows for other corpora."
        )
    if any(t.simulated for t in panel.tasks):
        out.append("Simulated signals: no statement here is about people or brains.")
    notes: dict[str, list[str]] = {}
    for task in panel.tasks:
        for note in evaluation.cautions(task.methods[0].predictions[0]):
            notes.setdefault(str(note), []).append(panel.short(task))
    for note, titles in notes.items():
        where = "every task" if len(titles) == len(panel.tasks) > 1 else "; ".join(titles)
        out.append(f"{where}: {note}.")
    return out


def _p(value: float) -> str:
    if value != value:
        return "not known"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
