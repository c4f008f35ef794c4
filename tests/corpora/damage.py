"""Ways in which a file of any corpus can be damaged, for the tests that every reader has to pass.

Each kind changes one file in place. What must be noticed says so; the rest must only end well: in
a report or in an error of the package's own, in bounded time and memory, without running anything.
"""

from __future__ import annotations

import io
import pickle
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from scipy.io import loadmat, savemat

PAGE = b"<html><body>Please log in to download this file.</body></html>\n" * 20
BOMB_BYTES = 700_000_000


@dataclass(frozen=True)
class Kind:
    """A kind of damage.

    ``harm(path, stranger)`` changes the file; ``stranger`` is a file of another corpus. It returns
    False where it does not apply to this format. ``noticed``: the report must have something new
    that names the file.
    """

    harm: Callable[[Path, Path], Any]
    noticed: bool = True


def replace(path: Path, content: bytes) -> None:
    """Write a file anew: the old one may be a hard link that others share."""
    path.unlink()
    path.write_bytes(content)


def keep(share: float = 0.0, *, first: int | None = None, drop: int = 0) -> Callable[..., None]:
    def harm(path: Path, _: Path) -> None:
        content = path.read_bytes()
        n = first if first is not None else int(len(content) * share)
        replace(path, content[: min(n, len(content) - 1)] if not drop else content[:-drop])

    return harm


def flips(seed: int, n: int = 64, within: int | None = None) -> Callable[..., None]:
    def harm(path: Path, _: Path) -> None:
        content = bytearray(path.read_bytes())
        rng = np.random.default_rng(seed)
        end = min(len(content), within or len(content))
        for position in rng.integers(0, end, n):
            content[position] ^= 1 << int(rng.integers(8))
        replace(path, bytes(content))

    return harm


