"""Entries: finished folders of the store, trusted only through their manifest."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affectrum.errors import StoreError
from affectrum.features import Band
from affectrum.store.files import HEADER_BYTES, digest_file, digest_json, load_table
from affectrum.store.parts import FORMAT, ROW, Layout
from affectrum.windows import Windows

__all__ = ["MANIFEST", "ROWS", "TRIALS", "Entry", "X", "load_manifest", "open_windows"]

MANIFEST = "manifest.json"
X = "x.npy"
ROWS = "rows.npy"
TRIALS = "trials.npz"
JOURNAL = "journal.jsonl"
_AGAIN = (
    "Prepare it again (the damaged entry is then replaced), or remove it with 'affectrum store'."
)


@dataclass(frozen=True)
class Entry:
    """One folder of the store.

    Attributes
    ----------
    path : Path
        The folder.
    key : str
        Digest of everything its windows depend on.
    corpus : str
        The corpus's name; "" where an unfinished entry does not tell yet.
    recipe : str
        Name of the recipe it was prepared with.
    recipe_digest : str
        The recipe's digest.
    state : {"complete", "unfinished", "damaged"}
        Only complete ones can be opened.
    n_windows, n_trials, n_files : int
        How much it holds; for an unfinished entry how much is done.
    shape : tuple of int
        Shape of `x`.
    size : int
        Bytes on disk.
    simulated : bool
        Whether it comes from simulated data.
    rejected : dict of str to int
        Windows left out, by reason.
    marked : dict of str to int
        (window, electrode) pairs marked as artefact, by reason.
    problem : str
        What is wrong with a damaged entry.
    """

    path: Path
    key: str
    corpus: str = ""
    recipe: str = ""
    recipe_digest: str = ""
    state: str = "complete"
    n_windows: int = 0
    n_trials: int = 0
    n_files: int = 0
    shape: tuple[int, ...] = ()
    size: int = 0
    simulated: bool = False
    rejected: dict[str, int] | None = None
    marked: dict[str, int] | None = None
    problem: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the entry as plain values, for JSON.

        Returns
        -------
        dict
        """
        values = dict(self.__dict__)
        values["path"] = str(self.path)
        values["shape"] = list(self.shape)
        return values


def folder_size(path: Path) -> int:
    """Return the bytes of the files in a folder and below."""
    total = 0
    for folder, _, files in os.walk(path):
        for name in files:
            try:
                total += os.lstat(os.path.join(folder, name)).st_size
            except OSError:
                continue
    return total


def manifest_bytes(manifest: dict[str, Any]) -> bytes:
    """Return a manifest's file content, with its own digest inside."""
    content = {**manifest, "digest": digest_json(manifest)}
    return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()


def load_manifest(path: Path) -> dict[str, Any]:
    """Read an entry's manifest and check the sizes of its files.

    Parameters
    ----------
    path : Path
        The entry's folder.

    Returns
    -------
    dict

    Raises
    ------
    StoreError
        If the manifest is missing, damaged or of another format, or a file has another size.
    """
    file = path / MANIFEST
    try:
        manifest = json.loads(file.read_bytes())
        digest = manifest.pop("digest")
    except FileNotFoundError as error:
        raise StoreError(
            f"The entry {str(path)!r} has no manifest: it was never finished."
        ) from error
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise StoreError(f"The manifest {str(file)!r} can't be read ({error}). {_AGAIN}") from error
    if manifest.get("format") != FORMAT:
        raise StoreError(
            f"The entry {str(path)!r} has the format {manifest.get('format')!r}; this version "
            f"reads format {FORMAT}. {_AGAIN}"
        )
    if digest != digest_json(manifest):
        raise StoreError(f"The manifest {str(file)!r} is damaged: its digest differs. {_AGAIN}")
    for name, expected in manifest["files"].items():
        try:
            size = os.stat(path / name).st_size
        except OSError as error:
            raise StoreError(f"The file {str(path / name)!r} is missing. {_AGAIN}") from error
        if size != expected["size"]:
            raise StoreError(
                f"The file {str(path / name)!r} has {size} bytes; its manifest says "
                f"{expected['size']}. {_AGAIN}"
            )
    return dict(manifest)


