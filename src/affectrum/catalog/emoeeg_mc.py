"""Facts of EmoEEG-MC (OpenNeuro ds005540).

Sources: the data set's own sidecars and tables; the shapes of the derivatives were deduced from
their sizes.
"""

from __future__ import annotations

from affectrum.catalog.model import Clip, CorpusFacts, words

__all__ = ["CONTEXTS", "ELECTRODES", "FACTS", "MISSING_TRIALS", "REORDER", "SCORES", "TRIGGERS"]

ELECTRODES = words(
    "Fp1 Fpz Fp2 AF7 AF3 AF4 AF8 F7 F5 F3 F1 Fz F2 F4 F6 F8 FT7 FC5 FC3 FC1 FCz FC2 FC4 FC6 FT8 T7 "
    "C5 C3 C1 Cz C2 C4 C6 T8 TP7 CP5 CP3 CP1 CPz CP2 CP4 CP6 TP8 P7 P5 P3 P1 Pz P2 P4 P6 P8 PO7 "
    "PO3 POz PO4 PO8 O1 Oz O2 F9 F10 TP9 TP10"
)
# The recordings have four more channels, for triggers.
TRIGGERS = words("Trigger1 Trigger2 Trigger3 Trigger4")

_EMOTIONS = {
    "sad": "sadness",
    "dis": "disgust",
    "fear": "fear",
    "neu": "neutral",
    "joy": "joy",
    "ten": "tenderness",
    "ins": "inspiration",
}
# Clips in the order of the rows of *_reorder.npy, in both contexts.
REORDER = tuple(f"{emotion}{number}" for emotion in _EMOTIONS for number in (4, 5, 8))
# Columns score_1 ... score_10 of beh.tsv.
SCORES = words("joy inspiration tenderness sadness fear disgust arousal valence familiarity liking")
CONTEXTS = ("vid", "ima")
# Trials that are missing: subject -> context -> how many.
MISSING_TRIALS = {
    55: {"ima": 3, "vid": 3},
    56: {"ima": 2},
    57: {"ima": 4, "vid": 6},
    58: {"ima": 3},
    59: {"ima": 6, "vid": 4},
    60: {"ima": 14, "vid": 12},
}

_CLIPS = tuple(
    tuple(
        Clip(
            clip=f"EmoEEG-MC/{context}-{name}",
            emotion=_EMOTIONS[name[:-1]],
            duration_s=30.0,
        )
        for name in REORDER
    )
    for context in CONTEXTS
)

FACTS = CorpusFacts(
    name="EmoEEG-MC",
    title="EmoEEG-MC: A Multi-Context Emotional EEG Dataset for Cross-Context Emotion Decoding",
    lab="NCC lab, SUSTech",
    summary=(
        "60 people watched 21 emotional films and imagined 21 emotional scenes (seven emotions, "
        "ten self-reports); 64 electrodes."
    ),
    electrodes=ELECTRODES,
    electrodes_in_file=ELECTRODES,
    sfreq=200.0,
    raw_sfreq=600.0,
    unit=None,
    volts_per_unit=None,
    passband_hz=(0.1, 47.0),
    mains_hz=50.0,
    reference="average",
    n_subjects=60,
    n_sessions=2,
    trials_per_session=(21, 21),
    clips=_CLIPS,
    row_order="clip",
    label_codes=dict(enumerate(dict.fromkeys(_EMOTIONS.values()))),
    ratings=dict.fromkeys(SCORES, (0.0, 7.0)),
    plane_from="emotion",
    trials_vary=True,
    session_names=CONTEXTS,
    baseline_s=0.0,
    n_samples=None,
    sex=None,
    clip_evidence=(
        "clips: rows of *_reorder.npy in the authors' order; which film a name stands for, and "
        "which clip a recorded trial was, is not known here"
    ),
    licence="CC0",
    access="Open: OpenNeuro ds005540",
    url="https://openneuro.org/datasets/ds005540",
    citation=(
        "Xu X, Shen X, Chen X, Zhang Q, Wang S, Li Y, Li Z, Zhang D, Zhang M, Liu Q. EmoEEG-MC: A "
        "Multi-Context Emotional EEG Dataset for Cross-Context Emotion Decoding."
    ),
    doi=None,
    openneuro="ds005540",
    expected_folder="""\
ds005540/                          (one of the three forms is enough)
  dataset_description.json
  derivatives/sub-01/ses-{vid,ima}/eeg/   sub-01_ses-vid_task-emotion_reorder.npy (or _ica.npy)
  sub-01/eeg/                             sub-01_task-emotion_eeg.edf, _events.tsv
  sub-01/beh/                             sub-01_task-emotion_beh.tsv
""",
    notes=(
        "Session 1 are films (vid), session 2 imagery (ima); in the recordings they alternate.",
        "The column video_name of beh.tsv does not identify the clip (subject 2: always the same).",
        "Self-reports are in the order of presentation and can't be joined to *_reorder.npy.",
        "Recordings were sampled at 600 or 1200 Hz, and subject 1 has no JSON.",
        "Subjects 55 to 60 lack trials; which ones is not stated.",
        "No source says the unit of the derivatives: it is measured.",
        "The shipped features (de, psd) are pickled objects with axes that no source states; they "
        "are not read.",
    ),
    class_schemes=("valence3", "valence3-no-fear"),
)
