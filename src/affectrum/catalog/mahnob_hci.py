"""Facts of MAHNOB-HCI.

Sources: public loaders of the corpus (torcheeg, LibEER and others). Where they disagree, the note
says so and the reader looks into the files.
"""

from __future__ import annotations

from affectrum.catalog import deap
from affectrum.catalog.model import Clip, CorpusFacts, words

__all__ = ["ELECTRODES", "FACTS", "FELT", "MEDIA", "RATED_TRIALS", "RATINGS", "SIGNALS"]

# The BioSemi cap of DEAP in the order in which DEAP's Geneva recordings have it.
ELECTRODES = deap.ELECTRODES

# The 47 signals of a recording.
SIGNALS = (
    *ELECTRODES,
    *(f"EXG{n}" for n in range(1, 9)),
    *words("GSR1 GSR2 Erg1 Erg2 Resp Temp Status"),
)

# feltEmo of session.xml
FELT = {
    0: "neutral",
    1: "anger",
    2: "disgust",
    3: "fear",
    4: "joy",
    5: "sadness",
    6: "surprise",
    7: "scream",
    8: "bored",
    9: "sleepy",
    10: "unknown",
    11: "amusement",
    12: "anxiety",
}

# Attribute of session.xml -> self-report (1 to 9); control is what others call dominance.
RATINGS = {
    "feltVlnc": "valence",
    "feltArsl": "arousal",
    "feltCtrl": "dominance",
    "feltPred": "predictability",
}

# Stem of mediaFile -> emotion that the clip was chosen for. One source; a second one lists clip 55
# under anger, so for that one nothing is said here.
MEDIA: dict[str, str | None] = {
    "69": "disgust",
    "55": None,
    "58": "amusement",
    "earworm_f": "disgust",
    "53": "amusement",
    "80": "joy",
    "52": "amusement",
    "79": "joy",
    "73": "fear",
    "90": "joy",
    "107": "fear",
    "146": "sadness",
    "30": "fear",
    "138": "sadness",
    "newyork_f": "neutral",
    "111": "sadness",
    "detroit_f": "neutral",
    "cats_f": "joy",
    "dallas_f": "neutral",
    "funny_f": "joy",
}

# Rated trials of subjects 1 to 30 that one loader counted. Others count 527 or 533 in all, so
# these numbers are shown and never demanded.
RATED_TRIALS = (20, 20, 17, 20, 20, 20, 20, 20, 14, 20, 20, 0, 20, 20, 0, 16, *(20,) * 14)

_EMOTIONS = ("neutral", "disgust", "fear", "joy", "sadness", "amusement")

FACTS = CorpusFacts(
    name="MAHNOB-HCI",
    title="MAHNOB-HCI tagging database, emotion elicitation",
    lab="MAHNOB (Imperial College London, University of Geneva)",
    summary=(
        "30 people watched 20 excerpts of films and online videos and rated valence, arousal, "
        "control and predictability; 32 electrodes, one recording per clip."
    ),
    electrodes=ELECTRODES,
    electrodes_in_file=ELECTRODES,
    auxiliary=SIGNALS[len(ELECTRODES) :],
    sfreq=256.0,  # 512 by another source; the header of each recording decides
    raw_sfreq=256.0,
    unit="uV",  # as the headers of BDF files say, which the reader follows
    volts_per_unit=1e-6,
    passband_hz=None,
    mains_hz=50.0,  # Geneva
    reference=None,
    n_subjects=30,
    n_sessions=1,
    trials_per_session=(20,),
    clips=(
        tuple(
            Clip(clip=f"MAHNOB-HCI/{media}", emotion=emotion) for media, emotion in MEDIA.items()
        ),
    ),
    row_order="clip",
    label_codes=dict(enumerate(_EMOTIONS)),
    ratings=dict.fromkeys(RATINGS.values(), (1.0, 9.0)),
    felt_codes=FELT,
    plane_from="ratings",
    trials_vary=True,
    baseline_s=30.0,
    n_samples=None,
    sex=None,
    clip_evidence=(
        "clips: mediaFile of each session.xml; the emotion a clip was chosen for: one public list, "
        "except clip 55, for which two lists differ; films and series: not known here"
    ),
    licence="End-user licence agreement (institution); no redistribution",
    access="Request with the signed end-user licence agreement at the corpus's page",
    url="https://mahnob-db.eu/hci-tagging/",
    citation=(
        "Soleymani M, Lichtenauer J, Pun T, Pantic M (2012). A multimodal database for affect "
        "recognition and implicit tagging. IEEE Transactions on Affective Computing 3(1):42-55."
    ),
    doi="10.1109/T-AFFC.2011.25",
    expected_folder="""\
MAHNOB-HCI/                       (or the folder Sessions itself)
  Sessions/{session id}/          1 ... 3810, with gaps
    Part_{subject}_S_Trial{n}_emotion.bdf
    session.xml                   ratings, clip, subject
""",
    notes=(
        "The number of the folder is no subject: the subject stands in session.xml and in the "
        "name of the recording.",
        "Sessions without feltArsl (all named _N_, and some others) are not rated and left out.",
        "Subjects 12 and 15 have no rated session, 3, 9 and 16 fewer than 20, 26 none by some "
        "counts: totals of 527, 533 and 547 rated trials are in use.",
        "Sources disagree about the rate (256 or 512 Hz); it is read from each header.",
        "30 s are recorded before and after the clip; two events on the Status channel are its "
        "beginning and end.",
        "The emotion a clip was chosen for is known from one list only; place trials by ratings.",
        "Control is read as dominance.",
    ),
    class_schemes=("valence2", "arousal2", "valence3"),
)