def verify_entry(path: Path) -> list[str]:
    """Compare every byte of an entry with the digests of its manifest.

    Parameters
    ----------
    path : Path
        The entry's folder.

    Returns
    -------
    list of str
        What is wrong; empty if nothing is.
    """
    try:
        manifest = load_manifest(path)
    except StoreError as error:
        return [str(error)]
    problems = []
    row_bytes = int(np.prod(manifest["shape"][1:])) * 4
    first = 0
    for part in manifest["parts"]:
        stretches = ((X, "x", row_bytes), (ROWS, "rows", ROW.itemsize))
        for name, kind, width in stretches:
            start, length = HEADER_BYTES + first * width, part["n_rows"] * width
            if digest_file(path / name, start, length) != part[kind]:
                problems.append(
                    f"{str(path / name)!r}: the windows of {part['file']!r} (rows {first} to "
                    f"{first + part['n_rows'] - 1}) are damaged: their digest differs. {_AGAIN}"
                )
        first += part["n_rows"]
    for name, expected in manifest["files"].items():
        length = None if name == TRIALS else HEADER_BYTES
        if digest_file(path / name, 0, length) != expected["digest"]:
            what = "its" if length is None else "the header's"
            problems.append(f"{str(path / name)!r} is damaged: {what} digest differs. {_AGAIN}")
    return problems


def describe(path: Path) -> Entry:
    """Return what a finished or damaged folder holds."""
    key = path.name.rpartition("-")[2]
    size = folder_size(path)
    try:
        manifest = load_manifest(path)
    except StoreError as error:
        corpus = path.name.rpartition("-")[0]
        return Entry(path, key, corpus=corpus, state="damaged", size=size, problem=str(error))
    return Entry(
        path,
        manifest["key"],
        corpus=manifest["base"]["corpus"],
        recipe=manifest["recipe"]["name"],
        recipe_digest=manifest["base"]["recipe"],
        n_windows=manifest["shape"][0],
        n_trials=sum(part["n_trials"] for part in manifest["parts"]),
        n_files=len(manifest["parts"]),
        shape=tuple(manifest["shape"]),
        size=size,
        simulated=manifest["base"]["simulated"],
        rejected=_totals(manifest, "rejected"),
        marked=_totals(manifest, "marked"),
    )


def _totals(manifest: dict[str, Any], kind: str) -> dict[str, int]:
    total: dict[str, int] = {}
    for part in manifest["parts"]:
        for reason, count in part[kind].items():
            total[reason] = total.get(reason, 0) + count
    return total


def entry_folders(store: Path) -> Iterator[Path]:
    """Go through the folders of entries; anything else in the store's folder is passed over.

    Parameters
    ----------
    store : Path
        The store's folder; it may be missing.

    Yields
    ------
    Path
    """
    if not store.is_dir():
        return
    for path in sorted(store.iterdir()):
        if path.is_dir() and any((path / name).exists() for name in (MANIFEST, X, JOURNAL)):
            yield path


