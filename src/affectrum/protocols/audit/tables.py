"""The audit of identifier tables: what of the test stands on the training side.

The tables are those of a fold, or of a stored record; no signal is needed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affectrum.protocols.audit.certificate import Certificate, Check
from affectrum.protocols.audit.content import same_content
from affectrum.protocols.catalogue import CROSS_CORPUS, PROTOCOLS, STIMULUS_LEVELS
from affectrum.protocols.identity import first_windows, found_in

if TYPE_CHECKING:
    from affectrum.scaling import ScalerRecord

__all__ = ["audit_tables", "rows_digest", "seen_by_records"]

_TRANSDUCTIVE = ("per-subject", "released")
_TRIAL = ["corpus", "subject", "session", "row"]


def audit_tables(
    tables: Mapping[str, pd.DataFrame],
    *,
    base: str,
    scaling: str,
    stimulus_disjoint: str | None,
    scalers: Iterable[ScalerRecord] = (),
    selection: str | None = None,
    promises: Iterable[str] = (),
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
    selection : str or None
        The rule that chooses an epoch.
    promises : iterable of str
        Units ("subjects", "sessions") that nothing seen of the target shares with the test.
    window_s : float or None
        Length of a window in seconds.
    fold, protocol : str
        Names for the certificate; a protocol that is named transductive may grant test signals.

    Returns
    -------
    Certificate
        With every check that needs no signal.
    """
    test = tables["test"]
    # Test signals that the protocol grants without labels, by its very name, are no leak.
    transductive = "transductive" in protocol
    seen = {
        role: table
        for role, table in tables.items()
        if role != "test" and not (role == "unlabelled" and transductive)
    }
    # Most questions are about trials, of which there are far fewer than windows.
    trials = {role: _trials_of(table) for role, table in tables.items()}
    test_trials = trials["test"]
    everything = [trials[role] for role in seen]
    # The calibration is the test subject's own by definition.
    others = [trials["source"]] if "source" in trials else everything
    # Without a source there is only the target's own, of which `promises` speaks.
    disjoint = PROTOCOLS[base].disjoint if base in PROTOCOLS and "source" in trials else "trials"
    promised = tuple(promises)
    all_seen = [table for role, table in trials.items() if role != "test"]
    checks = [
        _corpora(others, test_trials, base),
        *(
            _shared_rows(
                unit,
                all_seen if unit in promised else others,
                test_trials,
                columns,
                unit in (disjoint, *promised),
            )
            for unit, columns in (("subjects", _TRIAL[:2]), ("sessions", _TRIAL[:3]))
        ),
        _shared_rows("trials", everything, test_trials, _TRIAL, True),
        _overlapping_windows(seen, test, trials, window_s),
        *(
            _shared_stimuli(
                level, everything, test_trials, _level_required(level, stimulus_disjoint)
            )
            for level in STIMULUS_LEVELS
        ),
        _unlabelled(trials.get("unlabelled"), test_trials, transductive),
        seen_by_records("scalers", "scaler", tuple(scalers), test, scaling not in _TRANSDUCTIVE),
        _selection(selection, trials.get("validation"), test_trials),
        same_content(seen, test, trials),
    ]
    rows = {
        role: {"n": len(table), "digest": rows_digest(table["id"].to_numpy(dtype=np.uint64))}
        for role, table in tables.items()
        if "id" in table
    }
    return Certificate(fold, protocol, tuple(checks), rows=rows)


def rows_digest(ids: NDArray[np.uint64]) -> str:
    """Return a digest of the sorted identifiers of windows; that of a scaler's record alike."""
    return hashlib.sha256(np.sort(ids).astype("<u8").tobytes()).hexdigest()[:32]


def _corpora(seen: list[pd.DataFrame], test: pd.DataFrame, base: str) -> Check:
    """Corpora on both sides, and under leave-one-lab-out also corpora of the tested one's lab."""
    name = "corpora"
    required = base in CROSS_CORPUS
    train = list(dict.fromkeys(str(c) for table in seen for c in pd.unique(table["corpus"])))
    tested = [str(corpus) for corpus in pd.unique(test["corpus"])]
    both = [corpus for corpus in tested if corpus in train]
    if base.startswith("leave-one-lab-out"):
        labs = {_lab(corpus) for corpus in tested} - {None}
        both += [c for c in train if c not in both and _lab(c) in labs]
    detail = (
        f"{', '.join(both)} of the tested corpus{' or its lab' if 'lab' in base else ''} also train"
        if both
        else f"{', '.join(tested)} is tested, {', '.join(train)} train"
    )
    return Check(name, not (required and both), len(both), required, detail)


