"""What the SEED corpora's .mat files have in common.

One file per subject and session, named ``{subject}_{yyyymmdd}.mat``; signals in variables
``{initials}_eeg{n}``, features in variables ``{feature}{n}``, always (62, samples or windows ...).

First sample: trials have whole seconds times 200 and one more sample. The first one is dropped
wherever the count is one more than whole seconds, so that windows fit; nothing else is cut.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np

from affectrum.corpora.base import Corpus, FeatureInfo
from affectrum.corpora.folders import file_names, relative
from affectrum.corpora.problems import ProblemLog
from affectrum.corpora.table import TrialHeader
from affectrum.corpora.units import VOLTS_PER
from affectrum.errors import FileFormatError
from affectrum.recordings import mat

__all__ = ["FILE_NAME", "SeedFamilyCorpus", "subject_files"]

FILE_NAME: Final = re.compile(r"(?P<subject>\d{1,3})_(?P<date>\d{8})\.mat", re.IGNORECASE)
_SIGNAL: Final = re.compile(r"(?P<initials>.+?)_eeg(?P<row>\d+)")
_AGAIN: Final = "Copy the file again from the vendor's archive, or move it away to go on without."
BANDS: Final = ("delta", "theta", "alpha", "beta", "gamma")
_SCALE: Final = "the vendor's own, not nats: standardise before mixing with computed features"


def subject_files(folder: Path) -> list[Path]:
    """Return files named like the SEED corpora's in one folder."""
    return [folder / name for name in file_names(folder) if FILE_NAME.fullmatch(name)]


