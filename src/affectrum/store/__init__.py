"""The store: windows on disk, found by what they were made from.

>>> import affectrum as af
>>> store = af.Store("store")  # doctest: +SKIP
>>> windows = store.prepare(af.open_corpus("SEED", "SEED/"), "de62")  # doctest: +SKIP
"""

from __future__ import annotations

from affectrum.store.entry import Entry
from affectrum.store.store import Progress, Store

__all__ = ["Entry", "Progress", "Store"]
