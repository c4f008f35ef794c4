"""SEED: three sessions of the same 15 clips, preprocessed signals or extracted features."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from affectrum.catalog import seed as catalogued
from affectrum.corpora.folders import find_folders, matching_files, relative
from affectrum.corpora.problems import ProblemLog
from affectrum.corpora.seed_family import FILE_NAME, SeedFamilyCorpus, subject_files
from affectrum.corpora.table import TrialHeader
from affectrum.errors import FileFormatError
from affectrum.recordings import mat

__all__ = ["READER", "SeedCorpus"]

_SIGNALS = "Preprocessed_EEG"
_FEATURES = {"ExtractedFeatures_1s": 1.0, "ExtractedFeatures": 1.0, "ExtractedFeatures_4s": 4.0}
_COMPANIONS = ("label.mat", "readme.txt", "channel-order.xlsx", "Channel Order.xlsx")
_FOUR_SECONDS = "@4s"


class SeedCorpus(SeedFamilyCorpus):
    """Reader of SEED; see `Corpus`.

    A session's number is in no file name. It is the catalogue's for the vendor's file names, and
    the order of the subject's dates for others.
    """

    name = "SEED"
    forms = ("preprocessed", "features")
    signal_forms = ("preprocessed",)
    feature_variables = catalogued.FEATURES

    @classmethod
    def find_forms(cls, folder: Path) -> dict[str, Path]:
        """See `Corpus.find_forms`."""
        found = find_folders(folder, (_SIGNALS, *_FEATURES))
        forms = {}
        if _SIGNALS in found:
            forms["preprocessed"] = found[_SIGNALS]
        for name in _FEATURES:
            if name in found:
                forms.setdefault("features", found[name])
        if not forms and subject_files(folder):
            kind = _kind_of(subject_files(folder)[0])
            if kind:
                forms[kind] = folder
        return forms

    def _feature_roots(self) -> dict[str, tuple[Path, float]]:
        found = find_folders(self.folder, _FEATURES)
        roots: dict[str, tuple[Path, float]] = {}
        for name, window_s in _FEATURES.items():
            if name in found:
                suffix = "" if window_s == 1.0 else _FOUR_SECONDS
                roots.setdefault(suffix, (found[name], window_s))
        if not roots and "features" in self._roots:
            roots[""] = (self._roots["features"], 1.0)
        return roots

    def _scan(self, root: Path, log: ProblemLog) -> list[TrialHeader]:
        by_subject: dict[int, list[tuple[str, Path]]] = {}
        for match, path in matching_files(root, FILE_NAME, log, self.folder, _COMPANIONS):
            by_subject.setdefault(int(match["subject"]), []).append((match["date"], path))
        files = []
        for subject, dated in sorted(by_subject.items()):
            where = relative(root, self.folder)
            if not 1 <= subject <= self.facts.n_subjects:
                log.error(
                    where,
                    f"subject {subject}: SEED has {self.facts.n_subjects} subjects.",
                    "Is it another corpus? Move the file away.",
                )
                continue
            if len(dated) > self.facts.n_sessions:
                names = ", ".join(path.name for _, path in sorted(dated))
                log.error(
                    where,
                    f"subject {subject} has {len(dated)} files ({names}), expected "
                    f"{self.facts.n_sessions}.",
                    "Move the superfluous ones away.",
                )
                continue
            files += self._sessions(subject, sorted(dated), log)
        self._check_labels(root, log)
        return self._scan_files(files, log)

    def _sessions(
        self, subject: int, dated: list[tuple[str, Path]], log: ProblemLog
    ) -> list[tuple[int, int, Path]]:
        official = {
            names[subject - 1]: session for session, names in enumerate(catalogued.FILES, 1)
        }
        if all(path.stem in official for _, path in dated):
            return [(subject, official[path.stem], path) for _, path in dated]
        if len(dated) < self.facts.n_sessions:
            log.warning(
                relative(dated[0][1].parent, self.folder),
                f"subject {subject} has {len(dated)} files whose dates are not the published ones: "
                "their sessions were counted in the order of the dates, but one may be missing.",
                "Keep the vendor's file names.",
            )
        return [(subject, session, path) for session, (_, path) in enumerate(dated, 1)]

    def _check_labels(self, root: Path, log: ProblemLog) -> None:
        path = root / "label.mat"
        where = relative(path, self.folder)
        if not path.exists():
            log.note(where, "missing; the labels come from the catalogue anyway.")
            return
        try:
            values = mat.load(path, ["label"])["label"].ravel()
        except FileFormatError as error:
            log.warning(where, str(error), "Copy it again; the catalogue's labels are used.")
            return
        if not np.array_equal(values, catalogued.LABELS):
            log.error(
                where,
                f"its labels {values.tolist()} are not SEED's published {list(catalogued.LABELS)}.",
                "Is it another corpus's file, or recoded? Restore the vendor's label.mat.",
            )


def _kind_of(path: Path) -> str | None:
    """Return which form a file has, or None if it is not SEED's."""
    try:
        names = list(mat.list_variables(path))
    except FileFormatError:
        return None
    n_signals = sum("_eeg" in name for name in names)
    if n_signals and not any(name.endswith("_eeg16") for name in names):
        return "preprocessed"
    return "features" if "dasm_LDS1" in names else None


READER = SeedCorpus
