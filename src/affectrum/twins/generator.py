"""The generative model: from a subject and a clip to microvolts at any electrodes and any rate.

A trial is made of rows (cortical patches, muscles, eyes) that the head mixes to the electrodes. A
patch's activity is an aperiodic background whose exponent drifts, plus oscillations whose power is
``exp(z(t))``; ``z`` is the sum of everything that `TwinSettings` names: who it is, which session,
what the person feels, which clip it is, how late in the session it is, and chance. The same person
and trial at another rate or on another cap are the same activity, seen otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from affectrum import catalog
from affectrum.errors import ConfigError
from affectrum.twins import artefacts, head
from affectrum.twins.people import (
    BANDS,
    N_CORTICAL,
    N_ENTRIES,
    Session,
    Subject,
    profile_of,
    signature_sd,
)
from affectrum.twins.seeds import derive_rng
from affectrum.twins.settings import TwinSettings
from affectrum.twins.shaping import (
    GRID_HZ,
    PAD_S,
    Shaper,
    background_power,
    passband_response,
    slow_noise,
)
from affectrum.twins.stimuli import N_SCENES, ClipPoint, clip_points, clip_signature

__all__ = ["Cap", "Rating", "Trial", "TwinGenerator"]

FloatArray = NDArray[np.float64]
Float32Array = NDArray[np.float32]

_N_PATCHES = len(head.PATCHES)
_MUSCLE_UV = 5.0  # RMS of a resting muscle at its middle; chosen
_MUSCLE_BAND = (20.0, 95.0)
_REST = np.array([0.0, -0.2])  # state before a clip begins; chosen
_BAD_NOISE = 25.0  # how much noisier a bad electrode is; chosen


@dataclass(frozen=True)
class Cap:
    """How the head is recorded.

    Attributes
    ----------
    electrodes : tuple of str
        Canonical names.
    sfreq : float
        Sampling rate in Hz, an even whole number.
    passband : tuple of float
        Lowest and highest frequency in Hz that the recorder and the vendor's filter keep.
    reference : tuple of float or "average" or None
        Place of the reference electrode (inclination, azimuth in degrees), the average of
        `electrodes`, or infinity.
    eye_gain : float
        What is left of eye movements, 0 to 1.
    """

    electrodes: tuple[str, ...]
    sfreq: float
    passband: tuple[float, float]
    reference: tuple[float, float] | Literal["average"] | None = None
    eye_gain: float = 1.0


@dataclass(frozen=True)
class Rating:
    """What a subject felt and reported of a clip, on the plane's -1 ... 1.

    Attributes
    ----------
    felt : tuple of float
        Valence and arousal that drive the signal.
    reported : tuple of float
        Valence, arousal, dominance, liking as reported; may exceed the scale.
    familiarity : float
        0 to 1.
    """

    felt: tuple[float, float]
    reported: tuple[float, float, float, float]
    familiarity: float


@dataclass(frozen=True)
class Trial:
    """A simulated trial.

    Attributes
    ----------
    x : ndarray of float32, shape (n_electrodes, n_samples)
        Microvolts; the baseline, if any, stands first.
    eyes : ndarray of float32, shape (2, n_samples)
        Vertical and horizontal eye signal in uV near the eye.
    muscles : ndarray of float32, shape (n_muscles, n_samples)
        Microvolts above the muscles.
    state : ndarray, shape (n_points, 2)
        Valence and arousal that drove the signal, two points per second.
    """

    x: Float32Array
    eyes: Float32Array
    muscles: Float32Array
    state: FloatArray


class TwinGenerator:
    """Draws the trials of one corpus's twin.

    Parameters
    ----------
    corpus : str
        Name of a corpus that the catalog knows.
    settings : TwinSettings, optional
        The dials; the defaults when missing.
    seed : int
        Same seed, same numbers.
    trial_seconds : float, optional
        Length of a trial's stimulus part; the vendor's own lengths when missing.

    Raises
    ------
    ConfigError
        If the corpus is unknown, the seed negative or the trials shorter than 2 s.
    """

    def __init__(
        self,
        corpus: str,
        settings: TwinSettings | None = None,
        seed: int = 0,
        trial_seconds: float | None = None,
    ) -> None:
        self.facts = catalog.get(corpus)
        self.settings = settings if settings is not None else TwinSettings()
        self.seed = seed
        self.trial_seconds = trial_seconds
        faults = []
        if seed < 0:
            faults.append(f"'seed' must not be negative, received {seed}")
        if trial_seconds is not None and trial_seconds < 2.0:
            faults.append(f"'trial_seconds' must be at least 2, received {trial_seconds}")
        if faults:
            raise ConfigError("The twin can't be drawn: " + "; ".join(faults) + ".")
        self._mains_hz = self.facts.mains_hz or 50.0
        self.profile = profile_of(self.facts.name, self.settings)
        self._points = [clip_points(clips, seed) for clips in self.facts.clips]
        self._signature_sd = signature_sd(self.settings, self.profile)

    # what is known without a signal ----------------------------------------------------------

    @property
    def cap(self) -> Cap:
        """The vendor's electrodes, rate, filter and reference."""
        return Cap(
            electrodes=self.facts.electrodes,
            sfreq=self.facts.sfreq,
            passband=self.facts.passband_hz or (0.1, 0.45 * self.facts.sfreq),
            reference=self.profile.reference,
            eye_gain=self.profile.eye_residual,
        )

    def seconds(self, session: int, row: int) -> int:
        """Length of a trial's stimulus part in whole seconds (session and row from 1).

        With `trial_seconds` about that many: a longer clip is still longer, by up to a fifth.
        """
        lengths = [clip.duration_s or 60.0 for clip in self.facts.clips[session - 1]]
        if self.trial_seconds is None:
            return round(lengths[row - 1])
        relative = lengths[row - 1] / (sum(lengths) / len(lengths))
        return max(2, round(self.trial_seconds * min(max(relative, 0.8), 1.2)))

    def presentation(self, subject: int, session: int) -> tuple[int, ...]:
        """Rows of a session in the order in which the subject saw them.

        The file's order where that is the order of presentation; else drawn for each subject.
        """
        return _presentation(self.facts.name, subject, session, self.seed)

    def point(self, session: int, row: int) -> ClipPoint:
        """Where the clip of a trial stands in the plane."""
        return self._points[session - 1][row - 1]

    def subject(self, number: int) -> Subject:
        """The person behind a subject number."""
        return _subject(self.facts.name, number, self.settings, self.seed)

    def rating(self, subject: int, session: int, row: int) -> Rating:
        """What the subject felt and would report of a clip."""
        settings, person = self.settings, self.subject(subject)
        clip = self.facts.clips[session - 1][row - 1]
        rng = derive_rng(self.seed, "rating", self.facts.name, subject, session, clip.clip)
        point = self.point(session, row)
        felt = np.array([point.valence, point.arousal])
        felt += settings.felt_sd * rng.standard_normal(2)
        # chosen: dominance and liking go along with valence
        meant = np.array([felt[0], felt[1], 0.4 * felt[0], 0.7 * felt[0]])
        reported = meant + settings.rating_sd * rng.standard_normal(4) + person.rating_shift
        valence, arousal, dominance, liking = (float(value) for value in reported)
        return Rating(
            felt=(float(felt[0]), float(felt[1])),
            reported=(valence, arousal, dominance, liking),
            familiarity=float(rng.random()),
        )

    # signals ---------------------------------------------------------------------------------

    def trial(self, subject: int, session: int, row: int, cap: Cap | None = None) -> Trial:
        """Simulate one trial.

        Parameters
        ----------
        subject, session, row : int
            From 1.
        cap : Cap, optional
            How it is recorded; as the vendor does when missing.

        Returns
        -------
        Trial
            The baseline that the corpus records, if any, and the stimulus: seconds times rate
            samples, and one more.
        """
        before = int(self.facts.baseline_s)
        seconds = before + self.seconds(session, row)
        identity = (self.facts.name, subject, session, "trial", row)
        z, state = self._course(identity, subject, session, row, seconds, before)
        return self._record(identity, subject, session, seconds, z, state, cap or self.cap)

    def rest(
        self, subject: int, session: int, index: int, seconds: int, cap: Cap | None = None
    ) -> Trial:
        """Simulate `seconds` without a stimulus; `index` tells several such pieces apart."""
        identity = (self.facts.name, subject, session, "rest", index)
        z, state = self._course(identity, subject, session, None, seconds, seconds)
        return self._record(identity, subject, session, seconds, z, state, cap or self.cap)

    def _session(self, subject: int, session: int, electrodes: tuple[str, ...]) -> Session:
        return _session(self.facts.name, subject, session, electrodes, self.settings, self.seed)

    def _course(
        self,
        identity: tuple[str | int, ...],
        subject: int,
        session: int,
        row: int | None,
        seconds: int,
        before: int,
    ) -> tuple[Float32Array, FloatArray]:
        """Course of all log powers (N_ENTRIES, n_points) and of the state (n_points, 2)."""
        settings, person = self.settings, self.subject(subject)
        rng = derive_rng(self.seed, "course", *identity)
        n_points, n_before = seconds * GRID_HZ + 1, before * GRID_HZ
        state = np.tile(_REST, (n_points, 1))
        recording = self._session(subject, session, ())
        level = person.spectrum + recording.spectrum
        # every trial differs from every other, whatever is shown
        level = level + settings.trial_sd * rng.standard_normal(N_ENTRIES)
        level = level + self._time_on_task(subject, session, row)
        steps = GRID_HZ * settings.residual_time * max(seconds - before, 1)
        z = np.float32(settings.residual_sd) * slow_noise(rng, N_ENTRIES, n_points, steps)
        z += level[:, None].astype(np.float32)
        if row is not None:
            n_stimulus = n_points - n_before
            state[n_before:] = self._state(identity, subject, session, row, n_stimulus)
            z[:N_CORTICAL, n_before:] += self._signature(session, row, n_stimulus)
        z += (person.response @ state.T).astype(np.float32)
        return z, state

    def _state(
        self, identity: tuple[str | int, ...], subject: int, session: int, row: int, n_points: int
    ) -> FloatArray:
        """Valence and arousal during a clip: shape (n_points, 2)."""
        settings = self.settings
        felt = np.array(self.rating(subject, session, row).felt)
        clip = self.facts.clips[session - 1][row - 1].clip
        by_clip = derive_rng(self.seed, "state of clip", clip)  # alike in all viewers
        if settings.state == "bursts":
            level = _bursts(by_clip, n_points, settings.burst_seconds, settings.burst_share)
            return np.asarray(_REST + level[:, None] * (felt - _REST))
        own = derive_rng(self.seed, "state", *identity)
        steps = settings.state_time * n_points
        noise = slow_noise(by_clip, 2, n_points, steps) + slow_noise(own, 2, n_points, steps)
        path = settings.state_sd * np.sqrt(0.5) * noise.T.astype(np.float64)
        # the beginning of a clip leads from rest to its point
        rise = 1.0 - np.exp(-4.0 * np.arange(1, n_points + 1) / max(steps, 1.0))
        return np.asarray(_REST + rise[:, None] * (felt - _REST) + path)

    def _signature(self, session: int, row: int, n_points: int) -> Float32Array:
        clip = self.facts.clips[session - 1][row - 1]
        scenes = self._signature_sd[:, None] * clip_signature(clip, self.seed, N_CORTICAL)
        which = np.minimum(np.arange(n_points) * N_SCENES // n_points, N_SCENES - 1)
        return np.asarray(scenes[:, which], dtype=np.float32)

    def _time_on_task(self, subject: int, session: int, row: int | None) -> FloatArray:
        n_trials = self.facts.trials_per_session[session - 1]
        order = self.presentation(subject, session)
        share = 0.5 if row is None else order.index(row) / max(n_trials - 1, 1)
        by_band = np.array([1.0 if name in ("theta", "alpha") else 0.0 for name in BANDS])
        shift = np.zeros(N_ENTRIES)
        shift[:N_CORTICAL] = np.tile(by_band, _N_PATCHES)
        return shift * self.settings.time_on_task * (share - 0.5)

    def _record(
        self,
        identity: tuple[str | int, ...],
        subject: int,
        session: int,
        seconds: int,
        z: Float32Array,
        state: FloatArray,
        cap: Cap,
    ) -> Trial:
        settings, person = self.settings, self.subject(subject)
        if cap.sfreq % GRID_HZ:
            raise ConfigError(f"'sfreq' must be an even whole number of Hz, received {cap.sfreq}.")
        sfreq = round(cap.sfreq)
        shaper = Shaper(derive_rng(self.seed, "signal", *identity), seconds, sfreq, cap.passband)
        slope_rng = derive_rng(self.seed, "slope", *identity)
        slope = settings.slope_drift_sd * slow_noise(slope_rng, 1, z.shape[1], z.shape[1] / 2)
        patches = self._patches(shaper, z, np.asarray(slope, dtype=np.float32), person)
        muscles = self._muscles(shaper, z)
        events = derive_rng(self.seed, "artefacts", *identity)
        eyes = shaper.filter(artefacts.eye_signals(events, settings, seconds, sfreq, PAD_S))
        muscles *= artefacts.muscle_bursts(events, settings, seconds, sfreq)

        names = cap.electrodes
        recording = self._session(subject, session, names)
        gain = np.array([recording.electrode_gain[name] for name in names])
        mixing = gain[:, None] * _mixing(self.facts.name, subject, settings, self.seed, cap)
        x = mixing.astype(np.float32) @ np.concatenate([patches, muscles, eyes])
        x += self._electrode_noise(identity, recording, seconds, shaper, cap)
        if cap.reference == "average":
            x -= x.mean(axis=0, keepdims=True)
        x *= np.float32(self.profile.gain)
        return Trial(x=x, eyes=eyes, muscles=muscles, state=state)

    def _electrode_noise(
        self,
        identity: tuple[str | int, ...],
        recording: Session,
        seconds: int,
        shaper: Shaper,
        cap: Cap,
    ) -> Float32Array:
        """What each electrode adds by itself: amplifier noise, drift, mains."""
        settings, names = self.settings, cap.electrodes
        generators = [derive_rng(self.seed, "noise", *identity, name) for name in names]
        phases = np.array([g.uniform(0.0, 2 * np.pi) for g in generators])
        mains_uv = settings.mains_uv * self.profile.mains
        kept = float(passband_response(np.array([self._mains_hz]), cap.passband)[0])
        hum = mains_uv * kept * np.array([np.exp(0.5 * g.standard_normal()) for g in generators])
        noise_uv = settings.sensor_noise_uv * self.profile.noise
        white = noise_uv * np.array([recording.electrode_noise[name] for name in names])
        white[[name in recording.bad for name in names]] *= _BAD_NOISE
        noise = shaper.electrode_noise(generators, white, settings.drift_uv)
        if mains_uv > 0:
            noise += artefacts.mains(phases, hum, self._mains_hz, seconds, shaper.sfreq)
        return noise

    def _patches(
        self, shaper: Shaper, z: Float32Array, slope: Float32Array, person: Subject
    ) -> Float32Array:
        """Activity of all patches in uV: shape (n_patches, n_samples)."""
        settings = self.settings
        x, tilted = shaper.aperiodic(_N_PATCHES, person.exponent)
        tilted *= shaper.upsample(slope)
        x = x + tilted
        x *= (settings.background_uv * np.exp(0.5 * person.background))[:, None].astype(np.float32)
        power = z[:N_CORTICAL].reshape(_N_PATCHES, len(BANDS), -1)
        for band, (name, (low, high, ratio)) in enumerate(BANDS.items()):
            if name == "alpha":
                low, high = person.alpha_hz - 2.0, person.alpha_hz + 2.0
            level = settings.background_uv * np.sqrt(
                settings.oscillations * ratio * background_power(low, high)
            )
            carrier = shaper.oscillation(_N_PATCHES, low, high, peaked=name == "alpha")
            envelope = np.float32(level) * np.exp(np.float32(0.5) * power[:, band])
            x += shaper.modulate(carrier, envelope)
        return x

    def _muscles(self, shaper: Shaper, z: Float32Array) -> Float32Array:
        """Activity of all muscles in uV at their middle: shape (n_muscles, n_samples)."""
        carrier = shaper.oscillation(len(head.MUSCLES), *_MUSCLE_BAND, peaked=False)
        level = np.float32(_MUSCLE_UV * self.settings.muscle)
        return shaper.modulate(carrier, level * np.exp(np.float32(0.5) * z[N_CORTICAL:]))


def _bursts(rng: np.random.Generator, n_points: int, seconds: float, share: float) -> FloatArray:
    """Smooth bursts at random times whose mean is 1: shape (n_points,)."""
    t = np.arange(n_points) / GRID_HZ
    length = t[-1] + 1.0 / GRID_HZ
    n_bursts = max(1, round(share * length / seconds))
    times = rng.uniform(0.0, length, size=n_bursts)
    level = np.exp(-0.5 * ((t[:, None] - times) / (seconds / 2.5)) ** 2).sum(axis=1)
    return np.asarray(level / level.mean())


@lru_cache(maxsize=64)
def _subject(corpus: str, number: int, settings: TwinSettings, seed: int) -> Subject:
    return Subject.draw(catalog.get(corpus), number, settings, seed)


@lru_cache(maxsize=64)
def _session(
    corpus: str,
    subject: int,
    session: int,
    electrodes: tuple[str, ...],
    settings: TwinSettings,
    seed: int,
) -> Session:
    return Session.draw(catalog.get(corpus), subject, session, electrodes, settings, seed)


@lru_cache(maxsize=64)
def _mixing(corpus: str, subject: int, settings: TwinSettings, seed: int, cap: Cap) -> FloatArray:
    """Weights of patches, muscles and eyes at a cap's electrodes."""
    anatomy = _subject(corpus, subject, settings, seed).anatomy
    directions = head.electrode_directions(cap.electrodes, anatomy)
    if isinstance(cap.reference, tuple):
        place = head.place_direction(*cap.reference, anatomy)
        directions = np.concatenate([directions, place])
    mixing = np.concatenate(
        [
            head.patch_topographies(directions, anatomy),
            head.muscle_topographies(directions),
            cap.eye_gain * head.eye_topographies(directions),
        ],
        axis=1,
    )
    if isinstance(cap.reference, tuple):
        mixing = mixing[:-1] - mixing[-1]
    mixing.setflags(write=False)
    return mixing


@lru_cache(maxsize=512)
def _presentation(corpus: str, subject: int, session: int, seed: int) -> tuple[int, ...]:
    facts = catalog.get(corpus)
    n_trials = facts.trials_per_session[session - 1]
    if facts.row_order == "presentation":
        return tuple(range(1, n_trials + 1))
    rng = derive_rng(seed, "presentation", corpus, subject, session)
    return tuple(int(row) + 1 for row in rng.permutation(n_trials))
