"""Parts: the windows of one vendor file, the unit of work, of resuming and of reuse."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from affectrum.errors import AffectrumError, ConfigError, FileFormatError
from affectrum.pipeline import PIPELINE_VERSION, Processed, harmonisation, process, process_shipped
from affectrum.recipes import Recipe
from affectrum.signals import window_samples
from affectrum.store.files import digest_json, new_digest, storing

if TYPE_CHECKING:
    from affectrum.corpora import Corpus
    from affectrum.features import Band

__all__ = ["FORMAT", "ROW", "Layout", "Part", "base_key", "compute_part", "list_parts"]
__all__ += ["shipped_name"]

# Version of the store's folders; raised when their layout or meaning changes.
FORMAT = 1

# What is kept of each window beside its values; `trial` counts within the part, from 0.
ROW = np.dtype([("trial", "<i4"), ("window", "<i4"), ("start_s", "<f8"), ("artefact", "?")])

Item = TypeVar("Item")


@dataclass(frozen=True)
class Layout:
    """The shape of an entry's windows, known before anything is computed.

    Attributes
    ----------
    kind : str
        The recipe's kind.
    channels : tuple of str
        Electrodes, in order.
    mask : tuple of bool
        True where measured.
    bands : tuple of Band or None
        The bands; None for kind "raw".
    sfreq : float or None
        Rate in Hz; None where trials differ (features only).
    length : int
        Length of the last axis.
    """

    kind: str
    channels: tuple[str, ...]
    mask: tuple[bool, ...]
    bands: tuple[Band, ...] | None
    sfreq: float | None
    length: int

    @property
    def row_bytes(self) -> int:
        """Bytes of one window's values."""
        return len(self.channels) * self.length * 4


def make_layout(corpus: Corpus, recipe: Recipe) -> Layout:
    """Work out the shape of the windows, and refuse a recipe that does not fit the corpus.

    Parameters
    ----------
    corpus : Corpus
        The corpus.
    recipe : Recipe
        The recipe.

    Returns
    -------
    Layout

    Raises
    ------
    ElectrodeError
        If the recipe's electrodes can't be made from the corpus's.
    ConfigError
        If raw windows would differ in rate.
    """
    channels = recipe.electrode_names(corpus.channels)
    if recipe.computed:
        how = harmonisation(tuple(corpus.channels), channels, recipe.how, recipe.reference)
        mask = tuple(bool(measured) for measured in how.mask)
    else:
        mask = (True,) * len(channels)
    # Missing where a folder holds features only.
    given = [float(rate) for rate in corpus.trials["sfreq"].dropna().unique()]
    rates = sorted({recipe.rate_of(rate) for rate in given})
    if recipe.sfreq is not None:
        rates = [float(recipe.sfreq)]
    if recipe.kind == "raw":
        if len(rates) != 1:
            raise ConfigError(
                f"The trials of {corpus.name} have several sampling rates ({rates} Hz), and raw "
                "windows must have one. Set 'sfreq' (or 'resample_rates') in the recipe, for "
                f"example {min(rates, default=128.0):g}."
            )
        length = window_samples(rates[0], recipe.window_s, recipe.step_s)[0]
        bands = None
    else:
        bands = recipe.resolved_bands()
        length = len(bands)
    sfreq = rates[0] if len(rates) == 1 else None
    return Layout(recipe.kind, channels, mask, bands, sfreq, length)


@dataclass(frozen=True)
class Part:
    """The windows of one file.

    Attributes
    ----------
    file : str
        The vendor's file, relative to the corpus folder.
    rows : tuple of int
        Its trials: positions in the corpus's trial table.
    fingerprint : str
        Digest of the file's content.
    key : str
        Digest of everything that its windows depend on.
    """

    file: str
    rows: tuple[int, ...]
    fingerprint: str
    key: str


def base_key(corpus: Corpus, recipe: Recipe) -> dict[str, Any]:
    """Return what the parts of one corpus and recipe have in common, beside the files."""
    return {
        "format": FORMAT,
        "pipeline": PIPELINE_VERSION,
        "corpus": corpus.name,
        "form": corpus.form,
        "reader_version": str(corpus.reader_version),
        **({"options": told} if (told := corpus.options.identity()) else {}),
        "channels": list(corpus.channels),
        "simulated": bool(corpus.simulated),
        "recipe": recipe.digest(),
    }


