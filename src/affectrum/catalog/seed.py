"""Facts of SEED.

Sources: the corpus's page and distributed files as described by several independent public
loaders, except where a comment says that there is one source only. What the corpus does not
state is None.
"""

from __future__ import annotations

from affectrum.catalog.model import Clip, CorpusFacts, words

__all__ = [
    "ELECTRODES",
    "ELECTRODES_IN_FILE",
    "EYE_TRACKED_SUBJECTS",
    "FACTS",
    "FEATURES",
    "FEATURE_SHAPES",
    "FILES",
    "FILMS",
    "LABELS",
    "N_SAMPLES",
    "RAW_END_S",
    "RAW_START_S",
    "WINDOWS_1S",
]

# The 62-electrode cap of all SEED corpora: the distributed channel-order.xlsx (one column).
ELECTRODES_IN_FILE = words(
    "FP1 FPZ FP2 AF3 AF4 F7 F5 F3 F1 FZ F2 F4 F6 F8 FT7 FC5 FC3 FC1 FCZ FC2 FC4 FC6 FT8 "
    "T7 C5 C3 C1 CZ C2 C4 C6 T8 TP7 CP5 CP3 CP1 CPZ CP2 CP4 CP6 TP8 P7 P5 P3 P1 PZ P2 P4 P6 P8 "
    "PO7 PO5 PO3 POZ PO4 PO6 PO8 CB1 O1 OZ O2 CB2"
)
ELECTRODES = words(
    "Fp1 Fpz Fp2 AF3 AF4 F7 F5 F3 F1 Fz F2 F4 F6 F8 FT7 FC5 FC3 FC1 FCz FC2 FC4 FC6 FT8 "
    "T7 C5 C3 C1 Cz C2 C4 C6 T8 TP7 CP5 CP3 CP1 CPz CP2 CP4 CP6 TP8 P7 P5 P3 P1 Pz P2 P4 P6 P8 "
    "PO7 PO5 PO3 POz PO4 PO6 PO8 CB1 O1 Oz O2 CB2"
)

# label.mat; the same in all sessions.
LABELS = (1, 0, -1, -1, 0, 1, -1, 0, 1, 1, 0, -1, 0, 1, -1)
CODES = {-1: "negative", 0: "neutral", 1: "positive"}

# Samples per trial at 200 Hz, the same for all subjects: whole seconds times 200, and one more.
N_SAMPLES = tuple(
    int(n)
    for n in words(
        "47001 46601 41201 47601 37001 39001 47401 43201 53001 47401 47001 46601 47001 47601 41201"
    )
)
# Windows of 1 s in the shipped features.
WINDOWS_1S = (235, 233, 206, 238, 185, 195, 237, 216, 265, 237, 235, 233, 235, 238, 206)

# Beginning and end of each trial in the raw 1000 Hz recordings, seconds (time.txt).
RAW_START_S = (27, 290, 551, 784, 1050, 1262, 1484, 1748, 1993, 2287, 2551, 2812, 3072, 3335, 3599)
RAW_END_S = (262, 523, 757, 1022, 1235, 1457, 1721, 1964, 2258, 2524, 2786, 3045, 3307, 3573, 3805)

# FILES[session - 1][subject - 1] is the file's stem. A session's number is in no file name: it is
# the order of the subject's dates.
FILES = (
    words(
        "1_20131027 2_20140404 3_20140603 4_20140621 5_20140411 6_20130712 7_20131027 8_20140511 "
        "9_20140620 10_20131130 11_20140618 12_20131127 13_20140527 14_20140601 "
        "15_20130709"
    ),
    words(
        "1_20131030 2_20140413 3_20140611 4_20140702 5_20140418 6_20131016 7_20131030 8_20140514 "
        "9_20140627 10_20131204 11_20140625 12_20131201 13_20140603 14_20140615 "
        "15_20131016"
    ),
    words(
        "1_20131107 2_20140419 3_20140629 4_20140705 5_20140506 6_20131113 7_20131106 8_20140521 "
        "9_20140704 10_20131211 11_20140630 12_20131207 13_20140610 14_20140627 "
        "15_20131105"
    ),
)

# Variables of ExtractedFeatures per trial, in file order (each followed by the trial's number),
# and their shapes without the axis of windows: (rows, bands).
FEATURES = tuple(
    f"{feature}_{smoothing}"
    for feature in ("de", "psd", "dasm", "rasm", "asm", "dcau")
    for smoothing in ("movingAve", "LDS")
)
FEATURE_SHAPES = {
    "de": (62, 5),
    "psd": (62, 5),
    "dasm": (27, 5),
    "rasm": (27, 5),
    "asm": (54, 5),
    "dcau": (23, 5),
}

# The twelve people with eye data in SEED_Multimodal (all but 6, 7 and 15).
EYE_TRACKED_SUBJECTS = (1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 13, 14)

