"""The windows of a plan's corpora, opened once, and their fingerprints."""

from __future__ import annotations

import hashlib
import weakref
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from affectrum.benchmark.places import CorpusPlace, place_of
from affectrum.benchmark.progress import ProgressCallback, ProgressEvent
from affectrum.errors import ConfigError, did_you_mean
from affectrum.protocols.contents import contents_of
from affectrum.protocols.identity import row_ids
from affectrum.windows import Windows

if TYPE_CHECKING:
    from affectrum.benchmark.plan import Plan

__all__ = ["PlanWindows", "WindowsLike", "windows_fingerprint"]

WindowsLike = Mapping[str, Windows] | Callable[[str, str], Windows]

_PRINTS: weakref.WeakKeyDictionary[Windows, str] = weakref.WeakKeyDictionary()


def windows_fingerprint(windows: Windows) -> str:
    """Digest of values, identifiers, labels and how the windows were made.

    Parameters
    ----------
    windows : Windows
        Any windows.

    Returns
    -------
    str
        32 hexadecimal characters, the same in every process; paths of files do not enter.
    """
    known = _PRINTS.get(windows)
    if known is not None:
        return known
    digest = hashlib.sha256()
    header = (
        windows.corpus,
        windows.kind,
        windows.channels,
        None if windows.bands is None else [str(band) for band in windows.bands],
        windows.sfreq,
        windows.recipe,
        windows.shape,
        windows.mask.tolist(),
    )
    digest.update(repr(header).encode())
    digest.update(contents_of(windows).tobytes())
    table = windows.table
    digest.update(row_ids(table).tobytes())
    digest.update(table["start_s"].to_numpy(dtype=np.float64).tobytes())
    for name in ("split", "artefact"):
        if name in table:
            digest.update(repr(table[name].tolist()).encode())
    trials = windows.trials()
    trials = trials[sorted(name for name in trials.columns if name not in ("file", "key"))]
    digest.update(trials.to_csv(index=False, lineterminator="\n").encode())
    _PRINTS[windows] = digest.hexdigest()[:32]
    return _PRINTS[windows]


class PlanWindows:
    """Open each (corpus, recipe) of a plan once.

    Parameters
    ----------
    plan : Plan
        The plan.
    given : mapping of str to Windows, callable (corpus, recipe) -> Windows, or None
        Ready windows; None opens the plan's corpora and prepares them in its store.
    workers : int
        For preparing.
    progress : callable, optional
        Receives "windows" events.
    """

    def __init__(
        self,
        plan: Plan,
        given: WindowsLike | None = None,
        *,
        workers: int = 1,
        progress: ProgressCallback | None = None,
    ) -> None:
        self.plan = plan
        self.given = given
        self.workers = workers
        self.progress = progress
        self._open: dict[tuple[str, str], Windows] = {}
        self._places: dict[str, CorpusPlace] | None = None

    def get(self, corpus: str, recipe: str) -> Windows:
        """Return the windows of a corpus.

        Raises
        ------
        ConfigError
            If the corpus is not given or has no folder.
        """
        key = (corpus, recipe)
        if key not in self._open:
            if self.progress is not None:
                self.progress(ProgressEvent("windows", message=f"{corpus}, recipe {recipe}"))
            self._open[key] = self._find(corpus, recipe)
        return self._open[key]

    def fingerprints(self) -> dict[tuple[str, str], str]:
        """Fingerprint of every (corpus, recipe) of the plan."""
        keys = dict.fromkeys(
            (corpus, task.recipe_of(corpus)) for task in self.plan.tasks for corpus in task.corpora
        )
        return {key: windows_fingerprint(self.get(*key)) for key in keys}

    def _find(self, corpus: str, recipe: str) -> Windows:
        if callable(self.given):
            return self.given(corpus, recipe)
        if self.given is not None:
            for name, windows in self.given.items():
                if _folded(name) == _folded(corpus):
                    return windows
            raise ConfigError(
                f"No windows of {corpus!r} were given; there are windows of "
                f"{', '.join(self.given)}." + did_you_mean(corpus, self.given)
            )
        from affectrum.store import Store

        if self._places is None:
            self._places = self.plan.places()
        opened = place_of(self._places, corpus).open(corpus)
        store = Store(self.plan.store)

        def tell(done: float, total: float, text: str) -> None:
            if self.progress is not None:
                self.progress(
                    ProgressEvent(
                        "windows",
                        stage=text,
                        stage_done=int(done),
                        stage_total=int(total),
                        message=f"{corpus}, recipe {recipe}",
                    )
                )

        return store.prepare(opened, recipe, workers=self.workers, progress=tell)


def _folded(name: str) -> str:
    return name.casefold().replace("-", "").replace("_", "")
