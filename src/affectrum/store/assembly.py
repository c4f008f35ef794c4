"""Assembly: an entry in the making, which survives a kill at any moment.

Windows are appended, file by file in the order of the trial table, to the very arrays that the
finished entry will hold; nothing is written twice. After each file the data are synced to disk,
and then one line is added to the journal. What lies behind the last journalled row is not
trusted: the next run cuts it off and goes on there, so that a kill costs at most one file. Files
that are finished out of turn (several workers, or a faulty file before them) wait in `parts/`
as small finished files of their own. The folder gets its final name, in one step, when the
manifest has been written; other processes see either no entry or a whole one.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from affectrum.errors import StoreError
from affectrum.store.entry import (
    JOURNAL,
    MANIFEST,
    ROWS,
    TRIALS,
    Entry,
    X,
    folder_size,
    make_manifest,
    manifest_bytes,
)
from affectrum.store.files import (
    HEADER_BYTES,
    array_header,
    digest_bytes,
    digest_file,
    storing,
    sync_folder,
    write_atomic,
)
from affectrum.store.parts import ROW, Layout, Part, PartWriter

__all__ = ["ABOUT", "UNFINISHED", "Assembly", "describe_unfinished", "stage_part"]

ABOUT = "about.json"
UNFINISHED = ".partial"
STAGED = "parts"
_BLOCK_ROWS_BYTES = 1 << 22


class Assembly:
    """The working folder of one entry; used under the entry's lock.

    Parameters
    ----------
    folder : Path
        The working folder; made if it is missing, continued if not.
    parts : list of Part
        The files of the entry, in order.
    layout : Layout
        The shape of the windows.
    need : float
        Bytes the finished entry will take, about; for messages.
    """

    def __init__(self, folder: Path, parts: list[Part], layout: Layout, need: float) -> None:
        self.folder = folder
        self.parts = parts
        self.layout = layout
        self.need = need
        self.done: list[dict[str, Any]] = []
        self.n_rows = 0

    def __enter__(self) -> Assembly:
        with storing(self.folder, "The store", self.need):
            (self.folder / STAGED).mkdir(parents=True, exist_ok=True)
            self._x = _open(self.folder / X)
            self._rows = _open(self.folder / ROWS)
            self._journal = _open(self.folder / JOURNAL)
            self._resume()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for file in (self._x, self._rows, self._journal):
            try:
                file.close()
            except OSError:
                # A full disk may refuse the last buffered bytes; they are not journalled.
                continue

    # ---------------------------------------------------------------- resuming

    def _resume(self) -> None:
        """Trust what the journal lists and the arrays hold unchanged; cut off the rest."""
        self._journal.seek(0)
        good = 0
        for line in self._journal.read().splitlines(keepends=True):
            entry = _journal_line(line)
            number = len(self.done)
            if entry is None or number >= len(self.parts):
                break
            if entry["part"] != self.parts[number].key or not self._matches(entry):
                break
            self.done.append(entry)
            self.n_rows += int(entry["n_rows"])
            good += len(line)
        self._journal.truncate(good)
        self._rewind()
        for leftover in sorted((self.folder / STAGED).glob("*.tmp")):
            leftover.unlink(missing_ok=True)

    def _matches(self, entry: dict[str, Any]) -> bool:
        count = int(entry["n_rows"])
        for path, kind, width in self._files():
            start, length = HEADER_BYTES + self.n_rows * width, count * width
            if path.stat().st_size < start + length:
                return False
            if digest_file(path, start, length) != entry[kind]:
                return False
        return True

    def _files(self) -> tuple[tuple[Path, str, int], ...]:
        return (
            (self.folder / X, "x", self.layout.row_bytes),
            (self.folder / ROWS, "rows", ROW.itemsize),
        )

    def _rewind(self) -> None:
        """Cut both arrays off behind the last journalled row."""
        for file, (_, _, width) in zip((self._x, self._rows), self._files(), strict=True):
            file.flush()
            end = HEADER_BYTES + self.n_rows * width
            file.truncate(end)
            file.seek(end)

    # ---------------------------------------------------------------- adding

    @property
    def n_trials(self) -> int:
        """Trials that are done."""
        return sum(int(entry["n_trials"]) for entry in self.done)

    def next_part(self) -> Part | None:
        """The file whose turn it is, or None when all are done."""
        return self.parts[len(self.done)] if len(self.done) < len(self.parts) else None

    def append(self, write: Callable[[PartWriter], dict[str, Any]]) -> None:
        """Add the next file.

        Parameters
        ----------
        write : callable
            Writes the windows through the PartWriter that it is given and returns the part's
            description. If it raises, what it wrote is cut off again.
        """
        part = self.parts[len(self.done)]
        left = max(self.need - self.n_rows * (self.layout.row_bytes + ROW.itemsize), 0)
        writer = PartWriter(self._x, self._rows, self.folder, left)
        try:
            entry = write(writer)
            if entry["part"] != part.key:
                raise StoreError(f"Expected the windows of {part.file!r}, got {entry['file']!r}.")
            line = (json.dumps(entry, ensure_ascii=False) + "\n").encode()
            with storing(self.folder, "The journal", left):
                self._journal.seek(0, os.SEEK_END)
                self._journal.write(line)
                self._journal.flush()
                os.fsync(self._journal.fileno())
        except BaseException:
            # A full disk can make even this fail; the next run cuts off what is not journalled.
            with contextlib.suppress(OSError):
                self._rewind()
            raise
        self.done.append(entry)
        self.n_rows += int(entry["n_rows"])

    def staged(self, part: Part) -> dict[str, Any] | None:
        """The description of a part that waits in `parts/`, or None."""
        try:
            entry = json.loads((self.folder / STAGED / f"{part.key}.json").read_bytes())
        except (OSError, ValueError):
            return None
        for kind in ("x", "rows"):
            path = self.folder / STAGED / f"{part.key}.{kind}"
            if not path.is_file() or digest_file(path) != entry.get(kind):
                return None
        return dict(entry)

    def append_staged(self, part: Part, entry: dict[str, Any]) -> None:
        """Append a part that waited, and remove its files.

        Parameters
        ----------
        part : Part
            The part; it must be the next one.
        entry : dict
            Its description, from `staged`.
        """
        base = self.folder / STAGED / part.key

        def write(writer: PartWriter) -> dict[str, Any]:
            return copy_rows(
                entry, base.with_suffix(".x"), base.with_suffix(".rows"), 0, self.layout, writer
            )

        self.append(write)
        for kind in ("json", "x", "rows"):
            base.with_suffix(f".{kind}").unlink(missing_ok=True)

    # ---------------------------------------------------------------- finishing

    def finish(
        self,
        final: Path,
        *,
        key: str,
        base: dict[str, Any],
        recipe: dict[str, Any],
        trials: bytes,
    ) -> None:
        """Write headers, trial table and manifest, and give the folder its final name.

        Parameters
        ----------
        final : Path
            The entry's folder.
        key, base, recipe
            What the manifest says about the entry.
        trials : bytes
            The trial table, from `save_table`.
        """
        files: dict[str, Any] = {}
        with storing(self.folder, "The entry's last files", len(trials)):
            shape = (self.n_rows, len(self.layout.channels), self.layout.length)
            headers = {
                X: (self._x, array_header(shape, _float32()), self.layout.row_bytes),
                ROWS: (self._rows, array_header((self.n_rows,), ROW), ROW.itemsize),
            }
            for name, (file, header, width) in headers.items():
                file.seek(0)
                file.write(header)
                file.flush()
                os.fsync(file.fileno())
                files[name] = {
                    "size": HEADER_BYTES + self.n_rows * width,
                    "digest": digest_bytes(header),
                }
            write_atomic(self.folder / TRIALS, trials)
            files[TRIALS] = {"size": len(trials), "digest": digest_bytes(trials)}
            manifest = make_manifest(
                key=key, base=base, recipe=recipe, layout=self.layout, parts=self.done, files=files
            )
            write_atomic(self.folder / MANIFEST, manifest_bytes(manifest))
            remove_folder(final)
            os.rename(self.folder, final)
            sync_folder(final.parent)
            # Of no use any more; if a kill leaves them, they only take a few bytes.
            (final / JOURNAL).unlink(missing_ok=True)
            (final / ABOUT).unlink(missing_ok=True)
            shutil.rmtree(final / STAGED, ignore_errors=True)


def stage_part(
    folder: Path,
    part: Part,
    need: float,
    write: Callable[[PartWriter], dict[str, Any]],
) -> dict[str, Any]:
    """Write a part to files of its own, because its turn has not come.

    Parameters
    ----------
    folder : Path
        The assembly's working folder.
    part : Part
        The part.
    need : float
        Bytes still needed, for messages.
    write : callable
        Writes the windows through a PartWriter and returns the part's description.

    Returns
    -------
    dict
        The description; it is written last and makes the part count.
    """
    base = folder / STAGED / part.key
    temporary = {kind: base.with_suffix(f".{kind}.tmp") for kind in ("x", "rows")}
    try:
        with storing(folder, "Windows", need):
            x_file, rows_file = open(temporary["x"], "wb"), open(temporary["rows"], "wb")  # noqa: SIM115
        with x_file, rows_file:
            entry = write(PartWriter(x_file, rows_file, folder, need))
        with storing(folder, "Windows", need):
            for kind, path in temporary.items():
                os.replace(path, base.with_suffix(f".{kind}"))
            write_atomic(base.with_suffix(".json"), json.dumps(entry).encode())
    except BaseException:
        for path in temporary.values():
            path.unlink(missing_ok=True)
        raise
    return entry


def copy_rows(
    entry: dict[str, Any],
    x_path: Path,
    rows_path: Path,
    first_row: int,
    layout: Layout,
    writer: PartWriter,
    offset: int = 0,
) -> dict[str, Any]:
    """Copy a finished part's windows, checking their digests on the way.

    Parameters
    ----------
    entry : dict
        The part's description.
    x_path, rows_path : Path
        Files that hold it.
    first_row : int
        Where it begins in them.
    layout : Layout
        The shape of the windows.
    writer : PartWriter
        Takes the bytes.
    offset : int
        Bytes before the first row of each file.

    Returns
    -------
    dict
        The description.

    Raises
    ------
    StoreError
        If the files don't hold what the description says.
    """
    per_block = max(_BLOCK_ROWS_BYTES // layout.row_bytes, 1)
    left = int(entry["n_rows"])
    with open(x_path, "rb") as x_file, open(rows_path, "rb") as rows_file:
        x_file.seek(offset + first_row * layout.row_bytes)
        rows_file.seek(offset + first_row * ROW.itemsize)
        while left:
            count = min(left, per_block)
            writer.write(
                x_file.read(count * layout.row_bytes), rows_file.read(count * ROW.itemsize)
            )
            left -= count
    written = writer.finish()
    if any(written[kind] != entry[kind] for kind in ("x", "rows")):
        raise StoreError(
            f"The windows of {entry['file']!r} in {str(x_path)!r} are damaged: their digest "
            "differs."
        )
    return dict(entry)


def describe_unfinished(path: Path) -> Entry:
    """Return what is done of an unfinished entry, by its journal.

    Parameters
    ----------
    path : Path
        The working folder.

    Returns
    -------
    Entry
    """
    name, _, key = path.name.removesuffix(UNFINISHED).rpartition("-")
    try:
        about = dict(json.loads((path / ABOUT).read_bytes()))
    except (OSError, ValueError, TypeError):
        about = {}
    try:
        lines = [_journal_line(line) for line in (path / JOURNAL).read_bytes().splitlines(True)]
    except OSError:
        lines = []
    done = [line for line in lines if line is not None]
    return Entry(
        path,
        key,
        corpus=str(about.get("corpus", name)),
        recipe=str(about.get("recipe", "")),
        recipe_digest=str(about.get("recipe_digest", "")),
        state="unfinished",
        n_windows=sum(int(part["n_rows"]) for part in done),
        n_trials=sum(int(part["n_trials"]) for part in done),
        n_files=len(done),
        size=folder_size(path),
        simulated=bool(about.get("simulated", False)),
    )


def remove_folder(path: Path) -> None:
    """Remove an entry; its manifest goes first, so that a half-removed one is never trusted."""
    if path.is_dir():
        (path / MANIFEST).unlink(missing_ok=True)
        shutil.rmtree(path)


def _open(path: Path) -> IO[bytes]:
    """Open for reading and writing without cutting off what is there."""
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b")


def _journal_line(line: bytes) -> dict[str, Any] | None:
    if not line.endswith(b"\n"):
        return None
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    needed = ("part", "file", "n_rows", "n_trials", "x", "rows", "rejected", "marked")
    return entry if isinstance(entry, dict) and all(name in entry for name in needed) else None


def _float32() -> Any:
    import numpy as np

    return np.dtype("<f4")