def _lab(corpus: str) -> str | None:
    from affectrum.catalog import get, is_known

    return str(get(corpus).lab) if is_known(corpus) else None


def _unlabelled(granted: pd.DataFrame | None, test: pd.DataFrame, transductive: bool) -> Check:
    """Tested trials whose signals are granted without labels."""
    if granted is None:
        return Check("unlabelled", True, 0, not transductive, "no unlabelled signals are granted")
    count = len(_names(test, _TRIAL).keys() & _names(granted, _TRIAL).keys())
    detail = f"{count} of {len(test)} tested trials are granted without labels"
    if count and transductive:
        detail += " (the protocol is named transductive)"
    return Check("unlabelled", transductive or not count, count, not transductive, detail)


def _selection(rule: str | None, validation: pd.DataFrame | None, test: pd.DataFrame) -> Check:
    """Tested trials that the choice of an epoch sees with their labels."""
    name = "selection"
    if rule == "oracle":
        detail = f"the best epoch is chosen on all {len(test)} tested trials (named oracle)"
        return Check(name, True, len(test), False, detail)
    if validation is None:
        return Check(name, True, 0, True, "no epoch is chosen by a score")
    count = len(_names(test, _TRIAL).keys() & _names(validation, _TRIAL).keys())
    detail = f"{count} of {len(test)} tested trials are among {len(validation)} validation trials"
    return Check(name, not count, count, True, detail)


def _level_required(level: str, wanted: str | None) -> bool:
    # Disjoint series are disjoint films, and those are disjoint clips.
    if wanted is None:
        return False
    return STIMULUS_LEVELS.index(level) <= STIMULUS_LEVELS.index(wanted)


def _trials_of(table: pd.DataFrame) -> pd.DataFrame:
    """One row per trial."""
    return table.iloc[first_windows(table)[1]]


def _names(table: pd.DataFrame, columns: list[str]) -> dict[tuple[object, ...], None]:
    """The different names that columns make, in order of first appearance."""
    return dict.fromkeys(zip(*(table[name].tolist() for name in columns), strict=True))


def _shared_rows(
    name: str,
    seen: list[pd.DataFrame],
    test: pd.DataFrame,
    columns: list[str],
    required: bool,
) -> Check:
    mine = _names(test, columns)
    train = {key for table in seen for key in _names(table, columns)}
    both = [key for key in mine if key in train]
    count = len(both)
    if count:
        examples = ["/".join(map(str, key)) for key in both[:3]]
        detail = f"{count} of {len(mine)} tested {name} also train, for example " + ", ".join(
            examples
        )
    else:
        detail = f"none of {len(mine)} tested {name} trains"
    return Check(name, not (required and count), count, required, detail)


