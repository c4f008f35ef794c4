"""Facts of ds002721 (OpenNeuro): film music.

Sources: the data set's description, README and tables.
"""

from __future__ import annotations

from affectrum.catalog.model import Clip, CorpusFacts, words

__all__ = [
    "CODES",
    "ELECTRODES_IN_FILE",
    "FACTS",
    "FIRST_ANSWER",
    "FIRST_CLIP",
    "FIRST_QUESTION",
    "MUSIC_RUNS",
    "QUESTIONS",
]

ELECTRODES_IN_FILE = words("FP1 FP2 F7 F3 Fz F4 F8 T3 C3 Cz C4 T4 T5 P3 Pz P4 T6 O1 O2")
ELECTRODES = words("Fp1 Fp2 F7 F3 Fz F4 F8 T7 C3 Cz C4 T8 P7 P3 Pz P4 P8 O1 O2")

# Events.
CODES = {"cross": 786, "music": 788}
FIRST_CLIP, FIRST_QUESTION, FIRST_ANSWER = 301, 800, 901
# What was asked, in the order of the codes.
QUESTIONS = words("pleasant energetic tense angry afraid happy sad tender")
MUSIC_RUNS = (2, 3, 4, 5)

_RATINGS = ("valence", "arousal", *QUESTIONS[2:])
_N_CLIPS = 40
_CLIPS = tuple(
    Clip(clip=f"ds002721/{number}", duration_s=12.0) for number in range(1, _N_CLIPS + 1)
)

FACTS = CorpusFacts(
    name="ds002721",
    title="An EEG dataset recorded during affective music listening",
    lab="University of Reading",
    summary=(
        "31 people listened to 40 clips of film music of 12 s and rated eight qualities of what "
        "they felt; 19 electrodes."
    ),
    electrodes=ELECTRODES,
    electrodes_in_file=ELECTRODES_IN_FILE,
    sfreq=1000.0,
    raw_sfreq=1000.0,
    unit="uV",
    volts_per_unit=1e-6,
    passband_hz=None,
    mains_hz=50.0,  # United Kingdom
    reference="FCz",
    n_subjects=31,
    n_sessions=1,
    trials_per_session=(_N_CLIPS,),
    clips=(_CLIPS,),
    row_order="presentation",
    ratings=dict.fromkeys(_RATINGS, (1.0, 5.0)),
    plane_from="ratings",
    trials_vary=True,
    baseline_s=0.0,
    n_samples=None,
    sex=None,
    clip_evidence=(
        "clips: codes 301 to 360 among the events; the excerpts are from film scores (the set of "
        "Eerola and Vuoskoski), which films is not known here"
    ),
    licence="CC0 by OpenNeuro, CC-BY-4.0 by the README: attribute it",
    access="Open: OpenNeuro ds002721",
    url="https://openneuro.org/datasets/ds002721",
    citation=(
        "Daly I, Nicolaou N, Williams D, Hwang F, Kirke A, Miranda E, Nasuto SJ. Neural and "
        "physiological data from participants listening to affective music. Scientific Data."
    ),
    doi=None,
    openneuro="ds002721",
    expected_folder="""\
ds002721/
  dataset_description.json
  sub-01/eeg/       sub-01_task-run2_eeg.edf (runs 2 to 5), _events.tsv, _channels.tsv
""",
    notes=(
        "Valence is the answer to 'pleasant', arousal the answer to 'energetic'.",
        "Runs 1 and 6 are rest and are left out; not everybody has all runs.",
        "The README says both 12 s and 20 s for a clip; 12 s are read.",
        "Electrodes have their old names (T3, T4, T5, T6).",
        "A clip's code stands beside its start; where they do not alternate, clips are missing.",
    ),
    class_schemes=("valence2", "arousal2"),
)
