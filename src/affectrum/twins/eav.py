"""The layout of EAV: per subject one array of 200 trials and a one-hot label."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from affectrum.catalog import eav as facts
from affectrum.twins.files import write_mat
from affectrum.twins.generator import Cap, TwinGenerator
from affectrum.twins.jobs import Job, Layout, to_file_values
from affectrum.twins.mat_array import sliced
from affectrum.twins.mat_struct_files import write_nested_mat

__all__ = ["DEFAULT_FORMS", "ELECTRODES", "FORMS", "jobs"]

FORMS = ("eeg",)
DEFAULT_FORMS = FORMS

# No source names the corpus's electrodes. These thirty are the twin's own; pass them to the reader
# as the option channels.
ELECTRODES = (
    *("Fp1", "Fp2", "F7", "F3", "Fz", "F4", "F8", "FC5", "FC1", "FC2", "FC6", "T7", "C3", "Cz"),
    *("C4", "T8", "CP5", "CP1", "CP2", "CP6", "P7", "P3", "Pz", "P4", "P8", "PO9", "O1", "Oz"),
    *("O2", "PO10"),
)

_SESSION = 1
_BAND = (0.1, 200.0)  # of the recorder; chosen


def jobs(layout: Layout) -> Iterator[Job]:
    """Yield every file of the twin."""
    for subject in layout.subjects:
        # some of the vendor's folders end in __, some files call the array seg1
        other = subject % 5 == 0
        place = Path(f"subject{subject}{'__' if other else ''}") / "EEG"
        label = partial(_write_label, layout, subject)
        yield Job(place / f"subject{subject}_eeg_label.mat", label, small=True)
        write = partial(_write_signals, layout, subject, "seg1" if other else "seg")
        yield Job(place / f"subject{subject}_eeg.mat", write)


def _label_row(generator: TwinGenerator, row: int) -> int:
    """Return the label's row, from 0, of a row of the catalogue's clips."""
    clip = generator.facts.clips[0][row - 1]
    task = clip.clip.split("/")[1].split("-")[0]
    return 2 * facts.CLASSES.index(str(clip.emotion)) + (task == "listen")


def _write_label(layout: Layout, subject: int, path: Path) -> None:
    generator = layout.generator
    rows = [_label_row(generator, row) for row in generator.presentation(subject, _SESSION)]
    label = np.eye(facts.N_LABEL_ROWS)[:, rows]
    write_mat(path, [("label", label)], compress=layout.compress)


def _write_signals(layout: Layout, subject: int, name: str, path: Path) -> None:
    generator = layout.generator
    cap = Cap(ELECTRODES, generator.facts.sfreq, _BAND, "average", 1.0)
    order = generator.presentation(subject, _SESSION)
    # the trials' lengths are one, whatever the conversation
    n_samples = generator.seconds(_SESSION, 1) * round(generator.facts.sfreq)

    def trials() -> Iterator[NDArray[np.float64]]:
        for row in order:
            trial = generator.trial(subject, _SESSION, row, cap)
            yield to_file_values(trial.x[:, :n_samples]).T

    shape = (n_samples, facts.N_CHANNELS, len(order))
    write_nested_mat(path, [(name, sliced(shape, trials))], compress=layout.compress)
