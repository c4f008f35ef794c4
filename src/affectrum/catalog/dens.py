"""Facts of DENS (OpenNeuro ds003751).

Sources: the data set's description and tables; the unit of its onsets was deduced from them.
"""

from __future__ import annotations

from affectrum.catalog.model import Clip, CorpusFacts, words

__all__ = ["CAP", "ELECTRODES", "ELECTRODES_IN_FILE", "FACTS", "FELT", "ONSET_SFREQ", "REST_S"]

# Electrodes of the 128-channel cap (HydroCel) that lie near a place of the 10-05 system: those on
# which the maker's table of 10-10 equivalents and the geometry of the cap agree within 12 degrees,
# and T7 and T8 (16 degrees). The other 83 are not read.
CAP = {
    "E22": "Fp1",
    "E9": "Fp2",
    "E23": "AF3",
    "E16": "AFz",
    "E3": "AF4",
    "E33": "F7",
    "E27": "F5",
    "E24": "F3",
    "E11": "Fz",
    "E124": "F4",
    "E123": "F6",
    "E122": "F8",
    "E29": "FC3",
    "E13": "FC1",
    "E6": "FCz",
    "E112": "FC2",
    "E111": "FC4",
    "E45": "T7",
    "E36": "C3",
    "E30": "C1",
    "E105": "C2",
    "E104": "C4",
    "E108": "T8",
    "E47": "CP5",
    "E42": "CP3",
    "E37": "CP1",
    "E55": "CPz",
    "E87": "CP2",
    "E93": "CP4",
    "E98": "CP6",
    "E58": "P7",
    "E51": "P5",
    "E52": "P3",
    "E60": "P1",
    "E62": "Pz",
    "E85": "P2",
    "E92": "P4",
    "E97": "P6",
    "E96": "P8",
    "E65": "PO7",
    "E72": "POz",
    "E90": "PO8",
    "E70": "O1",
    "E75": "Oz",
    "E83": "O2",
}
ELECTRODES = tuple(CAP.values())
ELECTRODES_IN_FILE = tuple(CAP)

# What onsets in events.tsv count, against BIDS: samples at this rate.
ONSET_SFREQ = 250.0
REST_S = 80.0
# Words in the column emotionCateg of the one table that was seen; there may be more.
FELT = words("joyous afraid angry alarmed hate sad")

# Clips of the one table that was seen; other people saw others of the data set's films.
_NAMES = words("neutral_1 12 8 4 15 17 16 neutral_2 7 2 24")
_CLIPS = tuple(Clip(clip=f"DENS/{name}", duration_s=60.5) for name in _NAMES)

FACTS = CorpusFacts(
    name="DENS",
    title="Dataset on Emotion with Naturalistic Stimuli (DENS)",
    lab="DENS (Mishra, Asif, Tiwary, Srinivasan)",
    summary=(
        "40 people in India watched 9 to 11 one-minute films, clicked when they felt an emotion "
        "and rated each film; 128 electrodes, of which 45 are read."
    ),
    electrodes=ELECTRODES,
    electrodes_in_file=ELECTRODES_IN_FILE,
    auxiliary=("ECG", "EMG1", "EMG2"),
    sfreq=250.0,
    raw_sfreq=250.0,
    unit="uV",
    volts_per_unit=1e-6,
    passband_hz=None,
    mains_hz=50.0,  # India
    reference="Cz",
    n_subjects=40,
    n_sessions=1,
    trials_per_session=(11,),
    clips=(_CLIPS,),
    row_order="presentation",
    ratings={
        "valence": (1.0, 9.0),
        "arousal": (1.0, 9.0),
        "dominance": (1.0, 9.0),
        "liking": (1.0, 5.0),
        "familiarity": (1.0, 5.0),
        "relevance": (1.0, 5.0),
    },
    felt_codes=dict(enumerate(FELT)),
    plane_from="ratings",
    trials_vary=True,
    baseline_s=0.0,
    n_samples=None,
    sex=None,
    clip_evidence="clips: the column stimuliName of beh.tsv; films are not known here",
    licence="CC0 by dataset_description.json, ODbL by the README: check before you redistribute",
    access="Open: OpenNeuro ds003751",
    url="https://openneuro.org/datasets/ds003751",
    citation=(
        "Mishra S, Asif M, Tiwary US. Dataset on Emotions using Naturalistic Stimuli (DENS). "
        "bioRxiv (2021)."
    ),
    doi=None,
    openneuro="ds003751",
    expected_folder="""\
ds003751/
  dataset_description.json
  sub-mit003/eeg/   sub-mit003_task-Emotion_eeg.set and .fdt, _events.tsv, _channels.tsv
  sub-mit003/beh/   sub-mit003_task-Emotion_beh.tsv
""",
    notes=(
        "Onsets in events.tsv count samples at 250 Hz, not seconds, and durations mean nothing.",
        "80 s of rest stand once at the beginning of each recording: read_rest returns them.",
        "People saw 11 films (33 people), 10 (6) or 9 (1).",
        "The number of a subject is the one in its label (mit003 is 3).",
        "A felt emotion is given where a person named exactly one; several clicks with other words "
        "leave it empty.",
        "Of the cap's 128 electrodes those 45 are read that lie near a place of the 10-05 system.",
    ),
    class_schemes=("valence2", "arousal2"),
)