def list_parts(
    corpus: Corpus,
    recipe: Recipe,
    files: Sequence[str],
    tick: Callable[[int, str], None] | None = None,
) -> list[Part]:
    """Take the fingerprints of files and name their parts.

    Parameters
    ----------
    corpus : Corpus
        The corpus.
    recipe : Recipe
        The recipe.
    files : sequence of str
        Files of the trial table, in the order wanted.
    tick : callable or None
        Called with the number of files seen and the next file's name.

    Returns
    -------
    list of Part
        One per file; a part always holds all trials of its file.

    Raises
    ------
    FileFormatError
        If files can't be read; all of them are listed.
    """
    base = base_key(corpus, recipe)
    trials = corpus.trials
    positions = trials.groupby("file", sort=False).indices
    # What of the trial table decides what is read; labels don't, they are joined when opened.
    reads = trials[["row", "key", "onset_s", "duration_s", "sfreq"]]
    parts = []
    faults = []
    for number, file in enumerate(files):
        if tick is not None:
            tick(number, file)
        rows = tuple(int(row) for row in positions[file])
        try:
            fingerprint = corpus.fingerprint(file)
        except (AffectrumError, OSError) as error:
            faults.append(f"  - {error}")
            continue
        content = {
            **base,
            "file": file,
            "fingerprint": fingerprint,
            "trials": [[str(cell) for cell in line] for line in reads.iloc[list(rows)].to_numpy()],
        }
        parts.append(Part(file, rows, fingerprint, digest_json(content)))
    if faults:
        title = f"{len(faults)} of {len(files)} files of {corpus.name} can't be read:"
        raise FileFormatError("\n".join([title, *faults]))
    return parts


class PartWriter:
    """Writes windows to two open files, counting and digesting what it writes.

    Parameters
    ----------
    x_file, rows_file : file
        Open for writing at the place where the part begins.
    place : Path
        Folder of the files, for messages.
    need : float
        Bytes still needed, for messages.
    """

    def __init__(self, x_file: IO[bytes], rows_file: IO[bytes], place: Path, need: float) -> None:
        self._x_file, self._rows_file = x_file, rows_file
        self._place, self._need = place, need
        self._x_digest, self._rows_digest = new_digest(), new_digest()
        self.n_rows = 0
        self.rejected: dict[str, int] = {}
        self.marked: dict[str, int] = {}

    def add(self, trial: int, windows: Processed) -> None:
        """Write the windows of one trial.

        Parameters
        ----------
        trial : int
            The trial's number within the part, from 0.
        windows : Processed
            Its windows.
        """
        rows = np.zeros(len(windows.x), dtype=ROW)
        rows["trial"] = trial
        rows["window"] = windows.window
        rows["start_s"] = windows.start_s
        rows["artefact"] = windows.artefact
        self.write(np.ascontiguousarray(windows.x, dtype="<f4").tobytes(), rows.tobytes())
        self.n_rows += len(rows)
        for total, counts in ((self.rejected, windows.rejected), (self.marked, windows.marked)):
            for reason, count in counts.items():
                total[reason] = total.get(reason, 0) + count

    def write(self, x: bytes, rows: bytes) -> None:
        """Write bytes of values and of rows."""
        with storing(self._place, "Windows", self._need):
            self._x_file.write(x)
            self._rows_file.write(rows)
        self._x_digest.update(x)
        self._rows_digest.update(rows)

    def finish(self) -> dict[str, Any]:
        """Make what was written durable and return its description."""
        with storing(self._place, "Windows", self._need):
            for file in (self._x_file, self._rows_file):
                file.flush()
                os.fsync(file.fileno())
        return {
            "n_rows": self.n_rows,
            "x": self._x_digest.hexdigest(),
            "rows": self._rows_digest.hexdigest(),
            "rejected": dict(sorted(self.rejected.items())),
            "marked": dict(sorted(self.marked.items())),
        }


