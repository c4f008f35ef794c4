"""Safe openers for files that others wrote: arrays, MATLAB files and EEG recordings.

`pickles` and `mat` read the arrays of corpus files; `raw` opens one EEG recording in volts. No
opener runs anything that a file contains, and none knows any corpus.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

__all__ = ["biosemi", "mat", "open_recording", "pickles", "raw"]

__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submodules=["biosemi", "mat", "pickles", "raw"],
    submod_attrs={
        "raw": ["open_recording"],
    },
)

if TYPE_CHECKING:
    from affectrum.recordings import biosemi, mat, pickles, raw
    from affectrum.recordings.raw import open_recording
