"""Sentences of the report: what was seen, what is supported, what simulated data can show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from affectrum.protocols.catalogue import SCALING_SCOPES, SELECTIONS

if TYPE_CHECKING:
    import pandas as pd

    from affectrum.report.results import TaskResult

__all__ = [
    "SIMULATED",
    "access_sentence",
    "best_sentence",
    "best_verdict",
    "points",
    "task_sentence",
]

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
    "source_plane": "the source's valence and arousal",
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


def task_sentence(task: TaskResult, *, sizes: bool = True) -> str:
    """Describe a task: protocol, access, scaling, selection, and the size of its test.

    Parameters
    ----------
    task : TaskResult
        The task.
    sizes : bool
        Also say what differs between tasks of one protocol: calibration trials, subjects, clips.

    Returns
    -------
    str
    """
    meta = task.meta
    selection = str(meta["selection"])
    scaling = str(meta["scaling"])
    parts = [f"Protocol {meta['protocol']}: granted {access_sentence(meta)}."]
    if meta.get("calibration_trials") and sizes:
        parts.append(f"{meta['calibration_trials']} calibration trials.")
    parts.append(f"Scaling “{scaling}”: {SCALING_SCOPES.get(scaling, scaling)}.")
    parts.append(f"Weights “{selection}”: {SELECTIONS.get(selection, selection)}.")
    if sizes:
        n_subjects = task.methods[0].interval.n_subjects
        parts.append(f"{n_subjects} test subjects, {task.methods[0].interval.n_clips} clips.")
    return " ".join(parts)


def best_sentence(task: TaskResult) -> str:
    """Say which method has the highest mean, and whether it reads the classes at all."""
    best = task.best
    chance = best.chance
    low, high = best.interval.low, best.interval.high
    return (
        f"{task.title}: {best.label} has the highest mean, {points(best.interval.value)} "
        f"(95 % interval {points(low)} to {points(high)}; chance {points(chance.value)}, "
        + ("above the chance interval)." if best.interval.value > chance.high else
           "inside the chance interval: no evidence that it reads the classes).")
    )  # fmt: skip


def best_verdict(task: TaskResult, pairs: pd.DataFrame) -> str:
    """Say against which methods the highest mean is supported.

    Parameters
    ----------
    task : TaskResult
        The task.
    pairs : DataFrame
        Its rows of ``Panel.pairs``, corrected for all of the panel.

    Returns
    -------
    str
        Empty if nothing is compared.
    """
    best = task.best.label
    supported, unsupported = [], []
    for row in pairs.to_dict(orient="records"):
        if best not in (row["first"], row["second"]):
            continue
        other = row["second"] if row["first"] == best else row["first"]
        gap = abs(float(row["difference"]))
        if row["supported"]:
            supported.append(f"{other} (by {points(gap)} points)")
        else:
            unsupported.append(str(other))
    words = []
    if supported:
        words.append(f"Supported: it scores higher than {', '.join(supported)}.")
    if unsupported:
        words.append(f"Not supported: a difference from {', '.join(unsupported)}.")
    return " ".join(words)
