"""Facts of DEAP.

Sources: the corpus's page and readme as used by several independent public loaders; the traps of
the original recordings from two public projects that preprocess them.
"""

from __future__ import annotations

from affectrum.catalog.model import Clip, CorpusFacts, words

__all__ = [
    "ELECTRODES",
    "EVENT_AFTER_VIDEO",
    "EVENT_BEFORE_TRIAL",
    "EVENT_VIDEO_START",
    "FACTS",
    "FAMILIARITY_MISSING",
    "FAMILIARITY_SCALE",
    "FILES",
    "LABEL_COLUMNS",
    "PERIPHERAL",
    "RATING_COLUMNS",
    "TWENTE_ORDER",
    "TWENTE_SUBJECTS",
    "TWENTE_TO_GENEVA",
    "event_code",
    "n_channels_raw",
    "status_names",
]

# Rows 0-31 of the preprocessed files; also the order in which Geneva recorded (subjects 23-32).
ELECTRODES = words(
    "Fp1 AF3 F3 F7 FC5 FC1 C3 T7 CP5 CP1 P3 P7 PO3 O1 Oz Pz Fp2 AF4 Fz F4 F8 FC6 FC2 Cz C4 T8 CP6 "
    "CP2 P4 P8 PO4 O2"
)
# Rows 32-39.
PERIPHERAL = (
    "hEOG",
    "vEOG",
    "zEMG",
    "tEMG",
    "GSR",
    "Respiration",
    "Plethysmograph",
    "Temperature",
)
# The order in which Twente recorded (subjects 1-22); the names in the .bdf headers are right.
TWENTE_ORDER = words(
    "Fp1 AF3 F7 F3 FC1 FC5 T7 C3 CP1 CP5 P7 P3 Pz PO3 O1 Oz O2 PO4 P4 P8 CP6 CP2 C4 T8 FC6 FC2 F4 "
    "F8 AF4 Fp2 Fz Cz"
)
TWENTE_SUBJECTS = tuple(range(1, 23))
# x_geneva = x_twente[TWENTE_TO_GENEVA]
TWENTE_TO_GENEVA = tuple(TWENTE_ORDER.index(name) for name in ELECTRODES)

# Columns of `labels` in the preprocessed files.
LABEL_COLUMNS = ("valence", "arousal", "dominance", "liking")
# Columns of participant_ratings.csv. Trial is the position as presented, Experiment_id the row in
# the preprocessed files, Start_time in microseconds.
RATING_COLUMNS = (
    "Participant_id",
    "Trial",
    "Experiment_id",
    "Start_time",
    "Valence",
    "Arousal",
    "Dominance",
    "Liking",
    "Familiarity",
)
FAMILIARITY_SCALE = (1.0, 5.0)
FAMILIARITY_MISSING = (2, 15, 23)

# Stems of the files of subjects 1-32, in all three forms (.dat, .mat, .bdf).
FILES = tuple(f"s{subject:02d}" for subject in range(1, 33))

# Codes on the Status channel of the original recordings (low byte, see `event_code`).
EVENT_BEFORE_TRIAL = 3
EVENT_VIDEO_START = 4
EVENT_AFTER_VIDEO = 5


def event_code(status: int) -> int:
    """Return the event code on a Status value.

    Subjects 24-32 carry high bits (offset 1703680); the low byte holds the code 1 to 7.
    """
    return int(status) & 0xFF


def status_names(subject: int) -> tuple[str, ...]:
    """Return the names that the Status channel has in a subject's original recording."""
    if subject <= 23:
        return ("Status",)
    if subject <= 28:
        return ("",)
    return ("-0", "-1")


def n_channels_raw(subject: int) -> int:
    """Return how many channels a subject's original recording has."""
    return 48 if subject <= 28 else 49


_CLIPS = tuple(Clip(clip=f"DEAP/{video:02d}", duration_s=60.0) for video in range(1, 41))

FACTS = CorpusFacts(
    name="DEAP",
    title="Database for Emotion Analysis using Physiological Signals",
    lab="DEAP (recorded in Twente and Geneva)",
    summary=(
        "32 people watched 40 one-minute excerpts of music videos and rated valence, arousal, "
        "dominance and liking; 32 electrodes."
    ),
    electrodes=ELECTRODES,
    electrodes_in_file=ELECTRODES,
    auxiliary=PERIPHERAL,
    sfreq=128.0,
    raw_sfreq=512.0,
    unit="uV",
    volts_per_unit=1e-6,
    passband_hz=(4.0, 45.0),
    mains_hz=50.0,  # the Netherlands and Switzerland
    reference="average",
    n_subjects=32,
    n_sessions=1,
    trials_per_session=(40,),
    clips=(_CLIPS,),
    row_order="clip",
    ratings=dict.fromkeys(LABEL_COLUMNS, (1.0, 9.0)),
    baseline_s=3.0,
    n_samples=((8064,) * 40,),
    sex=None,  # in the participant questionnaire, which a user has
    clip_evidence=(
        "clips: the row in the preprocessed files (Experiment_id); films and series: not known "
        "here (the corpus's video_list names the music videos)"
    ),
    licence="End-user licence agreement; academic research only, no redistribution",
    access="Request with the signed end-user licence agreement at the corpus's page",
    url="https://www.eecs.qmul.ac.uk/mmv/datasets/deap/",
    citation=(
        "Koelstra S, Mühl C, Soleymani M, Lee J-S, Yazdani A, Ebrahimi T, Pun T, Nijholt A, "
        "Patras I (2012). DEAP: a database for emotion analysis using physiological signals. IEEE "
        "Transactions on Affective Computing 3(1):18-31."
    ),
    doi="10.1109/T-AFFC.2011.15",
    expected_folder="""\
DEAP/                             (one of the three forms is enough)
  data_preprocessed_python/       s01.dat ... s32.dat
  data_preprocessed_matlab/       s01.mat ... s32.mat
  data_original/                  s01.bdf ... s32.bdf   (needs participant_ratings.csv)
  metadata_csv/                   participant_ratings.csv (order of presentation, ratings)
""",
    notes=(
        "Rows of the preprocessed files are in the order of the videos, not of presentation: "
        "'first k trials' needs participant_ratings.csv.",
        "Each trial begins with 3 s before the video.",
        "Original recordings are in the order of presentation; ratings are joined through "
        "participant_ratings.csv, never by position.",
        "Subjects 1-22 were recorded in another electrode order than subjects 23-32.",
        "The Status channel of the original recordings has four names (Status, empty, -0, -1) and "
        "high bits that must be masked.",
        "Skin conductance has another unit in Geneva (nS) than in Twente (ohm).",
        "Familiarity is missing for subjects 2, 15 and 23.",
        "The preprocessed signals are filtered 4-45 Hz: there is no delta band.",
    ),
    class_schemes=("valence2", "arousal2"),
)
