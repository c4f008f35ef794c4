"""Arrays of doubles for MATLAB 5 files that are too large to be held."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from affectrum.twins.mat_struct_files import Node, numbers

__all__ = ["sliced"]

Array = NDArray[np.float64]

_DOUBLE = 9


def sliced(shape: tuple[int, ...], slices: Callable[[], Iterable[Array]]) -> Node:
    """Return an array of doubles that is written slice by slice along its last axis.

    Parameters
    ----------
    shape : tuple of int
        Its dimensions.
    slices : callable
        Returns, when the array is written, as many arrays of shape ``shape[:-1]`` as the last
        dimension says; one of them is in memory at a time.

    Returns
    -------
    Node
        The array, for `affectrum.twins.mat_struct_files.write_nested_mat`.
    """
    whole = numbers(shape, lambda: np.empty(shape))

    def pieces() -> Iterator[bytes]:
        yield struct.pack("<II", _DOUBLE, whole.n_bytes - 8)
        written = 0
        for part in slices():
            if part.shape != shape[:-1]:
                raise ValueError(f"a slice of shape {part.shape}, expected {shape[:-1]}")
            yield np.asarray(part, dtype="<f8").tobytes(order="F")
            written += 1
        if written != shape[-1]:
            raise ValueError(f"{shape[-1]} slices announced, {written} written")

    return Node(whole.kind, shape, whole.n_bytes, pieces)
