"""What a data set in OpenNeuro's public bucket holds: names, sizes, checksums.

The bucket answers the plain listing of the S3 protocol (ListObjectsV2) without an account. What
comes back is untrusted: names that would leave the folder are refused.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlencode

from affectrum.errors import DownloadError, FileFormatError

if TYPE_CHECKING:
    import requests

__all__ = ["BUCKET", "RemoteFile", "answer", "list_files"]

BUCKET: Final = "https://s3.amazonaws.com/openneuro.org"
"""Address of OpenNeuro's public bucket; a mirror that speaks the same protocol can stand for it."""

_TIMEOUT_S: Final = 60
# A page has a thousand names at most: some hundred kilobytes.
_PAGE_BYTES: Final = 16_000_000
_PAGES: Final = 1000
_SUBJECT = re.compile(r"(?:^|/)sub-([A-Za-z0-9]+)(?=[/_])")


@dataclass(frozen=True)
class RemoteFile:
    """One file of a data set.

    Parameters
    ----------
    path : str
        Path in the data set, with forward slashes.
    size : int
        Bytes.
    etag : str
        The server's checksum: the MD5 of the content, or, with ``-N`` at the end, of the MD5s of
        its N parts.
    url : str
        Where it is fetched from.
    """

    path: str
    size: int
    etag: str
    url: str

    @property
    def subject(self) -> str:
        """Label of the subject it belongs to (``"01"`` of ``sub-01``), empty if to none."""
        match = _SUBJECT.search(self.path)
        return match[1] if match else ""


@contextmanager
def answer(url: str, *, start: int = 0) -> Iterator[requests.Response]:
    """Ask for an address; the content is read piece by piece.

    Parameters
    ----------
    url : str
        The address.
    start : int
        First byte that is wanted.

    Yields
    ------
    Response
        A good answer; its status is 206 where the server gave only what was wanted.

    Raises
    ------
    OSError
        If there is no connection, or the answer is an error.
    """
    import requests

    # the stored bytes as they are: a server must not pack them on the way
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT_S) as response:
        response.raise_for_status()
        yield response


def _read(url: str) -> bytes:
    """Return a page of the listing, which never grows without end."""
    pieces: list[bytes] = []
    size = 0
    with answer(url) as response:
        for piece in response.iter_content(1 << 16):
            size += len(piece)
            if size > _PAGE_BYTES:
                raise FileFormatError("The server's listing is larger than any listing can be.")
            pieces.append(piece)
    return b"".join(pieces)


def list_files(dataset: str, base: str = BUCKET) -> tuple[RemoteFile, ...]:
    """List the files of a data set.

    Parameters
    ----------
    dataset : str
        Accession number, such as ``"ds005540"``.
    base : str
        Address of the bucket or of a mirror.

    Returns
    -------
    tuple of RemoteFile
        In the order of their paths.

    Raises
    ------
    DownloadError
        If the server can't be reached, answers something else, or has no such data set.
    FileFormatError
        If the listing is not what the protocol says, or names a path outside the data set.
    """
    base = base.rstrip("/")
    if not base.startswith(("https://", "http://")):
        raise DownloadError(f"{base!r} is no address; it must begin with https:// or http://.")
    found: dict[str, RemoteFile] = {}
    token = ""
    for _ in range(_PAGES):
        words = {"list-type": "2", "prefix": f"{dataset}/"}
        words |= {"continuation-token": token} if token else {}
        try:
            page = _read(f"{base}?{urlencode(words)}")
        except OSError as error:
            raise DownloadError(
                f"The list of files of {dataset} can't be fetched from {base} ({error}). Check the "
                "connection; a proxy is taken from HTTPS_PROXY."
            ) from error
        files, token = _read_page(page, dataset, base)
        found |= {file.path: file for file in files}
        if not token:
            break
    if not found:
        raise DownloadError(f"{base} has no data set {dataset}.")
    return tuple(found[path] for path in sorted(found))


def _read_page(content: bytes, dataset: str, base: str) -> tuple[list[RemoteFile], str]:
    where = f"The listing of {dataset} at {base}"
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise FileFormatError(f"{where} defines entities; no listing does.")
    try:
        root = ElementTree.fromstring(content)
    except ElementTree.ParseError as error:
        raise FileFormatError(f"{where} is no XML ({error}).") from None
    if not root.tag.endswith("ListBucketResult"):
        raise FileFormatError(f"{where} is no listing but <{root.tag.rpartition('}')[2]}>.")
    space = root.tag.rpartition("}")[0] + "}" if root.tag.startswith("{") else ""
    files = []
    for entry in root.iter(f"{space}Contents"):
        key = entry.findtext(f"{space}Key") or ""
        size = entry.findtext(f"{space}Size") or ""
        etag = (entry.findtext(f"{space}ETag") or "").strip().strip('"').casefold()
        path = key.removeprefix(f"{dataset}/")
        if key.endswith("/"):
            continue  # a folder's own entry
        if path == key or not size.isdecimal() or not _is_inside(path):
            raise FileFormatError(f"{where} has an entry that can't be: {key!r}, size {size!r}.")
        files.append(RemoteFile(path, int(size), etag, f"{base}/{quote(key)}"))
    more = (root.findtext(f"{space}IsTruncated") or "").casefold() == "true"
    return files, (root.findtext(f"{space}NextContinuationToken") or "") if more else ""


def _is_inside(path: str) -> bool:
    """Whether a path stays in the folder on every system."""
    parts = path.split("/")
    return not any(
        part in ("", ".", "..") or part.startswith(".affectrum") or set(part) & set('\\:*?"<>|\0')
        for part in parts
    )
