"""Facts of FACED.

Sources: the data set's own description (Chen et al. 2023), two copies of the authors' code, several
independent public loaders, and the side-car files of the copy in BIDS form. What only one source
says is marked so in the notes.
"""

from __future__ import annotations

from affectrum.catalog.model import Clip, CorpusFacts, words

__all__ = [
    "AROUSAL_MEAN",
    "AROUSAL_SD",
    "BANDS",
    "BROKEN_SUBJECTS",
    "EARS",
    "ELECTRODES",
    "EMOTIONS",
    "EVENT_VIDEO_OFF",
    "EVENT_VIDEO_ON",
    "FACTS",
    "FEATURES",
    "FILES",
    "FILMS",
    "LONG_CLIP_22_SUBJECTS",
    "N_VIDEOS",
    "RATING_COLUMNS",
    "RATING_SCALE",
    "RAW_1000HZ_SUBJECTS",
    "RAW_COHORT_1",
    "RAW_COHORT_2",
    "RAW_UNIT_UNKNOWN_SUBJECTS",
    "TRIAL_SECONDS",
    "VALENCE_MEAN",
    "VALENCE_SD",
    "VIDEO_SECONDS",
    "raw_names",
    "raw_sfreq",
]

N_VIDEOS = 28
# Rows 0-29 of the preprocessed files; rows 30 and 31 are the ears (of the second cohort: channels
# that its recordings call HEOR and HEOL).
ELECTRODES = words(
    "Fp1 Fp2 Fz F3 F4 F7 F8 FC1 FC2 FC5 FC6 Cz C3 C4 T7 T8 CP1 CP2 CP5 CP6 Pz P3 P4 P7 P8 PO3 PO4 "
    "Oz O1 O2"
)
EARS = ("A2", "A1")

# Names and orders of the original recordings: subjects 0-60 and 61-122 (as in the file names).
RAW_COHORT_1 = words(
    "Fp1 Fp2 Fz F3 F4 F7 F8 FC1 FC2 FC5 FC6 Cz C3 C4 T3 T4 A1 A2 CP1 CP2 CP5 CP6 Pz P3 P4 T5 T6 "
    "PO3 PO4 Oz O1 O2"
)
RAW_COHORT_2 = (*ELECTRODES, "HEOR", "HEOL")
_FIRST_OF_COHORT_2 = 61

# Subjects as the file names count them, from 0.
FILES = tuple(f"sub{subject:03d}" for subject in range(123))
BROKEN_SUBJECTS = (23,)
LONG_CLIP_22_SUBJECTS = tuple(range(36, 61))
RAW_1000HZ_SUBJECTS = (0, 1, 2, 3, 6, 7, *range(61, 123))
RAW_UNIT_UNKNOWN_SUBJECTS = (4, 5, *range(8, 36), 58, 59, 60)

# Columns of `score` in After_remarks.mat.
RATING_COLUMNS = words(
    "joy tenderness inspiration amusement anger disgust fear sadness arousal valence familiarity "
    "liking"
)
RATING_SCALE = (0.0, 7.0)

# Codes in evt.bdf: a number 1 to 28 names the video, then these; others belong to the task.
EVENT_VIDEO_ON = 101
EVENT_VIDEO_OFF = 102

FEATURES = ("DE", "PSD")
BANDS = {
    "delta": (1.0, 4.0),
    "theta": (4.0, 8.0),
    "alpha": (8.0, 14.0),
    "beta": (14.0, 30.0),
    "gamma": (30.0, 47.0),
}

# Videos 1-28.
TRIAL_SECONDS = 30.0
VIDEO_SECONDS = (
    *(81.1, 63.9, 73.2, 78.6, 69.4, 90.5, 56.1, 60.3, 105.8, 45.1, 60.2, 82.0, 35.1, 44.3),
    *(38.9, 43.1, 55.9, 69.7, 73.3, 129.1, 77.1, 75.8, 34.1, 37.3, 67.6, 63.1, 54.2, 77.5),
)
_EMOTION_CODES = {
    "anger": 0,
    "disgust": 1,
    "fear": 2,
    "sadness": 3,
    "neutral": 4,
    "amusement": 5,
    "inspiration": 6,
    "joy": 7,
    "tenderness": 8,
}
EMOTIONS = tuple(word for word in _EMOTION_CODES for _ in range(4 if word == "neutral" else 3))
# The films as the data set lists them; the four neutral clips have one title.
FILMS = (
    "Tokyo Trial",
    "Nanjing documentary",
    "City of Life and Death",
    "Trainspotting",
    "Indiana Jones and the Last Crusade",
    "Hellraiser",
    "The Shining",
    "The Shining",
    "The Exorcist",
    "In Bruges",
    "Departures",
    "Gangs of New York",
    "Blue",
    "Blue",
    "Blue",
    "Blue",
    "Modern Times",
    "Minions",
    "Mr Bean",
    "Forrest Gump",
    "The Theory of Everything",
    "The Shawshank Redemption",
    "My Neighbour Totoro",
    "Night at the Museum III",
    "Harry Potter I",
    "The Pursuit of Happyness",
    "Juno",
    "Sex and the City II",
)
_SERIES = {
    "Indiana Jones and the Last Crusade": "Indiana Jones",
    "Night at the Museum III": "Night at the Museum",
    "Harry Potter I": "Harry Potter",
    "Sex and the City II": "Sex and the City",
}
# Mean and SD of the self-reports of 123 people, scale 0-7, videos 1-28.
VALENCE_MEAN = (
    *(2.00, 1.51, 1.60, 1.64, 1.71, 1.57, 1.65, 1.48, 1.57, 1.57, 1.96, 2.05, 3.05, 3.24),
    *(3.33, 3.09, 4.04, 4.22, 4.42, 5.23, 4.93, 4.21, 4.39, 4.43, 4.30, 4.42, 4.25, 4.62),
)
AROUSAL_MEAN = (
    *(4.39, 4.55, 5.07, 4.41, 3.87, 4.15, 4.23, 4.55, 4.22, 3.47, 3.22, 3.13, 1.34, 1.28),
    *(1.69, 1.33, 3.48, 3.84, 3.72, 3.99, 3.94, 3.90, 3.42, 3.56, 3.27, 3.62, 3.34, 3.27),
)
VALENCE_SD = (
    *(1.79, 1.64, 1.84, 1.48, 1.50, 1.61, 1.50, 1.45, 1.50, 1.31, 1.44, 1.57, 1.20, 1.18),
    *(1.43, 1.19, 1.36, 1.57, 1.54, 1.50, 1.58, 1.92, 1.71, 1.54, 1.62, 1.67, 1.52, 1.60),
)
AROUSAL_SD = (
    *(1.71, 1.75, 1.70, 1.86, 1.88, 2.05, 1.70, 1.81, 2.00, 1.76, 1.71, 1.82, 1.65, 1.56),
    *(1.78, 1.53, 1.80, 1.72, 1.80, 1.73, 1.74, 1.68, 1.75, 1.69, 1.91, 1.84, 1.69, 1.85),
)