class _Runs:
    """Unpickled, it creates a file beside the damaged one; the tests look for it."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> Any:
        return open, (self.path, "w")


def marker(path: Path) -> Path:
    """Return the file that stands there if a pickle was run."""
    return path.parent / ".code-was-run"


def _evil_pickle(path: Path, _: Path) -> None:
    replace(path, pickle.dumps({"data": _Runs(marker(path)), "labels": 1}, protocol=2))


def _evil_numpy(path: Path, _: Path) -> Any:
    trap = np.array(_Runs(marker(path)), object)
    if path.suffix == ".npz":
        content = io.BytesIO()
        with np.load(path, allow_pickle=True) as file:
            names = list(file)
        np.savez(content, **dict.fromkeys(names, trap))
        replace(path, content.getvalue())
        return True
    if path.suffix == ".npy":
        content = io.BytesIO()
        np.save(content, trap, allow_pickle=True)
        replace(path, content.getvalue())
        return True
    return False


def _evil_bytes(path: Path, _: Path) -> Any:
    """Put the trap where the SEED corpora keep pickles: as bytes inside the archive."""
    if path.suffix != ".npz":
        return False
    with np.load(path, allow_pickle=True) as file:
        names = list(file)
    content = io.BytesIO()
    np.savez(content, **dict.fromkeys(names, pickle.dumps(_Runs(marker(path)))))
    replace(path, content.getvalue())
    return True


def _stranger(path: Path, stranger: Path) -> None:
    replace(path, stranger.read_bytes())


def _missing(path: Path, _: Path) -> None:
    path.unlink()


def _twice(path: Path, _: Path) -> None:
    path.with_name(f"{path.stem} (1){path.suffix}").write_bytes(path.read_bytes())


def _other_extension(path: Path, _: Path) -> None:
    path.rename(path.with_suffix(".mat" if path.suffix != ".mat" else ".npz"))


def _loop(path: Path, _: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def _dangling(path: Path, _: Path) -> None:
    path.unlink()
    path.symlink_to("no-such-file")


def _loop_of_folders(path: Path, _: Path) -> None:
    (path.parent / "again").symlink_to(path.parent, target_is_directory=True)


def _folder(path: Path, _: Path) -> None:
    path.unlink()
    path.mkdir()


def _nines(path: Path, _: Path) -> None:
    """Make every number of a text header as large as it can be."""
    content = path.read_bytes()
    head = re.sub(rb"[0-9]", b"9", content[:4096])
    replace(path, head + content[4096:])


def _ones(path: Path, _: Path) -> None:
    """Make every number of a binary header absurd, behind the signature."""
    content = bytearray(path.read_bytes())
    start = 136 if content[:6] == b"MATLAB" else 12
    content[start : min(1100, len(content))] = b"\xff" * (min(1100, len(content)) - start)
    replace(path, bytes(content))


def _largest(path: Path, _: Path) -> Any:
    """Promise the largest sizes that the format can write, with next to no content."""
    head = path.read_bytes()[:512]
    if head[:6] == b"MATLAB":
        name = next(iter(_mat_names(path)), "data")
        replace(path, head[:128] + _mat_variable(name, (2**31 - 1, 2**31 - 1), 0xFFFFFFF0))
    elif head[:2] == b"PK":
        with np.load(path, allow_pickle=True) as file:
            names = list(file)
        replace(path, _npz({name: _npy_header((2**40, 310)) for name in names}))
    elif head[:6] == b"\x93NUMPY":
        replace(path, _npy_header((2**40, 64, 6000)))
    elif path.suffix in (".dat", ".pkl"):
        replace(path, b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b"x" * 100 + b".")
    else:
        return False
    return True


def _npy_header(shape: tuple[int, ...], dtype: str = "<f8") -> bytes:
    out = io.BytesIO()
    header = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_2_0(out, header)
    return out.getvalue() + b"\0" * 64


def _npz(entries: dict[str, bytes], level: int = 6) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as file:
        for name, content in entries.items():
            file.writestr(f"{name}.npy", content)
    return out.getvalue()


def _mat_names(path: Path) -> list[str]:
    from scipy.io import whosmat

    try:
        return [name for name, _, _ in whosmat(path)]
    except Exception:  # already damaged, or version 7.3
        return []


def _mat_head(name: str, shape: tuple[int, ...], class_code: int = 6) -> bytes:
    raw = name.encode()
    flags = struct.pack("<IIII", 6, 8, class_code, 0)
    dims = struct.pack("<II", 5, 4 * len(shape)) + struct.pack(f"<{len(shape)}i", *shape)
    dims += b"\0" * (-len(dims) % 8)
    return flags + dims + struct.pack("<II", 1, len(raw)) + raw + b"\0" * (-len(raw) % 8)


def _mat_variable(name: str, shape: tuple[int, ...], n_bytes: int) -> bytes:
    body = _mat_head(name, shape) + struct.pack("<II", 9, n_bytes) + b"\0" * 64
    return struct.pack("<II", 14, len(body)) + body


@cache
def _packed_zeros(before: bytes, n: int) -> bytes:
    packer = zlib.compressobj(1)
    parts = [packer.compress(before)]
    zeros = bytes(1 << 24)
    for done in range(0, n, len(zeros)):
        parts.append(packer.compress(zeros[: min(len(zeros), n - done)]))
    return b"".join([*parts, packer.flush()])


@cache
def _bomb_of_zip() -> tuple[bytes, int, int]:
    """Return zeros packed by deflate without a frame, their length and their checksum."""
    packer = zlib.compressobj(1, zlib.DEFLATED, -15)
    parts, zeros, check, length = [], bytes(1 << 24), 0, 0
    head = _npy_header((BOMB_BYTES // 8,))[:-64]
    for piece in (head, *[zeros] * (BOMB_BYTES // len(zeros))):
        parts.append(packer.compress(piece))
        check, length = zlib.crc32(piece, check), length + len(piece)
    return b"".join([*parts, packer.flush()]), length, check


def _bomb(path: Path, _: Path) -> Any:
    """Pack 700 MB of zeros into less than one, in the place of the first array."""
    head = path.read_bytes()[:128]
    if head[:6] == b"MATLAB":
        names = _mat_names(path)
        if not names:
            return False
        n_columns = BOMB_BYTES // 8 // 62
        values = struct.pack("<II", 9, 62 * n_columns * 8)
        body = _mat_head("x" * 8, (62, n_columns)) + values
        whole = struct.pack("<II", 14, len(body) + 62 * n_columns * 8) + body
        name = names[0].encode()[:8].ljust(8, b"1")
        packed = _packed_zeros(whole.replace(b"x" * 8, name), 62 * n_columns * 8)
        replace(path, head + struct.pack("<II", 15, len(packed)) + packed)
        return True
    if head[:2] != b"PK":
        return False
    packed, length, check = _bomb_of_zip()
    with np.load(path, allow_pickle=True) as file:
        names = list(file)
    locals_, central = b"", b""
    for name in names:
        raw = f"{name}.npy".encode()
        common = struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 0, check, len(packed), length, len(raw), 0)
        central += b"PK\x01\x02\x14\x00" + common
        central += struct.pack("<HHHII", 0, 0, 0, 0, len(locals_)) + raw
        locals_ += b"PK\x03\x04" + common + raw + packed
    n = len(names)
    end = struct.pack("<HHHHIIH", 0, 0, n, n, len(central), len(locals_), 0)
    replace(path, locals_ + central + b"PK\x05\x06" + end)
    return True


def _deep(path: Path, _: Path) -> Any:
    """Put the first variable five hundred cells deep."""
    head = path.read_bytes()[:128]
    names = _mat_names(path) if head[:6] == b"MATLAB" else []
    if not names:
        return False
    inner = b""
    for level in range(500):
        name = names[0] if level == 499 else ""
        body = _mat_head(name, (1, 1), class_code=1) + inner
        inner = struct.pack("<II", 14, len(body)) + body
    replace(path, head + inner)
    return True


# Changes of content: the numbers of a file, whatever its format


def _arrays(value: Any, found: list[np.ndarray[Any, Any]]) -> None:
    if isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.ndim >= 2:
        found.append(value)
    elif isinstance(value, np.ndarray) and value.dtype.kind == "O":
        for part in value.ravel():
            _arrays(part, found)
    elif isinstance(value, np.void | np.ndarray) and value.dtype.names:
        for part in value.ravel() if isinstance(value, np.ndarray) else [value]:
            for name in value.dtype.names:
                _arrays(part[name], found)
    elif isinstance(value, dict):
        for part in value.values():
            _arrays(part, found)
    elif isinstance(value, list | tuple):
        for part in value:
            _arrays(part, found)


def _change(value: Any, large: int, change: Callable[[Any], Any]) -> Any:
    """Return a value with its large arrays changed; containers are changed in place."""
    if isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.ndim >= 2:
        return change(np.array(value)) if value.size >= large else value
    if isinstance(value, np.ndarray) and value.dtype.kind == "O":
        for index in np.ndindex(value.shape):
            value[index] = _change(value[index], large, change)
    elif isinstance(value, np.ndarray) and value.dtype.names:
        for part in value.ravel():
            for name in value.dtype.names:
                part[name] = _change(part[name], large, change)
    elif isinstance(value, dict):
        for name in value:
            value[name] = _change(value[name], large, change)
    elif isinstance(value, list):
        value[:] = [_change(part, large, change) for part in value]
    return value


def content(change: Callable[[Any], Any]) -> Callable[..., Any]:
    """Return the harm that changes a file's signals: its large arrays, labels are smaller."""

    def changed(value: Any) -> Any:
        found: list[np.ndarray[Any, Any]] = []
        _arrays(value, found)
        if max((x.size for x in found), default=0) < 500:
            return None  # a header whose signals stand in another file
        return _change(value, max(500, max(x.size for x in found) // 200), change)

    def harm(path: Path, _: Path) -> Any:
        head = path.read_bytes()[:520]
        if head[:6] == b"MATLAB" and b"7.3" not in head[:128]:
            value = changed({k: v for k, v in loadmat(path).items() if k[:2] != "__"})
            if value is None:
                return False
            path.unlink()
            savemat(path, value)
        elif b"\x89HDF" in head:
            return _change_hdf5(path, change)
        elif head[:2] == b"PK" and path.suffix == ".npz":
            return _change_npz(path, changed)
        elif head[:6] == b"\x93NUMPY":
            value = changed(np.load(path, allow_pickle=True))
            path.unlink()
            np.save(path, value)
        elif path.suffix in (".dat", ".pkl"):
            value = changed(pickle.loads(path.read_bytes(), encoding="latin1"))
            replace(path, pickle.dumps(value, protocol=2))
        else:
            return False
        return True

    return harm


def _change_hdf5(path: Path, change: Callable[[Any], Any]) -> Any:
    own = path.read_bytes()
    replace(path, own)
    with h5py.File(path, "r+") as file:
        for name, item in list(file.items()):
            if isinstance(item, h5py.Dataset) and item.dtype.kind == "f" and item.ndim >= 2:
                values, attributes = change(item[()]), dict(item.attrs)
                del file[name]
                file[name] = values
                file[name].attrs.update(attributes)
    return True


def _change_npz(path: Path, changed: Callable[[Any], Any]) -> Any:
    with np.load(path, allow_pickle=True) as file:
        entries = {name: file[name] for name in file}
    n_changed = 0
    for name, value in entries.items():
        raw = value.item() if value.ndim == 0 else value
        inner = changed(pickle.loads(raw) if isinstance(raw, bytes) else raw)
        if inner is not None:
            entries[name] = pickle.dumps(inner) if isinstance(raw, bytes) else inner
            n_changed += 1
    out = io.BytesIO()
    np.savez(out, **entries)
    replace(path, out.getvalue())
    return n_changed > 0


def _nan(x: Any) -> Any:
    flat = x.reshape(-1)
    flat[: len(flat) // 3] = np.nan
    return flat.reshape(x.shape)


def _flat(x: Any) -> Any:
    return np.full_like(x, 3.0)


KINDS: dict[str, Kind] = {
    "cut in the header": Kind(keep(first=60)),
    "cut in the middle": Kind(keep(0.5)),
    "cut near the end": Kind(keep(drop=9)),
    "empty": Kind(keep(first=0)),
    "bits flipped": Kind(flips(1), noticed=False),
    "bits of the header flipped": Kind(flips(2, n=12, within=512), noticed=False),
    "other bits of the header flipped": Kind(flips(3, n=3, within=256), noticed=False),
    "a page instead": Kind(lambda path, _: replace(path, PAGE)),
    "a pickle that runs code": Kind(_evil_pickle),
    "an object array that runs code": Kind(_evil_numpy),
    "pickled bytes that run code": Kind(_evil_bytes),
    "another corpus's file": Kind(_stranger),
    "missing": Kind(_missing),
    "twice": Kind(_twice, noticed=False),
    "another extension": Kind(_other_extension),
    "a link to itself": Kind(_loop),
    "a link to nothing": Kind(_dangling),
    "a loop of folders": Kind(_loop_of_folders, noticed=False),
    "a folder instead": Kind(_folder),
    "nines in the header": Kind(_nines, noticed=False),
    "ones in the header": Kind(_ones, noticed=False),
    "the largest sizes": Kind(_largest),
    "a bomb": Kind(_bomb),
    "nested deeply": Kind(_deep),
    "NaN": Kind(content(_nan)),
    "flat": Kind(content(_flat)),
    "a million times": Kind(content(lambda x: x * 1e6)),
    "axes swapped": Kind(content(lambda x: np.ascontiguousarray(x.T))),
}
SIGNALS_ONLY = ("flat", "a million times")
"""Kinds that features can't show: they have no unit, and may be equal."""


def examine(name: str, folder: Path, form: str, options: Any, *, deep: bool = True) -> Any:
    """Return the report of a check, thorough by default, and read what opens.

    Only the package's own errors are let pass; a report is usable if and only if the folder opens.
    """
    import affectrum as af
    from affectrum.errors import AffectrumError

    report = af.corpora.check_folder(name, folder, form=form, deep=deep, options=options)
    assert report.usable == (not report.of_level("error"))
    try:
        corpus = af.open_corpus(name, folder, form=form, options=options)
    except AffectrumError:
        assert not report.usable
        return report
    try:
        if corpus.form in corpus.signal_forms:
            for trial, x in corpus.iter_trials(np.arange(min(3, len(corpus.trials)))):
                assert x.shape == (trial["n_channels"], round(trial["duration_s"] * trial["sfreq"]))
        else:
            corpus.read_features(corpus.trials.iloc[0], corpus.feature_names[0])
    except AffectrumError:
        assert not (deep and report.usable)  # a thorough check has to see it
    return report
