from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_corpus import FakeCorpus, write_folder

from affectrum.errors import StoreError
from affectrum.recipes import Recipe
from affectrum.store import Store, assembly, files, parts
from affectrum.store.locks import lock_path, try_lock

ALL_FILES = ["s1_1.npz", "s1_2.npz", "s2_1.npz", "s2_2.npz", "s3_1.npz", "s3_2.npz"]
SCRIPT = Path(__file__).parent / "prepare_script.py"


def content(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".locks" not in path.parts
    }


def start(folder: Path, store: Path, recipe: Recipe, **settings: Any) -> subprocess.Popen[str]:
    values = {
        "folder": str(folder),
        "store": str(store),
        "recipe": recipe.model_dump(mode="json"),
        **settings,
    }
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), json.dumps(values)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    return process


def answer(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, _ = process.communicate(timeout=120)
    return dict(json.loads(out.splitlines()[-1]))


@pytest.fixture
def expected(tmp_path: Path, folder: Path, recipe: Recipe) -> dict[str, bytes]:
    Store(tmp_path / "expected").prepare(FakeCorpus(folder), recipe)
    return content(tmp_path / "expected")


# ---------------------------------------------------------------- kills


def fork_and_kill_at(moment: int, folder: Path, store: Path, recipe: Recipe) -> bool:
    """Prepare in a child that dies, as by kill -9, at its n-th step; return if it got through."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    steps = 0

    def dying(function: Any) -> Any:
        def step(*args: Any, **kwargs: Any) -> Any:
            nonlocal steps
            steps += 1
            if steps == moment:
                os._exit(9)  # nothing is flushed, no handler runs
            return function(*args, **kwargs)

        return step

    try:
        for name in ("fsync", "replace", "rename", "unlink"):
            setattr(os, name, dying(getattr(os, name)))
        parts.PartWriter.add = dying(parts.PartWriter.add)  # type: ignore[method-assign]
        Store(store).prepare(FakeCorpus(folder), recipe)
        os._exit(0)
    except BaseException:
        os._exit(1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.parametrize("every", [9, pytest.param(1, marks=pytest.mark.slow)])
def test_killed_at_any_step_the_next_run_ends_with_the_same_bits(
    tmp_path: Path, folder: Path, recipe: Recipe, expected: dict[str, bytes], every: int
) -> None:
    moment = 1 - every
    while True:
        moment += every
        store = tmp_path / f"store{moment}"
        through = fork_and_kill_at(moment, folder, store, recipe)
        done = [entry for entry in Store(store).entries() if entry.state == "complete"]
        corpus = FakeCorpus(folder)
        windows = Store(store).prepare(corpus, recipe)
        assert len(windows) == 108
        found = content(store)
        for name, data in expected.items():
            assert found[name] == data, (moment, name)
        assert Store(store).verify() == []
        if done:
            assert corpus.opened == []
        if through:
            break
    # 18 trials, three syncs a file, and the last files: the steps must not have been missed.
    assert moment > 40


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_killed_again_and_again_it_still_gets_there(
    tmp_path: Path, folder: Path, recipe: Recipe, expected: dict[str, bytes]
) -> None:
    store = tmp_path / "store"
    for _ in range(20):
        if fork_and_kill_at(18, folder, store, recipe):  # a little more than two files' steps
            break
    else:
        pytest.fail("twenty runs did not get there")
    assert {name: content(store)[name] for name in expected} == expected


def kill_and_resume(
    tmp_path: Path, folder: Path, recipe: Recipe, expected: dict[str, bytes], moments: list[float]
) -> None:
    store = tmp_path / "killed"
    for seconds in moments:
        process = start(folder, store, recipe, delay_s=0.03)
        time.sleep(seconds)
        process.kill()
        process.communicate()
        for path in store.glob("*"):
            # What bears its final name is whole; everything else is called unfinished.
            if path.name != ".locks" and not path.name.endswith(".partial"):
                assert Store(store).verify() == []
    corpus = FakeCorpus(folder)
    Store(store).prepare(corpus, recipe)
    assert {name: content(store)[name] for name in expected} == expected


def test_kill_minus_nine(
    tmp_path: Path, folder: Path, recipe: Recipe, expected: dict[str, bytes]
) -> None:
    kill_and_resume(tmp_path, folder, recipe, expected, [0.08, 0.3])


@pytest.mark.slow
def test_kill_minus_nine_many_times(
    tmp_path: Path, folder: Path, recipe: Recipe, expected: dict[str, bytes]
) -> None:
    rng = np.random.default_rng(0)
    for round_ in range(6):
        place = tmp_path / f"round{round_}"
        place.mkdir()
        kill_and_resume(place, folder, recipe, expected, list(rng.uniform(0, 0.8, size=4)))


def test_interrupted_by_the_keyboard_it_goes_on_where_it_was(
    tmp_path: Path, folder: Path, recipe: Recipe, expected: dict[str, bytes]
) -> None:
    store = Store(tmp_path / "store")

    def interrupt(done: float, total: float, message: str) -> None:
        if done == 10:  # in the middle of the fourth file
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.prepare(FakeCorpus(folder), recipe, progress=interrupt)
    (entry,) = store.entries()
    assert (entry.state, entry.n_files, entry.n_trials) == ("unfinished", 3, 9)
    assert (entry.corpus, entry.recipe, entry.simulated) == ("FAKE", "tiny", True)
    corpus = FakeCorpus(folder)
    seen: list[float] = []
    store.prepare(corpus, recipe, progress=lambda done, total, message: seen.append(done))
    assert corpus.opened == ALL_FILES[3:]
    assert 9 in seen
    assert content(tmp_path / "store") == expected


def test_clean_removes_unfinished_entries(tmp_path: Path, folder: Path, recipe: Recipe) -> None:
    store = Store(tmp_path / "store")
    with pytest.raises(KeyboardInterrupt):
        store.prepare(FakeCorpus(folder), recipe, progress=_interrupt_at_10)
    (entry,) = store.entries()
    held = try_lock(lock_path(store.path, entry.key))
    assert held is not None
    assert store.clean() == []  # somebody works on it
    held.close()
    assert [removed.state for removed in store.clean()] == ["unfinished"]
    assert store.entries() == []


def _interrupt_at_10(done: float, total: float, message: str) -> None:
    if done == 10:
        raise KeyboardInterrupt


def test_a_journal_is_not_trusted_blindly(
    tmp_path: Path, folder: Path, recipe: Recipe, expected: dict[str, bytes]
) -> None:
    store = Store(tmp_path / "store")
    with pytest.raises(KeyboardInterrupt):
        store.prepare(FakeCorpus(folder), recipe, progress=_interrupt_at_10)
    (work,) = (tmp_path / "store").glob("*.partial")
    with open(work / "x.npy", "r+b") as file:  # a bit of the second file's windows
        file.seek(256 + 20 * 16)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))
    with open(work / "journal.jsonl", "ab") as file:
        file.write(b'{"part": "half a li')
    corpus = FakeCorpus(folder)
    store.prepare(corpus, recipe)
    assert corpus.opened == ALL_FILES[1:]
    assert content(tmp_path / "store") == expected


# ---------------------------------------------------------------- two writers


def test_two_writers_at_once(
    tmp_path: Path, folder: Path, recipe: Recipe, expected: dict[str, bytes]
) -> None:
    store = tmp_path / "store"
    running = [start(folder, store, recipe, delay_s=0.03) for _ in range(2)]
    answers = [answer(process) for process in running]
    assert [found["n"] for found in answers] == [108, 108]
    assert sorted(len(found["opened"]) for found in answers) == [0, 6]
    assert content(store) == expected


def test_a_killed_writer_leaves_no_lock_behind(
    tmp_path: Path, folder: Path, recipe: Recipe, expected: dict[str, bytes]
) -> None:
    store = tmp_path / "store"
    first = start(folder, store, recipe, delay_s=0.2)
    deadline = time.monotonic() + 60
    while not list(store.glob("*.partial")) and time.monotonic() < deadline:
        time.sleep(0.02)
    second = start(folder, store, recipe)
    time.sleep(0.5)
    first.kill()
    first.communicate()
    found = answer(second)
    assert found["waited"]
    assert found["n"] == 108
    assert content(store) == expected


# ---------------------------------------------------------------- the disk


class FullDisk:
    """A file whose disk takes only so many bytes more."""

    left = 0

    def __init__(self, file: Any) -> None:
        self._file = file

    def write(self, data: bytes) -> int:
        if len(data) > FullDisk.left:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        FullDisk.left -= len(data)
        return int(self._file.write(data))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@pytest.mark.parametrize("room", [0, 50, 700, 1500, 3000])
def test_a_full_disk(
    tmp_path: Path, folder: Path, recipe: Recipe, expected: dict[str, bytes], room: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    store = Store(tmp_path / "store")
    with monkeypatch.context() as patch:
        plain_open = assembly._open
        patch.setattr(assembly, "_open", lambda path: FullDisk(plain_open(path)))
        FullDisk.left = room
        with pytest.raises(StoreError) as caught:
            store.prepare(FakeCorpus(folder), recipe)
    text = str(caught.value)
    for part in ("No space left", str(tmp_path / "store"), "more are needed", "are free", "again"):
        assert part in text
    assert all(entry.state == "unfinished" for entry in store.entries())
    store.prepare(FakeCorpus(folder), recipe)
    assert content(tmp_path / "store") == expected


def test_a_limit_on_file_sizes(
    tmp_path: Path, folder: Path, recipe: Recipe, expected: dict[str, bytes]
) -> None:
    pytest.importorskip("resource")
    process = start(folder, tmp_path / "store", recipe, file_limit=1500)
    text = answer(process)["error"]
    assert process.returncode == 3
    assert "too large" in text
    assert "choose another place" in text
    Store(tmp_path / "store").prepare(FakeCorpus(folder), recipe)
    assert content(tmp_path / "store") == expected


def test_want_of_space_is_told_before_the_work(
    tmp_path: Path, folder: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    from affectrum.store import run

    monkeypatch.setattr(run, "free_bytes", lambda path: 1000)
    corpus = FakeCorpus(folder)
    with pytest.raises(StoreError, match=r"need about 0\.0 MB more .* 0\.0 MB are free"):
        Store(tmp_path / "store").prepare(corpus, recipe)
    assert corpus.opened == []


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES])
def test_a_read_only_store(
    tmp_path: Path, folder: Path, recipe: Recipe, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "store")
    prepared = store.prepare(FakeCorpus(folder), recipe)

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(Path, "mkdir", refuse)
    monkeypatch.setattr(os, "open", refuse)
    monkeypatch.setattr(os, "replace", refuse)
    # Complete entries open all the same.
    again = store.prepare(FakeCorpus(folder), recipe)
    np.testing.assert_array_equal(again.x, prepared.x)
    with pytest.raises(StoreError, match=r"must be writable[\s\S]*another place"):
        store.prepare(FakeCorpus(folder), recipe.replace(window_s=2.0))
    with pytest.raises(StoreError, match="must be writable"):
        Store(tmp_path / "new").prepare(FakeCorpus(folder), recipe)


def test_a_file_stands_where_the_store_should_be(
    tmp_path: Path, folder: Path, recipe: Recipe
) -> None:
    (tmp_path / "store").write_text("a file")
    with pytest.raises(StoreError, match=r"store'"):
        Store(tmp_path / "store").prepare(FakeCorpus(folder), recipe)


# ---------------------------------------------------------------- damage


def flip(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 4
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("name", "position", "found"),
    [
        ("x.npy", 256 + 16 * 30, "windows of 's1_2.npz'"),
        ("x.npy", -1, "windows of 's3_2.npz'"),
        ("x.npy", 30, "header"),
        ("rows.npy", 256 + 17 * 3 + 9, "windows of 's1_1.npz'"),
        ("trials.npz", 200, "trials.npz"),
        ("manifest.json", 300, "manifest.json"),
    ],
)
def test_a_flipped_bit_is_found(
    tmp_path: Path, folder: Path, recipe: Recipe, name: str, position: int, found: str
) -> None:
    store = Store(tmp_path / "store")
    store.prepare(FakeCorpus(folder), recipe)
    (entry,) = store.entries()
    assert store.verify(entry.key) == []
    flip(entry.path / name, position)
    problems = store.verify()
    assert len(problems) == 1
    assert found in problems[0]
    assert "Prepare it again" in problems[0]


@pytest.mark.parametrize("name", ["x.npy", "rows.npy", "trials.npz", "manifest.json"])
@pytest.mark.parametrize("how", ["truncated", "missing", "longer"])
def test_a_damaged_entry_is_refused_and_then_made_anew(
    tmp_path: Path, folder: Path, recipe: Recipe, expected: dict[str, bytes], name: str, how: str
) -> None:
    store = Store(tmp_path / "store")
    store.prepare(FakeCorpus(folder), recipe)
    (entry,) = store.entries()
    path = entry.path / name
    data = path.read_bytes()
    if how == "missing":
        path.unlink()
    else:
        path.write_bytes(data[: len(data) // 2] if how == "truncated" else data + b"\0" + data)
    (damaged,) = store.entries()
    assert damaged.state == "damaged"
    with pytest.raises(StoreError, match=r"can't be trusted[\s\S]*" + name.replace(".", r"\.")
                       if name != "manifest.json" else "can't be trusted"):  # fmt: skip
        store.open("FAKE", recipe)
    corpus = FakeCorpus(folder)
    store.prepare(corpus, recipe)
    assert corpus.opened == ALL_FILES
    assert content(tmp_path / "store") == expected


def test_a_damaged_earlier_entry_is_not_copied_from(
    tmp_path: Path, folder: Path, recipe: Recipe, expected: dict[str, bytes]
) -> None:
    store = Store(tmp_path / "store")
    store.prepare(FakeCorpus(folder), recipe, subjects=[2])
    (entry,) = store.entries()
    flip(entry.path / "x.npy", 256 + 16 * 30)  # in its second file
    corpus = FakeCorpus(folder)
    store.prepare(corpus, recipe)
    assert sorted(corpus.opened) == [name for name in ALL_FILES if name != "s2_1.npz"]
    found = content(tmp_path / "store")
    assert {name: found[name] for name in expected} == expected


# ---------------------------------------------------------------- vendor files


@pytest.mark.parametrize("workers", [1, 2])
def test_faulty_files_are_told_at_once_and_the_others_kept(
    tmp_path: Path, folder: Path, recipe: Recipe, expected: dict[str, bytes], workers: int
) -> None:
    good = {name: (folder / name).read_bytes() for name in ("s1_2.npz", "s3_1.npz")}
    for name in good:
        with np.load(folder / name) as file:
            arrays = {key: file[key] for key in file.files}
        # The second trial of three can't be read; its length is that of the good one.
        np.savez(folder / name, t1=arrays["t1"], broken=arrays["t2"], t3=arrays["t3"])
    store = Store(tmp_path / "store")
    with pytest.raises(StoreError) as caught:
        store.prepare(FakeCorpus(folder), recipe, workers=workers)
    text = str(caught.value)
    for part in ("2 of 6 files", "s1_2.npz", "s3_1.npz", "'broken' can't be read", "kept"):
        assert part in text
    for name, data in good.items():
        (folder / name).write_bytes(data)
    corpus = FakeCorpus(folder)
    store.prepare(corpus, recipe)
    assert content(tmp_path / "store").keys() >= expected.keys()
    found = content(tmp_path / "store")
    assert {name: found[name] for name in expected} == expected


def test_a_repaired_file_alone_is_computed(tmp_path: Path, folder: Path, recipe: Recipe) -> None:
    class Failing(FakeCorpus):
        broken = True

        def iter_trials(self, rows: Any) -> Any:
            if self.broken and "s1_2.npz" in set(rows["file"]):
                raise OSError(errno.EIO, "the disk gave up", "s1_2.npz")
            yield from super().iter_trials(rows)

    corpus = Failing(folder)
    store = Store(tmp_path / "store")
    with pytest.raises(StoreError, match=r"1 of 6 files[\s\S]*the disk gave up: 's1_2.npz'"):
        store.prepare(corpus, recipe)
    corpus.broken = False
    corpus.opened.clear()
    store.prepare(corpus, recipe)
    assert corpus.opened == ["s1_2.npz"]


def test_a_file_that_changes_meanwhile_is_not_trusted(
    tmp_path: Path, folder: Path, recipe: Recipe
) -> None:
    class Changing(FakeCorpus):
        def iter_trials(self, rows: Any) -> Any:
            yield from super().iter_trials(rows)
            if "s2_1.npz" in set(rows["file"]):
                write_folder(self.folder, seed=5)

    with pytest.raises(StoreError, match=r"s2_1.npz' changed while it was read"):
        Store(tmp_path / "store").prepare(Changing(folder), recipe)


def test_a_file_that_vanished_is_named(tmp_path: Path, folder: Path, recipe: Recipe) -> None:
    from affectrum.errors import FileFormatError

    class Vanishing(FakeCorpus):
        def fingerprint(self, file: str) -> str:
            if file.startswith("s2"):
                raise FileFormatError(f"{file}: can't be read (No such file or directory).")
            return super().fingerprint(file)

    with pytest.raises(FileFormatError, match=r"2 of 6 files[\s\S]*s2_1[\s\S]*s2_2"):
        Store(tmp_path / "store").prepare(Vanishing(folder), recipe)


def test_an_error_in_the_pipeline_is_not_swallowed(
    tmp_path: Path, folder: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any) -> Any:
        raise ZeroDivisionError("a fault of the program")

    monkeypatch.setattr(parts, "process", fail)
    with pytest.raises(ZeroDivisionError):
        Store(tmp_path / "store").prepare(FakeCorpus(folder), recipe)


# ---------------------------------------------------------------- helpers


def test_reading_ahead_keeps_order_and_errors() -> None:
    assert list(parts.ahead(range(50))) == list(range(50))

    def failing() -> Any:
        yield 1
        raise OSError("lost")

    reader = parts.ahead(failing())
    assert next(reader) == 1
    with pytest.raises(OSError, match="lost"):
        next(reader)
    made = []

    def endless() -> Any:
        while True:
            made.append(1)
            yield 1

    reader = parts.ahead(endless())
    next(reader)
    reader.close()
    assert len(made) <= 3  # one taken, one waiting, one in hand


def test_disk_faults_say_what_to_do(tmp_path: Path) -> None:
    with (
        pytest.raises(StoreError, match="Check the disk"),
        files.storing(tmp_path, "Windows"),
    ):
        raise OSError(errno.EIO, "bad sector")
