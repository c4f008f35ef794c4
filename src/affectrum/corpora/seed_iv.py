"""SEED-IV: three sessions of 24 clips each, signals or smoothed features."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

from affectrum.catalog import seed_iv as catalogued
from affectrum.corpora.folders import find_file, find_folders, matching_files, relative
from affectrum.corpora.problems import ProblemLog
from affectrum.corpora.seed_family import FILE_NAME, SeedFamilyCorpus
from affectrum.corpora.table import TrialHeader

__all__ = ["READER", "SeedIVCorpus"]

_FOLDERS = {"raw": "eeg_raw_data", "features": "eeg_feature_smooth"}
_WINDOW_S = 4.0
_LABELS = re.compile(r"session(?P<session>[1-3])_label\s*=\s*\[(?P<codes>[\d\s,;]*)\]", re.I)


class SeedIVCorpus(SeedFamilyCorpus):
    """Reader of SEED-IV; see `Corpus`.

    The folder 1, 2 or 3 is the session; dates are only compared with it. "Raw" signals are at
    200 Hz already.
    """

    name = "SEED-IV"
    forms = ("raw", "features")
    signal_forms = ("raw",)
    feature_variables = catalogued.FEATURES

    @classmethod
    def find_forms(cls, folder: Path) -> dict[str, Path]:
        """See `Corpus.find_forms`."""
        found = find_folders(folder, _FOLDERS.values())
        return {form: found[name] for form, name in _FOLDERS.items() if name in found}

    def _feature_roots(self) -> dict[str, tuple[Path, float]]:
        if "features" not in self._roots:
            return {}
        return {"": (self._roots["features"], _WINDOW_S)}

    def _scan(self, root: Path, log: ProblemLog) -> list[TrialHeader]:
        files: list[tuple[int, int, Path]] = []
        dates: dict[int, list[tuple[int, str]]] = {}
        matching_files(root, re.compile(r"[123]"), log, self.folder)
        for session in range(1, self.facts.n_sessions + 1):
            folder = root / str(session)
            where = relative(folder, self.folder)
            if not folder.is_dir():
                log.warning(
                    where,
                    f"the folder of session {session} is missing.",
                    "Copy it from the vendor's archive, or go on without.",
                )
                continue
            seen: dict[int, Path] = {}
            for match, path in matching_files(folder, FILE_NAME, log, self.folder):
                subject = int(match["subject"])
                if not 1 <= subject <= self.facts.n_subjects:
                    log.error(
                        where,
                        f"{path.name}: SEED-IV has {self.facts.n_subjects} subjects.",
                        "Move the file away.",
                    )
                elif subject in seen:
                    log.error(
                        where,
                        f"two files of subject {subject} in one session: "
                        f"{seen[subject].name}, {path.name}.",
                        "Leave the one that belongs to this session.",
                    )
                else:
                    seen[subject] = path
                    files.append((subject, session, path))
                    dates.setdefault(subject, []).append((session, match["date"]))
        for subject, dated in sorted(dates.items()):
            for (earlier, before), (later, after) in pairwise(dated):
                if before >= after:
                    log.warning(
                        relative(root, self.folder),
                        f"subject {subject}: session {later} is dated {after}, not after session "
                        f"{earlier} ({before}). The folder's number was taken.",
                        "Are the files in the vendor's folders?",
                    )
        self._check_labels(log)
        return self._scan_files(files, log)

    def _check_labels(self, log: ProblemLog) -> None:
        path = find_file(self.folder, "ReadMe.txt", depth=1)
        if path is None:
            log.note("ReadMe.txt", "missing; the labels come from the catalogue anyway.")
            return
        where = relative(path, self.folder)
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            log.warning(where, f"can't be read ({error.strerror}).", "Check its permissions.")
            return
        found = {
            int(match["session"]): [int(code) for code in re.findall(r"\d+", match["codes"])]
            for match in _LABELS.finditer(text)
        }
        for session in range(1, self.facts.n_sessions + 1):
            published = list(catalogued.LABELS[session - 1])
            if session not in found:
                log.note(where, f"names no labels for session {session}; the catalogue's are used.")
            elif found[session] != published:
                log.error(
                    where,
                    f"session {session}: its labels {found[session]} are not the published "
                    f"{published}.",
                    "Restore the vendor's ReadMe.txt; if it is the vendor's, report the change.",
                )


READER = SeedIVCorpus
