"""EmoEEG-MC: cleaned trials in .npy files, or the recordings themselves; see `bids`."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from affectrum.corpora.bids import BidsCorpus, SequenceOptions
from affectrum.corpora.bids_names import describes, named_files
from affectrum.corpora.options import ReaderOptions

__all__ = ["READER", "EmoeegMcCorpus"]


class EmoeegMcCorpus(BidsCorpus):
    """Reader of EmoEEG-MC; see `Corpus`.

    Session 1 are films, session 2 imagery. In the form "reorder" each trial's clip is known. In
    "raw" and "ica" it is missing: the data set's README lists the order for each person, and the
    option ``sequences`` takes it.
    """

    name = "EmoEEG-MC"
    forms: ClassVar[tuple[str, ...]] = ("reorder", "raw", "ica")
    signal_forms: ClassVar[tuple[str, ...]] = forms
    Options: ClassVar[type[ReaderOptions]] = SequenceOptions
    mappings: ClassVar[dict[str, str]] = {
        "reorder": "emoeeg-mc",
        "raw": "emoeeg-mc-raw",
        "ica": "emoeeg-mc-ica",
    }

    @classmethod
    def find_forms(cls, folder: Path) -> dict[str, Path]:
        """See `Corpus.find_forms`."""
        root = describes(folder, "ds005540", r"EmoEEG-MC\b.*")
        if root is None:
            return {}
        patterns = {
            "reorder": r"sub-\d+_ses-(?:vid|ima)_task-emotion_reorder\.npy",
            "ica": r"sub-\d+_ses-(?:vid|ima)_task-emotion_ica\.npy",
            "raw": r"sub-\d+_task-emotion_eeg\.edf",
        }
        return {form: root for form, name in patterns.items() if named_files(root, name)}


READER = EmoeegMcCorpus
