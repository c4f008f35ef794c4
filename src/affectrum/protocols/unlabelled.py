"""Splitters of protocols that show unlabelled target signals, or a few labelled windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affectrum.errors import ProtocolError, check_option
from affectrum.protocols.catalogue import TARGET_USES
from affectrum.protocols.splits import TrialSplit, calibrated, zero_shot

__all__ = ["draw_shots", "unsupervised"]


def unsupervised(
    source: pd.DataFrame,
    everything: pd.DataFrame,
    kept: NDArray[np.int64],
    target_use: str,
    *,
    k: int | None = None,
    test_after: int | None = None,
    subjects: Sequence[int] | None = None,
) -> list[TrialSplit]:
    """All source trials with labels, and some target signals without.

    ::

        source, all subjects    [x x x x x x]  train
        "others":       target, subject 1  [? ? ? ? ? ?]   subject 2  [u u u u u u]
        "calibration":  target, subject 1  [u u u u][? ?]
        "test":         target, subject 1  [u?u?u?u?u?u?]  (transductive)

    Parameters
    ----------
    source : DataFrame
        Trials of the source corpora.
    everything : DataFrame
        All trials of the target. Those of other subjects are shown whether they have a class or
        not: choosing them by their labels would tell something of these.
    kept : ndarray of int64
        Positions in it of the trials that have a class; only these are tested, and only these
        count as first trials, as in `calibrated`.
    target_use : {"others", "calibration", "test"}
        Which signals are shown.
    k, test_after : int, optional
        As in `calibrated`, for "calibration".
    subjects : sequence of int, optional
        Test these target subjects only.

    Returns
    -------
    list of TrialSplit
        One per target subject; `unlabelled` holds positions in `everything`, the others in
        `source` and in the kept trials. For "test" it is the test trials.

    Raises
    ------
    ProtocolError
        If there is no other target subject, or as `calibrated`.
    """
    check_option("target_use", target_use, tuple(TARGET_USES), ProtocolError)
    target = everything.iloc[kept].reset_index(drop=True)
    if target_use == "calibration":
        splits = calibrated(source, target, int(k or 0), test_after=test_after, subjects=subjects)
        return [
            replace(split, unlabelled=kept[split.calibration], calibration=split.calibration[:0])
            for split in splits
        ]
    splits = zero_shot(source, target, subjects=subjects)
    if target_use == "test":
        return [replace(split, unlabelled=kept[split.test]) for split in splits]
    subject = everything["subject"].to_numpy(dtype=np.int64)
    if len(np.unique(subject)) < 2:
        raise ProtocolError(
            f"target_use='others' shows signals of other target subjects; "
            f"{everything['corpus'].iloc[0]} has only subject {int(subject[0])} here. Use "
            "target_use='calibration', or a zero-shot protocol."
        )
    return [
        replace(
            split,
            unlabelled=np.flatnonzero(subject != split.subjects[0]).astype(np.int64),
        )
        for split in splits
    ]


def draw_shots(
    rows: NDArray[np.int64],
    y: NDArray[np.int64],
    shots: int,
    classes: Sequence[str],
    name: str,
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Draw K windows of each class at random; those of a smaller K are among those of a larger.

    Parameters
    ----------
    rows : ndarray of int64, shape (n,)
        Windows of the subject's first trials.
    y : ndarray of int64, shape (n,)
        Their classes.
    shots : int
        K.
    classes : sequence of str
        Class names.
    name : str
        The fold, for messages.
    rng : Generator
        Source of chance.

    Returns
    -------
    ndarray of int64
        The drawn ones of `rows`, ascending. A class without any window has none.

    Raises
    ------
    ProtocolError
        If K is below 1, or a class has windows, but fewer than K.
    """
    if shots < 1:
        raise ProtocolError(f"shots must be at least 1; received {shots}.")
    drawn = []
    short = []
    for index, word in enumerate(classes):
        # Every class shuffles, so that one class's windows never move another's.
        own = rng.spawn(1)[0].permutation(rows[y == index])
        if 0 < len(own) < shots:
            short.append(f"{word} {len(own)}")
        drawn.append(own[:shots])
    if short:
        raise ProtocolError(
            f"shots={shots} asks for more windows than the first trials of fold {name} hold of a "
            f"class ({', '.join(short)}). Use fewer shots or more calibration_trials."
        )
    return np.sort(np.concatenate(drawn))
