"""Facts of SEED-IV.

Sources: the corpus's page and ReadMe.txt, and several independent public loaders.
"""

from __future__ import annotations

from affectrum.catalog.model import Clip, CorpusFacts, words
from affectrum.catalog.seed import ELECTRODES, ELECTRODES_IN_FILE

__all__ = ["FACTS", "FEATURES", "FILES", "LABELS", "WINDOWS_4S"]

CODES = {0: "neutral", 1: "sad", 2: "fear", 3: "happy"}

# ReadMe.txt: session1_label to session3_label. The clips differ between sessions.
LABELS = (
    (1, 2, 3, 0, 2, 0, 0, 1, 0, 1, 2, 1, 1, 1, 2, 3, 2, 2, 3, 3, 0, 3, 0, 3),
    (2, 1, 3, 0, 0, 2, 0, 2, 3, 3, 2, 3, 2, 0, 1, 1, 2, 1, 0, 3, 0, 1, 3, 1),
    (1, 2, 2, 1, 3, 3, 3, 1, 1, 2, 1, 0, 2, 3, 3, 0, 2, 3, 0, 0, 2, 0, 1, 0),
)

# Windows of 4 s in the shipped features.
WINDOWS_4S = tuple(
    tuple(int(n) for n in words(session))
    for session in (
        "42 23 49 32 22 40 38 52 36 42 12 27 54 42 64 35 17 44 35 12 28 28 43 34",
        "55 25 34 36 53 27 34 46 34 20 60 12 36 27 44 15 46 49 45 10 37 44 24 19",
        "42 32 23 45 48 26 64 23 26 16 51 41 39 19 28 44 14 17 45 22 39 38 41 39",
    )
)

# FILES[session - 1][subject - 1] is the file's stem inside the folder named after the session.
FILES = (
    words(
        "1_20160518 2_20150915 3_20150919 4_20151111 5_20160406 6_20150507 7_20150715 8_20151103 "
        "9_20151028 10_20151014 11_20150916 12_20150725 13_20151115 14_20151205 "
        "15_20150508"
    ),
    words(
        "1_20161125 2_20150920 3_20151018 4_20151118 5_20160413 6_20150511 7_20150717 8_20151110 "
        "9_20151119 10_20151021 11_20150921 12_20150804 13_20151125 14_20151208 "
        "15_20150514"
    ),
    words(
        "1_20161126 2_20151012 3_20151101 4_20151123 5_20160420 6_20150512 7_20150721 8_20151117 "
        "9_20151209 10_20151023 11_20151011 12_20150807 13_20161130 14_20151215 "
        "15_20150527"
    ),
)

# Variables of eeg_feature_smooth per trial, in file order (each followed by the trial's number).
FEATURES = ("de_movingAve", "de_LDS", "psd_movingAve", "psd_LDS")

_CLIPS = tuple(
    tuple(
        Clip(
            clip=f"SEED-IV/{session}-{row:02d}",
            emotion=CODES[label],
            # Published are whole windows only; a trial may be up to 4 s longer.
            duration_s=4.0 * windows,
        )
        for row, (label, windows) in enumerate(zip(labels, counts, strict=True), start=1)
    )
    for session, (labels, counts) in enumerate(zip(LABELS, WINDOWS_4S, strict=True), start=1)
)

FACTS = CorpusFacts(
    name="SEED-IV",
    title="SJTU Emotion EEG Dataset for four emotions",
    lab="BCMI, Shanghai Jiao Tong University",
    summary=(
        "15 people watched 72 film clips (neutral, sad, fear, happy), 24 other ones in each of "
        "three sessions; 62 electrodes."
    ),
    electrodes=ELECTRODES,
    electrodes_in_file=ELECTRODES_IN_FILE,
    sfreq=200.0,
    raw_sfreq=200.0,  # eeg_raw_data, the least processed form distributed, is at 200 Hz
    unit="uV",
    volts_per_unit=1e-6,
    passband_hz=(1.0, 75.0),
    mains_hz=50.0,  # China
    reference=None,  # not stated by the corpus
    n_subjects=15,
    n_sessions=3,
    trials_per_session=(24, 24, 24),
    clips=_CLIPS,
    row_order="presentation",
    label_codes=CODES,
    baseline_s=0.0,
    n_samples=None,  # only the numbers of whole 4-s windows are published
    feature_windows={4.0: WINDOWS_4S},
    sex="MMFFFMMFFFFMMFF",
    clip_evidence="clips: the order in ReadMe.txt; films and series: not known here",
    licence="Signed licence agreement; non-commercial research only, no redistribution",
    access="Send the signed licence agreement to the BCMI laboratory; it answers with an account",
    url="https://bcmi.sjtu.edu.cn/home/seed/downloads.html",
    citation=(
        "Zheng W-L, Liu W, Lu Y, Lu B-L, Cichocki A (2018). EmotionMeter: a multimodal framework "
        "for recognizing human emotions. IEEE Transactions on Cybernetics."
    ),
    doi="10.1109/TCYB.2018.2797176",
    expected_folder="""\
SEED-IV/                          (often named SEED_IV)
  eeg_raw_data/{1,2,3}/           {subject}_{yyyymmdd}.mat x 15 in each session's folder
  eeg_feature_smooth/{1,2,3}/     the same names
  ReadMe.txt                      session1_label = [...]; ...
""",
    notes=(
        "The session is the folder's name, not the date; clips and labels differ by session.",
        "Variables are {initials}_eeg1 to {initials}_eeg24; the initials differ between subjects.",
        "eeg_raw_data is already sampled at 200 Hz and filtered.",
        "Durations are known as whole windows of 4 s; a trial may be up to 4 s longer.",
        "Films behind the clips are not listed here: a film- or series-disjoint split needs "
        "them from the user.",
        "The stored differential entropy is not on the scale of the textbook formula.",
        "Electrodes CB1 and CB2 are in no standard montage.",
    ),
    class_schemes=("valence3", "valence3-no-fear", "emotion4", "valence2"),
)
