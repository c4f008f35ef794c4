"""Facts of AMIGOS.

Sources: the corpus's page, and the layout of the preprocessed files as several independent public
loaders read them. The order of the videos is read from each file.
"""

from __future__ import annotations

from affectrum.catalog.dreamer import ELECTRODES
from affectrum.catalog.model import Clip, CorpusFacts, words

__all__ = [
    "ANNOTATION_S",
    "AUXILIARY",
    "FACTS",
    "GAPS_REPORTED",
    "LONG_VIDEOS",
    "SELF_REPORTS",
    "SHORT_VIDEOS",
    "WITHOUT_LONG_VIDEOS",
    "WORDS",
]

# The sets are certain, the order within a file is what its VideoIDs say.
SHORT_VIDEOS = words("10 13 138 18 19 20 23 30 31 34 36 4 5 58 80 9")
LONG_VIDEOS = words("N1 P1 B1 U1")

# Columns 15-17 of every array, behind the electrodes.
AUXILIARY = ("ECG_Right", "ECG_Left", "GSR")

# Columns of labels_selfassessment: arousal comes BEFORE valence. Five scales, then seven words
# that are ticked (1) or not (0).
_SCALES = words("arousal valence dominance liking familiarity")
WORDS = words("neutral disgust happiness surprise anger fear sadness")
SELF_REPORTS = (*_SCALES, *WORDS)

# Lengths of the published annotation's segments, seconds.
ANNOTATION_S = 20.0

WITHOUT_LONG_VIDEOS = (8, 24, 28)
# People whom a public loader leaves out because of samples that are NaN or arrays that are missing.
GAPS_REPORTED = (9, 12, 21, 22, 23, 24, 33)

FACTS = CorpusFacts(
    name="AMIGOS",
    title="A dataset for Affect, personality and Mood research on Individuals and GrOupS",
    lab="AMIGOS (Queen Mary University of London)",
    summary=(
        "40 people watched 16 short videos, most of them 4 long ones too, and rated arousal, "
        "valence, dominance, liking, familiarity and seven emotions; 14 electrodes of a wireless "
        "headset."
    ),
    electrodes=ELECTRODES,
    electrodes_in_file=ELECTRODES,
    auxiliary=AUXILIARY,
    sfreq=128.0,
    raw_sfreq=128.0,
    unit="uV",
    volts_per_unit=1e-6,
    passband_hz=(4.0, 45.0),
    mains_hz=None,  # below the band that is kept
    reference="average",
    n_subjects=40,
    n_sessions=2,
    trials_per_session=(len(SHORT_VIDEOS), len(LONG_VIDEOS)),
    clips=tuple(
        tuple(Clip(clip=f"AMIGOS/{video}") for video in videos)
        for videos in (SHORT_VIDEOS, LONG_VIDEOS)
    ),
    row_order="clip",
    ratings=dict.fromkeys(_SCALES, (1.0, 9.0)) | dict.fromkeys(WORDS, (0.0, 1.0)),
    felt_codes=dict(enumerate(WORDS)),
    plane_from="ratings",
    session_names=("short videos", "long videos"),
    baseline_s=5.0,
    n_samples=None,
    sex=None,
    clip_evidence="clips: VideoIDs in each file; films and series: not known here",
    licence="End-user licence agreement; academic research only, no redistribution",
    access="Request with the signed end-user licence agreement at the corpus's page",
    url="http://www.eecs.qmul.ac.uk/mmv/datasets/amigos/",
    citation=(
        "Miranda-Correa JA, Abadi MK, Sebe N, Patras I (2021). AMIGOS: a dataset for affect, "
        "personality and mood research on individuals and groups. IEEE Transactions on Affective "
        "Computing 12(2):479-493."
    ),
    doi="10.1109/TAFFC.2018.2884461",
    expected_folder="""\
AMIGOS/                           (or the folder of the files itself)
  data_preprocessed/              Data_Preprocessed_P01.mat ... Data_Preprocessed_P40.mat, or each
    Data_Preprocessed_P01/        in a folder of its own, as the archives unpack
      Data_Preprocessed_P01.mat
""",
    notes=(
        "The videos of the columns are read from VideoIDs in each file; short videos are session "
        "1, long ones session 2.",
        "Self-reports have arousal before valence.",
        "Each trial begins with 5 s before the video.",
        "Subjects 8, 24 and 28 have no long videos; public sources differ on 28 and 32.",
        "Some signals have no self-reports and some self-reports no signals: the former are read "
        "with missing ratings, the latter are left out; the check lists both.",
        "Some signals hold samples that are NaN: the check lists them, and windows with such "
        "samples are left out.",
        "Some compressed arrays are longer than their header says; they are read where the array "
        "is complete, and the check lists them.",
        "The preprocessed signals are filtered 4-45 Hz: there is no delta band.",
        "Data_Original files hold other arrays and are refused with the reason.",
        "The order in which a person saw the videos is in no file that is read: 'trial' is empty.",
    ),
    class_schemes=("valence2", "arousal2"),
)
