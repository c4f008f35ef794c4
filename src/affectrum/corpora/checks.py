"""What a check looks at beyond one reader's files: signals, completeness, mistaken corpora."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from affectrum.corpora.folders import find_file
from affectrum.corpora.problems import CheckReport, ProblemLog
from affectrum.errors import FileFormatError

if TYPE_CHECKING:
    from affectrum.corpora.base import Corpus
    from affectrum.corpora.table import TrialHeader

__all__ = ["explain_missing", "report"]

# Interquartile range of scalp EEG in volts: tens of microvolts, after narrow filters less, with
# loose electrodes some hundreds. Far beyond these bounds the unit was mistaken.
_PLAUSIBLE_V: Final = (5e-7, 5e-4)
_POSSIBLE_V: Final = (1e-8, 1e-2)

# What stands on top of every BIDS data set; which of them it is, a mapping has to say.
_BIDS_FILE: Final = "dataset_description.json"
_BIDS: Final = "BIDS"


def explain_missing(corpus: Corpus, log: ProblemLog) -> None:
    """Add the error for a folder that does not hold the corpus (or not the form asked for).

    Parameters
    ----------
    corpus : Corpus
        The reader that found nothing.
    log : ProblemLog
        Receives the error.
    """
    folder, name = corpus.folder, corpus.name
    expected = f"Expected:\n{corpus.facts.expected_folder}"
    if not folder.exists():
        parent = folder.absolute().parent
        hint = "" if parent.exists() else f" ({parent} does not exist either)"
        log.error(".", f"there is no folder {folder}{hint}.", "Check the path.")
        return
    if not folder.is_dir():
        log.error(".", f"{folder} is a file.", f"Pass the {name} folder itself. {expected}")
        return
    present = [form for form in corpus.forms if form in corpus._roots]
    if present:
        log.error(
            ".",
            f"the form {corpus.form!r} is not there, only {', '.join(present)}.",
            f"Use form={present[0]!r} or form='auto'.",
        )
        return
    other = _recognise(folder, name)
    if other:
        log.error(
            ".",
            f"this looks like {other}, not {name}.",
            f"Open it as {other}, or pass the {name} folder. {expected}",
        )
        return
    entries = sorted(entry.name for entry in folder.iterdir())[:8] if _listable(folder) else []
    log.error(
        ".",
        f"no {name} data in this folder or two levels below; it holds "
        f"{', '.join(entries) if entries else 'nothing that can be listed'}.",
        expected,
    )


def _listable(folder: Path) -> bool:
    try:
        next(folder.iterdir(), None)
    except OSError:
        return False
    return True


def _recognise(folder: Path, name: str) -> str | None:
    from affectrum.corpora import registry

    for other in registry.names():
        if other != name and registry.reader(other).find_forms(folder):
            return other
    if name != _BIDS and find_file(folder, _BIDS_FILE, depth=1) is not None:
        return _BIDS
    return None


def report(corpus: Corpus, *, deep: bool) -> CheckReport:
    """Examine a corpus that was opened without `strict`.

    Parameters
    ----------
    corpus : Corpus
        The corpus.
    deep : bool
        Read all trials instead of one per file.

    Returns
    -------
    CheckReport
        Everything that was found.
    """
    log = ProblemLog(list(corpus._log.problems))
    found: dict[str, Any] = {"form": corpus.form or "none"}
    if corpus._headers:
        _completeness(corpus, log)
        n_read = (
            _signals(corpus, log, deep)
            if corpus.form in corpus.signal_forms
            else _features(corpus, log, deep)
        )
        found |= _summary(corpus) | {"trials_read": n_read}
    found["simulated"] = corpus.simulated
    return CheckReport(corpus.name, str(corpus.folder), not log.errors, found, log.problems)


def _summary(corpus: Corpus) -> dict[str, Any]:
    headers = corpus._headers
    return {
        "other_forms": [f for f in corpus.forms if f in corpus._roots and f != corpus.form],
        "subjects": len({h.subject for h in headers}),
        "subjects_expected": corpus.facts.n_subjects,
        "sessions": len({(h.subject, h.session) for h in headers}),
        "trials": len(headers),
        "trials_expected": corpus.facts.n_subjects * sum(corpus.facts.trials_per_session),
        "hours": sum(h.duration_s for h in headers) / 3600,
        "files": len({h.file for h in headers}),
        "features": list(corpus.feature_names),
    }


def _completeness(corpus: Corpus, log: ProblemLog) -> None:
    facts = corpus.facts
    if facts.trials_vary:
        return
    per_session = Counter((h.subject, h.session) for h in corpus._headers)
    subjects = {subject for subject, _ in per_session}
    copy = "Copy them from the vendor's archive, or go on without."
    missing = [s for s in range(1, facts.n_subjects + 1) if s not in subjects]
    if missing:
        log.warning(
            ".",
            f"{len(missing)} of {facts.n_subjects} subjects are missing: {_list(missing)}.",
            copy,
        )
    for subject in sorted(subjects):
        absent = [s for s in range(1, facts.n_sessions + 1) if (subject, s) not in per_session]
        if absent:
            log.warning(".", f"subject {subject} lacks session {_list(absent)}.", copy)
    for (subject, session), count in sorted(per_session.items()):
        expected = facts.trials_per_session[session - 1]
        if count < expected:
            rows = {h.row for h in corpus._headers if (h.subject, h.session) == (subject, session)}
            absent = [
                row
                for row in range(1, expected + 1)
                if row not in rows and (subject, session, row) not in corpus._left_out
            ]
            if not absent:
                continue
            log.warning(
                next(
                    h.file for h in corpus._headers if (h.subject, h.session) == (subject, session)
                ),
                f"subject {subject}, session {session}: {count} of {expected} trials; "
                f"row {_list(absent)} missing.",
                copy,
            )


def _list(numbers: list[int]) -> str:
    shown = ", ".join(str(number) for number in numbers[:12])
    return shown + (" ..." if len(numbers) > 12 else "")


def _chosen(corpus: Corpus, deep: bool) -> dict[str, list[TrialHeader]]:
    """Return the trials to read by file: all, or one per file, not always the same one."""
    by_file: dict[str, list[TrialHeader]] = {}
    for header in corpus._headers:
        by_file.setdefault(header.file, []).append(header)
    if deep:
        return by_file
    return {
        file: [headers[position % len(headers)]]
        for position, (file, headers) in enumerate(by_file.items())
    }


def _signals(corpus: Corpus, log: ProblemLog, deep: bool) -> int:
    n_read = 0
    for file, headers in _chosen(corpus, deep).items():
        try:
            with corpus._open(corpus.folder / file) as handle:
                for header in headers:
                    whole, _ = corpus._checked(handle, header)
                    where = f"{file} {header.key}"
                    _look_at(whole, where, corpus.channels, log, corpus.gaps_known)
                    n_read += 1
        except FileFormatError as error:
            log.error(file, str(error), "Copy the file again, or move it away to go on without.")
    return n_read


def _look_at(
    x: np.ndarray[Any, Any],
    where: str,
    channels: tuple[str, ...],
    log: ProblemLog,
    gaps_known: bool,
) -> None:
    finite = np.isfinite(x)
    if not finite.all():
        bad = [channels[i] for i in np.flatnonzero(~finite.all(axis=1))]
        what = (
            f"{int((~finite).sum())} samples are NaN or infinite (channels {', '.join(bad[:6])})."
        )
        if gaps_known:
            log.warning(where, what, "Windows that hold such samples are left out.")
        else:
            log.error(where, what, "Copy the file again; vendor files have no such values.")
        return
    flat = x.max(axis=1) == x.min(axis=1)
    if flat.all():
        log.error(where, "all channels are flat.", "Copy the file again.")
        return
    if flat.any():
        names = ", ".join(channels[i] for i in np.flatnonzero(flat))
        log.warning(where, f"flat electrodes: {names}.", "Leave them out or interpolate them.")
    low, high = np.percentile(x[~flat], [25, 75], axis=1)
    spread = float(np.median(high - low))
    if not _POSSIBLE_V[0] < spread < _POSSIBLE_V[1]:
        log.error(
            where,
            f"the signals vary by {spread:.2g} V (interquartile range): no EEG does. The unit of "
            "the numbers is not the vendor's.",
            "Use the vendor's own files; if they were converted, undo the scaling.",
        )
    elif not _PLAUSIBLE_V[0] < spread < _PLAUSIBLE_V[1]:
        log.warning(
            where,
            f"the signals vary by {spread:.2g} V (interquartile range), unusual for EEG.",
            "Look at the recording, and at the unit if the file was converted.",
        )


def _features(corpus: Corpus, log: ProblemLog, deep: bool) -> int:
    n_read = 0
    names = corpus.feature_names if deep else corpus.feature_names[:1]
    for file, headers in _chosen(corpus, deep).items():
        for header in headers:
            for name in names:
                try:
                    x = corpus._read_feature(header, name)
                except FileFormatError as error:
                    log.error(file, str(error), "Copy the file again.")
                    continue
                if not np.isfinite(x).all():
                    log.error(
                        f"{file} {name} of row {header.row}",
                        f"{int((~np.isfinite(x)).sum())} values are NaN or infinite.",
                        "Copy the file again.",
                    )
            n_read += 1
    return n_read
