"""The layout of MAHNOB-HCI: Sessions, one recording and one session.xml per clip."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from xml.sax.saxutils import quoteattr

import numpy as np
from numpy.typing import NDArray

from affectrum.catalog import mahnob_hci as facts
from affectrum.twins.files import BdfChannel, write_bdf, write_text
from affectrum.twins.generator import Cap, Trial, TwinGenerator
from affectrum.twins.head import MUSCLES
from affectrum.twins.jobs import Job, Layout
from affectrum.twins.seeds import derive_rng

__all__ = ["DEFAULT_FORMS", "FORMS", "jobs", "rated_trials", "session_id"]

FloatArray = NDArray[np.float64]

FORMS = ("sessions",)
DEFAULT_FORMS = FORMS

_SESSION = 1
_BAND = (0.0, 52.0)  # BioSemi: low-pass at a fifth of the rate
_CMS = (15.0, -140.0)  # behind the vertex on the left
_OFFSET_UV = 2000.0  # electrode offsets of DC amplifiers reach millivolts; size chosen
_EVENT = 16  # on the Status channel, at both ends of the clip; its value is chosen
_EVENT_SAMPLES = 5
_BETWEEN_S = 6  # length of the unrated sessions between the clips; chosen


def jobs(layout: Layout) -> Iterator[Job]:
    """Yield every file of the twin."""
    generator = layout.generator
    for subject in layout.subjects:
        rated = rated_trials(generator, subject)
        for trial, row in enumerate(generator.presentation(subject, _SESSION), start=1):
            for kind in ("N", "S"):
                number = session_id(subject, trial, kind)
                place = Path("Sessions") / str(number)
                name = f"Part_{subject}_{kind}_Trial{trial}_emotion.bdf"
                felt = kind == "S" and trial in rated
                describe = partial(_write_session, layout, subject, trial, row, kind, felt)
                yield Job(place / "session.xml", describe, small=True)
                record = _write_clip if kind == "S" else _write_between
                yield Job(place / name, partial(record, layout, subject, trial, row))


def session_id(subject: int, trial: int, kind: str) -> int:
    """Return the number of a session's folder: 1 to 3810, with gaps."""
    return 130 * (subject - 1) + 2 * trial - (kind == "N")


def rated_trials(generator: TwinGenerator, subject: int) -> frozenset[int]:
    """Return the trials that a subject rated; as many as were counted in the corpus.

    Parameters
    ----------
    generator : TwinGenerator
        The twin.
    subject : int
        From 1.

    Returns
    -------
    frozenset of int
        Trials from 1; which ones are lacking is drawn.
    """
    n_trials = generator.facts.trials_per_session[0]
    rng = derive_rng(generator.seed, "rated", generator.facts.name, subject)
    order = rng.permutation(n_trials)
    return frozenset(int(t) + 1 for t in order[: facts.RATED_TRIALS[subject - 1]])


# session.xml ---------------------------------------------------------------------------------


def _after(layout: Layout) -> int:
    """Seconds recorded after the clip: 30, fewer in a twin of short clips."""
    return 30 if layout.generator.trial_seconds is None else 2


def _write_session(
    layout: Layout, subject: int, trial: int, row: int, kind: str, felt: bool, path: Path
) -> None:
    generator = layout.generator
    is_clip = kind == "S"
    seconds = generator.seconds(_SESSION, row) if is_clip else _BETWEEN_S
    media = list(facts.MEDIA)[row - 1]
    attributes: dict[str, object] = {
        "sessionId": session_id(subject, trial, kind),
        "date": f"2009-{1 + subject % 12:02d}-{1 + subject % 28:02d}",
        "recordingId": subject,
        "cutLenSec": f"{seconds:.1f}",
        "cutNr": 2 * trial - (not is_clip),
        "mediaFile": f"{media}.avi" if is_clip else "",
        "isStim": int(is_clip),
    }
    if felt:
        attributes |= _reports(generator, subject, row)
    cells = " ".join(f"{name}={quoteattr(str(value))}" for name, value in attributes.items())
    name = quoteattr(f"Part_{subject}_{kind}_Trial{trial}_emotion.bdf")
    write_text(
        path,
        '<?xml version="1.0" encoding="utf-8"?>\n'
        f"<session {cells}>\n"
        f'  <subject id="{subject}"/>\n'
        f'  <track type="Physiological" filename={name}/>\n'
        "</session>\n",
    )