# (film, series) of clips 1-15. ONE SOURCE: a public stimulus player's list. It names fifteen
# entries, the ninth and tenth joined by a bar ("Flirting Scholar | Just Another Pandora's Box
# (1)"); read as two clips the list has fifteen, every genre fits the clip's label (comedies
# positive, documentaries neutral, disaster and war films negative), and every part (1) comes
# before its part (2). To be confirmed against SEED_stimulation.xlsx by whoever has it; other
# identities are set with ``FACTS.with_films``. A film of no series is its own series.
_HERITAGE = "World Heritage"
FILMS = (
    ("Lost in Thailand", "Lost in Thailand"),
    ("World Heritage: Huangshan", _HERITAGE),
    ("Aftershock", "Aftershock"),
    ("Back to 1942", "Back to 1942"),
    ("World Heritage: Huangshan", _HERITAGE),
    ("Lost in Thailand", "Lost in Thailand"),
    ("Back to 1942", "Back to 1942"),
    ("World Heritage: Suzhou", _HERITAGE),
    ("Flirting Scholar", "Flirting Scholar"),
    ("Just Another Pandora's Box", "Just Another Pandora's Box"),
    ("World Heritage: Suzhou", _HERITAGE),
    ("Back to 1942", "Back to 1942"),
    ("World Heritage: Lijiang", _HERITAGE),
    ("Just Another Pandora's Box", "Just Another Pandora's Box"),
    ("Aftershock", "Aftershock"),
)

_CLIPS = tuple(
    Clip(
        clip=f"SEED/{row:02d}",
        film=film,
        series=series,
        emotion=CODES[label],
        duration_s=float(seconds),
    )
    for row, ((film, series), label, seconds) in enumerate(
        zip(FILMS, LABELS, WINDOWS_1S, strict=True), start=1
    )
)

FACTS = CorpusFacts(
    name="SEED",
    title="SJTU Emotion EEG Dataset",
    lab="BCMI, Shanghai Jiao Tong University",
    summary=(
        "15 people watched the same 15 Chinese film clips (positive, neutral, negative) in three "
        "sessions; 62 electrodes."
    ),
    electrodes=ELECTRODES,
    electrodes_in_file=ELECTRODES_IN_FILE,
    sfreq=200.0,
    raw_sfreq=1000.0,  # one source
    unit="uV",
    volts_per_unit=1e-6,
    passband_hz=(0.0, 75.0),
    mains_hz=50.0,  # China
    reference=None,  # not stated by the corpus
    n_subjects=15,
    n_sessions=3,
    trials_per_session=(15, 15, 15),
    clips=(_CLIPS, _CLIPS, _CLIPS),
    row_order="presentation",
    label_codes=CODES,
    baseline_s=0.0,
    n_samples=(N_SAMPLES, N_SAMPLES, N_SAMPLES),
    feature_windows={1.0: (WINDOWS_1S, WINDOWS_1S, WINDOWS_1S)},
    sex="MFFMMMFFMFFMFMF",
    clip_evidence=(
        "clips: the label file; films and series: one public source, in agreement with the labels, "
        "not confirmed against SEED_stimulation.xlsx"
    ),
    licence="Signed licence agreement; non-commercial research only, no redistribution",
    access="Send the signed licence agreement to the BCMI laboratory; it answers with an account",
    url="https://bcmi.sjtu.edu.cn/home/seed/downloads.html",
    citation=(
        "Zheng W-L, Lu B-L (2015). Investigating critical frequency bands and channels for "
        "EEG-based emotion recognition with deep neural networks. IEEE Transactions on Autonomous "
        "Mental Development 7(3):162-175."
    ),
    doi="10.1109/TAMD.2015.2431497",
    expected_folder="""\
SEED/
  SEED_EEG/                       (newer distribution; the older one has the two folders on top)
    Preprocessed_EEG/             {subject}_{yyyymmdd}.mat x 45, label.mat
    ExtractedFeatures_1s/         {subject}_{yyyymmdd}.mat x 45, label.mat
    ExtractedFeatures_4s/         the same names        (older distribution: ExtractedFeatures/)
""",
    notes=(
        "The session's number is in no file name; it is the order of the subject's dates.",
        "Variables are {initials}_eeg1 to {initials}_eeg15; the initials differ between subjects.",
        "The .mat files are sampled at 200 Hz (some public loaders assume 1000 Hz).",
        "Clips of one film stand on both sides of the usual 9/6 split of trials, and all five "
        "neutral clips come from one documentary series.",
        "The stored differential entropy is not on the scale of the textbook formula.",
        "Self-reports are not distributed with the EEG.",
        "The signals still hold the 50 Hz mains within the gamma band.",
        "Electrodes CB1 and CB2 are in no standard montage.",
        "Raw recordings: sampling rate and trial times come from one source.",
    ),
    class_schemes=("valence3", "valence3-no-fear", "valence2"),
)
