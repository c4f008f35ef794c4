"""Random generators that depend on what is simulated and on nothing else.

Every draw of the twins comes from a generator whose seed is the tuple (seed, what, which corpus,
subject, session, trial ...). The order in which files are written, and the number of workers,
can therefore not change a single byte.
"""

from __future__ import annotations

import hashlib

import numpy as np

__all__ = ["GENERATOR_VERSION", "derive_rng"]

# Part of every seed. It changes when the generative model changes, so that a twin of the new model
# is never taken for one of the old.
GENERATOR_VERSION = 7


def derive_rng(seed: int, *identity: str | int) -> np.random.Generator:
    """Return a random generator for one simulated thing.

    Parameters
    ----------
    seed : int
        The twin's seed, not negative.
    *identity : str or int
        What is drawn and for whom, for example ``("signal", "SEED", 3, 1, 12)``.

    Returns
    -------
    numpy.random.Generator
        The same generator for the same arguments, in every process and on every run.
    """
    words = [GENERATOR_VERSION, int(seed)]
    for part in identity:
        if isinstance(part, str):
            digest = hashlib.sha256(part.encode()).digest()
            words.append(int.from_bytes(digest[:8], "little"))
        else:
            words.append(int(part))
    return np.random.default_rng(np.random.SeedSequence(words))
