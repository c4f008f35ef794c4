"""Fetch one file: go on where it stopped, check it, and only then give it its name."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from affectrum.downloads.bucket import RemoteFile, answer
from affectrum.errors import DownloadError, FileFormatError

__all__ = ["CHECKED", "PARTS", "check_content", "fetch"]

PARTS: Final = ".affectrum-parts"
"""Folder, inside the corpus's, where files lie until they are complete."""

CHECKED: Final[dict[str, str]] = {
    "checksum": "size and checksum of the content",
    "size": "size only: the server gives no checksum that can be computed again",
}
"""How the content of a file was checked."""

# The sizes in which large files are commonly uploaded; the checksum of such a file is one of parts.
_PART_SIZES: Final = tuple(1 << power for power in (23, 24, 25, 26, 27, 28, 29, 30))
_CHUNK = 1 << 18  # what is lost at most when a transfer breaks off
_MD5 = re.compile(r"[0-9a-f]{32}")
_MULTIPART = re.compile(r"[0-9a-f]{32}-(\d{1,5})")


class _Stopped(Exception):
    """The user stopped the download."""


def check_content(path: Path, file: RemoteFile) -> str | None:
    """Compare a file with what the server says of it.

    Parameters
    ----------
    path : Path
        A local file.
    file : RemoteFile
        What it should be.

    Returns
    -------
    str or None
        How it was checked, a key of `CHECKED`; None if it is another file.
    """
    if path.stat().st_size != file.size:
        return None
    if _MD5.fullmatch(file.etag):
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False))
        return "checksum" if digest.hexdigest() == file.etag else None
    match = _MULTIPART.fullmatch(file.etag)
    if match:
        n_parts = int(match[1])
        for size in _PART_SIZES:
            if -(-file.size // size) == n_parts and _etag(path, size) == file.etag:
                return "checksum"
    return "size"


def _etag(path: Path, part_size: int) -> str:
    """Checksum of a file that was uploaded in parts: the MD5 of the parts' MD5s."""
    digests = []
    with path.open("rb") as stream:
        left = path.stat().st_size
        while left > 0:
            digest, room = hashlib.md5(usedforsecurity=False), min(part_size, left)
            while room > 0:
                block = stream.read(min(1 << 20, room))
                if not block:
                    return ""
                digest.update(block)
                room -= len(block)
                left -= len(block)
            digests.append(digest.digest())
    whole = hashlib.md5(b"".join(digests), usedforsecurity=False)
    return f"{whole.hexdigest()}-{len(digests)}"


def fetch(
    file: RemoteFile,
    folder: Path,
    *,
    stop: threading.Event,
    tell: Callable[[int], None],
    attempts: int = 4,
    pause_s: float = 1.0,
) -> str:
    """Fetch a file into a folder.

    The bytes go to a file in `PARTS`, also over several runs; only a complete and checked one is
    moved to its place.

    Parameters
    ----------
    file : RemoteFile
        What to fetch.
    folder : Path
        The corpus's folder.
    stop : threading.Event
        When it is set, the transfer ends; what has come stays for the next run.
    tell : callable
        Receives the number of bytes of each piece, negative for bytes that are thrown away.
    attempts : int
        How often to try before giving up.
    pause_s : float
        Seconds to wait after the first failure; twice as long after each further one.

    Returns
    -------
    str
        How it was checked, a key of `CHECKED`.

    Raises
    ------
    DownloadError
        If it can't be fetched, or what comes is never what the server announced.
    """
    # another content of the same name never goes on with the bytes of the old one
    tag = hashlib.sha256(file.etag.encode()).hexdigest()[:12]
    part = folder / PARTS / f"{file.path}.{tag}"
    part.parent.mkdir(parents=True, exist_ok=True)
    if part.exists() and part.stat().st_size <= file.size:
        tell(part.stat().st_size)
    fault: Any = None
    for attempt in range(attempts):
        if attempt:
            stop.wait(pause_s * 2 ** (attempt - 1))
        try:
            _transfer(file, part, stop, tell)
        except _Stopped:
            raise DownloadError(f"{file.path}: stopped.") from None
        except FileFormatError as error:
            fault = error
            _throw_away(part, tell)
            continue
        except OSError as error:
            if error.strerror:
                raise  # the disk's fault: a connection's has no such text
            fault = error
            continue
        how = check_content(part, file)
        if how is not None:
            target = folder / file.path
            target.parent.mkdir(parents=True, exist_ok=True)
            part.replace(target)
            return how
        fault = "the content does not have the server's checksum"
        if part.stat().st_size < file.size:
            fault = f"{part.stat().st_size} of {file.size} bytes came"
        else:
            _throw_away(part, tell)
    raise DownloadError(
        f"{file.path} can't be fetched from {file.url}: {fault} ({attempts} attempts). Run "
        "the same command again; what has come is kept."
    )


def _transfer(
    file: RemoteFile, part: Path, stop: threading.Event, tell: Callable[[int], None]
) -> None:
    have = part.stat().st_size if part.exists() else 0
    if have > file.size:
        part.unlink()
        have = 0
    if have == file.size:
        part.touch()  # an empty file needs no transfer
        return
    if stop.is_set():
        raise _Stopped
    with answer(file.url, start=have) as response, part.open("ab") as out:
        if have and response.status_code != 206:
            # the server does not go on in the middle: it sends all of it again
            out.truncate(0)
            tell(-have)
            have = 0
        for piece in response.iter_content(_CHUNK):
            if stop.is_set():
                raise _Stopped
            have += len(piece)
            if have > file.size:
                raise FileFormatError("the server sent more than it announced")
            out.write(piece)
            tell(len(piece))


def _throw_away(part: Path, tell: Callable[[int], None]) -> None:
    if part.exists():
        tell(-part.stat().st_size)
        part.unlink()