def compute_part(
    corpus: Corpus,
    recipe: Recipe,
    part: Part,
    layout: Layout,
    writer: PartWriter,
    tick: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """Compute the windows of one file, one trial in memory at a time.

    Parameters
    ----------
    corpus : Corpus
        The corpus.
    recipe : Recipe
        The recipe.
    part : Part
        The file.
    layout : Layout
        The shape that every trial's windows must have.
    writer : PartWriter
        Takes the windows.
    tick : callable or None
        Called with the number of trials done.

    Returns
    -------
    dict
        The part's line of the journal and the manifest.

    Raises
    ------
    FileFormatError
        If the file can't be read, gives other trials than its table, or changed meanwhile.
    """
    table = corpus.trials.iloc[list(part.rows)]
    count = 0
    for count, windows in enumerate(_trials(corpus, recipe, table), start=1):
        shape = windows.x.shape[1:]
        if shape != (len(layout.channels), layout.length):
            raise FileFormatError(
                f"Trial {count} of {part.file!r} gives windows of shape {shape}; expected "
                f"({len(layout.channels)}, {layout.length}) as the other trials."
            )
        writer.add(count - 1, windows)
        if tick is not None:
            tick(count)
    if count != len(part.rows):
        raise FileFormatError(
            f"The file {part.file!r} gave {count} trials; its trial table has {len(part.rows)}."
        )
    if corpus.fingerprint(part.file) != part.fingerprint:
        raise FileFormatError(
            f"The file {part.file!r} changed while it was read. Run again when nothing writes to "
            "it."
        )
    return {
        "file": part.file,
        "part": part.key,
        "fingerprint": part.fingerprint,
        "n_trials": count,
        **writer.finish(),
    }


def shipped_name(corpus: Corpus, recipe: Recipe) -> str | None:
    """Name under which a corpus ships a recipe's feature; None if the recipe computes.

    A corpus that ships a feature twice, with windows of two lengths (SEED: 1 s and 4 s), has both
    names; the one whose windows are as long as the recipe's is meant.
    """
    feature = recipe.shipped_feature
    if feature is None:
        return None
    for name in corpus.feature_names:
        plain = name.split("@", 1)[0]
        if plain == feature and corpus.feature_info(name).window_s == recipe.window_s:
            return name
    return feature


def _trials(corpus: Corpus, recipe: Recipe, table: Any) -> Iterator[Processed]:
    feature = shipped_name(corpus, recipe)
    if feature is not None:
        for _, trial in table.iterrows():
            values = corpus.read_features(trial, feature)
            yield process_shipped(values, corpus.channels, None, recipe)
        return
    for trial, x in ahead(corpus.iter_trials(table)):
        yield process(x, corpus.channels, float(trial["sfreq"]), recipe)


def ahead(items: Iterable[Item]) -> Iterator[Item]:
    """Iterate one item ahead in a thread: the next trial is decoded while one is processed.

    Decompressing and the numerical libraries let other threads run, so both go on at once. At most
    three items are in memory: one decoded, one waiting, one processed.

    Parameters
    ----------
    items : iterable
        What to iterate over.

    Yields
    ------
    object
        The items, in order; an error of the iterable is raised in its place.
    """
    waiting: queue.Queue[tuple[bool, Any]] = queue.Queue(maxsize=1)
    stopped = threading.Event()

    def put(message: tuple[bool, Any]) -> bool:
        while not stopped.is_set():
            try:
                waiting.put(message, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def produce() -> None:
        try:
            for item in items:
                if not put((True, item)):
                    return
                del item
            put((False, None))
        except BaseException as error:
            put((False, error))

    producer = threading.Thread(target=produce, name="affectrum-ahead", daemon=True)
    producer.start()
    try:
        while True:
            more, item = waiting.get()
            if not more:
                if item is not None:
                    raise item
                return
            yield item
            del item
    finally:
        stopped.set()
        producer.join()


def expected_rows(seconds: NDArray[np.float64], recipe: Recipe) -> int:
    """Return the number of windows that trials have room for.

    Parameters
    ----------
    seconds : ndarray, shape (n_trials,)
        Durations.
    recipe : Recipe
        The recipe.

    Returns
    -------
    int
    """
    step = recipe.step_s or recipe.window_s
    counts = np.floor((seconds - recipe.window_s) / step + 1e-9) + 1
    return int(np.maximum(counts, 0).sum())
