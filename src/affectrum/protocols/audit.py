"""The leak audit: what of the test stands on the training side.

It reads the identifier tables of a fold and the records of its scalers, never the arrays that a
method gets, and runs before anything is trained.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affectrum.errors import LeakError
from affectrum.protocols.access import LABEL_COLUMNS, STIMULUS_COLUMNS
from affectrum.protocols.catalogue import STIMULUS_LEVELS

if TYPE_CHECKING:
    from affectrum.protocols.fold import Fold
    from affectrum.scaling import ScalerRecord

__all__ = ["CHECKS", "Certificate", "Check", "audit_fold", "audit_tables"]

#: Every check, in order.
CHECKS: tuple[str, ...] = (
    "subjects",
    "sessions",
    "trials",
    "windows",
    "clip",
    "film",
    "series",
    "scalers",
    "content",
    "hidden columns",
)

_SUBJECT_DISJOINT = (
    "leave-one-subject-out",
    "cross-corpus/zero-shot",
    "cross-corpus/calibrated",
)
_TRANSDUCTIVE = ("per-subject", "released")


@dataclass(frozen=True)
class Check:
    """One question of the audit and its answer.

    Attributes
    ----------
    name : str
        One of `CHECKS`.
    passed : bool
        False only if something was found that the protocol forbids.
    measured : int
        How many subjects, sessions, trials, windows or stimuli are on both sides.
    required : bool
        Whether the protocol promises that there is none; else it is measured for the reader.
    detail : str
        In words, with examples.
    """

    name: str
    passed: bool
    measured: int
    required: bool
    detail: str

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain data."""
        return asdict(self)


