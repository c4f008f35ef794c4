"""Facts of THU-EP.

Known from two public loaders only; neither unit, nor order of the electrodes, nor licence, nor the
names inside the files of ratings are certain, and none of them is stated here.
"""

from __future__ import annotations

from affectrum.catalog import faced
from affectrum.catalog.model import Clip, CorpusFacts

__all__ = ["BAD_SUBJECTS", "BROADBAND", "FACTS", "FILE", "N_BANDS", "N_CHANNELS", "VARIABLE"]

# `data` as HDF5 has it: (samples, channels, stimuli, bands); the last band is the widest.
VARIABLE = "data"
N_CHANNELS = 32
N_BANDS = 6
BROADBAND = 5
FILE = "sub_{subject}.mat"
# left out by users as unreadable or noisy; subjects as the file names count them, from 1
BAD_SUBJECTS = (75,)

_CLIPS = tuple(
    Clip(
        clip=f"THU-EP/{video + 1:02d}",
        emotion=word,
        duration_s=faced.TRIAL_SECONDS,
    )
    for video, word in enumerate(faced.EMOTIONS)
)

FACTS = CorpusFacts(
    name="THU-EP",
    title="Tsinghua University Emotional Profiles",
    lab="Tsinghua University",
    summary=(
        "80 people watched 28 short film clips meant to elicit nine emotions; 32 electrodes, "
        "the signals filtered into six bands."
    ),
    electrodes=(),  # their order is not certain: the reader asks
    electrodes_in_file=(),
    auxiliary=(),
    sfreq=250.0,
    raw_sfreq=250.0,
    unit=None,
    volts_per_unit=None,
    passband_hz=(0.5, 47.0),
    mains_hz=50.0,  # China
    reference=None,
    n_subjects=80,
    n_sessions=1,
    trials_per_session=(faced.N_VIDEOS,),
    clips=(_CLIPS,),
    row_order="clip",
    label_codes=dict(faced.FACTS.label_codes),
    plane_from="emotion",
    baseline_s=0.0,
    n_samples=((7500,) * faced.N_VIDEOS,),
    sex=None,
    clip_evidence=(
        "clips: the position on the axis of stimuli; emotions: by that position as in FACED "
        "(two public loaders); films: not known"
    ),
    licence="Not stated in any public place known here; ask its authors",
    access="On request from Tsinghua University",
    url="https://doi.org/10.1016/j.neuroimage.2021.118819",
    citation=(
        "Hu X, Wang F, Zhang D (2022). Similar brains blend emotion in similar ways: Neural "
        "representations of individual difference in emotion profiles. NeuroImage 247:118819."
    ),
    doi="10.1016/j.neuroimage.2021.118819",
    expected_folder="""\
THU-EP/
  EEG data/      sub_1.mat ... sub_80.mat   (MATLAB v7.3, variable data)
  ratings/       sub1_rating.mat ...        (read with the option rating_key)
""",
    notes=(
        "The place of the ear electrodes A1 and A2 among the 32 channels is not certain: the "
        "reader needs the option 'channels'.",
        "No source says the unit: it is measured, or given by the option 'unit'.",
        "The broadband signal is the last of six bands; the others are filtered from it.",
        "Subject 75 is left out as bad by users of the corpus.",
        "The variables of the files of ratings are not documented: they are listed, and read with "
        "the option 'rating_key'.",
        "The signals are the last 30 s of each clip.",
    ),
    class_schemes=("valence3",),
)
