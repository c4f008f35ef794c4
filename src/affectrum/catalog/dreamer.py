"""Facts of DREAMER.

Sources: the layout of the file as several independent public loaders read it, and the paper's
list of clips. Which cell of the file holds which clip is not documented; the reader tells what
the file itself says about it.
"""

from __future__ import annotations

import math

from affectrum.catalog.model import Clip, CorpusFacts, words

__all__ = ["CLIPS", "ECG_SFREQ", "ELECTRODES", "FACTS", "FILE", "MEAN_RATINGS"]

FILE = "DREAMER.mat"

# EEG_Electrodes in the file: Emotiv EPOC, columns of every EEG array. AMIGOS has the same.
ELECTRODES = words("AF3 F7 F3 FC5 T7 P7 O1 O2 P8 T8 FC6 F4 F8 AF4")
ECG_SFREQ = 256.0

# (film, series, emotion that the clip was chosen for) of clips 1-18.
CLIPS = (
    ("Searching for Bobby Fischer", "Searching for Bobby Fischer", "calmness"),
    ("D.O.A.", "D.O.A.", "surprise"),
    ("The Hangover", "The Hangover", "amusement"),
    ("The Ring", "The Ring", "fear"),
    ("300", "300", "excitement"),
    ("National Lampoon's VanWilder", "National Lampoon", "disgust"),
    ("Wall-E", "Wall-E", "happiness"),
    ("Crash", "Crash", "anger"),
    ("My Girl", "My Girl", "sadness"),
    ("The Fly", "The Fly", "disgust"),
    ("Pride and Prejudice", "Pride and Prejudice", "calmness"),
    ("Modern Times", "Modern Times", "amusement"),
    ("Remember the Titans", "Remember the Titans", "happiness"),
    ("Gentlemans Agreement", "Gentlemans Agreement", "anger"),
    ("Psycho", "Psycho", "fear"),
    ("The Bourne Identity", "Bourne", "excitement"),
    ("The Shawshank Redemption", "The Shawshank Redemption", "sadness"),
    ("The Departed", "The Departed", "surprise"),
)

# Mean ratings over the 23 people that are known from the paper's table, by clip (from 1). ONE
# SOURCE, and the other numbers of the table are not known here; no spread is known.
MEAN_RATINGS = {
    2: {"valence": 3.04},
    11: {"arousal": 1.96},
    12: {"arousal": 2.61},
    14: {"arousal": 2.22},
}

_CLIPS = tuple(
    Clip(
        clip=f"DREAMER/{number:02d}",
        film=film,
        series=series,
        emotion=emotion,
        mean_ratings=(
            {rating: (mean, math.nan) for rating, mean in MEAN_RATINGS[number].items()}
            if number in MEAN_RATINGS
            else None
        ),
    )
    for number, (film, series, emotion) in enumerate(CLIPS, start=1)
)

FACTS = CorpusFacts(
    name="DREAMER",
    title="Database for Emotion Recognition through EEG and ECG signals",
    lab="University of the West of Scotland",
    summary=(
        "23 people watched 18 film clips chosen for nine emotions and rated valence, arousal and "
        "dominance; 14 electrodes of a wireless headset, and ECG."
    ),
    electrodes=ELECTRODES,
    electrodes_in_file=ELECTRODES,
    sfreq=128.0,
    raw_sfreq=128.0,
    unit="uV",
    volts_per_unit=1e-6,
    passband_hz=None,  # as the headset gave it; its filters are not stated by the corpus
    mains_hz=50.0,  # Scotland
    reference=None,  # not stated by the corpus
    n_subjects=23,
    n_sessions=1,
    trials_per_session=(18,),
    clips=(_CLIPS,),
    row_order="clip",
    # words only; numbered here in the order in which the list of clips first names them
    label_codes=dict(enumerate(dict.fromkeys(emotion for _, _, emotion in CLIPS))),
    ratings=dict.fromkeys(("valence", "arousal", "dominance"), (1.0, 5.0)),
    plane_from="ratings",
    baseline_s=61.0,
    n_samples=None,
    sex=None,  # in the file, which a user has
    clip_evidence=(
        "films and emotions: the paper's list of clips; which cell of the file is which clip is "
        "not documented: every public loader takes cell t as clip t, and the check compares the "
        "file's ratings with four published means"
    ),
    licence="Restricted; research only",
    access="Request access at the corpus's page",
    url="https://zenodo.org/records/546113",
    citation=(
        "Katsigiannis S, Ramzan N (2018). DREAMER: a database for emotion recognition through EEG "
        "and ECG signals from wireless low-cost off-the-shelf devices. IEEE Journal of Biomedical "
        "and Health Informatics 22(1):98-107."
    ),
    doi="10.1109/JBHI.2017.2688239",
    expected_folder="""\
DREAMER/
  DREAMER.mat                     one variable DREAMER: all people, clips and ratings
""",
    notes=(
        "The whole corpus is one compressed variable: the first opening walks it once, and reading "
        "one late trial unpacks what stands before it.",
        "Signals carry the headset's offset of some 4000 uV: it is kept; remove the mean or filter "
        "before anything else.",
        "The baseline is an array of its own, of 61 s, not the beginning of the trial's.",
        "Whether cells are in the order of the clips or of presentation is not documented; the "
        "column 'trial' is empty unless the option 'order' says that it is presentation.",
        "Ratings are whole numbers from 1 to 5, so the middle of the scale is one of them: it "
        "counts as low unless another threshold is given (papers differ).",
        "Arrays are samples by electrodes; ECG (256 Hz) is not read.",
    ),
    class_schemes=("valence2", "arousal2"),
)
