"""From a corpus's name to its files on disk."""

from __future__ import annotations

import fnmatch
import json
import shutil
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from affectrum import catalog
from affectrum.downloads.bucket import BUCKET, RemoteFile, list_files
from affectrum.downloads.fetch import PARTS, check_content, fetch
from affectrum.errors import ConfigError, DownloadError, did_you_mean

__all__ = ["DownloadPlan", "DownloadReport", "download", "open_corpora", "plan_download"]

Progress = Callable[[float, float, str], None]

LEDGER: Final = ".affectrum-download.json"
# A second run reads no file again that was checked and has not been touched since.
_LEDGER_EVERY: Final = 25


def open_corpora() -> tuple[str, ...]:
    """Return the corpora that everybody may fetch, in the catalogue's order."""
    return tuple(name for name in catalog.names() if catalog.get(name).openneuro)


@dataclass(frozen=True)
class DownloadPlan:
    """What would be fetched.

    Parameters
    ----------
    corpus : str
        The corpus.
    dataset : str
        Accession number of the data set.
    folder : Path
        Where its files go.
    files : tuple of RemoteFile
        The chosen files.
    subjects : tuple of str
        Labels of all subjects of the data set, whether chosen or not.
    """

    corpus: str
    dataset: str
    folder: Path
    files: tuple[RemoteFile, ...]
    subjects: tuple[str, ...]

    @property
    def n_bytes(self) -> int:
        """Size of the chosen files."""
        return sum(file.size for file in self.files)

    def missing(self) -> tuple[RemoteFile, ...]:
        """Return the files that are not there in their size (the content is not looked at)."""
        return tuple(file for file in self.files if _size(self.folder / file.path) != file.size)

    def by_subject(self) -> dict[str, tuple[RemoteFile, ...]]:
        """Return the chosen files by subject; under "" what belongs to none."""
        groups: dict[str, list[RemoteFile]] = {}
        for file in self.files:
            groups.setdefault(file.subject, []).append(file)
        return {label: tuple(groups[label]) for label in sorted(groups)}


@dataclass
class DownloadReport:
    """What was done.

    Attributes
    ----------
    folder : Path
        The corpus's folder.
    fetched, kept : int
        Files that came, and files that were there already.
    n_bytes : int
        Bytes that came.
    checked : dict of str to int
        Kind of check (keys of `affectrum.downloads.fetch.CHECKED`) -> files.
    version : str
        What the data set's own description says of its version, empty if it says nothing.
    """

    folder: Path
    fetched: int = 0
    kept: int = 0
    n_bytes: int = 0
    checked: dict[str, int] = field(default_factory=dict)
    version: str = ""


def plan_download(
    corpus: str,
    folder: str | Path,
    *,
    subjects: Sequence[str] | None = None,
    skip: Iterable[str] = (),
    base: str = BUCKET,
) -> DownloadPlan:
    """List what a download would fetch; nothing is written.

    Parameters
    ----------
    corpus : str
        One of `open_corpora`.
    folder : path
        Where the files go.
    subjects : sequence of str, optional
        Labels of subjects (``"01"`` or ``"sub-01"``); files of no subject always come. All by
        default.
    skip : iterable of str
        Patterns of paths to leave out, such as ``"derivatives/*"``.
    base : str
        Address of OpenNeuro's bucket or of a mirror.

    Returns
    -------
    DownloadPlan
        The files.

    Raises
    ------
    DownloadError
        If the corpus is not given out to everybody (the message says whom to ask), or the server
        can't be reached.
    FileFormatError
        If the server's listing is damaged.
    ConfigError
        If the corpus or a subject is not known.
    """
    facts = catalog.get(corpus)
    if facts.openneuro is None:
        raise DownloadError(
            f"{facts.name} can't be downloaded by this program. Licence: {facts.licence}. "
            f"Access: {facts.access}. Page: {facts.url}. Openly licensed are "
            f"{', '.join(open_corpora()) or 'none'}."
        )
    files = list_files(facts.openneuro, base)
    known = tuple(dict.fromkeys(file.subject for file in files if file.subject))
    if subjects is not None:
        wanted = {label.strip().removeprefix("sub-") for label in subjects}
        unknown = sorted(wanted - set(known))
        if unknown or not wanted:
            raise ConfigError(
                f"{facts.name} has no subject {', '.join(unknown) or '(none was named)'}. Its "
                f"subjects are {', '.join(known)}."
                + (did_you_mean(unknown[0], known) if unknown else "")
            )
        files = tuple(file for file in files if not file.subject or file.subject in wanted)
    patterns = tuple(skip)
    files = tuple(
        file
        for file in files
        if not any(fnmatch.fnmatchcase(file.path, pattern) for pattern in patterns)
    )
    return DownloadPlan(facts.name, facts.openneuro, Path(folder), files, known)


