"""Sentences of the report: what was seen, what is supported, what simulated data can show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from affectrum.protocols.catalogue import SCALING_SCOPES, SELECTIONS

if TYPE_CHECKING:
    from affectrum.report.results import TaskResult

__all__ = ["SIMULATED", "access_sentence", "findings", "points", "task_sentence"]

SIMULATED = (
    "Everything on this page was computed from layout twins: simulated corpora in the vendors' "
    "layouts. They can show that files are read right, that leaks are caught, that intervals and "
    "chance levels behave, and how a score reacts to one factor. They can't show which method is "
    "better on people, whether pre-training helps in reality, or which band or region matters. "
    "Read no number here as a finding about people, brains or emotions."
)

_GRANTS = {
    "source_signals": "source signals",
    "source_labels": "source labels",
    "calibration_signals": "the subject's first trials",
    "calibration_labels": "their labels",
    "target_unlabelled": "unlabelled target signals",
    "validation": "validation trials of the training side",
}


def points(value: float) -> str:
    """Return a score in per cent with one decimal, or an en dash."""
    return f"{100 * value:.1f}" if value == value else "–"


def access_sentence(meta: dict[str, Any]) -> str:
    """Say what the protocol granted to every method of a task."""
    granted = [_GRANTS.get(grant, grant) for grant in meta["grants"]]
    return ", ".join(granted)


def task_sentence(task: TaskResult) -> str:
    """Describe a task: protocol, access, scaling, selection, sizes."""
    meta = task.meta
    selection = str(meta["selection"])
    scaling = str(meta["scaling"])
    parts = [f"Protocol {meta['protocol']}: granted {access_sentence(meta)}."]
    if meta.get("calibration_trials"):
        parts.append(f"{meta['calibration_trials']} calibration trials.")
    parts.append(f"Scaling “{scaling}”: {SCALING_SCOPES.get(scaling, scaling)}.")
    parts.append(f"Weights “{selection}”: {SELECTIONS.get(selection, selection)}.")
    n_subjects = task.methods[0].interval.n_subjects
    parts.append(f"{n_subjects} test subjects, {task.methods[0].interval.n_clips} clips.")
    return " ".join(parts)


def findings(task: TaskResult) -> list[str]:
    """State what the scores of one task support, and what they don't.

    Returns
    -------
    list of str
        One sentence each, with its evidence.
    """
    best = task.best
    chance = best.chance
    low, high = best.interval.low, best.interval.high
    out = [
        f"{task.title}: {best.label} has the highest mean, {points(best.interval.value)} "
        f"(95 % interval {points(low)} to {points(high)}; chance {points(chance.value)}, "
        + ("above the chance interval)." if best.interval.value > chance.high else
           "inside the chance interval: no evidence that it reads the classes).")
    ]  # fmt: skip
    table = task.comparisons()
    rows = [
        (str(name), float(difference), float(p))
        for name, difference, p in zip(
            table["second"], table["difference"], table["p_holm"], strict=True
        )
    ]
    supported = [f"{name} (by {points(gap)} points)" for name, gap, p in rows if p < 0.05]
    if supported:
        out.append(
            "Supported at 5 % after Holm's correction: it scores higher than "
            f"{', '.join(supported)}."
        )
    unsupported = [name for name, _, p in rows if not p < 0.05]
    if unsupported:
        limit = min(1.0, float(table["smallest_p"].min()) * len(rows))
        reason = (
            f" With these subjects and comparisons no corrected p below {limit:.2f} can occur."
            if limit >= 0.05
            else ""
        )
        out.append(
            f"Not supported: a difference from {', '.join(unsupported)} "
            f"({len(rows)} paired permutation tests over subjects).{reason}"
        )
    return out