class SeedFamilyCorpus(Corpus):
    """A SEED corpus in .mat files; see `Corpus`."""

    feature_variables: ClassVar[tuple[str, ...]]
    """Variables of the feature files, without the trial's number."""

    def _feature_roots(self) -> dict[str, tuple[Path, float]]:
        """Return, for each suffix of feature names, its folder and window length in seconds."""
        raise NotImplementedError

    # trial tables

    def _scan_files(self, files: list[tuple[int, int, Path]], log: ProblemLog) -> list[TrialHeader]:
        """Return the trials of (subject, session, path)."""
        headers: list[TrialHeader] = []
        for subject, session, path in files:
            where = relative(path, self.folder)
            try:
                variables = self._cache.get(path, "variables", _variables)
            except FileFormatError as error:
                log.error(where, str(error), _AGAIN)
                continue
            if self.form in self.signal_forms:
                headers += self._signal_headers(subject, session, where, variables, log)
            else:
                headers += self._feature_headers(subject, session, where, variables, log)
        return headers

    def _signal_headers(
        self, subject: int, session: int, where: str, variables: Any, log: ProblemLog
    ) -> Iterator[TrialHeader]:
        n_rows = self.facts.trials_per_session[session - 1]
        matches = [(m, name) for name in variables if (m := _SIGNAL.fullmatch(name))]
        if not matches:
            log.error(
                where,
                f"no variable is called {{initials}}_eeg1 ...; it holds {_first(variables)}.",
                f"Pass {self.name}'s files of signals. " + _AGAIN,
            )
            return
        if len({match["initials"] for match, _ in matches}) > 1:
            log.error(where, "holds trials under different initials: files were merged.", _AGAIN)
            return
        n_channels = len(self.channels)
        for match, name in sorted(matches, key=lambda pair: int(pair[0]["row"])):
            row, (shape, kind) = int(match["row"]), variables[name]
            if not 1 <= row <= n_rows:
                log.error(
                    where,
                    f"{name}: {self.name} has {n_rows} trials in session {session}.",
                    "Is it a file of another corpus? " + _AGAIN,
                )
                continue
            if kind not in ("double", "single") or len(shape) != 2 or shape[0] != n_channels:
                hint = " (channels and samples are swapped)" if n_channels in shape[1:] else ""
                log.error(
                    where,
                    f"{name} is {kind} of shape {tuple(shape)}{hint}; expected double of "
                    f"({n_channels}, samples).",
                    _AGAIN,
                )
                continue
            n_samples = shape[1] - _n_dropped(shape[1], self.facts.sfreq)
            if n_samples < self.facts.sfreq:
                log.error(where, f"{name} is shorter than a second.", _AGAIN)
                continue
            self._compare_length(where, name, session, row, shape[1], log)
            yield TrialHeader(
                subject=subject,
                session=session,
                row=row,
                trial=row,
                clip_row=row,
                file=where,
                key=name,
                n_channels=n_channels,
                duration_s=n_samples / self.facts.sfreq,
                onset_s=(shape[1] - n_samples) / self.facts.sfreq,
                sfreq=self.facts.sfreq,
            )

    def _compare_length(
        self, where: str, name: str, session: int, row: int, n_samples: int, log: ProblemLog
    ) -> None:
        """Warn where a real file's trial is not as long as published; simulated ones may be."""
        duration = self.facts.clips[session - 1][row - 1].duration_s
        if self.simulated or duration is None:
            return
        published = self.facts.n_samples
        if published is not None:
            expected, tolerance = published[session - 1][row - 1], 1
        else:
            # known from windows of 4 s only
            expected, tolerance = round(duration * self.facts.sfreq), round(4 * self.facts.sfreq)
        if abs(n_samples - expected) > tolerance:
            log.warning(
                where,
                f"{name} has {n_samples} samples; {expected} are published.",
                "Was the file cut or resampled, or is it of another session?",
            )

    def _feature_headers(
        self, subject: int, session: int, where: str, variables: Any, log: ProblemLog
    ) -> Iterator[TrialHeader]:
        n_rows = self.facts.trials_per_session[session - 1]
        _, window_s = next(iter(self._feature_roots().values()))
        first = self.feature_variables[0]
        pattern = re.compile(rf"({'|'.join(self.feature_variables)})(\d+)")
        matches = [(m[1], int(m[2]), name) for name in variables if (m := pattern.fullmatch(name))]
        if not matches:
            log.error(
                where,
                f"no variable is called {first}1 ...; it holds {_first(variables)}.",
                f"Pass {self.name}'s files of features. " + _AGAIN,
            )
            return
        lengths: dict[int, set[int]] = {}
        complete: dict[int, set[str]] = {}
        for feature, row, name in matches:
            shape = variables[name][0]
            if len(shape) != 3 or shape[2] != len(BANDS) or shape[1] == 0:
                log.error(
                    where, f"{name} has shape {tuple(shape)}; expected (rows, windows, 5).", _AGAIN
                )
                continue
            if feature.startswith(("de_", "psd_")) and shape[0] != len(self.channels):
                log.error(
                    where,
                    f"{name} has {shape[0]} electrodes; expected {len(self.channels)}.",
                    _AGAIN,
                )
                continue
            lengths.setdefault(row, set()).add(shape[1])
            complete.setdefault(row, set()).add(feature)
        for row in sorted(lengths):
            lacking = [f for f in self.feature_variables if f not in complete[row]]
            if not 1 <= row <= n_rows:
                log.error(
                    where,
                    f"trial {row}: {self.name} has {n_rows} in session {session}.",
                    "Is it a file of another corpus? " + _AGAIN,
                )
                continue
            if len(lengths[row]) > 1:
                log.error(
                    where,
                    f"the features of trial {row} differ in their number of windows: "
                    f"{sorted(lengths[row])}.",
                    _AGAIN,
                )
                continue
            if lacking:
                log.warning(where, f"trial {row} lacks the features {', '.join(lacking)}.", _AGAIN)
            yield TrialHeader(
                subject=subject,
                session=session,
                row=row,
                trial=row,
                clip_row=row,
                file=where,
                key=f"trial {row}",
                n_channels=len(self.channels),
                duration_s=lengths[row].copy().pop() * window_s,
                onset_s=0.0,
                sfreq=np.nan,
            )

    # reading

    @contextmanager
    def _open(self, path: Path) -> Iterator[mat.MatFile]:
        with mat.MatFile(path) as file:
            yield file

    def _signals(
        self, handle: mat.MatFile, header: TrialHeader
    ) -> tuple[np.ndarray[Any, Any], int]:
        values = handle.read(header.key)
        volts = values[:, _n_dropped(values.shape[1], header.sfreq) :] * VOLTS_PER["uV"]
        return np.ascontiguousarray(volts, dtype=np.float64), 0

    def _features(self) -> dict[str, FeatureInfo]:
        return {
            f"{variable}{suffix}": FeatureInfo(
                name=f"{variable}{suffix}", window_s=window_s, bands=BANDS, scale=_SCALE
            )
            for suffix, (_, window_s) in self._feature_roots().items()
            for variable in self.feature_variables
        }

    def _read_feature(self, header: TrialHeader, name: str) -> np.ndarray[Any, Any]:
        variable, _, rest = name.partition("@")
        root, _ = self._feature_roots()["@" + rest if rest else ""]
        path = self._feature_file(root, header)
        with mat.MatFile(path) as file:
            values = file.read(f"{variable}{header.row}")
        if values.ndim != 3 or values.shape[2] != len(BANDS):
            raise FileFormatError(
                f"{path}: {variable}{header.row} has shape {values.shape}; expected (rows, "
                "windows, 5). Copy the file again."
            )
        # the file's axes are (electrodes, windows, bands)
        return np.ascontiguousarray(values.transpose(1, 0, 2), dtype=np.float64)

    def _feature_file(self, root: Path, header: TrialHeader) -> Path:
        path = self.folder / header.file
        if self.form not in self.signal_forms and root in path.parents:
            return path
        inside = path.relative_to(self._roots[self.form])
        return root / inside


def _variables(path: Path) -> dict[str, list[Any]]:
    return {name: [list(shape), kind] for name, (shape, kind) in mat.list_variables(path).items()}


def _n_dropped(n_samples: int, sfreq: float) -> int:
    return 1 if n_samples > 1 and n_samples % int(sfreq) == 1 else 0


def _first(variables: Any) -> str:
    names = list(variables)
    return (", ".join(names[:6]) + (" ..." if len(names) > 6 else "")) or "no variable"