def download(
    plan: DownloadPlan,
    *,
    workers: int = 4,
    progress: Progress | None = None,
    attempts: int = 4,
    pause_s: float = 1.0,
) -> DownloadReport:
    """Fetch the files of a plan that are not there yet, and check each.

    Stop it at any moment; the same call goes on, also in the middle of a file. A file that is
    there but differs from the server's is fetched again and replaced when the new one is complete.

    Parameters
    ----------
    plan : DownloadPlan
        See `plan_download`.
    workers : int
        Files at a time.
    progress : callable, optional
        Receives (bytes done, bytes in all, file).
    attempts : int
        How often each file is tried.
    pause_s : float
        Seconds to wait after a first failure.

    Returns
    -------
    DownloadReport
        What was done.

    Raises
    ------
    DownloadError
        If the disk is too small, or some files could not be fetched; the others are complete.
    """
    plan.folder.mkdir(parents=True, exist_ok=True)
    report = DownloadReport(plan.folder)
    ledger = _read_ledger(plan.folder)
    wanted = [file for file in plan.files if not _is_done(file, plan.folder, ledger, report)]
    total = sum(file.size for file in wanted)
    free = shutil.disk_usage(plan.folder).free
    if total > free:
        raise DownloadError(
            f"{plan.corpus} needs {total / 1e9:.1f} GB more, but only {free / 1e9:.1f} GB are free "
            f"at {plan.folder}. Free some space, or choose subjects."
        )
    stop, lock = threading.Event(), threading.Lock()
    done = 0

    def tell(path: str, count: int) -> None:
        nonlocal done
        with lock:
            done += count
            if progress is not None:
                progress(done, total, path)

    faults: list[str] = []
    pool = ThreadPoolExecutor(max_workers=max(1, workers))
    try:
        jobs = {
            pool.submit(
                fetch,
                file,
                plan.folder,
                stop=stop,
                tell=partial(tell, file.path),
                attempts=attempts,
                pause_s=pause_s,
            ): file
            for file in wanted
        }
        for number, job in enumerate(as_completed(jobs), start=1):
            file = jobs[job]
            try:
                how = job.result()
            except DownloadError as error:
                faults.append(str(error))
                continue
            report.fetched += 1
            report.n_bytes += file.size
            _note(file, plan.folder, how, ledger, report)
            if number % _LEDGER_EVERY == 0:
                _write_ledger(plan.folder, ledger)
    finally:
        stop.set()  # also after Ctrl-C: the transfers under way end, their bytes stay
        pool.shutdown(wait=True, cancel_futures=True)
        _write_ledger(plan.folder, ledger)
    if faults:
        raise DownloadError(
            "\n".join(
                [
                    f"{len(faults)} of {len(wanted)} files of {plan.corpus} could not be fetched:",
                    *(f"  - {fault}" for fault in faults[:20]),
                ]
            )
        )
    shutil.rmtree(plan.folder / PARTS, ignore_errors=True)
    report.version = _version(plan.folder)
    return report


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else -1


def _is_done(
    file: RemoteFile, folder: Path, ledger: dict[str, Any], report: DownloadReport
) -> bool:
    """Whether the file is there with the server's content; what was checked stays checked."""
    path = folder / file.path
    if _size(path) != file.size:
        return False
    known = ledger.get(file.path)
    stamp = [file.size, file.etag, path.stat().st_mtime_ns]
    if isinstance(known, list) and known[:3] == stamp and len(known) == 4:
        how: str | None = str(known[3])
    else:
        how = check_content(path, file)
    if how is None:
        return False
    report.kept += 1
    _note(file, folder, how, ledger, report)
    return True


def _note(
    file: RemoteFile, folder: Path, how: str, ledger: dict[str, Any], report: DownloadReport
) -> None:
    modified = (folder / file.path).stat().st_mtime_ns
    ledger[file.path] = [file.size, file.etag, modified, how]
    report.checked[how] = report.checked.get(how, 0) + 1


def _read_ledger(folder: Path) -> dict[str, Any]:
    try:
        content = json.loads((folder / LEDGER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # it only saves time: without it, files are read and compared again
    return content if isinstance(content, dict) else {}


def _write_ledger(folder: Path, ledger: dict[str, Any]) -> None:
    place = folder / LEDGER
    fresh = place.with_suffix(".new")
    fresh.write_text(json.dumps(ledger, indent=0, sort_keys=True), encoding="utf-8")
    fresh.replace(place)


def _version(folder: Path) -> str:
    """Return the version that the data set's description tells, by its DOI."""
    try:
        text = (folder / "dataset_description.json").read_text(encoding="utf-8")
        described = json.loads(text)
    except (OSError, ValueError):
        return ""
    doi = described.get("DatasetDOI") if isinstance(described, dict) else None
    return str(doi)[:200] if doi else ""
