"""Facts of SEED-VII.

Sources: the corpus's page, the code that its authors published, and several independent public
loaders, except where a comment says that there is one source only. What the corpus does not
state is None.
"""

from __future__ import annotations

from affectrum.catalog.model import Clip, CorpusFacts, words
from affectrum.catalog.seed import ELECTRODES, ELECTRODES_IN_FILE

__all__ = [
    "CNT_EXTRA",
    "EMOTIONS",
    "FACTS",
    "FEATURES",
    "FOLDS",
    "TRIGGERS_WRONG",
    "TRIGGER_CODES",
]

N_TRIALS = 20  # per session

# emotion_label_and_stimuli_order.xlsx: the words of videos 1-20, 21-40, 41-60 and 61-80, one row
# per session. One public loader has another second half of session 1, which breaks the corpus's own
# counts (twelve clips of each emotion, eight neutral ones).
EMOTIONS = tuple(
    words(half) * 2
    for half in (
        "happy neutral disgust sad anger anger sad disgust neutral happy",
        "anger sad fear neutral surprise surprise neutral fear sad anger",
        "happy surprise disgust fear anger anger fear disgust surprise happy",
        "disgust sad fear surprise happy happy surprise fear sad disgust",
    )
)

# The vendor has words and no codes; numbered as they first occur in the vendor's list.
CODES = dict(enumerate(dict.fromkeys(word for session in EMOTIONS for word in session)))

# The authors' four folds: FOLDS[session - 1][row - 1], blocks of five trials in each session.
FOLDS = (tuple(position // 5 for position in range(N_TRIALS)),) * 4

# Variables of EEG_features per video: "de_1", "de_LDS_1", "psd_1"; axes (windows, bands,
# electrodes), other than in SEED and SEED-IV.
FEATURES = ("de", "de_LDS", "psd")

# Channels of the raw recordings beside the 62 electrodes.
CNT_EXTRA = words("M1 M2 ECG HEO VEO")

# Beginning and end of a trial, in the recordings (as two public loaders found them) and in the
# first column of save_info/*_trigger_info.csv.
TRIGGER_CODES = (1, 2)

# (subject, session) of recordings whose own triggers are wrong, 14_20221015_1.cnt and
# 9_20221111_3.cnt, and when they began: the authors cut them by the times in
# save_info/*_trigger_info.csv, counted from there.
TRIGGERS_WRONG = {
    (14, 1): "2022-10-15 14:25:34",
    (9, 3): "2022-11-11 14:01:27",
}

_CLIPS = tuple(
    tuple(
        Clip(clip=f"SEED-VII/{N_TRIALS * session + row:02d}", emotion=word)
        for row, word in enumerate(emotions, start=1)
    )
    for session, emotions in enumerate(EMOTIONS)
)

FACTS = CorpusFacts(
    name="SEED-VII",
    title="SJTU Emotion EEG Dataset for seven emotions",
    lab="BCMI, Shanghai Jiao Tong University",
    summary=(
        "20 people watched 80 video clips (six emotions and neutral), 20 in each of four sessions; "
        "62 electrodes, and a continuous report of how strong the emotion was."
    ),
    electrodes=ELECTRODES,
    electrodes_in_file=ELECTRODES_IN_FILE,
    sfreq=200.0,
    raw_sfreq=1000.0,
    unit="uV",
    volts_per_unit=1e-6,
    passband_hz=(0.1, 70.0),
    mains_hz=50.0,  # China
    reference=None,  # not stated by the corpus
    n_subjects=20,
    n_sessions=4,
    trials_per_session=(N_TRIALS,) * 4,
    clips=_CLIPS,
    row_order="presentation",
    label_codes=CODES,
    ratings={"induction": (0.0, 1.0)},
    plane_from="emotion",
    baseline_s=0.0,
    n_samples=None,  # not published; 14 098 s of clips in all
    feature_windows={},
    sex="MMFMMMFFFFMFMFMFMFFM",
    clip_evidence="clips: the corpus's list of stimuli; films and series: not known here",
    licence="Signed licence agreement; non-commercial research only, no redistribution",
    access="Send the signed licence agreement to the BCMI laboratory; it answers with an account",
    url="https://bcmi.sjtu.edu.cn/home/seed/seed-vii.html",
    citation=(
        "Jiang W-B, Liu X-H, Zheng W-L, Lu B-L (2024). SEED-VII: a multimodal dataset of six basic "
        "emotions with continuous labels for emotion recognition. IEEE Transactions on Affective "
        "Computing."
    ),
    doi="10.1109/TAFFC.2024.3485057",
    expected_folder="""\
SEED-VII/
  EEG_preprocessed/               {subject}.mat x 20: variables 1 to 80
  EEG_features/                   {subject}.mat x 20: variables de_1, de_LDS_1, psd_1 ...
  EEG_raw/                        {subject}_{yyyymmdd}_{session}.cnt x 80
  save_info/                      {subject}_{yyyymmdd}_{session}_trigger_info.csv, ..._save_info.csv
  continuous_labels/              {subject}.mat x 20: variables 1 to 80
  emotion_label_and_stimuli_order.xlsx
""",
    notes=(
        "One file of preprocessed signals or features holds a subject's four sessions: variables "
        "1 to 80, twenty per session.",
        "The shipped features have the axes (windows, bands, electrodes), other than SEED and "
        "SEED-IV, whose axes are (electrodes, windows, bands).",
        "The triggers of the raw recordings 14_20221015_1.cnt and 9_20221111_3.cnt are wrong; "
        "their trials are cut by save_info/*_trigger_info.csv.",
        "emotion_label_and_stimuli_order.xlsx has rows of video numbers between its rows of words; "
        "read in one go it yields forty bogus labels.",
        "There is no official integer coding of the seven emotions.",
        "Self-reports (how well the emotion was induced) stand in save_info/*_save_info.csv, whose "
        "layout only public loaders tell; they are read where the file's content proves it.",
        "The authors' four folds are blocks of five trials in each session; clips of one emotion "
        "stand in all of them.",
        "The stored differential entropy is not on the scale of the textbook formula.",
        "The continuous labels come without a rate; one value per window of 4 s is what public "
        "loaders take them for.",
        "Films behind the clips are not listed here: a film- or series-disjoint split needs "
        "them from the user.",
        "Electrodes CB1 and CB2 are in no standard montage.",
    ),
    class_schemes=(
        "emotion7",
        "valence3",
        "valence3-no-fear",
        "emotion4",
        "emotion5",
        "valence2",
    ),
)
