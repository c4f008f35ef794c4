"""What a pickle of arrays may hold: the names that are recognised, and what they stand for.

Nothing here was imported or built from a file: these are descriptions that
`affectrum.recordings.pickle_opcodes` makes while it walks, and `affectrum.recordings.pickles` turns
into arrays.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

__all__ = [
    "ALLOWED_GLOBALS",
    "BYTES",
    "DTYPE",
    "ENCODE",
    "FROM_BUFFER",
    "NDARRAY",
    "RECONSTRUCT",
    "SCALAR",
    "ArrayState",
    "Dtype",
    "Encoded",
    "Global",
    "Scalar",
    "View",
]

# What numpy writes for an array, a dtype, a scalar; `numpy._core` since numpy 2. `_codecs.encode`
# is how Python 3 writes bytes into a protocol <= 2 pickle, `bytes` how it writes empty bytes.
RECONSTRUCT = "reconstruct"
FROM_BUFFER = "frombuffer"
SCALAR = "scalar"
NDARRAY = "ndarray"
DTYPE = "dtype"
ENCODE = "encode"
BYTES = "bytes"
ALLOWED_GLOBALS: Final[dict[tuple[str, str], str]] = {
    ("numpy.core.multiarray", "_reconstruct"): RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): RECONSTRUCT,
    ("numpy.core.numeric", "_frombuffer"): FROM_BUFFER,
    ("numpy._core.numeric", "_frombuffer"): FROM_BUFFER,
    ("numpy.core.multiarray", "scalar"): SCALAR,
    ("numpy._core.multiarray", "scalar"): SCALAR,
    ("numpy", "ndarray"): NDARRAY,
    ("numpy", "dtype"): DTYPE,
    ("_codecs", "encode"): ENCODE,
    ("__builtin__", "bytes"): BYTES,
    ("builtins", "bytes"): BYTES,
}


class Global:
    """A recognised name; nothing was imported for it."""

    __slots__ = ("kind",)

    def __init__(self, kind: str) -> None:
        self.kind = kind


class View:
    """A long string that still lies in the file.

    `kind` is "bytes", "text" (UTF-8) or "python2" (a byte string that is read as Latin-1).
    """

    __slots__ = ("kind", "view")

    def __init__(self, view: memoryview, kind: str) -> None:
        self.view = view
        self.kind = kind


class Encoded:
    """A text that holds bytes by Latin-1; encoded when it is asked for."""

    __slots__ = ("text",)

    def __init__(self, text: View | str) -> None:
        self.text = text


class Dtype:
    """A dtype that is named but not made yet."""

    __slots__ = ("spec",)

    def __init__(self, spec: str) -> None:
        self.spec = spec

    def dtype(self) -> np.dtype[Any]:
        """Return numpy's dtype."""
        return np.dtype(self.spec)


class ArrayState:
    """What numpy stored of an array; no array was made yet."""

    __slots__ = ("dtype", "fortran", "raw", "shape")

    def __init__(self) -> None:
        self.shape: tuple[int, ...] | None = None
        self.dtype: Dtype | None = None
        self.fortran = False
        self.raw: Any = None


class Scalar:
    """What numpy stored of a scalar."""

    __slots__ = ("dtype", "raw")

    def __init__(self, dtype: Dtype, raw: Any) -> None:
        self.dtype = dtype
        self.raw = raw
