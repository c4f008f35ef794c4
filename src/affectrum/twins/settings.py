"""The dials of the generative model, each with its default and where the default comes from."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["SIZES", "TwinSettings"]

# (subjects, sessions, trial_seconds); None means the vendor's own number
SIZES: dict[str, tuple[int | None, int | None, float | None]] = {
    "tiny": (3, 1, 5.0),
    "small": (6, 1, 24.0),
    "full": (None, None, None),
}

_CHOSEN = "chosen to meet the difficulty bands"


def _dial(default: float, what: str, source: str, low: float = 0.0, high: float = 1e6) -> Any:
    return Field(default=default, ge=low, le=high, description=f"{what} [{source}]")


class TwinSettings(BaseModel):
    """Every factor of the simulated EEG; a factor set to 0 is switched off.

    Effects and variations are in nats of log power (0.1 nat is 0.43 dB) unless a unit is named.
    The description of each field ends with the source of its default in square brackets.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    # what the emotion does -------------------------------------------------------------------
    effect: float = _dial(1.0, "multiplies every effect of emotion on the signal", _CHOSEN)
    arousal_alpha: float = _dial(
        1.8,
        "fall of occipito-parietal alpha per unit of arousal",
        f"direction: Rogenmoser 2016; size {_CHOSEN}",
    )
    arousal_beta: float = _dial(
        1.1, "fall of occipito-parietal low beta per unit of arousal", f"size {_CHOSEN}"
    )
    frontal_asymmetry: float = _dial(
        0.3,
        "right minus left frontal alpha per unit of valence, its sign random by subject",
        f"contested in the literature; size {_CHOSEN}",
    )
    midline_theta: float = _dial(
        1.1,
        "rise of frontal midline theta per unit of valence",
        f"direction: Sammler 2007; size {_CHOSEN}",
    )
    valence_gamma: float = _dial(
        1.2,
        "rise of temporal beta and gamma per unit of valence (cortical part)",
        f"direction: Zheng and Lu 2015; size {_CHOSEN}",
    )
    muscle_valence: float = _dial(
        1.0,
        "rise of temporal muscle activity per unit of valence, and fall of frontal muscle activity",
        "direction: Larsen, Norris and Cacioppo 2003 (zygomaticus, corrugator); size " + _CHOSEN,
    )
    state: Literal["path", "bursts"] = Field(
        default="path",
        description="latent state: a slow path around the clip's point, or event-locked bursts",
    )
    state_sd: float = _dial(
        0.06, "SD of the state's path around its point, in plane units", _CHOSEN
    )
    state_time: float = _dial(
        0.3, "time constant of the state's path, as a fraction of the trial", _CHOSEN, 1e-3
    )
    burst_seconds: float = _dial(2.0, "length of a burst in s when state is 'bursts'", _CHOSEN, 0.1)
    burst_share: float = _dial(
        0.4, "share of time inside bursts when state is 'bursts'", _CHOSEN, 0.01, 1.0
    )

    # who responds, and how -------------------------------------------------------------------
    response_gain_sd: float = _dial(0.25, "SD of the log of a subject's response gain", _CHOSEN)
    response_rotation: float = _dial(
        0.87, "share (0-1) of a subject's response that is its own pattern", _CHOSEN, 0.0, 1.0
    )
    non_responders: float = _dial(1 / 6, "share of subjects that do not respond", _CHOSEN, 0.0, 1.0)
    reversed_responders: float = _dial(
        0.04, "share of subjects that respond the other way round", _CHOSEN, 0.0, 1.0
    )
    felt_sd: float = _dial(
        0.08,
        "SD of what a subject feels around the clip's point, in plane units",
        "with rating_sd and rating_habit_sd about FACED's SD over people (0.44, 0.51)",
    )
    rating_sd: float = _dial(
        0.4, "SD of a rating around what was felt, in plane units", "as felt_sd"
    )
    rating_habit_sd: float = _dial(0.2, "SD of a subject's constant rating shift", "as felt_sd")

    # stimuli and order -----------------------------------------------------------------------
    signature: float = _dial(
        0.2,
        "variance of the clips' signature over the variance of the default emotion effect",
        _CHOSEN,
    )
    time_on_task: float = _dial(
        0.15,
        "rise of alpha and theta from the first to the last trial, all subjects alike",
        f"direction: Trejo 2015 (fatigue); size {_CHOSEN}",
    )

    # people, sessions, trials ----------------------------------------------------------------
    anatomy_degrees: float = _dial(
        4.0, "SD of cap rotation and of patch position in degrees", _CHOSEN
    )
    conductivity_sd: float = _dial(0.2, "SD of the log of skull conductivity", _CHOSEN)
    alpha_frequency_sd: float = _dial(
        0.9,
        "SD of the individual alpha frequency in Hz, around 10 Hz",
        "chosen; the middle is near the 10.3 Hz of Haegens 2014",
        0.0,
        1.5,
    )
    subject_sd: float = _dial(0.28, "SD between subjects of each patch's band power", _CHOSEN)
    session_sd: float = _dial(0.12, "SD between sessions of each patch's band power", _CHOSEN)
    impedance_sd: float = _dial(0.08, "SD between sessions of the log of electrode gain", _CHOSEN)
    trial_sd: float = _dial(0.06, "SD between trials of each patch's band power", _CHOSEN)
    residual_sd: float = _dial(0.15, "SD within a trial of each patch's band power", _CHOSEN)
    residual_time: float = _dial(
        0.15, "time constant of that variation, as a fraction of the trial", _CHOSEN, 1e-3
    )
    slope_drift_sd: float = _dial(
        0.08, "SD of the drift of the aperiodic exponent", _CHOSEN, 0.0, 0.4
    )
    aperiodic_exponent: float = _dial(
        1.2,
        "exponent of the aperiodic background's power",
        "chosen",
        0.0,
        3.0,
    )

    # corpora and hardware --------------------------------------------------------------------
    corpus_factors: float = _dial(
        1.0,
        "strength (0-1) of what differs between corpora: gain, noise, reference, effect",
        _CHOSEN,
        0.0,
        1.0,
    )
    oscillations: float = _dial(1.0, "power of the oscillations over its default", _CHOSEN)
    background_uv: float = _dial(8.0, "RMS of the aperiodic background at the scalp in uV", _CHOSEN)
    muscle: float = _dial(1.0, "amplitude of the muscle generator over its default", _CHOSEN)
    sensor_noise_uv: float = _dial(0.6, "RMS of the amplifier's noise in uV", _CHOSEN)

    # artefacts -------------------------------------------------------------------------------
    blinks_per_minute: float = _dial(
        12.0,
        "blinks per minute",
        "chosen between 17 at rest and 4.5 when reading (Bentivoglio 1997)",
    )
    eye_movements_per_minute: float = _dial(20.0, "large eye movements per minute", _CHOSEN)
    muscle_bursts_per_minute: float = _dial(0.5, "bursts of muscle activity per minute", _CHOSEN)
    bad_electrodes: float = _dial(
        0.01, "share of electrodes that are noisy in a session", _CHOSEN, 0.0, 0.5
    )
    mains_uv: float = _dial(0.5, "amplitude of the mains in uV", _CHOSEN)
    drift_uv: float = _dial(15.0, "RMS of slow electrode drifts in uV", _CHOSEN)

    @classmethod
    def easy(cls, **changes: Any) -> TwinSettings:
        """Return settings with a strong effect that is alike in all subjects (for tests)."""
        base: dict[str, Any] = {
            "effect": 3.0,
            "response_gain_sd": 0.0,
            "response_rotation": 0.0,
            "non_responders": 0.0,
            "reversed_responders": 0.0,
            "felt_sd": 0.05,
            "rating_sd": 0.05,
            "rating_habit_sd": 0.0,
            "subject_sd": 0.15,
            "residual_sd": 0.15,
            "corpus_factors": 0.0,
        }
        return cls(**{**base, **changes})

    @classmethod
    def null(cls, **changes: Any) -> TwinSettings:
        """Return settings without any effect of emotion.

        The clips' signatures stay, as strong as emotion is by default: clips can be recognised,
        emotions can't.
        """
        return cls(**{"effect": 0.0, "signature": 1.0, **changes})

    @classmethod
    def stress(cls, **changes: Any) -> TwinSettings:
        """Return settings whose clip signatures are twice as strong as emotion."""
        return cls(**{"signature": 2.0, **changes})

    def without_artefacts(self) -> TwinSettings:
        """Return the same settings with every artefact switched off."""
        return self.model_copy(
            update={
                "blinks_per_minute": 0.0,
                "eye_movements_per_minute": 0.0,
                "muscle_bursts_per_minute": 0.0,
                "bad_electrodes": 0.0,
                "mains_uv": 0.0,
                "drift_uv": 0.0,
            }
        )

    def digest(self) -> str:
        """Return a short digest of all settings."""
        text = json.dumps(self.model_dump(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]
