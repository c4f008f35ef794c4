"""DENS: a BIDS data set of EEGLAB files whose events count samples; see `bids`."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from affectrum.corpora.bids import BidsCorpus, SequenceOptions
from affectrum.corpora.bids_names import describes, named_files
from affectrum.corpora.options import ReaderOptions

__all__ = ["READER", "DensCorpus"]


class DensCorpus(BidsCorpus):
    """Reader of DENS; see `Corpus`. ``read_rest`` returns the 80 s of rest."""

    name = "DENS"
    forms: ClassVar[tuple[str, ...]] = ("raw",)
    signal_forms: ClassVar[tuple[str, ...]] = forms
    Options: ClassVar[type[ReaderOptions]] = SequenceOptions
    mappings: ClassVar[dict[str, str]] = {"raw": "dens"}

    @classmethod
    def find_forms(cls, folder: Path) -> dict[str, Path]:
        """See `Corpus.find_forms`."""
        root = describes(folder, "ds003751", r"Dataset on Emotions? .*\(DENS\).*")
        found = root is not None and named_files(root, r"sub-mit\d+_task-\w+_eeg\.set")
        return {"raw": root} if root is not None and found else {}


READER = DensCorpus