def raw_names(subject: int) -> tuple[str, ...]:
    """Return the channels of a subject's original recording (`subject` from 0)."""
    return RAW_COHORT_1 if subject < _FIRST_OF_COHORT_2 else RAW_COHORT_2


def raw_sfreq(subject: int) -> float:
    """Return the sampling rate of a subject's original recording (`subject` from 0)."""
    return 1000.0 if subject in RAW_1000HZ_SUBJECTS else 250.0


_CLIPS = tuple(
    Clip(
        clip=f"FACED/{video + 1:02d}",
        film=FILMS[video],
        series=_SERIES.get(FILMS[video], FILMS[video]),
        emotion=EMOTIONS[video],
        duration_s=TRIAL_SECONDS,
        mean_ratings={
            "valence": (VALENCE_MEAN[video], VALENCE_SD[video]),
            "arousal": (AROUSAL_MEAN[video], AROUSAL_SD[video]),
        },
    )
    for video in range(N_VIDEOS)
)

FACTS = CorpusFacts(
    name="FACED",
    title="Finer-grained Affective Computing EEG Dataset",
    lab="Tsinghua University",
    summary=(
        "123 people watched 28 short film clips meant to elicit nine emotions and rated each on "
        "twelve scales; 32 electrodes."
    ),
    electrodes=ELECTRODES,
    electrodes_in_file=ELECTRODES,
    auxiliary=EARS,
    sfreq=250.0,
    raw_sfreq=1000.0,
    unit="uV",
    volts_per_unit=1e-6,
    passband_hz=(0.05, 47.0),
    mains_hz=50.0,  # China
    reference="average",
    n_subjects=123,
    n_sessions=1,
    trials_per_session=(N_VIDEOS,),
    clips=(_CLIPS,),
    row_order="clip",
    label_codes={code: word for word, code in _EMOTION_CODES.items()},
    ratings=dict.fromkeys(RATING_COLUMNS, RATING_SCALE),
    plane_from="emotion",
    baseline_s=0.0,
    n_samples=((7500,) * N_VIDEOS,),
    feature_windows={1.0: ((30,) * N_VIDEOS,)},
    sex=None,  # in Recording_info.csv, which a user has
    clip_evidence=(
        "clips: the row in the preprocessed files (video index); films: the data set's own list; "
        "the series are added here by the films' titles"
    ),
    licence=(
        "By Synapse's terms. The copy in BIDS form (NEMAR nm000112) declares CC-BY-4.0, but its "
        "list of authors is wrong: confirm before relying on it"
    ),
    access="Free Synapse account (syn50614194)",
    url="https://www.synapse.org/Synapse:syn50614194",
    citation=(
        "Chen J, Wang X, Huang C, Hu X, Shen X, Zhang D (2023). A large finer-grained affective "
        "computing EEG dataset. Scientific Data 10:740."
    ),
    doi="10.1038/s41597-023-02650-w",
    expected_folder="""\
FACED/                     (one of the first three is enough)
  Processed_data/          sub000.pkl ... sub122.pkl
  EEG_Features/            DE/sub000.pkl.pkl ...  PSD/sub000.pkl.pkl ...
  Data/                    sub000/data.bdf, evt.bdf (recordings), After_remarks.mat (ratings) ...
  Recording_info.csv
""",
    notes=(
        "Rows of the preprocessed files are in the order of the videos, ratings in the order of "
        "presentation: they are joined by the video's number.",
        "Subjects are counted from 1 here and from 0 in the file names: subject 1 is sub000.",
        "The preprocessed signals are the last 30 s of each clip; the original recordings hold "
        "the whole clips.",
        "Rows 31 and 32 are the ears (A2, A1), in the second cohort recorded as HEOR and HEOL; "
        "they are left out unless the option 'ears' asks for them.",
        "sub023.pkl is broken: its numbers vary about 3000 times as much as the others'.",
        "The unit of the numbers is measured for each file: it is not the same in all recordings "
        "and their headers do not always tell it.",
        "Original recordings: 68 at 1000 Hz and 55 at 250 Hz, two orders and spellings of the "
        "electrodes (sub000-060, sub061-122).",
        "sub036-060 saw a version of clip 22 that is some seconds longer (single source); one "
        "public loader drops the first 7 s there.",
        "Feature files end in .pkl.pkl.",
    ),
    class_schemes=("valence3", "valence2", "arousal2"),
)
