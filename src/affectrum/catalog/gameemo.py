"""Facts of GAMEEMO.

Sources: several independent public loaders and descriptions of the distributed folder.
"""

from __future__ import annotations

from affectrum.catalog.model import Clip, CorpusFacts, words

__all__ = ["ELECTRODES", "FACTS", "GAMES", "N_SAMPLES"]

# Columns of the .csv files; they are read by name.
ELECTRODES = words("AF3 AF4 F3 F4 F7 F8 FC5 FC6 O1 O2 P7 P8 T7 T8")

# Games G1 to G4, by the emotion that each was chosen for.
GAMES = ("boring", "calm", "horror", "funny")

N_SAMPLES = 38252

FACTS = CorpusFacts(
    name="GAMEEMO",
    title="GAMEEMO: emotion recognition based on EEG of computer games",
    lab="GAMEEMO",
    summary=(
        "28 people played four computer games (boring, calm, horror, funny) for five minutes each "
        "with a 14-electrode headset."
    ),
    electrodes=ELECTRODES,
    electrodes_in_file=ELECTRODES,
    sfreq=128.0,
    raw_sfreq=128.0,
    unit="uV",
    volts_per_unit=1e-6,
    passband_hz=None,
    mains_hz=None,
    reference=None,
    n_subjects=28,
    n_sessions=1,
    trials_per_session=(4,),
    clips=(
        tuple(
            Clip(clip=f"GAMEEMO/G{game}", emotion=emotion, duration_s=N_SAMPLES / 128.0)
            for game, emotion in enumerate(GAMES, start=1)
        ),
    ),
    row_order="clip",
    label_codes=dict(enumerate(GAMES, start=1)),
    baseline_s=0.0,
    n_samples=((N_SAMPLES,) * 4,),
    sex=None,
    clip_evidence="clips: the number of the game in the file's name; there are no films",
    licence="Not verified",
    access="Distributed on Kaggle (account needed)",
    url="https://doi.org/10.1016/j.bspc.2020.101951",
    citation=(
        "Alakus TB, Gonen M, Turkoglu I (2020). Database for an emotion recognition system based "
        "on EEG signals and various computer games - GAMEEMO. Biomedical Signal Processing and "
        "Control 60:101951."
    ),
    doi="10.1016/j.bspc.2020.101951",
    expected_folder="""\
GAMEEMO/
  (S01)/ ... (S28)/
    Preprocessed EEG Data/.csv format/   S01G1AllChannels.csv ... S01G4AllChannels.csv
    Raw EEG Data/.csv format/            the same, or S01G1AllRawChannels.csv ...
    SAM Ratings/                         pdf files, not read
""",
    notes=(
        "The folder .csv format begins with a dot, so many tools hide it.",
        "Raw and preprocessed files can have the same name: the folder's name tells them apart.",
        "Self-reports (SAM) are distributed as pdf only, so ratings are missing.",
        "One game per emotion: what tells games apart also tells emotions apart, and no split can "
        "keep them separate.",
        "In which order the games were played is not told by the files, so 'trial' is missing.",
        "The .mat files hold the same signals and are not read.",
    ),
    class_schemes=("valence2",),
)
