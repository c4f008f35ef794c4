"""What all corpus readers share: choosing the form, the trial table, reading, checking."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from affectrum import catalog
from affectrum.catalog import CorpusFacts
from affectrum.corpora import checks
from affectrum.corpora.cache import FileCache, digest_file
from affectrum.corpora.folders import is_simulated, relative
from affectrum.corpora.options import ReaderOptions, make_options
from affectrum.corpora.problems import CheckReport, ProblemLog
from affectrum.corpora.table import TrialHeader, build
from affectrum.errors import ConfigError, FileFormatError, FolderError, check_option

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Corpus", "FeatureInfo"]


@dataclass(frozen=True, kw_only=True)
class FeatureInfo:
    """A shipped feature.

    Parameters
    ----------
    name : str
        The name that `Corpus.read_features` takes.
    window_s : float
        Length of a window in seconds; windows do not overlap.
    bands : tuple of str
        Names of the bands, in the order of the last axis.
    scale : str
        What is known of the numbers' scale.
    """

    name: str
    window_s: float
    bands: tuple[str, ...]
    scale: str


class Corpus(ABC):
    """A corpus folder; made by `affectrum.open_corpus`.

    Parameters
    ----------
    folder : path
        The vendor's folder.
    table : str
        The valence-arousal table for `trials`, see `affectrum.affect`.
    form : str
        One of `forms`, or "auto" for the first of them that is there.
    strict : bool
        Raise if the folder is not usable; `check_folder` passes False.
    options : ReaderOptions, mapping, path or None
        What the reader has to be told (see `Options` of the reader), or a YAML file with it.

    Attributes
    ----------
    facts : CorpusFacts
        What is known about the corpus without its files.
    options : ReaderOptions
        What the reader was told.
    form : str
        Which of `forms` is read.
    channels : tuple of str
        Canonical electrode names, in the order of the first axis of `read`.
    simulated : bool
        Whether SIMULATED.txt marks the folder.

    Raises
    ------
    FolderError
        The folder is not usable; the message lists every fault and its mending.
    """

    name: ClassVar[str]
    forms: ClassVar[tuple[str, ...]]
    """Forms of the corpus that can be read, the preferred one first."""
    signal_forms: ClassVar[tuple[str, ...]]
    """Those of them that hold signals."""
    reader_version: ClassVar[str] = "1"
    """Rises when the reader returns something else for the same files."""
    gaps_known: ClassVar[bool] = False
    """Whether the vendor's own files have samples that are NaN: then a check warns of them."""
    Options: ClassVar[type[ReaderOptions]] = ReaderOptions
    """What the reader can be told; most readers have nothing to ask."""

    def __init__(
        self,
        folder: str | Path,
        *,
        table: str = "emod",
        form: str = "auto",
        strict: bool = True,
        options: ReaderOptions | Mapping[str, Any] | str | Path | None = None,
    ) -> None:
        check_option("form", form, ("auto", *self.forms))
        self.options = make_options(self.Options, options, self.name)
        self.folder = Path(folder)
        self.facts = self._find_facts()
        self.channels = self.facts.electrodes
        self._table = table
        told = json.dumps(self.options.identity(), sort_keys=True)
        self._cache = FileCache(self.folder, f"{self.name} {self.reader_version} {told}")
        self._frame: pd.DataFrame | None = None
        self._log = ProblemLog()
        self._roots = self.find_forms(self.folder) if self.folder.is_dir() else {}
        present = [name for name in self.forms if name in self._roots]
        self.form = form if form != "auto" else (present[0] if present else "")
        self.simulated = is_simulated(self.folder, self._roots.values())
        self._headers: list[TrialHeader] = []
        # (subject, session, row) that a reader left out and explained: a check does not miss them
        self._left_out: set[tuple[int, int, int]] = set()
        if self.form in self._roots:
            self._headers = self._scan(self._roots[self.form], self._log)
            self._cache.save()
            if not self._headers:
                self._log.error(
                    relative(self._roots[self.form], self.folder),
                    "no trial can be read.",
                    f"Expected:\n{self.facts.expected_folder}",
                )
        else:
            checks.explain_missing(self, self._log)
        if strict and self._log.errors:
            raise FolderError(
                f"{self.folder} can't be read as {self.name}. "
                f'`affectrum check {self.name} "{self.folder}"` explains it in full.',
                [str(problem) for problem in self._log.errors],
            )

    # what a reader provides

    def _find_facts(self) -> CorpusFacts:
        """Return what is known about the corpus; most readers find it in the catalogue."""
        return catalog.get(self.name)

    @classmethod
    @abstractmethod
    def find_forms(cls, folder: Path) -> dict[str, Path]:
        """Return the folder of each form that is there.

        Parameters
        ----------
        folder : Path
            An existing folder.

        Returns
        -------
        dict of str to Path
            Form to folder; empty if it is not this corpus.
        """

    @abstractmethod
    def _scan(self, root: Path, log: ProblemLog) -> list[TrialHeader]:
        """Return the trials of one form, from headers alone; faults go to the log."""

    @abstractmethod
    def _open(self, path: Path) -> AbstractContextManager[Any]:
        """Open one file for `_signals`; what it decodes for several trials, it decodes once."""

    @abstractmethod
    def _signals(self, handle: Any, header: TrialHeader) -> tuple[np.ndarray[Any, Any], int]:
        """Return one trial in volts with what lies before the stimulus, and the samples of that."""

    # what everybody uses

    @property
    def trials(self) -> pd.DataFrame:
        """The trial table, see `affectrum.corpora.COLUMNS`; each access returns a copy."""
        if self._frame is None:
            self._frame = build(
                self._headers, self.facts, table=self._table, simulated=self.simulated
            )
        return self._frame.copy()

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of shipped features that `read_features` reads; empty if there are none."""
        return tuple(self._features())

    def feature_info(self, name: str) -> FeatureInfo:
        """Return window, bands and scale of a shipped feature.

        Raises
        ------
        ConfigError
            If there is no such feature here.
        """
        features = self._features()
        if not features:
            raise ConfigError(
                f"{self.folder}: the {self.form} form of {self.name} has no features."
            )
        return features[check_option("name", name, tuple(features))]

    def _features(self) -> dict[str, FeatureInfo]:
        return {}

    def read(self, trial: pd.Series | Mapping[str, Any]) -> np.ndarray[Any, Any]:
        """Read the stimulus part of one trial.

        Parameters
        ----------
        trial : Series
            A row of `trials`.

        Returns
        -------
        ndarray, shape (n_channels, n_samples)
            Volts, float64, channels in the order of `channels`.

        Raises
        ------
        FileFormatError
            The file changed or is damaged.
        ConfigError
            The row is not of this corpus, or the form holds no signals.
        """
        whole, n_before = self._read_whole(self._header(trial))
        return whole[:, n_before:]

    def read_baseline(self, trial: pd.Series | Mapping[str, Any]) -> np.ndarray[Any, Any] | None:
        """Read what the corpus recorded right before the stimulus.

        Parameters
        ----------
        trial : Series
            A row of `trials`.

        Returns
        -------
        ndarray, shape (n_channels, n_samples), or None
            Volts, float64; None where the corpus has no baseline.

        Raises
        ------
        FileFormatError, ConfigError
            As `read`.
        """
        header = self._header(trial)
        if not self.facts.baseline_s:
            return None
        whole, n_before = self._read_whole(header)
        return whole[:, :n_before] if n_before else None

    def read_features(
        self, trial: pd.Series | Mapping[str, Any], name: str
    ) -> np.ndarray[Any, Any]:
        """Read a shipped feature of one trial.

        Parameters
        ----------
        trial : Series
            A row of `trials`.
        name : str
            One of `feature_names`.

        Returns
        -------
        ndarray, shape (n_windows, n_channels, n_bands)
            float64, on the vendor's scale (`feature_info`).

        Raises
        ------
        ConfigError
            The row is not of this corpus, or it ships no such feature.
        FileFormatError
            The file is missing or damaged.
        """
        self.feature_info(name)
        return self._read_feature(self._header(trial), name)

    def _read_feature(self, header: TrialHeader, name: str) -> np.ndarray[Any, Any]:
        raise NotImplementedError

    def iter_trials(
        self, rows: pd.DataFrame | np.ndarray[Any, Any] | None = None
    ) -> Iterator[tuple[pd.Series, np.ndarray[Any, Any]]]:
        """Yield (row, signals) with one trial in memory at a time and each file decoded once.

        Parameters
        ----------
        rows : DataFrame or ndarray, optional
            Rows of `trials`, or positions or a mask into it; all by default. Trials of one file
            come together, files in the order in which they first occur.

        Yields
        ------
        Series, ndarray of shape (n_channels, n_samples)
            As `read`.

        Raises
        ------
        FileFormatError, ConfigError
            As `read`.
        """
        import pandas as pd

        self._require_signals()
        if rows is None:
            wanted = self.trials
        elif isinstance(rows, pd.DataFrame):
            wanted = rows
        else:
            wanted = (
                self.trials.loc[rows] if np.asarray(rows).dtype == bool else self.trials.iloc[rows]
            )
        for file, part in wanted.groupby("file", sort=False):
            with self._open(self.folder / str(file)) as handle:
                for _, trial in part.iterrows():
                    whole, n_before = self._checked(handle, self._header(trial))
                    yield trial, whole[:, n_before:]

    def fingerprint(self, file: str) -> str:
        """Return the digest of a file's content.

        Parameters
        ----------
        file : str
            A value of the table's ``file`` column.

        Returns
        -------
        str
            BLAKE2b-256, hexadecimal; cached by path, size and time of change.

        Raises
        ------
        FileFormatError
            The file can't be read.
        """
        path = self.folder / file
        try:
            digest = self._cache.get(path, "digest", digest_file)
        except OSError as error:
            raise FileFormatError(f"{path}: can't be read ({error.strerror or error}).") from None
        self._cache.save()
        return str(digest)

    def check(self, *, deep: bool = False) -> CheckReport:
        """Examine the folder as it is now.

        Parameters
        ----------
        deep : bool
            Read the signals of all trials instead of one trial per file.

        Returns
        -------
        CheckReport
            What is there and what is wrong.
        """
        fresh = type(self)(
            self.folder,
            table=self._table,
            form=self.form or "auto",
            strict=False,
            options=self.options,
        )
        return checks.report(fresh, deep=deep)

    def __repr__(self) -> str:
        return f"<{self.name} ({self.form}) in {self.folder}: {len(self._headers)} trials>"

    # inside

    def _header(self, trial: pd.Series | Mapping[str, Any]) -> TrialHeader:
        if not hasattr(self, "_by_place"):
            self._by_place = {(h.file, h.key): h for h in self._headers}
        try:
            return self._by_place[(str(trial["file"]), str(trial["key"]))]
        except (KeyError, TypeError, IndexError):
            raise ConfigError(
                f"Invalid value for 'trial': expected a row of this corpus's `trials` "
                f"({self.name} in {self.folder}), received {trial!r:.200}."
            ) from None

    def _require_signals(self) -> None:
        if self.form not in self.signal_forms:
            raise ConfigError(
                f"{self.folder}: the form {self.form!r} of {self.name} holds features, no signals. "
                f"Use read_features, or a folder with the form {' or '.join(self.signal_forms)}."
            )

    def _read_whole(self, header: TrialHeader) -> tuple[np.ndarray[Any, Any], int]:
        self._require_signals()
        with self._open(self.folder / header.file) as handle:
            return self._checked(handle, header)

    def _checked(self, handle: Any, header: TrialHeader) -> tuple[np.ndarray[Any, Any], int]:
        with np.errstate(invalid="ignore"):  # damaged numbers stay so; a check tells of them
            whole, n_before = self._signals(handle, header)
        expected = round(header.duration_s * header.sfreq)
        if whole.shape != (len(self.channels), n_before + expected):
            raise FileFormatError(
                f"{self.folder / header.file}: {header.key} has shape {whole.shape}, its header "
                f"promised {(len(self.channels), n_before + expected)}. Open the corpus again; if "
                "that does not help, copy the file again."
            )
        return whole, n_before