@dataclass(frozen=True)
class Certificate:
    """The audit's result for one fold.

    Attributes
    ----------
    fold : str
        The fold's name.
    protocol : str
        Its protocol, with modifiers.
    checks : tuple of Check
        In the order of `CHECKS`.
    declared : tuple of str
        Failed checks that the user declared as exceptions; printed beside the score.
    """

    fold: str
    protocol: str
    checks: tuple[Check, ...]
    declared: tuple[str, ...] = ()

    @property
    def failed(self) -> tuple[Check, ...]:
        """Failed checks that were not declared."""
        return tuple(
            check for check in self.checks if not check.passed and check.name not in self.declared
        )

    @property
    def passed(self) -> bool:
        """Whether nothing failed that was not declared."""
        return not self.failed

    def __getitem__(self, name: str) -> Check:
        for check in self.checks:
            if check.name == name:
                return check
        raise KeyError(name)

    def raise_if_failed(self, declared: Iterable[str] = ()) -> Certificate:
        """Return the certificate with declared exceptions, or raise.

        Parameters
        ----------
        declared : iterable of str
            Names of checks that may fail; the certificate keeps them.

        Raises
        ------
        LeakError
            If another check failed; lists all failed checks.
        """
        wanted = tuple(declared)
        used = tuple(
            check.name for check in self.checks if not check.passed and check.name in wanted
        )
        certificate = Certificate(self.fold, self.protocol, self.checks, used)
        if certificate.failed:
            lines = [f"  - {check.name}: {check.detail}" for check in certificate.failed]
            raise LeakError(
                f"The leak audit of fold {self.fold} ({self.protocol}) failed:\n"
                + "\n".join(lines)
                + "\nRemove the overlap. If it is meant to be there, declare the check by name "
                "(declared_leaks in a plan); the exception is then printed beside the score."
            )
        return certificate

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return {
            "fold": self.fold,
            "protocol": self.protocol,
            "passed": self.passed,
            "declared": list(self.declared),
            "checks": [check.to_dict() for check in self.checks],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Certificate:
        """Restore what `to_dict` returned."""
        return cls(
            fold=str(data["fold"]),
            protocol=str(data["protocol"]),
            checks=tuple(Check(**check) for check in data["checks"]),
            declared=tuple(data["declared"]),
        )


def audit_fold(fold: Fold) -> Certificate:
    """Audit one fold.

    Parameters
    ----------
    fold : Fold
        The fold; its tables, its scalers' records and the columns of its test are read.

    Returns
    -------
    Certificate
    """
    certificate = audit_tables(
        fold.tables,
        base=fold.base,
        scaling=fold.scaling,
        stimulus_disjoint=None if fold.stimulus_control else fold.stimulus_disjoint,
        scalers=fold.scalers,
        window_s=fold.window_s,
        fold=fold.id,
        protocol=fold.protocol,
    )
    shown = [
        name for name in fold.test.table.columns if name in (*LABEL_COLUMNS, *STIMULUS_COLUMNS)
    ]
    hidden = Check(
        "hidden columns",
        not shown,
        len(shown),
        True,
        f"the test windows show {', '.join(shown)}"
        if shown
        else "the test windows show neither labels nor stimuli",
    )
    return Certificate(certificate.fold, certificate.protocol, (*certificate.checks, hidden))


def audit_tables(
    tables: Mapping[str, pd.DataFrame],
    *,
    base: str,
    scaling: str,
    stimulus_disjoint: str | None,
    scalers: Iterable[ScalerRecord] = (),
    window_s: float | None = None,
    fold: str = "",
    protocol: str = "",
) -> Certificate:
    """Audit identifier tables, of a fold or restored from a record.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        One row per window (or per trial) for each role; "test" is one of them. Checks whose
        columns are absent (`window`, `content`) are answered from what there is.
    base, scaling : str
        The protocol's id and the scaling scope, which decide what is required.
    stimulus_disjoint : str or None
        The level at which stimuli must be disjoint.
    scalers : iterable of ScalerRecord
        What the scalers saw.
    window_s : float or None
        Length of a window in seconds.
    fold, protocol : str
        Names for the certificate.

    Returns
    -------
    Certificate
        With every check but "hidden columns".
    """
    test = tables["test"]
    seen = {role: table for role, table in tables.items() if role != "test"}
    windows = list(seen.values())
    # Most questions are about trials, of which there are far fewer than windows.
    trials = {role: _trials_of(table) for role, table in tables.items()}
    test_trials = trials.pop("test")
    everything = list(trials.values())
    # The calibration is the test subject's own by definition.
    others = [trials["source"]] if "source" in trials else everything
    checks = [
        _shared_rows(
            "subjects", others, test_trials, ["corpus", "subject"], base in _SUBJECT_DISJOINT
        ),
        _shared_rows(
            "sessions",
            others,
            test_trials,
            ["corpus", "subject", "session"],
            base == "cross-session",
        ),
        _shared_rows(
            "trials", everything, test_trials, ["corpus", "subject", "session", "row"], True
        ),
        _overlapping_windows(windows, test, window_s),
        *(
            _shared_stimuli(
                level, everything, test_trials, _level_required(level, stimulus_disjoint)
            )
            for level in STIMULUS_LEVELS
        ),
        _scaler_rows(tuple(scalers), test, scaling not in _TRANSDUCTIVE),
        _same_content(seen, test),
    ]
    return Certificate(fold, protocol, tuple(checks))


def _level_required(level: str, wanted: str | None) -> bool:
    # Disjoint series are disjoint films, and those are disjoint clips.
    if wanted is None:
        return False
    return STIMULUS_LEVELS.index(level) <= STIMULUS_LEVELS.index(wanted)


def _trials_of(table: pd.DataFrame) -> pd.DataFrame:
    """One row per trial: windows of a trial follow each other, so runs are cut, then repeats."""
    keys = ["corpus", "subject", "session", "row"]
    starts = np.zeros(len(table), dtype=bool)
    starts[:1] = True
    for name in keys:
        values = table[name].to_numpy()
        starts[1:] |= values[1:] != values[:-1]
    return table[starts].drop_duplicates(keys)


def _distinct(table: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    return table[columns].drop_duplicates()


def _shared_rows(
    name: str,
    seen: list[pd.DataFrame],
    test: pd.DataFrame,
    columns: list[str],
    required: bool,
) -> Check:
    mine = _distinct(test, columns)
    train = pd.concat([_distinct(table, columns) for table in seen]).drop_duplicates()
    both = mine.merge(train, on=columns)
    count = len(both)
    if count:
        examples = ["/".join(map(str, row)) for row in both.head(3).itertuples(index=False)]
        detail = f"{count} of {len(mine)} tested {name} also train, for example " + ", ".join(
            examples
        )
    else:
        detail = f"none of {len(mine)} tested {name} trains"
    return Check(name, not (required and count), count, required, detail)


def _overlapping_windows(
    seen: list[pd.DataFrame], test: pd.DataFrame, window_s: float | None
) -> Check:
    """Windows that cover a moment of the test: in its trial, or in its file by the clock."""
    name = "windows"
    if "start_s" not in test or window_s is None:
        return Check(name, True, 0, True, "times of windows are not known; trials are compared")
    # Only sessions that stand on both sides can overlap.
    session = ["corpus", "subject", "session"]
    tested = _distinct(_trials_of(test), session)
    present = [tested.merge(_distinct(_trials_of(table), session), on=session) for table in seen]
    seen = [table for table, both in zip(seen, present, strict=True) if len(both)]
    common = pd.concat(present).drop_duplicates()
    if not len(common):
        return Check(name, True, 0, True, f"none of {len(test)} tested windows overlaps a seen one")
    train = pd.concat(seen, ignore_index=True)
    both = pd.concat([train.assign(_test=False), test.assign(_test=True)], ignore_index=True)
    both = both.merge(common, on=session)
    onset = both["onset_s"].to_numpy(dtype=np.float64) if "onset_s" in both else np.nan
    # Trials share a clock where the onsets of one file differ. Where they are all the same (SEED
    # keeps each trial as an array of its own, DEAP's preprocessed rows all start after 3 s), the
    # onset counts from the trial's own beginning.
    place = [*session, "file"] if "file" in both else session
    by_session = both.groupby(place, sort=False, dropna=False).ngroup().to_numpy()
    onsets = pd.Series(np.broadcast_to(onset, len(both))).groupby(by_session)
    differ = (onsets.transform("max") > onsets.transform("min")).to_numpy(dtype=bool)
    clock = np.isfinite(onset) & differ
    # By the file's clock where there is one, else by the time inside the trial.
    by_trial = both.groupby([*session, "row"], sort=False).ngroup().to_numpy()
    start = both["start_s"].to_numpy(dtype=np.float64)
    start = np.where(clock, start + np.where(clock, onset, 0.0), start)
    group = np.where(clock, by_session, by_session.max() + 1 + by_trial)
    usable = np.isfinite(start)
    is_test = both["_test"].to_numpy()
    count = _count_overlaps(
        group[usable & is_test],
        start[usable & is_test],
        group[usable & ~is_test],
        start[usable & ~is_test],
        window_s,
    )
    detail = (
        f"{count} of {len(test)} tested windows overlap a seen window in time"
        if count
        else f"none of {len(test)} tested windows overlaps a seen one"
    )
    return Check(name, not count, count, True, detail)


def _count_overlaps(
    test_group: NDArray[np.int64],
    test_start: NDArray[np.float64],
    seen_group: NDArray[np.int64],
    seen_start: NDArray[np.float64],
    length: float,
) -> int:
    if not len(test_group) or not len(seen_group):
        return 0
    # One axis: groups far apart, so that one sorted search serves all of them.
    low = min(test_start.min(), seen_start.min())
    span = max(test_start.max(), seen_start.max()) - low + 2 * length
    mine = test_group * span + (test_start - low)
    theirs = np.sort(seen_group * span + (seen_start - low))
    # A hair's breadth, so that neighbours that touch do not count.
    hair = 1e-6 * length + 4 * np.spacing(max(mine.max(), theirs.max()))
    after = np.searchsorted(theirs, mine - length + hair, side="right")
    before = np.searchsorted(theirs, mine + length - hair, side="left")
    return int((before > after).sum())


def _shared_stimuli(
    level: str, seen: list[pd.DataFrame], test: pd.DataFrame, required: bool
) -> Check:
    if level not in test:
        return Check(level, not required, 0, required, f"the {level} of the tests is not known")
    train = pd.concat([table[level] for table in seen])
    mine = [str(name) for name in pd.unique(test[level].dropna())]
    theirs = dict.fromkeys(str(name) for name in pd.unique(train.dropna()))
    both = [name for name in mine if name in theirs]
    unknown = int(test[level].isna().sum() + train.isna().sum())
    parts = [
        f"{len(both)} of {len(mine)} tested at this level also train"
        + (f", for example {', '.join(both[:3])}" if len(both) else "")
    ]
    if unknown:
        parts.append(f"not known for {unknown} trials")
    failed = required and (len(both) > 0 or unknown > 0)
    return Check(level, not failed, len(both), required, "; ".join(parts))


def _scaler_rows(scalers: tuple[ScalerRecord, ...], test: pd.DataFrame, required: bool) -> Check:
    name = "scalers"
    if not scalers:
        return Check(name, True, 0, required, "no scaler was fitted")
    if "id" not in test:
        return Check(name, True, 0, required, "identifiers of windows are not stored")
    fitted = np.concatenate([record.ids for record in scalers])
    count = int(np.isin(test["id"].to_numpy(dtype=np.uint64), fitted).sum())
    blind = [record for record in scalers if record.n_rows and not len(record.ids)]
    detail = f"{count} of {len(test)} tested windows were seen by one of {len(scalers)} scalers"
    if blind:
        detail += f"; {len(blind)} scalers left no record of their rows"
    if not required and count:
        detail += " (the protocol is named transductive)"
    return Check(name, not (required and (count or blind)), count, required, detail)


def _same_content(seen: Mapping[str, pd.DataFrame], test: pd.DataFrame) -> Check:
    name = "content"
    if "content" not in test:
        return Check(name, True, 0, True, "content fingerprints are not stored")
    mine = test["content"].to_numpy(dtype=np.uint64)
    counts = {}
    for role, table in seen.items():
        theirs = table["content"].to_numpy(dtype=np.uint64)
        counts[role] = int((np.isin(mine, theirs) & (mine != 0)).sum())
    found = {role: count for role, count in counts.items() if count}
    detail = (
        "; ".join(
            f"{count} of {len(test)} tested windows hold the same values as windows of the {role}"
            for role, count in found.items()
        )
        or f"none of {len(test)} tested windows equals a seen one"
    )
    worst = max(found.values(), default=0)
    return Check(name, not worst, worst, True, detail)
