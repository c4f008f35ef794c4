"""Facts of SEED-V.

Sources: the corpus's page and distributed files as described by several independent public
loaders. What the corpus does not state is None.

A session of the catalogue is one of the three sets of clips, which is also the number in the file
names. It is not the order of recording: several people saw set 3 before set 2.
"""

from __future__ import annotations

from affectrum.catalog.model import Clip, CorpusFacts, words
from affectrum.catalog.seed import ELECTRODES, ELECTRODES_IN_FILE

__all__ = [
    "CNT_FILES",
    "DATES",
    "END_S",
    "EXTRA_CHANNELS",
    "FACTS",
    "LABELS",
    "N_FEATURES",
    "START_S",
    "UNREADABLE_FILE",
    "WINDOWS_4S",
    "recording_order",
]

CODES = {0: "disgust", 1: "fear", 2: "sad", 3: "neutral", 4: "happy"}

# By set of clips: the constants in each trial's labels of the feature files.
LABELS = (
    (4, 1, 3, 2, 0, 4, 1, 3, 2, 0, 4, 1, 3, 2, 0),
    (2, 1, 3, 0, 4, 4, 0, 3, 2, 1, 3, 4, 1, 2, 0),
    (2, 1, 3, 0, 4, 4, 0, 3, 2, 1, 3, 4, 1, 2, 0),
)


def _numbers(*rows: str) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(int(n) for n in words(row)) for row in rows)


# Beginning and end of each clip in the raw recordings of a set, seconds
# (trial_start_end_timestamp.txt).
START_S = _numbers(
    "30 132 287 555 773 982 1271 1628 1730 2025 2227 2435 2667 2932 3204",
    "30 299 548 646 836 1000 1091 1392 1657 1809 1966 2186 2333 2490 2741",
    "30 353 478 674 825 908 1200 1346 1451 1711 2055 2307 2457 2726 2888",
)
END_S = _numbers(
    "102 228 524 742 920 1240 1568 1697 1994 2166 2401 2607 2901 3172 3359",
    "267 488 614 773 967 1059 1331 1622 1777 1908 2153 2302 2428 2709 2817",
    "321 418 643 764 877 1147 1284 1418 1679 1996 2275 2425 2664 2857 3066",
)

# Whole windows of 4 s that fit into each clip. Deduced from the times; their sum (1823 per person)
# is the number that is reported of the feature files.
WINDOWS_4S = tuple(
    tuple((end - start) // 4 for start, end in zip(starts, ends, strict=True))
    for starts, ends in zip(START_S, END_S, strict=True)
)

# DATES[set - 1][subject - 1]: when a set was recorded.
DATES = (
    words(
        "20180804 20180416 20180414 20180414 20180719 20180713 20180411 20180717 "
        "20180724 20180507 20180510 20180515 20180720 20180420 20180724 20180805"
    ),
    words(
        "20180810 20180419 20180419 20180417 20180728 20180731 20180418 20180802 "
        "20180804 20180524 20180508 20180508 20180806 20180423 20180807 20180815"
    ),
    words(
        "20180808 20180425 20180424 20180501 20180723 20180802 20180422 20180726 "
        "20180728 20180626 20180522 20180517 20180725 20180427 20180730 20180813"
    ),
)

# CNT_FILES[set - 1][subject - 1]
CNT_FILES = tuple(
    tuple(f"{subject}_{number}_{date}.cnt" for subject, date in enumerate(dates, start=1))
    for number, dates in enumerate(DATES, start=1)
)

# Channels of the raw recordings beside the 62 electrodes.
EXTRA_CHANNELS = ("M1", "M2", "VEO", "HEO")

# Columns of a trial in the feature files: 62 electrodes, each with its five bands.
N_FEATURES = 310

# One project reports that this file can't be read; nobody else says so.
UNREADABLE_FILE = "7_1_20180411.cnt"


def recording_order(subject: int) -> tuple[int, ...]:
    """Return the sets of clips of a subject in the order of their published dates.

    Parameters
    ----------
    subject : int
        From 1.

    Returns
    -------
    tuple of int
        The set of the first recording, of the second, of the third.
    """
    dates = [dates[subject - 1] for dates in DATES]
    return tuple(sorted((1, 2, 3), key=lambda number: (dates[number - 1], number)))


_CLIPS = tuple(
    tuple(
        Clip(
            clip=f"SEED-V/{number}-{row:02d}",
            emotion=CODES[label],
            duration_s=float(end - start),
        )
        for row, (label, start, end) in enumerate(zip(labels, starts, ends, strict=True), start=1)
    )
    for number, (labels, starts, ends) in enumerate(
        zip(LABELS, START_S, END_S, strict=True), start=1
    )
)

FACTS = CorpusFacts(
    name="SEED-V",
    title="SJTU Emotion EEG Dataset for five emotions",
    lab="BCMI, Shanghai Jiao Tong University",
    summary=(
        "16 people watched 45 film clips (disgust, fear, sad, neutral, happy) in three sessions of "
        "15; 62 electrodes."
    ),
    electrodes=ELECTRODES,
    electrodes_in_file=ELECTRODES_IN_FILE,
    auxiliary=EXTRA_CHANNELS,
    sfreq=1000.0,  # only raw recordings and features are distributed
    raw_sfreq=1000.0,
    unit=None,  # each channel of a .cnt file has its own calibration
    volts_per_unit=None,
    passband_hz=None,  # raw; the amplifier's filter is not stated
    mains_hz=50.0,  # China
    reference=None,  # not stated by the corpus
    n_subjects=16,
    n_sessions=3,
    trials_per_session=(15, 15, 15),
    clips=_CLIPS,
    row_order="presentation",
    label_codes=CODES,
    session_names=("set 1", "set 2", "set 3"),
    baseline_s=0.0,
    n_samples=None,
    feature_windows={4.0: WINDOWS_4S},
    sex="FMFFMFFMFMFFFMMF",
    clip_evidence="clips: the labels in the feature files; films and series: not known here",
    licence="Signed licence agreement; non-commercial research only, no redistribution",
    access="Send the signed licence agreement to the BCMI laboratory; it answers with an account",
    url="https://bcmi.sjtu.edu.cn/home/seed/seed-v.html",
    citation=(
        "Liu W, Qiu J-L, Zheng W-L, Lu B-L (2022). Comparing recognition performance and "
        "robustness of multimodal deep learning models for multimodal emotion recognition. IEEE "
        "Transactions on Cognitive and Developmental Systems."
    ),
    doi="10.1109/TCDS.2021.3071170",
    expected_folder="""\
SEED-V/
  EEG_raw/                        {subject}_{set}_{yyyymmdd}.cnt x 48
  EEG_DE_features/                {subject}_123.npz x 16
  trial_start_end_timestamp.txt   Session 1: start_second: [...] end_second: [...] ...
""",
    notes=(
        "The number in a raw file's name is the set of clips, which gives the labels; the date "
        "gives the order of recording, and several people saw set 3 before set 2.",
        "Features are pickled dicts in bytes in .npz files; keys 0 to 44 run set by set.",
        "The 310 columns of a trial's features are 62 electrodes with five bands each.",
        "One project reports 7_1_20180411.cnt as unreadable.",
        "20 people were recorded, 16 are released.",
        "Windows per trial are deduced from the times of the clips.",
        "The scale of the stored differential entropy is not stated.",
        "Films behind the clips are not listed here: a film- or series-disjoint split needs "
        "them from the user.",
        "Electrodes CB1 and CB2 are in no standard montage.",
    ),
    class_schemes=("valence3", "valence3-no-fear", "emotion4", "valence2"),
)
