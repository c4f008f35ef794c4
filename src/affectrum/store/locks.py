"""A lock that the system lets go when its owner dies, so that it can't go stale."""

from __future__ import annotations

import errno
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from affectrum.errors import StoreError

__all__ = ["KEY_IN_NAME", "lock_path", "locked", "owner", "try_lock"]

LOCKS = ".locks"
# Hexadecimal digits of a key in names: 64 bits, enough among thousands of entries.
KEY_IN_NAME = 16
# Errors by which a file system says that it has no locks.
_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)


def lock_path(store: Path, key: str) -> Path:
    """Return the lock file of an entry; its folder is made if missing.

    Parameters
    ----------
    store : Path
        The store's folder.
    key : str
        The entry's key.

    Returns
    -------
    Path
    """
    folder = store / LOCKS
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{key[:KEY_IN_NAME]}.lock"


def try_lock(path: Path) -> IO[Any] | None:
    """Take the lock if it is free.

    Parameters
    ----------
    path : Path
        The lock file; it is made where it is missing and stays afterwards.

    Returns
    -------
    file or None
        Close it to give the lock back; None if another process (or thread) holds it. A killed
        process gives its locks back, whatever killed it.

    Raises
    ------
    StoreError
        If the file system has no locks.
    OSError
        If the file can't be made.
    """
    file = open(path, "a+b")  # noqa: SIM115  (it stays open as long as the lock is held)
    try:
        _lock(file)
    except OSError as error:
        file.close()
        if error.errno in _NO_LOCKS:
            raise StoreError(
                f"The file system of {str(path)!r} has no locks, so two runs could damage each "
                "other's work. Put the store on a local disk."
            ) from error
        if error.errno in (errno.EAGAIN, errno.EACCES, errno.EDEADLK):
            return None
        raise
    file.seek(0)
    file.truncate()
    file.write(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode())
    file.flush()
    return file


def _lock(file: IO[Any]) -> None:
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        return
    fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def locked(path: Path, waiting: Callable[[str], None], poll_s: float = 0.2) -> Iterator[None]:
    """Hold a lock, waiting for its owner if need be.

    Parameters
    ----------
    path : Path
        The lock file.
    waiting : callable
        Called with the owner's name ("process 12 on host") each time the lock is found taken.
    poll_s : float
        Seconds between two tries.
    """
    while (file := try_lock(path)) is None:
        waiting(owner(path))
        time.sleep(poll_s)
    try:
        yield
    finally:
        file.close()


def owner(path: Path) -> str:
    """Return who holds a lock, in words.

    Parameters
    ----------
    path : Path
        The lock file.

    Returns
    -------
    str
        For example "process 12 on host".
    """
    try:
        content = json.loads(path.read_bytes())
        return f"process {content['pid']} on {content['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