def _overlapping_windows(
    seen: dict[str, pd.DataFrame],
    test: pd.DataFrame,
    trials: dict[str, pd.DataFrame],
    window_s: float | None,
) -> Check:
    """Windows that cover a moment of the test: in its trial, or in its file by the clock."""
    name = "windows"
    if "start_s" not in test or window_s is None:
        return Check(name, True, 0, True, "times of windows are not known; trials are compared")
    # Only sessions that stand on both sides can overlap.
    tested = _names(trials["test"], _TRIAL[:3]).keys()
    near = [t for role, t in seen.items() if tested & _names(trials[role], _TRIAL[:3]).keys()]
    if not near:
        return Check(name, True, 0, True, f"none of {len(test)} tested windows overlaps a seen one")
    columns = [n for n in (*_TRIAL, "file", "onset_s", "start_s") if n in test]
    both = pd.concat(
        [test[columns], *(t.reindex(columns=columns) for t in near)], ignore_index=True
    )
    is_test = np.arange(len(both)) < len(test)
    by_trial, first, _ = first_windows(both)
    sessions: dict[tuple[object, ...], int] = {}
    of_trials = zip(*(both[name].iloc[first].tolist() for name in _TRIAL[:3]), strict=True)
    codes = [sessions.setdefault(session, len(sessions)) for session in of_trials]
    by_session = np.array(codes, dtype=np.int64)[by_trial]
    if "file" in both:
        file = pd.factorize(both["file"])[0] + 1
        by_session = np.unique(by_session * (file.max() + 1) + file, return_inverse=True)[1]
    # Trials share a clock where the onsets of one file differ. Where they are all the same (SEED
    # keeps each trial as an array of its own, DEAP's preprocessed rows all start after 3 s), the
    # onset counts from the trial's own beginning.
    onset = np.full(len(both), np.nan)
    if "onset_s" in both:
        onset = both["onset_s"].to_numpy(dtype=np.float64)
    timed = np.isfinite(onset)
    latest, earliest = np.full((2, by_session.max() + 1), [[-np.inf], [np.inf]])
    np.maximum.at(latest, by_session[timed], onset[timed])
    np.minimum.at(earliest, by_session[timed], onset[timed])
    clock = timed & (latest > earliest)[by_session]
    # By the file's clock where there is one, else by the time inside the trial.
    start = both["start_s"].to_numpy(dtype=np.float64)
    start = np.where(clock, start + np.where(clock, onset, 0.0), start)
    group = np.where(clock, by_session, by_session.max() + 1 + by_trial)
    usable = np.isfinite(start)
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


def _known(column: pd.Series) -> tuple[dict[str, None], int]:
    """The different names of a column in order of first appearance, and how many are missing."""
    counts: dict[object, int] = {}
    for value in column.tolist():
        counts[value] = counts.get(value, 0) + 1
    missing = [value for value in counts if pd.isna(value)]  # type: ignore[call-overload]
    unknown = sum(counts.pop(value) for value in missing)
    return dict.fromkeys(map(str, counts)), unknown


def _shared_stimuli(
    level: str, seen: list[pd.DataFrame], test: pd.DataFrame, required: bool
) -> Check:
    if level not in test:
        return Check(level, not required, 0, required, f"the {level} of the tests is not known")
    mine, unknown = _known(test[level])
    theirs: set[str] = set()
    for table in seen:
        names, lacking = _known(table[level])
        theirs.update(names)
        unknown += lacking
    both = [name for name in mine if name in theirs]
    parts = [
        f"{len(both)} of {len(mine)} tested at this level also train"
        + (f", for example {', '.join(both[:3])}" if len(both) else "")
    ]
    if unknown:
        parts.append(f"not known for {unknown} trials")
    failed = required and (len(both) > 0 or unknown > 0)
    return Check(level, not failed, len(both), required, "; ".join(parts))


def seen_by_records(
    name: str, what: str, records: tuple[ScalerRecord, ...], test: pd.DataFrame, required: bool
) -> Check:
    """Tell how many tested windows a scaler, an aligner or a selector was fitted on.

    Parameters
    ----------
    name : str
        Of the check.
    what : str
        What was fitted, for the words: "scaler".
    records : tuple of ScalerRecord
        What each of them saw.
    test : DataFrame
        The tested windows, with their `id`.
    required : bool
        Whether the protocol promises that there is none.

    Returns
    -------
    Check
        Fails too where something was fitted and left no record of its rows.
    """
    if not records:
        return Check(name, True, 0, required, f"no {what} was fitted")
    if "id" not in test:
        return Check(name, True, 0, required, "identifiers of windows are not stored")
    fitted = np.concatenate([record.ids for record in records])
    count = int(found_in(test["id"].to_numpy(dtype=np.uint64), fitted).sum())
    blind = [record for record in records if record.n_rows and not len(record.ids)]
    detail = f"{count} of {len(test)} tested windows were seen by one of {len(records)} {what}s"
    if blind:
        detail += f"; {len(blind)} {what}s left no record of their rows"
    if not required and count:
        detail += " (the protocol is named transductive)"
    return Check(name, not (required and (count or blind)), count, required, detail)
