"""Facts of EAV.

Sources: the abstract of its paper, its authors' public code and that code's ReadMe.
"""

from __future__ import annotations

from affectrum.catalog.model import Clip, CorpusFacts

__all__ = ["CLASSES", "FACTS", "N_CHANNELS", "N_LABEL_ROWS", "TASKS", "trial_class"]

# Order of the label's rows, two rows each: a comment in the authors' code has N, S, A, H, R, the
# last of which the paper calls calmness.
CLASSES = ("neutral", "sadness", "anger", "happiness", "calmness")
TASKS = ("listen", "speak")
N_CHANNELS = 30
N_LABEL_ROWS = len(CLASSES) * len(TASKS)
_N_EACH = 20


def trial_class(row: int, listening: str = "odd") -> tuple[str, str]:
    """Return emotion and task that a row of the label stands for.

    Parameters
    ----------
    row : int
        Row of the one-hot label, from 0.
    listening : {"odd", "even"}
        Which rows, counted from 0, are listening.

    Returns
    -------
    str, str
        One of `CLASSES`, one of `TASKS`.
    """
    is_odd = bool(row % 2)
    return CLASSES[row // 2], "listen" if is_odd == (listening == "odd") else "speak"


FACTS = CorpusFacts(
    name="EAV",
    title="EEG-Audio-Video dataset for emotion recognition in conversational contexts",
    lab="Nazarbayev University",
    summary=(
        "42 people listened and spoke in cued conversations (neutral, sadness, anger, happiness, "
        "calmness): 200 pieces of 20 s each; 30 electrodes."
    ),
    electrodes=(),  # the files and the authors' code name none: the reader asks
    electrodes_in_file=(),
    sfreq=500.0,
    raw_sfreq=500.0,
    unit=None,
    volts_per_unit=None,
    passband_hz=None,
    mains_hz=None,
    reference=None,
    n_subjects=42,
    n_sessions=1,
    trials_per_session=(2 * len(CLASSES) * _N_EACH,),
    clips=(
        tuple(
            Clip(clip=f"EAV/{task}-{word}-{number:02d}", emotion=word, duration_s=20.0)
            for word in CLASSES
            for task in TASKS
            for number in range(1, _N_EACH + 1)
        ),
    ),
    row_order="clip",
    label_codes=dict(enumerate(CLASSES)),
    baseline_s=0.0,
    n_samples=((10000,) * 200,),
    sex=None,
    clip_evidence=(
        "none: the files do not tell which conversation a trial is, so its clip is missing; the "
        "clips listed here only count the trials of each class and task"
    ),
    licence="Not verified for the data; of the code, LICENSE (GPL-3) and ReadMe (MIT) differ",
    access="Zenodo record 10205702",
    url="https://doi.org/10.5281/zenodo.10205702",
    citation=(
        "Lee M-H, Shomanov A, Begim B, Kabidenova Z, Nyssanbay A, Yazici A, Lee S-W (2024). EAV: "
        "EEG-Audio-Video dataset for emotion recognition in conversational contexts. Scientific "
        "Data 11."
    ),
    doi="10.1038/s41597-024-03838-4",
    expected_folder="""\
EAV/
  subject{n}/EEG/                 n = 1 ... 42; the folder's name may end in __
    subject{n}_eeg.mat            seg (or seg1): time x channel x trial, (10000, 30, 200)
    subject{n}_eeg_label.mat      label: one-hot, (10, 200)
(needs the option channels: the files name no electrodes)
""",
    notes=(
        "The names and the order of the 30 channels stand in no file: give them by the option "
        "'channels'.",
        "The unit is not documented: it is measured by how much the signals vary, or given by the "
        "option 'unit'.",
        "The axes are time, channel, trial; a public loader reads them as something else.",
        "The label has ten rows, two per emotion: listening and speaking alternate. The table's "
        "session_name is the task; both are of one session.",
        "The authors' code takes rows 1, 3, 5, 7, 9 (from 0) for listening in its later versions "
        "and for speaking in an earlier comment; the option 'listening' turns it round.",
        "Whether the order of the trials is that of the recording is not documented, so 'trial' is "
        "missing.",
        "Muscles move while speaking: compare the two tasks before trusting high frequencies.",
    ),
    class_schemes=("valence3", "valence2"),
)
