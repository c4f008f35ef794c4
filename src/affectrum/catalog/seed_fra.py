"""Facts of SEED-FRA.

The tree and the container come from the corpus's page. Labels and times of trials come from ONE
public source (a second repository is a copy of it); the feature files carry labels of their own,
with which the reader compares them.
"""

from __future__ import annotations

from affectrum.catalog.model import Clip, CorpusFacts, words
from affectrum.catalog.seed import ELECTRODES, ELECTRODES_IN_FILE

__all__ = ["FACTS", "LABELS", "PUBLIC_END_S", "PUBLIC_START_S"]

CODES = {-1: "negative", 0: "neutral", 1: "positive"}

# One source; the same in all sessions.
LABELS = (1, -1, 0, -1, 1, 0, -1, 0, 1, -1, 0, 1, 1, 0, -1, -1, 0, 1, -1, 0, 1)

# Beginning and end of each clip in the raw recordings, seconds. One source: the reader uses them
# only if it is told to.
PUBLIC_START_S = tuple(
    int(n)
    for n in words(
        "21 213 489 687 982 1103 1252 1572 1738 1887 2174 2327 2492 2619 2783 2931 3029 3216 3369 "
        "3515 3622"
    )
)
PUBLIC_END_S = tuple(
    int(n)
    for n in words(
        "193 468 667 962 1082 1232 1552 1718 1867 2154 2307 2471 2599 2763 2910 3008 3195 3349 "
        "3495 3602 3797"
    )
)

_CLIPS = tuple(
    Clip(clip=f"SEED-FRA/{row:02d}", emotion=CODES[label], duration_s=float(end - start))
    for row, (label, start, end) in enumerate(
        zip(LABELS, PUBLIC_START_S, PUBLIC_END_S, strict=True), start=1
    )
)

FACTS = CorpusFacts(
    name="SEED-FRA",
    title="SJTU Emotion EEG Dataset of French people",
    lab="BCMI, Shanghai Jiao Tong University",
    summary=(
        "8 French people watched 21 film clips in French (positive, neutral, negative) in three "
        "sessions; 62 electrodes."
    ),
    electrodes=ELECTRODES,
    electrodes_in_file=ELECTRODES_IN_FILE,
    sfreq=1000.0,  # only raw recordings and features are distributed
    raw_sfreq=1000.0,
    unit=None,  # each channel of a .cnt file has its own calibration
    volts_per_unit=None,
    passband_hz=None,  # raw; the amplifier's filter is not stated
    mains_hz=50.0,  # China
    reference=None,  # not stated by the corpus
    n_subjects=8,
    n_sessions=3,
    trials_per_session=(21, 21, 21),
    clips=(_CLIPS, _CLIPS, _CLIPS),
    row_order="presentation",
    label_codes=CODES,
    baseline_s=0.0,
    n_samples=None,
    sex="FMFMMFMM",
    clip_evidence=(
        "clips: one public source's order of labels, the same for all sessions, with which the "
        "reader compares the feature files; films and series: not known here"
    ),
    licence="Signed licence agreement; non-commercial research only, no redistribution",
    access="Send the signed licence agreement to the BCMI laboratory; it answers with an account",
    url="https://bcmi.sjtu.edu.cn/home/seed/index.html",
    citation=(
        "Liu W, Zheng W-L, Li Z, Wu S-Y, Gan L, Lu B-L (2022). Identifying similarities and "
        "differences in emotion recognition with EEG and eye movements among Chinese, German, and "
        "French people. Journal of Neural Engineering 19(2):026012."
    ),
    doi="10.1088/1741-2552/ac5c8d",
    expected_folder="""\
SEED_FRA/French/                  (the folder's name, or the features' labels, tell which corpus)
  02-EEG-DE-feature/              (also 02-EEG-DE-features)
    eeg_used_1s/                  {subject}_{session}.npz x 24
    eeg_used_4s/                  the same names
  01-EEG-raw/                     {subject}_{session}.cnt x 24; read with the option `times` only
""",
    notes=(
        "Times of trials come from one public source, so raw recordings are cut only with the "
        "option `times`: the user's own, or 'published' to accept that source.",
        "Feature files hold the windows of all trials one behind the other; neighbouring trials of "
        "one emotion (12 and 13, 15 and 16) can be told apart with the option `times` only.",
        "Two users report that their raw files were taken for ANT Neuro's format, which is also "
        "called .cnt.",
        "The scale of the stored differential entropy is not stated.",
        "Durations of clips come from the same source as the times.",
        "Electrodes CB1 and CB2 are in no standard montage.",
    ),
    class_schemes=("valence3", "valence3-no-fear", "valence2"),
)