def sound_entries(store: Path, base: dict[str, Any]) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Go through the entries of one corpus and recipe whose manifest and sizes are right.

    Parameters
    ----------
    store : Path
        The store's folder.
    base : dict
        What their parts have in common, from `base_key`.

    Yields
    ------
    (Path, dict)
        Folder and manifest.
    """
    for path in entry_folders(store):
        if not (path / MANIFEST).exists() or path.name.endswith(".partial"):
            continue
        try:
            manifest = load_manifest(path)
        except StoreError:
            continue
        if manifest["base"] == base:
            yield path, manifest


def make_manifest(
    *,
    key: str,
    base: dict[str, Any],
    recipe: dict[str, Any],
    layout: Layout,
    parts: Sequence[dict[str, Any]],
    files: dict[str, Any],
) -> dict[str, Any]:
    """Return the manifest of an entry; nothing in it depends on when or where it was made."""
    return {
        "format": FORMAT,
        "key": key,
        "base": base,
        "recipe": recipe,
        "kind": layout.kind,
        "channels": list(layout.channels),
        "mask": list(layout.mask),
        "sfreq": layout.sfreq,
        "bands": None
        if layout.bands is None
        else [[band.name, band.low, band.high] for band in layout.bands],
        "shape": [sum(part["n_rows"] for part in parts), len(layout.channels), layout.length],
        "parts": list(parts),
        "files": files,
    }


def open_windows(
    path: Path,
    manifest: dict[str, Any],
    *,
    trials: pd.DataFrame | None = None,
    parts: Sequence[str] | None = None,
) -> Windows:
    """Open an entry's windows; the values stay on disk.

    Parameters
    ----------
    path : Path
        The entry's folder.
    manifest : dict
        Its manifest, from `load_manifest`.
    trials : DataFrame or None
        Trial table whose rows follow `parts`, part by part: today's labels instead of those
        stored. None takes the stored table.
    parts : sequence of str or None
        Keys of the parts wanted, in the order wanted; None for all in the entry's order.

    Returns
    -------
    Windows

    Raises
    ------
    StoreError
        If the files don't fit the manifest.
    """
    listed = manifest["parts"]
    wanted = [part["part"] for part in listed] if parts is None else list(parts)
    try:
        x = np.load(path / X, mmap_mode="r", allow_pickle=False)
        rows = np.load(path / ROWS, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise StoreError(f"The entry {str(path)!r} can't be opened ({error}). {_AGAIN}") from error
    shape = tuple(manifest["shape"])
    if (
        x.shape != shape
        or x.dtype != np.dtype("<f4")
        or rows.shape != shape[:1]
        or rows.dtype != ROW
    ):
        raise StoreError(
            f"The entry {str(path)!r} holds windows of shape {x.shape}, type {x.dtype}, and "
            f"{len(rows)} rows; its manifest says {shape}. {_AGAIN}"
        )
    if trials is None:
        trials = load_table(path / TRIALS)
        order = {part["part"]: position for position, part in enumerate(listed)}
        first_trial = np.concatenate([[0], np.cumsum([part["n_trials"] for part in listed])])
        trials = trials.iloc[
            np.concatenate(
                [np.arange(first_trial[order[key]], first_trial[order[key] + 1]) for key in wanted]
            )
        ].reset_index(drop=True)
    chosen, trial = _rows_of(listed, wanted, rows["trial"])
    picked = rows if chosen is None else rows[chosen]
    table = trials.iloc[trial].reset_index(drop=True)
    table["window"] = picked["window"].astype(np.int64)
    table["start_s"] = picked["start_s"].astype(np.float64)
    table["artefact"] = picked["artefact"].astype(bool)
    common = {
        "kind": manifest["kind"],
        "channels": manifest["channels"],
        "sfreq": manifest["sfreq"],
        "bands": None if manifest["bands"] is None else [Band(*band) for band in manifest["bands"]],
        "recipe": manifest["base"]["recipe"],
        "corpus": manifest["base"]["corpus"],
        "mask": np.array(manifest["mask"], dtype=bool),
    }
    if chosen is None:
        return Windows(x, table, **common)
    whole = Windows(x, pd.DataFrame(index=pd.RangeIndex(len(x))), **common)
    return whole.select(chosen).with_table(table)


def _rows_of(
    listed: Sequence[dict[str, Any]], wanted: Sequence[str], local: NDArray[np.int32]
) -> tuple[NDArray[np.int64] | None, NDArray[np.int64]]:
    """Return the rows of the parts wanted (None: all, in order) and the trial of each row.

    Trials are counted through the parts wanted, as their trial table is.
    """
    first_row = np.concatenate([[0], np.cumsum([part["n_rows"] for part in listed])])
    position = {part["part"]: number for number, part in enumerate(listed)}
    numbers = [position[key] for key in wanted]
    first_trial = np.concatenate(
        [[0], np.cumsum([listed[number]["n_trials"] for number in numbers], dtype=np.int64)]
    )
    counts = [listed[number]["n_rows"] for number in numbers]
    chosen = np.concatenate(
        [np.arange(first_row[number], first_row[number + 1]) for number in numbers]
    ).astype(np.int64)
    trial = np.repeat(first_trial[:-1], counts) + local[chosen].astype(np.int64)
    everything = numbers == list(range(len(listed)))
    return (None if everything else chosen), trial
