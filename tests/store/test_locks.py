from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from affectrum.errors import StoreError
from affectrum.store import locks


def test_a_lock_is_held_once_and_given_back(tmp_path: Path) -> None:
    path = locks.lock_path(tmp_path / "store", "0123456789abcdef9999")
    assert path.name == "0123456789abcdef.lock"
    first = locks.try_lock(path)
    assert first is not None
    assert locks.try_lock(path) is None
    assert f"process {os.getpid()} on " in locks.owner(path)
    first.close()
    second = locks.try_lock(path)
    assert second is not None
    second.close()


def test_waiting_names_the_owner_and_ends(tmp_path: Path) -> None:
    path = locks.lock_path(tmp_path, "key")
    held = locks.try_lock(path)
    assert held is not None
    seen: list[str] = []
    timer = threading.Timer(0.1, held.close)
    timer.start()
    with locks.locked(path, seen.append, poll_s=0.02):
        assert seen
        assert set(seen) == {locks.owner(path)}
        assert locks.try_lock(path) is None
    timer.join()
    again = locks.try_lock(path)
    assert again is not None
    again.close()


def test_a_file_system_without_locks_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(file: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(locks, "_lock", refuse)
    with pytest.raises(StoreError, match="Put the store on a local disk"):
        locks.try_lock(tmp_path / "a.lock")


def test_an_unreadable_owner_is_somebody(tmp_path: Path) -> None:
    assert locks.owner(tmp_path / "missing") == "another process"
    (tmp_path / "odd").write_text("[]")
    assert locks.owner(tmp_path / "odd") == "another process"
