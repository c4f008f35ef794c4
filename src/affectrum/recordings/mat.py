"""MATLAB .mat files, one variable at a time.

A v5 file is a chain of variables, each with its length in front, so the chain is followed by
seeking: listing a file reads a few hundred bytes per variable, and reading one trial decodes that
trial only. (`scipy.io.loadmat` with `variable_names` walks the file anew for every name.) What a
variable holds is decoded by `affectrum.recordings.mat5`, after its sizes were checked against the
bytes that are there. v7.3 files are HDF5 and read by h5py.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import numpy as np

from affectrum.errors import FileFormatError, UnsafeFileError
from affectrum.recordings import mat5
from affectrum.recordings.closing import Closing

__all__ = ["Element", "MatFile", "Variable", "list_variables", "load"]

MAX_BYTES: Final = 4 * 1024**3
"""Largest variable that is decoded, in bytes (the v5 format's own limit)."""

_HEADER_BYTES: Final = 128
_MAX_VARIABLES: Final = 1_000_000
# EEG packs to a third, a tenth at best; a thousandth is the most that zlib can do with zeros
_MOST_PACKED: Final = 100
_PACKED_FREELY: Final = 64 * 1024**2


@dataclass(frozen=True)
class Variable:
    """What the header of one variable says.

    Parameters
    ----------
    name : str
        The variable's name.
    shape : tuple of int
        Its dimensions as MATLAB shows them.
    matlab_class : str
        "double", "single", "int8" ..., "logical", "char", "cell", "struct", "sparse", "opaque".
    """

    name: str
    shape: tuple[int, ...]
    matlab_class: str


@dataclass(frozen=True)
class Element:
    """Where a variable of a v5 file stands.

    Parameters
    ----------
    offset : int
        Where its data begin, behind the tag.
    n_bytes : int
        How many bytes of the file they take.
    compressed : bool
        Whether they are deflated.
    """

    offset: int
    n_bytes: int
    compressed: bool


def _reread(path: Path) -> str:
    return f"Copy {path.name} again from its source."


class MatFile(Closing):
    """An open .mat file; use it in a ``with`` statement.

    Parameters
    ----------
    path : path
        The file.

    Attributes
    ----------
    variables : dict of str to Variable
        What the file holds, in file order.

    Raises
    ------
    FileFormatError
        The file is missing, truncated, damaged or not a .mat file.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.variables: dict[str, Variable] = {}
        self._elements: dict[str, Element] = {}
        self._hdf5: Any = None
        self._file: IO[bytes] | None = None
        try:
            self._file = self.path.open("rb")
            self._size = os.fstat(self._file.fileno()).st_size
            self._open()
        except OSError as error:
            self.close()
            raise FileFormatError(
                f"{self.path}: can't be read ({error.strerror or error}). "
                "Check the path and permissions."
            ) from None
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file; reading from it afterwards fails."""
        if self._hdf5 is not None:
            self._hdf5.close()
            self._hdf5 = None
        if self._file is not None:
            self._file.close()
            self._file = None

    def read(self, name: str) -> np.ndarray[Any, Any]:
        """Decode one variable.

        Parameters
        ----------
        name : str
            The variable's name.

        Returns
        -------
        ndarray
            Numbers with MATLAB's axes; text as an array of `str`, one per row; cells as an object
            array; structs as an object array of dicts.

        Raises
        ------
        FileFormatError
            The variable is missing or damaged.
        """
        self._require(name)
        if self._hdf5 is not None:
            from affectrum.recordings import hdf5

            where = f"{self.path}: {name}"
            return np.asarray(hdf5.read_variable(self._hdf5[name], where, MAX_BYTES))
        try:
            return mat5.decode(self._body(name), self._endian)
        except FileFormatError:
            raise
        except (zlib.error, ValueError, struct.error, OverflowError, MemoryError, OSError) as error:
            raise self._damaged(name, f"{type(error).__name__}: {error}") from None

    def read_fields(self, name: str, fields: Collection[str]) -> dict[str, Any]:
        """Decode some fields of a single struct; the others may hold what is not read.

        Parameters
        ----------
        name : str
            The variable's name.
        fields : collection of str
            The wanted fields.

        Returns
        -------
        dict of str to ndarray
            Those of them that the struct has.

        Raises
        ------
        FileFormatError
            The variable is missing, damaged or no single struct.
        """
        self._require(name)
        if self._hdf5 is not None:
            found = self.read(name).ravel()
            if found.size != 1 or not isinstance(found[0], dict):
                raise self._damaged(name, "no single struct")
            return {field: found[0][field] for field in fields if field in found[0]}
        try:
            return mat5.decode_fields(self._body(name), self._endian, fields)
        except FileFormatError:
            raise
        except (zlib.error, ValueError, struct.error, OverflowError, MemoryError, OSError) as error:
            raise self._damaged(name, f"{type(error).__name__}: {error}") from None

    def items(self) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
        """Yield (name, array) in file order, each variable decoded once when it is reached."""
        for name in self.variables:
            yield name, self.read(name)

    def element(self, name: str) -> tuple[Element, str]:
        """Return where a variable of a v5 file stands, for decoders that walk it by themselves.

        Parameters
        ----------
        name : str
            The variable's name.

        Returns
        -------
        Element, str
            Its place, and the file's byte order ("<" or ">").

        Raises
        ------
        FileFormatError
            The variable is missing, or the file is of version 7.3.
        """
        self._require(name)
        if self._hdf5 is not None:
            raise FileFormatError(f"{self.path}: saved with -v7.3; expected -v6 or -v7.")
        return self._elements[name], self._endian

    def _require(self, name: str) -> None:
        if name not in self.variables:
            found = ", ".join(list(self.variables)[:20]) or "no variable"
            raise FileFormatError(f"{self.path}: lacks the variable {name!r}; it holds {found}.")

    # v5

    def _open(self) -> None:
        assert self._file is not None
        head = self._file.read(_HEADER_BYTES)
        signature = b"\x89HDF\r\n\x1a\n"
        self._file.seek(512)
        if head.startswith(signature) or self._file.read(8) == signature:
            self._open_hdf5()
            return
        endian = {b"IM": "<", b"MI": ">"}.get(head[126:128])
        if len(head) < _HEADER_BYTES or endian is None:
            kind = "empty" if not head else "not a MATLAB v5 or v7.3 file"
            raise FileFormatError(
                f"{self.path}: {kind}. Expected a .mat file saved with -v6, -v7 or -v7.3 (v4 is "
                f"not read). {_reread(self.path)}"
            )
        self._endian = endian
        position = _HEADER_BYTES
        while position < self._size:
            position = self._index(position)

    def _index(self, position: int) -> int:
        assert self._file is not None
        self._file.seek(position)
        tag = self._file.read(8)
        if len(tag) < 8:
            if not tag.strip(b"\0"):
                return self._size
            raise self._truncated(position, 8)
        kind, n_bytes = struct.unpack(self._endian + "II", tag)
        if kind not in (mat5.MI_MATRIX, mat5.MI_COMPRESSED):
            raise FileFormatError(
                f"{self.path}: damaged: no variable begins at byte {position} (kind {kind}) after "
                f"{len(self.variables)} variables. {_reread(self.path)}"
            )
        if position + 8 + n_bytes > self._size:
            raise self._truncated(position, 8 + n_bytes)
        compressed = kind == mat5.MI_COMPRESSED
        head = self._file.read(min(n_bytes, 1024))
        where = f"variable {len(self.variables) + 1}"
        try:
            if compressed:
                head = zlib.decompressobj().decompress(head, 1024)[8:]
            header = mat5.parse_header(head, self._endian)
        except (zlib.error, struct.error, ValueError) as error:
            raise self._damaged(where, str(error)) from None
        # MATLAB keeps a nameless variable of its own for objects of classes
        if header.name:
            if header.name in self.variables:
                raise self._damaged(header.name, "the name occurs twice")
            self.variables[header.name] = Variable(header.name, header.shape, header.matlab_class)
            self._elements[header.name] = Element(position + 8, n_bytes, compressed)
        if len(self.variables) > _MAX_VARIABLES:
            raise UnsafeFileError(f"{self.path}: more than {_MAX_VARIABLES} variables.")
        return position + 8 + int(n_bytes)

    def _body(self, name: str) -> bytes:
        """Return one variable's bytes, unpacked, without the tag in front."""
        assert self._file is not None
        element = self._elements[name]
        self._file.seek(element.offset)
        data = self._file.read(element.n_bytes)
        if len(data) < element.n_bytes:
            raise self._truncated(element.offset, element.n_bytes)
        if not element.compressed:
            return data
        unpacker = zlib.decompressobj()
        tag = unpacker.decompress(data, 8)
        kind, n_bytes = struct.unpack(self._endian + "II", tag)
        if kind != mat5.MI_MATRIX:
            raise self._damaged(name, "a compressed element that is no array")
        shape = self.variables[name].shape
        if name and n_bytes > MAX_BYTES:
            raise UnsafeFileError(f"{self.path}: {name} of shape {shape} has {n_bytes} bytes.")
        if n_bytes > max(_PACKED_FREELY, _MOST_PACKED * element.n_bytes):
            raise UnsafeFileError(
                f"{self.path}: {name} unpacks from {element.n_bytes} to {n_bytes} bytes, as no "
                f"recording does. It was not loaded. {_reread(self.path)}"
            )
        # the promised length is only trusted as a limit: memory grows with what is unpacked
        body = unpacker.decompress(unpacker.unconsumed_tail, n_bytes) if n_bytes else b""
        rest = unpacker.decompress(unpacker.unconsumed_tail, 1)
        if len(body) != n_bytes or rest or not unpacker.eof:
            raise self._damaged(name, "its compressed length and content disagree")
        return body

    # v7.3

    def _open_hdf5(self) -> None:
        from affectrum.recordings import hdf5

        assert self._file is not None
        self._file.close()
        self._file = None
        self._hdf5 = hdf5.open_file(self.path)
        for name, shape, matlab_class in hdf5.list_variables(self._hdf5, self.path):
            self.variables[name] = Variable(name, shape, matlab_class)

    # messages

    def _truncated(self, position: int, wanted: int) -> FileFormatError:
        return FileFormatError(
            f"{self.path}: truncated: {wanted} bytes wanted at byte {position}, the file has "
            f"{self._size}; {len(self.variables)} variables before that are complete. "
            f"{_reread(self.path)}"
        )

    def _damaged(self, name: str, reason: str) -> FileFormatError:
        return FileFormatError(f"{self.path}: {name} is damaged ({reason}). {_reread(self.path)}")


def list_variables(
    path: str | os.PathLike[str],
) -> dict[str, tuple[tuple[int, ...], str]]:
    """Return shape and class of every variable of a .mat file, in file order.

    Only headers are read.

    Parameters
    ----------
    path : path
        The file, v5 or v7.3.

    Returns
    -------
    dict of str to (tuple of int, str)
        Name to (shape, MATLAB class).

    Raises
    ------
    FileFormatError
        The file is missing, truncated, damaged or not a .mat file.
    """
    with MatFile(path) as file:
        return {name: (v.shape, v.matlab_class) for name, v in file.variables.items()}


def load(
    path: str | os.PathLike[str], names: Iterable[str] | None = None
) -> dict[str, np.ndarray[Any, Any]]:
    """Decode variables of a .mat file.

    Parameters
    ----------
    path : path
        The file, v5 or v7.3.
    names : iterable of str, optional
        The variables to decode; all by default.

    Returns
    -------
    dict of str to ndarray
        The arrays with MATLAB's axes.

    Raises
    ------
    FileFormatError
        The file or a variable is missing, truncated or damaged.
    """
    with MatFile(path) as file:
        wanted = list(file.variables) if names is None else list(names)
        return {name: file.read(name) for name in wanted}
