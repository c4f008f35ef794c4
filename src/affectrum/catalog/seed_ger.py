"""Facts of SEED-GER.

The tree and the container come from the corpus's page. Labels and times of trials come from ONE
public source (a second repository is a copy of it), and contradict each other: 20 labels, 18
intervals. So no duration is stated here, and the reader refuses to cut raw recordings by them.
"""

from __future__ import annotations

from affectrum.catalog.model import Clip, CorpusFacts, words
from affectrum.catalog.seed import ELECTRODES, ELECTRODES_IN_FILE

__all__ = ["FACTS", "LABELS", "PUBLIC_END_S", "PUBLIC_START_S", "SUPPOSED_ROWS"]

CODES = {-1: "negative", 0: "neutral", 1: "positive"}

# One source; the same in all sessions.
LABELS = (1, 0, -1, -1, 0, 1, -1, 0, 1, 1, 0, -1, 0, 1, 0, -1, -1, 0, 1, 1)

# The intervals that were published with the 20 labels, seconds: only 18.
PUBLIC_START_S = tuple(
    int(n)
    for n in words(
        "5 411 861 1114 1287 1454 1620 1878 2135 2310 2502 2709 3028 3162 3290 3656 3823 4366"
    )
)
PUBLIC_END_S = tuple(
    int(n)
    for n in words(
        "136 831 1084 1257 1423 1589 1848 2105 2280 2472 2677 2998 3131 3259 3626 3792 4079 4538"
    )
)

# A HYPOTHESIS, used nowhere for cutting: all pauses between intervals are about 30 s long but two
# (275 s after the first interval, 287 s after the seventeenth), each long enough for one clip with
# its pause. Then trials 2 and 19 are the ones that were left out.
SUPPOSED_ROWS = (1, *range(3, 19), 20)

_CLIPS = tuple(
    Clip(clip=f"SEED-GER/{row:02d}", emotion=CODES[label])
    for row, label in enumerate(LABELS, start=1)
)

FACTS = CorpusFacts(
    name="SEED-GER",
    title="SJTU Emotion EEG Dataset of German people",
    lab="BCMI, Shanghai Jiao Tong University",
    summary=(
        "8 German people watched 20 film clips (positive, neutral, negative) in three sessions; "
        "62 electrodes."
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
    trials_per_session=(20, 20, 20),
    clips=(_CLIPS, _CLIPS, _CLIPS),
    row_order="presentation",
    label_codes=CODES,
    baseline_s=0.0,
    n_samples=None,
    sex="MMMMMMFM",
    clip_evidence=(
        "clips: one public source's order of labels, the same for all sessions, with which the "
        "reader compares the feature files; films and series: not known here"
    ),
    licence="Signed licence agreement; non-commercial research only, no redistribution",
    access="Send the signed licence agreement to the BCMI laboratory; it answers with an account",
    url="https://bcmi.sjtu.edu.cn/home/seed/seed-GER.html",
    citation=(
        "Liu W, Zheng W-L, Li Z, Wu S-Y, Gan L, Lu B-L (2022). Identifying similarities and "
        "differences in emotion recognition with EEG and eye movements among Chinese, German, and "
        "French people. Journal of Neural Engineering 19(2):026012."
    ),
    doi="10.1088/1741-2552/ac5c8d",
    expected_folder="""\
SEED_GER/German/                  (the folder's name, or the features' labels, tell which corpus)
  02-EEG-DE-feature/              (also 02-EEG-DE-features)
    eeg_used_1s/                  {subject}_{session}.npz x 24
    eeg_used_4s/                  the same names
  01-EEG-raw/                     {subject}_{session}.cnt x 24; read with the option `times` only
""",
    notes=(
        "Public sources have 20 labels but 18 intervals of time: raw recordings are cut only with "
        "times from the user, and pairing the two lists from the front is likely wrong from "
        "trial 2 on.",
        "The corpus's page speaks of twenty clips and, where it repeats the French page, of 21 "
        "trials.",
        "Feature files hold the windows of all trials one behind the other; neighbouring trials of "
        "one emotion (3 and 4, 9 and 10, 16 and 17, 19 and 20) can be told apart with the option "
        "`times` only.",
        "The scale of the stored differential entropy is not stated.",
        "Durations of the clips are not known.",
        "The corpus's page says that the neutral clips are SEED's and all clips are in French; "
        "which clip is which is not said, so films and series are not listed here.",
        "Electrodes CB1 and CB2 are in no standard montage.",
    ),
    class_schemes=("valence3", "valence3-no-fear", "valence2"),
)
