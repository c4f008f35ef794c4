"""A small server that speaks the part of the S3 protocol that downloads need, with faults."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape

PAGE = 3  # names per page: small, so that listings have several


@dataclass
class Bucket:
    """What the server has, what it was asked for, and how it misbehaves."""

    files: dict[str, bytes]
    cut_after: dict[str, list[int]] = field(default_factory=dict)
    """Path -> after how many bytes the next answers break off."""
    wrong: dict[str, list[bytes]] = field(default_factory=dict)
    """Path -> contents of the next answers instead of the real one."""
    etags: dict[str, str] = field(default_factory=dict)
    ignore_ranges: bool = False
    listing: bytes | None = None
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    url: str = ""

    def etag(self, key: str) -> str:
        digest = hashlib.md5(self.files[key], usedforsecurity=False).hexdigest()
        return self.etags.get(key, digest)

    def page(self, prefix: str, token: str) -> bytes:
        keys = [key for key in sorted(self.files) if key.startswith(prefix) and key > token]
        entries = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{len(self.files[key])}</Size>"
            f"<ETag>&quot;{self.etag(key)}&quot;</ETag></Contents>"
            for key in keys[:PAGE]
        )
        more = len(keys) > PAGE
        last = escape(keys[PAGE - 1]) if more else ""
        tail = f"<NextContinuationToken>{last}</NextContinuationToken>"
        return (
            '<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<IsTruncated>{str(more).lower()}</IsTruncated>{tail if more else ''}{entries}"
            "</ListBucketResult>"
        ).encode()


class _Handler(BaseHTTPRequestHandler):
    bucket: Bucket

    def log_message(self, *words: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        bucket = self.bucket
        address = urlsplit(self.path)
        if address.query:
            words = parse_qs(address.query)
            prefix, token = words["prefix"][0], words.get("continuation-token", [""])[0]
            content = bucket.listing if bucket.listing is not None else bucket.page(prefix, token)
            bucket.asked.append((f"?{prefix}", token or None))
            self._answer(200, content)
            return
        key = unquote(address.path).removeprefix("/bucket/")
        wanted = self.headers.get("Range")
        bucket.asked.append((key, wanted))
        if key not in bucket.files:
            self._answer(404, b"<Error/>")
            return
        content = bucket.files[key]
        if bucket.wrong.get(key):
            content = bucket.wrong[key].pop(0)
        status = 200
        if wanted and not bucket.ignore_ranges:
            content, status = content[int(wanted.removeprefix("bytes=").rstrip("-")) :], 206
        cut = bucket.cut_after[key].pop(0) if bucket.cut_after.get(key) else None
        self._answer(status, content, cut)

    def _answer(self, status: int, content: bytes, cut: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        with contextlib.suppress(ConnectionError):  # a client may leave before the end
            self.wfile.write(content if cut is None else content[:cut])
        if cut is not None:
            self.close_connection = True


class Server:
    """A bucket behind a local port, for a `with` block."""

    def __init__(self, bucket: Bucket) -> None:
        handler = type("Handler", (_Handler,), {"bucket": bucket})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,), daemon=True
        )
        bucket.url = f"http://127.0.0.1:{self._server.server_address[1]}/{quote('bucket')}"

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
