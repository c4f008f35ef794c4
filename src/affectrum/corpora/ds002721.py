"""ds002721: film music, a BIDS data set of EDF files with codes for events; see `bids`."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from affectrum.corpora.bids import BidsCorpus, SequenceOptions
from affectrum.corpora.bids_names import describes, named_files
from affectrum.corpora.options import ReaderOptions

__all__ = ["READER", "Ds002721Corpus"]


class Ds002721Corpus(BidsCorpus):
    """Reader of ds002721; see `Corpus`."""

    name = "ds002721"
    forms: ClassVar[tuple[str, ...]] = ("raw",)
    signal_forms: ClassVar[tuple[str, ...]] = forms
    Options: ClassVar[type[ReaderOptions]] = SequenceOptions
    mappings: ClassVar[dict[str, str]] = {"raw": "ds002721"}

    @classmethod
    def find_forms(cls, folder: Path) -> dict[str, Path]:
        """See `Corpus.find_forms`."""
        name = r"filmClips|An EEG dataset recorded during affective music listening"
        root = describes(folder, "ds002721", name)
        found = root is not None and named_files(root, r"sub-\d+_(?:task-run|.*run-)\d+_eeg\.edf")
        return {"raw": root} if root is not None and found else {}


READER = Ds002721Corpus
