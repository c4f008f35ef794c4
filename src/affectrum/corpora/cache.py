"""Small facts about files that were read before: headers and content digests.

They stand in the user's cache folder (``AFFECTRUM_CACHE`` names another), never in a vendor's
folder, and count only while path, size and time of change are the same. Losing them costs time,
nothing else.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["FileCache", "cache_folder", "digest_file"]


def cache_folder() -> Path:
    """Return the folder for what can be computed again.

    Returns
    -------
    Path
        ``AFFECTRUM_CACHE`` if set, else the user's cache folder of the operating system.
    """
    chosen = os.environ.get("AFFECTRUM_CACHE")
    if chosen:
        return Path(chosen)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or str(Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = str(Path.home() / "Library" / "Caches")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "affectrum"


def digest_file(path: Path) -> str:
    """Return the BLAKE2b-256 digest of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=32)).hexdigest()


class FileCache:
    """Values computed from files of one folder, kept between runs.

    Parameters
    ----------
    folder : Path
        The corpus folder; files are named relative to it.
    reader : str
        Name and version of the reader: another version computes anew.
    """

    def __init__(self, folder: Path, reader: str) -> None:
        self.folder = folder
        identity = f"{folder.resolve()}\n{reader}"
        name = hashlib.blake2b(identity.encode(), digest_size=16).hexdigest()
        self.path = cache_folder() / "files" / f"{name}.json"
        self._entries: dict[str, Any] = self._load()
        self._changed = False

    def _load(self) -> dict[str, Any]:
        try:
            entries = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return entries if isinstance(entries, dict) else {}

    def get(self, path: Path, kind: str, compute: Callable[[Path], Any]) -> Any:
        """Return ``compute(path)``, or what it returned for the same state of the file.

        Parameters
        ----------
        path : Path
            A file of the folder.
        kind : str
            What is computed, e.g. "header".
        compute : callable
            Called with `path` if needed; its result must survive JSON unchanged.

        Returns
        -------
        object
            The value.
        """
        try:
            status = path.stat()
        except OSError:
            return compute(path)  # it knows how to complain
        state = [status.st_size, status.st_mtime_ns]
        name = f"{kind}:{os.path.relpath(path, self.folder)}"
        entry = self._entries.get(name)
        if isinstance(entry, dict) and entry.get("state") == state:
            return entry["value"]
        value = compute(path)
        self._entries[name] = {"state": state, "value": value}
        self._changed = True
        return value

    def save(self) -> None:
        """Write what is new; a cache folder that can't be written is no error."""
        if not self._changed:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=self.path.parent, suffix=".tmp")
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    json.dump(self._entries, file)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(temporary, self.path)
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise
        except OSError:
            return
        self._changed = False