def _reports(generator: TwinGenerator, subject: int, row: int) -> dict[str, int]:
    """What was ticked after a clip: whole numbers from 1 to 9, and the nearest emotion."""
    rating = generator.rating(subject, _SESSION, row)
    valence, arousal, control, _ = (
        int(np.clip(np.rint(5.0 + 4.0 * value), 1, 9)) for value in rating.reported
    )
    points = {0: (5, 3), 2: (2, 5), 3: (2, 7), 4: (8, 5), 5: (2, 3), 11: (7, 6)}
    felt = min(points, key=lambda c: (valence - points[c][0]) ** 2 + (arousal - points[c][1]) ** 2)
    return {
        "feltEmo": felt,
        "feltArsl": arousal,
        "feltVlnc": valence,
        "feltCtrl": control,
        "feltPred": 1 + int(8.999 * rating.familiarity),
    }


# recordings ----------------------------------------------------------------------------------


def _write_clip(layout: Layout, subject: int, trial: int, row: int, path: Path) -> None:
    generator = layout.generator
    cap = _cap(generator)
    before, after = int(generator.facts.baseline_s), _after(layout)
    rest = generator.rest(subject, _SESSION, trial, after, cap)
    pieces = [generator.trial(subject, _SESSION, row, cap), rest]
    stop = before + generator.seconds(_SESSION, row)
    _write(path, generator, subject, pieces, (before, stop), stop + after)


def _write_between(layout: Layout, subject: int, trial: int, row: int, path: Path) -> None:
    """Write the recording between two clips, without a stimulus."""
    generator = layout.generator
    number = generator.facts.trials_per_session[0] + trial
    pieces = [generator.rest(subject, _SESSION, number, _BETWEEN_S, _cap(generator))]
    _write(path, generator, subject, pieces, (), _BETWEEN_S)


def _cap(generator: TwinGenerator) -> Cap:
    return Cap(facts.ELECTRODES, generator.facts.sfreq, _BAND, _CMS, 1.0)


def _write(
    path: Path,
    generator: TwinGenerator,
    subject: int,
    pieces: list[Trial],
    events: tuple[int, ...],
    seconds: int,
) -> None:
    sfreq = round(generator.facts.sfreq)
    rng = derive_rng(generator.seed, "offset", generator.facts.name, subject)
    offset = _OFFSET_UV * rng.standard_normal((len(facts.ELECTRODES), 1))
    # each piece ends with one sample too many
    eeg = np.concatenate([piece.x[:, :-1] for piece in pieces], axis=1).astype(np.float64)
    muscle = list(MUSCLES).index("temporal left")
    beat = np.concatenate([piece.muscles[muscle, :-1] for piece in pieces]).astype(np.float64)
    t = np.arange(eeg.shape[1]) / sfreq
    pulse = 400.0 * np.exp(-(((t % 0.85) - 0.4) ** 2) / 2e-4)
    breath = 500.0 * np.sin(2 * np.pi * 0.25 * t)
    still = np.zeros_like(t)
    # EXG1-3 are the electrocardiogram; what no loader reads stays still
    others = [pulse, -pulse, 0.5 * pulse, beat, still, still, still, still]
    others += [1000.0 + 20.0 * np.sin(t / 20.0), still, still, still, breath, 30.0 + still]
    status = np.zeros_like(t)
    for second in events:
        status[second * sfreq : second * sfreq + _EVENT_SAMPLES] = _EVENT
    values = np.concatenate([eeg + offset, np.stack([*others, status])])
    channels = [BdfChannel(name, "uV", -262144.0, 262143.0) for name in facts.SIGNALS[:-1]]
    channels.append(BdfChannel(facts.SIGNALS[-1], "Boolean", -8388608.0, 8388607.0))
    write_bdf(path, channels, sfreq, seconds, [values])
