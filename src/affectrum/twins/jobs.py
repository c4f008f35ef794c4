"""One file to write, and names that several corpora's writers share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from affectrum.twins.generator import TwinGenerator
from affectrum.twins.seeds import derive_rng

__all__ = ["Job", "Layout", "initials", "to_file_values"]

_STEP_UV = 1.0 / 32.0


@dataclass(frozen=True)
class Job:
    """A file of the vendor's tree.

    Attributes
    ----------
    path : Path
        Where it goes, relative to the twin's folder.
    write : callable
        Writes it, given the absolute path.
    small : bool
        Whether it is written anew each time: labels and tables grow with the subjects.
    """

    path: Path
    write: Callable[[Path], None]
    small: bool = False


@dataclass(frozen=True)
class Layout:
    """What is to be written.

    Attributes
    ----------
    generator : TwinGenerator
        Where signals and ratings come from.
    subjects, sessions : tuple of int
        From 1.
    forms : tuple of str
        Which of the vendor's forms.
    tree : {"new", "old"}
        Which of the vendor's distributions, where there are two.
    compress : bool
        Whether MATLAB files are compressed.
    """

    generator: TwinGenerator
    subjects: tuple[int, ...]
    sessions: tuple[int, ...]
    forms: tuple[str, ...]
    tree: str
    compress: bool


def initials(corpus: str, subject: int, seed: int) -> str:
    """Initials of a subject, two or three small letters, different between neighbours."""
    rng = derive_rng(seed, "initials", corpus, subject)
    letters = "bcdfghjklmnpqrstwxyz"
    tail = "".join(rng.choice(list(letters), size=1 + int(rng.integers(2))))
    return letters[(7 * subject) % len(letters)] + tail


def to_file_values(x: NDArray[np.float32]) -> NDArray[np.float64]:
    """Microvolts as stored: rounded to 1/32 uV, so that compressed files stay small."""
    return np.asarray(np.rint(x / np.float32(_STEP_UV)).astype(np.float64) * _STEP_UV)
