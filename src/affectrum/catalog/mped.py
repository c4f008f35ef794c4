"""Facts of MPED.

Sources: public code that reads the corpus. What it leaves open stands in the notes, and the reader
asks for it.
"""

from __future__ import annotations

from affectrum.catalog.model import Clip, CorpusFacts, words
from affectrum.catalog.seed import ELECTRODES, ELECTRODES_IN_FILE

__all__ = [
    "FACTS",
    "FEATURES",
    "FEATURE_SHAPE",
    "LABELS",
    "N_CLASSES",
    "N_RAW",
    "N_RAW_FIRST",
    "UNUSED",
]

# Folders of EEG_feature, one file per person in each.
FEATURES = words("HHS Hjorth HOC PSD STFT")

# Electrodes, windows and the third axis of a feature cell.
FEATURE_SHAPE = (62, 120, 5)

# Class of each of the 30 feature cells. Which emotions 0 to 6 are is not documented.
LABELS = tuple(
    int(code) for code in words("-1 1 0 3 2 4 5 6 0 1 2 5 6 3 4 -1 0 4 5 1 1 0 6 5 3 3 2 4 2 6")
)
UNUSED = -1
N_CLASSES = 7

# raw_eeg1 ... raw_eeg17 stand in {name}_d.mat, raw_eeg18 ... raw_eeg34 in {name}_dd.mat.
N_RAW = 34
N_RAW_FIRST = 17

FACTS = CorpusFacts(
    name="MPED",
    title="Multi-modal physiological emotion database for discrete emotion recognition",
    lab="Southeast University",
    summary=(
        "23 people watched film clips of seven classes; raw recordings of 34 trials and shipped "
        "features of 30, 28 of which are used; the 62 electrodes of the SEED cap."
    ),
    electrodes=ELECTRODES,
    electrodes_in_file=ELECTRODES_IN_FILE,
    sfreq=1000.0,
    raw_sfreq=1000.0,
    unit=None,
    volts_per_unit=None,
    passband_hz=None,
    mains_hz=50.0,  # China
    reference=None,
    n_subjects=23,
    n_sessions=1,
    trials_per_session=(N_RAW,),
    clips=(tuple(Clip(clip=f"MPED/raw-{row:02d}") for row in range(1, N_RAW + 1)),),
    row_order="presentation",
    plane_from="emotion",
    trials_vary=True,
    baseline_s=0.0,
    n_samples=None,
    sex=None,
    clip_evidence=(
        "feature cells: one list of labels holds for all people, so a cell's number is taken for "
        "its clip; raw trials: only if labels are given for them, which says the same; which cell "
        "belongs to which raw trial, and the films, are not known here"
    ),
    licence="Not known here",
    access="Request from the corpus's authors",
    url="https://doi.org/10.1109/ACCESS.2019.2891579",
    citation=(
        "Song T, Zheng W, Lu C, Zong Y, Zhang X, Cui Z (2019). MPED: a multi-modal physiological "
        "emotion database for discrete emotion recognition. IEEE Access 7:12177-12191."
    ),
    doi="10.1109/ACCESS.2019.2891579",
    expected_folder="""\
MPED/                             (one of the two forms is enough)
  {name}/                         raw, 1000 Hz: {name}_d.mat  raw_eeg1 ... raw_eeg17
                                                {name}_dd.mat raw_eeg18 ... raw_eeg34
  EEG_feature/{feature}/          HHS, Hjorth, HOC, PSD, STFT: {name}.mat, a cell of 30 arrays
                                  (62, 120, 5)
""",
    notes=(
        "People are named, not numbered: subjects are counted in the alphabetical order of the "
        "names that are there, so a folder with other people counts them otherwise.",
        "The label list of the features has codes 0 to 6 whose emotions are not documented: give "
        "seven words by the option 'label_names'.",
        "Which emotion each raw trial belongs to is not documented: give 34 words by the option "
        "'labels'. EMOD's code numbers them in another way (0 rest, 1 neutral, 2 joy, 3 funny, 4 "
        "angry, 5 fear, 6 disgust, 7 sad, 8 unused), which must not be mixed with 0 to 6.",
        "Cells 1 and 16 of the features are not used (label -1).",
        "The unit of the raw numbers is not documented: it is measured by how much the signals "
        "vary, or given by the option 'unit'.",
        "What the five columns of a feature are, and the length of its windows, are not "
        "documented here; papers speak of windows of 1 s.",
        "Rows after the 62nd of a raw array are no electrodes of the cap.",
    ),
    class_schemes=(),
)
